"""Faults are collected, raised together, and point at the nearest accepted word."""

import pytest

from emoreason.faults import UserError, did_you_mean, raise_faults


def test_every_fault_is_in_the_message() -> None:
    with pytest.raises(UserError) as caught:
        raise_faults(["a.yaml: first", "a.yaml: second"])
    assert caught.value.faults == ["a.yaml: first", "a.yaml: second"]
    assert str(caught.value) == "a.yaml: first\na.yaml: second"


def test_no_fault_is_no_error() -> None:
    assert raise_faults([]) is None


def test_one_sentence_is_one_fault() -> None:
    assert UserError("no such file").faults == ["no such file"]


def test_a_user_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match=r"^wrong$"):
        raise UserError("wrong")


@pytest.mark.parametrize(
    ("given", "known", "expected"),
    [
        ("lerning_rate", ["learning_rate", "seed"], "; did you mean 'learning_rate'?"),
        ("zzz", ["seed", "data"], "; accepted: data, seed"),
        ("zzz", [], ""),
        (
            "zzz",
            [f"key{number:02}" for number in range(30)],
            "; accepted: " + ", ".join(f"key{n:02}" for n in range(20)) + ", ... (30 in all)",
        ),
    ],
)
def test_did_you_mean(given: str, known: list[str], expected: str) -> None:
    assert did_you_mean(given, known) == expected
    assert did_you_mean(given, iter(known)) == expected, "any iterable will do"
