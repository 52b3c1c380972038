"""Every metric by its name, with numbers worked out by hand, from CSV and from JSON Lines."""

import csv
import json
import math
from pathlib import Path
from typing import Any

import pytest

from emoreason.faults import UserError
from emoreason.metrics.named import METRICS, Options
from emoreason.metrics.predictions import metric_of_files

FLAT = [name for name in METRICS if name != "emocue_360"]
"""Metrics of columns that a CSV file can have."""
COLUMNS = ("id", "label", "labels", "confidence", "value", "text", "subset")

LABELS = (
    [{"label": "joy"}, {"label": "joy"}, {"label": "anger"}, {"label": "fear"}],
    [{"label": "joy"}, {"label": "Anger"}, {"label": " ANGER. "}, None],
)
WORDS = (
    [{"labels": ["joy"]}, {"labels": ["anger", "sadness"]}, {"labels": ["fear"]}, {"labels": ["joy"]}],
    [{"labels": ["joy", "fear"]}, {"labels": ["anger"]}, {"labels": ["fear", "joy", "anger", "sadness"]}, None],
)
HITS = ([{"label": "joy"}, {"label": "anger"}, {"label": "fear"}], [{"labels": ["joy", "fear"]}, {"labels": ["fear"]}, None])
LISTS = ([{"labels": ["joy", "pride"]}, {"labels": ["joy"]}, {"labels": ["anger"]}], [{"labels": ["joy"]}, {"labels": ["anger"]}, None])
UNITS = ([{"labels": ["AU1", "AU12"]}, {"labels": ["AU12"]}, {"labels": ["AU4"]}], [{"labels": ["AU12"]}, {"labels": ["AU12", "AU1"]}, None])
VALUES = ([{"value": 1}, {"value": 2}, {"value": 3}, {"value": 4}], [{"value": 2}, {"value": 2.0}, {"value": 5}, None])
SENTIMENT = (
    [{"value": 1}, {"value": -2}, {"value": 0}, {"value": 0.5}, {"value": -1}],
    [{"value": 0.5}, {"label": "neutral"}, {"value": 1}, {"value": 0}, {"value": -1}],
)
# right at 0.9, wrong at 0.8, right with a confidence that cannot be read, no prediction, right at 0.4
CONFIDENCES = (
    [{"label": "joy"}, {"label": "joy"}, {"label": "fear"}, {"label": "fear"}, {"label": "anger"}],
    [{"label": "joy", "confidence": 0.9}, {"label": "fear", "confidence": "80%"}, {"label": "fear", "confidence": "7"}, None,
     {"label": "anger", "confidence": "0.4"}],
)  # fmt: skip
VERDICTS = (
    [{"label": "correct", "subset": "polarity"}, {"label": "incorrect", "subset": "polarity"}, {"label": "correct", "subset": "scene"},
     {"label": "incorrect"}],
    [{"label": "correct"}, {"label": "correct"}, {"label": "maybe"}, {"label": "incorrect"}],
)  # fmt: skip
QUESTIONS = ([{"label": "yes"}, {"label": "yes"}, {"label": "yes"}, {"label": "no"}], [{"label": "yes"}, {"label": "no"}, None, {"label": "No."}])
CONFLICTS = (
    [{"label": "joy", "subset": "video_aligned"}, {"label": "anger", "subset": "video_aligned"}, {"label": "joy", "subset": "audio_aligned"},
     {"label": "fear", "subset": "consistent"}],
    [{"label": "joy"}, {"label": "joy"}, {"label": "joy"}, None],
)  # fmt: skip
PREFERENCES = (
    [{"label": "a1"}, {"label": "a1"}, {"label": "a2"}, {"label": "a2"}],
    [{"label": "a1"}, {"label": "a2"}, {"label": "a2"}, {"label": "same"}],
)
CUES = ([{"labels": ["brows lowered", "lips pressed"]}, {"labels": ["tears"]}], [{"labels": ["brows lowered"]}, None])
TEXTS = ([{"text": "police killed the gunman"}, {"text": "she smiles"}], [{"text": "the police kill the gunman"}, None])

BY_HAND: list[tuple[str, tuple[list, list], dict[str, Any]]] = [
    ("accuracy", LABELS, {"accuracy": 2 / 4}),
    ("war", LABELS, {"war": 2 / 4}),
    # recalls of anger, fear and joy: 1/1, 0/1, 1/2
    ("uar", LABELS, {"uar": 1.5 / 3}),
    # F1 2 * 1 / (2 + 1) of anger, 0 of fear, 2 * 1 / (1 + 2) of joy; joy has 2 of the 4 rows
    ("macro_f1", LABELS, {"macro_f1": 4 / 9}),
    ("weighted_f1", LABELS, {"weighted_f1": (2 / 3 + 0 + 2 * 2 / 3) / 4}),
    ("set_f1", WORDS, {"set_f1": (2 / 3 + 2 / 3 + 2 / 5 + 0) / 4}),
    # joy, anger, sadness and fear are four clusters on every wheel.
    # P = (1/2 + 1 + 1/4 + 0) / 4 = 7/16, R = (1 + 1/2 + 1 + 0) / 4 = 10/16, 2 * 7 * 10 / (16 * 17)
    ("wheel_f", WORDS, {"f": 35 / 68, "precision": 7 / 16, "recall": 5 / 8, "mean_set_f1": (2 / 3 + 2 / 3 + 2 / 5) / 4, "missing": 1}),
    # the first row hits, and names two of the three classes
    ("wheel_hit", HITS, {"hit": 1 / 3, "mscore": 1 / 6}),
    # anger: answered once, wrongly: 1/3 over all rows. joy: 1 * 1/2 + 2/3 * 1/2. pride: never answered: 1/3
    ("map", LISTS, {"map": (1 / 3 + 5 / 6 + 1 / 3) / 3}),
    # AU1 is once missed and once wrong, AU4 missed, AU12 twice right; sets: 2/3, 2/3, 0
    ("au_f1", UNITS, {"au_f1": 1 / 3, "au_set_f1": 4 / 9, "by_unit": {"AU1": 0.0, "AU4": 0.0, "AU12": 1.0}}),
    # the row without a number is left out: means 2 and 3, variances 2/3 and 2, covariance (1 + 0 + 2) / 3 = 1; 2 / (2/3 + 2 + 1)
    ("ccc", VALUES, {"ccc": 6 / 11, "missing": 1, "n": 3}),
    ("plcc", VALUES, {"plcc": 1 / math.sqrt(2 / 3 * 2)}),
    # ranks 1, 2, 3 and 1.5, 1.5, 3: covariance (0.5 + 0 + 1) / 3, variances 2/3 and 1/2
    ("srcc", VALUES, {"srcc": 0.5 / math.sqrt(2 / 3 * 1 / 2)}),
    ("mae", VALUES, {"mae": (1 + 0 + 2) / 3}),
    # all positive; of 1, 2, 3 and 2, 2, 5 clipped to 3, two classes agree
    ("acc_2", VALUES, {"acc_2": 1.0}),
    ("acc_7", VALUES, {"acc_7": 2 / 3}),
    ("rmse", VALUES, {"rmse": math.sqrt((1 + 0 + 4) / 3)}),
    # of the four rows that are not 0 the third says 0, which is negative: F1 2/3 of positive, 4/5 of negative, two rows each
    ("waf", SENTIMENT, {"waf": (2 / 3 + 4 / 5) / 2, "acc": 3 / 4, "n": 4, "unparsed": 0}),
    # gaps 0.1, 0.8, 0.6 of a row each, and 1 of the two rows without a confidence
    ("ece", CONFIDENCES, {"ece": (0.1 + 0.8 + 0.6 + 1 + 1) / 5, "missing": 1, "unparsed": 0}),
    ("ece_equal_mass", CONFIDENCES, {"ece_equal_mass": 3.5 / 5}),
    ("ece_half_open", CONFIDENCES, {"ece_half_open": 1.5 / 3}),
    ("mce", CONFIDENCES, {"mce": 1.0}),
    # readable rows: accuracies 1, 0, 1 around 2/3, so resolution (1 + 4 + 1) / 27, and 0.4 + 0.6 * 1.01 / 3 = 0.602
    ("brier", CONFIDENCES, {"brier": (0.01 + 0.64 + 1 + 1 + 0.36) / 5, "reliability": 1.01 / 3, "resolution": 2 / 9, "uncertainty": 2 / 9,
                            "unreadable": 2 / 5}),
    ("nll", CONFIDENCES, {"nll": -(math.log(0.9) + math.log(0.2) + 2 * math.log(1e-6) + math.log(0.4)) / 5}),
    # right 0.9, 0, 0.4 against wrong 0.8, 0: (1 + 1) + (0 + 1/2) + (0 + 1) of 6 pairs
    ("auroc", CONFIDENCES, {"auroc": 3.5 / 6}),
    # right first, third and, in a tie with the last wrong one, of five: 1/3 * 1 + 1/3 * 2/3 + 1/3 * 3/5
    ("auprc", CONFIDENCES, {"auprc": (1 + 2 / 3 + 3 / 5) / 3}),
    # wrong among the surest 1, 2, 3: 0, 1/2, 1/3; then half a wrong one more, then one: 1.5/4, 2/5
    ("aurc", CONFIDENCES, {"aurc": (0 + 1 / 2 + 1 / 3 + 1.5 / 4 + 2 / 5) / 5}),
    ("esj", VERDICTS, {"accuracy": 2 / 4, "positive_ratio": 2 / 4, "give_up_ratio": 1 / 4}),
    ("yes_no", QUESTIONS, {"accuracy": 2 / 4, "yes_accuracy": 1 / 3, "no_accuracy": 1.0, "harmonic_mean": 1 / 2, "yes_ratio": 1 / 4,
                           "give_up_ratio": 1 / 4}),
    ("ca_mer", CONFLICTS, {"modality_bias": 1 - 1 / 2, "video_aligned": {"accuracy": 0.5, "n": 2}, "consistent": {"accuracy": 0.0, "n": 1}}),
    # a1: 2 * 1 / (1 + 2), a2: 2 * 1 / (2 + 2), two rows each
    ("emoprefer", PREFERENCES, {"waf": (2 / 3 + 1 / 2) / 2, "accuracy": 2 / 4, "tie_ratio": 1 / 4}),
    # one of two cues named, nothing else; then none
    ("cue_f1", CUES, {"cue_f1": 2 / 3 / 2, "cue_precision": 1 / 2, "cue_recall": 1 / 2 / 2}),
    # `police the gunman` of 5 and of 4 words: 2 * 3/5 * 3/4 / (3/5 + 3/4), then nothing
    ("rouge_l", TEXTS, {"rouge_l": 2 / 3 / 2}),
]  # fmt: skip

VOCABULARY = {
    "au_f1": ("AU4", "AU12"), "esj": ("correct", "incorrect"), "yes_no": ("yes", "no"), "emoprefer": ("a1", "a2"), "waf": ("positive", "negative"),
}  # fmt: skip
SUBSETS = ("video_aligned", "audio_aligned", "consistent")


def write(path: Path, rows: list[dict | None]) -> Path:
    """The rows that are not None, numbered by their place, as CSV or JSON Lines."""
    numbered = [{"id": str(place), **row} for place, row in enumerate(rows) if row is not None]
    with path.open("w", newline="", encoding="utf-8") as lines:
        if path.suffix == ".csv":
            writer = csv.DictWriter(lines, COLUMNS)
            writer.writeheader()
            writer.writerows(numbered)
        else:
            lines.writelines(json.dumps(row) + "\n" for row in numbered)
    return path


@pytest.mark.parametrize("suffix", ["csv", "jsonl"])
@pytest.mark.parametrize(("name", "rows", "expected"), BY_HAND, ids=[name for name, _, _ in BY_HAND])
def test_by_hand(tmp_path: Path, suffix: str, name: str, rows: tuple[list, list], expected: dict[str, Any]) -> None:
    gold, predictions = (write(tmp_path / f"{side}.{suffix}", column) for side, column in zip(("gold", "predictions"), rows, strict=True))
    result = metric_of_files(name, gold, predictions, num_bootstrap=2)
    assert {key: result[key] for key in expected} == {key: want if isinstance(want, dict) else pytest.approx(want) for key, want in expected.items()}
    assert list(result)[1] == next(iter(expected))  # its own number stands first


def test_every_metric_is_worked_out_by_hand() -> None:
    assert [name for name in METRICS if name not in {name for name, _, _ in BY_HAND}] == ["emocue_360"]  # which has a test of its own


def test_statements_have_numbers_by_class(tmp_path: Path) -> None:
    gold, predictions = (write(tmp_path / f"{side}.csv", column) for side, column in zip(("gold", "predictions"), VERDICTS, strict=True))
    by_class = metric_of_files("esj", gold, predictions, num_bootstrap=1)["by_class"]
    assert {name: scores["accuracy"] for name, scores in by_class.items()} == {"polarity": 0.5, "scene": 0.0, "all": 1.0}


def full_rows(name: str) -> tuple[list[dict], list[dict]]:
    """Six rows with every column, half of the answers wrong, and confidences and values that differ."""
    words = VOCABULARY.get(name, ("joy", "anger"))
    gold, predicted = [], []
    for row in range(6):
        right, answer = words[row % 2], words[row // 2 % 2]
        gold.append({"label": right, "labels": [right], "value": row - 2.5, "text": "lips pressed, brows lowered", "subset": SUBSETS[row % 3]})
        predicted.append({"label": answer, "labels": [answer], "confidence": f"{60 + row}%", "value": row % 4, "text": "brows lowered"})
    return gold, predicted


def leaves(value: Any) -> list[Any]:
    return [leaf for inner in value.values() for leaf in leaves(inner)] if isinstance(value, dict) else [value]


@pytest.mark.parametrize("name", FLAT)
def test_a_metric_gives_finite_numbers_or_none(tmp_path: Path, name: str) -> None:
    rows = full_rows(name)
    result = metric_of_files(name, write(tmp_path / "gold.jsonl", rows[0]), write(tmp_path / "predictions.csv", rows[1]), num_bootstrap=5)
    assert result.pop("metric") == name
    assert isinstance(next(iter(result.values())), float)
    assert all(leaf is None or (isinstance(leaf, int | float) and math.isfinite(leaf)) for leaf in leaves(result))
    assert result["low"] <= result["high"]
    assert (result["missing"], result["unparsed"], result["extra"]) == (0, 0, 0)


# Six missing predictions have the worst value, or none. Silence is also `not positive` to waf, F1 2/3 of the three negative rows and 0 of
# the others, and a ranking of nothing to map, which has the share of each class.
OF_NOTHING = dict.fromkeys(METRICS, 0.0) | {
    **dict.fromkeys(("ccc", "plcc", "srcc", "mae", "rmse", "acc_2", "acc_7", "ece_half_open", "auroc", "auprc"), None),
    **dict.fromkeys(("ece", "ece_equal_mass", "mce", "brier", "aurc"), 1.0),
    "nll": pytest.approx(-math.log(1e-6)), "waf": pytest.approx(1 / 3), "map": 0.5,
}  # fmt: skip


@pytest.mark.parametrize("name", FLAT)
def test_no_prediction_at_all_never_raises_and_never_pays(tmp_path: Path, name: str) -> None:
    gold = write(tmp_path / "gold.jsonl", full_rows(name)[0])
    result = metric_of_files(name, gold, write(tmp_path / "predictions.jsonl", [None] * 6 + [{"label": "joy"}]), num_bootstrap=2)
    assert (result["missing"], result["extra"]) == (6, 1)
    assert result[list(result)[1]] == OF_NOTHING[name]


@pytest.mark.parametrize(("name", "prediction"), [("wheel_hit", {"labels": ["joy"]}), ("waf", {"label": "positive"}), ("ccc", {"value": 0.0})])
def test_only_a_prediction_without_what_the_metric_reads_is_unparsed(tmp_path: Path, name: str, prediction: dict) -> None:
    gold = write(tmp_path / "gold.jsonl", full_rows(name)[0])
    predictions = write(tmp_path / "predictions.jsonl", [prediction, {"text": "joy"}, {"labels": []}])
    assert metric_of_files(name, gold, predictions, num_bootstrap=1)["unparsed"] == 2


def test_the_classes_can_be_named(tmp_path: Path) -> None:
    gold = write(tmp_path / "gold.csv", [{"label": "joy"}, {"label": "joy"}])
    predictions = write(tmp_path / "predictions.csv", [{"label": "joy"}, {"label": "fear"}])
    # F1 of joy 2/3; fear is a class only where it is named, and then its F1 is 0
    assert metric_of_files("macro_f1", gold, predictions, num_bootstrap=1)["macro_f1"] == pytest.approx(2 / 3)
    assert metric_of_files("macro_f1", gold, predictions, Options(("joy", "fear")), num_bootstrap=1)["macro_f1"] == pytest.approx(1 / 3)


def test_the_ring_of_the_wheels_can_be_named(tmp_path: Path) -> None:
    gold, predictions = write(tmp_path / "gold.csv", [{"labels": "annoyance"}]), write(tmp_path / "p.csv", [{"labels": "rage"}])
    coarse, fine = (metric_of_files("wheel_f", gold, predictions, Options(level=level), num_bootstrap=1)["f"] for level in ("inner", "middle"))
    assert coarse > fine


def test_emocue_360_by_hand(tmp_path: Path) -> None:
    """visual: the nearest of either side is the same cue, so 1; auditory: nothing predicted, so 0; emotional: no gold, so not there."""
    gold, predicted = tmp_path / "gold.jsonl", tmp_path / "predicted.jsonl"
    gold.write_text(json.dumps({"id": "a", "cues": {"visual": ["brows lowered"], "auditory": ["voice trembles"]}}))
    predicted.write_text(json.dumps({"id": "a", "cues": {"visual": ["lowered brows"], "emotional": ["anger"]}}))
    result = metric_of_files("emocue_360", gold, predicted, num_bootstrap=2)
    assert (result["visual"]["f1"], result["auditory"]["f1"], result["emotional"]["f1"]) == (pytest.approx(1.0), 0.0, None)
    assert (result["emocue_f1"], result["n"]) == (pytest.approx(0.5), 1)
    predicted.write_text(json.dumps({"id": "a", "cues": "brows lowered"}))
    with pytest.raises(UserError, match=r"cues 'brows lowered' are no lists by dimension"):
        metric_of_files("emocue_360", gold, predicted)


def test_sides_and_classes_of_values_by_hand(tmp_path: Path) -> None:
    # sides: right, wrong (0 is with the positive), right; classes: 2 and 2, -1 and 0, -3 and -3 (clipped)
    (tmp_path / "gold.csv").write_text("id,value\na,1.6\nb,-1\nc,-2.8\n")
    (tmp_path / "predicted.csv").write_text("id,value\na,2\nb,0\nc,-5\n")
    found = [metric_of_files(name, tmp_path / "gold.csv", tmp_path / "predicted.csv")[name] for name in ("acc_2", "acc_7")]
    assert found == pytest.approx([2 / 3, 2 / 3])
