"""An engine that is a second copy of the model: honest, or with one fault that its receipts hide."""

import copy
import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from transformers import PreTrainedModel, ProcessorMixin

from emoreason.collate import EncodedPrompt
from emoreason.families import tower_features
from emoreason.recipe import Sampling
from emoreason.rollouts import Adapter, MakePrompt, Progress, Receipt, Rollout
from emoreason.rollouts.transformers_engine import TransformersEngine
from emoreason.rollouts.vllm_engine import check_prompt_ids
from emoreason.rollouts.weights import adapter_key, digest

Weights = Iterator[tuple[str, torch.Tensor]] | Adapter


class CopyEngine(TransformersEngine):
    """Computes with weights of its own, which are the model's as it was when the engine was made, and then those of the last sync."""

    name = "copy"

    def __init__(self, model: PreTrainedModel, processor: ProcessorMixin, read: Callable[[EncodedPrompt], EncodedPrompt] = lambda prompt: prompt):
        """`read` makes of a prompt what this engine takes for it; an honest one takes it as it is."""
        super().__init__(copy.deepcopy(model).eval(), processor)
        self.read, self.asked = read, []
        """`asked`: of each call of `generate`, the number of prompts and the sampling."""
        self.first = self._weights()

    def _weights(self) -> dict[str, torch.Tensor]:
        return {name: parameter.detach().clone() for name, parameter in self.model.named_parameters()}

    def _read(self, make: MakePrompt) -> EncodedPrompt:
        prompt = make()
        found = self.read(prompt)
        check_prompt_ids(prompt.token_ids.tolist(), found.token_ids.tolist(), self.config, "prompt")
        return EncodedPrompt(found.token_ids, found.items, found.audio_in_video, found.key)  # with positions of its own

    def generate(
        self, prompts: Sequence[MakePrompt], sampling: Sampling, seed: int, progress: Progress = lambda done, total: None
    ) -> list[list[Rollout]]:
        self.asked.append((len(prompts), sampling))
        return super().generate([partial(self._read, make) for make in prompts], sampling, seed, progress)

    def log_probs(self, prompts: Sequence[MakePrompt], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        return super().log_probs([partial(self._read, make) for make in prompts], completions)

    def examine(self, prompt: EncodedPrompt) -> dict[str, Any]:
        found = self._read(lambda: prompt)
        digests = [[{name: digest(value) for name, value in item.tensors.items()} for item in one.items] for one in (prompt, found)]
        towers = [tower_features(self.model, item).float() for item in found.items]
        return {"same_features": digests[0] == digests[1], "towers": towers, "positions": found.positions(self.model).long()}

    def sync(self, weights: Weights, version: int) -> list[Receipt]:
        if isinstance(weights, Adapter):
            return [Receipt(version, self.take_adapter(weights.folder))]
        return super().sync(weights, version)

    def take_adapter(self, folder: Path, times: int = 1) -> dict[str, str]:
        """Add the adapter to the weights of the start, so often, and return the digests of its factors."""
        settings, tensors = json.loads((folder / "adapter_config.json").read_text()), load_file(folder / "adapter_model.safetensors")
        scale, digests, own = settings["lora_alpha"] / settings["r"], {}, dict(self.model.named_parameters())
        for name in (name for name in tensors if name.endswith(".lora_A.weight")):
            module = name.removeprefix("base_model.model.").removesuffix(".lora_A.weight")
            down, up = tensors[name], tensors[name.replace("lora_A", "lora_B")]
            with torch.no_grad():
                own[f"{module}.weight"].copy_(self.first[f"{module}.weight"] + times * scale * up @ down)
            digests |= {adapter_key(module, "lora_A"): digest(down), adapter_key(module, "lora_B"): digest(up * scale)}
        return digests


def confirmed(weights: Weights, version: int) -> list[Receipt]:
    """A receipt for all that was sent, whatever became of it."""
    assert not isinstance(weights, Adapter)
    return [Receipt(version, {name: digest(tensor) for name, tensor in weights})]


class StaleEngine(CopyEngine):
    """Drops what it is sent: weights that were read and never loaded, or an adapter that no request names."""

    def sync(self, weights: Weights, version: int) -> list[Receipt]:
        if isinstance(weights, Adapter):
            return [Receipt(version, self.take_adapter(weights.folder, times=0))]
        return confirmed(weights, version)


class FirstSyncEngine(CopyEngine):
    """Takes in the first sync, and no other."""

    synced: dict[str, torch.Tensor] | None = None

    def sync(self, weights: Weights, version: int) -> list[Receipt]:
        receipts = super().sync(weights, version)
        self.synced = self.synced or self._weights()
        self.model.load_state_dict(self.synced, strict=False)
        return receipts


class ReloadingEngine(CopyEngine):
    """Sleeps after each sync, and wakes with the checkpoint that it was started with."""

    def sync(self, weights: Weights, version: int) -> list[Receipt]:
        receipts = super().sync(weights, version)
        self.model.load_state_dict(self.first, strict=False)
        return receipts


class TwiceEngine(CopyEngine):
    """Runs an adapter beside weights into which it is merged already."""

    def sync(self, weights: Weights, version: int) -> list[Receipt]:
        if isinstance(weights, Adapter):
            return [Receipt(version, self.take_adapter(weights.folder, times=2))]
        receipts = super().sync(weights, version)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                parameter.add_(parameter - self.first[name])
        return receipts


class PartialEngine(CopyEngine):
    """Leaves its vision tower behind."""

    def sync(self, weights: Weights, version: int) -> list[Receipt]:
        receipts = super().sync(weights, version)
        self.model.load_state_dict({name: tensor for name, tensor in self.first.items() if "visual." in name}, strict=False)
        return receipts


class GarbledEngine(CopyEngine):
    """Has a weight that is no number."""

    def sync(self, weights: Weights, version: int) -> list[Receipt]:
        receipts = super().sync(weights, version)
        with torch.no_grad():
            next(self.model.parameters()).view(-1)[0] = float("nan")
        return receipts


class HangingEngine(CopyEngine):
    """Never comes back from a sync."""

    def sync(self, weights: Weights, version: int) -> list[Receipt]:
        time.sleep(60)
        return confirmed(weights, version)
