"""A run's folder belongs to one run, is whole after any interrupt, and says what made it."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from emoreason.faults import UserError
from emoreason.files import sha256
from emoreason.run_dir import RunDir, publish

RECIPE = {"stage": "sft", "seed": 0, "model": {"path": "runs/base", "lora": None}, "trainer": {"learning_rate": 1.0e-5, "max_steps": 10}}

KILLED_WHILE_REMOVING = """
import os, sys
from pathlib import Path
from emoreason.run_dir import publish

removed = []

def kill_at_the_second_removal(event, arguments):
    if event == "os.remove":
        removed.append(arguments)
        if len(removed) == 2:
            os._exit(9)

sys.addaudithook(kill_at_the_second_removal)
publish(Path(sys.argv[1]), Path(sys.argv[2]))
"""


@pytest.fixture
def data(tmp_path: Path) -> str:
    path = tmp_path / "train.jsonl"
    path.write_text("{}\n")
    return str(path)


@pytest.fixture
def run_dir(tmp_path: Path) -> RunDir:
    return RunDir(tmp_path / "runs" / "a")


def refusal(run_dir: RunDir, recipe: dict, data: list[str]) -> str:
    with pytest.raises(UserError) as caught:
        run_dir.begin(recipe, data, "runs/base")
    (fault,) = caught.value.faults
    return fault


def test_a_run_begins_goes_on_and_ends(run_dir: RunDir, data: str) -> None:
    assert run_dir.manifest is None and not run_dir.is_finished
    assert run_dir.begin(RECIPE, [data], "runs/base") is True
    assert not run_dir.is_finished
    started = run_dir.manifest
    assert run_dir.begin(RECIPE, [data], "runs/base") is True, "a run that was cut off goes on"
    assert run_dir.manifest == started
    (run_dir.trainer_path / "checkpoint-5").mkdir(parents=True)
    run_dir.finish(num_pairs=3)
    assert run_dir.is_finished
    assert not run_dir.trainer_path.exists(), "only resuming needs it"
    assert run_dir.begin(RECIPE, [data], "runs/base") is False, "nothing is left to do"
    assert run_dir.manifest["num_pairs"] == 3


def test_the_manifest_says_what_made_the_run(run_dir: RunDir, data: str) -> None:
    run_dir.begin(RECIPE, [data], "runs/base")
    manifest = json.loads((run_dir.path / "run.json").read_text())
    assert manifest["status"] == "running" and manifest["finished"] is None
    assert manifest["recipe"] == RECIPE
    assert manifest["data"] == {data: sha256(Path(data))}
    assert manifest["parent"] == "runs/base"
    assert {"emoreason", "torch", "transformers", "trl"} <= manifest["versions"].keys()


@pytest.mark.parametrize(
    ("changes", "difference"),
    [
        ({"seed": 1}, "seed: 0 -> 1"),
        ({"trainer": {"learning_rate": 2.0e-5, "max_steps": 10}}, "trainer.learning_rate: 1e-05 -> 2e-05"),
        ({"trainer": {"learning_rate": 1.0e-5}}, "trainer.max_steps: 10 -> None"),
        ({"model": {"path": "runs/base", "lora": {"r": 8}}}, "model.lora: None -> {'r': 8}"),
        ({"stage": "dpo", "seed": 3}, "seed: 0 -> 3; stage: sft -> dpo"),
    ],
)
@pytest.mark.parametrize("finished", [False, True])
def test_another_run_is_refused_with_what_differs(run_dir: RunDir, data: str, changes: dict, difference: str, finished: bool) -> None:
    run_dir.begin(RECIPE, [data], "runs/base")
    if finished:
        run_dir.finish()
    before = run_dir.manifest
    assert refusal(run_dir, {**RECIPE, **changes}, [data]) == (
        f"{run_dir.path}: holds another run ({difference}); choose another output_dir, or remove the folder to start anew"
    )
    assert run_dir.manifest == before


def test_a_data_file_that_changed_is_another_run(run_dir: RunDir, data: str) -> None:
    run_dir.begin(RECIPE, [data], "runs/base")
    Path(data).write_text("{}\n{}\n")
    assert f"holds another run (data {data}: " in refusal(run_dir, RECIPE, [data])


def test_a_data_file_more_is_another_run(run_dir: RunDir, data: str) -> None:
    run_dir.begin(RECIPE, [data], "runs/base")
    more = Path(data).with_name("more.jsonl")
    more.write_text("{}\n")
    assert f"data {more}: None -> " in refusal(run_dir, RECIPE, [data, str(more)])


def test_many_differences_are_counted(run_dir: RunDir) -> None:
    run_dir.begin({f"key{number}": 0 for number in range(9)}, [], None)
    assert "; and 4 more)" in refusal(run_dir, {f"key{number}": 1 for number in range(9)}, [])


def test_a_folder_with_other_files_is_refused_and_left_alone(run_dir: RunDir, data: str) -> None:
    run_dir.path.mkdir(parents=True)
    (run_dir.path / "thesis.txt").write_text("mine")
    assert refusal(run_dir, RECIPE, [data]) == f"{run_dir.path}: holds files but no run.json; choose another output_dir or empty the folder"
    assert [path.name for path in run_dir.path.iterdir()] == ["thesis.txt"]


def test_a_file_in_place_of_the_folder_is_refused(run_dir: RunDir, data: str) -> None:
    run_dir.path.parent.mkdir(parents=True)
    run_dir.path.write_text("a file")
    assert refusal(run_dir, RECIPE, [data]) == f"{run_dir.path}: is a file; choose another output_dir"


def test_what_a_killed_process_leaves_behind_is_no_other_run(run_dir: RunDir, data: str) -> None:
    (run_dir.path / ".tmp_checkpoint").mkdir(parents=True)
    (run_dir.path / ".tmp_run.json").write_text("{")
    assert run_dir.begin(RECIPE, [data], "runs/base") is True


def test_metrics_are_a_line_a_step(run_dir: RunDir) -> None:
    run_dir.log({"step": 1, "loss": 2.5})
    run_dir.log({"step": 2, "loss": 1.5})
    assert [json.loads(line)["loss"] for line in run_dir.metrics_path.read_text().splitlines()] == [2.5, 1.5]


def folder(path: Path, version: str, num_files: int = 5) -> Path:
    path.mkdir(parents=True)
    for number in range(num_files):
        (path / f"{number}.txt").write_text(version)
    return path


def content(path: Path) -> list[str]:
    return [file.read_text() for file in sorted(path.iterdir())]


def test_a_published_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    final = folder(tmp_path / "checkpoint", "old", 7)
    publish(folder(tmp_path / ".tmp_checkpoint", "new"), final)
    assert content(final) == ["new"] * 5
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]


def test_the_first_one_needs_no_old_one(tmp_path: Path) -> None:
    publish(folder(tmp_path / ".tmp_checkpoint", "new"), tmp_path / "checkpoint")
    assert content(tmp_path / "checkpoint") == ["new"] * 5


def test_a_kill_in_the_middle_leaves_a_whole_folder_and_the_next_try_works(tmp_path: Path) -> None:
    final, temporary = folder(tmp_path / "checkpoint", "old"), folder(tmp_path / ".tmp_checkpoint", "new")
    done = subprocess.run([sys.executable, "-c", KILLED_WHILE_REMOVING, str(temporary), str(final)], check=False)
    assert done.returncode == 9, "it was removing the old files"
    assert content(final) in (["old"] * 5, ["new"] * 5)
    shutil.rmtree(temporary, ignore_errors=True)
    publish(folder(temporary, "newer"), final)
    assert content(final) == ["newer"] * 5
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint"]
