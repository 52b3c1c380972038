"""What a script of data_prep/ made of a small tree with a data set's true layout; the fixture `convert` runs one."""

import io
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from emoreason.records import Record, read_records

SCRIPTS = Path(__file__).parents[1] / "data_prep"
Tree = dict[str, str | bytes]


@dataclass
class Converted:
    """What a script did."""

    code: int
    """Its exit code."""
    out: Path
    printed: str
    """What it wrote to stdout, then to stderr."""

    @property
    def records(self) -> dict[str, Record]:
        """{id: record} of records.jsonl, read as training reads it."""
        return {record.id: record for record in read_records(self.out / "records.jsonl")}

    @property
    def account(self) -> dict[str, Any]:
        return json.loads((self.out / "conversion.json").read_text(encoding="utf-8"))

    @property
    def faults(self) -> list[dict[str, str]]:
        """Every bad row: where, reason, found."""
        path = self.out / "faults.jsonl"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def plant(folder: Path, tree: Tree) -> Path:
    """Write {path: content} below the folder; text is UTF-8, and b"" an empty file."""
    for name, content in tree.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def workbook(*rows: tuple) -> bytes:
    """The content of an .xlsx whose one sheet has these rows."""
    book, file = Workbook(), io.BytesIO()
    book.active.title = "Sheet1"
    for row in rows:
        book.active.append(row)
    book.save(file)
    return file.getvalue()
