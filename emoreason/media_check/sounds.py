"""How long and how loud a sound is, by decoding all of it, a piece at a time."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import soundfile

from emoreason.decoding import GET_AGAIN, container_frames, opened
from emoreason.faults import UserError
from emoreason.recipe import MediaSettings

UNLIMITED = MediaSettings(max_seconds=1e9, max_megabytes=1e9)
BLOCK = 1 << 16
"""Samples that are read at once."""
FULL_SCALE = 0.9999
"""16-bit samples reach 0.99997."""
HEADS = {b"RIFF": "wav", b"fLaC": "flac", b"OggS": "ogg"}
"""What soundfile reads; FFmpeg reads the rest, as training does."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What is heard, of all channels together unless it says otherwise."""

    seconds: float
    sample_rate: int = 0
    channels: int = 0
    peak: float = 0.0
    """Of the mean of the channels, which is what training hears; 1 is full scale."""
    rms: float = 0.0
    clipped: float = 0.0
    """Share of samples at full scale in any channel."""
    is_finite: bool = True
    problem: str | None = None
    """Why a clip's sound track cannot be read; the rest is then 0."""


def read_sound_track(path: Path) -> Sound:
    """The sound of a clip; why it cannot be read stands in it."""
    try:
        return meter(_samples(container_frames(path, UNLIMITED, in_video=True)))
    except UserError as error:
        return Sound(0.0, problem=error.faults[0].removeprefix(f"{path}: "))


def read_sound_file(path: Path) -> tuple[str, float | None, Sound]:
    """(format, seconds that the header states, what is heard).

    Raises:
        UserError: a damaged or cut file, or one without sound.
    """
    with path.open("rb") as file:
        name = HEADS.get(file.read(4))
    if name is not None and (known := _by_soundfile(path)):
        return name, *known
    with opened(path, "sound") as container:
        name, stated = container.format.name, container.duration and container.duration / av.time_base
    return name, stated, meter(_samples(container_frames(path, UNLIMITED, in_video=False)))


def _by_soundfile(path: Path) -> tuple[float, Sound] | None:
    """None where libsndfile does not know the format, such as AVI in RIFF."""
    try:
        file = soundfile.SoundFile(path)
    except soundfile.LibsndfileError:
        return None
    with file:
        stated = file.frames / file.samplerate
        try:
            sound = meter((block, file.samplerate) for block in file.blocks(BLOCK, dtype="float32", always_2d=True))
        except soundfile.LibsndfileError as error:
            raise UserError(f"{path}: damaged; {GET_AGAIN}") from error
    if sound.seconds < stated:
        raise UserError(f"{path}: breaks off after {sound.seconds:.1f} of {stated:.1f} s; {GET_AGAIN}")
    return stated, sound


def _samples(frames: Iterable[av.AudioFrame]) -> Iterator[tuple[np.ndarray, int]]:
    """(float32 (num_samples, channels), samples a second) of each frame."""
    resampler = av.AudioResampler(format="flt")
    for frame in frames:
        for part in resampler.resample(frame):
            yield part.to_ndarray().reshape(-1, part.layout.nb_channels), part.sample_rate


def meter(blocks: Iterable[tuple[np.ndarray, int]]) -> Sound:
    """Loudness over all blocks, of which each is forgotten before the next."""
    num, energy, peak, clipped, rate, channels, is_finite = 0, 0.0, 0.0, 0, 0, 0, True
    for block, rate in blocks:  # noqa: B007 -- the rate of all blocks is the same
        if not len(block):
            continue
        channels = block.shape[1]
        is_finite = is_finite and bool(np.isfinite(block).all())
        block = np.nan_to_num(block)
        with np.errstate(over="ignore"):
            mono = block.mean(axis=1, dtype=np.float64)
        num += len(mono)
        energy += float(np.square(mono).sum())
        peak = max(peak, float(np.abs(mono).max()))
        clipped += int((np.abs(block) >= FULL_SCALE).any(axis=1).sum())
    return Sound(num / rate if rate else 0.0, rate, channels, peak, (energy / num) ** 0.5 if num else 0.0, clipped / num if num else 0.0, is_finite)
