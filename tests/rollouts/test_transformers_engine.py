"""Rollouts by transformers: batches change nothing, seeds repeat, and a log-probability is that of the distribution that was drawn from."""

from collections.abc import Callable
from functools import partial

import pytest
import tiny_models
import torch
from media_samples import clip, messages, picture, sound

from emoreason.collate import PromptEncoder
from emoreason.families import placeholder_ids
from emoreason.recipe import MediaSettings, Sampling
from emoreason.rollouts import MakePrompt, Rollout, transformers_engine
from emoreason.rollouts.transformers_engine import TransformersEngine

pytestmark = pytest.mark.slow
SETTINGS = MediaSettings(min_pixels=3136, max_pixels=12544, video_min_pixels=3136, video_max_pixels=9408)
MEDIA = [(picture(0),), (), (clip(1),), (picture(1), picture(2)), (clip(2, 6), sound(0)), (sound(1, 1.3),)]
"""Sounds of a second and more: Qwen3-Omni pads shorter ones to the longest beside them, and its convolutions see by how much."""
TRACK = (clip(0), sound(2, 1.0, in_video=True))
GREEDY = {"num_completions": 1, "temperature": 0.0}


def opened(family: str) -> tuple[TransformersEngine, list[MakePrompt]]:
    model, processor = tiny_models.BUILDERS[family](0)
    encoder = PromptEncoder(processor, model.config, SETTINGS)
    heard = [*MEDIA, TRACK] if "omni" in family else [media for media in MEDIA if all(medium.kind != "audio" for medium in media)]
    read = [media for media in heard if family != "smolvlm" or all(medium.kind == "image" for medium in media)]
    return TransformersEngine(model, processor), [partial(encoder, messages(media), media) for media in read]


@pytest.fixture(scope="module")
def vl() -> tuple[TransformersEngine, list[MakePrompt]]:
    """An engine that no test changes, and a prompt with a picture, with text, with a clip, and with two pictures."""
    return opened("qwen2_5_vl")


def drawn(opened: tuple[TransformersEngine, list[MakePrompt]], seed: int = 3, **settings) -> list[list[Rollout]]:
    engine, prompts = opened
    return engine.generate(prompts, Sampling(**{"max_new_tokens": 12, **settings}), seed)


def ids(groups: list[list[Rollout]]) -> list[list[list[int]]]:
    return [[rollout.token_ids for rollout in group] for group in groups]


@pytest.mark.parametrize("family", tiny_models.BUILDERS)
def test_greedy_rollouts_are_the_same_in_any_batch(family: str) -> None:
    found = opened(family)
    one, all_together = (drawn(found, batch_size=size, **GREEDY) for size in (1, 16))
    assert ids(one) == ids(all_together) and len(one) == len(found[1]) >= 3
    for (alone,), (beside,) in zip(one, all_together, strict=True):
        assert alone.log_probs == pytest.approx(beside.log_probs, abs=1e-4)


@pytest.mark.parametrize("family", tiny_models.BUILDERS)
def test_a_completion_is_scored_as_it_was_drawn(family: str) -> None:
    """But for the tokens that are never drawn, whose probability is shared out among the others."""
    found = opened(family)
    groups = drawn(found, num_completions=2)
    engine, prompts = found
    twice = [prompt for prompt in prompts for _ in range(2)]
    rollouts = [rollout for group in groups for rollout in group]
    scored = engine.log_probs(twice, ids([rollouts])[0])
    gaps = [one - other for rollout, row in zip(rollouts, scored, strict=True) for one, other in zip(rollout.log_probs, row, strict=True)]
    assert all(-1e-4 < gap < 0.1 for gap in gaps) and max(gaps) > 1e-4


def test_the_same_seed_draws_the_same_and_another_seed_does_not(vl) -> None:
    first = drawn(vl, num_completions=4, temperature=1.5, batch_size=8)
    again, other = (drawn(vl, seed, num_completions=4, temperature=1.5, batch_size=8) for seed in (3, 4))
    assert first == again and ids(first) != ids(other)
    assert [len(group) for group in first] == [4] * 4
    assert all(len({tuple(rollout.token_ids) for rollout in group}) == 4 for group in first)


def test_prompts_are_made_when_their_turn_comes(vl) -> None:
    engine, prompts = vl
    happened = []

    def noted(place: int) -> Callable:
        return lambda: happened.append(f"make {place}") or prompts[place]()

    sampling = Sampling(num_completions=2, max_new_tokens=2, batch_size=4)
    groups = engine.generate([noted(place) for place in range(3)], sampling, 0, lambda done, total: happened.append(f"{done} of {total}"))
    assert happened == ["make 0", "make 1", "2 of 3", "make 2", "3 of 3"] and [len(group) for group in groups] == [2, 2, 2]
    assert len(drawn(vl, num_completions=5, batch_size=2, max_new_tokens=1)[0]) == 5, "a group is never cut in two"


def test_a_completion_that_is_cut_off_says_so() -> None:
    found = opened("qwen2_5_vl")
    model, tokenizer = found[0].model, found[0].processor.tokenizer
    whole = [rollout for (rollout,) in drawn(found, max_new_tokens=4, **GREEDY)]
    assert all(len(one.token_ids) == 4 and one.finish_reason == "length" and not one.is_finished for one in whole)
    # From here on the third token of one of them is an end, beside the tokenizer's own.
    place, end = next((place, one.token_ids[2]) for place, one in enumerate(whole) if one.token_ids[2] not in one.token_ids[:2])
    model.generation_config.eos_token_id = [tokenizer.eos_token_id, end]
    ended = [rollout for (rollout,) in drawn(found, max_new_tokens=4, **GREEDY)]
    assert ended[place].finish_reason == "stop" and ended[place].is_finished and len(ended[place].token_ids) == 3
    for one, before in zip(ended, whole, strict=True):
        length = before.token_ids.index(end) + 1 if end in before.token_ids else 4
        assert one.token_ids == before.token_ids[:length] and one.log_probs == pytest.approx(before.log_probs[:length], abs=1e-5)
        assert one.is_finished == (end in before.token_ids)
    assert drawn(found, max_new_tokens=3, **GREEDY)[place][0].is_finished, "it ends with the last token that there was room for"
    model.generation_config.eos_token_id = end
    assert drawn(found, max_new_tokens=4, **GREEDY)[place][0] == ended[place], "one id or a list of them"


def test_text_is_without_special_tokens_and_ids_are_with_them() -> None:
    engine, prompts = opened("qwen2_5_vl")
    tokenizer = engine.processor.tokenizer
    with torch.no_grad():  # the end is likely at any place
        engine.model.lm_head.weight[tokenizer.eos_token_id] = 0
        engine.model.lm_head.weight.mul_(0.1)
    finished = [rollout for group in drawn((engine, prompts), num_completions=64, max_new_tokens=40) for rollout in group if rollout.is_finished]
    assert finished
    for rollout in finished:
        assert rollout.token_ids[-1] == tokenizer.eos_token_id and rollout.token_ids.count(tokenizer.eos_token_id) == 1
        assert len(rollout.log_probs) == len(rollout.token_ids) and "<|im_end|>" not in rollout.text
        assert rollout.text == tokenizer.decode([token for token in rollout.token_ids if token not in tokenizer.all_special_ids])


def test_completions_never_hold_a_token_that_stands_for_media(vl) -> None:
    engine, _ = vl
    banned = set(placeholder_ids(engine.config).values())
    found = {token for group in drawn(vl, num_completions=8, temperature=50.0, max_new_tokens=40, batch_size=32)
             for rollout in group for token in rollout.token_ids}  # fmt: skip
    assert len(found) > 200 and not banned & found
    assert banned < set(range(len(engine.processor.tokenizer)))


@pytest.mark.parametrize(
    "settings",
    [{"temperature": 0.0}, {"temperature": 1.0}, {"temperature": 2.0}, {"temperature": 1.0, "top_k": 5}, {"temperature": 1.0, "top_p": 0.4},
     {"temperature": 1.0, "min_p": 0.3}, {"temperature": 0.7, "repetition_penalty": 1.5}],
    ids=str,
)  # fmt: skip
def test_a_log_probability_is_that_of_the_distribution_that_was_drawn_from(vl, settings: dict) -> None:
    engine, prompts = vl
    ((rollout,),) = engine.generate([prompts[1]], Sampling(num_completions=1, max_new_tokens=8, **settings), seed=0)
    whole = torch.tensor([*prompts[1]().token_ids.tolist(), *rollout.token_ids])
    with torch.no_grad():
        logits = engine.model(input_ids=whole[None]).logits[0, -9:-1].double()
    for place, (row, token) in enumerate(zip(logits, rollout.token_ids, strict=True)):
        seen = whole[: len(whole) - 8 + place].unique()
        penalty = settings.get("repetition_penalty", 1.0)
        row[seen] = torch.where(row[seen] > 0, row[seen] / penalty, row[seen] * penalty)
        row[list(placeholder_ids(engine.config).values())] = -torch.inf
        row = row / (settings["temperature"] or 1.0)
        probabilities, order = row.softmax(-1).sort(descending=True)
        kept = torch.ones_like(probabilities, dtype=torch.bool)
        kept &= torch.arange(len(kept)) < settings.get("top_k", len(kept))
        kept &= probabilities.cumsum(0) - probabilities < settings.get("top_p", 1.0)
        kept &= probabilities >= settings.get("min_p", 0.0) * probabilities[0]
        chosen = int((order == token).nonzero())
        assert kept[chosen] and (settings["temperature"] or chosen == 0)
        assert rollout.log_probs[place] == pytest.approx(float((probabilities[chosen] / probabilities[kept].sum()).log()), abs=1e-4)


def test_the_sampling_that_a_checkpoint_suggests_is_not_followed() -> None:
    """Qwen's checkpoints come with a temperature near 0, top_k 1 and a repetition penalty."""
    plain, suggesting = (opened("qwen2_5_vl") for _ in range(2))
    suggested = {"do_sample": True, "temperature": 0.01, "top_k": 1, "top_p": 0.001, "min_p": 0.9, "repetition_penalty": 5.0}
    suggesting[0].model.generation_config.update(**suggested)
    for settings in ({"num_completions": 4}, GREEDY):
        assert drawn(suggesting, **settings) == drawn(plain, **settings)


def test_training_mode_does_not_reach_the_rollouts(vl) -> None:
    engine, prompts = opened("qwen2_5_vl")
    text = engine.model.config.get_text_config()
    assert text.attention_dropout == 0
    for layer in engine.model.model.language_model.layers:
        layer.self_attn.attention_dropout = 0.5
    expected = drawn(vl, num_completions=2), vl[0].log_probs(vl[1], [[30, 40]] * 4)
    engine.model.train()
    found = drawn((engine, prompts), num_completions=2)
    engine.model.train()
    assert (found, engine.log_probs(prompts, [[30, 40]] * 4)) == expected


@pytest.mark.parametrize("family", tiny_models.BUILDERS)
def test_scores_do_not_depend_on_what_is_scored_beside(family: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, prompts = opened(family)
    completions = [list(range(30, 31 + 3 * place)) for place in range(len(prompts))]
    together = engine.log_probs(prompts, completions)
    assert [len(row) for row in together] == [len(row) for row in completions]
    monkeypatch.setattr(transformers_engine, "SCORED_AT_ONCE", 1)
    for alone, beside in zip(engine.log_probs(prompts, completions), together, strict=True):
        assert alone == pytest.approx(beside, abs=1e-4)


def test_scores_are_those_of_a_plain_forward_pass(vl) -> None:
    engine, prompts = vl
    completion = [200, 31, 42, 31]
    whole = torch.tensor([[*prompts[1]().token_ids.tolist(), *completion]])
    with torch.no_grad():
        expected = engine.model(input_ids=whole).logits[0, -5:-1].log_softmax(-1)[range(4), completion]
    assert engine.log_probs([prompts[1]], [completion])[0] == pytest.approx(expected.tolist(), abs=1e-5)


def test_a_completion_without_tokens_has_no_scores(vl) -> None:
    engine, prompts = vl
    assert engine.log_probs(prompts[:2], [[], []]) == [[], []]
    (empty, scored), (alone,) = engine.log_probs(prompts[:2], [[], [30, 31]]), engine.log_probs(prompts[1:2], [[30, 31]])
    assert empty == [] and scored == pytest.approx(alone, abs=1e-5)


def test_weights_are_taken_by_name_and_the_rest_is_named() -> None:
    engine, prompts = opened("qwen2_5_vl")
    other = dict(tiny_models.qwen2_5_vl(seed=1)[0].named_parameters())
    expected = TransformersEngine(tiny_models.qwen2_5_vl(seed=1)[0], engine.processor).log_probs(prompts, [[30, 31]] * 4)
    (receipt,) = engine.sync(engine.as_read(iter(other.items())), 7)
    assert receipt.version == 7 and receipt.digests.keys() == other.keys() and receipt.not_loaded == []
    assert engine.log_probs(prompts, [[30, 31]] * 4) == expected
    (receipt,) = engine.sync(iter([("lm_head.weight", other["lm_head.weight"])]), 8)
    assert list(receipt.digests) == ["lm_head.weight"] and receipt.not_loaded == sorted(other.keys() - {"lm_head.weight"})
