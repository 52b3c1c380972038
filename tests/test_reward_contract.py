"""Each property of the contract is found broken in a reward that breaks it and nothing else, and a new reward keeps them all."""

import doctest
import importlib.util
import re
import sys
import time
import types
from pathlib import Path

import pytest

from emoreason import reward_contract
from emoreason.completions import parse_completion
from emoreason.faults import UserError
from emoreason.records import Record
from emoreason.reward_contract import PROPERTIES, contract_problems, new_reward_text, reward_name, sample_rows
from emoreason.reward_samples import COMPLETIONS, LONG, RECORDS

REWARDS = '''
import itertools
import os
import re
import sys
import time

import numpy

from emoreason.completions import completion_text
from emoreason.faults import UserError

CALLS = itertools.count()


def length_of(text):
    return min(len(completion_text(text)), 100)


def sound_reward(completions, label, prompts, completion_ids, *, factor=1.0, **kwargs):
    print("a reward may print")
    return [None if gold is None else factor * length_of(text) for text, gold in zip(completions, label, strict=True)]


def text_reward(texts, **kwargs):
    return [length_of(text) for text in texts]


def closed_reward(completions):
    return [length_of(text) for text in completions]


def wanting_reward(completions, lable, **kwargs):
    return [length_of(text) for text in completions]


def positional_reward(completions, factor=1.0, *more, **kwargs):
    return [factor * length_of(text) for text in completions]


def must_set_reward(completions, *, factor, **kwargs):
    return [factor * length_of(text) for text in completions]


def raising_reward(completions, label, **kwargs):
    return [len(gold) * length_of(text) for text, gold in zip(completions, label, strict=True)]


def short_reward(completions, **kwargs):
    return [length_of(text) for text in completions if completion_text(text)]


def infinite_reward(completions, **kwargs):
    return [float("inf") if "no tags" in completion_text(text) else 0.0 for text in completions]


def tuple_reward(completions, **kwargs):
    return tuple(length_of(text) for text in completions)


def array_reward(completions, **kwargs):
    return list(numpy.array([length_of(text) for text in completions], dtype=numpy.float32))


def empty_reward(completions, **kwargs):
    longest = max(length_of(text) for text in completions)
    return [length_of(text) for text in completions]


def refusing_reward(completions, *, factor=1.0, **kwargs):
    if factor > 1:
        raise UserError("refusing_reward: factor is above 1")
    return [factor * length_of(text) for text in completions]


def constant_reward(completions, label, **kwargs):
    return [None if gold is None else 0.5 for gold in label]


def absent_reward(completions, **kwargs):
    return [None] * len(completions)


def ranking_reward(completions, **kwargs):
    lengths = [length_of(text) for text in completions]
    return [sorted(lengths).index(length) for length in lengths]


def first_reward(completions, **kwargs):
    return [float(place == 0 and length_of(text) > 0) for place, text in enumerate(completions)]


def counting_reward(completions, **kwargs):
    return [length_of(text) + next(CALLS) for text in completions]


def sorting_reward(completions, labels, **kwargs):
    for words in labels:
        words.sort()
    completions.append("")
    completions.pop()
    return [length_of(text) + len(words) for text, words in zip(completions, labels, strict=True)]


def emptying_reward(completions, *, words=(), **kwargs):
    values = [length_of(text) for text in completions]
    completions.clear()
    return values


def curious_reward(completions, **kwargs):
    return [length_of(text) + len(kwargs) for text in completions]


def plain_reward(completions, **kwargs):
    return [float("joy" in text) for text in completions]


def trusting_reward(completions, **kwargs):
    return [float(re.sub("[^0-9]", "", completion_text(text)) or 0) for text in completions]


def waiting_reward(completions, **kwargs):
    time.sleep(600)


def dying_reward(completions, **kwargs):
    os._exit(3)


def slow_reward(completions, **kwargs):
    return [float(sum(text[: index % 7] in text for index in range(len(text) // 8))) for text in map(completion_text, completions)]


def backtracking_reward(completions, **kwargs):
    return [float(bool(re.search(r"(<+)+$", completion_text(text)[:60_000] + "."))) + length_of(text) for text in completions]


def set_reward(completions, labels, **kwargs):
    return [length_of(text) + len(next(iter(set(words)), "")) for text, words in zip(completions, labels, strict=True)]


def hash_reward(completions, **kwargs):
    return [hash(completion_text(text)) % 100 for text in completions]
'''
CHEAP = tuple(name for name in PROPERTIES if name not in ("time", "hash seed"))


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("contract") / "mine.py"
    path.write_text(REWARDS)
    return path


def problems_of(path: Path, name: str, only: tuple[str, ...] = CHEAP, **kwargs: object) -> list[str]:
    found = contract_problems(f"{path}:{name}", kwargs, only)
    assert all(problem.startswith(f"reward {path}:{name}: ") for problem in found)
    return [problem.removeprefix(f"reward {path}:{name}: ") for problem in found]


def test_a_sound_reward_has_no_problems(path: Path) -> None:
    assert problems_of(path, "sound_reward", PROPERTIES) == []
    assert problems_of(path, "sound_reward", factor=2.0) == []


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("positional_reward", [
            "signature: 'factor' has a default but is not keyword-only, so that no recipe can set it; write a * before it",
            "signature: it takes *more; accepted: columns by name",
        ]),
        ("tuple_reward", ["values: returned a tuple; accepted: a list"]),
        ("array_reward", ["values: returned float32; accepted: float, int or None"]),
        ("empty_reward", ["values: raised ValueError: max() arg is an empty sequence (records not named; first completion none)"]),
        ("constant_reward", ["signal: it gives 0.5 to every sample, so it tells no completion from another"]),
        ("absent_reward", ["signal: it applies to none of the sample records"]),
        ("sorting_reward", ["inputs: it changes what it is given: labels"]),
    ],
)  # fmt: skip
def test_one_broken_property_is_all_that_is_reported(path: Path, name: str, expected: list[str]) -> None:
    assert problems_of(path, name) == expected


@pytest.mark.parametrize(
    ("name", "start"),
    [
        ("wanting_reward", "signature: needs the column 'lable'; did you mean 'label'?"),
        ("closed_reward", "signature: must accept **kwargs"),
        ("text_reward", "signature: its first parameter is not completions"),
        ("must_set_reward", "signature: the setting 'factor' has no default"),
        ("raising_reward", "values: raised TypeError: object of type 'NoneType' has no len() (record 'nothing', completion '<think>lip"),
        ("short_reward", "values: returned 0 values for 1 completions (record 'annotated', completion '')"),
        ("infinite_reward", "values: returned inf for record 'annotated', completion 'no tags at all'; accepted: a finite number"),
        ("dying_reward", "values: its process died with exit code 3"),
        ("curious_reward", "columns: "),
        ("plain_reward", "messages: 1.0 becomes 0.0 as a list of one message (record 'annotated', completion '<think>lip corners"),
        ("trusting_reward", "hostile: returned inf for record"),
        ("emptying_reward", "inputs: it changes what it is given: completions"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(path: Path, name: str, start: str) -> None:
    found = problems_of(path, name)
    assert any(problem.startswith(start) for problem in found), found


@pytest.mark.parametrize(
    ("name", "whens"),
    [
        ("ranking_reward", {"beside a copy of itself", "alone"}),
        ("first_reward", {"in reversed order", "in another order", "beside a copy of itself", "alone"}),
        ("counting_reward", {"when it is scored again", "in reversed order", "in another order", "beside a copy of itself", "alone"}),
    ],
)
def test_a_value_that_depends_on_more_than_its_row(path: Path, name: str, whens: set[str]) -> None:
    found = problems_of(path, name, ("rows",))
    assert {problem.partition(" (")[0].partition(" becomes ")[2].partition(" ")[2] for problem in found} == whens
    assert all(problem.startswith("rows: ") for problem in found)


@pytest.mark.parametrize("name", ["set_reward", "hash_reward"])
def test_a_value_that_depends_on_the_hash_seed(path: Path, name: str) -> None:
    assert problems_of(path, name) == []
    (problem,) = problems_of(path, name, ("hash seed",))
    assert "with PYTHONHASHSEED=31; does it go over a set? (record 'annotated', completion '<think>lip" in problem


def test_settings_are_those_of_the_call(path: Path) -> None:
    assert problems_of(path, "refusing_reward", factor=0.5) == []
    assert problems_of(path, "refusing_reward", factor=2.0) == ["values: refusing_reward: factor is above 1"]
    (problem, *_) = problems_of(path, "sound_reward", ("signature",), facter=2.0)
    assert problem == "signature: has no setting 'facter'; did you mean 'factor'?"


def test_a_reward_that_hangs_is_ended(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reward_contract, "CHECK_TIMEOUT_S", 0.5)
    start = time.monotonic()
    assert problems_of(path, "waiting_reward", ("values", "rows")) == ["values: took longer than 0.5 s"]
    assert problems_of(path, "waiting_reward", ("hash seed",)) == ["hash seed: took longer than 0.5 s"]
    assert time.monotonic() - start < 10


def test_more_than_linear_time_is_found(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reward_contract, "LONG", {"open brackets": "<" * 20_000})
    monkeypatch.setattr(reward_contract, "LONG_TIMEOUT_S", 1.0)
    (problem,) = problems_of(path, "backtracking_reward", ("time",))
    assert problem == "time: 20,000 characters (open brackets) took more than 1 s; accepted: less than 1 s"
    monkeypatch.setattr(reward_contract, "LONG_TIMEOUT_S", 20.0)
    monkeypatch.setattr(reward_contract, "MAX_SECONDS", 1e-6)
    (problem,) = problems_of(path, "sound_reward", ("time",))
    assert re.fullmatch(r"time: 20,000 characters \(open brackets\) took 0\.\d s; accepted: less than 1e-06 s", problem)


def test_an_address_that_cannot_be_used_is_the_only_problem(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (problem,) = contract_problems(f"{path}:sound_rewrad")
    assert problem.startswith(f"reward {path}:sound_rewrad: {path} has no function 'sound_rewrad'; did you mean 'sound_reward'?")
    module = types.ModuleType("module_of_this_process")
    module.sound_reward = lambda completions, **kwargs: [float(len(text)) for text in completions]
    monkeypatch.setitem(sys.modules, "module_of_this_process", module)
    (problem,) = contract_problems("module_of_this_process:sound_reward")
    assert problem == (
        "reward module_of_this_process:sound_reward: address: reward module_of_this_process:sound_reward: "
        "No module named 'module_of_this_process'"
    )


def test_a_relative_address_is_one(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert problems_of(path, "sound_reward", ("values",)) == []  # the worker stands elsewhere
    monkeypatch.chdir(path.parent)
    assert contract_problems("mine.py:sound_reward", only=("address", "values", "hash seed")) == []


# The samples.


def test_samples_are_fresh_objects_of_records_that_are_records() -> None:
    rows = sample_rows()
    assert len(rows) == len(COMPLETIONS) * len(RECORDS)
    rows[0][1]["labels"].clear()
    assert sample_rows()[0][1]["labels"] == ["joy", "pride", "awe struck"]
    assert all(set(kind) - {"template", "prompts", "completion_ids"} <= set(reward_contract.COLUMNS) for _, kind in rows)
    assert Record.model_fields.keys() >= {"id", "text"}


def test_every_template_is_followed_by_a_completion_and_broken_by_another() -> None:
    for name, (template, _, _) in RECORDS.items():
        followed = {not parse_completion(text, template).problems for text in COMPLETIONS}
        assert followed == {True, False}, name


def test_long_samples_are_long() -> None:
    assert {name for name, text in LONG.items() if not 93_000 <= len(text) <= 110_000} == set()


# A new reward.


@pytest.mark.parametrize(("name", "function", "only"), [("my_reward", "my_reward", PROPERTIES), ("surprise", "surprise_reward", CHEAP)])
def test_a_new_reward_works_and_keeps_the_contract(tmp_path: Path, name: str, function: str, only: tuple[str, ...]) -> None:
    path = tmp_path / f"{name}.py"
    path.write_text(new_reward_text(name))
    assert reward_name(name) == function
    assert problems_of(path, function, only) == []
    assert problems_of(path, function, partial=0.25) == []
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    tried = doctest.testmod(module)
    assert tried.attempted == 2 and tried.failed == 0
    assert max(map(len, path.read_text().splitlines())) <= 140


@pytest.mark.parametrize("name", ["", "My", "my-reward", "a/b", "2nd", "class", "mine.py", "ä"])
def test_a_name_that_is_none_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="is no name for a reward; accepted: small letters, digits and _, a letter first"):
        new_reward_text(name)
