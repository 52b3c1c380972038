"""Pictures from disk: opened once, checked, sized in tokens, changed at random for training."""

import math
import random
from functools import lru_cache
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from emoreason.faults import UserError
from emoreason.recipe import Augmentation
from emoreason.records import Record


@lru_cache(maxsize=4096)
def load_picture(path: Path) -> Image.Image:
    """The picture in RGB, transparent parts on white. It is kept in memory; do not change it.

    Raises:
        UserError: no such file, not a picture, a picture that breaks off, or one with more than 8 bits a channel.
    """
    try:
        with Image.open(path) as image:
            image.load()
            if image.mode[0] in "IF":
                raise UserError(f"{path}: pixels of Pillow's mode {image.mode} would come out white; save it with 8 bits a channel")
            if image.has_transparency_data:
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
    angle = math.radians(generator.uniform(-settings.rotation_degrees, settings.rotation_degrees))
    scale = generator.uniform(settings.min_scale, settings.max_scale)
    across, down = (generator.uniform(-settings.shift, settings.shift) * side for side in (width, height))
    mirror = -1 if settings.flip and generator.random() < 0.5 else 1
    # Where each new pixel comes from, relative to the centre: one resampling for all four changes.
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    a, b, c, d = cos * mirror, -sin * mirror, sin, cos
    x, y = width / 2 + across, height / 2 + down
    affine = (a, b, width / 2 - a * x - b * y, c, d, height / 2 - c * x - d * y)
    changed = image.transform(image.size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR, fillcolor="white")
    return changed.convert("RGB", _colour_matrix(settings.colour, generator)) if settings.colour else changed


def _colour_matrix(strength: float, generator: random.Random) -> tuple[float, ...]:
    """Rows of (red, green, blue, offset): greyed by up to twice `strength`, contrast by up to 0.8, brightness by up to 0.3 of it."""
    colour = 1 - generator.uniform(0, min(1.0, 2 * strength))
    contrast = 1 + generator.uniform(-0.8, 0.8) * strength
    grey = (0.299, 0.587, 0.114)  # ITU-R BT.601
    rows = []
    for channel in range(3):
        weights = [contrast * ((1 - colour) * grey[source] + colour * (source == channel)) for source in range(3)]
        rows += [*weights, 128 * (1 - contrast) + generator.uniform(-0.3, 0.3) * strength * 255]
    return tuple(rows)
