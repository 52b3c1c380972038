"""MER2026: preference pairs with ties, words in three forms, clips as the archives unpack, clips of several parts."""

TREE = {
    "subtitle_chieng.csv": "name,chinese,english\nsample_00000007,你来了,You came\n",
    "track1_train.csv": "name,discrete\nsample_00000007,surprise\nsample_00000008,joyous\n",
    "track2_train_human.csv": 'name,openset\nsample_00000007,"shocked,care,serious"\n',
    "track2_train_mercaptionplus.csv": 'name,openset\nsample_00000007,"[concern, pessimism]"\nsample_00000008,\n',
    "track3_emoprefer.csv": (
        "name,a1,a2,preference\n"
        'samplenew4_00000001,"He is calm, his voice level.",He is furious.,a1\n'
        "samplenew4_00000002,She smiles.,She cries.,same\n"
    ),
    "track3_emopreferv2.csv": (
        "name,a1,a2,preference\n"
        "samplenew4_00000001,He is calm.,He is furious.,a2\n"
        "samplenew4_00000001,He is calm.,He is furious.,a1\n"
        "samplenew4_00000001,He is calm.,He is calm.,a1\n"
        "samplenew4_00000001,He is calm.,,a1\n"
        "samplenew4_00000001,He is calm.,He is furious.,a1 a2\n"
    ),
    "track3_candidate.csv": "name,a1,a2\nsamplenew4_00000009,One.,Two.\n",
    "video/sample_00000007.mp4": b"clip",
    "video/sample_00000008.mp4": b"clip",
    "video/video_track3_emoprefer/video/samplenew4_00000001.mp4": b"clip",
    "video/video_track3_emopreferv2/video/samplenew4_00000001.mp4": b"clip",
    "openface_face/sample_00000007/sample_00000007.npy": b"faces",
}


def test_the_preferred_description_is_chosen_and_ties_are_left_out(convert) -> None:
    converted = convert("mer2026", TREE, "--part", "emoprefer")
    (record,) = converted.records.values()
    assert (record.id, record.dataset, record.group) == ("emoprefer_samplenew4_00000001_1", "mer2026/emoprefer", "samplenew4_00000001")
    assert record.preference.chosen == "He is calm, his voice level." and record.preference.rejected == ["He is furious."]
    assert record.media.video == "media/video/video_track3_emoprefer/video/samplenew4_00000001.mp4"
    assert record.attributes == {"annotators": "majority of three", "preferred": "a1"}
    assert converted.account["left_out"] == {"a tie": 1} and converted.code == 0


def test_verdicts_of_single_annotators_may_differ_and_pairs_that_are_none_are_bad(convert) -> None:
    converted = convert("mer2026", TREE, "--part", "emoprefer_v2", "--max-bad-share", "0.7")
    assert [record.preference.chosen for record in converted.records.values()] == ["He is furious.", "He is calm."]
    assert [fault["reason"] for fault in converted.faults] == ["preference is not accepted", "a2 is missing", "preference names both"]


def test_words_with_commas_or_in_brackets_are_read(convert) -> None:
    converted = convert("mer2026", TREE, "--part", "human_ov", "--part", "mer_caption_plus")
    human, automatic = converted.records.values()
    assert human.target.labels == ["shocked", "care", "serious"] and automatic.target.labels == ["concern", "pessimism"]
    assert human.group == automatic.group == "sample_00000007" and human.text == "You came"
    assert converted.account["left_out"] == {"no word": 1}


def test_a_label_beyond_the_six_is_bad(convert) -> None:
    converted = convert("mer2026", TREE, "--part", "track1", "--max-bad-share", "0.5")
    (record,) = converted.records.values()
    assert (record.target.label, record.target.vad) == ("surprise", None)
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [("track1_train.csv:3", "label is not of mer_6")]


def test_the_files_of_another_repository_are_read_too(convert) -> None:
    tree = {"preference_emoprefer.csv": TREE["track3_emoprefer.csv"], "video/samplenew4_00000001.mp4": b"clip"}
    assert list(convert("mer2026", tree).records) == ["emoprefer_samplenew4_00000001_1"]
