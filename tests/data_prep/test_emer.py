"""EMER: two versions that are never mixed, a column by two names, quotes and lines within cells."""

from pathlib import Path

import pytest
from converted import plant

TREE = {
    "dataset-v1/gt-eng.csv": 'names,emotions,subtitles,reasons\nsample_00000021,worried,"Well, what now?","He frowns, and asks."\n',
    "dataset-v1/gt-chi.csv": "names,emotions,subtitles,reasons\nsample_00000021,worried,怎么办？,他皱着眉头。\n",
    "dataset-v2/final-EMER-reason.csv": (
        "name,chinese,english\n"
        'sample_00000021,在视频中，他低着头。,"In the video, a man looks down. In the text, the subtitle reads: ""What now?""\nIt suggests regret."\n'
        "sample_00000022,在视频中，她微笑。,\n"
    ),
}


@pytest.fixture
def clips(tmp_path: Path) -> str:
    return str(plant(tmp_path / "mer2023", {"train/sample_00000021.avi": b"clip", "video/sample_00000022.mp4": b"clip"}))


def test_version_1_has_emotions_and_subtitles(convert, clips: str) -> None:
    converted = convert("emer", TREE, "--version", "1", "--media", clips)
    (record,) = converted.records.values()
    assert (record.id, record.dataset, record.split, record.group) == ("sample_00000021", "emer/v1", "all", "sample_00000021")
    assert (record.target.label, record.target.label_space, record.text) == ("worried", "mer_6", "Well, what now?")
    assert record.target.reasoning == "He frowns, and asks." and record.media.video == "media/train/sample_00000021.avi"
    assert list(converted.account["inputs"]) == ["dataset-v1/gt-eng.csv"]


def test_version_2_has_paragraphs_and_no_emotion(convert, clips: str) -> None:
    converted = convert("emer", TREE, "--version", "2", "--media", clips, "--max-bad-share", "0.5")
    (record,) = converted.records.values()
    assert (record.dataset, record.target.label, record.text) == ("emer/v2", None, None)
    assert record.target.reasoning.endswith('reads: "What now?"\nIt suggests regret.')
    assert [fault["reason"] for fault in converted.faults] == ["reason is missing"]
    assert list(converted.account["inputs"]) == ["dataset-v2/final-EMER-reason.csv"]


def test_the_chinese_texts_can_be_chosen(convert, clips: str) -> None:
    converted = convert("emer", TREE, "--version", "2", "--language", "chinese", "--media", clips)
    assert [record.target.reasoning for record in converted.records.values()] == ["在视频中，他低着头。", "在视频中，她微笑。"]


def test_the_column_that_the_readme_names_is_read_too(convert, clips: str) -> None:
    converted = convert(
        "emer", {"final-EMER-reason.csv": "names,chinese,english\nsample_00000021,他,He looks down.\n"}, "--version", "2", "--media", clips
    )
    assert list(converted.records) == ["sample_00000021"]


def test_a_version_must_be_named(convert, clips: str) -> None:
    converted = convert("emer", TREE, "--media", clips)
    assert converted.code == 2 and "--version" in converted.printed and not converted.out.exists()
