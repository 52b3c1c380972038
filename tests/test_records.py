"""A records file is read whole, or every fault in it is told at once."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from emoreason.faults import UserError
from emoreason.records import COLUMNS, Media, Record, Target, ValenceArousalDominance, columns, read_records


def plain(**changes: object) -> dict:
    """A record that is right, with `changes`."""
    target = {"label": "joy", "labels": ["joy", "pride"], "label_space": "shaver_6_disgust_neutral"}
    record = {"id": "a", "dataset": "toy", "split": "train", "group": "g", "target": target, "licence": "CC0-1.0", "source": "us"}
    return {**record, **changes}


@pytest.fixture
def records_path(tmp_path: Path) -> Path:
    return tmp_path / "records.jsonl"


def write(path: Path, *rows: dict) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def faults_of(path: Path) -> list[str]:
    with pytest.raises(UserError) as caught:
        read_records(path)
    return [fault.removeprefix(f"{path}:") for fault in caught.value.faults]


def test_records_come_back_in_file_order(records_path: Path) -> None:
    vad = {"valence": 7, "arousal": 5.5, "scale": [1, 9]}
    rich = plain(
        id="b", media={"images": ["images/b.png"]}, text="hello", aligned_modality="image",
        target={"label": "joy", "vad": vad, "action_units": {"AU12": 2.5, "AU6": None}, "cues": {"image": ["lips up"]}},
    )  # fmt: skip
    records = read_records(write(records_path, plain(), rich))
    assert [record.id for record in records] == ["a", "b"]
    assert records[0].target.labels == ["joy", "pride"]
    assert records[1].target.vad.scale == (1, 9)
    assert records[1].target.action_units == {"AU12": 2.5, "AU6": None}


def test_a_byte_order_mark_and_blank_lines_are_accepted(records_path: Path) -> None:
    records_path.write_text("\ufeff" + json.dumps(plain()) + "\r\n\n", encoding="utf-8")
    assert [record.id for record in read_records(records_path)] == ["a"]


def test_every_fault_is_in_one_report(records_path: Path) -> None:
    rows = [
        plain(),
        plain(id="b", lisence="CC0-1.0", target={"lable": "joy"}),
        plain(id="c", split=7, media={"images": ["../c.png"], "video": "/c.mp4"}),
        plain(id="a"),
        {"id": "d", "dataset": "toy"},
    ]
    path = write(records_path, *rows)
    path.write_text(path.read_text() + "{broken\n[]\n")
    assert sorted(faults_of(path)) == [
        "2: record 'b': lisence: unknown key; did you mean 'licence'?",
        "2: record 'b': target.lable: unknown key; did you mean 'label'?",
        "3: record 'c': media.images[0]: a media path is relative to the records file and stays inside its folder (given: '../c.png')",
        "3: record 'c': media.video: a media path is relative to the records file and stays inside its folder (given: '/c.mp4')",
        "3: record 'c': split: Input should be a valid string (given: 7)",
        "4: record 'a' stands on line 1 already; ids are unique",
        "5: record 'd': group: missing",
        "5: record 'd': licence: missing",
        "5: record 'd': source: missing",
        "5: record 'd': split: missing",
        "6: not JSON: Expecting property name enclosed in double quotes at column 2",
        "7: a list where a JSON object is expected",
    ]


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        (
            {"label": "jo", "label_space": "shaver_6_disgust_neutral"},
            "label 'jo' is not in shaver_6_disgust_neutral; did you mean 'joy'?",
        ),
        ({"label": "joy", "label_space": "ekman6"}, "unknown label space 'ekman6'; did you mean 'ekman_6'?"),
        ({"labels": ["joy"], "label_space": "ekman6"}, "unknown label space 'ekman6'; did you mean 'ekman_6'?"),
        ({"labels": ["joy"], "distribution_space": "ekman6"}, "unknown label space 'ekman6'; did you mean 'ekman_6'?"),
        ({"label": "joy", "labels": ["pride", "joy"]}, "labels start with 'pride' but label is 'joy'; the dominant word comes first"),
        ({"labels": ["pride", "joy", "pride"]}, "labels name a word twice: ['pride', 'joy', 'pride']"),
        (
            {"distribution": {"positive": 0.0, "negative": 0}, "distribution_space": "sentiment_3"},
            "distribution adds up to 0; leave it out when nobody voted",
        ),
        ({"distribution": {}}, "distribution adds up to 0; leave it out when nobody voted"),
        (
            {"label": "anger", "label_space": "ekman_6", "distribution": {"positive": 1}},
            "label 'positive' is not in ekman_6; accepted: anger, disgust, fear, happiness, sadness, surprise",
        ),
    ],
)
def test_a_target_that_contradicts_itself_is_a_fault(records_path: Path, target: dict, fault: str) -> None:
    assert faults_of(write(records_path, plain(target=target))) == [f"1: record 'a': target: {fault} (given: an object)"]


@pytest.mark.parametrize(
    ("target", "fault"),
    [
        ('{"distribution": {"joy": -1}}', "target.distribution.joy: Input should be greater than or equal to 0 (given: -1)"),
        ('{"distribution": {"joy": Infinity}}', "target.distribution.joy: Input should be a finite number (given: inf)"),
        (
            '{"vad": {"valence": NaN, "arousal": 0, "scale": [-1, 1]}}',
            "target.vad.valence: Input should be a finite number (given: nan)",
        ),
        ('{"vad": {"valence": 0, "arousal": 0}}', "target.vad.scale: missing"),
        ('{"vad": {"valence": 0, "arousel": 0, "scale": [0, 1]}}', "target.vad.arousel: unknown key; did you mean 'arousal'?"),
        ('{"label": true}', "target.label: Input should be a valid string (given: True)"),
        ('{"action_units": {"lip corner": 1}}', "String should match pattern '^AU\\d{1,2}$' (given: 'lip corner')"),
    ],
)
def test_a_field_with_another_type_or_range_is_a_fault(records_path: Path, target: str, fault: str) -> None:
    records_path.write_text(json.dumps(plain(target="TARGET")).replace('"TARGET"', target))
    assert any(found.endswith(fault) for found in faults_of(records_path)), faults_of(records_path)


@pytest.mark.parametrize("inside", ["a.png", "images/a b.png", "images/..a.png", "Bilder/ä.png"])
def test_media_paths_inside_the_folder_are_accepted(records_path: Path, inside: str) -> None:
    assert read_records(write(records_path, plain(media={"images": [inside]})))[0].media.images == [inside]


@pytest.mark.parametrize("outside", ["/etc/passwd", "../a.png", "images/../../a.png", "..", ""])
@pytest.mark.parametrize("field", ["images", "frames", "video", "audio"])
def test_media_paths_that_leave_the_folder_are_refused(records_path: Path, field: str, outside: str) -> None:
    media = {field: [outside] if field in ("images", "frames") else outside}
    for record in (plain(media=media), plain(preference={"chosen": "a", "rejected": "b", "rejected_media": media})):
        (fault,) = faults_of(write(records_path, record))
        assert f"media.{field}" in fault and "stays inside its folder" in fault


@pytest.mark.parametrize("key", ["tagged-by", "function-x", "targte"])
def test_any_unknown_key_is_named(records_path: Path, key: str) -> None:
    (fault,) = faults_of(write(records_path, plain(**{key: 1})))
    assert fault.startswith(f"1: record 'a': {key}: unknown key; ")


def test_a_file_without_records_is_a_fault(records_path: Path, tmp_path: Path) -> None:
    records_path.write_text("\n\n")
    with pytest.raises(UserError, match=r"records.jsonl: holds no records"):
        read_records(records_path)
    with pytest.raises(UserError, match=r"absent.jsonl: no such file"):
        read_records(tmp_path / "absent.jsonl")


def test_a_column_is_there_for_each_name_that_a_reward_may_ask_for() -> None:
    flat = columns(Record.model_validate(plain(question="How does it feel?")))
    assert set(flat) == COLUMNS
    assert (flat["id"], flat["label"], flat["labels"], flat["question"]) == ("a", "joy", ["joy", "pride"], "How does it feel?")
    assert {"media", "target", "preference"}.isdisjoint(flat)


@pytest.mark.parametrize(
    ("vad", "problem"),
    [
        ({"valence": 10, "arousal": 5, "scale": [1, 9]}, "valence 10 on a scale from 1 to 9"),
        ({"valence": 5, "arousal": 5, "dominance": 0, "scale": [1, 9]}, "dominance 0 on a scale from 1 to 9"),
        ({"valence": 1, "arousal": 1, "scale": [1, 1]}, "a point on a scale from 1 to 1"),
    ],
)
def test_a_rating_off_its_scale_is_refused(vad: dict, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        ValenceArousalDominance.model_validate(vad)


def test_a_sound_track_is_heard_in_a_clip(records_path: Path) -> None:
    heard = {"video": "a.mp4", "audio_in_video": True, "sound_track": "b.wav"}
    assert read_records(write(records_path, plain(media=heard)))[0].media.kinds == ["clip", "sound track"]
    for media, fault in (
        ({**heard, "audio_in_video": False}, "sound_track is given but audio_in_video is false; give the sound under audio"),
        ({**heard, "sound_track": "../b.wav"}, "a media path is relative to the records file and stays inside its folder"),
    ):
        (found,) = faults_of(write(records_path, plain(media=media)))
        assert fault in found


def test_media_from_one_folder_higher() -> None:
    media = Media(images=["a.png", "b.png"], video="c.mp4", audio_in_video=True, sound_track="d.wav")
    assert media.below("media/0") == Media(
        images=["media/0/a.png", "media/0/b.png"], video="media/0/c.mp4", audio_in_video=True, sound_track="media/0/d.wav"
    )
    assert Media(frames=["e.png"], frames_fps=2).below("m") == Media(frames=["m/e.png"], frames_fps=2)
    assert Media().below("m") == Media()


def test_rejected_media_are_of_the_same_kinds(records_path: Path) -> None:
    def preferring(media: dict, rejected: dict) -> Path:
        return write(records_path, plain(media=media, preference={"chosen": "a", "rejected": "b", "rejected_media": rejected}))

    frames, spoken = {"frames": ["c.png"], "frames_fps": 2}, {"video": "b.mp4", "audio_in_video": True}
    assert read_records(preferring({"video": "a.mp4"}, frames))[0].preference.rejected_media.frames == ["c.png"]
    for media, rejected, kinds in (
        ({"images": ["a.png"]}, {"images": ["b.png", "c.png"]}, "['picture', 'picture'] where media holds ['picture']"),
        ({"video": "a.mp4", "audio": "a.wav"}, spoken, "['clip', 'sound track'] where media holds ['clip', 'sound']"),
        ({}, {"audio": "b.wav"}, "['sound'] where media holds []"),
    ):
        (fault,) = faults_of(preferring(media, rejected))
        assert f"preference.rejected_media holds {kinds}; one prompt is asked of both" in fault


def test_writers_are_named_for_each_rejected_answer_or_not_at_all(records_path: Path) -> None:
    preference = {"chosen": "a", "rejected": ["b", "c"], "chosen_by": "us", "rejected_by": ["us", "a model"]}
    assert read_records(write(records_path, plain(preference=preference)))[0].preference.rejected_by == ["us", "a model"]
    (fault,) = faults_of(write(records_path, plain(preference={**preference, "rejected_by": ["us"]})))
    assert "rejected_by names 1 for 2 rejected answers; name one each, or none" in fault


def test_sentiment_strength_is_valence_alone_and_modalities_may_be_rated_apart() -> None:
    target = Target(vad={"valence": -1.4, "scale": [-3, 3]}, unimodal={"text": {"vad": {"valence": 0.2, "scale": [-3, 3]}}})
    assert target.vad.arousal is None and target.unimodal["text"].vad.valence == 0.2
    with pytest.raises(ValidationError, match="label 'calm' is not in mer_6"):
        Target(label_space="mer_6", unimodal={"audio": {"label": "calm"}})
    with pytest.raises(ValidationError, match="'smell'"):
        Target(unimodal={"smell": {}})


@pytest.mark.parametrize("box", [(5, 0, 5, 9), (-1, 0, 5, 9), (0, 9, 5, 0)])
def test_a_box_without_an_area_is_refused(box: tuple) -> None:
    with pytest.raises(ValidationError, match="0 <= x1 < x2"):
        Record.model_validate(plain(person=box))


def test_folds_count_from_one_and_attributes_hold_plain_values() -> None:
    made = Record.model_validate(plain(fold=1, person=[0, 0, 20.5, 30], attributes={"task": "FI-8", "object": ["tree"], "brightness": 0.6}))
    assert made.person == (0, 0, 20.5, 30) and made.attributes["object"] == ["tree"]
    with pytest.raises(ValidationError, match="fold"):
        Record.model_validate(plain(fold=0))
