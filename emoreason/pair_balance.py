"""How alike chosen and rejected answers are in what should not matter, so that no shortcut passes for a preference.

Source: a classifier on length and writer alone nearly reaches a 7B judge on EmoPrefer's pairs, as an audit of them reports; Cliff's
delta is Cliff (1993), 2 AUROC - 1.
"""

import re
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Callable, Sequence
from statistics import fmean, median
from typing import Any

from emoreason.completions import TAGS, Template, parse_completion
from emoreason.records import Preference

MAX_AUROC = 0.65
"""A property that tells chosen from rejected better than this, either way round, is a shortcut."""
ONE_SIDED_SHARE = 0.1
"""So is a value that this share of the answers of one side has, and none of the other."""
MIN_PAIRS = 20
"""Fewer say too little to warn of."""

_TAG = re.compile(rf"</?({'|'.join(TAGS)})>", re.IGNORECASE)


def pair_balance(preferences: Sequence[Preference], template: Template, num_tokens: Callable[[str], int] | None = None) -> dict[str, Any]:
    """`num_pairs`, `length`, `writer`, `label`, `first_word`, `format` and `warnings` of the pairs; several rejected answers all count.

    `length` has `words`, and `tokens` where `num_tokens` counts them: `chosen` and `rejected` with `mean` and `median`; `longer` and
    `equal`, the shares of (chosen, rejected) of one pair in which the chosen answer is longer, or as long, each rejected answer by
    its weight; `auroc`, the chance that any chosen answer is longer than any rejected one, ties half; `cliffs_delta`. The others
    are {value: {"chosen": count, "rejected": count}}, the most frequent first. A label is that of the answer, a format the tags that
    stand in the text, or that it follows the template.

    Raises:
        ValueError: no pairs.
    """
    if not preferences:
        raise ValueError("no pairs given")
    lengths = {"words": lambda text: len(_TAG.sub(" ", text).split())} | ({"tokens": num_tokens} if num_tokens else {})
    length = {unit: _length(preferences, count) for unit, count in lengths.items()}
    texts = [[one.chosen for one in preferences], [text for one in preferences for text in one.rejected]]
    values = {name: _counts(*([value(text) for text in side] for side in texts)) for name, value in {
        "label": lambda text: parse_completion(text, template).label, "first_word": _first_word, "format": lambda text: _format(text, template),
    }.items()}  # fmt: skip
    writers = _counts([one.chosen_by for one in preferences], [name for one in preferences for name in one.rejected_by or [None] * len(one.rejected)])
    found = {"num_pairs": len(preferences), "length": length, "writer": writers, **values}
    return {**found, "warnings": _warnings(found, len(texts[1])) if len(preferences) >= MIN_PAIRS else []}


def length_auroc(chosen: Sequence[float], rejected: Sequence[float]) -> float:
    """The chance that a chosen value is above a rejected one, ties half; 0.5 says nothing."""
    ordered = sorted(rejected)
    return fmean((bisect_left(ordered, value) + bisect_right(ordered, value)) / 2 for value in chosen) / len(ordered)


def _length(preferences: Sequence[Preference], count: Callable[[str], int]) -> dict[str, Any]:
    pairs = [(count(one.chosen), [count(text) for text in one.rejected], one.shares) for one in preferences]
    chosen, rejected = [pair[0] for pair in pairs], [length for pair in pairs for length in pair[1]]
    auroc = length_auroc(chosen, rejected)
    return {
        "chosen": {"mean": fmean(chosen), "median": median(chosen)}, "rejected": {"mean": fmean(rejected), "median": median(rejected)},
        "longer": fmean(sum(share for other, share in zip(others, shares, strict=True) if own > other) for own, others, shares in pairs),
        "equal": fmean(sum(share for other, share in zip(others, shares, strict=True) if own == other) for own, others, shares in pairs),
        "auroc": auroc, "cliffs_delta": 2 * auroc - 1,
    }  # fmt: skip


def _counts(chosen: list[str | None], rejected: list[str | None]) -> dict[str, dict[str, int]]:
    sides = [Counter("none" if value is None else value for value in side) for side in (chosen, rejected)]
    order = sorted(sides[0] | sides[1], key=lambda value: (-sides[0][value] - sides[1][value], value))
    return {value: {"chosen": sides[0][value], "rejected": sides[1][value]} for value in order}


def _first_word(text: str) -> str | None:
    found = re.search(r"\w+", _TAG.sub(" ", text))
    return found[0].casefold() if found else None


def _format(text: str, template: Template) -> str:
    if not parse_completion(text, template).problems:
        return "as the template"
    return ", ".join(dict.fromkeys(tag.lower() for tag in _TAG.findall(text))) or "no tags"


def _warnings(found: dict[str, Any], num_rejected: int) -> list[str]:
    warnings = []
    for unit, length in found["length"].items():
        in_pairs = length["longer"] + length["equal"] / 2
        worst = max(length["auroc"], in_pairs, key=lambda chance: abs(chance - 0.5))
        if abs(worst - 0.5) > MAX_AUROC - 0.5:
            longer = "longer" if worst > 0.5 else "shorter"
            warnings.append(f"length in {unit} predicts the preference: chosen answers are {longer} (AUROC {length['auroc']:.2f} over all, "
                            f"{in_pairs:.2f} within pairs; from {1 - MAX_AUROC:.2f} to {MAX_AUROC:.2f} is fair)")  # fmt: skip
    for name in ("writer", "label", "first_word", "format"):
        for value, counts in found[name].items():
            shares = counts["chosen"] / found["num_pairs"], counts["rejected"] / num_rejected
            auroc = 0.5 + (shares[0] - shares[1]) / 2  # of having this value
            is_one_sided = min(shares) == 0 and max(shares) >= ONE_SIDED_SHARE
            if is_one_sided or abs(auroc - 0.5) > MAX_AUROC - 0.5:
                warnings.append(f"{name.replace('_', ' ')} {value!r} predicts the preference: {shares[0]:.0%} of the chosen answers have it and "
                                f"{shares[1]:.0%} of the rejected ones")  # fmt: skip
    return warnings
