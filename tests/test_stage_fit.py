"""Whether a stage fits its hardware, moment by moment."""

from dataclasses import replace

import pytest
from plans import CONFIDENCE, GRPO, ITSELF, LENGTHS, SEVEN_B, SFT

from emoreason.memory_estimate import ENGINE_OVERHEAD, Lengths, cache_bytes
from emoreason.stage_fit import fit
from emoreason.stage_plan import Plan
from emoreason.topology import GIB, Topology

NODE = Topology(1, 8, 80.0)

def test_seven_billion_weights_fit_a_node_with_zero_and_not_without() -> None:
    assert fit(SFT, NODE, SEVEN_B, LENGTHS).fits
    assert not fit(replace(SFT, zero_stage=0), Topology(1, 8, 48.0), SEVEN_B, LENGTHS).fits


def test_the_parts_of_a_moment_add_up_and_the_largest_decides() -> None:
    found = fit(GRPO, NODE, SEVEN_B, LENGTHS)
    assert [moment.name for moment in found.moments] == ["backward", "update", "sampling"]
    assert found.peak.total == max(moment.total for moment in found.moments)
    assert found.moments[0].parts["engine"] == 0.3 * 80 * GIB
    assert found.moments[0].parts["reference"] == 2 * SEVEN_B.total / 8
    assert fit(replace(GRPO, sleep=True), NODE, SEVEN_B, LENGTHS).moments[0].total < found.moments[0].total


def test_a_stage_that_samples_first_holds_no_engine_while_it_trains() -> None:
    found = fit(replace(CONFIDENCE, engine="vllm", utilization=0.9, max_model_len=4096), NODE, SEVEN_B, LENGTHS)
    assert "engine" not in found.moments[0].parts and "optimizer" not in found.moments[2].parts
    assert [moment.name for moment in fit(SFT, NODE, SEVEN_B, LENGTHS).moments] == ["backward", "update"]


def test_the_cache_is_what_is_left_of_the_share() -> None:
    found = fit(GRPO, NODE, SEVEN_B, LENGTHS).cache
    assert found.num_bytes == pytest.approx(0.3 * 80 * GIB - 2 * SEVEN_B.total - ENGINE_OVERHEAD)
    assert found.num_sequences == int(found.num_bytes // cache_bytes(SEVEN_B, 4096, 2)) == 25


def test_a_share_without_room_for_one_sequence_is_told_with_one_that_has() -> None:
    (fault,) = fit(replace(GRPO, utilization=0.2), NODE, SEVEN_B, LENGTHS).faults
    share = float(fault.rpartition(" ")[2])
    assert fit(replace(GRPO, utilization=share), NODE, SEVEN_B, LENGTHS).cache.num_sequences >= 1
    assert fit(replace(GRPO, utilization=share - 0.01), NODE, SEVEN_B, LENGTHS).cache.num_sequences == 0


def test_a_model_that_no_gpu_holds_is_sent_to_a_server() -> None:
    (fault,) = fit(GRPO, Topology(4, 8, 16.0), SEVEN_B, LENGTHS).faults
    assert "set rollouts.engine vllm_server" in fault


@pytest.mark.parametrize(
    ("plan", "topology", "fault"),
    [
        (GRPO, Topology(2, 8, 80.0, 1), "vllm_nodes=1 would stand idle, since rollouts.engine is vllm"),
        (replace(GRPO, engine="vllm_server"), NODE, "every GPU trains; give --topology vllm_nodes=1"),
        (replace(GRPO, engine="vllm_server"), Topology(2, 8, 80.0, 1), None),
        (replace(GRPO, engine="vllm_server", server_runs=True), NODE, None),
        (SFT, Topology(2, 8, 80.0, 1), None),
    ],
)
def test_nodes_for_vllm_are_there_where_they_are_used(plan: Plan, topology: Topology, fault: str | None) -> None:
    faults = fit(plan, topology, SEVEN_B, LENGTHS).faults
    assert (faults == ()) if fault is None else fault in faults[0]


def test_an_engine_that_sleeps_keeps_its_weights_in_the_memory_of_the_node() -> None:
    assert fit(replace(GRPO, sleep=True), NODE, SEVEN_B, LENGTHS).host == 8 * 2 * SEVEN_B.total


def test_zero_3_gathers_all_weights_where_the_model_answers_itself() -> None:
    sampling = fit(ITSELF, NODE, SEVEN_B, LENGTHS).moments[2].parts
    assert sampling["gathered weights"] == 2 * SEVEN_B.total
    assert sampling["KV cache"] == cache_bytes(SEVEN_B, 8 * 32 * (600 + 1024), 2)


@pytest.mark.parametrize(
    ("plan", "lengths", "fault"),
    [
        (replace(SFT, max_length=1500), LENGTHS, "the longest row has 1624 tokens; set trainer.max_length 1624"),
        (replace(GRPO, max_model_len=1600), LENGTHS, "prompt and completion have up to 1624 tokens; set rollouts.max_model_len 1624"),
        (replace(SFT, max_length=None), replace(LENGTHS, prompt=127000), "the model has 128000 positions"),
    ],
)
def test_rows_that_are_too_long_are_told(plan: Plan, lengths: Lengths, fault: str) -> None:
    assert any(fault in found for found in fit(plan, NODE, SEVEN_B, lengths).faults)
    assert fit(plan, NODE, SEVEN_B, replace(lengths, exact=False, prompt=500)).faults == ()  # a guess may be wrong by a fifth


def test_disk_is_weights_and_optimizer_of_all_ranks() -> None:
    """DeepSpeed's own copy of the weights, 12 bytes of optimizer for each that trains, and the weights as transformers loads them."""
    found = fit(replace(SFT, freeze=()), NODE, SEVEN_B, LENGTHS)
    assert (found.checkpoint, found.exported) == (16 * SEVEN_B.total, 2 * SEVEN_B.total)
