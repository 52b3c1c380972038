"""What of a recipe decides how large a step is and where its memory goes, with TRL's defaults filled in."""

from dataclasses import dataclass
from typing import Any

from emoreason.recipe import DpoRecipe, GrpoRecipe, LoraSettings, Part, SftRecipe, TrainingRecipe

BATCH_SIZE, EPOCHS = 8, 3.0
"""transformers' defaults."""


@dataclass(frozen=True)
class Plan:
    """One training run: a stage, or one phase of SFT."""

    stage: str
    phase: str | None
    """Of SFT."""
    zero_stage: int
    """0: no DeepSpeed, every GPU holds everything."""
    offload_optimizer: bool
    offload_parameters: bool
    value_bytes: int
    """Of a weight: 2 in bfloat16, 4 in float32."""
    freeze: tuple[Part, ...]
    lora: LoraSettings | None
    rows: int
    """A GPU's rows of a forward pass: `trainer.per_device_train_batch_size`."""
    accumulation: int
    epochs: float
    max_steps: int
    """0 or less: epochs are counted instead."""
    checkpointing: bool
    shares: bool
    max_tokens: int | None
    """Longest packed row, see `recipe.Packing`."""
    max_length: int | None
    engine: str
    """`none` for a stage that samples nothing."""
    server_runs: bool = False
    """`rollouts.server.url` names a server somewhere else."""
    sleep: bool = False
    utilization: float = 0.0
    max_model_len: int | None = None
    max_num_seqs: int = 0
    reference: bool = False
    """A second model is held for its log-probabilities."""
    rows_drawn: int = 0
    """Of sampling outside of training: sequences at once."""
    max_new_tokens: int = 0
    num_generations: int = 1
    generation_batch_size: int | None = None
    steps_per_generation: int | None = None
    num_iterations: int = 1
    max_resamples: int = 0
    num_kept: int = 0
    """Checkpoints that stay on disk while the stage trains."""

    @property
    def name(self) -> str:
        return f"{self.stage} {self.phase}" if self.phase else self.stage


def plans_of(recipe: TrainingRecipe) -> list[Plan]:
    """One for each phase of SFT, else one."""
    if isinstance(recipe, SftRecipe):
        return [_plan(recipe, {**recipe.trainer, **phase.trainer}, phase.name, recipe.model.freeze if phase.freeze is None else phase.freeze)
                for phase in recipe.phases]  # fmt: skip
    return [_plan(recipe, recipe.trainer, None, recipe.model.freeze)]


def _plan(recipe: TrainingRecipe, trainer: dict[str, Any], phase: str | None, freeze: list[Part]) -> Plan:
    zero = recipe.zero
    more: dict[str, Any] = {}
    if not isinstance(recipe, SftRecipe):
        rollouts = recipe.rollouts
        more |= {"sleep": rollouts.sleep, "utilization": rollouts.gpu_memory_utilization, "max_model_len": rollouts.max_model_len,
                 "max_num_seqs": rollouts.max_num_seqs, "server_runs": rollouts.server.url is not None}  # fmt: skip
    samples = not isinstance(recipe, SftRecipe) and (not isinstance(recipe, DpoRecipe) or "samples" in recipe.pairs.sources)
    if isinstance(recipe, GrpoRecipe):
        more |= {"max_new_tokens": trainer.get("max_completion_length", 512), "num_generations": trainer.get("num_generations", 8),
                 "generation_batch_size": trainer.get("generation_batch_size"), "steps_per_generation": trainer.get("steps_per_generation"),
                 "num_iterations": trainer.get("num_iterations", 1), "max_resamples": recipe.max_resamples,
                 "reference": trainer.get("beta", 0.0) != 0 and recipe.model.lora is None}  # fmt: skip
    elif not isinstance(recipe, SftRecipe):
        more |= {"max_new_tokens": recipe.sampling.max_new_tokens, "rows_drawn": recipe.sampling.batch_size,
                 "num_generations": recipe.sampling.num_completions,
                 "reference": isinstance(recipe, DpoRecipe) and recipe.model.lora is None}  # fmt: skip
    return Plan(
        stage=recipe.stage, phase=phase, zero_stage=zero.stage if zero else 0,
        offload_optimizer=zero is not None and zero.offload_optimizer, offload_parameters=zero is not None and zero.offload_parameters,
        value_bytes=2 if recipe.model.dtype == "bfloat16" else 4, freeze=tuple(freeze), lora=recipe.model.lora,
        rows=trainer.get("per_device_train_batch_size", BATCH_SIZE), accumulation=trainer.get("gradient_accumulation_steps", 1),
        epochs=trainer.get("num_train_epochs", EPOCHS), max_steps=trainer.get("max_steps", -1),
        checkpointing=trainer.get("gradient_checkpointing", True), shares=recipe.packing.shared_prefix != "never",
        max_tokens=recipe.packing.max_tokens, max_length=None if recipe.stage == "grpo" else trainer.get("max_length", 1024),
        engine=recipe.rollouts.engine if samples else "none", num_kept=recipe.checkpoints.keep_last + recipe.checkpoints.keep_best, **more,
    )  # fmt: skip
