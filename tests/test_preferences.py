"""Preference pairs by hand."""

import pytest

from emoreason.preferences import Pair, make_pairs


def places(texts: list[str], scores: list[float], min_margin: float, max_pairs: int) -> list[tuple[int, int]]:
    return [(pair.chosen, pair.rejected) for pair in make_pairs(texts, scores, min_margin, max_pairs)]


def test_the_widest_margin_comes_first() -> None:
    # Margins: c over b 2.0, c over a 1.5, c over d 1.0, d over b 1.0, a over b 0.5, d over a 0.5.
    texts, scores = ["a", "b", "c", "d"], [0.5, 0.0, 2.0, 1.0]
    assert make_pairs(texts, scores, 0.2, 1) == [Pair(chosen=2, rejected=1, margin=2.0)]


def test_a_text_is_chosen_once_and_rejected_once() -> None:
    texts, scores = ["a", "b", "c", "d"], [0.5, 0.0, 2.0, 1.0]
    # After c over b, c is not chosen and b not rejected again; what remains is d over a.
    assert places(texts, scores, 0.2, 10) == [(2, 1), (3, 0)]


def test_the_same_text_drawn_twice_is_one_text() -> None:
    assert places(["good", "good", "bad", "bad"], [1.0, 1.0, 0.0, 0.0], 0.2, 10) == [(0, 3)]


def test_a_text_is_never_paired_with_itself() -> None:
    assert places(["same", "same"], [1.0, 0.0], 0.2, 10) == []


@pytest.mark.parametrize(
    ("min_margin", "expected"),
    [(0.5, [(0, 1)]), (0.51, [])],
)
def test_a_margin_below_the_smallest_is_noise(min_margin: float, expected: list[tuple[int, int]]) -> None:
    assert places(["a", "b"], [0.75, 0.25], min_margin, 10) == expected


@pytest.mark.parametrize(("texts", "scores"), [([], []), (["a"], [1.0]), (["a", "b", "c"], [0.3, 0.3, 0.3])])
def test_nothing_to_choose_between_gives_no_pair(texts: list[str], scores: list[float]) -> None:
    assert make_pairs(texts, scores, 0.2, 10) == []


def test_negative_scores_rank_like_others() -> None:
    assert make_pairs(["a", "b"], [-2.0, -1.5], 0.2, 10) == [Pair(chosen=1, rejected=0, margin=0.5)]


def test_a_completion_that_could_not_be_scored_is_in_no_pair():
    assert make_pairs(["a", "b", "c"], [1.0, None, 0.0], 0.2, 5) == [Pair(0, 2, 1.0)]
    assert make_pairs(["a", "b"], [None, 1.0], 0.2, 5) == []
