"""Checkpoints in and out, frozen parts, adapters; `families` says how a model names its parts."""

import json
import re
from pathlib import Path

import torch
from accelerate import PartialState
from peft import LoraConfig, PeftModel
from transformers import AutoModelForImageTextToText, AutoProcessor, PreTrainedModel, ProcessorMixin

from emoreason.families import check_version, family_of
from emoreason.faults import UserError, raise_faults
from emoreason.recipe import LoraSettings, MediaSettings, ModelSettings, Part


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
        report = {"output_loading_info": True, "ignore_mismatched_sizes": True}  # so that all that is wrong is named
        model, found = _from_pretrained(AutoModelForImageTextToText, settings.path, dtype=dtype, **report, **arguments)
        _check_keys(settings.path, found)
        _keep_used_conversions(model)
        check_version(model.config)
        check_windows(model)
        return model
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


def _keep_used_conversions(model: PreTrainedModel) -> None:
    """Save the weights under the names under which they were read.

    transformers renames weights when it reads them and back when it saves them. Under ZeRO-3 (5.24) it also takes back renamings that nothing
    was read by, and writes `model.model.` for `model.`, which other programs do not know.
    """
    conversions = getattr(model, "_weight_conversions", None)
    if conversions is not None:
        model._weight_conversions = [conversion for conversion in conversions if conversion.was_used()]


def _check_keys(path: str, found: dict) -> None:
    """Refuse a checkpoint that leaves weights at random or brings weights that go nowhere."""
    faults = []
    for what, keys in (("has no weights for", found["missing_keys"]), ("has weights that the model does not know", found["unexpected_keys"]),
                       ("has weights of another shape for", found["mismatched_keys"])):  # fmt: skip
        names = sorted(str(key) for key in keys)
        if names:
            faults.append(f"model.path {path}: {what} {', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''}")
    raise_faults(faults)


def check_windows(model: PreTrainedModel) -> None:
    """Refuse an attention under which an audio tower hears beyond its window, by trying it on made-up features.

    The Omni towers attend within windows. An implementation that drops them raises nothing, and its features are those of another model.
    """
    tower = getattr(model.base_model, "audio_tower", None)
    if tower is None or any(parameter.is_meta or not parameter.numel() for parameter in tower.parameters()):
        return  # none, or weights that are elsewhere (ZeRO-3)
    weight = next(tower.parameters())
    window, bins = 2 * tower.config.n_window, tower.config.num_mel_bins
    features = torch.randn(bins, 8 * window, generator=torch.Generator().manual_seed(0)).to(weight.device, weight.dtype)
    changed = features.clone()
    changed[:, 4 * window :] = -features[:, 4 * window :]
    lengths = torch.tensor([8 * window], device=weight.device)
    with torch.no_grad():
        first, second = (tower(one, feature_lens=lengths).last_hidden_state.float() for one in (features, changed))
    quarter = len(first) // 4
    difference = (first[:quarter] - second[:quarter]).abs().max().item()
    if difference > 1e-4 * first.abs().max().item():  # windows that are kept apart give the very same numbers
        raise UserError(f"model.attn_implementation {tower.config._attn_implementation}: the audio tower of {model.config.model_type} hears beyond "
                        f"its window with it (features move by {difference:.1e}); accepted: one that keeps windows apart, as flash_attention_2 does")


def parts_of(model: PreTrainedModel) -> dict[str, Part]:
    """{parameter name: part} for every parameter of the model.

    Raises:
        UserError: a family whose parts are not known, named with those that are.
    """
    parts = family_of(model.config).parts
    owners = {}
    for name, _ in model.named_parameters():
        owners[name] = next((part for part, pattern in parts.items() if re.search(pattern, name)), None)
        assert owners[name] is not None, f"{model.config.model_type}: no part owns {name}"
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
