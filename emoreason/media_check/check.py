"""All media that records name, decoded in worker processes that a file can crash or hang, and what is wrong with each.

Nothing that is found depends on the number of workers.
"""

import multiprocessing
import os
import threading
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pebble import ProcessExpired, ProcessPool

from emoreason.faults import raise_faults
from emoreason.files import sha256
from emoreason.media_check.cache import MediaCache
from emoreason.media_check.findings import Finding, Place, findings, record_findings
from emoreason.media_check.probe import Found, Looked, State, identify, look
from emoreason.recipe import MediaSettings
from emoreason.record_media import LOOKS, RecordMedia
from emoreason.records import stream_records

WAITING_PER_WORKER = 64
"""Files that are handed out at once, so that what waits does not grow with the records."""


@dataclass
class Checked:
    """One records file."""

    path: Path
    digest: str
    num_records: int = 0
    num_readable: int = 0
    """Records all of whose media training reads."""


@dataclass
class MediaCheck:
    """What the check has found, in the order of the records."""

    records: list[Checked]
    limits: MediaSettings
    files: dict[Place, tuple[str | None, Found]] = field(default_factory=dict)
    """{place: (SHA-256, what is in it)}"""
    findings: list[Finding] = field(default_factory=list)
    num_cached: int = 0
    num_looked: int = 0
    """Looks at files, of which `num_cached` came from the cache; a clip whose sound track is heard is looked at once."""

    @property
    def refused(self) -> dict[Place, str]:
        """{place: the reason of its first fault}"""
        reasons: dict[Place, str] = {}
        for finding in self.findings:
            if finding.is_fault:
                reasons.setdefault(finding.place, finding.reason)
        return reasons

    def allow_rows(self) -> Iterator[dict[str, Any]]:
        """The lines of an allow-list."""
        refused, digests = self.refused, {checked.path: checked.digest for checked in self.records}
        for place, (content, _) in self.files.items():
            row = {"records": digests[place.records], "path": place.use.path, "role": place.use.role, "sha256": content}
            yield row | ({"refused": refused[place]} if place in refused else {})


@dataclass(frozen=True)
class Options:
    """How to look."""

    limits: MediaSettings
    workers: int = 1
    deadline_s: float = 600.0
    count_faces: bool = False


def check_media(records_paths: list[Path], cache: MediaCache, options: Options, done: Callable[[str, int, int], None]) -> MediaCheck:
    """Decode every file that the records name; `done(what, number, of all)` is told of progress.

    Raises:
        UserError: faults of the records files, or a cache that cannot be written.
    """
    named = _read_all(records_paths)
    check = MediaCheck([Checked(path, sha256(path), len(records)) for path, records in named.items()], options.limits)
    first: dict[Place, str] = {}
    for path, records in named.items():
        for record in records:
            for use in record.uses:
                first.setdefault(Place(path, use), record.id)
    wanted = dict.fromkeys((place.path, LOOKS[place.use.role]) for place in first)
    found = _look_at_all(list(wanted), cache, options, check, done)
    for place in first:
        check.files[place] = found[place.path, LOOKS[place.use.role]]
    check.findings = _all_findings(first, named, check)
    refused = check.refused
    for checked in check.records:
        checked.num_readable = sum(all(Place(checked.path, use) not in refused for use in record.uses) for record in named[checked.path])
    return check


def _read_all(records_paths: list[Path]) -> dict[Path, list[RecordMedia]]:
    faults: list[str] = []
    named = {path: [RecordMedia.of(record) for record in stream_records(path, faults)] for path in dict.fromkeys(records_paths)}
    raise_faults(faults)
    return named


def _all_findings(first: dict[Place, str], named: dict[Path, list[RecordMedia]], check: MediaCheck) -> list[Finding]:
    """By file, in the order of the records, each once."""
    contents = {place: found for place, (_, found) in check.files.items()}
    made = [one for place, record_id in first.items() for one in findings(place, contents[place], check.limits, record_id)]
    for path, records in named.items():
        for record in records:
            made += record_findings(record, path, contents, check.limits)
    unique: dict[tuple[Place, str, str], Finding] = {}
    for finding in made:
        unique.setdefault((finding.place, finding.reason, finding.text), finding)
    order = {place: number for number, place in enumerate(first)}
    return sorted(unique.values(), key=lambda finding: order[finding.place])


# Looking.


def _look_at_all(
    wanted: list[tuple[Path, str]], cache: MediaCache, options: Options, check: MediaCheck, done: Callable[[str, int, int], None]
) -> dict[tuple[Path, str], tuple[str | None, Found]]:
    """{(path, look): (SHA-256, what is in it)}; from the cache where the file is as it was, or its bytes are known."""
    names = {one: f"{one[1]} with faces" if options.count_faces else one[1] for one in wanted}
    known: dict[Path, str | None] = {path: cache.digest(path) for path, _ in wanted}
    if not cache.is_empty:
        unknown = [path for path, content in known.items() if content is None]
        states = in_workers(identify, [(path,) for path in unknown], options, lambda number: done("hashing", number, len(unknown)))
        for path, state in zip(unknown, states, strict=True):
            if isinstance(state, State):
                known[path] = state.digest
                cache.add_state(path, state)
    found = {one: (known[one[0]], kept) for one in wanted if (kept := cache.found(known[one[0]], names[one]))}
    check.num_cached, check.num_looked = len(found), len(wanted)
    waiting = [one for one in wanted if one not in found]
    tasks = [(path, kind, options.count_faces, options.limits.max_megabytes) for path, kind in waiting]
    done("decoding", len(found), len(wanted))
    looks = in_workers(look, tasks, options, lambda number: done("decoding", len(found) + number, len(wanted)))
    made = {}
    try:
        for one, looked in zip(waiting, looks, strict=True):
            if not isinstance(looked, Looked):
                looked = Looked(None, 0, 0, looked)
            cache.add(one[0], names[one], looked)
            made[one] = (looked.digest, looked.found)
    finally:  # the same command goes on from here
        cache.write()
    return found | made


def in_workers(function: Callable, tasks: list[tuple], options: Options, done: Callable[[int], None]) -> Iterator[Any]:
    """The results in the order of the tasks; for one that crashed its worker or took too long, a `Found` that says so."""
    if not tasks:
        return
    spawn = multiprocessing.get_context("spawn")
    with ProcessPool(max_workers=min(options.workers, len(tasks)), context=spawn, initializer=_end_with_parent) as pool:
        try:
            running, ended = deque(), 0
            for task in [*tasks, None]:
                if task is not None:
                    running.append(pool.schedule(function, args=task, timeout=options.deadline_s))
                while running and (task is None or len(running) >= WAITING_PER_WORKER * options.workers):
                    yield _result(running.popleft(), options.deadline_s)
                    ended += 1
                    done(ended)
        except BaseException:
            pool.stop()
            raise


def _result(future: Any, deadline_s: float) -> Any:
    try:
        return future.result()
    except FutureTimeoutError:
        return Found(problem=f"took longer than {deadline_s:g} s; look at the file, or raise --deadline-s", reason="took too long")
    except ProcessExpired as error:
        return Found(problem=f"ended the process that decoded it (exit code {error.exitcode}); look at the file, and make it again",
                     reason="crashed the decoder")  # fmt: skip


def _end_with_parent() -> None:
    """End this worker with the process that started it, however that went."""
    parent = multiprocessing.parent_process()

    def wait() -> None:
        parent.join()
        os._exit(0)

    threading.Thread(target=wait, daemon=True).start()
