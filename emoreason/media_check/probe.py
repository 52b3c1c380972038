"""What one media file holds, found by decoding all of it, a piece at a time: what a worker of `emoreason media` does.

Nothing here knows records or limits, so that what was found can be kept by the content of the file.
"""

import functools
import importlib.metadata
import os
import stat
import unicodedata
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import ExifTags, Image

from emoreason.decoding import GET_AGAIN, check_file
from emoreason.faults import UserError
from emoreason.files import sha256
from emoreason.media import load_picture
from emoreason.media_check.clips import read_whole_clip
from emoreason.media_check.faces import FaceCount
from emoreason.media_check.sounds import Sound, read_sound_file, read_sound_track

Kind = Literal["picture", "clip", "sound"]
MADE_BY = " ".join(["1", *(f"{name} {importlib.metadata.version(name)}" for name in ("av", "pillow", "soundfile"))])
"""What else the findings depend on; the first number rises when this module finds other things."""
TURNS = {3: 180, 4: 180, 5: 270, 6: 270, 7: 90, 8: 90}
"""{EXIF orientation: degrees counterclockwise}; even ones, and 7, are mirrored besides."""
REASONS = {
    "more than media.max_megabytes": "too large", "no such": "missing", "not a file": "not a file", "cannot be read:": "unreadable",
    "the file is empty": "zero bytes", "pointer of Git LFS": "LFS pointer", "breaks off": "truncated", "truncated": "truncated",
    "Truncated": "truncated", "damaged": "damaged", "not a picture": "other kind", "not a clip": "other kind", "not a sound": "other kind",
    "pixels": "unfit pixels", "changes its channels": "sound changes",
}  # fmt: skip
"""{words of a fault: the short name of its reason}; the first that fits, else `damaged`."""


@dataclass(frozen=True, slots=True)
class Found:
    """What a file holds; what does not apply is None."""

    problem: str | None = None
    """Why it cannot be read, and what to do."""
    reason: str | None = None
    """The same in a word or two."""
    num_bytes: int = 0
    format: str | None = None
    """By Pillow or FFmpeg."""
    width: int | None = None
    """Upright."""
    height: int | None = None
    rotation: int = 0
    """Degrees counterclockwise by which EXIF data or a display matrix turn it upright."""
    num_frames: int | None = None
    seconds: float | None = None
    """Of frames or samples that were decoded."""
    stated_seconds: float | None = None
    """What the header says of the whole."""
    fps: float | None = None
    sound: Sound | None = None
    faces: float | None = None
    """Faces in a picture; of a clip the share of looked at frames that have one."""

    def row(self) -> dict[str, Any]:
        """As JSON, without what is at its default."""
        return {one.name: value for one, value in zip(fields(self), asdict(self).values(), strict=True) if value != one.default}

    @classmethod
    def of_row(cls, row: dict[str, Any]) -> "Found":
        """The inverse of `row`.

        Raises:
            TypeError: it holds other fields.
        """
        sound = row.get("sound")
        return cls(**{**row, "sound": Sound(**sound) if sound else None})


@dataclass(frozen=True)
class Looked:
    """A file at one moment; `digest` is the hex SHA-256 of its bytes, None where it cannot be read at all."""

    digest: str | None
    num_bytes: int
    mtime_ns: int
    found: Found


class State(NamedTuple):
    """A file at one moment."""

    num_bytes: int
    mtime_ns: int
    digest: str
    """Hex SHA-256."""


def identify(path: Path) -> State | None:
    """The state of a file, or None where there is no such file."""
    try:
        status = path.stat()
        return State(status.st_size, status.st_mtime_ns, sha256(path)) if stat.S_ISREG(status.st_mode) else None
    except (OSError, ValueError):  # the latter over a NUL in the name
        return None


def look(path: Path, kind: Kind, count_faces: bool, max_megabytes: float) -> Looked:
    """Decode the whole file as a picture, clip or sound. What is wrong with it is in the result; nothing is raised over a file."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):  # a pipe would be waited for
            raise UserError(f"{path}: a folder or device, not a file")
        if status.st_size > max_megabytes * 1e6:
            raise UserError(f"{path}: {status.st_size / 1e6:.1f} MB, more than media.max_megabytes {max_megabytes:g}")
        check_file(path, kind)
    except UserError as error:
        return Looked(None, status.st_size, status.st_mtime_ns, _failed(_of_file(error, path), status.st_size))
    except OSError as error:
        absent = isinstance(error, FileNotFoundError | NotADirectoryError)
        said = f"no such {kind}{_near_name(path)}" if absent else f"cannot be read: {error.strerror or error}"
        return Looked(None, 0, 0, _failed(said, 0))
    except ValueError:  # over a NUL
        return Looked(None, 0, 0, _failed(f"no such {kind}: no file can have that name", 0))
    try:
        content = sha256(path)
        found = replace(_LOOKS[kind](path, FaceCount() if count_faces else None), num_bytes=status.st_size)
    except UserError as error:
        found = _failed(_of_file(error, path), status.st_size)
    except MemoryError:
        return Looked(None, status.st_size, status.st_mtime_ns, _failed("damaged, or too much for this machine's memory", status.st_size))
    except Exception as error:  # noqa: BLE001 -- whatever a decoder raises over a file is a finding about that file
        found = _failed(f"damaged: {type(error).__name__}: {str(error)[:200]}; {GET_AGAIN}", status.st_size)
    finally:
        load_picture.cache_clear()
    return Looked(content, status.st_size, status.st_mtime_ns, found)


def _of_file(error: UserError, path: Path) -> str:
    return error.faults[0].removeprefix(f"{path}: ")


def _failed(problem: str, num_bytes: int) -> Found:
    reason = next((name for words, name in REASONS.items() if words in problem), "damaged")
    return Found(problem=problem, reason=reason, num_bytes=num_bytes)


def _near_name(path: Path) -> str:
    """`; NAME is there, ...` where only the case or the Unicode form of the name differs, as it does between systems."""
    near = _names(path.parent).get(_folded(path.name))
    return f"; {near!r} is there, whose letters differ in case or Unicode form; rename it" if near else ""


@functools.lru_cache(maxsize=1)
def _names(folder: Path) -> dict[str, str]:
    try:
        return {_folded(name): name for name in sorted(os.listdir(folder))}
    except OSError:
        return {}


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


# Pictures.


def _look_at_picture(path: Path, faces: FaceCount | None) -> Found:
    image = load_picture(path)
    with Image.open(path) as header:
        name = header.format
        orientation = header.getexif().get(ExifTags.Base.Orientation)
    if faces:
        faces.add(np.asarray(image))
    return Found(format=name, width=image.width, height=image.height, rotation=TURNS.get(orientation, 0), faces=faces and faces.most)


# Clips.


def _look_at_clip(path: Path, faces: FaceCount | None) -> Found:
    clip = read_whole_clip(path, faces)
    return Found(format=clip.format, width=clip.width, height=clip.height, rotation=clip.rotation, num_frames=clip.num_frames, seconds=clip.seconds,
                 stated_seconds=clip.stated_seconds, fps=clip.fps, sound=read_sound_track(path) if clip.has_sound else None,
                 faces=faces and faces.share)  # fmt: skip


# Sounds.


def _look_at_sound(path: Path, faces: FaceCount | None) -> Found:
    name, stated, sound = read_sound_file(path)
    return Found(format=name, seconds=sound.seconds, stated_seconds=stated, sound=sound)


_LOOKS = {"picture": _look_at_picture, "clip": _look_at_clip, "sound": _look_at_sound}
