"""Training pictures and clips, changed at random: turned, scaled, shifted, mirrored, their colours moved."""

import math
import random
from collections.abc import Callable

import numpy as np
from PIL import Image

from emoreason.media import Medium
from emoreason.recipe import Augmentation


def augmented(medium: Medium, settings: Augmentation, generator: random.Random) -> Medium:
    """A new medium of the same size: a picture changed, or every frame of a clip changed alike; audio comes back as it is.

    A sound draws nothing from the generator, so that the pictures after it change in the same way without it.
    """
    if medium.kind == "audio":
        return medium
    if medium.kind == "image":
        return Medium.of("image", augmented_picture(medium.content, settings, generator))
    frames = [Image.fromarray(frame) for frame in medium.content]
    change = _drawn_change(frames[0].size, settings, generator)
    content = np.stack([np.asarray(change(frame)) for frame in frames])
    return Medium.of("video", content, fps=medium.fps, times=medium.times)


def augmented_picture(image: Image.Image, settings: Augmentation, generator: random.Random) -> Image.Image:
    """A new picture of the same size: turned, scaled, shifted and perhaps flipped on white, its colours changed."""
    return _drawn_change(image.size, settings, generator)(image)


def _drawn_change(size: tuple[int, int], settings: Augmentation, generator: random.Random) -> Callable[[Image.Image], Image.Image]:
    """One change drawn at random, for any number of pictures of this size."""
    width, height = size
    angle = math.radians(generator.uniform(-settings.rotation_degrees, settings.rotation_degrees))
    scale = generator.uniform(settings.min_scale, settings.max_scale)
    across, down = (generator.uniform(-settings.shift, settings.shift) * side for side in (width, height))
    mirror = -1 if settings.flip and generator.random() < 0.5 else 1
    # Where each new pixel comes from, relative to the centre: one resampling for all four changes.
    cos, sin = math.cos(angle) / scale, math.sin(angle) / scale
    a, b, c, d = cos * mirror, -sin * mirror, sin, cos
    x, y = width / 2 + across, height / 2 + down
    affine = (a, b, width / 2 - a * x - b * y, c, d, height / 2 - c * x - d * y)
    colours = _colour_matrix(settings.colour, generator) if settings.colour else None

    def change(image: Image.Image) -> Image.Image:
        changed = image.transform(size, Image.Transform.AFFINE, affine, Image.Resampling.BILINEAR, fillcolor="white")
        return changed.convert("RGB", colours) if colours else changed

    return change


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
