"""Strict models, and faults as sentences that name the field, what was given and what is accepted."""

import math

import pytest
from pydantic import Field, ValidationError, field_validator

from emoreason.schema import Strict, describe, dotted


class Leaf(Strict):
    rate: float = 1.0
    name: str | None = None

    @field_validator("name")
    @classmethod
    def _is_short(cls, name: str | None) -> str | None:
        if name is not None and len(name) > 5:
            raise ValueError(f"name has {len(name)} letters, at most 5 are accepted")
        return name


class Tree(Strict):
    leaf: Leaf | None = None
    leaves: list[Leaf] = Field(default_factory=list)
    count: int = Field(default=1, gt=0)
    needed: str


def described(**values: object) -> list[tuple[tuple, str]]:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate({"needed": "x", **values})
    return describe(caught.value, Tree)


def test_an_integer_is_a_number_and_nothing_else_changes_its_type() -> None:
    assert Leaf.model_validate({"rate": 2}).rate == 2.0
    assert described(count="3") == [(("count",), "Input should be a valid integer (given: '3')")]
    assert described(count=True) == [(("count",), "Input should be a valid integer (given: True)")]
    assert described(count=2.0) == [(("count",), "Input should be a valid integer (given: 2.0)")]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_numbers_that_json_cannot_hold_are_refused(value: float) -> None:
    assert described(leaf={"rate": value}) == [(("leaf", "rate"), f"Input should be a finite number (given: {value})")]


@pytest.mark.parametrize(
    ("values", "location"),
    [
        ({"leaf": {"rat": 1.0}}, ("leaf", "rat")),
        ({"leaves": [{}, {"rat": 1.0}]}, ("leaves", 1, "rat")),
    ],
)
def test_an_unknown_key_points_at_the_nearest_one_of_its_own_model(values: dict, location: tuple) -> None:
    assert described(**values) == [(location, "unknown key; did you mean 'rate'?")]


def test_an_unknown_key_with_nothing_near_lists_what_is_accepted() -> None:
    assert described(leaf={"zzz": 1}) == [(("leaf", "zzz"), "unknown key; accepted: name, rate")]


def test_our_own_sentence_comes_without_pydantics_prefix() -> None:
    assert described(leaf={"name": "too long"}) == [(("leaf", "name"), "name has 8 letters, at most 5 are accepted (given: 'too long')")]


def test_every_fault_is_there() -> None:
    with pytest.raises(ValidationError) as caught:
        Tree.model_validate({"count": 0, "leaf": 3})
    assert dict(describe(caught.value, Tree)) == {
        ("count",): "Input should be greater than 0 (given: 0)",
        ("leaf",): "Input should be a valid dictionary or instance of Leaf (given: 3)",
        ("needed",): "missing",
    }


def test_what_was_given_is_cut_to_a_readable_length() -> None:
    ((_, sentence),) = described(count="9" * 1000)
    assert len(sentence) < 150


@pytest.mark.parametrize(
    ("location", "text"),
    [((), ""), (("seed",), "seed"), (("phases", 0, "template"), "phases[0].template"), (("a", 1, 2, "b"), "a[1][2].b"), ((0,), "[0]")],
)
def test_dotted(location: tuple, text: str) -> None:
    assert dotted(location) == text
