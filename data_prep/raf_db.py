"""RAF-DB as records: faces of the Internet with a basic or a compound expression, in the official train and test sets.

    RAF-DB/
      basic/EmoLabel/list_patition_label.txt            `train_00001.jpg 5` (the typo is the set's)
      basic/Image/aligned/train_00001_aligned.jpg       basic/Image/original/train_00001.jpg
      compound/EmoLabel/...  compound/Image/...          the same

    python data_prep/raf_db.py RAF-DB data/raf_db
    python data_prep/raf_db.py RAF-DB data/raf_db_compound --part compound --faces original

Numbers start at 1 and have an order of their own: 1 surprise, 2 fear, 3 disgust, 4 happiness, 5 sadness, 6 anger, 7 neutral; compound
ones are 1 happily surprised to 11 disgustedly surprised. Ids repeat between the parts, which are two data sets here (`raf_db/basic`).
RAF-AU and FEA-20K show some of these faces. Who is seen is not known: every picture is its own group.
"""

from argparse import ArgumentParser
from collections.abc import Iterator

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.emotions import label_from_index
from emoreason.records import Record

CARD = Card(
    name="raf_db", title="RAF-DB", access="by e-mail to the authors", licence="non-commercial research; pictures are of others",
    citation="Li, Deng and Du 2017, Reliable Crowdsourcing and Deep Locality-Preserving Learning for Expression Recognition in the Wild, CVPR",
    url="http://www.whdeng.cn/RAF/model1.html", size="15,339 basic, 3,954 compound pictures", labels="raf_db_7, raf_db_compound_11",
    modalities="image", splits="basic: train 12,271, test 3,068", verified="numbers and their order, lines of the list",
    inferred="folders of pictures, size of the compound part", recipes="qwen2_5_vl_7b",
)  # fmt: skip
SPACES = {"basic": "raf_db_7", "compound": "raf_db_compound_11"}


def read(source: Source) -> Iterator[Row]:
    folder = f"{source.options.part}/EmoLabel"
    yield from source.lines(source.file(f"{folder}/list_patition_label.txt", f"{folder}/list_partition_label.txt"))


def to_record(row: Row, source: Source) -> Record:
    part, faces = source.options.part, source.options.faces
    name, _, number = row["line"].replace("\t", " ").strip().rpartition(" ")
    stem = cells.relative_path(name.strip(), "picture").removesuffix(".jpg")
    split = stem.partition("_")[0]
    if split not in ("train", "test"):
        raise BadRow("picture is of no split", f"{name!r}; accepted: train_... or test_..., a blank, and a number")
    label = label_from_index(cells.whole_number(number, "label"), SPACES[part])
    image = source.medium("image", f"{part}/Image/{faces}/{stem}{'_aligned' * (faces == 'aligned')}")
    return source.record(
        id=stem, dataset=f"raf_db/{part}", split=split, group=stem, media={"images": [image]}, target={"label": label, "label_space": SPACES[part]},
    )  # fmt: skip


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--part", choices=tuple(SPACES), default="basic", help="single or compound expressions (default: basic)")
    parser.add_argument("--faces", choices=("aligned", "original"), default="aligned", help="faces cut out and aligned, or whole pictures")


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
