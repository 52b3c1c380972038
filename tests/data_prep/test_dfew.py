"""DFEW: labels from 1, five folds, votes, 1.mp4 beside 00001, parts of clips, clips of no one label."""

import pytest
from converted import workbook
from media_samples import clip_file

SPLIT = "EmoLabel_DataSplit/{}(single-labeled)/set_{}.csv"
ANNOTATION = ("1happy", "2sad", "3neutral", "4angry", "5surprise", "6disgust", "7fear", "order", "label")
TREE = {
    SPLIT.format("train", 1): "video_name,label\n7,5\n15003,3\n", SPLIT.format("test", 1): "video_name,label\n1024,1\n",
    SPLIT.format("train", 2): "video_name,label\n1024,1\n15003,3\n", SPLIT.format("test", 2): "video_name,label\n7,5\n",
    "Annotation/annotation.xlsx": workbook(ANNOTATION, (8, 0, 1, 0, 1, 0, 0, 1024, 1), (0, 0, 0, 0, 10, 0, 0, 7, 5), (2, 2, 2, 2, 2, 0, 0, 9, 0)),
    "part_1/7.mp4": b"clip", "part_1/7.avi": b"another", "part_2/1024.mp4": b"clip", "part_11/15003.mp4": b"clip",
    "data_affine/single_label/data/00007/00007_00001.jpg": b"face",
}  # fmt: skip


def test_labels_count_from_1_and_votes_are_the_distribution(convert) -> None:
    converted = convert("dfew", TREE)
    assert converted.code == 0 and converted.account["left_out"] == {"not of one label": 1}
    records = converted.records
    assert {name: (record.target.label, record.split, record.fold) for name, record in records.items()} == {
        "1024": ("happy", "test", 1), "7": ("surprise", "train", 2), "15003": ("neutral", "train", None),
    }  # fmt: skip
    assert records["1024"].target.distribution == {
        "happy": 8, "sad": 0, "neutral": 1, "angry": 0, "surprise": 1, "disgust": 0, "fear": 0,
    }  # fmt: skip
    assert records["15003"].target.distribution is None and records["15003"].media.video == "media/part_11/15003.mp4"
    assert records["7"].media.video == "media/part_1/7.mp4" and records["7"].media.audio_in_video


def test_another_fold_is_an_option(convert) -> None:
    records = convert("dfew", TREE, "--fold", "2", "--split", "test").records
    assert {name: (record.split, record.fold) for name, record in records.items()} == {"7": ("test", 2)}


def test_tables_of_older_mirrors_are_found_and_zeros_in_front_are_nothing(convert) -> None:
    tree = {
        "label/single_trainset_1.csv": "video_name,label\n00007,5\n", "label/single_testset_1.csv": "video_name,label\n01024,1\n",
        "part_3/7.mp4": b"clip", "part_3/1024.mp4": b"clip",
    }  # fmt: skip
    converted = convert("dfew", tree)
    assert sorted(converted.records) == ["1024", "7"]
    assert "annotation.xlsx" in converted.account["not_there"]


@pytest.mark.parametrize(("line", "reason"), [
    ("8,8", "a value is not accepted"), ("8,0", "a value is not accepted"), ("8,1.5", "label is no whole number"),
    ("1024,1", "an id stands twice"), ("7,4", "annotation.xlsx has another label"), ("5000,2", "video is not there"),
])  # fmt: skip
def test_wrong_rows_are_bad(convert, line: str, reason: str) -> None:
    tree = TREE | {SPLIT.format("train", 1): f"video_name,label\n{line}\n", "part_1/8.mp4": b"clip"}
    assert convert("dfew", tree, "--max-bad-share", "1").account["bad"] == {reason: 1}


def test_a_clip_that_is_tested_twice_is_told(convert) -> None:
    converted = convert("dfew", TREE | {SPLIT.format("test", 3): "video_name,label\n1024,1\n"})
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [(f"{SPLIT.format('test', 3)}:2", "tested in two folds")]


def test_sound_is_looked_for_when_asked(convert) -> None:
    tree = TREE | {"part_1/7.mp4": clip_file(with_sound=True), "part_2/1024.mp4": clip_file(with_sound=False)}
    converted = convert("dfew", tree, "--probe-sound", "--max-bad-share", "1")
    assert {name: record.media.audio_in_video for name, record in converted.records.items()} == {"1024": False, "7": True}
    assert converted.account["bad"] == {"video cannot be opened": 1}
