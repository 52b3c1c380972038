"""Media by the names that annotation gives them."""

from pathlib import Path

import pytest
from converted import plant

from emoreason.conversion import media_folder
from emoreason.conversion.media_folder import MediaFolder
from emoreason.faults import UserError


def test_of_names_that_differ_in_case_the_exact_one_is_found_and_else_always_the_same(tmp_path: Path) -> None:
    folder = MediaFolder(plant(tmp_path, {"b.mp4": b"b", "B.mp4": b"B", "C.mp4": b"C", "c.MP4": b"c"}))
    assert [folder.find(name, "video") for name in ("b.mp4", "B.mp4", "c.mp4", "C", "d")] == ["b.mp4", "B.mp4", "C.mp4", "C.mp4", None]


def test_a_kind_has_its_own_endings(tmp_path: Path) -> None:
    folder = MediaFolder(plant(tmp_path, {"a/x.wav": b"sound", "a/x.mp4": b"clip", "a/x.1.jpg": b"picture"}))
    found = [folder.find("a/x", "audio"), folder.find("a/x", "video"), folder.find("a/x.1", "image"), folder.find("a/x", "image")]
    assert found == ["a/x.wav", "a/x.mp4", "a/x.1.jpg", None]


def test_listings_are_forgotten_when_there_are_many(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media_folder, "_KEPT_FOLDERS", 2)
    folder = MediaFolder(plant(tmp_path, {f"{name}/x.mp4": b"clip" for name in "abc"}))
    assert [folder.find(f"{name}/x.mp4", "video") for name in "abca"] == ["a/x.mp4", "b/x.mp4", "c/x.mp4", "a/x.mp4"]
    assert list(folder._listings) == ["c", "a"]


def test_a_link_that_leads_out_is_refused(tmp_path: Path) -> None:
    outside = plant(tmp_path / "outside", {"x.mp4": b"clip"})
    inside = plant(tmp_path / "inside", {"y.mp4": b"clip"})
    (inside / "linked").symlink_to(outside)
    with pytest.raises(UserError, match="a link that leads out of"):
        MediaFolder(inside).find("linked/x.mp4", "video")
