"""AIPsy-Affect as records: short stories that evoke an emotion and never name it, each with a neutral twin.

    aipsy-affect/
      data/clinical.parquet  neutral.parquet  moderate.parquet  complex_neutral.parquet

    python data_prep/aipsy_affect.py aipsy-affect data/aipsy_affect

The four files are conditions, not splits: `condition` in attributes tells them apart, every record is of split `all`. A story and its
twin are one group, so that none is trained on while the other is tested (`emoreason split`). Neutral stories have the label neutral,
whatever emotion their row names as that of the twin. Hard newlines within a story become blanks. The text may be passed on with the
MIT notice.
"""

from collections.abc import Iterator

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="aipsy_affect", title="AIPsy-Affect", access="open download", licence="MIT",
    citation="Keeman 2026, AIPsy-Affect: Clinical Affect Stimuli for Mechanistic Interpretability (arXiv 2604.23719)",
    url="https://huggingface.co/datasets/keidolabs/aipsy-affect", size="480 texts: 192 pairs, 48 moderate, 48 complex neutral",
    labels="aipsy_8_neutral (the strong words of Plutchik's circle); intensity and domain in attributes", modalities="text",
    splits="none; split by pair", verified="files, columns, words and ids, by the data set's own card",
    inferred="whether neutral rows name neutral or the twin's emotion (both are read)", recipes="qwen2_5_vl_7b",
)  # fmt: skip
COLUMNS = ("id", "emotion", "intensity", "domain_label", "matched_control_id", "text")
CONDITIONS = ("clinical", "neutral", "moderate", "complex_neutral")


def read(source: Source) -> Iterator[Row]:
    for condition in CONDITIONS:
        for row in source.parquet(source.file(f"data/{condition}.parquet", f"{condition}.parquet", f"data/{condition}-*.parquet"), COLUMNS):
            yield row.with_fields(condition=condition)


def to_record(row: Row, source: Source) -> Record:
    identifier, twin = cells.required_text(row["id"], "id"), cells.text(row["matched_control_id"])
    named = cells.label(row["emotion"], "aipsy_8_neutral")
    label = "neutral" if row["condition"] in ("neutral", "complex_neutral") else named
    told = {"intensity": cells.text(row["intensity"]), "domain": cells.text(row["domain_label"]), "twin": twin, "twin_emotion": named}
    if named == label:
        del told["twin_emotion"]
    return source.record(
        id=identifier, split="all", group=min(identifier, twin or identifier),
        text=" ".join(cells.required_text(row["text"], "text").split()),
        target={"label": label, "label_space": "aipsy_8_neutral"},
        attributes={"condition": row["condition"]} | {name: value for name, value in told.items() if value is not None},
    )  # fmt: skip


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
