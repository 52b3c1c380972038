"""CH-SIMS v2: a split called valid, padded clip ids that a spreadsheet cuts, labels of one modality."""

import pytest

HEADER = "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\n"
TREE = {
    "meta.csv": "\ufeff" + HEADER + "aqgy3_0001,00000,我真的很开心,0.8,0.6,0.8,1.0,Positive,train\n"
    "aqgy3_0001,00001,随便吧,-0.2,0.0,-0.4,-0.2,Negative,valid\n"
    "aqgy4_0001,7,,0.0,,0.0,0.0,Neutral,test\n"
    "aqgy4_0001,00008,好,1.2,0.0,0.0,0.0,Positive,test\n"
    "aqgy4_0001,00009,好,0.2,0.0,0.0,0.0,Positive,val\n",
    "Raw/aqgy3_0001/00000.mp4": b"clip", "Raw/aqgy3_0001/00001.mp4": b"clip", "Raw/aqgy4_0001/00007.mp4": b"clip",
    "Raw/aqgy4_0001/00008.mp4": b"clip", "Raw/aqgy4_0001/00009.mp4": b"clip",
}  # fmt: skip


def test_the_whole_and_each_modality_have_a_valence(convert) -> None:
    records = convert("ch_sims_v2", TREE, "--max-bad-share", "1").records
    first = records["aqgy3_0001_00000"]
    assert (first.split, first.group, first.text) == ("train", "aqgy3_0001", "我真的很开心")
    assert (first.target.vad.valence, first.target.vad.arousal, first.target.vad.scale) == (0.8, None, (-1.0, 1.0))
    assert {name: alone.vad.valence for name, alone in first.target.unimodal.items()} == {"text": 0.6, "audio": 0.8, "video": 1.0}
    assert first.attributes == {"annotation": "Positive"}
    assert first.media.video == "media/Raw/aqgy3_0001/00000.mp4" and first.media.audio_in_video


def test_the_second_split_is_valid(convert) -> None:
    assert list(convert("ch_sims_v2", TREE, "--split", "valid", "--max-bad-share", "1").records) == ["aqgy3_0001_00001"]


def test_a_clip_is_found_without_its_zeros_and_what_is_empty_is_absent(convert) -> None:
    record = convert("ch_sims_v2", TREE, "--max-bad-share", "1").records["aqgy4_0001_7"]
    assert record.media.video == "media/Raw/aqgy4_0001/00007.mp4" and record.text is None
    assert sorted(record.target.unimodal) == ["audio", "video"]


def test_a_label_off_the_scale_and_another_word_for_a_split_are_bad(convert) -> None:
    converted = convert("ch_sims_v2", TREE)
    assert converted.code == 1
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("meta.csv:5", "label is no such number"), ("meta.csv:6", "unknown split"),
    ]  # fmt: skip


@pytest.mark.parametrize("broken", ["#NAME?", "=-abc"])
def test_an_id_that_a_spreadsheet_took_for_a_formula_is_bad(convert, broken: str) -> None:
    tree = TREE | {"meta.csv": TREE["meta.csv"] + f"{broken},00000,好,0.2,0.0,0.0,0.0,Positive,train\n"}
    assert "video_id was lost in a spreadsheet" in convert("ch_sims_v2", tree).account["bad"]
