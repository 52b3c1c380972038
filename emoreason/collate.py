"""Prompts with their media as a model reads them, and batches of rows for TRL's trainers.

A row is a prompt and what follows it. The prompt is encoded once for all rows that share it, and travels beside the padded token
ids as an object; its tensors move to the device where the towers run, once for each distinct medium.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import torch
from transformers import PretrainedConfig, PreTrainedModel, ProcessorMixin

from emoreason.families import MediaItem, encode, prompt_positions, token_counter
from emoreason.media import Medium
from emoreason.media_tokens import Modality
from emoreason.recipe import MediaSettings

MAX_KEPT_BYTES = 1 << 29
"""Of encoded prompts; a clip of 32 frames at 301,056 pixels takes 116 MB."""


@dataclass(frozen=True, eq=False)
class EncodedPrompt:
    """A prompt with every placeholder written out, and its media as the towers read them."""

    token_ids: torch.Tensor
    """(num_tokens,), on the CPU."""
    items: tuple[MediaItem, ...]
    audio_in_video: bool
    key: str
    """Hash of the token ids, the media and the media settings: prompts of one key give equal hidden states."""
    memo: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def num_bytes(self) -> int:
        """Of the media's tensors."""
        return sum(tensor.nbytes for item in self.items for tensor in item.tensors.values())

    def positions(self, model: PreTrainedModel) -> torch.Tensor:
        """Rotary positions (axes, num_tokens), as the model itself would place this prompt without padding."""
        if "positions" not in self.memo:
            self.memo["positions"] = prompt_positions(model, self.token_ids, self.items, self.audio_in_video)
        return self.memo["positions"]


def distinct_media(
    prompts: Sequence[EncodedPrompt], blanks: Mapping[Modality, MediaItem] = MappingProxyType({})
) -> tuple[list[MediaItem], list[int]]:
    """Every medium of the prompts once, and for each place in which one stands, in order, the index of it.

    Of `blanks` those are added whose kind no prompt has; they stand in no place.
    """
    items, known, occurrences = [], {}, []
    for prompt in prompts:
        for item in prompt.items:
            if (item.kind, item.digest, item.num_tokens) not in known:
                known[item.kind, item.digest, item.num_tokens] = len(items)
                items.append(item)
            occurrences.append(known[item.kind, item.digest, item.num_tokens])
    present = {item.kind for item in items}
    return [*items, *(item for kind, item in blanks.items() if kind not in present)], occurrences


class PromptEncoder:
    """Encodes prompts for one processor, model family and media settings; the last few are kept, since rows repeat them."""

    def __init__(self, processor: ProcessorMixin, config: PretrainedConfig, settings: MediaSettings):
        self.processor, self.config, self.settings = processor, config, settings
        self._kept: OrderedDict[str, EncodedPrompt] = OrderedDict()
        self._num_bytes = 0

    def __call__(self, prompt: str | list[dict], media: Sequence[Medium]) -> EncodedPrompt:
        """The encoded prompt; chat messages are rendered up to where the assistant begins, text is taken as it is."""
        text = prompt if isinstance(prompt, str) else self.processor.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
        parts = [self.config.model_type, self.settings.model_dump_json(), text, *(f"{medium.digest}:{medium.in_video}" for medium in media)]
        key = hashlib.sha256("\0".join(parts).encode()).hexdigest()
        if key not in self._kept:
            token_ids, items = encode(self.processor, self.config, text, media, self.settings)
            fused = any(medium.in_video for medium in media)
            self._kept[key] = EncodedPrompt(torch.tensor(token_ids), tuple(items), fused, key)
            self._num_bytes += self._kept[key].num_bytes
        self._kept.move_to_end(key)
        while self._num_bytes > MAX_KEPT_BYTES and len(self._kept) > 1:
            self._num_bytes -= self._kept.popitem(last=False)[1].num_bytes
        return self._kept[key]

    def num_tokens(self, prompt: str | list[dict], media: Sequence[Medium]) -> int:
        """Tokens of the encoded prompt, from the sizes of its media."""
        counter = token_counter(self.processor, self.config, self.settings)
        if counter is None:
            return len(self(prompt, media).token_ids)
        text = prompt if isinstance(prompt, str) else self.processor.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
        written = len(self.processor.tokenizer(text, add_special_tokens=False)["input_ids"])
        return written + sum(counter.count(medium) - (not medium.in_video) for medium in media)


def completion_ids(processor: ProcessorMixin, prompt: str | list[dict], completion: str | list[dict]) -> list[int]:
    """Tokens of what follows the prompt: a turn of the assistant up to the end of the template, or text as it is.

    Prompt and completion are tokenized apart, as TRL does, so that a prompt's tokens do not depend on what follows.
    """
    if not isinstance(completion, str):
        start = processor.apply_chat_template(prompt, add_generation_prompt=True, tokenize=False)
        whole = processor.apply_chat_template([*prompt, *completion], tokenize=False)
        assert whole.startswith(start), f"the chat template changes earlier turns: {whole[:200]!r}"
        completion = whole[len(start) :]
    return processor.tokenizer(completion, add_special_tokens=False)["input_ids"]


def padded_rows(prompts: Sequence[EncodedPrompt], completions: Sequence[Sequence[int]], pad_token_id: int) -> dict[str, Any]:
    """`input_ids`, `attention_mask` and `completion_mask` (num_rows, longest row), padded on the right, and `prompts`, one a row."""
    lengths = [len(prompt.token_ids) + len(completion) for prompt, completion in zip(prompts, completions, strict=True)]
    input_ids = torch.full((len(prompts), max(lengths)), pad_token_id)
    attention_mask, completion_mask = torch.zeros_like(input_ids), torch.zeros_like(input_ids)
    for row, (prompt, completion) in enumerate(zip(prompts, completions, strict=True)):
        start = len(prompt.token_ids)
        input_ids[row, :start] = prompt.token_ids
        input_ids[row, start : lengths[row]] = torch.tensor(completion, dtype=torch.long)
        attention_mask[row, : lengths[row]] = 1
        completion_mask[row, start : lengths[row]] = 1
    return {"input_ids": input_ids, "attention_mask": attention_mask, "completion_mask": completion_mask, "prompts": list(prompts)}


def record_ids(rows: Sequence[dict[str, Any]]) -> list[str]:
    """Whose rows these are, for messages; "?" where a row does not say."""
    return [row.get("id", "?") for row in rows]


@dataclass
class CompletionCollator:
    """Rows of `prompt`, `media`, `completion` as a batch for TRL's SFT trainer: the loss is on the completion alone."""

    encoder: PromptEncoder

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        prompts = [self.encoder(row["prompt"], row["media"]) for row in rows]
        completions = [completion_ids(self.encoder.processor, row["prompt"], row["completion"]) for row in rows]
        batch = padded_rows(prompts, completions, self.encoder.processor.tokenizer.pad_token_id)
        mask = batch.pop("completion_mask")
        return {**batch, "labels": batch["input_ids"].masked_fill(mask == 0, -100), "record_ids": record_ids(rows)}


@dataclass
class PreferenceCollator:
    """Rows of `prompt`, `media`, `chosen`, `rejected` as a batch for TRL's DPO trainer: all chosen first, then all rejected."""

    encoder: PromptEncoder

    def __call__(self, rows: list[dict[str, Any]]) -> dict[str, Any]:
        prompts = [self.encoder(row["prompt"], row["media"]) for row in rows]
        sides = [[completion_ids(self.encoder.processor, row["prompt"], row[side]) for row in rows] for side in ("chosen", "rejected")]
        batch = padded_rows(prompts * 2, sides[0] + sides[1], self.encoder.processor.tokenizer.pad_token_id)
        return {**batch, "record_ids": record_ids(rows)}
