"""Classes, label sets and action units, worked out by hand and held against scikit-learn."""

from collections.abc import Callable

import numpy as np
import pytest
import sklearn.metrics

from emoreason.metrics.classification import (
    absent_classes,
    accuracy,
    au_f1,
    au_f1_by_unit,
    au_set_f1,
    average_precisions,
    confusion_matrix,
    macro_f1,
    mean_average_precision,
    mer2023_score,
    uar,
    waf,
    war,
    weighted_f1,
)

LABELS = ("joy", "anger", "fear")
GOLD = ["joy", "joy", "joy", "anger", "anger", "fear"]
ANSWERS = ["joy", "joy", "anger", "anger", "pride", None]
"""Of joy 2 of 3 found, of anger 1 of 2; `pride` is outside and the last unreadable."""
DISFA = ("AU1", "AU2", "AU4")


@pytest.fixture
def random_columns() -> tuple[list[str], list[str | None]]:
    generator = np.random.default_rng(2)
    gold = [str(one) for one in generator.choice(LABELS, size=200, p=[0.6, 0.3, 0.1])]
    answers = [one if generator.random() < 0.6 else str(generator.choice([*LABELS, "pride", "none"])) for one in gold]
    return gold, [None if one == "none" else one for one in answers]


def test_by_hand() -> None:
    assert accuracy(GOLD, ANSWERS) == war(GOLD, ANSWERS) == pytest.approx(3 / 6)
    assert uar(GOLD, ANSWERS, LABELS) == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    # F1: joy 2 * 2 / (3 + 2), anger 2 * 1 / (2 + 2), fear 0
    assert macro_f1(GOLD, ANSWERS, LABELS) == pytest.approx((4 / 5 + 1 / 2 + 0) / 3)
    assert weighted_f1(GOLD, ANSWERS, LABELS) == pytest.approx((3 * 4 / 5 + 2 * 1 / 2 + 1 * 0) / 6)
    assert confusion_matrix(GOLD, ANSWERS, LABELS) == [[2, 1, 0, 0], [0, 1, 0, 1], [0, 0, 0, 1]]


def test_equal_to_scikit_learn(random_columns: tuple[list[str], list[str | None]]) -> None:
    gold, answers = random_columns
    written = [one or "none" for one in answers]
    labels = list(LABELS)
    assert accuracy(gold, answers) == pytest.approx(sklearn.metrics.accuracy_score(gold, written))
    assert uar(gold, answers, LABELS) == pytest.approx(sklearn.metrics.recall_score(gold, written, labels=labels, average="macro"))
    assert macro_f1(gold, answers, LABELS) == pytest.approx(sklearn.metrics.f1_score(gold, written, labels=labels, average="macro"))
    assert weighted_f1(gold, answers, LABELS) == pytest.approx(sklearn.metrics.f1_score(gold, written, labels=labels, average="weighted"))
    whole = sklearn.metrics.confusion_matrix(gold, written, labels=labels)
    assert np.array_equal(np.array(confusion_matrix(gold, answers, LABELS))[:, :3], whole)


def test_an_unreadable_answer_is_no_eighth_class() -> None:
    """scikit-learn without labels would make one, of recall 0."""
    gold, answers = ["joy", "fear"], ["joy", None]
    assert sklearn.metrics.recall_score(gold, ["joy", "none"], average="macro", zero_division=0) == pytest.approx(1 / 3)
    assert uar(gold, answers, LABELS) == pytest.approx(1 / 2)


def test_a_class_absent_from_gold_is_left_out_and_named() -> None:
    gold, answers = ["joy", "joy", "anger"], ["joy", "fear", "anger"]
    assert uar(gold, answers, LABELS) == pytest.approx((1 / 2 + 1) / 2)
    assert absent_classes(gold, LABELS) == ["fear"]
    assert absent_classes(GOLD, LABELS) == []
    # for F1 the answer fear counts, with 0; a class that nobody names does not
    assert macro_f1(gold, answers, (*LABELS, "awe")) == pytest.approx((2 / 3 + 1 + 0) / 3)


def test_classes_are_compared_normalised() -> None:
    assert accuracy(["Doubt/Confusion"], [" doubt/confusion. "]) == 1
    assert uar(["Joy"], ["joy"], ["JOY"]) == 1


@pytest.mark.parametrize("score", [uar, macro_f1, weighted_f1, confusion_matrix])
def test_what_is_no_class_is_refused(score: Callable) -> None:
    with pytest.raises(ValueError, match="gold label 'hope' given; accepted: joy, anger, fear"):
        score(["hope"], ["joy"], LABELS)
    with pytest.raises(ValueError, match="name a class twice"):
        score(["joy"], ["joy"], ("joy", "Joy"))
    with pytest.raises(ValueError, match="1 gold and 2 predicted"):
        score(["joy"], ["joy", "joy"], LABELS)


def test_no_rows_have_no_score() -> None:
    assert accuracy([], []) is None
    assert uar([], [], LABELS) is macro_f1([], [], LABELS) is weighted_f1([], [], LABELS) is None
    assert mer2023_score([], [], LABELS, [], []) is None
    assert au_f1([], [], DISFA) is au_set_f1([], []) is None
    with pytest.raises(ValueError, match="0 gold and 1 predicted"):
        accuracy([], ["joy"])


def test_waf_by_hand() -> None:
    gold = [1.6, 0.2, -0.4, -2.0, 0.0]  # the last is not used
    predicted = ["positive", "neutral", "negative", "positive", "positive"]
    # positive: gold 2, named 2, shared 1: F1 1/2; not positive: gold 2, named 2, shared 1: F1 1/2
    assert waf(gold, predicted) == {"waf": pytest.approx(1 / 2), "acc": pytest.approx(1 / 2), "n": 4}
    # neutral and unknown both count as negative: right on negative rows
    for unsure in ("neutral", None, "confused", 0.0):
        # not positive: gold 3, named 4, shared 3: F1 6/7, weight 3 of 4; positive: 0
        assert waf([1.0, -0.2, -1.0, -2.0], [unsure] * 4) == {"waf": pytest.approx(9 / 14), "acc": pytest.approx(3 / 4), "n": 4}
    assert waf([0.0], ["positive"]) == {"waf": None, "acc": None, "n": 0}
    assert waf([1.0, -1.0], [0.1, " Negative "])["waf"] == 1


def test_waf_refuses_gold_that_is_missing() -> None:
    with pytest.raises(ValueError, match="gold sentiment nan"):
        waf([float("nan")], ["positive"])
    with pytest.raises(ValueError, match="2 gold and 1 predicted"):
        waf([1.0, 1.0], ["positive"])


def test_mer2023_score_by_hand() -> None:
    # weighted F1 (2.4 + 1 + 0) / 6; squared errors 1, 0, 0, 4, 0, 0
    valence = [0.0] * 6
    assert mer2023_score(GOLD, ANSWERS, LABELS, valence, [1.0, 0, 0, 2.0, 0, 0]) == pytest.approx(3.4 / 6 - 0.25 * 5 / 6)
    with pytest.raises(ValueError, match="a valence of row 1 is missing"):
        mer2023_score(["joy", "joy"], ["joy", "joy"], LABELS, [0.0, 0.0], [0.0, None])
    with pytest.raises(ValueError, match="columns of 1, 1, 1 and 2 rows"):
        mer2023_score(["joy"], ["joy"], LABELS, [0.0], [0.0, 0.0])


def test_average_precision_by_hand() -> None:
    gold = [[1, 0, 0], [0, 1, 0], [1, 0, 0], [0, 0, 0]]
    scores = [[0.9, 0.9, 0.5], [0.8, 0.1, 0.5], [0.7, 0.8, 0.5], [0.1, 0.2, 0.5]]
    # class 1: right at rank 1 and 3: 1/2 * 1 + 1/2 * 2/3; class 2: at rank 4 of 4; class 3 never occurs
    assert average_precisions(gold, scores) == [pytest.approx(5 / 6), pytest.approx(1 / 4), None]
    assert mean_average_precision(gold, scores) == pytest.approx((5 / 6 + 1 / 4) / 2)


def test_average_precision_of_answers_without_scores() -> None:
    # named in rows 1 and 2, one of them right: precision 1/2 for the first half of recall, and 2/4 for the rest
    assert mean_average_precision([[1], [0], [1], [0]], [[1], [1], [0], [0]]) == pytest.approx(1 / 2 * 1 / 2 + 1 / 2 * 2 / 4)
    assert mean_average_precision([[0], [0]], [[1], [0]]) is None


@pytest.mark.parametrize(
    ("gold", "scores", "message"),
    [
        ([1, 0], [0.5, 0.5], "shape"),
        ([[1, 0]], [[0.5]], "shape"),
        ([[2]], [[0.5]], "true or false"),
        ([[1]], [[float("nan")]], "finite"),
    ],
)
def test_tables_that_mean_nothing_are_refused(gold: list, scores: list, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        mean_average_precision(gold, scores)


def test_the_two_f1_of_action_units_differ() -> None:
    gold = [{"AU1"}, {"AU1", "AU2"}, set(), {"AU4"}]
    predicted = [{"AU1"}, {"AU1"}, {"AU4"}, {"AU4", "AU2"}]
    # over rows, AU1: 2 * 2 / (2 + 2); AU2: shares none; AU4: 2 * 1 / (1 + 2)
    assert au_f1_by_unit(gold, predicted, DISFA) == {"AU1": 1, "AU2": 0, "AU4": pytest.approx(2 / 3)}
    assert au_f1(gold, predicted, DISFA) == pytest.approx((1 + 0 + 2 / 3) / 3)
    # over units, row by row: 1, 2/3, left out, 2/3
    assert au_set_f1(gold, predicted) == pytest.approx((1 + 2 / 3 + 2 / 3) / 3)


def test_units_that_could_not_be_coded_do_not_count() -> None:
    gold, predicted, unknown = [{"AU1"}, {"AU1"}], [{"AU1", "AU2"}, set()], [{"AU2"}, {"AU1"}]
    # AU1 counts in row 1 only, AU2 in row 2 only, where it is neither present nor named
    assert au_f1_by_unit(gold, predicted, ("AU1", "AU2"), unknown=unknown) == {"AU1": 1, "AU2": None}
    assert au_f1(gold, predicted, ("AU1", "AU2"), unknown=unknown) == 1
    # row 1 without AU2 is right, row 2 without AU1 has no gold
    assert au_set_f1(gold, predicted, unknown=unknown) == 1
    # taken as absent, AU2 would be a false alarm and AU1 missed
    assert au_f1(gold, predicted, ("AU1", "AU2")) == pytest.approx((2 / 3 + 0) / 2)


def test_au_f1_equals_scikit_learn() -> None:
    generator = np.random.default_rng(4)
    present, named, masked = (generator.random((100, 3)) < share for share in (0.4, 0.5, 0.1))

    def sets(table: np.ndarray) -> list[set[str]]:
        return [{unit for unit, cell in zip(DISFA, row, strict=True) if cell} for row in table]

    found = au_f1_by_unit(sets(present), sets(named), DISFA, unknown=sets(masked))
    for column, unit in enumerate(DISFA):
        coded = ~masked[:, column]
        assert found[unit] == pytest.approx(sklearn.metrics.f1_score(present[coded, column], named[coded, column])), unit


def test_units_outside_of_the_protocol_are_not_scored() -> None:
    assert au_f1([{"AU1", "AU12"}], [{"AU1", "AU6"}], ("AU1",)) == 1
    assert au_f1([{"AU12"}], [{"AU6"}], ("AU1",)) is None


@pytest.mark.parametrize("unit", ["AU04", "12", "au4", "AU", "AU123"])
def test_units_are_written_in_one_way(unit: str) -> None:
    for call in (
        lambda: au_f1([{unit}], [set()], DISFA),
        lambda: au_f1([set()], [set()], [unit]),
        lambda: au_set_f1([set()], [set()], unknown=[{unit}]),
    ):
        with pytest.raises(ValueError, match=f"action unit '{unit}' given; accepted: AU and its number"):
            call()
    assert au_f1([{"AU4"}], [{unit}], ("AU4",)) == 0, "what a model says is never refused"


def test_rows_of_units_must_match() -> None:
    with pytest.raises(ValueError, match="1 gold, 2 predicted and 1 unknown"):
        au_set_f1([set()], [set(), set()])
