"""CA-MER: keys that nobody could verify, in a list, in lines and in one object; the modality that a file stands for."""

import json
from pathlib import Path

import pytest
from converted import plant

TREE = {
    "audio_aligned.json": json.dumps([
        {"video": "sample_00000051.mp4", "reasoning": "The smile hides it; the voice breaks.", "label": "sad"},
        {"video": "../sample_00000052.mp4", "reasoning": "She laughs."},
        {"video": "sample_00000052.mp4", "reasoning": "She laughs.", "caption": "A woman."},
        {"clip": "sample_00000052.mp4", "reasoning": "She laughs."},
        {"video": "sample_00000052.mp4", "reasoning": ["She laughs."]},
    ]),
    "video_aligned.json": json.dumps({
        "sample_00000051": {"caption": "His face is calm."}, "sample_00000052": {"name": "sample_00000053", "reason": " "},
    }),
    "consistent.json": '{"name": "sample_00000053", "reason": "Face and voice are glad."}\n{"name": "sample_00000059", "reason": "Both are sad."}\n',
}  # fmt: skip


@pytest.fixture
def clips(tmp_path: Path) -> str:
    return str(plant(tmp_path / "mer2023", {f"video/sample_0000005{number}.avi": b"clip" for number in (1, 2, 3)}))


def test_the_file_says_which_modality_the_reasoning_describes(convert, clips: str) -> None:
    converted = convert("ca_mer", TREE, "--media", clips, "--max-bad-share", "0.9")
    heard, seen, both = converted.records.values()
    assert (heard.id, heard.dataset, heard.split) == ("audio_aligned_sample_00000051", "ca_mer/audio_aligned", "test")
    assert (heard.aligned_modality, seen.aligned_modality, both.aligned_modality) == ("audio", "video", None)
    assert heard.target.reasoning == "The smile hides it; the voice breaks." and heard.target.label is None
    assert heard.group == seen.group == "sample_00000051" and heard.media.video == "media/video/sample_00000051.avi"
    assert (seen.target.reasoning, both.target.reasoning) == ("His face is calm.", "Face and voice are glad.")


def test_what_is_not_plain_is_bad_and_names_its_keys(convert, clips: str) -> None:
    converted = convert("ca_mer", TREE, "--media", clips)
    assert converted.code == 1
    assert [fault["reason"] for fault in converted.faults] == [
        "clip leaves the folder", "several of the keys of the reasoning", "none of the keys of the clip", "reasoning is no text",
        "reasoning is missing", "video is not there",
    ]  # fmt: skip
    assert "keys clip, reasoning; accepted: one of name," in converted.faults[2]["found"]


def test_the_user_can_name_the_keys(convert, clips: str) -> None:
    tree = {"audio_aligned.json": json.dumps([{"id": 7, "clip": "sample_00000051", "gt": "He sounds sad."}])}
    converted = convert("ca_mer", tree, "--media", clips, "--clip-key", "clip", "--reasoning-key", "gt")
    assert [(record.group, record.target.reasoning) for record in converted.records.values()] == [("sample_00000051", "He sounds sad.")]
    assert converted.account["not_there"] == ["video_aligned.json", "consistent.json"]


def test_another_folder_is_refused(convert, clips: str) -> None:
    converted = convert("ca_mer", {"gt.csv": "name\n"}, "--media", clips)
    assert converted.code == 2 and "none of audio_aligned.json" in converted.printed
