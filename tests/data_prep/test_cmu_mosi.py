"""CMU-MOSI: ids with underscores and leading hyphens, three layouts, splits of the SDK that are read and not run."""

import io

import numpy as np

MMSA = {
    "label.csv": "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"
    "-s9qJ7ATP7w,3,it was good,2.4,,,,Positive,train\n"
    "_dI_b_1,10,it was not,-1.0,,,,Negative,valid\n"
    "#NAME?,1,lost,0.0,,,,Neutral,test\n"
    "_dI_b_1,11,no clip,0.0,,,,Neutral,test\n",
    "Raw/-s9qJ7ATP7w/3.mp4": b"clip", "Raw/_dI_b_1/10.mp4": b"clip",
}  # fmt: skip
OWN = {
    "Labels/OpinionLevelSentiment.csv": "6.3,9.5,-s9qJ7ATP7w,3,2.4\n0.1,5.0,_dI_b_1,10,-3.2\n1.0,2.0,_dI_b_1,11,-1\n",
    "Transcript/Segmented/-s9qJ7ATP7w.annotprocessed": "2_DELIM_A\n3_DELIM_IT WAS_GOOD\n",
    "Transcript/Segmented/_dI_b_1.annotprocessed": "10_DELIM_NO\n",
    "Video/Segmented/-s9qJ7ATP7w_3.mp4": b"clip", "Video/Segmented/_dI_b_1_10.mp4": b"clip", "Video/Segmented/_dI_b_1_11.mp4": b"clip",
}  # fmt: skip
FOLDS = "standard_train_fold=['aaa']\nstandard_valid_fold = ['bbb',\n 'ccc']\nstandard_test_fold=['-s9qJ7ATP7w']\nraise SystemExit(9)\n"


def corpora(**splits: dict[str, float]) -> bytes:
    buffer = io.BytesIO()
    found = {f"{split}_corpus": {name: {"emo": 0, "val": value} for name, value in clips.items()} for split, clips in splits.items()}
    np.savez_compressed(buffer, **found)
    return buffer.getvalue()


def test_ids_keep_their_hyphens_and_underscores(convert) -> None:
    records = convert("cmu_mosi", MMSA, "--max-bad-share", "0.5").records
    assert {name: (record.split, record.group, record.text) for name, record in records.items()} == {
        "-s9qJ7ATP7w_3": ("train", "-s9qJ7ATP7w", "it was good"), "_dI_b_1_10": ("valid", "_dI_b_1", "it was not"),
    }  # fmt: skip
    first = records["-s9qJ7ATP7w_3"]
    assert (first.target.vad.valence, first.target.vad.scale, first.target.unimodal) == (2.4, (-3.0, 3.0), {})
    assert first.media.video == "media/Raw/-s9qJ7ATP7w/3.mp4"


def test_an_id_lost_in_a_spreadsheet_and_a_missing_clip_are_bad(convert) -> None:
    converted = convert("cmu_mosi", MMSA)
    assert [fault["reason"] for fault in converted.faults] == ["video_id was lost in a spreadsheet", "video is not there"]


def test_the_own_layout_has_no_header_and_splits_by_the_lists_of_the_sdk(convert) -> None:
    converted = convert("cmu_mosi", OWN, "--max-bad-share", "0.5")
    first = converted.records["-s9qJ7ATP7w_3"]
    assert (first.split, first.text, first.target.vad.valence) == ("all", "IT WAS_GOOD", 2.4)
    assert converted.records["_dI_b_1_11"].text is None
    assert [fault["reason"] for fault in converted.faults] == ["label is no such number"]
    converted = convert("cmu_mosi", OWN | {"cmu_mosi_std_folds.py": FOLDS})
    assert {name: record.split for name, record in converted.records.items()} == {"-s9qJ7ATP7w_3": "test"}
    assert converted.account["bad"] == {"video is in no fold": 2}


def test_names_of_mertools_are_split_from_the_right(convert) -> None:
    tree = {
        "label.npz": corpora(train={"-s9qJ7ATP7w_3": 2.4}, val={"_dI_b_1_10": -1.0}, test={"noseg": 0.0}),
        "transcription.csv": "name,sentence\n_dI_b_1_10,it was not\n",
        "subvideo/-s9qJ7ATP7w_3.mp4": b"clip", "subvideo/_dI_b_1_10.mp4": b"clip", "subvideo/noseg.mp4": b"clip",
    }  # fmt: skip
    converted = convert("cmu_mosi", tree, "--max-bad-share", "0.5")
    record = converted.records["_dI_b_1_10"]
    assert (record.split, record.group, record.text, record.target.vad.valence) == ("val", "_dI_b_1", "it was not", -1.0)
    assert [fault["reason"] for fault in converted.faults] == ["no segment in the name"]


def test_none_of_the_layouts_is_told(convert) -> None:
    converted = convert("cmu_mosi", {"readme.txt": "nothing"})
    assert converted.code == 2 and "no label.npz nor label.csv nor Labels/OpinionLevelSentiment.csv" in converted.printed
