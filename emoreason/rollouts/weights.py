"""The policy's weights under the names that an engine loads, and the digest by which both sides know a tensor."""

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import torch
from peft import PeftModel
from peft.tuners.lora import LoraLayer
from safetensors.torch import save_file
from torch import nn
from transformers import AutoModelForImageTextToText, PretrainedConfig, PreTrainedModel
from transformers.core_model_loading import revert_weight_conversion

from emoreason.files import write_json

CHUNK = 1 << 22
"""Elements digested at once: a gigabyte of weights needs 64 MiB beside it."""
Gather = Callable[[list[nn.Parameter]], AbstractContextManager]
"""Makes parameters whole while the context lasts, on every process (ZeRO-3)."""


def digest(tensor: torch.Tensor) -> str:
    """128 bits that change with any value, order, shape or type of the tensor, computed where it lies.

    Two sums of the elements' bits over pseudo-random odd weights, modulo 2^64. It finds accidents, not forgeries: a cryptographic hash
    of 15 GB takes half a minute and a copy off the device, this takes what reading the weights takes.
    """
    # Words of 64 bits would not do: modulo 2^64 every odd weight moves their topmost bit alike.
    width = {1: torch.uint8, 2: torch.int16}.get(tensor.element_size(), torch.int32)
    bits = tensor.detach().contiguous().flatten().view(width)
    sums = [0, 0]
    for start in range(0, bits.numel(), CHUNK):
        part = bits[start : start + CHUNK].long() + 1
        places = torch.arange(start, start + len(part), device=tensor.device)
        for index, multiplier in enumerate((-7046029254386353131, -4417276706812531889)):  # odd, well mixed bits
            mixed = (places + 1) * multiplier
            mixed = (mixed ^ (mixed >> 29)) * multiplier
            sums[index] += int((part * ((mixed ^ (mixed >> 32)) | 1)).sum())
    shape = "x".join(map(str, tensor.shape))
    return f"{str(tensor.dtype).removeprefix('torch.')}[{shape}]:" + "".join(f"{total % 2**64:016x}" for total in sums)


def policy_weights(model: PreTrainedModel | PeftModel, gather: Gather = lambda parameters: nullcontext()) -> Iterator[tuple[str, torch.Tensor]]:
    """Every weight of the model by its own name, adapters added in, one at a time; nothing of the model is changed.

    An adapted weight is the base's plus the adapter's in float32, then rounded to the base's type: merging into the base and out again
    would leave rounding errors behind at every step. With ZeRO-3 only the weights of one module are whole at a time.
    """
    base = model.get_base_model() if isinstance(model, PeftModel) else model
    adapted = {name: module for name, module in base.named_modules() if isinstance(module, LoraLayer)}
    for name, parameter in base.named_parameters():
        owner, _, last = name.rpartition(".base_layer.")
        if owner in adapted and last == "weight":
            module = adapted[owner]
            with gather([parameter, *_adapter_weights(module)]):
                delta = sum(module.get_delta_weight(key).float() for key in module.active_adapters)
                yield f"{owner}.weight", (parameter.detach().float() + delta).to(parameter.dtype)
        elif not _is_adapter(name, adapted):
            with gather([parameter]):
                yield name.replace(".base_layer.", "."), parameter.detach()


def _adapter_weights(module: LoraLayer) -> list[nn.Parameter]:
    return [layers[key].weight for layers in (module.lora_A, module.lora_B) for key in module.active_adapters]


def _is_adapter(name: str, adapted: dict[str, LoraLayer]) -> bool:
    return any(name.startswith(f"{owner}.lora_") for owner in adapted)


def meta_twin(config: PretrainedConfig) -> PreTrainedModel:
    """A model of this config without any weights, for what depends on names and sizes alone."""
    with torch.device("meta"):
        return AutoModelForImageTextToText.from_config(config)


def engine_weights(config: PretrainedConfig, weights: Iterator[tuple[str, torch.Tensor]]) -> Iterator[tuple[str, torch.Tensor]]:
    """The same tensors as vLLM reads them: named and split as in a checkpoint on the hub, a thinker as a part of the whole Omni model."""
    twin = meta_twin(config)
    prefix = "thinker." if config.model_type.endswith("_thinker") else ""
    for name, tensor in weights:
        for shown, part in revert_weight_conversion(twin, {name: tensor}).items():
            yield prefix + shown, part


def write_adapter(
    model: PeftModel, folder: Path, dtype: torch.dtype, gather: Gather = lambda parameters: nullcontext(), is_writer: bool = True
) -> dict[str, str]:
    """Write the policy's adapter as PEFT does, and return the digests of its factors as an engine holds them: scaled, in the model's type.

    With ZeRO-3 the adapter alone is made whole, layer by layer; every process takes part, one writes.
    """
    (key,) = model.active_adapters
    tensors, digests = {}, {}
    prefix = "thinker.model." if model.get_base_model().config.model_type.endswith("_thinker") else None
    for name, module in model.get_base_model().named_modules():
        if not isinstance(module, LoraLayer):
            continue
        with gather(_adapter_weights(module)):
            factors = {"lora_A": module.lora_A[key].weight.detach().cpu().clone(), "lora_B": module.lora_B[key].weight.detach().cpu().clone()}
        shown = name.replace("model.language_model.", prefix, 1) if prefix else name
        for factor, tensor in factors.items():
            tensors[f"base_model.model.{shown}.{factor}.weight"] = tensor
            scale = module.scaling[key] if factor == "lora_B" else 1.0
            digests[adapter_key(name, factor)] = digest(tensor.to(dtype) * scale)
    if is_writer:
        folder.mkdir(parents=True, exist_ok=True)
        save_file(tensors, folder / "adapter_model.safetensors")
        config = model.peft_config[key].to_dict()
        kept = {name: config[name] for name in ("peft_type", "task_type", "r", "lora_alpha", "lora_dropout", "bias", "use_rslora")}
        targets = sorted({name.rpartition(".")[2] for name, module in model.get_base_model().named_modules() if isinstance(module, LoraLayer)})
        write_json(folder / "adapter_config.json", {**kept, "target_modules": targets})
    return digests


def adapter_key(module: str, factor: str) -> str:
    """The name by which both sides know a factor: the module from its layer on, since what stands before differs."""
    return f"{module[module.index('layers.') :]}.{factor}"


def write_weights(weights: Iterable[tuple[str, torch.Tensor]], folder: Path | None, shard_bytes: int = 1 << 31) -> None:
    """Write the tensors as safetensors files of about `shard_bytes` each, so that no more than one is in memory; None only walks over them."""
    held: dict[str, torch.Tensor] = {}
    num_bytes, num_files = 0, 0
    for name, tensor in weights:
        if folder is None:
            continue
        held[name] = tensor.detach().cpu().contiguous()
        num_bytes += held[name].nbytes
        if num_bytes >= shard_bytes:
            save_file(held, folder / f"weights_{num_files:05d}.safetensors")
            held, num_bytes, num_files = {}, 0, num_files + 1
    if held:
        save_file(held, folder / f"weights_{num_files:05d}.safetensors")
