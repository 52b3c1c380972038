"""Pictures: their size, for boxes, and those that an annotation file holds as numbers, which are written beside the records."""

from typing import Any

import numpy as np

from emoreason.conversion.cells import relative_path
from emoreason.conversion.faults import BadRow
from emoreason.conversion.source import MEDIA_LINK, Source
from emoreason.faults import UserError

_ORIENTATION, _ON_ITS_SIDE = 0x0112, (5, 6, 7, 8)
"""The tag of EXIF, and its values for a picture that is stored on its side."""


def upright_size(source: Source, recorded: str) -> tuple[int, int] | None:
    """(width, height) of a picture as it stands upright, from its header; None where its file is not there but the row is kept.

    Raises:
        BadRow: no picture.
    """
    from PIL import Image, UnidentifiedImageError

    path = source.media_dir / recorded.removeprefix(f"{MEDIA_LINK}/")
    if source.keep_missing and not path.exists():
        return None
    try:
        with Image.open(path) as picture:
            width, height = picture.size
            return (height, width) if picture.getexif().get(_ORIENTATION) in _ON_ITS_SIDE else (width, height)
    except (UnidentifiedImageError, Image.DecompressionBombError, OSError, ValueError, SyntaxError) as error:
        raise BadRow("image cannot be opened", f"{recorded}: {error}") from error


def grey_pixels(cell: Any, width: int, height: int) -> np.ndarray:
    """uint8 (height, width) of a cell that lists grey values row by row, with blanks between them."""
    try:
        values = bytes(map(int, str(cell).split()))
    except ValueError as error:
        raise BadRow("pixels are no grey values", f"pixels start with {str(cell)[:40]!r}; accepted: numbers from 0 to 255") from error
    if len(values) != width * height:
        raise BadRow("pixels do not fill the picture", f"{len(values)} pixels; accepted: {width * height}")
    return np.frombuffer(values, np.uint8).reshape(height, width)


def make_picture(source: Source, name: str, pixels: np.ndarray) -> str:
    """The records' path of a picture that is written as PNG `name` into their own media folder; uint8 (height, width) or (height, width, 3).

    It appears there when the conversion is whole; nothing is written into the source folder.
    """
    from PIL import Image

    assert source.made_dir is not None, "pictures are made during a conversion only"
    name = relative_path(name)
    path = source.made_dir / name
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, format="PNG")
    except OSError as error:
        raise UserError(f"{path}: cannot be written: {error.strerror or error}; free some space or choose another folder") from error
    source.media_found["image"] += 1
    return f"{MEDIA_LINK}/{name}"
