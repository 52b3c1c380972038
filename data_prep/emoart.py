"""EmoArt as records: paintings of 56 styles with the emotion that they evoke, what is seen of brush and colour, and what they may heal.

    EmoArt-130k/                      EmoArt-5k/
      Annotation.json                   Images/annotation_5k.json
      Cubism/0000001_x.jpg              Images/Cubism/0000001_x.jpg

    python data_prep/emoart.py EmoArt-5k data/emoart

Paths have Windows backslashes and may start at `Images`; archives of styles unpack without it. The style is what stands before
`_request-` in the id. Healing effects are a list or one text. The annotation was written by GPT-4o and checked by people: words of
emotions beyond the twelve stand in it, so the label is open vocabulary. EmoArt-5k is part of EmoArt-130k: do not test on one after
training on the other. No split is official; `emoreason split` makes one.
"""

from collections.abc import Iterator
from typing import Any

from emoreason.conversion import cells
from emoreason.conversion.card import Card
from emoreason.conversion.conversations import places_of
from emoreason.conversion.faults import BadRow
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.records import Record

CARD = Card(
    name="emoart", title="EmoArt", access="open download", licence="Creative Commons, which one is unsure; research use",
    citation="Zhang et al. 2025, EmoArt: A Multidimensional Dataset for Emotion-Aware Artistic Generation, ACM MM (arXiv 2506.03652)",
    url="https://huggingface.co/datasets/printblue/EmoArt-130k", size="132,664 paintings; EmoArt-5k: 5,600 of them",
    labels="open vocabulary (12 emotions by the paper); cues, reasoning; valence, arousal, style and healing effects in attributes",
    modalities="image", splits="none", verified="keys and paths by code that reads the files, names of the files by the data set's card",
    inferred="the twelve emotion words, licence and source of the paintings, forms of healing effects", recipes="qwen2_5_vl_7b",
)  # fmt: skip
VISUAL = ("brushstroke", "color", "composition", "light_and_shadow", "line_quality")


def read(source: Source) -> Iterator[Row]:
    yield from source.objects(source.file("Annotation.json", "annotation*.json", "Images/annotation*.json", "*/annotation*.json"))


def to_record(row: Row, source: Source) -> Record:
    identifier, picture = cells.required_text(row["request_id"], "request_id"), cells.required_text(row["image_path"], "image_path")
    image = source.medium("image", *places_of(picture))
    seen, felt = part(row, "description", "second_section"), part(row, "description", "third_section")
    texts = {"description": part(row, "description", "first_section").get("description"), **part(seen, "visual_attributes"),
             "impact": seen.get("emotional_impact")}  # fmt: skip
    sections = {name: found for name in ("description", *VISUAL, "impact") if (found := cells.text(texts.get(name)))}
    if not (words := cells.words(felt.get("dominant_emotion"))):
        raise BadRow("label is missing", "dominant_emotion is empty; accepted: a word")
    told = {"style": cells.text(identifier.rpartition("_request-")[0]), "healing_effects": cells.items(felt.get("healing_effects")),
            "valence": cells.text(felt.get("emotional_valence")), "arousal": cells.text(felt.get("emotional_arousal_level"))}  # fmt: skip
    return source.record(
        id=identifier, split="all", group=image, media={"images": [image]},
        target={
            "label": words[0], "labels": words, "sections": sections,
            "cues": {"image": cues} if (cues := [sections[name] for name in VISUAL if name in sections]) else {},
            "reasoning": " ".join(sections[name] for name in ("description", "impact") if name in sections) or None,
        },
        attributes={name: value.lower() if name in ("valence", "arousal") else value for name, value in told.items() if value},
    )  # fmt: skip


def part(fields: dict[str, Any], *names: str) -> dict[str, Any]:
    """What stands under these names, one within the other; {} where it is missing, and anything but an object is refused."""
    for name in names:
        fields = fields.get(name) or {}
        if not isinstance(fields, dict):
            raise BadRow("description is no object", f"{name} is {str(fields)[:40]!r}; accepted: an object")
    return fields


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
