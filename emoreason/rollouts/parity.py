"""Whether an engine computes of a prompt what the trainer computes: ids, features, towers, positions, log-probabilities, side by side.

    emoreason check --parity recipes/qwen2_5_vl_7b/stage3_grpo.yaml

Bounds are those that published runs stay within: Pearson 0.984 to 0.993, a mean error of 0.094 nat, a multiplicative error of 1.02 to 1.05
(VeRL-Omni, Qwen3-Omni on video and audio; NeMo-RL's `token_mult_prob_error`).
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from emoreason.collate import EncodedPrompt
from emoreason.families import tower_features
from emoreason.metrics.regression import plcc
from emoreason.recipe import Sampling
from emoreason.rollouts import MakePrompt
from emoreason.rollouts.transformers_engine import TransformersEngine

MIN_COSINE, MIN_PEARSON, MAX_MULTIPLICATIVE_ERROR = 0.999, 0.98, 1.05
SCORED_TOKENS = 32


@dataclass(frozen=True)
class Parity:
    """What was found for one kind of record."""

    kind: str
    num_tokens: int
    same_features: bool
    """The engine's towers got the very tensors that the trainer's get."""
    cosine: float | None
    """Smallest cosine between a row of the engine's tower output and the trainer's; None without media."""
    same_positions: bool
    pearson: float | None
    """Of the log-probabilities of one completion; None where a side gives all tokens the same, or one no finite number."""
    error: float
    """Mean absolute difference of the log-probabilities, nat a token."""
    multiplicative_error: float
    """Mean of exp(|difference|) over the tokens."""

    def faults(self, max_difference: float) -> list[str]:
        """What is out of bounds, each with its bound."""
        checks = [
            (self.same_features, "the engine's features are not the trainer's"),
            (self.cosine is None or self.cosine > MIN_COSINE, f"tower cosine {self.cosine} is not above {MIN_COSINE}"),
            (self.same_positions, "rotary positions differ"),
            (self.pearson is None or self.pearson > MIN_PEARSON, f"Pearson {self.pearson} is not above {MIN_PEARSON}"),
            (self.error <= max_difference, f"error {self.error:.4g} nat a token is above rollouts.max_difference {max_difference:g}"),
            (self.multiplicative_error <= MAX_MULTIPLICATIVE_ERROR,
             f"multiplicative error {self.multiplicative_error:.4g} is above {MAX_MULTIPLICATIVE_ERROR}"),
        ]  # fmt: skip
        return [f"{self.kind}: {fault}" for is_fine, fault in checks if not is_fine]


def compare(engine: Any, trainer: TransformersEngine, prompts: Mapping[str, MakePrompt]) -> list[Parity]:
    """One row for each kind of prompt; that the engine reads the trainer's token ids is held by every call of it.

    Raises:
        EngineError: it reads others.
    """
    makes = list(prompts.values())
    drawn = Sampling(num_completions=1, temperature=1.0, max_new_tokens=SCORED_TOKENS, batch_size=len(makes))
    completions = [group[0].token_ids for group in engine.generate(makes, drawn, seed=0)]
    ours, theirs = (side.log_probs(makes, completions) for side in (trainer, engine))
    return [_compared(kind, make(), engine, trainer, *pair) for (kind, make), *pair in zip(prompts.items(), ours, theirs, strict=True)]


def _compared(kind: str, prompt: EncodedPrompt, engine: Any, trainer: TransformersEngine, ours: list[float], theirs: list[float]) -> Parity:
    differences = (torch.tensor(ours, dtype=torch.double) - torch.tensor(theirs, dtype=torch.double)).abs()
    seen = engine.examine(prompt)
    expected = prompt.positions(trainer.model).long() if prompt.items else None
    cosines = [_cosine(tower_features(trainer.model, item).float().cpu(), found) for item, found in zip(prompt.items, seen["towers"], strict=True)]
    return Parity(
        kind, len(prompt.token_ids), seen["same_features"], min(cosines, default=None),
        expected is None or seen["positions"] is None or torch.equal(expected, seen["positions"]),
        plcc(ours, theirs) if differences.isfinite().all() else None, float(differences.mean()), float(differences.exp().mean()),
    )  # fmt: skip


def _cosine(expected: torch.Tensor, found: torch.Tensor) -> float:
    if expected.shape != found[:, : expected.shape[1]].shape:  # Qwen3-VL's towers in vLLM append the deepstack features to each row
        return -1.0
    return float(torch.cosine_similarity(expected, found[:, : expected.shape[1]], dim=-1).min())


def packed(tensor: torch.Tensor) -> dict[str, Any]:
    """The tensor in float32 as JSON."""
    held = tensor.detach().float().cpu().contiguous()
    return {"shape": list(held.shape), "data": base64.b64encode(held.numpy().tobytes()).decode()}


def unpacked(told: dict[str, Any]) -> torch.Tensor:
    """What `packed` packed."""
    return torch.frombuffer(bytearray(base64.b64decode(told["data"])), dtype=torch.float32).reshape(told["shape"])
