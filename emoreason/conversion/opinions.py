"""Tables of opinions, `video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode`: CH-SIMS v2, and MMSA's releases of its kind.

`label` is how negative or positive all of a clip is, the other three what its words, its voice and its picture alone are.
"""

from typing import Any

from emoreason.conversion import cells
from emoreason.conversion.faults import BadRow
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

COLUMNS = ("video_id", "clip_id", "text", "label", "mode")
MODES = ("train", "valid", "test")
MODALITIES = {"text": "label_T", "audio": "label_A", "video": "label_V"}

Scale = tuple[float, float]


def strength(cell: Any, scale: Scale, name: str = "label") -> dict[str, Any]:
    """The fields of `target.vad` for a sentiment on this scale."""
    return {"valence": cells.number(cell, name, *scale), "scale": scale}


def video_id(cell: Any) -> str:
    """A video's id as the table writes it; one that a spreadsheet took for a formula, as it does with ids that start with `-`, is refused."""
    found = cells.required_text(cell, "video_id")
    if found.startswith("#") or found[:1] == "=":
        raise BadRow("video_id was lost in a spreadsheet", f"video_id is {found[:20]!r}; take the table as it was published")
    return found


def mode(row: Row) -> str:
    """The split, as the table calls it."""
    found = cells.required_text(row["mode"], "mode")
    if found not in MODES:
        raise BadRow("unknown split", f"mode is {found[:40]!r}; accepted: {', '.join(MODES)}")
    return found


def unimodal(row: Row, scale: Scale) -> dict[str, Any]:
    """`target.unimodal` of those of the three columns that are there and filled."""
    filled = {modality: name for modality, name in MODALITIES.items() if name in row and not cells.is_absent(row[name])}
    return {modality: {"vad": strength(row[name], scale, name)} for modality, name in filled.items()}


def record(row: Row, source: Source, scale: Scale, *clips: str) -> Record:
    """The record of a row, whose clip is the first file of these names, without their ending, in `Raw/<video_id>`; its id has the first name."""
    video = video_id(row["video_id"])
    annotation = cells.text(row.get("annotation"))
    return source.record(
        id=f"{video}_{clips[0]}", split=mode(row), group=video, media=source.video(*(f"Raw/{video}/{clip}.mp4" for clip in clips)),
        text=cells.text(row["text"]), target={"vad": strength(row["label"], scale), "unimodal": unimodal(row, scale)},
        attributes={"annotation": annotation} if annotation else {},
    )  # fmt: skip
