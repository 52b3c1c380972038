"""FER+ as records: the faces of FER2013 with the votes of ten people on eight expressions.

    ferplus/fer2013new.csv       Usage,Image name,neutral,...,contempt,unknown,NF; the row of a face is its row in fer2013.csv
    ferplus/fer2013.csv          for the pixels, which become PNG files in OUT/media
 or ferplus/{FER2013Train,FER2013Valid,FER2013Test}/fer0000000.png     what FER+'s own script made of them

    python data_prep/fer_plus.py ferplus data/fer_plus
    python data_prep/fer_plus.py ferplus data/fer_plus_soft --rule soft

`distribution` holds the votes for the eight expressions as they were cast. The label follows FER+'s majority rule: single votes do not
count, and the label has more than half of the others. Faces on which unknown or NF (no face) wins are left out; those without a majority
are left out too, or with --rule soft kept with their distribution alone. Numbers in image names skip the NF rows, so that they are no
row numbers; ids are those of data_prep/fer2013.py, and the faces are the same: never train on one and test on the other across splits.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from itertools import zip_longest

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.pictures import grey_pixels, make_picture
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.emotions import LABEL_SPACES
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="fer_plus", title="FER+", access="votes open; pictures of FER2013 (Kaggle)", licence="MIT votes; pictures: FER2013's terms",
    citation="Barsoum et al. 2016, Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label Distribution (arXiv 1608.01041)",
    url="https://github.com/microsoft/FERPlus", size="35,887 pictures", labels="fer_plus_8, votes of 10", modalities="image",
    splits="train 28,709, val 3,589 (PublicTest), test 3,589 (PrivateTest), before rows are left out",
    verified="columns, order of rows, majority rule, folders", recipes="qwen2_5_vl_7b",
)  # fmt: skip
EXPRESSIONS = LABEL_SPACES["fer_plus_8"]
NO_EXPRESSION = ("unknown", "NF")
SPLITS = {"Training": ("train", "FER2013Train"), "PublicTest": ("val", "FER2013Valid"), "PrivateTest": ("test", "FER2013Test")}
SIDE = 48


def read(source: Source) -> Iterator[Row]:
    votes = source.csv(source.file("fer2013new.csv"), ("Usage", "Image name", *EXPRESSIONS, *NO_EXPRESSION))
    table = source.optional("fer2013.csv", "*/fer2013.csv")
    if table is None:
        yield from votes
        return
    for row, pixels in zip_longest(votes, source.csv(table, ("pixels", "Usage"))):
        if row is None or pixels is None or row.place != pixels.place:
            raise UserError(f"fer2013new.csv and {source.name_of(table)} differ in rows at {(row or pixels).where}; take both as they were published")
        yield row.with_fields(pixels=pixels["pixels"], other_usage=pixels["Usage"])


def to_record(row: Row, source: Source) -> Record:
    usage = row["Usage"].strip()
    if usage not in SPLITS:
        raise BadRow("unknown Usage", f"Usage is {usage!r}; accepted: {', '.join(SPLITS)}")
    if row.get("other_usage", usage).strip() != usage:
        raise BadRow("the two files differ in Usage", f"{usage!r} in fer2013new.csv, {row['other_usage']!r} in fer2013.csv; are the rows in order?")
    split, folder = SPLITS[usage]
    identifier = f"{row.place - 2:05d}"
    votes = {name: cells.whole_number(row[name], name, low=0) for name in (*EXPRESSIONS, *NO_EXPRESSION)}
    label = winner(votes, source.options.rule)
    if "pixels" in row:
        image = make_picture(source, f"{split}/{identifier}.png", grey_pixels(row["pixels"], SIDE, SIDE))
    else:
        image = source.medium("image", f"{folder}/{cells.required_text(row['Image name'], 'Image name')}")
    return source.record(
        id=identifier, split=split, group=identifier, media={"images": [image]},
        target={"label": label, "label_space": "fer_plus_8", "distribution": {name: votes[name] for name in EXPRESSIONS if votes[name]}},
    )  # fmt: skip


def winner(votes: dict[str, int], rule: str) -> str | None:
    """The expression with more than half of the votes that count, or None where --rule soft does without.

    Source: the majority mode of FER+'s own reader, src/ferplus.py; its other modes drop votes as well, which ours does not.
    """
    counted = {name: count for name, count in votes.items() if count > 1}
    most = max(counted.values(), default=0)
    leaders = [name for name, count in counted.items() if count == most]
    if set(leaders) & set(NO_EXPRESSION):
        raise LeftOut("unknown or no face wins")
    if counted and most > sum(counted.values()) / 2:
        return leaders[0]
    if rule == "majority" or not any(votes[name] for name in EXPRESSIONS):
        raise LeftOut("no majority")
    return None


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--rule", choices=("majority", "soft"), default="majority", help="of faces without a majority: left out, or kept unlabelled")


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
