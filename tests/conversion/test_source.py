"""The folder that was downloaded: encodings, pointers, links that lead out, media by names that differ in form."""

import hashlib
import unicodedata
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest
from converted import plant
from openpyxl import Workbook
from pydantic import ValidationError

from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.source import Source
from emoreason.faults import UserError

CARD = Card(name="toy", title="Toy", access="open", licence="CC0-1.0", citation="us", url="https://toy.example", size="3", labels="mer_6",
            modalities="video", splits="none", verified="all")  # fmt: skip
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return plant(tmp_path / "toy", {"a.csv": "name\nx\n", "video/x.AVI": b"clip", "video/empty.mp4": b"", "video/pointer.mp4": POINTER})


def test_files_are_hashed_and_their_encoding_is_found(folder: Path) -> None:
    plant(folder, {"b.csv": b"\xef\xbb\xbfname\ncaf\xc3\xa9\n", "c.csv": "name\ncafé\n".encode("utf-16"), "d.csv": b"name\ncaf\xe9\n"})
    source = Source(folder, CARD)
    for name in ("b.csv", "c.csv"):
        assert [row["name"] for row in source.csv(source.file(name), ["name"])] == ["café"]
    assert [row["name"] for row in source.csv(source.file("d.csv"), ["name"], fallback="cp1252")] == ["café"]
    assert {name: found["encoding"] for name, found in source.inputs.items()} == {"b.csv": "utf-8-sig", "c.csv": "utf-16", "d.csv": "cp1252"}
    assert source.inputs["d.csv"]["sha256"] == hashlib.sha256((folder / "d.csv").read_bytes()).hexdigest()


def test_a_path_longer_than_any_file_s_is_not_there(folder: Path) -> None:
    with pytest.raises(BadRow, match="no video"):
        Source(folder, CARD).clip(f"{'x' * 2000}/y.mp4")


def test_what_is_text_in_neither_encoding_says_so(folder: Path) -> None:
    plant(folder, {"d.csv": b"name\n\xff\xff\xff\n"})
    source = Source(folder, CARD)
    with pytest.raises(UserError, match=r"d\.csv: neither text in UTF-8 \(byte 5\) nor in gb18030"):
        list(source.csv(source.file("d.csv"), ["name"], fallback="gb18030"))


def test_what_is_no_text_says_where(folder: Path) -> None:
    plant(folder, {"d.csv": b"name\ncaf\xe9\n"})
    with pytest.raises(UserError, match=r"d.csv: not text in UTF-8 \(byte 8\)"):
        list(Source(folder, CARD).csv(folder / "d.csv", ["name"]))


@pytest.mark.parametrize(("content", "fault"), [(b"", "the file is empty"), (POINTER, "pointer of Git LFS")])
def test_empty_files_and_pointers_are_told(folder: Path, content: bytes, fault: str) -> None:
    plant(folder, {"e.csv": content})
    with pytest.raises(UserError, match=fault):
        list(Source(folder, CARD).csv(folder / "e.csv", ["name"]))


def test_a_file_that_is_not_there(folder: Path, tmp_path: Path) -> None:
    source = Source(folder, CARD)
    with pytest.raises(UserError, match=r"no train.csv nor label/train.csv"):
        source.file("train.csv", "label/train.csv")
    assert source.optional("votes.csv") is None and source.not_there == ["train.csv", "votes.csv"]
    with pytest.raises(UserError, match="no such folder"):
        Source(tmp_path / "none", CARD)


def test_a_clip_is_found_whatever_its_ending_case_and_form(folder: Path) -> None:
    plant(folder, {f"video/{unicodedata.normalize('NFD', 'café')}.mp4": b"clip", "video/Y.mp4": b"clip", "video/a.b.mkv": b"clip"})
    source = Source(folder, CARD)
    assert source.clip("video/x") == "media/video/x.AVI"
    assert source.clip("missing/x.mp4", "video/x.avi") == "media/video/x.AVI"
    assert unicodedata.normalize("NFC", source.clip("video/café")) == "media/video/café.mp4"
    assert (folder / source.clip("video/café.mp4").removeprefix("media/")).exists()
    assert source.clip("video/y.mp4") == "media/video/Y.mp4" and source.clip("video/a.b") == "media/video/a.b.mkv"
    assert source.media_found == {"video": 6}


@pytest.mark.parametrize(
    ("clip", "reason"),
    [("video/none", "video is not there"), ("none/x", "video is not there"), ("video/empty", "video is empty"),
     ("video/pointer.mp4", "video is a Git LFS pointer"), ("../toy/video/x.avi", "video leaves the folder")],
)  # fmt: skip
def test_a_clip_that_cannot_be_used_makes_a_bad_row(folder: Path, clip: str, reason: str) -> None:
    with pytest.raises(BadRow) as caught:
        Source(folder, CARD).clip(clip)
    assert caught.value.reason == reason


def test_a_clip_that_vanishes_or_a_link_that_leads_nowhere_makes_a_bad_row(folder: Path) -> None:
    (folder / "video" / "lost.mp4").symlink_to("gone.mp4")
    source = Source(folder, CARD)
    assert source.clip("video/x") == "media/video/x.AVI"
    (folder / "video" / "x.AVI").unlink()
    for clip in ("video/x", "video/lost"):
        with pytest.raises(BadRow) as caught:
            source.clip(clip)
        assert caught.value.reason == "video cannot be read"


def test_rows_without_their_clip_may_be_kept(folder: Path) -> None:
    source = Source(folder, CARD, keep_missing=True)
    assert source.clip("video/none.mp4") == "media/video/none.mp4" and source.media_missing == {"video": 1}


def test_links_that_lead_out_are_refused(folder: Path, tmp_path: Path) -> None:
    outside = plant(tmp_path / "outside", {"secret.csv": "name\nx\n", "z.mp4": b"clip"})
    (folder / "linked").symlink_to(outside)
    (folder / "video" / "z.mp4").symlink_to(outside / "z.mp4")
    (folder / "s.csv").symlink_to(outside / "secret.csv")
    source = Source(folder, CARD)
    for look in (lambda: source.clip("linked/z.mp4"), lambda: source.clip("video/x"), lambda: source.file("s.csv")):
        with pytest.raises(UserError, match="a link that leads out of"):
            look()
    assert Source(folder, CARD, media_dir=outside).clip("z.mp4") == "media/z.mp4"


def test_links_within_the_folder_are_followed(folder: Path) -> None:
    (folder / "clips").symlink_to("video")
    assert Source(folder, CARD).clip("clips/x") == "media/clips/x.AVI"


def test_lists_and_lines_of_json_come_alike(folder: Path) -> None:
    plant(folder, {"list.json": '[{"a": 1}, {"a": 2}]', "lines.json": '{"a": 1}\n{"a": 2}\n', "lines.jsonl": '{"a": 1}\n{"a": 2}\n'})
    source = Source(folder, CARD)
    for name in ("list.json", "lines.json", "lines.jsonl"):
        assert [row["a"] for row in source.objects(source.file(name))] == [1, 2]


def test_a_line_that_is_no_row_stops_where_nobody_takes_it(folder: Path) -> None:
    plant(folder, {"lines.jsonl": '{"a": 1}\n7\n'})
    with pytest.raises(UserError, match=r"lines.jsonl:2: a int where an object is expected"):
        list(Source(folder, CARD).objects(folder / "lines.jsonl"))


def test_spreadsheets_and_parquet(folder: Path) -> None:
    book = Workbook()
    book.active.title = "Sheet1"
    book.active.append(["clip", "single_label"])
    book.active.append(["00001.mp4", 3])
    book.save(folder / "set.xlsx")
    pyarrow.parquet.write_table(pyarrow.table({"id": ["0001", "0002"], "text": ["a\nb", "c"]}), folder / "set.parquet")
    whole = (folder / "set.xlsx").read_bytes()
    place = whole.index(b"xl/worksheets/sheet1.xml") + 40
    plant(folder, {"junk.xlsx": b"junk", "junk.parquet": b"junk", "broken.xlsx": whole[:place] + b"\xff" * 9 + whole[place + 9 :]})
    source = Source(folder, CARD)
    assert [dict(row) for row in source.sheet(folder / "set.xlsx", ["clip"], "Sheet1")] == [{"clip": "00001.mp4", "single_label": 3}]
    assert [(row["id"], row.where) for row in source.parquet(folder / "set.parquet", ["id"])] == [
        ("0001", "set.parquet: row 1"), ("0002", "set.parquet: row 2"),
    ]  # fmt: skip
    with pytest.raises(UserError, match="no sheet 'Other'; it has Sheet1"):
        list(source.sheet(folder / "set.xlsx", [], "Other"))
    for read in (source.sheet, source.parquet):
        name = "junk.xlsx" if read == source.sheet else "junk.parquet"
        with pytest.raises(UserError, match=f"{name}: no readable"):
            list(read(folder / name, []))
    with pytest.raises(UserError, match=r"broken\.xlsx: no readable \.xlsx, or broken"):
        list(source.sheet(folder / "broken.xlsx", []))
    with pytest.raises(UserError, match=r"set.parquet: no column 'emotion'"):
        list(source.parquet(folder / "set.parquet", ["emotion"]))


@pytest.mark.parametrize(("content", "told"), [
    (b"one\ntwo \xc3", "t.txt: not text in UTF-8"), (b"\xff\xfeo\0\x00\xd8o\0", "t.txt: neither text in UTF-8 nor in utf-16"),
])  # fmt: skip
def test_text_that_is_cut_within_a_letter_is_told(folder: Path, content: bytes, told: str) -> None:
    plant(folder, {"t.txt": content})
    with pytest.raises(UserError, match=told):
        list(Source(folder, CARD).lines(folder / "t.txt"))


def test_records_have_what_the_card_says(folder: Path) -> None:
    record = Source(folder, CARD).record(id="1", split="all", group="g")
    assert (record.dataset, record.licence, record.source) == ("toy", "CC0-1.0", "https://toy.example")
    with pytest.raises(ValidationError):
        Source(folder, CARD).record(id=1, split="all", group="g")
