"""Does the reasoning itself name the record's emotions?"""

from emoreason.completions import Template, completion_text, normalise_word, parse_completion
from emoreason.faults import UserError
from emoreason.metrics.sets import LENGTH_PENALTIES
from emoreason.wheels import emotion_words, find_wheels


def dual_reward(
    completions: list, template: list[Template], labels: list[list[str]], *, label: list[str | None] | None = None,
    wheels: str | list[str] = "own", length_penalty: str = "P3s", **kwargs,
) -> list[float | None]:  # fmt: skip
    """F1 of the emotion words that the reasoning asserts against the record's labels, on emotion wheels, times the length penalty.

    In [0, 1], like `emotion_wheel_reward` with the words of `<think>` for those of `<answer>`; 0.0 where it asserts none. None where the
    template has no reasoning, or the record no labels (nor a `label` in their place) that a wheel has.

    Raises:
        UserError: an unknown length_penalty.

    Source: the dual reward of AffectGPT-R1 (Lian et al. 2025, arXiv 2508.01318), which finds the words by a dictionary scan that
    takes `not angry` for angry; here a negated or hedged word does not count.

    >>> dual_reward(["<think>He is furious, not sad.</think><answer>joy</answer>"], [Template("free", "list")], [["anger"]])
    [1.0]
    """
    if length_penalty not in LENGTH_PENALTIES:
        raise UserError(f"dual_reward: unknown length_penalty {length_penalty!r}; accepted: {', '.join(LENGTH_PENALTIES)}")
    penalty, wheel_set = LENGTH_PENALTIES[length_penalty], find_wheels(wheels)
    values: list[float | None] = []
    for text, form, words, one in zip(completions, template, labels, label or [None] * len(completions), strict=True):
        gold = {normalise_word(word) for word in words or ([one] if one else [])}
        if "think" not in form.tags:
            values.append(None)
            continue
        found = emotion_words(parse_completion(completion_text(text), form).think or "")
        f1 = wheel_set.set_f1(found, gold)
        values.append(f1 * penalty(len(found), len(gold)) if f1 is not None and len(found) > len(gold) else f1)
    return values
