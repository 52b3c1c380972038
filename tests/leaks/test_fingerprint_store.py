"""Hashes and fingerprints of many files: the same from any number of processes, and from what was kept."""

import multiprocessing
import os
import signal
import sqlite3
from pathlib import Path

import pytest
from conftest import TINY

from emoreason.faults import UserError
from emoreason.files import sha256
from emoreason.leaks import store as fingerprint_store
from emoreason.leaks.fingerprints import Source
from emoreason.leaks.store import read_media

FACES = sorted((TINY / "data" / "images" / "noto").glob("*.png"))[:40]
SOURCES = [Source("picture", (path,)) for path in FACES]


class Told:
    def __init__(self) -> None:
        self.totals: dict[str, int] = {}
        self.done: dict[str, int] = {}

    def __call__(self, what: str, total: int):
        self.totals[what], self.done[what] = total, 0

        def advance() -> None:
            self.done[what] += 1

        return advance


def contents(found: dict) -> dict:
    return {source: (medium.digest, medium.fingerprint.to_bytes()) for source, medium in found.items()}


def test_any_number_of_workers_gives_the_same() -> None:
    told = Told()
    one, two = read_media(SOURCES, 1, None, told), read_media(SOURCES[::-1], 2, None, Told())
    assert contents(one) == contents(two) and len(one) == 40
    assert told.totals == told.done == {"hashing": 40, "fingerprints": 40}
    assert one[SOURCES[0]].digest == sha256(FACES[0])


def test_what_is_kept_is_not_computed_again_wherever_the_file_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_media(SOURCES[:8], 1, tmp_path / "cache", Told())
    copy = tmp_path / "elsewhere.png"
    copy.write_bytes(FACES[0].read_bytes())
    monkeypatch.setattr(Source, "fingerprint", lambda source: pytest.fail("computed again"))
    told = Told()
    again = read_media([*SOURCES[:8], Source("picture", (copy,))], 1, tmp_path / "cache", told)
    assert contents({source: again[source] for source in SOURCES[:8]}) == contents(first)
    assert again[Source("picture", (copy,))].fingerprint.to_bytes() == first[SOURCES[0]].fingerprint.to_bytes()
    assert told.totals == {"hashing": 9, "fingerprints": 0}


def test_a_file_under_two_names_is_read_once(tmp_path: Path) -> None:
    for name in ("a.png", "b.png"):
        (tmp_path / name).write_bytes(FACES[0].read_bytes())
    told = Told()
    read_media([Source("picture", (tmp_path / name,)) for name in ("a.png", "b.png")], 1, None, told)
    assert told.totals == {"hashing": 2, "fingerprints": 1}


def test_kept_rows_that_are_cut_or_of_another_version_are_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = read_media(SOURCES[:2], 1, tmp_path, Told())
    with sqlite3.connect(tmp_path / "fingerprints.sqlite") as file:
        file.execute("UPDATE fingerprints SET content = substr(content, 1, 50)")
    told = Told()
    assert contents(read_media(SOURCES[:2], 1, tmp_path, told)) == contents(first) and told.totals["fingerprints"] == 2
    monkeypatch.setattr(fingerprint_store, "VERSION", 2)
    read_media(SOURCES[:2], 1, tmp_path, told := Told())
    assert told.totals["fingerprints"] == 2


@pytest.mark.parametrize("kind", ["no database", "a file as folder"])
def test_where_nothing_can_be_kept_the_work_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture, kind: str) -> None:
    folder = tmp_path / "cache"
    if kind == "no database":
        folder.mkdir()
        (folder / "fingerprints.sqlite").write_bytes(b"no database" * 100)
    else:
        folder.write_bytes(b"")
    assert len(read_media(SOURCES[:2], 1, folder, Told())) == 2
    assert "fingerprints are not kept" in caplog.text


def test_every_file_that_is_missing_is_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")  # reading it would wait for ever
    odd = [tmp_path / name for name in ("0.png", "1.png", "a\0b.png", "half\ud800.png", "pipe", "")]
    with pytest.raises(UserError) as error:
        read_media([*SOURCES[:2], *(Source("picture", (path,)) for path in odd)], 1, None, Told())
    assert error.value.faults == [
        f"{odd[0]}: no such file", f"{odd[1]}: no such file", f"{str(odd[2])!r}: cannot be a file's name",
        f"{str(odd[3])!r}: cannot be a file's name", f"{odd[4]}: a folder or a pipe, not a file", f"{tmp_path}: a folder or a pipe, not a file",
    ]  # fmt: skip


def crash_over_the_third(source: Source) -> str:
    if source == SOURCES[2]:
        os.kill(os.getpid(), signal.SIGKILL)
    return source.paths[0].name


def test_a_decoder_that_takes_its_process_along_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    forked = multiprocessing.get_context("fork")  # which starts sooner
    monkeypatch.setattr(fingerprint_store.multiprocessing, "get_context", lambda kind: forked)
    told = Told()
    with fingerprint_store._Workers(2) as workers:
        found = list(workers.each(crash_over_the_third, SOURCES[:6], told("crashing", 6)))
    assert found[2].startswith(f"!{FACES[2]}: ") and [name for place, name in enumerate(found) if place != 2] == [
        path.name for place, path in enumerate(FACES[:6]) if place != 2
    ]
    assert told.done == {"crashing": 6}
