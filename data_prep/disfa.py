"""DISFA as records: frames of 27 people who watch films, with the intensity of 12 action units.

    DISFA/
      ActionUnit_Labels/SN001/SN001_au1.txt ... SN001_au26.txt      `frame,intensity` for every frame, a file for each unit
      img/SN001/0.png ...                                           frames that you extract from Videos_LeftCamera

    python data_prep/disfa.py DISFA data/disfa --every 5
    python data_prep/disfa.py DISFA data/disfa --fold 3 --units 1 2 4 6 9 12 25 26

Frames of the one camera, from 0 as most code counts them:
    ffmpeg -i Videos_LeftCamera/LeftVideoSN001_comp.avi -start_number 0 img/SN001/%d.png
Labels count from 1: the label of frame 1 belongs to picture 0. Give --first-picture 1 where your pictures count from 1 as well.

A unit is present from intensity 2 on, as papers count it (--present-from 1 takes traces in), and keeps its intensity. `coded_units` are the
units that were coded in this frame: what is there and not among the action units is absent. Papers report the mean F1 of the eight units
above over three folds without a person in two of them; `fold` is the one a frame is tested in, and --fold says which is `test` (the lists of
ME-GraphAU call our folds 1 and 3 the other way round). Frames of one person are one group.
"""

import re
from argparse import ArgumentParser
from collections.abc import Iterator

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.script import count, main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="disfa", title="DISFA", access="signed form (University of Denver)", licence="non-commercial research by agreement",
    citation="Mavadati et al. 2013, DISFA: A Spontaneous Facial Action Intensity Database, IEEE TAC",
    url="http://mohammadmahoor.com/disfa/", size="27 people, 4,845 frames each", labels="12 action units, intensity 0 to 5", modalities="image",
    splits="3 folds of 9 people, as papers use them", verified="folders, lines, units, both counts of frames, people of the folds",
    inferred="number of frames", recipes="qwen2_5_vl_7b",
)  # fmt: skip
UNITS = (1, 2, 4, 5, 6, 9, 12, 15, 17, 20, 25, 26)
FOLDS = (
    (1, 2, 9, 10, 16, 26, 27, 30, 32),
    (6, 11, 12, 13, 18, 21, 24, 28, 31),
    (3, 4, 5, 7, 8, 17, 23, 25, 29),
)
PICTURES = ("img/{person}/{number}", "{person}/{number}", "Videos_LeftCamera/{person}/{number}")


def read(source: Source) -> Iterator[Row]:
    people = sorted({path.parent for path in source.files("ActionUnit_Labels/SN*/*.txt")})
    if not people:
        raise UserError(f"{source.root}: no ActionUnit_Labels/SN001/SN001_au1.txt; give the folder that holds ActionUnit_Labels (see --help)")
    for folder in people:
        frames: dict[int, dict[int, int]] = {}
        for unit in sorted(source.options.units):  # by number: as text, au12 comes before au2
            path = source.optional(f"ActionUnit_Labels/{folder.name}/{folder.name}_au{unit}.txt")
            for row in source.lines(path) if path else ():
                try:
                    frame, intensity = frame_and_intensity(row["line"])
                    frames.setdefault(frame, {})[unit] = intensity
                except BadRow as fault:
                    source.report(row.where, fault)
        for frame in sorted(frames):
            yield Row({"person": folder.name, "frame": frame, "units": frames[frame]}, source.name_of(folder), f"frame {frame}")


def frame_and_intensity(line: str) -> tuple[int, int]:
    frame, _, intensity = line.replace("\t", ",").partition(",")
    return cells.whole_number(frame, "frame", low=1), cells.whole_number(intensity, "intensity", low=0, high=5)


def to_record(row: Row, source: Source) -> Record:
    person, options = row["person"], source.options
    if (row["frame"] - 1) % options.every:
        raise LeftOut("between every so many frames")
    number = row["frame"] - 1 + options.first_picture
    found = re.fullmatch(r"SN0*(\d+)", person)
    fold = next((place for place, people in enumerate(FOLDS, start=1) if found and int(found[1]) in people), None)
    if fold is None:
        raise BadRow("person is in no fold", f"{person}; accepted: the 27 of DISFA")
    return source.record(
        id=f"{person}_{row['frame']}", split="test" if fold == options.fold else "train", fold=fold, group=person,
        media={"images": [source.medium("image", *(pattern.format(person=person, number=number) for pattern in PICTURES))]},
        target={"action_units": {f"AU{unit}": float(value) for unit, value in row["units"].items() if value >= options.present_from}},
        attributes={"frame": row["frame"], "coded_units": [f"AU{unit}" for unit in row["units"]]},
    )  # fmt: skip


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--fold", type=int, choices=(1, 2, 3), default=1, help="the fold that is the split test (default: 1)")
    parser.add_argument("--every", type=count, default=1, metavar="N", help="only every Nth frame (default: 1, all)")
    parser.add_argument("--units", type=int, nargs="+", choices=UNITS, default=UNITS, metavar="AU", help="only these action units (default: all 12)")
    parser.add_argument("--present-from", type=int, choices=(1, 2, 3, 4, 5), default=2, help="the least intensity of a unit that is there: 2")
    parser.add_argument("--first-picture", type=int, choices=(0, 1), default=0, help="the number of the first frame's picture: 0")


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
