"""EmoSet-118K as records: pictures with one of Mikels' eight emotions, and attributes of what is seen.

    EmoSet-118K/
      train.json  val.json  test.json            [emotion, id, picture, annotation] each
      image/awe/awe_00012.jpg  annotation/awe/awe_00012.json

    python data_prep/emoset.py EmoSet-118K data/emoset
    python data_prep/emoset.py EmoSet-118K data/emoset_test --split test

Attributes go where the annotation has them, and pictures without any are kept: brightness and colorfulness (0 to 1 in steps of 0.1; 0.60
is 0.6), scene, facial_expression, human_action, object (a list). The two classes of the set's own code are in `sentiment`: the first four
emotions are positive. Mirrors on the Hugging Face Hub split anew and are not read. VECBench, MVEI and INSETS show these very pictures, MVEI
and INSETS those of the test split: `emoreason leaks` says so.
"""

from collections.abc import Iterator
from typing import Any

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.small_files import read_object
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.emotions import LABEL_SPACES
from emoreason.records import Record

CARD = Card(
    name="emoset", title="EmoSet-118K", access="open download", licence="non-commercial research",
    citation="Yang et al. 2023, EmoSet: A Large-scale Visual Emotion Dataset with Rich Attributes, ICCV (arXiv 2307.07961)",
    url="https://github.com/JingyuanYY/EmoSet", size="118,102 pictures", labels="mikels_8; sentiment and six attributes",
    modalities="image", splits="train 94,481, val 5,905, test 17,716",
    verified="files, keys, label words, brightness steps, scenes", inferred="sizes of train and val, licence", recipes="qwen2_5_vl_7b",
)  # fmt: skip
FIELDS = ("emotion", "image_id", "image", "annotation")
WORDS, LEVELS = ("scene", "facial_expression", "human_action"), ("brightness", "colorfulness")


def read(source: Source) -> Iterator[Row]:
    for split in filter(source.wants, ("train", "val", "test")):
        for row in source.objects(source.file(f"{split}.json"), names=FIELDS):
            yield row.with_fields(split=split)


def to_record(row: Row, source: Source) -> Record:
    emotion = cells.label(row["emotion"], "mikels_8")
    image = cells.relative_path(row["image"], "image")
    annotation = read_object(source, row["annotation"], of="annotation/**/*.json")
    other = cells.text(annotation.get("emotion"))
    if other is not None and cells.label(other, "mikels_8") != emotion:
        raise BadRow("list and annotation differ", f"{emotion!r} in the list, {other!r} in {row['annotation']}")
    positive = LABEL_SPACES["mikels_8"].index(emotion) < 4
    return source.record(
        id=cells.required_text(row["image_id"], "image_id"), split=row["split"], group=image, media={"images": [source.medium("image", image)]},
        target={"label": emotion, "label_space": "mikels_8"},
        attributes={"sentiment": "positive" if positive else "negative"} | attributes(annotation),
    )  # fmt: skip


def attributes(annotation: dict[str, Any]) -> dict[str, str | float | list[str]]:
    """Those that are annotated; levels to one digit, as the keys of info.json have them."""
    found: dict[str, Any] = {name: cells.text(annotation.get(name)) for name in WORDS}
    for name in LEVELS:
        if not cells.is_absent(annotation.get(name)):
            found[name] = round(cells.number(annotation[name], name, low=0, high=1), 1)
    found["object"] = cells.items(annotation.get("object"))
    return {name: value for name, value in found.items() if value not in (None, [])}


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
