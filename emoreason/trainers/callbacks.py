"""Callbacks for any Hugging Face trainer: metrics as JSON Lines, and checkpoints that say when they are complete."""

import json
import shutil
from pathlib import Path

from transformers import TrainerCallback

from emoreason.files import write_json, write_jsonl
from emoreason.run_dir import RunDir

COMPLETE = "complete.json"


class MetricsLog(TrainerCallback):
    """Append what the trainer logs to metrics.jsonl; when a run resumes, lines past the checkpoint are dropped first."""

    def __init__(self, run_dir: RunDir, phase: str):
        self.run_dir, self.phase = run_dir, phase

    def on_train_begin(self, args, state, control, **kwargs):
        path = self.run_dir.metrics_path
        if state.is_world_process_zero and path.exists():
            rows = [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]
            write_jsonl(path, [row for row in rows if row["phase"] != self.phase or row["step"] <= state.global_step])

    def on_log(self, args, state, control, logs=None, **kwargs):
        if state.is_world_process_zero and logs:
            self.run_dir.log({"phase": self.phase, "step": state.global_step, **logs})


class MarkComplete(TrainerCallback):
    """Write a marker into each checkpoint after all of it has been saved; a process killed before leaves none."""

    def on_save(self, args, state, control, **kwargs):
        if state.is_world_process_zero:
            write_json(Path(args.output_dir) / f"checkpoint-{state.global_step}" / COMPLETE, {"step": state.global_step})


def newest_complete(trainer_path: Path) -> str | None:
    """The newest checkpoint that was saved whole, or None. Checkpoints that were cut off are removed."""
    complete = {}
    for folder in trainer_path.glob("checkpoint-*"):
        if (folder / COMPLETE).exists():
            complete[int(folder.name.rpartition("-")[2])] = folder
        else:
            shutil.rmtree(folder)
    return str(complete[max(complete)]) if complete else None
