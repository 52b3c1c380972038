"""A whole conversion: counts that add up, files that are whole, exits, options. The data set is a small table."""

import json
import resource
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from converted import plant
from test_source import CARD

from emoreason.conversion import cells, script
from emoreason.conversion.faults import LeftOut
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.files import sha256
from emoreason.records import Record, read_records

TABLE = """name,emotion,split
0001,happy,train
0002,Sad,train
0003,bored,train
0004,xxx,train
0005,neutral,test
0001,happy,test
0006,happy,test
"""


def read(source: Source) -> Iterator[Row]:
    yield from source.csv(source.file("labels.csv"), ["name", "emotion", "split"])


def to_record(row: Row, source: Source) -> Record:
    if row["emotion"] == "xxx":
        raise LeftOut("no majority")
    return source.record(id=row["name"], split=row["split"], group=row["name"], media={"video": source.clip(f"video/{row['name']}")},
                         target={"label": cells.label(row["emotion"], "mer_6"), "label_space": "mer_6"})  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    clips = {f"video/{name}.mp4": b"clip" for name in ("0001", "0002", "0003", "0005")}
    return plant(tmp_path / "toy", {"labels.csv": TABLE, **clips})


@pytest.fixture
def run(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    def run(*arguments: str) -> int:
        monkeypatch.setattr(sys, "argv", ["toy.py", str(folder), str(tmp_path / "out"), *arguments])
        with pytest.raises(SystemExit) as stopped:
            script.main(CARD, read, to_record, "Toy.")
        return stopped.value.code

    return run


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_every_row_is_kept_left_out_or_bad(run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run() == 1
    out = tmp_path / "out"
    account = json.loads((out / "conversion.json").read_text())
    assert (account["rows"], account["rows_kept"], account["records"]) == (7, 3, 3)
    assert account["left_out"] == {"no majority": 1}
    assert account["bad"] == {"label is not of mer_6": 1, "an id stands twice": 1, "video is not there": 1}
    assert account["labels"] == {"happy": 1, "sad": 1, "neutral": 1} and account["splits"] == {"test": 1, "train": 2}
    assert [fault["where"] for fault in lines(out / "faults.jsonl")] == ["labels.csv:4", "labels.csv:7", "labels.csv:8"]
    assert [record.id for record in read_records(out / "records.jsonl")] == ["0001", "0002", "0005"]
    assert [record.id for record in read_records(out / "train.jsonl")] == ["0001", "0002"]
    printed = capsys.readouterr()
    assert "7 rows in, 3 records out" in printed.out and "labels.csv:7: id '0001' stood above already" in printed.out
    assert "50.0% of the rows are bad, more than --max-bad-share 0.05" in printed.err


def test_hashes_of_what_was_read_and_written(run: Callable[..., int], folder: Path, tmp_path: Path) -> None:
    run()
    account = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert account["inputs"]["labels.csv"]["sha256"] == sha256(folder / "labels.csv")
    assert set(account["outputs"]) == {"records.jsonl", "train.jsonl", "test.jsonl", "faults.jsonl"}
    assert all(sha256(tmp_path / "out" / name) == digest for name, digest in account["outputs"].items())
    assert account["data_set"]["licence"] == "CC0-1.0"
    assert str(tmp_path) not in (tmp_path / "out" / "conversion.json").read_text() + (tmp_path / "out" / "records.jsonl").read_text()


def test_the_share_of_bad_rows_decides_over_the_exit(run: Callable[..., int]) -> None:
    assert run("--max-bad-share", "0.5") == 0


def test_strict_stops_and_leaves_the_folder_as_it_was(run: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run()
    before = {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.json*")}
    assert run("--strict") == 1
    assert "labels.csv:4: label 'bored' is neither in mer_6" in capsys.readouterr().err
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").glob("*.json*")} == before
    assert not list((tmp_path / "out").glob(".tmp_*"))


def test_one_split_alone_and_files_of_the_run_before_are_gone(run: Callable[..., int], tmp_path: Path) -> None:
    run()
    plant(tmp_path / "out", {"mine.jsonl": "{}\n"})
    assert run("--split", "train", "--max-bad-share", "0.9") == 0
    assert sorted(path.name for path in (tmp_path / "out").glob("*.jsonl")) == ["faults.jsonl", "mine.jsonl", "records.jsonl", "train.jsonl"]
    assert json.loads((tmp_path / "out" / "conversion.json").read_text())["left_out"] == {"of another split": 2, "no majority": 1}


def test_media_are_linked_or_copied(run: Callable[..., int], folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run()
    assert (out / "media").is_symlink() and (out / "media/video/0001.mp4").read_bytes() == b"clip"
    run("--copy-media")
    assert not (out / "media").is_symlink()
    assert sorted(path.name for path in (out / "media/video").iterdir()) == ["0001.mp4", "0002.mp4", "0005.mp4"]
    assert run() == 2  # copies are never replaced by a link without a word


def test_missing_media_may_be_kept(run: Callable[..., int], tmp_path: Path) -> None:
    run("--missing-media", "keep")
    account = json.loads((tmp_path / "out" / "conversion.json").read_text())
    assert account["media"] == {"video": {"found": 5, "missing": 1}} and account["records"] == 4


@pytest.mark.parametrize(
    ("tree", "fault"),
    [
        ({}, "no labels.csv"),
        ({"labels.csv": "name,emotions,split\n0001,happy,train\n"}, "labels.csv: no column 'emotion'; did you mean 'emotions'?"),
        ({"labels.csv": "name,emotion,split\n0001,bored,train\n"}, "1 rows gave no record"),
        ({"labels.csv": "name,emotion,split\n0001,happy,../x\n"}, "split '../x' cannot name a file"),
    ],
)
def test_mistakes_of_the_user_exit_with_two(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, tree: dict, fault: str) -> None:
    folder = plant(tmp_path / "toy2", {"video/0001.mp4": b"clip", **tree})
    monkeypatch.setattr(sys, "argv", ["toy.py", str(folder), str(tmp_path / "out")])
    with pytest.raises(SystemExit) as stopped:
        script.main(CARD, read, to_record, "Toy.")
    assert stopped.value.code == 2 and fault in capsys.readouterr().err
    assert not list((tmp_path / "out").glob("*"))


def test_the_help_says_what_the_data_set_is(run: Callable[..., int], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    printed = capsys.readouterr().out
    assert "licence: CC0-1.0" in printed and "--copy-media" in printed


def test_a_row_may_give_several_records_and_none(folder: Path, tmp_path: Path) -> None:
    def several(row: Row, source: Source) -> list[Record]:
        names = {"0001": ["a", "b"], "0002": ["c", "c"]}.get(row["name"], [])
        return [source.record(id=name, split=row["split"], group="g") for name in names]

    account = script.convert(Source(folder, CARD), tmp_path / "out", read, several)
    assert (account.num_rows, account.num_kept, account.num_records) == (7, 1, 2)
    assert account.left_out == {"nothing to learn from": 4} and account.bad == {"an id stands twice": 2}


def test_what_a_record_refuses_is_a_bad_row_by_its_field(folder: Path, tmp_path: Path) -> None:
    def wrong(row: Row, source: Source) -> Record:
        return source.record(id=row["name"], split="train", group="g", target={"label": row["emotion"], "label_space": "mer_6"})

    account = script.convert(Source(folder, CARD), tmp_path / "out", read, wrong)
    assert account.bad["target is not accepted"] == 3
    assert account.first_bad[0].startswith("labels.csv:3: target: label 'Sad' is not in mer_6")


def test_a_full_disk_is_said_and_nothing_is_left(folder: Path, tmp_path: Path) -> None:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    many = "name,emotion,split\n" + "".join(f"{number:06},happy,train\n" for number in range(2000))
    plant(folder, {"labels.csv": many})
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, limit[1]))
    try:
        with pytest.raises(UserError, match="cannot be written"):
            script.convert(Source(folder, CARD, keep_missing=True), tmp_path / "out", read, to_record)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        signal.signal(signal.SIGXFSZ, before)
    assert not list((tmp_path / "out").glob("*"))
