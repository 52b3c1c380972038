"""The media of a data set: found by the names that annotation gives them, within one folder that no link leaves."""

import os
import unicodedata
from collections import OrderedDict
from pathlib import Path

from emoreason.conversion.faults import BadRow
from emoreason.conversion.inspection import POINTER_BYTES, is_pointer
from emoreason.faults import UserError

VIDEO_ENDINGS = ("mp4", "avi", "mkv", "mov", "webm", "flv", "m4v", "mpg")
AUDIO_ENDINGS = ("wav", "flac", "mp3", "m4a", "ogg", "opus")
IMAGE_ENDINGS = ("jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff")
ENDINGS = {"video": VIDEO_ENDINGS, "audio": AUDIO_ENDINGS, "image": IMAGE_ENDINGS}
_KEPT_FOLDERS = 512
"""Listings that are remembered; a set that has a folder a clip does not fill the memory."""


class MediaFolder:
    """A folder of pictures, clips and sounds. Each folder below it is listed once, however many files are asked for."""

    def __init__(self, root: Path):
        self.root = root
        self._listings: OrderedDict[str, dict[str, str] | None] = OrderedDict()

    def find(self, candidate: str, kind: str) -> str | None:
        """The path as it is on the disk, or None. Letters' case and Unicode form may differ; without an ending, any of this kind of medium."""
        folder, _, last = candidate.rpartition("/")
        listing = self._listing(folder)
        if listing is None:
            return None
        ending = last.rpartition(".")[2].lower() if "." in last else ""
        names = [last] if ending in ENDINGS[kind] else [last, *(f"{last}.{ending}" for ending in ENDINGS[kind])]
        for name in names:
            found = listing.get(name) or listing.get(_folded(name))
            if found:
                return f"{folder}/{found}" if folder else found
        return None

    def _listing(self, folder: str) -> dict[str, str] | None:
        """{name, and name in one case and form: name on the disk} of the files in a folder; None where there is no such folder."""
        if folder in self._listings:
            self._listings.move_to_end(folder)
            return self._listings[folder]
        path = self.root / folder
        listing: dict[str, str] | None = None
        if os.path.isdir(path):
            check_inside(path, self.root)
            listing = {}
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir():
                        continue
                    if entry.is_symlink():
                        check_inside(path / entry.name, self.root)
                    name, folded = entry.name, _folded(entry.name)
                    known = listing.get(folded)
                    if known is None or (known != folded and name < known):  # of names that differ in case alone, always the same one
                        listing[folded] = name
                    listing[name] = name
        self._listings[folder] = listing
        if len(self._listings) > _KEPT_FOLDERS:
            self._listings.popitem(last=False)
        return listing

    def check(self, found: str, kind: str) -> None:
        """Refuse a file that is gone, empty, or a pointer.

        Raises:
            BadRow: it is.
        """
        path = f"{self.root}/{found}"  # pathlib would take most of the time
        try:
            size = os.stat(path).st_size
        except OSError as error:  # gone since its folder was listed, or a link that leads nowhere
            raise BadRow(f"{kind} cannot be read", f"{found}: {error.strerror or error}") from error
        if size == 0:
            raise BadRow(f"{kind} is empty", f"{found}: the file is empty; copy or download it again")
        if size < POINTER_BYTES and is_pointer(Path(path)):
            raise BadRow(f"{kind} is a Git LFS pointer", f"{found}: a pointer of Git LFS, not the {kind} itself; fetch it: git lfs pull")


def check_inside(path: Path, folder: Path) -> None:
    """Refuse a path that a link leads out of the folder.

    Raises:
        UserError: it does.
    """
    if not path.resolve().is_relative_to(folder.resolve()):
        raise UserError(f"{path}: a link that leads out of {folder}; give the folder that it leads to with --media, or copy what it names")


def _folded(name: str) -> str:
    return name.lower() if name.isascii() else unicodedata.normalize("NFC", name).casefold()
