"""Statistics of groups by hand."""

import math

import pytest

from emoreason.rollout_statistics import GroupStatistics, disagreements, group_statistics, mean, pearson, ranks, spread

NAN = math.nan


@pytest.mark.parametrize(
    ("xs", "ys", "expected"),
    [
        ([1, 2, 3], [10, 20, 30], 1.0),
        ([1, 2, 3], [3, 2, 1], -1.0),
        # deviations -1, 0, 1 and -1, 1, 0: 1 / sqrt(2 * 2)
        ([1, 2, 3], [1, 3, 2], 0.5),
        # 1, 2 and 4, 3 in the places that both know
        ([1, None, 2, NAN, 7], [4, 9, 3, 2, None], -1.0),
        ([1, 1, 1], [1, 2, 3], None),
        ([0.1, 0.1, 0.1], [1, 2, 3], None),  # their deviation is 1e-17, not 0
        ([1, None], [2, 3], None),
        ([], [], None),
    ],
)
def test_pearson(xs: list[float | None], ys: list[float | None], expected: float | None) -> None:
    assert pearson(xs, ys) == (None if expected is None else pytest.approx(expected))
    assert pearson(ys, xs) == (None if expected is None else pytest.approx(expected))


def test_columns_of_different_lengths_are_no_pairs() -> None:
    with pytest.raises(ValueError, match="zip"):
        pearson([1, 2], [1, 2, 3])


@pytest.mark.parametrize(
    ("values", "middle", "deviation"),
    [([1, 3], 2.0, 1.0), ([1, None, 3, NAN], 2.0, 1.0), ([0.5], 0.5, None), ([None, NAN], None, None), ([], None, None)],
)
def test_mean_and_spread_are_those_of_the_known_values(values: list[float | None], middle: float | None, deviation: float | None) -> None:
    assert (mean(values), spread(values)) == (middle, deviation)


def test_a_group_without_spread_is_one_whose_known_totals_are_equal() -> None:
    groups = [
        [0.0, 2.0],  # deviation 1
        [1.0, 1.0],  # 0
        [None, 1.0, 1.0],  # 0: the masked one teaches nothing either
        [NAN, 0.5],  # one total has no deviation
        [None, None],
        [1.0, 1.0 + 1e-9],  # equal for TRL
    ]
    found = group_statistics(groups)
    assert (found.num_groups, found.num_without_spread) == (6, 5)
    assert found.mean_spread == pytest.approx((1 + 0 + 0 + 0) / 4, abs=1e-9)


def test_no_groups_have_no_spread() -> None:
    assert group_statistics([]) == GroupStatistics(0, 0, None)
    assert group_statistics([[1.0], [None]]) == GroupStatistics(2, 2, None)


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([0, None, 2, 4, 9], [1 / 8, None, 3 / 8, 5 / 8, 7 / 8]),
        ([7, 5, NAN, 7, -3], [6 / 8, 3 / 8, None, 6 / 8, 1 / 8]),  # two are lower than 7, two equal: (2 + 2 / 2) / 4
        ([3, 3, None], [0.5, 0.5, None]),
        ([None], [None]),
        ([], []),
    ],
)
def test_a_rank_is_the_share_that_is_lower_with_ties_counted_half(values: list[float | None], expected: list[float | None]) -> None:
    assert ranks(values) == expected


REWARDS = [
    {"label": 1.0, "format": 0.0, "length": 5.0, "always": 1.0},
    {"label": 1.0, "format": 2.0, "length": None, "always": 1.0},
    {"label": 0.0, "format": 2.0, "length": 5.0, "always": 1.0},
    {"label": 0.0, "format": 0.0, "length": 7.0, "always": 1.0},
    {"label": None, "format": NAN, "length": 7.0, "always": 1.0},
]
"""Ranks in quarters: label 3, 3, 1, 1, -; format 1, 3, 3, 1, -; length 1, -, 1, 3, 3; always says nothing."""


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        (None, [0.5, 0, 0.5, 0.5, None]),
        ("label", [0.5, 0, 0.5, 0.5, None]),
        ("format", [0.5, 0, 0.5, 0.5, None]),
        ("length", [0.5, None, 0.5, 0.5, None]),
        ("always", [None] * 5),
    ],
)
def test_disagreement_is_the_widest_difference_of_ranks(name: str | None, expected: list[float | None]) -> None:
    assert disagreements(REWARDS, name) == expected


def test_a_named_reward_is_compared_with_the_others_only() -> None:
    # b and c are far apart, a stands with b
    rows = [{"a": 1.0, "b": 1.0, "c": 0.0}, {"a": 0.0, "b": 0.0, "c": 0.0}, {"a": 1.0, "b": 1.0, "c": 1.0}, {"a": 0.0, "b": 0.0, "c": 1.0}]
    assert disagreements(rows)[0] == 0.5
    without_c = [{"a": row["a"], "b": row["b"]} for row in rows]
    assert disagreements(without_c, "a") == [0, 0, 0, 0]


def test_an_outlier_of_a_reward_that_hardly_varies_is_no_disagreement_by_itself() -> None:
    # Both rewards find the last one worst, though `length` by three standard deviations and `label` by one.
    rows = [{"label": place / 10, "length": 0.0} for place in range(1, 10)] + [{"label": 0.0, "length": -1.0}]
    found = disagreements(rows)
    assert found[-1] == 0  # rank 1/20 for both
    # Found better than all others by `label` (19/20) and than half by `length`, as good as nine of ten: (1 + 9 / 2) / 10.
    assert found[-2] == pytest.approx(0.95 - 0.55)
    assert max(found) == pytest.approx(0.4)
