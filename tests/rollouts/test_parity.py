"""What an engine computes of a prompt beside what the trainer does: nothing apart where they agree, and the fault by its name."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial

import pytest
import tiny_models
import torch
from media_samples import clip, messages, picture, sound
from rollouts.faulty_engine import CopyEngine

from emoreason.collate import EncodedPrompt, PromptEncoder
from emoreason.families import placeholder_ids
from emoreason.media import Medium
from emoreason.recipe import MediaSettings
from emoreason.rollouts import MakePrompt
from emoreason.rollouts.faults import EngineError
from emoreason.rollouts.parity import Parity, _cosine, compare, packed, unpacked
from emoreason.rollouts.transformers_engine import TransformersEngine
from emoreason.rollouts.vllm_engine import check_prompt_ids

SETTINGS = MediaSettings(min_pixels=3136, max_pixels=12544, video_min_pixels=3136, video_max_pixels=9408)
KINDS: dict[str, tuple[Medium, ...]] = {"text": (), "image": (picture(0),), "video": (clip(1),), "audio": (sound(0),)}
LIMIT = 0.1

FINE = Parity("image", 20, same_features=True, cosine=0.9995, same_positions=True, pearson=0.99, error=0.1, multiplicative_error=1.05)


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({}, None),
        ({"cosine": None}, None),  # a text
        ({"pearson": None}, None),
        ({"same_features": False}, "the engine's features are not the trainer's"),
        ({"cosine": 0.999}, "tower cosine 0.999 is not above 0.999"),
        ({"cosine": float("nan")}, "tower cosine nan is not above 0.999"),
        ({"same_positions": False}, "rotary positions differ"),
        ({"pearson": 0.98}, "Pearson 0.98 is not above 0.98"),
        ({"error": 0.101}, "error 0.101 nat a token is above rollouts.max_difference 0.1"),
        ({"error": float("nan")}, "error nan nat a token is above rollouts.max_difference 0.1"),
        ({"multiplicative_error": 1.051}, "multiplicative error 1.051 is above 1.05"),
        ({"multiplicative_error": float("inf")}, "multiplicative error inf is above 1.05"),
    ],
)
def test_each_bound_has_its_own_fault(changed: dict, fault: str | None) -> None:
    assert replace(FINE, **changed).faults(LIMIT) == ([f"image: {fault}"] if fault else [])


def test_all_faults_are_told_at_once() -> None:
    worst = Parity("video", 20, False, -1.0, False, 0.0, 3.0, 20.0)
    assert len(worst.faults(LIMIT)) == 6 and all(fault.startswith("video: ") for fault in worst.faults(LIMIT))


def test_features_of_another_shape_are_no_features_and_deepstack_behind_them_is_left_out() -> None:
    expected = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    assert _cosine(expected, torch.tensor([[3.0, 0.0, 9.0, 9.0], [0.0, 1.0, -9.0, 9.0]])) == 1.0
    assert _cosine(expected, torch.tensor([[1.0, 1.0], [0.0, 2.0]])) == pytest.approx(0.5**0.5)  # the worst row
    assert _cosine(expected, expected[:1]) == _cosine(expected, expected[:, :1]) == -1.0


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_tensor_travels_as_json(dtype: torch.dtype) -> None:
    tensor = torch.arange(12, dtype=dtype).view(3, 4).T / 7
    found = unpacked(json.loads(json.dumps(packed(tensor))))
    assert found.dtype == torch.float32 and torch.equal(found, tensor.float())


def opened(family: str) -> tuple[TransformersEngine, dict[str, MakePrompt]]:
    """The trainer's side, and a prompt of every kind that the family reads."""
    model, processor = tiny_models.BUILDERS[family](0)
    encoder = PromptEncoder(processor, model.config, SETTINGS)
    kinds = {kind: media for kind, media in KINDS.items() if kind in ("text", *placeholder_ids(model.config))}
    return TransformersEngine(model, processor), {kind: partial(encoder, messages(media), media) for kind, media in kinds.items()}


@pytest.fixture(scope="module")
def omni() -> tuple[TransformersEngine, dict[str, MakePrompt]]:
    return opened("qwen2_5_omni_thinker")


def compared(found: tuple[TransformersEngine, Mapping[str, MakePrompt]], read: Callable[[EncodedPrompt], EncodedPrompt]) -> dict[str, Parity]:
    trainer, prompts = found
    rows = compare(CopyEngine(trainer.model, trainer.processor, read), trainer, prompts)
    assert [row.kind for row in rows] == list(prompts)
    return {row.kind: row for row in rows}


def with_items(change: Callable, prompt: EncodedPrompt) -> EncodedPrompt:
    return EncodedPrompt(prompt.token_ids, tuple(map(change, prompt.items)), prompt.audio_in_video, prompt.key)


@pytest.mark.slow
@pytest.mark.parametrize("family", tiny_models.BUILDERS)
def test_an_engine_that_computes_the_same_differs_in_nothing(family: str) -> None:
    found = opened(family)
    for kind, row in compared(found, lambda prompt: prompt).items():
        assert row.num_tokens == len(found[1][kind]().token_ids) and row.faults(LIMIT) == []
        assert row.same_features and row.same_positions and row.pearson == pytest.approx(1)
        assert row.error == 0 and row.multiplicative_error == 1
        assert row.cosine is None if kind == "text" else row.cosine == pytest.approx(1, abs=1e-6)


def told(rows: dict[str, Parity]) -> dict[str, set[str]]:
    """{kind: what its faults begin with}, of the kinds that have any."""
    found = {kind: {fault.removeprefix(f"{kind}: ").split(" ")[0] for fault in row.faults(LIMIT)} for kind, row in rows.items()}
    return {kind: faults for kind, faults in found.items() if faults}


@pytest.mark.slow
def test_features_of_pixels_that_were_made_small_first_are_found(omni) -> None:
    """The count of placeholders is the same, so only the features tell that a medium was cut down on its way."""
    trainer, _ = omni
    coarse = Medium.of("image", picture(0).content.resize((21, 14)).resize((84, 56)))
    item = PromptEncoder(trainer.processor, trainer.config, SETTINGS)(messages((coarse,)), (coarse,)).items[0]
    rows = compared(omni, partial(with_items, lambda own: item if own.kind == "image" else own))
    faults = told(rows)
    assert set(faults) == {"image"} and {"the", "tower"} <= faults["image"]
    assert not rows["image"].same_features and rows["image"].same_positions and rows["image"].error > 0.001


@pytest.mark.slow
def test_another_frame_rate_is_found_by_the_positions(omni) -> None:
    """The features and their count do not depend on it."""
    rows = compared(omni, partial(with_items, lambda item: replace(item, seconds_per_grid=2.0) if item.kind == "video" else item))
    faults = told(rows)
    assert set(faults) == {"video"} and "rotary" in faults["video"] and not {"the", "tower"} & faults["video"]
    assert rows["video"].error > 0.001


@pytest.mark.slow
def test_other_weights_are_found_by_what_they_change(omni) -> None:
    trainer, prompts = omni
    engine = CopyEngine(trainer.model, trainer.processor)
    language, tower = engine.model.model.language_model.norm.weight, engine.model.model.visual.patch_embed.proj.weight
    with torch.no_grad():
        language.mul_(1.5)
    faults = told({row.kind: row for row in compare(engine, trainer, prompts)})
    assert set(faults) == set(prompts)
    assert all({"error", "multiplicative"} <= found <= {"error", "multiplicative", "Pearson"} for found in faults.values())
    with torch.no_grad():
        language.div_(1.5)
        tower.neg_()
    faults = told({row.kind: row for row in compare(engine, trainer, prompts)})
    assert set(faults) == {"image", "video"} and all("tower" in found and "the" not in found for found in faults.values())


@pytest.mark.slow
@pytest.mark.parametrize("log_prob", [float("nan"), float("-inf"), -9999.0])
def test_log_probabilities_that_are_none_are_a_fault_and_no_crash(omni, log_prob: float) -> None:
    trainer, prompts = omni
    engine = CopyEngine(trainer.model, trainer.processor)
    plain = engine.log_probs
    engine.log_probs = lambda prompts, completions: [[log_prob, *row[1:]] for row in plain(prompts, completions)]
    for row in compare(engine, trainer, prompts):
        assert {"error", "multiplicative"} <= told({row.kind: row})[row.kind]


# `check_prompt_ids` is vLLM's neighbour and needs none of it.


LARGE = {"shortest_edge": 12544, "longest_edge": 16384}
"""Limits of pictures, as `load_processor` sets them: 84 x 56 pixels become 140 x 112."""


def encoded(family: str, media: tuple[Medium, ...], limits: dict[str, int] | None = None) -> tuple[list[int], object]:
    """Token ids of the media with the question behind, and the config that reads them."""
    model, processor = tiny_models.BUILDERS[family](0)
    processor.image_processor.size = limits or processor.image_processor.size
    return PromptEncoder(processor, model.config, SETTINGS)(messages(media), media).token_ids.tolist(), model.config


@pytest.fixture(scope="module")
def config():
    return tiny_models.qwen2_5_omni_thinker()[0].config


@pytest.mark.slow
def test_equal_ids_pass_whatever_holds_them(config) -> None:
    check_prompt_ids([1, 2, 3], (1, 2, 3), config, "prompt 0")
    check_prompt_ids([], [], config, "prompt 0")


@pytest.mark.slow
def test_an_engine_that_does_not_say_what_it_read_is_refused(config) -> None:
    with pytest.raises(EngineError, match="prompt 5: the engine did not say which prompt it read"):
        check_prompt_ids([1, 2, 3], None, config, "prompt 5")


@pytest.mark.slow
def test_placeholders_that_are_expanded_twice_are_counted(config) -> None:
    image = placeholder_ids(config)["image"]
    sent, found = [7, 8, *[image] * 6, 9], [7, 8, *[image] * 36, 9]
    with pytest.raises(EngineError, match=r"prompt 2: .*: 9 and 39 tokens, the first difference at token 8; placeholders: "
                                          r"image 6 and 36, video 0 and 0, audio 0 and 0\. More of a medium: expanded twice"):  # fmt: skip
        check_prompt_ids(sent, found, config, "prompt 2")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("family", "sent", "found", "limits", "said"),
    [
        # 3 x 2 squares of 28, and 5 x 4.
        ("qwen2_5_vl", (picture(0),), (picture(0),), LARGE, "image 6 and 20, video 0 and 0"),
        ("qwen2_5_omni_thinker", (sound(0), picture(0)), (sound(0), picture(0)), LARGE, "image 6 and 20, video 0 and 0, audio 25 and 25"),
        # Four frames are two pairs; the same two seconds at twice the rate have four.
        ("qwen2_5_vl", (clip(0, 4, 2.0),), (clip(0, 8, 4.0),), None, "image 0 and 0, video 12 and 24"),
        # A second of sound is 100 mel frames, halved twice.
        ("qwen2_5_omni_thinker", (clip(0, 4, 2.0), sound(0)), (clip(0, 4, 2.0),), None, "image 0 and 0, video 12 and 12, audio 25 and 0"),
        # Qwen3-VL writes the time of each pair of frames before it, 3 x 2 squares of 32: another rate is other text, and no other count.
        ("qwen3_vl", (clip(0, 4, 2.0),), (clip(0, 4, 1.0),), None, "image 0 and 0, video 12 and 12"),
    ],
    ids=["pixels", "pixels beside a sound", "more frames", "a lost sound", "times of frames"],
)
def test_other_media_settings_are_told_by_counts_and_place(
    family: str, sent: tuple[Medium, ...], found: tuple[Medium, ...], limits: dict[str, int] | None, said: str
) -> None:
    (ours, config), (theirs, _) = encoded(family, sent), encoded(family, found, limits)
    place = next(place for place in range(len(ours)) if ours[place] != theirs[place])
    with pytest.raises(EngineError) as raised:
        check_prompt_ids(ours, theirs, config, "prompt 3")
    assert str(raised.value).startswith(f"prompt 3: the engine read another prompt than the trainer: {len(ours)} and {len(theirs)} tokens, "
                                        f"the first difference at token {place}; placeholders: {said}. ")  # fmt: skip


@pytest.mark.slow
def test_a_prompt_that_is_only_shorter_is_told_by_where_it_ends(config) -> None:
    with pytest.raises(EngineError, match="3 and 2 tokens, the first difference at token 2;"):
        check_prompt_ids([1, 2, 3], [1, 2], config, "prompt 0")


@pytest.mark.slow
def test_the_ids_are_compared_in_every_call(omni) -> None:
    """By an engine that reads pictures at its own limits."""
    trainer, prompts = omni
    _, processor = tiny_models.qwen2_5_omni_thinker()
    processor.image_processor.size = LARGE
    larger = PromptEncoder(processor, trainer.config, SETTINGS)(messages(KINDS["image"]), KINDS["image"])
    engine = CopyEngine(trainer.model, trainer.processor, lambda prompt: larger if prompt.items else prompt)
    few = {kind: prompts[kind] for kind in ("text", "image")}
    with pytest.raises(EngineError, match="image 6 and 20"):
        compare(engine, trainer, few)
    for ask in (lambda make: engine.log_probs([make], [[30]]), lambda make: engine.examine(make())):
        ask(few["text"])
        with pytest.raises(EngineError, match="image 6 and 20"):
            ask(few["image"])
