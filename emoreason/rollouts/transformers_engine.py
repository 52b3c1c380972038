"""Rollouts by transformers' own `generate`, on whatever device the model is on."""

from collections.abc import Callable

import torch
from transformers import PreTrainedModel, ProcessorMixin

from emoreason.recipe import Sampling
from emoreason.rollouts import Rollout


def generate(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    conversations: list[list[dict]],
    sampling: Sampling,
    seed: int,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> list[list[Rollout]]:
    """`sampling.num_completions` rollouts for each conversation, in order. The same seed gives the same text.

    A conversation is chat messages that end with the user's turn, its pictures inside (`training_data.with_pictures`).
    """
    model.eval()
    count = sampling.num_completions
    step = max(1, sampling.batch_size // count)
    decoding = {"do_sample": False} if sampling.temperature == 0 else {
        "do_sample": True, "temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}  # fmt: skip
    torch.manual_seed(seed)
    groups: list[list[Rollout]] = []
    for start in range(0, len(conversations), step):
        batch = conversations[start : start + step]
        inputs = processor.apply_chat_template(
            batch, add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
            processor_kwargs={"padding": True, "padding_side": "left"},
        ).to(model.device)  # fmt: skip
        with torch.no_grad():
            output = model.generate(**inputs, **decoding, num_return_sequences=count, max_new_tokens=sampling.max_new_tokens)
        completions = output[:, inputs["input_ids"].shape[1] :].tolist()
        rollouts = [_to_rollout(ids, model, processor) for ids in completions]
        groups += [rollouts[index : index + count] for index in range(0, len(rollouts), count)]
        progress(len(groups), len(conversations))
    return groups


def _to_rollout(token_ids: list[int], model: PreTrainedModel, processor: ProcessorMixin) -> Rollout:
    ends = model.generation_config.eos_token_id
    ends = [ends] if isinstance(ends, int) else ends
    length = next((place + 1 for place, token in enumerate(token_ids) if token in ends), None)
    kept = token_ids[:length]
    return Rollout(processor.tokenizer.decode(kept, skip_special_tokens=True), kept, length is not None)
