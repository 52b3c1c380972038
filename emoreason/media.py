"""Pictures from disk: opened once, checked, sized in tokens, changed at random for training."""

import random
from functools import lru_cache
from pathlib import Path

from PIL import Image, ImageEnhance, ImageOps, UnidentifiedImageError

from emoreason.faults import UserError
from emoreason.recipe import Augmentation
from emoreason.records import Record


@lru_cache(maxsize=4096)
def load_picture(path: Path) -> Image.Image:
    """The picture in RGB, transparent parts on white. It is kept in memory; do not change it.

    Raises:
        UserError: no such file, not a picture, or a picture that breaks off.
    """
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode in ("RGBA", "LA", "P"):
                image = image.convert("RGBA")
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image)
            return image.convert("RGB")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such picture") from error
    except UnidentifiedImageError as error:
        raise UserError(f"{path}: not a picture that Pillow can read") from error
    except (OSError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{path}: the picture is damaged: {error}") from error


def record_pictures(record: Record, records_path: Path) -> list[Image.Image]:
    """The record's pictures, in order."""
    return [load_picture(records_path.parent / name) for name in record.media.images]


def media_faults(records: list[Record], records_path: Path) -> list[str]:
    """Every picture that is missing or damaged, and media that no stage reads yet, by record."""
    faults = []
    for record in records:
        if record.media.video or record.media.audio or record.media.frames:
            faults.append(f"{records_path}: record {record.id!r}: video, audio and frames are not read yet; accepted: images")
        for name in record.media.images:
            try:
                load_picture(records_path.parent / name)
            except UserError as error:
                faults.append(f"{records_path}: record {record.id!r}: {error}")
    return faults


def augmented(image: Image.Image, settings: Augmentation, generator: random.Random) -> Image.Image:
    """A new picture of the same size: turned, scaled, shifted and perhaps flipped on white, its colours changed."""
    width, height = image.size
    angle = generator.uniform(-settings.rotation_degrees, settings.rotation_degrees)
    scale = generator.uniform(settings.min_scale, settings.max_scale)
    shift = [generator.uniform(-settings.shift, settings.shift) * side for side in (width, height)]
    if settings.flip and generator.random() < 0.5:
        image = ImageOps.mirror(image)
    image = image.rotate(angle, Image.Resampling.BILINEAR, translate=(round(shift[0]), round(shift[1])), fillcolor="white")
    left, top = (1 - 1 / scale) * width / 2, (1 - 1 / scale) * height / 2
    affine = (1 / scale, 0, left, 0, 1 / scale, top)
    image = image.transform(image.size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR, fillcolor="white")
    if settings.colour:
        image = _recoloured(image, settings.colour, generator)
    return image


def _recoloured(image: Image.Image, strength: float, generator: random.Random) -> Image.Image:
    """Greyed by up to twice `strength`, then contrast and each channel's brightness moved by up to `strength`."""
    image = ImageEnhance.Color(image).enhance(1 - generator.uniform(0, min(1.0, 2 * strength)))
    image = ImageEnhance.Contrast(image).enhance(1 + generator.uniform(-0.8, 0.8) * strength)
    offsets = [generator.uniform(-0.3, 0.3) * strength * 255 for _ in range(3)]
    table = [max(0, min(255, round(level + offset))) for offset in offsets for level in range(256)]
    return image.point(table)
