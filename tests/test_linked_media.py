"""Links to the folder of the media, made once, and none where none is needed."""

import os
from pathlib import Path

import pytest

from emoreason.faults import UserError
from emoreason.linked_media import linked
from emoreason.records import Record


def records(*names: str) -> list[Record]:
    return [Record(id=name, dataset="d", split="s", group="g", media={"images": [name]}, licence="l", source="s") for name in names]


def test_one_link_a_source_and_the_same_one_again(tmp_path: Path) -> None:
    for name in ("one", "two", "out"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.png").write_text(name)
    for source, link in (("one", "media/0"), ("two", "media/1"), ("one", "media/0")):
        (moved,) = linked(records("a.png"), tmp_path / source, tmp_path / "out")
        assert moved.media.images == [f"{link}/a.png"]
        assert (tmp_path / "out" / moved.media.images[0]).read_text() == source
    assert not os.path.isabs(os.readlink(tmp_path / "out" / "media" / "0"))  # both folders can move together
    assert linked(records("a.png"), tmp_path / "out", tmp_path / "out" / ".") == records("a.png")


def test_both_sides_of_a_preference_move_and_texts_need_no_link(tmp_path: Path) -> None:
    pair = {"chosen": "a", "rejected": "b", "rejected_media": {"images": ["b.png"]}}
    one = records("a.png")[0].model_copy(update={"preference": Record(**records("x")[0].model_dump() | {"preference": pair}).preference})
    (moved,) = linked([one], tmp_path / "in", tmp_path)
    assert moved.preference.rejected_media.images == ["media/0/b.png"]
    texts = [Record(id="t", dataset="d", split="s", group="g", text="hello", licence="l", source="s")]
    assert linked(texts, tmp_path / "in", tmp_path / "out") == texts and not (tmp_path / "out").exists()


def test_a_folder_where_no_link_can_be_made(tmp_path: Path) -> None:
    (tmp_path / "media").write_text("a file")
    with pytest.raises(UserError, match=r"media/0: cannot link to .*; write beside the records"):
        linked(records("a.png"), tmp_path / "in", tmp_path)


def test_nothing_is_written_through_a_link_to_other_media(tmp_path: Path) -> None:
    (tmp_path / "downloaded").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "media").symlink_to("../downloaded")
    with pytest.raises(UserError, match="a link to other media"):
        linked(records("a.png"), tmp_path / "in", tmp_path / "out")
    assert not list((tmp_path / "downloaded").iterdir())
