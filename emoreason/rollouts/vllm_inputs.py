"""Encoded prompts as vLLM's engine takes them: token ids, the tensors of the media, and where each medium stands."""

from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Any

import torch
from transformers import PretrainedConfig
from vllm.entrypoints.scale_out.token_in_token_out.mm_serde import encode_mm_kwargs_item
from vllm.inputs.engine import EngineInput, mm_input, tokens_input
from vllm.multimodal.inputs import MultiModalFieldConfig, MultiModalFieldElem, MultiModalKwargsItem, MultiModalKwargsItems, PlaceholderRange

from emoreason.collate import EncodedPrompt
from emoreason.families import MediaItem, placeholder_ids
from emoreason.rollouts.parity import unpacked
from emoreason.rollouts.weights import digest

FLAT = {"pixel_values": "image", "pixel_values_videos": "video"}
"""Tensors of patches, of which every medium has its own number."""


def engine_input(prompt: EncodedPrompt, config: PretrainedConfig, salt: str = "", more_ids: Sequence[int] = ()) -> EngineInput:
    """The prompt, followed by `more_ids`.

    `salt` goes into the media's hashes, under which vLLM keeps what the towers made of them: with the version of the weights in it, features of
    older weights are never found again.
    """
    token_ids = [*prompt.token_ids.tolist(), *more_ids]
    if not prompt.items:
        return tokens_input(token_ids)
    kinds = list(dict.fromkeys(item.kind for item in prompt.items))
    by_kind = {kind: [item for item in prompt.items if item.kind == kind] for kind in kinds}
    items = {kind: [_kwargs_item(item, config, prompt.audio_in_video) for item in found] for kind, found in by_kind.items()}
    hashes = {kind: [f"{salt}{item.digest}{item.num_tokens}" for item in found] for kind, found in by_kind.items()}
    return mm_input(token_ids, MultiModalKwargsItems(items), hashes, placeholders(prompt, config))


def placeholders(prompt: EncodedPrompt, config: PretrainedConfig) -> dict[str, list[PlaceholderRange]]:
    """For each medium the stretch of the prompt from its first placeholder to its last, and which tokens of it are its own."""
    found: dict[str, list[PlaceholderRange]] = {}
    for kind, token_id in placeholder_ids(config).items():
        places = (prompt.token_ids == token_id).nonzero()[:, 0]
        items = [item for item in prompt.items if item.kind == kind]
        ends = list(accumulate(item.num_tokens for item in items))
        assert len(places) == (ends[-1] if ends else 0), f"{len(places)} {kind} tokens for {ends} features"
        for item, end in zip(items, ends, strict=True):
            own = places[end - item.num_tokens : end]
            start, length = int(own[0]), int(own[-1] - own[0]) + 1
            is_own = torch.zeros(length, dtype=torch.bool)
            is_own[own - start] = True
            found.setdefault(kind, []).append(PlaceholderRange(offset=start, length=length, is_embed=None if is_own.all() else is_own))
    return found


def _kwargs_item(item: MediaItem, config: PretrainedConfig, audio_in_video: bool) -> MultiModalKwargsItem:
    return MultiModalKwargsItem({name: _element(name, item.kind, value) for name, value in engine_tensors(item, config, audio_in_video).items()})


def engine_tensors(item: MediaItem, config: PretrainedConfig, audio_in_video: bool) -> dict[str, torch.Tensor]:
    """The medium's tensors under vLLM's names, with a leading axis of one medium except for patches."""
    tensors: dict[str, Any] = dict(item.tensors)
    if item.kind == "audio":
        mask = tensors["feature_attention_mask"]
        features = tensors.pop("input_features")[0][:, mask[0].bool()]
        tensors |= {"input_audio_features": features, "audio_feature_lengths": mask.sum(-1)}
    if item.kind == "video" and config.model_type != "qwen3_vl":
        tensors["second_per_grid_ts"] = torch.tensor([item.seconds_per_grid])
    if item.kind == "video" and config.model_type.endswith("_thinker"):
        tensors["use_audio_in_video"] = torch.tensor(audio_in_video)
    return tensors


def _element(name: str, kind: str, value: torch.Tensor) -> MultiModalFieldElem:
    if name in FLAT:
        field = MultiModalFieldConfig.flat_from_sizes(kind, torch.tensor([len(value)]))
    elif name == "input_audio_features":
        field = MultiModalFieldConfig.flat_from_sizes(kind, torch.tensor([value.shape[1]]), dim=1)
    elif name == "use_audio_in_video":
        field = MultiModalFieldConfig.shared(kind, 1, keep_on_cpu=True)
    else:
        field = MultiModalFieldConfig.batched(kind, keep_on_cpu=not value.is_floating_point() or name == "second_per_grid_ts")
    (element,) = field.build_elems(name, value)
    return element


def examined(prompt: EncodedPrompt, config: PretrainedConfig, call: Callable[..., list[dict[str, Any]]]) -> dict[str, Any]:
    """What the engine's first worker tells of a prompt, see `WorkerExtension.examine`; `call` is given its arguments."""
    places, taken = placeholders(prompt, config), dict.fromkeys(("image", "video", "audio"), 0)
    tensors, encoded, ranges = [], [], []
    for item in prompt.items:
        made = _kwargs_item(item, config, prompt.audio_in_video)
        tensors.append({name: digest(torch.as_tensor(element.data)) for name, element in made.items()})
        encoded.append(encode_mm_kwargs_item(made))
        place = places[item.kind][taken[item.kind]]
        taken[item.kind] += 1
        ranges.append([place.offset, place.length])
    told = call("examine", encoded, prompt.token_ids.tolist(), ranges, [item.kind for item in prompt.items])[0]
    return {"same_features": told["digests"] == tensors, "towers": [unpacked(one) for one in told["towers"]],
            "positions": None if told["positions"] is None else torch.tensor(told["positions"])}  # fmt: skip
