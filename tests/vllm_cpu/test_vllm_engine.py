"""vLLM in this process: the trainer's text, log-probabilities, features and positions; new weights by name; what it refuses."""

from itertools import pairwise
from pathlib import Path

import pytest
import torch
from peft import get_peft_model
from vllm_families import BUILT, Family, draw_adapter, family

from emoreason.families import placeholder_ids
from emoreason.faults import UserError
from emoreason.media_tokens import ADAPTER_FAMILIES
from emoreason.models import lora_config
from emoreason.recipe import LoraSettings, Sampling
from emoreason.rollouts import Adapter
from emoreason.rollouts.faults import EngineError
from emoreason.rollouts.parity import compare
from emoreason.rollouts.proof import Canary, Sent, check_receipts
from emoreason.rollouts.transformers_engine import TransformersEngine
from emoreason.rollouts.vllm_engine import VllmEngine
from emoreason.rollouts.weights import policy_weights, write_adapter

pytestmark = pytest.mark.vllm
GREEDY = Sampling(num_completions=1, temperature=0, max_new_tokens=16, batch_size=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vllm")


@pytest.fixture(scope="module", params=BUILT)
def opened(request: pytest.FixtureRequest, folder: Path):
    """(a family, vLLM with its weights)."""
    made = family(request.param, folder)
    engine = made.vllm(folder / request.param, VllmEngine, "vllm")
    sent = Sent(engine.as_read(policy_weights(made.model)))
    check_receipts(sent.digests, 1, engine.sync(sent, 1))
    yield made, engine
    engine.close()


def largest_difference(one: list[list[float]], other: list[list[float]]) -> float:
    return max(abs(a - b) for row, same in zip(one, other, strict=True) for a, b in zip(row, same, strict=True))


def test_greedy_text_is_that_of_transformers(opened: tuple[Family, VllmEngine]) -> None:
    made, engine = opened
    prompts = list(made.prompts.values())
    ours, theirs = (side.generate(prompts, GREEDY, seed=0) for side in (made.policy, engine))
    assert [group[0].token_ids for group in theirs] == [group[0].token_ids for group in ours]
    assert [group[0].text for group in theirs] == [group[0].text for group in ours]
    assert [group[0].finish_reason for group in theirs] == [group[0].finish_reason for group in ours]
    assert largest_difference([group[0].log_probs for group in theirs], [group[0].log_probs for group in ours]) < 2e-5


def test_everything_on_the_way_is_the_trainers(opened: tuple[Family, VllmEngine]) -> None:
    made, engine = opened
    rows = compare(engine, made.policy, made.prompts)
    assert [row.kind for row in rows] == list(made.prompts)
    for row in rows:
        assert row.faults(max_difference=1e-4) == []
        assert row.same_features and row.same_positions
        assert row.cosine is None or row.cosine > 0.99999
        assert row.error < 1e-5 and row.multiplicative_error < 1 + 1e-5


def test_the_same_seed_draws_the_same_and_media_are_never_drawn(opened: tuple[Family, VllmEngine]) -> None:
    made, engine = opened
    hot = Sampling(num_completions=4, temperature=2.0, max_new_tokens=24, batch_size=8)
    seen = []
    groups = engine.generate(list(made.prompts.values()), hot, seed=5, progress=lambda done, total: seen.append((done, total)))
    again = engine.generate(list(made.prompts.values()), hot, seed=5)
    other = engine.generate(list(made.prompts.values()), hot, seed=6)
    texts = [[one.text for one in group] for group in groups]
    assert texts == [[one.text for one in group] for group in again] != [[one.text for one in group] for group in other]
    assert all(len(set(group)) == 4 for group in texts) and len(groups) == len(made.prompts)
    assert seen[-1] == (len(groups), len(groups)) and all(one < two for one, two in pairwise(seen))
    banned = set(placeholder_ids(made.model.config).values())
    assert not banned & {token for group in groups for one in group for token in one.token_ids}


def test_new_weights_arrive_whole_and_the_canary_sees_a_single_tensor(opened: tuple[Family, VllmEngine]) -> None:
    """The policy moves, the engine follows; with one matrix turned on its way the digests are right and the canary is not fooled."""
    made, engine = opened
    prompts = list(made.prompts.values())
    completions = [group[0].token_ids for group in engine.generate(prompts, GREEDY, seed=0)]
    canary = Canary(prompts, completions, max_difference=0.1, dtype=torch.float32)
    assert canary.check(engine, made.policy, version=1) < 1e-5
    before = {name: parameter.detach().clone() for name, parameter in made.model.named_parameters()}
    try:
        with torch.no_grad():
            for index, parameter in enumerate(made.model.parameters()):
                noise = torch.randn(parameter.shape, generator=torch.Generator().manual_seed(index))
                parameter.add_(0.02 * noise)
        with pytest.raises(EngineError, match="the canary stops the run"):
            canary.check(engine, made.policy, version=2)  # nothing was sent yet
        sent = Sent(engine.as_read(policy_weights(made.model)))
        receipts = engine.sync(sent, 2)
        check_receipts(sent.digests, 2, receipts)
        assert canary.check(engine, made.policy, version=2) < 1e-5
        assert max(canary.check_sensitivity(engine, made.policy, towers_and_text(made)).values()) > canary.bound

        turned = next(name for name, parameter in made.model.named_parameters() if "visual" in name and parameter.ndim > 1)
        wrong = ((name, -tensor if name == turned else tensor) for name, tensor in policy_weights(made.model))
        other = Sent(engine.as_read(wrong))
        receipts = engine.sync(other, 3)
        check_receipts(other.digests, 3, receipts)
        with pytest.raises(EngineError, match="got other values of"):
            check_receipts(sent.digests, 3, receipts)
        with pytest.raises(EngineError, match="the canary stops the run"):
            canary.check(engine, made.policy, version=3)
    finally:
        with torch.no_grad():
            for name, parameter in made.model.named_parameters():
                parameter.copy_(before[name])
        engine.sync(engine.as_read(policy_weights(made.model)), 4)


def towers_and_text(made: Family) -> dict[str, torch.nn.Parameter]:
    """A matrix of every tower and of the language model."""
    found = {}
    for part in ("visual", "audio_tower", "language_model.layers"):
        name = next((name for name, parameter in made.model.named_parameters() if part in name and parameter.ndim > 1), None)
        if name:
            found[name] = dict(made.model.named_parameters())[name]
    return found


def test_more_prompt_tokens_than_one_step_takes_are_answered(opened: tuple[Family, VllmEngine]) -> None:
    """None is cut in two, on which the CPU build fails while requests have seeds."""
    made, engine = opened
    drawn = Sampling(num_completions=8, temperature=1.0, max_new_tokens=4)
    groups = engine.generate([made.prompts["picture and a clip whose time outruns its sides"]] * 40, drawn, seed=0)
    assert [len(group) for group in groups] == [8] * 40


def test_a_version_that_the_engine_has_already_can_be_sent_again(opened: tuple[Family, VllmEngine]) -> None:
    made, engine = opened
    for _ in range(2):
        engine.sync(engine.as_read(policy_weights(made.model)), 9)
        assert largest_difference(*(side.log_probs([made.prompts["picture"]], [[50, 60]]) for side in (engine, made.policy))) < 2e-5


def test_a_prompt_that_is_too_long_is_named(opened: tuple[Family, VllmEngine]) -> None:
    made, engine = opened
    with pytest.raises(EngineError, match="vLLM refuses prompt 0 of"):
        engine.log_probs([made.prompts["picture"]], [[40] * 2000])
    assert len(engine.generate([made.prompts["picture"]], GREEDY, seed=0)[0]) == 1  # and the engine lives


def test_a_request_beyond_its_time_ends_with_its_name(opened: tuple[Family, VllmEngine]) -> None:
    made, engine = opened
    before = engine.settings
    engine.settings = before.model_copy(update={"request_timeout_s": 1e-6})
    try:
        with pytest.raises(EngineError, match=r"no answer to prompt 0.* after rollouts.request_timeout_s"):
            engine.generate([made.prompts["text"]], Sampling(num_completions=1, max_new_tokens=500), seed=0)
    finally:
        engine.settings = before
    ours, theirs = (side.generate([made.prompts["text"]], GREEDY, seed=0)[0][0].token_ids for side in (made.policy, engine))
    assert ours == theirs  # nothing of the other request is left behind


def test_adapters_that_vllm_fails_on_are_refused(folder: Path) -> None:
    made = family("qwen3_vl", folder / "refused")
    with pytest.raises(UserError, match="does not run adapters of qwen3_vl"):
        made.vllm(folder / "refused", VllmEngine, "vllm", adapter_rank=8)


@pytest.mark.parametrize("name", [name for name in BUILT if name in ADAPTER_FAMILIES])
def test_an_adapter_alone_is_the_merged_policy(name: str, folder: Path) -> None:
    made = family(name, folder / "adapted")
    engine = made.vllm(folder / f"adapted_{name}", VllmEngine, "vllm", adapter_rank=8)
    try:
        base = Sent(engine.as_read(policy_weights(made.model)))
        check_receipts(base.digests, 0, engine.sync(base, 0))
        policy = get_peft_model(made.model, lora_config(LoraSettings(r=8, alpha=16), made.model))
        scorer = TransformersEngine(policy.get_base_model(), made.policy.processor)
        prompts = list(made.prompts.values())
        for version in (1, 2):
            draw_adapter(policy, seed=version)
            digests = write_adapter(policy, folder / f"{name}_adapter_{version}", torch.float32)
            check_receipts(digests, version, engine.sync(Adapter(folder / f"{name}_adapter_{version}"), version))
            completions = [[50, 60, 70, 80]] * len(prompts)
            assert largest_difference(engine.log_probs(prompts, completions), scorer.log_probs(prompts, completions)) < 2e-5
    finally:
        engine.close()
