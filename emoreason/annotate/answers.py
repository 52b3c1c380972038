"""What a server answered: the JSON object in its text, checked against the schema, and the values and texts at a place of it."""

import json
import re
from collections.abc import Callable
from typing import Any

import jsonschema

_THOUGHTS = re.compile(r"\A\s*<think>.*</think>", re.DOTALL)
_FENCE = re.compile(r"\A\s*```(?:json)?\s*\n(.*)\n\s*```\s*\Z", re.DOTALL)
_MOST_TOLD = 3
_DEEPEST = 50
_LONE_SURROGATES = re.compile("[\ud800-\udfff]")
_CONTROLS = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]+")


def read_answer(text: str, schema: dict[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """(the answer, what is wrong with it); None where the text holds no JSON object.

    Thoughts in `<think>` before it and a fence of Markdown around it are put up with, and so are control characters in its texts, which
    vLLM's grammars let through; they become spaces.
    """
    text = _THOUGHTS.sub("", text)
    fenced = _FENCE.match(text)
    try:
        answer = json.loads(fenced[1] if fenced else text, parse_constant=_refuse, strict=False)
    except (ValueError, RecursionError) as error:
        return None, [f"not JSON: {str(error)[:120]}"]
    if not isinstance(answer, dict):
        return None, [f"a JSON {type(answer).__name__} where an object is asked"]
    if _depth(answer) > _DEEPEST:
        return None, [f"nested more than {_DEEPEST} deep"]
    answer = cleaned(answer, _without_controls)
    found = sorted(jsonschema.Draft202012Validator(schema).iter_errors(answer), key=lambda error: list(map(str, error.absolute_path)))
    problems = [f"{'.'.join(map(str, error.absolute_path)) or 'the answer'}: {error.message[:160]}" for error in found[:_MOST_TOLD]]
    return answer, problems + ([f"{len(found) - _MOST_TOLD} more faults"] if len(found) > _MOST_TOLD else [])


def cleaned(value: Any, also: Callable[[str], str] = str) -> Any:
    """The value with halves of characters, which JSON can hold and a file cannot, replaced by U+FFFD; `also` is applied to each text."""
    if isinstance(value, str):
        return also(_LONE_SURROGATES.sub("�", value))
    if isinstance(value, dict):
        return {cleaned(key, also): cleaned(one, also) for key, one in value.items()}
    return [cleaned(one, also) for one in value] if isinstance(value, list) else value


def values_at(answer: Any, path: str) -> list[Any]:
    """What stands at a dotted path, through lists; [] where nothing does.

    >>> values_at({"cues": [{"text": "a"}, {"text": "b"}]}, "cues.text")
    ['a', 'b']
    """
    values = [answer]
    for name in path.split("."):
        values = [one[name] for value in values for one in _spread(value) if isinstance(one, dict) and name in one]
    return [one for value in values for one in _spread(value)]


def texts_at(answer: Any, paths: list[str]) -> list[str]:
    """Every text at these places and below them, in order; without paths every text of the answer."""
    values = [value for path in paths for value in values_at(answer, path)] if paths else [answer]
    return [text for value in values for text in _texts(value)]


def _depth(value: Any) -> int:
    """How many lists and objects stand within each other."""
    depth, level = 0, [value]
    while level:
        depth += 1
        level = [inner for one in level if isinstance(one, dict | list) for inner in (one.values() if isinstance(one, dict) else one)]
    return depth - 1


def _without_controls(text: str) -> str:
    return _CONTROLS.sub(" ", text)


def _spread(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _texts(value: Any) -> list[str]:
    if isinstance(value, str):
        return [value]
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for one in inner for text in _texts(one)]


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
