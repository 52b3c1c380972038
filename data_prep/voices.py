"""One sentence in the tone of an emotion, spoken by espeak-ng or by a voice made of harmonics here.

Both voices follow the same settings: a pitch a word, a rate, and what is done to the sound afterwards (spectral tilt,
trembling, loudness). espeak-ng is a program of its own (GPL-3.0-or-later) and is only run; none of it is part of this file.
"""

import shutil
import subprocess
from dataclasses import dataclass, replace

import numpy as np
from scipy.signal import resample_poly

from emoreason.faults import UserError

SAMPLE_RATE = 16_000  # Hz
SENTENCE = "They are on the way."  # one syllable a word; the same for every emotion
ENGINES = ("espeak-ng", "synthetic")
LOUDNESS = 0.15  # root mean square of a voice at 0 dB; full scale is 1
PITCH = 105.0  # Hz, of a synthetic speaker whose `pitch` is 1
# Formants F1 to F3 in Hz of the vowels of SENTENCE, averages of men (Peterson and Barney 1952), and their bandwidths in Hz.
VOWELS = ((530, 1840, 2480), (730, 1090, 2440), (570, 840, 2410), (640, 1190, 2390), (530, 1840, 2480))
BANDWIDTHS = (80, 110, 160)
ACCENTS = (0.5, -0.5, 0.5, -0.5, 0.5)  # which words stand out, in units of `Prosody.range`


@dataclass(frozen=True)
class Prosody:
    """How an emotion sounds; a speaker with all the defaults is neutral."""

    pitch: float = 1.0
    """Times the speaker's own."""
    slope: float = 0.0
    """Rise of the pitch from the first word to the last, in octaves."""
    range: float = 0.05
    """From unaccented to accented words, in octaves."""
    rate: float = 5.4
    """Words a second, about."""
    loudness: float = -9.0
    """In dB relative to `LOUDNESS`."""
    tilt: float = 0.0
    """Added to the slope of the spectrum, in dB an octave: pressed voices are bright, slack ones dull."""
    tremor: float = 0.0
    """Swing of pitch and loudness seven times a second, as a share of both."""


# The directions follow the review of Juslin and Laukka (Psychological Bulletin 129, 2003); surprise and all numbers are ours.
PROSODY = {
    "joy": Prosody(pitch=1.45, range=0.5, slope=0.1, rate=6.2, loudness=-4),
    "sadness": Prosody(pitch=0.8, slope=-0.35, rate=4.7, loudness=-19, tilt=-5),
    "anger": Prosody(pitch=1.15, slope=-0.4, range=0.3, rate=6.8, loudness=0, tilt=5),
    "fear": Prosody(pitch=1.9, rate=6.8, loudness=-15, tremor=0.08),
    "surprise": Prosody(pitch=1.5, slope=1.0, rate=5.2, loudness=-4),
    "neutral": Prosody(),
}


@dataclass(frozen=True)
class Speaker:
    """Who speaks; all are of a low register, so that a pitch is high or low for all of them."""

    variant: str
    """A voice of espeak-ng."""
    pitch: float
    """Times `PITCH`, or times that of the variant."""
    tract: float
    """Times the formants in `VOWELS`: a short vocal tract raises all of them. For the synthetic voice."""


SPEAKERS = {
    "train": [
        Speaker("en-us+m1", 1.0, 0.94), Speaker("en-us+m2", 0.9, 1.0), Speaker("en-us+m3", 1.1, 1.06),
        Speaker("en-us+m4", 1.05, 1.12), Speaker("en-us+m5", 0.95, 0.9), Speaker("en-us+m6", 1.15, 1.0),
    ],
    "calibration": [Speaker("en-us", 0.98, 1.03), Speaker("en-gb+m2", 1.08, 0.92)],
    "heldout": [Speaker("en-us+m7", 1.03, 1.09), Speaker("en-gb+m3", 0.93, 0.97), Speaker("en-gb+m1", 1.12, 1.03)],
}  # fmt: skip


def find_engine(name: str) -> str:
    """The voice to use for `auto`, `espeak-ng` or `synthetic`.

    Raises:
        UserError: espeak-ng is asked for and is not installed.
    """
    installed = shutil.which("espeak-ng") is not None
    if name == "espeak-ng" and not installed:
        raise UserError("--voice espeak-ng: no such program on PATH; install it (Debian: espeak-ng), or give --voice synthetic")
    return ("espeak-ng" if installed else "synthetic") if name == "auto" else name


def speak(label: str, speaker: Speaker, engine: str, rng: np.random.Generator) -> np.ndarray:
    """`SENTENCE` in the tone of `label`: float32 mono samples at `SAMPLE_RATE` in [-0.85, 0.85], without silence around them.

    Full scale is 1: an encoder that loses something may overshoot. Pitch, rate and loudness differ a little from clip to clip, as `rng` says.
    """
    asked = PROSODY[label]
    prosody = replace(
        asked,
        pitch=asked.pitch * 2 ** rng.uniform(-0.07, 0.07),
        rate=asked.rate * rng.uniform(0.96, 1.04),
        loudness=asked.loudness + rng.uniform(-1.5, 1.5),
    )
    voice = espeak(prosody, speaker) if engine == "espeak-ng" else synthesise(prosody, speaker, rng)
    voice = tilted(trembling(voice, prosody.tremor), prosody.tilt)
    voice *= LOUDNESS * 10 ** (prosody.loudness / 20) / np.sqrt(np.mean(voice**2))
    return np.clip(voice, -0.85, 0.85).astype(np.float32)


def word_pitches(prosody: Prosody) -> list[float]:
    """The pitch of each word of `SENTENCE`, as a multiple of the speaker's."""
    places = np.linspace(-0.5, 0.5, len(ACCENTS))
    return [prosody.pitch * 2 ** (prosody.slope * place + prosody.range * accent) for place, accent in zip(places, ACCENTS, strict=True)]


def espeak_command(prosody: Prosody, speaker: Speaker) -> list[str]:
    """The command line that writes the sentence to standard output as a WAV file, every word at its own pitch."""
    words = [
        f'<prosody pitch="{100 * (speaker.pitch * pitch - 1):+.0f}%">{word}</prosody>'
        for word, pitch in zip(SENTENCE.split(), word_pitches(prosody), strict=True)
    ]
    # 28 words a minute by its own count make it say one of these short words a second.
    return ["espeak-ng", "-v", speaker.variant, "-s", f"{28 * prosody.rate:.0f}", "-z", "-m", "--stdout", " ".join(words)]


def espeak(prosody: Prosody, speaker: Speaker) -> np.ndarray:
    """The sentence in the voice of espeak-ng, before loudness and timbre are set.

    Raises:
        UserError: espeak-ng fails, e.g. for want of a voice.
    """
    command = espeak_command(prosody, speaker)
    done = subprocess.run(command, capture_output=True)
    # What it streams has a header of 44 bytes with no true length in it, then 16 bit samples at 22050 Hz.
    sound = np.frombuffer(done.stdout[44:], dtype="<i2") / 32768
    loud = np.flatnonzero(np.abs(sound) > 0.01)
    if done.returncode or not loud.size:
        fault = done.stderr.decode(errors="replace").strip() or "no sound"
        raise UserError(f"{' '.join(command[:7])}: {fault}; give --voice synthetic to do without it")
    return resample_poly(sound[loud[0] : loud[-1] + 1], 320, 441)


def synthesise(prosody: Prosody, speaker: Speaker, rng: np.random.Generator) -> np.ndarray:
    """The vowels of the sentence as harmonics that are weighted by three formants, before loudness and timbre are set."""
    count = len(VOWELS)
    length = round(count / prosody.rate * SAMPLE_RATE)
    words = np.arange(length) / length * count  # 2.5 is the middle of the third word
    points = np.linspace(0, count, 40 * count)  # pitch and formants are set here and go straight from point to point
    centres = np.arange(count) + 0.5
    pitch = PITCH * speaker.pitch * np.interp(points, centres, word_pitches(prosody)) * (1 + 0.01 * rng.standard_normal(points.size))
    formants = [speaker.tract * np.interp(points, centres, values) for values in zip(*VOWELS, strict=True)]
    phase = 2 * np.pi * np.cumsum(np.interp(words, points, pitch)) / SAMPLE_RATE
    voice = np.zeros(length)
    for harmonic in range(1, int(0.45 * SAMPLE_RATE / pitch.max()) + 1):
        frequency = harmonic * pitch
        gain = 1 / harmonic  # the glottal source falls by 12 dB an octave, radiation gives back 6
        for formant, width in zip(formants, BANDWIDTHS, strict=True):
            gain = gain * formant**2 / np.sqrt((formant**2 - frequency**2) ** 2 + (frequency * width) ** 2)
        voice += np.interp(words, points, gain) * np.sin(harmonic * phase)
    voice /= np.abs(voice).max()
    voice += 0.01 * rng.standard_normal(length)  # breath
    return voice * (0.05 + 0.95 * np.sin(np.pi * (words % 1)) ** 2)


def trembling(voice: np.ndarray, depth: float) -> np.ndarray:
    """The voice with its pitch and loudness swinging seven times a second by `depth`, loudness five times as much."""
    seconds = np.arange(voice.size) / SAMPLE_RATE
    swing = 2 * np.pi * 7
    read_at = seconds + depth / swing * np.sin(swing * seconds)  # its derivative is 1 + depth cos: what is read faster is higher
    return np.interp(read_at, seconds, voice) * (1 + 5 * depth * np.sin(swing * seconds))


def tilted(voice: np.ndarray, decibels: float) -> np.ndarray:
    """The voice with its spectrum raised by so many dB an octave above 500 Hz, and lowered as much below, down to 100 Hz."""
    octaves = np.log2(np.maximum(np.fft.rfftfreq(voice.size, 1 / SAMPLE_RATE), 100) / 500)
    return np.fft.irfft(np.fft.rfft(voice) * 10 ** (decibels * octaves / 20), voice.size)


def voice_cues(label: str) -> list[str]:
    """What can be heard of an emotion, from its settings against those of a neutral voice, e.g. `pitch high`.

    The first words differ from one another, so that two cues share at most half of their words.
    """
    prosody, neutral = PROSODY[label], PROSODY["neutral"]
    cues = [
        f"pitch {_degree(prosody.pitch / neutral.pitch, 0.85, 1.2, ('low', 'middle', 'high'))}",
        f"melody {_degree(prosody.slope, -0.3, 0.3, ('falling', 'varied' if prosody.range >= 0.3 else 'flat', 'rising'))}",
        f"tempo {_degree(prosody.rate / neutral.rate, 0.9, 1.1, ('slow', 'even', 'fast'))}",
        f"volume {_degree(prosody.loudness - neutral.loudness, -4, 4, ('soft', 'middle', 'loud'))}",
    ]
    tone = "trembling" if prosody.tremor else _degree(prosody.tilt, -3, 3, ("dull", "", "sharp"))
    return cues + ([f"tone {tone}"] if tone else [])


def _degree(value: float, low: float, high: float, names: tuple[str, str, str]) -> str:
    return names[0] if value <= low else names[2] if value >= high else names[1]
