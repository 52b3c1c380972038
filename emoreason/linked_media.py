"""Records in another folder than their media: the paths start at a link, and stay inside the records' folder."""

import os
from pathlib import Path

from emoreason.faults import UserError
from emoreason.record_media import media_uses
from emoreason.records import Record


def linked(records: list[Record], source: Path, folder: Path) -> list[Record]:
    """The records, whose media lie in `source`, with paths for a records file in `folder`.

    Beside their media, or without any, they stay as they are. Elsewhere `folder/media/0` becomes a link to `source`, or the first number that
    is free, or the link that is there already.

    Raises:
        UserError: the file system has no links, or the folder cannot be written.
    """
    if source.resolve() == folder.resolve() or not any(use for record in records for use in media_uses(record)):
        return records
    name = _link(source.resolve(), folder)
    return [_below(record, name) for record in records]


def _link(target: Path, folder: Path) -> str:
    number = 0
    while os.path.lexists(link := folder / "media" / str(number)):
        if link.is_symlink() and link.resolve() == target:
            return f"media/{number}"
        number += 1
    try:
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(target, link.parent.resolve()), target_is_directory=True)
    except OSError as error:
        raise UserError(f"{link}: cannot link to {target}: {error.strerror or error}; write beside the records, {target}, "
                        "or where links can be made") from error  # fmt: skip
    return f"media/{number}"


def _below(record: Record, folder: str) -> Record:
    preference = record.preference
    if preference and preference.rejected_media:
        preference = preference.model_copy(update={"rejected_media": preference.rejected_media.below(folder)})
    return record.model_copy(update={"media": record.media.below(folder), "preference": preference})
