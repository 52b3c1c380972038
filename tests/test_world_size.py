"""Batches, generations and steps, held to what transformers' Trainer and TRL make of the same numbers."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import GRPO, SFT

from emoreason.world_size import world_of

SIZES = st.integers(1, 64)


def test_sft_counts_rows_and_steps() -> None:
    world = world_of(SFT, 8, 338)
    assert (world.global_batch, world.steps_per_epoch, world.num_steps, world.faults) == (64, 6, 6, ())
    assert world_of(replace(SFT, epochs=2.0), 8, 338).num_steps == 12
    assert world_of(replace(SFT, max_steps=5), 8, 338).num_steps == 5


def test_an_empty_file_is_a_fault() -> None:
    assert world_of(SFT, 8, 0).faults == ("data: there are no records",)


def test_grpo_counts_completions_prompts_and_updates() -> None:
    """EmoCaliber: 64 prompts x 8 completions for two updates."""
    world = world_of(replace(GRPO, rows=4, accumulation=8, generation_batch_size=512), 8, 144)
    assert (world.global_batch, world.generated, world.steps_per_generation, world.rows_generated) == (256, 512, 16, 64)
    assert (world.steps_per_epoch, world.faults) == (4, ())


@pytest.mark.parametrize(
    ("changes", "size", "advice"),
    [
        ({"rows": 1, "accumulation": 2}, 2, "set trainer.gradient_accumulation_steps 4"),
        ({"rows": 3, "accumulation": 1}, 8, None),
        ({"rows": 3, "accumulation": 1}, 5, "set trainer.gradient_accumulation_steps 8"),
        ({"rows": 4, "steps_per_generation": 1, "num_generations": 16}, 6, "set trainer.steps_per_generation 2"),
        ({"rows": 4, "generation_batch_size": 500}, 8, "set trainer.generation_batch_size 512"),
        ({"rows": 4, "generation_batch_size": 512, "steps_per_generation": 2}, 8, "leave one out"),
        ({"rows": 4, "num_generations": 1}, 8, "set trainer.num_generations 8"),
        ({"rows": 1, "accumulation": 4, "max_resamples": 2}, 8, "set trainer.gradient_accumulation_steps 8"),
        ({"rows": 4, "accumulation": 1, "max_resamples": 2, "generation_batch_size": 32}, 8, "set trainer.generation_batch_size 64"),
    ],
)
def test_what_does_not_divide_is_told_with_what_does(changes: dict, size: int, advice: str | None) -> None:
    faults = world_of(replace(GRPO, **changes), size, 1000).faults
    assert (not faults) if advice is None else advice in faults[0], faults
    key, _, value = (advice or "").removeprefix("set trainer.").partition(" ")
    if value.isdigit():  # and it does, once it is set
        field = {"gradient_accumulation_steps": "accumulation"}.get(key, key)
        assert world_of(replace(GRPO, **{**changes, field: int(value)}), size, 1000).faults == ()


def test_too_few_records_for_a_generation_are_told() -> None:
    plan = replace(GRPO, rows=8, accumulation=8)
    (fault,) = world_of(plan, 8, 40).faults
    assert "40 records are fewer than the 64 prompts of a generation batch" in fault and fault.endswith("set trainer.gradient_accumulation_steps 5")
    assert world_of(replace(plan, accumulation=5), 8, 40).faults == ()
    assert world_of(plan, 8, 7).faults[0].endswith("or fewer GPUs")


@pytest.mark.slow
@settings(deadline=None)
@given(rows=st.integers(1, 6), accumulation=st.integers(1, 6), size=st.integers(1, 8), group=st.integers(2, 8), records=st.integers(1, 300),
       batch=st.none() | st.integers(1, 200))  # fmt: skip
def test_trl_accepts_what_is_accepted_here_and_counts_alike(rows, accumulation, size, group, records, batch) -> None:
    from trl import GRPOConfig
    from trl.trainer.utils import RepeatSampler

    plan = replace(GRPO, rows=rows, accumulation=accumulation, num_generations=group, generation_batch_size=batch)
    world = world_of(plan, size, records)

    class Config(GRPOConfig):
        world_size = size  # of the processes that are not here

    try:
        config = Config(output_dir="unused", per_device_train_batch_size=rows, gradient_accumulation_steps=accumulation, num_generations=group,
                        generation_batch_size=batch, use_cpu=True, bf16=False)  # fmt: skip
    except ValueError:
        assert world.faults
        return
    assert (world.generated, world.steps_per_generation) == (config.generation_batch_size, config.steps_per_generation)
    prompts = config.generation_batch_size // group
    sampler = RepeatSampler(range(records), group, prompts, repeat_count=config.steps_per_generation)
    assert bool(world.faults) == (len(sampler) == 0)
    batches = len(sampler) // (rows * config.steps_per_generation * size)
    assert world.steps_per_epoch == math.ceil(batches / accumulation)
