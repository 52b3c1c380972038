"""Callbacks for any Hugging Face trainer: metrics as JSON Lines, checkpoints that are sealed and kept, signals that all processes follow."""

import logging
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from accelerate.utils import gather_object
from transformers import TrainerCallback

from emoreason import checkpoints, preemption
from emoreason.files import whole_rows, write_jsonl
from emoreason.recipe import Checkpoints
from emoreason.run_dir import RunDir, publish
from emoreason.trainers.watchdog import alive

_LOG = logging.getLogger("emoreason")


class MetricsLog(TrainerCallback):
    """Append what the trainer logs to metrics.jsonl; when a run resumes, lines past the checkpoint are dropped first."""

    def __init__(self, run_dir: RunDir, phase: str):
        self.run_dir, self.phase = run_dir, phase

    def on_train_begin(self, args, state, control, **kwargs):
        path = self.run_dir.metrics_path
        if state.is_world_process_zero and path.exists():
            # A line that was cut off by the end of the process belongs to a step that is done again.
            rows = whole_rows(path.read_bytes())
            write_jsonl(path, [row for row in rows if row["phase"] != self.phase or row["step"] <= state.global_step])

    def on_log(self, args, state, control, logs=None, **kwargs):
        is_summary_of_a_part = "train_runtime" in (logs or {}) and state.global_step < state.max_steps  # of a run that made room
        if state.is_world_process_zero and logs and not is_summary_of_a_part:
            self.run_dir.log({"phase": self.phase, "step": state.global_step, **logs})


class KeepCheckpoints(TrainerCallback):
    """Seals each checkpoint that the trainer has written aside, moves it to its place, and removes those that are not kept.

    The trainer's `output_dir` is the folder `aside`, so a checkpoint that a process was killed over is never taken for a whole one.
    """

    def __init__(self, folder: Path, settings: Checkpoints, accelerator: Accelerator, facts: dict[str, Any]):
        self.folder, self.settings, self.accelerator, self.facts = folder, settings, accelerator, facts
        self._before = 0

    def on_train_begin(self, args, state, control, **kwargs):
        self._before = state.global_step

    def on_save(self, args, state, control, **kwargs):
        alive()
        name = f"checkpoint-{state.global_step}"
        aside, place = Path(args.output_dir) / name, self.folder / name
        self.accelerator.wait_for_everyone()  # every process has written its part
        names = checkpoints.file_names(aside)
        share = checkpoints.digests(aside, names[self.accelerator.process_index :: self.accelerator.num_processes])
        found = dict(gather_object(list(share.items())))
        if self.accelerator.is_main_process:
            merit = checkpoints.merit_of(state.log_history, self.settings.best_by, self._before)
            checkpoints.seal(aside, found, {"step": state.global_step, "merit": merit, **self.facts})
            publish(aside, place)
            for old in checkpoints.stale(self.folder, self.settings.keep_last, self.settings.keep_best, self.settings.best_is):
                checkpoints.remove(old)
        self.accelerator.wait_for_everyone()
        self._before = state.global_step
        alive()


class MakeRoom(TrainerCallback):
    """Where any process has been sent USR1 or TERM, all of them write a checkpoint at the next step at which one can be written, and stop."""

    def __init__(self, accelerator: Accelerator):
        self.accelerator = accelerator
        self.is_asked = self.has_stopped = False

    def on_step_end(self, args, state, control, **kwargs):
        asked = torch.tensor(int(preemption.requested() is not None), device=self.accelerator.device)
        self.is_asked = bool(self.accelerator.reduce(asked, reduction="sum"))
        if self.is_asked:
            if not control.should_save and state.is_world_process_zero:
                _LOG.warning("asked to make room at step %d: a checkpoint follows at the first step from which the run can go on", state.global_step)
            control.should_save = True

    def on_save(self, args, state, control, **kwargs):
        if self.is_asked and state.global_step < state.max_steps:
            control.should_training_stop = self.has_stopped = True
