"""Clips or pictures of your own as records, with the action units that OpenFace, LibreFace or py-feat found in them.

    clips/anna/take_1.mp4   clips/anna/take_1.csv        the table beside the clip, or in clips/anna/processed/take_1.csv
 or tables/anna/take_1.csv  with --media clips           the same path below another folder

    python data_prep/openface_csv.py clips data/clips
    python data_prep/openface_csv.py tables data/clips --media clips --group folder --min-confidence 0.9
    python data_prep/openface_csv.py faces data/faces --kind image

A table is one record: the action units at its peak, the frame with the highest sum of intensities (of probabilities in py-feat's). Frames whose
face was lost, or that the detector is less sure of than --min-confidence, do not count; a table without a usable frame is left out. Of several
faces, the one that is seen in the most frames counts. A unit is there where the detector says so (AU01_c); where it only rates it, from
--min-intensity on; intensities are cut to 0 to 5. `found_units` are all that the detector looks for. Blanks in headers are put up with; tables
of OpenFace 3, whose AU01_r, AU02_r, ... are columns and not units, are refused as soon as a number is none of FACS.

These are a machine's findings, not a coder's: good for cues and rewards, not for tests. Labels and splits are yours to add (`emoreason split`).
"""

from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from pathlib import PurePosixPath

from emoreason.action_unit_files import AUFrame, peak_frame, read_au_csv
from emoreason.action_units import MAX_INTENSITY
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.script import main
from emoreason.conversion.small_files import read_bytes
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="openface_csv", title="Action units of OpenFace, LibreFace or py-feat", access="your own clips", licence="that of your clips",
    citation="Baltrusaitis et al. 2018, OpenFace 2.0: Facial Behavior Analysis Toolkit, FG; Chang et al. 2024, LibreFace, WACV (arXiv 2308.10713); "
             "Cheong et al. 2023, Py-Feat: Python Facial Expression Analysis Toolbox, Affective Science (arXiv 2104.03509)",
    url="https://github.com/TadasBaltrusaitis/OpenFace/wiki/Output-Format", size="as many as there are tables", labels="action units with intensity",
    modalities="video, audio, or image", splits="none: all", verified="columns of OpenFace and py-feat, of LibreFace by its README",
    recipes="qwen2_5_vl_7b, qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip


def read(source: Source) -> Iterator[Row]:
    tables = source.files("**/*.csv")
    if not tables:
        raise UserError(f"{source.root}: no .csv below it; give the folder of the tables, and --media for that of the clips")
    for path in tables:
        yield Row({"path": path}, source.name_of(path), "table")


def to_record(row: Row, source: Source) -> Record:
    options, name = source.options, PurePosixPath(row.file)
    read_bytes(source, row.file, of="**/*.csv")
    try:
        frames = of_main_face(read_au_csv(row["path"]))
    except UserError as error:
        raise BadRow("no table of action units", str(error).replace(str(row["path"]), row.file)) from error
    peak = peak_frame(frames, min_confidence=options.min_confidence)
    if peak is None:
        raise LeftOut("no usable frame")
    identifier = str(name.with_suffix(""))
    candidates = [identifier, str(name.parent.parent / name.stem), name.stem]
    media = source.video(*candidates) if options.kind == "video" else {"images": [source.medium("image", *candidates)]}
    about = {"frames": len(frames), "peak_frame": peak.frame, "peak_seconds": peak.timestamp, "confidence": peak.confidence,
             "found_units": sorted({*peak.occurrence, *peak.intensity, *peak.probability}, key=lambda unit: int(unit[2:]))}  # fmt: skip
    return source.record(
        id=identifier, split="all", group=str(name.parent) if options.group == "folder" else identifier, media=media,
        target={"action_units": present_units(peak, options.min_intensity)},
        attributes={key: value for key, value in about.items() if value is not None},
    )  # fmt: skip


def of_main_face(frames: list[AUFrame]) -> list[AUFrame]:
    seen = Counter(frame.face for frame in frames if frame.success is not False)
    return [frame for frame in frames if frame.face == seen.most_common(1)[0][0]] if seen else []


def present_units(frame: AUFrame, min_intensity: float) -> dict[str, float | None]:
    """{code: intensity, or None where the detector does not rate it} by number."""
    there = {unit for unit, value in frame.occurrence.items() if value}
    there |= {unit for unit, value in frame.intensity.items() if unit not in frame.occurrence and value >= min_intensity}
    rated = {unit: min(max(value, 0.0), MAX_INTENSITY) for unit, value in frame.intensity.items()}
    return {unit: rated.get(unit) for unit in sorted(there, key=lambda unit: int(unit[2:]))}


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--kind", choices=("video", "image"), default="video", help="what the tables were made of (default: video)")
    parser.add_argument("--group", choices=("table", "folder"), default="table", help="what must not be on both sides of a split (default: table)")
    parser.add_argument("--min-confidence", type=float, default=0.8, metavar="SHARE", help="of a frame's face (default: 0.8)")
    parser.add_argument("--min-intensity", type=float, default=1.0, metavar="LEVEL", help="of a unit that is only rated (default: 1)")


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
