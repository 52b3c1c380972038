"""Rollouts by transformers' own `generate`, on whatever device the model is on."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import torch
from transformers import PreTrainedModel, ProcessorMixin

from emoreason.collate import EncodedPrompt, distinct_media, padded_rows
from emoreason.families import MediaItem, followed, placeholder_ids, tower_inputs, towers_once
from emoreason.media_tokens import Modality
from emoreason.recipe import Sampling
from emoreason.rollouts import MakePrompt, Progress, Receipt, Rollout
from emoreason.rollouts.weights import digest

SCORED_AT_ONCE = 8
"""Rows of one forward pass in `log_probs`."""


@contextmanager
def prompt_inputs(
    model: PreTrainedModel, prompts: Sequence[EncodedPrompt], pad_token_id: int, blanks: Mapping[Modality, MediaItem] = MappingProxyType({})
) -> Iterator[dict[str, Any]]:
    """What `model.generate` takes for these prompts, padded on the left, while the context lasts: towers run once a medium.

    `blanks` as for `distinct_media`.
    """
    longest = max(len(prompt.token_ids) for prompt in prompts)
    input_ids = torch.full((len(prompts), longest), pad_token_id)
    attention_mask = torch.zeros_like(input_ids)
    is_fraction = any(prompt.positions(model).is_floating_point() for prompt in prompts)
    positions = torch.zeros(len(prompts[0].positions(model)), len(prompts), longest, dtype=torch.float if is_fraction else torch.long)
    for row, prompt in enumerate(prompts):
        start = longest - len(prompt.token_ids)
        input_ids[row, start:] = prompt.token_ids
        attention_mask[row, start:] = 1
        positions[:, row, start:] = prompt.positions(model)
    inputs = {"input_ids": input_ids.to(model.device), "attention_mask": attention_mask.to(model.device)}
    if len(positions) > 1:  # M-RoPE: transformers keeps the plain count of tokens as a fourth axis in front
        plain = (attention_mask.cumsum(-1) - 1).clamp(min=0)
        inputs["position_ids"] = torch.cat([plain[None], positions]).to(model.device)
    items, occurrences = distinct_media(prompts, blanks)
    with towers_once(model, items, occurrences):
        yield {**inputs, **tower_inputs(model.config, items, model.device)}


class TransformersEngine:
    """The model itself, in this process."""

    name = "transformers"

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin):
        self.model, self.processor, self.config = model, processor, model.config

    def generate(
        self, prompts: Sequence[MakePrompt], sampling: Sampling, seed: int, progress: Progress = lambda done, total: None
    ) -> list[list[Rollout]]:
        """See `Engine.generate`."""
        self.model.eval()
        count = sampling.num_completions
        step = max(1, sampling.batch_size // count)
        decoding = {"do_sample": False} if sampling.temperature == 0 else {
            "do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": sampling.top_k,
            "min_p": sampling.min_p or None}  # fmt: skip
        decoding["repetition_penalty"] = sampling.repetition_penalty
        torch.manual_seed(seed)
        groups: list[list[Rollout]] = []
        for start in range(0, len(prompts), step):
            batch = [prompt for make in prompts[start : start + step] for prompt in [make()] * count]
            rollouts = self._drawn(batch, {**decoding, "max_new_tokens": sampling.max_new_tokens})
            groups += [rollouts[index : index + count] for index in range(0, len(rollouts), count)]
            progress(len(groups), len(prompts))
        return groups

    def _drawn(self, batch: list[EncodedPrompt], decoding: dict[str, Any]) -> list[Rollout]:
        with torch.no_grad(), prompt_inputs(self.model, batch, self.processor.tokenizer.pad_token_id) as inputs:
            banned = sorted(placeholder_ids(self.model.config).values())
            output = self.model.generate(**inputs, **decoding, suppress_tokens=banned, output_scores=True, return_dict_in_generate=True)
        completions = output.sequences[:, inputs["input_ids"].shape[1] :]
        steps = [scores.float().log_softmax(-1).gather(1, ids[:, None]) for scores, ids in zip(output.scores, completions.T, strict=True)]
        return [self._rollout(ids, row) for ids, row in zip(completions.tolist(), torch.cat(steps, 1).tolist(), strict=True)]

    def _rollout(self, token_ids: list[int], log_probs: list[float]) -> Rollout:
        ends = self.model.generation_config.eos_token_id
        ends = [ends] if isinstance(ends, int) else ends
        length = next((place + 1 for place, token in enumerate(token_ids) if token in ends), None)
        kept = token_ids[:length]
        return Rollout(self.processor.tokenizer.decode(kept, skip_special_tokens=True), kept, log_probs[:length], "stop" if length else "length")

    def log_probs(self, prompts: Sequence[MakePrompt], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        """See `Engine.log_probs`."""
        self.model.eval()
        found: list[list[float]] = []
        for start in range(0, len(prompts), SCORED_AT_ONCE):
            found += self._scored([make() for make in prompts[start : start + SCORED_AT_ONCE]], completions[start : start + SCORED_AT_ONCE])
        return found

    def _scored(self, prompts: list[EncodedPrompt], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        rows = padded_rows(prompts, completions, self.processor.tokenizer.pad_token_id)
        whole = []
        for ids, mask, prompt, more in zip(rows["input_ids"], rows["attention_mask"], prompts, completions, strict=True):
            # What was drawn is text, whatever tokens it holds.
            memo = {"positions": followed(prompt.positions(self.model), len(more))}
            whole.append(EncodedPrompt(ids[: int(mask.sum())], prompt.items, prompt.audio_in_video, "", memo))
        with torch.no_grad(), prompt_inputs(self.model, whole, self.processor.tokenizer.pad_token_id) as inputs:
            logits = self.model(**inputs, logits_to_keep=max(map(len, completions)) + 1).logits.float()
        found = []
        for row, ids in zip(logits, completions, strict=True):
            chosen = row[len(row) - 1 - len(ids) : -1].log_softmax(-1)
            found.append(chosen.gather(1, torch.tensor(ids, device=row.device)[:, None])[:, 0].tolist())
        return found

    def as_read(self, weights: Iterator[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
        """See `Engine.as_read`."""
        return weights

    def sync(self, weights: Iterator[tuple[str, torch.Tensor]], version: int) -> list[Receipt]:
        """Copy the weights into the model, by name. A model that is trained in this process has them already and is never synced."""
        own, digests = dict(self.model.named_parameters()), {}
        with torch.no_grad():
            for name, tensor in weights:
                own[name].copy_(tensor)
                digests[name] = digest(tensor)
        return [Receipt(version, digests, sorted(set(own) - set(digests)))]

    def close(self) -> None:
        del self.model
