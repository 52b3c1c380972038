"""Folders named by words, by a data set's own numbers, and by those of the alphabet."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import pytest
from converted import plant

from emoreason.conversion.card import Card
from emoreason.conversion.class_folders import add_order_option, folder_label, picture_rows
from emoreason.conversion.source import Source
from emoreason.faults import UserError

CARD = Card(name="toy", title="Toy", access="open", licence="CC0-1.0", citation="us", url="https://toy.example", size="3", labels="fer2013_7",
            modalities="image", splits="none", verified="all")  # fmt: skip


def source(folder: Path, order: str | None) -> Source:
    return Source(folder, CARD, options=Namespace(order=order))


def test_a_row_for_each_picture_in_its_class(tmp_path: Path) -> None:
    folder = plant(tmp_path / "toy", {"train/angry/b.jpg": b"x", "train/angry/a.b.png": b"x", "test/sad/c.JPG": b"x", "train/readme.txt": b"x",
                                      "train/angry/.DS_Store": b"x", "train/angry/._b.jpg": b"x", "train/angry/Thumbs.db": b"x"})  # fmt: skip
    rows = picture_rows(source(folder, None), "train", "test")
    assert [(row["picture"], row["class"], row.where) for row in rows] == [
        ("train/angry/a.b.png", "angry", "train/angry/a.b.png: file"), ("train/angry/b.jpg", "angry", "train/angry/b.jpg: file"),
        ("test/sad/c.JPG", "sad", "test/sad/c.JPG: file"),
    ]  # fmt: skip


def test_numbers_need_an_order(tmp_path: Path) -> None:
    folder = plant(tmp_path / "toy", {"train/4/a.jpg": b"x"})
    with pytest.raises(UserError, match="folders 4 are numbers; say with --order whose"):
        picture_rows(source(folder, None), "train")
    parser = ArgumentParser()
    add_order_option(parser)
    by_alphabet = source(folder, parser.parse_args(["--order", "folders"]).order)
    assert len(picture_rows(by_alphabet, "train")) == 1
    assert folder_label("4", "fer2013_7", by_alphabet) == "neutral" and folder_label("4", "fer2013_7", source(folder, "official")) == "sad"
    assert folder_label("Surprised", "fer2013_7", by_alphabet) == "surprise"
    with pytest.raises(UserError, match="has no 7"):
        folder_label("7", "fer2013_7", by_alphabet)
