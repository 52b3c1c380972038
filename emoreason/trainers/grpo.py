"""TRL's GRPO trainer, with every scored completion on disk."""

import json

from trl import GRPOTrainer

from emoreason.completions import completion_text
from emoreason.files import append_jsonl, write_jsonl
from emoreason.run_dir import RunDir
from emoreason.trainers.callbacks import newest_complete


class LoggedGRPOTrainer(GRPOTrainer):
    """`trl.GRPOTrainer` that appends each completion and its rewards to the run's completions.jsonl."""

    def __init__(self, *args, run_dir: RunDir, **kwargs):
        super().__init__(*args, **kwargs)
        self.run_dir = run_dir

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):
        scores = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        # `scores` are gathered over all processes; this process writes the rows that are its own.
        start = self.accelerator.process_index * len(completions)
        for example, completion, row in zip(inputs, completions, scores[start : start + len(completions)].tolist(), strict=True):
            rewards = {name: None if value != value else value for name, value in zip(self.reward_func_names, row, strict=True)}
            text = completion_text(completion)
            append_jsonl(self.run_dir.completions_path, {"step": self.state.global_step, "id": example["id"], "completion": text, "rewards": rewards})
        return scores


def drop_repeated_completions(run_dir: RunDir) -> None:
    """Drop the completions of steps that the run will do again: those after the checkpoint that it resumes from."""
    if not run_dir.completions_path.exists():
        return
    checkpoint = newest_complete(run_dir.trainer_path)
    resumed_step = int(checkpoint.rpartition("-")[2]) if checkpoint else 0
    # A line that was cut off by the end of the process belongs to a step that is done again.
    lines = [line for line in run_dir.completions_path.read_text().splitlines() if line.endswith("}")]
    write_jsonl(run_dir.completions_path, [row for row in map(json.loads, lines) if row["step"] < resumed_step])
