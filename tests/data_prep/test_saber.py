"""SABER: a file a clip, keys in any order, names that repeat over folders, two languages."""

import json
from pathlib import Path

import pytest
from converted import plant

ENGLISH = {
    "sentiment_analysis": "He is curious.",
    "audio_desc": {"acoustic_feat": "A level voice.", "speech_content": "Why <laughs> do these have numbers?"},
    "body_lang_desc": "He turns the mug.", "facial_exp_desc": "His brows rise.", "video_desc": "Two people in a kitchen.",
}  # fmt: skip
CHINESE = {
    "audio_desc": {"speech_content": "", "acoustic_feat": "声音洪亮。"}, "video_desc": "一位男性。", "facial_exp_desc": "微笑。",
    "body_lang_desc": "作揖。", "sentiment_analysis": "他很感激。",
}  # fmt: skip
TREE = {
    "meld/dev/dia0_utt0.json": json.dumps(ENGLISH),
    "meld/train/dia0_utt0.json": "\ufeff" + json.dumps(ENGLISH | {"sentiment_analysis": "He is bored."}),
    "mer25/samplenew3_00000004.json": json.dumps(CHINESE, ensure_ascii=False),
    "mer25/samplenew3_00000005.json": json.dumps(CHINESE)[:-20],
    "mer25/samplenew3_00000006.json": json.dumps({**CHINESE, "audio_desc": "声音洪亮。"}),
    "mer25/samplenew3_00000007.json": json.dumps({**CHINESE, "sentiment_analysis": " "}),
    "mer25/samplenew3_00000008.json": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n",
    "mer25/samplenew3_00000009.json": json.dumps(CHINESE),
    "mer26/samplenew3_00000001.json": json.dumps({**CHINESE, "video_desc": ["一位男性。"]}),
}


@pytest.fixture
def clips(tmp_path: Path) -> str:
    names = [*(f"meld/{split}/dia0_utt0.mp4" for split in ("dev", "train")), *(f"videos/mer25/samplenew3_0000000{n}.mp4" for n in (4, 5, 6, 7, 8))]
    return str(plant(tmp_path / "clips", {name: b"clip" for name in [*names, "samplenew3_00000009.mp4"]}))


def test_six_texts_become_sections_cues_and_reasoning(convert, clips: str) -> None:
    record = convert("saber", TREE, "--media", clips, "--max-bad-share", "0.7").records["meld/dev/dia0_utt0"]
    assert list(record.target.sections.items()) == [
        ("scene", "Two people in a kitchen."), ("face", "His brows rise."), ("body", "He turns the mug."), ("acoustics", "A level voice."),
        ("speech", "Why <laughs> do these have numbers?"), ("analysis", "He is curious."),
    ]  # fmt: skip
    assert record.target.reasoning == "He is curious." and record.target.label is None and record.text is None
    assert record.target.cues == {
        "video": ["Two people in a kitchen.", "His brows rise.", "He turns the mug."], "audio": ["A level voice."],
        "text": ["Why <laughs> do these have numbers?"],
    }  # fmt: skip
    assert record.media.audio_in_video


def test_names_that_repeat_over_folders_stay_apart(convert, clips: str) -> None:
    records = convert("saber", TREE, "--media", clips, "--max-bad-share", "0.7").records
    assert list(records) == ["meld/dev/dia0_utt0", "meld/train/dia0_utt0", "mer25/samplenew3_00000004"]
    assert records["meld/train/dia0_utt0"].target.reasoning == "He is bored."
    assert records["meld/train/dia0_utt0"].media.video == "media/meld/train/dia0_utt0.mp4"
    assert list(records["mer25/samplenew3_00000004"].target.sections) == ["scene", "face", "body", "acoustics", "analysis"]


def test_files_that_are_broken_are_bad_one_by_one(convert, clips: str) -> None:
    converted = convert("saber", TREE, "--media", clips)
    assert converted.code == 1
    assert [(fault["where"].partition(".json")[0][-1], fault["reason"]) for fault in converted.faults] == [
        ("5", "annotation is no JSON"), ("6", "audio_desc is no object"), ("7", "sentiment_analysis is missing"),
        ("8", "annotation is a pointer of Git LFS"), ("9", "video is not there"), ("1", "a text is none"),
    ]  # fmt: skip
    assert list(converted.account["inputs"]) == ["*.json"] and converted.account["inputs"]["*.json"]["files"] == 8
