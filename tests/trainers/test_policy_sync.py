"""The policy handed to an engine: an honest one passes every step, each faulty one stops the run, and GRPO trains on what it draws."""

import re
import statistics
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
import tiny_models
import torch
from accelerate import Accelerator
from conftest import rows_of
from media_samples import clip, messages, picture, sound
from peft import PeftModel, get_peft_model
from rollouts.faulty_engine import (
    CopyEngine,
    FirstSyncEngine,
    GarbledEngine,
    HangingEngine,
    PartialEngine,
    ReloadingEngine,
    StaleEngine,
    TwiceEngine,
)
from transformers import PreTrainedModel, ProcessorMixin
from trl import GRPOConfig

from emoreason.collate import PromptEncoder
from emoreason.models import lora_config
from emoreason.recipe import LoraSettings, MediaSettings, Packing, Rollouts
from emoreason.rollouts import MakePrompt
from emoreason.rollouts.faults import EngineError
from emoreason.rollouts.transformers_engine import prompt_inputs
from emoreason.rollouts.weights import digest, policy_weights
from emoreason.run_dir import RunDir
from emoreason.trainers.grpo import MediaGRPOTrainer
from emoreason.trainers.policy_sync import CANARY_TOKENS, PolicySync
from emoreason.trainers.session import share_prompts
from emoreason.training_data import lazy_dataset

pytestmark = pytest.mark.slow
Opened = Callable[..., PolicySync]
SETTINGS = MediaSettings(min_pixels=3136, max_pixels=12544, video_min_pixels=3136, video_max_pixels=9408)
MEDIA = [(picture(0),), (), (clip(1),)]
CONTROLS = {
    "qwen2_5_vl": ["model.language_model.layers.0.self_attn.q_proj.weight", "model.visual.patch_embed.proj.weight"],
    "qwen3_vl": ["model.language_model.layers.0.self_attn.q_proj.weight", "model.visual.patch_embed.proj.weight"],
    "qwen2_5_omni_thinker": ["model.language_model.layers.0.self_attn.q_proj.weight", "model.audio_tower.conv1.weight",
                             "model.visual.patch_embed.proj.weight"],
    "qwen3_omni_thinker": ["model.language_model.layers.0.self_attn.q_proj.weight", "model.audio_tower.layers.0.self_attn.k_proj.weight",
                           "model.visual.patch_embed.proj.weight"],
    "smolvlm": ["model.text_model.layers.0.self_attn.q_proj.weight", "model.vision_model.embeddings.patch_embedding.weight"],
}  # fmt: skip
NUMBERS = r"fixed prompts differ from the trainer's by (\S+) nat a token, the bound is (\S+) \("


def fixed(processor: ProcessorMixin, model: PreTrainedModel) -> list[MakePrompt]:
    encoder = PromptEncoder(processor, model.config, SETTINGS)
    return [partial(encoder, messages(media), media) for media in MEDIA]


def adapted(model: PreTrainedModel) -> PeftModel:
    """The model with an adapter that changes it, as one does that has been trained for a while."""
    policy = get_peft_model(model, lora_config(LoraSettings(r=4, alpha=8), model))
    with torch.no_grad():
        for number, (_, parameter) in enumerate(one for one in policy.named_parameters() if "lora_B" in one[0]):
            parameter.normal_(std=0.1, generator=torch.Generator().manual_seed(number))
    return policy


@pytest.fixture
def opened(tmp_path: Path) -> Opened:
    """Makes a sync of a tiny policy to an engine that was started with the policy's checkpoint, before any adapter."""

    def make(engine_type: type[CopyEngine], lora: bool = False, sync: str = "weights", **settings) -> PolicySync:
        model, processor = tiny_models.qwen2_5_vl()
        engine = engine_type(model, processor)
        policy = (adapted(model) if lora else model).train()
        found = Rollouts(engine="vllm", sync=sync, **settings)
        return PolicySync(policy, processor, Accelerator(cpu=True), engine, found, fixed(processor, model), tmp_path / "adapters")

    return make


def step(sync: PolicySync, learning_rate: float = 0.1) -> None:
    """One step of descent on the canary's own prompts, of every parameter that is trained."""
    prompts = [make() for make in sync._prompts]
    optimizer = torch.optim.SGD([one for one in sync.model.parameters() if one.requires_grad], lr=learning_rate)
    with prompt_inputs(sync.base, prompts, pad_token_id=0) as inputs:
        logits = sync.base(**inputs).logits
    targets = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
    torch.nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), targets[:, 1:].flatten()).backward()
    optimizer.step()
    optimizer.zero_grad()


def stopped(sync: PolicySync, version: int) -> None:
    """The sync stops the run, and says by how much the two differ and how much they may."""
    with pytest.raises(EngineError, match=f"sync {version}: the canary stops the run") as raised:
        sync(version)
    difference, bound = map(float, re.search(NUMBERS, str(raised.value)).groups())
    assert not difference <= bound


@pytest.mark.parametrize(("lora", "way", "num_tensors"), [(False, "weights", 57), (True, "weights", 57), (True, "adapter", 28)])
def test_an_honest_engine_passes_every_step(opened: Opened, lora: bool, way: str, num_tensors: int) -> None:
    sync = opened(CopyEngine, lora, way)
    before = {name: digest(parameter) for name, parameter in sync.model.named_parameters()}
    for version in range(3):
        found = sync(version)
        assert sync.model.training, "as it was"
        assert {name for name, parameter in sync.model.named_parameters() if digest(parameter) != before[name]} == set(), "and bit by bit"
        assert found["sync/num_tensors"] == num_tensors and 0 <= found["sync/canary_difference"] < 1e-5
        assert 0 < found["sync/seconds"] < 30 and 0 < found["sync/canary_seconds"] < 30 and len(found) == 4
        step(sync)
        before, old = {name: digest(parameter) for name, parameter in sync.model.named_parameters()}, before
        assert {name for name in old if old[name] != before[name]} == {name for name, one in sync.model.named_parameters() if one.requires_grad}
    (asked,) = sync.engine.asked
    assert asked[0] == 3 and asked[1].temperature == 0 and asked[1].max_new_tokens == CANARY_TOKENS, "the canary's completions are drawn once"


@pytest.mark.parametrize("family", tiny_models.BUILDERS)
def test_every_family_is_proved_by_a_matrix_of_each_part_that_its_media_pass(family: str, tmp_path: Path) -> None:
    model, processor = tiny_models.BUILDERS[family](0)
    media = [(picture(0),), (), *([] if family == "smolvlm" else [(clip(1),)]), *([(sound(0),)] if "omni" in family else [])]
    encoder = PromptEncoder(processor, model.config, SETTINGS)
    prompts = [partial(encoder, messages(one), one) for one in media]
    sync = PolicySync(model, processor, Accelerator(cpu=True), CopyEngine(model, processor), Rollouts(engine="vllm"), prompts, tmp_path)
    assert sync(0)["sync/canary_difference"] == 0
    assert list(sync._controls()) == CONTROLS[family]
    found = sync._canary.check_sensitivity(sync.engine, sync.policy, sync._controls())
    assert min(found.values()) > 3 * sync._canary.bound


@pytest.mark.parametrize("lora", [False, True])
def test_a_step_is_more_than_the_canary_lets_pass(opened: Opened, lora: bool) -> None:
    """Or the tests of faulty engines would pass for nothing."""
    sync = opened(CopyEngine, lora)
    sync(0)
    step(sync)
    assert sync._canary.difference(sync.engine, sync.policy) > 2 * sync._canary.bound
    sync(1)


def test_only_the_newest_adapters_stay_on_disk(opened: Opened) -> None:
    sync = opened(CopyEngine, lora=True, sync="adapter")
    for version in (8, 9, 10, 11):
        sync(version)
    assert sorted(path.name for path in sync.scratch.iterdir()) == ["adapter_10", "adapter_11"]


@pytest.mark.parametrize("lora", [False, True])
@pytest.mark.parametrize("engine_type", [StaleEngine, ReloadingEngine, TwiceEngine])
def test_weights_that_receipts_confirm_and_nobody_computes_with(opened: Opened, engine_type: type[CopyEngine], lora: bool) -> None:
    sync = opened(engine_type, lora)
    if not lora:  # with an adapter the engine's own checkpoint is another policy from the start
        sync(0)
        step(sync)
    stopped(sync, 1)


@pytest.mark.parametrize("engine_type", [StaleEngine, TwiceEngine])
def test_an_adapter_that_is_not_applied_or_applied_twice(opened: Opened, engine_type: type[CopyEngine]) -> None:
    stopped(opened(engine_type, lora=True, sync="adapter"), 0)


@pytest.mark.parametrize(("lora", "way"), [(False, "weights"), (True, "weights"), (True, "adapter")])
def test_a_version_that_stays_behind_is_told_by_the_jump(opened: Opened, lora: bool, way: str) -> None:
    """A small step is less than engines may differ by, and far more than this one did."""
    sync = opened(FirstSyncEngine, lora, way)
    sync(0)
    step(sync, learning_rate=0.005)
    assert sync._canary.bound == 0.001 < sync._canary.difference(sync.engine, sync.policy) < sync.settings.max_difference
    stopped(sync, 1)


def test_a_tower_that_was_left_behind(opened: Opened) -> None:
    sync = opened(PartialEngine)
    sync(0)
    with torch.no_grad():
        sync.base.model.language_model.norm.weight.mul_(1.1)
    sync(1)
    with torch.no_grad():
        sync.base.model.visual.merger.mlp[2].weight.mul_(1.1)
    stopped(sync, 2)


def test_a_difference_that_is_no_number(opened: Opened) -> None:
    sync = opened(GarbledEngine)
    with pytest.raises(EngineError, match=r"differ from the trainer's by nan nat a token, the bound is 0\.1"):
        sync(0)
    assert sync.model.training


def test_a_sync_that_never_comes_back(opened: Opened) -> None:
    sync, started = opened(HangingEngine, sync_timeout_s=1), time.monotonic()
    with pytest.raises(EngineError, match=r"sync 4 of the policy to copy has not ended after 1 s; .* or raise rollouts\.sync_timeout_s"):
        sync(4)
    assert 1 <= time.monotonic() - started < 10


def test_a_receipt_that_does_not_match_stops_before_anything_is_compared(opened: Opened) -> None:
    sync = opened(CopyEngine)
    missing = "model.language_model.norm.weight"
    take = sync.engine.sync
    sync.engine.sync = lambda weights, version: take(((name, tensor) for name, tensor in weights if name != missing), version)
    with pytest.raises(EngineError, match=f"rank 0 never got {missing}; rank 0 loaded nothing into {missing}"):
        sync(0)
    assert sync.engine.asked == []


class LengthReward:
    """Pays long completions, and all alike in the first `num_flat` calls."""

    __name__ = "length_reward"
    last_masked: frozenset[int] = frozenset()

    def __init__(self, num_flat: int = 0):
        self.num_flat = num_flat

    def __call__(self, completions, **kwargs):
        self.num_flat -= 1
        return [1.0 if self.num_flat >= 0 else float(len(completion[0]["content"])) for completion in completions]


def trainer(
    tmp_path: Path, engine_type: type[CopyEngine], lora: bool = False, sync: str = "weights", max_resamples: int = 0, num_flat: int = 0, **settings
) -> MediaGRPOTrainer:
    """GRPO on a picture, a text and a clip, whose rollouts an engine draws; a third of all tokens end a completion."""
    model, processor = tiny_models.qwen2_5_vl()
    model.generation_config.eos_token_id = [processor.tokenizer.eos_token_id, *range(50, 200)]
    engine = engine_type(model, processor)
    config = GRPOConfig(
        output_dir=str(tmp_path), use_cpu=True, bf16=False, report_to="none", logging_steps=1, save_strategy="no", disable_tqdm=True,
        **{"max_steps": 2, "per_device_train_batch_size": 4, "gradient_accumulation_steps": 2, "num_generations": 4, "max_completion_length": 6,
           "gradient_checkpointing": False, "shuffle_dataset": False, "optim": "sgd", "learning_rate": 0.1, "lr_scheduler_type": "constant",
           **settings},
    )  # fmt: skip
    made = MediaGRPOTrainer(
        model, [LengthReward(num_flat)], config, processing_class=processor, encoder=PromptEncoder(processor, model.config, SETTINGS),
        train_dataset=lazy_dataset(3, lambda index: {"id": str(index), "prompt": messages(MEDIA[index]), "media": MEDIA[index]}),
        run_dir=RunDir(tmp_path / "run"), max_resamples=max_resamples, engine=engine,
        peft_config=lora_config(LoraSettings(r=4, alpha=8), model) if lora else None,
        sync=lambda trainer: PolicySync(trainer.accelerator.unwrap_model(trainer.model), processor, trainer.accelerator, engine,
                                        Rollouts(engine="vllm", sync=sync), fixed(processor, model), tmp_path / "adapters"),
    )  # fmt: skip
    share_prompts(made, SimpleNamespace(packing=Packing()))
    return made


def completions(tmp_path: Path) -> list[dict]:
    return rows_of(tmp_path / "run" / "completions.jsonl")


@pytest.mark.parametrize(("lora", "way"), [(False, "weights"), (True, "weights"), (True, "adapter")])
def test_grpo_trains_on_what_an_engine_draws(tmp_path: Path, lora: bool, way: str) -> None:
    made = trainer(tmp_path, CopyEngine, lora, way)
    made.train()
    logged = [row for row in made.state.log_history if "loss" in row]
    assert len(logged) == 2 and all(row["grad_norm"] > 0 for row in logged)
    for row in logged:
        assert row["sync/num_tensors"] == (28 if way == "adapter" else 57) and row["sync/canary_difference"] < 1e-5
        assert row["sync/seconds"] > 0 and row["sync/canary_seconds"] > 0
        # The engine never draws a token that stands for media, so its distribution is that of the others alone.
        assert 0 < row["sampling/sampling_logp_difference/max"] < 0.05
        assert row["sampling/importance_sampling_ratio/mean"] == pytest.approx(1, abs=0.05)
        assert "completions/reward_length_correlation" in row
    assert made.engine.asked[0][0] == 3, "the canary"
    drawn = made.engine.asked[1:]
    assert [(count, sampling.num_completions, sampling.temperature, sampling.max_new_tokens) for count, sampling in drawn] == [(2, 4, 1.0, 6)] * 2
    policy = made.accelerator.unwrap_model(made.model)
    ours, theirs = dict(policy_weights(policy)), dict(made.engine.model.named_parameters())
    apart = {name for name in ours if not torch.equal(ours[name], theirs[name])}
    assert apart and all("layers" in name for name in apart) == lora, "the last step is handed over before the next rollout, and there is none"


def test_lines_of_completions_say_what_was_drawn_and_what_it_was_worth(tmp_path: Path) -> None:
    made = trainer(tmp_path, CopyEngine, temperature=2.0)
    drawn = []
    generate = made.engine.generate
    made.engine.generate = lambda *arguments, **more: drawn.append(generate(*arguments, **more)) or drawn[-1]
    made.train()
    rows = completions(tmp_path)
    rollouts = [rollout for groups in drawn[1:] for group in groups for rollout in group]
    assert [row["step"] for row in rows] == [0] * 8 + [1] * 8 and [row["id"] for row in rows] == list("0000111100001111")  # two of three fit
    assert [row["completion"] for row in rows] == [one.text for one in rollouts]
    assert [row["num_tokens"] for row in rows] == [len(one.token_ids) for one in rollouts]
    assert [row["finish_reason"] for row in rows] == [one.finish_reason for one in rollouts]
    assert [row["total"] for row in rows] == [row["rewards"]["length_reward"] for row in rows] == [len(row["completion"]) for row in rows]
    for start in range(0, 16, 4):
        group = rows[start : start + 4]
        mean = sum(row["total"] for row in group) / 4
        assert sum(row["advantage"] for row in group) == pytest.approx(0, abs=1e-5)
        assert all((row["advantage"] > 0) == (row["total"] > mean) for row in group)
    assert {row["finish_reason"] for row in rows} == {"stop", "length"} and len({row["num_tokens"] for row in rows}) > 2


def test_a_completion_that_counts_nothing_in_the_loss_keeps_its_length(tmp_path: Path) -> None:
    made = trainer(tmp_path, CopyEngine, mask_truncated_completions=True, max_steps=1)
    made.train()
    (logged,), rows = (row for row in made.state.log_history if "loss" in row), completions(tmp_path)
    cut = [row for row in rows if row["finish_reason"] == "length"]
    assert 0 < len(cut) < 8 and {row["num_tokens"] for row in cut} == {6}
    totals, lengths = ([row[name] for row in rows] for name in ("total", "num_tokens"))
    assert logged["completions/reward_length_correlation"] == pytest.approx(statistics.correlation(totals, lengths))
    assert logged["completions/clipped_ratio"] == len(cut) / 8


def test_a_group_over_several_micro_batches_is_asked_for_at_once(tmp_path: Path) -> None:
    made = trainer(tmp_path, CopyEngine, per_device_train_batch_size=2, gradient_accumulation_steps=6, max_steps=1)
    made.train()
    assert [(count, sampling.num_completions) for count, sampling in made.engine.asked[1:]] == [(3, 4)]


def test_other_steps_and_other_seeds_draw_other_text(tmp_path: Path) -> None:
    texts = []
    for seed, name in ((1, "a"), (1, "b"), (2, "c")):
        trainer(tmp_path / name, CopyEngine, seed=seed, learning_rate=0.0, gradient_accumulation_steps=3).train()
        texts.append([row["completion"] for row in completions(tmp_path / name)])
    assert texts[0] == texts[1] != texts[2]
    assert texts[0][:12] != texts[0][12:], "the same prompts, the same weights"


def test_a_group_that_is_drawn_again_is_drawn_anew(tmp_path: Path) -> None:
    made = trainer(tmp_path, CopyEngine, max_resamples=1, num_flat=1, max_steps=1)
    made.train()
    first, again = ([row["completion"] for row in completions(tmp_path) if row.get("draw", 0) == draw] for draw in (0, 1))
    assert len(first) == len(again) == 8 and first != again
    assert [(count, sampling.num_completions) for count, sampling in made.engine.asked[1:]] == [(2, 4)] * 2


def test_a_stale_engine_stops_the_run_where_the_weights_part(tmp_path: Path) -> None:
    made = trainer(tmp_path, StaleEngine)
    with pytest.raises(EngineError, match=f"sync 1: the canary stops the run: .*{NUMBERS}"):
        made.train()
    assert {row["step"] for row in completions(tmp_path)} == {0} and made.state.global_step == 1


def test_rollouts_of_one_step_are_synced_once(tmp_path: Path) -> None:
    made = trainer(tmp_path, CopyEngine, steps_per_generation=1, gradient_accumulation_steps=3)
    versions = []
    sync = made.sync
    made.sync = lambda version: versions.append(version) or sync(version)
    made.train()
    assert versions == [0, 1] and len(made.engine.asked) == 1 + 2 * 3
