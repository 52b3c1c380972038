"""MER2024: a table or pickled dictionaries, and a test corpus that nobody annotated."""

import io

import numpy as np

CLIPS = {f"video/samplenew_0000000{number}.mp4": b"clip" for number in (1, 2, 3)}


def corpora(**splits: dict) -> bytes:
    content = io.BytesIO()
    np.savez_compressed(content, **splits)
    return content.getvalue()


def test_the_table_of_labels_is_read_and_clips_without_labels_are_not(convert) -> None:
    converted = convert("mer2024", {
        "label-disdim.csv": "name,discrete,valence\nsamplenew_00000001,angry,-3.25\nsamplenew_00000002,surprise,1\n",
        "video-labeled/samplenew_00000001.mp4": b"clip",
        "video-labeled/samplenew_00000002.avi": b"clip",
        "video-unlabeled-with-test2noise/samplenew_00000009.mp4": b"clip",
    })  # fmt: skip
    first, second = converted.records.values()
    assert (first.split, first.target.label, first.target.vad.valence) == ("train", "angry", -3.25)
    assert second.media.video == "media/video-labeled/samplenew_00000002.avi" and converted.code == 0


def test_a_corpus_that_is_neutral_throughout_has_no_labels(convert) -> None:
    neutral = {"samplenew_00000002": {"emo": "neutral"}, "samplenew_00000003": {"emo": "neutral"}}
    archive = corpora(train_corpus={"samplenew_00000001": {"emo": "happy"}}, test1_corpus=neutral)
    converted = convert("mer2024", {"label-6way.npz": archive, **CLIPS})
    assert list(converted.records) == ["samplenew_00000001"] and converted.code == 0
    assert converted.account["left_out"] == {"clips of this corpus have no labels": 2}


def test_a_corpus_with_labels_is_a_test_split(convert) -> None:
    test1 = {"samplenew_00000002": {"emo": "neutral", "val": 0.5}, "samplenew_00000003": {"emo": "worried", "val": -1.0}}
    archive = corpora(train_corpus={"samplenew_00000001": {"emo": "happy", "val": 2.0}}, test1_corpus=test1)
    converted = convert("mer2024", {"label-6way.npz": archive, **CLIPS}, "--split", "test1")
    assert {record.id: (record.split, record.target.label) for record in converted.records.values()} == {
        "samplenew_00000002": ("test1", "neutral"), "samplenew_00000003": ("test1", "worried"),
    }  # fmt: skip


def test_another_npz_is_refused(convert) -> None:
    converted = convert("mer2024", {"label-6way.npz": corpora(names=np.array(["a"])), **CLIPS})
    assert converted.code == 2 and "no array is named <split>_corpus" in converted.printed
