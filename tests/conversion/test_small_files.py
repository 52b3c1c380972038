"""Small annotation files: listed as one, never read from outside, and what is wrong with one is wrong with its row alone."""

import hashlib
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.small_files import read_bytes, read_object, read_scalar
from emoreason.conversion.source import Source

CARD = Card(name="toy", title="Toy", access="open", licence="CC0-1.0", citation="us", url="https://toy.example", size="3", labels="mer_6",
            modalities="image", splits="none", verified="all")  # fmt: skip


def npy(value: Any) -> bytes:
    file = io.BytesIO()
    np.save(file, value)
    return file.getvalue()


@pytest.fixture
def source(tmp_path: Path) -> Source:
    folder = tmp_path / "toy"
    (folder / "a").mkdir(parents=True)
    for name, content in {
        "a/1.json": b'\xef\xbb\xbf{"x": 1}', "a/2.json": b"[1]", "a/3.json": b'{"x": ', "a/empty.json": b"",
        "a/pointer.json": b"version https://git-lfs.github.com/spec/v1\n", "a/text.npy": npy(np.array("-0.25")), "a/whole.npy": npy(np.array(3)),
        "a/many.npy": npy(np.zeros(2)), "a/cut.npy": npy(np.array(3))[:-2], "a/object.npy": npy(np.array({"x": print})),
        "a/unicode.npy": npy(np.array("6"))[:-4] + b"6,\0\xff", "a/header.npy": npy(np.array(3)).replace(b"'shape': ()", b"'shape': ]("),
        "a/huge.npy": npy(np.array(3)).replace(b"'shape': (), }        ", b"'shape': (9999999,), }"),
    }.items():  # fmt: skip
        (folder / name).write_bytes(content)
    (tmp_path / "outside.json").write_text('{"x": 2}')
    (folder / "a/link.json").symlink_to(tmp_path / "outside.json")
    (folder / "out").symlink_to(tmp_path, target_is_directory=True)
    return Source(folder, CARD)


def test_many_are_listed_as_one(source: Source) -> None:
    assert read_object(source, "a/1.json", of="a/*.json") == {"x": 1}
    assert read_bytes(source, "a/2.json", of="a/*.json") == b"[1]"
    first = hashlib.sha256(b"a/1.json\0" + b'\xef\xbb\xbf{"x": 1}').hexdigest()
    both = hashlib.sha256(first.encode() + b"a/2.json\0[1]").hexdigest()
    assert source.inputs == {"a/*.json": {"sha256": both, "bytes": 14, "encoding": None, "files": 2}}


@pytest.mark.parametrize(
    ("name", "reason"),
    [("a/2.json", "annotation is no JSON object"), ("a/3.json", "annotation is no JSON"), ("a/empty.json", "annotation is empty"),
     ("a/pointer.json", "annotation is a pointer of Git LFS"), ("a/4.json", "annotation is not there"), ("../outside.json", "path leaves the folder"),
     ("a/link.json", "annotation leads out of the folder"), ("out/outside.json", "annotation leads out of the folder"),
     ("a", "annotation is not there")],
)  # fmt: skip
def test_what_is_wrong_is_the_rows_fault(source: Source, name: str, reason: str) -> None:
    with pytest.raises(BadRow) as raised:
        read_object(source, name, of="all")
    assert raised.value.reason == reason


def test_a_number_may_be_stored_as_text(source: Source) -> None:
    assert read_scalar(source, "a/text.npy", of="all") == "-0.25" and read_scalar(source, "a/whole.npy", of="all") == 3
    for name in ("a/many.npy", "a/cut.npy", "a/object.npy", "a/header.npy", "a/huge.npy", "a/unicode.npy", "a/1.json"):
        with pytest.raises(BadRow, match=name):
            read_scalar(source, name, of="all")


def test_a_file_that_no_annotation_is_as_large_as(source: Source, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("emoreason.conversion.small_files.MAX_BYTES", 2)
    with pytest.raises(BadRow, match="more than 2 bytes"):
        read_bytes(source, "a/2.json", of="all")
