"""BAH: lines that are no CSV, made-up people."""

FOLDER = "dataset-splits/video-level/BAH_DB/split-0/"
CLIP = "Videos/{0}/Visite_1/{0}_Question_{1}_2024-01-01_10-00-00_Video.mp4"
TREE = {
    f"{FOLDER}train.txt": f'{CLIP.format("P1", 1)},1,Well, yes, "but", then\n{CLIP.format("P1", 2)},0,\n{CLIP.format("P1", 3)},2,x\n',
    f"{FOLDER}val.txt": f"{CLIP.format('P2', 1)},0,No.\nVideos/alone.mp4,0,No.\n../x.mp4,0,No.\n",
    f"{FOLDER}test.txt": f"{CLIP.format('P3', 1)},1\n{CLIP.format('P3', 9)},1,No clip.\n",
    **{CLIP.format(*name): b"clip" for name in (("P1", 1), ("P1", 2), ("P1", 3), ("P2", 1), ("P3", 1))}, "Videos/alone.mp4": b"clip",
}  # fmt: skip


def test_a_line_is_cut_at_its_first_two_commas(convert) -> None:
    records = convert("bah", TREE, "--max-bad-share", "1").records
    first = records["P1_Question_1_2024-01-01_10-00-00_Video"]
    assert (first.split, first.group, first.text) == ("train", "P1", 'Well, yes, "but", then')
    assert (first.target.label, first.target.label_space) == ("yes", "yes_no_2") and "ambivalence" in first.question
    assert first.media.video == f"media/{CLIP.format('P1', 1)}" and first.media.audio_in_video
    assert [(record.split, record.target.label, record.text) for record in records.values()][1:] == [
        ("train", "no", None), ("val", "no", "No."), ("test", "yes", None),
    ]  # fmt: skip


def test_wrong_lines_are_bad(convert) -> None:
    converted = convert("bah", TREE)
    assert [fault["reason"] for fault in converted.faults] == [
        "no class", "no person in the path", "path of a video leaves the folder", "video is not there",
    ]  # fmt: skip
