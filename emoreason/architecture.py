"""The sizes of a model without its weights: its config, built on the meta device, from wherever the recipe says that it comes.

In this order: the checkpoint at `model.path`, an adapter's base, `model.from_scratch`, what the recipes beside it start from, and the architectures
that are shipped for models of the hub (`tables/architectures`).
"""

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText, AutoTokenizer, PretrainedConfig, PreTrainedModel

from emoreason.families import family_of
from emoreason.faults import UserError
from emoreason.files import read_json
from emoreason.from_scratch import TOKENS
from emoreason.memory_estimate import ModelSizes
from emoreason.models import parts_of
from emoreason.recipe import AnyRecipe, FromScratch
from emoreason.run_dir import RunDir

SHIPPED = Path(__file__).with_name("tables") / "architectures"


@dataclass(frozen=True)
class Architecture:
    """A model's sizes, and its tokenizer where one is at hand."""

    sizes: ModelSizes
    text_tokens: Callable[[str], int] | None


def architecture_of(recipe: AnyRecipe, line: list[AnyRecipe]) -> Architecture:
    """What the stage trains; `line` are the recipes beside it.

    Raises:
        UserError: the architecture is not known.
    """
    config, source, folder = _found(recipe, line)
    return Architecture(sizes_of(config, source), _tokenizer(folder))


def shipped_architectures() -> dict[str, dict[str, Any]]:
    """{name on the hub: what its file says}."""
    files = [read_json(path) for path in sorted(SHIPPED.glob("*.json"))]
    return {name: file for file in files for name in file["names"]}


def _found(recipe: AnyRecipe, line: list[AnyRecipe]) -> tuple[PretrainedConfig, str, Path | None]:
    """(config, where it is from, the folder of its tokenizer)"""
    path, folder = recipe.model.path, Path(recipe.model.path)
    if (folder / "adapter_config.json").exists():
        folder = Path(read_json(folder / "adapter_config.json")["base_model_name_or_path"])
    if (folder / "config.json").exists():
        return AutoConfig.from_pretrained(folder, trust_remote_code=recipe.model.trust_remote_code), str(folder), folder
    if recipe.model.from_scratch:
        return scratch_config(recipe.model.from_scratch), "model.from_scratch", None
    makers = [other for other in line if other.stage != "evaluate" and RunDir(other.output_dir).checkpoint_path == Path(path)]
    if makers:
        return _found(makers[0], [other for other in line if other is not makers[0]])
    shipped = shipped_architectures()
    if path in shipped:
        return config_of(shipped[path]), f"emoreason's table of {path}", None
    raise UserError(f"model.path {path}: nothing is there, and its architecture is not known; accepted: a folder with config.json, or one of "
                    f"{', '.join(shipped)}")


def config_of(file: dict[str, Any]) -> PretrainedConfig:
    """The config that a file of `tables/architectures` describes."""
    return AutoConfig.for_model(file["config"]["model_type"], **{key: value for key, value in file["config"].items() if key != "model_type"})


def scratch_config(settings: FromScratch) -> PretrainedConfig:
    """The config of a model that is not made yet, with as large a vocabulary as it may get."""
    text = {**settings.text_config, "vocab_size": settings.vocab_size, **dict.fromkeys(("bos_token_id", "eos_token_id", "pad_token_id"))}
    towers = {"vision_config": settings.vision_config} | ({"audio_config": settings.audio_config} if settings.audio_config else {})
    return AutoConfig.for_model(settings.family, text_config=text, **towers, **dict.fromkeys(TOKENS[settings.family], 0))


def meta_model(config: PretrainedConfig) -> PreTrainedModel:
    """The model without memory for its weights."""
    family_of(config)
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)


def sizes_of(config: PretrainedConfig, source: str) -> ModelSizes:
    """The sizes of the model that `config` describes."""
    model, text = meta_model(config), config.get_text_config()
    owners, parts, adapted, layers = parts_of(model), Counter(), Counter(), Counter()
    for name, parameter in model.named_parameters():
        parts[owners[name]] += parameter.numel()
        layer = re.match(r".*?layers\.\d+\.|.*?blocks\.\d+\.", name)
        layers[layer.group() if layer else name] += parameter.numel()
        if owners[name] == "language" and name.endswith(".weight") and parameter.ndim == 2:
            adapted[name.rpartition(".")[0].rpartition(".")[2]] += sum(parameter.shape)
    experts = getattr(text, "num_experts", 0) or 0
    active = text.num_experts_per_tok if experts else 0
    vision = getattr(config, "vision_config", None)
    return ModelSizes(
        family=config.model_type, source=source, parameters=dict(parts), adapted=dict(adapted), head=model.get_output_embeddings().weight.numel(),
        largest_layer=max(layers.values()), num_layers=text.num_hidden_layers, hidden_size=text.hidden_size,
        intermediate_size=active * text.moe_intermediate_size if experts else text.intermediate_size, num_experts=experts, experts_per_token=active,
        num_heads=text.num_attention_heads, num_kv_heads=text.num_key_value_heads,
        head_size=getattr(text, "head_dim", None) or text.hidden_size // text.num_attention_heads,
        norms_heads=any(name.endswith("q_norm.weight") for name in owners), vocab_size=text.vocab_size,
        max_positions=text.max_position_embeddings, patch_size=getattr(vision, "patch_size", 14),
        merge_size=getattr(vision, "spatial_merge_size", 1), temporal_patch_size=getattr(vision, "temporal_patch_size", 2),
        tower_depth=getattr(vision, "depth", 0), tower_hidden=getattr(vision, "hidden_size", 0),
        tower_intermediate=getattr(vision, "intermediate_size", 0),
    )  # fmt: skip


def _tokenizer(folder: Path | None) -> Callable[[str], int] | None:
    if folder is None or not (folder / "tokenizer_config.json").exists():
        return None
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return lambda text: len(tokenizer(text, add_special_tokens=False)["input_ids"])
