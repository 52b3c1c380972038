"""What runs inside vLLM's workers: taking weights in with proof, and telling what the engine computes of a prompt.

`vllm serve --worker-extension-cls emoreason.rollouts.vllm_worker.WorkerExtension` mixes the class into every worker; in this process its
methods are called on the worker directly. Over HTTP arguments and answers are JSON, so tensors travel as safetensors files.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from vllm.platforms import current_platform

from emoreason.families import MediaItem, prompt_positions
from emoreason.rollouts.weights import adapter_key, digest, meta_twin

WEIGHTS_FILE = "weights.safetensors"


def _item(kind: str, data: Any) -> MediaItem:
    """As much of a medium as its positions depend on."""
    values = {name: element.data for name, element in data.items()}
    tensors = {name: values[name][None] for name in ("image_grid_thw", "video_grid_thw") if name in values}
    if kind == "audio":
        tensors["feature_attention_mask"] = torch.ones(1, int(values["audio_feature_lengths"]), dtype=torch.long)
    return MediaItem(kind, "", tensors, 0, float(values.get("second_per_grid_ts", 1.0)))


class WorkerExtension:
    """Methods of a vLLM worker; `self` has its `model_runner` and `rank`."""

    def place_as_trainer(self) -> None:
        """From now on rotary positions are the trainer's, by the trainer's own function.

        vLLM 0.29 counts them itself, and differs: the tokens that enclose a sound track heard in its clip share one position in
        Qwen2.5-Omni, and have two in vLLM.
        """
        config = getattr(self.model_runner.model_config.hf_config, "thinker_config", self.model_runner.model_config.hf_config)
        twin = meta_twin(config)

        def get_mrope_input_positions(input_tokens: list[int], mm_features: list[Any]) -> tuple[torch.Tensor, int]:
            items = [_item(feature.modality, feature.data) for feature in sorted(mm_features, key=lambda one: one.mm_position.offset)]
            is_fused = any("use_audio_in_video" in feature.data and bool(feature.data["use_audio_in_video"].data) for feature in mm_features)
            positions = prompt_positions(twin, torch.tensor(input_tokens), items, is_fused)
            return positions, int(positions.max()) + 1 - len(input_tokens)

        self.model_runner.get_model().get_mrope_input_positions = get_mrope_input_positions

    def take_weights(self, weights: Iterable[tuple[str, torch.Tensor]], version: int) -> dict[str, Any]:
        """Load every tensor, and answer with the digests of what came, by name."""
        digests: dict[str, str] = {}

        def noted() -> Iterator[tuple[str, torch.Tensor]]:
            for name, tensor in weights:
                digests[name] = digest(tensor)
                yield name, tensor

        model = self.model_runner.get_model()
        expected = {name for name, _ in model.named_parameters()}
        loaded = self._load(model, noted())
        self.model_runner.reset_encoder_cache()
        return {"rank": self.rank, "version": version, "digests": digests, "not_loaded": sorted(expected - loaded)}

    def _load(self, model: torch.nn.Module, weights: Iterator[tuple[str, torch.Tensor]]) -> set[str]:
        if not current_platform.is_cpu():
            return set(model.load_weights(weights))
        # The CPU kernels pack weights after loading, so that a single tensor can't be written in place; layers are loaded anew.
        from vllm.model_executor.model_loader.reload import finalize_layerwise_reload, initialize_layerwise_reload

        initialize_layerwise_reload(model)
        loaded = set(model.load_weights(weights))
        finalize_layerwise_reload(model, self.model_runner.model_config)
        return loaded

    def take_weights_from(self, folder: str, version: int) -> dict[str, Any]:
        """The same from a safetensors file that the trainer has written."""
        with safe_open(Path(folder) / WEIGHTS_FILE, "pt", device=str(self.device)) as tensors:
            return self.take_weights(((name, tensors.get_tensor(name)) for name in tensors.keys()), version)  # noqa: SIM118

    def adapter_digests(self, lora_id: int, version: int) -> dict[str, Any]:
        """Digests of the adapter's factors as this worker holds them, by name; none where it holds no such adapter."""
        manager = self.model_runner.lora_manager
        held = manager._adapter_manager.get_adapter(lora_id) if lora_id in manager.list_adapters() else None
        packed = self.model_runner.get_model().packed_modules_mapping
        digests = {}
        for name, layer in (held.loras if held else {}).items():
            owner, _, last = name.rpartition(".")
            for factor, found in (("lora_A", layer.lora_a), ("lora_B", layer.lora_b)):
                parts = zip(packed[last], found, strict=True) if isinstance(found, list) else [(last, found)]
                digests |= {adapter_key(f"{owner}.{part}", factor): digest(tensor) for part, tensor in parts if tensor is not None}
        return {"rank": self.rank, "version": version, "digests": digests, "not_loaded": []}
