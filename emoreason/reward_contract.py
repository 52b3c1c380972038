"""What every reward must hold to, as a check of any address: ours in rewards/ and a researcher's own file.

A reward that keeps it gives a completion the same value wherever, whenever and beside whatever it is scored, whatever the model
wrote. It is called in processes that are killed when it hangs.
"""

import copy
import inspect
import json
import keyword
import os
import pickle
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass
from typing import Any

from pebble import ProcessExpired

from emoreason.faults import UserError
from emoreason.records import COLUMNS, Record, columns
from emoreason.reward_samples import COMPLETIONS, HOSTILE, LONG, RECORDS
from emoreason.rewarding import RewardError, absolute, binding_faults, checked_values, load_function, raw_values, run_in_worker

MAX_SECONDS = 1.0  # of processor time, for one long completion
CHECK_TIMEOUT_S, LONG_TIMEOUT_S = 60.0, 20.0  # by the clock, which runs on when the machine is busy: one property, one long completion
HASH_SEEDS = ("10", "31")  # under these CPython puts the words of nearly every small set of the samples into another order
Row = tuple[str | list, dict[str, Any]]  # a completion, and the columns of its record


def contract_problems(address: str, kwargs: dict[str, Any] | None = None, only: Iterable[str] | None = None) -> list[str]:
    """`reward ADDRESS: PROPERTY: what is wrong` of each way in which the reward, with these settings, breaks the contract.

    `only` names the `PROPERTIES` to look at; nothing more is looked at after an address or values that cannot be used. A reward that
    hangs takes up to a minute a property.
    """
    kwargs, wanted = kwargs or {}, PROPERTIES if only is None else tuple(only)
    assert set(wanted) <= set(PROPERTIES), wanted
    try:
        load_function(address)
    except UserError as error:
        return error.faults
    problems: list[str] = []
    for name in PROPERTIES:
        if name in wanted:
            problems += [f"reward {address}: {name}: {problem}" for problem in _problems(name, absolute(address), kwargs)]
        if problems and name in ("address", "values"):
            break
    return problems


def sample_rows(completions: Iterable[str | list] = COMPLETIONS) -> list[Row]:
    """Every completion with every sample record, as fresh objects."""
    kinds = []
    for name, (template, target, more) in RECORDS.items():
        record = {"id": name, "dataset": "d", "split": "train", "group": "g", "licence": "l", "source": "s", "target": target, **more}
        prompt = [{"role": "user", "content": more.get("question", "Which emotion is shown?")}]
        kinds.append({**columns(Record.model_validate(record)), "template": template, "prompts": prompt, "completion_ids": [1, 2, 3]})
    return copy.deepcopy([(completion, kind) for completion in completions for kind in kinds])


def _problems(name: str, address: str, kwargs: dict[str, Any]) -> list[str]:
    try:
        if name == "time":
            return list(_time(address, kwargs))
        if name == "hash seed":
            return list(_hash_seed(address, kwargs))
        return run_in_worker(_run_check, name, address, kwargs, timeout_s=CHECK_TIMEOUT_S)
    except (FutureTimeoutError, subprocess.TimeoutExpired):
        return [f"took longer than {CHECK_TIMEOUT_S:g} s"]
    except ProcessExpired as error:
        return [f"its process died with exit code {error.exitcode}"]
    except (RewardError, UserError) as error:
        return [str(error)]


def _run_check(name: str, address: str, kwargs: dict[str, Any]) -> list[str]:
    return list(_CHECKS[name](_Subject(address, kwargs)))


@dataclass(frozen=True)
class _Subject:
    address: str
    kwargs: dict[str, Any]

    def scores(self, rows: list[Row], read: Callable = checked_values, **more: Any) -> Any:
        """The values of these rows, with `more` columns over those of their records."""
        batch = {name: [kind[name] for _, kind in rows] for name in (*COLUMNS, "template", "prompts", "completion_ids")}
        return read(self.address, self.kwargs, [completion for completion, _ in rows], {**batch, **more}, batch["id"])


def _address(subject: _Subject) -> Iterator[str]:
    load_function(subject.address)  # here, in another process
    yield from ()


def _signature(subject: _Subject) -> Iterator[str]:
    parameters = list(inspect.signature(load_function(subject.address)).parameters.values())
    if not parameters or parameters[0].name != "completions":
        yield "its first parameter is not completions"
    for fault in binding_faults(subject.address, subject.kwargs, COLUMNS):
        yield fault.removeprefix(f"reward {subject.address} ")
    for parameter in parameters:
        is_setting = parameter.default is not parameter.empty
        if parameter.kind is parameter.VAR_POSITIONAL:
            yield f"it takes *{parameter.name}; accepted: columns by name"
        elif is_setting and parameter.kind is not parameter.KEYWORD_ONLY:
            yield f"{parameter.name!r} has a default but is not keyword-only, so that no recipe can set it; write a * before it"
        elif not is_setting and parameter.kind is parameter.KEYWORD_ONLY and parameter.name not in COLUMNS:
            yield f"the setting {parameter.name!r} has no default"


def _values(subject: _Subject) -> Iterator[str]:
    rows = sample_rows()
    for row in rows:
        subject.scores([row])  # alone, so that the message names the one that fails
    subject.scores(rows)
    found = subject.scores(rows, raw_values)
    if not isinstance(found, list):
        yield f"returned a {type(found).__name__}; accepted: a list"
    kinds = sorted({type(value).__name__ for value in found if value is not None and not isinstance(value, int | float)})
    if kinds:
        yield f"returned {', '.join(kinds)}; accepted: float, int or None"
    subject.scores([])


def _signal(subject: _Subject) -> Iterator[str]:
    values = {value for value in subject.scores(sample_rows()) if value is not None}
    if not values:
        yield "it applies to none of the sample records"
    elif len(values) == 1:
        yield f"it gives {values.pop():g} to every sample, so it tells no completion from another"


def _rows(subject: _Subject) -> Iterator[str]:
    rows = sample_rows()
    values = subject.scores(rows)
    yield from _difference(rows, values, subject.scores(sample_rows()), "when it is scored again")
    yield from _difference(rows, values, subject.scores(rows[::-1])[::-1], "in reversed order")
    rotated = subject.scores(rows[3:] + rows[:3])
    yield from _difference(rows, values, rotated[-3:] + rotated[:-3], "in another order")
    yield from _difference(rows + rows, values + values, subject.scores(rows + rows), "beside a copy of itself")
    yield from _difference(rows, values, [subject.scores([row])[0] for row in rows], "alone")


def _inputs(subject: _Subject) -> Iterator[str]:
    seen: dict[str, Any] = {}

    def read(address: str, kwargs: dict[str, Any], completions: list, batch: dict[str, Any], ids: list) -> None:
        given = {**batch, "completions": completions, **kwargs}
        before = copy.deepcopy(given)
        checked_values(address, kwargs, completions, batch, list(ids))
        seen.update({name: given[name] for name in given if given[name] != before[name]})

    subject.scores(sample_rows(), read)
    if seen:
        yield f"it changes what it is given: {', '.join(sorted(seen))}"


def _columns(subject: _Subject) -> Iterator[str]:
    rows = sample_rows()
    more = {"trainer_state": object(), "log_extra": print, "log_metric": print, "environments": None, "no_such_column": [0] * len(rows)}
    yield from _difference(rows, subject.scores(rows), subject.scores(rows, **more), "when the trainer passes more columns")


def _messages(subject: _Subject) -> Iterator[str]:
    rows = sample_rows()
    messages = [([{"role": "assistant", "content": completion}], kind) for completion, kind in rows]
    yield from _difference(rows, subject.scores(rows), subject.scores(messages), "as a list of one message")


def _hostile(subject: _Subject) -> Iterator[str]:
    for row in sample_rows(HOSTILE):
        subject.scores([row])
    yield from ()


_CHECKS: dict[str, Callable[[_Subject], Iterator[str]]] = {
    "address": _address,
    "signature": _signature,
    "values": _values,
    "signal": _signal,
    "rows": _rows,
    "inputs": _inputs,
    "columns": _columns,
    "messages": _messages,
    "hostile": _hostile,
}
PROPERTIES = (*_CHECKS, "time", "hash seed")


def _difference(rows: list[Row], values: list, others: list, when: str) -> Iterator[str]:
    """The first row whose value is another one."""
    for (completion, kind), value, other in zip(rows, values, others, strict=True):
        if value != other:
            yield f"{value} becomes {other} {when} (record {kind['id']!r}, completion {completion[:100]!r})"
            return


def _time(address: str, kwargs: dict[str, Any]) -> Iterator[str]:
    for name, text in LONG.items():
        try:
            seconds = run_in_worker(_seconds, address, kwargs, text, timeout_s=LONG_TIMEOUT_S)
        except FutureTimeoutError:
            yield f"{len(text):,} characters ({name}) took more than {LONG_TIMEOUT_S:g} s; accepted: less than {MAX_SECONDS:g} s"
            return
        if seconds >= MAX_SECONDS:
            yield f"{len(text):,} characters ({name}) took {seconds:.1f} s; accepted: less than {MAX_SECONDS:g} s"


def _seconds(address: str, kwargs: dict[str, Any], text: str) -> float:
    """The most that a sample record needs, in seconds of processor time."""
    subject, seconds = _Subject(address, kwargs), 0.0
    subject.scores(sample_rows(COMPLETIONS[:1]))  # what it loads on its first call is not the text's fault
    for row in sample_rows([text]):
        start = time.process_time()
        subject.scores([row])
        seconds = max(seconds, time.process_time() - start)
    return seconds


def _hash_seed(address: str, kwargs: dict[str, Any]) -> Iterator[str]:
    with ThreadPoolExecutor(len(HASH_SEEDS)) as pool:
        first, second = pool.map(lambda seed: _values_under(seed, address, kwargs), HASH_SEEDS)
    yield from _difference(sample_rows(), first, second, f"with PYTHONHASHSEED={HASH_SEEDS[1]}; does it go over a set?")


def _values_under(seed: str, address: str, kwargs: dict[str, Any]) -> list[float | None]:
    """The values of the samples in a new process with this hash seed."""
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    code = "from emoreason.reward_contract import _print_values; _print_values()"
    command = [sys.executable, "-c", code, pickle.dumps((address, kwargs)).hex()]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=CHECK_TIMEOUT_S)
    if done.returncode:
        raise RewardError(f"with PYTHONHASHSEED={seed}: {done.stderr.strip()[-300:]}")
    return json.loads(done.stdout.splitlines()[-1])


def _print_values() -> None:
    values = _Subject(*pickle.loads(bytes.fromhex(sys.argv[1]))).scores(sample_rows())
    print("\n" + json.dumps(values))  # on a line of its own, whatever the reward has printed


def reward_name(name: str) -> str:
    """The function that `new_reward_text` puts into NAME.py: `my_reward` for `my_reward`, `surprise_reward` for `surprise`."""
    return name if name.endswith("_reward") else f"{name}_reward"


def new_reward_text(name: str) -> str:
    """The text of NAME.py, a small reward that works and keeps the contract, to be changed into another.

    Raises:
        UserError: the name is none that a Python file and function can have.
    """
    if not re.fullmatch("[a-z][a-z0-9_]*", name) or keyword.iskeyword(name):
        raise UserError(f"{name!r} is no name for a reward; accepted: small letters, digits and _, a letter first, e.g. my_reward")
    return _NEW_REWARD.replace("NAME", reward_name(name))


_NEW_REWARD = '''"""Is the answer the record's label, or another of its emotion words?"""

from emoreason.completions import Template, completion_text, normalise_word, parse_completion


def NAME(
    completions: list, template: list[Template], label: list[str | None], labels: list[list[str]], *, partial: float = 0.5, **kwargs
) -> list[float | None]:
    """1.0 where the dominant answer is the record's label, `partial` where it is another of its labels, else 0.0.

    None where the record has no label: a reward that does not apply is not a reward of 0.

    Parameters without a default are columns: the recipe's `template`, or those of `emoreason.records.COLUMNS`. Keyword-only ones with
    a default are settings, which a recipe gives in `kwargs`.

    Source: ours.

    >>> form = [Template(think="none")] * 3
    >>> NAME(["<answer>joy</answer>", "<answer>pride</answer>", "joy"], form, ["joy"] * 3, [["joy", "pride"]] * 3)
    [1.0, 0.5, 0.0]
    """
    rows = zip(completions, template, label, labels, strict=True)
    return [_score(completion_text(text), form, gold, words, partial) for text, form, gold, words in rows]


def _score(text: str, template: Template, label: str | None, labels: list[str], partial: float) -> float | None:
    if label is None:
        return None
    answer = parse_completion(text, template).label  # the first one, normalised; None where no answer can be read
    if answer == normalise_word(label):
        return 1.0
    return partial if answer in {normalise_word(word) for word in labels} else 0.0
'''
