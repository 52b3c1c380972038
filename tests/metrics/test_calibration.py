"""Calibration and ranking by confidence, worked out by hand and held against scikit-learn."""

import math
import warnings
from collections.abc import Callable

import numpy as np
import pytest
from sklearn.calibration import calibration_curve
from sklearn.metrics import average_precision_score, brier_score_loss, log_loss, roc_auc_score

from emoreason.metrics import calibration
from emoreason.metrics.calibration import (
    accuracy_at_coverage,
    auprc,
    aurc,
    auroc,
    brier_decomposition,
    brier_score,
    constant_confidence_ece,
    coverage_at_accuracy,
    excess_aurc,
    expected_calibration_error,
    maximum_calibration_error,
    negative_log_likelihood,
    num_distinct,
    risk_coverage_curve,
    signed_gap,
)

OF_ROWS = [
    expected_calibration_error, maximum_calibration_error, signed_gap, brier_score, brier_decomposition, negative_log_likelihood,
    auroc, auprc, risk_coverage_curve, aurc, excess_aurc,
]  # fmt: skip
WITH_A_SHARE = [lambda *rows: accuracy_at_coverage(*rows, 0.5), lambda *rows: coverage_at_accuracy(*rows, 0.5)]
BINNINGS = ["equal_width", "equal_mass", "half_open"]


@pytest.fixture
def columns() -> tuple[list[float], list[bool]]:
    """Three hundred confidences with two decimals, and answers that are right about as often as stated."""
    generator = np.random.default_rng(6)
    confidence = generator.random(300).round(2)
    return confidence.tolist(), (generator.random(300) < 0.2 + 0.6 * confidence).tolist()


@pytest.mark.parametrize(
    ("confidence", "correct", "expected"),
    [
        ([1.0, 1.0], [False, False], 1),  # the last bin is closed
        ([1.0, 0.9], [True, True], 0.05),  # 0.9 and 1.0 share a bin
        ([0.0, 0.05], [False, False], 0.025),
        ([0.8, 0.8, 0.8, 0.8, 0.8], [True, True, True, True, False], 0),
        ([0.75, 0.75, 0.35, 0.35], [True, False, False, False], (2 * 0.25 + 2 * 0.35) / 4),
        ([0.1, 0.19], [True, False], 0.5 - 0.145),  # 0.1 opens its bin
        ([None, 0.6], [False, True], (1 + 0.4) / 2),
        ([None, None], [True, True], 1),
        ([None, 0.9], [False, True], (1 + 0.1) / 2),  # not in the last bin, where the two errors would cancel in part
    ],
)
def test_expected_calibration_error(confidence: list[float | None], correct: list[bool], expected: float) -> None:
    assert expected_calibration_error(confidence, correct) == pytest.approx(expected)


def test_a_finer_division_sees_what_a_coarse_one_averages_away() -> None:
    confidence, correct = [0.2, 0.8], [True, False]
    assert expected_calibration_error(confidence, correct, num_bins=1) == pytest.approx(0)
    assert expected_calibration_error(confidence, correct, num_bins=2) == pytest.approx(0.8)


def test_brier_score() -> None:
    assert brier_score([0.8, 0.6], [True, False]) == pytest.approx((0.04 + 0.36) / 2)
    assert brier_score([None, 1.0], [True, True]) == pytest.approx(1 / 2)


def test_a_constant_confidence_is_off_by_its_distance_from_the_accuracy() -> None:
    assert constant_confidence_ece(0.9, [True, False, False, False]) == pytest.approx(0.65)
    assert constant_confidence_ece(0.25, [True, False, False, False]) == pytest.approx(0)


@pytest.mark.parametrize(
    ("binning", "expected"),
    [
        # all wrong, so that a bin's error is its mean confidence, and a lone one adds itself
        ("equal_width", (0 + 0.1 + 0.3 + 1.0) / 4),
        ("equal_mass", (0 + 0.1 + 0.3 + 1.0) / 4),
        ("half_open", (0 + 0.1 + 0.3) / 4),  # 1 is lost, but still one of four rows
    ],
)
def test_no_edge_loses_a_row_but_the_published_one(binning: str, expected: float) -> None:
    assert expected_calibration_error([0, 0.1, 0.3, 1.0], [False] * 4, binning=binning) == pytest.approx(expected)


def test_which_bin_the_edges_belong_to() -> None:
    # 0.3 with 0.35, apart from 0.25: (|0 - 0.25| + |(1 + 0) - 0.65|) / 3
    confidence, correct = [0.25, 0.3, 0.35], [False, True, False]
    assert expected_calibration_error(confidence, correct) == pytest.approx((0.25 + 0.35) / 3)
    # as floats in a row from 0 to 1, the edge is 0.30000000000000004: 0.3 with 0.25, apart from 0.35
    assert expected_calibration_error(confidence, correct, binning="half_open") == pytest.approx((0.45 + 0.35) / 3)
    # each hundredth opens its bin, though 0.29 * 100 is 28.999999999999996
    hundredths = np.array([step / 100 for step in range(101)])
    assert calibration.equal_width_bins(hundredths, 100).tolist() == [*range(100), 99]
    assert calibration.equal_width_bins(np.array([0, 0.1, 0.3, 1.0, np.nan]), 10).tolist() == [0, 1, 3, 9, calibration.NO_BIN]


def test_sure_and_always_wrong() -> None:
    assert expected_calibration_error([1.0] * 5, [False] * 5) == 1
    assert expected_calibration_error([1.0] * 5, [False] * 5, binning="equal_mass") == 1
    assert expected_calibration_error([1.0] * 5, [False] * 5, binning="half_open") == 0, "the published form sees nothing"
    assert maximum_calibration_error([1.0] * 5, [False] * 5) == 1
    assert maximum_calibration_error([1.0] * 5, [False] * 5, binning="half_open") is None


def test_rows_without_a_confidence() -> None:
    confidence, correct = [None, 0.8, 0.8], [True, True, False]
    # error 1 of the first, |1 - 1.6| of the others together
    for binning in ("equal_width", "equal_mass"):
        assert expected_calibration_error(confidence, correct, binning=binning) == pytest.approx((1 + 0.6) / 3)
        assert maximum_calibration_error(confidence, correct, binning=binning) == 1
        assert expected_calibration_error([None], [True], binning=binning) == 1
    assert expected_calibration_error(confidence, correct, binning="half_open") == pytest.approx(0.6 / 2)
    assert maximum_calibration_error(confidence, correct, binning="half_open") == pytest.approx(0.3)
    assert expected_calibration_error([None], [True], binning="half_open") is None
    assert maximum_calibration_error([None], [True], binning="half_open") is None


def test_equal_mass_bins_hold_equally_many_and_keep_ties_together() -> None:
    # two bins of two rows each: |1 - 0.3| and |1 - 1.5|
    assert expected_calibration_error([0.1, 0.2, 0.7, 0.8], [True, False, True, False], 2, "equal_mass") == pytest.approx((0.7 + 0.5) / 4)
    # of four rows three state 0.9; the middle one of them falls in the second half: they are one bin, and 0.1 is the other
    assert expected_calibration_error([0.1, 0.9, 0.9, 0.9], [True, True, True, False], 2, "equal_mass") == pytest.approx((0.9 + 0.7) / 4)
    # of 30 rows with one value all are one bin, however many there are to be
    assert maximum_calibration_error([0.9] * 30, [True] * 18 + [False] * 12, 10, "equal_mass") == pytest.approx(0.3)


@pytest.mark.parametrize("binning", BINNINGS)
@pytest.mark.parametrize("score", [expected_calibration_error, maximum_calibration_error])
def test_the_order_of_rows_does_not_matter(columns: tuple[list[float], list[bool]], score: Callable, binning: str) -> None:
    confidence, correct = columns
    confidence[7] = None
    assert score(confidence[::-1], correct[::-1], binning=binning) == pytest.approx(score(confidence, correct, binning=binning))


@pytest.mark.parametrize(("binning", "strategy"), [("equal_width", "uniform"), ("equal_mass", "quantile")])
def test_bins_equal_scikit_learn_away_from_edges(binning: str, strategy: str) -> None:
    generator = np.random.default_rng(9)
    confidence = generator.permutation(np.arange(400) / 400 + 1 / 800)  # all different, 40 a bin of either kind
    correct = generator.random(400) < confidence**2
    shares, means = calibration_curve(correct, confidence, n_bins=10, strategy=strategy)
    assert expected_calibration_error(confidence, correct, binning=binning) == pytest.approx(np.abs(shares - means).mean())
    assert maximum_calibration_error(confidence, correct, binning=binning) == pytest.approx(np.abs(shares - means).max())


@pytest.mark.parametrize("score", [expected_calibration_error, maximum_calibration_error])
def test_bins_that_mean_nothing_are_refused(score: Callable) -> None:
    with pytest.raises(ValueError, match="0 bins given"):
        score([0.5], [True], 0)
    with pytest.raises(ValueError, match="binning 'width' given; accepted: equal_width, equal_mass, half_open"):
        score([0.5], [True], binning="width")


def test_the_largest_gap() -> None:
    # 0.75 twice, one right: gap 0.25; 0.35 twice, none right: gap 0.35
    assert maximum_calibration_error([0.75, 0.75, 0.35, 0.35], [True, False, False, False]) == pytest.approx(0.35)


def test_the_signed_gap_tells_over_from_underconfidence() -> None:
    assert signed_gap([0.9, 0.9], [True, False]) == pytest.approx(0.4)
    assert signed_gap([0.2, 0.2], [True, False]) == pytest.approx(-0.3)
    assert signed_gap([None, 0.9, 0.9], [False, True, False]) == pytest.approx(0.4), "over the rows that state one"
    assert signed_gap([None], [True]) is None


def test_num_distinct() -> None:
    assert num_distinct([0.8, 0.9, 0.8, None, 1, 1.0]) == 3
    assert num_distinct([None]) == num_distinct([]) == 0


def test_brier_decomposition_by_hand() -> None:
    # at 0.8: 3 of 4 right; at 0.4: 0 of 2; overall 1/2
    confidence, correct = [0.8] * 4 + [0.4] * 2, [True, True, True, False, False, False]
    assert brier_decomposition(confidence, correct) == {
        "reliability": pytest.approx((4 * 0.05**2 + 2 * 0.4**2) / 6),
        "resolution": pytest.approx((4 * 0.25**2 + 2 * 0.5**2) / 6),
        "uncertainty": pytest.approx(0.25),
        "unreadable": 0,
    }


@pytest.mark.parametrize("num_unreadable", [0, 1, 100])
def test_the_parts_add_up_to_the_brier_score(columns: tuple[list[float], list[bool]], num_unreadable: int) -> None:
    confidence, correct = columns
    confidence[:num_unreadable] = [None] * num_unreadable
    parts = brier_decomposition(confidence, correct)
    assert parts["unreadable"] == pytest.approx(num_unreadable / 300)
    whole = parts["unreadable"] + (1 - parts["unreadable"]) * (parts["reliability"] - parts["resolution"] + parts["uncertainty"])
    assert whole == pytest.approx(brier_score(confidence, correct))


def test_nothing_to_decompose() -> None:
    assert brier_decomposition([None], [True]) == {"reliability": None, "resolution": None, "uncertainty": None, "unreadable": 1}


def test_negative_log_likelihood_by_hand() -> None:
    assert negative_log_likelihood([0.8, 0.4], [True, False]) == pytest.approx(-(math.log(0.8) + math.log(0.6)) / 2)
    worst = -math.log(1e-6)
    assert negative_log_likelihood([1.0], [False]) == negative_log_likelihood([0.0], [True]) == pytest.approx(worst)
    assert negative_log_likelihood([None], [True]) == negative_log_likelihood([None], [False]) == pytest.approx(worst)
    assert negative_log_likelihood([1.0], [True]) == pytest.approx(1e-6)


def test_scores_equal_scikit_learn(columns: tuple[list[float], list[bool]]) -> None:
    confidence, correct = columns
    certain, right = np.array(confidence), np.array(correct)
    assert brier_score(confidence, correct) == pytest.approx(brier_score_loss(right, certain))
    assert negative_log_likelihood(confidence, correct) == pytest.approx(log_loss(right, certain.clip(1e-6, 1 - 1e-6)))
    assert auroc(confidence, correct) == pytest.approx(roc_auc_score(right, certain))
    assert auprc(confidence, correct) == pytest.approx(average_precision_score(right, certain))
    assert auprc(confidence, correct, "wrong") == pytest.approx(average_precision_score(~right, 1 - certain))


def test_auroc_by_hand() -> None:
    # right at 0.9 and 0.5, wrong at 0.5 and 0.1: pairs 1, 1, 0.5, 1
    assert auroc([0.9, 0.5, 0.5, 0.1], [True, True, False, False]) == pytest.approx(3.5 / 4)
    assert auroc([0.9, 0.5, None, 0.0], [True, True, False, True]) == pytest.approx(2.5 / 3)  # None ties with 0
    assert auroc([0.9, 0.1], [True, True]) is None
    assert auroc([0.9, 0.1], [False, False]) is None
    assert auroc([0.7] * 3, [True, False, True]) == 0.5


def test_auprc_by_hand() -> None:
    confidence, correct = [0.9, 0.8, 0.7, 0.6], [True, False, True, False]
    # right ones at rank 1 and 3 from above, wrong ones at rank 1 and 3 from below
    assert auprc(confidence, correct) == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    assert auprc(confidence, correct, positive="wrong") == pytest.approx(1 / 2 * 1 + 1 / 2 * 2 / 3)
    # None is the first to be suspected
    assert auprc([0.9, None, 0.7, 0.6], [True, False, True, True], positive="wrong") == 1
    assert auprc(confidence, [False] * 4) is None
    assert auprc(confidence, [True] * 4, positive="wrong") is None
    assert auprc(confidence, [True] * 4) == 1
    assert auprc([0.7] * 4, correct) == pytest.approx(1 / 2), "what says nothing gets the share of right answers"
    with pytest.raises(ValueError, match="positive True given; accepted: right, wrong"):
        auprc(confidence, correct, positive=True)


def test_risk_coverage_curve_by_hand() -> None:
    confidence, correct = [0.9, 0.8, 0.8, None, 0.0], [True, False, True, False, True]
    # from 0.9: 1 row, none wrong; from 0.8: 3 rows, 1 wrong; from 0, where None is: 5 rows, 2 wrong
    assert risk_coverage_curve(confidence, correct) == [(0.2, 0), (0.6, pytest.approx(1 / 3)), (1, pytest.approx(2 / 5))]


def test_aurc_by_hand() -> None:
    # right, wrong, right, wrong in order of confidence: risks 0, 1/2, 1/3, 1/2
    confidence, correct = [0.9, 0.8, 0.7, 0.6], [True, False, True, False]
    assert aurc(confidence, correct) == pytest.approx((0 + 1 / 2 + 1 / 3 + 1 / 2) / 4)
    # the best order has risks 0, 0, 1/3, 1/2
    assert excess_aurc(confidence, correct) == pytest.approx((1 / 2) / 4)
    assert excess_aurc([0.9, 0.8, 0.1, 0.2], [True, True, False, False]) == 0
    # None comes last
    assert aurc([None, 0.9, 0.8, 0.7], [False, True, True, False]) == pytest.approx((0 + 0 + 1 / 3 + 2 / 4) / 4)


def test_ties_count_as_the_mean_of_all_orders() -> None:
    confidence, correct = [0.8, 0.8, 0.5], [True, False, True]
    one_way, other_way = aurc([0.81, 0.8, 0.5], correct), aurc([0.8, 0.81, 0.5], correct)
    assert aurc(confidence, correct) == pytest.approx((one_way + other_way) / 2)
    # a confidence that says nothing has the error rate as its risk everywhere
    assert aurc([0.7] * 5, [True, False, False, True, False]) == pytest.approx(3 / 5)


def test_accuracy_at_coverage_by_hand() -> None:
    confidence, correct = [0.9, 0.8, 0.8, 0.5], [True, True, False, False]
    assert accuracy_at_coverage(confidence, correct, 0.25) == 1
    assert accuracy_at_coverage(confidence, correct, 0.5) == pytest.approx((1 + 0.5) / 2)  # one of two at 0.8, either one
    assert accuracy_at_coverage(confidence, correct, 0.51) == accuracy_at_coverage(confidence, correct, 0.75) == pytest.approx(2 / 3)
    assert accuracy_at_coverage(confidence, correct, 1) == pytest.approx(2 / 4)
    assert accuracy_at_coverage([0.9, None], [False, True], 0.5) == 0, "None is answered last"
    # 0.07 * 100 is 7.000000000000001, and still seven rows: the eighth is the first to be wrong
    assert accuracy_at_coverage([1 - step / 100 for step in range(100)], [step < 7 for step in range(100)], 0.07) == 1
    for coverage in (0, 1.1, float("nan")):
        with pytest.raises(ValueError, match="accepted: above 0 and up to 1"):
            accuracy_at_coverage(confidence, correct, coverage)


def test_coverage_at_accuracy_by_hand() -> None:
    confidence, correct = [0.9, 0.8, 0.7, 0.6, 0.5], [True, False, True, True, False]
    # accuracies 1, 1/2, 2/3, 3/4, 3/5 from the top
    assert coverage_at_accuracy(confidence, correct, 0.9) == pytest.approx(1 / 5)
    assert coverage_at_accuracy(confidence, correct, 0.7) == pytest.approx(4 / 5), "the widest, though a narrower cut falls short"
    assert coverage_at_accuracy(confidence, correct, 0.6) == 1, "3 of 5 is 0.6"
    assert coverage_at_accuracy([0.9, 0.9, 0.5], [True, False, True], 0.9) == 0, "no threshold parts two equal confidences"
    assert coverage_at_accuracy([0.9, None], [True, False], 1) == pytest.approx(1 / 2)
    with pytest.raises(ValueError, match=r"accuracy 1.5 given; accepted: 0 to 1"):
        coverage_at_accuracy(confidence, correct, 1.5)


def test_ranking_is_blind_to_scale_and_calibration_is_not(columns: tuple[list[float], list[bool]]) -> None:
    confidence, correct = columns
    shrunk = [0.5 + value / 10 for value in confidence]
    for score in (auroc, auprc, aurc, excess_aurc):
        assert score(shrunk, correct) == pytest.approx(score(confidence, correct)), score.__name__
    assert expected_calibration_error(shrunk, correct) != pytest.approx(expected_calibration_error(confidence, correct), abs=0.01)


@pytest.mark.parametrize("score", [*OF_ROWS, *WITH_A_SHARE])
@pytest.mark.parametrize(
    ("confidence", "correct"),
    [([None, None], [True, False]), ([1.0], [True]), ([0.0], [False]), ([0.5, 0.5], [True, True]), ([0, 1], [0, 1]), ([None], [False])],
)
def test_never_nan_and_never_a_warning(score: Callable, confidence: list[float | None], correct: list[bool]) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = score(confidence, correct)
    numbers = found.values() if isinstance(found, dict) else np.ravel(found).tolist() if isinstance(found, list) else [found]
    assert all(number is None or (type(number) is float and math.isfinite(number)) for number in numbers)


@pytest.mark.parametrize("score", [*OF_ROWS, *WITH_A_SHARE])
@pytest.mark.parametrize(
    ("confidence", "correct", "message"),
    [
        ([85.0], [True], "confidence 85.0"),
        ([float("nan")], [True], "confidence nan"),
        ([0.5], [True, False], "1 confidences and 2 outcomes"),
        ([], [], "0 confidences"),
        ([0.5], [0.5], "outcome 0.5 given; accepted: true or false"),
        ([0.5], [None], "outcome None"),
    ],
)
def test_confidences_that_mean_nothing_are_refused(
    score: Callable[..., float], confidence: list[float], correct: list[bool], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        score(confidence, correct)
