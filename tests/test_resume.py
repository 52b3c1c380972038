"""Cut off at any moment, the same command goes on: same weights, same log, nothing lost and nothing twice."""

import json
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
    # A shell that runs in the background ignores SIGINT, and so would its children.
    return subprocess.Popen([sys.executable, "-m", "emoreason", *arguments], cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                            text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))  # fmt: skip


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
    (run / "trainer/3_reasoning/steps/checkpoint-9999").mkdir()
    line.emoreason(*arguments)
    assert_same_weights(run / "checkpoint/model.safetensors", whole / "checkpoint/model.safetensors")
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
