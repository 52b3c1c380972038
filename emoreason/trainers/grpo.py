"""TRL's GRPO trainer for pictures, clips and sounds, with groups kept whole, groups without spread drawn again, and logs on disk.

Rollouts come from the policy itself, by transformers, or from an engine that the policy is handed to after every step.

What is overridden of TRL, and nothing else: how a prompt is tokenized and completed (`_tokenize_prompts`, `_generate_single_turn`),
which rows a micro-batch holds (`_prepare_inputs`), what a batch carries along (`_generate_and_score_completions`, `_compute_loss`), how its
log-probabilities are asked for (`_get_per_token_logps_and_entropies`), and what becomes of the scores (`_calculate_rewards`). Loss,
advantages, importance sampling and the reference model are TRL's.
"""

import logging
from collections.abc import Callable
from functools import partial
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather
from peft import PeftModel
from transformers import PreTrainedModel, TrainerCallback
from trl import GRPOTrainer

from emoreason.collate import EncodedPrompt, PromptEncoder
from emoreason.completions import completion_text
from emoreason.families import placeholder_ids
from emoreason.faults import UserError
from emoreason.files import append_jsonl, read_json, whole_rows, write_json, write_jsonl
from emoreason.recipe import Sampling
from emoreason.reward_alarm import RewardAlarm
from emoreason.rewarding import masked_rows
from emoreason.rollout_statistics import pearson
from emoreason.rollouts import Engine
from emoreason.rollouts.transformers_engine import prompt_inputs
from emoreason.run_dir import RunDir
from emoreason.trainers.guarded import GuardedTrainer
from emoreason.trainers.policy_sync import PolicySync
from emoreason.trainers.watchdog import alive

_LOG = logging.getLogger("emoreason")
LEFT_PADDED = ("prompt_ids", "prompt_mask")
ALARM = "reward_alarm.json"
"""In a checkpoint: what the alarm has seen."""


class MediaGRPOTrainer(GuardedTrainer, GRPOTrainer):
    """`trl.GRPOTrainer` on rows of `prompt`, `media` and reward columns.

    Every completion and its rewards go to the run's completions.jsonl. A completion that a reward could not score gets no reward
    at all, which TRL takes out of its group's mean and gives no advantage. What `RewardAlarm` says after `alarm_steps` steps goes
    to stderr; None keeps it still. Groups whose completions all score alike are drawn again, at most `max_resamples` times (the
    dynamic sampling of DAPO, Yu et al. 2025, arXiv 2503.14476, section 3.2; there other prompts are drawn, here the same ones).
    """

    def __init__(
        self, *args, encoder: PromptEncoder, run_dir: RunDir, alarm_steps: int | None = None, max_resamples: int = 0,
        engine: Engine | None = None, sync: Callable[["MediaGRPOTrainer"], PolicySync] | None = None, **kwargs,
    ):  # fmt: skip
        super().__init__(*args, **kwargs)
        self.engine, self.sync, self._synced_step = engine, None, -1
        if engine is not None:
            self._sample_by(engine, sync)
        self.encoder, self.run_dir, self.max_resamples = encoder, run_dir, max_resamples
        self.alarm = RewardAlarm(alarm_steps) if alarm_steps else None
        self.add_callback(GoOn(run_dir, self.alarm))
        self._rows: list[EncodedPrompt] = []
        """The prompts of the rows that are being generated or scored."""
        self._draw = 0
        self.generation_config.suppress_tokens = sorted(placeholder_ids(self._policy.config).values())
        rows = self.args.per_device_train_batch_size
        if rows < self.num_generations:
            _LOG.warning("per_device_train_batch_size %d is below num_generations %d, so a prompt runs %d times a group instead of once",
                         rows, self.num_generations, -(-self.num_generations // rows))  # fmt: skip
        per_process = self.args.generation_batch_size // self.accelerator.num_processes
        if max_resamples and per_process % self.num_generations:
            raise UserError(f"max_resamples: a process generates {per_process} completions at once, which is no multiple of "
                            f"num_generations {self.num_generations}; change per_device_train_batch_size or gradient_accumulation_steps")
        if max_resamples and (self.scale_rewards == "batch" or self.multi_objective_aggregation != "sum_then_normalize"):
            raise UserError("max_resamples: advantages are scaled over the whole batch, so a group cannot be replaced; accepted: "
                            "scale_rewards group or none, multi_objective_aggregation sum_then_normalize")

    def _sample_by(self, engine: Engine, sync: Callable[["MediaGRPOTrainer"], PolicySync]) -> None:
        """Rollouts by the engine: from here on TRL weighs them by what the policy makes of them, as it does for its own vLLM."""
        self.sync, self.use_vllm = sync(self), True
        if self.loss_type == "vespo" and self.vllm_importance_sampling_correction and not self.vllm_importance_sampling_mode.startswith("token_"):
            raise UserError(f"trainer.vllm_importance_sampling_mode {self.vllm_importance_sampling_mode}: the vespo loss weighs tokens; "
                            "accepted with rollouts by an engine: token_truncate, token_mask")

    @property
    def can_save(self) -> bool:
        """Completions that still wait to be trained on are in no checkpoint, so one is written where none wait."""
        return self._step % (self.args.steps_per_generation * self.num_iterations) == 0

    @property
    def _policy(self) -> PreTrainedModel:
        model = self.accelerator.unwrap_model(self.model)
        return model.get_base_model() if isinstance(model, PeftModel) else model

    def _tokenize_prompts(self, prompts):
        return [row.token_ids.tolist() for row in self._rows], None, {}

    def _generate_single_turn(self, prompt_ids, images, multimodal_fields, num_generations, has_tool_images=False):
        if self.engine is not None:
            return self._drawn_by_engine()
        with prompt_inputs(self._policy, self._rows, self._tokenizer.pad_token_id, self.blanks) as inputs:
            fields = {name: value for name, value in inputs.items() if name not in ("input_ids", "attention_mask")}
            return super()._generate_single_turn(prompt_ids, None, fields, num_generations)

    def _drawn_by_engine(self) -> tuple[list[list[int]], list[list[float]]]:
        """Token ids and log-probabilities of a completion for each row; rows of one prompt side by side are asked for together."""
        step = self.state.global_step
        if step != self._synced_step:
            for name, value in self.sync(step).items():
                self._metrics["train"][name].append(value)
            self._synced_step = step
        groups = [list(rows) for _, rows in groupby(self._rows, key=id)]
        found, seed = [], hash((self.args.seed, step, self._draw, self.accelerator.process_index, self.model.training)) % 2**31
        for count, same in groupby(enumerate(groups), key=lambda one: len(one[1])):
            prompts = [partial(rows.__getitem__, 0) for _, rows in same]
            sampling = Sampling(num_completions=count, temperature=self.temperature, top_p=self.top_p, top_k=self.top_k, min_p=self.min_p or 0.0,
                                repetition_penalty=self.repetition_penalty, max_new_tokens=self.max_completion_length)  # fmt: skip
            found += [one for group in self.engine.generate(prompts, sampling, seed + len(found)) for one in group]
        return [one.token_ids for one in found], [one.log_probs for one in found]

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        output = self._scored(inputs)
        if not (self.model.training and self.max_resamples):
            return output
        num_resampled = 0
        for draw in range(1, self.max_resamples + 1):
            self._draw = draw
            flat = self._without_spread(output)
            # Every process draws as many groups, since rewards are gathered; what is drawn beside its own is left out again.
            count = int(gather(torch.tensor([len(flat)], device=self.accelerator.device)).max())
            if not count:
                break
            groups = (flat + [group for group in range(len(inputs) // self.num_generations) if group not in flat])[:count]
            rows = [group * self.num_generations + place for group in groups for place in range(self.num_generations)]
            drawn = self._scored([inputs[row] for row in rows])
            num_own = len(flat) * self.num_generations
            output = _replaced(output, rows[:num_own], drawn, self._tokenizer.pad_token_id)
            num_resampled += len(flat)
        self._draw = 0
        mask = output["completion_mask"] * output.get("tool_mask", 1)
        output["num_items_in_batch"] = gather(mask.sum()).sum()
        self._metrics["train"]["dynamic_sampling/groups_drawn_again"].append(float(num_resampled))
        self._metrics["train"]["dynamic_sampling/groups_without_spread"].append(float(len(self._without_spread(output))))
        return output

    def _scored(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        alive()
        self._rows = [self.encoder(row["prompt"], row["media"]) for row in inputs]
        rows = self._rows
        output = super()._generate_and_score_completions(inputs)
        self._write_completions(output)
        return {**output, "prompts": rows, "record_ids": [row["id"] for row in inputs]}

    def _write_completions(self, output: dict[str, Any]) -> None:
        """What was drawn, its rewards and its advantage, a line each, and how reward goes with length."""
        for line, advantage in zip(self._lines, output["advantages"].tolist(), strict=True):
            append_jsonl(self.run_dir.completions_path, {**line, "advantage": advantage})
        correlation = pearson([line["total"] for line in self._lines], [line["num_tokens"] for line in self._lines])
        if correlation is not None and self.model.training:
            self._metrics["train"]["completions/reward_length_correlation"].append(correlation)

    def _without_spread(self, output: dict[str, Any]) -> list[int]:
        """This process's groups whose advantages are all 0."""
        flat = (output["advantages"].view(-1, self.num_generations).abs() < 1e-6).all(1)
        return flat.nonzero()[:, 0].tolist()

    def _prepare_inputs(self, generation_batch):
        before = self._buffered_inputs
        inputs = super()._prepare_inputs(generation_batch)
        if self._buffered_inputs is before or self._buffered_inputs is None:
            return inputs
        # TRL has shuffled all rows; the same micro-batches again with the rows of a prompt side by side, so that it is run once.
        self._buffered_inputs = _grouped(self._buffered_inputs)
        return self._buffered_inputs[self._step % self.args.steps_per_generation]

    def _compute_loss(self, model, inputs):
        self._rows, self.batch_ids = inputs["prompts"], inputs.get("record_ids", ())
        return super()._compute_loss(model, inputs)

    def _get_per_token_logps_and_entropies(
        self, model, input_ids, attention_mask, logits_to_keep, batch_size=None, compute_entropy=False, compute_aux_loss=False, **media
    ):
        """TRL's, for rows whose media travel in `self._rows`; the media arguments of TRL are None here."""
        outputs = []
        for start in range(0, len(input_ids), batch_size or len(input_ids)):
            rows = slice(start, start + (batch_size or len(input_ids)))
            labels = input_ids[rows].masked_fill(attention_mask[rows] == 0, -100)
            labels[:, :-logits_to_keep] = -100
            arguments = {"output_router_logits": True} if compute_aux_loss else {}
            with self.accelerator.autocast():
                outputs.append(model(prompts=self._rows[rows], input_ids=input_ids[rows], attention_mask=attention_mask[rows], labels=labels,
                                     fused_lm_head=True, **arguments))  # fmt: skip
        log_probs = torch.cat([output.log_probs[:, -logits_to_keep:] for output in outputs])
        entropies = torch.cat([output.entropy[:, -logits_to_keep:] for output in outputs]) if compute_entropy else None
        return log_probs, entropies, torch.stack([output.aux_loss for output in outputs]).mean() if compute_aux_loss else None

    def _calculate_rewards(self, inputs, prompts, completions, completion_ids_list):
        alive()
        scores = super()._calculate_rewards(inputs, prompts, completions, completion_ids_list)
        alive()
        # `scores` are gathered over all processes; this process writes the rows that are its own.
        start = self.accelerator.process_index * len(completions)
        masked = masked_rows(self.reward_funcs)
        own = scores[start : start + len(completions)]
        totals = (own * self.reward_weights.to(own.device)).nansum(1).tolist()
        self._lines = []
        rows = zip(inputs, completions, completion_ids_list, own.tolist(), totals, strict=True)
        for index, (example, completion, ids, row, total) in enumerate(rows):
            rewards = {name: None if value != value else value for name, value in zip(self.reward_func_names, row, strict=True)}
            marks = {**({"masked": True} if index in masked else {}), **({"draw": self._draw} if self._draw else {})}
            self._lines.append({"step": self.state.global_step, "id": example["id"], "completion": completion_text(completion),
                                "rewards": rewards, "total": None if index in masked else total, **marks, "num_tokens": len(ids),
                                "finish_reason": "stop" if ids[-1] in self.eos_token_ids else "length"})  # fmt: skip
        flags = torch.zeros(len(completions), device=scores.device)
        flags[list(masked)] = 1
        # After the gather, since groups and their means span processes; every process takes part, masked rows of its own or not.
        scores[gather(flags) > 0] = float("nan")
        if self.alarm and self.model.training and self.is_world_process_zero() and not self._draw:
            self._sound_alarm(scores)
        return scores

    def _sound_alarm(self, scores: torch.Tensor) -> None:
        """Log what there is to say of the gathered scores [completions, rewards]."""
        by_reward = {name: _known(scores[:, index]) for index, name in enumerate(self.reward_func_names)}
        sums = (scores * self.reward_weights.to(scores.device)).nansum(1)
        sums[torch.isnan(scores).all(1)] = float("nan")
        for message in self.alarm.observe(self.state.global_step, by_reward, _known(sums), self.num_generations):
            _LOG.warning(message)


def _known(values: torch.Tensor) -> list[float | None]:
    return [None if value != value else value for value in values.tolist()]


def _is_by_row(value: Any) -> bool:
    return isinstance(value, list) or (isinstance(value, torch.Tensor) and value.ndim > 0)


def _taken(value: Any, rows: list[int]) -> Any:
    return value[rows] if isinstance(value, torch.Tensor) else [value[row] for row in rows]


def _grouped(batches: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same rows in batches of the same sizes, prompt by prompt in the order in which they first appear."""
    keys = [prompt.key for batch in batches for prompt in batch["prompts"]]
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    order = sorted(range(len(keys)), key=lambda row: places[keys[row]])
    whole = {}
    for name, value in batches[0].items():
        parts = [batch[name] for batch in batches]
        if _is_by_row(value):
            whole[name] = _taken(torch.cat(parts) if isinstance(value, torch.Tensor) else list(chain.from_iterable(parts)), order)
    found, start = [], 0
    for batch in batches:
        size = len(batch["prompts"])
        found.append({name: whole[name][start : start + size] if name in whole else value for name, value in batch.items()})
        start += size
    return found


def _replaced(output: dict[str, Any], rows: list[int], drawn: dict[str, Any], pad_token_id: int) -> dict[str, Any]:
    """`output` with these rows from the first rows of `drawn`, both padded to one width."""
    found = {}
    for name, value in output.items():
        new = drawn[name]
        if isinstance(value, list):
            value = list(value)
            for place, row in enumerate(rows):
                value[row] = new[place]
        elif _is_by_row(value):
            if value.ndim > 1:
                width = max(value.shape[1], new.shape[1])
                fill = pad_token_id if name.endswith("_ids") else 0
                value, new = (_widened(tensor, width, fill, name in LEFT_PADDED) for tensor in (value, new))
            value = value.clone()
            value[rows] = new[: len(rows)]
        found[name] = value
    return found


def _widened(tensor: torch.Tensor, width: int, fill: int, left: bool) -> torch.Tensor:
    missing = width - tensor.shape[1]
    return torch.nn.functional.pad(tensor, (missing, 0) if left else (0, missing), value=fill)


class GoOn(TrainerCallback):
    """What a GRPO run needs beside the trainer's own checkpoint to go on as if nothing had happened: the alarm's memory, and no line twice."""

    def __init__(self, run_dir: RunDir, alarm: RewardAlarm | None):
        self.run_dir, self.alarm = run_dir, alarm

    def on_train_begin(self, args, state, control, **kwargs):
        if not state.is_world_process_zero:
            return
        path = self.run_dir.completions_path
        if path.exists():
            # A line that was cut off by the end of the process belongs to a step that is done again.
            write_jsonl(path, [row for row in whole_rows(path.read_bytes()) if row["step"] < state.global_step])
        remembered = self.run_dir.trainer_path / f"checkpoint-{state.global_step}" / ALARM
        if self.alarm and remembered.exists():
            self.alarm.restore(read_json(remembered))

    def on_save(self, args, state, control, **kwargs):
        if self.alarm and state.is_world_process_zero:
            write_json(Path(args.output_dir) / f"checkpoint-{state.global_step}" / ALARM, self.alarm.memory())
