"""Fingerprints: what another encoding leaves alone, and what says nothing."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from encoded_media import RATE, speech
from media_samples import face
from PIL import Image, ImageOps

from emoreason.leaks.fingerprints import MIN_STEPS, Fingerprint, Source, picture_bits, sound_bits
from emoreason.leaks.near import num_bits


def bits(picture: Image.Image) -> np.ndarray:
    return np.array(picture_bits(picture)[0], np.uint64)


def saved(picture: Image.Image, path: Path, **options) -> Image.Image:
    picture.save(path, **options)
    return Image.open(path).convert("RGB")


def test_a_wave_sets_the_bit_of_its_frequency() -> None:
    """cos(pi (x + 1/2) k / 32) is the k-th row of the DCT; of column 3 and row 0 it is bit 3, of row 2 and column 0 bit 16."""
    across = 128 + 100 * np.cos(np.pi * (np.arange(32) + 0.5) * 3 / 32)
    wave = Image.fromarray(np.tile(across, (32, 1)).astype(np.uint8)).convert("RGB")
    assert picture_bits(wave)[:2] == (1 << 3, 0)  # its mirror image has the other sign
    down = 128 + 100 * np.cos(np.pi * (np.arange(32) + 0.5) * 2 / 32)
    upright = Image.fromarray(np.tile(down[:, None], (1, 32)).astype(np.uint8)).convert("RGB")
    assert picture_bits(upright)[:2] == (1 << 16, 1 << 16)


def test_another_encoding_or_size_changes_few_bits_and_another_face_many(tmp_path: Path) -> None:
    for index in range(4):
        one = face(index, (112, 112))
        variants = [
            saved(one, tmp_path / "a.jpg", quality=30), saved(one, tmp_path / "a.webp", quality=50), one.resize((56, 56)), one.resize((300, 290)),
            Image.fromarray((np.asarray(one) * 0.8 + 10).astype(np.uint8)), ImageOps.expand(one, 1, "white"),
        ]  # fmt: skip
        assert max(num_bits(bits(one) ^ bits(variant)) for variant in variants) <= 6
        assert num_bits(bits(one) ^ bits(face(index + 1, (112, 112)))) >= 12


def test_the_mirror_image_has_the_mirrored_bits() -> None:
    one = face(1, (112, 112))
    assert picture_bits(ImageOps.mirror(one))[:2] == picture_bits(one)[1::-1]


@pytest.mark.parametrize(("colour", "says_nothing"), [((0, 0, 0), True), ((90, 200, 30), True), (None, False)])
def test_one_colour_has_no_fingerprint(tmp_path: Path, colour: tuple | None, says_nothing: bool) -> None:
    (Image.new("RGB", (64, 48), colour) if colour else face()).save(tmp_path / "a.png")
    found = Source("picture", (tmp_path / "a.png",)).fingerprint()
    assert found.says_nothing == says_nothing and len(found.pictures) == (not says_nothing)


def test_silent_short_and_damaged_sounds_have_none_and_say_why(tmp_path: Path) -> None:
    for name, samples in (("silent", np.zeros(3 * RATE)), ("short", speech(0, 1.0)), ("long", speech(0, 1.6))):
        soundfile.write(tmp_path / f"{name}.wav", samples, RATE)
    (tmp_path / "damaged.wav").write_bytes(b"RIFF\x00\x00\x00\x00nothing of sound")
    (tmp_path / "empty.wav").write_bytes(b"")
    found = {name: Source("sound", (tmp_path / f"{name}.wav",)).fingerprint() for name in ("silent", "short", "long", "damaged", "empty")}
    assert [found[name].notes for name in ("silent", "short", "long")] == [("silent",), ("short",), ()]
    assert [len(one.sound) > 0 for one in found.values()] == [False, False, True, False, False]
    assert found["silent"].says_nothing and not found["damaged"].says_nothing and not found["empty"].says_nothing
    assert found["empty"].notes == ("the file is empty; copy or download it again",)  # no path, since copies share it
    assert str(tmp_path) not in found["damaged"].notes[0]


def test_steps_of_a_sound() -> None:
    """One every 24 ms after the window and the lag of four: (8000 s - 2960) // 192 + 1 - 4."""
    samples = speech(0)[::2]
    found, heard = sound_bits(samples)
    assert len(found) == len(heard) == (len(samples) - 2960) // 192 + 1 - 4 and heard.all()
    assert sound_bits(samples[: 2960 + 4 * 192])[0].shape == (0,)
    assert round(MIN_STEPS * 0.024 + 0.37 + 0.096, 1) == 1.2


def test_gain_changes_no_bit_and_silence_within_is_not_heard() -> None:
    samples = speech(1)[::2]
    assert np.array_equal(sound_bits(samples)[0], sound_bits(samples / 8)[0])
    padded = np.concatenate([np.zeros(16000, np.float32), samples])
    _, heard = sound_bits(padded)
    assert not heard[:65].any() and heard[90:].all()


def test_a_long_sound_is_read_in_blocks_without_a_seam() -> None:
    samples = np.random.default_rng(0).normal(size=1200 * 192).astype(np.float32)
    whole = sound_bits(samples)[0]
    assert np.array_equal(whole[900:1100], sound_bits(samples[900 * 192 :])[0][:200])


def test_frames_are_looked_at_evenly(tmp_path: Path) -> None:
    paths = [tmp_path / f"{number}.png" for number in range(15)]
    source = Source.of_frames(paths, 5.0)
    assert [path.stem for path in source.paths] == ["0", "2", "4", "6", "8", "10", "12", "14"] and source.seconds == 3.0


def test_bytes_and_back(tmp_path: Path) -> None:
    face().save(tmp_path / "a.png")
    one = Source("picture", (tmp_path / "a.png",)).fingerprint()
    again = Fingerprint.from_bytes(one.to_bytes())
    assert all(np.array_equal(getattr(one, name), getattr(again, name)) for name in ("pictures", "mirrored", "thumbnails", "sound", "heard"))
    assert (again.seconds, again.notes) == (one.seconds, one.notes)
    for broken in (b"", one.to_bytes()[:-3], b"[1]\n", b'{"shapes": []}\n', b'{"shapes": [[9], [9], [9], [9], [9]]}\n'):
        with pytest.raises(ValueError):
            Fingerprint.from_bytes(broken)
