"""Files of rows that are written row by row, whole or not at all, and read back the same way; and where media go beside them."""

import json
import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq

from emoreason.exports.pictures import is_seen_otherwise, redrawn
from emoreason.faults import UserError

MediaMode = Literal["relative", "absolute", "copy", "embed"]
ROWS_IN_GROUP = 1000
BYTES_IN_GROUP = 64 << 20
"""Of embedded media: what a group of rows holds in memory before it is written."""
JSON_CHUNK = 10 << 20
"""Bytes from which the JSON loader of the library datasets learns the type of each column; it fails over one that is null in all of them."""


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A file beside `path` to write to, which takes its place in the end; after a failure, or when it was removed, `path` is as it was."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=".tmp_")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}; choose another folder") from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        if temporary.exists():
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
            temporary.chmod(0o644)
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)  # there only when something failed


class JsonLines:
    """Rows as lines of JSON."""

    def __init__(self, path: Path, schema: pa.Schema):
        self._file = path.open("w", encoding="utf-8", newline="\n")
        self._untyped, self._num_bytes = set(schema.names), 0
        self.late: list[str] = []
        """Columns that hold nothing yet where the loader wants to know their type."""

    def write(self, row: dict[str, Any]) -> None:
        line = json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n"
        filled = {name for name in self._untyped if row.get(name) not in (None, [])}
        self._untyped -= filled
        if self._num_bytes >= JSON_CHUNK:
            self.late += sorted(filled)
        self._num_bytes += len(line.encode())
        self._file.write(line)

    def __enter__(self) -> "JsonLines":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        self._file.close()


class Parquet:
    """Rows in groups, of which one is in memory."""

    def __init__(self, path: Path, schema: pa.Schema):
        self._schema, self._rows, self._num_bytes = schema, [], 0
        self._writer = pq.ParquetWriter(path, schema, compression="zstd")
        self.late: list[str] = []

    def write(self, row: dict[str, Any]) -> None:
        self._rows.append(row)
        self._num_bytes += _num_embedded(row)
        if len(self._rows) >= ROWS_IN_GROUP or self._num_bytes >= BYTES_IN_GROUP:
            self._write_group()

    def _write_group(self) -> None:
        self._writer.write_table(pa.Table.from_pylist(self._rows, self._schema), row_group_size=len(self._rows))
        self._rows, self._num_bytes = [], 0

    def __enter__(self) -> "Parquet":
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        try:
            if error is None and self._rows:
                self._write_group()
        finally:
            self._writer.close()


def _num_embedded(row: dict[str, Any]) -> int:
    """Bytes of the pictures that are in the row itself."""
    pictures = [image for image in row.get("images") or [] if isinstance(image, dict)]
    return sum(len(value) for image in pictures for value in image.values() if isinstance(value, bytes))


WRITERS = {".jsonl": JsonLines, ".parquet": Parquet}


def read_rows(path: Path) -> Iterator[dict[str, Any]]:
    """The rows of a file that was exported, one after the other."""
    if path.suffix == ".parquet":
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=ROWS_IN_GROUP):
                yield from batch.to_pylist()
        return
    with path.open(encoding="utf-8", newline="\n") as file:
        yield from map(json.loads, file)


class Places:
    """Where a medium lies for who reads the exported file; calling it copies or reads the medium where that is asked for.

    Copied and embedded pictures are drawn anew where another reader would see them otherwise than our own.
    """

    def __init__(self, records_dir: Path, out: Path, mode: MediaMode):
        self._records_dir, self._out, self._mode = records_dir, out, mode
        self._copied: dict[str, str] = {}

    def __call__(self, name: str) -> str | bytes:
        source = self._records_dir / name
        match self._mode:
            case "absolute":
                return str(source.absolute())
            case "embed":
                return redrawn(source) if is_seen_otherwise(source) else _read(source)
            case "copy":
                if name not in self._copied:
                    self._copied[name] = _relative(self._copy(source, name))
                return self._copied[name]
        return _relative(os.path.relpath(source.absolute(), self._out.parent.absolute()).replace(os.sep, "/"))

    def _copy(self, source: Path, name: str) -> str:
        beside = f"{self._out.stem}_media/{name}"
        if is_seen_otherwise(source):
            beside += "" if name.lower().endswith(".png") else ".png"
            with replacing(self._out.parent / beside) as temporary:
                temporary.write_bytes(redrawn(source))
        elif not _same(source, target := self._out.parent / beside):
            with replacing(target) as temporary:
                shutil.copyfile(source, temporary)
                shutil.copystat(source, temporary)
        return beside


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error


def _relative(path: str) -> str:
    """Frameworks take `http...`, `data:` and `file:` for no path at all."""
    return f"./{path}" if re.match("(?i)http|data:|file:", path) else path


def _same(source: Path, target: Path) -> bool:
    if not target.is_file():
        return False
    one, other = source.stat(), target.stat()
    return (one.st_size, one.st_mtime_ns) == (other.st_size, other.st_mtime_ns)


def missing(records_dir: Path, names: list[str]) -> list[str]:
    """Those media that are no files."""
    return [name for name in names if not (records_dir / name).is_file()]


def check_out(out: Path, records_path: Path, suffixes: tuple[str, ...]) -> None:
    """Refuse an output that is of another kind, a folder, or the input itself."""
    if out.suffix not in suffixes:
        raise UserError(f"{out}: accepted: a name that ends in {' or '.join(suffixes)}")
    if out.is_dir():
        raise UserError(f"{out}: is a folder; give the name of a file")
    if out.exists() and out.samefile(records_path):
        raise UserError(f"{out}: is the file of records itself; give another name")
