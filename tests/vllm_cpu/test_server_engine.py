"""A real `vllm serve`: the trainer's text and log-probabilities, weights through files, a server that runs already or dies."""

import os
import signal
from pathlib import Path

import pytest
import torch
from peft import get_peft_model
from test_vllm_engine import GREEDY, largest_difference
from vllm_families import Family, draw_adapter

from emoreason.models import lora_config
from emoreason.recipe import LoraSettings, Rollouts, Sampling, ServerSettings
from emoreason.rollouts import Adapter
from emoreason.rollouts.faults import EngineError
from emoreason.rollouts.parity import compare
from emoreason.rollouts.proof import Sent, check_receipts
from emoreason.rollouts.server_engine import ServerEngine
from emoreason.rollouts.transformers_engine import TransformersEngine
from emoreason.rollouts.weights import policy_weights, write_adapter

pytestmark = pytest.mark.vllm
pytest_plugins = ["vllm_server"]
FUSED = "clip with its sound track"


def prompts_of(made: Family) -> dict:
    return {kind: make for kind, make in made.prompts.items() if kind != FUSED}


def test_text_and_everything_on_the_way_is_the_trainers(opened: tuple[Family, ServerEngine]) -> None:
    made, engine = opened
    prompts = list(prompts_of(made).values())
    ours, theirs = (side.generate(prompts, GREEDY, seed=0) for side in (made.policy, engine))
    assert [group[0].token_ids for group in theirs] == [group[0].token_ids for group in ours]
    assert largest_difference([group[0].log_probs for group in theirs], [group[0].log_probs for group in ours]) < 2e-5
    for row in compare(engine, made.policy, prompts_of(made)):
        assert row.faults(max_difference=1e-4) == [] and row.error < 1e-5


def test_the_same_seed_draws_the_same(opened: tuple[Family, ServerEngine]) -> None:
    made, engine = opened
    drawn = Sampling(num_completions=4, temperature=1.5, max_new_tokens=12)
    one, same = ([[rollout.text for rollout in group] for group in engine.generate(list(prompts_of(made).values()), drawn, seed=3)] for _ in range(2))
    assert one == same and all(len(set(group)) > 1 for group in one)


def test_a_sound_track_heard_in_its_clip_is_refused_and_the_others_answered(opened: tuple[Family, ServerEngine]) -> None:
    made, engine = opened
    with pytest.raises(EngineError, match="audio_in_video"):
        engine.generate([made.prompts["text"], made.prompts[FUSED]], GREEDY, seed=0)
    assert len(engine.generate([made.prompts["text"]], GREEDY, seed=0)) == 1


def test_new_weights_travel_through_files_and_leave_none(opened: tuple[Family, ServerEngine]) -> None:
    made, engine = opened
    prompts = list(prompts_of(made).values())
    fixed = [[50, 60, 70, 80]] * len(prompts)
    with torch.no_grad():
        for parameter in made.model.parameters():
            parameter.mul_(1.05)
    assert largest_difference(engine.log_probs(prompts, fixed), made.policy.log_probs(prompts, fixed)) > 1e-2
    sent = Sent(engine.as_read(policy_weights(made.model)))
    check_receipts(sent.digests, 2, engine.sync(sent, 2))
    assert largest_difference(engine.log_probs(prompts, fixed), made.policy.log_probs(prompts, fixed)) < 2e-5
    assert not list(engine.scratch.glob("weights_*"))


def test_an_adapter_alone_is_the_policy(opened: tuple[Family, ServerEngine], folder: Path) -> None:
    made, engine = opened
    policy = get_peft_model(made.model, lora_config(LoraSettings(r=8, alpha=16), made.model))
    scorer = TransformersEngine(policy.get_base_model(), made.policy.processor)
    prompts = list(prompts_of(made).values())
    fixed = [[50, 60, 70, 80]] * len(prompts)
    try:
        for version in (3, 4):
            draw_adapter(policy, seed=version)
            digests = write_adapter(policy, folder / f"served_{version}", torch.float32)
            check_receipts(digests, version, engine.sync(Adapter(folder / f"served_{version}"), version))
            assert largest_difference(engine.log_probs(prompts, fixed), scorer.log_probs(prompts, fixed)) < 2e-5
    finally:
        policy.unload()


def test_a_server_that_runs_already_is_used_and_left(opened: tuple[Family, ServerEngine], folder: Path) -> None:
    made, engine = opened
    settings = Rollouts(engine="vllm_server", max_model_len=1024, server=ServerSettings(url=engine.client.base_url))
    guest = ServerEngine("unused", made.model.config, made.policy.processor, settings, "float32", folder / "guest")
    assert guest.generate([made.prompts["picture"]], GREEDY, seed=0)[0][0].token_ids
    guest.close()
    assert engine.process.is_alive


def test_a_server_that_dies_says_so_with_the_end_of_its_log(opened: tuple[Family, ServerEngine]) -> None:
    """The last test of this file: nothing answers after it."""
    made, engine = opened
    os.killpg(engine.process.process_group, signal.SIGKILL)
    with pytest.raises(EngineError, match=r"signal|SIGKILL|gone|died|ended") as failed:
        engine.generate([made.prompts["text"]], GREEDY, seed=0)
    assert "vllm_server.log" in str(failed.value)
