"""MERR: lines of three words beside members of an object, one cue that is a sentence, two grains of one clip."""

import json
from pathlib import Path

import pytest
from converted import plant

FINE = {
    "sample_00000041": {
        "AU_list": ["AU04", "AU17"], "visual_prior_list": ["Frowns furrowed", "smile, Pleasure"],
        "audio_prior_list": "and his tone, low, sounds negative.", "peak_index": "20", "peak_AU_list": ["AU01", "AU04"],
        "pseu_emotion": "angry", "text": "I was trying to be quiet.", "smp_reason_caption": "His brow and tone speak of anger.",
    },
    "sample_00000042": {"AU_list": ["AU05"], "pseu_emotion": "surprise", "text": "", "smp_reason_caption": "She gasps."},
    "sample_00000043": {"AU_list": ["AU77"], "pseu_emotion": "fear", "smp_reason_caption": "He steps back."},
}  # fmt: skip
TREE = {
    "MERR_fine_grained.json": json.dumps(FINE),
    "MERR_fine_grained.txt": "sample_00000041 64 angry\nsample_00000042 30 fear\nsample_00000043 12 fear\n",
    "MERR_coarse_grained.json": json.dumps({"sample_00000041": {"caption": "He is angry."}, "sample_00000044": {"caption": "A face."}}),
    "MERR_coarse_grained.txt": (
        "sample_00000041 64 angry\nsample_00000045 9 doubt\nsample_00000046 9 disgust\nsample_00000047 happy\nsample_00000041 64 sad\n"
    ),
    "transcription_en_all.csv": "name,sentence\nsample_00000041,Be quiet.\nsample_00000045,Really?\n",
}


@pytest.fixture
def clips(tmp_path: Path) -> str:
    return str(plant(tmp_path / "mer2023", {f"video/sample_0000004{number}.avi": b"clip" for number in range(1, 8)}))


def test_fine_captions_have_cues_and_action_units(convert, clips: str) -> None:
    converted = convert("merr", TREE, "--grain", "fine", "--media", clips, "--max-bad-share", "0.7")
    (record,) = converted.records.values()
    assert (record.id, record.dataset, record.group, record.text) == (
        "fine_sample_00000041", "merr/fine", "sample_00000041", "I was trying to be quiet.",
    )  # fmt: skip
    target = record.target
    assert (target.label, target.label_space, target.reasoning) == ("angry", "merr_9", "His brow and tone speak of anger.")
    assert target.action_units == {"AU4": None, "AU17": None}
    assert target.cues == {"video": ["Frowns furrowed", "smile, Pleasure"], "audio": ["and his tone, low, sounds negative."]}


def test_emotions_that_differ_and_units_that_are_none_are_bad(convert, clips: str) -> None:
    converted = convert("merr", TREE, "--grain", "fine", "--media", clips)
    assert converted.code == 1
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("MERR_fine_grained.json: member 'sample_00000042'", "two emotions"),
        ("MERR_fine_grained.json: member 'sample_00000043'", "an action unit that FACS does not have"),
    ]  # fmt: skip


def test_a_line_without_caption_is_a_record_and_a_caption_without_line_is_none(convert, clips: str) -> None:
    converted = convert("merr", TREE, "--grain", "coarse", "--media", clips, "--max-bad-share", "0.7")
    first, second = converted.records.values()
    assert (first.id, first.target.reasoning, first.text) == ("coarse_sample_00000041", "He is angry.", "Be quiet.")
    assert (second.target.label, second.target.reasoning, second.target.action_units, second.text) == ("doubt", None, None, "Really?")
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("MERR_coarse_grained.txt:4", "no clip, frames and emotion"), ("MERR_coarse_grained.txt:5", "a clip has two lines"),
        ("MERR_coarse_grained.json: member 'sample_00000044'", "emotion is missing"),
    ]  # fmt: skip
    assert converted.account["left_out"] == {"disgust, which the authors dropped": 1}


def test_both_grains_of_a_clip_are_one_group(convert, clips: str) -> None:
    converted = convert("merr", TREE, "--media", clips, "--max-bad-share", "0.7")
    assert [record.id for record in converted.records.values() if record.group == "sample_00000041"] == [
        "coarse_sample_00000041", "fine_sample_00000041",
    ]  # fmt: skip
