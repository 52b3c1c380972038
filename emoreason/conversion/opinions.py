"""Tables of opinions, `video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode`: CH-SIMS v2, and MMSA's releases of its kind.

`label` is how negative or positive all of a clip is, the other three what its words, its voice and its picture alone are.
"""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emoreason.conversion import cells, mer
from emoreason.conversion.faults import BadRow
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
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


def standard_folds(source: Source, name: str) -> dict[str, str]:
    """{video: train, valid or test} from the file of CMU's SDK that lists the three in Python, of which nothing is run; {} without it."""
    path = source.optional(name)
    lists = re.findall(r"standard_(train|valid|test)_fold\s*=\s*(\[.*?\])", source.text(path), re.DOTALL) if path else []
    if path and {split for split, _ in lists} != set(MODES):
        raise UserError(f"{name}: accepted: three lists named standard_train_fold, standard_valid_fold and standard_test_fold")
    return {video: split for split, videos in lists for video in cells.items(videos)}


def corpus_rows(source: Source, path: Path) -> Iterator[Row]:
    """The rows of a label.npz as MERTools writes it for such sets, with `name`, `split`, `label` and `text`; see `mer.read_corpora`."""
    said = mer.read_subtitles(source, "transcription.csv", "transcription-engchi-polish.csv")
    for row in mer.read_corpora(source, path):
        yield row.with_fields(label=row["valence"], text=said.get(row["name"]))


def split_name(cell: Any) -> tuple[str, str]:
    """Video and segment of a name like `-s9qJ7ATP7w_3`; ids of YouTube hold `_` too, so the last one counts."""
    video, _, segment = cells.required_text(cell, "name").rpartition("_")
    if not video or not segment.isdecimal():
        raise BadRow("no segment in the name", f"name is {cell!r}; accepted: <video>_<segment>")
    return video, segment


def record(row: Row, source: Source, scale: Scale, clip: str, *paths: str, split: str | None = None, **target: Any) -> Record:
    """The record of a row: its clip's name stands in its id, and its file is the first of these paths, `Raw/<video_id>/<clip>.mp4` if none.

    `split` is that of the row unless given; `target` has more fields of that.
    """
    video = video_id(row["video_id"])
    annotation = cells.text(row.get("annotation"))
    return source.record(
        id=f"{video}_{clip}", split=split or mode(row), group=video, media=source.video(*(paths or (f"Raw/{video}/{clip}.mp4",))),
        text=cells.text(row["text"]), target={"vad": strength(row["label"], scale), "unimodal": unimodal(row, scale), **target},
        attributes={"annotation": annotation} if annotation else {},
    )  # fmt: skip
