"""What is read of a run for trackers: one series over phases and requeues, the newest completions, evaluations, one id."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tracked import add, make_run, row

from emoreason.faults import UserError
from emoreason.files import append_jsonl, read_json, write_json
from emoreason.preflight import check_recipe
from emoreason.recipe_files import load_recipe
from emoreason.trackers import (
    missing_package,
    newest_completions,
    read_content,
    read_rows,
    run_id,
    tracked_runs,
    trackers_of,
    unsent,
    with_global_steps,
    write_cursor,
)


def test_the_steps_of_a_phase_come_after_those_of_the_phases_before() -> None:
    rows = [row(2, "cues", loss=3.0), row(4, "cues", loss=2.0), row(4, "cues", train_runtime=9.0), row(1, "label", loss=1.5),
            row(3, "label", loss=1.0)]  # fmt: skip
    assert with_global_steps(rows) == [
        {"phase": "cues", "step": 2, "loss": 3.0, "global_step": 2},
        {"phase": "cues", "step": 4, "loss": 2.0, "train_runtime": 9.0, "global_step": 4},
        {"phase": "label", "step": 1, "loss": 1.5, "global_step": 5},
        {"phase": "label", "step": 3, "loss": 1.0, "global_step": 7},
    ]


def test_what_was_done_again_counts_once_and_the_later_time() -> None:
    rows = [row(1, loss=5.0), row(2, loss=4.0), row(3, loss=3.0), row(2, loss=4.5), row(3, loss=3.5), row(3, train_loss=4.0)]
    assert [(one["global_step"], one["loss"]) for one in with_global_steps(rows)] == [(1, 5.0), (2, 4.5), (3, 3.5)]
    assert with_global_steps(rows)[-1]["train_loss"] == 4.0
    assert [one["step"] for one in with_global_steps([row(9), row(10), row(4)])] == [4], "cut off again before it came as far"


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 30)), max_size=40))
def test_steps_only_grow(places: list[tuple[str, int]]) -> None:
    found = with_global_steps({"phase": phase, "step": step, "loss": 0.0} for phase, step in places)
    steps = [one["global_step"] for one in found]
    assert steps == sorted(steps)
    keys = [(one["phase"], one["step"]) for one in found]
    assert len(set(keys)) == len(keys)
    assert set(keys) <= set(places)


def test_only_what_is_new_is_left_to_be_sent() -> None:
    rows = with_global_steps([row(1, loss=3.0), row(2, loss=2.0), row(2, train_loss=2.5), row(3, loss=1.0)])
    assert unsent(rows, {}) == rows
    assert [one["global_step"] for one in unsent(rows, {"step": 2, "names": ["phase", "step", "global_step", "loss", "train_loss"]})] == [3]
    first = unsent(rows, {"step": 2, "names": ["phase", "step", "global_step", "loss"]})[0]
    assert first == {"phase": "grpo", "step": 2, "global_step": 2, "train_loss": 2.5}
    assert unsent(rows, {"step": 9, "names": []}) == []


def test_rows_are_read_on_from_where_the_last_whole_line_ended(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert read_rows(path) == ([], 0)
    append_jsonl(path, row(1))
    first, offset = read_rows(path)
    with path.open("a") as file:
        file.write('{"phase": "grpo", "st')
    assert (first, read_rows(path, offset)) == ([row(1)], ([], offset))
    with path.open("a") as file:
        file.write('ep": 2, "loss": 0.5}\nnot JSON\n{"other": 1}\n')
    assert read_rows(path, offset) == ([row(2)], path.stat().st_size)
    assert read_rows(path) == ([row(1), row(2)], path.stat().st_size)


def test_the_newest_completions_of_either_form(tmp_path: Path) -> None:
    path = tmp_path / "completions.jsonl"
    assert newest_completions(path) == []
    append_jsonl(path, {"id": "a", "completions": ["x", "y"], "totals": [1.0, 0.0]})
    append_jsonl(path, {"id": "b", "step": 7, "completion": "z", "total": 2.0})
    groups = [{"step": None, "id": "a", "total": 1.0, "completion": "x"}, {"step": None, "id": "a", "total": 0.0, "completion": "y"}]
    single = {"step": 7, "id": "b", "total": 2.0, "completion": "z"}
    assert newest_completions(path) == [*groups, single]
    assert newest_completions(path, 2) == [groups[1], single]
    for index in range(4000):
        append_jsonl(path, {"id": str(index), "step": index, "completion": "long " * 100, "total": 0.0})
    assert [one["id"] for one in newest_completions(path, 3)] == ["3997", "3998", "3999"], "of a file of which only the end is read"


def test_content_is_of_the_run_without_secrets(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", [row(1)], rewards=[{"kwargs": {"api_key": "tulip-" + "garden"}}])
    content = read_content(run)
    assert (content.name, len(content.rows), len(content.completions)) == ("runs/a", 1, 3)
    assert content.summary == {"eval/faces/accuracy": 0.5, "eval/faces/accuracy/low": 0.25, "eval/faces/accuracy/high": 0.75}
    assert content.config["recipe"]["rewards"] == [{"kwargs": {"api_key": "(hidden)"}}]
    assert (content.config["versions"], content.config["commit"]) == ({"torch": "2.9"}, "12" * 20)
    assert read_content(run).digest == content.digest
    add(run, row(2))
    assert read_content(run).digest != content.digest


def test_one_id_a_run_whatever_is_asked_of_it(tmp_path: Path) -> None:
    run, seed, anew = (make_run(tmp_path / name, **settings) for name, settings in (
        ("a", {}), ("b", {"output_dir": "runs/a", "seed": 1}), ("c", {"output_dir": "runs/a", "started": "2026-01-02"})))  # fmt: skip
    assert len({run_id(run), run_id(seed), run_id(anew)}) == 3
    assert run_id(make_run(tmp_path / "elsewhere", output_dir="runs/a", trackers=["wandb"])) == run_id(run), "a copy, and other trackers"
    before = run_id(run)
    write_cursor(run, "wandb", {"step": 3})
    assert read_json(run / "trackers/wandb.json") == {"run_id": before, "step": 3}
    write_json(run / "run.json", {**read_json(run / "run.json"), "started": "2027"})
    assert run_id(run) == before, "kept in the folder"


def test_a_run_and_a_line_are_found(tmp_path: Path) -> None:
    second, first = make_run(tmp_path / "line/a", started="2026-02"), make_run(tmp_path / "line/b", started="2026-01", trackers=["wandb"])
    assert tracked_runs(first) == [first] and tracked_runs(tmp_path / "line") == [first, second]
    assert (trackers_of(first), trackers_of(second)) == (["wandb"], [])
    manifest = read_json(second / "run.json")
    del manifest["recipe"]["trackers"]
    write_json(second / "run.json", manifest)
    assert trackers_of(second) == [], "of a version without trackers"
    for missing in (tmp_path / "absent", tmp_path):
        with pytest.raises(UserError, match=r"no run here or one folder below \(run.json is missing\)"):
            tracked_runs(missing)


def test_a_missing_package_is_found_by_check_and_a_folder_is_no_package(tiny_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recipe = tiny_dir / "stage3_grpo.yaml"
    trackers = "trackers=[wandb, tensorboard]"
    assert not [fault for fault in check_recipe(recipe, load_recipe(recipe, [trackers])) if "trackers" in fault]
    Path("wandb/offline-run-1").mkdir(parents=True)
    monkeypatch.setattr("sys.path", [""])
    monkeypatch.delitem(__import__("sys").modules, "wandb", raising=False)
    assert missing_package("wandb") == "wandb is not installed; run: pip install 'emoreason[wandb]', or leave it out"
    monkeypatch.setattr("emoreason.preflight.missing_package", missing_package)
    faults = [fault for fault in check_recipe(recipe, load_recipe(recipe, [trackers])) if "trackers" in fault]
    assert f"{recipe}: trackers: {missing_package('wandb')}" in faults


def test_trackers_are_those_that_there_are(tiny_dir: Path) -> None:
    with pytest.raises(UserError, match=r"override 'trackers=\[mlflow\]': trackers\[0\]: Input should be 'tensorboard' or 'wandb'"):
        load_recipe(tiny_dir / "stage3_grpo.yaml", ["trackers=[mlflow]"])
    assert json.loads(load_recipe(tiny_dir / "stage3_grpo.yaml", ["trackers=[wandb]"]).model_dump_json())["trackers"] == ["wandb"]
