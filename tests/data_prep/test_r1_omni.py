"""R1-Omni: two stages in one form, labels in the spelling of the set that the clip is of, lists and lines."""

import json
from pathlib import Path

import pytest
from converted import plant

QUESTION = "As an expert: which emotion is the most obvious to you?"
TAGS = " Output the thinking process in <think> </think> and final emotion in <answer> </answer> tags."


def item(video: str, answer: str, question: str = f"<video>\n<audio>\n{QUESTION}") -> dict:
    return {"video": video, "conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]}


COLD_START = [
    item("MER24/sample_00000967.mp4", "<think>He frowns\nand paces.</think>\n<answer>anxious</answer>", f"<video>\n<audio>\n{QUESTION}{TAGS}"),
    item("MER24/sample_00000968.mp4", "<think>She sighs.</think>\n<answer>sad, tired</answer>"),
    item("MER24/sample_00000969.mp4", "<think>Nobody knows.</think>\n<answer>"),
    item("MER24/sample_00000970.mp4", "<think>Nobody says.</think>\nsad"),
]
RLVR = [
    item("DFEW/videos/1.mp4", "sad"),
    item("MAFW/videos/00011.mp4", "angry"),
    item("DFEW/videos/2.mp4", "helplessness"),
    item("HumanOmni/a.mp4", "Joyful"),
    item("DFEW\\videos\\3.mp4", "happy", f"<video>\n{QUESTION}"),
    item("DFEW/videos/9.mp4", "happy"),
    {"video": "DFEW/videos/1.mp4", "conversations": [{"from": {}, "value": QUESTION}]},
]


@pytest.fixture
def clips(tmp_path: Path) -> str:
    names = [entry["video"].replace("\\", "/") for entry in COLD_START + RLVR[:5]]
    return str(plant(tmp_path / "videos", {name: b"clip" for name in names}))


def test_a_cold_start_has_reasoning_and_words(convert, clips: str) -> None:
    converted = convert("r1_omni", {"cold.json": json.dumps(COLD_START)}, "--media", clips, "--max-bad-share", "0.5")
    first, second = converted.records.values()
    assert (first.id, first.dataset, first.group) == ("cold_start_MER24/sample_00000967", "r1_omni/cold_start", "MER24/sample_00000967.mp4")
    assert first.question == QUESTION and first.target.reasoning == "He frowns\nand paces."
    assert (first.target.label, first.target.labels, first.target.label_space) == ("anxious", ["anxious"], "open")
    assert (second.target.label, second.target.labels) == (None, ["sad", "tired"])
    assert [fault["reason"] for fault in converted.faults] == ["an answer breaks its template"] * 2


def test_bare_labels_are_of_the_set_that_the_clip_is_of(convert, clips: str) -> None:
    lines = "".join(json.dumps(entry) + "\n" for entry in RLVR)
    converted = convert("r1_omni", {"rlvr.json": lines}, "--media", clips, "--max-bad-share", "0.5")
    assert {record.id: (record.target.label, record.target.label_space) for record in converted.records.values()} == {
        "rlvr_DFEW/videos/1": ("sad", "dfew_7"), "rlvr_MAFW/videos/00011": ("anger", "mafw_11"), "rlvr_HumanOmni/a": ("joyful", "open"),
        "rlvr_DFEW/videos/3": ("happy", "dfew_7"),
    }  # fmt: skip
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("rlvr.json:3", "label is not of dfew_7"), ("rlvr.json:6", "video is not there"), ("rlvr.json:7", "nobody asks"),
    ]  # fmt: skip


def test_a_clip_is_heard_where_the_question_has_its_sound(convert, clips: str) -> None:
    records = convert("r1_omni", {"rlvr.json": json.dumps(RLVR)}, "--media", clips).records
    assert records["rlvr_DFEW/videos/1"].media.audio_in_video and not records["rlvr_DFEW/videos/3"].media.audio_in_video
    assert records["rlvr_DFEW/videos/3"].media.video == "media/DFEW/videos/3.mp4"
