"""FEA-20K as records: faces of seven data sets with action units, an expression, and a description of how one shows the other (Facial-R1).

    FEA-20K/RAF-DB-Train-stage1.jsonl  RAF-DB-Test.jsonl  ...      annotations alone
    faces/RAF-DB-Train/...  faces/RAF-DB/...  faces/DISFA/...      pictures, by the terms of each data set, in a folder each

    python data_prep/fea20k.py FEA-20K data/fea20k --media faces
    python data_prep/fea20k.py FEA-20K data/fea20k_stage3 --media faces --stage 3

The training files of stage 1 and all test files are FEA-20K; stages 2 and 3 are what Facial-R1 trained on later, with the same faces again, and
are left out unless --stage asks for them. Action units are written AU4 whether the file has AU4 or AU04, and are none of a list that is
empty, but in DISFA, BP4D and RAF-AU, where an empty list says that no unit is there. The first label is the label; labels of AffectNet
have contempt as well (`ekman_8`). Frames of DISFA and BP4D have the person as their group where the path names one, so that `emoreason leaks`
can tell whether training and test files share people. Pictures of FER2013 were renamed: take the archive that Facial-R1's README links, not Kaggle's.
"""

import re
from argparse import ArgumentParser
from collections.abc import Iterator

from emoreason.action_units import facs
from emoreason.completions import Template, parse_completion
from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="fea20k", title="FEA-20K", access="annotations open; pictures by each set's terms", licence="none stated; pictures: each set's terms",
    citation="Wu et al. 2026, Facial-R1: Aligning Reasoning and Recognition for Facial Emotion Analysis, AAAI (arXiv 2511.10254)",
    url="https://huggingface.co/datasets/QBiscuits/FEA-20K", size="17,737 train, 1,688 test", modalities="image",
    labels="fea_20k_7, ekman_8 (AffectNet); action units; reasoning", splits="train, test, by file",
    verified="keys, label words by set, action units by set", inferred="names of files and of the pictures' folders", recipes="qwen2_5_vl_7b",
)  # fmt: skip
CODED_SETS = ("DISFA", "BP4D", "RAF-AU")
_FILE = re.compile(r"(?P<set>.+?)[-_].*?(?P<split>train|test)", re.IGNORECASE)
_SET_WITH_PART = re.compile(r"(RAF-(?:DB|AU)|[A-Za-z0-9+]+)")
_STAGE = re.compile(r"stage[-_]?(\d)", re.IGNORECASE)
_UNIT = re.compile(r"(?:AU)?\s*0*(\d+)", re.IGNORECASE)
_PERSON = re.compile(r"(?<![A-Za-z0-9])(SN\d{3}|[FM]\d{3})(?![0-9])")


def read(source: Source) -> Iterator[Row]:
    paths = [path for path in source.files("**/*.jsonl") if _FILE.match(path.stem)]
    if not paths:
        raise UserError(f"{source.root}: no RAF-DB-Train-stage1.jsonl or the like; accepted: <data set>-Train....jsonl and <data set>-Test....jsonl")
    for path in paths:
        split, stage = _FILE.match(path.stem)["split"], _STAGE.search(path.stem)
        for row in source.objects(path):
            name = cells.text(row.get("dataset")) or _SET_WITH_PART.match(path.stem)[1]
            yield row.with_fields(set=name, part=split.title(), split=split.lower(), stage=int(stage[1]) if stage else None)


def to_record(row: Row, source: Source) -> Record:
    if row["split"] == "train" and (row["stage"] or 1) != source.options.stage:
        raise LeftOut("of another stage")
    if row.get("is_valid") is False:
        raise LeftOut("marked as not valid")
    name, picture = row["set"], cells.relative_path(row["image"], "image")
    try:
        image = source.medium("image", *(f"{folder}/{picture}" for folder in (f"{name}-{row['part']}", name, ".")))
    except BadRow as fault:
        raise BadRow(fault.reason, f"{fault}" + ("; its pictures were renamed, see --help" if "FER2013" in name.upper() else "")) from fault
    space = "ekman_8" if name.casefold().startswith("affectnet") else "fea_20k_7"
    labels = list(dict.fromkeys(cells.label(label, space) for label in cells.items(row.get("labels"))))
    person = _PERSON.search(picture) if name.upper() in ("DISFA", "BP4D") else None
    return source.record(
        id=f"{name}_{row['split']}_{cells.required_text(row['id'], 'id')}", dataset=f"fea20k/{name.lower().replace('-', '_')}", split=row["split"],
        group=f"{name}/{person[1] if person else picture}", media={"images": [image]}, question=question_of(row),
        target={"label": labels[0] if labels else None, "labels": labels[1:] and labels, "label_space": space,
                "action_units": action_units_of(row), "reasoning": reasoning_of(row)},
    )  # fmt: skip


def action_units_of(row: Row) -> dict[str, None] | None:
    """Those of the list by number, None where the set has none."""
    numbers = set()
    for code in cells.items(row.get("AUs")):
        found = _UNIT.fullmatch(code)
        if found is None or int(found[1]) not in facs():
            raise BadRow("no action unit of FACS", f"AUs name {code!r}; accepted: AU1 to AU46 and the like")
        numbers.add(int(found[1]))
    return {f"AU{number}": None for number in sorted(numbers)} if numbers or row["set"].upper() in CODED_SETS else None


def question_of(row: Row) -> str | None:
    """Without the mark of the place of the picture, which prompts put back."""
    return cells.text((cells.text(row.get("question")) or "").replace("<image>", ""))


def reasoning_of(row: Row) -> str | None:
    """The description; of one that is a whole completion, what it thinks."""
    found = cells.text(row.get("description"))
    return parse_completion(found, Template()).think or found if found else None


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--stage", type=int, choices=(1, 2, 3), default=1, help="of the training files (default: 1, which is FEA-20K)")


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
