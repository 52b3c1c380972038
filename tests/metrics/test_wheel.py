import pytest

from emoreason.metrics.wheel import hit_rate, wheel_f
from emoreason.wheels import WheelSet, own_wheels

# Two wheels: the first has joy and anger, the second joy alone; without families unknown words are dropped.
CELLS = {"happy": ("joy", "joy"), "glad": ("joy", "joy"), "mad": ("anger", None), "sad": ("sadness", None)}
DROPPING = WheelSet(("one", "two"), CELLS, CELLS, families=None, source="by hand")


def test_f_is_that_of_the_mean_precision_and_the_mean_recall():
    predicted = [["glad", "mad"], ["sad"], [], ["happy", "blorb"]]
    gold = [["happy"], ["sad", "mad"], ["happy"], ["neutral"]]
    found = wheel_f(predicted, gold, DROPPING)
    # one: rows 1 to 3; P = (1/2 + 1 + 0) / 3 = 1/2, R = (1 + 1/2 + 0) / 3 = 1/2, F = 1/2; F1s 2/3, 2/3, 0: 4/9
    # two: rows 1 and 3; P = (1 + 0) / 2, R = (1 + 0) / 2, F = 1/2; F1s 1, 0
    assert found["by_wheel"]["one"] == pytest.approx({"f": 1 / 2, "precision": 1 / 2, "recall": 1 / 2, "mean_set_f1": 4 / 9, "n": 3})
    assert found["by_wheel"]["two"] == pytest.approx({"f": 1 / 2, "precision": 1 / 2, "recall": 1 / 2, "mean_set_f1": 1 / 2, "n": 2})
    assert (found["f"], found["n"], found["skipped"]) == (pytest.approx(1 / 2), 3, 1)


def test_f_of_means_differs_from_the_mean_f1():
    # P = (1 + 1/2) / 2 = 3/4, R = (1/2 + 1) / 2 = 3/4, F = 3/4; F1s 2/3 and 2/3
    found = wheel_f([["happy"], ["happy", "mad"]], [["happy", "mad"], ["mad"]], DROPPING)["by_wheel"]["one"]
    assert found == pytest.approx({"f": 3 / 4, "precision": 3 / 4, "recall": 3 / 4, "mean_set_f1": 2 / 3, "n": 2})


def test_nothing_right_is_0_and_nothing_to_score_is_none():
    assert wheel_f([["mad"]], [["happy"]], DROPPING)["f"] == 0.0
    assert wheel_f([["mad"]], [["neutral"]], DROPPING) == {
        "f": None, "precision": None, "recall": None, "mean_set_f1": None, "n": 0, "skipped": 1, "by_wheel": {},
    }  # fmt: skip
    with pytest.raises(ValueError, match="1 predictions and 2 gold"):
        wheel_f([[]], [[], []], DROPPING)


def test_hit_is_recall_and_mscore_guards_it():
    found = hit_rate([["happy", "mad", "sad"], ["sad"], ["mad"]], ["happy", "mad", "neutral"], DROPPING)
    # one: C = {joy, anger}; hits 1, 0; mscore 1/2 of row 1, 0 of row 2, whose words meet none of C. two: row 1 alone: hit 1, mscore 1
    assert found["by_wheel"] == {"one": {"hit": 0.5, "mscore": 0.25, "n": 2}, "two": {"hit": 1.0, "mscore": 1.0, "n": 1}}
    assert (found["hit"], found["mscore"], found["n"], found["skipped"]) == (0.75, 0.625, 2, 1)
    with pytest.raises(ValueError, match="1 predictions and 0 gold"):
        hit_rate([[]], [], DROPPING)


def test_order_of_rows_does_not_matter():
    predicted, gold = [["joy"], ["fear", "awe"], ["neutral"]], [["glad"], ["scared"], ["neutral", "calm"]]
    one, other = wheel_f(predicted, gold, own_wheels()), wheel_f(predicted[::-1], gold[::-1], own_wheels())
    assert one["f"] == pytest.approx(other["f"])
