"""A reward is found by address, checked before training, and no failure of it passes for a score."""

import logging
import os
import pickle
import subprocess
import sys
import time
from pathlib import Path

import pytest

from emoreason.completions import Template
from emoreason.faults import UserError
from emoreason.recipe import RewardSpec
from emoreason.records import COLUMNS
from emoreason.rewarding import RewardError, RewardFunc, absolute, binding_faults, load_function, masked_rows, total_reward

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


def length_unless_reward(completions, label, *, trouble, together=False, **kwargs):
    """The completion's length; a completion that says `trouble` makes the call fail, with `together` only one of many."""
    for text in completions:
        if trouble in text and not (together and len(completions) == 1):
            match trouble:
                case "raise":
                    raise ValueError(f"what is\\nthis: {text}")
                case "exit":
                    sys.exit(3)
                case "die":
                    os._exit(7)
                case "hang":
                    time.sleep(600)
                case "count":
                    return [1.0] * (len(completions) + 1)
                case "nan":
                    return [float("nan") if trouble in text else float(len(text)) for text in completions]
                case "inf":
                    return [float("-inf") if trouble in text else float(len(text)) for text in completions]
    assert len(label) == len(completions)
    return [None if gold is None else float(len(text)) for text, gold in zip(completions, label, strict=True)]


def exacting_reward(completions, **kwargs):
    from emoreason.faults import UserError
    raise UserError("max_words 0 is below 1")


async def waiting_reward(completions, **kwargs):
    return [1.0] * len(completions)


class Judge:
    async def __call__(self, completions, **kwargs):
        return [1.0] * len(completions)


judge_reward = Judge()


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


@pytest.mark.parametrize(
    ("text", "failure"),
    [
        ("import no_such_package", "ModuleNotFoundError on line 1 of broken.py: No module named 'no_such_package'"),
        ("# comment\ndef a_reward(:", "SyntaxError on line 2 of broken.py: invalid syntax"),
        ("\n\na_reward = undefined", "NameError on line 3 of broken.py: name 'undefined' is not defined"),
        ("import csv\ncsv.reader(3)", "TypeError on line 2 of broken.py: "),
        ("import json\njson.loads('{')", "JSONDecodeError on line 2 of broken.py: "),
        ("def half():\n    return 1 / 0\n\nhalf()", "ZeroDivisionError on line 2 of broken.py: division by zero"),
        ("open('no_such_lexicon.csv')", "FileNotFoundError on line 1 of broken.py: "),
        ("raise Exception('two\\nlines')", "Exception on line 1 of broken.py: two lines"),
        ("assert 1 > 2", "AssertionError on line 1 of broken.py"),
        ("import sys\nsys.exit(1)", "SystemExit on line 2 of broken.py: 1"),
        ("x = '\0'", "SyntaxError: source code string cannot contain null bytes"),
    ],
)
def test_a_file_that_does_not_import_can_be_mended(tmp_path: Path, text: str, failure: str) -> None:
    path = tmp_path / "broken.py"
    path.write_text(text)
    for _ in range(2):
        with pytest.raises(UserError) as caught:
            load_function(f"{path}:a_reward")
        (fault,) = caught.value.faults
        assert fault.startswith(f"reward {path}:a_reward: the file does not import: {failure}") and "\n" not in fault
    path.write_text("def a_reward(completions, **kwargs):\n    return [1.0]")
    assert load_function(f"{path}:a_reward")(["x"]) == [1.0]


def test_a_module_that_does_not_import_names_the_line_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "broken_package").mkdir()
    (tmp_path / "broken_package" / "scores.py").write_text("from broken_package import table\n")
    (tmp_path / "broken_package" / "table.py").write_text("SIZES = {}\nSIZES['large']\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(UserError, match=r"scores:a_reward: the file does not import: KeyError on line 2 of table.py: 'large'$"):
        load_function("broken_package.scores:a_reward")


@pytest.mark.parametrize("name", ["waiting_reward", "judge_reward"])
def test_a_coroutine_is_refused(path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"{name}: it is `async def`; give a plain function"):
        load_function(f"{path}:{name}")


def test_an_address_can_be_made_to_hold_in_any_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    assert absolute("mine.py:length_reward") == f"{path.resolve()}:length_reward"
    assert absolute("emoreason.rewards.answer_format:answer_format_reward") == "emoreason.rewards.answer_format:answer_format_reward"


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
        ("short_reward", "returned 1 values for 2 completions (records r1, r2; first completion 'a')"),
        ("number_reward", "returned 1.0 for 2 completions (records r1, r2; first completion 'a')"),
        ("generator_reward", "returned <generator object"),
        ("raising_reward", "raised KeyError: 'no such lexicon entry' (records r1, r2; first completion 'a')"),
        ("leaving_reward", "raised SystemExit: 0 (records r1, r2; first completion 'a')"),
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
    assert error_of(RewardFunc(f"{path}:{name}", timeout_s=0.5)) == (
        "took longer than its timeout_s of 0.5 s on 2 completions (records r1, r2; first completion 'a'); "
        "mend it or raise timeout_s in the recipe"
    )
    assert time.monotonic() - start < 10
    assert working(completions=["abc"]) == [3.0]


def test_a_process_that_dies_is_named_and_the_next_call_works(path: Path) -> None:
    assert error_of(RewardFunc(f"{path}:dying_reward")) == "its process died with exit code 7 (records r1, r2; first completion 'a')"
    assert RewardFunc(f"{path}:length_reward")(completions=["abc"]) == [3.0]


def test_a_file_is_found_by_a_worker_that_was_started_in_another_folder(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert RewardFunc(f"{path}:length_reward")(completions=["abc"]) == [3.0]
    monkeypatch.chdir(path.parent)
    assert RewardFunc("mine.py:length_reward")(completions=["abc"]) == [3.0]
    with pytest.raises(RewardError, match=r"^reward mine.py:raising_reward: raised KeyError"):
        RewardFunc("mine.py:raising_reward")(completions=["abc"])


# Masked completions.

TEXTS = ["a", "bb", "raise exit die hang count nan inf", "dddd"]


def masking(path: Path, trouble: str, timeout_s: float | None, **settings: object) -> RewardFunc:
    return RewardFunc(f"{path}:length_unless_reward", kwargs={"trouble": trouble}, timeout_s=timeout_s, on_error="mask", **settings)


def columns_of(num_rows: int) -> dict[str, list]:
    return {"label": ["joy"] * num_rows, "id": [f"r{number}" for number in range(num_rows)], "trainer_state": object()}


WHY = {
    "raise": "raised ValueError: what is this: raise exit die hang count nan inf (record 'r2', completion 'raise ex",
    "exit": "raised SystemExit: 3 (record 'r2', completion 'raise ex",
    "count": "returned 2 values for 1 completions (record 'r2', completion 'raise ex",
    "nan": "returned nan for record 'r2', completion 'raise ex",
    "inf": "returned -inf for record 'r2', completion 'raise ex",
    "die": "its process died with exit code 7 (record 'r2', completion 'raise ex",
    "hang": "took longer than its timeout_s of 0.5 s on 1 completions (record 'r2', completion 'raise ex",
}


@pytest.mark.parametrize(
    ("trouble", "timeout_s"),
    [*((why, 60.0) for why in WHY if why != "hang"), ("hang", 0.5), ("raise", None), ("exit", None), ("count", None), ("nan", None)],
)
def test_a_completion_that_fails_alone_is_masked_and_named(
    path: Path, trouble: str, timeout_s: float | None, caplog: pytest.LogCaptureFixture
) -> None:
    reward = masking(path, trouble, timeout_s)
    with caplog.at_level(logging.WARNING, "emoreason"):
        assert reward(completions=TEXTS, **columns_of(4)) == [1.0, 2.0, None, 4.0]
    assert reward.last_masked == [2] and masked_rows([reward]) == {2}
    (message,) = caplog.messages
    assert message.startswith(f"reward {reward.address}: masked: {WHY[trouble]}") and "\n" not in message


def test_the_warning_goes_to_stderr_when_nobody_has_set_up_logging(path: Path) -> None:
    code = f"""
from emoreason.rewarding import RewardFunc
reward = RewardFunc({f"{path}:length_unless_reward"!r}, kwargs={{"trouble": "nan"}}, timeout_s=None, on_error="mask")
reward(completions=["nan"], label=["joy"])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    why = "returned nan for record 0, completion 'nan'; accepted: a finite number or None"
    assert done.stderr == f"reward {path}:length_unless_reward: masked: {why}\n"


def test_a_batch_that_fails_only_together_masks_nothing_and_is_told(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    reward = RewardFunc(f"{path}:length_unless_reward", kwargs={"trouble": "raise", "together": True}, timeout_s=None, on_error="mask")
    with caplog.at_level(logging.WARNING, "emoreason"):
        assert reward(completions=["a", "raise"], **columns_of(2)) == [1.0, 5.0]
    assert reward.last_masked == []
    (message,) = caplog.messages
    assert message.startswith(f"reward {reward.address}: failed on a batch and on none of its completions alone: raised ValueError: what ")


def test_masked_is_not_the_same_as_not_applicable(path: Path) -> None:
    reward = masking(path, "raise", None)
    values = reward(completions=["a", "raise", "ccc"], label=[None, "joy", "joy"])
    assert values == [None, None, 3.0]
    assert reward.last_masked == [1]


def test_each_call_starts_without_masked_completions(path: Path) -> None:
    reward = masking(path, "raise", None)
    assert reward(completions=["raise"], label=["joy"]) == [None] and reward.last_masked == [0]
    assert reward(completions=["a"], label=["joy"]) == [1.0] and reward.last_masked == []
    reward(completions=["raise"], label=["joy"])
    with pytest.raises(RewardError):
        masking(path, "raise", None)(completions=["raise", "raise"], label=["joy"] * 2)
    assert pickle.loads(pickle.dumps(reward)) == reward == masking(path, "raise", None)


@pytest.mark.parametrize(
    ("num_failing", "num_rows", "share", "stops"),
    [
        (1, 1, 0.0, False),  # one is always allowed
        (1, 4, 0.1, False),
        (2, 4, 0.1, True),  # 0.4 is below the one that is allowed
        (2, 4, 0.5, False),
        (3, 4, 0.5, True),
        (3, 30, 0.1, False),  # 0.1 * 30 is 3.0000000000000004 in binary
        (29, 100, 0.29, False),  # and 0.29 * 100 is 28.999999999999996
        (30, 100, 0.29, True),
        (4, 4, 1.0, False),
    ],
)
def test_a_reward_that_fails_on_too_many_is_broken(path: Path, num_failing: int, num_rows: int, share: float, stops: bool) -> None:
    reward = masking(path, "raise", None, max_masked_share=share)
    texts = ["a"] * (num_rows - num_failing) + ["raise"] * num_failing
    if not stops:
        assert reward(completions=texts, **columns_of(num_rows)) == [1.0] * (num_rows - num_failing) + [None] * num_failing
        assert len(reward.last_masked) == num_failing
        return
    with pytest.raises(RewardError) as caught:
        reward(completions=texts, **columns_of(num_rows))
    assert str(caught.value).startswith(
        f"reward {reward.address}: failed alone on {num_failing} of {num_rows} completions, more than max_masked_share {share:g} allows; "
        "the last: raised ValueError: "
    )
    assert f"(record 'r{num_rows - 1}', completion 'raise')" in str(caught.value)


def test_a_wrong_setting_is_not_masked(path: Path) -> None:
    with pytest.raises(UserError, match="max_words 0 is below 1"):
        RewardFunc(f"{path}:exacting_reward", timeout_s=None, on_error="mask")(completions=["a"])


def test_an_unknown_way_to_go_on_stops(path: Path) -> None:
    with pytest.raises(RewardError, match="raised KeyError"):
        RewardFunc(f"{path}:raising_reward", timeout_s=None, on_error="ignore")(completions=["a"])


def test_a_masked_completion_has_no_total(path: Path) -> None:
    rewards = [masking(path, "raise", None), RewardFunc(f"{path}:matches_reward", weight=2.0, timeout_s=None)]
    totals, by_name = total_reward(rewards, ["joy", "raise", "fear"], {"label": ["joy", "joy", None], "id": ["1", "2", "3"]})
    assert by_name == {"length_unless_reward": [3.0, None, None], "matches_reward": [1.0, 0.0, None]}
    assert totals == [5.0, None, 0.0]  # 3 + 2 * 1; masked; neither applies


# Plain data.


def test_the_reward_of_a_recipe_has_its_settings() -> None:
    spec = RewardSpec(func="mine.py:a_reward", weight=0.5, kwargs={"factor": 2.0}, timeout_s=None)
    assert RewardFunc.from_spec(spec) == RewardFunc("mine.py:a_reward", 0.5, {"factor": 2.0}, None)


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
