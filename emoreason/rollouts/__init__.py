"""Completions drawn from a model: one interface, whatever engine draws them.

`TransformersEngine`, `VllmEngine` (in this process) and `ServerEngine` (`vllm serve`, anywhere) are made by `opening.open_engine`.
All of them read prompts as `EncodedPrompt`s: token ids with every placeholder written out, and media as the towers read them. The
processor runs once, in the trainer, so an engine cannot see other pixels, another frame rate or another placeholder than the loss.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, Protocol

from emoreason.recipe import Sampling

MakePrompt = Callable[[], Any]
"""Encodes a prompt (`collate.EncodedPrompt`) when its turn has come, so that the media of a data set are never in memory together."""
Progress = Callable[[int, int], None]
"""Called with what is done and what there is to do."""


@dataclass(frozen=True)
class Rollout:
    """One completion of one prompt."""

    text: str
    """Without special tokens."""
    token_ids: list[int]
    """Without padding; the end-of-turn token is kept."""
    log_probs: list[float]
    """Natural logarithms, one a token, under the distribution that it was drawn from; the model's own where it was drawn greedily."""
    finish_reason: Literal["stop", "length"]
    """`length` where `max_new_tokens` cut it off."""

    @property
    def is_finished(self) -> bool:
        return self.finish_reason == "stop"


@dataclass(frozen=True)
class Adapter:
    """A LoRA adapter on disk, as PEFT saves it, for engines that load adapters beside the weights that they have."""

    folder: Path


@dataclass(frozen=True)
class Receipt:
    """What one rank of an engine says it has taken in."""

    version: int
    digests: Mapping[str, str]
    """{name of a tensor as it was sent: its digest as it arrived}."""
    not_loaded: Sequence[str] = field(default=())
    """Parameters of the engine that nothing was loaded into."""


class Engine(Protocol):
    """Draws completions, scores given ones, and takes new weights."""

    name: str
    processor: Any
    """That of the checkpoint, with the run's media settings."""
    config: Any
    """The model's, as `families` reads it."""

    def generate(
        self, prompts: Sequence[MakePrompt], sampling: Sampling, seed: int, progress: Progress = lambda done, total: None
    ) -> list[list[Rollout]]:
        """`sampling.num_completions` rollouts for each prompt, in order. The same weights and seed give the same text.

        Tokens that stand for media are never drawn: a prompt that held them would ask for features that do not exist.
        """

    def log_probs(self, prompts: Sequence[MakePrompt], completions: Sequence[Sequence[int]]) -> list[list[float]]:
        """The natural logarithm of the probability of each given token, at temperature 1."""

    def as_read(self, weights: Iterator[tuple[str, Any]]) -> Iterator[tuple[str, Any]]:
        """A model's own weights under the names, and cut into the tensors, that `sync` takes."""

    def sync(self, weights: "Iterator[tuple[str, Any]] | Adapter", version: int) -> list[Receipt]:
        """Answer with these weights from now on; a receipt from every rank that can give one."""

    def close(self) -> None:
        """Free what the engine holds; it answers no more."""
