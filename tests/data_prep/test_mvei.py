"""MVEI: statements by picture, the standard form, training files of ms-swift with mvei-data://, letters, other questions among them."""

import json

METADATA = [
    {"image_id": "awe_1.jpg", "statement_list": [
        {"statement": "The viewer's mood lifts.", "label": "correct", "class": "sentiment polarity", "predict": "Incorrect"},
        {"statement": "It feels heavy.", "label": "Incorrect", "class": "Scene Context"},
        {"statement": "It feels heavy.", "label": "perhaps", "class": "scene context"},
        {"statement": "It feels heavy.", "label": "correct", "class": "colour"}, "text"]},
    {"image_id": "../awe_1.jpg", "statement_list": [{"statement": "It is calm.", "label": "correct", "class": "scene context"}]},
    {"image_id": "awe_1.jpg", "statement_list": None},
]  # fmt: skip
TREE = {"MVEI_metadata.json": json.dumps(METADATA), "images/awe_1.jpg": b"picture"}
THINK = "<think>" + "".join(f"<{name}>{name} seen</{name}>" for name in ("element", "human", "context", "interaction", "analysis")) + "</think>"


def taught(answer: str | None, **fields: object) -> str:
    turns = [
        {"role": "user", "content": "<image><statement> It is calm. Based on the provided image and emotional statement, judge."},
        *([{"role": "assistant", "content": answer}] if answer else []),
    ]
    return json.dumps({"messages": turns, "images": ["mvei-data://training_data/INSETS-462k/images/awe_1.jpg"], **fields}) + "\n"


PLUS = {
    "training_data/step1_sft_C_v1/C_data.jsonl": taught(f"{THINK}<answer>Correct</answer>") + taught(f"{THINK}<answer>awe</answer>"),
    "training_data/step2_grpo_C_v2/A_1_10_data_grpo.jsonl": taught(None, solution="B") + taught("Correct", solution="incorrect"),
    "training_data/INSETS-462k-GPT-5.5-filtered/A_data.jsonl": taught("Incorrect") + "{\n",
    "training_data/INSETS-462k/images/awe_1.jpg": b"picture",
}  # fmt: skip


def test_each_statement_is_a_record_and_a_bad_one_leaves_the_others(convert) -> None:
    converted = convert("mvei", TREE, "--max-bad-share", "0.8")
    first, second = converted.records.values()
    assert (first.id, first.split, first.dataset) == ("mvei_awe_1.jpg_0", "test", "mvei")
    assert (first.question, first.target.label, first.target.label_space) == ("The viewer's mood lifts.", "correct", "verdict_2")
    assert (second.target.label, second.attributes) == ("incorrect", {"dimension": "scene context"}) and first.group == second.group
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("MVEI_metadata.json: item 1, statement 2", "label is not of verdict_2"), ("MVEI_metadata.json: item 1, statement 3", "unknown dimension"),
        ("MVEI_metadata.json: item 1, statement 4", "statement is missing"),
        ("MVEI_metadata.json: item 2, statement 0", "image_id leaves the folder"),
        ("MVEI_metadata.json: item 3", "statement is missing"),
    ]  # fmt: skip


def test_the_standard_form_is_read(convert) -> None:
    item = {"image_path": "../benchmarks/MVEI/images/awe_1.jpg", "prompt": "Judge: it is calm.", "ground_truth": "incorrect",
            "other_info": {"statement_meta": {"class": "perception subjectivity", "statement": "It is calm."}}, "generations": ["A"]}  # fmt: skip
    tree = {"benchmarks/MVEI/Std-MVEI.json": json.dumps({"7": item, "8": {**item, "other_info": None}}), "benchmarks/MVEI/images/awe_1.jpg": b"p"}
    first, second = convert("mvei", tree).records.values()
    assert (first.id, first.question, first.attributes) == ("mvei_std_7", "It is calm.", {"dimension": "perception subjectivity"})
    assert first.target.label == second.target.label == "incorrect" and second.question == "Judge: it is calm." and second.attributes == {}
    assert first.media.images == ["media/benchmarks/MVEI/images/awe_1.jpg"]


def test_training_files_are_read_and_what_judges_no_statement_is_left_out(convert) -> None:
    converted = convert("mvei", PLUS, "--split", "train", "--max-bad-share", "0.5")
    found = {name: (record.dataset, record.target.label) for name, record in converted.records.items()}
    assert found == {
        "mvei_plus_INSETS-462k-GPT-5.5-filtered_A_data_1": ("mvei_plus/INSETS-462k-GPT-5.5-filtered", "incorrect"),
        "mvei_plus_step1_sft_C_v1_C_data_1": ("mvei_plus/step1_sft_C_v1", "correct"),
        "mvei_plus_step2_grpo_C_v2_A_1_10_data_grpo_1": ("mvei_plus/step2_grpo_C_v2", "incorrect"),
    }  # fmt: skip
    assert converted.account["left_out"] == {"asks for no judgement of a statement": 1, "answer is not the solution": 1}
    assert [fault["reason"] for fault in converted.faults] == ["not JSON"]
    taught_first = converted.records["mvei_plus_step1_sft_C_v1_C_data_1"]
    assert taught_first.target.sections["context"] == "context seen" and taught_first.question == "It is calm."
    assert taught_first.media.images == ["media/training_data/INSETS-462k/images/awe_1.jpg"]


def test_insets_has_the_same_statements_for_training(convert) -> None:
    line = json.dumps({**METADATA[0], "statement_list": METADATA[0]["statement_list"][:2]})
    converted = convert("mvei", {"INSETS-462k/INSETS-462k.jsonl": line + "\n", "INSETS-462k/images/awe_1.jpg": b"picture"})
    assert [(record.id, record.split, record.dataset) for record in converted.records.values()] == [
        ("insets_awe_1.jpg_0", "train", "insets"), ("insets_awe_1.jpg_1", "train", "insets"),
    ]  # fmt: skip
