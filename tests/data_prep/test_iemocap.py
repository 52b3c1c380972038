"""IEMOCAP: blocks of an evaluation, lines that cannot be read, votes, merged classes, hidden files of a Mac."""

import pytest

WHERE = "Session1/dialog/{}/Ses01F_impro01.txt"
EVALUATION = """% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]

[6.2901 - 8.2357]\tSes01F_impro01_F000\tneu\t[2.5000, 2.0000, 3.5000]
C-E2:\tNeutral;\t()
C-E3:\tNeutral state; Sadness;\t()
C-E4:\tFrustration;\t(a bit, of it)
C-F1:\tAnger;\t(curious)
A-E3:\tval 3; act 2; dom  2;\t()

[10.0100 - 11.3925]\tSes01F_impro01_M001\texc\t[4.5000, 5.5000, 3.0000]
C-E2:\tExcited;\t()

[12.0 - 13.0]\tSes01F_impro01_F002\txxx\t[2.5000, 2.5000, 2.5000]
[13.0 - 14.0]\tSes01F_impro01_F003\tfru\t[2.5000, 2.5000, 2.5000]
[14.0 -\tSes01F_impro01_F004\tneu\t[2.5000, 2.5000, 2.5000]
C-E2:\tAnger;\t()
"""
TRANSCRIPTION = b"""Ses01F_impro01_F000 [006.2901-008.2357]: Excuse me.
Ses01F_impro01_M001 [010.0100-011.3925]: [LAUGHTER] Caf\xe9: yes.
M: [xx]
"""
TREE = {
    WHERE.format("EmoEvaluation"): EVALUATION, WHERE.format("transcriptions"): TRANSCRIPTION,
    "Session1/dialog/EmoEvaluation/._Ses01F_impro01.txt": b"\0\5", "Session1/dialog/EmoEvaluation/Categorical/Ses01F_impro01_e2_cat.txt": "x",
    "Session5/dialog/EmoEvaluation/Ses05M_script01_1b.txt": "[1.0 - 2.0]\tSes05M_script01_1b_M003\thap\t[4.0, 3.0, 3.0]\n",
    "Session5/sentences/wav/Ses05M_script01_1b/Ses05M_script01_1b_M003.wav": b"voice", "Session1/dialog/avi/DivX/Ses01F_impro01.avi": b"both",
    **{f"Session1/sentences/wav/Ses01F_impro01/Ses01F_impro01_{name}.wav": b"voice" for name in ("F000", "M001", "F003", "F004")},
    "subvideo-tgt/Ses01F_impro01_F000.avi": b"one",
}  # fmt: skip


def test_an_utterance_has_its_votes_its_point_and_its_times(convert) -> None:
    records = convert("iemocap", TREE, "--max-bad-share", "1").records
    record = records["Ses01F_impro01_F000"]
    assert (record.split, record.fold, record.group, record.text) == ("train", 1, "session_1", "Excuse me.")
    assert (record.target.label, record.target.label_space) == ("neutral", "iemocap_10")
    assert record.target.distribution == {"neutral": 1.5, "sad": 0.5, "frustrated": 1.0}
    point = record.target.vad
    assert (point.valence, point.arousal, point.dominance, point.scale) == (2.5, 2.0, 3.5, (1.0, 5.0))
    assert record.attributes == {"speaker": "Ses01F", "dialogue": "Ses01F_impro01", "start": 6.2901, "end": 8.2357}
    assert record.media.kinds == ["sound"]
    assert (records["Ses05M_script01_1b_M003"].split, records["Ses05M_script01_1b_M003"].text) == ("test", None)


def test_a_mean_beyond_the_scale_is_told_and_latin_letters_are_read(convert) -> None:
    record = convert("iemocap", TREE, "--max-bad-share", "1").records["Ses01F_impro01_M001"]
    assert record.target.vad is None and record.attributes["vad_off_scale"] == "4.5000, 5.5000, 3.0000"
    assert record.target.label == "excited" and record.text == "[LAUGHTER] Café: yes."


def test_lines_that_cannot_be_read_are_bad_and_votes_after_them_nobodys(convert) -> None:
    converted = convert("iemocap", TREE)
    assert converted.code == 1
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        (f"{WHERE.format('transcriptions')}:3", "a transcription cannot be read"),
        (f"{WHERE.format('EmoEvaluation')}:15", "an evaluation cannot be read"),
    ]  # fmt: skip
    assert converted.records["Ses01F_impro01_F003"].target.distribution is None


@pytest.mark.parametrize(("labels", "space", "expected", "left_out"), [
    ("10", "iemocap_10", ["neutral", "excited", "frustrated", "happy"], {"no majority": 1}),
    ("6", "iemocap_6", ["neutral", "excited", "frustrated", "happy"], {"no majority": 1}),
    ("4", "iemocap_4", ["neutral", "happy", "happy"], {"no majority": 1, "of no class of the 4": 1}),
])  # fmt: skip
def test_classes_are_merged_only_when_asked(convert, labels: str, space: str, expected: list[str], left_out: dict[str, int]) -> None:
    converted = convert("iemocap", TREE, "--labels", labels, "--max-bad-share", "1")
    assert [record.target.label for record in converted.records.values()] == expected
    assert {record.target.label_space for record in converted.records.values()} == {space}
    assert converted.account["left_out"] == left_out
    assert converted.records["Ses01F_impro01_F000"].target.distribution["frustrated"] == 1


def test_the_video_of_both_or_a_cut_one_is_seen_when_asked(convert) -> None:
    whole = convert("iemocap", TREE, "--video", "dialogue", "--max-bad-share", "1").records["Ses01F_impro01_F000"].media
    assert whole.video == "media/Session1/dialog/avi/DivX/Ses01F_impro01.avi" and whole.kinds == ["clip", "sound"]
    converted = convert("iemocap", TREE, "--video", "cut", "--max-bad-share", "1")
    assert converted.records["Ses01F_impro01_F000"].media.video == "media/subvideo-tgt/Ses01F_impro01_F000.avi"
    assert converted.account["bad"]["video is not there"] == 3
