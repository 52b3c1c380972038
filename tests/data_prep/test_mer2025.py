"""MER2025: parts that share clips, lists as text with apostrophes, NaN subtitles, nested faces."""

TREE = {
    "subtitle_chieng.csv": "name,chinese,english\nsample_00000002,我不知道该怎么办,I do not know what to do\nsamplenew3_00000001,谢谢,nan\n",
    "track1_train_disdim.csv": "name,discrete,valence\nsample_00000002,worried,-1.5\n",
    "track2_train_mercaptionplus.csv": (
        "name,openset\n"
        "samplenew3_00000001,\"['pleased', 'grateful']\"\n"
        "samplenew3_00000002,[]\n"
        "samplenew3_00000003,\"['doesn't know', 'Tense', 'tense']\"\n"
        'samplenew3_00000004,"[concern, pessimism]"\n'
        "samplenew3_00000005,[]\n"
    ),
    "track3_train_mercaptionplus.csv": "name,reason\nsamplenew3_00000002,He speaks evenly.\nsamplenew3_00000006,She smiles.\n",
    "track2_train_ovmerd.csv": "name,openset\nsample_00000002,\"['worried', 'doubtful', 'tense']\"\n",
    "track3_train_ovmerd.csv": 'name,reason\nsample_00000002,"The woman frowns, and her voice trembles."\n',
    "track_all_candidates.csv": "name\nsamplenew3_00000009\n",
    "video/sample_00000002.mp4": b"clip",
    **{f"video/samplenew3_0000000{number}.mp4": b"clip" for number in range(1, 10)},
    "openface_face/sample_00000002/sample_00000002.npy": b"faces",
}


def test_words_and_reasons_of_a_clip_become_one_record(convert) -> None:
    converted = convert("mer2025", TREE, "--part", "ov_merd")
    (record,) = converted.records.values()
    assert (record.id, record.dataset, record.split, record.group) == ("ov_merd_sample_00000002", "mer2025/ov_merd", "train", "sample_00000002")
    assert record.target.labels == ["worried", "doubtful", "tense"] and record.target.label is None and record.target.label_space == "open"
    assert record.target.reasoning == "The woman frowns, and her voice trembles." and record.text == "I do not know what to do"
    assert record.media.video == "media/video/sample_00000002.mp4"


def test_every_form_of_the_list_is_read_and_no_word_is_not_neutral(convert) -> None:
    converted = convert("mer2025", TREE, "--part", "mer_caption_plus")
    found = {name.removeprefix("mer_caption_plus_samplenew3_"): record.target for name, record in converted.records.items()}
    assert {name: target.labels for name, target in found.items()} == {
        "00000001": ["pleased", "grateful"], "00000002": [], "00000003": ["doesn't know", "tense"], "00000004": ["concern", "pessimism"],
        "00000006": [],
    }  # fmt: skip
    assert found["00000002"].reasoning == "He speaks evenly." and found["00000006"].reasoning == "She smiles."
    assert converted.account["left_out"] == {"neither a word nor a reason": 1} and converted.code == 0
    assert converted.records["mer_caption_plus_samplenew3_00000001"].text == "谢谢"


def test_a_clip_of_several_parts_stays_in_one_group(convert) -> None:
    converted = convert("mer2025", TREE)
    assert [record.id for record in converted.records.values() if record.group == "sample_00000002"] == [
        "track1_sample_00000002", "ov_merd_sample_00000002",
    ]  # fmt: skip
    target = converted.records["track1_sample_00000002"].target
    assert (target.label, target.label_space, target.vad.valence) == ("worried", "mer_6", -1.5)
    assert set(converted.account["not_there"]) == {"track1_test_dis.csv", "track2_test.csv", "track3_test.csv", "ovlabel.csv"}


def test_a_folder_without_the_parts_says_what_was_looked_for(convert) -> None:
    converted = convert("mer2025", {"track_all_candidates.csv": "name\nsamplenew3_00000009\n"}, "--part", "ov_merd")
    assert converted.code == 2 and "track2_train_ovmerd.csv" in converted.printed
