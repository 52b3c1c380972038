"""Checkpoints in and out: the only module that knows how a model family names its parts."""

import json
import re
from pathlib import Path

import torch
from accelerate import PartialState
from peft import LoraConfig, PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, ProcessorMixin

from emoreason.faults import UserError
from emoreason.recipe import LoraSettings, MediaSettings, ModelSettings, Part

# Parameter names of each part, by `model_type`; searched from the left, the first part that matches owns the parameter.
_QWEN_VL = {"projector": r"visual\.merger\.", "vision": r"visual\.", "language": r"language_model\.|lm_head\."}
PARTS: dict[str, dict[Part, str]] = {
    "qwen2_vl": _QWEN_VL,
    "qwen2_5_vl": _QWEN_VL,
    "qwen2_5_omni_thinker": {
        "projector": r"visual\.merger\.|audio_tower\.proj\.",
        "vision": r"visual\.|audio_tower\.",
        "language": r"(^|\.)model\.|lm_head\.",
    },
}


def load_processor(path: str, media: MediaSettings, trust_remote_code: bool = False) -> ProcessorMixin:
    """The processor at `path` with the recipe's media settings, which it carries along when it is saved."""
    processor = _from_pretrained(AutoProcessor, path, trust_remote_code=trust_remote_code)
    size = {"shortest_edge": media.min_pixels, "longest_edge": media.max_pixels}
    processor.image_processor.size = size
    processor.tokenizer.padding_side = "left"
    return processor


def load_model(settings: ModelSettings) -> PreTrainedModel:
    """The model at `settings.path` in eval mode; an adapter found there is merged into its base in float32 first.

    An adapter that is then trained on it names this folder as its base, and the chain is merged link by link.

    Raises:
        UserError: no checkpoint at that path, or one that transformers cannot read.
    """
    dtype = getattr(torch, settings.dtype)
    arguments = {"attn_implementation": settings.attn_implementation, "trust_remote_code": settings.trust_remote_code}
    adapter = Path(settings.path) / "adapter_config.json"
    if not adapter.exists():
        return _from_pretrained(AutoModelForImageTextToText, settings.path, dtype=dtype, **arguments)
    base = json.loads(adapter.read_text())["base_model_name_or_path"]
    model = load_model(settings.model_copy(update={"path": base, "dtype": "float32"}))
    merged = PeftModel.from_pretrained(model, settings.path).merge_and_unload().to(dtype)
    merged.name_or_path = settings.path
    return merged


def load_for_sampling(settings: ModelSettings, media: MediaSettings) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The whole model on this process's device, in eval mode, and its processor."""
    processor = load_processor(settings.path, media, settings.trust_remote_code)
    return load_model(settings).eval().to(PartialState().device), processor


def _from_pretrained(loader: type, path: str, **arguments):
    try:
        return loader.from_pretrained(path, **arguments)
    except (OSError, ValueError) as error:
        raise UserError(f"model.path {path}: transformers cannot load it: {str(error).splitlines()[0]}") from error


def parts_of(model: PreTrainedModel) -> dict[str, Part]:
    """{parameter name: part} for every parameter of the model.

    Raises:
        UserError: a family whose parts are not known, named with those that are.
    """
    family = model.config.model_type
    if family not in PARTS:
        raise UserError(f"model family {family!r}: its parts are not known, so nothing of it can be frozen; accepted: {', '.join(PARTS)}")
    owners = {}
    for name, _ in model.named_parameters():
        owners[name] = next((part for part, pattern in PARTS[family].items() if re.search(pattern, name)), None)
        assert owners[name] is not None, f"{family}: no part owns {name}"
    return owners


def freeze(model: PreTrainedModel, frozen: list[Part]) -> None:
    """Train every parameter but those of the named parts."""
    if not frozen:
        model.requires_grad_(True)
        return
    owners = parts_of(model)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(owners[name] not in frozen)


def lora_config(settings: LoraSettings, model: PreTrainedModel) -> LoraConfig:
    """Adapters on the named projections of the language model only; the vision tower has modules of the same names."""
    owners = parts_of(model)
    names = {name.rpartition(".")[0] for name, part in owners.items() if part == "language"}
    targets = sorted(name for name in names if name.rpartition(".")[2] in settings.target_modules)
    if not targets:
        raise UserError(f"model.lora.target_modules {settings.target_modules}: the language model has none of these")
    return LoraConfig(r=settings.r, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules=targets, task_type="CAUSAL_LM")
