"""Frames and samples out of files, within bounds; a file that cannot be read is named, with what to do about it.

PyAV reads clips, their sound tracks and most sounds; soundfile reads WAV, FLAC and Ogg.
"""

import itertools
import math
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image

from emoreason.faults import UserError
from emoreason.recipe import MediaSettings

MAX_PIXELS = 64_000_000
"""Of a picture or a frame; more is a mistake, or an attack on memory."""
MAX_ASPECT = 200
"""Longer side over shorter side, the most that Qwen's processors take."""
SCALE_MARGIN = 4
"""Frames of more than `video_max_pixels` times this are scaled down to it while they are decoded. At twice each side of what a
model can see, the processor's own resize still decides what it does see."""
SILENCE = 1e-4
"""A peak below this is digital silence: 16-bit samples of 0, perhaps with dither."""
MAX_PEAK = 10.0
"""Lossy codecs overshoot 1 a little; far beyond it are integers that were stored as floats."""
MIN_SOUND_SECONDS = 0.1
"""Of shorter sounds audio towers make no token."""
STATES_LENGTH = ("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm")
"""FFmpeg's names of the containers whose header states how long the content is; others leave it to be guessed from the bit rate."""
GET_AGAIN = "copy or download it again"


# Files before they are decoded.


def check_file(path: Path, kind: str, max_megabytes: float | None = None) -> bytes:
    """The first bytes of a file that is there, holds something, is no larger than allowed, no pointer, and not cut off."""
    try:
        if path.is_dir():
            raise UserError(f"{path}: a folder, not a {kind}")
        size = path.stat().st_size
        with path.open("rb") as file:
            head = file.read(64)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{path}: no such {kind}") from error
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror or error}") from error
    if size == 0:
        raise UserError(f"{path}: the file is empty; {GET_AGAIN}")
    if head.startswith(b"version https://git-lfs.github.com/spec"):
        raise UserError(f"{path}: a pointer of Git LFS, not the {kind} itself; fetch it: git lfs pull")
    if max_megabytes is not None and size > max_megabytes * 1e6:
        raise UserError(f"{path}: {size / 1e6:.1f} MB, more than media.max_megabytes {max_megabytes:g}; cut the {kind} or raise the limit")
    # RIFF (WAV, AVI, WebP) states its length; writers that could not know it leave 0 or all bits set, and some count the header in.
    stated = int.from_bytes(head[4:8], "little")
    if head.startswith(b"RIFF") and stated not in (0, 0xFFFFFFFF) and stated > size:
        raise UserError(f"{path}: breaks off: {size} of {stated} bytes are there; {GET_AGAIN}")
    return head


def check_shape(path: Path, width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise UserError(f"{path}: {width} x {height} pixels are more than {MAX_PIXELS // 10**6} million; scale it down")
    if max(width, height) > MAX_ASPECT * min(width, height):
        raise UserError(f"{path}: {width} x {height} pixels: one side is more than {MAX_ASPECT} times the other; crop it")


def _check_seconds(path: Path, seconds: float, settings: MediaSettings) -> None:
    if seconds > settings.max_seconds:
        raise UserError(f"{path}: longer than media.max_seconds {settings.max_seconds:g}; cut it or raise the limit")


# Containers.


@contextmanager
def _file_faults(path: Path, kind: str) -> Iterator[None]:
    """What FFmpeg cannot do inside is a fault of the file."""
    try:
        yield
    except av.FFmpegError as error:
        raise UserError(f"{path}: damaged, or not a {kind} that FFmpeg can read: {error.strerror}; {GET_AGAIN}") from error


@contextmanager
def opened(path: Path, kind: str) -> Iterator[av.container.InputContainer]:
    """The container of a clip or a sound; what FFmpeg cannot do with it meanwhile is a `UserError`."""
    # Without the whitelist a playlist that poses as a clip could fetch from the network.
    with _file_faults(path, kind), av.open(f"file:{path}", options={"protocol_whitelist": "file"}, metadata_errors="ignore") as container:
        yield container


def _clip_stream(container: av.container.InputContainer) -> av.VideoStream | None:
    """The first stream of moving pictures that FFmpeg knows how to decode, which the cover of a song is not."""
    cover = av.stream.Disposition.attached_pic
    return next((stream for stream in container.streams.video if stream.codec_context and stream.width and not stream.disposition & cover), None)


def _is_picture(container: av.container.InputContainer) -> bool:
    """Whether FFmpeg reads a picture file as a clip of one frame; AVIF and HEIC come in the container of MP4."""
    name = container.format.name
    return name.endswith("_pipe") or name == "image2" or (container.duration is None and [stream.frames for stream in container.streams] == [1])


def clip_stream(container: av.container.InputContainer, path: Path) -> av.VideoStream:
    """The stream that a clip shows.

    Raises:
        UserError: a sound, a picture, a file without moving pictures, or frames that are too large.
    """
    stream = _clip_stream(container)
    if stream is None:
        other = "a sound; give it under audio" if container.streams.audio else "without moving pictures"
        raise UserError(f"{path}: not a clip: {other}")
    if _is_picture(container):
        raise UserError(f"{path}: not a clip: a picture; give it under images")
    check_shape(path, stream.width, stream.height)
    return stream


def other_kind(path: Path) -> str:
    """`, but a clip; ...` or `, but a sound; ...` for a file that was given as a picture, or nothing."""
    try:
        with opened(path, "clip") as container:
            if _clip_stream(container) and not _is_picture(container):
                return ", but a clip; give it under video"
            return ", but a sound; give it under audio" if container.streams.audio else ""
    except UserError:
        return ""


def packets(container: av.container.InputContainer, path: Path) -> Iterator[av.Packet]:
    """Every packet in the order of the file, then an empty one for each stream.

    Raises:
        UserError: the file breaks off: a packet is cut, or more than half a second and 5 % of the stated duration are missing.
    """
    states_length = container.format.name in STATES_LENGTH
    start = end = (container.start_time or 0) / av.time_base
    for packet in _demuxed(container, path):
        if states_length and packet.is_corrupt:
            raise UserError(f"{path}: breaks off after {end - start:.1f} s; {GET_AGAIN}")
        if packet.pts is not None:
            end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        if packet.size or packet.dts is None:  # a frame that an AVI left out is an empty packet too, and would end the decoder
            yield packet
    stated = (container.duration or 0) / av.time_base
    if states_length and stated - (end - min(start, 0)) > max(0.5, 0.05 * stated):  # Matroska counts from 0, wherever it starts
        raise UserError(f"{path}: breaks off after {end - start:.1f} of {stated:.1f} s; {GET_AGAIN}")


def _demuxed(container: av.container.InputContainer, path: Path) -> Iterator[av.Packet]:
    try:
        yield from container.demux()
    except IndexError as error:  # of PyAV, where a packet belongs to a stream that was not there at the beginning
        raise UserError(f"{path}: a stream begins on the way; put it into another container: ffmpeg -i {path.name} {path.stem}.mp4") from error


# Clips.


@dataclass(frozen=True, eq=False)
class _Timeline:
    """When each frame of a clip stands on the screen, and what decodes it, read from the packets alone."""

    stamps: list[int]
    """Rising, in the unit of the stream."""
    seconds: np.ndarray
    """(num_frames,) since the first frame."""
    duration: float
    start: float
    """What the clock of the container says at the first frame."""
    groups: list[int]
    """How many keyframes are stored up to each frame; decoding can begin at a keyframe."""
    counts_frames: bool
    """The container knows no times of showing, only of decoding, so that frames are found by their number (AVI)."""


def read_clip(path: Path, settings: MediaSettings) -> tuple[np.ndarray, float, tuple[float, ...]]:
    """Frames sampled evenly over the clip, uint8 (num_frames, height, width, 3); how many stand for a second; seconds of each.

    Seconds count from the first frame. Frames stand upright, as rotation metadata says, and are scaled down beyond `SCALE_MARGIN`.

    Raises:
        UserError: a file that is missing, damaged, cut off, too large, too long, or no clip.
    """
    check_file(path, "clip", settings.max_megabytes)
    timeline = _timeline(path, settings)
    places = sampled_places(timeline.seconds, timeline.duration, settings)
    keys = [int(place) if timeline.counts_frames else timeline.stamps[place] for place in places]
    # A frame that is shown before its keyframe but stored after it needs the group before, too.
    groups = {timeline.groups[place] - back for place in places for back in (0, 1)}
    found: dict[int, np.ndarray] = {}
    with opened(path, "clip") as container:
        stream = _clip_stream(container)
        for number, frame in enumerate(_frames(container, stream, None if timeline.counts_frames else groups)):
            key = number if timeline.counts_frames else frame.pts
            if key in keys and not frame.is_corrupt:
                found[key] = _pixels(frame, stream, settings)
            if len(found) == len(set(keys)):
                break
    lost = [seconds for key, seconds in zip(keys, timeline.seconds[places], strict=True) if key not in found]
    if lost:
        raise UserError(f"{path}: the frame at {lost[0]:.2f} s cannot be decoded; {GET_AGAIN}")
    if len({frame.shape for frame in found.values()}) > 1:
        raise UserError(f"{path}: the frames are turned on the way; put them upright: ffmpeg -i {path.name} {path.stem}_upright.mp4")
    return np.stack([found[key] for key in keys]), len(keys) / timeline.duration, tuple(timeline.seconds[places].tolist())


def sampled_places(seconds: np.ndarray, duration: float, settings: MediaSettings) -> np.ndarray:
    """Which frames are sampled: those on the screen at evenly spaced moments from the first frame to the last.

    Their number is `fps` times the duration, made even, within the limits of the settings and never more than there are frames;
    a single frame is taken twice. A frame that stays for long may come more than once.
    """
    available = len(seconds) // 2 * 2
    if available == 0:
        return np.array([0, 0])
    wanted = 2 * math.floor(duration * settings.fps / 2 + 0.5)
    num_frames = min(max(wanted, math.ceil(settings.min_frames / 2) * 2), settings.max_frames // 2 * 2, available)
    moments = np.linspace(seconds[0], seconds[-1], num_frames)
    return np.searchsorted(seconds, moments + 1e-6, side="right") - 1


def frame_size(width: int, height: int, settings: MediaSettings) -> tuple[int, int]:
    """Width and height at which a frame is kept: its own, or `SCALE_MARGIN` times the pixels that a model sees at most."""
    scale = min(1.0, math.sqrt(SCALE_MARGIN * settings.video_max_pixels / (width * height)))
    return max(1, round(width * scale)), max(1, round(height * scale))


def _timeline(path: Path, settings: MediaSettings) -> _Timeline:
    shown, group = [], 0
    with opened(path, "clip") as container:
        stream = clip_stream(container, path)
        for packet in packets(container, path):
            if packet.stream.index == stream.index and packet.size:
                group += packet.is_keyframe
                if group and not packet.is_discard:  # before the first keyframe nothing decodes
                    shown.append((packet.pts, packet.dts, packet.duration, group))
        unit, rate = float(stream.time_base), float(stream.average_rate or settings.fps)
        counts_frames = container.format.name == "avi" or any(pts is None for pts, *_ in shown)
    frames = [(dts if counts_frames else pts, length, group) for pts, dts, length, group in shown]
    if any(stamp is None for stamp, *_ in frames) or not frames:
        raise UserError(f"{path}: holds no frames with times; put them into another container: ffmpeg -i {path.name} {path.stem}.mp4")
    frames = sorted(frame for frame in frames if frame[0] >= frames[0][0])
    stamps = [stamp for stamp, *_ in frames]
    seconds = (np.array(stamps) - stamps[0]) * unit
    last = (frames[-1][1] or 0) * unit or (float(np.median(np.diff(seconds))) if len(frames) > 1 else 1 / rate)
    _check_seconds(path, seconds[-1] + last, settings)
    return _Timeline(stamps, seconds, float(seconds[-1]) + last, stamps[0] * unit, [group for *_, group in frames], counts_frames)


def _frames(container: av.container.InputContainer, stream: av.VideoStream, groups: set[int] | None) -> Iterator[av.VideoFrame]:
    """Frames in the order of showing; of these groups alone, where they are given."""
    decoder, group, skipping = stream.codec_context, 0, True
    for packet in container.demux(stream):
        if not packet.size and packet.dts is not None:
            continue
        group += bool(packet.size) and packet.is_keyframe
        if groups is not None and packet.size and group not in groups:
            if not skipping:
                yield from decoder.decode(None)
            skipping = True
        elif packet.size or not skipping:
            if skipping:
                decoder.flush_buffers()
            skipping = False
            yield from packet.decode()


def _pixels(frame: av.VideoFrame, stream: av.VideoStream, settings: MediaSettings) -> np.ndarray:
    """RGB (height, width, 3), upright. All frames come in the size that the stream states, should it change on the way."""
    pixels = frame.to_ndarray(format="rgb24")
    size = frame_size(stream.width, stream.height, settings)
    if size != (frame.width, frame.height):  # by Pillow, since FFmpeg's scaler darkens by a level or two
        pixels = np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BOX))
    return np.ascontiguousarray(np.rot90(pixels, quarter_turns(frame, stream)))


def quarter_turns(frame: av.VideoFrame, stream: av.VideoStream) -> int:
    """By how many quarters a frame is turned counterclockwise to stand upright."""
    tag = next((value for name, value in stream.metadata.items() if name.lower() == "rotate"), "")
    # The display matrix turns counterclockwise, the older tag clockwise.
    turn = frame.rotation or -(int(tag) if tag.isdecimal() else 0)
    return round(turn / 90)


# Sounds.


def read_sound(path: Path, settings: MediaSettings, in_video: bool = False) -> np.ndarray:
    """float32 (num_samples,) in [-1, 1]: the mean of the channels, resampled.

    With `in_video` the first sample is heard with the first frame of the clip: a sound track that begins later has silence before
    it, and what is heard before the first frame is cut off.

    Raises:
        UserError: a file that is missing, damaged, cut off, too large or too long, without sound, silent, or not of samples.
    """
    kind = "clip" if in_video else "sound"
    head = check_file(path, kind, settings.max_megabytes)
    frames = _soundfile_frames(path, settings) if head[:4] in (b"RIFF", b"fLaC", b"OggS") and not in_video else None
    with _file_faults(path, kind):
        samples, start = _mono(container_frames(path, settings, in_video) if frames is None else frames, settings.sample_rate)
    if in_video:
        late = round((start - _timeline(path, settings).start) * settings.sample_rate)
        _check_seconds(path, (len(samples) + late) / settings.sample_rate, settings)
        samples = np.pad(samples, (late, 0)) if late > 0 else samples[-late:]
    _check_samples(path, samples, settings.sample_rate)
    return np.clip(samples, -1, 1)


def _mono(frames: Iterable[av.AudioFrame], sample_rate: int) -> tuple[np.ndarray, float]:
    """The resampled mean of the channels, and what the clock of the container says at the first sample.

    FFmpeg's resampler serves every file, since it works piece by piece and loads in no time, unlike scipy's; it mixes nothing,
    for its own mix to mono is louder than the mean.
    """
    resampler, start, parts = av.AudioResampler(format="flt", rate=sample_rate), None, [np.zeros(0, np.float32)]
    for frame in itertools.chain(frames, [None]):
        start = frame.time if start is None and frame else start
        # Channels side by side: PyAV fails over more than eight of them in planes of their own. Infinities are looked for later.
        with np.errstate(invalid="ignore", over="ignore"):
            parts += [part.to_ndarray().reshape(-1, part.layout.nb_channels).mean(axis=1) for part in resampler.resample(frame) if part]
    return np.concatenate(parts), start or 0.0


def _soundfile_frames(path: Path, settings: MediaSettings) -> list[av.AudioFrame] | None:
    """The samples as one frame, or None where libsndfile does not know the format, such as AVI in RIFF."""
    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError:
        return None
    with file:
        rate, num_samples = file.samplerate, file.frames
        _check_seconds(path, num_samples / rate, settings)
        try:
            samples = file.read(dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise UserError(f"{path}: damaged; {GET_AGAIN}") from error
    if len(samples) < num_samples:
        raise UserError(f"{path}: breaks off after {len(samples) / rate:.1f} of {num_samples / rate:.1f} s; {GET_AGAIN}")
    with np.errstate(invalid="ignore", over="ignore"):
        mono = np.ascontiguousarray(samples.mean(axis=1)[None])
    frame = av.AudioFrame.from_ndarray(mono, format="flt", layout="mono")
    frame.sample_rate = rate
    return [frame] if len(samples) else []


def container_frames(path: Path, settings: MediaSettings, in_video: bool) -> Iterator[av.AudioFrame]:
    """The sound of a file as FFmpeg decodes it, a frame at a time.

    Raises:
        UserError: no sound, a damaged one, one that is too long, or that changes its channels or rate on the way.
    """
    with opened(path, "clip" if in_video else "sound") as container:
        stream = next((stream for stream in container.streams.audio if stream.codec_context), None)
        if stream is None and in_video:
            raise UserError(f"{path}: the clip has no sound track; set audio_in_video to false, or give its sound under audio")
        if stream is None:
            other = "a picture; give it under images" if _is_picture(container) else "without sound; give a sound, or a clip with a sound track"
            raise UserError(f"{path}: not a sound: {other}")
        seconds, kind = 0.0, None
        for packet in packets(container, path):
            for frame in packet.decode() if packet.stream.index == stream.index else ():
                kind = kind or (frame.format.name, frame.layout.name, frame.sample_rate)
                if kind != (frame.format.name, frame.layout.name, frame.sample_rate):
                    raise UserError(f"{path}: the sound changes its channels or sample rate after {seconds:.1f} s; save it as WAV")
                seconds += frame.samples / frame.sample_rate
                _check_seconds(path, seconds, settings)
                yield frame


def _check_samples(path: Path, samples: np.ndarray, sample_rate: int) -> None:
    if len(samples) < MIN_SOUND_SECONDS * sample_rate:
        raise UserError(f"{path}: {len(samples) / sample_rate:.3f} s of sound, less than {MIN_SOUND_SECONDS:g} s; leave it out of the record")
    if not np.isfinite(samples).all():
        raise UserError(f"{path}: holds samples that are no numbers (NaN or infinite); save it again")
    peak = float(np.abs(samples).max())
    if peak > MAX_PEAK:
        raise UserError(f"{path}: samples reach {peak:g} where 1 is full scale; divide them by their scale and save it again")
    if peak < SILENCE:
        raise UserError(f"{path}: the sound is silent (its peak is {peak:.1e} of full scale); leave it out of the record")
