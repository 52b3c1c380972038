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

from emoreason.families import MediaItem, followed, prompt_positions
from emoreason.rollouts.parity import packed
from emoreason.rollouts.weights import adapter_key, digest, meta_twin


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
            # Behind the last medium, the tokens that close it and one more all is text, whatever tokens a completion holds.
            end = max((one.mm_position.offset + one.mm_position.length + 3 for one in mm_features), default=1)
            positions = prompt_positions(twin, torch.tensor(input_tokens[:end]), items, is_fused)
            positions = followed(positions, len(input_tokens[end:]))
            return positions, int(positions.max()) + 1 - len(input_tokens)

        self.model_runner.get_model().get_mrope_input_positions = get_mrope_input_positions

    def examine(self, items: list[str], token_ids: list[int], places: list[list[int]], kinds: list[str]) -> dict[str, Any]:
        """For media as the server's API encodes them: digests of their tensors, what the towers make of each, and the prompt's positions."""
        from vllm.entrypoints.scale_out.token_in_token_out.mm_serde import decode_mm_kwargs_item
        from vllm.forward_context import set_forward_context
        from vllm.multimodal.inputs import MultiModalFeatureSpec, PlaceholderRange
        from vllm.multimodal.utils import group_and_batch_mm_kwargs

        model, data = self.model_runner.get_model(), [decode_mm_kwargs_item(item) for item in items]
        towers, digests = [], []
        for kind, item in zip(kinds, data, strict=True):
            digests.append({name: digest(torch.as_tensor(element.data)) for name, element in item.items()})
            ((_, _, arguments),) = group_and_batch_mm_kwargs([(kind, item)], device=self.device)
            with torch.inference_mode(), set_forward_context(None, self.vllm_config):
                towers.append(packed(torch.cat(list(model.embed_multimodal(**arguments)))))
        features = [MultiModalFeatureSpec(item, kind, "", PlaceholderRange(offset=offset, length=length))
                    for kind, item, (offset, length) in zip(kinds, data, places, strict=True)]  # fmt: skip
        positions = model.get_mrope_input_positions(token_ids, features)[0].long().tolist() if hasattr(model, "get_mrope_input_positions") else None
        return {"digests": digests, "towers": towers, "positions": positions}

    def take_weights(self, weights: Iterable[tuple[str, torch.Tensor]], version: int) -> dict[str, Any]:
        """Load every tensor, and answer with the digests of what came, by name."""
        digests: dict[str, str] = {}

        def noted() -> Iterator[tuple[str, torch.Tensor]]:
            for name, tensor in weights:
                digests[name] = digest(tensor)
                yield name, tensor

        model = self.model_runner.get_model()
        expected = {name.replace(".base_layer.", ".") for name, _ in model.named_parameters()}  # as layers with adapters name their own
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
        """The same from the safetensors files that the trainer has written there."""

        def read() -> Iterator[tuple[str, torch.Tensor]]:
            for path in sorted(Path(folder).glob("*.safetensors")):
                with safe_open(path, "pt", device=str(self.device)) as tensors:
                    for name in tensors.keys():  # noqa: SIM118
                        yield name, tensors.get_tensor(name)

        return self.take_weights(read(), version)

    def adapter_digests(self, lora_id: int | None, version: int) -> dict[str, Any]:
        """Digests of the adapter's factors as this worker holds them, by name; none where it holds no such adapter. None asks for the newest."""
        manager = self.model_runner.lora_manager
        lora_id = max(manager.list_adapters(), default=0) if lora_id is None else lora_id
        held = manager._adapter_manager.get_adapter(lora_id) if lora_id in manager.list_adapters() else None
        packed = self.model_runner.get_model().packed_modules_mapping
        digests = {}
        for name, layer in (held.loras if held else {}).items():
            owner, _, last = name.rpartition(".")
            for factor, found in (("lora_A", layer.lora_a), ("lora_B", layer.lora_b)):
                parts = zip(packed[last], found, strict=True) if isinstance(found, list) else [(last, found)]
                digests |= {adapter_key(f"{owner}.{part}", factor): digest(tensor) for part, tensor in parts if tensor is not None}
        return {"rank": self.rank, "version": version, "digests": digests, "not_loaded": []}
