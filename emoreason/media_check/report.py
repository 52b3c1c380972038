"""The findings of `emoreason media` in numbers."""

import math
from collections import Counter
from collections.abc import Callable
from typing import Any

import numpy as np

from emoreason.decoding import SILENCE
from emoreason.media_check.check import MediaCheck
from emoreason.media_check.findings import Place
from emoreason.media_check.probe import Found

COMMON = 3
"""Values of a size, a rate or a number of frames a second that are named."""


def decibels(value: float) -> float:
    """dBFS of an amplitude; full scale is 0."""
    return 20 * math.log10(value)


def _heard(found: Found) -> bool:
    return bool(found.sound) and not found.sound.problem and found.sound.is_finite and found.sound.peak >= SILENCE


MEASURES: dict[str, Callable[[Found], float | None]] = {
    "seconds": lambda found: found.seconds,
    "frames a second": lambda found: found.fps,
    "megapixels": lambda found: found.width and found.width * found.height / 1e6,
    "loudness, dBFS": lambda found: decibels(found.sound.rms) if _heard(found) and found.sound.rms else None,
    "peak, dBFS": lambda found: decibels(found.sound.peak) if _heard(found) else None,
    "faces": lambda found: found.faces,
}
"""{name: of what a distribution is shown}; loudness is the root mean square of the mean of the channels."""
VALUES: dict[str, Callable[[Found], Any]] = {
    "size": lambda found: found.width and f"{found.width} x {found.height}",
    "frames a second": lambda found: found.fps and f"{found.fps:.3g}",
    "sample rate": lambda found: (found.sound and found.sound.sample_rate) or None,
    "channels": lambda found: (found.sound and found.sound.channels) or None,
    "format": lambda found: found.format and found.format.split(",")[0],
}
"""{name: what is counted by its value}"""


def summary(check: MediaCheck) -> dict[str, Any]:
    """`{"records", "limits", "cache", "roles", "reasons", "findings", "files"}`, all as JSON.

    `roles[role]` counts files, those readable, those with sound, and has `measures` (n, min, p5, median, p95, max of what is readable) and `values`
    (the most common, with counts).
    """
    refused = check.refused
    by_role: dict[str, dict[Any, tuple[Place, Found]]] = {}
    for place, (_, found) in check.files.items():
        by_role.setdefault(place.use.role, {}).setdefault(place.path, (place, found))
    reasons = Counter((finding.reason, finding.is_fault) for finding in check.findings)
    return {
        "records": [{"path": str(one.path), "sha256": one.digest, "num_records": one.num_records, "num_readable": one.num_readable}
                    for one in check.records],
        "limits": check.limits.model_dump(include={"max_seconds", "max_megabytes"}),
        "cache": {"num_cached": check.num_cached, "num_looked": check.num_looked},
        "roles": {role: _role(list(files.values()), refused) for role, files in by_role.items()},
        "reasons": [{"reason": reason, "is_fault": is_fault, "count": count}
                    for (reason, is_fault), count in sorted(reasons.items(), key=lambda one: (not one[0][1], -one[1], one[0][0]))],
        "findings": [{"path": str(one.place.path), "role": one.place.use.role, "reason": one.reason, "text": one.text, "is_fault": one.is_fault,
                      "record": one.record} for one in check.findings],
        "files": [{"path": str(place.path), "role": place.use.role, "sha256": content, "readable": place not in refused, **found.row()}
                  for place, (content, found) in check.files.items()],
    }  # fmt: skip


def _role(files: list[tuple[Place, Found]], refused: dict[Place, str]) -> dict[str, Any]:
    readable = [found for place, found in files if place not in refused]
    measures = {name: _distribution([value for found in readable if (value := measure(found)) is not None]) for name, measure in MEASURES.items()}
    values = {name: Counter(value for found in readable if (value := read(found)) is not None) for name, read in VALUES.items()}
    return {
        "num_files": len(files), "num_readable": len(readable), "num_unreadable": len(files) - len(readable),
        "num_with_sound": sum(found.sound is not None for found in readable), "num_heard": sum(map(_heard, readable)),
        "measures": {name: found for name, found in measures.items() if found},
        "values": {name: _common(counts) for name, counts in values.items() if counts},
    }  # fmt: skip


def _distribution(values: list[float]) -> dict[str, float] | None:
    if not values:
        return None
    low, p5, median, p95, high = np.percentile(values, [0, 5, 50, 95, 100]).tolist()
    return {"n": len(values), "min": low, "p5": p5, "median": median, "p95": p95, "max": high}


def _common(counts: Counter) -> dict[str, Any]:
    ranked = sorted(counts.items(), key=lambda one: (-one[1], str(one[0])))
    return {"num_different": len(ranked), "most": [[value, count] for value, count in ranked[:COMMON]]}
