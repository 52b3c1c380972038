"""Floating-point operations of a forward pass over prompts with pictures, and what running each prompt once can save at most.

A multiplication of (m, k) by (k, n) counts 2 m k n. Norms, activations, rotary positions and embeddings are left out, and so is the LM
head. A causal row of n tokens has n^2 / 2 pairs of a query and a key, as if no kernel touched what is masked.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

Grid = tuple[int, int, int]
"""Patches of a picture or clip: in time, height and width."""


@dataclass(frozen=True)
class LanguageSizes:
    """A decoder with grouped queries and a gated MLP."""

    num_layers: int
    hidden_size: int
    intermediate_size: int
    num_heads: int
    num_kv_heads: int
    head_size: int

    @classmethod
    def of(cls, config: Any) -> "LanguageSizes":
        """The sizes in a text config of transformers."""
        head_size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        return cls(config.num_hidden_layers, config.hidden_size, config.intermediate_size, config.num_attention_heads,
                   config.num_key_value_heads, head_size)  # fmt: skip

    def linear_flops(self, num_tokens: float) -> float:
        """Queries, keys, values, the output projection and the three matrices of the MLP."""
        attention = self.hidden_size * self.head_size * (2 * self.num_heads + 2 * self.num_kv_heads)
        return 2 * self.num_layers * num_tokens * (attention + 3 * self.hidden_size * self.intermediate_size)

    def attention_flops(self, num_pairs: float) -> float:
        """Scores and weighted values."""
        return 4 * self.num_layers * self.num_heads * self.head_size * num_pairs


@dataclass(frozen=True)
class TowerSizes:
    """The vision tower of Qwen2.5-VL: blocks with a gated MLP, most of which attend within windows, and a merger at the end."""

    depth: int
    num_full_blocks: int
    """Blocks whose patches attend to the whole picture."""
    hidden_size: int
    intermediate_size: int
    out_hidden_size: int
    values_per_patch: int
    merge_size: int
    window_size: int
    """Patches along a side of a window."""

    @classmethod
    def of(cls, config: Any) -> "TowerSizes":
        """The sizes in a `Qwen2_5_VLVisionConfig`."""
        values = config.in_channels * config.temporal_patch_size * config.patch_size**2
        window = config.window_size // config.patch_size // config.spatial_merge_size * config.spatial_merge_size
        return cls(config.depth, len(config.fullatt_block_indexes), config.hidden_size, config.intermediate_size, config.out_hidden_size,
                   values, config.spatial_merge_size, window)  # fmt: skip

    def flops(self, grid: Grid) -> float:
        """Of one picture or clip."""
        time, height, width = grid
        num_patches, merged = time * height * width, self.merge_size**2 * self.hidden_size
        block = 4 * self.hidden_size**2 + 3 * self.hidden_size * self.intermediate_size
        linear = num_patches * (self.values_per_patch * self.hidden_size + self.depth * block)
        merger = num_patches / self.merge_size**2 * merged * (merged + self.out_hidden_size)
        windowed = time * _sum_of_squares(height, self.window_size) * _sum_of_squares(width, self.window_size)
        pairs = self.num_full_blocks * time * (height * width) ** 2 + (self.depth - self.num_full_blocks) * windowed
        return 2 * linear + 2 * merger + 4 * self.hidden_size * pairs


def _sum_of_squares(length: int, window: int) -> int:
    """Of the parts of a side that is cut every `window` patches; the product of two sides is the number of pairs within windows."""
    return length // window * window**2 + (length % window) ** 2


@dataclass(frozen=True)
class PromptRows:
    """Rows with one prompt."""

    prompt_length: int
    completion_lengths: tuple[int, ...]
    grids: tuple[Grid, ...]
    """Of the prompt's pictures."""


def padded_flops(language: LanguageSizes, tower: TowerSizes, groups: Sequence[PromptRows]) -> float:
    """Every row by itself, padded to the longest, the towers once a row."""
    lengths = [group.prompt_length + completion for group in groups for completion in group.completion_lengths]
    towers = sum(len(group.completion_lengths) * sum(map(tower.flops, group.grids)) for group in groups)
    return towers + len(lengths) * (language.linear_flops(max(lengths)) + language.attention_flops(max(lengths) ** 2 / 2))


def shared_flops(language: LanguageSizes, tower: TowerSizes, groups: Sequence[PromptRows]) -> float:
    """Every prompt and its pictures once, without padding: a completion attends to its prompt and to itself."""
    total = 0.0
    for group in groups:
        prompt, completions = group.prompt_length, group.completion_lengths
        pairs = prompt**2 / 2 + sum(length * prompt + length**2 / 2 for length in completions)
        total += sum(map(tower.flops, group.grids)) + language.linear_flops(prompt + sum(completions)) + language.attention_flops(pairs)
    return total


def speedup_limit(language: LanguageSizes, tower: TowerSizes, groups: Sequence[PromptRows]) -> float:
    """How many times fewer operations the shared form takes: the speed-up if time followed operations alone."""
    return padded_flops(language, tower, groups) / shared_flops(language, tower, groups)
