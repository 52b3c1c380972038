"""Which media files a record names, and as what each is read."""

from collections.abc import Iterator
from pathlib import PurePosixPath
from typing import Literal, NamedTuple

from emoreason.records import Record

Role = Literal["picture", "frame", "clip", "sound track", "sound"]
LOOKS: dict[str, Literal["picture", "clip", "sound"]] = {
    "picture": "picture", "frame": "picture", "clip": "clip", "sound track": "clip", "sound": "sound",
}  # fmt: skip
"""How a file in a role is decoded."""


class Use(NamedTuple):
    """One file in one role; the path is relative to the records file."""

    path: str
    role: Role


class RecordMedia(NamedTuple):
    """What of a record its media are judged by; much smaller than the record."""

    id: str
    uses: tuple[Use, ...]
    """Each once, in the order of the prompt."""
    frame_lists: tuple[tuple[tuple[Use, ...], float], ...]
    """(the frames of a clip that is kept as pictures, how many of them stand for a second)"""
    person: tuple[float, float, float, float] | None

    @classmethod
    def of(cls, record: Record) -> "RecordMedia":
        return cls(record.id, tuple(dict.fromkeys(media_uses(record))), tuple(_frame_lists(record)), record.person)


def media_uses(record: Record) -> Iterator[Use]:
    """Every file of the record, also of what its preference rejects, in the order of the prompt; the sound track of a clip by itself."""
    for media in (record.media, record.preference and record.preference.rejected_media):
        if media is None:
            continue
        named = [("picture", name) for name in media.images] + [("clip", media.video)] + [("frame", name) for name in media.frames]
        if media.audio_in_video:
            named.append(("sound", media.sound_track) if media.sound_track else ("sound track", media.video))
        named.append(("sound", media.audio))
        yield from (Use(str(PurePosixPath(name)), role) for role, name in named if name)


def _frame_lists(record: Record) -> Iterator[tuple[tuple[Use, ...], float]]:
    for media in (record.media, record.preference and record.preference.rejected_media):
        if media and media.frames:
            yield tuple(Use(str(PurePosixPath(name)), "frame") for name in media.frames), media.frames_fps
