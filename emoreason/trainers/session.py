"""What every stage does in the same way, on one process or many: begin, sample, configure, open, train, save, finish."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from peft import PeftModel
from transformers import PreTrainedModel, ProcessorMixin, Trainer
from trl import DPOConfig, GRPOConfig, SFTConfig

from emoreason.faults import UserError
from emoreason.files import write_jsonl
from emoreason.models import freeze, load_model, load_processor
from emoreason.recipe import Part, TrainingRecipe
from emoreason.run_dir import RunDir, publish
from emoreason.shared_prefix import share_prefixes
from emoreason.trainers.callbacks import newest_complete

CONFIGS = {"sft": SFTConfig, "grpo": GRPOConfig, "dpo": DPOConfig}


def begin_run(recipe: TrainingRecipe, data_paths: list[str]) -> tuple[RunDir, bool]:
    """The run's folder, and whether anything is left to do. The main process writes run.json, the others find it."""
    run_dir = RunDir(recipe.output_dir)
    with PartialState().main_process_first():
        is_open = run_dir.begin(recipe.model_dump(), data_paths, recipe.model.path)
    return run_dir, is_open


def finish_run(run_dir: RunDir, **results: Any) -> None:
    """Mark the run as ended once every process is here."""
    state = PartialState()
    state.wait_for_everyone()
    if state.is_main_process:
        run_dir.finish(**results)
    state.wait_for_everyone()


def sampled_once(run_dir: RunDir, items: list, make_rows: Callable[[list], list[dict]]) -> list[dict]:
    """`make_rows(items)` from the run's completions.jsonl, made first where it is missing: each process does its share."""
    state = PartialState()
    is_made = run_dir.completions_path.exists()
    state.wait_for_everyone()
    if not is_made:
        parts = [run_dir.path / f".completions_{index}.jsonl" for index in range(state.num_processes)]
        write_jsonl(parts[state.process_index], make_rows(items[state.process_index :: state.num_processes]))
        state.wait_for_everyone()
        if state.is_main_process:
            shares = [_read(part) for part in parts]
            write_jsonl(run_dir.completions_path, [shares[place % len(parts)][place // len(parts)] for place in range(len(items))])
            for part in parts:
                part.unlink()
        state.wait_for_everyone()
    return _read(run_dir.completions_path)


def _read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


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
    """The model with these parts frozen, and the processor with the recipe's media settings.

    Make the trainer's config first: with ZeRO-3 it is what makes the loading sharded.
    """
    processor = load_processor(recipe.model.path, recipe.media, recipe.model.trust_remote_code)
    model = load_model(recipe.model)
    freeze(model, frozen)
    return model, processor


def share_prompts(trainer: Trainer, recipe: TrainingRecipe) -> None:
    """Let the trainer's models run each prompt once where `recipe.packing` says so; call it after TRL has given them its LM head."""
    for model in (trainer.model, getattr(trainer, "ref_model", None)):
        if model is not None:
            plain = trainer.accelerator.unwrap_model(model)
            share_prefixes(plain.get_base_model() if isinstance(plain, PeftModel) else plain, recipe.packing)


def restore_weights(model: PreTrainedModel, checkpoint: str) -> None:
    """Load the weights of a checkpoint into the model, all of them or none.

    transformers 5.24's Trainer reads the file itself, without strictness: `save_pretrained` writes a vision-language model's
    weights under the names of its hub checkpoint, the model's own differ, and nothing is loaded, without a word.
    """
    model.load_state_dict(type(model).from_pretrained(checkpoint, dtype=model.dtype).state_dict(), strict=True)


def train_and_save(trainer: Trainer, processor: ProcessorMixin, destination: Path) -> None:
    """Train, from the newest complete checkpoint where there is one, and put the result at `destination`, whole or not at all."""
    checkpoint = newest_complete(Path(trainer.args.output_dir))
    if checkpoint and not (Path(checkpoint) / "adapter_config.json").exists() and not trainer.is_deepspeed_enabled:
        restore_weights(trainer.model, checkpoint)
    trainer.train(resume_from_checkpoint=checkpoint)
    temporary = destination.with_name(f".tmp_{destination.name}")
    trainer.save_model(str(temporary))
    if trainer.is_world_process_zero():
        processor.save_pretrained(temporary)
        (temporary / "training_args.bin").unlink(missing_ok=True)  # a pickle, and run.json says the same
        publish(temporary, destination)
    trainer.accelerator.wait_for_everyone()
