"""EMOTIC as records: people in context, each with any of 26 emotions, and valence, arousal and dominance from 1 to 10.

    EMOTIC/
      Annotations/Annotations.mat  (or CVPR17_Annotations.mat)      or emotic_pre/{train,val,test}.csv, as mat2py.py of others writes them
      emotic/mscoco/images/...  emotic/framesdb/images/...  emotic/emodb_small/images/...  emotic/ade20k/images/...

    python data_prep/emotic.py EMOTIC data/emotic
    python data_prep/emotic.py EMOTIC data/emotic_test --split test

A record is a person: pictures with several give several, all in one group. `person` is the box, cut at the edges of the picture; a picture
of another size than annotated is bad, since its boxes would be elsewhere. The several emotions are `labels`, without a dominant one. In val
and test they are those that any annotator gave (combined_categories), the votes are in `distribution`, and valence, arousal and dominance are
the combined ones. Points with NaN are left out, the person kept. The csv has neither votes nor people without points, and its Image Size is
width, height (mat2py.py calls them row and column). Disquietment is also spelt Disquitement and Disquiet.
"""

import math
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from emoreason.conversion import cells
from emoreason.conversion.arrays import listed, structs
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.pictures import upright_size
from emoreason.conversion.script import main
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

CARD = Card(
    name="emotic", title="EMOTIC", access="request form", licence="non-commercial research; pictures are of others",
    citation="Kosti et al. 2019, Context Based Emotion Recognition using EMOTIC Dataset, IEEE TPAMI (arXiv 2003.13401)",
    url="https://github.com/rkosti/emotic", size="34,320 people in 23,571 pictures", labels="emotic_26, several; vad from 1 to 10; votes",
    modalities="image", splits="train, val, test (70, 10, 20 %)", verified="fields of the structs, columns, label words, spellings",
    inferred="order of Image Size in the csv, sizes", recipes="qwen2_5_vl_7b",
)  # fmt: skip
SPLITS, SIDES, DIMENSIONS = ("train", "val", "test"), ("n_col", "n_row"), ("valence", "arousal", "dominance")
COLUMNS = ("Index", "Folder", "Filename", "Image Size", "BBox", "Categorical_Labels", "Continuous_Labels")
_NUMBER = re.compile(r"(?:np\.\w+\()?(nan|[-+]?\d+\.?\d*(?:[eE][-+]?\d+)?)\)?")


def read(source: Source) -> Iterator[Row]:
    path = source.optional("Annotations/Annotations.mat", "Annotations.mat", "Annotations/CVPR17_Annotations.mat", "CVPR17_Annotations.mat")
    content = source.array(path) if path else {}
    for split in filter(source.wants, SPLITS):
        if path is None:
            for row in source.csv(source.file(f"emotic_pre/{split}.csv", f"{split}.csv"), COLUMNS):
                yield row.with_fields(split=split, id=f"{split}_{row['Index']}")
        elif split not in content:
            raise UserError(f"{source.name_of(path)}: no {split!r} in it, but {', '.join(content)}; accepted: the file as EMOTIC publishes it")
        for place, picture in structs(content.get(split), split, source.report):
            for number, person in structs(picture.get("person"), f"{split}({place}).person", source.report):
                where = source.name_of(path), f"{split}({place}).person({number})"
                parts = {"picture": Row(picture, *where), "person": Row(person, *where)}
                yield Row({**parts, "split": split, "id": f"{split}_{place}_{number}"}, *where)


def to_record(row: Row, source: Source) -> Record:
    fields = of_struct(row["picture"], row["person"]) if "person" in row else of_cells(row)
    labels = list(dict.fromkeys(cells.label(name, "emotic_26") for name in fields["labels"]))
    points = dict(zip(DIMENSIONS, fields["points"], strict=False))
    rated = not any(math.isnan(points.get(name, math.nan)) for name in ("valence", "arousal"))
    if not labels and not rated:
        raise LeftOut("nobody annotated this person")
    picture = f"{cells.relative_path(fields['folder'], 'folder')}/{cells.required_text(fields['name'], 'filename')}"
    image = source.medium("image", f"emotic/{picture}", picture)
    size = upright_size(source, image) or fields["size"]
    if len(size) != 2 or sorted(size) != sorted(fields["size"]):
        raise BadRow("picture is not of the annotated size", f"{picture} has {size} pixels, annotated are {tuple(fields['size'])}")
    votes = Counter(cells.label(name, "emotic_26") for vote in fields["votes"] for name in vote)
    about = {"gender": cells.text(fields["gender"]), "age": cells.text(fields["age"]), "database": picture.partition("/")[0]}
    return source.record(
        id=row["id"], split=row["split"], group=picture, media={"images": [image]}, person=cells.clipped_box(fields["box"], *size),
        target={
            "labels": labels, "label_space": "emotic_26", "distribution": dict(votes) or None,
            "vad": {name: value for name, value in points.items() if not math.isnan(value)} | {"scale": (1, 10)} if rated else None,
        },
        attributes={name: value for name, value in about.items() if value} | ({"annotators": len(fields["votes"])} if votes else {}),
    )  # fmt: skip


def of_struct(picture: Row, person: Row) -> dict[str, Any]:
    """Of one person in the .mat; in train, one annotator's categories and points stand where val and test have those of several."""
    votes = [words(given.get("categories")) for given in listed(person.get("annotations_categories"))]
    combined = "combined_categories" in person
    points = person.get("combined_continuous", person.get("annotations_continuous"))
    points = points if isinstance(points, dict) else {}  # an empty array where nobody rated
    size = Row(picture["image_size"], picture.file, picture.place)
    return {
        "folder": picture["folder"], "name": picture["filename"], "size": [cells.whole_number(size[side], side, low=1) for side in SIDES],
        "box": listed(person["body_bbox"]), "labels": words(person["combined_categories"]) if combined else [word for vote in votes for word in vote],
        "votes": votes if combined else [], "points": [(listed(points.get(name)) or [math.nan])[0] for name in DIMENSIONS],
        "gender": person.get("gender"), "age": person.get("age"),
    }  # fmt: skip


def of_cells(row: Row) -> dict[str, Any]:
    size, box, points = (
        [float(found) for found in _NUMBER.findall(row[name].strip("[]"))] for name in ("Image Size", "BBox", "Continuous_Labels")
    )
    return {"folder": row["Folder"], "name": row["Filename"], "size": size, "box": box, "labels": cells.items(row["Categorical_Labels"]),
            "votes": [], "points": points, "gender": row.get("Gender"), "age": row.get("Age")}  # fmt: skip


def words(value: Any) -> list[str]:
    return [word for found in listed(value) for word in ([found] if isinstance(found, str) else listed(found))]


if __name__ == "__main__":
    main(CARD, read, to_record, __doc__)
