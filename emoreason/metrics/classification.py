"""Scores of predicted classes, label sets and action units.

Gold comes first, as in scikit-learn. Classes are words, compared as answers are normalised. A predicted None was not readable;
it is wrong like an answer outside of `labels`, and neither is ever a class of its own, since scikit-learn would average
over that class too. `labels` are all the classes of the data set; a gold word outside of them, a class named twice and
columns of unequal length are a ValueError. None where a score is undefined, which it is without any row.
"""

import re
from collections.abc import Iterable, Sequence

import numpy as np

from emoreason.completions import normalise_word
from emoreason.metrics.sets import set_f1

NO_CLASS = -1
POLARITY_VALUES = {"positive": 1.0, "neutral": 0.0, "negative": -1.0}


def accuracy(gold: Sequence[str], predicted: Sequence[str | None]) -> float | None:
    """Share of right answers, in [0, 1]; an unreadable one is wrong."""
    _check_lengths(gold, predicted)
    right = [answer is not None and normalise_word(answer) == normalise_word(label) for label, answer in zip(gold, predicted, strict=True)]
    return sum(right) / len(right) if right else None


war = accuracy
"""Weighted average recall: recalls weighted by the rows of their class, which is the accuracy (DFEW, MAFW)."""


def uar(gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]) -> float | None:
    """Unweighted average recall, in [0, 1]: the mean recall of the classes that occur in gold.

    A class without a gold row has no recall and is left out; `absent_classes` names them, and belongs beside the number.

    Source: the measure of DFEW (Jiang et al., ACM MM 2020) and MAFW; there all classes occur.
    """
    right, answers, _ = _encoded(gold, predicted, labels)
    if not len(right):
        return None
    from sklearn.metrics import recall_score  # takes about half a second

    return float(recall_score(right, answers, labels=np.unique(right), average="macro", zero_division=0))


def absent_classes(gold: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The classes of `labels` without a gold row, in their order: those that `uar` leaves out."""
    present = {normalise_word(label) for label in gold}
    return [label for label in labels if normalise_word(label) not in present]


def macro_f1(gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]) -> float | None:
    """Mean F1 of the classes that occur in gold or among the answers, in [0, 1].

    A class that is only answered has F1 0; one that is neither has no F1 and is left out.
    """
    right, answers, _ = _encoded(gold, predicted, labels)
    if not len(right):
        return None
    from sklearn.metrics import f1_score

    occurring = np.union1d(right, answers[answers != NO_CLASS])
    return float(f1_score(right, answers, labels=occurring, average="macro", zero_division=0))


def weighted_f1(gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]) -> float | None:
    """F1 of each class weighted by its gold rows, in [0, 1]; an unreadable answer costs its class recall."""
    right, answers, index = _encoded(gold, predicted, labels)
    if not len(right):
        return None
    from sklearn.metrics import f1_score

    return float(f1_score(right, answers, labels=range(len(index)), average="weighted", zero_division=0))


def waf(gold: Sequence[float], predicted: Sequence[str | float | None]) -> dict[str, float | int | None]:
    """`{"waf", "acc", "n"}` of sentiment as in MER-UniBench: weighted F1 and accuracy of positive against not positive, in [0, 1].

    Over the `n` rows whose gold sentiment is not 0. A prediction is positive, neutral or negative, or a number; whatever is not
    above 0 counts as negative: neutral, None, and any other word. Both scores are None where no row is used.

    Raises:
        ValueError: unequal lengths, or gold is not finite.

    Source: AffectGPT (arXiv 2501.16566), its evaluation on CMU-MOSI, CMU-MOSEI, CH-SIMS and CH-SIMS v2.
    """
    _check_lengths(gold, predicted)
    sentiment = np.array(gold, float)
    if not np.isfinite(sentiment).all():
        raise ValueError(f"gold sentiment {sentiment[~np.isfinite(sentiment)][0]} given; accepted: a finite number")
    used = sentiment != 0
    right, answers = (sentiment > 0)[used], np.array([_polarity(one) > 0 for one in predicted], bool)[used]
    if not len(right):
        return {"waf": None, "acc": None, "n": 0}
    from sklearn.metrics import f1_score

    score = float(f1_score(right, answers, labels=[False, True], average="weighted", zero_division=0))
    return {"waf": score, "acc": float((right == answers).mean()), "n": len(right)}


def mer2023_score(
    gold: Sequence[str],
    predicted: Sequence[str | None],
    labels: Sequence[str],
    gold_valence: Sequence[float],
    predicted_valence: Sequence[float],
) -> float | None:
    """Weighted F1 of the emotion less a quarter of the mean squared error of valence; at most 1, without a lower bound.

    Raises:
        ValueError: see above; also a valence that is not finite, so say what a missing one counts as.

    Source: the MULTI and NOISE tracks of MER2023 (Lian et al., ACM MM 2023), toolkit/utils/metric.py.
    """
    if not len(gold) == len(predicted) == len(gold_valence) == len(predicted_valence):
        raise ValueError(f"columns of {len(gold)}, {len(predicted)}, {len(gold_valence)} and {len(predicted_valence)} rows given")
    errors = np.array(gold_valence, float) - np.array(predicted_valence, float)
    if not np.isfinite(errors).all():
        row = int(np.flatnonzero(~np.isfinite(errors))[0])
        raise ValueError(f"a valence of row {row} is missing or not finite; accepted: finite numbers")
    score = weighted_f1(gold, predicted, labels)
    return None if score is None else score - 0.25 * float((errors**2).mean())


def confusion_matrix(gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]) -> list[list[int]]:
    """Counts [gold class][answered class] in the order of `labels`, with one more column for answers that are none of them."""
    right, answers, index = _encoded(gold, predicted, labels)
    width = len(index) + 1
    columns = np.where(answers == NO_CLASS, len(index), answers)
    return np.bincount(right * width + columns, minlength=len(index) * width).reshape(len(index), width).tolist()


def average_precisions(gold: Sequence[Sequence[bool]], scores: Sequence[Sequence[float]]) -> list[float | None]:
    """Average precision of each class, in (0, 1], from arrays [rows, classes]; None for a class without a positive row.

    `gold` says whether a row has the class, `scores` how strongly it was predicted, on any scale; 1 and 0 where there are only
    answers. The step-wise sum, not the trapezoid.

    Raises:
        ValueError: not two tables of the same shape, gold that is neither true nor false, or scores that are not finite.
    """
    present, strength = np.array(gold, float), np.array(scores, float)
    if present.ndim != 2 or present.shape != strength.shape:
        raise ValueError(f"gold of shape {present.shape} and scores of shape {strength.shape} given; both are [rows, classes]")
    if not np.isin(present, (0, 1)).all() or not np.isfinite(strength).all():
        raise ValueError("gold must be true or false and scores finite numbers")
    from sklearn.metrics import average_precision_score

    columns = zip(present.T, strength.T, strict=True)
    return [float(average_precision_score(positive, score)) if positive.any() else None for positive, score in columns]


def mean_average_precision(gold: Sequence[Sequence[bool]], scores: Sequence[Sequence[float]]) -> float | None:
    """Mean of `average_precisions` over the classes with a positive row, in (0, 1]; None without one.

    Raises:
        ValueError: as there.

    Source: the measure of EMOTIC (Kosti et al., CVPR 2017) over its 26 categories.
    """
    found = [value for value in average_precisions(gold, scores) if value is not None]
    return sum(found) / len(found) if found else None


# Two scores of action units go by the name of F1, and one can be high where the other is low.


def au_f1_by_unit(
    gold: Sequence[Iterable[str]],
    predicted: Sequence[Iterable[str]],
    units: Sequence[str],
    *,
    unknown: Sequence[Iterable[str]] | None = None,
) -> dict[str, float | None]:
    """{unit: F1 of its presence over the rows}, in [0, 1]; None where it is neither present nor predicted in any row that counts.

    A row is the units that are present, as `AU12` without a leading zero: DISFA counts those of intensity 2 or more. `unknown` are
    the units of a row that could not be coded (9 in BP4D), which do not count there. Units outside of `units` are not scored.

    Raises:
        ValueError: unequal lengths, or a unit of gold, `unknown` or `units` that is not written as `AU12`.
    """
    present, answered, masked = _unit_sets(gold, predicted, unknown)
    _check_units([units])
    scores = {}
    for unit in units:
        rows = [(unit in has, unit in says) for has, says, hidden in zip(present, answered, masked, strict=True) if unit not in hidden]
        num_shared, num_named = sum(has and says for has, says in rows), sum(has + says for has, says in rows)
        scores[unit] = 2 * num_shared / num_named if num_named else None
    return scores


def au_f1(
    gold: Sequence[Iterable[str]],
    predicted: Sequence[Iterable[str]],
    units: Sequence[str],
    *,
    unknown: Sequence[Iterable[str]] | None = None,
) -> float | None:
    """Mean over `units` of `au_f1_by_unit`, in [0, 1]: the F1 of papers on DISFA and BP4D. Not `au_set_f1`.

    Units without an F1 are left out of the mean; the table by unit shows which. None where none has one.

    Raises:
        ValueError: as there.
    """
    found = [score for score in au_f1_by_unit(gold, predicted, units, unknown=unknown).values() if score is not None]
    return sum(found) / len(found) if found else None


def au_set_f1(
    gold: Sequence[Iterable[str]], predicted: Sequence[Iterable[str]], *, unknown: Sequence[Iterable[str]] | None = None
) -> float | None:
    """Mean over rows of the F1 of the units of a row, in [0, 1], as language models are scored. Not `au_f1`.

    Units as in `au_f1_by_unit`; those `unknown` in a row are taken out of both sides. Rows without a gold unit are left out, as in
    `set_f1`, so naming units on a neutral face costs nothing. None where no row is left.

    Raises:
        ValueError: as there.

    Source: the F1 in the reward of Facial-R1 (arXiv 2511.10254), before its scaling to [-1, 1]. Which of the two F1 a paper
    on language models prints is often not said.
    """
    rows = zip(*_unit_sets(gold, predicted, unknown), strict=True)
    found = [score for has, says, hidden in rows if (score := set_f1(says - hidden, has - hidden)) is not None]
    return sum(found) / len(found) if found else None


def _encoded(gold: Sequence[str], predicted: Sequence[str | None], labels: Sequence[str]) -> tuple[np.ndarray, np.ndarray, dict[str, int]]:
    """(gold, predicted) as numbers of classes, NO_CLASS for what is none, and {normalised class: its number}."""
    _check_lengths(gold, predicted)
    index = {normalise_word(label): number for number, label in enumerate(labels)}
    if len(index) != len(labels):
        raise ValueError(f"labels name a class twice: {', '.join(labels)}")
    outside = [label for label in gold if normalise_word(label) not in index]
    if outside:
        raise ValueError(f"gold label {outside[0]!r} given; accepted: {', '.join(labels)}")
    answers = [NO_CLASS if answer is None else index.get(normalise_word(answer), NO_CLASS) for answer in predicted]
    return np.array([index[normalise_word(label)] for label in gold], int), np.array(answers, int), index


def _polarity(prediction: str | float | None) -> float:
    if isinstance(prediction, str):
        return POLARITY_VALUES.get(normalise_word(prediction), 0.0)
    return 0.0 if prediction is None else prediction


def _unit_sets(
    gold: Sequence[Iterable[str]], predicted: Sequence[Iterable[str]], unknown: Sequence[Iterable[str]] | None
) -> tuple[list[set[str]], list[set[str]], list[set[str]]]:
    unknown = [()] * len(gold) if unknown is None else unknown
    if not len(gold) == len(predicted) == len(unknown):
        raise ValueError(f"{len(gold)} gold, {len(predicted)} predicted and {len(unknown)} unknown rows given; one of each a row is needed")
    present, answered, masked = ([set(row) for row in rows] for rows in (gold, predicted, unknown))
    _check_units([*present, *masked])
    return present, answered, masked


def _check_units(rows: Iterable[Iterable[str]]) -> None:
    wrong = sorted({unit for row in rows for unit in row if not re.fullmatch(r"AU[1-9]\d?", unit)})
    if wrong:
        raise ValueError(f"action unit {wrong[0]!r} given; accepted: AU and its number without a leading zero, as AU4 or AU12")


def _check_lengths(gold: Sequence, predicted: Sequence) -> None:
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold and {len(predicted)} predicted rows given; one of each a row is needed")
