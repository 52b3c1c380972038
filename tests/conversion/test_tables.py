"""Rows of tables, and what is no row: named with its file and line, while the rows around it come."""

import io
import json
from pathlib import Path

import pytest

from emoreason.conversion import tables
from emoreason.conversion.faults import BadRow
from emoreason.faults import UserError


class Report(list):
    """Collects (where, reason) of what is no row."""

    def __call__(self, where: str, fault: BadRow) -> None:
        self.append((where, fault.reason))


@pytest.fixture
def report() -> Report:
    return Report()


def test_headers_lose_their_blanks_and_lines_count_through_quotes(report: Report) -> None:
    text = 'name, AU01_r ,text\na,1,"two\nlines"\nb,2,x\nc,3\n\n"d",4,y,z\ne,5,w\n'
    rows = list(tables.csv_rows(io.StringIO(text, newline=""), "t.csv", ["AU01_r"], report))
    assert [(row["name"], row["AU01_r"], row.where) for row in rows] == [("a", "1", "t.csv:3"), ("b", "2", "t.csv:4"), ("e", "5", "t.csv:8")]
    assert report == [("t.csv:5", "cells and columns differ in number"), ("t.csv:7", "cells and columns differ in number")]


def test_a_column_that_is_missing_or_twice_is_the_users_to_mend(report: Report) -> None:
    with pytest.raises(UserError, match=r"t.csv: no column 'openset'; did you mean 'opensets'"):
        list(tables.csv_rows(io.StringIO("name,opensets\n"), "t.csv", ["openset"], report))
    with pytest.raises(UserError, match="columns stand twice: 'a'"):
        list(tables.csv_rows(io.StringIO("a,a\n1,2\n"), "t.csv", [], report))


def test_a_field_that_is_not_there_makes_a_bad_row() -> None:
    with pytest.raises(BadRow, match="no 'emotion'; did you mean 'emotions'") as caught:
        tables.Row({"emotions": 1}, "t.csv", 2)["emotion"]
    assert caught.value.reason == "emotion is missing"


def test_json_lines_that_are_no_objects_are_named(report: Report) -> None:
    rows = list(tables.json_lines(io.StringIO('{"a": 1}\n\n[1]\n{"a": \n{"a": 2}\n'), "t.json", report))
    assert [(row["a"], row.where) for row in rows] == [(1, "t.json:1"), (2, "t.json:5")]
    assert report == [("t.json:3", "no JSON object"), ("t.json:4", "not JSON")]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf", b" \n"])
def test_a_list_streams_and_breaks_off_where_it_does(report: Report, mark: bytes) -> None:
    content = mark + b'[{"a": 1.5}, 7, {"a": {"b": "c"}}, {"a": 3'
    rows = list(tables.json_items(io.BytesIO(content), "t.json", report))
    assert [dict(row) for row in rows] == [{"a": 1.5}, {"a": {"b": "c"}}] and rows[1].where == "t.json: item 3"
    assert report == [("t.json: item 2", "no JSON object"), ("t.json: item 3 and after", "not JSON")]


def test_a_lone_object_is_one_row(report: Report) -> None:
    assert [dict(row) for row in tables.json_items(io.BytesIO(b'{\n "a": 1\n}'), "t.json", report)] == [{"a": 1}]


def test_members_of_an_object_have_their_key_as_a_field(report: Report) -> None:
    content = json.dumps({"sample_00000001": {"caption": "x"}, "o'clock": {"caption": "y"}, "z": 5}).encode()
    rows = list(tables.json_members(io.BytesIO(content), "t.json", "name", report))
    assert [row["name"] for row in rows] == ["sample_00000001", "o'clock"] and report == [("t.json: member 'z'", "no JSON object")]
    with pytest.raises(UserError, match="holds no JSON object"):
        list(tables.json_members(io.BytesIO(b"[1]"), "t.json", "name", report))


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ('{"a": 1}\n{"a": 2}\n', True),
        ('\ufeff{"a": 1}\n', True),
        ('\n\n{"a": 1}\n\n\n{"a": 2}', True),
        ('[{"a": 1},\n{"a": 2}]', False),
        ('{\n"a": 1\n}', False),
        ('{"a": 1}\n]', True),
        ("", False),
    ],
)
def test_json_lines_are_told_from_json_by_what_they_hold(tmp_path: Path, content: str, expected: bool) -> None:
    path = tmp_path / "x.json"
    path.write_text(content, encoding="utf-8")
    assert tables.is_json_lines(path) is expected


def test_rows_of_a_sheet_count_from_its_header() -> None:
    rows = list(tables.table_rows([("clip", None, " label "), ("a", 0, 1), (None, None, None), ("b", None, 2)], "t.xlsx", ["label"]))
    assert [(row["clip"], row["label"], row.where) for row in rows] == [("a", 1, "t.xlsx:2"), ("b", 2, "t.xlsx:4")]


def test_half_a_character_and_endless_nesting_are_named(report: Report) -> None:
    lines = io.StringIO('{"a": "\\ud800"}\n' + "[" * 100_000 + '\n{"a": "\\ud83d\\ude00"}\n')
    assert [row["a"] for row in tables.json_lines(lines, "t.jsonl", report)] == ["😀"]
    assert report == [("t.jsonl:1", "not JSON"), ("t.jsonl:2", "not JSON")]
