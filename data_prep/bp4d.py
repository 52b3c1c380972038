"""BP4D and BP4D+ as records: frames of people in eight tasks that bring emotions about, with action units that are there or not.

    BP4D/
      AUCoding/AU_OCC/F001_T1.csv              the numbers of the units, then a row a frame: 0 absent, 1 there, 9 unknown
      AUCoding/AU_INT/AU06/F001_T1_AU06.csv    where you have it: frame and intensity, without a header, of units 6, 10, 12, 14 and 17
      2D+3D/F001/T1/0001.jpg                   or img/F001/T1/1.jpg

    python data_prep/bp4d.py BP4D data/bp4d --every 10
    python data_prep/bp4d.py BP4D+ data/bp4d_plus --set bp4d_plus

9 is unknown and never absent: `coded_units` are the units that were judged in this frame; of these, what is not among the action units is
absent. Frames in which none was judged are left out. --units names which (default: the 12 that papers report). The tasks are T1 happy, T2 sad,
T3 surprise, T4 embarrassment, T5 fear, T6 pain, T7 anger, T8 disgust (BP4D+: T1, T6, T7 and T8 are coded); `elicited` is what a task was made
for, not what anybody saw. Names of pictures may have zeros in front; in BP4D+, pictures count from 0 and labels from 1: frame 1 is picture 0.

Papers report the mean F1 over three folds without a person in two of them: `fold` is the one a frame is tested in, and --fold says which is
`test` (the lists of ME-GraphAU call our folds 1 and 3 the other way round). BP4D+ has no folds that papers agree on: its split is `all`.
"""

import re
from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path

from emoreason.action_units import MAX_INTENSITY, facs
from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.script import count, main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="bp4d", title="BP4D, BP4D+", access="agreement (Binghamton University)", licence="by agreement; non-commercial research",
    citation="Zhang et al. 2014, BP4D-Spontaneous: A High-Resolution Spontaneous 3D Dynamic Facial Expression Database, Image and Vision Computing; "
             "Zhang et al. 2016, Multimodal Spontaneous Emotion Corpus for Human Behavior Analysis, CVPR (BP4D+)",
    url="https://www.cs.binghamton.edu/~lijun/Research/3DFE/3DFE_Analysis.html", size="41 people, 8 tasks (BP4D); 140 people (BP4D+)",
    labels="action units, five of them with intensity", modalities="image", splits="BP4D: 3 folds of people, as papers use them; BP4D+: none",
    verified="columns, 9, tasks, people of the folds, picture numbers of BP4D+, files of intensities", inferred="folders and zeros of picture names",
    recipes="qwen2_5_vl_7b",
)  # fmt: skip
UNITS, RATED = (1, 2, 4, 6, 7, 10, 12, 14, 15, 17, 23, 24), (6, 10, 12, 14, 17)
ABSENT, THERE, UNKNOWN = 0, 1, 9
TASKS = dict(enumerate(("happiness", "sadness", "surprise", "embarrassment", "fear", "pain", "anger", "disgust"), start=1))
FOLDS = (
    "F001 F002 F008 F009 F010 F016 F018 F023 M001 M004 M007 M008 M012 M014".split(),
    "F003 F005 F011 F013 F020 F022 M002 M005 M010 M011 M013 M016 M017 M018".split(),
    "F004 F006 F007 F012 F014 F015 F017 F019 F021 M003 M006 M009 M015".split(),
)
FOLDERS = ("2D+3D", "img", "BP4D-training", ".")
_NAME = re.compile(r"([FM]\d{3})_T(\d+)")


def read(source: Source) -> Iterator[Row]:
    tables = source.files("AUCoding/AU_OCC/*.csv") or source.files("AU_OCC/*.csv") or source.files("AUCoding/*.csv")
    if not tables:
        raise UserError(f"{source.root}: no AUCoding/AU_OCC/F001_T1.csv; give the folder that holds AUCoding (see --help)")
    for path in tables:
        name = _NAME.match(path.stem)
        if name is None or int(name[2]) not in TASKS:
            source.report(source.name_of(path), BadRow("table is of no person and task", f"{path.name}; accepted: F001_T1.csv, tasks 1 to 8"))
            continue
        rated = {unit: intensities(source, path, unit) for unit in RATED}
        for row in source.csv(path, ()):
            yield Row({"cells": row, "person": name[1], "task": int(name[2]), "rated": rated}, row.file, row.place)


def intensities(source: Source, table: Path, unit: int) -> dict[int, float]:
    """{frame: intensity from 1 to 5} of one unit; what is 0, unknown or not rated is not in it."""
    found: dict[int, float] = {}
    for path in source.files(f"AUCoding/AU_INT/AU{unit:02d}/{table.stem}_AU{unit:02d}.csv"):
        for row in source.csv(path, (), header=("frame", "intensity")):
            try:
                value = cells.whole_number(row["intensity"], f"intensity of AU{unit}", low=0, high=UNKNOWN)
                if 0 < value <= MAX_INTENSITY:
                    found[cells.whole_number(row["frame"], "frame", low=0)] = float(value)
            except BadRow as fault:
                source.report(row.where, fault)
    return found


def to_record(row: Row, source: Source) -> Record:
    options, person, task = source.options, row["person"], row["task"]
    frame = cells.whole_number(next(iter(row["cells"].values())), "frame", low=0)
    if frame % options.every:
        raise LeftOut("between every so many frames")
    coded = {}
    for unit in options.units:
        value = cells.whole_number(row["cells"].get(str(unit), UNKNOWN), f"AU{unit}")
        if value not in (ABSENT, THERE, UNKNOWN):
            raise BadRow("a unit is neither 0, 1 nor 9", f"AU{unit} is {value}; accepted: 0 absent, 1 there, 9 unknown")
        if value != UNKNOWN:
            coded[unit] = value
    if not coded:
        raise LeftOut("no unit was judged")
    plus = options.set == "bp4d_plus"
    fold = None if plus else next((place for place, people in enumerate(FOLDS, start=1) if person in people), None)
    if fold is None and not plus:
        raise BadRow("person is in no fold", f"{person}; accepted: the 41 of BP4D; give --set bp4d_plus for the people of BP4D+")
    number = frame - 1 if plus else frame
    names = [f"{folder}/{person}/T{task}/{number:0{zeros}d}" for folder in FOLDERS for zeros in range(1, 6)]
    return source.record(
        id=f"{person}_T{task}_{frame}", dataset=options.set, fold=fold, group=person,
        split="all" if plus else "test" if fold == options.fold else "train", media={"images": [source.medium("image", *dict.fromkeys(names))]},
        target={"action_units": {f"AU{unit}": row["rated"].get(unit, {}).get(frame) for unit, value in coded.items() if value == THERE}},
        attributes={"frame": frame, "task": f"T{task}", "elicited": TASKS[task], "coded_units": [f"AU{unit}" for unit in coded]},
    )  # fmt: skip


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--set", choices=("bp4d", "bp4d_plus"), default="bp4d", help="which of the two SOURCE is (default: bp4d)")
    parser.add_argument("--fold", type=int, choices=(1, 2, 3), default=1, help="the fold that is the split test (default: 1)")
    parser.add_argument("--every", type=count, default=1, metavar="N", help="only frames whose number N divides (default: 1, all)")
    parser.add_argument("--units", type=int, nargs="+", choices=sorted(facs()), default=UNITS, metavar="AU", help="these action units (default: 12)")


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
