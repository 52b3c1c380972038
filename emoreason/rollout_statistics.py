"""What scored rollouts tell before anyone reads them: whether length pays, which groups teach nothing, where rewards disagree.

A value is None or NaN where a reward does not apply or a completion could not be scored; such values are left out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emoreason.metrics.regression import plcc
from emoreason.reward_alarm import EQUAL

Value = float | None


def known(values: Sequence[Value]) -> list[float]:
    """The values that are there, in order."""
    return [value for value in values if value is not None and not math.isnan(value)]


def pearson(xs: Sequence[Value], ys: Sequence[Value]) -> float | None:
    """Pearson's correlation of the places where both are known, in [-1, 1]; None where either is constant there, or fewer than two are.

    Of total rewards and lengths it says whether long completions are paid better (above 0) or worse (below 0).

    Raises:
        ValueError: the lengths differ, or a value is infinite.
    """
    pairs = [pair for pair in zip(xs, ys, strict=True) if len(known(pair)) == 2]
    return plcc([x for x, _ in pairs], [y for _, y in pairs])


def mean(values: Sequence[Value]) -> float | None:
    """The mean of the known values; None where none is."""
    there = known(values)
    return float(np.mean(there)) if there else None


def spread(values: Sequence[Value]) -> float | None:
    """The standard deviation (divided by n) of the known values, >= 0; None where fewer than two are."""
    there = known(values)
    return float(np.std(there)) if len(there) > 1 else None


@dataclass(frozen=True)
class GroupStatistics:
    """What groups of completions of one prompt each have to teach."""

    num_groups: int
    num_without_spread: int
    """Groups whose known totals are equal, those without any included: no completion of theirs has an advantage."""
    mean_spread: float | None
    """Mean over groups of the standard deviation within; None where no group has two known totals."""


def group_statistics(groups: Sequence[Sequence[Value]]) -> GroupStatistics:
    """The statistics of each group's total rewards. Totals are equal as for `RewardAlarm` and TRL's frac_reward_zero_std, within 1e-8."""
    flat = [there for there in map(known, groups) if not there or max(there) - min(there) <= EQUAL]
    return GroupStatistics(len(groups), len(flat), mean([spread(group) for group in groups]))


def ranks(values: Sequence[Value]) -> list[Value]:
    """For each value the share of all known ones that are lower, those that are equal counted half, in (0, 1); None where it is unknown.

    The mean of a column's ranks is 1/2, and one outlier of a reward that hardly varies weighs no more than its place in the order.
    """
    there = np.sort(known(values))
    lower, not_higher = (np.searchsorted(there, [0.0 if value is None else value for value in values], side) for side in ("left", "right"))
    found = (lower + not_higher) / (2 * max(len(there), 1))
    return [float(rank) if known([value]) else None for rank, value in zip(found, values, strict=True)]


def disagreements(rewards: Sequence[dict[str, Value]], name: str | None = None) -> list[Value]:
    """For each completion the largest difference between the ranks that two rewards give it, in [0, 1); with `name`, that one and another.

    0.9 says that one reward finds it better than nearly all completions given, and another worse than nearly all. None where fewer
    than two of its rewards are known; a reward that is equal for all completions says nothing and is left out.
    """
    columns = {key: [row.get(key) for row in rewards] for key in dict.fromkeys(key for row in rewards for key in row)}
    ranked = {key: ranks(values) for key, values in columns.items() if len(set(known(values))) > 1}
    found: list[Value] = []
    for place in range(len(rewards)):
        own = {key: column[place] for key, column in ranked.items() if column[place] is not None}
        if len(own) < 2 or (name is not None and name not in own):
            found.append(None)
        elif name is None:
            found.append(max(own.values()) - min(own.values()))
        else:
            found.append(max(abs(rank - own[name]) for rank in own.values()))
    return found
