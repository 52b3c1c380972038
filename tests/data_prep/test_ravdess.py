"""RAVDESS: codes of file names, picture and voice in files of their own, copies, songs, a real clip without sound."""

import pytest
from media_samples import clip_file

SPOKEN = "01-06-01-02-01-12"
TREE = {
    f"Video_Speech_Actor_12/Actor_12/01-{SPOKEN}.mp4": b"both", f"Video_Speech_Actor_12/Actor_12/02-{SPOKEN}.mp4": b"face",
    f"Audio_Speech_Actors_01-24/Actor_12/03-{SPOKEN}.wav": b"voice", f"audio_speech_actors_01-24/Actor_12/03-{SPOKEN}.wav": b"voice",
    f"__MACOSX/._03-{SPOKEN}.wav": b"junk", "readme.txt": b"no clip",
    "Actor_24/02-02-04-02-01-02-24.mp4": b"face", "Actor_24/03-02-04-02-01-02-24.wav": b"voice",
    "Actor_01/03-01-02-01-01-01-01.wav": b"voice",
}  # fmt: skip


def test_a_performance_is_one_record_whose_name_says_it_all(convert) -> None:
    converted = convert("ravdess", TREE)
    assert converted.code == 0 and converted.account["left_out"] == {"a copy of a file": 1}
    record = converted.records[f"01-{SPOKEN}"]
    assert (record.dataset, record.group, record.fold, record.split) == ("ravdess/speech", "actor_12", 3, "train")
    assert (record.target.label, record.target.label_space, record.text) == ("fearful", "ravdess_8", "Dogs are sitting by the door.")
    assert record.attributes == {"intensity": "normal", "repetition": 1, "gender": "female"}
    assert record.media.video == f"media/Video_Speech_Actor_12/Actor_12/01-{SPOKEN}.mp4" and record.media.audio_in_video


def test_a_silent_picture_goes_with_its_voice(convert) -> None:
    records = convert("ravdess", TREE).records
    song = records["02-02-04-02-01-02-24"]
    assert (song.dataset, song.target.label, song.target.label_space, song.fold) == ("ravdess/song", "sad", "ravdess_song_6", 6)
    assert song.media.video == "media/Actor_24/02-02-04-02-01-02-24.mp4" and not song.media.audio_in_video
    assert song.media.audio == "media/Actor_24/03-02-04-02-01-02-24.wav"
    calm = records["03-01-02-01-01-01-01"]
    assert (calm.target.label, calm.split, calm.media.video, calm.media.kinds) == ("calm", "test", None, ["sound"])


def test_pairs_and_another_fold_are_options(convert) -> None:
    converted = convert("ravdess", TREE, "--clips", "pair", "--fold", "3", "--max-bad-share", "0.5")
    record = converted.records[f"02-{SPOKEN}"]
    assert record.split == "test" and record.media.kinds == ["clip", "sound"]
    assert converted.account["bad"] == {"a file of the performance is missing": 1}


@pytest.mark.parametrize(("name", "reason"), [
    ("03-02-07-01-01-01-01", "no such emotion in this form"), ("03-01-01-02-01-01-01", "no such emotion in this form"),
    ("03-01-09-01-01-01-01", "a value is not accepted"), ("03-01-03-01-01-01-25", "unknown actor"),
    ("03-03-03-01-01-01-01", "unknown channel"), ("RAVDSS_3", "no name of RAVDESS"),
])  # fmt: skip
def test_names_that_mean_nothing_are_bad(convert, name: str, reason: str) -> None:
    converted = convert("ravdess", TREE | {f"Actor_01/{name}.wav": b"voice"})
    assert converted.account["bad"] == {reason: 1}


def test_sound_is_looked_for_when_asked(convert) -> None:
    tree = {f"a/01-01-03-01-01-01-0{actor}.mp4": clip_file(with_sound=actor == 1) for actor in (1, 2)} | {"a/01-01-03-01-01-01-03.mp4": b"corrupt"}
    converted = convert("ravdess", tree, "--probe-sound", "--max-bad-share", "0.5")
    assert {name[-2:]: record.media.audio_in_video for name, record in converted.records.items()} == {"01": True, "02": False}
    assert converted.account["bad"] == {"video cannot be opened": 1}
