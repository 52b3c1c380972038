"""Completions drawn outside of a trainer, whatever engine draws them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Rollout:
    """One completion of one prompt."""

    text: str
    """Without special tokens."""
    token_ids: list[int]
    """Without padding; the end-of-turn token is kept."""
    is_finished: bool
    """False where `max_new_tokens` cut it off."""
