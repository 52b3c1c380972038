"""Clips and sounds in files, encoded one way and another: drawn faces that move, and syllables of random pitch and vowel."""

import functools
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from media_samples import face
from PIL import Image

RATE = 16000


@functools.cache
def speech(seed: int, seconds: float = 3.0) -> np.ndarray:
    """float32 (num_samples,) at 16 kHz: syllables with formants, a little noise, and pauses; others for another seed."""
    random, samples, time = np.random.default_rng(seed), np.zeros(int(seconds * RATE)), 0.0
    while time < seconds:
        length, pitch = random.uniform(0.08, 0.3), random.uniform(90, 250)
        formants = [(random.uniform(300, 900), 80), (random.uniform(900, 2300), 120), (random.uniform(2300, 3200), 160)]
        clock = np.arange(int(length * RATE)) / RATE
        phase = 2 * np.pi * np.cumsum(pitch * (1 + random.uniform(-0.1, 0.1) * clock / length)) / RATE
        loud = [0.01 + sum(np.exp(-(((tone * pitch - centre) / (2 * width)) ** 2)) for centre, width in formants) for tone in range(1, 30)]
        syllable = sum(share * np.sin(tone * phase) for tone, share in enumerate(loud, start=1)) * np.hanning(len(clock)) * random.uniform(0.2, 1)
        start = int(time * RATE)
        samples[start : start + len(syllable)] += syllable[: len(samples) - start]
        time += length * random.uniform(0.6, 1.3)
    return (0.6 * samples / np.abs(samples).max() + 1e-3 * random.normal(size=len(samples))).clip(-1, 1).astype(np.float32)


@functools.cache
def _face(index: int) -> np.ndarray:
    return np.asarray(face(index, (128, 96)))


def write_sound(path: Path, samples: np.ndarray, codec: str, bit_rate: int | None = None) -> Path:
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=RATE, layout="mono")
        if bit_rate:
            stream.bit_rate = bit_rate
        _encode_sound(container, stream, samples)
    return path


def write_clip(
    path: Path, faces: list[int], samples: np.ndarray | None = None, size: tuple[int, int] = (128, 96), fps: int = 12, seconds: int = 3,
    codec: str = "libx264", bit_rate: int = 200_000, sound_codec: str = "aac", mirrored: bool = False,
) -> Path:  # fmt: skip
    """One face after the other, each sliding to the right."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=fps)
        video.width, video.height, video.pix_fmt, video.bit_rate = *size, "yuv420p", bit_rate
        sound = container.add_stream(sound_codec, rate=RATE, layout="mono") if samples is not None else None
        num_frames = fps * seconds
        for number in range(num_frames):
            shown = np.roll(_face(faces[number * len(faces) // num_frames]), 40 * number // num_frames, axis=1)
            frame = av.VideoFrame.from_image(Image.fromarray(shown[:, ::-1] if mirrored else shown).resize(size))
            frame.pts, frame.time_base = number, Fraction(1, fps)
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if sound is not None:
            _encode_sound(container, sound, samples)
    return path


def remux(source: Path, path: Path) -> Path:
    """The same packets in another container."""
    with av.open(str(source)) as old, av.open(str(path), "w") as new:
        streams = {stream: new.add_stream_from_template(stream) for stream in old.streams}
        for packet in old.demux():
            if packet.dts is not None:
                packet.stream = streams[packet.stream]
                new.mux(packet)
    return path


def _encode_sound(container: av.container.OutputContainer, stream: av.AudioStream, samples: np.ndarray) -> None:
    frame = av.AudioFrame.from_ndarray(samples[None], format="fltp", layout="mono")
    frame.sample_rate, frame.pts, frame.time_base = RATE, 0, Fraction(1, RATE)
    resampler = av.AudioResampler(format=stream.codec_context.format, layout="mono", rate=stream.codec_context.sample_rate)
    for part in [*resampler.resample(frame), *resampler.resample(None)]:
        container.mux(stream.encode(part))
    container.mux(stream.encode())
