"""DeepSpeed's settings, made from the recipe: one source of truth for what both the trainer and DeepSpeed have a word for."""

from typing import Any

SAID_ELSEWHERE = {
    "train_batch_size": "trainer.per_device_train_batch_size",
    "train_micro_batch_size_per_gpu": "trainer.per_device_train_batch_size",
    "gradient_accumulation_steps": "trainer.gradient_accumulation_steps",
    "gradient_clipping": "trainer.max_grad_norm",
    "bf16": "model.dtype",
    "fp16": "model.dtype",
    "optimizer": "trainer.optim, trainer.learning_rate, trainer.weight_decay",
    "scheduler": "trainer.lr_scheduler_type, trainer.warmup_steps",
    "zero_optimization.stage": "zero.stage",
    "zero_optimization.offload_optimizer": "zero.offload_optimizer",
    "zero_optimization.offload_param": "zero.offload_parameters",
    "zero_optimization.stage3_gather_16bit_weights_on_model_save": "nowhere: it is always true with stage 3, else checkpoints hold no weights",
    "wandb": "trackers",
    "tensorboard": "trackers",
    "csv_monitor": "nowhere: metrics.jsonl holds what is logged",
}
"""{DeepSpeed's key: where the recipe says it}."""


def zero_faults(extra: dict[str, Any]) -> list[str]:
    """What of `zero.extra` the recipe says elsewhere."""
    given = set(extra) | {f"zero_optimization.{name}" for name in extra.get("zero_optimization") or {}}
    return [f"extra.{key} is not set here; the recipe says it under {SAID_ELSEWHERE[key]}" for key in sorted(given & SAID_ELSEWHERE.keys())]


def deepspeed_settings(
    stage: int, offload_optimizer: bool, offload_parameters: bool, extra: dict[str, Any], dtype: str, trainer: dict[str, Any]
) -> dict[str, Any]:
    """What `TrainingArguments.deepspeed` takes; `auto` is filled in by transformers from the trainer's own arguments.

    Where `trainer.bf16` differs from `dtype`, the trainer's word counts, as it does without DeepSpeed.
    """
    zero: dict[str, Any] = {"stage": stage, "contiguous_gradients": True, "overlap_comm": True, "reduce_bucket_size": "auto"}
    if stage == 3:
        zero |= {"stage3_prefetch_bucket_size": "auto", "stage3_param_persistence_threshold": "auto",
                 "stage3_gather_16bit_weights_on_model_save": True}  # fmt: skip
    if offload_optimizer:
        zero["offload_optimizer"] = {"device": "cpu", "pin_memory": True}
    if offload_parameters:
        zero["offload_param"] = {"device": "cpu", "pin_memory": True}
    bf16 = trainer.get("bf16", dtype == "bfloat16")
    settings = {
        "bf16": {"enabled": bf16}, "gradient_accumulation_steps": "auto", "gradient_clipping": "auto", "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto", "zero_optimization": zero,
    }  # fmt: skip
    return {**settings, **extra, "zero_optimization": zero | (extra.get("zero_optimization") or {})}
