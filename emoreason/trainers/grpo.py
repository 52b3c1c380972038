"""TRL's GRPO trainer, with every scored completion on disk, masked completions left out, and an alarm for rewards that teach nothing."""

import json
import logging

import torch
from accelerate.utils import gather
from trl import GRPOTrainer

from emoreason.completions import completion_text
from emoreason.files import append_jsonl, write_jsonl
from emoreason.reward_alarm import RewardAlarm
from emoreason.rewarding import masked_rows
from emoreason.run_dir import RunDir
from emoreason.trainers.callbacks import newest_complete


class LoggedGRPOTrainer(GRPOTrainer):
    """`trl.GRPOTrainer` that appends each completion and its rewards to the run's completions.jsonl.

    A completion that a reward could not score gets no reward at all, which TRL takes out of its group's mean and gives no advantage.
    What `RewardAlarm` says after `alarm_steps` steps goes to stderr; None keeps it still.
    """

    def __init__(self, *args, run_dir: RunDir, alarm_steps: int | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.run_dir = run_dir
        self.alarm = RewardAlarm(alarm_steps) if alarm_steps else None

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):
        scores = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        # `scores` are gathered over all processes; this process writes the rows that are its own.
        start = self.accelerator.process_index * len(completions)
        masked = masked_rows(self.reward_funcs)
        own = zip(inputs, completions, scores[start : start + len(completions)].tolist(), strict=True)
        for index, (example, completion, row) in enumerate(own):
            rewards = {name: None if value != value else value for name, value in zip(self.reward_func_names, row, strict=True)}
            text = completion_text(completion)
            line = {"step": self.state.global_step, "id": example["id"], "completion": text, "rewards": rewards}
            append_jsonl(self.run_dir.completions_path, {**line, "masked": True} if index in masked else line)
        flags = torch.zeros(len(completions), device=scores.device)
        flags[list(masked)] = 1
        # After the gather, since groups and their means span processes; every process takes part, masked rows of its own or not.
        scores[gather(flags) > 0] = float("nan")
        if self.alarm and self.model.training and self.is_world_process_zero():
            self._sound_alarm(scores)
        return scores

    def _sound_alarm(self, scores: torch.Tensor) -> None:
        """Log what there is to say of the gathered scores [completions, rewards]."""
        by_reward = {name: _known(scores[:, index]) for index, name in enumerate(self.reward_func_names)}
        sums = (scores * self.reward_weights.to(scores.device)).nansum(1)
        sums[torch.isnan(scores).all(1)] = float("nan")
        for message in self.alarm.observe(self.state.global_step, by_reward, _known(sums), self.num_generations):
            _LOG.warning(message)


_LOG = logging.getLogger("emoreason")


def _known(values: torch.Tensor) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def drop_repeated_completions(run_dir: RunDir) -> None:
    """Drop the completions of steps that the run will do again: those after the checkpoint that it resumes from."""
    if not run_dir.completions_path.exists():
        return
    checkpoint = newest_complete(run_dir.trainer_path)
    resumed_step = int(checkpoint.rpartition("-")[2]) if checkpoint else 0
    # A line that was cut off by the end of the process belongs to a step that is done again.
    lines = [line for line in run_dir.completions_path.read_text().splitlines() if line.endswith("}")]
    write_jsonl(run_dir.completions_path, [row for row in map(json.loads, lines) if row["step"] < resumed_step])
