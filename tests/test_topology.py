"""The hardware of `--topology`."""

import pytest

from emoreason.faults import UserError
from emoreason.topology import GIB, Topology, parse_topology


def test_a_topology_is_read() -> None:
    topology = parse_topology("nodes=4, gpus=8,gpu_memory=79.6,vllm_nodes=1")
    assert topology == Topology(nodes=4, gpus=8, gpu_memory=79.6, vllm_nodes=1)
    assert (topology.world_size, topology.gpu_bytes) == (24, 79.6 * GIB)
    assert str(topology) == "4 x 8 GPUs of 79.6 GiB, 1 of them for vLLM"


def test_what_is_left_out_is_one_node() -> None:
    assert parse_topology("gpu_memory=40") == Topology(1, 8, 40.0, 0)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("gpu=8", "'gpu=8' is no part of a topology; did you mean 'gpus'?"),
        ("nodes", "'nodes' is no part of a topology"),
        ("nodes=0", "nodes=0: accepted: more than 0"),
        ("nodes=1.5", "nodes=1.5: accepted: a whole number"),
        ("gpu_memory=80GB", "gpu_memory=80GB: accepted: a number of GiB"),
        ("gpus=8,gpus=4", "gpus is given twice"),
        ("nodes=2,vllm_nodes=2", "vllm_nodes=2 of nodes=2 leave none to train on"),
    ],
)
def test_what_is_wrong_is_named(text: str, fault: str) -> None:
    with pytest.raises(UserError) as raised:
        parse_topology(text)
    (found,) = raised.value.faults
    assert found.startswith(f"--topology: {fault}")


def test_all_that_is_wrong_is_named_at_once() -> None:
    with pytest.raises(UserError) as raised:
        parse_topology("nodes=x,memory=3")
    assert len(raised.value.faults) == 2
