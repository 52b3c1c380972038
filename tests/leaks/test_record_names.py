"""Ids and texts without what may differ."""

import pytest

from emoreason.leaks.names import bare_id, is_distinctive, num_letters, plain_text


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("sample_00000021", "Sample_00000021.mp4", True),
        ("train/dia7_utt12", "test_dia7_utt12", True),
        ("val/awe_00012.jpg", "awe_12", True),
        ("videos\\clip_a1.avi", "videos/clip_a1.mp4", True),
        ("Zo\u00eb_clip_1", "Zoe\u0308_clip_1", True),
        ("noto/1f600", "noto/1f600#2", True),
        ("0001", "1", True),
        ("train/clip_7", "test/clip_7", False),
        ("train/0001", "test/0001", False),  # each split counts from 1
        ("train_1", "test_1", False),
        ("contest_clip_77", "con_clip_77", False),
        ("latest/clip_77a", "la/clip_77a", False),
        ("clip_10", "clip_1", False),
        ("clip_100", "clip_1", False),
        ("\u2460_clip", "1_clip", True),  # a circled one
    ],
)
def test_bare_ids(one: str, other: str, same: bool) -> None:
    assert (bare_id(one) == bare_id(other)) == same


def test_splits_that_number_anew_keep_their_name() -> None:
    assert bare_id("train_dia7_utt12", numbered_by_split=True) != bare_id("test_dia7_utt12", numbered_by_split=True)


def test_distinctive_names() -> None:
    given = ("sample_00000021", "dia7_utt12", "12", "000012345", "speaker", "a1", "12345你")
    assert [is_distinctive(name) for name in given] == [True, True, False, False, False, False, True]


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("  I DON’T know...  what to do?! ", "i dont know what to do"),
        ("I don't know\twhat to do", "i dont know what to do"),
        ("我不知道，该怎么办！", "我不知道 该怎么办"),
        ("ﬁne — Straße №1", "fine strasse no1"),
        ("…", ""), ("😀!", ""),
    ],
)  # fmt: skip
def test_plain_texts(text: str, plain: str) -> None:
    assert plain_text(text) == plain


def test_letters() -> None:
    assert num_letters("i dont know") == 9
    assert num_letters("我不知道 ok") == 4 * 3 + 2
    assert num_letters("안녕 すし") == 4 * 3
