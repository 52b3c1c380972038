"""Records one by one, and whether their media are there."""

from collections.abc import Callable, Iterator
from pathlib import Path

from emoreason.exports.files import missing
from emoreason.exports.samples import media_files
from emoreason.faults import UserError, raise_faults
from emoreason.records import Record, stream_records

MAX_FAULTS = 100


def checked_records(path: Path, progress: Callable[[int], None] = lambda num_chars: None) -> Iterator[Record]:
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
