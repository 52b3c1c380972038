"""Cut off at any moment, the same command goes on: same weights, same log, nothing lost and nothing twice."""

import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import Line
from safetensors.numpy import load_file

pytestmark = pytest.mark.slow


def start(folder: Path, *arguments: str) -> subprocess.Popen:
    command = [sys.executable, "-m", "emoreason", *arguments]
    return subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)


def wait_for(path: Path, process: subprocess.Popen, seconds: float = 300) -> None:
    deadline = time.monotonic() + seconds
    while not path.exists():
        assert process.poll() is None, process.stderr.read()[-3000:]
        assert time.monotonic() < deadline, f"{path} did not appear"
        time.sleep(0.02)


def kill_when(path: Path, process: subprocess.Popen) -> None:
    """`kill -9` as soon as `path` exists."""
    wait_for(path, process)
    process.send_signal(signal.SIGKILL)
    process.wait()


def finish_equal(line: Line, arguments: tuple[str, ...], run: Path, whole: Path) -> str:
    """Run the same command again; what it said. Weights are then those of the run that nothing disturbed."""
    said = line.emoreason(*arguments).stderr
    name = next(path.name for path in (whole / "checkpoint").glob("*.safetensors"))
    assert_same_weights(run / "checkpoint" / name, whole / "checkpoint" / name)
    return said


def steps_of(path: Path) -> list[tuple[str, int]]:
    return [(row["phase"], row["step"]) for row in map(json.loads, path.read_text().splitlines()) if "loss" in row]


def assert_same_weights(one: Path, other: Path) -> None:
    before, after = load_file(one), load_file(other)
    assert before.keys() == after.keys()
    assert not [name for name in before if not (before[name] == after[name]).all()]


def test_sft_killed_in_the_last_phase_ends_with_the_same_weights(line: Line) -> None:
    arguments = ("train", "recipes/tiny/stage1_sft.yaml", "output_dir=runs/killed/stage1_sft")
    run, whole = line.folder / "runs/killed/stage1_sft", line.folder / "runs/tiny/stage1_sft"
    kill_when(run / "trainer/3_reasoning/steps/checkpoint-20/complete.json", start(line.folder, *arguments))
    # What a kill in the middle of a save leaves: a newer checkpoint without its mark.
    torn = run / "trainer/3_reasoning/steps/checkpoint-9999"
    torn.mkdir()
    said = finish_equal(line, arguments, run, whole)
    assert "checkpoint-9999: skipped: complete.json is missing" in " ".join(said.split())
    assert steps_of(run / "metrics.jsonl") == steps_of(whole / "metrics.jsonl")


def test_grpo_killed_in_the_middle_scores_every_step_once(line: Line) -> None:
    arguments = ("train", "recipes/tiny/stage3_grpo.yaml", "output_dir=runs/killed/stage3_grpo")
    run, whole = line.folder / "runs/killed/stage3_grpo", line.folder / "runs/tiny/stage3_grpo"
    kill_when(run / "trainer/checkpoint-2/complete.json", start(line.folder, *arguments))
    line.emoreason(*arguments)
    steps = [json.loads(text)["step"] for text in (run / "completions.jsonl").read_text().splitlines()]
    assert steps == [step for step in range(4) for _ in range(8)]
    assert_same_weights(run / "checkpoint/adapter_model.safetensors", whole / "checkpoint/adapter_model.safetensors")
    assert steps_of(run / "metrics.jsonl") == steps_of(whole / "metrics.jsonl")


def test_ctrl_c_says_that_the_same_command_goes_on(line: Line) -> None:
    arguments = ("train", "recipes/tiny/stage1_sft.yaml", "output_dir=runs/stopped/stage1_sft")
    process = start(line.folder, *arguments)
    wait_for(line.folder / "runs/stopped/stage1_sft/trainer/3_reasoning/steps/checkpoint-10/complete.json", process)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130 and errors.rstrip().endswith("stopped; the same command goes on from here")
    shutil.rmtree(line.folder / "runs/stopped")


def test_no_room_for_a_checkpoint_is_one_line_and_the_same_command_goes_on(line: Line) -> None:
    arguments = ("train", "recipes/tiny/stage1_sft.yaml", "output_dir=runs/full/stage1_sft")
    limit = 4_000_000  # bytes a file may have; the weights have four times as many

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    done = subprocess.run([sys.executable, "-m", "emoreason", *arguments], cwd=line.folder, capture_output=True, text=True, preexec_fn=limited)
    run, whole = line.folder / "runs/full/stage1_sft", line.folder / "runs/tiny/stage1_sft"
    assert done.returncode == 2, done.stderr[-2000:]
    assert done.stderr.splitlines()[-1].startswith("error: a file cannot be written: ") and "Traceback" not in done.stderr
    assert not (run / "checkpoint").exists() and not (run / "trainer/1_cues/model").exists()
    line.emoreason(*arguments)
    assert_same_weights(run / "checkpoint/model.safetensors", whole / "checkpoint/model.safetensors")


def test_asked_to_make_room_it_saves_at_the_next_step_and_goes_on(line: Line) -> None:
    number, code, name = signal.SIGUSR1, 75, "runs/room/stage3_grpo"
    arguments = ("train", "recipes/tiny/stage3_grpo.yaml", f"output_dir={name}", "trainer.save_steps=100")
    run, whole = line.folder / name, line.folder / "runs/tiny/stage3_grpo"
    process = start(line.folder, *arguments)
    wait_for(run / "metrics.jsonl", process)
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code, errors[-3000:]
    assert errors.rstrip().endswith(f"made room on {number.name}; the same command goes on from here")
    (saved,) = (run / "trainer").glob("checkpoint-*")
    assert 1 <= int(saved.name.rpartition("-")[2]) < 4
    finish_equal(line, arguments, run, whole)
    assert steps_of(run / "metrics.jsonl") == steps_of(whole / "metrics.jsonl")


def test_what_does_not_fit_a_checkpoint_is_said_exactly(line: Line) -> None:
    arguments = ("train", "recipes/tiny/stage3_grpo.yaml", "output_dir=runs/other/stage3_grpo")
    run = line.folder / "runs/other/stage3_grpo"
    kill_when(run / "trainer/checkpoint-2/complete.json", start(line.folder, *arguments))
    other = line.emoreason(*arguments, "trainer.learning_rate=1.0e-5", check=False)
    assert other.returncode == 2 and "holds another run (trainer.learning_rate: 0.0004 -> 1e-05)" in " ".join(other.stderr.split())
    seal = run / "trainer/checkpoint-2/complete.json"
    sealed = json.loads(seal.read_text())
    seal.write_text(json.dumps(sealed | {"world_size": 16, "rows_per_step": 128}))
    other = line.emoreason(*arguments, check=False)
    said = " ".join(other.stderr.split())
    assert other.returncode == 2 and "cannot be gone on with: processes: 16 -> 1; rows a step" in said and "128 -> 8" in said
    seal.write_text(json.dumps(sealed | {"versions": sealed["versions"] | {"trl": "1.15.0"}}))
    manifest = run / "run.json"
    manifest.write_text(manifest.read_text().replace('"trl": "1.16', '"trl": "1.15'))
    said = " ".join(line.emoreason(*arguments, "watchdog.minutes=5").stderr.split())  # what does not touch the training may change
    assert "trl: 1.15.0 -> 1.16" in said and "was begun with trl: 1.15" in said
    assert json.loads(manifest.read_text())["recipe"]["watchdog"]["minutes"] == 5


def test_the_best_checkpoint_stays_loadable_without_what_training_needs(line: Line) -> None:
    best = ("checkpoints={keep_last: 1, keep_best: 1, best_by: loss, best_is: lowest}", "trainer.save_steps=1")
    line.emoreason("train", "recipes/tiny/stage3_grpo.yaml", "output_dir=runs/best/stage3_grpo", *best)
    run = line.folder / "runs/best/stage3_grpo"
    rows = [row for row in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()) if "loss" in row]
    lowest = min(rows, key=lambda row: row["loss"])["step"]
    (kept,) = (run / "best_checkpoint").iterdir()
    assert kept.name == f"checkpoint-{lowest}" and not (run / "trainer").exists()
    assert {"adapter_model.safetensors", "adapter_config.json"} <= {path.name for path in kept.iterdir()}
    assert not [path.name for path in kept.iterdir() if path.suffix in (".pt", ".pth", ".bin")]
    line.emoreason("evaluate", "recipes/tiny/evaluate.yaml", f"model.path={kept.relative_to(line.folder)}", "output_dir=runs/best/eval",
                   "decoding.max_new_tokens=4", "num_bootstrap=100")  # fmt: skip


@pytest.fixture
def small_disk(tmp_path: Path):
    """A disk of its own, and how to make it larger, full or read-only."""
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", str(disk)], capture_output=True).returncode:
        pytest.skip("a disk of its own needs root, and leave to mount")

    def remount(options: str) -> None:
        subprocess.run(["mount", "-o", f"remount,{options}", str(disk)], check=True)

    yield disk, remount
    subprocess.run(["umount", "-l", str(disk)], check=True)


def test_a_full_disk_stops_cleanly_and_the_last_good_checkpoint_stays(line: Line, small_disk) -> None:
    disk, remount = small_disk
    arguments = ("train", "recipes/tiny/stage1_sft.yaml", f"output_dir={disk}/stage1_sft", "checkpoints.keep_last=5")
    run, whole = disk / "stage1_sft", line.folder / "runs/tiny/stage1_sft"
    remount("size=150m")
    done = line.emoreason(*arguments, check=False)
    assert done.returncode == 2, done.stderr[-2000:]
    assert "free some space" in done.stderr.splitlines()[-1] and "Traceback" not in done.stderr
    kept = list(run.glob("trainer/*/steps/checkpoint-*"))
    assert kept and all((path / "complete.json").exists() for path in kept)
    remount("size=600m")
    finish_equal(line, arguments, run, whole)


def test_a_disk_that_may_not_be_written_stops_cleanly(line: Line, small_disk) -> None:
    disk, remount = small_disk
    remount("size=600m")
    arguments = ("train", "recipes/tiny/stage3_grpo.yaml", f"output_dir={disk}/stage3_grpo")
    process = start(line.folder, *arguments)
    wait_for(disk / "stage3_grpo/trainer/checkpoint-2/complete.json", process)
    remount("ro")
    _, errors = process.communicate(timeout=100)
    if process.returncode != 0:  # it may have had nothing left to write
        assert process.returncode == 2 and "Traceback" not in errors, errors[-2000:]
        assert "writable" in errors.splitlines()[-1] or "cannot be written" in errors
    remount("rw")
    finish_equal(line, arguments, disk / "stage3_grpo", line.folder / "runs/tiny/stage3_grpo")
