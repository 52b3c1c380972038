"""Pictures come in RGB on white or not at all, and change at random without changing their size."""

import random
from pathlib import Path

import pytest
from PIL import Image, ImageOps

from emoreason.faults import UserError
from emoreason.media import augmented, load_picture, media_faults, record_pictures
from emoreason.recipe import Augmentation
from emoreason.records import Record, read_records

STILL = Augmentation(rotation_degrees=0, min_scale=1, max_scale=1, shift=0, flip=False, colour=0)
RED = (200, 30, 10)


def record(**media: object) -> Record:
    return Record.model_validate({"id": "a", "dataset": "d", "split": "s", "group": "g", "media": media, "licence": "l", "source": "s"})


@pytest.fixture
def noise() -> Image.Image:
    """A picture in which every place looks different."""
    return Image.frombytes("RGB", (32, 20), random.Random(0).randbytes(32 * 20 * 3))


@pytest.mark.parametrize(
    ("picture", "expected"),
    [
        (Image.new("RGB", (2, 2), RED), RED),
        (Image.new("RGBA", (2, 2), (*RED, 255)), RED),
        (Image.new("RGBA", (2, 2), (*RED, 0)), (255, 255, 255)),
        (Image.new("RGBA", (2, 2), (255, 0, 0, 128)), (255, 127, 127)),  # 0.5 red + 0.5 white
        (Image.new("LA", (2, 2), (0, 0)), (255, 255, 255)),
        (Image.new("L", (2, 2), 90), (90, 90, 90)),
        (Image.new("1", (2, 2), 1), (255, 255, 255)),
        (Image.new("RGB", (2, 2), RED).quantize(2), RED),
    ],
    ids=["rgb", "opaque", "transparent", "half", "transparent grey", "grey", "black and white", "palette"],
)
def test_a_picture_comes_in_rgb_its_transparent_parts_white(tmp_path: Path, picture: Image.Image, expected: tuple) -> None:
    picture.save(tmp_path / "a.png")
    loaded = load_picture(tmp_path / "a.png")
    assert (loaded.mode, loaded.size, loaded.getpixel((1, 1))) == ("RGB", (2, 2), expected)


@pytest.mark.parametrize(("mode", "colour"), [("RGB", RED), ("L", 90)])
def test_a_single_transparent_colour_becomes_white_too(tmp_path: Path, mode: str, colour: tuple | int) -> None:
    """PNG can name one colour as transparent without an alpha channel."""
    Image.new(mode, (2, 2), colour).save(tmp_path / "a.png", transparency=colour)
    assert load_picture(tmp_path / "a.png").getpixel((0, 0)) == (255, 255, 255)


def test_sixteen_bits_a_channel_are_refused_and_not_read_as_white(tmp_path: Path) -> None:
    Image.new("I;16", (2, 2), 20000).save(tmp_path / "a.png")
    with pytest.raises(UserError, match=r"a.png: pixels of Pillow's mode I;16 would come out white; save it with 8 bits a channel"):
        load_picture(tmp_path / "a.png")


def test_what_is_no_picture_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.png").write_text("a text")
    (tmp_path / "empty.png").write_bytes(b"")
    messages = {"text.png": "not a picture", "empty.png": "not a picture", "absent.png": "no such picture", "": "damaged"}
    for name, message in messages.items():
        with pytest.raises(UserError) as caught:
            load_picture(tmp_path / name)
        assert caught.value.faults[0].startswith(f"{tmp_path / name}: ") and message in caught.value.faults[0]


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF"])
def test_a_picture_that_breaks_off_is_damaged_wherever_it_does(tmp_path: Path, kind: str, noise: Image.Image) -> None:
    noise.save(tmp_path / "whole", kind)
    whole = (tmp_path / "whole").read_bytes()
    for share in (0.3, 0.6, 0.9):
        path = tmp_path / f"cut_{share}"
        path.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(UserError, match=r"damaged|not a picture"):
            load_picture(path)


def test_a_record_has_its_pictures_in_order(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name, size in (("b", (2, 3)), ("a", (4, 5))):
        Image.new("RGB", size).save(tmp_path / "images" / f"{name}.png")
    one = record(images=["images/b.png", "images/a.png"])
    assert [picture.size for picture in record_pictures(one, tmp_path / "records.jsonl")] == [(2, 3), (4, 5)]


def test_every_faulty_picture_is_named_with_its_record(faces_path: Path) -> None:
    records = read_records(faces_path)
    assert media_faults(records, faces_path) == []
    missing, cut = (faces_path.parent / records[index].media.images[0] for index in (1, 3))
    missing.unlink()
    cut.write_bytes(cut.read_bytes()[:300])
    load_picture.cache_clear()  # they were whole a moment ago
    first, second = media_faults(records, faces_path)
    assert first == f"{faces_path}: record {records[1].id!r}: {missing}: no such picture"
    assert second.startswith(f"{faces_path}: record {records[3].id!r}: {cut}: the picture is damaged: ")


@pytest.mark.parametrize("media", [{"video": "a.mp4"}, {"audio": "a.wav"}, {"frames": ["a.png"]}])
def test_media_that_no_stage_reads_are_refused(media: dict) -> None:
    (fault,) = media_faults([record(**media)], Path("r.jsonl"))
    assert fault == "r.jsonl: record 'a': video, audio and frames are not read yet; accepted: images"


def test_without_any_strength_a_picture_stays_as_it_is(noise: Image.Image) -> None:
    assert augmented(noise, STILL, random.Random(1)).tobytes() == noise.tobytes()


@pytest.mark.parametrize("size", [(32, 20), (20, 32), (1, 1)])
def test_size_and_mode_stay(size: tuple[int, int]) -> None:
    changed = augmented(Image.new("RGB", size, RED), Augmentation(), random.Random(1))
    assert (changed.size, changed.mode) == (size, "RGB")


def test_the_change_depends_on_the_generator_alone(noise: Image.Image) -> None:
    before = noise.tobytes()
    first = augmented(noise, Augmentation(), random.Random(7)).tobytes()
    assert augmented(noise, Augmentation(), random.Random(7)).tobytes() == first
    assert augmented(noise, Augmentation(), random.Random(8)).tobytes() != first
    assert noise.tobytes() == before, "the picture that was given is left alone"


def test_half_of_the_pictures_are_mirrored(noise: Image.Image) -> None:
    settings = STILL.model_copy(update={"flip": True})
    results = [augmented(noise, settings, random.Random(seed)).tobytes() for seed in range(40)]
    assert set(results) == {noise.tobytes(), ImageOps.mirror(noise).tobytes()}
    assert 10 <= results.count(noise.tobytes()) <= 30


@pytest.mark.parametrize("change", [{"shift": 0.4}, {"min_scale": 0.4, "max_scale": 0.4}, {"rotation_degrees": 45}])
def test_what_comes_in_from_outside_is_white(change: dict) -> None:
    black = Image.new("RGB", (40, 40), "black")
    for seed in range(5):
        colours = augmented(black, STILL.model_copy(update=change), random.Random(seed)).getcolors(1000)
        assert (255, 255, 255) in [colour for _, colour in colours]
        assert all(red == green == blue for _, (red, green, blue) in colours), "black, white, and greys between them"


@pytest.mark.parametrize(("scale", "share"), [(0.5, 0.25), (0.75, 0.5625)])
def test_a_smaller_scale_shows_the_whole_picture_smaller(scale: float, share: float) -> None:
    black = Image.new("RGB", (80, 80), "black")
    small = augmented(black, STILL.model_copy(update={"min_scale": scale, "max_scale": scale}), random.Random(0))
    dark = sum(count for count, colour in small.getcolors(1000) if colour[0] < 128)
    assert dark / 6400 == pytest.approx(share, abs=0.03)
    assert small.getpixel((40, 40)) == (0, 0, 0) and small.getpixel((1, 1)) == (255, 255, 255), "in the middle"


def test_colours_change_within_their_strength() -> None:
    grey = Image.new("RGB", (1, 1), (128, 128, 128))
    seen = [augmented(grey, STILL.model_copy(update={"colour": 0.1}), random.Random(seed)).getpixel((0, 0)) for seed in range(200)]
    # Contrast and greying leave the middle grey alone; each channel's brightness moves by up to 0.3 * 0.1 * 255 = 7.65.
    assert all(120 <= channel <= 136 for pixel in seen for channel in pixel)
    assert min(pixel[0] for pixel in seen) < 124 and max(pixel[2] for pixel in seen) > 132
