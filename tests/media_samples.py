"""Small media for tests: faces of the tiny set, a clip that moves one, tones that rise or fall."""

import io
from pathlib import Path

import av
import numpy as np
from PIL import Image

from emoreason.media import Medium

IMAGES = Path(__file__).parents[1] / "recipes" / "tiny" / "data" / "images"
FACES = ("twemoji/1f622.png", "noto/1f600.png", "emojione/1f620.png", "fluent-emoji-flat/1f628.png")


def face(index: int = 0, size: tuple[int, int] = (84, 56)) -> Image.Image:
    path = IMAGES / FACES[index % len(FACES)]
    picture = Image.open(path).convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB").resize(size)


def picture(index: int = 0, size: tuple[int, int] = (84, 56)) -> Medium:
    return Medium.of("image", face(index, size))


def clip(index: int = 0, num_frames: int = 4, fps: float = 3.0, size: tuple[int, int] = (84, 56)) -> Medium:
    """A face that slides to the right."""
    frames = np.stack([np.roll(np.asarray(face(index, size)), 5 * step, axis=1) for step in range(num_frames)])
    return Medium.of("video", frames, fps=fps, times=tuple(step / fps for step in range(num_frames)))


def sound(index: int = 0, seconds: float = 1.0, in_video: bool = False) -> Medium:
    """A tone that rises or falls."""
    time = np.arange(int(16000 * seconds)) / 16000
    tone = 0.4 * np.sin(2 * np.pi * (200 + 60 * index + (-1) ** index * 80 * time) * time)
    return Medium.of("audio", tone.astype(np.float32), sample_rate=16000, in_video=in_video)


def clip_file(with_sound: bool) -> bytes:
    """The content of an .mp4 of three grey pictures, with silence on a sound track or without one."""
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as container:
        pictures = container.add_stream("mpeg4", rate=5, width=32, height=32, pix_fmt="yuv420p")
        track = container.add_stream("aac", rate=16000, layout="mono") if with_sound else None
        for _ in range(3):
            container.mux(pictures.encode(av.VideoFrame.from_ndarray(np.full((32, 32, 3), 90, np.uint8), format="rgb24")))
        container.mux(pictures.encode())
        if track:
            samples = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), format="fltp", layout="mono")
            samples.sample_rate = 16000
            container.mux(track.encode(samples))
            container.mux(track.encode())
    return file.getvalue()


def messages(media: tuple[Medium, ...], text: str = "Which emotion is shown?") -> list[dict]:
    content = [{"type": medium.kind} for medium in media if not medium.in_video]
    return [{"role": "user", "content": [*content, {"type": "text", "text": text}]}]
