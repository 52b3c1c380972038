"""Rollouts by transformers' own `generate`, on whatever device the model is on."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from transformers import PreTrainedModel, ProcessorMixin

from emoreason.collate import EncodedPrompt, distinct_media
from emoreason.families import placeholder_ids, tower_inputs, towers_once
from emoreason.recipe import Sampling
from emoreason.rollouts import Rollout


@contextmanager
def prompt_inputs(model: PreTrainedModel, prompts: Sequence[EncodedPrompt], pad_token_id: int) -> Iterator[dict[str, Any]]:
    """What `model.generate` takes for these prompts, padded on the left, while the context lasts: towers run once a medium."""
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
    items, occurrences = distinct_media(prompts)
    with towers_once(model, items, occurrences):
        yield {**inputs, **tower_inputs(model.config, items, model.device)}


def generate(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    prompts: Sequence[Callable[[], EncodedPrompt]],
    sampling: Sampling,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[list[Rollout]]:
    """`sampling.num_completions` rollouts for each prompt, in order. The same seed gives the same text.

    Prompts are encoded when their batch comes, so that the media of a whole data set are never in memory together. Tokens that
    stand for media are never drawn: a prompt that held them would ask for features that do not exist.
    """
    model.eval()
    count = sampling.num_completions
    step = max(1, sampling.batch_size // count)
    decoding = {"do_sample": False} if sampling.temperature == 0 else {
        "do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}  # fmt: skip
    torch.manual_seed(seed)
    groups: list[list[Rollout]] = []
    for start in range(0, len(prompts), step):
        batch = [prompt for make in prompts[start : start + step] for prompt in [make()] * count]
        with torch.no_grad(), prompt_inputs(model, batch, processor.tokenizer.pad_token_id) as inputs:
            banned = sorted(placeholder_ids(model.config).values())
            output = model.generate(**inputs, **decoding, max_new_tokens=sampling.max_new_tokens, suppress_tokens=banned)
        completions = output[:, inputs["input_ids"].shape[1] :].tolist()
        rollouts = [_to_rollout(ids, model, processor) for ids in completions]
        groups += [rollouts[index : index + count] for index in range(0, len(rollouts), count)]
        progress(len(groups), len(prompts))
    return groups


def _to_rollout(token_ids: list[int], model: PreTrainedModel, processor: ProcessorMixin) -> Rollout:
    ends = model.generation_config.eos_token_id
    ends = [ends] if isinstance(ends, int) else ends
    length = next((place + 1 for place, token in enumerate(token_ids) if token in ends), None)
    kept = token_ids[:length]
    return Rollout(processor.tokenizer.decode(kept, skip_special_tokens=True), kept, length is not None)
