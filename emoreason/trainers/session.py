"""What every stage does in the same way, on one process or many: begin, sample, configure, open, train, save, finish."""

import importlib.util
import json
import logging
import os
import shutil
import signal
import socket
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from accelerate.utils import broadcast_object_list
from peft import PeftModel
from transformers import PreTrainedModel, ProcessorMixin, Trainer
from transformers.integrations.deepspeed import unset_hf_deepspeed_config
from trl import DPOConfig, GRPOConfig, SFTConfig

from emoreason import checkpoints, preemption, ranks
from emoreason.families import blank
from emoreason.faults import UserError
from emoreason.files import read_json, write_jsonl
from emoreason.media_tokens import Modality
from emoreason.models import freeze, load_model, load_processor
from emoreason.preemption import Preempted
from emoreason.prompts import media_kinds
from emoreason.recipe import Checkpoints, ConfidenceRecipe, DpoRecipe, Part, Rollouts, Sampling, TrainingRecipe
from emoreason.records import Record
from emoreason.run_dir import RunDir, publish, versions
from emoreason.shared_prefix import share_prefixes
from emoreason.trainers.callbacks import KeepCheckpoints, MakeRoom
from emoreason.trainers.guarded import CountOn, GuardedTrainer
from emoreason.trainers.tracker_feed import TrackerFeed
from emoreason.trainers.watchdog import Watchdog
from emoreason.zero import deepspeed_settings

_LOG = logging.getLogger("emoreason")
CONFIGS = {"sft": SFTConfig, "grpo": GRPOConfig, "dpo": DPOConfig}
TRAINING_STATE = ("*.pt", "*.pth", "*.bin", "global_step*", "latest", "zero_to_fp32.py", "trainer_state.json", checkpoints.SEAL)
"""What of a checkpoint only training needs."""


def begin_run(recipe: TrainingRecipe, data_paths: list[str]) -> tuple[RunDir, bool]:
    """The run's folder, and whether anything is left to do. The main process writes run.json, the others find it."""
    run_dir = RunDir(recipe.output_dir)
    if recipe.zero:
        _tell_of_one_process()
    PartialState(cpu=not torch.cuda.is_available())  # the first call decides for all others; without `cpu` each process would be alone
    if recipe.zero:
        _begin_deepspeed()
    with PartialState().main_process_first():
        is_open = run_dir.begin(recipe.model_dump(), data_paths, recipe.model.path)
        for change in run_dir.other_versions() if PartialState().is_main_process and is_open else []:
            _LOG.warning("%s was begun with %s; numbers may differ from there on", run_dir.path, change)
    ranks.watch_failures(run_dir.path)
    return run_dir, is_open


def finish_run(run_dir: RunDir, **results: Any) -> None:
    """Mark the run as ended once every process is here."""
    state = PartialState()
    unset_hf_deepspeed_config()  # or models that are loaded from here on would be spread over the processes
    state.wait_for_everyone()
    if state.is_main_process:
        run_dir.finish(**results)
    state.wait_for_everyone()


Sampler = Callable[[], AbstractContextManager[Callable[[list, int], list[dict]]]]


def sampled_once(recipe: ConfidenceRecipe | DpoRecipe, run_dir: RunDir, items: list, open_sampler: Sampler) -> list[dict]:
    """A row for each item from the run's completions.jsonl, made first where it is missing.

    Items are sampled in pieces, which the processes share and which stay when a process is ended, so that only the piece is lost that was
    being made. What a piece holds depends on its place alone, neither on the number of processes nor on interruptions. `open_sampler` opens an
    engine and gives what makes the rows of so many items, the number of the first of them given.

    Raises:
        Preempted: USR1 or TERM has come; what has been sampled stays.
    """
    state, size = PartialState(), piece_size(recipe.sampling, recipe.rollouts)
    folder = run_dir.path / ".completions"
    paths = {start: folder / f"{start}.jsonl" for start in range(0, len(items), size)}
    is_made = run_dir.completions_path.exists()
    state.wait_for_everyone()
    if not is_made:
        own = [start for place, start in enumerate(paths) if place % state.num_processes == state.process_index]
        missing = [start for start in own if not paths[start].exists()]
        if missing:
            with Watchdog(recipe.watchdog.minutes), open_sampler() as make_rows:
                for start in missing:
                    preemption.leave_if_asked()
                    write_jsonl(paths[start], make_rows(items[start : start + size], start))
        state.wait_for_everyone()
        if state.is_main_process:
            write_jsonl(run_dir.completions_path, [row for path in paths.values() for row in _read(path)])
            shutil.rmtree(folder)
        state.wait_for_everyone()
    return _read(run_dir.completions_path)


def piece_size(sampling: Sampling, rollouts: Rollouts) -> int:
    """How many items are sampled at once: enough to keep the engine busy, and no more than one would mind to lose."""
    batch = max(1, sampling.batch_size // sampling.num_completions)
    return 8 * batch if rollouts.engine == "transformers" else max(256, batch)


def _read(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def trainer_config(kind: str, recipe: TrainingRecipe, output_dir: Path, overrides: dict[str, Any] | None = None):
    """TRL's config for this recipe: the recipe's `trainer` block, and what the recipe says elsewhere.

    Where the recipe is silent, trackers are off and mixed precision follows `model.dtype`; everything else is TRL's default.

    Raises:
        UserError: TRL refuses the settings together, in its own words.
    """
    settings = {"report_to": "none", "bf16": recipe.model.dtype == "bfloat16", **recipe.trainer, **(overrides or {})}
    fixed = {"output_dir": str(output_dir / checkpoints.ASIDE), "seed": recipe.seed, "data_seed": recipe.seed, "remove_unused_columns": False,
             "use_cpu": not torch.cuda.is_available(), "logging_nan_inf_filter": False}  # fmt: skip
    if kind == "sft":
        fixed["train_sampling_strategy"] = "sequential"  # the mix is in training order already
    if recipe.zero:
        fixed["deepspeed"] = deepspeed_settings(**recipe.zero.model_dump(), dtype=recipe.model.dtype, trainer=settings)
    try:
        return CONFIGS[kind](**{**settings, **fixed})
    except (TypeError, ValueError) as error:
        raise UserError(f"trainer: {CONFIGS[kind].__name__} refuses these settings: {error}") from error


def _tell_of_one_process() -> None:
    """Where no launcher has told of any process, tell DeepSpeed that this one is all there is.

    Raises:
        UserError: it is not installed.
    """
    if importlib.util.find_spec("deepspeed") is None:
        raise UserError("zero: DeepSpeed is not installed; pip install 'emoreason[deepspeed]', or set zero to null")
    if "RANK" not in os.environ:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        os.environ |= {"RANK": "0", "LOCAL_RANK": "0", "WORLD_SIZE": "1", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}


def _begin_deepspeed() -> None:
    """Let DeepSpeed speak through the process group of accelerate, or a model that ZeRO-3 loads before its trainer is there would be spread
    over one process."""
    import deepspeed

    deepspeed.init_distributed(verbose=False)


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


def share_prompts(trainer: Trainer, recipe: TrainingRecipe, records: Iterable[Record] = ()) -> None:
    """Let the trainer's models run each prompt once where `recipe.packing` says so; call it after TRL has given them its LM head.

    With several processes all of them then run the same modules in each step, whatever kinds of media their rows hold; `records` are all
    that the trainer reads.
    """
    if trainer.accelerator.num_processes > 1:
        config = trainer.accelerator.unwrap_model(trainer.model).config
        trainer.blanks = {kind: blank(config, kind) for kind in sorted({kind for record in records for kind in heard_and_seen(record)})}
    for model in (trainer.model, getattr(trainer, "ref_model", None)):
        if model is not None:
            plain = trainer.accelerator.unwrap_model(model)
            share_prefixes(plain.get_base_model() if isinstance(plain, PeftModel) else plain, recipe.packing, getattr(trainer, "blanks", {}))


def heard_and_seen(record: Record) -> set[Modality]:
    """Kinds of media that the towers read of a record, those of rejected media too."""
    media = [record.media, *([record.preference.rejected_media] if record.preference and record.preference.rejected_media else [])]
    return {kind for one in media for kind in (*media_kinds(one), *(("audio",) if one.audio_in_video else ()))}


def restore_weights(model: PreTrainedModel, checkpoint: str) -> None:
    """Load the weights of a checkpoint into the model, all of them or none.

    transformers 5.24's Trainer reads the file itself, without strictness: `save_pretrained` writes a vision-language model's
    weights under the names of its hub checkpoint, the model's own differ, and nothing is loaded, without a word.
    """
    model.load_state_dict(type(model).from_pretrained(checkpoint, dtype=model.dtype).state_dict(), strict=True)


def keep_checkpoints(trainer: GuardedTrainer, recipe: TrainingRecipe) -> tuple[MakeRoom, KeepCheckpoints]:
    """Let this trainer's checkpoints be sealed and kept as the recipe says, and signals and losses be minded; by these two."""
    args, accelerator = trainer.args, trainer.accelerator
    folder = Path(args.output_dir).parent
    facts = {"world_size": args.world_size, "zero_stage": recipe.zero.stage if recipe.zero else 0, "versions": versions(),
             "rows_per_step": args.per_device_train_batch_size * args.gradient_accumulation_steps * args.world_size}  # fmt: skip
    trainer.max_loss = recipe.watchdog.max_loss
    trainer.add_callback(CountOn(trainer))
    trainer.add_callback(room := MakeRoom(accelerator))
    trainer.add_callback(TrackerFeed(recipe.output_dir, recipe.trackers))
    trainer.add_callback(keeper := KeepCheckpoints(folder, recipe.checkpoints, accelerator, facts))
    return room, keeper


def checkpoint_to_resume(folder: Path, facts: dict[str, Any]) -> str | None:
    """The newest good checkpoint, the same for every process, or None. What was left half written is removed.

    Raises:
        UserError: it was written by another number of processes, under another ZeRO stage, or with another number of rows a step.
    """
    found: list[str | None] = [None]
    if PartialState().is_main_process:
        checkpoints.clear_aside(folder)
        newest = checkpoints.newest_good(folder, _LOG.warning)
        found = [str(newest) if newest else None]
    broadcast_object_list(found)
    if found[0] is None:
        return None
    refused, noted = checkpoints.misfits(read_json(Path(found[0]) / checkpoints.SEAL), facts)
    if refused:
        raise UserError(f"{found[0]}: cannot be gone on with: {'; '.join(refused)}; start it as it was, or start anew from its weights: another "
                        f"output_dir, and model.path={found[0]}")
    for change in noted if PartialState().is_main_process else []:
        _LOG.warning("%s: %s; numbers may differ from there on", found[0], change)
    return found[0]


def train_and_save(trainer: GuardedTrainer, recipe: TrainingRecipe, processor: ProcessorMixin, destination: Path) -> None:
    """Train, from the newest good checkpoint where there is one, and put the result at `destination`, whole or not at all.

    Raises:
        Preempted: USR1 or TERM has come; a checkpoint of the last step is there.
    """
    room, keeper = keep_checkpoints(trainer, recipe)
    folder = keeper.folder
    checkpoint = checkpoint_to_resume(folder, keeper.facts)
    if checkpoint and not (Path(checkpoint) / "adapter_config.json").exists() and not trainer.is_deepspeed_enabled:
        restore_weights(trainer.model, checkpoint)
    with Watchdog(recipe.watchdog.minutes):
        trainer.train(resume_from_checkpoint=checkpoint)
        if room.has_stopped:
            raise Preempted(preemption.requested() or signal.SIGUSR1)  # another process was asked
        temporary = destination.with_name(f".tmp_{destination.name}")
        trainer.save_model(str(temporary))
        if trainer.is_world_process_zero():
            processor.save_pretrained(temporary)
            (temporary / "training_args.bin").unlink(missing_ok=True)  # a pickle, and run.json says the same
            if recipe.checkpoints.keep_best:
                export_best(folder, recipe.checkpoints, destination.with_name(f"best_{destination.name}"))
            publish(temporary, destination)
        trainer.accelerator.wait_for_everyone()


def export_best(folder: Path, settings: Checkpoints, destination: Path) -> None:
    """Put the weights of the best checkpoints below `destination`, each loadable by itself."""
    sealed = [path for path in folder.glob("checkpoint-*") if (path / checkpoints.SEAL).exists()]
    shutil.rmtree(destination, ignore_errors=True)  # left by a process that was killed here
    for path in checkpoints.best(sealed, settings.keep_best, settings.best_is):
        shutil.copytree(path, destination / path.name, ignore=shutil.ignore_patterns(*TRAINING_STATE))
