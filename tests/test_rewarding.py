"""A reward is found by address, checked before training, and no failure of it passes for a score."""

import os
import pickle
import time
from pathlib import Path

import pytest

from emoreason.completions import Template
from emoreason.faults import UserError
from emoreason.records import COLUMNS
from emoreason.rewarding import RewardError, RewardFunc, binding_faults, load_function, total_reward

REWARDS = '''
from __future__ import annotations

import os
import sys
import time
from dataclasses import dataclass

NUM_CALLS = 0


@dataclass
class Scale:  # a dataclass with annotations as text looks its own module up
    factor: float = 2.0


def length_reward(completions, *, factor=1.0, **kwargs):
    return [factor * len(text) for text in completions]


def matches_reward(completions, label, **kwargs):
    return [None if gold is None else float(gold in text) for text, gold in zip(completions, label, strict=True)]


def received_reward(completions, label, **kwargs):
    raise ValueError(sorted(kwargs))


def count_reward(completions, **kwargs):
    global NUM_CALLS
    NUM_CALLS += 1
    return [NUM_CALLS] * len(completions)


def process_reward(completions, **kwargs):
    return [float(os.getpid())] * len(completions)


def short_reward(completions, **kwargs):
    return [1.0]


def number_reward(completions, **kwargs):
    return 1.0


def generator_reward(completions, **kwargs):
    return (1.0 for text in completions)


def second_reward(completions, *, value, **kwargs):
    return [0.5, {"nan": float("nan"), "inf": float("inf"), "huge": 10**400, "list": [1.0], "function": len}.get(value, value)]


def raising_reward(completions, **kwargs):
    raise KeyError("no such lexicon entry")


def leaving_reward(completions, **kwargs):
    sys.exit(0)


def dying_reward(completions, **kwargs):
    os._exit(7)


def sleeping_reward(completions, **kwargs):
    time.sleep(600)


def busy_reward(completions, **kwargs):
    while True:
        pass


def exacting_reward(completions, **kwargs):
    from emoreason.faults import UserError
    raise UserError("max_words 0 is below 1")


async def waiting_reward(completions, **kwargs):
    return [1.0] * len(completions)


def closed_reward(completions, label):
    return [1.0] * len(completions)


def wanting_reward(completions, lable, template, *, length_penalty="P3s", **kwargs):
    return [1.0] * len(completions)


def must_set_reward(completions, *, max_words, **kwargs):
    return [1.0] * len(completions)
'''


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rewards") / "mine.py"
    path.write_text(REWARDS)
    return path


@pytest.fixture(params=[60.0, None], ids=["own process", "same process"])
def timeout_s(request: pytest.FixtureRequest) -> float | None:
    return request.param


def error_of(reward: RewardFunc, completions: list = ("a", "bb"), **columns: object) -> str:
    with pytest.raises(RewardError) as caught:
        reward(completions=list(completions), **{"id": ["r1", "r2"], **columns})
    assert reward.address in str(caught.value)
    return str(caught.value).removeprefix(f"reward {reward.address}: ")


# The address.


def test_a_module_and_a_file_are_addresses(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert load_function("emoreason.rewards.answer_format:answer_format_reward").__module__ == "emoreason.rewards.answer_format"
    assert load_function(f"{path}:length_reward")(["abc"]) == [3.0]
    monkeypatch.chdir(path.parent)
    assert load_function("mine.py:length_reward")(["abc"]) == [3.0], "relative to the working directory"


def test_a_file_runs_once_and_not_for_each_call(path: Path) -> None:
    count = RewardFunc(f"{path}:count_reward", timeout_s=None)
    first = count(completions=["a"])[0]
    assert count(completions=["a"]) == [first + 1]


@pytest.mark.parametrize(
    ("address", "message"),
    [
        ("absent.py:a_reward", "no such file (relative paths start at "),
        ("emoreason.rewards.absent:a_reward", "No module named 'emoreason.rewards.absent'; run `pip install -e .` once in the checkout"),
        ("no_such_package.rewards:a_reward", "No module named 'no_such_package'"),
        (
            "emoreason.rewards.answer_format:answer_fromat_reward",
            "emoreason.rewards.answer_format has no function 'answer_fromat_reward'; did you mean 'answer_format_reward'?",
        ),
        ("emoreason.completions:TAGS", "emoreason.completions has no function 'TAGS'"),
    ],
)
def test_an_address_that_leads_nowhere(address: str, message: str) -> None:
    with pytest.raises(UserError) as caught:
        load_function(address)
    assert caught.value.faults[0].startswith(f"reward {address}: {message}")


@pytest.mark.parametrize("text", ["import no_such_package", "def a_reward(:", "a_reward = undefined"])
def test_a_file_that_does_not_import_can_be_mended(tmp_path: Path, text: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    for _ in range(2):
        with pytest.raises(UserError, match=r"broken.py:a_reward: the file does not import: (ModuleNotFound|Syntax|Name)Error: "):
            load_function(f"{path}:a_reward")
    path.write_text("def a_reward(completions, **kwargs):\n    return [1.0]")
    assert load_function(f"{path}:a_reward")(["x"]) == [1.0]


def test_a_coroutine_is_refused(path: Path) -> None:
    with pytest.raises(UserError, match=r"waiting_reward: it is `async def`; give a plain function"):
        load_function(f"{path}:waiting_reward")


# What can be known before a call.


@pytest.mark.parametrize(
    ("name", "kwargs", "faults"),
    [
        ("length_reward", {}, []),
        ("length_reward", {"factor": 2.0}, []),
        ("matches_reward", {}, []),
        ("must_set_reward", {"max_words": 3}, []),
        ("length_reward", {"facter": 2.0}, ["has no setting 'facter'; did you mean 'factor'?"]),
        ("matches_reward", {"scale": 1}, ["has no setting 'scale'"]),
        ("matches_reward", {"label": 1}, ["has no setting 'label'"]),
        ("must_set_reward", {}, ["needs the column 'max_words'"]),
        ("closed_reward", {}, ["must accept **kwargs, since trainers pass every column of the records"]),
        (
            "wanting_reward",
            {"lenght_penalty": "P1"},
            ["needs the column 'lable'; did you mean 'label'?", "has no setting 'lenght_penalty'; did you mean 'length_penalty'?"],
        ),
    ],
)
def test_what_keeps_a_reward_from_being_called(path: Path, name: str, kwargs: dict, faults: list[str]) -> None:
    found = binding_faults(f"{path}:{name}", kwargs, COLUMNS)
    assert len(found) == len(faults)
    for one, expected in zip(found, faults, strict=True):
        assert one.startswith(f"reward {path}:{name} {expected}")


# The call.


def test_values_come_back_and_none_is_kept(path: Path, timeout_s: float | None) -> None:
    matches = RewardFunc(f"{path}:matches_reward", timeout_s=timeout_s)
    assert matches(completions=["joy", "joy", "fear"], label=["joy", None, "joy"], id=["1", "2", "3"]) == [1.0, None, 0.0]
    length = RewardFunc(f"{path}:length_reward", kwargs={"factor": 3}, timeout_s=timeout_s)
    values = length(completions=["a", "bb"])
    assert values == [3.0, 6.0] and all(type(value) is float for value in values)
    assert length(completions=[]) == []


def test_a_reward_of_ours_works_in_its_own_process() -> None:
    reward = RewardFunc("emoreason.rewards.answer_format:answer_format_reward")
    assert reward(completions=["<answer>joy</answer>", "joy"], template=[Template(think="none")] * 2) == [1.0, 0.0]


def test_only_a_call_with_a_deadline_has_a_process_of_its_own(path: Path) -> None:
    assert RewardFunc(f"{path}:process_reward", timeout_s=None)(completions=["a"]) == [os.getpid()]
    first = RewardFunc(f"{path}:process_reward")(completions=["a"])
    assert first != [os.getpid()]
    assert RewardFunc(f"{path}:process_reward")(completions=["a"]) == first, "one process serves all calls"


def test_only_the_columns_that_it_names_are_sent(path: Path, timeout_s: float | None) -> None:
    """Trainers pass objects that cannot leave their process, such as `trainer_state`."""
    generator = (number for number in range(3))
    with pytest.raises(TypeError, match="cannot pickle"):
        pickle.dumps(generator)
    columns = {"label": ["joy", "joy"], "trainer_state": generator, "prompts": ["p", "p"]}
    assert RewardFunc(f"{path}:matches_reward", timeout_s=timeout_s)(completions=["joy", ""], **columns) == [1.0, 0.0]
    assert "raised ValueError: [] " in error_of(RewardFunc(f"{path}:received_reward", timeout_s=timeout_s), **columns)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("short_reward", "returned 1 values for 2 completions (records r1, r2)"),
        ("number_reward", "returned 1.0 for 2 completions (records r1, r2)"),
        ("generator_reward", "returned <generator object"),
        ("raising_reward", "raised KeyError: 'no such lexicon entry' (records r1, r2; first completion ['a'])"),
        ("leaving_reward", "raised SystemExit: 0 (records r1, r2; first completion ['a'])"),
    ],
)
def test_a_failure_names_the_reward_and_the_records(path: Path, timeout_s: float | None, name: str, message: str) -> None:
    assert error_of(RewardFunc(f"{path}:{name}", timeout_s=timeout_s)).startswith(message)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("nan", "nan"),
        ("inf", "inf"),
        ("huge", "1" + "0" * 59),
        ("list", "[1.0]"),
        ("function", "<built-in function len>"),
        ("0.5", "'0.5'"),
    ],
)
def test_a_value_that_is_no_finite_number_is_no_score(path: Path, timeout_s: float | None, value: str, shown: str) -> None:
    reward = RewardFunc(f"{path}:second_reward", kwargs={"value": value}, timeout_s=timeout_s)
    assert error_of(reward) == f"returned {shown} for record 'r2', completion 'bb'; accepted: a finite number or None"


def test_the_place_is_named_where_the_records_have_no_ids(path: Path) -> None:
    reward = RewardFunc(f"{path}:second_reward", kwargs={"value": "nan"}, timeout_s=None)
    assert "for record 1, completion 'bb'" in error_of(reward, id=None)


def test_a_long_completion_is_cut_in_the_message(path: Path) -> None:
    assert len(error_of(RewardFunc(f"{path}:raising_reward", timeout_s=None), ["x" * 10_000, "y"])) < 400


def test_a_wrong_setting_that_the_reward_finds_itself_is_the_users(path: Path, timeout_s: float | None) -> None:
    with pytest.raises(UserError, match="max_words 0 is below 1"):
        RewardFunc(f"{path}:exacting_reward", timeout_s=timeout_s)(completions=["a"])


@pytest.mark.parametrize("name", ["sleeping_reward", "busy_reward"])
def test_a_reward_that_hangs_is_cut_off_and_the_next_call_works(path: Path, name: str) -> None:
    working = RewardFunc(f"{path}:length_reward")
    assert working(completions=["abc"]) == [3.0]
    start = time.monotonic()
    assert error_of(RewardFunc(f"{path}:{name}", timeout_s=1)) == (
        "took longer than its timeout_s of 1 s on 2 completions (records r1, r2); mend it or raise timeout_s in the recipe"
    )
    assert time.monotonic() - start < 10
    assert working(completions=["abc"]) == [3.0]


def test_a_process_that_dies_is_named_and_the_next_call_works(path: Path) -> None:
    assert error_of(RewardFunc(f"{path}:dying_reward")) == "its process died with exit code 7 (records r1, r2)"
    assert RewardFunc(f"{path}:length_reward")(completions=["abc"]) == [3.0]


def test_a_reward_is_plain_data_with_the_functions_name(path: Path) -> None:
    reward = RewardFunc(f"{path}:length_reward", weight=0.5, kwargs={"factor": 2.0})
    assert reward.__name__ == "length_reward"
    copy = pickle.loads(pickle.dumps(reward))
    assert copy == reward
    assert copy(completions=["abc"]) == [6.0]


def test_the_total_is_the_weighted_sum_of_what_applies(path: Path) -> None:
    rewards = [
        RewardFunc(f"{path}:length_reward", weight=0.5, timeout_s=None),
        RewardFunc(f"{path}:matches_reward", weight=2.0, timeout_s=None),
    ]
    totals, by_name = total_reward(rewards, ["joy", "fear", "awe!"], {"label": ["joy", None, "joy"], "id": ["1", "2", "3"]})
    assert by_name == {"length_reward": [3.0, 4.0, 4.0], "matches_reward": [1.0, None, 0.0]}
    assert totals == [3.5, 2.0, 2.0]  # 0.5 * 3 + 2 * 1; 0.5 * 4; 0.5 * 4 + 2 * 0
