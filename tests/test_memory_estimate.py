"""The arithmetic of memory, held to the bytes of real models, optimizers, caches and DeepSpeed on two processes."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import get_peft_model
from plans import GRPO, LENGTHS, SEVEN_B, SFT
from tiny_models import BUILDERS
from torch.autograd.graph import saved_tensors_hooks
from torch.distributed._tools.mem_tracker import MemTracker
from transformers import DynamicCache

from emoreason.architecture import sizes_of
from emoreason.memory_estimate import (
    Batch,
    activation_parts,
    batch_of,
    cache_bytes,
    host_bytes,
    saved_bytes,
    state_parts,
    step_bytes,
    transient_parts,
)
from emoreason.models import freeze, lora_config
from emoreason.recipe import LoraSettings

pytestmark = pytest.mark.slow  # imports torch, and two processes train for seconds
FAMILIES = ("qwen2_5_vl", "qwen3_vl", "qwen2_5_omni_thinker", "qwen3_omni_thinker")
PLAIN = replace(SFT, zero_stage=0)


def num_bytes(tensors) -> int:
    """Of the memory behind them, each piece once."""
    return sum({tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}.values())


def trained_once(model) -> torch.optim.Optimizer:
    """torch's AdamW after a step on gradients of zero."""
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    for parameter in trained:
        parameter.grad = torch.zeros_like(parameter)
    optimizer = torch.optim.AdamW(trained)
    optimizer.step()
    return optimizer


def held(model, optimizer) -> dict[str, int]:
    moments = [value for state in optimizer.state.values() for value in state.values() if value.numel() > 1]
    gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    return {"weights": num_bytes(model.parameters()), "gradients": num_bytes(gradients), "optimizer": num_bytes(moments)}


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("frozen", [(), ("vision", "projector")])
def test_states_are_those_of_a_real_model_and_optimizer(name: str, dtype: torch.dtype, frozen: tuple) -> None:
    model = BUILDERS[name](0)[0].to(dtype)
    freeze(model, list(frozen))
    plan = replace(PLAIN, value_bytes=dtype.itemsize, freeze=frozen)
    assert state_parts(plan, sizes_of(model.config, "here"), 1) == held(model, trained_once(model))


@pytest.mark.parametrize("name", ["qwen2_5_vl", "qwen3_omni_thinker"])
def test_states_of_an_adapter_are_those_of_peft(name: str) -> None:
    model, settings = BUILDERS[name](0)[0].to(torch.bfloat16), LoraSettings(r=4)
    sizes = sizes_of(model.config, "here")
    model = get_peft_model(model, lora_config(settings, model))
    assert state_parts(replace(PLAIN, lora=settings), sizes, 1) == held(model, trained_once(model))


def saved_by_autograd(model, num_tokens: int) -> int:
    """Bytes that the language model keeps for its backward pass, weights left out."""
    weights = {parameter.untyped_storage().data_ptr() for parameter in model.parameters()}
    kept = []

    def pack(tensor):
        kept.append(tensor)
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        model.base_model(input_ids=torch.full((1, num_tokens), 7), use_cache=False)
    return num_bytes(tensor for tensor in kept if tensor.untyped_storage().data_ptr() not in weights)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_activations_are_those_that_autograd_saves(name: str, dtype: torch.dtype) -> None:
    """Within a tenth, of everything and of what checkpointing leaves; a layer that is computed again comes on top."""
    model = BUILDERS[name](0)[0].to(dtype).train()
    sizes, tokens = sizes_of(model.config, "here"), 512
    plan = replace(PLAIN, value_bytes=dtype.itemsize, checkpointing=False, shares=False)
    assert saved_bytes(plan, sizes, tokens, tokens) == pytest.approx(saved_by_autograd(model, tokens), rel=0.1)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    assert saved_bytes(replace(plan, checkpointing=True), sizes, tokens, 0) == pytest.approx(saved_by_autograd(model, tokens), rel=0.1)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("checkpointing", [False, True])
def test_activations_are_near_the_peak_of_a_forward_and_backward_pass(name: str, dtype: torch.dtype, checkpointing: bool) -> None:
    """At most a tenth below what torch's tracker sees beside weights and gradients, and three tenths above."""
    model = BUILDERS[name](0)[0].to(dtype).train()
    sizes, tokens = sizes_of(model.config, "here"), 1024
    if checkpointing:
        model.gradient_checkpointing_enable({"use_reentrant": False})
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    tracker = MemTracker()
    tracker.track_external(model)
    with tracker:
        model.base_model(input_ids=torch.full((1, tokens), 7), use_cache=False).last_hidden_state.sum().backward()
    peak = sum(found["Total"] for found in tracker.get_tracker_snapshot("peak").values()) - 2 * num_bytes(model.parameters())
    plan = replace(PLAIN, value_bytes=dtype.itemsize, checkpointing=checkpointing, shares=False)
    assert 0.9 * peak <= activation_parts(plan, sizes, Batch(tokens, tokens, 0, 0))["activations"] <= 1.3 * peak


@pytest.mark.parametrize("name", FAMILIES)
def test_the_cache_is_that_of_transformers(name: str) -> None:
    model = BUILDERS[name](0)[0]
    cache = DynamicCache(config=model.config.get_text_config())
    with torch.no_grad():
        model.base_model(input_ids=torch.full((3, 20), 7), past_key_values=cache, use_cache=True)
    found = num_bytes(tensor for layer in cache.layers for tensor in (layer.keys, layer.values))
    assert cache_bytes(sizes_of(model.config, "here"), 3 * 20, 4) == found


DEEPSPEED_RANK = """
import json, os, sys
import deepspeed, torch
from emoreason.models import freeze
from tiny_models import qwen2_5_vl
from test_memory_estimate import num_bytes

stage = int(sys.argv[1])
deepspeed.init_distributed("gloo")
model = qwen2_5_vl()[0].to(torch.bfloat16)
freeze(model, ["vision", "projector"])
optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])
settings = {"train_micro_batch_size_per_gpu": 1, "bf16": {"enabled": True}, "zero_allow_untested_optimizer": True}
settings["zero_optimization"] = {"stage": stage}
engine, zero, _, _ = deepspeed.initialize(model=model, optimizer=optimizer, config=settings)
ids = torch.full((1, 16), 7)
engine.backward(engine(input_ids=ids, labels=ids).loss)
engine.step()
moments = num_bytes(v for state in zero.optimizer.state.values() for v in state.values() if torch.is_tensor(v) and v.numel() > 1)
if stage == 3:
    weights, copy = num_bytes(p.ds_tensor for p in engine.module.parameters()), num_bytes(zero.fp32_partitioned_groups_flat)
    gradients = num_bytes([zero.grad_partitions_flat_buffer])
else:
    weights, copy, gradients = num_bytes(engine.module.parameters()), num_bytes(zero.single_partition_of_fp32_groups), None
if torch.distributed.get_rank() == 0:
    print(json.dumps({"weights": weights, "gradients": gradients, "optimizer": copy + moments}))
torch.distributed.destroy_process_group()
"""


@pytest.mark.parametrize("stage", [2, 3])
def test_states_of_zero_are_those_of_deepspeed_on_two_processes(stage: int, tmp_path: Path) -> None:
    """To the byte, but for padding to even shares."""
    pytest.importorskip("deepspeed")
    script = tmp_path / "rank.py"
    script.write_text(DEEPSPEED_RANK)
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", str(script), str(stage)]
    environment = {**os.environ, "DS_ACCELERATOR": "cpu", "PYTHONPATH": str(Path(__file__).parent), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment, cwd=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("{")))
    expected = state_parts(replace(SFT, zero_stage=stage), sizes_of(BUILDERS["qwen2_5_vl"](0)[0].config, "here"), 2)
    for part, value in found.items():
        assert value is None or value == pytest.approx(expected[part], rel=2e-3), part


def test_seven_billion_weights_take_what_the_paper_says() -> None:
    """2 + 2 + 12 bytes a weight, over all GPUs in stage 3."""
    plan = replace(SFT, freeze=())
    assert sum(state_parts(plan, SEVEN_B, 8).values()) == pytest.approx(16 * SEVEN_B.total / 8)
    assert state_parts(replace(plan, zero_stage=1), SEVEN_B, 8)["optimizer"] == pytest.approx(12 * SEVEN_B.total / 8)
    assert state_parts(replace(plan, zero_stage=1), SEVEN_B, 8)["gradients"] == 2 * SEVEN_B.total


def test_what_is_offloaded_is_in_the_memory_of_the_node() -> None:
    plan = replace(SFT, freeze=(), offload_optimizer=True)
    assert state_parts(plan, SEVEN_B, 8) == {"weights": 2 * SEVEN_B.total / 8, "gradients": 0.0, "optimizer": 0.0}
    assert host_bytes(plan, SEVEN_B, 8) == 16 * SEVEN_B.total / 8 and step_bytes(plan, SEVEN_B, 8) == 0.0
    assert host_bytes(replace(plan, offload_parameters=True), SEVEN_B, 8) == 18 * SEVEN_B.total / 8


@pytest.mark.parametrize(
    ("plan", "batch"),
    [
        (replace(SFT, rows=2), Batch(2 * 1624, 2 * 1624, 2048, 4096)),
        (replace(SFT, rows=2, max_tokens=2000), Batch(2 * 1624, 2000, 2048, 4096)),
        (replace(SFT, stage="dpo", rows=2), Batch(2 * 600 + 4 * 1024, 2 * 600 + 4 * 1024, 4096, 4096)),
        (replace(GRPO, rows=8), Batch(600 + 8 * 1024, 600 + 8 * 1024, 8192, 2048)),
        (replace(GRPO, rows=8, shares=False), Batch(8 * 1624, 8 * 1624, 8192, 2048)),
        (replace(GRPO, rows=8, max_tokens=4700), Batch(2 * 600 + 8 * 1024, 4700, 8192, 2048)),
    ],
)
def test_a_prompt_is_counted_once_where_rows_share_it(plan, batch: Batch) -> None:
    assert batch_of(plan, LENGTHS) == batch


def per_gpu(plan, world_size: int) -> float:
    return max(
        sum((state_parts(plan, SEVEN_B, world_size) | activation_parts(plan, SEVEN_B, batch_of(plan, LENGTHS))).values())
        + sum(transient_parts(plan, SEVEN_B).values()) - transient_parts(plan, SEVEN_B).get("gathered weights", 0.0),
        sum(state_parts(plan, SEVEN_B, world_size).values()) + step_bytes(plan, SEVEN_B, world_size),
    )  # fmt: skip


@given(size=st.integers(2, 256), more=st.integers(1, 256), rows=st.integers(1, 16), freeze=st.sampled_from([(), ("vision",)]),
       stage=st.integers(1, 3), offload=st.booleans(), value=st.sampled_from([2, 4]))  # fmt: skip
def test_more_gpus_and_higher_stages_never_need_more(size, more, rows, freeze, stage, offload, value) -> None:
    """Of a GPU. What ZeRO-3 gathers for a moment is left out: at most two layers, or DeepSpeed's limit."""
    plan = replace(SFT, rows=rows, freeze=freeze, zero_stage=stage, offload_optimizer=offload, value_bytes=value)
    assert per_gpu(plan, size + more) <= per_gpu(plan, size)
    if stage < 3:
        assert per_gpu(replace(plan, zero_stage=stage + 1), size) <= per_gpu(plan, size)
    assert per_gpu(replace(plan, offload_optimizer=True), size) <= per_gpu(plan, size)
    assert per_gpu(replace(plan, offload_optimizer=offload, checkpointing=True), size) <= per_gpu(replace(plan, checkpointing=False), size)
