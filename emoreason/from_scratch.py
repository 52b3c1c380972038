"""A small Qwen2.5-VL made here: a tokenizer trained on the recipe's text, random weights, a vision tower with a head start.

What comes out is an ordinary checkpoint folder; no other module knows that it was not downloaded.
"""

import math
import random
from collections.abc import Callable
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch.nn import functional as F
from transformers import (
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
)

from emoreason.media import augmented, record_pictures
from emoreason.recipe import Augmentation, FromScratch, MediaSettings, WarmStart
from emoreason.records import Record
from emoreason.run_dir import publish

END, TURN_START, TURN_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION = {"vision_start_token_id": "<|vision_start|>", "vision_end_token_id": "<|vision_end|>", "vision_token_id": "<|vision_pad|>",
          "image_token_id": "<|image_pad|>", "video_token_id": "<|video_pad|>"}  # fmt: skip
MAX_TOKEN_CHARACTERS = 24
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{ '<|im_start|>' + message.role + '\n' }}"
    "{%- if message.content is string -%}{{ message.content }}"
    "{%- else -%}{%- for part in message.content -%}"
    "{%- if part.type == 'image' -%}{{ '<|vision_start|><|image_pad|><|vision_end|>' }}"
    "{%- elif part.type == 'text' -%}{{ part.text }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{ '<|im_end|>\n' }}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{ '<|im_start|>assistant\n' }}{%- endif -%}"
)


def build_checkpoint(
    path: Path,
    settings: FromScratch,
    media: MediaSettings,
    texts: list[str],
    pictured: list[tuple[Record, Path]],
    seed: int,
    augment: Augmentation | None,
    progress: Callable[[int, int, float], None],
) -> None:
    """Write a checkpoint folder at `path`, whole or not at all.

    `texts` trains the tokenizer; `pictured` are (record, records file) pairs with one picture each, for the warm start.
    """
    torch.manual_seed(seed)
    tokenizer = train_tokenizer(texts, settings.vocab_size)
    ids = {key: tokenizer.convert_tokens_to_ids(token) for key, token in VISION.items()}
    end = tokenizer.convert_tokens_to_ids(TURN_END)
    text_config = {**settings.text_config, "vocab_size": len(tokenizer), "bos_token_id": None, "eos_token_id": end,
                   "pad_token_id": tokenizer.pad_token_id}  # fmt: skip
    config = Qwen2_5_VLConfig(text_config=text_config, vision_config=settings.vision_config, **ids)
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.generation_config.eos_token_id = [end]
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    vision = config.vision_config
    sizes = {"patch_size": vision.patch_size, "merge_size": vision.spatial_merge_size, "temporal_patch_size": vision.temporal_patch_size}
    pixels = {"shortest_edge": media.min_pixels, "longest_edge": media.max_pixels}
    image_processor = Qwen2VLImageProcessor(size=pixels, **sizes)
    processor = Qwen2_5_VLProcessor(image_processor, tokenizer, Qwen2VLVideoProcessor(**sizes), chat_template=CHAT_TEMPLATE)
    if settings.warm_start and settings.warm_start.steps:
        warm_start(model, image_processor, settings.warm_start, pictured, seed, augment, progress)
    temporary = path.with_name(f".tmp_{path.name}")
    model.save_pretrained(temporary)
    processor.save_pretrained(temporary)
    publish(temporary, path)


def train_tokenizer(texts: list[str], vocab_size: int) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with Qwen's special tokens, trained on `texts`.

    Unlike Qwen's, a token may span words: the texts of a small recipe repeat whole phrases, and rows get three times shorter.
    """
    special = [END, TURN_START, TURN_END, *VISION.values()]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=vocab_size, special_tokens=special, initial_alphabet=alphabet, show_progress=False,
                                  max_token_length=MAX_TOKEN_CHARACTERS)  # fmt: skip
    tokenizer.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=TURN_END, pad_token=END, additional_special_tokens=special[1:])


def warm_start(
    model: Qwen2_5_VLForConditionalGeneration,
    image_processor: Qwen2VLImageProcessor,
    settings: WarmStart,
    pictured: list[tuple[Record, Path]],
    seed: int,
    augment: Augmentation | None,
    progress: Callable[[int, int, float], None],
) -> None:
    """Train the vision tower and its projector to name each picture's label, words and cues through a linear head.

    A vision transformer learns little from a few hundred pictures through the loss of a language model that is random
    itself; a direct loss on what the records say is the shorter way. The head is thrown away.
    """
    labels = sorted({record.target.label for record, _ in pictured if record.target.label})
    facts = [_facts(record) for record, _ in pictured]
    vocabulary = sorted(set().union(*facts))
    groups = sorted({record.group for record, _ in pictured})
    label_ids = torch.tensor([labels.index(record.target.label) if record.target.label else -100 for record, _ in pictured])
    group_ids = torch.tensor([groups.index(record.group) for record, _ in pictured])
    fact_hits = torch.tensor([[float(fact in found) for fact in vocabulary] for found in facts])
    pictures = [record_pictures(record, path)[0] for record, path in pictured]

    tower, generator = model.model.visual, random.Random(seed)
    num_tokens = _features(tower, image_processor, pictures[:1]).shape[1]
    sizes = [len(vocabulary), len(labels), len(groups)]
    head = torch.nn.Linear(num_tokens, sum(sizes))
    parameters = [*tower.parameters(), *head.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _warm_up_then_cosine(step, settings.steps))
    tower.train()
    order: list[int] = []
    for step in range(settings.steps):
        while len(order) < settings.batch_size:
            order += generator.sample(range(len(pictures)), len(pictures))
        rows, order = order[: settings.batch_size], order[settings.batch_size :]
        batch = [augmented(pictures[row], augment, generator) if augment else pictures[row] for row in rows]
        facts_out, labels_out, groups_out = head(_features(tower, image_processor, batch)).split(sizes, dim=1)
        # Weights found on the calibration split: facts are many and mostly absent, so their mean loss is small.
        loss = 8.0 * F.binary_cross_entropy_with_logits(facts_out, fact_hits[rows]) + 0.5 * F.cross_entropy(groups_out, group_ids[rows])
        if (label_ids[rows] >= 0).any():
            loss = loss + F.cross_entropy(labels_out, label_ids[rows])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress(step + 1, settings.steps, loss.item())


def _facts(record: Record) -> set[str]:
    return set(record.target.labels) | set(record.target.cues.get("image", []))


def _features(tower: torch.nn.Module, image_processor: Qwen2VLImageProcessor, pictures: list) -> torch.Tensor:
    """Projected vision tokens, all of a picture side by side: (num_pictures, num_tokens x hidden size)."""
    inputs = image_processor(images=pictures, return_tensors="pt")
    tokens = tower(inputs["pixel_values"], grid_thw=inputs["image_grid_thw"]).pooler_output
    return tokens.reshape(len(pictures), -1)


def _warm_up_then_cosine(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / 50) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / steps)))
