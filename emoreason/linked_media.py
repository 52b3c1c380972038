"""Records in another folder than their media: the paths start at a link, and stay inside the records' folder."""

import os
from pathlib import Path

from emoreason.faults import UserError
from emoreason.record_media import media_uses
from emoreason.records import Record


def linked(records: list[Record], source: Path, folder: Path) -> list[Record]:
    """The records, whose media lie in `source`, with paths for a records file in `folder`: see `link_to`.

    Beside their media, or without any, they stay as they are.

    Raises:
        UserError: see `link_to`.
    """
    if source.resolve() == folder.resolve() or not any(use for record in records for use in media_uses(record)):
        return records
    name = link_to(source, folder)
    return [record.below(name) for record in records]


def link_to(target: Path, folder: Path) -> str:
    """`media/0`, a link in the folder to where media lie, or the first number that is free, or the link that is there already.

    So the paths of records stay inside their folder; the way out is a link, and no file can ask for one.

    Raises:
        UserError: the file system has no links, the folder cannot be written, or its `media` is a link itself.
    """
    target, number = target.resolve(), 0
    if (folder / "media").is_symlink():
        raise UserError(f"{folder / 'media'}: a link to other media, where nothing is written; choose another folder")
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
