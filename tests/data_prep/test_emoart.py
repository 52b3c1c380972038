"""EmoArt: Windows paths, archives without `Images`, healing effects as list or text, styles with blanks, parts that are missing."""

import json


def item(identifier: str, path: str, **third: object) -> dict:
    return {
        "request_id": identifier, "image_path": path,
        "description": {
            "first_section": {"description": "A boat lies on a lake."},
            "second_section": {"visual_attributes": {"brushstroke": "Soft strokes.", "color": "Pale blue.", "line_quality": ""},
                               "emotional_impact": "It feels still."},
            "third_section": {"dominant_emotion": "Calm", "emotional_valence": "Positive", "emotional_arousal_level": "Low", **third},
        },
    }  # fmt: skip


ITEMS = [
    item("Shin-hanga_request-93", "Images\\Shin-hanga\\0043826_x.jpg", healing_effects=["Relieve Stress", "Rest"]),
    item("Abstract Art_request-1", "Images\\Abstract Art\\0000001_y.jpg", healing_effects="Relieve Stress"),
    item("Cubism_request-7", "Images\\Cubism\\0000007_z.jpg", dominant_emotion="Awe"),
    item("Cubism_request-8", "Images\\Cubism\\0000007_z.jpg", dominant_emotion=None),
    {"request_id": "Cubism_request-9", "image_path": "Images\\Cubism\\0000007_z.jpg", "description": "Calm"},
]
TREE = {
    "annotation_5k.json": json.dumps(ITEMS),
    "Images/Shin-hanga/0043826_x.jpg": b"picture", "Images/Abstract Art/0000001_y.jpg": b"picture", "Cubism/0000007_z.jpg": b"picture",
}  # fmt: skip


def test_a_painting_is_found_with_and_without_its_first_folder(convert) -> None:
    converted = convert("emoart", TREE, "--max-bad-share", "0.5")
    assert [record.media.images[0] for record in converted.records.values()] == [
        "media/Images/Shin-hanga/0043826_x.jpg", "media/Images/Abstract Art/0000001_y.jpg", "media/Cubism/0000007_z.jpg",
    ]  # fmt: skip
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("annotation_5k.json: item 4", "label is missing"), ("annotation_5k.json: item 5", "description is no object"),
    ]  # fmt: skip


def test_parts_become_label_cues_sections_and_attributes(convert) -> None:
    first, second, third = convert("emoart", TREE, "--max-bad-share", "0.5").records.values()
    assert (first.target.label, first.target.label_space, third.target.label) == ("calm", "open", "awe")
    assert first.target.cues == {"image": ["Soft strokes.", "Pale blue."]}
    assert first.target.reasoning == "A boat lies on a lake. It feels still."
    assert list(first.target.sections) == ["description", "brushstroke", "color", "impact"]
    assert first.attributes == {"style": "Shin-hanga", "healing_effects": ["Relieve Stress", "Rest"], "valence": "positive", "arousal": "low"}
    assert second.attributes["healing_effects"] == ["Relieve Stress"] and second.attributes["style"] == "Abstract Art"
    assert "healing_effects" not in third.attributes and third.split == "all" and third.group == third.media.images[0]
