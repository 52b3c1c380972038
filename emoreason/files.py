"""Files that are either whole or absent: atomic writes, JSON Lines with line numbers, content hashes."""

import hashlib
import json
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from emoreason.faults import UserError


def write_text(path: Path, text: str) -> None:
    """Write `text` so that `path` holds either the old or the new content, whatever interrupts the process.

    Raises:
        UserError: the disk is full or the folder is not writable; the old file, if any, is untouched.
    """
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=path.parent, prefix=".tmp_", delete=False) as file:
            temporary = Path(file.name)
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        temporary.chmod(0o644)
        temporary.replace(path)
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}; free some space or choose another "
                        "output folder, then run the same command again") from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)  # there only when something failed, be it a lone surrogate in the text


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically; NaN is refused since JSON has none."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def write_jsonl(path: Path, rows: Iterable[dict]) -> None:
    """Write one JSON object a line, atomically."""
    write_text(path, "".join(json.dumps(row, ensure_ascii=False, allow_nan=False) + "\n" for row in rows))


def read_json(path: Path) -> Any:
    """The value in a JSON file, or a `UserError` that names the file and the place."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such file") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from error
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: not JSON: {error}") from error


def read_jsonl(path: Path, faults: list[str], progress: Callable[[int], None] = lambda num_chars: None) -> Iterator[tuple[int, dict]]:
    """(line number from 1, object) of a JSON Lines file, read as it streams; lines that hold no JSON object are added to `faults`.

    `progress` is called with the number of characters of each line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                progress(len(line))
                if not line.strip():
                    continue
                try:
                    value = json.loads(line.removesuffix("\n"))
                except json.JSONDecodeError as error:
                    faults.append(f"{path}:{number}: not JSON: {error.msg} at column {error.colno}")
                    continue
                except RecursionError:
                    faults.append(f"{path}:{number}: JSON that is nested too deeply")
                    continue
                if isinstance(value, dict):
                    yield number, value
                else:
                    faults.append(f"{path}:{number}: a {type(value).__name__} where a JSON object is expected")
    except FileNotFoundError:
        faults.append(f"{path}: no such file (relative paths start at {Path.cwd()})")
    except UnicodeDecodeError as error:
        faults.append(f"{path}: not UTF-8 text: {error}")
    except OSError as error:
        faults.append(f"{path}: cannot be read: {error.strerror}")


def whole_rows(content: bytes) -> list[dict]:
    """The objects of JSON Lines that processes append to; a line that was cut off when one was killed is left out."""
    rows = []
    for line in content.splitlines():
        try:
            rows.append(json.loads(line))
        except ValueError:  # not JSON any more, or not even text
            continue
    return [row for row in rows if isinstance(row, dict)]


def append_jsonl(path: Path, row: dict) -> None:
    """Append one JSON object as a line, in one write, so that writers at the same time do not mix their lines.

    A full disk can still cut the line short; `read_jsonl` then names it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, ensure_ascii=False) + "\n")


def sha256(path: Path) -> str:
    """Hex SHA-256 of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
