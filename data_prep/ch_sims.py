"""CH-SIMS as records: 2,281 Chinese clips with sentiment from -1 to 1, of the whole and of words, voice and picture alone.

    CH-SIMS/
      metadata/sentiment/label_M.csv  label_T.csv  label_A.csv  label_V.csv     video_id,clip_id,label
      metadata/train_index.csv  val_index.csv  test_index.csv                   index: lines of label_M.csv, from 0
      metadata/Translation.csv                                                  video_id,clip_id,Chinese,English
      Raw/video_0001/0001.mp4

    python data_prep/ch_sims.py CH-SIMS data/ch_sims
    python data_prep/ch_sims.py CH-SIMS data/ch_sims_en --language english

Tables have clip 1 where the file is 0001.mp4: ids and files have four digits here. Text is what is said, in Chinese, and its
translation is in attributes; --language english swaps the two. Where there is no metadata/ but MMSA's `label.csv`, that is read:
its splits are train, valid and test, and it has no translation.
"""

from argparse import ArgumentParser
from collections.abc import Iterator

from emoreason.conversion import cells, opinions
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="ch_sims", title="CH-SIMS", access="open download, research use", licence="research use; see the repository",
    citation="Yu et al. 2020, CH-SIMS: A Chinese Multimodal Sentiment Analysis Dataset with Fine-grained Annotation of Modality, ACL",
    url="https://github.com/thuiar/MMSA", size="2,281 clips", labels="valence -1 to 1, of the whole and by modality",
    modalities="video, audio, text", splits="train 1,368, val 456, test 457",
    verified="files, columns, padding, sizes", inferred="that label.csv has a header", recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
SCALE = (-1.0, 1.0)
SPLITS = ("train", "val", "test")
LABELS = "metadata/sentiment/label_{}.csv"
KEY = ("video_id", "clip_id")
LANGUAGES = ("Chinese", "English")


def read(source: Source) -> Iterator[Row]:
    whole = source.optional(LABELS.format("M"))
    if whole is None:
        yield from source.csv(source.file("label.csv", LABELS.format("M")), opinions.COLUMNS)
        return
    splits = _splits(source)
    parts = {name: _table(source, LABELS.format(name[-1]), ("label",)) for name in opinions.MODALITIES.values()}
    said = _table(source, "metadata/Translation.csv", LANGUAGES)
    for row in source.csv(whole, (*KEY, "label")):
        key = _key(row)
        columns = {name: found[key]["label"] for name, found in parts.items() if key in found}
        yield row.with_fields(mode=splits.get(row.place - 2), **{name: said.get(key, {}).get(name) for name in LANGUAGES}, **columns)


def to_record(row: Row, source: Source) -> Record:
    clip = f"{cells.whole_number(row['clip_id'], 'clip_id', low=0):04d}"
    if "Chinese" not in row:
        return opinions.record(row, source, SCALE, clip)
    video = opinions.video_id(row["video_id"])
    if row["mode"] is None:
        raise BadRow("in none of the splits", f"line {row.place - 2} of label_M.csv is in none of the index files")
    own, other = LANGUAGES if source.options.language == "chinese" else LANGUAGES[::-1]
    translation = cells.text(row[other])
    return source.record(
        id=f"{video}_{clip}", split=row["mode"], group=video, media=source.video(f"Raw/{video}/{clip}.mp4"), text=cells.text(row[own]),
        target={"vad": opinions.strength(row["label"], SCALE), "unimodal": opinions.unimodal(row, SCALE)},
        attributes={f"text_{other.lower()}": translation} if translation else {},
    )  # fmt: skip


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--language", choices=("chinese", "english"), default="chinese", help="of the text (default: chinese)")


def _splits(source: Source) -> dict[int, str]:
    """{line of label_M.csv, from 0: split}"""
    found: dict[int, str] = {}
    for split in SPLITS:
        for row in source.csv(source.file(f"metadata/{split}_index.csv"), ("index",)):
            line = cells.whole_number(row["index"], "index", low=0)
            if found.setdefault(line, split) != split:
                source.report(row.where, BadRow("in two splits", f"line {line} of label_M.csv is in {found[line]} already"))
    return found


def _table(source: Source, name: str, columns: tuple[str, ...]) -> dict[tuple[str, str], Row]:
    """{(video, clip): row} of a small table, which may be missing."""
    path = source.optional(name)
    return {_key(row): row for row in source.csv(path, (*KEY, *columns))} if path else {}


def _key(row: Row) -> tuple[str, str]:
    return row["video_id"].strip(), row["clip_id"].strip().lstrip("0")


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
