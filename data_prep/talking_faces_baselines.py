"""What each modality of the talking faces tells by itself: a linear probe on the pixels, and one on a few numbers of the voice.

    python data_prep/talking_faces_baselines.py runs/talking_faces

Both are multinomial logistic regressions. Each learns from the clips of `train.jsonl` whose label it can see (the face's:
those that agree or ask for the face), picks the strength of its regularisation on `calibration.jsonl`, and is measured
on all of `heldout.jsonl`, by subset. Where the other modality is asked for, a probe is right by chance at most.
"""

import argparse
from pathlib import Path

import av
import numpy as np
import soundfile
from PIL import Image
from rich.console import Console
from rich.table import Table
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from emoreason.faults import UserError
from emoreason.records import Record, read_records

SUBSETS = {None: "consistent", "video": "face-aligned", "audio": "voice-aligned"}
SIDE, NUM_FRAMES = 16, 4  # what the probe of the face sees: so many pixels squared, so many frames
STRENGTHS = (1.0, 0.1, 0.01, 0.001)  # of equal ones the first is taken
LOWEST, HIGHEST = 60, 400  # Hz, where pitch is looked for


def read_frames(record: Record, folder: Path) -> list[np.ndarray]:
    """The frames of a clip, each of shape (height, width, 3), uint8."""
    if record.media.frames:
        return [np.asarray(Image.open(folder / name).convert("RGB")) for name in record.media.frames]
    with av.open(str(folder / record.media.video)) as container:
        return [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]


def read_sound(record: Record, folder: Path) -> tuple[np.ndarray, int]:
    """(samples in [-1, 1], sample rate in Hz) of a clip's voice, wherever it is kept."""
    if record.media.audio:
        return soundfile.read(folder / record.media.audio, dtype="float64")
    with av.open(str(folder / record.media.video)) as container:
        frames = [frame.to_ndarray()[0] for frame in container.decode(audio=0)]
        return np.concatenate(frames).astype(float), container.streams.audio[0].rate


def face_features(frames: list[np.ndarray]) -> np.ndarray:
    """Raw pixels in [0, 1] of `NUM_FRAMES` frames at even distances, and how much each pixel changes over the clip."""
    small = np.stack([np.asarray(Image.fromarray(frame).resize((SIDE, SIDE), Image.Resampling.BOX), dtype=float) / 255 for frame in frames])
    chosen = small[np.linspace(0, len(small) - 1, NUM_FRAMES).round().astype(int)]
    return np.concatenate([chosen.ravel(), 4 * np.abs(np.diff(small, axis=0)).mean(axis=(0, 3)).ravel()])


def voice_features(sound: np.ndarray, rate: int) -> np.ndarray:
    """Median, spread and rise of the pitch in octaves, loudness in dB, seconds spoken, and the centre of the spectrum in octaves."""
    size, hop = rate // 25, rate // 100
    windows = np.lib.stride_tricks.sliding_window_view(sound, size)[::hop]
    power = np.mean(windows**2, axis=1)
    spoken = windows[power > 0.02 * power.max()]
    spoken = (spoken - spoken.mean(axis=1, keepdims=True)) * np.hanning(size)
    spectrum = np.abs(np.fft.rfft(spoken, 2 * size)) ** 2
    correlation = np.fft.irfft(spectrum)[:, rate // HIGHEST : rate // LOWEST]
    octaves = np.log2(rate / (rate // HIGHEST + correlation.argmax(axis=1)))
    frequencies = np.fft.rfftfreq(2 * size, 1 / rate)
    centre = np.log2((spectrum.sum(axis=0) * frequencies).sum() / spectrum.sum())
    third = len(octaves) // 3
    rise = np.median(octaves[-third:]) - np.median(octaves[:third])
    low, middle, high = np.percentile(octaves, [10, 50, 90])
    return np.array([middle, high - low, rise, 10 * np.log10(power.max()), len(octaves) * hop / rate, centre])


def features(folder: Path, split: str) -> tuple[list[Record], dict[str, np.ndarray]]:
    """The records of a split and what each probe sees of them, by its modality."""
    records = read_records(folder / f"{split}.jsonl")
    return records, {
        "video": np.stack([face_features(read_frames(record, folder)) for record in records]),
        "audio": np.stack([voice_features(*read_sound(record, folder)) for record in records]),
    }


def visible(records: list[Record], modality: str) -> np.ndarray:
    """Which records have a label that this modality tells."""
    return np.array([record.aligned_modality in (None, modality) for record in records])


def accuracies(folder: Path) -> dict[str, dict[str, float]]:
    """{modality: {subset: accuracy on the held-out clips}}; the modalities are `video`, the face, and `audio`, the voice."""
    (train, train_seen), (dev, dev_seen), (test, test_seen) = (features(folder, split) for split in ("train", "calibration", "heldout"))
    labels, dev_labels, test_labels = (np.array([record.target.label for record in records]) for records in (train, dev, test))
    subsets = np.array([SUBSETS[record.aligned_modality] for record in test])
    found = {}
    for modality, seen in train_seen.items():
        rows, dev_rows = visible(train, modality), visible(dev, modality)
        probes = [probe(strength).fit(seen[rows], labels[rows]) for strength in STRENGTHS]
        best = max(probes, key=lambda fitted: fitted.score(dev_seen[modality][dev_rows], dev_labels[dev_rows]))
        right = best.predict(test_seen[modality]) == test_labels
        found[modality] = {subset: float(right[subsets == subset].mean()) for subset in SUBSETS.values() if (subsets == subset).any()}
    return found


def probe(strength: float) -> Pipeline:
    return make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=2000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="the folder that talking_faces.py wrote")
    try:
        found = accuracies(parser.parse_args().data)
    except UserError as error:
        parser.error(str(error))
    grid = Table("probe", *SUBSETS.values(), title="accuracy on held-out clips; chance is 0.17")
    for modality, name in (("video", "face only"), ("audio", "voice only")):
        grid.add_row(name, *[f"{found[modality][subset]:.2f}" if subset in found[modality] else "-" for subset in SUBSETS.values()])
    Console().print(grid)


if __name__ == "__main__":
    main()
