"""AffectNet as records: faces with an expression, valence and arousal, from any of its three layouts.

    training.csv  validation.csv  Manually_Annotated_Images/<folder>/<hash>.jpg        the first release
    train_set/images/12.jpg  train_set/annotations/12_exp.npy  12_val.npy  12_aro.npy  the release of 2021; val_set/ the same
    train/3/<picture>.jpg  val/surprise/<picture>.jpg                                  mirrors with a folder for each class

    python data_prep/affectnet.py AffectNet data/affectnet
    python data_prep/affectnet.py AffectNet data/affectnet_7 --classes 7
    python data_prep/affectnet.py mirror data/affectnet --order folders

Official numbers are 0 neutral, 1 happy, 2 sad, 3 surprise, 4 fear, 5 disgust, 6 anger, 7 contempt; 8 none, 9 uncertain and 10 no face are
left out. Mirrors mostly number folders by the alphabet (0 anger, 1 contempt, ...): `--order folders` or `official` says which; folders
named by words need neither. `--classes 7` leaves contempt out, and is for mirrors without it. Valence and arousal of -2 are not annotated.
The face's box of the csv is `person`, cut at the edges of the picture; landmarks are not read. There is no public test set: papers test
on validation, `val` here. Mirrors that have a test folder made it themselves, of the one or the other.
"""

from argparse import ArgumentParser
from collections.abc import Iterator

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.class_folders import add_order_option, folder_label, picture_rows
from emoreason.conversion.faults import LeftOut
from emoreason.conversion.pictures import upright_size
from emoreason.conversion.script import main
from emoreason.conversion.small_files import read_scalar
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.emotions import label_from_index
from emoreason.records import Record

CARD = Card(
    name="affectnet", title="AffectNet", access="request form (academic)", licence="non-commercial research; pictures are of others",
    citation="Mollahosseini et al. 2017, AffectNet: A Database for Facial Expression, Valence, and Arousal Computing in the Wild, "
             "IEEE TAC (arXiv 1708.03985)",
    url="http://mohammadmahoor.com/affectnet/", size="291,651 pictures with one of 8 classes", labels="affectnet_8 or affectnet_7, vad from -1 to 1",
    modalities="image", splits="8 classes: train 287,651, val 4,000; 7 classes: train 283,901, val 3,500",
    verified="numbers and their order, folders, columns", inferred="split sizes, numbers stored as text", recipes="qwen2_5_vl_7b",
)  # fmt: skip
COLUMNS = ("subDirectory_filePath", "expression", "valence", "arousal")
BOX = ("face_x", "face_y", "face_width", "face_height")
NO_CLASS, NOT_ANNOTATED = (8, 9, 10), -2.0
TABLES = {"train": "training.csv", "val": "validation.csv"}
FOLDERS = {"train": ["train"], "val": ["val", "valid"], "test": ["test"]}
OF = "*_set/annotations/*.npy"


def read(source: Source) -> Iterator[Row]:
    for split in filter(source.wants, FOLDERS):
        table = source.optional(TABLES[split], f"*/{TABLES[split]}") if split in TABLES else None
        rows = source.csv(table, COLUMNS) if table else arrays_of(split, source) or picture_rows(source, *FOLDERS[split])
        for row in rows:
            yield row.with_fields(split=split)


def arrays_of(split: str, source: Source) -> list[Row]:
    """Rows of the release of 2021; numbers name the pictures, and repeat over the splits."""
    names = [source.name_of(path).removesuffix("_exp.npy") for path in source.files(f"{split}_set/annotations/*_exp.npy")]
    return [Row({"id": f"{split}_{name.rpartition('/')[2]}", "annotation": name}, f"{name}_exp.npy", "file") for name in names]


def to_record(row: Row, source: Source) -> Record:
    person = None
    if "annotation" in row:
        name = row["annotation"]
        row.update((field, read_scalar(source, f"{name}_{field[:3]}.npy", OF)) for field in ("expression", "valence", "arousal"))
        image = source.medium("image", name.replace("/annotations/", "/images/"))
    elif "picture" in row:
        row["id"], image = row["picture"].rpartition(".")[0], source.medium("image", row["picture"])
    else:
        path = cells.relative_path(row["subDirectory_filePath"])
        row["id"] = path.rpartition(".")[0]
        label_of(row, source)  # what is left out needs no picture
        image = source.medium("image", *(f"{folder}/{path}" for folder in ("Manually_Annotated_Images", "Manually_Annotated", "images", ".")))
        person = face_of(row, source, image)
    label = label_of(row, source)
    return source.record(
        id=row["id"], split=row["split"], group=row["id"], media={"images": [image]}, person=person,
        target={"label": label, "label_space": f"affectnet_{source.options.classes}", "vad": vad_of(row)},
    )  # fmt: skip


def label_of(row: Row, source: Source) -> str:
    if "class" in row:  # by the alphabet, numbers differ where contempt has none
        return folder_label(row["class"], f"affectnet_{source.options.classes}", source)
    number = cells.whole_number(row["expression"], "expression")
    if number in NO_CLASS:
        raise LeftOut("none, uncertain or no face")
    label = label_from_index(number, "affectnet_8")
    if label == "contempt" and source.options.classes == 7:
        raise LeftOut("contempt, with --classes 7")
    return label


def vad_of(row: Row) -> dict | None:
    if cells.is_absent(row.get("valence")):
        return None
    valence, arousal = (cells.number(row[name], name) for name in ("valence", "arousal"))
    return None if NOT_ANNOTATED in (valence, arousal) else {"valence": valence, "arousal": arousal, "scale": (-1, 1)}


def face_of(row: Row, source: Source, image: str) -> tuple[float, float, float, float] | None:
    size = upright_size(source, image)
    if size is None or any(cells.is_absent(row.get(name)) for name in BOX):
        return None
    x, y, width, height = (cells.number(row[name], name) for name in BOX)
    return cells.clipped_box((x, y, x + width, y + height), *size)


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--classes", type=int, choices=(7, 8), default=8, help="with contempt, or without (default: 8)")
    add_order_option(parser)


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
