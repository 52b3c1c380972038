"""BAH as records: videos of people who answer questions, with whether ambivalence or hesitancy shows.

    BAH/
      dataset-splits/video-level/BAH_DB/split-0/train.txt  val.txt  test.txt     path,0 or 1,transcript
      Videos/<person>/Visite_1/<person>_Question_1_<date>_<time>_Video.mp4

    python data_prep/bah.py BAH data/bah
    python data_prep/bah.py bah-dataset data/bah --media BAH_DB

Transcripts hold commas and quotes that no CSV escapes: a line is cut at its first two commas, and the rest is what is said. 1 is yes.
People are the groups. Faces, voices and words are personal data of those who took part: keep the records where the videos may be kept, and
do not publish them. Labels of single frames are not read.
"""

from collections.abc import Iterator
from pathlib import PurePosixPath

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="bah", title="BAH", access="request to LIVIA", licence="BAH agreement: research use, no redistribution; personal data",
    citation="González-González et al. 2025, BAH Dataset for Ambivalence/Hesitancy Recognition in Videos for Behavioural Change (arXiv 2505.19328)",
    url="https://github.com/sbelharbi/bah-dataset", size="1,427 videos of 300 people; 1,118 of 224 in the first release",
    labels="yes_no_2: ambivalence or hesitancy",
    modalities="video, audio, text", splits="train, val, test by person", verified="lines, classes, paths, splits",
    inferred="that no person is in two splits", recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
SPLITS = ("train", "val", "test")
CLASSES = {"0": "no", "1": "yes"}
QUESTION = "Does ambivalence or hesitancy show in this video? Answer yes or no."


def read(source: Source) -> Iterator[Row]:
    for split in filter(source.wants, SPLITS):
        names = [f"{folder}{split}.txt" for folder in ("dataset-splits/video-level/BAH_DB/split-0/", "split-0/", "")]
        for row in source.lines(source.file(*names)):
            yield row.with_fields(split=split)


def to_record(row: Row, source: Source) -> Record:
    path, code, said = (*row["line"].split(",", 2), "", "")[:3]
    path = cells.relative_path(path, "path of a video")
    if code.strip() not in CLASSES:
        raise BadRow("no class", f"{code[:20]!r} after the path; accepted: 0 or 1")
    parts = PurePosixPath(path).parts
    if len(parts) < 3 or parts[0] != "Videos":
        raise BadRow("no person in the path", f"{path}; accepted: Videos/<person>/...")
    return source.record(
        id=PurePosixPath(path).stem, split=row["split"], group=parts[1], media=source.video(path), text=cells.text(said), question=QUESTION,
        target={"label": CLASSES[code.strip()], "label_space": "yes_no_2"},
    )  # fmt: skip


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
