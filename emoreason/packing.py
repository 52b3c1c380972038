"""A forward pass that runs every prompt once, however many completions follow it, and gives TRL's trainers their own numbers.

A batch of TRL's is rows of prompt and completion, padded. Here the same batch is laid out as one row without padding,

    [prompt | completion 1 | completion 2 | ... | next prompt | ...]

in which a completion attends to its prompt and to itself alone. The last token of the prompt opens every completion, so that each
scored token is predicted by the hidden state just before it. Rows without a common prompt (SFT) lie side by side. The output comes
back in the shape of the padded batch, so GRPO, DPO and SFT losses are TRL's, to the letter.

Source: the idea of sharing a prompt's forward pass within a group is that of Prefix Grouper (Liu et al. 2025, arXiv 2506.05433).
Ours needs no edited model: attention is registered with transformers by name, positions are the model's own, towers run once.
"""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

MIN_SAVING = 0.02
"""A batch that packing would shorten by less than this share of its tokens is run as padded rows."""


@dataclass(frozen=True)
class Branch:
    """What follows a prompt in one row: the prompt's last token and the completion without its last token."""

    row: int
    columns: np.ndarray
    """(num_tokens,) where these tokens stand in the padded batch."""
    scored: np.ndarray
    """(num_tokens,) bool: whether the token after this one is scored."""


@dataclass(frozen=True)
class Group:
    """Rows with one prompt: the prompt without its last token, once, then a branch a row."""

    row: int
    """The row whose prompt is taken."""
    columns: np.ndarray
    branches: tuple[Branch, ...]

    @property
    def num_tokens(self) -> int:
        return len(self.columns) + sum(len(branch.columns) for branch in self.branches)


def find_groups(input_ids: np.ndarray, attention_mask: np.ndarray, labels: np.ndarray, keys: Sequence[Hashable]) -> list[Group]:
    """The rows of a padded batch by prompt, in order of first appearance; rows without a scored token are left out.

    All arrays are (num_rows, num_columns); a label of -100 is not scored. `keys` tell prompts with equal tokens but other media
    apart. Rows are of one group when keys and all tokens before the first scored one are equal.
    """
    found: dict[tuple, list[Branch]] = {}
    for row, key in enumerate(keys):
        columns = np.flatnonzero(attention_mask[row])
        scored = np.flatnonzero(labels[row, columns] != -100)
        scored = scored[scored > 0]  # nothing predicts the first token of a row
        if not len(scored):
            continue
        assert columns[-1] - columns[0] + 1 == len(columns), "a row has padding within"
        first, last = scored[0], scored[-1]
        is_scored = np.zeros(last - first + 1, dtype=bool)
        is_scored[scored - first] = True
        prompt = input_ids[row, columns[:first]]
        found.setdefault((key, prompt.tobytes()), []).append(Branch(row, columns[first - 1 : last], is_scored))
    groups = []
    for branches in found.values():
        row, end = branches[0].row, branches[0].columns[0]
        start = np.flatnonzero(attention_mask[row])[0]
        groups.append(Group(row, np.arange(start, end), tuple(branches)))
    return groups


def split_by_budget(groups: Sequence[Group], max_tokens: int | None) -> list[list[Group]]:
    """Groups for one packed row each, first fit; a group above the budget is split and its prompt repeated.

    A single branch with its prompt may exceed the budget, since it cannot be split.
    """
    if max_tokens is None:
        return [list(groups)] if groups else []
    parts = [part for group in groups for part in _split(group, max_tokens)]
    bins: list[list[Group]] = []
    for part in parts:
        place = next((one for one in bins if sum(group.num_tokens for group in one) + part.num_tokens <= max_tokens), None)
        if place is None:
            bins.append([part])
        else:
            place.append(part)
    return bins


def _split(group: Group, max_tokens: int) -> list[Group]:
    parts: list[list[Branch]] = [[]]
    for branch in group.branches:
        size = len(group.columns) + sum(len(one.columns) for one in parts[-1])
        if parts[-1] and size + len(branch.columns) > max_tokens:
            parts.append([])
        parts[-1].append(branch)
    return [Group(part[0].row, group.columns, tuple(part)) for part in parts]


def saves(groups: Sequence[Group], num_rows: int, num_columns: int) -> bool:
    """Whether the packed row is shorter than the padded rows by more than `MIN_SAVING`."""
    return sum(group.num_tokens for group in groups) < (1 - MIN_SAVING) * num_rows * num_columns
