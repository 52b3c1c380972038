"""Does the stated confidence fit whether the answer is right?"""

from math import log

from emoreason.compat import first_span, published_answer, published_confidence
from emoreason.completions import Template, completion_text, is_label, parse_completion
from emoreason.faults import UserError

SCORES = ("brier", "log", "emocaliber")
EMOCALIBER_MALFORMED = -5.0


def confidence_calibration_reward(
    completions: list, template: list[Template], label: list[str | None], *, score: str = "brier", min_confidence: float = 0.05,
    label_space: list[str | None] | None = None, choices: list[list[str]] | None = None, **kwargs,
) -> list[float | None]:  # fmt: skip
    """A scoring rule of the stated confidence c against y = 1 where the answer is the record's label, as in `emotion_label_reward`, else 0.

    By `score`:

    - brier: 1 - (c - y)^2, in [0, 1].
    - log: 1 + (y ln c + (1 - y) ln(1 - c)) / -ln(min_confidence), with c first clipped to min_confidence ... 1 - min_confidence; in
      [0, 1), steeper than brier near the ends.
    - emocaliber: EmoCaliber's whole reward as it was published, 1 + y + 2 (y ln c + (1 - y) ln(1 - c)), at most 2, without a lower
      bound. Format, accuracy and confidence in one, so it takes the place of the rewards of both.

    All three are highest on average at c = the chance of being right (log: within its clip). What is malformed, with no readable answer
    or confidence, is 0.0, the least there is, in the first two: breaking the format never pays. In emocaliber, -5.0: there wrong
    with c above 1 - e^-3 = 0.950 scores less than malformed, so for an over-confident model breaking the format pays. It is for
    comparison with published numbers only. None where the record has no label or the template no confidence.

    Alone, brier and log pay as much for being wrong with confidence 0 as for being right with 1; give `emotion_label_reward` at least
    the same weight, then a likelier answer always pays more.

    Raises:
        UserError: `score` is none of these, or not 0 < min_confidence < 0.5.

    Source: brier is the calibration term of RLCR (Damani et al. 2025, arXiv 2507.16806) shifted by 1, the score that of Brier
    (1950). emocaliber is the reward of EmoCaliber (arXiv 2512.15528) as its code has it: the first of each tag counts, the answer is one
    word, and c is what float() makes of the text, strictly between 0 and 1; `85%`, `1.0` and `{0.8}` are malformed. It asks for
    the tags and sections of the template, which are those of the paper with `sections: [element, human, context, interaction,
    analysis]`. log is its score with a bound and scaled, which is ours.

    >>> form, text = Template(think="none", confidence=True), "<answer>joy</answer><confidence>0.5</confidence>"
    >>> confidence_calibration_reward([text, "<answer>joy</answer>"], [form] * 2, ["joy"] * 2)
    [0.75, 0.0]
    >>> confidence_calibration_reward([text, text], [form] * 2, ["joy", "fear"], score="log", min_confidence=0.25)
    [0.5, 0.5]
    """
    if score not in SCORES:
        raise UserError(f"confidence_calibration_reward: unknown score {score!r}; accepted: {', '.join(SCORES)}")
    if not 0 < min_confidence < 0.5:
        raise UserError(f"confidence_calibration_reward: min_confidence is {min_confidence}; accepted: above 0 and below 0.5")
    none = [None] * len(completions)
    values: list[float | None] = []
    for text, form, wanted, space, offered in zip(completions, template, label, label_space or none, choices or none, strict=True):
        if wanted is None or not form.confidence:
            values.append(None)
        elif score == "emocaliber":
            values.append(_emocaliber(completion_text(text), form, wanted))
        else:
            parsed = parse_completion(completion_text(text), form)
            right = is_label(parsed.label, wanted, space, offered)
            if parsed.label is None or parsed.confidence is None:
                values.append(0.0)
            else:
                values.append(_brier(parsed.confidence, right) if score == "brier" else _log(parsed.confidence, right, min_confidence))
    return values


def _brier(confidence: float, right: bool) -> float:
    return 1 - (confidence - right) ** 2


def _log(confidence: float, right: bool, min_confidence: float) -> float:
    confidence = min(max(confidence, min_confidence), 1 - min_confidence)
    chance = confidence if right else 1 - confidence
    return max(1 - log(chance) / log(min_confidence), 0.0)  # 1 - (1 - m) can be a hair below m


def _emocaliber(text: str, template: Template, label: str) -> float:
    if template.prefilled and not text.lstrip().startswith("<think>"):
        text = "<think>" + text
    spans = {tag: first_span(text, tag) for tag in template.tags}
    confidence = published_confidence(text, "emocaliber")
    if None in spans.values() or confidence is None or any(first_span(spans["think"], name) is None for name in template.sections):
        return EMOCALIBER_MALFORMED
    right = published_answer(text, "emocaliber", []) == label.lower()
    return 1 + right + 2 * log(confidence if right else 1 - confidence)
