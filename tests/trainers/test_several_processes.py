"""Two processes: the numbers of one, no process that waits for another in vain, and an end for all when one fails."""

import json
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from conftest import Line
from safetensors.numpy import load_file
from several_processes import REWARD, command, environment_of, launch, losses, said, traces, write_mixed, write_recipe

pytestmark = pytest.mark.slow
# With Adam's usual 1e-8 a gradient that is rounding noise (that of a bias of keys is 0 in truth) becomes a whole step, of either sign.
STEADY = ["trainer.adam_epsilon=1.0e-4", "trainer.logging_steps=1", "trainer.lr_scheduler_type=constant", "trainer.warmup_steps=0",
          "trainer.learning_rate=5.0e-4"]  # fmt: skip
IN_ONE_RANK = """
import os, time

def varied_reward(completions, **kwargs):
    if os.environ["RANK"] == "1":
        {does}
    return [float(index) for index in range(len(completions))]
"""
STAGES = {
    "sft": ("stage1_sft", ["phases=[{name: one, trainer: {max_steps: 2}}, {name: two, trainer: {max_steps: 2}}]"]),
    "dpo": ("stage3_dpo", ["trainer.max_steps=3", "trainer.save_steps=2"]),
    "grpo": ("stage3_grpo", ["trainer.max_steps=3", "trainer.save_steps=2", "rewards=[{func: 'varied.py:varied_reward', timeout_s: null}]"]),
}


def words_of(stage: str, rows: int, *more: str) -> list[str]:
    recipe, overrides = STAGES[stage]
    canned = ["--canned"] if stage == "grpo" else []
    return [*canned, "train", f"recipes/tiny/{recipe}.yaml", *STEADY, *overrides, f"trainer.per_device_train_batch_size={rows}", *more]


@pytest.mark.parametrize("stage", STAGES)
def test_zero_gives_the_losses_of_one_process(line: Line, stage: str) -> None:
    """And the weights, under the same names, though the last of them are spread over the processes."""
    (line.folder / "varied.py").write_text(REWARD)
    runs = {}
    for name, processes, more in (("one", 1, []), ("zero2", 2, ["zero.stage=2"]), ("zero3", 2, ["zero.stage=3"])):
        output = f"runs/several/{stage}_{name}"
        done = launch(line.folder, *words_of(stage, 8 // processes, f"output_dir={output}", *more), processes=processes)
        assert done.returncode == 0, said(done)
        runs[name] = line.folder / output
    found = {name: losses(run) for name, run in runs.items()}
    assert len(found["one"]) >= 3 and len(set(found["one"])) >= 3
    assert found["zero2"] == pytest.approx(found["one"], abs=1e-4)
    assert found["zero3"] == pytest.approx(found["one"], abs=1e-4)
    weights = {name: load_file(next((run / "checkpoint").glob("*.safetensors"))) for name, run in runs.items()}
    for other in ("zero2", "zero3"):
        assert weights[other].keys() == weights["one"].keys()
        assert max(abs(weights[other][key] - value).max() for key, value in weights["one"].items()) < 1e-4


FROZEN = ["vision", "projector"]
@pytest.mark.parametrize("zero", [3])
def test_one_process_that_is_asked_to_make_room_asks_them_all(line: Line, zero: int) -> None:
    """And what they wrote together, they go on from together; with adapters, which under ZeRO-3 lie spread over the processes."""
    (line.folder / "varied.py").write_text(REWARD)
    words = words_of("grpo", 4, f"zero.stage={zero}", "trainer.max_steps=6", "trainer.save_steps=100")
    runs = {name: line.folder / f"runs/several/room{zero}_{name}" for name in ("whole", "room")}
    assert launch(line.folder, *words, f"output_dir={runs['whole']}").returncode == 0
    process = subprocess.Popen(command(*words, f"output_dir={runs['room']}", processes=2), cwd=line.folder, stderr=subprocess.PIPE, text=True,
                               env=environment_of())  # fmt: skip
    while not (runs["room"] / "metrics.jsonl").exists():
        assert process.poll() is None, process.stderr.read()[-3000:]
        time.sleep(0.05)
    ranks = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True, text=True, check=True).stdout.split()
    os.kill(int(ranks[-1]), signal.SIGUSR1)
    _, errors = process.communicate(timeout=120)
    assert "made room on SIGUSR1" in errors and "exitcode  : 75" in errors, errors[-3000:]
    again = launch(line.folder, *words, f"output_dir={runs['room']}")
    assert again.returncode == 0, said(again)
    assert losses(runs["room"]) == losses(runs["whole"])
    one, other = (load_file(run / "checkpoint/adapter_model.safetensors") for run in runs.values())
    assert one.keys() == other.keys() and all((one[name] == other[name]).all() for name in one)


MIXED = [("sft", 2, []), ("sft", 2, FROZEN), ("sft", 3, []), ("sft", 3, FROZEN), ("dpo", 3, []), ("grpo", 3, [])]


@pytest.mark.parametrize(("stage", "zero", "frozen"), MIXED, ids=lambda value: "towers" if value == [] else None)
def test_processes_whose_rows_hold_other_media_exchange_the_same(tmp_path: Path, stage: str, zero: int, frozen: list[str]) -> None:
    """Text alone beside pictures, clips and sounds; and, by `max_tokens`, more packed rows in one process than in the other."""
    shared = write_mixed(tmp_path, "qwen2_5_omni_thinker")
    model = {**shared["model"], "freeze": frozen}
    packing = {"shared_prefix": "always", "max_tokens": 96}
    trainer = shared["trainer"] | {"per_device_train_batch_size": 2, "max_steps": 2}
    recipe = write_recipe(tmp_path, stage, shared | {"trainer": trainer, "model": model}, packing=packing, zero={"stage": zero})
    canned = ["--canned"] if stage == "grpo" else []
    done = launch(tmp_path, *canned, "train", recipe, timeout=280)
    assert done.returncode == 0, said(done)
    first, second = traces(tmp_path)
    assert len(first) > 30 and first == second
    assert len(set(losses(tmp_path / f"runs/{stage}"))) == 2


def test_without_blanks_the_exchanges_differ(tmp_path: Path) -> None:
    """The test above can fail: the same run whose processes do not make up for what their rows lack."""
    recipe = write_recipe(tmp_path, "sft", write_mixed(tmp_path, "qwen2_5_omni_thinker"), zero={"stage": 3})
    done = launch(tmp_path, "--no-blanks", "train", recipe, "watchdog.minutes=0.1", timeout=200)
    first, second = traces(tmp_path)
    assert done.returncode != 0 or first != second


def test_a_process_that_fails_ends_the_others_and_its_error_is_the_last_word(tmp_path: Path) -> None:
    shared = write_mixed(tmp_path, "qwen2_5_vl")
    (tmp_path / "varied.py").write_text(IN_ONE_RANK.format(does='raise ValueError("no such emotion")'))
    recipe = write_recipe(tmp_path, "grpo", shared)
    done = launch(tmp_path, "--canned", "train", recipe, timeout=90)
    assert done.returncode != 0
    words = said(done)
    assert "no such emotion" in "\n".join(words) and all("rank 1 of 2" in text or "no such emotion" in text for text in words), words


def test_a_process_that_hangs_makes_all_say_where_they_stand(tmp_path: Path) -> None:
    shared = write_mixed(tmp_path, "qwen2_5_vl")
    (tmp_path / "varied.py").write_text(IN_ONE_RANK.format(does="time.sleep(600)"))
    recipe = write_recipe(tmp_path, "grpo", shared)
    done = launch(tmp_path, "--canned", "train", recipe, "watchdog.minutes=0.1", timeout=120)
    assert done.returncode != 0
    assert all(f"watchdog: nothing has moved in rank {rank} of 2" in done.stderr for rank in (0, 1))
    assert "varied.py" in done.stderr and "in varied_reward" in done.stderr


@pytest.mark.parametrize("zero", ["null", "{stage: 2}"], ids=["plain", "zero2"])
def test_a_loss_that_is_no_number_ends_the_run_at_its_record_before_it_reaches_the_weights(tmp_path: Path, zero: str) -> None:
    shared = write_mixed(tmp_path, "qwen2_5_vl")
    recipe = write_recipe(tmp_path, "sft", shared)
    done = launch(tmp_path, "--note-steps", "train", recipe, "watchdog.max_loss=0.001", f"zero={zero}", processes=1, timeout=60)
    assert done.returncode == 2
    (fault,) = (text for text in done.stderr.splitlines() if text.startswith("error: step 1: the loss is "))
    assert "at records 'mixed" in fault and "watchdog.max_loss 0.001" in fault
    assert not (tmp_path / "trace/stepped").exists()
    assert json.loads((tmp_path / "runs/sft/run.json").read_text())["status"] == "running"
    fine = launch(tmp_path, "--note-steps", "train", recipe, f"zero={zero}", processes=1, timeout=60)
    assert fine.returncode == 0, said(fine)
    assert (tmp_path / "trace/stepped").exists()
