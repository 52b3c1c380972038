"""How well one set of words covers another, and what a longer list costs.

Standard library only: rewards import this module at the top.
"""

import math
from collections.abc import Callable, Iterable

from emoreason.completions import normalise_word

LENGTH_PENALTIES: dict[str, Callable[[int, int], float]] = {
    "none": lambda num_answers, num_labels: 1.0,
    "P1": lambda num_answers, num_labels: 1 / (num_answers - num_labels + 1),
    "P2": lambda num_answers, num_labels: num_labels / num_answers,
    "P3": lambda num_answers, num_labels: math.log(num_labels) / math.log(num_answers),
    "P3s": lambda num_answers, num_labels: math.log(num_labels + 1) / math.log(num_answers + 1),
}
"""{name: the factor in [0, 1] that is left of a score}, for num_answers > num_labels >= 1; fewer answers are not penalised.

At 6 answers to 3 labels: P1 1/4, P2 1/2, P3 0.613, P3s 0.712, none 1. P3 is 0 at one label, since ln 1 = 0; P3s is not.

Source: P1, P2, P3 are from AffectGPT-R1 (arXiv 2508.01318), P3s is the P3 of Nano-EmoX (arXiv 2603.02123). P3 stays 0 at one
label: the patch in circulation, 1 / ln(max(num_answers, 2)), is 1.44 at two answers, a bonus.
"""


def word_set(words: Iterable[str]) -> set[str]:
    """The words, normalised as answers are; what has no letter left is left out."""
    return {normalised for word in words if (normalised := normalise_word(word))}


def set_f1(predicted: Iterable[str], gold: Iterable[str]) -> float | None:
    """2 |p & g| / (|p| + |g|) of two sets of words, normalised as answers are; in [0, 1]; None when gold names no word."""
    predicted_words, gold_words = word_set(predicted), word_set(gold)
    return 2 * len(predicted_words & gold_words) / (len(predicted_words) + len(gold_words)) if gold_words else None


def set_precision_recall(predicted: Iterable[str], gold: Iterable[str]) -> tuple[float, float] | None:
    """(|p & g| / |p|, |p & g| / |g|) of two sets of words, normalised as answers are; each in [0, 1].

    No predicted word shares none, so its precision is 0. None when gold names no word. A corpus score is 2PR / (P + R) of the
    means P and R over rows, which is no mean of `set_f1`.

    Source: the set scores of AffectGPT (arXiv 2501.16566), there on emotion wheel clusters.
    """
    predicted_words, gold_words = word_set(predicted), word_set(gold)
    if not gold_words:
        return None
    num_shared = len(predicted_words & gold_words)
    return num_shared / max(len(predicted_words), 1), num_shared / len(gold_words)
