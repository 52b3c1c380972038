"""What is to be beaten on the emoji faces: the majority class, and a linear probe on raw pixels.

    python data_prep/emoji_baselines.py recipes/tiny/data

Both learn from `train.jsonl` and are measured on `heldout_style.jsonl` and `heldout_emoji.jsonl`. The probe is a
multinomial logistic regression on 32 by 32 RGB pixels; its strength of regularisation is chosen on `calibration.jsonl`.
"""

import argparse
from collections import Counter
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression

from emoreason.records import read_records

SIDE = 32
STRENGTHS = (0.001, 0.01, 0.1, 1.0)


def load(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """(pixels in [0, 1] of shape (records, 3 * SIDE * SIDE), labels) of a records file with one picture a record."""
    records = read_records(path)
    pictures = [Image.open(path.parent / record.media.images[0]).convert("RGB").resize((SIDE, SIDE)) for record in records]
    pixels = np.stack([np.asarray(picture, dtype=np.float32).ravel() / 255 for picture in pictures])
    return pixels, np.array([record.target.label for record in records])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder with the records files")
    data = parser.parse_args().data
    pixels, labels = load(data / "train.jsonl")
    dev_pixels, dev_labels = load(data / "calibration.jsonl")
    probes = [LogisticRegression(C=strength, max_iter=2000).fit(pixels, labels) for strength in STRENGTHS]
    best = max(probes, key=lambda probe: probe.score(dev_pixels, dev_labels))
    majority = Counter(labels).most_common(1)[0][0]
    for name in ("heldout_style", "heldout_emoji"):
        test_pixels, test_labels = load(data / f"{name}.jsonl")
        print(f"{name}: majority class {np.mean(test_labels == majority):.2f}, linear probe on pixels {best.score(test_pixels, test_labels):.2f}")


if __name__ == "__main__":
    main()
