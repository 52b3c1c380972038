"""What is wrong with media, or worth knowing of them, by what was found in them.

A fault is what training refuses under these limits; a note is for somebody to decide.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from emoreason.decoding import MAX_PEAK, MIN_SOUND_SECONDS, SILENCE, STATES_LENGTH
from emoreason.media_check.probe import Found
from emoreason.recipe import MediaSettings
from emoreason.record_media import RecordMedia, Use

MAX_CLIPPED = 0.001
"""Share of samples at full scale above which a sound is noted."""
SUFFIXES = {
    "mov,mp4,m4a,3gp,3g2,mj2": "mp4 m4v m4a mov 3gp 3g2", "matroska,webm": "mkv mka webm", "avi": "avi", "wav": "wav wave", "flac": "flac",
    "ogg": "ogg oga ogv opus", "mp3": "mp3", "aac": "aac", "flv": "flv", "mpegts": "ts mts m2ts", "mpeg": "mpg mpeg", "asf": "wmv wma asf",
    "aiff": "aif aiff", "gif": "gif",
}  # fmt: skip
_FORMATS = {f".{suffix}": name for name, suffixes in SUFFIXES.items() for suffix in suffixes.split()}
HEADERS_STATE_LENGTH = (*STATES_LENGTH, "avi", "wav", "flac", "ogg")
"""Of other formats FFmpeg guesses the duration from the bit rate."""


class Place(NamedTuple):
    """A file in a role, of one records file."""

    records: Path
    use: Use

    @property
    def path(self) -> Path:
        return self.records.parent / self.use.path


@dataclass(frozen=True)
class Finding:
    """One thing about one file."""

    place: Place
    reason: str
    text: str
    is_fault: bool
    record: str
    """The first record that has it."""


def findings(place: Place, found: Found, limits: MediaSettings, record_id: str) -> Iterator[Finding]:
    """What is wrong with a file in a role, by what was found in it; after what keeps it from being read there is no more to say."""
    for reason, text, is_fault in _judged(place, found, limits):
        yield Finding(place, reason, text, is_fault, record_id)


def _judged(place: Place, found: Found, limits: MediaSettings) -> Iterator[tuple[str, str, bool]]:
    """(reason, text, whether training refuses it)"""
    if found.problem:
        yield found.reason, found.problem, True
        return
    if found.num_bytes > limits.max_megabytes * 1e6:
        yield "too large", f"{found.num_bytes / 1e6:.1f} MB, more than {limits.max_megabytes:g}", True
    role = place.use.role
    if role == "sound track" and found.sound is None:
        yield "no sound", "the record has audio_in_video, but the clip has no sound track; set it to false, or give the sound under audio", True
    if found.sound and role != "clip":
        yield from _judged_sound(found.sound.problem, found, limits)
    if role == "sound track":
        return  # the rest is said of the clip
    if role == "clip":
        yield from _judged_clip(found, limits)
    if found.rotation:
        yield "rotated", f"stored turned by {found.rotation} degrees; it is read upright, {found.width} x {found.height}", False
    yield from _judged_name(place.path, found)
    if found.stated_seconds and found.seconds and found.format in HEADERS_STATE_LENGTH:
        longest = max(found.seconds, found.sound.seconds if found.sound else 0)
        if abs(found.stated_seconds - longest) > max(0.5, 0.05 * found.stated_seconds):
            yield "duration", f"the header says {found.stated_seconds:.1f} s, {longest:.1f} s were decoded", False
    if found.faces == 0:
        yield "no face", "no face was found by a quick look", False


def _judged_clip(found: Found, limits: MediaSettings) -> Iterator[tuple[str, str, bool]]:
    if found.seconds and found.seconds > limits.max_seconds:
        yield "too long", f"{found.seconds:.1f} s, more than {limits.max_seconds:g}; cut it", True
    sound = found.sound
    if sound and (sound.problem or (sound.is_finite and sound.peak < SILENCE)):
        yield "silent sound track", f"its sound track {f'cannot be read: {sound.problem}' if sound.problem else 'is silent'}", False


def _judged_sound(problem: str | None, found: Found, limits: MediaSettings) -> Iterator[tuple[str, str, bool]]:
    sound = found.sound
    if problem:
        yield "damaged sound track", problem, True
        return
    if sound.seconds > limits.max_seconds:
        yield "too long", f"{sound.seconds:.1f} s of sound, more than {limits.max_seconds:g}; cut it", True
    if sound.seconds < MIN_SOUND_SECONDS:
        yield "too short", f"{sound.seconds:.3f} s of sound, less than {MIN_SOUND_SECONDS:g}", True
    elif not sound.is_finite:
        yield "not finite", "holds samples that are no numbers (NaN or infinite); save it again", True
    elif sound.peak < SILENCE:
        yield "silent", f"the sound is silent: its peak is {sound.peak:.1e} of full scale", True
    elif sound.peak > MAX_PEAK:
        yield "not scaled", f"samples reach {sound.peak:g} where 1 is full scale; divide them by their scale and save it again", True
    if sound.is_finite and sound.clipped > MAX_CLIPPED and sound.peak <= MAX_PEAK:
        yield "clipped", f"{100 * sound.clipped:.1f} % of its samples are at full scale", False


def _judged_name(path: Path, found: Found) -> Iterator[tuple[str, str, bool]]:
    suffix = path.suffix.lower()
    meant = _FORMATS.get(suffix) if found.sound or found.num_frames else Image.registered_extensions().get(suffix)
    other = "a picture" if suffix in Image.registered_extensions() else "a clip or sound" if suffix in _FORMATS else None
    if meant is None and other:
        yield "extension", f"the name says {other}, the content is {found.format}", False
    elif meant and meant != found.format and (meant, found.format) != ("JPEG", "MPO"):
        yield "extension", f"the name says {meant.split(',')[0]}, the content is {found.format}", False


def record_findings(record: RecordMedia, path: Path, found: dict[Place, Found], limits: MediaSettings) -> Iterator[Finding]:
    """What shows only where files stand together: frames of other sizes, too many of them, and a box beside its picture."""
    for frames, fps in record.frame_lists:
        places = [Place(path, use) for use in frames]
        if len(frames) / fps > limits.max_seconds:
            yield Finding(places[0], "too long", f"{len(frames)} frames at {fps:g} a second are {len(frames) / fps:.1f} s, more than "
                          f"{limits.max_seconds:g}", True, record.id)  # fmt: skip
        sizes = [(found[place].width, found[place].height) for place in places]
        for place, size in zip(places, sizes, strict=True):
            if None not in (*size, *sizes[0]) and size != sizes[0]:
                yield Finding(place, "frame size", f"{size[0]} x {size[1]} pixels where the first frame has {sizes[0][0]} x {sizes[0][1]}; "
                              "frames of a clip have one size", True, record.id)  # fmt: skip
    shown = [use for use in record.uses if use.role in ("picture", "frame", "clip")]
    if record.person and shown:
        place, (_, _, right, bottom) = Place(path, shown[0]), record.person
        width, height = found[place].width, found[place].height
        if width and (right > width or bottom > height):
            text = f"the box {list(record.person)} of the person reaches out of {width} x {height} pixels"
            yield Finding(place, "box", text, False, record.id)
