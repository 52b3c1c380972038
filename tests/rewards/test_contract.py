"""What every reward must hold to, over each file of rewards/; each property is one of `emoreason.reward_contract`."""

import doctest
import functools
import importlib
import inspect
import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from emoreason.records import COLUMNS
from emoreason.reward_contract import PROPERTIES, contract_problems

NAMES = sorted(path.stem for path in (Path(__file__).parents[2] / "rewards").glob("[!_]*.py"))


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


@pytest.fixture
def reward(name):
    return getattr(importlib.import_module(f"emoreason.rewards.{name}"), f"{name}_reward")


@functools.cache
def problems(address):
    return contract_problems(address)


def test_there_are_rewards():
    assert "answer_format" in NAMES


@pytest.mark.parametrize("prop", PROPERTIES)
def test_the_contract(name, prop):
    address = f"emoreason.rewards.{name}:{name}_reward"
    assert [problem for problem in problems(address) if problem.startswith(f"reward {address}: {prop}: ")] == []


def test_nothing_else_is_wrong(name):
    """A problem that no property has, such as an address that leads nowhere, and properties not looked at after it."""
    assert problems(f"emoreason.rewards.{name}:{name}_reward") == []


# The rules of this house.


def test_required_parameters_are_columns_that_every_command_gives(reward):
    required = {parameter.name for parameter in inspect.signature(reward).parameters.values() if parameter.default is parameter.empty}
    assert required - {"completions", "kwargs"} <= COLUMNS | {"template"}


def test_is_found_under_its_own_name_by_pickle(reward):
    assert pickle.loads(pickle.dumps(reward)) is reward


def test_docstring_has_a_source_and_an_example_that_holds(reward):
    assert "Source:" in reward.__doc__
    tried = doctest.testmod(sys.modules[reward.__module__])
    assert tried.attempted > 0 and tried.failed == 0


def test_importing_the_rewards_leaves_torch_out():
    imports = "; ".join(f"import emoreason.rewards.{name}" for name in NAMES)
    code = f"import sys; {imports}; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
