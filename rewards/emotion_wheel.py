"""Do the answer words mean the same emotions as the record's words, on emotion wheels?"""

from emoreason.completions import Template, completion_text, normalise_word, parse_completion
from emoreason.faults import UserError
from emoreason.metrics.sets import LENGTH_PENALTIES
from emoreason.wheels import find_wheels


def emotion_wheel_reward(
    completions: list, template: list[Template], labels: list[list[str]], *, label: list[str | None] | None = None,
    wheels: str | list[str] = "own", level: str = "inner", length_penalty: str = "P3s", **kwargs,
) -> list[float | None]:  # fmt: skip
    """F1 of the clusters of the answer words against those of the record's labels, mean over the wheels, times the length penalty.

    In [0, 1]. None where the record has no labels and no `label` in their place, or where no wheel has any of them. `wheels` is `own`,
    a list of names of own wheels, or the folder of the official ones; `level` is the inner or the middle ring; the penalty works
    on more answers than labels and is one of `metrics.sets.LENGTH_PENALTIES`.

    Raises:
        UserError: a setting names nothing that there is.

    Source: the accuracy reward P x EW of AffectGPT-R1 (Lian et al. 2025, arXiv 2508.01318), with P3s of Nano-EmoX (arXiv 2603.02123)
    for the default. On the own wheels, where we differ, `neutral` is a class and an answer outside of the vocabulary is a
    cluster that nothing else matches; the official ones drop both, so that inventing words is free there.

    >>> emotion_wheel_reward(["<answer>furious, glad</answer>"], [Template("none", "list")], [["angry"]], length_penalty="P2")
    [0.3333333333333333]
    """
    if length_penalty not in LENGTH_PENALTIES or level not in ("inner", "middle"):
        raise UserError(f"emotion_wheel_reward: length_penalty is {length_penalty!r} and level {level!r}; "
                        f"accepted: {', '.join(LENGTH_PENALTIES)}; inner, middle")
    penalty, wheel_set = LENGTH_PENALTIES[length_penalty], find_wheels(wheels)
    values: list[float | None] = []
    for text, form, words, one in zip(completions, template, labels, label or [None] * len(completions), strict=True):
        gold = {normalise_word(word) for word in words or ([one] if one else [])}
        answers = parse_completion(completion_text(text), form).answers
        f1 = wheel_set.set_f1(answers, gold, level)
        values.append(f1 * penalty(len(answers), len(gold)) if f1 is not None and len(answers) > len(gold) else f1)
    return values
