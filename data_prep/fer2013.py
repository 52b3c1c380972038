"""FER2013 as records: grey faces of 48 x 48 pixels with one of seven expressions, in the splits of its contest.

    fer2013/fer2013.csv                      emotion,pixels,Usage (or icml_face_data.csv, with blanks in its header)
 or fer2013/{train,test}/angry/*.jpg         a mirror with a folder for each class
 or fer2013/{train,test}/0/*.jpg             the same with numbers: say whose with --order

    python data_prep/fer2013.py fer2013 data/fer2013
    python data_prep/fer2013.py fer2013_folders data/fer2013 --order folders

The pixels of the csv become PNG files in OUT/media, named by split and row: `train/00000.png`. Training is train, PublicTest val (papers
call it validation) and PrivateTest test. Numbers are 0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral in the csv; folders
are numbered by the alphabet, where 4 is neutral, 5 sad and 6 surprise: `--order folders` (or `official`) says which, and folders named by
words need neither. Hundreds of faces stand in the files twice, some in two splits: `emoreason leaks` finds them.
"""

from collections.abc import Iterator

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.class_folders import add_order_option, folder_label, picture_rows
from emoreason.conversion.faults import BadRow
from emoreason.conversion.pictures import grey_pixels, make_picture
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.emotions import label_from_index
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="fer2013", title="FER2013", access="open download (Kaggle)", licence="pictures found by a search engine; research use",
    citation="Goodfellow et al. 2013, Challenges in Representation Learning, ICONIP (arXiv 1307.0414)",
    url="https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge", size="35,887 pictures",
    labels="fer2013_7", modalities="image", splits="train 28,709, val 3,589 (PublicTest), test 3,589 (PrivateTest)",
    verified="columns, order of the csv, order of folders", inferred="sizes, licence", recipes="qwen2_5_vl_7b",
)  # fmt: skip
SPLITS = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
SIDE = 48
FILES = ("fer2013.csv", "icml_face_data.csv", "*/fer2013.csv")


def read(source: Source) -> Iterator[Row]:
    table = source.optional(*FILES)
    if table is not None:
        yield from source.csv(table, ("emotion", "pixels", "Usage"))
        return
    rows = picture_rows(source, "train", "val", "validation", "test")
    if not rows:
        raise UserError(f"{source.root}: neither {FILES[0]} nor train/<class>/<picture>; give the folder that holds either (see --help)")
    yield from rows


def to_record(row: Row, source: Source) -> Record:
    if "picture" in row:
        identifier, label = row["picture"].rpartition(".")[0], folder_label(row["class"], "fer2013_7", source)
        split, image = row["picture"].partition("/")[0].replace("validation", "val"), source.medium("image", row["picture"])
    else:
        if row["Usage"].strip() not in SPLITS:
            raise BadRow("unknown Usage", f"Usage is {row['Usage']!r}; accepted: {', '.join(SPLITS)}")
        split, number = SPLITS[row["Usage"].strip()], row.place - 2
        identifier, label = f"{number:05d}", label_from_index(cells.whole_number(row["emotion"], "emotion"), "fer2013_7")
        image = make_picture(source, f"{split}/{identifier}.png", grey_pixels(row["pixels"], SIDE, SIDE))
    return source.record(
        id=identifier, split=split, group=identifier, media={"images": [image]}, target={"label": label, "label_space": "fer2013_7"},
    )  # fmt: skip


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_order_option)
