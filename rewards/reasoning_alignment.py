"""Does the reasoning name the emotions that the answer names?"""

from emoreason.completions import Template, completion_text, parse_completion
from emoreason.faults import UserError
from emoreason.wheels import WheelSet, emotion_words, find_wheels


def reasoning_alignment_reward(
    completions: list, template: list[Template], *, measure: str = "f1", threshold: float | None = None, wheels: str | list[str] = "own", **kwargs
) -> list[float | None]:
    """Agreement of the emotion words that the reasoning asserts with the answer words, on emotion wheels; in [0, 1].

    `measure` is f1 or jaccard, a mean over the wheels; with a `threshold` the value is 1.0 where it is reached, else 0.0. 0.0 where the
    reasoning or the answer names no emotion; words that are negated or hedged do not count. None where the template has no reasoning or
    no answer. It never sees the record: repeating a wrong answer in the reasoning agrees too, so it goes beside a reward that does.

    Raises:
        UserError: an unknown measure, or a threshold that is not in (0, 1].

    Source: the alignment reward of AffectGPT-R1 (Lian et al. 2025, arXiv 2508.01318), a threshold there; the mean Jaccard is
    Nano-EmoX's (arXiv 2603.02123). Both find the words by a model; here `wheels.emotion_words` does, the same each time.

    >>> texts = ["<think>A furious stare.</think><answer>angry</answer>", "<think>Not angry.</think><answer>angry</answer>"]
    >>> reasoning_alignment_reward(texts, [Template("free", "list")] * 2)
    [1.0, 0.0]
    """
    if measure not in ("f1", "jaccard") or (threshold is not None and not 0 < threshold <= 1):
        raise UserError(f"reasoning_alignment_reward: measure is {measure!r} and threshold {threshold}; accepted: f1, jaccard; above 0 to 1, or null")
    wheel_set = find_wheels(wheels)
    values = [_score(completion_text(text), form, measure, wheel_set) for text, form in zip(completions, template, strict=True)]
    return values if threshold is None else [None if value is None else float(value >= threshold) for value in values]


def _score(text: str, template: Template, measure: str, wheels: WheelSet) -> float | None:
    if "think" not in template.tags or "answer" not in template.tags:
        return None
    parsed = parse_completion(text, template)
    found = emotion_words(parsed.think or "")
    if not found or not parsed.answers:
        return 0.0
    if measure == "f1":
        return wheels.set_f1(found, parsed.answers) or 0.0
    # A wheel that has none of the answer words says nothing of them.
    ratios = [one.shared / (one.num_predicted + one.num_gold - one.shared) for one in wheels.overlaps(found, parsed.answers) if one.num_gold]
    return sum(ratios) / len(ratios) if ratios else 0.0
