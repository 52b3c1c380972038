"""What is said of nodes that differ."""

import re
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import TINY

from emoreason.node_facts import Facts, compare, leave_mark, look, model_files, unseen_marks
from emoreason.recipe_files import load_recipe

GIGABYTE = 10**9
FIRST = Facts("n1", num_gpus=8, versions={"torch": "2.9.0", "vllm": "0.29.0"}, files={"r.yaml": "aa"}, model={"config.json": 100},
              free_bytes=GIGABYTE, clock=1000.0, reduce_s=0.01)  # fmt: skip


def stage2(**overrides: str):
    return load_recipe(TINY / "stage2_confidence.yaml", [f"{key}={value}" for key, value in overrides.items()])


def test_nodes_that_are_alike_have_no_fault() -> None:
    assert compare([FIRST, replace(FIRST, node="n2", clock=1004.9)], stage2()) == []


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"num_gpus": 7}, "n1 and n2: 8 and 7 GPUs; ask for nodes of one kind"),
        ({"versions": {"torch": "2.9.0"}}, "n1 and n2: vllm 0.29.0 and none; activate the same environment on every node"),
        ({"files": {"r.yaml": "bb"}}, "n1 and n2: r.yaml differs between them"),
        ({"model": {"config.json": 101}}, "n1 and n2: model.path: not the same files: config.json; copy the folder again"),
        ({"model": None}, "n1 and n2: model.path: is on one of them alone"),
        ({"clock": 1005.5}, "n1 and n2: their clocks are 5.5 s apart; accepted: 5"),
        ({"free_bytes": 150}, "n2: output_dir: .*: 0.0 GB are free; needed: 0.0, twice the model"),
        ({"faults": ["records.jsonl: no such file"]}, "n2: records.jsonl: no such file"),
    ],
)
def test_each_difference_is_a_fault_that_names_both_nodes(change: dict, fault: str) -> None:
    found = compare([FIRST, replace(FIRST, node="n2", **change)], stage2())
    assert len(found) == 1 and re.match(fault, found[0])


def test_a_fault_of_all_nodes_is_told_once() -> None:
    assert compare([replace(FIRST, node=node, faults=["x: no such file"]) for node in ("n1", "n2")], None) == ["every node: x: no such file"]


def test_a_node_tells_the_recipe_its_records_and_the_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(TINY.parents[1])
    (tmp_path / "config.json").write_text("{}")
    facts, recipe = look(TINY / "stage2_confidence.yaml", [f"model.path={tmp_path}"], "n1", 0)
    assert recipe is not None and facts.faults == []
    assert [Path(path).name for path in facts.files] == ["stage2_confidence.yaml", "calibration.jsonl", "train.jsonl"]
    assert facts.model == {"config.json": 2} and {"python", "torch", "emoreason"} <= facts.versions.keys()


def test_what_a_node_does_not_see_is_a_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    facts, _ = look(TINY / "stage2_confidence.yaml", [], "n1", 0)
    assert [fault.partition(":")[0] for fault in facts.faults] == [
        "recipes/tiny/data/calibration.jsonl", "recipes/tiny/data/train.jsonl", "model.path"]  # fmt: skip
    assert look(tmp_path / "absent.yaml", [], "n1", 0)[0].faults[0].endswith(f"no such recipe (relative paths start at {tmp_path})")


def test_a_model_that_is_made_or_fetched_later_is_no_fault(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert model_files("nobody/has-this-model") is None
    facts = look(TINY / "stage2_confidence.yaml", ["model.path=nobody/has-this-model", "data=[]"], "n1", 0)[0]
    assert (facts.model, facts.faults) == (None, [])


def test_marks_of_others_are_seen_or_missed(tmp_path: Path) -> None:
    facts = Facts("n1")
    leave_mark(tmp_path / "run" / ".mark_0", facts)
    assert facts.faults == [] and facts.free_bytes > 0
    marks = {"n1": tmp_path / "run" / ".mark_0", "n2": tmp_path / "run" / ".mark_1"}
    assert unseen_marks(marks, patience_s=0.1) == ["n2"]
    (tmp_path / "file").write_text("")
    leave_mark(tmp_path / "file" / ".mark_0", facts)
    assert re.match(r"output_dir: .*/file: cannot be written: ", facts.faults[0])
