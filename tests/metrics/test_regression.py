"""Agreement of numbers, worked out by hand and held against scipy."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy.stats import pearsonr, spearmanr

from emoreason.metrics import regression
from emoreason.metrics.regression import acc_2, acc_7, ccc, corr, mae, plcc, rmse, srcc

ALL = [ccc, plcc, srcc, mae, rmse, acc_2, acc_7]
GOLD = [1.0, 2.0, 3.0]
PREDICTED = [1.0, 3.0, 2.0]


@pytest.fixture
def columns() -> tuple[np.ndarray, np.ndarray]:
    """Two hundred numbers on a coarse grid, so that there are ties, and predictions that follow them half."""
    generator = np.random.default_rng(5)
    gold = generator.normal(size=200).round(1)
    return gold, (0.5 * gold + generator.normal(size=200)).round(1)


def test_ccc_by_hand() -> None:
    # means 2 and 2, variances 2/3 and 2/3, covariance ((-1)(-1) + 0 * 1 + 1 * 0) / 3 = 1/3: (2/3) / (4/3)
    assert ccc(GOLD, PREDICTED) == pytest.approx(0.5)
    # the same shape two higher: variances 2/3, covariance 2/3: (4/3) / (4/3 + 4) = 1/4, where Pearson sees nothing
    assert ccc(GOLD, [3.0, 4.0, 5.0]) == pytest.approx(0.25)
    assert plcc(GOLD, [3.0, 4.0, 5.0]) == pytest.approx(1)
    # twice as wide about 2: variances 2/3 and 8/3, covariance 4/3: (8/3) / (10/3)
    assert ccc(GOLD, [0.0, 2.0, 4.0]) == pytest.approx(0.8)
    assert ccc(GOLD, GOLD) == pytest.approx(1)
    assert ccc(GOLD, [3.0, 2.0, 1.0]) == pytest.approx(-1)


def test_ccc_of_constant_columns() -> None:
    assert ccc(GOLD, [2.0, 2.0, 2.0]) == 0
    assert ccc([0.1] * 3, [0.3] * 3) == 0
    assert ccc([0.1] * 3, [0.1] * 3) is None, "0 / 0"
    assert ccc([0.0], [0.0]) is None


def test_correlations_by_hand() -> None:
    # covariance 1/3, standard deviations sqrt(2/3) each
    assert plcc(GOLD, PREDICTED) == pytest.approx(0.5)
    # ranks 1 2 3 and 1 3 2: 1 - 6 * (0 + 1 + 1) / (3 * 8)
    assert srcc(GOLD, [10.0, 1000.0, 100.0]) == pytest.approx(0.5)
    # ranks 1.5 1.5 3 and 1 2 3: covariance (0.5 + 0 + 1) / 3, variances 0.5 and 2/3
    assert srcc([5.0, 5.0, 6.0], GOLD) == pytest.approx(0.5 / np.sqrt(0.5 * 2 / 3))
    assert corr is plcc


@pytest.mark.parametrize("correlation", [plcc, srcc])
@pytest.mark.parametrize("constant", [[0.0, 0.0, 0.0], [0.1, 0.1, 0.1]])  # the mean of the second is not exactly 0.1
def test_correlation_with_a_constant_is_undefined(correlation: Callable, constant: list[float]) -> None:
    assert correlation(GOLD, constant) is None
    assert correlation(constant, GOLD) is None
    assert correlation(constant, constant) is None
    assert correlation([1.0], [2.0]) is None


def test_correlations_equal_scipy(columns: tuple[np.ndarray, np.ndarray]) -> None:
    assert plcc(*columns) == pytest.approx(pearsonr(*columns).statistic)
    assert srcc(*columns) == pytest.approx(spearmanr(*columns).statistic)


def test_ccc_is_pearson_times_its_bias(columns: tuple[np.ndarray, np.ndarray]) -> None:
    gold, predicted = columns
    scale, shift = gold.std() / predicted.std(), (gold.mean() - predicted.mean()) / np.sqrt(gold.std() * predicted.std())
    assert ccc(gold, predicted) == pytest.approx(plcc(gold, predicted) * 2 / (scale + 1 / scale + shift**2))  # Lin (1989)


@pytest.mark.parametrize("size", [1e-200, 1e200])
def test_huge_and_tiny_numbers_leave_no_trace(size: float) -> None:
    gold, predicted = [size * value for value in GOLD], [size * value for value in PREDICTED]
    assert [score(gold, predicted) for score in (ccc, plcc, srcc)] == pytest.approx([0.5, 0.5, 0.5])


def test_errors_by_hand() -> None:
    # differences 0, -1, 3
    assert mae([1, 2, 3], [1, 3, 0]) == pytest.approx(4 / 3)
    assert rmse([1, 2, 3], [1, 3, 0]) == pytest.approx(np.sqrt(10 / 3))


def test_two_classes_in_both_variants() -> None:
    gold, predicted = [-1.0, 0.0, 0.0, 2.0, 0.4], [-0.2, 0.0, -0.1, 0.0, 1.0]
    # against the rest, 0 among it: right, right, wrong, right, right
    assert acc_2(gold, predicted) == pytest.approx(4 / 5)
    # without the zeros in gold: right, wrong (0 is not positive), right
    assert acc_2(gold, predicted, against="positive") == pytest.approx(2 / 3)
    assert acc_2([0.0], [1.0], against="positive") is None
    with pytest.raises(ValueError, match="against 'neutral' given; accepted: non_negative, positive"):
        acc_2(gold, predicted, against="neutral")


def test_seven_classes() -> None:
    # 0.4 and -0.4 are 0; 2.6 and 9 are 3; 1.4 is 1 and 1.6 is 2; halves to even: 0.5 is 0, 1.5 is 2, 2.5 is 2
    assert acc_7([0.4, 2.6, 1.4], [-0.4, 9.0, 1.6]) == pytest.approx(2 / 3)
    assert acc_7([0.5, 1.5, 2.5], [0.0, 2.0, 3.0]) == pytest.approx(2 / 3)
    assert acc_7([-3.0], [-2.5]) == 0


@pytest.mark.parametrize("score", ALL)
def test_no_rows_have_no_score(score: Callable) -> None:
    assert score([], []) is None


@pytest.mark.parametrize("score", ALL)
@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [
        ([1.0], [1.0, 2.0], "1 gold and 2 predicted"),
        ([1.0, 2.0], [1.0, None], r"predicted\[1\] is None; accepted: a finite number"),
        ([1.0, float("nan")], [1.0, 2.0], r"gold\[1\] is nan"),
        ([1.0], [float("inf")], r"predicted\[0\] is inf"),
        ([1.0], ["0.5"], r"predicted\[0\] is '0.5'"),
    ],
)
def test_what_is_no_number_is_refused(score: Callable, gold: list, predicted: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        score(gold, predicted)


def test_scores_are_plain_numbers_from_lists_and_arrays() -> None:
    for score in ALL:
        found = score(np.array(GOLD), np.array(PREDICTED, np.float32))
        assert type(found) is float
        assert found == score(GOLD, PREDICTED)


def test_every_score_is_tested_for_refusals() -> None:
    own = [value for value in vars(regression).values() if getattr(value, "__module__", "") == regression.__name__]
    assert {one for one in own if not one.__name__.startswith("_")} == set(ALL)
