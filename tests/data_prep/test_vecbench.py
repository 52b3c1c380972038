"""VECBench: Qwen's chat form, the standard form with a misspelt task, three stages, sections, confidence, paths of other machines."""

import json


def chat(path: str) -> list[dict]:
    return [{"role": "user", "content": [{"type": "image", "image": path}, {"type": "text", "text": "Choose from awe, fear."}]}]


MIKELS = ["Amusement", "anger", "awe", "contentment", "disgust", "excitement", "fear", "sadness"]
TEST = [
    {"task": "FI-8", "ground_truth": "awe", "candidates": MIKELS, "conversations": chat("/mnt/authors/VECBench/FI/1.jpg"), "response": "fear"},
    {"task": "FI-2", "ground_truth": "Positive", "candidates": ["positive", "negative"], "conversations": chat("FI/1.jpg")},
    {"task": "WebEmo-25", "ground_truth": "cheerfulness", "candidates": ["cheerfullness", "rage"], "conversations": chat("FI/1.jpg")},
    {"task": "WebEmo-7", "ground_truth": "joy", "candidates": ["fear", "love"], "conversations": chat("FI/1.jpg")},
    {"task": "FI-9", "ground_truth": "awe", "candidates": MIKELS, "conversations": chat("FI/1.jpg")},
    {"task": "Artphoto-8", "ground_truth": "sad", "candidates": MIKELS, "conversations": chat("../../FI/nowhere.jpg")},
    {"task": "Abstract-8", "ground_truth": "joy", "candidates": MIKELS, "conversations": chat("FI/1.jpg")},
]
THINK = "<think>" + "".join(f"<{name}>{name} seen</{name}>" for name in ("element", "human", "context", "interaction", "analysis")) + "</think>"


def taught(answer: str, **fields: object) -> dict:
    turns = [{"role": "user", "content": "<image>Which emotion?"}, {"role": "assistant", "content": answer}]
    return {"messages": turns, "images": ["VECBench/FI/1.jpg"], **fields}


STAGE_1 = [taught(f"{THINK}<answer>Awe</answer>"), taught("awe")]
STAGE_2 = [taught(f"{THINK}<answer>joy</answer><confidence>{{0.8}}</confidence>", task="UnbaisedEmo-6", ground_truth="joy"),
           taught(f"{THINK}<answer>fear</answer><confidence>0.4</confidence>", task="UnbaisedEmo-6", ground_truth="joy"),
           taught(f"{THINK.replace('<human>', '')}<answer>fear</answer><confidence>0.4</confidence>")]  # fmt: skip
STAGE_3 = [{"messages": [{"role": "user", "content": "<image>Which emotion?"}], "images": ["FI/1.jpg"], "solution": "<answer>awe</answer>"}]
TREE = {"FI/1.jpg": b"picture", **{f"{name}.jsonl": "".join(json.dumps(row) + "\n" for row in rows) for name, rows in (
    ("test_8k", TEST), ("VEC-CoT/stage1_86k", STAGE_1), ("VEC-CoT/stage2_43k_w_conf", STAGE_2), ("VEC-CoT/stage3_14k", STAGE_3))}}  # fmt: skip


def test_the_task_decides_on_the_label_space(convert) -> None:
    converted = convert("vecbench", TREE, "--split", "test", "--max-bad-share", "0.8")
    found = {name: (record.dataset, record.target.label, record.target.label_space) for name, record in converted.records.items()}
    assert found == {
        "test_1": ("vecbench/FI-8", "awe", "mikels_8"), "test_2": ("vecbench/FI-2", "positive", "sentiment_2"),
        "test_3": ("vecbench/WebEmo-25", "cheerfullness", "webemo_25"),
    }  # fmt: skip
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("test_8k.jsonl:4", "label is no candidate"), ("test_8k.jsonl:5", "unknown task"), ("test_8k.jsonl:6", "image is not there"),
        ("test_8k.jsonl:7", "label is not of mikels_8"),
    ]  # fmt: skip


def test_a_picture_is_the_group_wherever_the_authors_had_it(convert) -> None:
    first, second, _ = convert("vecbench", TREE, "--split", "test", "--max-bad-share", "0.8").records.values()
    assert first.media.images == ["media/FI/1.jpg"] and first.group == second.group == "media/FI/1.jpg"
    assert first.attributes["candidates"][0] == "amusement" and first.attributes["task"] == "FI-8" and first.question is None


def test_stages_have_sections_and_a_confidence_and_files_of_their_own(convert) -> None:
    converted = convert("vecbench", TREE, "--max-bad-share", "0.8")
    first, second, third = (converted.records[name] for name in ("stage1_1", "stage2_1", "stage3_1"))
    assert first.target.sections["human"] == "human seen" and first.target.reasoning.splitlines()[-1] == "analysis seen"
    assert (first.target.label, first.target.label_space, first.dataset, first.attributes) == ("awe", "open", "vec_cot/stage1", {})
    assert second.attributes == {"task": "UnbiasedEmo-6", "confidence": 0.8} and second.target.label_space == "unbiased_emo_6"
    assert third.target.label == "awe" and third.target.sections == {} and third.split == "stage3"
    assert {"stage1.jsonl", "stage2.jsonl", "stage3.jsonl", "test.jsonl"} <= {path.name for path in converted.out.iterdir()}
    assert converted.account["left_out"] == {"answer is not the ground truth": 1}
    assert [fault["reason"] for fault in converted.faults if "stage" in fault["where"]] == ["no reasoning", "an answer breaks its template"]


def test_the_standard_form_is_read_with_its_misspelt_task(convert) -> None:
    item = {"image_path": "../benchmarks/VECBench/images/7.jpg", "prompt": "Which?", "ground_truth": "love",
            "other_info": {"task": "UnbaisedEmo-6", "candidates": ["anger", "love"]}}  # fmt: skip
    tree = {"benchmarks/VECBench/Std-VECBench.json": json.dumps({"12": item, "13": {**item, "other_info": None}})}
    converted = convert("vecbench", tree | {"benchmarks/VECBench/images/7.jpg": b"picture"}, "--max-bad-share", "0.5")
    record = converted.records["test_12"]
    assert (record.dataset, record.target.label, record.attributes["task"]) == ("vecbench/UnbiasedEmo-6", "love", "UnbiasedEmo-6")
    assert [fault["where"] for fault in converted.faults] == ["benchmarks/VECBench/Std-VECBench.json: member '13'"]
