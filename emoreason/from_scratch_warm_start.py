"""A head start for the towers of a model made from scratch: they name what the records say before there is a language model.

A transformer learns little from a few hundred pictures, clips or sounds through the loss of a language model that is random
itself; a direct loss on what the records say is the shorter way.
"""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence
from transformers import PreTrainedModel, ProcessorMixin, WhisperFeatureExtractor

from emoreason.augmentation import augmented
from emoreason.media import Medium, record_media
from emoreason.recipe import Augmentation, MediaSettings, WarmStart
from emoreason.records import Record

Encode = Callable[[Sequence[Any]], list[torch.Tensor]]
"""The tower's projected tokens of each item, (steps in time, tokens a step, hidden size)."""


@dataclass(eq=False)
class Lesson:
    """What a tower learns from one kind of media, through a linear head of its own that is thrown away."""

    kind: str
    items: list[Any]
    """Pictures and clips as media, sounds as log-mel features."""
    encode: Encode
    head: torch.nn.Linear
    sizes: list[int]
    """Outputs of the head that are facts, labels and groups."""
    fact_hits: torch.Tensor
    """(num_items, num_facts), 1 where the record says so."""
    fact_weights: torch.Tensor
    """0 where the record says nothing either way."""
    label_ids: torch.Tensor
    """-100 where the record has no label for this kind."""
    group_ids: torch.Tensor
    generator: random.Random
    waiting: list[int] = field(default_factory=list)

    def loss(self, batch_size: int, augment: Augmentation | None) -> torch.Tensor:
        """How badly the head names the next batch; every item is seen as often as any other."""
        while len(self.waiting) < batch_size:
            self.waiting += self.generator.sample(range(len(self.items)), len(self.items))
        rows, self.waiting = self.waiting[:batch_size], self.waiting[batch_size:]
        batch = [self.items[row] for row in rows]
        if augment and self.kind != "audio":
            batch = [augmented(medium, augment, self.generator) for medium in batch]
        facts, labels, groups = self.head(side_by_side(self.encode(batch), self.head.in_features)).split(self.sizes, dim=1)
        # Weights found on the calibration split: facts are many and mostly absent, so their mean loss is small.
        terms = []
        if self.sizes[0]:
            terms.append(8.0 * F.binary_cross_entropy_with_logits(facts, self.fact_hits[rows], self.fact_weights[rows]))
        terms.append(0.5 * F.cross_entropy(groups, self.group_ids[rows]))
        if (self.label_ids[rows] >= 0).any():
            terms.append(F.cross_entropy(labels, self.label_ids[rows]))
        return sum(terms)


def warm_start(
    model: PreTrainedModel,
    processor: ProcessorMixin,
    settings: WarmStart,
    media: MediaSettings,
    examples: list[tuple[Record, Path]],
    seed: int,
    augment: Augmentation | None,
    progress: Callable[[int, int, float], None],
) -> None:
    """Train the towers and their projectors to name the label, words and cues of each picture, clip and sound.

    `examples` are records with the files they come from. What the model has no tower for is left out, and of several media of
    a kind in a record the first is shown. Nothing happens where nothing is left.
    """
    encoders: dict[str, Encode] = {
        "image": lambda pictures: _picture_tokens(model, processor, pictures),
        "video": lambda clips: _clip_tokens(model, processor, clips),
    }
    if hasattr(processor, "feature_extractor"):
        encoders["audio"] = lambda sounds: sound_tokens(model, sounds)
    shown = [(record, record_media(record, path, media)) for record, path in examples]
    lessons = []
    for kind, encode in encoders.items():
        first = [(record, next((medium for medium in found if medium.kind == kind), None)) for record, found in shown]
        records = [record for record, medium in first if medium]
        items = [medium for _, medium in first if medium]
        if kind == "audio":
            items = [log_mel(processor.feature_extractor, sound) for sound in items]
        if items:
            lessons.append(make_lesson(kind, records, items, encode, seed))
    if not lessons:
        return

    towers = [parameter for name, parameter in model.named_parameters() if "visual." in name or "audio_tower." in name]
    parameters = [*towers, *(parameter for lesson in lessons for parameter in lesson.head.parameters())]
    optimizer = torch.optim.AdamW(parameters, lr=settings.learning_rate, betas=(0.9, 0.98), weight_decay=settings.weight_decay)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _warm_up_then_cosine(step, settings.steps))
    model.train()
    for step in range(settings.steps):
        loss = sum(lesson.loss(settings.batch_size, augment) for lesson in lessons)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        progress(step + 1, settings.steps, loss.item())


def make_lesson(kind: str, records: list[Record], items: list[Any], encode: Encode, seed: int) -> Lesson:
    """What these items teach: item by item the facts of its record, which are cues and words, its label and its group."""
    speaks = [record.aligned_modality in (None, kind) for record in records]
    facts = [_facts(record, kind) for record in records]
    vocabulary = sorted(set().union(*facts))
    words = set().union(*(record.target.labels for record in records))
    names = [record.target.label if own else None for record, own in zip(records, speaks, strict=True)]
    labels = sorted({name for name in names if name})
    groups = sorted({record.group for record in records})
    sizes = [len(vocabulary), len(labels), len(groups)]
    return Lesson(
        kind,
        items,
        encode,
        torch.nn.Linear(_width(encode, items), sum(sizes)),
        sizes,
        fact_hits=torch.tensor([[float(fact in found) for fact in vocabulary] for found in facts]),
        # In a conflict the words belong to another modality: whether they fit this one is unknown.
        fact_weights=torch.tensor(
            [[float(own or fact in found or fact not in words) for fact in vocabulary] for found, own in zip(facts, speaks, strict=True)]
        ),
        label_ids=torch.tensor([labels.index(name) if name else -100 for name in names]),
        group_ids=torch.tensor([groups.index(record.group) for record in records]),
        generator=random.Random(seed),
    )


def _facts(record: Record, kind: str) -> set[str]:
    """Cues of this kind of media, and the record's words; in a conflict the words belong to the aligned modality alone."""
    cues = set(record.target.cues.get(kind, []))
    return cues | set(record.target.labels) if record.aligned_modality in (None, kind) else cues


def _width(encode: Encode, items: list[Any]) -> int:
    """Features that the head reads: a step's tokens side by side where every item has as many, else one token's."""
    with torch.no_grad():
        sizes = {encode([item])[0].shape[1:] for item in items}
    (hidden_size,) = {size[1] for size in sizes}
    return hidden_size * (sizes.pop()[0] if len(sizes) == 1 else 1)


def side_by_side(found: list[torch.Tensor], width: int) -> torch.Tensor:
    """(num_items, width): the mean over time, and over the tokens of a step where they do not fit side by side."""
    steps = [tokens.mean(0) for tokens in found]
    return torch.stack([tokens.flatten() if tokens.numel() == width else tokens.mean(0) for tokens in steps])


def _picture_tokens(model: PreTrainedModel, processor: ProcessorMixin, pictures: Sequence[Medium]) -> list[torch.Tensor]:
    inputs = processor.image_processor(images=[picture.content for picture in pictures], return_tensors="pt")
    tokens = model.get_image_features(inputs["pixel_values"], inputs["image_grid_thw"]).pooler_output
    return [picture[None] for picture in tokens]


def _clip_tokens(model: PreTrainedModel, processor: ProcessorMixin, clips: Sequence[Medium]) -> list[torch.Tensor]:
    frames = [torch.from_numpy(np.ascontiguousarray(clip.content.transpose(0, 3, 1, 2))) for clip in clips]
    inputs = processor.video_processor(videos=frames, return_tensors="pt")
    tokens = model.get_video_features(inputs["pixel_values_videos"], inputs["video_grid_thw"]).pooler_output
    return [clip.reshape(int(grid[0]), -1, clip.shape[-1]) for clip, grid in zip(tokens, inputs["video_grid_thw"], strict=True)]


def sound_tokens(model: PreTrainedModel, sounds: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    lengths = torch.tensor([len(sound) for sound in sounds])
    features = pad_sequence(list(sounds), batch_first=True).transpose(1, 2)
    mask = torch.arange(features.shape[2])[None] < lengths[:, None]
    tokens = model.get_audio_features(features, mask.long()).last_hidden_state
    # A convolution of stride two, then a mean of two.
    num_tokens = ((lengths - 1) // 2 + 1) // 2
    return [sound[:, None] for sound in tokens.split(num_tokens.tolist())]


def log_mel(reader: WhisperFeatureExtractor, sound: Medium) -> torch.Tensor:
    """(num_frames, mel bins) of the sound alone, made as the model's processor makes them: padded first, the padding then cut off."""
    inputs = reader(sound.content, sampling_rate=sound.sample_rate, padding="max_length", return_attention_mask=True, return_tensors="pt")
    return inputs["input_features"][0].T[inputs["attention_mask"][0].bool()]


def _warm_up_then_cosine(step: int, steps: int) -> float:
    return min(1.0, (step + 1) / 50) * (0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * step / steps)))
