"""How rows of a padded batch are laid out as one row, by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emoreason.packing import Group, find_groups, saves, split_by_budget

PAD = 0


def batch(rows: list[tuple[list[int], list[int], list[int]]], side: str = "right") -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(input ids, attention mask, labels) of rows of (prompt, completion, scored 0 or 1 a completion token)."""
    width = max(len(prompt) + len(completion) for prompt, completion, _ in rows)
    ids, mask, labels = np.full((len(rows), width), PAD), np.zeros((len(rows), width), int), np.full((len(rows), width), -100)
    for row, (prompt, completion, scored) in enumerate(rows):
        length = len(prompt) + len(completion)
        start = 0 if side == "right" else width - length
        ids[row, start : start + length] = prompt + completion
        mask[row, start : start + length] = 1
        for place, is_scored in enumerate(scored, start=start + len(prompt)):
            if is_scored:
                labels[row, place] = ids[row, place]
    return ids, mask, labels


def test_a_prompt_stands_once_and_its_last_token_opens_every_branch() -> None:
    rows = [([1, 2, 3], [7, 8], [1, 1]), ([1, 2, 3], [9], [1])]
    (group,) = find_groups(*batch(rows), keys=["a", "a"])
    assert group.row == 0 and group.columns.tolist() == [0, 1]
    first, second = group.branches
    assert (first.row, first.columns.tolist(), first.scored.tolist()) == (0, [2, 3], [True, True])  # 3 predicts 7, 7 predicts 8
    assert (second.row, second.columns.tolist(), second.scored.tolist()) == (1, [2], [True])  # 3 predicts 9
    assert group.num_tokens == 5  # of 2 rows x 5 columns


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_columns_and_nothing_else(side: str) -> None:
    rows = [([1, 2], [5, 6, 7], [1, 1, 1]), ([1, 2], [8], [1])]
    (group,) = find_groups(*batch(rows, side), keys=["a", "a"])
    offset = 2 if side == "left" else 0
    assert group.branches[1].columns.tolist() == [1 + offset]
    assert group.columns.tolist() == [0]


def test_equal_tokens_with_other_media_are_other_prompts() -> None:
    rows = [([1, 2], [5], [1]), ([1, 2], [6], [1]), ([1, 2], [7], [1])]
    groups = find_groups(*batch(rows), keys=["clip a", "clip b", "clip a"])
    assert [[branch.row for branch in group.branches] for group in groups] == [[0, 2], [1]]


def test_rows_without_a_scored_token_are_left_out() -> None:
    rows = [([1, 2], [5], [0]), ([1, 2], [6], [1])]
    (group,) = find_groups(*batch(rows), keys=["a", "a"])
    assert [branch.row for branch in group.branches] == [1]


def test_unscored_tokens_within_a_completion_stay_and_are_not_scored() -> None:
    (group,) = find_groups(*batch([([1, 2], [5, 6, 7, 8], [1, 0, 1, 0])]), keys=["a"])
    (branch,) = group.branches
    assert branch.columns.tolist() == [1, 2, 3]  # 8 predicts nothing that is scored
    assert branch.scored.tolist() == [True, False, True]


def test_a_completion_whose_start_is_not_scored_belongs_to_the_prompt() -> None:
    # The first two tokens are equal and unscored in both rows, so they are shared as well.
    rows = [([1, 2], [5, 6, 7], [0, 0, 1]), ([1, 2], [5, 6, 8], [0, 0, 1])]
    (group,) = find_groups(*batch(rows), keys=["a", "a"])
    assert group.columns.tolist() == [0, 1, 2] and [branch.columns.tolist() for branch in group.branches] == [[3], [3]]


def test_a_budget_splits_groups_and_repeats_their_prompt() -> None:
    rows = [([1] * 10, [5] * 4, [1] * 4) for _ in range(5)]
    (group,) = find_groups(*batch(rows), keys=["a"] * 5)
    assert group.num_tokens == 9 + 5 * 4
    bins = split_by_budget([group], max_tokens=17)  # 9 + 2 x 4
    assert [[[branch.row for branch in part.branches] for part in one] for one in bins] == [[[0, 1]], [[2, 3]], [[4]]]
    assert all(sum(part.num_tokens for part in one) <= 17 for one in bins)
    assert split_by_budget([group], None) == [[group]]


def test_a_branch_above_the_budget_runs_alone() -> None:
    (group,) = find_groups(*batch([([1, 2, 3], [5] * 20, [1] * 20), ([1, 2, 3], [6] * 2, [1] * 2)]), keys=["a", "a"])
    bins = split_by_budget([group], max_tokens=6)
    assert [[[branch.row for branch in part.branches] for part in one] for one in bins] == [[[0]], [[1]]]


def test_packing_is_worth_it_only_where_it_is_shorter() -> None:
    equal = [([1, 2], [5, 6], [1, 1]), ([3, 4], [7, 8], [1, 1])]
    groups = find_groups(*batch(equal), keys=["a", "b"])
    assert saves(groups, 2, 4)  # 6 of 8 tokens: the last of each row predicts nothing
    long = [([1] * 100, [5] * 100, [1] * 100), ([3] * 100, [7] * 100, [1] * 100)]
    assert not saves(find_groups(*batch(long), keys=["a", "b"]), 2, 200)  # 398 of 400


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 6)), min_size=1, max_size=8), st.integers(4, 30))
def test_every_scored_token_is_predicted_once_within_any_budget(shapes: list[tuple[int, int]], max_tokens: int) -> None:
    prompts = ([1, 2, 3], [1, 2], [4])
    rows = [(list(prompts[which]), [9] * length, [1] * length) for which, length in shapes]
    ids, mask, labels = batch(rows)
    groups = find_groups(ids, mask, labels, ["a"] * len(rows))
    for bins in (split_by_budget(groups, max_tokens), split_by_budget(groups, None)):
        branches = [branch for one in bins for part in one for branch in part.branches]
        scored = sorted((branch.row, column + 1) for branch in branches for column in branch.columns[branch.scored])
        assert scored == sorted(zip(*(axis.tolist() for axis in np.nonzero(labels != -100)), strict=True))
        assert all(isinstance(part, Group) and part.branches for one in bins for part in one)
