"""What was found in media files, by the hash of their bytes, so that no file is decoded twice: JSON Lines that are only appended to.

Two kinds of lines: `{"sha256", "look", "made_by", "found"}`, and `{"path", "size", "mtime_ns", "sha256"}`, by which a file that was not touched
is known without reading it.
"""

import json
import os
import time
from pathlib import Path

from emoreason.faults import UserError
from emoreason.files import whole_rows
from emoreason.media_check.probe import MADE_BY, Found, Looked, State

WRITTEN_EVERY_S = 5.0
"""What a run that is killed looks at again, at most."""


def default_path() -> Path:
    """In the user's folder for what can be made again."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emoreason" / "media.jsonl"


class MediaCache:
    """The file, or with None only what this run finds. A line that was cut, or made by other versions, is left out and made again."""

    def __init__(self, path: Path | None):
        self.path = path
        self._found: dict[tuple[str, str], Found] = {}
        self._files: dict[str, State] = {}
        self._waiting: list[dict] = []
        self._written = time.monotonic()
        for row in self._rows():
            self._take(row)

    def _rows(self) -> list[dict]:
        try:
            return whole_rows(self.path.read_bytes()) if self.path else []
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UserError(f"--cache {self.path}: cannot be read: {error.strerror}; choose another file") from error

    def _take(self, row: dict) -> None:
        try:
            if "path" in row:
                self._files[row["path"]] = State(int(row["size"]), int(row["mtime_ns"]), str(row["sha256"]))
            elif row["made_by"] == MADE_BY:
                self._found[row["sha256"], row["look"]] = Found.of_row(row["found"])
        except (KeyError, TypeError, ValueError, AttributeError):
            return  # no line of ours

    @property
    def is_empty(self) -> bool:
        return not self._found

    def digest(self, path: Path) -> str | None:
        """The hash of a file whose size and time of change are those of a line."""
        known = self._files.get(str(path.absolute()))
        try:
            status = path.stat()
        except (OSError, ValueError):  # the latter over a NUL in the name
            return None
        return known.digest if known and known[:2] == (status.st_size, status.st_mtime_ns) else None

    def found(self, digest: str | None, look: str) -> Found | None:
        """What such a look at such bytes has found."""
        return self._found.get((digest, look)) if digest else None

    def add(self, path: Path, look: str, looked: Looked) -> None:
        """Keep it, except where a fault names its file or depends on the moment."""
        if looked.digest is None:
            return
        named = looked.found.problem and path.name in looked.found.problem
        if not named and (looked.digest, look) not in self._found:
            self._found[looked.digest, look] = looked.found
            self._waiting.append({"sha256": looked.digest, "look": look, "made_by": MADE_BY, "found": looked.found.row()})
        self.add_state(path, State(looked.num_bytes, looked.mtime_ns, looked.digest))

    def add_state(self, path: Path, state: State) -> None:
        """Keep by what the file is known without reading it."""
        if self._files.get(str(path.absolute())) != state:
            self._files[str(path.absolute())] = state
            self._waiting.append({"path": str(path.absolute()), **dict(zip(("size", "mtime_ns", "sha256"), state, strict=True))})
        if time.monotonic() - self._written > WRITTEN_EVERY_S:
            self.write()

    def write(self) -> None:
        """Append what is new, in one write.

        Raises:
            UserError: the file cannot be written.
        """
        if not self.path or not self._waiting:
            return
        text = "".join(json.dumps(row) + "\n" for row in self._waiting)  # ASCII, for names that are no Unicode
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("ab+") as file:
                if file.tell() and (file.seek(-1, os.SEEK_END), file.read(1))[1] != b"\n":
                    text = "\n" + text  # what a kill has cut off stays a line of its own
                file.write(text.encode())
        except OSError as error:
            raise UserError(f"--cache {self.path}: cannot be written: {error.strerror}; choose another file, or give --no-cache") from error
        self._waiting.clear()
        self._written = time.monotonic()
