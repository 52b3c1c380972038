"""Engines of the real vLLM on a CPU, over tiny models of the families that it computes as the trainer does."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import tiny_models
import torch
from media_samples import clip, messages, picture, sound
from peft import PeftModel
from transformers import PreTrainedModel

from emoreason.collate import PromptEncoder
from emoreason.media import Medium
from emoreason.media_tokens import MODALITIES, VLLM_FAMILIES
from emoreason.recipe import MediaSettings, Rollouts
from emoreason.rollouts import MakePrompt
from emoreason.rollouts.transformers_engine import TransformersEngine
from emoreason.rollouts.vllm_folder import engine_folder

SETTINGS = MediaSettings(min_pixels=3136, max_pixels=12544, video_min_pixels=3136, video_max_pixels=12544, max_seconds=8)
CASES: dict[str, tuple[Medium, ...]] = {
    "text": (),
    "picture": (picture(0),),
    "two pictures": (picture(1), picture(2, (112, 56))),
    "clip": (clip(0),),
    "picture and a clip whose time outruns its sides": (picture(1), clip(1, 6, 2.0)),
    "sound": (sound(0, 1.5),),
    "clip and sound": (clip(0), sound(1, 0.9)),
    "clip with its sound track": (clip(1, 6, 3.0), sound(1, 2.0, in_video=True)),
    "all three": (picture(3), clip(0), sound(0, 0.7)),
}
BUILT = [name for name in tiny_models.BUILDERS if name in VLLM_FAMILIES]
"""Qwen2-VL has no tiny model of its own; its vLLM code is that of Qwen2.5-VL."""


@dataclass
class Family:
    """A tiny checkpoint on disk, the model, and prompts of every kind that it reads."""

    name: str
    path: Path
    policy: TransformersEngine
    prompts: dict[str, MakePrompt]

    @property
    def model(self) -> PreTrainedModel:
        return self.policy.model

    def vllm(self, folder: Path, make: Callable, engine: str, **more):
        """An engine with the weights on disk."""
        checkpoint, has_weights = engine_folder(str(self.path), folder / "wrapped")
        settings = Rollouts(engine=engine, max_model_len=1024, gpu_memory_utilization=0.2)
        return make(checkpoint, self.model.config, self.policy.processor, settings, "float32", has_weights=has_weights, **more)


def draw_adapter(policy: PeftModel, seed: int) -> None:
    """Another adapter than any other seed's, and none of it zero."""
    with torch.no_grad():
        for name, parameter in policy.named_parameters():
            if "lora_" in name:
                parameter.copy_(0.05 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(seed)))


def family(name: str, folder: Path) -> Family:
    path = tiny_models.checkpoint(name, folder)
    model, processor = tiny_models.BUILDERS[name](0)
    encoder = PromptEncoder(processor, model.config, SETTINGS)
    kinds = set(MODALITIES[model.config.model_type])
    cases = {case: media for case, media in CASES.items() if {medium.kind for medium in media} <= kinds}
    return Family(name, path, TransformersEngine(model, processor), {case: partial(encoder, messages(media), media) for case, media in cases.items()})
