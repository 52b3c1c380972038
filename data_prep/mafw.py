"""MAFW as records: clips of films and television with one of eleven expressions, or several at once, in five official folds.

    MAFW/
      Train & Test Set/single/no_caption/set_1/train.txt  test.txt  ...  set_5/      lines: 00025.mp4 anger
      Train & Test Set/compound/no_caption/set_1/...                                 lines: 00026.mp4 anger_disgust
      Labels/single-set.xlsx              clip,...,single_label (1 to 11)
      Labels/descriptive_text.xlsx        clip, Chinese and English caption, without a header; may be missing
      data/clips/00025.mp4                or clips/, or the folder itself

    python data_prep/mafw.py MAFW data/mafw --probe-sound
    python data_prep/mafw.py MAFW data/mafw_compound_2 --set compound --fold 2

Without the lists of folds, single-set.xlsx gives the labels, and split is `all`. 21 clips are silent: --probe-sound finds them, and they are
kept as pictures without sound (HiCMAE drops them: 9,156 instead of 9,172). Labels of the compound set are several words in `labels`,
and `compound` in attributes is its class, one of 43. English captions are cues of the picture, Chinese ones an attribute; neutral clips
have none. The eleven scores of the tables are not read, as their scale is not described. Every clip is its own group.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import LeftOut
from emoreason.conversion.folds import add_fold, tested_in
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.emotions import label_from_index
from emoreason.records import Record

CARD = Card(
    name="mafw", title="MAFW", access="agreement by e-mail", licence="MAFW agreement: research use, no redistribution",
    citation="Liu et al. 2022, MAFW: A Large-scale, Multi-modal, Compound Affective Database for Dynamic Facial Expression Recognition "
             "in the Wild, ACM MM (arXiv 2208.00847)",
    url="https://mafw-database.github.io/MAFW", size="10,045 clips, 9,172 of one label", labels="mafw_11; compounds of its words; captions",
    modalities="video, audio", splits="five folds of train and test", verified="labels, lists of folds, tables, silent clips, captions",
    inferred="folder of the clips", recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b, qwen2_5_vl_7b",
)  # fmt: skip
SPACE = "mafw_11"
NUM_FOLDS = 5
CLIPS = ("data/clips", "clips", ".")


def read(source: Source) -> Iterator[Row]:
    captions = _captions(source)
    folder = f"Train & Test Set/{source.options.set}/no_caption"
    if source.options.set == "single" and not (source.files(f"{folder}/*/*.txt") or source.files(f"*/{folder}/*/*.txt")):
        source.not_there.append(folder)
        for row in source.sheet(source.file("Labels/single-set.xlsx", "*/single-set.xlsx"), ("clip", "single_label")):
            yield row.with_fields(split="all", fold=None, captions=captions.get(_stem(row["clip"])))
        return
    tested = tested_in(_tested(source, folder), source)
    for split in filter(source.wants, ("test", "train")):
        name = f"{folder}/set_{source.options.fold}/{split}.txt"
        for row in source.lines(source.file(name, f"*/{name}")):
            clip, _, word = row["line"].strip().partition(" ")
            yield row.with_fields(clip=clip, word=word, split=split, fold=tested.get(_stem(clip)), captions=captions.get(_stem(clip)))


def to_record(row: Row, source: Source) -> Record:
    clip, labels = _stem(cells.required_text(row["clip"], "clip")), _labels(row, source)
    chinese, english = row["captions"] or (None, None)
    attributes = {"caption_chinese": chinese} if chinese else {}
    if source.options.set == "compound":
        attributes["compound"] = row["word"]
    return source.record(
        id=clip, split=row["split"], fold=row["fold"], group=clip, media=source.video(*(f"{folder}/{clip}.mp4" for folder in CLIPS)),
        target={**labels, "label_space": SPACE, "cues": {"video": [english]} if english else {}}, attributes=attributes,
    )  # fmt: skip


def add_options(parser: ArgumentParser) -> None:
    add_fold(parser, NUM_FOLDS)
    parser.add_argument("--set", choices=("single", "compound"), default="single", help="one expression a clip, or several (default: single)")


def _labels(row: Row, source: Source) -> dict[str, Any]:
    if source.options.set == "compound":
        return {"labels": [cells.label(word, SPACE) for word in row["word"].split("_")]}
    if "word" in row:
        return {"label": cells.label(row["word"], SPACE)}
    number = cells.whole_number(row["single_label"], "single_label")
    if number == 0:
        raise LeftOut("not of one label")
    return {"label": label_from_index(number, SPACE)}


def _tested(source: Source, folder: str) -> Iterator[tuple[str, int, str]]:
    """(clip, fold, where it stands) of the folds whose lists are there."""
    for fold in range(1, NUM_FOLDS + 1):
        name = f"{folder}/set_{fold}/test.txt"
        path = source.optional(name, f"*/{name}")
        for row in source.lines(path) if path else ():
            yield _stem(row["line"].strip().partition(" ")[0]), fold, row.where


def _captions(source: Source) -> dict[str, tuple[str | None, str | None]]:
    """{clip: Chinese and English caption}"""
    path = source.optional("Labels/descriptive_text.xlsx", "*/descriptive_text.xlsx")
    rows = source.sheet(path, (), header=("clip", "chinese", "english")) if path else ()
    return {_stem(row["clip"]): (cells.text(row["chinese"]), cells.text(row["english"])) for row in rows}


def _stem(clip: Any) -> str:
    return str(clip).strip().removesuffix(".mp4")


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
