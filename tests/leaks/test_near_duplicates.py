"""Pairs that are alike: re-encoded media are found, drawn faces and speech that differ are not."""

import functools
from pathlib import Path

import numpy as np
import pytest
from conftest import TINY
from encoded_media import remux, speech, write_clip, write_sound
from PIL import Image
from sklearn.datasets import load_sample_images

from emoreason.leaks.fingerprints import Fingerprint, Source, sound_bits
from emoreason.leaks.near import bits_by_halving, error_rate, near_clips, near_pictures, near_sounds, near_words, num_bits, sounds_differ
from emoreason.media import load_picture

FACES = sorted((TINY / "data" / "images").rglob("*.png"))


def prints(kind: str, *paths: Path) -> list[Fingerprint]:
    return [Source(kind, (path,)).fingerprint() for path in paths]


@functools.cache
def faces() -> list[Fingerprint]:
    return prints("picture", *FACES)


def spoken(samples: np.ndarray) -> Fingerprint:
    none = np.zeros(0, np.uint64)
    return Fingerprint(none, none, np.zeros((0, 16, 16), np.uint8), *sound_bits(samples))


def test_bits_are_counted_either_way() -> None:
    words = np.array([0, 1, 3, 2**63, 2**64 - 1, 0x0F0F0F0F0F0F0F0F], np.uint64)
    assert num_bits(words).tolist() == bits_by_halving(words).tolist() == [0, 1, 2, 1, 64, 32]


def test_near_words_are_those_of_a_plain_loop() -> None:
    """Over the edges of the blocks, which hold 8192 words of one side."""
    random = np.random.default_rng(0)
    first, second = (random.integers(0, 2**64, size, dtype=np.uint64) for size in (9000, 70))
    second[[3, 33, 69]] = first[[0, 8191, 8192]] ^ np.uint64(0b10101)
    found = {(int(one), int(other), int(bits)) for block in near_words(first, second, 3) for one, other, bits in zip(*block, strict=True)}
    assert found == {(0, 3, 3), (8191, 33, 3), (8192, 69, 3)}
    assert list(near_words(first[:0], second, 3)) == [] or all(not len(block[0]) for block in near_words(first[:0], second, 3))


def test_of_685_drawn_faces_only_the_nearest_drawings_are_alike() -> None:
    """Seven pairs of 234 270, each of one set, that differ in the curve of a mouth or the lids of the eyes alone."""
    found = [(one, other) for one, other, _ in near_pictures(faces(), faces()) if one < other]
    assert len(FACES) == 685 and len(found) == 7
    assert all(FACES[one].parent == FACES[other].parent for one, other in found)


def test_faces_saved_again_are_found_each_as_itself(tmp_path: Path) -> None:
    chosen = range(0, 685, 23)
    paths = []
    for place in chosen:
        picture = load_picture(FACES[place])
        paths.append(tmp_path / f"{place}.{('jpg', 'webp')[place % 2]}")
        picture.resize((90, 90) if place % 3 else (200, 200)).save(paths[-1], quality=50)
    found = near_pictures(faces(), prints("picture", *paths))
    assert {(other, one) for one, other, _ in found} >= set(enumerate(chosen))
    assert len(found) <= len(chosen) + 1


def test_photographs_saved_again_are_found(tmp_path: Path) -> None:
    photographs = [Image.fromarray(pixels) for pixels in load_sample_images().images]
    for place, one in enumerate(photographs):
        one.save(tmp_path / f"{place}.png")
        one.resize((one.width // 2, one.height // 3)).convert("L").save(tmp_path / f"{place}.jpg", quality=20)
    first, again = (prints("picture", *(tmp_path / f"{place}.{end}" for place in range(2))) for end in ("png", "jpg"))
    assert [(one, other) for one, other, _ in near_pictures(first, again)] == [(0, 0), (1, 1)]


def test_mirror_images_are_found_when_asked_for(tmp_path: Path) -> None:
    lopsided = next(place for place, one in enumerate(faces()) if num_bits(one.pictures ^ one.mirrored)[0] > 12)
    load_picture(FACES[lopsided]).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(tmp_path / "a.png")
    mirrored = prints("picture", tmp_path / "a.png")
    assert near_pictures([faces()[lopsided]], mirrored) == []
    assert near_pictures([faces()[lopsided]], mirrored, mirrored=True) == [(0, 0, 0.0)]


def test_clips_encoded_again_are_found(tmp_path: Path) -> None:
    voice = speech(1)
    base = write_clip(tmp_path / "a.mp4", [0, 1, 2, 3], voice)
    again = [
        remux(base, tmp_path / "a.mkv"), write_clip(tmp_path / "low.mp4", [0, 1, 2, 3], voice / 4, size=(96, 72), bit_rate=40_000),
        write_clip(tmp_path / "slow.mp4", [0, 1, 2, 3], voice, fps=8), write_clip(tmp_path / "mute.mp4", [0, 1, 2, 3]),
        write_clip(tmp_path / "old.avi", [0, 1, 2, 3], voice, codec="mpeg4", sound_codec="mp3"),
    ]  # fmt: skip
    others = [
        write_clip(tmp_path / "faces.mp4", [1, 0, 3, 2], voice), write_clip(tmp_path / "voice.mp4", [0, 1, 2, 3], speech(2)),
        write_clip(tmp_path / "short.mp4", [0, 1, 2, 3], voice[:32000], seconds=2),
    ]  # fmt: skip
    mirrored = write_clip(tmp_path / "mirrored.mp4", [0, 1, 2, 3], voice, mirrored=True)
    found = near_clips(prints("clip", base), prints("clip", *again, *others, mirrored))
    assert [other for _, other, _ in found] == [0, 1, 2, 3, 4] and all(bits <= 3 for *_, bits in found)
    assert [other for _, other, _ in near_clips(prints("clip", base), prints("clip", *others, mirrored), mirrored=True)] == [3]
    sounds = near_sounds(prints("clip", base), prints("clip", again[1], others[0], others[1]))
    assert [other for _, other, _ in sounds] == [0, 1]


def test_frames_of_one_colour_do_not_count() -> None:
    """Black at both ends is alike in every film: of 8 frames 4 must show something in both clips."""
    random = np.random.default_rng(0)
    words, thumbnails = random.integers(0, 2**64, 8, dtype=np.uint64), random.integers(0, 255, (8, 16, 16)).astype(np.uint8)
    other_words = random.integers(0, 2**64, 8, dtype=np.uint64)

    def clip(words: np.ndarray, black: list[int]) -> Fingerprint:
        shown = thumbnails.copy()
        shown[black] = 0
        bits = words.copy()
        bits[black] = 0
        return Fingerprint(bits, bits, shown, np.zeros(0, np.uint32), np.zeros(0, bool), seconds=4.0)

    ends = [0, 1, 2, 7]
    others = [clip(words, ends), clip(words, [*ends, 6]), clip(other_words, ends), clip(words, [])]
    assert near_clips([clip(words, ends)], others) == [(0, 0, 0), (0, 3, 0)]


@pytest.mark.parametrize(("name", "codec", "bit_rate"), [("a.mp3", "mp3", 64_000), ("a.m4a", "aac", 32_000), ("a.flac", "flac", None)])
def test_sounds_encoded_again_and_louder_are_found_among_others(tmp_path: Path, name: str, codec: str, bit_rate: int | None) -> None:
    voices = [speech(seed) for seed in range(8)]
    first = [spoken(voice[::2]) for voice in voices]  # the tests' speech has nothing above 4 kHz to speak of
    again = [Source("sound", (write_sound(tmp_path / f"{seed}{name}", voices[seed] * 0.3, codec, bit_rate),)).fingerprint() for seed in range(3)]
    found = near_sounds(first, again)
    assert [(one, other) for one, other, _ in found] == [(0, 0), (1, 1), (2, 2)]
    assert all(rate < 0.16 for *_, rate in found)


def test_other_speech_is_far() -> None:
    voices = [spoken(speech(seed)[::2]) for seed in range(8)]
    rates = [error_rate(one, other, offset) for place, one in enumerate(voices) for other in voices[:place] for offset in range(-21, 22)]
    assert min(rates) > 0.35
    assert all(sounds_differ(one, voices[0]) for one in voices[1:]) and not sounds_differ(voices[0], voices[0])


def test_a_part_of_a_sound_is_found_where_it_is_half() -> None:
    long = speech(5, 8.0)[::2]
    part, less = long[16000:48000], long[16000:24000]
    whole, half = spoken(long), spoken(part)
    assert [other for _, other, _ in near_sounds([whole], [half, spoken(less), spoken(speech(6)[::2])])] == [0]
    offset = min(range(150), key=lambda offset: error_rate(whole, half, offset))
    assert abs(offset * 192 - 16000) <= 96


def test_silence_in_both_sounds_makes_no_pair() -> None:
    silence = np.zeros(24000, np.float32)
    one, other = (spoken(np.concatenate([silence, speech(seed, 1.6)[::2]])) for seed in (7, 8))
    assert near_sounds([one], [other]) == []


def test_nothing_to_compare() -> None:
    assert near_pictures([], faces()[:1]) == near_pictures(faces()[:1], []) == near_clips([], []) == near_sounds([], []) == []
    assert near_sounds([], [spoken(speech(0)[::2])]) == []
