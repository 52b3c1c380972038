"""EEmo-Bench: options as a Python dictionary, Windows paths, attributes in a text, keys with a model's name, the standard form."""

import json

LABEL = "[Image{}] Ranking:{{'Anger': 33, 'Surprise': 28, 'Joy': 41}}     category:Abstract/Cartoon image   Valence:{}  Arousal:6.44  Dominance:5.44"
PAIR = {
    "image1_url": "579.jpg", "image1": "images\\579.jpg", "image1_label": LABEL.format(1, "5.33"),
    "image2_url": "100.jpg", "image2": "images\\100.jpg", "image2_label": LABEL.format(2, "9.33"),
}  # fmt: skip
PAIRS = [
    {"id": 0, **PAIR, "question": "Is anger evoked?", "options": "{'A': 'No.', 'B': 'Yes, it\\'s in both.'}", "correct_answer": "B",
     "question_type": "Yes-or-No", "perceptual_dimension": "Emotion perception", "question_concern": "Similarity perception",
     "response(gpt-4o)": "A", "eval_result(gpt-4o)": 0, "if_invalid(gpt-4o)": 0},
    {"id": 1, **PAIR, "question": "Which differs?", "options": "{'A': 'Joy', 'B': 'Fear'}", "correct_answer": "C", "question_type": "What/How"},
    {"id": 2, **PAIR, "question": "Why?", "correct_answer": "The first is dark.", "question_type": "Open_ended", "describing_dimension": "Other"},
]  # fmt: skip
SINGLE = [{"id": 0, "image_url": "7.jpg", "question": "What is evoked?", "options": "{'B': 'Joy', 'A': 'Fear'}", "correct_answer": "B",
           "question_type": "What/How"},
          {"id": 1, "image_url": "7.jpg", "image_label": "angry", "question": "What is evoked?", "options": "__import__('os').getcwd()",
           "correct_answer": "A", "question_type": "What/How"}]  # fmt: skip
IMAGES = {f"images/{name}.jpg": b"picture" for name in (579, 100, 7)}
TREE = {"EEmo-Bench(single).json": json.dumps(SINGLE), "EEmo-Bench(pair).json": json.dumps(PAIRS), **IMAGES}


def test_questions_have_choices_without_letters_and_open_ones_have_reasoning(convert) -> None:
    converted = convert("eemo_bench", TREE, "--max-bad-share", "0.8")
    records = converted.records
    first, why, single = records["pair_0"], records["pair_2"], records["single_0"]
    assert first.target.choices == ["No.", "Yes, it's in both."] and first.target.label == "Yes, it's in both."
    assert first.media.images == ["media/images/579.jpg", "media/images/100.jpg"] and first.dataset == "eemo_bench/pair"
    assert first.attributes == {"question_type": "Yes-or-No", "perceptual_dimension": "Emotion perception",
                                "question_concern": "Similarity perception"}  # fmt: skip
    assert single.target.choices == ["Fear", "Joy"] and single.target.label == "Joy" and single.media.images == ["media/images/7.jpg"]
    assert why.target.reasoning == "The first is dark." and why.target.choices == [] and why.attributes["describing_dimension"] == "Other"


def test_a_picture_is_a_record_of_its_own_with_counts_and_vad(convert) -> None:
    picture = convert("eemo_bench", TREE, "--max-bad-share", "0.8").records["image_579.jpg"]
    assert picture.target.distribution == {"anger": 33, "surprise": 28, "joy": 41}
    assert (picture.target.label, picture.target.labels) == ("joy", ["joy", "anger", "surprise"])
    vad = picture.target.vad
    assert (vad.valence, vad.arousal, vad.dominance, vad.scale) == (5.33, 6.44, 5.44, (1, 9))
    assert picture.attributes == {"category": "Abstract/Cartoon image"} and picture.group == picture.media.images[0]


def test_options_are_not_run_and_values_off_the_scale_are_bad(convert) -> None:
    converted = convert("eemo_bench", TREE, "--max-bad-share", "0.8")
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("EEmo-Bench(single).json: item 2: 7.jpg", "label of a picture cannot be read"),
        ("EEmo-Bench(single).json: item 2", "options cannot be read"),
        ("EEmo-Bench(pair).json: item 1: 100.jpg", "valence is no such number"),
        ("EEmo-Bench(pair).json: item 2", "answer is no letter of an option"),
    ]  # fmt: skip
    assert converted.account["rows"] == 5 + 3 and converted.account["records"] == 4


def test_the_standard_form_and_files_of_results_are_read(convert) -> None:
    item = {"image_path": ["../benchmarks/EEmo-Bench/images/579.jpg", "../benchmarks/EEmo-Bench/images/100.jpg"],
            "prompt": "Is anger evoked? Options: {'A': 'No.', 'B': 'Yes.'}", "ground_truth": "A",
            "other_info": {"question_type": "Yes-or-No"}}  # fmt: skip
    tree = {"benchmarks/EEmo-Bench/Std-EEmo-Bench-Pair-Perception.json": json.dumps({"17": item, "18": {**item, "image_path": "images/579.jpg"}}),
            "EEmo-Bench(gpt-4o-single).json": json.dumps(SINGLE[:1])}  # fmt: skip
    tree |= {f"benchmarks/EEmo-Bench/{name}": content for name, content in IMAGES.items()} | {"images/7.jpg": b"picture"}
    converted = convert("eemo_bench", tree, "--max-bad-share", "0.5")
    record = converted.records["pair_17"]
    assert list(converted.records) == ["single_0", "pair_17"] and record.question == "Is anger evoked? Options:"
    assert record.media.images == ["media/benchmarks/EEmo-Bench/images/579.jpg", "media/benchmarks/EEmo-Bench/images/100.jpg"]
    assert (record.target.label, record.attributes) == ("No.", {"question_type": "Yes-or-No"})
