"""EMER as records: why a clip of MER2023 shows what it shows, in a paragraph by people. Version 1 or 2, never both.

    EMER/
      dataset-v1/gt-eng.csv  gt-chi.csv       names, emotions, subtitles, reasons      100 clips
      dataset-v2/final-EMER-reason.csv        name, chinese, english                   332 clips
    mer2023-dataset-process/video/<name>.avi  the clips, by MER2023's agreement

    python data_prep/emer.py EMER data/emer_v2 --version 2 --media mer2023-dataset-process
    python data_prep/emer.py EMER data/emer_v1 --version 1 --language chinese --media mer2023-dataset-process

Scores on the two versions cannot be compared: most papers report clue and label overlap on the 100 clips of version 1, others on
the 332 of version 2. So --version is asked for, and `dataset` is emer/v1 or emer/v2. Version 1 has the emotion that MER2023 gives and
corrected subtitles; version 2 has neither: its paragraph goes through video, audio and text (with the subtitle) and ends with what follows.
R1-Omni's cold start holds 232 of the clips, probably those of version 2 that are not in version 1; MERR and SABER are on clips of MER2023
too. There is no official split. The README calls version 2's column `names`; the file has `name`, and both are read.
"""

from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.mer import add_language
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="emer", title="EMER (v1, v2)", access="texts open; clips by MER2023's agreement",
    licence="texts: no licence file in their repository; clips: MER2023 EULA",
    citation="Lian et al. 2023, Explainable Multimodal Emotion Reasoning (arXiv 2306.15401; v3 has version 1, v5 version 2)",
    url="https://github.com/zeroQiaoba/AffectGPT/tree/master/EMER", size="100 clips (v1), 332 clips (v2)",
    labels="reasoning; mer_6 (v1)", modalities="video, audio, text", splits="none",
    verified="files, columns, encoding, numbers of rows",
    inferred="that version 1 writes its emotions in English in both languages; folders of clips",
    recipes="qwen2_5_omni_7b, qwen3_omni_30b_a3b",
)  # fmt: skip
V1_FILES = {"english": "gt-eng.csv", "chinese": "gt-chi.csv"}


def add_options(parser: ArgumentParser) -> None:
    parser.add_argument("--version", choices=("1", "2"), required=True, help="1: 100 clips with emotions and subtitles; 2: 332 clips")
    add_language(parser)


def read(source: Source) -> Iterator[Row]:
    language = source.options.language
    if source.options.version == "1":
        name = V1_FILES[language]
        yield from source.csv(source.file(f"dataset-v1/{name}", f"EMER/dataset-v1/{name}", name), ("names", "emotions", "subtitles", "reasons"))
    else:
        name = "final-EMER-reason.csv"
        for row in source.csv(source.file(f"dataset-v2/{name}", f"EMER/dataset-v2/{name}", name), (language,)):
            yield row.with_fields(names=row["name"] if "name" in row else row["names"], reasons=row[language])


def to_record(row: Row, source: Source) -> Record:
    name = cells.required_text(row["names"], "name")
    target: dict[str, Any] = {"reasoning": cells.required_text(row["reasons"], "reason")}
    if "emotions" in row:
        target |= {"label": cells.label(row["emotions"], "mer_6"), "label_space": "mer_6"}
    return source.record(
        id=name, dataset=f"{CARD.name}/v{source.options.version}", split="all", group=name, text=cells.text(row.get("subtitles")), target=target,
        media=source.video(f"video/{name}", *(f"{split}/{name}" for split in ("train", "test1", "test2", "test3")), name),
    )  # fmt: skip


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__, add_options)
