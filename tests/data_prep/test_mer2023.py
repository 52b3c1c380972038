"""MER2023: tables or pickled dictionaries, .avi beside .mp4, subtitles that are NaN, a valence that stands for none."""

import io

import numpy as np

RAW = {
    "train-label.csv": "\ufeffname,discrete,valence\nsample_00000011,happy,3.5\nsample_00000012,worried,-2.0\nsample_00000013,bored,0\n",
    "test3-label.csv": "name,discrete,valence\nsample_00000031,neutral,-10\n",
    "transcription-engchi-polish.csv": 'name,chinese,english\nsample_00000011,太好了,"Great, really"\nsample_00000012,我不知道该怎么办,nan\n',
    "train/sample_00000011.avi": b"clip",
    "train/sample_00000012.mp4": b"clip",
    "train/sample_00000013.avi": b"clip",
    "test3/sample_00000031.avi": b"clip",
    "openface_face/sample_00000011/sample_00000011.npy": b"faces are no medium",
}


def corpora(**splits: dict) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **splits)
    return content.getvalue()


def test_tables_of_labels_are_read(convert) -> None:
    converted = convert("mer2023", RAW, "--max-bad-share", "0.5")
    records = converted.records
    first, second, third = (records[f"sample_000000{number}"] for number in (11, 12, 31))
    assert (first.split, first.group, first.target.label, first.target.label_space) == ("train", "sample_00000011", "happy", "mer_6")
    assert (first.target.vad.valence, first.target.vad.arousal, first.target.vad.scale) == (3.5, None, (-5.0, 5.0))
    assert first.media.video == "media/train/sample_00000011.avi" and first.media.audio_in_video and first.text == "Great, really"
    assert second.media.video == "media/train/sample_00000012.mp4" and second.text == "我不知道该怎么办"
    assert (third.split, third.target.label, third.target.vad, third.text) == ("test3", "neutral", None, None)
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [("train-label.csv:4", "label is not of mer_6")]


def test_the_language_of_subtitles_can_be_chosen(convert) -> None:
    converted = convert("mer2023", RAW, "--language", "chinese", "--split", "train", "--max-bad-share", "0.5")
    assert {record.id: record.text for record in converted.records.values()} == {
        "sample_00000011": "太好了", "sample_00000012": "我不知道该怎么办",
    }  # fmt: skip


def test_pickled_dictionaries_are_read_as_plain_data(convert) -> None:
    train = {"sample_00000011": {"emo": "happy", "val": np.float64(3.5)}, "sample_00000012": "sad"}
    test3 = {"sample_00000031": {"emo": "surprise", "val": -10}}
    tree = {"label-6way.npz": corpora(train_corpus=train, test3_corpus=test3),
            "video/sample_00000011.avi": b"clip", "video/sample_00000031.avi": b"clip"}  # fmt: skip
    converted = convert("mer2023", tree, "--max-bad-share", "0.5")
    first, last = converted.records.values()
    assert (first.target.label, first.target.vad.valence, first.media.video) == ("happy", 3.5, "media/video/sample_00000011.avi")
    assert (last.split, last.target.label, last.target.vad) == ("test3", "surprise", None)
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("label-6way.npz: train_corpus sample_00000012", "no emo in a corpus"),
    ]  # fmt: skip
    assert "transcription-engchi-polish.csv" in converted.account["not_there"]


def test_a_valence_beyond_the_scale_is_bad(convert) -> None:
    tree = RAW | {"train-label.csv": "name,discrete,valence\nsample_00000011,happy,35\nsample_00000012,worried,\n"}
    converted = convert("mer2023", tree, "--split", "train", "--max-bad-share", "0.5")
    assert [fault["reason"] for fault in converted.faults] == ["valence is no such number"]
    assert converted.records["sample_00000012"].target.vad is None
