"""Strict pydantic models, and their faults as sentences that name the field, what was given and what is accepted."""

import re
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from emoreason.faults import did_you_mean


class Strict(BaseModel):
    """A model that refuses keys it does not know, values of another type, and NaN and infinity, which JSON has no word for."""

    model_config = ConfigDict(extra="forbid", strict=True, allow_inf_nan=False)

    def __eq__(self, other: object) -> bool:
        # These models have neither private nor extra fields, for which pydantic's own looks, at four times the cost: leaving defaults out of
        # a record's line compares each part of it.
        return type(self) is type(other) and self.__dict__ == other.__dict__


def describe(error: ValidationError, model: type[BaseModel]) -> list[tuple[tuple, str]]:
    """(location, sentence) of each fault that pydantic found in what was meant to be a `model`."""
    sentences = []
    for fault in error.errors():
        # What pydantic adds of its own reads `function-after[name(), str]`; a user's key may well be `tagged-by`.
        location = tuple(part for part in fault["loc"] if isinstance(part, int) or not re.match(r"(function|tagged)-\w+\[", part))
        if fault["type"] == "extra_forbidden":
            sentences.append((location, f"unknown key{did_you_mean(str(location[-1]), _fields_at(model, location[:-1]))}"))
        elif fault["type"] == "missing":
            sentences.append((location, "missing"))
        else:
            message = fault["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
            given = "an object" if isinstance(fault["input"], dict) else repr(fault["input"])[:80]
            sentences.append((location, f"{message} (given: {given})"))
    return sentences


def dotted(location: tuple) -> str:
    """`phases[0].template` for `("phases", 0, "template")`."""
    text = ""
    for part in location:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


def _fields_at(model: Any, location: tuple) -> list[str]:
    """The field names of the model that stands at `location` inside `model`; [] where no model stands."""
    for part in location:
        if isinstance(part, int):
            continue
        field = getattr(model, "model_fields", {}).get(part)
        model = _inner_model(field.annotation) if field else None
    return list(getattr(model, "model_fields", {}))


def _inner_model(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for argument in getattr(annotation, "__args__", ()) if (found := _inner_model(argument))), None)
