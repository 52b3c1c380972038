"""An alarm for rewards that teach nothing: constant ones, groups of equal totals, rewards that never apply."""

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from typing import Any

EQUAL = 1e-8
"""Totals that differ by no more are equal, as for TRL's frac_reward_zero_std."""


@dataclass
class _Streak:
    """How long one condition has held without a break, and whether that has been said."""

    num_steps: int = 0
    first_step: int = 0
    is_told: bool = False

    def extend(self, step: int, needed: int) -> bool:
        """One more step; True the first time that it has been `needed` of them."""
        self.first_step = self.first_step if self.num_steps else step
        self.num_steps += 1
        is_news = self.num_steps >= needed and not self.is_told
        self.is_told = self.is_told or is_news
        return is_news


@dataclass
class _History:
    """What is known of one reward."""

    is_binary: bool = True
    """It has never given another value than 0 or 1."""
    constant: float | None = None
    """The one value of its last step."""
    same: _Streak = field(default_factory=_Streak)
    absent: _Streak = field(default_factory=_Streak)


class RewardAlarm:
    """Messages on rewards that have taught nothing for `num_steps` steps in a row, each once until the condition ends and comes back.

    A step is one call of `observe` with all completions of that step, those of other processes included.
    """

    def __init__(self, num_steps: int) -> None:
        if num_steps < 1:
            raise ValueError(f"num_steps is {num_steps}; accepted: 1 or more")
        self.num_steps = num_steps
        self._histories: dict[str, _History] = {}
        self._no_spread = _Streak()

    def memory(self) -> dict[str, Any]:
        """All that it has seen, as JSON takes it; `restore` takes it back."""
        return {"no_spread": asdict(self._no_spread), "histories": {name: asdict(history) for name, history in self._histories.items()}}

    def restore(self, memory: dict[str, Any]) -> None:
        """Go on from where `memory` was taken."""
        self._no_spread = _Streak(**memory["no_spread"])
        self._histories = {name: _History(**{**one, "same": _Streak(**one["same"]), "absent": _Streak(**one["absent"])})
                           for name, one in memory["histories"].items()}  # fmt: skip

    def observe(self, step: int, rewards: dict[str, list[float | None]], totals: list[float | None], group_size: int) -> list[str]:
        """What there is to say after this step; [] most of the time.

        `rewards` holds each reward's value a completion, None where it does not apply; `totals` their weighted sum, None for a
        completion that could not be scored; completions of one prompt stand together, `group_size` of them.

        Raises:
            ValueError: the totals are no whole groups.
        """
        messages = []
        for name, values in rewards.items():
            messages += self._of_reward(step, name, [value for value in values if value is not None])
        if self._has_spread(totals, group_size):
            self._no_spread = _Streak()
        elif self._no_spread.extend(step, self.num_steps):
            messages.append(
                f"total reward: equal within every group in steps {self._no_spread.first_step} to {step}, so there is no gradient; "
                "raise temperature or num_generations, or give records that are sometimes answered right"
            )
        return messages

    def _of_reward(self, step: int, name: str, values: list[float]) -> Iterable[str]:
        history = self._histories.setdefault(name, _History())
        if not values:
            # Neither breaks nor lengthens a constant streak: a reward for few records is not there in every step.
            if history.absent.extend(step, self.num_steps):
                yield (f"reward {name}: applied to no completion in steps {history.absent.first_step} to {step}; "
                       "give records that have what it reads, or take it out")
            return
        history.absent = _Streak()
        history.is_binary = history.is_binary and set(values) <= {0.0, 1.0}
        lowest, highest = min(values), max(values)
        if lowest != highest:
            history.constant, history.same = None, _Streak()
            return
        if highest != history.constant:
            history.constant, history.same = highest, _Streak()
        if history.same.extend(step, self.num_steps):
            where = f"reward {name}: {highest:g} for every completion in steps {history.same.first_step} to {step}"
            if history.is_binary and highest == 1.0:
                yield f"{where}; it is already perfect, so it teaches nothing more: lower its weight or give harder records"
            else:
                yield f"{where}; it carries no signal: look at completions.jsonl, at its settings and at what the records hold"

    @staticmethod
    def _has_spread(totals: list[float | None], group_size: int) -> bool:
        if group_size < 1 or len(totals) % group_size:
            raise ValueError(f"{len(totals)} totals are no whole groups of {group_size}")
        for start in range(0, len(totals), group_size):
            group = [total for total in totals[start : start + group_size] if total is not None]
            if group and max(group) - min(group) > EQUAL:
                return True
        return False
