"""EEmo-Bench as records: questions on the emotions that one picture or two evoke, and what people felt at each picture.

    EEmo-Bench/
      EEmo-Bench(single).json  EEmo-Bench(pair).json      either may be missing
      images/579.jpg

    python data_prep/eemo_bench.py EEmo-Bench data/eemo_bench

Yes-or-No and What/How questions become choices without letters, open-ended ones carry the reference as reasoning; pairs have two pictures.
Every picture whose label stands in a file is a record of its own as well (`eemo_bench/image`), for ranking and assessment: the text
`[Image1] Ranking:{'Anger': 33, ...} category:... Valence:5.33 ...` becomes counts of the three strongest emotions (the others are not
told, which is not 0), the strongest as label, and VAD from 1 to 9. Options are a dictionary as Python writes it, paths have Windows
backslashes, and keys that hold a model's name (`response(gpt-4o)`) are passed over, so files of results can be converted, too.
The perception questions in the standard form of MVEI_PLUS (Std-EEmo-Bench-Single-Perception.json and -Pair-) are read where these
files are not there; they have no labels of pictures.
"""

import re
from collections.abc import Iterator
from typing import Any

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.conversations import named_images, places_of
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="eemo_bench", title="EEmo-Bench", access="open download", licence="not stated; pictures of Flickr",
    citation="Gao et al. 2025, EEmo-Bench: A Benchmark for Multi-modal LLMs on Image Evoked Emotion Assessment, ACM MM (arXiv 2504.16405)",
    url="https://github.com/workerred/EEmo-Bench", size="6,773 questions on 1,960 pictures, 2,312 of them on pairs",
    labels="choices; reasoning; for pictures eemo_bench_7, counts as distribution, VAD from 1 to 9", modalities="image",
    splits="test only", verified="keys and label text of the pair file, keys of the single file that the authors' script uses",
    inferred="the single file's key of the label text (image_label or image1_label), text of the standard form's prompts", recipes="qwen2_5_vl_7b",
)  # fmt: skip
_LABEL = re.compile(r"Ranking:\s*(\{.*?\})\s*category:\s*(.*?)\s*Valence:\s*(\S+)\s*Arousal:\s*(\S+)\s*Dominance:\s*(\S+)", re.DOTALL)
TOLD = ("question_type", "perceptual_dimension", "question_concern", "describing_dimension")
NUMBERS = {"single": ("",), "pair": ("1", "2")}


def read(source: Source) -> Iterator[Row]:
    seen: set[str] = set()
    paths = {part: source.optional(f"EEmo-Bench({part}).json", f"*/EEmo-Bench({part}).json", f"EEmo-Bench(*-{part}).json",
                                   f"**/Std-EEmo-Bench-{part.title()}-Perception.json") for part in NUMBERS}  # fmt: skip
    if not any(paths.values()):
        raise UserError(f"{source.root}: neither EEmo-Bench(single).json nor EEmo-Bench(pair).json; give the folder that holds them")
    for part, path in paths.items():
        if path is None:
            continue
        for row in map(from_standard, source.members(path, "id")) if path.name.startswith("Std-") else source.objects(path):
            for number in NUMBERS[part]:
                name, label = row.get(f"image{number}_url"), row.get(f"image{number}_label") or row.get("image1_label")
                if name and label and isinstance(name, str) and name not in seen:
                    seen.add(name)
                    yield Row({"image": row.get(f"image{number}"), "image_url": name, "label": label}, row.file, f"{row.place}: {name}")
            yield row.with_fields(part=part)


def from_standard(row: Row) -> Row:
    """A row of the standard form as one of the files themselves; its options are the last braces of the prompt."""
    question, _, options = (cells.text(row.get("prompt")) or "").rpartition("{")
    told = row.get("other_info") if isinstance(row.get("other_info"), dict) else {}
    return row.with_fields(question=question, options="{" + options.partition("}")[0] + "}", correct_answer=row.get("ground_truth"),
                           **{name: told.get(name) for name in TOLD})  # fmt: skip


def to_record(row: Row, source: Source) -> Record:
    if "label" in row:
        return to_picture(row, source)
    numbers, answer = NUMBERS[row["part"]], cells.required_text(row["correct_answer"], "correct_answer")
    paths = named_images(row) if "image_path" in row else [cells.required_text(row[f"image{number}_url"], "image_url") for number in numbers]
    images = [picture(source, path, row.get(f"image{number}")) for number, path in zip(numbers, paths, strict=False)]
    if len(paths) != len(numbers):
        raise BadRow("pictures differ in number", f"{len(paths)} pictures in a question on {len(numbers)}")
    return source.record(
        id=f"{row['part']}_{cells.required_text(row['id'], 'id')}", dataset=f"eemo_bench/{row['part']}", split="test", group=images[0],
        media={"images": images}, question=cells.required_text(row["question"], "question"),
        target={"reasoning": answer} if row["question_type"] == "Open_ended" else chosen(row["options"], answer),
        attributes={name: found for name in TOLD if (found := cells.text(row.get(name)))},
    )  # fmt: skip


def to_picture(row: Row, source: Source) -> Record:
    found = _LABEL.search(cells.required_text(row["label"], "label"))
    ranking = cells.literal(found[1], "ranking") if found else None
    if not found or not isinstance(ranking, dict) or not ranking:
        raise BadRow("label of a picture cannot be read", f"{str(row['label'])[:80]!r}; accepted: Ranking:{{...}} category:... Valence:...")
    counts = {cells.label(name, "eemo_bench_7"): cells.whole_number(count, "count", low=0) for name, count in ranking.items()}
    ranked = sorted(counts, key=counts.__getitem__, reverse=True)
    vad = {name: cells.number(found[place], name, 1, 9) for place, name in enumerate(("valence", "arousal", "dominance"), start=3)}
    image = picture(source, cells.required_text(row["image_url"], "image_url"), row["image"])
    return source.record(
        id=f"image_{row['image_url']}", dataset="eemo_bench/image", split="test", group=image, media={"images": [image]},
        target={"label": ranked[0], "labels": ranked, "label_space": "eemo_bench_7", "distribution": counts, "vad": {**vad, "scale": (1, 9)}},
        attributes={"category": found[2]},
    )  # fmt: skip


def chosen(options: Any, answer: str) -> dict[str, Any]:
    """The choices in the order of their letters, and the one that the letter names."""
    found = options if isinstance(options, dict) else cells.literal(options, "options")
    letters = sorted(found) if isinstance(found, dict) else []
    if letters != [chr(ord("A") + place) for place in range(len(letters))] or answer not in letters:
        raise BadRow("answer is no letter of an option", f"answer {answer[:20]!r} of options {str(options)[:60]}")
    return {"label": cells.required_text(found[answer], "option"), "choices": [cells.required_text(found[letter], "option") for letter in letters]}


def picture(source: Source, name: str, path: Any) -> str:
    first = f"images/{name}" if "/" not in name else places_of(name)[0]
    return source.medium("image", first, *places_of(name), *places_of(cells.text(path) or name))


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
