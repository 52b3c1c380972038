"""Rows of annotation files, one at a time: CSV, JSON, JSON Lines, spreadsheets. What is no row goes to `report`, with its file and line."""

import csv
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import ijson
from pydantic_core import from_json

from emoreason.conversion.faults import BadRow
from emoreason.faults import UserError, did_you_mean

csv.field_size_limit(1 << 24)


Report = Callable[[str, BadRow], None]
"""Takes where a bad line stands, and what is wrong with it."""


class Row(dict):
    """The fields of one row, and where it stands. A field that is asked for and not there makes the row a bad one."""

    __slots__ = ("file", "place")

    def __init__(self, fields: Mapping[str, Any] | Iterable[tuple[str, Any]], file: str, place: int | str):
        super().__init__(fields)
        self.file, self.place = file, place

    @property
    def where(self) -> str:
        """`train.csv:7`; `items.json: item 7` where a file has no lines to speak of."""
        return _where(self.file, self.place)

    def __missing__(self, name: str) -> Any:
        raise BadRow(f"{name} is missing", f"no {name!r}{did_you_mean(name, map(str, self))}")

    def with_fields(self, **fields: Any) -> "Row":
        """The row, with these fields too."""
        self.update(fields)
        return self


def csv_rows(
    file: IO[str], name: str, required: Iterable[str], report: Report, delimiter: str = ",", header: Sequence[str] = ()
) -> Iterator[Row]:
    """A row for each line after the header, whose names are stripped of blanks; `header` names the columns of a file without one.

    Raises:
        UserError: the header lacks a required column, or has one twice.
    """
    reader = csv.reader(file, delimiter=delimiter)
    try:
        header = header or [cell.strip() for cell in next(reader, [])]
        check_header(header, name, required)
        for cells in reader:
            if len(cells) == len(header):
                yield Row(zip(header, cells, strict=True), name, reader.line_num)
            elif any(map(str.strip, cells)):
                fault = BadRow("cells and columns differ in number", f"{len(cells)} cells under {len(header)} columns")
                report(_where(name, reader.line_num), fault)
    except csv.Error as error:
        report(_where(name, reader.line_num), BadRow("no readable CSV", f"no readable CSV from here on: {error}"))


def table_rows(cells: Iterable[tuple], name: str, required: Iterable[str], header: Sequence[str] = ()) -> Iterator[Row]:
    """The same of a spreadsheet's rows, whose first is the header unless one is given; empty rows are passed over."""
    rows = iter(cells)
    first_line = 1 if header else 2
    header = header or [str(cell).strip() if cell is not None else f"column {place}" for place, cell in enumerate(next(rows, ()), start=1)]
    check_header(header, name, required)
    for line, row in enumerate(rows, start=first_line):
        if any(cell is not None for cell in row):
            yield Row(dict(zip(header, row, strict=False)), name, line)


def json_lines(file: IO[str], name: str, report: Report) -> Iterator[Row]:
    """A row for each line that is a JSON object; blank lines are passed over."""
    for number, line in enumerate(file, start=1):
        if not line.strip():
            continue
        try:
            value = from_json(line)  # pydantic's: twice as fast as Python's
        except ValueError as error:
            report(_where(name, number), BadRow("not JSON", f"not JSON: {error}"))
            continue
        if isinstance(value, dict):
            yield Row(value, name, number)
        else:
            report(_where(name, number), _no_object(value))


def json_items(file: IO[bytes], name: str, report: Report, names: Sequence[str] = ()) -> Iterator[Row]:
    """A row for each object of a JSON list, read as it streams; of a file that holds one object, that object.

    With `names`, items may be lists of so many values, which go to the fields of these names.
    """
    prefix = "item" if _first_byte(file) == b"[" else ""
    items = ijson.items(file, prefix, use_float=True)
    if names:
        items = (dict(zip(names, item, strict=True)) if isinstance(item, list) and len(item) == len(names) else item for item in items)
    numbered = enumerate(items, start=1)
    yield from _json_rows(((f"item {number}", value) for number, value in numbered), name, report)


def json_members(file: IO[bytes], name: str, key: str, report: Report) -> Iterator[Row]:
    """A row for each member of one JSON object {id: fields}, read as it streams; `key` is the field that its id goes to.

    Raises:
        UserError: the file holds no object.
    """
    if _first_byte(file) != b"{":
        raise UserError(f"{name}: holds no JSON object; accepted: one object, with a member for each item")
    members = ijson.kvitems(file, "", use_float=True)
    named = ((f"member {member!r}", {**value, key: member} if isinstance(value, dict) else value) for member, value in members)
    yield from _json_rows(named, name, report)


def _json_rows(placed: Iterable[tuple[str, Any]], name: str, report: Report) -> Iterator[Row]:
    place = "start"
    try:
        for place, value in placed:
            if isinstance(value, dict):
                yield Row(value, name, place)
            else:
                report(_where(name, place), _no_object(value))
    except (ijson.JSONError, UnicodeDecodeError) as error:
        report(f"{_where(name, place)} and after", BadRow("not JSON", f"not JSON, or broken off: {error}"))


def is_json_lines(path: Path) -> bool:
    """Whether a file holds an object a line, whatever it is named: its first line is one whole object."""
    with path.open("rb") as file:
        first = next((line for line in file if line.strip(b"\xef\xbb\xbf \t\r\n")), b"")
    try:
        return isinstance(json.loads(first.decode("utf-8-sig")), dict)
    except (ValueError, RecursionError):
        return False


def _first_byte(file: IO[bytes]) -> bytes:
    """The first that is no blank, after a byte order mark, which is passed for good."""
    start = 3 if file.read(3) == b"\xef\xbb\xbf" else 0
    file.seek(start)
    first = file.read(1)
    while first and first.isspace():
        first = file.read(1)
    file.seek(start)
    return first


def check_header(header: Sequence[str], name: str, required: Iterable[str]) -> None:
    if missing := [column for column in required if column not in header]:
        raise UserError([f"{name}: no column {column!r}{did_you_mean(column, header)}" for column in missing])
    if twice := sorted({column for column in header if list(header).count(column) > 1}):
        raise UserError(f"{name}: columns stand twice: {', '.join(map(repr, twice))}")


def _no_object(value: Any) -> BadRow:
    return BadRow("no JSON object", f"a {type(value).__name__} where an object is expected")


def _where(name: str, place: int | str) -> str:
    return f"{name}:{place}" if isinstance(place, int) else f"{name}: {place}"
