"""How well do the answer words cover the record's emotion words, and nothing else?"""

from collections.abc import Callable

from emoreason.completions import Template, completion_text, normalise_word, parse_completion
from emoreason.faults import UserError
from emoreason.metrics.sets import LENGTH_PENALTIES


def emotion_set_reward(
    completions: list, template: list[Template], labels: list[list[str]], *, length_penalty: str = "P3s", **kwargs
) -> list[float | None]:
    """F1 of the set of answer words against the record's set of labels, times the length penalty; in [0, 1].

    None where the record has no labels. The penalty works only on more answers than labels; `length_penalty` is P1 (the
    strictest), P2, P3, P3s or none. Without one, the list of answers grows in training.

    Raises:
        UserError: `length_penalty` names none of these.

    Source: the accuracy reward of AffectGPT-R1 (Lian et al. 2025, arXiv 2508.01318) with plain words for its emotion wheels. P3s,
    the default, is the P3 of Nano-EmoX (arXiv 2603.02123), above 0 at one label. P3 stays 0 there: the patch in circulation,
    1 / ln(max(num_answers, 2)), is 1.44 at two answers, a bonus.

    >>> emotion_set_reward(["<answer>joy, awe, fear</answer>"], [Template("none", "list")], [["joy"]], length_penalty="P2")
    [0.16666666666666666]
    """
    if length_penalty not in LENGTH_PENALTIES:
        raise UserError(f"emotion_set_reward: unknown length_penalty {length_penalty!r}; accepted: {', '.join(LENGTH_PENALTIES)}")
    rows = zip(completions, template, labels, strict=True)
    return [_score(completion_text(text), form, wanted, LENGTH_PENALTIES[length_penalty]) for text, form, wanted in rows]


def _score(text: str, template: Template, labels: list[str], penalty: Callable[[int, int], float]) -> float | None:
    if not labels:
        return None
    wanted = {normalise_word(word) for word in labels}
    answers = set(parse_completion(text, template).answers)
    f1 = 2 * len(answers & wanted) / (len(answers) + len(wanted))
    return f1 * penalty(len(answers), len(wanted)) if len(answers) > len(wanted) else f1
