"""A trainer's rows reach real trackers while it trains; a tracker that fails, hangs or is missing costs one warning and no time."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from tracked import add, make_run, row, tensorboard_scalars, wandb_history
from transformers import Trainer, TrainingArguments

from emoreason.run_dir import RunDir
from emoreason.trainers.callbacks import MetricsLog
from emoreason.trainers.tracker_feed import TrackerFeed

MAIN, OTHER = SimpleNamespace(is_world_process_zero=True), SimpleNamespace(is_world_process_zero=False)


@pytest.fixture(autouse=True)
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)


def broken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tracker: str, code: str) -> None:
    """A package of the tracker's name that runs this code when it is imported, in the processes that are started from here."""
    package = tmp_path / "packages" / tracker
    package.mkdir(parents=True)
    (package / "__init__.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(package.parent))


def train(feed: TrackerFeed, run: Path, steps: int = 3) -> float:
    """Seconds that the callback itself took while so many steps were logged."""
    spent = -time.perf_counter()
    feed.on_train_begin(None, MAIN, None)
    for step in range(1, steps + 1):
        add(run, row(step))
        feed.on_log(None, MAIN, None)
    return spent + time.perf_counter()


class Line(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor, labels: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": ((x * self.weight - labels) ** 2).mean()}


@pytest.mark.slow
def test_a_trainer_that_is_cut_off_and_resumed_makes_one_series(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    rows = [{"x": torch.tensor(float(index % 5)), "labels": torch.tensor(2.0 * (index % 5))} for index in range(40)]

    def session(stop_at: int, resume: bool) -> None:
        settings = TrainingArguments(str(tmp_path / "out"), max_steps=9, save_steps=4, logging_steps=1, per_device_train_batch_size=2, use_cpu=True,
                                     report_to="none", disable_tqdm=True, learning_rate=0.01, save_strategy="steps")  # fmt: skip
        trainer = Trainer(Line(), settings, train_dataset=rows, callbacks=[MetricsLog(RunDir(run), "grpo")])
        trainer.add_callback(TrackerFeed(run, ["tensorboard", "wandb"], patience_s=60))
        step = trainer.training_step

        def stopping(*given, **named):
            if trainer.state.global_step == stop_at:
                raise RuntimeError("cut off")
            return step(*given, **named)

        trainer.training_step = stopping
        if stop_at < 9:
            with pytest.raises(RuntimeError, match="cut off"):
                trainer.train()
            for feeder in trainer.callback_handler.callbacks[-1]._feeders.values():  # the process would end here, and its pipes with it
                feeder.stdin.close()
                assert feeder.wait(60) == 0
        else:
            trainer.train(resume_from_checkpoint=resume)

    session(6, resume=False)
    assert [step for step, _ in tensorboard_scalars(run)["loss"]] == [1, 2, 3, 4, 5, 6]
    session(9, resume=True)
    logged = {one["step"]: round(one["loss"], 4) for one in map(json.loads, (run / "metrics.jsonl").read_text().splitlines()) if "loss" in one}
    assert list(logged) == [1, 2, 3, 4, 5, 6, 7, 8, 9]
    assert tensorboard_scalars(run)["loss"] == list(logged.items())
    history = wandb_history(run)
    assert [(one["_step"], round(one["loss"], 4)) for one in history] == list(logged.items())
    assert "train_runtime" in history[-1] and [step for step, _ in tensorboard_scalars(run)["train_runtime"]] == [9]


def test_a_tracker_that_raises_costs_one_warning(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    broken(tmp_path, monkeypatch, "wandb", "raise RuntimeError('no key: ' + 'hf' + '_1' + 'Ab' * 16)")
    run = make_run(tmp_path / "run")
    feed = TrackerFeed(run, ["wandb", "tensorboard"], patience_s=60)
    with caplog.at_level(logging.WARNING, "emoreason"):
        train(feed, run)
        feed._feeders["wandb"].wait(30)
        train_more = [feed.on_log(None, MAIN, None) for _ in range(3)]
        feed.on_train_end(None, MAIN, None)
    (warning,) = [record.getMessage() for record in caplog.records]
    assert train_more == [None] * 3
    assert warning == (f"wandb is not fed any more: RuntimeError: no key: (hidden) (see {run}/trackers/wandb.log); the training goes on, "
                       f"metrics.jsonl has every row, send them later: emoreason track {run} --to wandb")  # fmt: skip
    assert len(tensorboard_scalars(run)["loss"]) == 3, "the other one is fed all the same"


def test_a_tracker_that_hangs_is_not_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    broken(tmp_path, monkeypatch, "tensorboard", "import time; time.sleep(600)")
    run = make_run(tmp_path / "run")
    feed = TrackerFeed(run, ["tensorboard"], patience_s=0.5)
    assert train(feed, run, steps=70_000 // 100) < 10
    feeder = feed._feeders["tensorboard"]
    for _ in range(70_000):  # more than a pipe holds
        feed.on_log(None, MAIN, None)
    before = time.perf_counter()
    feed.on_train_end(None, MAIN, None)
    assert time.perf_counter() - before < 5
    assert caplog.records[0].getMessage().startswith("tensorboard is not fed any more: has not ended within 0.5 s")
    feeder.kill()
    feeder.wait()


def test_a_package_that_is_missing_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    run = make_run(tmp_path / "run")
    feed = TrackerFeed(run, ["nonesuch"], patience_s=60)
    train(feed, run)
    feed.on_train_end(None, MAIN, None)
    (warning,) = [record.getMessage() for record in caplog.records]
    assert "nonesuch is not installed; run: pip install 'emoreason[nonesuch]'" in warning


def test_only_the_main_process_feeds_and_only_what_is_asked(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run")
    for feed, state in ((TrackerFeed(run, ["tensorboard"]), OTHER), (TrackerFeed(run, []), MAIN)):
        feed.on_train_begin(None, state, None)
        feed.on_log(None, state, None)
        feed.on_train_end(None, state, None)
    assert not (run / "trackers").exists()


@pytest.mark.slow
@pytest.mark.parametrize("signals", [[signal.SIGUSR1, signal.SIGKILL], [signal.SIGKILL]], ids=["told to stop", "killed"])
def test_rows_of_a_trainer_that_is_killed_still_arrive(tmp_path: Path, signals: list[int]) -> None:
    run = make_run(tmp_path / "run")
    code = f"""
import signal, sys, time
sys.path.insert(0, {str(Path(__file__).parents[1])!r})
signal.signal(signal.SIGUSR1, lambda *_: None)
from pathlib import Path
from test_tracker_feed import train, TrackerFeed
feed = TrackerFeed({str(run)!r}, ["tensorboard"])
train(feed, Path({str(run)!r}))
print(feed._feeders["tensorboard"].pid, flush=True)
while True:
    time.sleep(1)
"""
    path = os.pathsep.join([str(Path(__file__).parent), os.environ.get("PYTHONPATH", "")])
    trainer = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": path},
                               start_new_session=True)  # fmt: skip
    feeder = int(trainer.stdout.readline())
    for number in signals:
        os.killpg(trainer.pid, number)
    trainer.wait()
    deadline = time.monotonic() + 30
    while not json.loads((run / "trackers/tensorboard.json").read_text() if (run / "trackers/tensorboard.json").exists() else "{}").get("digest"):
        assert time.monotonic() < deadline, f"process {feeder} has not ended"
        time.sleep(0.1)
    assert [step for step, _ in tensorboard_scalars(run)["loss"]] == [1, 2, 3]
