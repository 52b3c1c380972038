"""A plan and sizes to change, for tests of what a stage needs."""

from dataclasses import replace

from emoreason.memory_estimate import Lengths, ModelSizes
from emoreason.stage_plan import Plan

SFT = Plan(
    stage="sft", phase=None, zero_stage=3, offload_optimizer=False, offload_parameters=False, value_bytes=2, freeze=("vision", "projector"),
    lora=None, rows=4, accumulation=2, epochs=1.0, max_steps=-1, checkpointing=True, shares=True, max_tokens=None, max_length=2048, engine="none",
    num_kept=2,
)  # fmt: skip
GRPO = replace(SFT, stage="grpo", max_length=None, engine="vllm", utilization=0.3, max_model_len=4096, max_num_seqs=256, reference=True,
               max_new_tokens=1024, num_generations=8)  # fmt: skip
CONFIDENCE = replace(SFT, stage="confidence", engine="transformers", rows_drawn=64, max_new_tokens=512, num_generations=8)
ITSELF = replace(GRPO, engine="transformers", utilization=0.0, accumulation=32, rows=8)
"""GRPO whose model answers itself."""
SEVEN_B = ModelSizes(
    family="qwen2_5_vl", source="a test", parameters={"vision": 632_000_000, "projector": 45_000_000, "language": 7_615_000_000},
    adapted={"q_proj": 28 * 7168}, head=545_000_000, largest_layer=545_000_000, num_layers=28, hidden_size=3584, intermediate_size=18944,
    num_experts=0, experts_per_token=0, num_heads=28, num_kv_heads=4, head_size=128, norms_heads=False, vocab_size=152064, max_positions=128000,
    tower_depth=32,
    tower_hidden=1280, tower_intermediate=3420,
)  # fmt: skip
LENGTHS = Lengths(prompt=600, prompt_mean=590.0, completion=1024, completion_mean=1024.0, patches=2048, num_records=1000)
