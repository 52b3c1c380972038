"""How well one set of words covers another, and what a longer list costs."""

import subprocess
import sys

import pytest

from emoreason.metrics.sets import LENGTH_PENALTIES, set_f1, set_precision_recall, word_set


@pytest.mark.parametrize(
    ("predicted", "gold", "expected"),
    [
        (["joy"], ["joy"], 1),
        (["joy", "fear"], ["joy"], 2 / 3),
        (["joy", "fear"], ["joy", "anger", "awe"], 2 / 5),
        (["Joy.", "joy"], ["joy"], 1),
        (["fear"], ["joy"], 0),
        ([], ["joy"], 0),
        (["joy"], [], None),
        (["joy"], ["", "."], None),
    ],
)
def test_set_f1(predicted: list[str], gold: list[str], expected: float | None) -> None:
    assert set_f1(predicted, gold) == (expected if expected is None else pytest.approx(expected))


@pytest.mark.parametrize(
    ("predicted", "gold", "expected"),
    [
        (["joy", "fear"], ["joy"], (1 / 2, 1)),
        (["JOY"], ["joy", "anger", "awe"], (1, 1 / 3)),
        (["joy", "fear", "awe"], ["joy", "awe", "anger", "hope"], (2 / 3, 2 / 4)),
        ([], ["joy"], (0, 0)),
        (["fear"], ["joy"], (0, 0)),
        (["joy"], [], None),
    ],
)
def test_set_precision_recall(predicted: list[str], gold: list[str], expected: tuple[float, float] | None) -> None:
    assert set_precision_recall(predicted, gold) == (expected if expected is None else pytest.approx(expected))


def test_f1_is_the_harmonic_mean_of_precision_and_recall() -> None:
    predicted, gold = ["joy", "fear", "awe"], ["joy", "awe", "anger", "hope"]
    precision, recall = set_precision_recall(predicted, gold)
    assert set_f1(predicted, gold) == pytest.approx(2 * precision * recall / (precision + recall))  # 4 / 7


def test_words_are_those_that_an_answer_could_be() -> None:
    assert word_set([" Awe  Struck.", "awe struck", "—", "..", "*"]) == {"awe struck", "—"}


@pytest.mark.parametrize(
    ("name", "at_six_for_three", "at_two_for_one"),
    [
        ("none", 1, 1),
        ("P1", 1 / 4, 1 / 2),  # 1 / (6 - 3 + 1), 1 / (2 - 1 + 1)
        ("P2", 1 / 2, 1 / 2),
        ("P3", 0.613147, 0),  # ln 3 / ln 6, ln 1 / ln 2
        ("P3s", 0.712414, 0.630930),  # ln 4 / ln 7, ln 2 / ln 3
    ],
)
def test_length_penalties_by_hand(name: str, at_six_for_three: float, at_two_for_one: float) -> None:
    assert LENGTH_PENALTIES[name](6, 3) == pytest.approx(at_six_for_three, abs=1e-6)
    assert LENGTH_PENALTIES[name](2, 1) == pytest.approx(at_two_for_one, abs=1e-6)


@pytest.mark.parametrize("name", sorted(set(LENGTH_PENALTIES) - {"none"}))
def test_a_longer_list_never_has_more_left(name: str) -> None:
    for num_labels in range(1, 5):
        left = [LENGTH_PENALTIES[name](num_answers, num_labels) for num_answers in range(num_labels + 1, 20)]
        assert left == sorted(left, reverse=True)
        assert 0 <= left[-1] <= left[0] < 1


def test_rewards_can_import_it_without_waiting_for_numpy() -> None:
    code = "import sys, emoreason.metrics.sets; print(sorted({'numpy', 'sklearn', 'scipy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip() == "[]"
