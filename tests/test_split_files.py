"""Split files on disk: counts that add up, media that can still be read, and nothing that is overwritten in silence."""

import json
import os
from collections import Counter
from pathlib import Path

import pytest
from conftest import TINY, copy_records, rows_of

from emoreason.faults import UserError
from emoreason.files import sha256, write_jsonl
from emoreason.records import read_records
from emoreason.split_files import Wish, write_splits

SHARES = {"train": 0.5, "val": 0.25, "test": 0.25}


@pytest.fixture
def records_path(tmp_path: Path) -> Path:
    """24 drawn faces with their pictures."""
    path = tmp_path / "data" / "faces.jsonl"
    copy_records([row | {"split": "all"} for row in rows_of(TINY / "data" / "train.jsonl")[:24]], TINY / "data", path)
    return path


def ids(path: Path) -> list[str]:
    return [row["id"] for row in rows_of(path)]


@pytest.mark.parametrize("place", ["data", "out", "data/splits", "deep/er"])
def test_counts_add_up_and_media_are_found(records_path: Path, tmp_path: Path, place: str) -> None:
    folder = tmp_path / place
    summary = write_splits(records_path, folder, Wish(SHARES))
    found = {name: read_records(folder / f"{name}.jsonl") for name in SHARES}
    assert sorted(one.id for part in found.values() for one in part) == sorted(ids(records_path))
    assert {name: len(part) for name, part in found.items()} == {name: part["num_records"] for name, part in summary["parts"].items()}
    for name, part in found.items():
        assert {one.split for one in part} == {name}
        assert [one.id for one in part] == [name for name in ids(records_path) if name in {one.id for one in part}]
        assert all((folder / path).is_file() for one in part for path in one.media.images)
    assert os.path.lexists(folder / "media") == (place != "data")
    assert summary == json.loads((folder / "splits.json").read_text())
    assert (summary["num_records"], summary["sha256"], summary["records"]) == (24, sha256(records_path), "faces.jsonl")
    assert str(tmp_path) not in (folder / "splits.json").read_text()


def test_what_a_record_says_stays_but_its_split(records_path: Path, tmp_path: Path) -> None:
    write_splits(records_path, tmp_path / "data", Wish(SHARES))
    before = {one.id: one for one in read_records(records_path)}
    for one in read_records(tmp_path / "data" / "train.jsonl"):
        was = before[one.id].model_copy(update={"split": "train", "attributes": {"official_split": "all"}})
        assert one == was


def test_the_same_command_again_and_a_file_that_was_changed(records_path: Path, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    first = write_splits(records_path, folder, Wish(SHARES))
    assert write_splits(records_path, folder, Wish(SHARES)) == first and os.listdir(folder / "media") == ["0"]
    write_splits(records_path, folder, Wish(SHARES, seed=1))
    (folder / "splits.json").unlink()  # as a kill before the end would have left it
    write_splits(records_path, folder, Wish(SHARES, seed=1))
    with (folder / "val.jsonl").open("a") as file:
        file.write('{"id": "mine"}\n')
    with pytest.raises(UserError, match=r"val.jsonl: is there already, and not as a split has left it"):
        write_splits(records_path, folder, Wish(SHARES))
    (folder / "val.jsonl").unlink()
    with pytest.raises(UserError, match=r"test.jsonl: is of an earlier split with other parts"):
        write_splits(records_path, folder, Wish({"train": 0.5, "dev": 0.5}))


def test_the_input_is_never_overwritten(records_path: Path, tmp_path: Path) -> None:
    content = records_path.read_bytes()
    with pytest.raises(UserError, match=r"faces.jsonl: is the file that is divided"):
        write_splits(records_path, tmp_path / "data", Wish({"faces": 0.5, "test": 0.5}))
    assert records_path.read_bytes() == content and not (tmp_path / "data" / "test.jsonl").exists()
    (tmp_path / "out").write_text("a file")
    with pytest.raises(UserError, match="a file, not a folder"):
        write_splits(records_path, tmp_path / "out", Wish(SHARES))


@pytest.mark.parametrize("content", ["[]", '{"files": {}}', '{"files": ["train.jsonl"], "num_blocks": 1}'])
def test_a_splits_file_of_something_else_is_left_alone(records_path: Path, tmp_path: Path, content: str) -> None:
    (tmp_path / "data" / "splits.json").write_text(content)
    with pytest.raises(UserError, match=r"splits\.json: is there already, and of something else"):
        write_splits(records_path, tmp_path / "data", Wish(SHARES))
    assert (tmp_path / "data" / "splits.json").read_text() == content and not (tmp_path / "data" / "train.jsonl").exists()


def test_a_link_that_is_taken_is_left_alone(records_path: Path, tmp_path: Path) -> None:
    (tmp_path / "out" / "media" / "0").mkdir(parents=True)
    write_splits(records_path, tmp_path / "out", Wish(SHARES))
    assert {path.split("/")[1] for row in rows_of(tmp_path / "out" / "train.jsonl") for path in row["media"]["images"]} == {"1"}


def test_folds_test_each_record_once(records_path: Path, tmp_path: Path) -> None:
    summary = write_splits(records_path, tmp_path / "out", Wish(folds=3))
    tested = Counter()
    for fold in (1, 2, 3):
        train, test = (read_records(tmp_path / "out" / f"fold{fold}_{split}.jsonl") for split in ("train", "test"))
        assert len(train) + len(test) == 24
        assert {one.fold for one in test} == {fold} and fold not in {one.fold for one in train}
        assert {one.group for one in test}.isdisjoint(one.group for one in train)
        assert {one.split for one in train} == {"train"} and {one.split for one in test} == {"test"}
        tested.update(one.id for one in test)
    assert tested == dict.fromkeys(ids(records_path), 1)
    assert [part["num_records"] for part in summary["parts"].values()] == [8, 8, 8]


def test_official_splits_are_kept_or_divided_anew_only_when_asked(records_path: Path, tmp_path: Path) -> None:
    rows = rows_of(records_path)
    for place, row in enumerate(rows):
        row |= {"split": ("train", "test")[place % 3 == 0], "fold": place % 2 + 1}
    rows[1]["group"] = rows[0]["group"]  # in test and in train
    write_jsonl(records_path, rows)
    with pytest.raises(UserError, match="holds official splits: test 8, train 16; keep them with --keep"):
        write_splits(records_path, tmp_path / "out", Wish(SHARES))
    summary = write_splits(records_path, tmp_path / "kept", Wish(keep=True))
    assert {name: part["num_records"] for name, part in summary["parts"].items()} == {"test": 8, "train": 16}
    assert summary["notes"][0].startswith("1 blocks of records that should stay together are in several parts, e.g. group 1F600")
    kept = [row for name in ("train", "test") for row in rows_of(tmp_path / "kept" / f"{name}.jsonl")]
    assert {row["id"]: row["split"] for row in kept} == {row["id"]: row["split"] for row in rows}
    write_splits(records_path, tmp_path / "anew", Wish(SHARES, resplit=True))
    anew = [row for name in SHARES for row in rows_of(tmp_path / "anew" / f"{name}.jsonl")]
    old = {row["id"]: row["split"] for row in rows}
    assert all(row.get("attributes", {}).get("official_split", row["split"]) == old[row["id"]] for row in anew)
    write_splits(records_path, tmp_path / "folds", Wish(keep=True, folds=2))
    assert ids(tmp_path / "folds" / "fold1_test.jsonl") == [row["id"] for row in rows[::2]]
    with pytest.raises(UserError, match="12 records have no fold from 1 to 1"):
        write_splits(records_path, tmp_path / "one", Wish(keep=True, folds=1))


def test_an_official_split_that_is_no_file_name(records_path: Path, tmp_path: Path) -> None:
    rows = rows_of(records_path)
    rows[0]["split"] = "../test"
    write_jsonl(records_path, rows)
    with pytest.raises(UserError, match=r"'\.\./test' cannot be a file's name"):
        write_splits(records_path, tmp_path / "out", Wish(keep=True))
    assert not (tmp_path / "out").exists()


def test_what_did_not_come_out_is_noted(records_path: Path, tmp_path: Path) -> None:
    rows = rows_of(records_path)
    for row in rows[:14]:
        row["group"] = "Unknown"
    rows[20]["media"] = rows[21]["media"]
    write_jsonl(records_path, rows)
    summary = write_splits(records_path, tmp_path / "out", Wish(SHARES, stratify="attributes.absent"))
    assert summary["notes"] == [
        "no record has anything under attributes.absent, so nothing is in equal shares",
        "1 groups stay with another one, since their records share a media file",
        "group 'Unknown' holds 14 records together, which may be of several people",
        "one block, with group 'Unknown', holds 14 of 24 records; shares cannot come out",
    ]
    assert (summary["num_groups"], summary["num_blocks"]) == (11, 10)
    labels = write_splits(records_path, tmp_path / "labels", Wish(SHARES))["parts"]
    assert sum(part["labels"]["joy"] for part in labels.values()) == sum(row["target"]["label"] == "joy" for row in rows)


def test_on_the_command_line(records_path: Path, tmp_path: Path, emoreason) -> None:
    code, out, err = emoreason("split", records_path, "--out", tmp_path / "out", "--shares", "train=0.5,val=0.25,test=0.25")
    assert code == 0 and "24 records, 24 groups" in out and "target.label" in out
    assert f"wrote train.jsonl, val.jsonl, test.jsonl and splits.json in {tmp_path / 'out'}" in out
    code, out, _ = emoreason("split", records_path, "--out", tmp_path / "folds", "--folds", 2, "--json")
    assert code == 0 and [part["num_records"] for part in json.loads(out)["parts"].values()] == [12, 12]
    for wrong in ([], ["--keep", "--shares", "a=0.5,b=0.5"], ["--folds", 2, "--shares", "a=0.5,b=0.5"]):
        code, _, err = emoreason("split", records_path, "--out", tmp_path / "out", *wrong)
        assert code == 2 and "error: give one of --shares, --folds and --keep" in err
    code, _, err = emoreason("split", records_path, "--out", "/proc/absent", "--keep")
    assert code == 2 and "/proc/absent/media/0: cannot link to" in err
    code, _, err = emoreason("split", tmp_path / "absent.jsonl", "--out", tmp_path / "out", "--keep")
    assert code == 2 and "absent.jsonl: no such file" in err
