"""The committed emoji data set: whole, consistent with its tables, and free of leaks between splits."""

import hashlib
import importlib.util
import json
from collections import defaultdict
from itertools import combinations
from pathlib import Path
from types import ModuleType

import pytest
from PIL import Image

from emoreason.emotions import LABEL_SPACES, POLARITY
from emoreason.records import Record, read_records

ROOT = Path(__file__).parents[2]
DATA = ROOT / "recipes" / "tiny" / "data"
SPLITS = ("train", "calibration", "heldout_style", "heldout_emoji")
REGIONS = ("eyes", "brows", "mouth")
Splits = dict[str, list[Record]]


@pytest.fixture(scope="module")
def script() -> ModuleType:
    spec = importlib.util.spec_from_file_location("emoji_faces", ROOT / "data_prep" / "emoji_faces.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def faces() -> Splits:
    """{split: the records without text}."""
    return {split: read_records(DATA / f"{split}.jsonl") for split in SPLITS}


@pytest.fixture(scope="module")
def pairs() -> Splits:
    """{split: the records with text}."""
    return {split: read_records(DATA / f"{split}_text.jsonl") for split in SPLITS}


@pytest.fixture(scope="module")
def rows(script: ModuleType) -> dict[str, dict[str, str]]:
    """{hex code: row of the annotation table}."""
    return {row["hexcode"]: row for row in script.read_table("emoji_faces.csv")}


@pytest.fixture(scope="module")
def action_units(script: ModuleType) -> dict[tuple[str, str], list[str]]:
    """{(region, cue): the action units that define it}."""
    return {(row["region"], row["cue"]): list(filter(None, row["action_units"].split(";"))) for row in script.read_table("emoji_cues.csv")}


@pytest.fixture(scope="module")
def drawings(script: ModuleType) -> dict[tuple[str, str], str]:
    """{(style, hex code): another name, or "" for a drawing that is left out}."""
    return {(row["style"], row["hexcode"]): row["icon"] for row in script.read_table("emoji_drawings.csv")}


def every(records: Splits) -> list[Record]:
    return [record for split in SPLITS for record in records[split]]


def style_of(record: Record) -> str:
    return record.id.split("/")[0]


def test_no_records_file_is_untested() -> None:
    assert {path.name for path in DATA.glob("*.jsonl")} == {f"{split}{kind}.jsonl" for split in SPLITS for kind in ("", "_text")}


def test_records_stand_in_the_file_of_their_split(faces: Splits, pairs: Splits) -> None:
    for split in SPLITS:
        assert {record.split for record in faces[split] + pairs[split]} == {split}
    for records in (faces, pairs):
        ids = [record.id for record in every(records)]
        assert len(set(ids)) == len(ids)


def test_pictures_are_there_and_of_one_size(faces: Splits, pairs: Splits, script: ModuleType) -> None:
    named = {record.media.images[0] for record in every(faces)}
    assert all(len(record.media.images) == 1 for record in every(faces) + every(pairs))
    assert {record.media.images[0] for record in every(pairs)} <= named
    assert {path.relative_to(DATA).as_posix() for path in DATA.glob("images/**/*.png")} == named, "no picture without a record"
    for name in named:
        with Image.open(DATA / name) as picture:
            rgb = picture.convert("RGB")
        assert rgb.size == (script.PICTURE_PIXELS, script.PICTURE_PIXELS) == (112, 112), name
        darkest, lightest = rgb.convert("L").getextrema()
        assert lightest - darkest > 50, f"{name} is blank"


def test_held_out_emoji_are_in_no_other_split(faces: Splits, pairs: Splits, script: ModuleType, rows: dict) -> None:
    held_out = {record.group for record in faces["heldout_emoji"]}
    expected, calibration = script.split_emoji(list(rows.values()))
    assert held_out == expected
    assert calibration and calibration.isdisjoint(held_out | {record.group for record in faces["train"]})
    assert calibration <= {record.group for record in faces["calibration"]}
    for split in ("train", "calibration", "heldout_style"):
        assert held_out.isdisjoint(record.group for record in faces[split] + pairs[split]), split


def test_styles_are_in_the_splits_that_the_script_says(faces: Splits, pairs: Splits, script: ModuleType) -> None:
    for records in (faces, pairs):
        for split in ("train", "calibration", "heldout_style"):
            wanted = {style for style, (style_split, *_) in script.STYLES.items() if style_split == split}
            wanted |= {style for style, (style_split, *_) in script.STYLES.items() if split == "calibration" and style_split == "train"}
            assert {style_of(record) for record in records[split]} == wanted
        assert {style_of(record) for record in records["heldout_emoji"]} == {style_of(record) for record in records["train"]}


def test_every_split_has_every_class(faces: Splits, script: ModuleType) -> None:
    for split in SPLITS:
        assert {record.target.label for record in faces[split]} == set(LABEL_SPACES[script.LABEL_SPACE]), split


def test_no_picture_is_in_two_splits(faces: Splits, pairs: Splits) -> None:
    """By name, by bytes, and by pixels, since two files can hold the same drawing."""
    for split in SPLITS:
        assert {record.media.images[0] for record in pairs[split]} <= {record.media.images[0] for record in faces[split]}
    prints: dict[str, set[str]] = {split: set() for split in SPLITS}
    labels = defaultdict(set)
    for record in every(faces):
        name = record.media.images[0]
        with Image.open(DATA / name) as picture:
            pixels = hashlib.sha256(picture.convert("RGB").tobytes()).hexdigest()
        content = hashlib.sha256((DATA / name).read_bytes()).hexdigest()
        prints[record.split] |= {name, content, pixels}
        labels[pixels].add(record.target.label)
    for one, other in combinations(SPLITS, 2):
        assert prints[one].isdisjoint(prints[other]), (one, other)
    assert all(len(found) == 1 for found in labels.values()), "one drawing has two labels"


def test_the_tables_agree_with_each_other(script: ModuleType, rows: dict, action_units: dict, drawings: dict) -> None:
    for name, key in (
        ("emoji_faces.csv", ("hexcode",)),
        ("emoji_cues.csv", ("region", "cue")),
        ("emoji_drawings.csv", ("style", "hexcode")),
        ("emoji_texts.csv", ("text",)),
    ):
        keys = [tuple(row[part] for part in key) for row in script.read_table(name)]
        assert len(set(keys)) == len(keys), f"{name} names a row twice"
    for style, hexcode in drawings:
        assert style in script.STYLES and rows[hexcode]["label"], (style, hexcode)
    for row in rows.values():
        assert "-".join(f"{ord(character):X}" for character in row["emoji"]).removesuffix("-FE0F") == row["hexcode"].removesuffix("-FE0F")
        if row["label"]:
            assert all((region, row[region]) in action_units for region in REGIONS), row
        else:
            assert row["note"] and not any(row[field] for field in ("words", *REGIONS, "other")), "an emoji without a label says why"
        assert row["ambiguous"] in ("yes", "no")
        assert row["ambiguous"] == "yes" or not row["note"], "a note explains a doubt"
    used = {(region, row[region]) for row in rows.values() for region in REGIONS}
    assert set(action_units) <= used, "a cue that no emoji shows"


def test_records_follow_from_the_tables(faces: Splits, script: ModuleType, rows: dict, action_units: dict) -> None:
    for record in every(faces):
        row, target, style = rows[record.group], record.target, style_of(record)
        assert record.id == f"{style}/{record.group.lower()}"
        assert record.media.images == [f"images/{record.id}.png"]
        assert (target.label, target.label_space) == (row["label"], script.LABEL_SPACE)
        assert target.labels == [row["label"], *filter(None, row["words"].split(";"))]
        extra = list(filter(None, row["other"].split(";")))
        assert target.cues == {"image": [f"{region} {row[region]}" for region in REGIONS] + extra}
        defined = {unit for region in REGIONS for unit in action_units[region, row[region]]}
        assert set(target.action_units) == defined and set(target.action_units.values()) <= {None}
        assert list(target.action_units) == sorted(target.action_units, key=lambda unit: int(unit[2:]))
        assert all(phrase in target.reasoning for phrase in [*target.cues["image"], *defined])
        assert target.reasoning.endswith(f": {target.label}")
        assert target.distribution is None or set(target.distribution) == {"negative", "neutral", "positive"}
        assert record.licence == script.STYLES[style][1] and script.STYLES[style][2] in record.source
        assert record.text is None and record.aligned_modality is None


def test_drawings_are_there_or_left_out_as_the_tables_say(faces: Splits, script: ModuleType, rows: dict, drawings: dict) -> None:
    drawn = {(style_of(record), record.group) for record in every(faces)}
    held_out, _ = script.split_emoji(list(rows.values()))
    for style, (split, *_) in script.STYLES.items():
        for hexcode, row in rows.items():
            key = (style, hexcode)
            if not row["label"] or drawings.get(key) == "" or (hexcode in held_out and split != "train"):
                assert key not in drawn, f"{key} is to be left out"
            elif key in drawings:
                assert key in drawn, f"{key} has a drawing by name"
    # What is left, "not drawn in this set", needs the sources to tell; every emoji is drawn in one set at least.
    assert {hexcode for _, hexcode in drawn} == {hexcode for hexcode, row in rows.items() if row["label"]}


def test_every_style_has_its_licence_named(script: ModuleType) -> None:
    text = (DATA / "LICENCES.md").read_text(encoding="utf-8")
    assert text == script.licences()
    assert {path.name for path in (DATA / "images").iterdir()} == set(script.STYLES)
    for style, (_, licence, author) in script.STYLES.items():
        assert f"| {style} | {licence} | {author} |" in text


def test_keywords_are_there_for_every_emoji(rows: dict) -> None:
    keywords = json.loads((DATA / "keywords.json").read_text(encoding="utf-8"))
    assert list(keywords) == list(rows)
    assert all(words and words == sorted(set(words)) for words in keywords.values())


def test_pairs_are_faces_with_a_text(faces: Splits, pairs: Splits) -> None:
    for split in SPLITS:
        by_id = {f"{record.id}+text": record for record in faces[split] if POLARITY.get(record.target.label) in ("positive", "negative")}
        assert {record.id for record in pairs[split]} == set(by_id)
        for record in pairs[split]:
            face = by_id[record.id]
            assert record.media == face.media and record.group == face.group
            assert record.target.model_copy(update={"cues": face.target.cues}) == face.target, "the target is that of the face"
            assert record.target.cues["image"] == face.target.cues["image"]


def test_conflicts_are_conflicts(pairs: Splits, script: ModuleType) -> None:
    opposite = {"positive": "negative", "negative": "positive"}
    sentiments = {row["text"]: row["sentiment"] for row in script.read_table("emoji_texts.csv")}
    for split in SPLITS:
        for record in pairs[split]:
            face, text = POLARITY[record.target.label], sentiments[record.text]
            assert record.target.cues["text"] == [f"text {text}"]
            if record.aligned_modality is None:
                assert text == face
            else:
                assert (record.aligned_modality, text) == ("image", opposite[face])
        share = sum(record.aligned_modality == "image" for record in pairs[split]) / len(pairs[split])
        assert 0.35 < share < 0.65, (split, share)


def test_texts_read_at_test_time_are_never_trained_on(pairs: Splits) -> None:
    texts = {split: {record.text for record in pairs[split]} for split in SPLITS}
    seen = texts["train"] | texts["calibration"]
    for split in ("heldout_style", "heldout_emoji"):
        assert len(texts[split]) > 1 and texts[split].isdisjoint(seen), split
