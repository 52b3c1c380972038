"""Intervals over resampled rows, differences of two models, and numbers over tasks."""

import doctest
import math

import numpy as np
import pytest
from sklearn.metrics import f1_score

from emoreason.metrics import bootstrap
from emoreason.metrics.bootstrap import interval, paired_interval, pooled_and_macro, row_metric, row_metric_intervals, weighted_mean


def mean(values: list[float]) -> float:
    return sum(values) / len(values)


def accuracy(gold: list, predicted: list) -> float:
    return mean([right == answer for right, answer in zip(gold, predicted, strict=True)])


def recall_of_ones(gold: list[int], predicted: list[int]) -> float | None:
    of_ones = [answer for right, answer in zip(gold, predicted, strict=True) if right == 1]
    return mean(of_ones) if of_ones else None


@pytest.fixture
def outcomes() -> list[float]:
    return [float(one) for one in np.random.default_rng(3).random(100) < 0.7]


def test_examples() -> None:
    tried = doctest.testmod(bootstrap)
    assert tried.attempted > 0 and tried.failed == 0


def test_the_interval_of_a_mean_is_as_wide_as_its_normal_approximation(outcomes: list[float]) -> None:
    found = interval(mean, outcomes)
    assert found["value"] == mean(outcomes)
    assert found["n"] == 100
    assert found["low"] < found["value"] < found["high"]
    error = math.sqrt(found["value"] * (1 - found["value"]) / 100)
    assert found["high"] - found["low"] == pytest.approx(2 * 1.96 * error, abs=0.02)


def test_weights_and_indices_are_the_same_resamples(outcomes: list[float]) -> None:
    metric = row_metric(np.arange(100), weighted_mean, values=np.array(outcomes))
    low, high = row_metric_intervals({"mean": metric}, 100, num_bootstrap=200, seed=5)["mean"]
    found = interval(mean, outcomes, num_bootstrap=200, seed=5)
    assert (found["value"], found["low"], found["high"]) == pytest.approx((metric.value, low, high))


def test_one_resample_is_the_metric_of_the_rows_drawn() -> None:
    gold, predicted = np.array([0, 1, 1, 0, 1, 0]), np.array([0, 1, 0, 0, 1, 1])
    for seed in range(10):
        drawn = np.random.default_rng(seed).integers(6, size=6)
        found = interval(accuracy, gold, predicted, num_bootstrap=1, seed=seed)
        assert found["low"] == found["high"] == pytest.approx(accuracy(gold[drawn], predicted[drawn]))


def test_arrays_and_lists_have_the_same_interval(outcomes: list[float]) -> None:
    assert interval(mean, np.array(outcomes), seed=1) == pytest.approx(interval(mean, outcomes, seed=1))


def test_a_seed_is_repeatable(outcomes: list[float]) -> None:
    assert interval(mean, outcomes, seed=1) == interval(mean, outcomes, seed=1)
    assert interval(mean, outcomes, seed=1) != interval(mean, outcomes, seed=2)


def test_blocks_do_not_change_the_resamples(outcomes: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = interval(mean, outcomes, num_bootstrap=50)
    monkeypatch.setattr(bootstrap, "_DRAWS_IN_MEMORY", 7 * len(outcomes))
    assert interval(mean, outcomes, num_bootstrap=50) == whole


def test_undefined_values_and_resamples_are_none_and_left_out() -> None:
    # half of the resamples of two rows draw one of them twice, and of those half have no 1 in gold
    found = interval(recall_of_ones, [0, 1], [1, 1])
    assert (found["value"], found["low"], found["high"]) == (1, 1, 1)
    assert interval(recall_of_ones, [0, 0], [1, 1]) == {"value": None, "low": None, "high": None, "n": 2}
    only_undefined = next(seed for seed in range(99) if (np.random.default_rng(seed).integers(2, size=2) == 0).all())
    found = interval(recall_of_ones, [0, 1], [1, 1], num_bootstrap=1, seed=only_undefined)
    assert found == {"value": 1, "low": None, "high": None, "n": 2}


def test_an_interval_need_not_hold_its_value() -> None:
    """The number of different rows: nearly all resamples have fewer."""
    found = interval(lambda rows: len(set(rows)), list(range(50)))
    assert found["high"] < found["value"] == 50


def test_what_cannot_be_resampled_is_refused() -> None:
    with pytest.raises(ValueError, match="columns of 2, 1 rows"):
        interval(accuracy, [1, 2], [1])
    with pytest.raises(ValueError, match="columns of 0 rows"):
        interval(mean, [])
    with pytest.raises(ValueError, match="1 rows and 0 bootstrap resamples"):
        interval(mean, [1.0], num_bootstrap=0)
    with pytest.raises(ValueError, match="columns of 2, 2, 3 rows"):
        paired_interval(accuracy, [1, 0], [1, 0], [1, 0, 0])


def test_a_model_that_is_better_on_every_kind_of_row_is_better_for_sure() -> None:
    gold = [0, 1] * 50
    a, b = [0, 0] * 50, gold
    found = paired_interval(accuracy, gold, a, b)
    assert found["value"] == pytest.approx(0.5)
    assert found["share_b_above_a"] == 1
    assert 0.3 < found["low"] < found["high"] < 0.7
    assert found["n"] == 100


def test_the_difference_is_b_less_a() -> None:
    gold, a, b = [1] * 20, [1] * 10 + [0] * 10, [1] * 15 + [0] * 5
    forth, back = paired_interval(accuracy, gold, a, b, seed=4), paired_interval(accuracy, gold, b, a, seed=4)
    assert forth["value"] == pytest.approx(15 / 20 - 10 / 20)
    assert (back["value"], back["low"], back["high"]) == pytest.approx((-forth["value"], -forth["high"], -forth["low"]))
    assert back["share_b_above_a"] == 0


def test_pairing_is_narrower_than_two_intervals() -> None:
    """Two models that are right on nearly the same rows."""
    right = np.random.default_rng(1).random(200) < 0.6
    also = right.copy()
    also[:4] = ~also[:4]
    gold = [True] * 200
    paired = paired_interval(accuracy, gold, right.tolist(), also.tolist(), num_bootstrap=300)
    alone = interval(accuracy, gold, right.tolist(), num_bootstrap=300)
    assert paired["high"] - paired["low"] < (alone["high"] - alone["low"]) / 2


def test_the_same_model_twice_does_not_differ() -> None:
    found = paired_interval(accuracy, [1, 0, 1], [1, 1, 1], [1, 1, 1])
    assert found == {"value": 0, "low": 0, "high": 0, "n": 3, "share_b_above_a": 0}


def test_a_difference_that_is_undefined_is_none() -> None:
    found = paired_interval(recall_of_ones, [0, 0], [1, 1], [0, 1])
    assert found == {"value": None, "low": None, "high": None, "n": 2, "share_b_above_a": None}


def test_pooled_and_macro_from_values() -> None:
    # pooled (806 * 0.4 + 229 * 0.2) / 1035; macro (0.4 + 0.2) / 2
    found = pooled_and_macro({"Artphoto-8": (806, 0.4), "Abstract-8": (229, 0.2)})
    assert found == {"pooled": pytest.approx(368.2 / 1035), "macro": pytest.approx(0.3), "n": 1035, "undefined": []}


def test_undefined_tasks_are_named_and_left_out() -> None:
    found = pooled_and_macro({"a": (10, 0.5), "b": (30, None)})
    assert found == {"pooled": 0.5, "macro": 0.5, "n": 10, "undefined": ["b"]}
    assert pooled_and_macro({"b": (30, None)}) == {"pooled": None, "macro": None, "n": 0, "undefined": ["b"]}
    assert pooled_and_macro({}) == {"pooled": None, "macro": None, "n": 0, "undefined": []}
    with pytest.raises(ValueError, match="task 'a' has -1 rows"):
        pooled_and_macro({"a": (-1, 0.5)})


def test_pooled_and_macro_from_rows() -> None:
    def f1(gold: list[int], predicted: list[int]) -> float:
        return float(f1_score(gold, predicted, labels=[0, 1], average="macro", zero_division=0))

    tasks = {"a": ([1, 1, 0, 0], [1, 0, 0, 0]), "b": ([1, 0], [0, 1])}
    found = pooled_and_macro(tasks, f1)
    # a: F1 of 1 is 2/3 and of 0 4/5, mean 11/15; b: 0
    assert found["macro"] == pytest.approx(11 / 30)
    # all six rows: of 1, shared 1, 3 + 2 named: 2/5; of 0, shared 2, 3 + 4 named: 4/7
    assert found["pooled"] == pytest.approx((2 / 5 + 4 / 7) / 2)
    assert found["n"] == 6
    # accuracy is a mean of rows, so that pooling the values is the same
    from_values = pooled_and_macro({task: (len(columns[0]), accuracy(*columns)) for task, columns in tasks.items()})
    from_rows = pooled_and_macro(tasks, accuracy)
    assert from_rows["pooled"] == pytest.approx(from_values["pooled"]) == pytest.approx(3 / 6)
    assert from_rows["macro"] == pytest.approx(from_values["macro"]) == pytest.approx((3 / 4 + 0) / 2)


def test_rows_of_a_task_without_a_score_still_count_in_the_pool() -> None:
    found = pooled_and_macro({"a": ([1, 0], [1, 1]), "b": ([0], [0])}, recall_of_ones)
    assert found == {"pooled": 1, "macro": 1, "n": 3, "undefined": ["b"]}
    with pytest.raises(ValueError, match="columns of 2, 1 rows"):
        pooled_and_macro({"a": ([1, 0], [1])}, accuracy)
