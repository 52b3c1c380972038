"""Parts of a records file that share no group and no media file, with the labels in equal shares.

scikit-learn's StratifiedGroupKFold makes equal folds, by giving one group after the other to the fold that it suits best. Here parts have shares
of their own, and that first division is improved: a group moves, or changes places with another, while that brings counts nearer to the wished
ones. Near is the sum over parts and labels of (count - wished)^2 / wished, Pearson's chi-square, with the number of records as one more label.
"""

import os
import re
import unicodedata
from collections import Counter
from collections.abc import Hashable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from emoreason.faults import UserError, did_you_mean, raise_faults
from emoreason.record_media import media_uses
from emoreason.records import Record
from emoreason.schema import Strict

NO_LABEL = "(none)"
MAX_PASSES = 20
MAX_SWAPPED = 200
"""Groups up to which pairs change places, too; with more of them single moves come near enough."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")


@dataclass(frozen=True)
class Division:
    """Which part each record is in."""

    parts: list[str]
    """By record, in the order of the file."""
    blocks: list[int]
    """By record, the number of its block: records that must stay together."""
    num_groups: int
    num_joined: int
    """Groups that stay with another one, since they share a media file."""


# What was asked for.


def parse_shares(text: str) -> dict[str, float]:
    """{part: share} of `train=0.8,val=0.1,test=0.1`.

    Raises:
        UserError: with every part that is wrong.
    """
    shares: dict[str, float] = {}
    faults = []
    for part in text.split(","):
        name, equals, value = (word.strip() for word in part.partition("="))
        try:
            share = float(value)
        except ValueError:
            share = 0.0
        if not equals or not 0 < share < 1:
            faults.append(f"{part.strip()!r}: accepted: NAME=SHARE with a share between 0 and 1")
        elif name in shares:
            faults.append(f"{name} is given twice")
        shares[name] = share
    faults += name_faults(shares)
    if not faults and abs(sum(shares.values()) - 1) > 1e-6:
        faults.append(f"the shares add up to {sum(shares.values()):g}; accepted: 1")
    if not faults and len(shares) == 1:
        faults.append("one part is no split")
    raise_faults([f"--shares: {fault}" for fault in faults])
    return shares


def name_faults(names: Iterable[str]) -> list[str]:
    """What is wrong with these names of parts as names of files."""
    names = list(names)
    faults = [f"{name!r} cannot be a file's name; accepted: letters, digits, _, - and ." for name in names if not _NAME.fullmatch(name)]
    twice = [name for name, count in Counter(map(str.casefold, names)).items() if count > 1]
    return faults + [f"{name!r} is given in two spellings, one file on some file systems" for name in twice]


def field_values(record: Record, path: str) -> list[str]:
    """What a record has in a field such as `group`, `attributes.scene`, `target.labels`; a list, or the keys of an object, are several.

    Raises:
        UserError: no record has such a field.
    """
    value: Any = record
    for name in path.split("."):
        if isinstance(value, dict):
            value = value.get(name)
        elif value is not None:
            fields = getattr(type(value), "model_fields", {})
            if name not in fields:
                raise UserError(f"--by or --stratify {path}: a record has no such field{did_you_mean(name, fields)}")
            value = getattr(value, name)
    if isinstance(value, Strict):
        raise UserError(f"--by or --stratify {path}: holds several fields; accepted: one of {', '.join(type(value).model_fields)}, after a dot")
    if value is None:
        return []
    values = value if isinstance(value, list | dict | tuple) else [value]
    return [text for one in values if (text := unicodedata.normalize("NFC", str(one)).strip())]


# What must stay together.


def blocks_of(records: list[Record], folder: Path, by: list[str]) -> tuple[list[int], int, int]:
    """(block of each record, number of groups, groups that were joined): records of one group, or with one media file, are in one block.

    Blocks are numbered by the first id in them, so that the order of the records does not matter.

    Raises:
        UserError: records without a value in a field of `by`.
    """
    keys, faults = [], []
    for record in records:
        groups = {field: field_values(record, field) for field in by}
        faults += [f"record {record.id!r}: nothing under {field}" for field, values in groups.items() if not values]
        keys.append([(field, value) for field, values in groups.items() for value in values])
    if faults:
        more = [f"and {len(faults) - 5} more; choose another --by, or fill it in"] if len(faults) > 5 else []
        raise UserError([f"--by: {fault}" for fault in faults[:5] + more])
    groups = _joined(keys)
    files = ([("file", path) for path in _files(record, folder)] for record in records)
    blocks = _joined([[("group", group), *own] for group, own in zip(groups, files, strict=True)])
    first: dict[int, str] = {}
    for record, block in zip(records, blocks, strict=True):
        first[block] = min(record.id, first.get(block, record.id))
    numbers = {block: number for number, block in enumerate(sorted(first, key=lambda block: first[block]))}
    return [numbers[block] for block in blocks], len(set(groups)), len(set(groups)) - len(numbers)


def _files(record: Record, folder: Path) -> list[str]:
    """The files of a record, links followed, by names that do not depend on how they are written."""
    return [unicodedata.normalize("NFC", _followed(folder / use.path)) for use in media_uses(record)]


def _followed(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except ValueError:  # a null byte, or half a character: no file has such a name
        return os.path.normpath(path)


def _joined(keys: list[list[Hashable]]) -> list[int]:
    """A number for each item; items that share a key, directly or over others, have the same one (union-find)."""
    parents = list(range(len(keys)))

    def root(item: int) -> int:
        while parents[item] != item:
            parents[item] = item = parents[parents[item]]
        return item

    first: dict[Hashable, int] = {}
    for item, own in enumerate(keys):
        for key in own:
            parents[root(item)] = root(first.setdefault(key, item))
    return [root(item) for item in range(len(keys))]


# The division.


def divide(records: list[Record], folder: Path, shares: dict[str, float], by: list[str], stratify: str | None, seed: int) -> Division:
    """Parts of about these shares.

    Raises:
        UserError: a group is missing, or a part comes out empty.
    """
    blocks, num_groups, num_joined = blocks_of(records, folder, by)
    num_blocks = max(blocks) + 1
    if num_blocks < len(shares):
        raise UserError(f"{num_blocks} blocks of records that stay together, {len(shares)} parts; ask for fewer parts, or another --by")
    strata = [(field_values(record, stratify) if stratify else []) or [NO_LABEL] for record in records]
    counts = _counts(blocks, strata, num_blocks)
    placed = _placed(counts, np.array(list(shares.values())), seed)
    names = list(shares)
    division = Division([names[placed[block]] for block in blocks], blocks, num_groups, num_joined)
    if empty := [name for name in names if name not in division.parts]:
        raise UserError(f"{', '.join(empty)}: comes out empty, of {num_blocks} blocks of records that stay together; give it a larger share")
    return division


def _counts(blocks: list[int], strata: list[list[str]], num_blocks: int) -> np.ndarray:
    """(num_blocks, 1 + num_labels): records of each block, and how many have each label."""
    labels = {label: place for place, label in enumerate(sorted({label for own in strata for label in own}), start=1)}
    counts = np.zeros((num_blocks, 1 + len(labels)))
    for block, own in zip(blocks, strata, strict=True):
        counts[block, 0] += 1
        for label in dict.fromkeys(own):
            counts[block, labels[label]] += 1
    return counts


def _placed(counts: np.ndarray, shares: np.ndarray, seed: int) -> np.ndarray:
    """(num_blocks,) the part of each block: large ones first, each to where it fits best, then moved while that helps."""
    wished = shares[:, None] * counts.sum(axis=0)
    order = np.random.default_rng(seed).permutation(len(counts))
    order = order[np.argsort(-counts[order, 0], kind="stable")]
    have = np.zeros_like(wished)
    placed = np.zeros(len(counts), int)
    for block in order:
        placed[block] = np.argmin(_cost_of_adding(counts[block], have, wished))
        have[placed[block]] += counts[block]
    for _ in range(MAX_PASSES):
        moved = _move(order, placed, counts, have, wished)
        if len(counts) <= MAX_SWAPPED:
            moved = _swap(order, placed, counts, have, wished) or moved
        if not moved:
            break
    return placed


def _cost_of_adding(block: np.ndarray, have: np.ndarray, wished: np.ndarray) -> np.ndarray:
    """(num_parts,) by how much the distance grows where the block is added."""
    own = np.flatnonzero(block)
    return (block[own] * (2 * (have[:, own] - wished[:, own]) + block[own]) / wished[:, own]).sum(axis=1)


def _move(order: np.ndarray, placed: np.ndarray, counts: np.ndarray, have: np.ndarray, wished: np.ndarray) -> bool:
    """Move each block to where it fits best; whether any moved."""
    moved = False
    for block in order:
        have[placed[block]] -= counts[block]
        cost = _cost_of_adding(counts[block], have, wished)
        best = int(np.argmin(cost))
        if cost[best] < cost[placed[block]] - 1e-9:
            placed[block], moved = best, True
        have[placed[block]] += counts[block]
    return moved


def _swap(order: np.ndarray, placed: np.ndarray, counts: np.ndarray, have: np.ndarray, wished: np.ndarray) -> bool:
    """Let pairs of blocks of two parts change places where that helps; whether any did."""
    swapped = False
    for place, one in enumerate(order):
        for other in order[place + 1 :]:
            here, there = placed[one], placed[other]
            if here == there:
                continue
            change = counts[other] - counts[one]
            gain = (change * (2 * (have[here] - wished[here]) + change) / wished[here]).sum()
            gain += (-change * (2 * (have[there] - wished[there]) - change) / wished[there]).sum()
            if gain < -1e-9:
                have[here] += change
                have[there] -= change
                placed[one], placed[other], swapped = there, here, True
    return swapped
