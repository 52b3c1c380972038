"""Small data that is real: drawn faces and the recipes over them, copied out of recipes/tiny."""

import shutil
from pathlib import Path

import pytest

from emoreason.files import read_jsonl, write_jsonl

TINY = Path(__file__).parents[1] / "recipes" / "tiny"


def copy_records(rows: list[dict], data: Path, destination: Path) -> None:
    """Write these rows of a records file in `data` as `destination`, their pictures beside it."""
    write_jsonl(destination, rows)
    for row in rows:
        for name in row.get("media", {}).get("images", []):
            (destination.parent / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(data / name, destination.parent / name)


def rows_of(path: Path) -> list[dict]:
    return [row for _, row in read_jsonl(path, [])]


@pytest.fixture
def faces_path(tmp_path: Path) -> Path:
    """A records file with four drawn faces, each of another emotion, and their pictures."""
    by_label = {row["target"]["label"]: row for row in reversed(rows_of(TINY / "data" / "train.jsonl"))}
    path = tmp_path / "faces" / "faces.jsonl"
    copy_records(list(by_label.values())[:4], TINY / "data", path)
    return path


@pytest.fixture
def tiny_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`recipes/tiny` below a new working directory: the same recipes, each records file cut to four records, no runs."""
    monkeypatch.chdir(tmp_path)
    folder = Path("recipes/tiny")
    for path in (TINY / "data").glob("*.jsonl"):
        copy_records(rows_of(path)[:4], TINY / "data", folder / "data" / path.name)
    for path in TINY.glob("*.yaml"):
        shutil.copy(path, folder)
    return folder
