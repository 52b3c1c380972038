"""What differs between model families; nothing else knows it.

A family says which parts its parameters belong to, which media it reads, how its processor is asked for them, where its rotary
positions stand, and what its towers return. Everything above works on `MediaItem`s and positions.
"""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
import transformers
from packaging.version import Version
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel, ProcessorMixin
from transformers.video_utils import VideoMetadata

from emoreason.faults import UserError
from emoreason.media import Medium
from emoreason.media_tokens import MODALITIES, Modality, TokenCounter, audio_tokens, video_size_limits
from emoreason.recipe import MediaSettings, Part

PLACEHOLDER = {"image": "image_token_id", "video": "video_token_id", "audio": "audio_token_id"}
"""The attribute of a config that holds the id of a medium's placeholder token."""

_QWEN_VL = {"projector": r"visual\.(deepstack_)?merger", "vision": r"visual\.", "language": r"language_model\.|lm_head\."}
_OMNI = {
    "projector": r"visual\.merger|visual\.merger_list|audio_tower\.proj",
    "vision": r"visual\.|audio_tower\.",
    "language": r"(^|\.)model\.|lm_head\.",
}


@dataclass(frozen=True)
class Family:
    """One `model_type`: its parts as patterns searched from the left (the first that matches owns the parameter), and positions."""

    parts: dict[Part, str]
    positions: Literal["vision", "omni", "text"]
    """`vision`: M-RoPE from token types; `omni`: M-RoPE from token ids and audio lengths; `text`: 0, 1, 2, ..."""
    audio_in_video: bool = False
    """The sound track of a clip can be interleaved with its frames."""
    needs_transformers: str = "5.18"
    """The oldest version with which it was tried; in older ones the Omni thinkers have no backbone of their own."""


FAMILIES: dict[str, Family] = {
    "qwen2_vl": Family(_QWEN_VL, "vision"),
    "qwen2_5_vl": Family(_QWEN_VL, "vision"),
    "qwen3_vl": Family(_QWEN_VL, "vision"),
    "qwen2_5_omni_thinker": Family(_OMNI, "omni", audio_in_video=True, needs_transformers="5.24"),
    "qwen3_omni_moe_thinker": Family(_OMNI, "omni", audio_in_video=True, needs_transformers="5.24"),
    "smolvlm": Family(
        {"projector": r"connector\.", "vision": r"vision_model\.", "language": r"text_model\.|lm_head\."}, "text", needs_transformers="5.24"
    ),
}


def family_of(config: PretrainedConfig) -> Family:
    """The family of a model's config.

    Raises:
        UserError: an unknown one, named with those that are known.
    """
    if config.model_type not in FAMILIES:
        raise UserError(f"model family {config.model_type!r}: its parts and media are not known; accepted: {', '.join(FAMILIES)}")
    return FAMILIES[config.model_type]


def check_version(config: PretrainedConfig) -> None:
    """Refuse a known family under a transformers that is too old for it."""
    family = FAMILIES.get(config.model_type)
    if family and Version(transformers.__version__) < Version(family.needs_transformers):
        raise UserError(f"{config.model_type} needs transformers {family.needs_transformers} or newer, this is {transformers.__version__}; "
                        f"pip install 'transformers>={family.needs_transformers},<5.25'")


def placeholder_ids(config: PretrainedConfig) -> dict[Modality, int]:
    """{modality: id of the token that stands for a piece of it in a prompt}."""
    family_of(config)
    return {kind: getattr(config, PLACEHOLDER[kind]) for kind in MODALITIES[config.model_type]}


@dataclass(frozen=True, eq=False)
class MediaItem:
    """One medium as the towers read it, on the CPU."""

    kind: Modality
    digest: str
    """Identity of the medium; two items of one digest and one processor hold equal tensors."""
    tensors: dict[str, torch.Tensor]
    """The processor's own names. Qwen: patches (num_patches, patch size) and a grid (1, 3); audio: features (1, mel bins, frames) and a mask."""
    num_tokens: int
    """Placeholder tokens in the prompt."""
    seconds_per_grid: float | None = None
    """Clips: seconds between two temporal positions, from the frames that were really read."""


def encode(
    processor: ProcessorMixin, config: PretrainedConfig, text: str, media: Sequence[Medium], settings: MediaSettings
) -> tuple[list[int], list[MediaItem]]:
    """Token ids of `text` with every placeholder written out, and its media as the towers read them, in order within a modality.

    The processor is called for one record at a time, since its frame rate and its sound-track switch hold for a whole call.

    Raises:
        UserError: a modality that the family does not read, a count of placeholders that is not the count of media.
    """
    family = family_of(config)
    _check_media(family, config.model_type, processor, media)
    by_kind = {kind: [medium for medium in media if medium.kind == kind] for kind in PLACEHOLDER}
    arguments: dict[str, Any] = {"text": [text], "return_tensors": "pt", "add_special_tokens": False}
    if by_kind["image"]:
        arguments["images"] = [[medium.content for medium in by_kind["image"]]]
    if by_kind["video"]:
        (clip,) = by_kind["video"]
        frames = torch.from_numpy(np.ascontiguousarray(clip.content.transpose(0, 3, 1, 2)))
        arguments |= {"videos": [frames], "videos_kwargs": _video_arguments(config.model_type, clip, settings)}
    if by_kind["audio"]:
        arguments["audio"] = [medium.content for medium in by_kind["audio"]]
        arguments["audio_kwargs"] = {"sampling_rate": by_kind["audio"][0].sample_rate}
        if any(medium.in_video for medium in media):
            arguments |= {"load_audio_from_video": True, "audio_from_video_indices": [0]}
    try:
        batch = processor(**arguments)
    except ValueError as error:
        said = str(error).splitlines()[0]
        raise UserError(f"the prompt {text[:60]!r}... cannot be encoded: {said}; is a placeholder written in the text itself?") from error
    token_ids = batch["input_ids"][0].tolist()
    items = _items(config, batch, by_kind, processor)
    for kind, token_id in placeholder_ids(config).items():
        expected = sum(item.num_tokens for item in items if item.kind == kind)
        if (found := token_ids.count(token_id)) != expected:
            raise UserError(f"the prompt has {found} {kind} tokens for {expected} {kind} features; is a placeholder written in the text itself?")
    return token_ids, items


def _check_media(family: Family, name: str, processor: ProcessorMixin, media: Sequence[Medium]) -> None:
    foreign = sorted({medium.kind for medium in media} - set(MODALITIES[name]))
    if foreign:
        raise UserError(f"{name} does not read {' or '.join(foreign)}; accepted: {', '.join(MODALITIES[name])}")
    if name == "qwen2_5_omni_thinker":  # the only one whose extractor cuts, and it does so without a word
        limit = processor.feature_extractor.chunk_length
        for medium in media:
            if medium.kind == "audio" and len(medium.content) > limit * medium.sample_rate:
                seconds = len(medium.content) / medium.sample_rate
                raise UserError(f"{name} here reads {limit} s of a sound and would cut off the rest of {seconds:.1f} s; lower media.max_seconds, "
                                "or raise chunk_length of the checkpoint's feature extractor")
    if any(medium.in_video for medium in media) and not family.audio_in_video:
        raise UserError(f"{name} cannot hear a sound track in time with its frames; set audio_in_video to false")


def token_counter(processor: ProcessorMixin, config: PretrainedConfig, settings: MediaSettings) -> TokenCounter | None:
    """Counts prompt tokens without reading pixels, or None for a family whose counts only its processor knows."""
    if config.model_type == "smolvlm":
        return None
    pictures, clips = processor.image_processor, processor.video_processor
    hop_length = processor.feature_extractor.hop_length if hasattr(processor, "feature_extractor") else 160
    return TokenCounter(config.model_type, pictures.patch_size, pictures.merge_size, clips.temporal_patch_size, settings,
                        lambda text: len(processor.tokenizer(text, add_special_tokens=False)["input_ids"]), hop_length)  # fmt: skip


def _video_arguments(name: str, clip: Medium, settings: MediaSettings) -> dict[str, Any]:
    """Frames as they are, with the times at which they stood: sampling is done, and no processor may do it again."""
    milliseconds = [round(1000 * time) for time in clip.times]
    metadata = VideoMetadata(total_num_frames=round(1000 * len(clip.content) / clip.fps), fps=1000.0, frames_indices=milliseconds)
    return {"do_sample_frames": False, "video_metadata": [metadata], "size": video_size_limits(name, len(clip.content), settings),
            "cap_pixels_per_frame": False,
            **({"fps": clip.fps} if "omni" in name else {})}  # fmt: skip


def _items(config: PretrainedConfig, batch: dict, by_kind: dict[str, list[Medium]], processor: ProcessorMixin) -> list[MediaItem]:
    items = []
    if config.model_type == "smolvlm":
        if by_kind["image"]:
            tensors = {name: batch[name] for name in ("pixel_values", "pixel_attention_mask")}
            count = int((batch["input_ids"] == config.image_token_id).sum())
            items.append(MediaItem("image", "+".join(medium.digest for medium in by_kind["image"]), tensors, count))
        return items
    merge = processor.image_processor.merge_size**2
    for kind, pixels, grid in (("image", "pixel_values", "image_grid_thw"), ("video", "pixel_values_videos", "video_grid_thw")):
        if by_kind[kind]:
            sizes = batch[grid].prod(-1).tolist()
            for index, (medium, patches) in enumerate(zip(by_kind[kind], batch[pixels].split(sizes), strict=True)):
                seconds = processor.video_processor.temporal_patch_size / medium.fps if kind == "video" else None
                tensors = {pixels: patches, grid: batch[grid][index : index + 1]}
                items.append(MediaItem(kind, medium.digest, tensors, sizes[index] // merge, seconds))
    if by_kind["audio"]:
        for index, medium in enumerate(by_kind["audio"]):
            mask = batch["feature_attention_mask"][index]
            # Whisper's extractor pads to its whole window; the towers read valid frames alone, so the rest need not be kept.
            length = int(mask.sum())
            tensors = {"input_features": batch["input_features"][index : index + 1, :, :length], "feature_attention_mask": mask[None, :length]}
            items.append(MediaItem("audio", medium.digest, tensors, audio_tokens(config.model_type, length)))
    return items


def prompt_positions(model: PreTrainedModel, token_ids: torch.Tensor, items: Sequence[MediaItem], audio_in_video: bool) -> torch.Tensor:
    """Rotary positions of one prompt (3, num_tokens), or (1, num_tokens) for families with text positions, whole numbers or not."""
    family = family_of(model.config)
    plain = torch.arange(len(token_ids))[None]
    if family.positions == "text":
        return plain
    if not items:
        return plain.expand(3, -1)
    grids = {f"{kind}_grid_thw": _joined(items, f"{kind}_grid_thw") for kind in ("image", "video")}
    clips = [item.seconds_per_grid for item in items if item.kind == "video"]
    seconds = torch.tensor(clips) if clips else None
    if family.positions == "omni":
        lengths = [item.tensors["feature_attention_mask"].sum() for item in items if item.kind == "audio"]
        found, _ = model.base_model.get_rope_index(
            token_ids[None], **grids, attention_mask=torch.ones(1, len(token_ids), dtype=torch.long), use_audio_in_video=audio_in_video,
            audio_seqlens=torch.stack(lengths) if lengths else None, second_per_grids=seconds,
        )  # fmt: skip
    else:
        ids = placeholder_ids(model.config)
        types = (token_ids == ids["image"]).int() + 2 * (token_ids == ids["video"]).int()
        arguments = {"second_per_grid_ts": seconds} if "second_per_grid_ts" in inspect.signature(model.base_model.get_rope_index).parameters else {}
        found, _ = model.base_model.get_rope_index(token_ids[None], mm_token_type_ids=types[None], **grids, **arguments)
        return _in_order(found[:, 0], types.tolist())
    return found[:, 0]  # Qwen3-Omni places frames between whole numbers


def followed(positions: torch.Tensor, num_tokens: int) -> torch.Tensor:
    """Positions of a prompt (axes, n) and of so many tokens of text behind it, which keep the fraction that a clip may end on."""
    text = positions.max() + 1 + torch.arange(num_tokens)
    return torch.cat([positions, text.expand(len(positions), -1)], dim=1)


def _in_order(positions: torch.Tensor, types: list[int]) -> torch.Tensor:
    """Every stretch of text, picture or clip moved to begin behind the largest position before it.

    transformers 5.24 begins the text after a clip behind its rows and columns, even where its time has gone further; the models were
    trained, and vLLM runs them, behind the largest of the three (Wang et al. 2024, arXiv 2409.12191, section 2.1).
    """
    positions, start, following = positions.clone(), 0, 0
    for _, stretch in itertools.groupby(types):
        end = start + len(list(stretch))
        part = positions[:, start:end]
        part += following - part.min()
        start, following = end, int(part.max()) + 1
    return positions


BLANK_FRAMES = 16
"""Of a blank sound: the shortest that every audio tower here takes."""


def blank(config: PretrainedConfig, kind: Modality) -> MediaItem:
    """A black picture or clip, or silence, as small as the tower takes it.

    It stands for a kind of medium that a batch lacks: where processes exchange weights or gradients, all of them must run the same modules, or
    those that do wait for those that do not. None of its tokens enters the language model, and its gradient is zero.
    """
    if kind == "audio":
        frames = torch.zeros(1, config.audio_config.num_mel_bins, BLANK_FRAMES)
        tensors = {"input_features": frames, "feature_attention_mask": torch.ones(1, BLANK_FRAMES, dtype=torch.long)}
        return MediaItem("audio", "blank", tensors, audio_tokens(config.model_type, BLANK_FRAMES))
    vision = config.vision_config
    if config.model_type == "smolvlm":
        side = vision.image_size
        tensors = {"pixel_values": torch.zeros(1, 1, 3, side, side), "pixel_attention_mask": torch.ones(1, 1, side, side, dtype=torch.bool)}
        return MediaItem("image", "blank", tensors, (side // vision.patch_size // config.scale_factor) ** 2)
    side, channels = vision.spatial_merge_size, getattr(vision, "in_channels", 3)
    patches = torch.zeros(side * side, channels * vision.temporal_patch_size * vision.patch_size**2)
    names = {"image": ("pixel_values", "image_grid_thw"), "video": ("pixel_values_videos", "video_grid_thw")}[kind]
    return MediaItem(kind, "blank", {names[0]: patches, names[1]: torch.tensor([[1, side, side]])}, 1, 1.0 if kind == "video" else None)


def _joined(items: Sequence[MediaItem], name: str) -> torch.Tensor | None:
    found = [item.tensors[name] for item in items if name in item.tensors]
    return torch.cat(found) if found else None


def tower_inputs(config: PretrainedConfig, items: Sequence[MediaItem], device: torch.device) -> dict[str, torch.Tensor]:
    """The model's arguments for these items, each once, in the order given."""
    if config.model_type == "smolvlm":
        return {name: torch.cat([item.tensors[name][0] for item in items])[None].to(device) for name in items[0].tensors} if items else {}
    arguments = {}
    for name in dict.fromkeys(name for item in items for name in item.tensors):
        found = [item.tensors[name] for item in items if name in item.tensors]
        if name in ("input_features", "feature_attention_mask"):
            longest = max(tensor.shape[-1] for tensor in found)
            found = [nn.functional.pad(tensor, (0, longest - tensor.shape[-1])) for tensor in found]
        arguments[name] = torch.cat(found).to(device)
    return arguments


@contextmanager
def towers_once(model: PreTrainedModel, items: Sequence[MediaItem], occurrences: Sequence[int]) -> Iterator[None]:
    """Inside, a forward pass that is given each of `items` once gets their features as often, and in the order, as `occurrences` says.

    Towers without a trainable parameter run without gradient.
    """
    backbone = model.base_model
    kinds = [kind for kind in MODALITIES[model.config.model_type] if any(item.kind == kind for item in items)]
    within: list = []
    for kind in kinds:
        places = {index: place for place, index in enumerate(index for index, item in enumerate(items) if item.kind == kind)}
        order = [places[index] for index in occurrences if index in places]
        sizes = [item.num_tokens for item in items if item.kind == kind]
        name = f"get_{kind}_features"
        setattr(backbone, name, _repeating(getattr(backbone, name), order, sizes, _trains(backbone, kind), within))
    try:
        yield
    finally:
        for kind in kinds:
            delattr(backbone, f"get_{kind}_features")


def _repeating(original: Callable, order: list[int], sizes: list[int], trains: bool, within: list) -> Callable:
    @functools.wraps(original)  # `generate` reads the signature
    def get_features(*args: Any, **kwargs: Any) -> Any:
        kwargs.pop("shared_prefix", None)  # speaks of the language model's row, which no tower sees
        if within:  # Qwen3-VL reads a clip by its own get_image_features
            return original(*args, **kwargs)
        within.append(original)
        with torch.set_grad_enabled(trains and torch.is_grad_enabled()):
            found = original(*args, **kwargs)
        within.pop()
        if order != list(range(len(sizes))):
            _reorder(found, order, sizes)
        return found

    return get_features


def _reorder(found: Any, order: list[int], sizes: list[int]) -> None:
    """Repeat and sort the tower's output by item, in place: what is one tensor for all items, and what is one for each."""
    if isinstance(getattr(found, "pooler_output", None), tuple | list):
        pooled = found.pooler_output if len(found.pooler_output) == len(sizes) else torch.cat(list(found.pooler_output)).split(sizes)
        found.pooler_output = _taken(pooled, order)
    else:
        found.last_hidden_state = torch.cat(_taken(found.last_hidden_state.split(sizes), order))
    if getattr(found, "deepstack_features", None) is not None:
        found.deepstack_features = [_taken(layer, order) for layer in found.deepstack_features]


def _taken(pieces: Sequence[torch.Tensor], order: list[int]) -> tuple[torch.Tensor, ...]:
    """The pieces in this order; of a blank none of its tokens, but still what autograd knows of it."""
    return tuple(pieces[index] for index in order) or (pieces[0][:0],)


def _trains(backbone: nn.Module, kind: Modality) -> bool:
    names = {"audio": ("audio_tower",)}.get(kind, ("visual", "vision_model", "connector"))
    towers = [getattr(backbone, name) for name in names if hasattr(backbone, name)]
    return any(parameter.requires_grad for tower in towers for parameter in tower.parameters())


@torch.no_grad()
def tower_features(model: PreTrainedModel, item: MediaItem) -> torch.Tensor:
    """What the towers make of one medium: (placeholder tokens, hidden size), as it enters the language model."""
    found = getattr(model.base_model, f"get_{item.kind}_features")(**tower_inputs(model.config, [item], model.device))
    features = found.pooler_output if getattr(found, "pooler_output", None) is not None else found.last_hidden_state
    features = torch.cat(list(features)) if isinstance(features, tuple | list) else features
    return features.reshape(-1, features.shape[-1])


def without_shared_prefix(config: PretrainedConfig) -> str | None:
    """Why a prompt cannot be shared in this model, or None where it can: every layer must attend to all that came before."""
    text = config.get_text_config()
    kinds = sorted(set(getattr(text, "layer_types", None) or ["full_attention"]) - {"full_attention"})
    if kinds:
        return f"{config.model_type} has layers of {', '.join(kinds)}"
    if getattr(text, "sliding_window", None) and getattr(text, "use_sliding_window", True):
        return f"{config.model_type} attends within a sliding window"
    if getattr(text, "attention_dropout", 0.0):
        return f"{config.model_type} trains with attention dropout"
    if getattr(text, "attn_logit_softcapping", None):
        return f"{config.model_type} caps its attention scores"
    return None
