"""What detectors of facial action units write: the CSV files of OpenFace, LibreFace and py-feat, a row a face and frame."""

import csv
import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple

from emoreason.action_units import facs
from emoreason.faults import UserError, raise_faults

Kind = Literal["occurrence", "intensity", "probability"]

_COLUMNS: dict[str, list[tuple[Kind, re.Pattern[str]]]] = {
    "OpenFace": [("intensity", re.compile(r"AU(\d+)_r")), ("occurrence", re.compile(r"AU(\d+)_c"))],
    # As in LibreFace's own README; of `intensities` no file was seen.
    "LibreFace": [("intensity", re.compile(r"au_(\d+)_intensit(?:y|ies)")), ("occurrence", re.compile(r"au_(\d+)"))],
    "py-feat": [("probability", re.compile(r"AU(\d+)"))],
}
_ACCEPTED = "accepted: tables of OpenFace (AU01_r, AU01_c), LibreFace (au_1_intensity, au_1) or py-feat (AU01)"
_ABSENT_CELLS = frozenset(("", "nan", "-nan", "-nan(ind)", "na", "n/a", "none", "null"))
_LEAST_PROBABILITY = 0.5
_MOST_FAULTS_SHOWN = 5


@dataclass(frozen=True, slots=True)
class AUFrame:
    """A detector's row: one face in one frame. What the detector did not say is None, or not among the keys."""

    frame: int
    """As numbered in the table: OpenFace counts from 1, py-feat from 0; rows from 0 where it has no such column."""
    timestamp: float | None = None
    """Seconds."""
    confidence: float | None = None
    """Of the face, not of its units; in [0, 1]."""
    success: bool | None = None
    """Whether the face was tracked."""
    face: int | None = None
    """Number of the face among those of the frame."""
    occurrence: dict[str, int] = field(default_factory=dict)
    """1 where the unit is there, else 0; of probabilities, from 0.5 on."""
    intensity: dict[str, float] = field(default_factory=dict)
    """0 to 5 as the detector says, not clipped."""
    probability: dict[str, float] = field(default_factory=dict)
    """In [0, 1]; only py-feat, which has no intensities."""


def read_au_csv(path: str | Path) -> list[AUFrame]:
    """The rows of a table that OpenFace, LibreFace or py-feat wrote, in file order; which of them is seen by the columns.

    Blanks around names and cells, a byte order mark, and cells that hold no number (`nan`) are put up with.

    Raises:
        UserError: no such file, columns of none of these kinds, units that FACS does not have, or cells that are no numbers.

    Source: the output pages of OpenFace (github.com/TadasBaltrusaitis/OpenFace/wiki) and of LibreFace (its README on PyPI), and a table
    in the tests of py-feat.
    """
    path = Path(path).expanduser()
    header, rows = _read_cells(path)
    columns = _unit_columns(path, header)
    place = {name: index for index, name in reversed(list(enumerate(header)))}
    faults: list[str] = []
    frames = []
    for line, cells in rows:
        row = _Row(f"{path}:{line}: ", header, cells, faults)
        meta = {name: row.number(place[column]) for name, column in _meta_columns(place)}
        units: dict[Kind, dict[str, float]] = {"occurrence": {}, "intensity": {}, "probability": {}}
        for index, (kind, code) in columns.items():
            value = row.number(index, highest=1.0 if kind != "intensity" else math.inf)
            if value is not None:
                units[kind][code] = value
        occurrence = units["occurrence"] or {code: value >= _LEAST_PROBABILITY for code, value in units["probability"].items()}
        milliseconds = meta.get("milliseconds")
        frames.append(
            AUFrame(
                frame=len(frames) if meta.get("frame") is None else int(meta["frame"]),
                timestamp=meta.get("timestamp") if milliseconds is None else milliseconds / 1000,
                confidence=meta.get("confidence"),
                success=None if meta.get("success") is None else bool(meta["success"]),
                face=None if meta.get("face") is None else int(meta["face"]),
                occurrence={code: int(value) for code, value in occurrence.items()},
                intensity=units["intensity"],
                probability=units["probability"],
            )
        )
    if len(faults) > _MOST_FAULTS_SHOWN:
        faults[_MOST_FAULTS_SHOWN:] = [f"{path}: {len(faults) - _MOST_FAULTS_SHOWN} more cells are no such numbers"]
    raise_faults(faults)
    return frames


def mean_action_units(frames: Iterable[AUFrame], *, of: Kind = "intensity", min_confidence: float = 0.8) -> dict[str, float]:
    """{code: mean over the usable frames that have the unit}; of `occurrence` it is the share of frames. Empty when none is usable.

    A frame is usable unless its face was lost or its confidence is below `min_confidence`; 0.8 is a habit, not a finding. Frames of
    several faces are mixed unless the caller sorts them out by `face`.
    """
    values: dict[str, list[float]] = {}
    for frame in _usable(frames, min_confidence):
        for code, value in getattr(frame, of).items():
            values.setdefault(code, []).append(value)
    return {code: math.fsum(found) / len(found) for code, found in values.items()}


def peak_frame(frames: Iterable[AUFrame], *, min_confidence: float = 0.8) -> AUFrame | None:
    """The usable frame with the highest sum of intensities (of probabilities in a table without), the first among equals, or None.

    Source: Emotion-LLaMA (Cheng et al. 2024, arXiv 2406.11161) takes the peak by summed intensities too, but only of the units that are
    most frequent in the clip.
    """
    usable = _usable(frames, min_confidence)
    rated: Kind = "intensity" if any(frame.intensity for frame in usable) else "probability"
    return max(usable, key=lambda frame: math.fsum(getattr(frame, rated).values()), default=None)


def _usable(frames: Iterable[AUFrame], min_confidence: float) -> list[AUFrame]:
    return [
        frame
        for frame in frames
        if frame.success is not False
        and (frame.confidence is None or frame.confidence >= min_confidence)
        and (frame.occurrence or frame.intensity or frame.probability)
    ]


def _read_cells(path: Path) -> tuple[list[str], list[tuple[int, list[str]]]]:
    """(names of the columns, (line number, cells) of each row that is not empty), blanks stripped."""
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror} (relative paths start at {Path.cwd()})") from error
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode("cp1252", errors="replace")  # a path in a cell; what is read of the table is ASCII
    reader = csv.reader(text.splitlines(keepends=True), skipinitialspace=True)
    try:
        rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cell.strip() for cell in cells)]
    except csv.Error as error:
        raise UserError(f"{path}:{reader.line_num}: no readable CSV: {error}; {_ACCEPTED}") from error
    if not rows:
        raise UserError(f"{path}: the file is empty; {_ACCEPTED}")
    return rows[0][1], rows[1:]


def _unit_columns(path: Path, header: list[str]) -> dict[int, tuple[Kind, str]]:
    """{column: (what it says, of which unit)} of the first kind of table that has any such columns."""
    for patterns in _COLUMNS.values():
        found = {
            index: (kind, int(match[1])) for index, name in enumerate(header) for kind, pattern in patterns if (match := pattern.fullmatch(name))
        }
        unknown = [header[index] for index, (_, number) in found.items() if number not in facs()]
        if unknown:
            raise UserError(f"{path}: columns {', '.join(unknown)}: FACS has no such action units; were the columns numbered instead of named?")
        if found:
            return {index: (kind, f"AU{number}") for index, (kind, number) in found.items()}
    shown = ", ".join(header[:8]) + (", ..." if len(header) > 8 else "")
    raise UserError(f"{path}: no columns of action units, but {shown}; {_ACCEPTED}")


def _meta_columns(place: Mapping[str, int]) -> list[tuple[str, str]]:
    """(field, column) of what a table says beside units: OpenFace, then LibreFace, then py-feat."""
    names = [("frame", "frame"), ("frame", "frame_idx"), ("timestamp", "timestamp"), ("milliseconds", "frame_time_in_ms"),
             ("confidence", "confidence"), ("confidence", "FaceScore"), ("success", "success"), ("face", "face_id"), ("face", "face")]  # fmt: skip
    return [(name, column) for name, column in names if column in place]


class _Row(NamedTuple):
    where: str
    header: list[str]
    cells: list[str]
    faults: list[str]

    def number(self, index: int, highest: float = math.inf) -> float | None:
        """The cell as a number, None where it holds none; a cell with anything else is a fault."""
        cell = self.cells[index] if index < len(self.cells) else ""
        if cell.casefold() in _ABSENT_CELLS:
            return None
        try:
            value = float(cell)
        except ValueError:
            value = math.inf
        if not math.isfinite(value) or value > highest:
            limit = "" if highest == math.inf else f" from 0 to {highest:g}"
            self.faults.append(f"{self.where}{self.header[index]} is {cell[:40]!r}; accepted: a number{limit}, or nan")
            return None
        return value
