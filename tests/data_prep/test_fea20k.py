"""FEA-20K: files by set, split and stage; units with zeros, empty lists that mean two things, labels of AffectNet, renamed pictures."""

import json
from typing import Any


def lines(*rows: dict[str, Any]) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


def row(identifier: str, dataset: str, image: str, units: list[str], labels: list[str], **fields: Any) -> dict[str, Any]:
    return {"id": identifier, "dataset": dataset, "image": image, "question": "<image>\nWhat does this face show?", "AUs": units, "labels": labels,
            "description": "Brows are drawn together (AU4).", "meta_info": {}, **fields}  # fmt: skip


TREE = {
    "RAF-DB-Train-stage1.jsonl": lines(
        row("1", "RAF-DB", "train_00001.jpg", ["AU04", "AU1", "AU12", "AU1"], ["Sadness", "fear"]),
        row("2", "RAF-DB", "train_00002.jpg", [], ["happiness"], description="<think>Cheeks raised (AU6).</think><answer>happiness</answer>"),
        row("3", "RAF-DB", "train_00003.jpg", ["AU9"], ["contempt"]),
        row("4", "RAF-DB", "train_00001.jpg", [], ["anger"], is_valid=False),
        row("5", "RAF-DB", "train_00002.jpg", ["AU12", "AU99"], ["fear"]),
    ),
    "RAF-DB-Train-stage3.jsonl": lines(row("1", "RAF-DB", "train_00001.jpg", ["AU4"], ["sadness"], description="Later.")),
    "RAF-DB-Test.jsonl": lines(row("1", "RAF-DB", "test_0001.jpg", [], ["anger"])),
    "DISFA-Train-stage1.jsonl": lines(row("9", "DISFA", "SN002/17.png", [], []), row("8", "DISFA", "SN002/18.png", ["AU1"], [])),
    "AffectNet-Train-stage1.jsonl": lines(row("a", "AffectNet", "x.jpg", [], ["contempt"])),
    "FER2013-Test.jsonl": lines(row("f", "FER2013", "renamed.png", [], ["fear"])),
    "other.jsonl": lines({"x": 1}),
    **{f"RAF-DB-Train/train_0000{number}.jpg": b"picture" for number in (1, 2, 3)}, "RAF-DB/test_0001.jpg": b"picture",
    "DISFA/SN002/17.png": b"picture", "DISFA/SN002/18.png": b"picture", "x.jpg": b"picture",
}  # fmt: skip


def test_units_labels_and_reasoning(convert) -> None:
    converted = convert("fea20k", TREE, "--max-bad-share", "0.5")
    records = converted.records
    assert sorted(records) == ["AffectNet_train_a", "DISFA_train_8", "DISFA_train_9", "RAF-DB_test_1", "RAF-DB_train_1", "RAF-DB_train_2"]
    first = records["RAF-DB_train_1"]
    assert first.target.action_units == {"AU1": None, "AU4": None, "AU12": None}
    assert (first.target.label, first.target.labels, first.target.label_space) == ("sadness", ["sadness", "fear"], "fea_20k_7")
    assert first.question == "What does this face show?" and first.target.reasoning == "Brows are drawn together (AU4)."
    assert first.media.images == ["media/RAF-DB-Train/train_00001.jpg"] and first.dataset == "fea20k/raf_db"
    assert records["RAF-DB_train_2"].target.reasoning == "Cheeks raised (AU6)." and records["RAF-DB_test_1"].split == "test"
    assert (records["AffectNet_train_a"].target.label, records["AffectNet_train_a"].target.label_space) == ("contempt", "ekman_8")
    assert converted.account["left_out"] == {"of another stage": 1, "marked as not valid": 1}


def test_an_empty_list_is_no_unit_only_where_units_are_coded(convert) -> None:
    records = convert("fea20k", TREE, "--max-bad-share", "0.5").records
    assert records["DISFA_train_9"].target.action_units == {} and records["DISFA_train_9"].target.label is None
    assert records["RAF-DB_train_2"].target.action_units is None
    assert records["DISFA_train_9"].group == records["DISFA_train_8"].group == "DISFA/SN002"


def test_what_is_wrong_is_told(convert) -> None:
    converted = convert("fea20k", TREE)
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("FER2013-Test.jsonl:1", "image is not there"), ("RAF-DB-Train-stage1.jsonl:3", "label is not of fea_20k_7"),
        ("RAF-DB-Train-stage1.jsonl:5", "no action unit of FACS"),
    ]  # fmt: skip
    assert "its pictures were renamed" in converted.faults[0]["found"]


def test_a_later_stage_replaces_the_training_files(convert) -> None:
    records = convert("fea20k", TREE, "--stage", "3", "--max-bad-share", "0.5").records
    assert sorted(records) == ["RAF-DB_test_1", "RAF-DB_train_1"] and records["RAF-DB_train_1"].target.reasoning == "Later."
