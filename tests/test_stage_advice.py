"""What is advised where a stage does not fit does make it fit once it is set."""

from dataclasses import replace

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st
from plans import CONFIDENCE, GRPO, ITSELF, LENGTHS, SEVEN_B, SFT

from emoreason.memory_estimate import SAFETY
from emoreason.stage_advice import fit_with_advice, spelt_out
from emoreason.stage_fit import fit
from emoreason.stage_plan import Plan
from emoreason.topology import Topology

FIELDS = {
    "trainer.gradient_checkpointing": "checkpointing",
    "trainer.per_device_train_batch_size": "rows",
    "trainer.gradient_accumulation_steps": "accumulation",
    "trainer.steps_per_generation": "steps_per_generation",
    "trainer.generation_batch_size": "generation_batch_size",
    "zero.stage": "zero_stage",
    "zero.offload_optimizer": "offload_optimizer",
    "zero.offload_parameters": "offload_parameters",
    "rollouts.sleep": "sleep",
    "rollouts.gpu_memory_utilization": "utilization",
    "packing.max_tokens": "max_tokens",
    "sampling.batch_size": "rows_drawn",
}


def with_settings(plan: Plan, texts: list[str]) -> Plan:
    """The plan of a recipe in which these settings were written."""
    return replace(plan, **{FIELDS[key]: yaml.safe_load(value) for key, value in (text.split() for text in texts)})


@pytest.mark.parametrize(
    ("plan", "memory", "settings"),
    [
        (replace(SFT, zero_stage=0), 48.0, ["zero.stage 2"]),
        (replace(SFT, zero_stage=0, rows=8, checkpointing=False), 80.0, ["zero.stage 2", "trainer.gradient_checkpointing true"]),
        (replace(SFT, rows=32), 40.0, ["trainer.per_device_train_batch_size 8", "trainer.gradient_accumulation_steps 8"]),
        (replace(GRPO, utilization=0.65), 80.0, ["rollouts.sleep true"]),
        (SFT, 18.0, ["zero.offload_optimizer true"]),
        (SFT, 4.0, []),
    ],
)
def test_the_cheapest_change_is_advised(plan: Plan, memory: float, settings: list[str]) -> None:
    found = fit_with_advice(plan, Topology(1, 8, memory), SEVEN_B, LENGTHS)
    assert found.lacks_room and spelt_out(found) == settings


def test_what_fits_has_no_advice() -> None:
    found = fit_with_advice(SFT, Topology(1, 8, 80.0), SEVEN_B, LENGTHS)
    assert found.fits and found.advice == () and found == fit(SFT, Topology(1, 8, 80.0), SEVEN_B, LENGTHS)


def test_what_is_offloaded_is_told_with_the_advice() -> None:
    found = fit_with_advice(SFT, Topology(1, 8, 18.0), SEVEN_B, LENGTHS)
    assert found.advised_host == 16 * SEVEN_B.parameters["language"]


@settings(deadline=None, max_examples=60)
@given(plan=st.sampled_from([SFT, GRPO, CONFIDENCE, ITSELF, replace(SFT, stage="dpo", reference=True)]), stage=st.integers(0, 3),
       rows=st.sampled_from([1, 4, 8, 16, 64]), gpus=st.sampled_from([1, 2, 8]), memory=st.floats(16, 200), checkpointing=st.booleans())  # fmt: skip
def test_what_is_advised_fits_once_it_is_set(plan, stage, rows, gpus, memory, checkpointing) -> None:
    plan, topology = replace(plan, zero_stage=stage, rows=rows, checkpointing=checkpointing), Topology(1, gpus, memory)
    found = fit_with_advice(plan, topology, SEVEN_B, LENGTHS)
    assert found.lacks_room >= (not found.has_room)
    if not found.advice or found.has_room:
        return
    changed = with_settings(plan, spelt_out(found))
    then = fit(changed, topology, SEVEN_B, LENGTHS)
    share_was_short = found.cache is not None and not found.cache.num_sequences
    assert then.peak.total <= (1 - SAFETY) * topology.gpu_bytes or share_was_short
    assert then.world.global_batch == found.world.global_batch
    assert len(then.world.faults) <= len(found.world.faults)
