"""Does a stated confidence fit how often the answer is right, and does it tell right answers from wrong ones?

Every function takes, a row each, the `confidence` in [0, 1], or None where none could be read, and whether the answer is
`correct`; both may be lists or arrays. A None is never dropped silently: it costs the worst value of a row or stands for
confidence 0, as each function says. All raise ValueError for no rows, unequal lengths, a confidence outside [0, 1] (NaN
too) and an outcome that is neither true nor false.
"""

import math
from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np

Binning = Literal["equal_width", "equal_mass", "half_open"]
NO_BIN = -1
_SMALLEST_PROBABILITY = 1e-6


def expected_calibration_error(
    confidence: Sequence[float | None], correct: Sequence[bool], num_bins: int = 10, binning: Binning = "equal_width"
) -> float | None:
    """sum over bins of (rows in bin / rows) * |accuracy in bin - mean confidence in bin|; 0 is calibrated, 1 the worst.

    equal_width: [0, 0.1), [0.1, 0.2), ... and [0.9, 1.0], the last one closed so that a confidence of 1 counts.
    equal_mass: about as many rows in each; equal confidences stay together, since verbalised ones pile up on a few values.
    half_open: as EmoCaliber's evaluation has it, to compare with its numbers. The last bin is open too: a confidence of 1 falls
        in none and adds no error, but is still one of the rows divided by, so a model that is always wrong and sure has ECE 0.
        Its edges are multiples of 0.1 as floats, so 0.3 lies below the edge 0.30000000000000004.

    With equal_width and equal_mass, the rows with confidence None are a bin of their own with error 1, whatever their answers.
    With half_open they are dropped, as there, and the result is None when no row is left.

    Raises:
        ValueError: see above; also no bins, or an unknown `binning`.

    Source: Naeini, Cooper and Hauskrecht (AAAI 2015); Guo et al. (ICML 2017), equation 3, whose bins are open on the left. Equal
    mass as in the adaptive ECE of Nixon et al. (CVPR Workshops 2019); that ties stay together is ours. half_open: the public
    evaluation code of EmoCaliber (arXiv 2512.15528).
    """
    numbers, outcomes = _checked(confidence, correct)
    sizes, gaps = _gaps(numbers, outcomes, num_bins, binning)
    num_rows = len(numbers) if binning != "half_open" else np.isfinite(numbers).sum()
    return float(sizes @ gaps / num_rows) if num_rows else None


def maximum_calibration_error(
    confidence: Sequence[float | None], correct: Sequence[bool], num_bins: int = 10, binning: Binning = "equal_width"
) -> float | None:
    """The largest |accuracy in bin - mean confidence in bin| of the bins of `expected_calibration_error`; in [0, 1].

    1 as soon as one confidence is None, whose bin has error 1; half_open drops these rows. None where no row is in a bin, which
    only half_open can bring about. One row can make a bin, so this number is noisy.

    Source: Naeini, Cooper and Hauskrecht (AAAI 2015); Guo et al. (ICML 2017), equation 5.
    """
    _, gaps = _gaps(*_checked(confidence, correct), num_bins, binning)
    return float(gaps.max()) if len(gaps) else None


def signed_gap(confidence: Sequence[float | None], correct: Sequence[bool]) -> float | None:
    """Mean confidence - accuracy, in [-1, 1]: above 0 is overconfident, below 0 underconfident.

    Only over the rows with a confidence, since a missing one errs in no direction; state their share beside it. None where no
    row has one.
    """
    numbers, outcomes = _checked(confidence, correct)
    stated = np.isfinite(numbers)
    return float((numbers - outcomes)[stated].mean()) if stated.any() else None


def constant_confidence_ece(accuracy_claimed: float, correct: Sequence[bool]) -> float:
    """|claimed - accuracy|: the ECE of a model that always states this one confidence, the baseline to beat; in [0, 1]."""
    error = expected_calibration_error([accuracy_claimed] * len(correct), correct)
    assert error is not None
    return error


def num_distinct(confidence: Sequence[float | None]) -> int:
    """How many different confidences are stated; None is none. With one, AUROC is 0.5; with a few, bins say little."""
    return len({value for value in confidence if value is not None})


def brier_score(confidence: Sequence[float | None], correct: Sequence[bool]) -> float:
    """Mean of (confidence - correct)^2, in [0, 1], 0 the best; a confidence of None was not readable and costs 1, the worst.

    Source: Brier (1950), for the two outcomes right and wrong and halved, as is usual.
    """
    return float(squared_errors(*_checked(confidence, correct)).mean())


def brier_decomposition(confidence: Sequence[float | None], correct: Sequence[bool]) -> dict[str, float | None]:
    """`{"reliability", "resolution", "uncertainty", "unreadable"}`: what the Brier score is made of, each in [0, 1].

    brier_score = unreadable + (1 - unreadable) * (reliability - resolution + uncertainty). `unreadable` is the share of rows with
    confidence None, which cost 1 each; the other three are over the readable rows, and None where there is none:
        reliability: how far each confidence is from the accuracy of the rows that state it; lower is better.
        resolution: how far those accuracies are from the overall accuracy; higher is better.
        uncertainty: accuracy * (1 - accuracy), which no confidence can change.

    Source: Murphy (1973), over distinct confidences, so that the identity is exact. Where nearly every row states a confidence
    of its own, reliability and resolution are both too high.
    """
    numbers, outcomes = _checked(confidence, correct)
    stated = np.isfinite(numbers)
    unreadable = float(1 - stated.mean())
    if not stated.any():
        return {"reliability": None, "resolution": None, "uncertainty": None, "unreadable": unreadable}
    levels, level, sizes = np.unique(numbers[stated], return_inverse=True, return_counts=True)
    accuracies = np.bincount(level, weights=outcomes[stated]) / sizes
    overall = outcomes[stated].mean()
    return {
        "reliability": float(sizes @ (levels - accuracies) ** 2 / stated.sum()),
        "resolution": float(sizes @ (accuracies - overall) ** 2 / stated.sum()),
        "uncertainty": float(overall * (1 - overall)),
        "unreadable": unreadable,
    }


def negative_log_likelihood(confidence: Sequence[float | None], correct: Sequence[bool]) -> float:
    """Mean of -ln(confidence) of right and -ln(1 - confidence) of wrong answers, in nats, from 1e-6 to 13.8; lower is better.

    Confidences are clipped to [1e-6, 1 - 1e-6]. A confidence of None costs -ln 1e-6 = 13.8, the most there is.
    """
    numbers, outcomes = _checked(confidence, correct)
    given_to_outcome = np.where(np.isnan(numbers), 0.0, np.where(outcomes == 1, numbers, 1 - numbers))
    return float(-np.log(given_to_outcome.clip(_SMALLEST_PROBABILITY, 1 - _SMALLEST_PROBABILITY)).mean())


def auroc(confidence: Sequence[float | None], correct: Sequence[bool]) -> float | None:
    """Chance that a right answer has a higher confidence than a wrong one, ties count half; in [0, 1], 0.5 says nothing.

    A confidence of None counts as 0, as if the model abstained; wrong rows that abstain raise the score, so read it beside
    their share. None when all answers are right or all wrong.
    """
    certainty, outcomes = _certainty(*_checked(confidence, correct))
    if outcomes.min() == outcomes.max():
        return None
    from sklearn.metrics import roc_auc_score  # takes about half a second

    return float(roc_auc_score(outcomes, certainty))


def auprc(confidence: Sequence[float | None], correct: Sequence[bool], positive: Literal["right", "wrong"] = "right") -> float | None:
    """Average precision in (0, 1] of finding the right answers by high confidence, or the wrong ones by low confidence.

    The step-wise sum of precision * gain in recall, not the trapezoid, which is too high. Compare it with the share of positive
    rows, which a confidence that says nothing gets; where all are positive it is 1. A confidence of None counts as 0. None
    where no row is positive.

    Raises:
        ValueError: see above; also an unknown `positive`.
    """
    if positive not in ("right", "wrong"):
        raise ValueError(f"positive {positive!r} given; accepted: right, wrong")
    certainty, outcomes = _certainty(*_checked(confidence, correct))
    score, is_positive = (certainty, outcomes) if positive == "right" else (-certainty, 1 - outcomes)
    if not is_positive.any():
        return None
    from sklearn.metrics import average_precision_score

    return float(average_precision_score(is_positive, score))


def risk_coverage_curve(confidence: Sequence[float | None], correct: Sequence[bool]) -> list[tuple[float, float]]:
    """[(coverage, risk)] of answering only from a confidence upwards, a point for each confidence stated, from the highest down.

    Coverage is the share of rows answered, in (0, 1] and rising to 1; risk the share of wrong ones among them, in [0, 1]. A
    confidence of None counts as 0.

    Source: El-Yaniv and Wiener (JMLR 2010).
    """
    answered, wrong = (np.cumsum(column) for column in _levels(*_certainty(*_checked(confidence, correct))))
    return list(zip((answered / answered[-1]).tolist(), (wrong / answered).tolist(), strict=True))


def expected_risks(confidence: Sequence[float | None], correct: Sequence[bool]) -> list[float]:
    """Share of wrong ones among the 1, 2, ... n most confident rows, each in [0, 1]; the mean is `aurc`.

    Among equal confidences the mean over all orders counts. A confidence of None counts as 0.
    """
    return _risks(*_certainty(*_checked(confidence, correct))).tolist()


def aurc(confidence: Sequence[float | None], correct: Sequence[bool]) -> float:
    """Area under the risk-coverage curve, in [0, 1], lower is better: mean risk of the 1, 2, ... n most confident rows.

    Among equal confidences the mean over all orders counts, so the order of rows changes nothing, and a constant confidence has
    the error rate. A confidence of None counts as 0.

    Source: Geifman, Uziel and El-Yaniv (ICLR 2019); how ties are ordered is ours.
    """
    return float(_risks(*_certainty(*_checked(confidence, correct))).mean())


def excess_aurc(confidence: Sequence[float | None], correct: Sequence[bool]) -> float:
    """`aurc` less that of the best order, in which every right answer comes first: what better confidences could still gain; >= 0.

    A confidence of None counts as 0.

    Source: E-AURC, Geifman, Uziel and El-Yaniv (ICLR 2019); the best is summed here, where they approximate it.
    """
    certainty, outcomes = _certainty(*_checked(confidence, correct))
    return max(0.0, float(_risks(certainty, outcomes).mean() - _risks(outcomes, outcomes).mean()))


def accuracy_at_coverage(confidence: Sequence[float | None], correct: Sequence[bool], coverage: float) -> float:
    """Accuracy on the `coverage` share of rows with the highest confidence, rounded up to whole rows; in [0, 1].

    Where the cut falls among equal confidences, the mean over all ways to choose. A confidence of None counts as 0.

    Raises:
        ValueError: see above; also a `coverage` outside (0, 1].
    """
    if not 0 < coverage <= 1:
        raise ValueError(f"coverage {coverage!r} given; accepted: above 0 and up to 1")
    risks = _risks(*_certainty(*_checked(confidence, correct)))
    num_answered = max(1, math.ceil(round(coverage * len(risks), 6)))  # 0.07 * 100 is a little more than 7
    return float(1 - risks[num_answered - 1])


def coverage_at_accuracy(confidence: Sequence[float | None], correct: Sequence[bool], accuracy: float) -> float:
    """The largest share of rows that can be answered, from some confidence upwards, with at least this accuracy; in [0, 1].

    0 where no confidence brings it about. A confidence of None counts as 0.

    Raises:
        ValueError: see above; also an `accuracy` outside [0, 1].
    """
    if not 0 <= accuracy <= 1:
        raise ValueError(f"accuracy {accuracy!r} given; accepted: 0 to 1")
    answered, wrong = (np.cumsum(column) for column in _levels(*_certainty(*_checked(confidence, correct))))
    reached = (answered - wrong) / answered >= accuracy
    return float(answered[reached].max() / answered[-1]) if reached.any() else 0.0


def equal_width_bins(confidence: np.ndarray, num_bins: int) -> np.ndarray:
    """The number of each row's bin, from 0; the last bin is closed. NaN has `NO_BIN`.

    The edges are k / num_bins, the floats that decimal fractions are read as: 0.3 opens its bin, though 3 * 0.1 > 0.3.
    """
    edges = np.arange(1, num_bins) / num_bins
    return np.where(np.isnan(confidence), NO_BIN, np.searchsorted(edges, confidence, side="right"))


def squared_errors(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """(confidence - correct)^2 of each row, 1 where the confidence is NaN."""
    return np.where(np.isnan(confidence), 1.0, (confidence - correct) ** 2)


def _gaps(confidence: np.ndarray, correct: np.ndarray, num_bins: int, binning: str) -> tuple[np.ndarray, np.ndarray]:
    """(rows, |accuracy - mean confidence|) of each bin that has rows."""
    if num_bins < 1:
        raise ValueError(f"{num_bins} bins given; at least 1 is needed")
    if binning not in get_args(Binning):
        raise ValueError(f"binning {binning!r} given; accepted: {', '.join(get_args(Binning))}")
    bins = {"equal_width": equal_width_bins, "equal_mass": _equal_mass_bins, "half_open": _half_open_bins}[binning](confidence, num_bins)
    inside = bins != NO_BIN
    sizes = np.bincount(bins[inside], minlength=num_bins)
    sums = np.abs(np.bincount(bins[inside], weights=(correct - confidence)[inside], minlength=num_bins))
    gaps = sums[sizes > 0] / sizes[sizes > 0]
    sizes = sizes[sizes > 0]
    num_unreadable = np.isnan(confidence).sum()
    if num_unreadable and binning != "half_open":
        sizes, gaps = np.append(sizes, num_unreadable), np.append(gaps, 1.0)
    return sizes, gaps


def _equal_mass_bins(confidence: np.ndarray, num_bins: int) -> np.ndarray:
    """The bin in which the middle one of the rows with this confidence falls when all are lined up."""
    bins = np.full(len(confidence), NO_BIN)
    stated = np.isfinite(confidence)
    _, level, sizes = np.unique(confidence[stated], return_inverse=True, return_counts=True)
    # In whole numbers, since a middle that falls on an edge must not depend on rounding.
    twice_the_middle = 2 * np.cumsum(sizes) - sizes
    bins[stated] = (num_bins * twice_the_middle // (2 * max(1, stated.sum())))[level]
    return bins


def _half_open_bins(confidence: np.ndarray, num_bins: int) -> np.ndarray:
    bins = np.searchsorted(np.linspace(0, 1, num_bins + 1), confidence, side="right") - 1
    return np.where(bins < num_bins, bins, NO_BIN)  # a NaN is searched for beyond the last edge


def _certainty(confidence: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return np.nan_to_num(confidence, nan=0.0), correct


def _levels(certainty: np.ndarray, correct: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(rows, wrong rows) of each distinct certainty, from the highest down."""
    _, level, sizes = np.unique(-certainty, return_inverse=True, return_counts=True)
    return sizes, np.bincount(level, weights=1 - correct)


def _risks(certainty: np.ndarray, correct: np.ndarray) -> np.ndarray:
    """Expected share of wrong ones among the 1, 2, ... n most certain rows, ties in every order alike."""
    sizes, wrong = _levels(certainty, correct)
    wrong_before = np.repeat(np.cumsum(wrong) - wrong, sizes)
    rows_before = np.repeat(np.cumsum(sizes) - sizes, sizes)
    num_answered = np.arange(1, len(certainty) + 1)
    return (wrong_before + (num_answered - rows_before) * np.repeat(wrong / sizes, sizes)) / num_answered


def _checked(confidence: Sequence[float | None], correct: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Both as float arrays, None as NaN."""
    if len(confidence) != len(correct) or not len(correct):
        raise ValueError(f"{len(confidence)} confidences and {len(correct)} outcomes given; one of each a row is needed")
    wrong = [value for value in confidence if value is not None and not 0 <= value <= 1]
    if wrong:
        raise ValueError(f"confidence {wrong[0]!r} given; accepted: a number from 0 to 1, or None where none was readable")
    unclear = [value for value in correct if value not in (0, 1)]
    if unclear:
        raise ValueError(f"outcome {unclear[0]!r} given; accepted: true or false, whether the answer is right")
    return np.array([np.nan if value is None else value for value in confidence], float), np.array(correct, float)
