"""One file at a time: what is in it by hand, why it cannot be read, and that what passes is what training reads."""

import os
import random
import unicodedata
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from media_samples import face
from PIL import Image
from test_media import FLOWING, cut, tone, write_clip

from emoreason.faults import UserError
from emoreason.media import load_audio, load_picture, load_video
from emoreason.media_check.findings import Place, findings
from emoreason.media_check.probe import Found, identify, look
from emoreason.recipe import MediaSettings
from emoreason.record_media import LOOKS, Use

SETTINGS = MediaSettings()
LFS = "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


def found(path: Path, kind: str) -> Found:
    return look(path, kind, False, 512.0).found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One good file of each sort."""
    made = tmp_path_factory.mktemp("good")
    sound = np.stack([tone(2, 48000)] * 2)
    write_clip(made / "clip.mp4", FLOWING, codec="libx264", sound=sound, movflags="faststart")
    write_clip(made / "bframes.mkv", FLOWING, codec="libx264", options={"bf": "3", "g": "12"})
    write_clip(made / "counted.avi", FLOWING, unit=Fraction(1, 25))
    write_clip(made / "silent.mp4", FLOWING, codec="libx264", sound=0 * sound)
    write_clip(made / "turned.mp4", FLOWING, codec="libx264", rotation=90)
    for ending in ("wav", "flac", "ogg", "mp3"):
        soundfile.write(made / f"tone.{ending}", tone(1, 16000), 16000)
    for ending in ("png", "jpg", "webp"):
        face(0).save(made / f"face.{ending}")
    return made


# What is in a file.


def test_a_clip_is_decoded_whole(folder: Path) -> None:
    clip = found(folder / "clip.mp4", "clip")
    assert (clip.num_frames, clip.fps, clip.seconds, clip.stated_seconds) == (50, 25.0, 2.0, 2.0)
    assert (clip.width, clip.height, clip.rotation, clip.problem) == (64, 48, 0, None)
    assert (clip.sound.sample_rate, clip.sound.channels, clip.sound.problem) == (48000, 2, None)
    assert clip.sound.seconds == pytest.approx(2.0, abs=0.03)  # AAC comes in blocks of 1024 samples
    assert clip.sound.rms == pytest.approx(0.5 / 2**0.5, rel=0.02)


@pytest.mark.parametrize(("name", "num_frames"), [("bframes.mkv", 50), ("counted.avi", 50), ("turned.mp4", 50)])
def test_frames_are_counted_in_every_container(folder: Path, name: str, num_frames: int) -> None:
    clip = found(folder / name, "clip")
    assert (clip.num_frames, clip.sound, clip.problem) == (num_frames, None, None)
    assert clip.seconds == pytest.approx(2.0, abs=0.01) and clip.fps == pytest.approx(25, rel=0.01)


def test_a_turned_clip_is_measured_upright(folder: Path) -> None:
    clip = found(folder / "turned.mp4", "clip")
    assert (clip.width, clip.height, clip.rotation) == (48, 64, 90)


def test_a_clip_of_one_frame_lasts_as_long_as_the_frame(tmp_path: Path) -> None:
    clip = found(write_clip(tmp_path / "one.mp4", [0.0], codec="libx264"), "clip")
    assert (clip.num_frames, clip.seconds) == (1, pytest.approx(0.04, abs=0.001))


@pytest.mark.parametrize("orientation, size, turn", [(1, (84, 56), 0), (3, (84, 56), 180), (6, (56, 84), 270), (8, (56, 84), 90)])
def test_a_picture_is_measured_upright(tmp_path: Path, orientation: int, size: tuple[int, int], turn: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    face(0).save(tmp_path / "a.jpg", exif=exif)
    picture = found(tmp_path / "a.jpg", "picture")
    assert ((picture.width, picture.height), picture.rotation, picture.format) == (size, turn, "JPEG")


def test_loudness_is_of_the_mean_of_the_channels(tmp_path: Path) -> None:
    left = tone(1, 16000, peak=0.5)
    soundfile.write(tmp_path / "a.wav", np.stack([left, -left], axis=1), 16000, subtype="FLOAT")
    sound = found(tmp_path / "a.wav", "sound").sound
    assert (sound.peak, sound.rms, sound.channels, sound.seconds) == (0.0, 0.0, 2, 1.0), "training would hear nothing"
    soundfile.write(tmp_path / "b.wav", left, 16000, subtype="FLOAT")
    sound = found(tmp_path / "b.wav", "sound").sound
    assert (sound.peak, sound.rms) == (pytest.approx(0.5, abs=1e-3), pytest.approx(0.353553, abs=1e-5))


def test_clipped_samples_are_counted_in_each_channel(tmp_path: Path) -> None:
    left = np.zeros(1000)
    left[:250] = 1.0
    soundfile.write(tmp_path / "a.wav", np.stack([left, 0.1 * np.ones(1000)], axis=1), 16000)
    assert found(tmp_path / "a.wav", "sound").sound.clipped == 0.25


def test_a_long_sound_is_read_in_pieces(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(30, 16000), 16000)  # 480 000 samples, more than a block of 65 536
    sound = found(tmp_path / "a.wav", "sound").sound
    assert (sound.seconds, sound.rms) == (30.0, pytest.approx(0.353553, abs=1e-4))


def test_a_row_of_json_gives_it_back(folder: Path) -> None:
    for name, kind in (("clip.mp4", "clip"), ("face.png", "picture"), ("tone.mp3", "sound"), ("absent", "sound")):
        one = found(folder / name, kind)
        assert Found.of_row(one.row()) == one


# Why a file cannot be read.


@pytest.mark.parametrize(
    ("name", "kind", "content", "reason"),
    [
        ("absent.png", "picture", None, "missing"),
        ("a.png", "picture", b"", "zero bytes"),
        ("a.mp4", "clip", LFS.encode(), "LFS pointer"),
        ("a.wav", "sound", LFS.encode(), "LFS pointer"),
        ("a.mp4", "clip", b"x", "damaged"),
        ("a.png", "picture", b"x", "other kind"),
        ("a.wav", "sound", b"x", "damaged"),
        ("a.wav", "sound", b"RIFF", "damaged"),
        ("a.png", "picture", b"<html>not found</html>", "other kind"),
    ],
)
def test_reasons_of_small_files(tmp_path: Path, name: str, kind: str, content: bytes | None, reason: str) -> None:
    if content is not None:
        (tmp_path / name).write_bytes(content)
    one = found(tmp_path / name, kind)
    assert one.reason == reason and one.problem
    assert str(tmp_path) not in one.problem, "it is kept by content, whatever the name"


@pytest.mark.parametrize(
    ("source", "share", "kind", "reason"),
    [("clip.mp4", 0.5, "clip", "truncated"), ("clip.mp4", 0.99, "clip", "truncated"), ("tone.wav", 0.5, "sound", "truncated"),
     ("face.png", 0.5, "picture", "truncated"), ("face.jpg", 0.7, "picture", "truncated"), ("tone.flac", 0.5, "sound", "damaged")],
)  # fmt: skip
def test_files_that_break_off(folder: Path, source: str, share: float, kind: str, reason: str) -> None:
    assert found(cut(folder / source, share), kind).reason == reason


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [("clip.mp4", "picture", "give it under video"), ("tone.mp3", "picture", "give it under audio"), ("face.png", "clip", "give it under images"),
     ("tone.wav", "clip", "give it under audio"), ("face.png", "sound", "give it under images"), ("turned.mp4", "sound", "without sound")],
)  # fmt: skip
def test_files_of_another_kind(folder: Path, name: str, kind: str, words: str) -> None:
    one = found(folder / name, kind)
    assert one.reason == "other kind" and words in one.problem


def test_a_damaged_frame_between_those_that_training_samples_is_found(tmp_path: Path) -> None:
    """Training samples the frames 0, 16, 32 and 49, and decodes from the keyframe before each, which every fifth is; frame 7 it never sees."""
    path = write_clip(tmp_path / "a.mp4", FLOWING, codec="libx264", options={"g": "5", "bf": "0"})
    with av.open(str(path)) as container:
        place, size = next((packet.pos, packet.size) for number, packet in enumerate(container.demux(video=0)) if number == 7)
    content = bytearray(path.read_bytes())
    content[place + 4 : place + size] = bytes(size - 4)
    path.write_bytes(content)
    load_video(path, SETTINGS)
    assert found(path, "clip").reason == "damaged"


def test_what_is_no_plain_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "loop.png").symlink_to(tmp_path / "loop.png")
    (tmp_path / "dangling.png").symlink_to(tmp_path / "absent.png")
    assert found(tmp_path / "pipe.png", "picture").reason == "not a file"
    assert found(tmp_path, "picture").reason == "not a file"
    assert found(tmp_path / "loop.png", "picture").reason == "unreadable"
    assert found(tmp_path / "dangling.png", "picture").reason == "missing"
    assert found(tmp_path / "a\0b.png", "picture").reason == "missing"
    assert found(tmp_path / ("x" * 300), "picture").reason == "unreadable"
    assert identify(tmp_path / "pipe.png") is None and identify(tmp_path / "a\0b.png") is None


def test_a_link_to_a_picture_is_the_picture(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(folder / "face.png")
    assert found(tmp_path / "link.png", "picture") == found(folder / "face.png", "picture")


@pytest.mark.parametrize("there, asked", [("a.JPG", "a.jpg"), (unicodedata.normalize("NFD", "é.png"), unicodedata.normalize("NFC", "é.png"))])
def test_a_name_that_is_nearly_there_is_told(tmp_path: Path, there: str, asked: str) -> None:
    face(0).save(tmp_path / there)
    problem = found(tmp_path / asked, "picture").problem
    assert problem.startswith("no such picture; ") and repr(there) in problem


def test_a_large_file_is_not_opened(folder: Path) -> None:
    looked = look(folder / "clip.mp4", "clip", False, 0.001)
    assert (looked.found.reason, looked.digest) == ("too large", None)


def test_a_tiny_picture_is_a_picture(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "a.png")
    assert (found(tmp_path / "a.png", "picture").width, found(tmp_path / "a.png", "picture").problem) == (1, None)
    Image.new("RGB", (4000, 10)).save(tmp_path / "b.png")
    assert found(tmp_path / "b.png", "picture").reason == "unfit pixels"


# What passes is what training reads.


def refuses(role: str, path: Path) -> bool:
    try:
        if role == "picture":
            load_picture(path)
        elif role == "clip":
            load_video(path, SETTINGS)
        else:
            load_audio(path, SETTINGS, in_video=role == "sound track")
    except UserError:
        return True
    finally:
        load_picture.cache_clear()
    return False


def finds_fault(role: str, path: Path) -> bool:
    place = Place(path.parent / "records.jsonl", Use(path.name, role))
    return any(one.is_fault for one in findings(place, found(path, LOOKS[role]), SETTINGS, "a"))


@pytest.mark.parametrize(
    "name", ["clip.mp4", "bframes.mkv", "counted.avi", "silent.mp4", "turned.mp4", "tone.wav", "tone.flac", "tone.ogg", "tone.mp3", "face.png",
             "face.jpg", "face.webp"],
)  # fmt: skip
def test_whole_files_are_judged_as_training_does(folder: Path, name: str) -> None:
    for role in LOOKS.keys() - {"frame"}:
        assert finds_fault(role, folder / name) == refuses(role, folder / name), role


@pytest.mark.parametrize(
    ("name", "role"),
    [("clip.mp4", "clip"), ("clip.mp4", "sound track"), ("bframes.mkv", "clip"), ("counted.avi", "clip"), ("tone.flac", "sound"),
     ("tone.mp3", "sound"), ("face.png", "picture"), ("face.jpg", "picture")],
)  # fmt: skip
def test_no_damaged_file_passes_that_training_refuses(folder: Path, tmp_path: Path, name: str, role: str) -> None:
    generator, num_refused = random.Random(name), 0
    for number in range(12):
        content = bytearray((folder / name).read_bytes())
        start = generator.randrange(len(content))
        content[start : start + 60] = generator.randbytes(len(content[start : start + 60]))
        path = tmp_path / f"{number}{Path(name).suffix}"
        path.write_bytes(content)
        if refuses(role, path):
            num_refused += 1
            assert finds_fault(role, path)
    assert num_refused or role == "sound"
