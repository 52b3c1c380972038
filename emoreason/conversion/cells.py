"""What stands in one cell: lists written as strings, numbers, missing values, paths of other machines."""

import ast
import math
import re
import unicodedata
from pathlib import PurePosixPath
from typing import Any

from emoreason.conversion.faults import BadRow
from emoreason.emotions import LABEL_SPACES, OPEN_VOCABULARY, normalise_label
from emoreason.faults import UserError

_ABSENT = frozenset(("", "nan", "NaN", "null", "NULL", "<NA>"))
_QUOTED = re.compile(r"""(?:^|,)\s*(['"])(.*?)\1\s*(?=,|$)""", re.DOTALL)
_SEPARATORS = re.compile(r"[,;，、；]")
_MAX_CELL = 100_000
"""Characters of a cell that is read as Python or JSON; no list of words is longer."""


def is_absent(cell: Any) -> bool:
    """Whether nobody wrote anything: None, an empty or blank cell, NaN, and how pandas writes it."""
    return cell is None or (isinstance(cell, float) and math.isnan(cell)) or (isinstance(cell, str) and cell.strip() in _ABSENT)


def text(cell: Any) -> str | None:
    """The cell as text in NFC without surrounding blanks, or None where it is absent."""
    if not isinstance(cell, str):
        if is_absent(cell):
            return None
        cell = str(cell)
    found = cell.strip()
    if found in _ABSENT:
        return None
    return found if found.isascii() else unicodedata.normalize("NFC", found)


def required_text(cell: Any, name: str) -> str:
    """The same, for a cell that must hold something."""
    found = text(cell)
    if found is None:
        raise BadRow(f"{name} is missing", f"{name} is empty; accepted: text")
    return found


def number(cell: Any, name: str, low: float = -math.inf, high: float = math.inf) -> float:
    """A finite number within the bounds."""
    try:
        value = float(cell)
    except (TypeError, ValueError):
        value = math.nan
    if isinstance(cell, bool) or not math.isfinite(value) or not low <= value <= high:
        bounds = "" if math.isinf(low) and math.isinf(high) else f" from {low:g} to {high:g}"
        raise BadRow(f"{name} is no such number", f"{name} is {str(cell)[:40]!r}; accepted: a number{bounds}")
    return value


def whole_number(cell: Any, name: str, low: float = -math.inf, high: float = math.inf) -> int:
    """A whole number within the bounds; `3.0`, as pandas writes a column with gaps, is 3."""
    value = number(cell, name, low, high)
    if not value.is_integer():
        raise BadRow(f"{name} is no whole number", f"{name} is {str(cell)[:40]!r}; accepted: a whole number")
    return int(value)


def label(cell: Any, label_space: str) -> str:
    """The label of the space that the cell means, by its own spelling, case and forms; see `emotions.normalise_label`."""
    if isinstance(cell, str) and cell in LABEL_SPACES.get(label_space, ()):
        return cell
    found = required_text(cell, "label")
    try:
        return normalise_label(found, label_space)
    except UserError as error:
        raise BadRow(f"label is not of {label_space}", str(error)) from error


def items(cell: Any) -> list[str]:
    """The texts of a list, or of a cell that holds one as Python or JSON writes it, or with commas; [] where it is absent.

    A cell whose apostrophes break Python's own reading, `['don't know', 'sad']`, is split where a quote meets a comma or the end.
    """
    if isinstance(cell, list | tuple):
        return [found for value in cell if (found := text(value))]
    found = text(cell)
    if found is None:
        return []
    if found[0] in "[(" and len(found) <= _MAX_CELL:
        try:
            value = ast.literal_eval(found)
        except (ValueError, SyntaxError, RecursionError, MemoryError):
            value = None
        if isinstance(value, list | tuple):
            return items(value)
    inside = found.removeprefix("[").removesuffix("]").strip()
    quoted = [match[2].strip() for match in _QUOTED.finditer(inside)]
    return [part for part in (quoted or [part.strip().strip("'\"") for part in _SEPARATORS.split(inside)]) if part]


def words(cell: Any) -> list[str]:
    """Open-vocabulary emotion words in lower case, in their order, none twice."""
    return list(dict.fromkeys(normalise_label(word, OPEN_VOCABULARY) for word in items(cell) if any(map(str.isalnum, word))))


def literal(cell: Any, name: str) -> Any:
    """The list, dictionary or number that a cell holds as Python or JSON writes it; nothing in it is run."""
    found = required_text(cell, name)
    try:
        if len(found) > _MAX_CELL:
            raise ValueError(f"{len(found)} characters")
        return ast.literal_eval(found)
    except (ValueError, SyntaxError, RecursionError, MemoryError) as error:
        raise BadRow(f"{name} cannot be read", f"{name} is {found[:60]!r}; accepted: a list or dictionary as Python writes it") from error


def relative_path(cell: Any, name: str = "path") -> str:
    """A path that a data set names, with forward slashes, in NFC; one that is absolute or climbs out is refused."""
    found = required_text(cell, name).replace("\\", "/")
    parts = [part for part in found.split("/") if part not in ("", ".")]
    if not parts or ".." in parts or found[0] == "/" or found[1:2] == ":" or "\0" in found:
        raise BadRow(f"{name} leaves the folder", f"{name} is {found[:120]!r}; accepted: a path inside of the data set's folder")
    return "/".join(parts)


def path_below(cell: Any, folder: str, name: str = "path") -> str:
    """What follows the last `folder` of a path that was absolute on the authors' machine: `/data/x/videos/a.mp4` below `videos` is `a.mp4`."""
    parts = PurePosixPath(required_text(cell, name).replace("\\", "/")).parts
    if folder not in parts[:-1]:
        raise BadRow(f"{name} names another folder", f"{name} is {str(cell)[:120]!r}; accepted: a path through {folder}/")
    place = len(parts) - 1 - parts[::-1].index(folder)
    return relative_path("/".join(parts[place + 1 :]), name)


def clipped_box(corners: Any, width: float, height: float) -> tuple[float, float, float, float]:
    """A box x1, y1, x2, y2 cut at the edges of a picture of this size in pixels; one that is wholly outside, or has no area, is refused."""
    values = [number(value, "box") for value in corners]
    if len(values) != 4:
        raise BadRow("box has no four numbers", f"box is {values}; accepted: x1, y1, x2, y2")
    x1, y1, x2, y2 = (min(max(value, 0.0), limit) for value, limit in zip(values, (width, height, width, height), strict=True))
    if x1 >= x2 or y1 >= y2:
        raise BadRow("box is outside of the picture", f"box {values} has nothing inside of {width:g} x {height:g} pixels")
    return x1, y1, x2, y2
