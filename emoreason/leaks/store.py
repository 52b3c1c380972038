"""Fingerprints of many files: hashed and computed in worker processes, kept by the hash of their content."""

import logging
import multiprocessing
import os
import sqlite3
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

from emoreason.faults import raise_faults
from emoreason.leaks.fingerprints import Fingerprint, Source

VERSION = 1
"""Of fingerprints; others that are kept are computed again."""
EACH_WORKER = 16
"""Files at least, since a process takes half a second to start."""
_TIMEOUT_S = 1800.0
_LOG = logging.getLogger("emoreason")
Advance = Callable[[], None]


@dataclass(frozen=True, eq=False)
class Medium:
    """What is known of one file."""

    digest: str
    """Hex SHA-256 of its bytes."""
    fingerprint: Fingerprint


def default_folder() -> Path:
    """`emoreason` in the user's folder of caches, as the XDG base directory specification has it."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "emoreason"


def read_media(sources: Iterable[Source], workers: int, folder: Path | None, start: Callable[[str, int], Advance]) -> dict[Source, Medium]:
    """Hash and fingerprint of each source; the same from any number of workers.

    Args:
        folder: where fingerprints are kept between runs; None keeps none.
        start: told what begins and how many there are; what it returns is called once for each.

    Raises:
        UserError: with every file that cannot be opened.
    """
    sources = list(dict.fromkeys(sources))
    with _Workers(min(workers, -(-len(sources) // EACH_WORKER))) as pool, closing(_Store(folder)) as store:
        digests = dict(zip(sources, pool.each(_digest, sources, start("hashing", len(sources))), strict=True))
        raise_faults(list(dict.fromkeys(digest[1:] for digest in digests.values() if digest.startswith("!"))))
        by_key = {(source.kind, digests[source], source.seconds): source for source in reversed(sources)}
        found = {key: kept for key in by_key if (kept := store.get(key)) is not None}
        missing = [key for key in by_key if key not in found]
        computed = pool.each(_fingerprint, [by_key[key] for key in missing], start("fingerprints", len(missing)))
        for key, content in zip(missing, computed, strict=True):
            found[key] = Fingerprint.from_bytes(content)
            if not any(note.startswith("crashed") for note in found[key].notes):
                store.put(key, content)
    return {source: Medium(digests[source], found[source.kind, digests[source], source.seconds]) for source in sources}


def _digest(source: Source) -> str:
    """The digest, or `!` and what is wrong."""
    try:
        if odd := [path for path in source.paths if path.exists() and not path.is_file()]:
            return f"!{odd[0]}: a folder or a pipe, not a file"
        return source.digest()
    except FileNotFoundError as error:
        return f"!{error.filename}: no such file"
    except ValueError:  # a null byte, or half a character
        return f"!{str(source.paths[0])!r}: cannot be a file's name"
    except OSError as error:
        return f"!{error.filename}: cannot be read: {error.strerror}"


def _fingerprint(source: Source) -> bytes:
    return source.fingerprint().to_bytes()


class _Workers:
    """Processes that do one file after the other; one worker is this process itself."""

    def __init__(self, num_workers: int):
        self._pool = ProcessPool(max_workers=num_workers, context=multiprocessing.get_context("spawn")) if num_workers > 1 else None

    def __enter__(self) -> "_Workers":
        return self

    def __exit__(self, kind: type | None, *error: object) -> None:
        if self._pool is not None:
            self._pool.stop() if kind else self._pool.close()
            self._pool.join()

    def each(self, function: Callable[[Source], Any], sources: list[Source], advance: Advance) -> Iterator[Any]:
        """What the function returns for each source, in order."""
        if self._pool is None:
            for source in sources:
                yield function(source)
                advance()
            return
        waiting = [self._pool.schedule(function, args=(source,), timeout=_TIMEOUT_S) for source in sources]
        for source, future in zip(sources, waiting, strict=True):
            try:
                yield future.result()
            except (ProcessExpired, TimeoutError) as error:
                # A decoder that falls over a damaged file takes its process along, not the others.
                _LOG.warning("%s: %s", source.paths[0], error)
                yield _without(f"crashed: {error}") if function is _fingerprint else f"!{source.paths[0]}: {error}"
            advance()


def _without(note: str) -> bytes:
    return Fingerprint.nothing(note).to_bytes()


class _Store:
    """Fingerprints in one SQLite file; where it cannot be opened or written, nothing is kept, with a warning."""

    def __init__(self, folder: Path | None):
        self._file: sqlite3.Connection | None = None
        self._unsaved = 0
        if folder is None:
            return
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._file = sqlite3.connect(folder / "fingerprints.sqlite", timeout=30)
            self._file.execute("CREATE TABLE IF NOT EXISTS fingerprints (key TEXT PRIMARY KEY, content BLOB)")
        except (OSError, sqlite3.Error) as error:
            self._give_up(error)

    def get(self, key: tuple) -> Fingerprint | None:
        if self._file is None:
            return None
        try:
            row = self._file.execute("SELECT content FROM fingerprints WHERE key = ?", (_name(key),)).fetchone()
            return Fingerprint.from_bytes(row[0]) if row else None
        except ValueError:  # cut off; it is computed again
            return None
        except sqlite3.Error as error:
            self._give_up(error)
            return None

    def put(self, key: tuple, content: bytes) -> None:
        if self._file is None:
            return
        try:
            self._file.execute("INSERT OR REPLACE INTO fingerprints VALUES (?, ?)", (_name(key), content))
            self._unsaved += 1
            if self._unsaved % 256 == 0:
                self._file.commit()
        except sqlite3.Error as error:
            self._give_up(error)

    def close(self) -> None:
        if self._file is None:
            return
        try:
            self._file.commit()
            self._file.close()
        except sqlite3.Error as error:
            self._give_up(error)

    def _give_up(self, error: Exception) -> None:
        _LOG.warning("fingerprints are not kept: %s; give another --cache", error)
        self._file = None


def _name(key: tuple) -> str:
    return ":".join(map(str, (VERSION, *key)))
