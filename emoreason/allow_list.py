"""The media that `emoreason media` has found readable, and the records of a data source that need no others.

The first line is `{"allow_list": 1, "made_for": {SHA-256 of a records file: its path}, "limits": {...}}`; then a line for each file and role:
`{"records": SHA-256, "path", "role", "sha256"}`, the path relative to the records file, with `"refused": REASON` where training does not read it.
"""

import logging
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from emoreason import ranks
from emoreason.faults import UserError, raise_faults
from emoreason.files import read_jsonl, sha256, write_jsonl
from emoreason.recipe import DataSource
from emoreason.record_media import RecordMedia, Use, media_uses
from emoreason.records import Record, read_records

VERSION = 1
_LOG = logging.getLogger("emoreason")


@dataclass(frozen=True)
class Selection:
    """The records of a data source that training reads, in file order."""

    source: DataSource
    records: list[Record]
    num_left_out: dict[str, int] = field(default_factory=dict)
    """{reason: records left out for it}; a record counts under each of its reasons."""
    num_all: int = 0
    digests: dict[str, str] = field(default_factory=dict)
    """{media path: its SHA-256 when it was checked} of the records that stay."""

    @property
    def told(self) -> str:
        """How many are left out and why, in a line; empty where none is, or no list is given."""
        if len(self.records) == self.num_all:
            return ""
        reasons = ", ".join(f"{reason} {count}" for reason, count in self.num_left_out.items())
        return (f"{self.source.path}: {self.num_all - len(self.records)} of {self.num_all} records are left out, whose media "
                f"{self.source.allow} refuses ({reasons})")  # fmt: skip


def write_allow_list(path: Path, made_for: dict[str, str], limits: dict[str, float], rows: Iterable[dict[str, Any]]) -> None:
    """Write the list; `rows` as the module says."""
    write_jsonl(path, [{"allow_list": VERSION, "made_for": made_for, "limits": limits}, *rows])


def read_source(source: DataSource) -> Selection:
    """The records of a data source: all, or with an allow-list those all of whose media are on it. What is left out is logged once.

    Raises:
        UserError: faults of the records; a list that was made for other records, that does not cover these, or that leaves none.
    """
    records = read_records(Path(source.path))
    if source.allow is None:
        return Selection(source, records, num_all=len(records))
    known = _read_list(Path(source.allow), Path(source.path))
    kept, reasons, missing = [], Counter(), []
    for record in records:
        uses = RecordMedia.of(record).uses
        missing += [use for use in uses if use not in known]
        refused = {known[use]["refused"] for use in uses if use in known and known[use].get("refused")}
        reasons.update(sorted(refused))
        if not refused:
            kept.append(record)
    again = f"make it again: emoreason media {source.path} --out {source.allow}"
    if missing:
        raise UserError(f"{source.allow}: does not cover {source.path}: {len(missing)} media are missing from it, the first {missing[0].path!r} as "
                        f"{missing[0].role}; {again}")
    if not kept:
        told = ", ".join(f"{reason} {count}" for reason, count in reasons.most_common())
        raise UserError(f"{source.allow}: refuses media of every record of {source.path} ({told}), so none is left; mend the files and {again}")
    digests = {use.path: known[use]["sha256"] for record in kept for use in media_uses(record)}
    selection = Selection(source, kept, dict(sorted(reasons.items(), key=lambda one: (-one[1], one[0]))), len(records), digests)
    if selection.told and ranks.rank() == 0:
        _tell(selection.told)
    return selection


@cache
def _tell(text: str) -> None:
    """Once, though a stage reads its sources more often."""
    _LOG.warning(text)


def changed_media(selection: Selection) -> list[str]:
    """A fault for each file that is not what was checked any more; all of them are hashed."""
    faults = []
    for name, digest in selection.digests.items():
        path = Path(selection.source.path).parent / name
        try:
            same = sha256(path) == digest
        except OSError:
            continue  # who decodes it says more
        if not same:
            faults.append(f"{path}: is another file than the one that {selection.source.allow} allows; run: emoreason media "
                          f"{selection.source.path} --out {selection.source.allow}")  # fmt: skip
    return faults


def _read_list(path: Path, records_path: Path) -> dict[Use, dict[str, Any]]:
    """The lines about the media of one records file."""
    digest, faults, found = sha256(records_path), [], {}
    rows = read_jsonl(path, faults)
    _, head = next(rows, (0, {}))
    raise_faults(faults)
    made_for = head.get("made_for")
    if head.get("allow_list") != VERSION or not isinstance(made_for, dict):
        raise UserError(f"{path}: no allow-list of version {VERSION}; make one: emoreason media {records_path} --out {path}")
    if digest not in made_for:
        others = ", ".join(f"{name} with SHA-256 {known[:12]}" for known, name in made_for.items())
        raise UserError(f"{path}: was made for {others}, not for {records_path} with SHA-256 {digest[:12]}; make it again: "
                        f"emoreason media {records_path} --out {path}")  # fmt: skip
    for line, row in rows:
        if not all(isinstance(row.get(key), str) for key in ("records", "path", "role")) or not (row.get("refused") or row.get("sha256")):
            faults.append(f"{path}:{line}: no line of an allow-list; accepted: records, path, role, and sha256 or refused")
        elif row["records"] == digest:
            found[Use(row["path"], row["role"])] = row
    raise_faults(faults)
    return found
