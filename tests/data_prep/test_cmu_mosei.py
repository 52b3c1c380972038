"""CMU-MOSEI: segments found by their time, three underscores beside ids that end in one, six emotions with strengths."""

HEADER = "video,start_time,end_time,sentiment,happy,sad,anger,surprise,disgust,fear\n"
TRANSCRIPTS = "Transcript/Segmented/Combined"
CLIPS = "Videos/Segmented/Combined"
TREE = {
    "Labels/Data_Train_modified.csv": HEADER + "-3g5yACwYnA,13.6506,21.2,1.0,0.6666667,0,0,0,0.3333333,0\n"
    "abc_,0.02,4,0.0,0,0,0,0,0,0\nabc_,4.5,6,0.0,0,0,0,0,0,0\n",
    "Labels/Data_Val_modified.csv": HEADER + "abc_,5.2,7,-3.5,0,0,0,0,0,0\n",
    "Labels/Data_Test_original.csv": HEADER + "-3g5yACwYnA,-0.5,3,1.0,3.5,0,0,0,0,0\n-3g5yACwYnA,0.1,3,1.0,3.5,0,0,0,0,0\n",
    f"{TRANSCRIPTS}/-3g5yACwYnA.txt": "-3g5yACwYnA___0___0.1___13.6___So.\n-3g5yACwYnA___10___13.6506___21.2___Use under___scores, and_more.\n",
    f"{TRANSCRIPTS}/abc_.txt": "abc____0___0.0___4___First.\n\nabc____1___5.2___7___Second.\n",
    f"{CLIPS}/-3g5yACwYnA_10.mp4": b"clip", f"{CLIPS}/-3g5yACwYnA_0.mp4": b"clip", f"{CLIPS}/abc__0.mp4": b"clip", f"{CLIPS}/abc__1.mp4": b"clip",
}  # fmt: skip


def test_a_row_finds_its_segment_by_the_time(convert) -> None:
    converted = convert("cmu_mosei", TREE, "--max-bad-share", "1")
    records = converted.records
    assert {name: (record.split, record.group, record.text) for name, record in records.items()} == {
        "-3g5yACwYnA_10": ("train", "-3g5yACwYnA", "Use under___scores, and_more."), "abc__0": ("train", "abc_", "First."),
    }  # fmt: skip
    assert records["abc__0"].media.video == f"media/{CLIPS}/abc__0.mp4"
    assert converted.account["inputs"][f"{TRANSCRIPTS}/*.txt"]["files"] == 2


def test_strengths_are_the_distribution_and_what_shows_the_labels(convert) -> None:
    records = convert("cmu_mosei", TREE, "--max-bad-share", "1").records
    target = records["-3g5yACwYnA_10"].target
    assert target.labels == ["happiness", "disgust"] and target.label_space == "ekman_6" and target.label is None
    assert target.distribution == {"happiness": 0.6666667, "sadness": 0, "anger": 0, "surprise": 0, "disgust": 0.3333333, "fear": 0}
    assert (target.vad.valence, target.vad.scale) == (1.0, (-3.0, 3.0))
    assert records["abc__0"].target.distribution is None and records["abc__0"].target.labels == []


def test_times_without_a_segment_and_values_off_the_scale_are_bad(convert) -> None:
    converted = convert("cmu_mosei", TREE)
    assert converted.code == 1
    assert [(fault["where"].rpartition("/")[2], fault["reason"]) for fault in converted.faults] == [
        ("Data_Train_modified.csv:4", "no segment at this time"), ("Data_Val_modified.csv:2", "label is no such number"),
        ("Data_Test_original.csv:2", "no segment at this time"), ("Data_Test_original.csv:3", "happy is no such number"),
    ]  # fmt: skip


def test_the_table_of_mmsa_has_sentiment_alone(convert) -> None:
    header = "video_id,clip_id,text,label,annotation,mode,label_T,label_A,label_V\n"
    lines = "_0efYOjQYRc,1,well,-0.666,Negative,valid,,,\nb,2,x,0,Neutral,validation,,,\n"
    tree = {"label.csv": header + lines, "Raw/_0efYOjQYRc/1.mp4": b"clip", "Raw/b/2.mp4": b"clip"}
    converted = convert("cmu_mosei", tree, "--max-bad-share", "1")
    record = converted.records["_0efYOjQYRc_1"]
    assert (record.split, record.target.vad.valence, record.target.distribution) == ("valid", -0.666, None)
    assert [fault["reason"] for fault in converted.faults] == ["unknown split"]
