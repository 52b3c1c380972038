"""Two files, gold and predictions: how they are joined, what is counted, and every mistake in them in one report."""

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from openpyxl import Workbook

from emoreason.faults import UserError
from emoreason.metrics.named import METRICS, Options
from emoreason.metrics.predictions import metric_of_files, named_labels, read_table
from emoreason.wheels import official_wheels

Write = Callable[[str, list[dict]], Path]
GOLD = [{"id": "a", "label": "joy"}, {"id": "b", "label": "joy"}, {"id": "c", "label": "anger"}, {"id": "d", "label": "fear"}]


def write_rows(path: Path, rows: list[dict]) -> Path:
    """The rows as CSV, lists spelled like Python's, or as JSON Lines."""
    if path.suffix == ".csv":
        names = list(dict.fromkeys(name for row in rows for name in row))
        with path.open("w", newline="", encoding="utf-8") as lines:
            writer = csv.DictWriter(lines, names)
            writer.writeheader()
            writer.writerows(rows)
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(params=["csv", "jsonl"])
def write(request: pytest.FixtureRequest, tmp_path: Path) -> Write:
    """Write rows as a file of this name, of either format; the path."""
    return lambda name, rows: write_rows(tmp_path / f"{name}.{request.param}", rows)


def faults_of(*arguments, **settings) -> list[str]:
    with pytest.raises(UserError) as caught:
        metric_of_files(*arguments, num_bootstrap=1, **settings)
    return caught.value.faults


def test_rows_are_joined_by_id_in_any_order(write: Write) -> None:
    gold = write("gold", GOLD)
    straight = metric_of_files("accuracy", gold, write("one", [*GOLD[:3], {"id": "d", "label": "joy"}]))
    turned = metric_of_files("accuracy", gold, write("two", [{"id": "d", "label": "joy"}, *GOLD[2::-1]]))
    assert straight == turned
    assert straight["accuracy"] == 0.75


def test_a_number_as_id_is_the_same_in_both_formats(tmp_path: Path) -> None:
    gold = write_rows(tmp_path / "gold.jsonl", [{"id": 1, "label": "joy"}, {"id": 0, "label": "fear"}])
    predictions = write_rows(tmp_path / "predictions.csv", [{"id": 0, "label": "fear"}, {"id": 1, "label": "joy"}])
    assert metric_of_files("accuracy", gold, predictions)["accuracy"] == 1.0


def test_what_was_left_out_is_counted(write: Write) -> None:
    gold = write("gold", [*GOLD, {"id": "e"}, {"id": "f", "label": ""}])
    # a right, b without a label, c and d missing, e has no gold label, x and y no gold row
    answered = [{"id": key, "label": "joy"} for key in "aex"]
    predictions = write("predictions", [*answered, {"id": "b"}, {"id": "y"}])
    result = metric_of_files("accuracy", gold, predictions)
    assert result["accuracy"] == 0.25
    assert {key: result[key] for key in ("metric", "n", "skipped", "missing", "unparsed", "extra")} == {
        "metric": "accuracy", "n": 4, "skipped": 2, "missing": 2, "unparsed": 1, "extra": 2,
    }  # fmt: skip
    assert 0 <= result["low"] <= 0.25 <= result["high"] <= 1


def test_the_rows_that_a_wheel_does_not_have_are_skipped_too(write: Write) -> None:
    gold = write("gold", [{"id": "a", "labels": ["joy"]}, {"id": "b", "labels": ["!"]}, {"id": "c", "labels": []}])
    result = metric_of_files("wheel_f", gold, write("predictions", [{"id": "a", "labels": ["joy"]}]))
    assert (result["f"], result["n"], result["skipped"], result["missing"]) == (1.0, 1, 2, 1)


def test_a_predicted_zero_is_an_answer(write: Write) -> None:
    gold = write("gold", [{"id": "a", "value": 1}, {"id": "b", "value": 0}, {"id": "c", "value": -1}])
    result = metric_of_files("mae", gold, write("predictions", [{"id": "a", "value": 0}, {"id": "b", "value": 0.0}, {"id": "c", "label": "joy"}]))
    # |1 - 0| and |0 - 0|; a label is no number
    assert (result["mae"], result["n"], result["skipped"], result["unparsed"]) == (0.5, 2, 0, 1)


@pytest.mark.parametrize("cell", ["['joy', 'pride']", "[joy, pride]", "joy, pride", '["joy", "pride"]', " joy,pride, "])
def test_spellings_of_a_list(tmp_path: Path, cell: str) -> None:
    for path in (tmp_path / "rows.csv", tmp_path / "rows.jsonl"):
        faults: list[str] = []
        assert read_table(write_rows(path, [{"id": "a", "labels": cell}]), faults) == {"a": {"id": "a", "labels": ["joy", "pride"], "label": "joy"}}
        assert faults == []


def test_a_label_is_a_list_of_one_and_a_list_keeps_its_apostrophes(tmp_path: Path) -> None:
    rows = [{"id": "a", "label": "joy"}, {"id": "b", "labels": ["don't know"], "label": "fear"}, {"id": "c", "labels": []}]
    for path in (tmp_path / "rows.csv", tmp_path / "rows.jsonl"):
        read = read_table(write_rows(path, rows), [])
        assert read["a"]["labels"] == ["joy"]
        assert (read["b"]["labels"], read["b"]["label"]) == (["don't know"], "fear")
        assert read["c"] == {"id": "c", "labels": []}


@pytest.mark.parametrize(("name", "text"), [("rows.csv", "id,label\na,joy\n"), ("ROWS.CSV", "id,label\na,joy\n"), ("rows.jsonl", '{"id": "a"}\n')])
def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path: Path, name: str, text: str) -> None:
    (tmp_path / name).write_text("\ufeff" + text, encoding="utf-8")
    faults: list[str] = []
    assert list(read_table(tmp_path / name, faults)) == ["a"]
    assert faults == []


def test_all_mistakes_of_all_files_come_in_one_report(tmp_path: Path) -> None:
    gold, predictions = tmp_path / "gold.csv", tmp_path / "predictions.jsonl"
    gold.write_text("id,label,value\na,joy,1\na,joy,1\n,joy,1\nb,joy,much\nc,joy,inf\n")
    predictions.write_text('{"id": "a", "value": 1}\n{"label": "joy"}\n{"id": "b", "value": [1]}\n[1]\n{"id": "a"}\n{"id": "c", "value": NaN}\n')
    faults = faults_of("accuracy", gold, predictions, against=tmp_path / "absent.csv")
    ids = "no id; accepted: columns id, label or labels, confidence, value, text, subset"
    number = "accepted: a finite number"
    # what is no JSON object is found while the lines are read, before any row is looked at, hence sorted
    assert faults[:4] == [
        f"{gold}:3: id 'a' stands twice; accepted: each id once",
        f"{gold}:4: {ids}",
        f"{gold}:5: id 'b': value 'much'; {number}",
        f"{gold}:6: id 'c': value 'inf'; {number}",
    ]
    assert sorted(faults[4:-1]) == [
        f"{predictions}:2: {ids}",
        f"{predictions}:3: id 'b': value [1]; {number}",
        f"{predictions}:4: a list where a JSON object is expected",
        f"{predictions}:5: id 'a' stands twice; accepted: each id once",
        f"{predictions}:6: id 'c': value nan; {number}",
    ]
    assert faults[-1] == f"{tmp_path / 'absent.csv'}: cannot be read: No such file or directory"


def test_a_number_beyond_all_floats_is_a_mistake(tmp_path: Path) -> None:
    (tmp_path / "gold.jsonl").write_text('{"id": "a", "value": 1%s}\n' % ("0" * 400))
    faults: list[str] = []
    assert read_table(tmp_path / "gold.jsonl", faults) == {}
    assert len(faults) == 1
    assert faults[0].startswith(f"{tmp_path / 'gold.jsonl'}:1: id 'a': value 1000")


def test_an_unknown_metric_is_reported_beside_the_files(write: Write, tmp_path: Path) -> None:
    gold = write("gold", GOLD)
    assert faults_of("acuracy", gold, gold) == ["unknown metric 'acuracy'; did you mean 'accuracy'?"]
    first, second = faults_of("zzzz", gold, tmp_path / "absent.jsonl")
    assert first.startswith("unknown metric 'zzzz'; accepted: acc_2, acc_7, accuracy, au_f1")
    assert second.startswith(f"{tmp_path / 'absent.jsonl'}: no such file")


def test_records_are_gold_and_what_evaluate_writes_are_predictions(tmp_path: Path) -> None:
    gold, predictions = tmp_path / "records.jsonl", tmp_path / "completions.jsonl"
    targets = {"a": {"label": "joy", "labels": ["joy", "pride"]}, "b": {"label": "fear", "labels": ["fear"]}}
    write_rows(gold, [{"id": key, "target": target} for key, target in targets.items()])
    # the label and labels that stand beside the answers are gold, repeated
    write_rows(predictions, [
        {"id": "a", "label": "joy", "labels": ["joy", "pride"], "answers": ["pride", "joy"], "confidence": 0.6},
        {"id": "b", "label": "fear", "labels": ["fear"], "answers": [], "confidence": None},
    ])  # fmt: skip
    result = metric_of_files("accuracy", gold, predictions)
    assert (result["accuracy"], result["unparsed"], result["missing"]) == (0.0, 1, 0)
    assert metric_of_files("set_f1", gold, predictions)["set_f1"] == 0.5


@pytest.mark.parametrize("text", ["", "id,label\n"])
def test_a_file_without_rows_is_a_mistake(tmp_path: Path, text: str) -> None:
    gold, predictions = tmp_path / "gold.csv", write_rows(tmp_path / "predictions.csv", GOLD)
    gold.write_text(text)
    assert faults_of("accuracy", gold, predictions) == [f"{gold}: holds no rows"]
    assert faults_of("accuracy", predictions, gold) == [f"{gold}: holds no rows"]


def test_a_file_that_is_no_text_is_a_mistake(tmp_path: Path) -> None:
    for path in (tmp_path / "gold.csv", tmp_path / "gold.jsonl"):
        path.write_bytes(b"id,label\na,\xff\n")
        (fault,) = faults_of("accuracy", path, write_rows(tmp_path / "predictions.csv", GOLD))
        assert fault.startswith(f"{path}: ")
        assert "utf-8" in fault.lower()


def test_gold_must_have_what_the_metric_reads(write: Write) -> None:
    gold = write("gold", [{"id": "a", "label": "joy", "text": "she smiles"}])
    (fault,) = faults_of("ca_mer", gold, gold)
    assert fault.startswith(f"{gold}: no row has label and subset, which ca_mer reads; columns: id, ")


@pytest.mark.parametrize(
    ("metric", "row", "labels", "message"),
    [
        ("au_f1", {"labels": ["AU04"]}, (), "action unit 'AU04' given; accepted: AU and its number"),
        ("uar", {"label": "pride"}, ("joy", "fear"), "gold label 'pride' given; accepted: joy, fear"),
        ("macro_f1", {"label": "joy"}, ("joy", "Joy"), "labels name a class twice"),
        ("esj", {"label": "perhaps"}, (), "gold answer 'perhaps'; accepted: correct, incorrect"),
        ("emoprefer", {"label": "same"}, (), "gold preference 'same'; accepted: a1, a2"),
        ("ca_mer", {"label": "joy", "subset": "video"}, (), "unknown CA-MER subset 'video'"),
    ],
)
def test_gold_that_a_metric_refuses_is_the_user_s_mistake(write: Write, metric: str, row: dict, labels: tuple[str, ...], message: str) -> None:
    gold = write("gold", [{"id": "a", **row}])
    (fault,) = faults_of(metric, gold, gold, Options(labels))
    assert fault.startswith(f"{gold}: {message}")


@pytest.mark.parametrize("metric", ["accuracy", "macro_f1"])
def test_against_is_the_plain_difference(write: Write, metric: str) -> None:
    gold = write("gold", GOLD)
    ours = write("ours", GOLD[:3])
    theirs = write("theirs", [{"id": "d", "label": "joy"}, *GOLD[1:2], {"id": "c", "label": "fear"}])
    result = metric_of_files(metric, gold, ours, against=theirs, num_bootstrap=30)
    other = metric_of_files(metric, gold, theirs, num_bootstrap=1)
    assert result["difference"]["value"] == pytest.approx(result[metric] - other[metric])
    assert result["difference"]["value"] > 0
    assert result["difference"]["low"] <= result["difference"]["value"] <= result["difference"]["high"]
    swapped = metric_of_files(metric, gold, theirs, against=ours, num_bootstrap=1)["difference"]
    assert swapped["value"] == pytest.approx(-result["difference"]["value"])


def test_groups_have_their_own_numbers_and_a_plain_mean(write: Write) -> None:
    kinds = ["photo", "photo", "photo", "drawing"]
    gold = write("gold", [{**row, "kind": kind} for row, kind in zip(GOLD, kinds, strict=True)])
    result = metric_of_files("accuracy", gold, write("predictions", GOLD[:2]), by="kind")
    # photo: 2 of 3 right, drawing: 0 of 1; (2/3 + 0) / 2
    assert result["groups"] == {"photo": {"accuracy": pytest.approx(2 / 3), "n": 3}, "drawing": {"accuracy": 0.0, "n": 1}}
    assert result["macro"] == pytest.approx(1 / 3)
    assert result["accuracy"] == 0.5


def test_a_column_that_gold_does_not_have_makes_no_groups(write: Write) -> None:
    gold = write("gold", [{**row, "kind": "photo"} for row in GOLD])
    assert faults_of("accuracy", gold, gold, by="kinds") == [f"{gold}: no column 'kinds' for groups; did you mean 'kind'?"]


def test_a_class_that_a_group_or_a_resample_lacks_is_still_a_class(write: Write) -> None:
    gold = write("gold", [{"id": key, "label": label, "kind": kind} for key, label, kind in zip("abc", ("joy", "joy", "fear"), "xxy", strict=True)])
    predictions = write("predictions", [{"id": "a", "label": "joy"}, {"id": "b", "label": "fear"}, {"id": "c", "label": "fear"}])
    # in x: joy 2 * 1 / (1 + 2) = 2/3, fear is answered and never gold, 0
    assert metric_of_files("macro_f1", gold, predictions, by="kind", num_bootstrap=1)["groups"]["x"]["macro_f1"] == pytest.approx(1 / 3)


def test_the_seed_decides_the_interval(write: Write) -> None:
    gold, predictions = write("gold", GOLD), write("predictions", GOLD[:2])
    once, again = (metric_of_files("accuracy", gold, predictions, seed=3, num_bootstrap=20) for _ in range(2))
    assert once == again


def test_a_published_scorer_reads_the_completion(write: Write) -> None:
    gold = write("gold", [{"id": "a", "label": "anger"}, {"id": "b", "label": "joy"}, {"id": "c", "label": "joy"}])
    predictions = write("predictions", [
        {"id": "a", "label": "joy", "completion": "<answer>danger</answer><confidence>0.9</confidence>"},
        {"id": "b", "label": "joy", "completion": "No joy here: <answer>anger</answer>"},
        {"id": "c", "label": "joy", "completion": "<answer>surprise</answer>"},
    ])  # fmt: skip
    # our own reading of the labels: b and c; the scorer's: anger in `danger`, then anger, then nothing
    assert metric_of_files("accuracy", gold, predictions)["accuracy"] == pytest.approx(2 / 3)
    published = metric_of_files("accuracy", gold, predictions, compat="vecbench")
    assert published["accuracy"] == pytest.approx(1 / 3)
    assert published["unparsed"] == 1
    # a right at 0.9: 0.1 / 3; b and c state none, which costs 1 each
    assert metric_of_files("ece", gold, predictions, compat="vecbench")["ece"] == pytest.approx(2.1 / 3)


def test_a_published_scorer_reads_the_others_too(write: Write) -> None:
    gold = write("gold", [{"id": "a", "label": "anger"}, {"id": "b", "label": "joy"}])
    ours = write("ours", [{"id": "a", "completion": "<answer>danger</answer>"}, {"id": "b", "completion": "joy"}])
    theirs = write("theirs", [{"id": "a", "completion": "<answer>joy</answer>"}, {"id": "b", "completion": "joy"}])
    assert metric_of_files("accuracy", gold, ours, against=theirs, compat="vecbench")["difference"]["value"] == 0.5


def test_a_published_scorer_needs_completions_and_a_known_name(write: Write) -> None:
    gold = write("gold", GOLD)
    assert faults_of("accuracy", gold, gold, compat="vecbench")[0] == f"{gold}: id 'a': no completion, which compat vecbench reads"
    predictions = write("predictions", [{"id": "a", "completion": "joy"}])
    assert faults_of("accuracy", gold, predictions, compat="vecbanch") == ["unknown published scorer 'vecbanch'; did you mean 'vecbench'?"]


def test_the_official_wheels_can_be_asked_for(write: Write, tmp_path: Path) -> None:
    folder = tmp_path / "emotion_wheel"
    folder.mkdir()
    (folder / "format.csv").write_text('name,format\nhappy,"joy,happiness"\nangry,anger\n')
    sheets = {"synonym": [["word_run1", "synonym_run1"], ["happy", "['glad']"], ["angry", "[]"]]}
    sheets |= {f"wheel{number}": [["level1", "level2", "level3"], ["happy", "glad", "joyful"], ["angry", "mad", "furious"]] for number in range(1, 6)}
    for name, rows in sheets.items():
        book = Workbook()
        for row in rows:
            book.active.append(row)
        book.save(folder / f"{name}.xlsx")
    gold = write("gold", [{"id": "a", "labels": ["joy"]}, {"id": "b", "labels": ["anger"]}, {"id": "c", "labels": ["neutral"]}])
    predictions = write("predictions", [{"id": "a", "labels": ["happiness", "invented"]}, {"id": "b", "labels": ["joy", "anger"]}])
    result = metric_of_files("wheel_f", gold, predictions, Options(wheels=official_wheels(folder)))
    # a: the invented word is dropped, P 1, R 1; b: P 1/2, R 1; c is in no wheel. P 3/4, R 1, f = 2 * 0.75 / 1.75
    assert (result["precision"], result["recall"], result["f"]) == (0.75, 1.0, pytest.approx(6 / 7))
    assert (result["n"], result["skipped"], list(result["by_wheel"])) == (2, 1, ["wheel1", "wheel2", "wheel3", "wheel4", "wheel5"])


def test_labels_are_a_space_by_name_or_words() -> None:
    assert named_labels("joy, very sad ,") == ("joy", "very sad")
    assert named_labels("") == ()
    assert len(named_labels("shaver_6_disgust_neutral")) == 8
    assert "anger" in named_labels("shaver_6_disgust_neutral")


def test_every_metric_reads_columns_that_a_file_can_have() -> None:
    assert {column for metric in METRICS.values() for column in metric.reads} == {"label", "labels", "value", "text", "subset", "cues"}


def test_calibration_of_predictions_without_a_confidence_is_refused(tmp_path: Path) -> None:
    (tmp_path / "gold.csv").write_text("id,label\na,joy\n")
    with pytest.raises(UserError, match=r"gold.csv: no row has a confidence, which ece reads"):
        metric_of_files("ece", tmp_path / "gold.csv", tmp_path / "gold.csv")


def test_a_long_list_of_faults_is_cut(tmp_path: Path) -> None:
    (tmp_path / "gold.csv").write_text("id,label\n" + ",joy\n" * 50)
    with pytest.raises(UserError) as caught:
        metric_of_files("accuracy", tmp_path / "gold.csv", tmp_path / "gold.csv")
    assert len(caught.value.faults) == 21 and caught.value.faults[-1] == "and 80 more of these"
