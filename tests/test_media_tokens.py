"""Counts by hand, and against the real processors of every family over a table of sizes."""

import pytest
from media_samples import clip, messages, picture, sound

from emoreason.media_tokens import audio_tokens, resized, video_size_limits
from emoreason.recipe import MediaSettings

SETTINGS = MediaSettings(min_pixels=4 * 784, max_pixels=16 * 784, video_min_pixels=4 * 784, video_max_pixels=12 * 784, max_seconds=30)


def test_sides_are_multiples_within_the_limits() -> None:
    assert resized(84, 56, 28, 784, 10**6) == (84, 56)
    assert resized(100, 57, 28, 784, 10**6) == (112, 56)  # 3.57 -> 4, 2.04 -> 2
    assert resized(1000, 1000, 28, 784, 16 * 784) == (112, 112)  # 4 x 4 squares of 28
    assert resized(10, 10, 28, 4 * 784, 16 * 784) == (56, 56)
    with pytest.raises(ValueError, match="more than 200 times"):
        resized(10, 2010, 28, 784, 10**6)


def test_limits_are_of_a_frame_or_of_the_clip() -> None:
    assert video_size_limits("qwen2_5_vl", 8, SETTINGS) == {"shortest_edge": 3136, "longest_edge": 9408}
    assert video_size_limits("qwen3_vl", 8, SETTINGS) == {"shortest_edge": 8 * 3136, "longest_edge": 8 * 9408}


def test_sounds_by_hand() -> None:
    assert audio_tokens("qwen2_5_omni_thinker", 100) == 25  # (99 // 2 + 1 - 2) // 2 + 1 = 48 // 2 + 1
    assert audio_tokens("qwen3_omni_moe_thinker", 100) == 13  # a whole window
    assert audio_tokens("qwen3_omni_moe_thinker", 101) == 14


SIZES = [(84, 56), (57, 101), (30, 640), (640, 30), (500, 400), (20, 20), (29, 43)]
FAMILIES = ["qwen2_5_vl", "qwen3_vl", "qwen2_5_omni_thinker", "qwen3_omni_thinker"]


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_counts_are_those_of_the_processor(name: str) -> None:
    import tiny_models

    from emoreason.collate import PromptEncoder

    model, processor = getattr(tiny_models, name)()
    encoder = PromptEncoder(processor, model.config, SETTINGS)
    media = [(picture(0, size), picture(1, (70, 90))) for size in SIZES]
    media += [(clip(index, 2 + 2 * index, 1.7 + index, size),) for index, size in enumerate(SIZES)]
    if "omni" in name:
        media += [(sound(index, seconds),) for index, seconds in enumerate((0.31, 1.0, 2.00003, 7.777))]
        media += [(clip(0, 6, 3.0), sound(1, seconds, True)) for seconds in (0.5, 2.0, 3.21)]
        media.append((picture(0), clip(1), sound(0, 1.5)))
    for shown in media:
        prompt = messages(shown)
        assert encoder.num_tokens(prompt, shown) == len(encoder(prompt, shown).token_ids), [medium.kind for medium in shown]


@pytest.mark.slow
def test_a_sound_beyond_what_the_extractor_reads_is_refused() -> None:
    import tiny_models

    from emoreason.collate import PromptEncoder
    from emoreason.faults import UserError

    model, processor = tiny_models.qwen2_5_omni_thinker()
    seconds = processor.feature_extractor.chunk_length + 1
    shown = (sound(0, seconds),)
    with pytest.raises(UserError, match=rf"reads {seconds - 1} s of a sound and would cut off the rest of {seconds}\.0 s"):
        PromptEncoder(processor, model.config, SETTINGS)(messages(shown), shown)
