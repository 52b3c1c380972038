"""Pictures, clips and sounds come as they are or not at all; what cannot be read is named, with what to do about it."""

import dataclasses
import random
import socket
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from PIL import Image, ImageOps

from emoreason.augmentation import augmented, augmented_picture
from emoreason.decoding import sampled_places
from emoreason.faults import UserError
from emoreason.media import (
    DecodedCache,
    Medium,
    load_audio,
    load_frames,
    load_picture,
    load_video,
    media_faults,
    picture,
    record_media,
)
from emoreason.recipe import Augmentation, MediaSettings
from emoreason.records import Record, read_records

STILL = Augmentation(rotation_degrees=0, min_scale=1, max_scale=1, shift=0, flip=False, colour=0)
RED = (200, 30, 10)
SETTINGS = MediaSettings()
SIZE = (64, 48)
FLOWING = [number / 25 for number in range(50)]
"""Times of the frames of a clip of two seconds."""


def settings(**changes: object) -> MediaSettings:
    return MediaSettings.model_validate(SETTINGS.model_dump() | changes)


def record(**media: object) -> Record:
    return Record.model_validate({"id": "a", "dataset": "d", "split": "s", "group": "g", "media": media, "licence": "l", "source": "s"})


def fault_of(load, *arguments: object, **more: object) -> str:
    with pytest.raises(UserError) as caught:
        load(*arguments, **more)
    (fault,) = caught.value.faults
    return fault


def tone(seconds: float, rate: int, hertz: float = 440.0, peak: float = 0.5) -> np.ndarray:
    return (peak * np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def frame_pixels(number: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A grey that tells the frame's number, four levels each, and white in the upper left quarter."""
    pixels = np.full((size[1], size[0], 3), 4 * number, np.uint8)
    pixels[: size[1] // 2, : size[0] // 2] = 255
    return pixels


def write_clip(
    path: Path,
    times: list[float],
    *,
    codec: str = "mpeg4",
    size: tuple[int, int] = SIZE,
    pix_fmt: str = "yuv420p",
    sound: np.ndarray | None = None,
    sound_codec: str = "aac",
    sound_start: float = 0.0,
    rate: int = 48000,
    rotation: int | None = None,
    rotate_tag: str | None = None,
    options: dict[str, str] | None = None,
    unit: Fraction = Fraction(1, 1000),
    **muxer: str,
) -> Path:
    """A real clip, a frame a time, with `sound` (channels, samples) beside it; `unit` is the unit of the frames' times."""
    with av.open(str(path), "w", options=muxer) as container:
        video = container.add_stream(codec, rate=25, options=options or {})
        video.width, video.height, video.pix_fmt = *size, pix_fmt
        video.codec_context.time_base, video.bit_rate = unit, 4_000_000
        if rotation is not None:
            video.set_display_rotation(rotation)
        if rotate_tag is not None:
            video.metadata["rotate"] = rotate_tag
        audio = None
        if sound is not None:
            layout = "mono" if len(sound) == 1 else "stereo"
            audio = container.add_stream(sound_codec, rate=rate, layout=layout)
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(frame_pixels(number, size), format="rgb24")
            frame.pts, frame.time_base = round(time / unit), unit
            container.mux(video.encode(frame))
        container.mux(video.encode())
        if audio is not None:
            frame = av.AudioFrame.from_ndarray(sound, format="fltp", layout=layout)
            frame.sample_rate, frame.pts, frame.time_base = rate, round(sound_start * rate), Fraction(1, rate)
            if sound_codec.startswith("pcm"):
                (frame,) = av.AudioResampler(format="s16").resample(frame)
            container.mux(audio.encode(frame))
            container.mux(audio.encode())
    return path


def numbers(medium: Medium) -> list[int]:
    """Which frames a clip of `write_clip` shows, read from their lower right corner."""
    return [round(float(frame[-12:-2, -12:-2].mean()) / 4) for frame in medium.content]


def cut(path: Path, share: float, name: str | None = None) -> Path:
    whole = path.read_bytes()
    shorter = path.with_name(name or f"cut_{share}_{path.name}")
    shorter.write_bytes(whole[: int(len(whole) * share)])
    return shorter


@pytest.fixture
def noise() -> Image.Image:
    """A picture in which every place looks different."""
    return Image.frombytes("RGB", (32, 20), random.Random(0).randbytes(32 * 20 * 3))


@pytest.fixture(scope="module")
def clip_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds at 25 frames a second with a tone in stereo at 48 kHz; the header stands before the content."""
    sound = np.stack([tone(2, 48000)] * 2)
    return write_clip(tmp_path_factory.mktemp("clip") / "clip.mp4", FLOWING, codec="libx264", sound=sound, movflags="faststart")


# Pictures.


@pytest.mark.parametrize(
    ("image", "expected"),
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
def test_a_picture_comes_in_rgb_its_transparent_parts_white(tmp_path: Path, image: Image.Image, expected: tuple) -> None:
    image.save(tmp_path / "a.png")
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


def test_a_photograph_stands_upright(tmp_path: Path, noise: Image.Image) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # the camera was held so that the right side of the picture is its top: turn it by 90 degrees clockwise
    noise.save(tmp_path / "a.png", exif=exif)
    assert load_picture(tmp_path / "a.png").tobytes() == noise.transpose(Image.Transpose.ROTATE_270).tobytes()


def test_what_is_no_picture_is_named(tmp_path: Path, clip_path: Path) -> None:
    soundfile.write(tmp_path / "sound.png", tone(1, 16000), 16000, format="WAV")
    (tmp_path / "clip.png").write_bytes(clip_path.read_bytes())
    (tmp_path / "text.png").write_text("a text")
    (tmp_path / "empty.png").write_bytes(b"")
    Image.new("1", (8001, 8000)).save(tmp_path / "large.png")
    Image.new("1", (201, 1)).save(tmp_path / "thin.png")
    messages = {
        "text.png": "not a picture that Pillow can read",
        "empty.png": "the file is empty; copy or download it again",
        "absent.png": "no such picture",
        "text.png/a.png": "no such picture",
        "": "a folder, not a picture",
        "sound.png": "not a picture that Pillow can read, but a sound; give it under audio",
        "clip.png": "not a picture that Pillow can read, but a clip; give it under video",
        "large.png": "8001 x 8000 pixels are more than 64 million; scale it down",
        "thin.png": "201 x 1 pixels: one side is more than 200 times the other; crop it",
    }
    for name, message in messages.items():
        assert fault_of(load_picture, tmp_path / name) == f"{tmp_path / name}: {message}"


def test_a_header_of_nonsense_is_damage(tmp_path: Path) -> None:
    (tmp_path / "a.sgi").write_bytes(b"\x01\xda" + bytes(600))
    assert fault_of(load_picture, tmp_path / "a.sgi") == f"{tmp_path / 'a.sgi'}: the picture is damaged: Unsupported SGI image mode"


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "WEBP"])
def test_a_picture_that_breaks_off_is_damaged_wherever_it_does(tmp_path: Path, kind: str, noise: Image.Image) -> None:
    noise.save(tmp_path / "whole", kind)
    for share in (0.3, 0.6, 0.9):
        with pytest.raises(UserError, match=r"damaged|not a picture|breaks off"):
            load_picture(cut(tmp_path / "whole", share))


def test_a_record_has_its_pictures_in_order(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for name, size in (("b", (2, 3)), ("a", (4, 5))):
        Image.new("RGB", size).save(tmp_path / "images" / f"{name}.png")
    one = record(images=["images/b.png", "images/a.png"])
    assert [shown.content.size for shown in record_media(one, tmp_path / "records.jsonl", SETTINGS)] == [(2, 3), (4, 5)]


# Clips.


@pytest.mark.parametrize(
    ("name", "codec", "sound_codec"),
    [
        ("a.mp4", "libx264", "aac"),
        ("a.mov", "mpeg4", "pcm_s16le"),
        ("a.mkv", "libx264", "flac"),
        ("a.webm", "libvpx-vp9", "libopus"),
        ("a.avi", "libx264", "pcm_s16le"),
        ("a.avi", "mpeg4", "libmp3lame"),
        ("a.ts", "libx264", "aac"),
        ("a.flv", "libx264", "aac"),
        ("a.mpg", "mpeg2video", "mp2"),
    ],
)
def test_four_frames_of_two_seconds_stand_at_even_times(tmp_path: Path, name: str, codec: str, sound_codec: str) -> None:
    """Two a second are wanted; the moments 0, 0.653, 1.307, 1.96 s fall on the frames 0, 16, 32, 49 of 25 a second."""
    options = {"bf": "2"} if codec in ("libx264", "mpeg4", "mpeg2video") else {}
    path = write_clip(tmp_path / name, FLOWING, codec=codec, sound_codec=sound_codec, sound=np.stack([tone(2, 48000)] * 2), options=options,
                      unit=Fraction(1, 25))  # fmt: skip
    clip = load_video(path, SETTINGS)
    assert (clip.kind, clip.content.shape, clip.content.dtype) == ("video", (4, 48, 64, 3), np.uint8)
    assert numbers(clip) == [0, 16, 32, 49]
    assert clip.times == pytest.approx((0, 0.64, 1.28, 1.96), abs=1e-3)
    assert clip.fps == pytest.approx(2.0, abs=0.01)
    sound = load_audio(path, SETTINGS)
    assert (sound.kind, sound.sample_rate, sound.in_video) == ("audio", 16000, False)
    assert len(sound.content) == pytest.approx(32000, abs=1500), "codecs pad their last block"


def test_times_are_those_of_showing_where_the_rate_varies(tmp_path: Path) -> None:
    """Moments 0, 0.667, 1.333, 2 s: at 0.667 s the frame of 0.2 s is still on the screen."""
    clip = load_video(write_clip(tmp_path / "a.mkv", [0, 0.1, 0.2, 1.2, 1.25, 2.0]), SETTINGS)
    assert numbers(clip) == [0, 2, 4, 5]
    assert clip.times == (0.0, 0.2, 1.25, 2.0)
    assert clip.fps == pytest.approx(4 / 2.04), "the last frame stays for 1/25 s"


def test_time_begins_with_the_first_frame(tmp_path: Path) -> None:
    clip = load_video(write_clip(tmp_path / "a.mkv", [time + 0.52 for time in FLOWING]), SETTINGS)
    assert numbers(clip) == [0, 16, 32, 49]
    assert clip.times == pytest.approx((0, 0.64, 1.28, 1.96))


@pytest.mark.parametrize(
    ("num_frames", "duration", "changes", "places"),
    [
        (50, 2.0, {}, [0, 16, 32, 49]),  # 2 x 2 a second
        (50, 2.0, {"fps": 1, "min_frames": 2}, [0, 49]),
        (50, 2.0, {"fps": 1.5, "min_frames": 2}, [0, 16, 32, 49]),  # 3 are as near to 4 as to 2
        (50, 2.0, {"fps": 1.4, "min_frames": 2}, [0, 49]),
        (50, 2.0, {"fps": 25, "max_frames": 6}, [0, 9, 19, 29, 39, 49]),
        (50, 2.0, {"fps": 25, "max_frames": 5}, [0, 16, 32, 49]),
        (50, 2.0, {"fps": 0.1, "min_frames": 3}, [0, 16, 32, 49]),
        (5, 0.2, {}, [0, 1, 2, 4]),  # at least four; moments 0, 1.33, 2.67, 4 frames
        (3, 0.12, {}, [0, 2]),  # no more than there are, made even
        (2, 0.08, {}, [0, 1]),
        (1, 0.04, {}, [0, 0]),
    ],
)
def test_frames_are_even_in_number_and_within_the_limits(num_frames: int, duration: float, changes: dict, places: list[int]) -> None:
    seconds = np.arange(num_frames) * duration / num_frames
    assert sampled_places(seconds, duration, settings(**changes)).tolist() == places


def test_a_single_frame_is_shown_twice(tmp_path: Path) -> None:
    clip = load_video(write_clip(tmp_path / "a.mp4", [0.0]), SETTINGS)
    assert (numbers(clip), clip.times, clip.fps) == ([0, 0], (0.0, 0.0), pytest.approx(2 / 0.04))


@pytest.mark.parametrize("size", [(63, 47), (2, 2), (400, 2), (3, 500)])
def test_pixels_are_those_of_the_file(tmp_path: Path, size: tuple[int, int]) -> None:
    path = write_clip(tmp_path / "a.mkv", FLOWING[:2], codec="ffv1", pix_fmt="bgr0", size=size)
    assert np.array_equal(load_video(path, SETTINGS).content, [frame_pixels(0, size), frame_pixels(1, size)])


@pytest.mark.parametrize(("degrees", "quarters"), [(0, 0), (90, 1), (180, 2), (-90, 3)])
def test_a_clip_stands_upright_as_its_display_matrix_says(tmp_path: Path, degrees: int, quarters: int) -> None:
    """Quarter turns counterclockwise; the white corner is in the upper left as stored."""
    clip = load_video(write_clip(tmp_path / "a.mkv", FLOWING[:2], codec="ffv1", pix_fmt="bgr0", rotation=degrees), SETTINGS)
    assert np.array_equal(clip.content[1], np.rot90(frame_pixels(1), quarters))


def test_a_clip_stands_upright_as_the_older_tag_says(tmp_path: Path) -> None:
    """A phone writes 90 when the picture has to be turned clockwise."""
    clip = load_video(write_clip(tmp_path / "a.mkv", FLOWING[:2], codec="ffv1", pix_fmt="bgr0", rotate_tag="90"), SETTINGS)
    assert np.array_equal(clip.content[1], np.rot90(frame_pixels(1), -1))


@pytest.mark.parametrize("open_gop", [0, 1])
def test_skipping_what_is_not_sampled_changes_no_pixel(tmp_path: Path, open_gop: int) -> None:
    options = {"g": "5", "bf": "2", "x264-params": f"keyint=5:min-keyint=5:scenecut=0:open-gop={open_gop}:b-adapt=0"}
    path = write_clip(tmp_path / "a.mp4", [number / 25 for number in range(60)], codec="libx264", options=options)
    with av.open(str(path)) as container:
        keyframes = sum(packet.is_keyframe for packet in container.demux() if packet.size)
    with av.open(str(path)) as container:
        every = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert keyframes >= 10
    for wanted in (4, 6, 10):
        clip = load_video(path, settings(min_frames=wanted, max_frames=wanted))
        assert np.array_equal(clip.content, [every[round(time * 25)] for time in clip.times])


def test_frames_beyond_use_are_scaled_down(tmp_path: Path) -> None:
    """64 x 48 are 3072 pixels; four times 192 are 768, a quarter of them."""
    path = write_clip(tmp_path / "a.mp4", FLOWING)
    small = load_video(path, settings(video_min_pixels=1, video_max_pixels=192))
    assert small.content.shape == (4, 24, 32, 3)
    assert small.content[3, 3, 3].tolist() == pytest.approx([255] * 3, abs=3) and numbers(small) == [0, 16, 32, 49]
    assert load_video(path, settings(video_min_pixels=1, video_max_pixels=768)).content.shape == (4, 48, 64, 3)
    Image.new("RGB", SIZE, RED).save(tmp_path / "a.png")
    frames = load_frames([tmp_path / "a.png"] * 2, 2, settings(video_min_pixels=1, video_max_pixels=192))
    assert frames.content.shape == (2, 24, 32, 3) and frames.content[0, 0, 0].tolist() == list(RED)


def test_a_clip_of_pictures_is_sampled_like_any_other(tmp_path: Path) -> None:
    paths = []
    for number in range(10):
        paths.append(tmp_path / f"{number}.png")
        Image.fromarray(frame_pixels(number)).save(paths[-1])
    clip = load_frames(paths, 5.0, SETTINGS)  # two seconds
    assert numbers(clip) == [0, 3, 6, 9] and clip.times == (0.0, 0.6, 1.2, 1.8) and clip.fps == 2.0
    assert np.array_equal(clip.content[1], frame_pixels(3))

    paths[3].write_bytes(paths[3].read_bytes()[:60])
    paths[6].unlink()
    paths[4].unlink()  # never looked at
    Image.new("RGB", (4, 4)).save(paths[9])
    with pytest.raises(UserError) as caught:
        load_frames(paths, 5.0, SETTINGS)
    damaged, missing, other = caught.value.faults
    assert damaged.startswith(f"{paths[3]}: ") and missing == f"{paths[6]}: no such picture"
    assert other == f"{paths[9]}: (4, 4) pixels where {paths[0]} has (64, 48); frames of a clip have one size"
    assert fault_of(load_frames, paths, 0.05, SETTINGS) == f"{paths[0]} and 9 more: longer than media.max_seconds 120; cut it or raise the limit"


# Sounds.


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100, 48000])
@pytest.mark.parametrize("sample_rate", [16000, 24000])
def test_a_tone_stays_the_same_tone_at_another_rate(tmp_path: Path, rate: int, sample_rate: int) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1, rate), rate, subtype="FLOAT")
    sound = load_audio(tmp_path / "a.wav", settings(sample_rate=sample_rate))
    assert sound.content.dtype == np.float32 and sound.content.shape == (sample_rate,) and sound.sample_rate == sample_rate
    inner = slice(sample_rate // 10, -sample_rate // 10)  # no filter knows what lies beyond the ends
    assert np.abs(sound.content - tone(1, sample_rate))[inner].max() < 2e-3


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.mp3", "a.m4a"])
def test_channels_are_averaged(tmp_path: Path, name: str) -> None:
    """Half a scale on the left and silence on the right are a quarter of a scale, however the file is packed."""
    stereo = np.stack([tone(1, 48000), np.zeros(48000, np.float32)])
    if name == "a.m4a":
        write_clip(tmp_path / "a.mkv", FLOWING, sound=stereo).rename(tmp_path / name)
    else:
        soundfile.write(tmp_path / name, stereo.T, 48000)
    sound = load_audio(tmp_path / name, SETTINGS).content
    assert np.sqrt((sound[2000:-2000] ** 2).mean()) == pytest.approx(0.25 / np.sqrt(2), rel=0.03)


def test_twelve_channels_are_averaged_too(tmp_path: Path) -> None:
    """W64 is read through FFmpeg."""
    channels = np.zeros((16000, 12), np.float32)
    channels[:, 3] = tone(1, 16000, peak=0.6)
    soundfile.write(tmp_path / "a.w64", channels, 16000, subtype="FLOAT")
    assert np.abs(load_audio(tmp_path / "a.w64", SETTINGS).content - tone(1, 16000, peak=0.05)).max() < 1e-6


def test_what_overshoots_is_clipped(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(1, 16000, peak=1.5), 16000, subtype="FLOAT")
    sound = load_audio(tmp_path / "a.wav", SETTINGS).content
    assert (sound.min(), sound.max()) == (-1.0, 1.0)


@pytest.mark.parametrize(("video_start", "sound_start"), [(0.0, 0.0), (0.0, 0.48), (0.48, 0.0), (0.48, 0.96)])
@pytest.mark.parametrize("name", ["a.mkv", "a.mp4"])
def test_a_sound_track_is_heard_in_time_with_its_frames(tmp_path: Path, name: str, video_start: float, sound_start: float) -> None:
    """A click stands 0.5 s into the sound; it has to come as long after the first frame as the clocks of both say."""
    sound = np.zeros((1, 72000), np.float32)
    sound[0, 24000:24480] = tone(0.01, 48000)
    times = [time + video_start for time in FLOWING]
    path = write_clip(tmp_path / name, times, sound=sound, sound_codec="flac", sound_start=sound_start)
    heard = load_audio(path, SETTINGS, in_video=True)
    assert heard.in_video and heard.sample_rate == 16000
    loud = np.flatnonzero(np.abs(heard.content) > 0.1)
    assert loud[0] / 16000 == pytest.approx(0.5 + sound_start - video_start, abs=0.003)
    alone = np.flatnonzero(np.abs(load_audio(path, SETTINGS).content) > 0.1)
    assert alone[0] / 16000 == pytest.approx(0.5, abs=0.003), "without its clip a sound begins where it begins"


# What is refused.


def test_what_is_missing_empty_or_a_pointer_is_named(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "pointer").write_text("version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n")
    for load, kind in ((load_video, "clip"), (load_audio, "sound")):
        assert fault_of(load, tmp_path / "absent", SETTINGS) == f"{tmp_path / 'absent'}: no such {kind}"
        assert fault_of(load, tmp_path, SETTINGS) == f"{tmp_path}: a folder, not a {kind}"
        assert fault_of(load, tmp_path / "empty", SETTINGS) == f"{tmp_path / 'empty'}: the file is empty; copy or download it again"
        pointer = f"{tmp_path / 'pointer'}: a pointer of Git LFS, not the {kind} itself; fetch it: git lfs pull"
        assert fault_of(load, tmp_path / "pointer", SETTINGS) == pointer
    assert fault_of(load_picture, tmp_path / "pointer").endswith("not the picture itself; fetch it: git lfs pull")


def test_one_kind_given_as_another_is_named(tmp_path: Path, clip_path: Path) -> None:
    for name in ("a.png", "a.jpg", "a.gif", "a.webp", "a.avif"):
        Image.new("RGB", SIZE, RED).save(tmp_path / name)
        assert fault_of(load_video, tmp_path / name, SETTINGS) == f"{tmp_path / name}: not a clip: a picture; give it under images"
        assert fault_of(load_audio, tmp_path / name, SETTINGS) == f"{tmp_path / name}: not a sound: a picture; give it under images"
    for name in ("a.wav", "a.flac", "a.mp3"):
        soundfile.write(tmp_path / name, tone(1, 16000), 16000)
        assert fault_of(load_video, tmp_path / name, SETTINGS) == f"{tmp_path / name}: not a clip: a sound; give it under audio"
    (tmp_path / "a.mp4").write_text("<html>404 Not Found</html>")
    assert fault_of(load_video, tmp_path / "a.mp4", SETTINGS).startswith(f"{tmp_path / 'a.mp4'}: damaged, or not a clip that FFmpeg can read: ")


def test_a_clip_without_sound_cannot_be_heard(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", FLOWING)
    track = "the clip has no sound track; set audio_in_video to false, or give its sound under audio"
    assert fault_of(load_audio, path, SETTINGS, in_video=True) == f"{path}: {track}"
    assert fault_of(load_audio, path, SETTINGS) == f"{path}: not a sound: without sound; give a sound, or a clip with a sound track"


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9, 0.99])
def test_a_clip_that_breaks_off_is_refused_wherever_it_does(clip_path: Path, share: float) -> None:
    shorter = cut(clip_path, share)
    for more in ({}, {"in_video": True}):
        load = load_audio if more else load_video
        assert "breaks off" in fault_of(load, shorter, SETTINGS, **more) or share < 0.2


@pytest.mark.parametrize(
    ("name", "options"),
    [("a.mkv", {}), ("a.avi", {"unit": Fraction(1, 25)}), ("a.mp4", {}), ("a.webm", {"codec": "libvpx-vp9", "sound_codec": "libopus"})],
)
def test_other_containers_that_break_off_are_refused(tmp_path: Path, name: str, options: dict) -> None:
    path = write_clip(tmp_path / name, FLOWING, sound=np.stack([tone(2, 48000)] * 2), **options)
    for share in (0.3, 0.6):
        assert str(path.parent) in fault_of(load_video, cut(path, share), SETTINGS)


@pytest.mark.parametrize("name", ["a.wav", "a.flac", "a.ogg", "a.m4a"])
def test_a_sound_that_breaks_off_is_refused(tmp_path: Path, name: str) -> None:
    if name == "a.m4a":
        write_clip(tmp_path / "a.mp4", FLOWING, sound=np.stack([tone(2, 48000)] * 2), movflags="faststart").rename(tmp_path / name)
    else:
        soundfile.write(tmp_path / name, tone(2, 48000), 48000)
    for share in (0.3, 0.6, 0.9):
        assert str(tmp_path) in fault_of(load_audio, cut(tmp_path / name, share), SETTINGS)


def test_sounds_without_a_sound_are_refused(tmp_path: Path) -> None:
    broken = tone(1, 16000)
    broken[700] = np.nan
    given = {
        "silent.wav": (np.zeros(16000, np.float32), "the sound is silent (its peak is 0.0e+00 of full scale); leave it out of the record"),
        "hum.wav": (tone(1, 16000, peak=5e-5), "the sound is silent (its peak is 5.0e-05 of full scale); leave it out of the record"),
        "nan.wav": (broken, "holds samples that are no numbers (NaN or infinite); save it again"),
        "int.wav": (tone(1, 16000, peak=32000), "samples reach 32000 where 1 is full scale; divide them by their scale and save it again"),
        "short.wav": (tone(0.05, 16000), "0.050 s of sound, less than 0.1 s; leave it out of the record"),
        "none.wav": (np.zeros(0, np.float32), "0.000 s of sound, less than 0.1 s; leave it out of the record"),
    }
    for name, (samples, message) in given.items():
        soundfile.write(tmp_path / name, samples, 16000, subtype="FLOAT")
        assert fault_of(load_audio, tmp_path / name, SETTINGS) == f"{tmp_path / name}: {message}"
    soundfile.write(tmp_path / "quiet.wav", tone(1, 16000, peak=2e-4), 16000, subtype="FLOAT")
    assert load_audio(tmp_path / "quiet.wav", SETTINGS).content.max() == pytest.approx(2e-4, rel=0.01)
    path = write_clip(tmp_path / "silent.mp4", FLOWING, sound=np.zeros((2, 96000), np.float32))
    assert "the sound is silent" in fault_of(load_audio, path, SETTINGS, in_video=True)


def test_limits_on_length_and_size_hold(tmp_path: Path, clip_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tone(2, 16000), 16000)
    soundfile.write(tmp_path / "a.mp3", tone(2, 16000), 16000)
    too_long = "longer than media.max_seconds 1.9; cut it or raise the limit"
    for path, load in ((clip_path, load_video), (clip_path, load_audio), (tmp_path / "a.wav", load_audio), (tmp_path / "a.mp3", load_audio)):
        assert fault_of(load, path, settings(max_seconds=1.9)) == f"{path}: {too_long}"
        assert load(path, settings(max_seconds=2.2)).kind
        size = path.stat().st_size / 1e6
        assert f"{path}: {size:.1f} MB, more than media.max_megabytes" in fault_of(load, path, settings(max_megabytes=0.9 * size))
        assert load(path, settings(max_megabytes=1.1 * size)).kind


def test_a_playlist_that_poses_as_a_clip_reaches_no_network(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/secret.ts"
        (tmp_path / "a.m3u8").write_text(f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{address}\n#EXT-X-ENDLIST\n")
        assert str(tmp_path) in fault_of(load_video, tmp_path / "a.m3u8", SETTINGS)
        with pytest.raises(TimeoutError):
            server.accept()


# Records.


def test_media_come_in_the_order_of_the_prompt(tmp_path: Path, clip_path: Path) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip_path.read_bytes())
    soundfile.write(tmp_path / "a.wav", tone(1, 16000), 16000)
    Image.new("RGB", SIZE, RED).save(tmp_path / "a.png")
    records_path = tmp_path / "records.jsonl"

    fused = record_media(record(video="clip.mp4", images=["a.png"], audio_in_video=True), records_path, SETTINGS)
    assert [(medium.kind, medium.in_video) for medium in fused] == [("image", False), ("video", False), ("audio", True)]
    apart = record_media(record(audio="a.wav", frames=["a.png"] * 4, frames_fps=2.0, images=["a.png"]), records_path, SETTINGS)
    assert [(medium.kind, medium.in_video) for medium in apart] == [("image", False), ("video", False), ("audio", False)]
    assert record_media(record(), records_path, SETTINGS) == ()
    assert media_faults([record(video="clip.mp4", audio_in_video=True), record(audio="a.wav")], records_path, SETTINGS) == []


def test_every_medium_that_cannot_be_read_is_in_one_report(tmp_path: Path) -> None:
    records_path = tmp_path / "r.jsonl"
    soundfile.write(tmp_path / "silent.wav", np.zeros(16000), 16000)
    write_clip(tmp_path / "mute.mp4", FLOWING)
    given = [
        record(images=["a.png", "b.png"]),
        record(video="a.mp4", audio_in_video=True),
        record(video="mute.mp4", audio_in_video=True),
        record(frames=["c.png", "d.png"], frames_fps=1.0, audio="silent.wav"),
    ]
    records = [one.model_copy(update={"id": f"id{number}"}) for number, one in enumerate(given)]
    found = media_faults(records, records_path, SETTINGS)
    expected = ["id0 a.png: no such picture", "id0 b.png: no such picture", "id1 a.mp4: no such clip", "id2 mute.mp4: the clip has no sound track",
                "id3 c.png: no such picture", "id3 d.png: no such picture", "id3 silent.wav: the sound is silent"]  # fmt: skip
    assert len(found) == len(expected)
    for fault, words in zip(found, expected, strict=True):
        identity, _, rest = words.partition(" ")
        assert fault.startswith(f"{records_path}: record {identity!r}: {tmp_path}/{rest}")


def test_every_faulty_picture_is_named_with_its_record(faces_path: Path) -> None:
    records = read_records(faces_path)
    assert media_faults(records, faces_path, SETTINGS) == []
    missing, cut_off = (faces_path.parent / records[index].media.images[0] for index in (1, 3))
    missing.unlink()
    cut_off.write_bytes(cut_off.read_bytes()[:300])
    first, second = media_faults(records, faces_path, SETTINGS)
    assert first == f"{faces_path}: record {records[1].id!r}: {missing}: no such picture"
    assert second.startswith(f"{faces_path}: record {records[3].id!r}: {cut_off}: the picture is damaged: ")
    assert len(media_faults(records, faces_path, settings(max_megabytes=1e-6))) == 4


def test_a_digest_tells_media_apart(noise: Image.Image) -> None:
    frames = np.arange(2 * 2 * 3 * 3, dtype=np.uint8).reshape(2, 2, 3, 3)
    media = [
        picture(noise),
        picture(ImageOps.mirror(noise)),
        Medium.of("video", frames.copy(), fps=2.0, times=(0.0, 1.0)),
        Medium.of("video", frames.copy(), fps=2.0, times=(0.0, 0.5)),
        Medium.of("video", frames.copy(), fps=1.0, times=(0.0, 1.0)),
        Medium.of("video", frames.reshape(2, 3, 2, 3).copy(), fps=2.0, times=(0.0, 1.0)),
        Medium.of("video", frames[::-1].copy(), fps=2.0, times=(0.0, 1.0)),
        Medium.of("audio", tone(1, 16000), sample_rate=16000),
        Medium.of("audio", tone(1, 16000), sample_rate=24000),
    ]
    assert len({medium.digest for medium in media}) == len(media) and all(len(medium.digest) == 64 for medium in media)
    assert picture(noise.copy()).digest == media[0].digest
    assert Medium.of("video", frames.copy(), fps=2.0, times=(0.0, 1.0)).digest == media[2].digest


# The cache.


def test_the_least_recently_used_go_first() -> None:
    cache = DecodedCache(max_bytes=100)
    for key in "abc":
        cache.put(key, key.upper(), 30)
    assert cache.get("a") == "A"  # now b is the oldest
    cache.put("d", "D", 40)
    assert ([cache.get(key) for key in "abcd"], cache.num_bytes) == (["A", None, "C", "D"], 100)
    cache.put("e", "E", 101)
    assert cache.get("e") is None and cache.num_bytes == 100, "more than all would only drive out the rest"
    cache.put("a", "again", 30)
    assert (cache.get("a"), cache.num_bytes) == ("A", 100)
    cache.clear()
    assert (cache.get("a"), cache.num_bytes) == (None, 0)


def test_a_file_is_decoded_once_until_it_or_the_settings_change(tmp_path: Path) -> None:
    path = write_clip(tmp_path / "a.mp4", FLOWING)
    first = load_video(path, SETTINGS)
    assert load_video(path, SETTINGS) is first
    assert load_video(path, settings(sample_rate=24000, max_pixels=500000)) is first, "these are none of a clip's"
    more = load_video(path, settings(fps=4))
    assert len(more.content) == 8 and load_video(path, SETTINGS) is first
    with pytest.raises(UserError, match="max_seconds"):
        load_video(path, settings(max_seconds=1))
    write_clip(path, FLOWING[:30])
    assert load_video(path, SETTINGS).times[-1] == pytest.approx(29 / 25)
    path.unlink()
    assert fault_of(load_video, path, SETTINGS) == f"{path}: no such clip"
    Image.new("RGB", SIZE, RED).save(tmp_path / "a.png")
    kept = load_picture(tmp_path / "a.png")
    assert load_picture(tmp_path / "a.png") is kept
    load_picture.cache_clear()
    assert load_picture(tmp_path / "a.png") is not kept


def test_what_is_kept_cannot_be_changed(clip_path: Path) -> None:
    for medium in (load_video(clip_path, SETTINGS), load_audio(clip_path, SETTINGS)):
        with pytest.raises(ValueError, match="read-only"):
            medium.content[0] = 0
    with pytest.raises(dataclasses.FrozenInstanceError):
        medium.fps = 1.0


def test_threads_decode_alike(clip_path: Path) -> None:
    load_video.cache_clear()
    with ThreadPoolExecutor(4) as pool:
        media = list(pool.map(lambda _: (load_video(clip_path, SETTINGS), load_audio(clip_path, SETTINGS, in_video=True)), range(8)))
    assert len({(clip.digest, sound.digest) for clip, sound in media}) == 1


# Augmentation.


def test_without_any_strength_a_picture_stays_as_it_is(noise: Image.Image) -> None:
    assert augmented_picture(noise, STILL, random.Random(1)).tobytes() == noise.tobytes()


@pytest.mark.parametrize("size", [(32, 20), (20, 32), (1, 1)])
def test_size_and_mode_stay(size: tuple[int, int]) -> None:
    changed = augmented_picture(Image.new("RGB", size, RED), Augmentation(), random.Random(1))
    assert (changed.size, changed.mode) == (size, "RGB")


def test_the_change_depends_on_the_generator_alone(noise: Image.Image) -> None:
    before = noise.tobytes()
    first = augmented_picture(noise, Augmentation(), random.Random(7)).tobytes()
    assert augmented_picture(noise, Augmentation(), random.Random(7)).tobytes() == first
    assert augmented_picture(noise, Augmentation(), random.Random(8)).tobytes() != first
    assert noise.tobytes() == before, "the picture that was given is left alone"


def test_half_of_the_pictures_are_mirrored(noise: Image.Image) -> None:
    changes = STILL.model_copy(update={"flip": True})
    results = [augmented_picture(noise, changes, random.Random(seed)).tobytes() for seed in range(40)]
    assert set(results) == {noise.tobytes(), ImageOps.mirror(noise).tobytes()}
    assert 10 <= results.count(noise.tobytes()) <= 30


@pytest.mark.parametrize("change", [{"shift": 0.4}, {"min_scale": 0.4, "max_scale": 0.4}, {"rotation_degrees": 45}])
def test_what_comes_in_from_outside_is_white(change: dict) -> None:
    black = Image.new("RGB", (40, 40), "black")
    for seed in range(5):
        colours = augmented_picture(black, STILL.model_copy(update=change), random.Random(seed)).getcolors(1000)
        assert (255, 255, 255) in [colour for _, colour in colours]
        assert all(red == green == blue for _, (red, green, blue) in colours), "black, white, and greys between them"


@pytest.mark.parametrize(("scale", "share"), [(0.5, 0.25), (0.75, 0.5625)])
def test_a_smaller_scale_shows_the_whole_picture_smaller(scale: float, share: float) -> None:
    black = Image.new("RGB", (80, 80), "black")
    small = augmented_picture(black, STILL.model_copy(update={"min_scale": scale, "max_scale": scale}), random.Random(0))
    dark = sum(count for count, colour in small.getcolors(1000) if colour[0] < 128)
    assert dark / 6400 == pytest.approx(share, abs=0.03)
    assert small.getpixel((40, 40)) == (0, 0, 0) and small.getpixel((1, 1)) == (255, 255, 255), "in the middle"


def test_colours_change_within_their_strength() -> None:
    grey = Image.new("RGB", (1, 1), (128, 128, 128))
    changes = STILL.model_copy(update={"colour": 0.1})
    seen = [augmented_picture(grey, changes, random.Random(seed)).getpixel((0, 0)) for seed in range(200)]
    # Contrast and greying leave the middle grey alone; each channel's brightness moves by up to 0.3 * 0.1 * 255 = 7.65.
    assert all(120 <= channel <= 136 for pixel in seen for channel in pixel)
    assert min(pixel[0] for pixel in seen) < 124 and max(pixel[2] for pixel in seen) > 132


def test_every_frame_of_a_clip_changes_alike(noise: Image.Image) -> None:
    frames = np.stack([np.asarray(noise), np.asarray(noise), np.asarray(ImageOps.mirror(noise)), np.asarray(noise)])
    clip = Medium.of("video", frames, fps=2.0, times=(0.0, 0.5, 1.0, 1.5))
    changed = augmented(clip, Augmentation(), random.Random(3))
    alone = [np.asarray(augmented_picture(Image.fromarray(frame), Augmentation(), random.Random(3))) for frame in frames]
    assert np.array_equal(changed.content, alone) and not np.array_equal(changed.content, frames)
    assert (changed.kind, changed.fps, changed.times) == ("video", 2.0, (0.0, 0.5, 1.0, 1.5))
    assert changed.digest != clip.digest
    assert augmented(clip, STILL, random.Random(3)).digest == clip.digest


def test_a_sound_stays_as_it_is_and_takes_no_draw(noise: Image.Image) -> None:
    sound = Medium.of("audio", tone(1, 16000), sample_rate=16000)
    generator = random.Random(5)
    assert augmented(sound, Augmentation(), generator) is sound
    changed = augmented(picture(noise), Augmentation(), generator)
    assert changed.content.tobytes() == augmented_picture(noise, Augmentation(), random.Random(5)).tobytes()
