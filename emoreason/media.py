"""The media of a record, decoded, in the order of its prompt; what was decoded is kept while memory lasts."""

import functools
import hashlib
import math
import struct
import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from emoreason.decoding import check_file, check_shape, frame_size, other_kind, read_clip, read_sound, sampled_places
from emoreason.faults import UserError, raise_faults
from emoreason.recipe import MediaSettings
from emoreason.records import Record

CACHE_BYTES = 1 << 30
"""Of decoded media of all kinds; the least recently used go first."""

DAMAGED = (OSError, SyntaxError, ValueError, EOFError, IndexError, RuntimeError, struct.error, Image.DecompressionBombError)
"""What Pillow's readers raise over a file that breaks off or holds nonsense."""


@dataclass(frozen=True, eq=False)
class Medium:
    """A picture, a clip or a sound, decoded. Arrays are read-only, since the next reader may get the same ones."""

    kind: Literal["image", "video", "audio"]
    content: Any
    """A PIL image in RGB; uint8 (num_frames, height, width, 3), an even number of frames; or float32 (num_samples,) in [-1, 1]."""
    digest: str
    """Hex SHA-256 of kind, shape, content and timing."""
    fps: float | None = None
    """Video: frames of `content` for one second of the clip."""
    times: tuple[float, ...] = ()
    """Video: seconds at which each frame stands, counted from the first frame of the clip."""
    sample_rate: int | None = None
    in_video: bool = False
    """Audio: the sound track of the video before it, whose first sample is heard with its first frame."""

    @classmethod
    def of(cls, kind: Literal["image", "video", "audio"], content: Any, **timing: Any) -> "Medium":
        """The medium with its digest; `timing` is `fps` and `times` of a video, `sample_rate` of audio."""
        shape = content.size if kind == "image" else content.shape
        hashed = hashlib.sha256(repr((kind, shape, sorted(timing.items()))).encode())
        hashed.update(content.tobytes() if kind == "image" else np.ascontiguousarray(content))
        if kind != "image":
            content.setflags(write=False)
        return cls(kind, content, hashed.hexdigest(), **timing)


class DecodedCache:
    """Values by key, up to a number of bytes: the least recently used are dropped first. Several threads may use it."""

    def __init__(self, max_bytes: int):
        self.max_bytes, self.num_bytes = max_bytes, 0
        self._kept: OrderedDict[Hashable, tuple[Any, int]] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable) -> Any:
        """The value, or None."""
        with self._lock:
            if key not in self._kept:
                return None
            self._kept.move_to_end(key)
            return self._kept[key][0]

    def put(self, key: Hashable, value: Any, num_bytes: int) -> None:
        """Keep the value, unless it is larger than the whole cache."""
        with self._lock:
            if key in self._kept or num_bytes > self.max_bytes:
                return
            self._kept[key] = (value, num_bytes)
            self.num_bytes += num_bytes
            while self.num_bytes > self.max_bytes:
                self.num_bytes -= self._kept.popitem(last=False)[1][1]

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self.num_bytes = 0


_decoded = DecodedCache(CACHE_BYTES)


def _kept(*fields: str) -> Callable:
    """Decorates a loader of (path, settings, ...): it decodes once for each state of the file and of these fields of the settings."""

    def decorate(load: Callable) -> Callable:
        @functools.wraps(load)
        def loaded(path: Path, *settings: MediaSettings, **more: Any) -> Any:
            try:
                status = path.stat()
            except OSError:
                return load(path, *settings, **more)  # which says what is wrong
            used = [getattr(given, field) for given in settings for field in fields]
            key = (load.__name__, path, status.st_mtime_ns, status.st_size, *used, *more.items())
            value = _decoded.get(key)
            if value is None:
                value = load(path, *settings, **more)
                # Pillow keeps four bytes for a pixel of three.
                _decoded.put(key, value, 4 * math.prod(value.size) if isinstance(value, Image.Image) else value.content.nbytes)
            return value

        loaded.cache_clear = _decoded.clear
        return loaded

    return decorate


@_kept()
def load_picture(path: Path) -> Image.Image:
    """The picture in RGB, upright as its EXIF data says, transparent parts on white. It is kept in memory; do not change it.

    Raises:
        UserError: no such file, not a picture, a picture that breaks off, or one with more than 8 bits a channel.
    """
    check_file(path, "picture")
    try:
        with Image.open(path) as image:
            check_shape(path, *image.size)
            image.load()
            if image.mode[0] in "IF":
                raise UserError(f"{path}: pixels of Pillow's mode {image.mode} would come out white; save it with 8 bits a channel")
            ImageOps.exif_transpose(image, in_place=True)
            if image.has_transparency_data:
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            return image.convert("RGB")
    except UserError:
        raise
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not a picture that Pillow can read{other_kind(path)}") from error
    except DAMAGED as error:
        raise UserError(f"{path}: the picture is damaged: {error}") from error


def picture(image: Image.Image) -> Medium:
    """The picture, which is in RGB, as a medium."""
    assert image.mode == "RGB", image.mode
    return Medium.of("image", image)


@_kept("fps", "min_frames", "max_frames", "video_max_pixels", "max_seconds", "max_megabytes")
def load_video(path: Path, settings: MediaSettings) -> Medium:
    """Frames sampled evenly over a clip.

    Raises:
        UserError: see `decoding.read_clip`.
    """
    frames, fps, times = read_clip(path, settings)
    return Medium.of("video", frames, fps=fps, times=times)


def load_frames(paths: list[Path], fps: float, settings: MediaSettings) -> Medium:
    """The same from a clip that is kept as pictures, `fps` of them a second, in time order; those not sampled stay unread.

    Raises:
        UserError: with every sampled picture that is missing, damaged, too large or of another size than the first.
    """
    seconds = np.arange(len(paths)) / fps
    duration = len(paths) / fps
    if duration > settings.max_seconds:
        raise UserError(f"{paths[0]} and {len(paths) - 1} more: longer than media.max_seconds {settings.max_seconds:g}; cut it or raise the limit")
    places = sampled_places(seconds, duration, settings)
    pictures, faults = [], []
    for path in [paths[place] for place in places]:
        try:
            pictures.append(_load_picture(path, settings))
            if pictures[-1].size != pictures[0].size:
                faults.append(f"{path}: {pictures[-1].size} pixels where {paths[places[0]]} has {pictures[0].size}; frames of a clip have one size")
        except UserError as error:
            faults += error.faults
    raise_faults(list(dict.fromkeys(faults)))
    size = frame_size(*pictures[0].size, settings)
    content = np.stack([np.asarray(image.resize(size, Image.Resampling.BOX)) for image in pictures])  # a copy where the size stays
    return Medium.of("video", content, fps=len(places) / duration, times=tuple(seconds[places].tolist()))


@_kept("sample_rate", "max_seconds", "max_megabytes")
def load_audio(path: Path, settings: MediaSettings, *, in_video: bool = False) -> Medium:
    """A sound file, or the sound track of a clip; with `in_video` its first sample is heard with the first frame.

    Raises:
        UserError: see `decoding.read_sound`.
    """
    samples = read_sound(path, settings, in_video)
    return replace(Medium.of("audio", samples, sample_rate=settings.sample_rate), in_video=in_video)


def record_media(record: Record, records_path: Path, settings: MediaSettings) -> tuple[Medium, ...]:
    """The record's media in the order of the prompt: pictures, the clip and its sound track where it is heard, the sound.

    Raises:
        UserError: with the first that cannot be read; `media_faults` finds all.
    """
    return tuple(load() for load in _loaders(record, records_path.parent, settings))


def media_faults(records: list[Record], records_path: Path, settings: MediaSettings) -> list[str]:
    """Every medium that cannot be read, by record: all are decoded, and kept for whoever reads them next."""
    faults = []
    for record in records:
        for load in _loaders(record, records_path.parent, settings):
            try:
                load()
            except UserError as error:
                faults += [f"{records_path}: record {record.id!r}: {fault}" for fault in error.faults]
    return list(dict.fromkeys(faults))  # a clip that cannot be opened has no sound track either


def _loaders(record: Record, folder: Path, settings: MediaSettings) -> Iterator[Callable[[], Medium]]:
    media = record.media
    for name in media.images:
        yield lambda path=folder / name: picture(_load_picture(path, settings))
    if media.video:
        yield lambda: load_video(folder / media.video, settings)
    if media.frames:
        yield lambda: load_frames([folder / name for name in media.frames], media.frames_fps, settings)
    if media.sound_track:
        yield lambda: replace(load_audio(folder / media.sound_track, settings), in_video=True)
    elif media.audio_in_video:
        yield lambda: load_audio(folder / media.video, settings, in_video=True)
    if media.audio:
        yield lambda: load_audio(folder / media.audio, settings)


def _load_picture(path: Path, settings: MediaSettings) -> Image.Image:
    check_file(path, "picture", settings.max_megabytes)
    return load_picture(path)
