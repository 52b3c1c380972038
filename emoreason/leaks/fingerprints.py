"""What stays of a picture, a clip or a sound when it is encoded again, resized, moved to another container, or made louder.

A picture: the signs of the 64 lowest frequencies of its DCT (Zauner 2010, Implementation and Benchmarking of Perceptual Image Hash
Functions, section 3.2.1), but with a dead band about 0 in place of the median: of a face that is alike on the left and on the right half of
the frequencies are nearly 0, and their signs are noise. Over the 685 drawn faces of recipes/tiny that makes 1 bit of a JPEG of quality 30
differ on average, where the median makes 4. A thumbnail of 16 x 16 then tells apart what 64 bits cannot.

A clip: the same of 8 frames, evenly from the first to the last, and its sound.

A sound: 32 bits every 24 ms, whether the energy rises more from a band to the next one than it did 96 ms before (Haitsma & Kalker 2002,
A Highly Robust Audio Fingerprinting System, equation 1 with the sign turned). We take steps of 24 instead of 11.6 ms, and look 4 steps
back instead of 1, which loses less to a codec. Of sentences by espeak-ng, as MP3 of 48, AAC of 24 and Opus of 16 kbit/s, 11 % of the bits
differ at most; of two made-up voices 40 % or more.

What is constant (one colour, silence) would match everything of its kind and has no fingerprint.
"""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.fft import dctn

from emoreason.decoding import read_clip, read_sound
from emoreason.faults import UserError
from emoreason.files import sha256
from emoreason.media import load_picture
from emoreason.recipe import MediaSettings

NUM_FRAMES = 8
THUMBNAIL = 16
"""Pixels a side."""
SAMPLE_RATE = 8000
STEP = 192
"""Samples, 24 ms."""
WINDOW = 2960
"""Samples, 0.37 s."""
LAG = 4
"""Steps between the two energies that a bit compares."""
BAND_EDGES = np.round(np.geomspace(300, 2000, 34) * 4096 / SAMPLE_RATE).astype(int)
"""Of the 33 bands from 300 to 2000 Hz, in bins of an FFT of 4096."""
MIN_STEPS = 30
"""That are heard, 1.2 s with the window; of shorter sounds too few bits are independent."""
DEAD_BAND = 0.05
"""A frequency below this share of the root mean square counts as 0."""
MIN_DEVIATION = 2.0
"""Levels of 255, of the thumbnail; below it a picture is constant."""
QUIET = 1e-6
"""A step with less than this share of the energy of the loudest one, 60 dB below it, is not heard."""
_SETTINGS = MediaSettings(
    fps=1.0, min_frames=NUM_FRAMES, max_frames=NUM_FRAMES, video_min_pixels=1, video_max_pixels=16384,
    sample_rate=SAMPLE_RATE, max_seconds=3600.0, max_megabytes=16384.0,
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """Of one medium; the arrays of a part that it lacks are empty."""

    pictures: np.ndarray
    """uint64 (num_frames,); one for a picture."""
    mirrored: np.ndarray
    """uint64 (num_frames,), as if left and right were swapped."""
    thumbnails: np.ndarray
    """uint8 (num_frames, 16, 16), grey. A clip may have frames that are constant, such as black ones at its ends."""
    sound: np.ndarray
    """uint32 (num_steps,)."""
    heard: np.ndarray
    """bool (num_steps,): loud enough to say something."""
    seconds: float = 0.0
    """Of a clip."""
    notes: tuple[str, ...] = ()
    """Why a part is missing: `constant`, `silent`, `short`, `no sound`, or what the decoder says of a damaged file."""

    @property
    def says_nothing(self) -> bool:
        """Whether the file was read, and holds one colour or silence alone."""
        return bool(set(self.notes) & {"constant", "silent"}) and set(self.notes) <= {"constant", "silent", "no sound"}

    def to_bytes(self) -> bytes:
        """A line of JSON, then the arrays."""
        arrays = (self.pictures, self.mirrored, self.thumbnails, self.sound, self.heard)
        head = {"shapes": [array.shape for array in arrays], "seconds": self.seconds, "notes": self.notes}
        return json.dumps(head).encode() + b"\n" + b"".join(np.ascontiguousarray(array).tobytes() for array in arrays)

    @classmethod
    def nothing(cls, note: str) -> "Fingerprint":
        """That of a file which could not be read."""
        none = np.zeros(0, np.uint64)
        return cls(none, none, np.zeros((0, THUMBNAIL, THUMBNAIL), np.uint8), np.zeros(0, np.uint32), np.zeros(0, bool), notes=(note,))

    @classmethod
    def from_bytes(cls, content: bytes) -> "Fingerprint":
        """The inverse.

        Raises:
            ValueError: the bytes are not whole.
        """
        head, _, rest = content.partition(b"\n")
        try:
            stated = json.loads(head)
            arrays, start = [], 0
            for shape, kind in zip(stated["shapes"], (np.uint64, np.uint64, np.uint8, np.uint32, np.bool_), strict=True):
                size = int(np.prod(shape)) * np.dtype(kind).itemsize
                arrays.append(np.frombuffer(rest[start : start + size], kind).reshape(shape))
                start += size
            return cls(*arrays, seconds=float(stated["seconds"]), notes=tuple(stated["notes"]))
        except (KeyError, TypeError) as error:
            raise ValueError(f"no fingerprint: {error}") from error


@dataclass(frozen=True)
class Source:
    """Files that are one medium: a picture, a clip, a sound, or the pictures that a clip is kept as."""

    kind: str
    """picture, clip, sound or frames."""
    paths: tuple[Path, ...]
    seconds: float = 0.0
    """Of frames."""

    @classmethod
    def of_frames(cls, paths: list[Path], fps: float) -> "Source":
        """Those of the frames that the fingerprint looks at."""
        places = np.linspace(0, len(paths) - 1, NUM_FRAMES).round().astype(int)
        return cls("frames", tuple(paths[place] for place in places), len(paths) / fps)

    def digest(self) -> str:
        """Hex SHA-256 of the file; of frames that of their hashes.

        Raises:
            OSError: a file cannot be read.
        """
        if len(self.paths) == 1:
            return sha256(self.paths[0])
        return hashlib.sha256("".join(map(sha256, self.paths)).encode()).hexdigest()

    def fingerprint(self) -> Fingerprint:
        """The fingerprint; a part that cannot be decoded is missing, with a note."""
        pictures, seconds, notes = [], self.seconds, []
        sound = np.zeros(0, np.uint32), np.zeros(0, bool)
        try:
            if self.kind == "clip":
                frames, fps, _ = read_clip(self.paths[0], _SETTINGS)
                pictures, seconds = [Image.fromarray(frame) for frame in frames], len(frames) / fps
            elif self.kind != "sound":
                pictures = [load_picture(path) for path in self.paths]
                load_picture.cache_clear()  # each is needed once
        except UserError as error:
            notes.append(_what(error))
        found = [picture_bits(picture) for picture in pictures]
        if found and not any(one[2].std() >= MIN_DEVIATION for one in found):
            found = []
            notes.append("constant")
        if self.kind in ("clip", "sound"):
            sound, note = _sound_of(self.paths[0])
            notes += note
        bits = np.array([one[0] for one in found], np.uint64)
        mirrored = np.array([one[1] for one in found], np.uint64)
        thumbnails = np.array([one[2] for one in found], np.uint8).reshape(-1, THUMBNAIL, THUMBNAIL)
        return Fingerprint(bits, mirrored, thumbnails, *sound, seconds=seconds, notes=tuple(notes))


def picture_bits(picture: Image.Image) -> tuple[int, int, np.ndarray]:
    """(64 bits, 64 bits of its mirror image, uint8 thumbnail (16, 16)) of an RGB picture."""
    grey = picture.convert("L")
    thumbnail = np.asarray(grey.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.LANCZOS))
    frequencies = dctn(np.asarray(grey.resize((32, 32), Image.Resampling.LANCZOS), float), norm="ortho")
    low = frequencies[:8, :8].copy()
    low[0, 0] = frequencies[8, 0]  # the mean says nothing
    low = low.ravel()
    threshold = DEAD_BAND * np.sqrt((low**2).mean())
    swapped = np.where(np.arange(64) % 2, -low, low)
    return _packed(low > threshold), _packed(swapped > threshold), thumbnail


def _packed(bits: np.ndarray) -> int:
    return int(np.packbits(bits, bitorder="little").view(np.uint64)[0])


def sound_bits(samples: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(uint32 (num_steps,), bool (num_steps,): heard) of samples at 8 kHz; empty where they are shorter than a window and the lag."""
    if len(samples) < WINDOW + (LAG + 1) * STEP:
        return np.zeros(0, np.uint32), np.zeros(0, bool)
    windows = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::STEP]
    energies = np.concatenate([_band_energies(windows[start : start + 1024]) for start in range(0, len(windows), 1024)])
    slopes = np.diff(energies, axis=1)
    steeper = slopes[LAG:] > slopes[:-LAG]
    total = energies.sum(axis=1)
    loud = total > QUIET * total.max()
    return np.packbits(steeper, axis=1, bitorder="little").view(np.uint32).ravel(), loud[LAG:] & loud[:-LAG]


def _band_energies(windows: np.ndarray) -> np.ndarray:
    power = np.abs(np.fft.rfft(windows * np.hanning(WINDOW), 4096)) ** 2
    return np.add.reduceat(power, BAND_EDGES, axis=1)[:, :33]


def _sound_of(path: Path) -> tuple[tuple[np.ndarray, np.ndarray], list[str]]:
    none = np.zeros(0, np.uint32), np.zeros(0, bool)
    try:
        samples = read_sound(path, _SETTINGS)
    except UserError as error:
        text = _what(error)
        return none, ["silent" if "is silent" in text else "no sound" if "without sound" in text else text]
    bits, heard = sound_bits(samples)
    return ((bits, heard), []) if heard.sum() >= MIN_STEPS else (none, ["short"])


def _what(error: UserError) -> str:
    """The first fault without the path before it, since copies of the file share what is kept of it."""
    path, colon, text = error.faults[0].partition(": ")
    return text if colon else path
