"""The report of a record set against numbers worked out by hand, and against scikit-learn on random rows."""

import time
import warnings

import numpy as np
import pytest
from sklearn.metrics import f1_score, recall_score, roc_auc_score

from emoreason.completions import Completion, Template, parse_completion
from emoreason.faults import UserError
from emoreason.metrics.calibration import brier_score, expected_calibration_error
from emoreason.metrics.evaluation import Scored, evaluate_rows

CLASSES = ("joy", "anger", "fear")


def scored(label: str | None, answer: str | None, confidence: float | None = None, words: list[str] | None = None) -> Scored:
    """A row whose model wrote `answer` (comma-separated words) and `confidence`; None where it wrote nothing readable."""
    answers = answer.split(",") if answer else []
    problems = [] if answer else ["<answer> is missing"]
    return Scored(label, [label] if words is None and label else words or [], Completion("t", answers, confidence, problems))


def value(rows: list[Scored], name: str, classes: tuple[str, ...] = CLASSES) -> float:
    return evaluate_rows(rows, classes, num_bootstrap=2)["metrics"][name]["value"]


@pytest.fixture
def random_rows() -> list[Scored]:
    """A hundred rows: a third of the answers wrong, one unparsed in ten, confidences on a grid so that there are ties."""
    generator = np.random.default_rng(7)
    rows = []
    for _ in range(100):
        label = str(generator.choice(CLASSES, p=[0.6, 0.3, 0.1]))
        answer = label if generator.random() < 0.6 else str(generator.choice([*CLASSES, "pride"]))
        unparsed = generator.random() < 0.1
        rows.append(scored(label, None if unparsed else answer, None if unparsed else round(float(generator.random()), 1)))
    return rows


def test_labels_by_hand() -> None:
    # gold joy joy joy anger anger fear; joy 2 of 3 found, anger 1 of 2, fear is unparsed
    answers = [("joy", "joy"), ("joy", "joy"), ("joy", "anger"), ("anger", "anger"), ("anger", "pride"), ("fear", None)]
    report = evaluate_rows([scored(*pair) for pair in answers], CLASSES)
    metrics = {name: entry["value"] for name, entry in report["metrics"].items()}
    assert metrics["accuracy"] == pytest.approx(3 / 6)
    assert metrics["uar"] == pytest.approx((2 / 3 + 1 / 2 + 0) / 3)
    assert metrics["macro_f1"] == pytest.approx((2 * 2 / (3 + 2) + 2 * 1 / (2 + 2) + 0) / 3)
    assert metrics["format_rate"] == pytest.approx(5 / 6)
    assert (report["n"], report["unparsed"]) == (6, 1)
    assert set(metrics) == {"accuracy", "uar", "macro_f1", "set_f1", "corpus_set_f1", "format_rate"}, "nothing states a confidence"
    assert set(report) == {"metrics", "n", "unparsed"}
    assert all(set(entry) == {"value", "low", "high", "n"} for entry in report["metrics"].values())


def test_a_class_that_is_only_predicted_counts_for_f1_and_not_for_uar() -> None:
    rows = [scored("joy", "joy"), scored("joy", "fear")]
    assert value(rows, "uar") == pytest.approx(1 / 2)
    assert value(rows, "macro_f1") == pytest.approx((2 / 3 + 0) / 2)


def test_gold_labels_are_compared_as_answers_are_written() -> None:
    template = Template(think="none", confidence=True)
    parsed = parse_completion("<answer> very  happy. </answer><confidence>100%</confidence>", template)
    row = Scored("Very Happy", ["Very Happy"], parsed)
    assert value([row], "accuracy", classes=()) == value([row], "set_f1", classes=()) == 1
    assert value([row], "brier", classes=()) == 0


def test_the_first_of_several_answers_is_the_label() -> None:
    assert value([scored("joy", "joy,anger"), scored("joy", "anger,joy")], "accuracy") == 0.5


def test_rows_without_a_label_or_without_words_are_left_to_the_metrics_that_can_use_them() -> None:
    rows = [scored(None, "joy", words=["joy"]), scored("joy", "joy", words=[]), scored("joy", "fear", words=[])]
    metrics = evaluate_rows(rows, CLASSES)["metrics"]
    assert {name: entry["n"] for name, entry in metrics.items()} == {
        "accuracy": 2, "uar": 2, "macro_f1": 2, "set_f1": 1, "corpus_set_f1": 1, "format_rate": 3,
    }  # fmt: skip
    assert set(evaluate_rows([scored(None, "joy", 0.5)], CLASSES)["metrics"]) == {"format_rate", "mean_confidence", "coverage"}


def test_what_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(UserError, match=r"'anegr' is not in the label space.*did you mean 'anger'"):
        evaluate_rows([scored("anegr", "joy")], CLASSES)
    with pytest.raises(ValueError, match="0 rows"):
        evaluate_rows([], CLASSES)
    with pytest.raises(ValueError, match="0 bootstrap resamples"):
        evaluate_rows([scored("joy", "joy")], CLASSES, num_bootstrap=0)


def test_mean_f1_and_f1_of_the_means_differ() -> None:
    # row 1: precision 1, recall 1/2, F1 2/3; row 2: precision 1/2, recall 1, F1 2/3; row 3 says nothing: 0, 0, 0
    rows = [scored(None, "joy", words=["joy", "fear"]), scored(None, "joy,fear", words=["joy"]), scored(None, None, words=["joy"])]
    assert value(rows[:2], "set_f1") == pytest.approx(2 / 3)
    assert value(rows[:2], "corpus_set_f1") == pytest.approx(3 / 4)
    assert value(rows, "set_f1") == pytest.approx(4 / 9)
    assert value(rows, "corpus_set_f1") == pytest.approx(1 / 2)
    assert value(rows[2:], "corpus_set_f1") == 0


def test_calibration_of_rows_counts_those_that_cannot_be_read() -> None:
    rows = [
        scored("joy", "joy", 0.75),
        scored("joy", "fear", 0.75),
        scored("joy", "joy", None),  # a right answer without confidence
        scored("joy", None, 0.25),  # a confidence in no answer
    ]
    metrics = evaluate_rows(rows, CLASSES)["metrics"]
    found = {name: entry["value"] for name, entry in metrics.items()}
    assert found["ece"] == pytest.approx((2 * 0.25 + 1 + 1) / 4)
    assert found["brier"] == pytest.approx((0.0625 + 0.5625 + 1 + 1) / 4)
    assert found["auroc"] == pytest.approx((0.5 + 1 + 0 + 0.5) / 4)  # right at 0.75 and 0 against wrong at 0.75 and 0
    assert found["mean_confidence"] == pytest.approx((0.75 + 0.75 + 0.25) / 3)
    assert metrics["mean_confidence"]["n"] == 3
    assert found["coverage"] == pytest.approx(3 / 4)


def test_a_model_that_states_no_confidence_is_the_worst_where_one_is_asked_for() -> None:
    rows = [scored("joy", "joy"), scored("joy", "fear")]
    metrics = evaluate_rows(rows, CLASSES, confidence_expected=True)["metrics"]
    found = {name: (metrics[name]["value"], metrics[name]["n"]) for name in ("coverage", "ece", "brier")}
    assert found == {"coverage": (0, 2), "ece": (1, 2), "brier": (1, 2)}
    assert not {"mean_confidence", "auroc"} & set(metrics), "nothing was stated to take the mean of or to rank by"
    assert not {"coverage", "ece", "brier"} & set(evaluate_rows(rows, CLASSES)["metrics"])


def test_confidence_is_covered_where_no_row_has_a_label() -> None:
    metrics = evaluate_rows([scored(None, "joy")], CLASSES, confidence_expected=True)["metrics"]
    assert set(metrics) == {"format_rate", "coverage"}
    assert metrics["coverage"] == {"value": 0, "low": 0, "high": 0, "n": 1}


def test_a_row_that_states_a_confidence_decides_alone(random_rows: list[Scored]) -> None:
    assert evaluate_rows(random_rows, CLASSES, confidence_expected=True) == evaluate_rows(random_rows, CLASSES)


def test_calibration_of_rows_is_that_of_the_calibration_module(random_rows: list[Scored]) -> None:
    metrics = evaluate_rows(random_rows, CLASSES, num_bootstrap=1)["metrics"]
    confidence = [row.parsed.confidence for row in random_rows]
    correct = [row.parsed.label == row.label for row in random_rows]
    assert None in confidence
    assert metrics["ece"]["value"] == pytest.approx(expected_calibration_error(confidence, correct))
    assert metrics["brier"]["value"] == pytest.approx(brier_score(confidence, correct))


def test_auroc_counts_ties_half_and_needs_right_and_wrong_answers() -> None:
    rows = [scored("joy", "joy", 0.9), scored("joy", "joy", 0.5), scored("joy", "fear", 0.5), scored("joy", "fear", 0.1)]
    assert value(rows, "auroc") == pytest.approx((1 + 1 + 0.5 + 1) / 4)
    assert "auroc" not in evaluate_rows(rows[:2], CLASSES)["metrics"]
    assert "auroc" not in evaluate_rows(rows[2:], CLASSES)["metrics"]


def test_values_equal_scikit_learn(random_rows: list[Scored]) -> None:
    gold = [row.label for row in random_rows]
    predicted = [row.parsed.label or "nothing" for row in random_rows]
    correct = [answer == label for answer, label in zip(predicted, gold, strict=True)]
    metrics = evaluate_rows(random_rows, CLASSES, num_bootstrap=1)["metrics"]
    assert metrics["uar"]["value"] == pytest.approx(recall_score(gold, predicted, labels=list(CLASSES), average="macro"))
    assert metrics["macro_f1"]["value"] == pytest.approx(f1_score(gold, predicted, labels=list(CLASSES), average="macro"))
    assert metrics["auroc"]["value"] == pytest.approx(roc_auc_score(correct, [row.parsed.confidence or 0 for row in random_rows]))


def test_resamples_equal_the_value_of_the_rows_drawn(random_rows: list[Scored]) -> None:
    """With one resample the interval is that resample, so its formulas can be held against the values of the drawn rows."""
    for seed in range(20):
        rows = random_rows[: 12 if seed % 2 else 100]  # of a dozen, some resamples lack a class
        interval = evaluate_rows(rows, CLASSES, num_bootstrap=1, seed=seed)["metrics"]
        drawn = np.random.default_rng(seed).integers(len(rows), size=len(rows))
        expected = evaluate_rows([rows[i] for i in drawn], CLASSES, num_bootstrap=1)["metrics"]
        for name, entry in expected.items():
            assert interval[name]["low"] == interval[name]["high"] == pytest.approx(entry["value"]), name


def test_intervals_are_repeatable_and_hold_the_value(random_rows: list[Scored]) -> None:
    first = evaluate_rows(random_rows, CLASSES, seed=3)
    assert first == evaluate_rows(random_rows, CLASSES, seed=3)
    assert first != evaluate_rows(random_rows, CLASSES, seed=4)
    for name, entry in first["metrics"].items():
        assert 0 <= entry["low"] < entry["value"] < entry["high"] <= 1, name
    # accuracy of 100 rows: the normal approximation gives the same width
    accuracy = first["metrics"]["accuracy"]
    error = np.sqrt(accuracy["value"] * (1 - accuracy["value"]) / 100)
    assert accuracy["high"] - accuracy["low"] == pytest.approx(2 * 1.96 * error, abs=0.02)


def test_resamples_in_blocks_are_the_same_resamples(random_rows: list[Scored], monkeypatch: pytest.MonkeyPatch) -> None:
    whole = evaluate_rows(random_rows, CLASSES, num_bootstrap=50)
    monkeypatch.setattr("emoreason.metrics.bootstrap._DRAWS_IN_MEMORY", 7 * len(random_rows))
    assert evaluate_rows(random_rows, CLASSES, num_bootstrap=50) == whole


def test_undefined_resamples_are_left_out_of_the_interval() -> None:
    rows = [scored("joy", "joy", 0.9), scored("joy", "fear", 0.1)]
    metrics = evaluate_rows(rows, CLASSES)["metrics"]  # half of the resamples draw one row twice
    assert (metrics["auroc"]["low"], metrics["auroc"]["high"]) == (1, 1)
    only_undefined = next(seed for seed in range(9) if len(set(np.random.default_rng(seed).integers(2, size=2))) == 1)
    metrics = evaluate_rows(rows, CLASSES, num_bootstrap=1, seed=only_undefined)["metrics"]
    assert (metrics["auroc"]["low"], metrics["auroc"]["high"]) == (0, 1), "nothing is known, so nothing is claimed"


def test_all_metrics_of_a_hundred_rows_take_little_time(random_rows: list[Scored]) -> None:
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        report = evaluate_rows(random_rows, CLASSES)
    assert len(report["metrics"]) == 11
    assert time.process_time() - start < 2
