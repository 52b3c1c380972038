"""Cells as other people's programs wrote them."""

import math

import pytest

from emoreason.conversion import cells
from emoreason.conversion.faults import BadRow


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("['happy', 'proud']", ["happy", "proud"]),
        ('["happy", "proud"]', ["happy", "proud"]),
        ("['don't know', 'sad']", ["don't know", "sad"]),
        ("""["can't wait", 'sad']""", ["can't wait", "sad"]),
        ("['sad','can't']", ["sad", "can't"]),
        ("[happy, proud]", ["happy", "proud"]),
        ("happy，proud、calm", ["happy", "proud", "calm"]),
        ("happy", ["happy"]),
        ("[]", []),
        ("nan", []),
        ("", []),
        (None, []),
        (float("nan"), []),
        (["happy", " proud ", ""], ["happy", "proud"]),
        ("('a', 'b')", ["a", "b"]),
        ("[['a'], 'b']", ["['a']", "b"]),
        ("[" * 50_000, ["[" * 49_999]),
    ],
)
def test_lists_in_cells(cell: object, expected: list[str]) -> None:
    assert cells.items(cell) == expected


def test_emotion_words_are_lower_case_and_none_stands_twice() -> None:
    assert cells.words("['Happy', ' happy ', 'Sad.', '…']") == ["happy", "sad"]


@pytest.mark.parametrize(
    ("cell", "expected"), [(" caf\u0065\u0301 ", "café"), ("NaN", None), ("  ", None), (math.nan, None), (7, "7"), ("none", "none")]
)
def test_text_is_composed_and_absent_cells_are_none(cell: object, expected: str | None) -> None:
    assert cells.text(cell) == expected


@pytest.mark.parametrize("cell", ["", "x", "nan", "inf", None, "1e999", "3.5", True, "5"])
def test_what_is_no_such_number_is_refused(cell: object) -> None:
    with pytest.raises(BadRow, match=r"votes is .*; accepted: a (whole number|number from 0 to 4)"):
        cells.whole_number(cell, "votes", 0, 4)


def test_numbers_that_pandas_wrote_with_a_point_are_whole() -> None:
    assert cells.whole_number("3.0", "votes") == 3 and cells.number(" -2.5 ", "valence") == -2.5


def test_a_label_is_read_in_its_own_space_and_never_merged() -> None:
    assert cells.label("Happily_Surprised", "c_expr_7") == "happily surprised"
    with pytest.raises(BadRow, match="label 'calm'") as caught:
        cells.label("calm", "mer_6")
    assert caught.value.reason == "label is not of mer_6"


@pytest.mark.parametrize(
    ("path", "expected"),
    [("images\\a\\579.jpg", "images/a/579.jpg"), ("./a//b.mp4", "a/b.mp4"), ("cafe\u0301.jpg", "café.jpg"), ("a..b.mp4", "a..b.mp4")],
)
def test_paths_of_other_machines(path: str, expected: str) -> None:
    assert cells.relative_path(path) == expected


@pytest.mark.parametrize("path", ["/etc/passwd", "../a", "a/../../b", "C:\\a.jpg", "..\\a", "", ".", "a\0b", "\\\\host\\a", None])
def test_paths_that_leave_the_folder_are_refused(path: str | None) -> None:
    with pytest.raises(BadRow):
        cells.relative_path(path)


def test_what_follows_a_folder_of_an_absolute_path() -> None:
    assert cells.path_below("/data/videos/x/videos/a/b.mp4", "videos") == "a/b.mp4"
    for path in ("/data/clips/b.mp4", "/data/videos/../b.mp4", "/data/videos"):
        with pytest.raises(BadRow):
            cells.path_below(path, "videos")


def test_boxes_are_cut_at_the_edges() -> None:
    assert cells.clipped_box((-3, "5", 50.5, 700), 40, 600) == (0, 5, 40, 600)
    for box in ((50, 5, 60, 20), (5, 5, 5, 20), (1, 2, 3), ("a", 1, 2, 3)):
        with pytest.raises(BadRow):
            cells.clipped_box(box, 40, 600)


def test_literals_are_read_and_not_run() -> None:
    assert cells.literal("{'A': 'No.', 'B': 'Yes.'}", "options") == {"A": "No.", "B": "Yes."}
    for cell in ("__import__('os').getcwd()", "{'A': ", "(" * 10_000):
        with pytest.raises(BadRow, match="options is"):
            cells.literal(cell, "options")
