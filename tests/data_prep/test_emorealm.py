"""EmoReAlM: letters of choices, a list or JSON Lines under the same name, clips of another set."""

import json
from pathlib import Path

from converted import plant

ITEMS = [
    {"id": "q_0001", "video": "part_2/2210.mp4", "task": "reasoning_basic_video", "question": "Which visual cue suggests the emotion?",
     "choices": ["(A) A wide smile", "(B) Crossed arms", "(C) Raised fist"], "answer": "A"},
    {"id": "q_0002", "video": "part_2\\2210.mp4", "task": "modality_agreement", "question": "Do voice and face agree?",
     "choices": ["(A) Yes", "(B) No"], "answer": "(B)"},
    {"id": "q_0003", "video": "part_2/2210.mp4", "task": "modality_agreement", "question": "Do voice and face agree?",
     "choices": ["(A) Yes", "(B) No"], "answer": "C"},
    {"id": "q_0004", "video": "../2210.mp4", "task": "modality_agreement", "question": "?", "choices": ["(A) Yes", "(B) No"], "answer": "A"},
]  # fmt: skip


def clips(tmp_path: Path) -> str:
    return str(plant(tmp_path / "DFEW", {"part_2/2210.mp4": b"clip"}))


def test_letters_leave_the_choices_and_name_the_label(convert, tmp_path: Path) -> None:
    converted = convert("emorealm", {"emorealm_v1.json": json.dumps(ITEMS)}, "--media", clips(tmp_path), "--max-bad-share", "0.5")
    first, second = converted.records.values()
    assert first.target.choices == ["A wide smile", "Crossed arms", "Raised fist"] and first.target.label == "A wide smile"
    assert second.target.label == "No" and second.attributes == {"task": "modality_agreement"}
    assert first.media.video == second.media.video == "media/part_2/2210.mp4" and first.group == second.group
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("emorealm_v1.json: item 3", "answer is no letter of a choice"), ("emorealm_v1.json: item 4", "video leaves the folder"),
    ]  # fmt: skip


def test_json_lines_under_the_same_name_are_read(convert, tmp_path: Path) -> None:
    lines = "".join(json.dumps(item) + "\n" for item in ITEMS[:2])
    converted = convert("emorealm", {"emorealm_v1.json": lines}, "--media", clips(tmp_path))
    assert converted.code == 0 and list(converted.records) == ["q_0001", "q_0002"]
