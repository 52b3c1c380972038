"""Parts that share no group and no file, near the wished shares, whatever the order of the records."""

import random
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from sklearn.model_selection import StratifiedGroupKFold

from emoreason.faults import UserError
from emoreason.records import Record, read_records
from emoreason.splits import blocks_of, divide, field_values, name_faults, parse_shares

DATA = TINY / "data"
SHARES = {"train": 0.8, "val": 0.1, "test": 0.1}


def record(name: str, group: str, images: tuple[str, ...] = (), label: str | None = None, **fields) -> Record:
    target = {"label": label, "label_space": "open"} if label else {}
    media = {"images": list(images)}
    return Record(id=name, dataset="made", split="all", group=group, media=media, target=target, licence="CC0-1.0", source="drawn", **fields)


def chi_square(parts: np.ndarray, labels: np.ndarray, shares: dict) -> float:
    total = 0.0
    for name, share in shares.items():
        for chosen in [np.ones(len(labels), bool), *(labels == label for label in set(labels))]:
            wished = share * chosen.sum()
            total += (chosen[parts == name].sum() - wished) ** 2 / wished
    return total


@pytest.fixture(scope="module")
def faces() -> list[Record]:
    return read_records(DATA / "train.jsonl")


def test_no_group_is_on_two_sides_and_every_record_on_one(faces: list[Record]) -> None:
    division = divide(faces, DATA, SHARES, ["group"], "target.label", 0)
    sides = {}
    for one, part in zip(faces, division.parts, strict=True):
        sides.setdefault(one.group, set()).add(part)
    assert {len(names) for names in sides.values()} == {1}
    assert division.num_groups == len(sides) == 79 and division.num_joined == 0
    sizes = Counter(division.parts)
    assert sum(sizes.values()) == len(faces) == 338
    assert all(abs(sizes[name] - share * 338) <= 2 for name, share in SHARES.items())


def test_the_order_of_the_records_does_not_matter_and_the_seed_does(faces: list[Record]) -> None:
    def parts(records: list[Record], seed: int) -> dict[str, str]:
        division = divide(records, DATA, SHARES, ["group"], "target.label", seed)
        return {one.id: part for one, part in zip(records, division.parts, strict=True)}

    shuffled = random.Random(1).sample(faces, len(faces))
    assert parts(shuffled, 0) == parts(faces, 0) == parts(faces[::-1], 0)
    assert parts(faces, 1) != parts(faces, 0)


def test_folds_are_as_near_as_those_of_scikit_learn(faces: list[Record]) -> None:
    shares = {str(fold): 0.2 for fold in range(5)}
    labels, groups = (np.array([value(one) for one in faces]) for value in (lambda one: one.target.label, lambda one: one.group))
    ours = np.array(divide(faces, DATA, shares, ["group"], "target.label", 0).parts)
    theirs = np.empty(len(faces), "U1")
    for fold, (_, places) in enumerate(StratifiedGroupKFold(5, shuffle=True, random_state=0).split(labels, labels, groups)):
        theirs[places] = str(fold)
    assert chi_square(ours, labels, shares) <= chi_square(theirs, labels, shares)


def test_uneven_groups_come_out_exactly_where_they_can() -> None:
    """Groups of 10, 6 and 4 of 20 records, with both labels in equal numbers."""
    sizes = {"c": 4, "a": 10, "b": 6}
    records = [record(f"{group}{number}", group, label=("joy", "fear")[number % 2]) for group, size in sizes.items() for number in range(size)]
    division = divide(records, Path(), {"x": 0.5, "y": 0.3, "z": 0.2}, ["group"], "target.label", 3)
    assert {one.group: part for one, part in zip(records, division.parts, strict=True)} == {"a": "x", "b": "y", "c": "z"}


def test_places_are_changed_where_no_single_move_helps() -> None:
    """Sizes 6 5 4 3 2 halve as 10 + 10, which no order of giving the largest first finds without changing places."""
    sizes = {"a": 6, "b": 5, "c": 4, "d": 3, "e": 2}
    records = [record(f"{group}{number}", group) for group, size in sizes.items() for number in range(size)]
    for seed in range(5):
        parts = Counter(divide(records, Path(), {"x": 0.5, "y": 0.5}, ["group"], None, seed).parts)
        assert parts == {"x": 10, "y": 10}


def test_groups_that_share_a_file_stay_together_over_others_and_links(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"a")
    (tmp_path / "link.png").symlink_to("a.png")
    records = [
        record("1", "ann", ("a.png",)), record("2", "ben", ("./link.png", "b.png")), record("3", "cas", ("b.png",)),
        record("4", "dan", ("d.png",)), record("5", "dan"), record("6", "eve", ("absent.png",)),
    ]  # fmt: skip
    blocks, num_groups, num_joined = blocks_of(records, tmp_path, ["group"])
    assert blocks == [0, 0, 0, 1, 1, 2]
    assert (num_groups, num_joined) == (5, 2)


def test_names_that_no_file_has(tmp_path: Path) -> None:
    records = [record("1", "a", ("x\0.png",)), record("2", "b", ("./x\0.png",)), record("3", "c", ("half\ud800.png",))]
    assert blocks_of(records, tmp_path, ["group"])[0] == [0, 0, 1]


def test_the_worse_side_of_a_preference_counts_as_shown(tmp_path: Path) -> None:
    pair = {"chosen": "joy", "rejected": "fear", "rejected_media": {"images": ["b.png"]}}
    records = [record("1", "ann", ("a.png",), preference=pair), record("2", "ben", ("b.png",))]
    assert blocks_of(records, tmp_path, ["group"])[0] == [0, 0]


def test_groups_of_two_forms_of_unicode_are_one_and_numbers_are_no_other(tmp_path: Path) -> None:
    records = [record("1", "Zo\u00eb"), record("2", "Zoe\u0308 "), record("3", "1"), record("4", "01")]
    assert blocks_of(records, tmp_path, ["group"])[0] == [0, 0, 1, 2]


def test_several_fields_join_and_a_field_that_is_missing_is_named(tmp_path: Path) -> None:
    told = [{"dialogue": "d1"}, {"dialogue": "d1"}, {"dialogue": "d2"}, {}]
    records = [record(str(number), group, attributes=attributes) for number, (group, attributes) in enumerate(zip("abca", told, strict=True))]
    assert blocks_of(records[:3], tmp_path, ["group", "attributes.dialogue"]) == ([0, 0, 1], 2, 0)
    assert blocks_of(records[:3], tmp_path, ["group"])[1] == 3
    with pytest.raises(UserError, match=r"--by: record '3': nothing under attributes\.dialogue"):
        blocks_of(records, tmp_path, ["attributes.dialogue"])


def test_values_of_a_field() -> None:
    one = record("1", "g", label="joy", attributes={"scene": "beach", "age": 30, "tags": ["x", "y"]})
    assert field_values(one, "target.label") == ["joy"]
    assert field_values(one, "attributes.age") == ["30"] and field_values(one, "attributes.tags") == ["x", "y"]
    assert field_values(one, "fold") == field_values(one, "attributes.absent") == field_values(one, "target.vad.valence") == []
    one.target.action_units = {"AU12": 3.0, "AU6": None}
    assert field_values(one, "target.action_units") == ["AU12", "AU6"]
    with pytest.raises(UserError, match=r"target.lable: a record has no such field; did you mean 'label'\?"):
        field_values(one, "target.lable")
    with pytest.raises(UserError, match="target: holds several fields"):
        field_values(one, "target")


def test_labels_of_several_each_are_balanced() -> None:
    """Of 40 records 8 have b beside a; each half gets 4 of them."""
    records = [record(str(number), str(number), attributes={"tags": ["a", "b"] if number % 5 == 0 else ["a"]}) for number in range(40)]
    division = divide(records, Path(), {"x": 0.5, "y": 0.5}, ["group"], "attributes.tags", 0)
    assert Counter(part for one, part in zip(records, division.parts, strict=True) if "b" in one.attributes["tags"]) == {"x": 4, "y": 4}


def test_more_parts_than_groups() -> None:
    with pytest.raises(UserError, match="2 blocks of records that stay together, 3 parts"):
        divide([record("1", "a"), record("2", "b")], Path(), SHARES, ["group"], None, 0)
    with pytest.raises(UserError, match="comes out empty"):
        divide([record(str(number), "ab"[number > 50]) for number in range(52)], Path(), {"x": 0.98, "y": 0.01999, "z": 0.00001}, ["id"], None, 0)


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        ("train=0.8,test=0.1", ["--shares: the shares add up to 0.9; accepted: 1"]),
        ("train=0.8,train=0.2", ["--shares: train is given twice"]),
        ("train", ["--shares: 'train': accepted: NAME=SHARE with a share between 0 and 1"]),
        ("train=nan,b=1.5", ["--shares: 'train=nan': accepted: NAME=SHARE with a share between 0 and 1",
                             "--shares: 'b=1.5': accepted: NAME=SHARE with a share between 0 and 1"]),
        ("../up=0.5,b=0.5", ["--shares: '../up' cannot be a file's name; accepted: letters, digits, _, - and ."]),
        ("a=0.5,A=0.5", ["--shares: 'a' is given in two spellings, one file on some file systems"]),
    ],
)  # fmt: skip
def test_shares_that_are_none(text: str, faults: list[str]) -> None:
    with pytest.raises(UserError) as error:
        parse_shares(text)
    assert error.value.faults == faults


def test_shares() -> None:
    assert parse_shares("train=0.7, val=.15,test=0.15") == {"train": 0.7, "val": 0.15, "test": 0.15}
    assert name_faults(["train", "heldout_style", "fold1.test"]) == []
