"""DFEW as records: clips of films with one of seven expressions and the votes of their annotators, in five official folds.

    DFEW/
      EmoLabel_DataSplit/train(single-labeled)/set_1.csv ... set_5.csv      video_name,label
      EmoLabel_DataSplit/test(single-labeled)/set_1.csv ... set_5.csv
      Annotation/annotation.xlsx          votes; may be missing
      part_1/1.mp4  ...  part_11/...      the clips, with sound

    python data_prep/dfew.py DFEW data/dfew
    python data_prep/dfew.py DFEW data/dfew_3 --fold 3 --probe-sound

Labels count from 1: happy, sad, neutral, angry, surprise, disgust, fear. Tables write 1, clips are 1.mp4, folders of frames 00001: ids
are 1. Older mirrors call the tables label/single_trainset_1.csv and label/single_testset_1.csv. Clips that got label 0, as no one label
had enough votes, are left out. A label that is another one in annotation.xlsx makes a row bad.

Folders of face pictures (data_affine) are not read: they have no sound and no times. Papers report the mean over five folds, those on
language models mostly fold 1, which is the default. Which clips are of the same film is not published: every clip is its own group.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.folds import add_fold, tested_in
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.emotions import label_from_index
from emoreason.records import Record

CARD = Card(
    name="dfew", title="DFEW", access="agreement by e-mail", licence="DFEW agreement: research use, no redistribution",
    citation="Jiang et al. 2020, DFEW: A Large-Scale Database for Recognizing Dynamic Facial Expressions in the Wild, ACM MM (arXiv 2008.05924)",
    url="https://dfew-dataset.github.io", size="16,372 clips, 11,697 of one label", labels="dfew_7 with votes",
    modalities="video, audio", splits="five folds of train and test", verified="labels, tables, votes, folders of clips",
    inferred="number of clips of one label; that a clip is a film's", recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b, qwen2_5_vl_7b",
)  # fmt: skip
SPACE = "dfew_7"
NUM_FOLDS = 5
TABLES = ("{split}(single-labeled)/set_{fold}.csv", "label/single_{split}set_{fold}.csv", "single_{split}set_{fold}.csv")
VOTES = {"1happy": "happy", "2sad": "sad", "3neutral": "neutral", "4angry": "angry", "5surprise": "surprise", "6disgust": "disgust", "7fear": "fear"}
PARTS = tuple(f"{folder}part_{part}" for folder in ("", "Clip/original/", "videos/") for part in range(1, 12))


def read(source: Source) -> Iterator[Row]:
    tested = tested_in(_tested(source), source)
    votes = {}
    path = source.optional("annotation.xlsx", "Annotation/annotation.xlsx", "*/annotation.xlsx")
    for row in source.sheet(path, (*VOTES, "order", "label")) if path else ():
        if str(row["label"]) == "0":
            yield row
        else:
            votes[str(row["order"])] = row
    for split in filter(source.wants, ("test", "train")):
        for row in source.csv(source.file(*_names(split, source.options.fold)), ("video_name", "label")):
            name = row["video_name"].strip().lstrip("0")
            yield row.with_fields(split=split, fold=tested.get(name), votes=votes.get(name))


def to_record(row: Row, source: Source) -> Record:
    if "order" in row:
        raise LeftOut("not of one label")
    name = str(cells.whole_number(row["video_name"], "video_name", low=1))
    number = cells.whole_number(row["label"], "label")
    votes = row["votes"]
    if votes and cells.whole_number(votes["label"], "label in annotation.xlsx") != number:
        raise BadRow("annotation.xlsx has another label", f"label {number}, in annotation.xlsx {votes['label']}")
    counts = {label: cells.number(votes[column], column, low=0) for column, label in VOTES.items()} if votes else {}
    return source.record(
        id=name, split=row["split"], fold=row["fold"], group=name,
        media=source.video(*(f"{folder}/{name}.mp4" for folder in _folders(source))),
        target={"label": label_from_index(number, SPACE), "label_space": SPACE, "distribution": counts if sum(counts.values()) else None},
    )  # fmt: skip


def _names(split: str, fold: int) -> list[str]:
    names = [name.format(split=split, fold=fold) for name in TABLES]
    return [*names, *(f"*/{name}" for name in names)]


def _tested(source: Source) -> Iterator[tuple[str, int, str]]:
    """(clip, fold, where it stands) of the folds whose tables are there."""
    for fold in range(1, NUM_FOLDS + 1):
        path = source.optional(*_names("test", fold))
        for row in source.csv(path, ("video_name",)) if path else ():
            yield row["video_name"].strip().lstrip("0"), fold, row.where


@cache
def _folders(source: Source) -> list[str]:
    """Where clips are looked for: the parts that are there, and one folder for all."""
    return [folder for folder in (*PARTS, "videos", "Clip/original") if (source.media_dir / Path(folder)).is_dir()] or ["part_1"]


def add_options(parser: ArgumentParser) -> None:
    add_fold(parser, NUM_FOLDS)


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
