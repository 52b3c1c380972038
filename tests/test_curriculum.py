"""A mix has its proportions, walks each source whole before it repeats, and comes out the same each time."""

from collections import Counter

import pytest

from emoreason.curriculum import mix


def shares(rows: list[tuple[int, int]], num_sources: int) -> list[int]:
    counted = Counter(source for source, _ in rows)
    return [counted[source] for source in range(num_sources)]


@pytest.mark.parametrize(
    ("sizes", "weights", "num_rows", "expected"),
    [
        ([10, 10], [1.0, 1.0], 20, [10, 10]),
        ([30, 10], [1.0, 1.0], 8, [6, 2]),  # in proportion to size
        ([10, 10], [3.0, 1.0], 40, [30, 10]),  # times weight
        ([100, 20], [0.25, 1.0], 90, [50, 40]),  # masses 25 and 20 of 45
        ([1, 1, 1], [1.0, 1.0, 1.0], 10, [4, 3, 3]),  # 3.33 each; the first gets what is left over
        ([2, 3], [1.0, 1.0], 1, [0, 1]),  # 0.4 and 0.6
        ([5, 7], [1.0, 1.0], 0, [0, 0]),
        ([4], [0.1], None, [4]),
        ([10, 10], [3.0, 1.0], None, [15, 5]),  # as many draws as records
    ],
)
def test_each_source_has_its_share_of_the_draws(sizes: list[int], weights: list[float], num_rows: int | None, expected: list[int]) -> None:
    assert shares(mix(sizes, weights, num_rows, seed=0), len(sizes)) == expected


@pytest.mark.parametrize("weight", [1.0, 0.1, 0.3, 7.0])
@pytest.mark.parametrize("sizes", [[1], [49, 3], [388, 305, 94], [7, 11, 13, 17, 19]])
def test_without_a_number_of_rows_equal_weights_draw_each_record_once(sizes: list[int], weight: float) -> None:
    rows = mix(sizes, [weight] * len(sizes), None, seed=3)
    assert sorted(rows) == [(source, record) for source, size in enumerate(sizes) for record in range(size)]


def test_a_source_is_walked_whole_before_it_repeats() -> None:
    sizes = [5, 8]
    rows = mix(sizes, [4.0, 1.0], 63, seed=1)  # masses 20 and 8 of 28: 45 and 18 draws
    assert shares(rows, 2) == [45, 18]
    for source, size in enumerate(sizes):
        drawn = [record for origin, record in rows if origin == source]
        epochs = [drawn[start : start + size] for start in range(0, len(drawn), size)]
        assert all(sorted(epoch) == list(range(size)) for epoch in epochs if len(epoch) == size)
        assert all(len(set(epoch)) == len(epoch) for epoch in epochs), "the last one breaks off, and repeats nothing"
        assert len({tuple(epoch) for epoch in epochs}) > 1, "each epoch has an order of its own"


def test_the_order_depends_on_the_seed_alone() -> None:
    first = mix([20, 10], [1.0, 2.0], 50, seed=5)
    assert mix([20, 10], [1.0, 2.0], 50, seed=5) == first
    assert mix([20, 10], [1.0, 2.0], 50, seed=6) != first


def test_sources_are_spread_over_the_whole_run() -> None:
    rows = mix([500, 500], [1.0, 1.0], None, seed=0)
    for start in range(0, 1000, 250):
        assert 75 < shares(rows[start : start + 250], 2)[0] < 175, "a quarter of the run with hardly any of one source"


def test_sizes_and_weights_belong_together() -> None:
    with pytest.raises(ValueError, match="shorter"):
        mix([1, 2], [1.0], None, seed=0)
