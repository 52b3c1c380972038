"""A reward by address: found, checked against the records' columns before training, and called so that it cannot hide.

A reward that raises, hangs, returns the wrong number of values or NaN never counts as 0: the run stops, and the message
names the reward, the record and the completion.
"""

import importlib
import importlib.util
import inspect
import math
import multiprocessing
import sys
from collections.abc import Callable
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from pebble import ProcessExpired, ProcessPool

from emoreason.faults import UserError, did_you_mean

SUPPLIED = frozenset({"prompts", "completions", "completion_ids", "template"})
"""Columns that every reward may ask for beside those of the records."""


class RewardError(RuntimeError):
    """A reward failed while it scored; the run stops."""


def load_function(address: str) -> Callable:
    """The function at `package.module:name` or `path/to/file.py:name` (relative to the working directory).

    Raises:
        UserError: no such file, module or function, or the file does not import.
    """
    place, _, name = address.rpartition(":")
    if place.endswith(".py"):
        path = Path(place).expanduser().resolve()
        if not path.is_file():
            raise UserError(f"reward {address}: no such file (relative paths start at {Path.cwd()})")
        try:
            module = _module_of(path)
        except (ImportError, SyntaxError, NameError) as error:
            raise UserError(f"reward {address}: the file does not import: {type(error).__name__}: {error}") from error
    else:
        try:
            module = importlib.import_module(place)
        except ImportError as error:
            hint = "; run `pip install -e .` once in the checkout" if place.startswith("emoreason.rewards") else ""
            raise UserError(f"reward {address}: {error}{hint}") from error
    function = getattr(module, name, None)
    if not callable(function):
        functions = [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]
        raise UserError(f"reward {address}: {place} has no function {name!r}{did_you_mean(name, functions)}")
    if inspect.iscoroutinefunction(function):
        raise UserError(f"reward {address}: it is `async def`; give a plain function, it may wait for its own calls")
    return function


def _module_of(path: Path) -> ModuleType:
    """The file as a module, run once a process: what it loads at its top is not loaded again for each call."""
    name = f"reward_file:{path}"
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[name] = module  # before it runs, since dataclasses look their module up
        try:
            spec.loader.exec_module(module)
        except BaseException:
            del sys.modules[name]
            raise
    return sys.modules[name]


def binding_faults(address: str, kwargs: dict[str, Any], columns: frozenset[str]) -> list[str]:
    """What keeps the reward from being called: a column that the records lack, a setting that it does not take."""
    parameters = inspect.signature(load_function(address)).parameters.values()
    faults = []
    settings = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for parameter in parameters:
        required = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        name = parameter.name
        if required and name not in columns | SUPPLIED and name not in kwargs:
            faults.append(f"reward {address} needs the column {name!r}{did_you_mean(name, columns | SUPPLIED)}")
    faults += [f"reward {address} has no setting {name!r}{did_you_mean(name, settings)}" for name in kwargs if name not in settings]
    if not takes_any:
        faults.append(f"reward {address} must accept **kwargs, since trainers pass every column of the records")
    return faults


@dataclass(frozen=True)
class RewardFunc:
    """A reward that TRL can call. Plain data, so that it survives a spawned process; `__name__` is the function's."""

    address: str
    weight: float = 1.0
    kwargs: dict[str, Any] = field(default_factory=dict)
    timeout_s: float | None = 60.0

    @classmethod
    def from_spec(cls, spec: Any) -> "RewardFunc":
        """The reward that a recipe's `rewards` entry (`recipe.RewardSpec`) names."""
        return cls(spec.func, spec.weight, spec.kwargs, spec.timeout_s)

    @property
    def __name__(self) -> str:
        return self.address.rpartition(":")[2]

    def __call__(self, *, completions: list, **columns: Any) -> list[float | None]:
        """One value a completion, or None where the reward does not apply.

        Raises:
            RewardError: the reward raised, took longer than `timeout_s`, or returned something else than that.
        """
        wanted = self._wanted(columns)
        if self.timeout_s is None:
            return _call(self.address, self.kwargs, completions, wanted, columns.get("id"))
        return self._call_with_deadline(completions, wanted, columns.get("id"))

    def _wanted(self, columns: dict[str, Any]) -> dict[str, Any]:
        """The columns that the function names, and no trainer object that could not cross a process border."""
        names = inspect.signature(load_function(self.address)).parameters
        return {name: value for name, value in columns.items() if name in names}

    def _call_with_deadline(self, completions: list, columns: dict[str, Any], ids: list | None) -> list[float | None]:
        future = _pool().schedule(_call, args=(self.address, self.kwargs, completions, columns, ids), timeout=self.timeout_s)
        try:
            return future.result()
        except FutureTimeoutError as error:
            raise RewardError(f"reward {self.address}: took longer than its timeout_s of {self.timeout_s:g} s on {len(completions)} "
                              f"completions ({_named(ids)}); mend it or raise timeout_s in the recipe") from error
        except ProcessExpired as error:
            raise RewardError(f"reward {self.address}: its process died with exit code {error.exitcode} ({_named(ids)})") from error


def total_reward(rewards: list[RewardFunc], completions: list, columns: dict[str, list]) -> tuple[list[float], dict[str, list]]:
    """(weighted sum a completion, {reward: values}); a reward that does not apply adds nothing."""
    by_name = {reward.__name__: reward(completions=completions, **columns) for reward in rewards}
    weights = {reward.__name__: reward.weight for reward in rewards}
    totals = [sum(weights[name] * (values[index] or 0.0) for name, values in by_name.items()) for index in range(len(completions))]
    return totals, by_name


_POOL: ProcessPool | None = None


def _pool() -> ProcessPool:
    """One worker that lives as long as this process; pebble replaces it when a call has been cut off."""
    global _POOL
    if _POOL is None or not _POOL.active:
        _POOL = ProcessPool(max_workers=1, context=multiprocessing.get_context("spawn"))
    return _POOL


def _call(address: str, kwargs: dict[str, Any], completions: list, columns: dict[str, Any], ids: list | None) -> list[float | None]:
    """Run the reward; whatever it raises comes back as one `RewardError` that says what it was.

    Its values are checked here, in its own process, since not everything that it may return can cross over to the other.
    """
    function = load_function(address)
    try:
        values = function(completions=completions, **columns, **kwargs)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # a stranger's function may raise anything, and none of it may pass for a score
        raise RewardError(f"reward {address}: raised {type(error).__name__}: {error} ({_named(ids)}; first completion "
                          f"{str(completions[:1])[:200]})") from error
    if not isinstance(values, list | tuple) or len(values) != len(completions):
        found = f"{len(values)} values" if isinstance(values, list | tuple) else repr(values)[:60]
        raise RewardError(f"reward {address}: returned {found} for {len(completions)} completions ({_named(ids)})")
    for index, value in enumerate(values):
        if value is not None and not _is_finite(value):
            record = ids[index] if ids else index
            raise RewardError(f"reward {address}: returned {repr(value)[:60]} for record {record!r}, completion "
                              f"{str(completions[index])[:200]!r}; accepted: a finite number or None")
    return [None if value is None else float(value) for value in values]


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except (TypeError, OverflowError):
        return False


def _named(ids: list | None) -> str:
    return f"records {', '.join(map(str, ids[:3]))}{', ...' if len(ids) > 3 else ''}" if ids else "records not named"
