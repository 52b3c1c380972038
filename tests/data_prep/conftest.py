"""Run a script of data_prep/ on a small tree with a data set's true layout."""

import importlib.util
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from emoreason.records import Record, read_records

SCRIPTS = Path(__file__).parents[2] / "data_prep"
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


@pytest.fixture
def convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Converted]:
    """`convert("meld", tree, "--split", "test")`: the script's own main() on the tree, in this process."""

    def run(script: str, tree: Tree | Path, *arguments: str) -> Converted:
        source = tree if isinstance(tree, Path) else plant(tmp_path / "source", tree)
        out = tmp_path / "out"
        spec = importlib.util.spec_from_file_location("__main__", SCRIPTS / f"{script}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setattr(sys, "argv", [f"{script}.py", str(source), str(out), *arguments])
        monkeypatch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as stopped:
            spec.loader.exec_module(module)
        captured = capsys.readouterr()
        return Converted(stopped.value.code, out, captured.out + captured.err)

    return run
