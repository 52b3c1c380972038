"""Pictures that would be seen otherwise elsewhere: here they are turned upright as EXIF says, and transparent parts are white."""

import io
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from emoreason.media import DAMAGED, load_picture

_ORIENTATION = 0x0112


def is_seen_otherwise(path: Path) -> bool:
    """Whether a reader that knows neither EXIF nor transparency sees something else; False of what is no picture."""
    try:
        with Image.open(path) as image:
            if image.getexif().get(_ORIENTATION, 1) != 1:
                return True
            return image.has_transparency_data and image.convert("RGBA").getchannel("A").getextrema()[0] < 255
    except (UnidentifiedImageError, *DAMAGED):
        return False


def redrawn(path: Path) -> bytes:
    """The picture as it is seen here, as PNG."""
    buffer = io.BytesIO()
    load_picture(path).save(buffer, format="PNG")
    return buffer.getvalue()
