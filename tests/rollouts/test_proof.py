"""Receipts that do not match and log-probabilities that part stop a run, with what was found; what matches passes."""

import re
from functools import partial

import pytest
import tiny_models
import torch
from media_samples import clip, messages, picture
from rollouts.faulty_engine import CopyEngine

from emoreason.collate import EncodedPrompt, PromptEncoder
from emoreason.recipe import MediaSettings
from emoreason.rollouts import MakePrompt, Receipt
from emoreason.rollouts.faults import EngineError
from emoreason.rollouts.proof import Canary, Sent, check_receipts
from emoreason.rollouts.transformers_engine import TransformersEngine
from emoreason.rollouts.weights import digest

SETTINGS = MediaSettings(min_pixels=3136, max_pixels=12544, video_min_pixels=3136, video_max_pixels=9408)
SENT = {"a": "1", "b": "2", "c": "3", "d": "4", "e": "5"}
COMPLETIONS = [[30, 41, 52, 63], [74, 85], [96, 107, 118]]


def test_receipts_of_all_ranks_for_all_tensors_pass() -> None:
    check_receipts(SENT, 3, [Receipt(3, dict(SENT)), Receipt(3, dict(reversed(SENT.items())))])


@pytest.mark.parametrize(
    ("receipts", "said"),
    [
        ([], "no rank has confirmed anything"),
        ([Receipt(2, SENT)], "rank 0 confirms version 2, sent was 3"),
        ([Receipt(3, SENT), Receipt(2, SENT)], "rank 1 confirms version 2, sent was 3"),
        ([Receipt(3, {})], "rank 0 never got a, b, c and 2 more"),
        ([Receipt(3, SENT), Receipt(3, {**SENT} | {"f": "6"})], "rank 1 got what was not sent: f."),
        ([Receipt(3, {name: mark for name, mark in SENT.items() if name not in "bd"})], "rank 0 never got b, d."),
        ([Receipt(3, SENT | {"c": "4"})], "rank 0 got other values of c."),
        ([Receipt(3, SENT, ["lm_head.weight"])], "rank 0 loaded nothing into lm_head.weight."),
        ([Receipt(2, {"a": "1", "b": "1", "x": "1"}, ["y"])], "rank 0 confirms version 2, sent was 3; rank 0 never got c, d, e; "
         "rank 0 got what was not sent: x; rank 0 got other values of b; rank 0 loaded nothing into y."),
    ],
)  # fmt: skip
def test_a_receipt_that_does_not_match_is_named(receipts: list[Receipt], said: str) -> None:
    with pytest.raises(EngineError, match=re.escape(f"sync 3: the engine does not have the trainer's weights: {said.removesuffix('.')}") + r"(\.|;)"):
        check_receipts(SENT, 3, receipts)


def test_what_is_passed_on_is_remembered_by_its_digest() -> None:
    tensors = {"a": torch.arange(3.0), "b": torch.zeros(2, 2)}
    sent = Sent(iter(tensors.items()))
    assert [name for name, _ in sent] == ["a", "b"]
    assert sent.digests == {name: digest(tensor) for name, tensor in tensors.items()}


class Scorer:
    """An engine whose log-probabilities of the three completions are known by hand."""

    def __init__(self, *rows: list[float]):
        self.rows = rows

    def log_probs(self, prompts: list, completions: list[list[int]]) -> list[list[float]]:
        return list(self.rows)


def even(log_prob: float) -> Scorer:
    return Scorer(*([log_prob] * len(ids) for ids in COMPLETIONS))


def canary(max_difference: float = 0.1, dtype: torch.dtype = torch.float32) -> Canary:
    return Canary([None] * 3, COMPLETIONS, max_difference, dtype)


def test_a_difference_is_a_mean_over_tokens_not_over_prompts() -> None:
    uneven = Scorer([-1.0, -1.0, -1.0, -1.0], [-2.0, -4.0], [-2.0, -0.5, -2.0])
    assert canary().difference(uneven, even(-2.0)) == (4 * 1 + 2 + 1.5) / 9


@pytest.mark.parametrize(
    ("dtype", "first", "passes", "stops"),
    [
        (torch.float32, 1e-5, 0.0009, 0.0011),  # the floor of the type
        (torch.float32, 0.01, 0.049, 0.051),  # five times the first
        (torch.bfloat16, 1e-5, 0.019, 0.021),
        (torch.float16, 1e-5, 0.0099, 0.0101),
        (torch.bfloat16, 0.09, 0.099, 0.101),  # never above the limit
    ],
)
def test_a_jump_is_told_by_the_first_difference(dtype: torch.dtype, first: float, passes: float, stops: float) -> None:
    made = canary(0.1, dtype)
    assert made.check(even(-1 - first), even(-1), 0) == pytest.approx(first)
    assert made.check(even(-1 - passes), even(-1), 1) == pytest.approx(passes)
    assert made.first == pytest.approx(first), "a later difference does not move the bound"
    with pytest.raises(EngineError, match=f"sync 2: .* 3 fixed prompts .* by {stops:.4g} nat a token, .* first difference was {first:.4g},"):
        made.check(even(-1 - stops), even(-1), 2)


@pytest.mark.parametrize("log_prob", [-1.11, float("nan"), float("-inf")])
def test_the_first_difference_has_the_limit_for_its_bound(log_prob: float) -> None:
    made = canary()
    with pytest.raises(EngineError, match=r"by (0.11|nan|inf) nat a token, the bound is 0.1 \(the first difference was not taken yet"):
        made.check(even(log_prob), even(-1.0), 0)
    assert made.first is None


def test_a_difference_that_is_no_number_stops_later_too() -> None:
    made = canary()
    made.check(even(-1), even(-1), 0)
    with pytest.raises(EngineError, match=r"by nan nat a token, the bound is 0\.001"):
        made.check(even(float("nan")), even(-1), 1)


@pytest.fixture
def trainer() -> TransformersEngine:
    return TransformersEngine(*tiny_models.qwen2_5_vl())


def fixed(trainer: TransformersEngine, *media: tuple) -> list[MakePrompt]:
    encoder = PromptEncoder(trainer.processor, trainer.config, SETTINGS)
    return [partial(encoder, messages(one), one) for one in media]


def without_pixels(prompt: EncodedPrompt) -> EncodedPrompt:
    """The prompt as an engine reads it whose pictures are black."""
    items = []
    for item in prompt.items:
        tensors = {name: torch.zeros_like(value) if value.is_floating_point() else value for name, value in item.tensors.items()}
        items.append(type(item)(item.kind, item.digest, tensors, item.num_tokens, item.seconds_per_grid))
    return EncodedPrompt(prompt.token_ids, tuple(items), prompt.audio_in_video, prompt.key)


CONTROLS = ["model.language_model.layers.0.self_attn.q_proj.weight", "model.language_model.layers.1.mlp.down_proj.weight",
            "model.visual.patch_embed.proj.weight", "model.visual.blocks.1.mlp.up_proj.weight", "model.visual.merger.mlp.0.weight"]  # fmt: skip


@pytest.mark.slow
def test_the_canary_sees_a_turned_sign_in_every_part(trainer: TransformersEngine) -> None:
    engine = CopyEngine(trainer.model, trainer.processor)
    made = Canary(fixed(trainer, (picture(0),), (), (clip(1),)), COMPLETIONS, 0.1, torch.float32)
    assert made.check(engine, trainer, 0) == 0
    before = {name: digest(parameter) for name, parameter in trainer.model.named_parameters()}
    named = dict(trainer.model.named_parameters())
    found = made.check_sensitivity(engine, trainer, {name: named[name] for name in CONTROLS})
    assert list(found) == CONTROLS and all(difference > 0.01 for difference in found.values())
    assert {name: digest(parameter) for name, parameter in trainer.model.named_parameters()} == before
    assert made.check(engine, trainer, 1) == 0


@pytest.mark.slow
def test_a_canary_without_media_is_blind_for_the_tower_and_says_so(trainer: TransformersEngine) -> None:
    engine = CopyEngine(trainer.model, trainer.processor)
    made = Canary(fixed(trainer, ()), COMPLETIONS[:1], 0.1, torch.float32)
    made.check(engine, trainer, 0)
    named = dict(trainer.model.named_parameters())
    before = digest(named[CONTROLS[2]])
    with pytest.raises(EngineError, match=r"is blind: with the sign of model\.visual\.patch_embed\.proj\.weight \(0\) turned, .* within 0\.001"):
        made.check_sensitivity(engine, trainer, {name: named[name] for name in (CONTROLS[0], CONTROLS[2])})
    assert digest(named[CONTROLS[2]]) == before, "the sign is turned back on the way out too"


@pytest.mark.slow
def test_an_engine_that_sees_no_pixels_is_found_at_the_first_sync(trainer: TransformersEngine) -> None:
    made = Canary(fixed(trainer, (picture(0),), (), (clip(1),)), COMPLETIONS, 0.1, torch.float32)
    with pytest.raises(EngineError, match="the canary stops the run"):
        made.check(CopyEngine(trainer.model, trainer.processor, read=without_pixels), trainer, 0)
