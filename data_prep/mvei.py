"""MVEI, INSETS-462k and MVEI_PLUS as records: is a statement about the emotion of a picture correct or incorrect?

    MVEI/MVEI_metadata.json  images/1.jpg                                 the benchmark; or benchmarks/MVEI/Std-MVEI.json of MVEI_PLUS
    INSETS-462k/INSETS-462k.jsonl  images/1.jpg                           .json or .jsonl, any name that holds INSETS
    MVEI_PLUS/training_data/step1_sft_C_v1/C_data.jsonl  ...              ms-swift, pictures as mvei-data://

    python data_prep/mvei.py MVEI data/mvei --split test
    python data_prep/mvei.py MVEI_PLUS data/mvei_plus --split train --media MVEI_PLUS

The label is correct or incorrect (A or B in some files), the statement is the question, out of its prompt where that is the authors',
its dimension is in attributes. Metadata has a list of statements a picture; each becomes a record, the picture is the group. Answers
with `<think>` give reasoning, with EmObserver's five tags sections. Rows of training files that ask something else (step 1 has
questions of VECBench) are left out, and so are answers that differ from the solution beside them. All pictures are of EmoSet's test
split, those of MVEI too (`emoreason leaks`). `predict` and `generations` of results are passed over.
"""

import re
from collections.abc import Iterator
from typing import Any

from emoreason.completions import VERDICTS, Completion
from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.conversations import named_images, only_one, places_of, read_answer, read_conversation
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="mvei", title="MVEI, INSETS-462k, MVEI_PLUS", access="open download", licence="not stated; pictures of EmoSet, non-commercial research",
    citation="Wu et al. 2025, Customizing Visual Emotion Evaluation for MLLMs (arXiv 2509.21950)",
    url="https://github.com/wdqqdw/MVEI", size="MVEI 3,086; INSETS 462,369 on 17,716 pictures; MVEI_PLUS 301,911 of them",
    labels="verdict_2; dimension in attributes; reasoning and sections in MVEI_PLUS", modalities="image", splits="MVEI test; the others train",
    verified="keys of the metadata by the authors' script, the standard form, mvei-data://, names of the training files",
    inferred="that INSETS has the metadata's keys, how the standard form names the statement, turns of the training files", recipes="qwen2_5_vl_7b",
)  # fmt: skip
DIMENSIONS = ("sentiment polarity", "emotion interpretation", "scene context", "perception subjectivity")
_STATEMENT = re.compile(r"<statement>\s*(.+?)\s*(?:</statement>|Based on the provided image)", re.DOTALL)
LETTERS = {"a": "correct", "b": "incorrect"}


def read(source: Source) -> Iterator[Row]:
    test = source.optional("MVEI_metadata.json", "*/MVEI_metadata.json", "Std-MVEI.json", "**/Std-MVEI.json")
    training = [path for pattern in ("**/*.jsonl", "**/*INSETS*.json") for path in source.files(pattern)]
    if test is None and not training:
        raise UserError(f"{source.root}: neither MVEI_metadata.json, Std-MVEI.json nor training files (.jsonl, *INSETS*.json)")
    if test is not None and source.wants("test"):
        for row in source.members(test, "id") if test.name.startswith("Std-") else source.objects(test):
            yield from statements(row, split="test", part="mvei")
    for path in training if source.wants("train") else ():
        part = "insets" if path.parent.name == "INSETS-462k" or "INSETS" in path.name else f"mvei_plus/{path.parent.name or path.stem}"
        for row in source.objects(path):
            yield from statements(row, split="train", part=part, stem=path.stem)


def statements(row: Row, **fields: str) -> Iterator[Row]:
    """A row for each statement on the picture of a row of metadata; any other row as it is."""
    listed = row.get("statement_list")
    if not isinstance(listed, list):
        yield row.with_fields(**fields)
        return
    for number, told in enumerate(listed):
        told = told if isinstance(told, dict) else {}
        yield Row({"image_id": row.get("image_id"), "number": number, **told, **fields}, row.file, f"{row.place}, statement {number}")


def to_record(row: Row, source: Source) -> Record:
    form = of_metadata if "image_id" in row else of_standard_form if "ground_truth" in row else of_chat
    identifier, places, statement, label, dimension, answer = form(row)
    if dimension is not None and str(dimension).lower() not in DIMENSIONS:
        raise BadRow("unknown dimension", f"class {dimension!r}; accepted: {', '.join(DIMENSIONS)}")
    image, asked = source.medium("image", *places), cells.required_text(statement, "statement")
    return source.record(
        id=f"{row['part'].replace('/', '_')}_{identifier}", dataset=row["part"], split=row["split"], group=image, media={"images": [image]},
        question=found[1] if (found := _STATEMENT.search(asked)) else asked, attributes={"dimension": dimension.lower()} if dimension else {},
        target={"label": label, "label_space": "verdict_2", "sections": answer.sections,
                "reasoning": "\n".join(answer.sections.values()) or answer.think},
    )  # fmt: skip


Form = tuple[str, list[str], Any, str, Any, Completion]
"""Id, where the picture may be, statement, label, dimension, answer."""


def of_metadata(row: Row) -> Form:
    name, statement = cells.relative_path(row["image_id"], "image_id"), row["statement"]
    places = [f"{folder}{name}" for folder in ("images/", "MVEI/images/", "INSETS-462k/images/", "")]
    return f"{name}_{row['number']}", places, statement, verdict(row["label"]), row.get("class"), Completion()


def of_standard_form(row: Row) -> Form:
    told = row.get("other_info") if isinstance(row.get("other_info"), dict) else {}
    meta = told.get("statement_meta") if isinstance(told.get("statement_meta"), dict) else {}
    places = places_of(only_one(named_images(row)))
    statement = meta.get("statement") or row.get("prompt")
    return f"std_{row['id']}", places, statement, verdict(row["ground_truth"]), meta.get("class"), Completion()


def of_chat(row: Row) -> Form:
    turns = read_conversation(row)
    answer = read_answer(turns.answer, "label") if turns.answer else Completion()
    label = verdict(row.get("solution") or answer.label, LeftOut("asks for no judgement of a statement"))
    if answer.label is not None and verdict(answer.label, LeftOut("answer is not the solution")) != label:
        raise LeftOut("answer is not the solution")
    return f"{row['stem']}_{row.place}", places_of(only_one(turns.images)), turns.question, label, row.get("class"), answer


def verdict(cell: Any, otherwise: Exception | None = None) -> str:
    """correct or incorrect, by its word or its letter; `otherwise` is raised where it is neither."""
    word = cells.required_text(cell, "label").lower().strip(" .")
    if word not in VERDICTS | LETTERS:
        raise otherwise or BadRow("label is not of verdict_2", f"{word[:40]!r}; accepted: correct, incorrect, A, B")
    return (VERDICTS | LETTERS)[word]


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
