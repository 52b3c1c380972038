"""MAFW: lists of folds with blanks, captions without a header, compounds, silent clips."""

from converted import workbook
from media_samples import clip_file

SINGLE, COMPOUND = (f"Train & Test Set/{name}/no_caption/set_1/{{}}.txt" for name in ("single", "compound"))
CLIPS = {f"data/clips/000{number}.mp4": b"clip" for number in (25, 26, 31)}
TREE = {
    SINGLE.format("train"): "00025.mp4 anger\r\n00031.mp4 helplessness\n", SINGLE.format("test"): "00026.mp4 contempt\n\n",
    "Train & Test Set/single/no_caption/set_2/test.txt": "00025.mp4 anger\n",
    COMPOUND.format("train"): "00025.mp4 anger_disgust\n", COMPOUND.format("test"): "00031.mp4 sadness_helplessness\n00026.mp4 contempt\n",
    "Labels/descriptive_text.xlsx": workbook(("00026.mp4", "他冷笑。", "He smirks. "), ("00031.mp4", None, "She looks down.")),
    "data/clips/00025.avi": b"another", **CLIPS,
}  # fmt: skip


def test_lists_give_labels_and_folds_and_captions_are_cues(convert) -> None:
    converted = convert("mafw", TREE)
    assert converted.code == 0
    records = converted.records
    assert {name: (record.target.label, record.split, record.fold) for name, record in records.items()} == {
        "00026": ("contempt", "test", 1), "00025": ("anger", "train", 2), "00031": ("helplessness", "train", None),
    }  # fmt: skip
    assert records["00026"].target.cues == {"video": ["He smirks."]} and records["00026"].attributes == {"caption_chinese": "他冷笑。"}
    assert records["00031"].target.cues == {"video": ["She looks down."]} and records["00031"].attributes == {}
    assert records["00025"].target.cues == {} and records["00025"].media.video == "media/data/clips/00025.mp4"
    assert records["00025"].target.label_space == "mafw_11"


def test_a_compound_is_several_labels(convert) -> None:
    records = convert("mafw", TREE, "--set", "compound").records
    assert {name: (record.target.labels, record.attributes["compound"]) for name, record in records.items()} == {
        "00031": (["sadness", "helplessness"], "sadness_helplessness"), "00026": (["contempt"], "contempt"),
        "00025": (["anger", "disgust"], "anger_disgust"),
    }  # fmt: skip
    assert all(record.target.label is None for record in records.values())


def test_without_lists_the_table_counts_from_1(convert) -> None:
    table = workbook(("clip", "anger", "single_label"), ("00025.mp4", 0.9, 1), ("00026.mp4", 0, 8), ("00031.mp4", 0, 0))
    converted = convert("mafw", CLIPS | {"Labels/single-set.xlsx": table})
    assert {name: (record.target.label, record.split, record.fold) for name, record in converted.records.items()} == {
        "00025": ("anger", "all", None), "00026": ("contempt", "all", None),
    }  # fmt: skip
    assert converted.account["left_out"] == {"not of one label": 1}


def test_silent_clips_are_kept_without_sound_and_corrupt_ones_are_bad(convert) -> None:
    clips = {"data/clips/00025.mp4": clip_file(with_sound=True), "data/clips/00026.mp4": clip_file(with_sound=False)}
    converted = convert("mafw", TREE | clips, "--probe-sound", "--max-bad-share", "0.5")
    assert {name: record.media.audio_in_video for name, record in converted.records.items()} == {"00025": True, "00026": False}
    assert converted.account["bad"] == {"video cannot be opened": 1}


def test_a_word_of_another_set_and_a_missing_clip_are_bad(convert) -> None:
    converted = convert("mafw", TREE | {SINGLE.format("train"): "00025.mp4 bored\n00099.mp4 fear\n00031.mp4\n"})
    assert converted.account["bad"] == {"label is not of mafw_11": 1, "video is not there": 1, "label is missing": 1}
