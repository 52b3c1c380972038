"""Methods compared by hand, from files that an evaluation writes; the pictures are there and of the right content."""

import json
import struct
import sys
from pathlib import Path

import pytest

from emoreason import cli
from emoreason.confidence_report import (
    compare,
    compare_evaluations,
    comparison_table,
    evaluated_methods,
    histogram_table,
    reliability_bins,
    write_comparison,
)
from emoreason.faults import UserError
from emoreason.files import read_json, write_json, write_jsonl
from emoreason.metrics.calibration import aurc, expected_risks

RIGHT = [True, True, True, False, True, False, False, False]
STATED = [0.95, 0.95, 0.75, 0.75, 0.35, 0.35, 0.35, None]


def answered(place: int, **changes: object) -> dict:
    confidence, right = STATED[place], RIGHT[place]
    return {"id": f"r{place}", "group": f"g{place // 2}", "label": "joy", "labels": ["joy"], "completion": "...",
            "answers": ["joy" if right else "fear"], "is_right": right, "confidence": confidence, "sequence_probability": 0.9,
            "problems": [], **changes}  # fmt: skip


def evaluated(run: Path, rows: list[dict], tags: tuple[str, ...] = ("think", "answer", "confidence"), test: str = "held_out") -> Path:
    write_jsonl(run / "eval" / f"{test}.jsonl", rows)
    write_json(run / "eval" / f"{test}.json", {"n": len(rows), "metrics": {}, "settings": {"template": list(tags)}})
    return run


def test_bins_have_counts_accuracy_and_wilson_intervals() -> None:
    upper, middle, lower = reliability_bins(STATED, RIGHT)[::-1]
    assert (upper["bin"], upper["n"], upper["mean_confidence"], upper["accuracy"]) == (9, 2, 0.95, 1.0)
    assert (middle["bin"], middle["n"], middle["mean_confidence"], middle["accuracy"]) == (7, 2, 0.75, 0.5)
    assert (lower["bin"], lower["n"], lower["accuracy"]) == (3, 3, pytest.approx(1 / 3))
    # Wilson: (p + z^2 / 2n +- z sqrt(p (1 - p) / n + z^2 / 4n^2)) / (1 + z^2 / n) with z = 1.959964; for 2 of 2 that is 2 / (2 + z^2) to 1.
    assert (upper["low"], upper["high"]) == (pytest.approx(0.342372, abs=1e-5), pytest.approx(1.0))
    # For 1 of 2: 1/2 +- z sqrt(1/8 + z^2/16) / (1 + z^2/2) = 0.5 +- 0.405470.
    assert (middle["low"], middle["high"]) == (pytest.approx(0.094530, abs=1e-5), pytest.approx(0.905470, abs=1e-5))


def test_a_confidence_of_one_is_in_the_last_bin_and_none_in_no_bin() -> None:
    assert [(one["bin"], one["n"], one["accuracy"]) for one in reliability_bins([1.0, 0.9, None], [False, True, True])] == [(9, 2, 0.5)]
    assert reliability_bins([None], [True]) == []


def test_methods_are_compared_on_the_same_answers() -> None:
    found = compare({"constant": [0.5] * 8, "stated": STATED}, RIGHT)
    assert (found["n"], found["accuracy"]) == (8, 0.5)
    constant, stated = found["methods"]["constant"], found["methods"]["stated"]
    assert {key: constant[key] for key in ("n", "mean_confidence", "ece", "brier", "auroc", "aurc")} == {
        "n": 8, "mean_confidence": 0.5, "ece": 0.0, "brier": 0.25, "auroc": 0.5, "aurc": 0.5}  # fmt: skip
    assert stated["n"] == 7
    assert stated["mean_confidence"] == pytest.approx(4.45 / 7)
    # Bins: 2 rows with gap 0.05, 2 with 0.25, 3 with |1/3 - 0.35| and the unreadable one, which costs 1.
    assert stated["ece"] == pytest.approx((2 * 0.05 + 2 * 0.25 + 0.05 + 1) / 8)
    # 2 * 0.05^2 + 0.25^2 + 0.75^2 + 0.65^2 + 2 * 0.35^2 + 1.
    assert stated["brier"] == pytest.approx((0.005 + 0.0625 + 0.5625 + 0.4225 + 0.245 + 1) / 8)
    # Of 16 pairs the two at 0.95 win 4 each; 0.75 wins 3 and ties 1; 0.35 wins 1 and ties 2.
    assert stated["auroc"] == pytest.approx((8 + 3.5 + 2) / 16)


def test_a_temperature_changes_no_order() -> None:
    folds = {"sequence_probability": STATED, "temperature_scaled": [0.5, 0.5, 0.9, 0.9, 0.5, 0.5, 0.5, 0.5]}
    plain, scaled = compare(folds, RIGHT)["methods"].values()
    assert (scaled["auroc"], scaled["aurc"]) == (plain["auroc"], plain["aurc"])
    assert scaled["brier"] == pytest.approx((6 * 0.25 + 0.01 + 0.81) / 8)


def test_risks_are_the_curve_whose_mean_is_the_aurc() -> None:
    # The two at 0.95 are right; of the two at 0.75 either comes first: 0.5 / 3, then 1 / 4.
    risks = expected_risks(STATED, RIGHT)
    assert risks[:4] == pytest.approx([0, 0, 0.5 / 3, 1 / 4])
    assert risks[-1] == 0.5
    assert aurc(STATED, RIGHT) == pytest.approx(sum(risks) / 8)
    assert expected_risks([0.5] * 8, RIGHT) == pytest.approx([0.5] * 8)


def test_an_evaluation_gives_what_is_stated_beside_what_comes_for_nothing(tmp_path: Path) -> None:
    rows = [answered(place) for place in range(8)]
    rows[6]["answers"] = []  # a confidence in no answer
    rows.append(answered(0, id="unlabelled", label=None, is_right=None))
    run = evaluated(tmp_path / "run", rows)
    methods, right = evaluated_methods(run / "eval/held_out.json")
    assert right == RIGHT
    assert methods["stated"] == [0.95, 0.95, 0.75, 0.75, 0.35, 0.35, None, None]
    assert methods["constant"] == [0.5] * 8
    assert methods["sequence_probability"] == [0.9] * 8
    # Four groups of two, each scaled by the others: g0 is all right, so the other six are 2 of 6 and the best T is the largest.
    scaled = methods["temperature_scaled"]
    assert scaled[0] == scaled[1] == pytest.approx(0.511, abs=1e-3)
    assert scaled[6] == scaled[7] == pytest.approx(2 / 3, abs=1e-3)  # the others are 4 of 6
    assert list(methods) == ["constant", "sequence_probability", "temperature_scaled", "stated"]


def test_a_template_without_confidence_states_none(tmp_path: Path) -> None:
    run = evaluated(tmp_path / "run", [answered(place, confidence=None) for place in range(8)], tags=("think", "answer"))
    assert "stated" not in evaluated_methods(run / "eval/held_out.json")[0]
    silent = evaluated(tmp_path / "silent", [answered(place, confidence=None) for place in range(8)])
    compared = compare_evaluations([silent])[0][0][2]["methods"]["stated"]
    assert (compared["n"], compared["mean_confidence"], compared["ece"], compared["brier"], compared["bins"]) == (0, None, 1.0, 1.0, [])


def size_of(path: Path) -> tuple[int, int]:
    head = path.read_bytes()[:24]
    assert head[:8] == b"\x89PNG\r\n\x1a\n"
    return struct.unpack(">II", head[16:24])


def test_files_lie_beside_the_evaluation_and_are_no_evaluation(tmp_path: Path) -> None:
    run = evaluated(tmp_path / "run", [answered(place) for place in range(8)], test="a.b")
    (run_name, test, compared), = compare_evaluations([run])[0]
    assert (run_name, test) == (str(run), "a.b")
    folder = run / "eval/confidence"
    assert sorted(path.name for path in folder.iterdir()) == ["a.b.json", "a.b_reliability.png", "a.b_risk_coverage.png"]
    assert read_json(folder / "a.b.json") == compared
    assert [path.name for path in (run / "eval").glob("*.json")] == ["a.b.json"]
    assert all(min(size_of(path)) > 500 for path in folder.glob("*.png"))


@pytest.mark.parametrize("num_methods", [1, 2, 4, 5])
def test_pictures_have_a_panel_for_each_method(tmp_path: Path, num_methods: int) -> None:
    names = ["constant", "sequence_probability", "temperature_scaled", "agreement", "target"][:num_methods]
    write_comparison(tmp_path / "confidence", {name: STATED for name in names}, RIGHT)
    width, height = size_of(tmp_path / "confidence_reliability.png")
    columns, rows = {1: (1, 1), 2: (2, 1), 4: (2, 2), 5: (3, 2)}[num_methods]
    assert (width, height) == (150 * 3.8 * columns, round(150 * (4.4 * rows + 0.4)))


def test_all_right_has_no_auroc_and_is_drawn(tmp_path: Path) -> None:
    found = write_comparison(tmp_path / "confidence", {"stated": [0.9, 0.8]}, [True, True])
    assert found["methods"]["stated"]["auroc"] is None
    table = comparison_table([("run", "test", found)])
    assert [cell.strip() for cell in table.splitlines()[4].split("│")[4:10]] == ["2", "0.850", "0.150", "0.025", "-", "0.000"]


def test_a_table_has_a_row_a_method() -> None:
    table = comparison_table([("runs/one", "held_out", compare({"constant": [0.5] * 8, "stated": STATED}, RIGHT))])
    rows = [[cell.strip() for cell in line.strip("│").split("│")] for line in table.splitlines() if line.startswith("│")]
    assert rows[0] == ["runs/one", "held_out", "constant", "8", "0.500", "0.000", "0.250", "0.500", "0.500"]
    assert rows[1][:4] == ["", "", "stated", "7"]


def test_the_histogram_shows_answers_and_draws() -> None:
    lines = histogram_table({"edges": [0, 0.5, 1], "answers": [30, 2], "draws": [16, 16]}).splitlines()
    assert "0.0-0.5" in lines[1] and "0.5-1.0" in lines[1]
    assert [cell.strip() for cell in lines[3].strip("│").split("│")] == ["answers", "30", "2"]
    assert [cell.strip() for cell in lines[4].strip("│").split("│")] == ["draws", "16", "16"]


def test_rows_of_an_older_evaluation_are_refused_with_what_to_do(tmp_path: Path) -> None:
    old = answered(0)
    del old["sequence_probability"], old["is_right"]
    run = evaluated(tmp_path / "run", [old])
    with pytest.raises(UserError, match=r"held_out.jsonl: rows have no is_right, sequence_probability.*remove .*held_out.json and"):
        compare_evaluations([run])


def test_faults_of_all_tests_are_in_one_report_and_nothing_is_written(tmp_path: Path) -> None:
    run = evaluated(tmp_path / "run", [answered(place) for place in range(8)], test="good")
    for test in ("old", "older"):
        evaluated(run, [{"id": "r0"}], test=test)
    with pytest.raises(UserError) as error:
        compare_evaluations([run])
    assert [Path(fault.split(":")[0]).name for fault in error.value.faults] == ["old.jsonl", "older.jsonl"]
    assert not (run / "eval/confidence").exists()


def test_without_any_label_there_is_nothing_to_compare(tmp_path: Path) -> None:
    run = evaluated(tmp_path / "run", [answered(0, label=None, is_right=None)])
    with pytest.raises(UserError, match="no record has a label"):
        compare_evaluations([run])


def test_runs_without_evaluations_are_all_named(tmp_path: Path) -> None:
    with pytest.raises(UserError) as error:
        compare_evaluations([tmp_path / "one", tmp_path / "two"])
    assert [fault.split(":")[0] for fault in error.value.faults] == [f"{tmp_path}/one", f"{tmp_path}/two"]


def test_the_command_compares_runs_and_folders_of_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    evaluated(tmp_path / "line/stage2", [answered(place) for place in range(8)])
    evaluated(tmp_path / "line/stage2", [answered(0, is_right=None)], test="unlabelled")
    evaluated(tmp_path / "alone", [answered(place) for place in range(4)])
    monkeypatch.setattr(sys, "argv", ["emoreason", "confidence", str(tmp_path / "line"), str(tmp_path / "alone"), "--json"])
    cli.main()
    printed = capsys.readouterr()
    rows = [json.loads(line) for line in printed.out.splitlines()]
    assert [(Path(row["run"]).name, row["test"], row["n"]) for row in rows] == [("stage2", "held_out", 8), ("alone", "held_out", 4)]
    assert printed.err == f"left out: {tmp_path}/line/stage2/eval/unlabelled.json: no record has a label, so no answer is right or wrong\n"
    monkeypatch.setattr(sys, "argv", ["emoreason", "confidence", str(tmp_path / "alone")])
    cli.main()
    assert "temperature scaled" in capsys.readouterr().out
