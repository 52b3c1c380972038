"""What is read of a server's text, and what stands where in it."""

import pytest

from emoreason.annotate.answers import read_answer, texts_at, values_at

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}


@pytest.mark.parametrize(
    "text",
    ['{"a": "x"}', ' {"a": "x"}\n', '```json\n{"a": "x"}\n```', '```\n{"a": "x"}\n```\n', '<think>{"a"}</think>\n{"a": "x"}'],
)
def test_an_object_that_fits_is_read(text: str) -> None:
    assert read_answer(text, SCHEMA) == ({"a": "x"}, [])


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "not JSON"),
        ("Sure! {", "not JSON"),
        ('{"a": "x"', "not JSON"),
        ('{"a": NaN}', "NaN is no JSON"),
        ("[" * 100_000, "not JSON"),
        ('{"a": ' + "[" * 500 + "]" * 500 + "}", "nested more than 50 deep"),
        ('["a"]', "a JSON list where an object is asked"),
        ("null", "a JSON NoneType"),
        ('{"b": 1}', "'a' is a required property"),
        ('{"a": 1}', "a: 1 is not of type 'string'"),
        ('{"a": "x", "c": 1}', "Additional properties are not allowed"),
    ],
)
def test_what_does_not_fit_says_why(text: str, problem: str) -> None:
    _, problems = read_answer(text, SCHEMA)
    assert len(problems) == 1 and problem in problems[0] and len(problems[0]) < 250


def test_control_characters_that_a_grammar_lets_through_become_spaces() -> None:
    assert read_answer('{"a": "x\x07\x1b[31m\ny\t\\u0000z"}', SCHEMA) == ({"a": "x [31m\ny\t z"}, [])


def test_half_a_character_is_replaced_since_no_file_can_hold_it() -> None:
    answer, _ = read_answer('{"a": "x\\ud83d"}', SCHEMA)
    assert answer == {"a": "x\ufffd"} and answer["a"].encode()


def test_values_and_texts_at_a_place() -> None:
    answer = {"seen": [{"unit": "AU4", "text": "brows"}, {"unit": "AU12", "text": "lips"}], "end": {"a": "one", "b": ["two", 3]}}
    assert values_at(answer, "seen.unit") == ["AU4", "AU12"]
    assert values_at(answer, "end.b") == ["two", 3] and values_at(answer, "end.c.d") == []
    assert texts_at(answer, ["end", "seen.text"]) == ["one", "two", "brows", "lips"]
    assert texts_at(answer, []) == ["AU4", "brows", "AU12", "lips", "one", "two"]
