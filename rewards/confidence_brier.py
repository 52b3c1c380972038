"""Does the stated confidence fit whether the answer is right?"""

from emoreason.completions import Template, completion_text, normalise_word, parse_completion


def confidence_brier_reward(completions: list, template: list[Template], label: list[str | None], **kwargs) -> list[float | None]:
    """1 - (c - y)^2 of the stated confidence c, with y = 1 where the answer is the record's label, else 0; in [0, 1].

    0.0 where answer or confidence cannot be read; None where the record has no label or the template no confidence.
    Highest on average at c = the chance of being right. Alone it pays as much for being wrong with confidence 0 as for being
    right with 1; give `emotion_label_reward` at least the same weight, then a likelier answer always pays more.

    Source: the calibration term of RLCR (Damani et al. 2025, arXiv 2507.16806), shifted by 1; the score is Brier's (1950). Not
    EmoCaliber's log score: that has no lower bound, so a malformed completion with its fixed -5 beats one that is wrong with
    c above 0.95, and breaking the format pays. Here a malformed completion gets the least there is.

    >>> form = Template(think="none", confidence=True)
    >>> confidence_brier_reward(["<answer>joy</answer><confidence>0.5</confidence>", "<answer>joy</answer>"], [form] * 2, ["joy"] * 2)
    [0.75, 0.0]
    """
    return [_score(completion_text(text), form, wanted) for text, form, wanted in zip(completions, template, label, strict=True)]


def _score(text: str, template: Template, label: str | None) -> float | None:
    if label is None or not template.confidence:
        return None
    parsed = parse_completion(text, template)
    if parsed.label is None or parsed.confidence is None:
        return 0.0
    correct = float(parsed.label == normalise_word(label))
    return 1 - (parsed.confidence - correct) ** 2
