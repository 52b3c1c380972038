"""Sizes of pictures as they stand upright, and pictures made of numbers."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow
from emoreason.conversion.pictures import grey_pixels, make_picture, upright_size
from emoreason.conversion.source import Source

CARD = Card(name="toy", title="Toy", access="open", licence="CC0-1.0", citation="us", url="https://toy.example", size="3", labels="mer_6",
            modalities="image", splits="none", verified="all")  # fmt: skip


@pytest.fixture
def source(tmp_path: Path) -> Source:
    (tmp_path / "toy").mkdir()
    return Source(tmp_path / "toy", CARD)


def test_a_picture_that_lies_on_its_side_is_measured_upright(source: Source) -> None:
    picture = Image.new("RGB", (30, 20))
    picture.save(source.root / "plain.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(source.root / "turned.jpg", exif=exif)
    assert upright_size(source, "media/plain.jpg") == (30, 20) and upright_size(source, "media/turned.jpg") == (20, 30)


def test_what_is_no_picture_is_told_and_what_is_missing_may_be_kept(source: Source) -> None:
    (source.root / "text.jpg").write_text("no picture")
    for name in ("text.jpg", "none.jpg"):
        with pytest.raises(BadRow, match=f"media/{name}"):
            upright_size(source, f"media/{name}")
    source.keep_missing = True
    assert upright_size(source, "media/none.jpg") is None


def test_grey_values_fill_the_picture_row_by_row() -> None:
    assert grey_pixels("0 1 2\n3 4  255", 3, 2).tolist() == [[0, 1, 2], [3, 4, 255]]
    for cell, reason in {"1 2": "pixels do not fill the picture", "0 1 2 3 4 256": "pixels are no grey values", "a": "pixels are no grey values",
                         "0 1 2 3 4 -1": "pixels are no grey values", None: "pixels are no grey values"}.items():  # fmt: skip
        with pytest.raises(BadRow) as raised:
            grey_pixels(cell, 3, 2)
        assert raised.value.reason == reason


def test_a_made_picture_waits_outside_of_the_source(source: Source, tmp_path: Path) -> None:
    source.made_dir = tmp_path / "made"
    pixels = np.arange(6, dtype=np.uint8).reshape(2, 3)
    assert make_picture(source, "train/1.png", pixels) == "media/train/1.png"
    assert np.array_equal(np.array(Image.open(tmp_path / "made/train/1.png")), pixels)
    assert list(source.root.iterdir()) == [] and source.media_found["image"] == 1
    with pytest.raises(BadRow, match=r"\.\./1\.png"):
        make_picture(source, "../1.png", pixels)
