"""A reward by address: found, checked against the records' columns before training, and called so that it cannot hide.

A reward that raises, hangs, returns the wrong number of values or NaN never counts as 0: the run stops, or leaves the
completion out where the recipe says so, and the message names the reward, the record and the completion.
"""

import importlib
import importlib.util
import inspect
import logging
import math
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

from pebble import ProcessExpired, ProcessPool

from emoreason.faults import UserError, did_you_mean

SUPPLIED = frozenset({"prompts", "completions", "completion_ids", "template"})
"""Columns that every reward may ask for beside those of the records."""


class RewardError(RuntimeError):
    """A reward failed while it scored; the run stops."""


def load_function(address: str) -> Callable:
    """The function at `package.module:name` or `path/to/file.py:name` (relative to the working directory).

    Raises:
        UserError: no such file, module or function, it is async, or whatever the file raises when it is imported.
    """
    place, _, name = address.rpartition(":")
    path = Path(place).expanduser().resolve() if place.endswith(".py") else None
    if path is not None and not path.is_file():
        raise UserError(f"reward {address}: no such file (relative paths start at {Path.cwd()})")
    try:
        module = importlib.import_module(place) if path is None else _module_of(path)
    except (Exception, SystemExit) as error:  # a stranger's file may raise anything
        if path is None and isinstance(error, ModuleNotFoundError) and error.name and f"{place}.".startswith(f"{error.name}."):
            hint = "; run `pip install -e .` once in the checkout" if place.startswith("emoreason.rewards") else ""
            raise UserError(f"reward {address}: {error}{hint}") from error
        raise UserError(f"reward {address}: the file does not import: {_import_failure(error, path)}") from error
    function = getattr(module, name, None)
    if not callable(function):
        functions = [key for key, value in vars(module).items() if inspect.isfunction(value) and not key.startswith("_")]
        raise UserError(f"reward {address}: {place} has no function {name!r}{did_you_mean(name, functions)}")
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        raise UserError(f"reward {address}: it is `async def`; give a plain function, it may wait for its own calls")
    return function


def absolute(address: str) -> str:
    """The address with its file's whole path, for a process that may stand in another folder."""
    place, _, name = address.rpartition(":")
    return f"{Path(place).expanduser().resolve()}:{name}" if place.endswith(".py") else address


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


def _import_failure(error: BaseException, path: Path | None) -> str:
    """`ValueError on line 3 of mine.py: what it says`; the last line of the file itself, or of anything where it is a module."""
    if isinstance(error, SyntaxError) and error.filename:
        lines, text = [(error.filename, error.lineno)], error.msg
    else:
        frames = traceback.extract_tb(error.__traceback__)
        lines, text = [(frame.filename, frame.lineno) for frame in frames if path is None or frame.filename == str(path)], str(error)
    place = f" on line {lines[-1][1]} of {Path(lines[-1][0]).name}" if lines else ""
    return _in_one_line(f"{type(error).__name__}{place}" + (f": {text[:500]}" if text else ""))


def binding_faults(address: str, kwargs: dict[str, Any], columns: frozenset[str]) -> list[str]:
    """What keeps the reward from being called: a column that the records lack, a setting that it does not take."""
    parameters = inspect.signature(load_function(address)).parameters.values()
    faults = []
    settings = {p.name for p in parameters if p.kind is p.KEYWORD_ONLY}
    takes_any = any(p.kind is p.VAR_KEYWORD for p in parameters)
    for parameter in parameters:
        required = parameter.default is parameter.empty and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
        name = parameter.name
        if required and name not in columns | SUPPLIED and name not in kwargs:
            faults.append(f"reward {address} needs the column {name!r}{did_you_mean(name, columns | SUPPLIED)}")
    faults += [f"reward {address} has no setting {name!r}{did_you_mean(name, settings)}" for name in kwargs if name not in settings]
    if not takes_any:
        faults.append(f"reward {address} must accept **kwargs, since trainers pass every column of the records")
    return faults


@dataclass(frozen=True)
class RewardFunc:
    """A reward that TRL can call. Plain data, so that it survives a spawned process; `__name__` is the function's.

    When a call fails with `on_error="mask"`, each of its completions is scored again alone. Those that fail alone are masked: they
    are to be left out, which is not the same as a reward of 0 or as a reward that does not apply. `masked_rows` tells which.
    """

    address: str
    weight: float = 1.0
    kwargs: dict[str, Any] = field(default_factory=dict)
    timeout_s: float | None = 60.0
    """Seconds that a call may take, in a process of its own; with None it runs in this process, where nothing stops it if it hangs."""
    on_error: Literal["stop", "mask"] = "stop"
    max_masked_share: float = 0.1
    """Of a call's completions; one is always allowed. Beyond that the reward is broken, not the completions, and the run stops."""
    last_masked: list[int] = field(default_factory=list, init=False, compare=False, repr=False)
    """Places, in this process's last call, of the completions that could not be scored."""

    @classmethod
    def from_spec(cls, spec: Any) -> "RewardFunc":
        """The reward that a recipe's `rewards` entry (`recipe.RewardSpec`) names."""
        return cls(spec.func, **spec.model_dump(exclude={"func"}))

    @property
    def __name__(self) -> str:
        return self.address.rpartition(":")[2]

    def __call__(self, *, completions: list, **columns: Any) -> list[float | None]:
        """One value a completion, or None where the reward does not apply or the completion is masked.

        Raises:
            RewardError: the reward raised, took longer than `timeout_s`, or returned something else than that.
            UserError: the reward refuses its settings, or its file does not import.
        """
        self.last_masked.clear()
        wanted = self._wanted(columns)
        try:
            return self._score(completions, wanted, columns.get("id"))
        except RewardError as error:
            if self.on_error != "mask":
                raise RewardError(f"reward {self.address}: {error}") from error
            return self._score_one_by_one(completions, wanted, columns.get("id"), error)

    def _wanted(self, columns: dict[str, Any]) -> dict[str, Any]:
        """The columns that the function names, and no trainer object that could not cross a process border."""
        names = inspect.signature(load_function(self.address)).parameters
        return {name: value for name, value in columns.items() if name in names}

    def _score(self, completions: list, columns: dict[str, Any], ids: list | None) -> list[float | None]:
        arguments = (absolute(self.address), self.kwargs, completions, columns, ids)
        if self.timeout_s is None:
            return checked_values(*arguments)
        try:
            return run_in_worker(checked_values, *arguments, timeout_s=self.timeout_s)
        except FutureTimeoutError as error:
            raise RewardError(f"took longer than its timeout_s of {self.timeout_s:g} s on {len(completions)} completions "
                              f"({_place(completions, ids)}); mend it or raise timeout_s in the recipe") from error
        except ProcessExpired as error:
            raise RewardError(f"its process died with exit code {error.exitcode} ({_place(completions, ids)})") from error

    def _score_one_by_one(self, completions: list, columns: dict[str, Any], ids: list | None, together: RewardError) -> list[float | None]:
        """The value of each completion by itself, None and a warning for those that fail so, too."""
        num_allowed = max(1, math.floor(self.max_masked_share * len(completions) + 1e-9))  # 0.29 * 100 is below 29
        values: list[float | None] = []
        for index, completion in enumerate(completions):
            one = {name: column[index : index + 1] if isinstance(column, list | tuple) else column for name, column in columns.items()}
            try:
                values += self._score([completion], one, [ids[index] if ids else index])
            except RewardError as error:
                self.last_masked.append(index)
                if len(self.last_masked) > num_allowed:
                    raise RewardError(f"reward {self.address}: failed alone on {num_allowed + 1} of {len(completions)} completions, more "
                                      f"than max_masked_share {self.max_masked_share:g} allows; the last: {error}") from error
                _LOG.warning(_in_one_line(f"reward {self.address}: masked: {error}"))
                values.append(None)
        if not self.last_masked:
            _LOG.warning(_in_one_line(f"reward {self.address}: failed on a batch and on none of its completions alone: {together}"))
        return values


def masked_rows(rewards: Iterable[RewardFunc]) -> set[int]:
    """Places, in this process's last batch, of the completions that any of the rewards could not score.

    Such a completion has no total: the sum of what is left would be another reward than that of its neighbours.
    """
    return {index for reward in rewards for index in reward.last_masked}


def total_reward(rewards: list[RewardFunc], completions: list, columns: dict[str, list]) -> tuple[list[float | None], dict[str, list]]:
    """(weighted sum a completion, {reward: values}); a reward that does not apply adds nothing, a masked completion's sum is None."""
    by_name = {reward.__name__: reward(completions=completions, **columns) for reward in rewards}
    weights = {reward.__name__: reward.weight for reward in rewards}
    masked = masked_rows(rewards)
    totals = [
        None if index in masked else sum(weights[name] * (values[index] or 0.0) for name, values in by_name.items())
        for index in range(len(completions))
    ]
    return totals, by_name


_LOG = logging.getLogger("emoreason")
_POOL: ProcessPool | None = None


def _end_with(parent: int) -> None:
    """Let a worker outlive TERM, which SLURM sends to all processes of a job that is to write a checkpoint first, and end with the process
    that started it, however that went. pebble kills a worker that TERM does not end."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1.0)
        os._exit(0)

    threading.Thread(target=watch, daemon=True).start()


def run_in_worker(function: Callable, *arguments: Any, timeout_s: float) -> Any:
    """What `function(*arguments)` returns, or raises, in a process that is killed when it takes longer than `timeout_s`.

    Raises:
        concurrent.futures.TimeoutError: it took longer.
        pebble.ProcessExpired: the process died.
    """
    global _POOL
    if _POOL is None or not _POOL.active:
        # One worker that lives as long as this process; pebble replaces it when a call has been cut off.
        _POOL = ProcessPool(max_workers=1, context=multiprocessing.get_context("spawn"), initializer=_end_with, initargs=(os.getpid(),))
    return _POOL.schedule(function, args=arguments, timeout=timeout_s).result()


def checked_values(
    address: str, kwargs: dict[str, Any], completions: list, columns: dict[str, Any], ids: list | None
) -> list[float | None]:
    """What the reward returns, as floats; whatever it raises, or returns instead of values, comes back as one `RewardError`.

    The values are checked here, in the reward's own process, since not everything that it may return can cross over to the other.
    """
    values = raw_values(address, kwargs, completions, columns, ids)
    for index, value in enumerate(values):
        if value is not None and not _is_finite(value):
            one = _place(completions[index : index + 1], [ids[index] if ids else index])
            raise RewardError(f"returned {repr(value)[:60]} for {one}; accepted: a finite number or None")
    return [None if value is None else float(value) for value in values]


def raw_values(address: str, kwargs: dict[str, Any], completions: list, columns: dict[str, Any], ids: list | None) -> list | tuple:
    """What the reward returns, as it is, where that is something for each completion; else, and where it raises, `RewardError`."""
    function, num_completions = load_function(address), len(completions)  # the reward may change the list
    try:
        values = function(completions=completions, **columns, **kwargs)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # a stranger's function may raise anything, and none of it may pass for a score
        raise RewardError(f"raised {type(error).__name__}: {str(error)[:500]} ({_place(completions, ids)})") from error
    if not isinstance(values, list | tuple) or len(values) != num_completions:
        found = f"{len(values)} values" if isinstance(values, list | tuple) else repr(values)[:60]
        raise RewardError(f"returned {found} for {num_completions} completions ({_place(completions, ids)})")
    return values


def _is_finite(value: Any) -> bool:
    try:
        return math.isfinite(value)
    except (TypeError, OverflowError):
        return False


def _place(completions: list, ids: list | None) -> str:
    """The records and a completion, so that a failure can be repeated."""
    shown = repr(completions[0])[:200] if completions else "none"
    if len(completions) == 1 and ids:
        return f"record {ids[0]!r}, completion {shown}"
    records = f"records {', '.join(map(str, ids[:3]))}{', ...' if len(ids) > 3 else ''}" if ids else "records not named"
    return f"{records}; first completion {shown}"


def _in_one_line(text: str) -> str:
    return " ".join(text.split())
