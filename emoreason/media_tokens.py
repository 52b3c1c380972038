"""How many tokens a picture, a clip or a sound takes in a prompt, by arithmetic on sizes, without a model and without torch.

The formulas are those of the families' processors in transformers; a test compares them over a table of sizes.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from emoreason.media import Medium
from emoreason.recipe import MediaSettings

Modality = Literal["image", "video", "audio"]
MODALITIES: dict[str, tuple[Modality, ...]] = {
    "qwen2_vl": ("image", "video"),
    "qwen2_5_vl": ("image", "video"),
    "qwen3_vl": ("image", "video"),
    "qwen2_5_omni_thinker": ("image", "video", "audio"),
    "qwen3_omni_moe_thinker": ("image", "video", "audio"),
    "smolvlm": ("image",),
}
"""What each family reads beside text, by `model_type`."""
VLLM_FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl", "qwen2_5_omni_thinker")
"""Families whose features, positions and log-probabilities in vLLM were found to be the trainer's."""
ADAPTER_FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen2_5_omni_thinker")
"""Those of them for which vLLM 0.29 runs an adapter beside the base and scores a given completion with it; for Qwen3-VL that fails."""
MAX_ASPECT_RATIO = 200


def video_size_limits(family: str, num_frames: int, settings: MediaSettings) -> dict[str, int]:
    """`size` for the family's video processor: pixels of a frame, or of the whole clip where the processor counts them so.

    The recipe's limits are for one frame in every family; Qwen3-VL's processor bounds frames x height x width.
    """
    times = num_frames if family == "qwen3_vl" else 1
    return {"shortest_edge": settings.video_min_pixels * times, "longest_edge": settings.video_max_pixels * times}


def resized(height: int, width: int, factor: int, min_pixels: int, max_pixels: int, num_frames: int = 1) -> tuple[int, int]:
    """(height, width) as Qwen's processors resize them: multiples of `factor`, frames x height x width within the limits where that goes.

    Raises:
        ValueError: one side is more than 200 times the other.
    """
    if max(height, width) > MAX_ASPECT_RATIO * min(height, width):
        raise ValueError(f"{width} x {height} pixels: one side is more than {MAX_ASPECT_RATIO} times the other")
    tall, wide = round(height / factor) * factor, round(width / factor) * factor
    pixels = num_frames * height * width
    if num_frames * tall * wide > max_pixels:
        shrink = math.sqrt(pixels / max_pixels)
        return tuple(max(factor, math.floor(side / shrink / factor) * factor) for side in (height, width))
    if num_frames * tall * wide < min_pixels:
        grow = math.sqrt(min_pixels / pixels)
        return tuple(math.ceil(side * grow / factor) * factor for side in (height, width))
    return tall, wide


def audio_tokens(family: str, num_frames: int, n_window: int = 50) -> int:
    """Tokens of a sound of so many mel frames: Qwen2.5-Omni halves it twice; Qwen3-Omni halves it three times, windows of 100 frames apart."""
    if family == "qwen2_5_omni_thinker":
        return ((num_frames - 1) // 2 + 1 - 2) // 2 + 1
    rest = (num_frames % (2 * n_window) - 1) // 2 + 1
    return ((rest - 1) // 2 + 1 - 1) // 2 + 1 + num_frames // (2 * n_window) * 13


@dataclass(frozen=True)
class TokenCounter:
    """Counts for one family and one processor's sizes."""

    family: str
    patch_size: int
    merge_size: int
    temporal_patch_size: int
    settings: MediaSettings
    text_tokens: Callable[[str], int]
    """Tokens of a piece of text; Qwen3-VL writes the time of every two frames into the prompt."""
    hop_length: int = 160

    def count(self, medium: Medium) -> int:
        """Tokens in place of the medium's placeholder. A sound track heard in its clip has none, and brings two more that enclose both."""
        if medium.kind == "image":
            width, height = medium.content.size
            return self.picture(height, width)
        if medium.kind == "video":
            return self.clip(*medium.content.shape[:3], medium.times)
        return self.sound(len(medium.content)) + 2 * medium.in_video

    def picture(self, height: int, width: int) -> int:
        tall, wide = resized(height, width, self.patch_size * self.merge_size, self.settings.min_pixels, self.settings.max_pixels)
        return (tall // self.patch_size) * (wide // self.patch_size) // self.merge_size**2

    def clip(self, num_frames: int, height: int, width: int, times: tuple[float, ...]) -> int:
        """Qwen3-VL writes a time before each pair of frames and encloses it."""
        limits = video_size_limits(self.family, num_frames, self.settings)
        factor = self.patch_size * self.merge_size
        if self.family == "qwen3_vl" and min(height, width) < factor:
            scale = max(factor / height, factor / width)
            height, width = int(height * scale), int(width * scale)
        counted = num_frames if self.family == "qwen3_vl" else 1
        tall, wide = resized(height, width, factor, limits["shortest_edge"], limits["longest_edge"], counted)
        steps = math.ceil(num_frames / self.temporal_patch_size)
        tokens = steps * (tall // self.patch_size) * (wide // self.patch_size) // self.merge_size**2
        return tokens + self._times(times, steps) if self.family == "qwen3_vl" else tokens

    def _times(self, times: tuple[float, ...], steps: int) -> int:
        size = self.temporal_patch_size
        shown = [round(1000 * time) / 1000 for time in times]
        shown += [shown[-1]] * (-len(shown) % size)
        middles = [(shown[step * size] + shown[step * size + size - 1]) / 2 for step in range(steps)]
        return sum(self.text_tokens(f"<{middle:.1f} seconds>") + 2 for middle in middles)

    def sound(self, num_samples: int) -> int:
        """Qwen2.5-Omni's extractor counts a last frame that is not full, Qwen3-Omni's does not."""
        part = -(-num_samples // self.hop_length) if self.family == "qwen2_5_omni_thinker" else num_samples // self.hop_length
        return audio_tokens(self.family, part)
