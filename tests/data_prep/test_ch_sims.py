"""CH-SIMS: clip ids without zeros in tables and with them in files, splits as line numbers, two languages."""

LABELS = {"M": (0.8, -0.2, 0.0, 0.4), "T": (0.6, 0.0, 0.2, 0.4), "A": (0.8, -0.4, 0.0, 0.4), "V": (1.0, -0.2, 0.0, 0.4)}
KEYS = ("video_0001,1", "video_0001,12", "video_0002,1", "video_0002,2")
TREE = {
    **{f"metadata/sentiment/label_{name}.csv": "\n".join(["video_id,clip_id,label", *map("{},{}".format, KEYS, values)])
       for name, values in LABELS.items()},
    "metadata/train_index.csv": "index\n2\n", "metadata/val_index.csv": "index\n0\n", "metadata/test_index.csv": "index\n1\n",
    "metadata/Translation.csv": "video_id,clip_id,Chinese,English\nvideo_0001,1,我真的很开心,I am truly happy\nvideo_0001,12,随便吧,nan\n",
    **{f"Raw/{name}.mp4": b"clip" for name in ("video_0001/0001", "video_0001/0012", "video_0002/0001", "video_0002/0002")},
}  # fmt: skip


def test_clips_have_four_digits_and_splits_are_lines_of_the_labels(convert) -> None:
    records = convert("ch_sims", TREE, "--max-bad-share", "0.5").records
    assert {name: record.split for name, record in records.items()} == {
        "video_0001_0001": "val", "video_0001_0012": "test", "video_0002_0001": "train",
    }  # fmt: skip
    first = records["video_0001_0001"]
    assert first.media.video == "media/Raw/video_0001/0001.mp4" and first.group == "video_0001"
    assert (first.target.vad.valence, first.target.vad.scale) == (0.8, (-1.0, 1.0))
    assert {name: alone.vad.valence for name, alone in first.target.unimodal.items()} == {"text": 0.6, "audio": 0.8, "video": 1.0}


def test_a_line_in_no_split_is_bad(convert) -> None:
    converted = convert("ch_sims", TREE)
    assert converted.code == 1
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [("metadata/sentiment/label_M.csv:5", "in none of the splits")]


def test_either_language_is_the_text(convert) -> None:
    chinese = convert("ch_sims", TREE, "--max-bad-share", "0.5").records
    assert chinese["video_0001_0001"].text == "我真的很开心"
    assert chinese["video_0001_0001"].attributes == {"text_english": "I am truly happy"}
    assert chinese["video_0001_0012"].attributes == {} and chinese["video_0002_0001"].text is None
    english = convert("ch_sims", TREE, "--language", "english", "--max-bad-share", "0.5").records
    assert english["video_0001_0001"].text == "I am truly happy" and english["video_0001_0012"].text is None


def test_a_line_in_two_splits_is_bad(convert) -> None:
    converted = convert("ch_sims", TREE | {"metadata/test_index.csv": "index\n1\n2\n3\n"})
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [("metadata/test_index.csv:3", "in two splits")]


def test_the_one_table_of_mmsa_is_read_too(convert) -> None:
    tree = {
        "label.csv": "video_id,clip_id,text,label,label_T,label_A,label_V,annotation,mode\nvideo_0001,0001,好,0.8,0.6,0.8,1.0,Positive,valid\n",
        "Raw/video_0001/0001.mp4": b"clip",
    }
    record = convert("ch_sims", tree).records["video_0001_0001"]
    assert (record.split, record.target.vad.valence, record.target.unimodal["video"].vad.valence) == ("valid", 0.8, 1.0)
