"""Records read one by one, for files that are larger than memory."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

from emoreason.exports.files import missing
from emoreason.exports.samples import media_files
from emoreason.faults import UserError, raise_faults
from emoreason.records import Record
from emoreason.schema import describe, dotted

MAX_FAULTS = 100
Progress = Callable[[int, int], None]
"""Called with the characters that are read, and the bytes of the file."""


def checked_records(path: Path, progress: Progress = lambda done, total: None) -> Iterator[Record]:
    """Every record; the faults of all, and media that are not there, are raised after the last one."""
    faults: list[str] = []
    for record in stream_records(path, faults, progress):
        others = record.preference.rejected_media if record.preference else None
        files = [*media_files(record.media), *(media_files(others) if others else ())]
        names = list(dict.fromkeys(name for one in files for name in (*one.paths, *([one.sound] if one.sound else []))))
        faults += [f"{path}: record {record.id!r}: {path.parent / name}: no such file" for name in missing(path.parent, names)]
        if len(faults) > MAX_FAULTS:
            raise UserError([*faults[:MAX_FAULTS], f"{path}: and perhaps more; these are the first {MAX_FAULTS}"])
        yield record
    raise_faults(faults)


def stream_records(path: Path, faults: list[str], progress: Progress = lambda done, total: None) -> Iterator[Record]:
    """Records one by one, as `records.read_records` reads them all; of those before it only the ids are kept."""
    total, done, lines_of = path.stat().st_size, 0, {}
    try:
        with path.open(encoding="utf-8-sig", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                done += len(line)
                progress(done, total)
                record = _read_line(line.removesuffix("\n"), f"{path}:{number}", faults) if line.strip() else None
                if record is None:
                    continue
                if record.id in lines_of:
                    faults.append(f"{path}:{number}: record {record.id!r} stands on line {lines_of[record.id]} already; ids are unique")
                    continue
                lines_of[record.id] = number
                yield record
    except UnicodeDecodeError as error:
        faults.append(f"{path}: not UTF-8 text: {error}")
    except OSError as error:
        faults.append(f"{path}: cannot be read: {error.strerror}")
    if not lines_of and not faults:
        faults.append(f"{path}: holds no records")


def _read_line(line: str, where: str, faults: list[str]) -> Record | None:
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        faults.append(f"{where}: not JSON: {error.msg} at column {error.colno}")
        return None
    if not isinstance(value, dict):
        faults.append(f"{where}: a {type(value).__name__} where a JSON object is expected")
        return None
    try:
        return Record.model_validate(value)
    except ValidationError as error:
        start = f"{where}: record {value.get('id')!r}: "
        faults += [start + (f"{dotted(location)}: " if location else "") + text for location, text in describe(error, Record)]
        return None
