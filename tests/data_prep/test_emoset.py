"""EmoSet: a JSON list of lists, an annotation file for each picture, attributes that may be missing, levels as text or number."""

import json

LISTS = {
    "train.json": [["awe", "awe_00012", "image/awe/awe_00012.jpg", "annotation/awe/awe_00012.json"],
                   ["fear", "fear_00007", "image/fear/fear_00007.jpg", "annotation/fear/fear_00007.json"],
                   ["fear", "fear_00008", "image/fear/fear_00008.jpg"],
                   ["fear", "fear_00009", "image/fear/fear_00009.jpg", "annotation/../../fear_00009.json"]],
    "val.json": [["sadness", "sadness_1", "image/sadness/sadness_1.jpg", "annotation/sadness/sadness_1.json"]],
    "test.json": [["anger", "anger_1", "image/anger/anger_1.jpg", "annotation/anger/anger_1.json"],
                  ["anger", "anger_2", "image/anger/anger_2.jpg", "annotation/anger/anger_2.json"]],
}  # fmt: skip
ANNOTATIONS = {
    "awe/awe_00012": {"image_id": "awe_00012", "emotion": "awe", "brightness": 0.6, "colorfulness": "0.40", "scene": "mountain",
                      "object": ["Tree", "Cloud"]},
    "fear/fear_00007": {"image_id": "fear_00007", "emotion": "fear"},
    "sadness/sadness_1": {"emotion": "joy"},
    "anger/anger_1": {"emotion": "anger", "human_action": "yelling", "brightness": 0.30000000000000004, "facial_expression": "anger"},
}  # fmt: skip
TREE = (
    {name: json.dumps(items) for name, items in LISTS.items()}
    | {f"annotation/{name}.json": json.dumps(value) for name, value in ANNOTATIONS.items()}
    | {item[2]: b"picture" for items in LISTS.values() for item in items}
)


def test_labels_and_the_attributes_that_are_there(convert) -> None:
    converted = convert("emoset", TREE, "--max-bad-share", "0.6")
    records = converted.records
    assert sorted(records) == ["anger_1", "awe_00012", "fear_00007"]
    awe = records["awe_00012"]
    assert (awe.split, awe.target.label, awe.target.label_space) == ("train", "awe", "mikels_8")
    assert awe.media.images == ["media/image/awe/awe_00012.jpg"]
    assert awe.attributes == {"sentiment": "positive", "scene": "mountain", "brightness": 0.6, "colorfulness": 0.4, "object": ["Tree", "Cloud"]}
    assert records["fear_00007"].attributes == {"sentiment": "negative"}
    assert records["anger_1"].attributes == {
        "sentiment": "negative", "facial_expression": "anger", "human_action": "yelling", "brightness": 0.3,
    }  # fmt: skip


def test_what_is_wrong_is_told_and_small_files_are_listed_as_one(convert) -> None:
    converted = convert("emoset", TREE)
    assert converted.code == 1
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("train.json: item 3", "no JSON object"), ("train.json: item 4", "path leaves the folder"),
        ("val.json: item 1", "label is not of mikels_8"), ("test.json: item 2", "annotation is not there"),
    ]  # fmt: skip
    noted = converted.account["inputs"]["annotation/**/*.json"]
    assert noted["files"] == 4 and noted["bytes"] == sum(len(json.dumps(value)) for value in ANNOTATIONS.values()) and len(noted["sha256"]) == 64


def test_an_annotation_of_another_emotion_is_bad(convert) -> None:
    converted = convert("emoset", TREE | {"annotation/sadness/sadness_1.json": '{"emotion": "fear"}'}, "--max-bad-share", "0.6")
    assert "'sadness' in the list, 'fear' in annotation/sadness/sadness_1.json" in converted.printed
