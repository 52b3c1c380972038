"""MELD: ids that repeat over splits, cp1252 quotes, missing and extra clips."""

HEADER = "Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime\n"
TREE = {
    "train_sent_emo.csv": HEADER.encode() + (
        b'1,Where did you put it?,Ann,surprise,negative,0,0,4,7,"00:10:02,100","00:10:04,009"\n'
        b'2,It\x92s on the \x93table\x94.,Ben,neutral,neutral,0,1,4,7,"00:10:04,100","00:10:05,300"\n'
        b'3,"Well, yes",Ben,joyful,positive,0,2,4,7,"00:10:06,100","00:10:07,300"\n'
        b'4,Quite.,Ben,bored,neutral,1,0,4,7,"00:10:06,100","00:10:07,300"\n'
    ),
    "dev_sent_emo.csv": "\ufeff" + HEADER + '1,Go.,Ann,anger,negative,0,0,4,8,"00:01:00,000","00:01:01,000"\n'
                                            '2,No clip.,Ann,anger,negative,110,7,4,8,"00:01:00,000","00:01:01,000"\n',
    "test_sent_emo.csv": HEADER + '1,Oh.,Ann,sadness,negative,0,0,4,9,"00:01:00,000","00:01:01,000"\n',
    "train_splits/dia0_utt0.mp4": b"clip",
    "train_splits/dia0_utt1.mp4": b"clip",
    "train_splits/dia0_utt2.mp4": b"clip",
    "train_splits/dia1_utt0.mp4": b"clip",
    "dev_splits_complete/dia0_utt0.mp4": b"clip",
    "dev_splits_complete/dia66_utt9.mp4": b"nobody annotated this one",
    "output_repeated_splits_test/dia0_utt0.mp4": b"clip",
    "output_repeated_splits_test/final_videos_testdia0_utt0.mp4": b"nor this one",
}  # fmt: skip


def test_each_split_has_ids_of_its_own(convert) -> None:
    converted = convert("meld", TREE, "--max-bad-share", "0.5")
    records = converted.records
    assert sorted(records) == ["dev_dia0_utt0", "test_dia0_utt0", "train_dia0_utt0", "train_dia0_utt1", "train_dia0_utt2"]
    first = records["train_dia0_utt0"]
    assert (first.split, first.group, first.target.label, first.target.label_space) == ("train", "train_dia0", "surprise", "meld_7")
    assert first.media.video == "media/train_splits/dia0_utt0.mp4" and first.media.audio_in_video
    assert (converted.out / first.media.video).read_bytes() == b"clip"
    assert first.attributes == {"sentiment": "negative", "speaker": "Ann"}
    assert records["train_dia0_utt2"].target.label == "joy" and records["train_dia0_utt2"].text == "Well, yes"


def test_smart_quotes_of_windows_are_read(convert) -> None:
    converted = convert("meld", TREE, "--split", "train", "--max-bad-share", "0.5")
    assert converted.records["train_dia0_utt1"].text == "It’s on the “table”."
    assert converted.account["inputs"]["train_sent_emo.csv"]["encoding"] == "cp1252"


def test_a_missing_clip_and_a_label_of_no_class_are_bad_and_extra_clips_are_nothing(convert) -> None:
    converted = convert("meld", TREE)
    assert converted.code == 1
    assert [(fault["where"], fault["reason"]) for fault in converted.faults] == [
        ("train_sent_emo.csv:5", "label is not of meld_7"), ("dev_sent_emo.csv:3", "video is not there"),
    ]  # fmt: skip
    account = converted.account
    assert (account["rows"], account["rows_kept"], account["records"]) == (7, 5, 5)
    assert account["splits"] == {"dev": 1, "test": 1, "train": 3}
    assert account["media"] == {"video": {"found": 6, "missing": 1}}
    assert "28.6% of the rows are bad" in converted.printed


def test_strict_stops_at_the_first_bad_row(convert) -> None:
    converted = convert("meld", TREE, "--strict")
    assert converted.code == 1 and not (converted.out / "records.jsonl").exists()
    assert "train_sent_emo.csv:5: label 'bored'" in converted.printed
