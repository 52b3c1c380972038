"""From a recipe to a TRL trainer's arguments, and from a trainer to a checkpoint that is whole."""

from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, ProcessorMixin, Trainer
from trl import DPOConfig, GRPOConfig, SFTConfig

from emoreason.faults import UserError
from emoreason.models import freeze, load_model, load_processor
from emoreason.recipe import Part, TrainingRecipe
from emoreason.run_dir import publish
from emoreason.trainers.callbacks import newest_complete

CONFIGS = {"sft": SFTConfig, "grpo": GRPOConfig, "dpo": DPOConfig}


def trainer_config(kind: str, recipe: TrainingRecipe, output_dir: Path, overrides: dict[str, Any] | None = None):
    """TRL's config for this recipe: the recipe's `trainer` block, and what the recipe says elsewhere.

    Where the recipe is silent, trackers are off and mixed precision follows `model.dtype`; everything else is TRL's default.

    Raises:
        UserError: TRL refuses the settings together, in its own words.
    """
    settings = {"report_to": "none", "bf16": recipe.model.dtype == "bfloat16", **recipe.trainer, **(overrides or {})}
    fixed = {"output_dir": str(output_dir), "seed": recipe.seed, "data_seed": recipe.seed, "remove_unused_columns": False,
             "use_cpu": not torch.cuda.is_available()}  # fmt: skip
    if kind == "sft":
        fixed["train_sampling_strategy"] = "sequential"  # the mix is in training order already
    try:
        return CONFIGS[kind](**{**settings, **fixed})
    except (TypeError, ValueError) as error:
        raise UserError(f"trainer: {CONFIGS[kind].__name__} refuses these settings: {error}") from error


def num_rows(config: SFTConfig) -> int | None:
    """Draws that `max_steps` steps take on all processes, or None where epochs are counted instead."""
    if config.max_steps <= 0:
        return None
    return config.max_steps * config.per_device_train_batch_size * config.gradient_accumulation_steps * config.world_size


def open_model(recipe: TrainingRecipe, frozen: list[Part]) -> tuple[PreTrainedModel, ProcessorMixin]:
    """The model with these parts frozen, and the processor with the recipe's media settings."""
    processor = load_processor(recipe.model.path, recipe.media, recipe.model.trust_remote_code)
    model = load_model(recipe.model)
    freeze(model, frozen)
    return model, processor


def train_and_save(trainer: Trainer, processor: ProcessorMixin, destination: Path) -> None:
    """Train, from the newest complete checkpoint where there is one, and put the result at `destination`, whole or not at all."""
    trainer.train(resume_from_checkpoint=newest_complete(Path(trainer.args.output_dir)))
    temporary = destination.with_name(f".tmp_{destination.name}")
    trainer.save_model(str(temporary))
    if trainer.is_world_process_zero():
        processor.save_pretrained(temporary)
        (temporary / "training_args.bin").unlink(missing_ok=True)  # a pickle, and run.json says the same
        publish(temporary, destination)
    trainer.accelerator.wait_for_everyone()
