"""Curriculum SFT: phases in the order written, each with its own data mix, template, trainable parts and steps.

    emoreason train recipes/tiny/stage1_sft.yaml

A phase continues from the weights of the one before, with a learning-rate schedule of its own; the order of its rows is
fixed before it starts. The loss is TRL's, on the completion alone.
"""

from dataclasses import replace
from pathlib import Path

from accelerate import PartialState
from peft import PeftModel, get_peft_model
from rich.console import Console
from rich.progress import Progress
from transformers import PreTrainedModel, ProcessorMixin, set_seed
from trl import SFTConfig

from emoreason.collate import CompletionCollator, PromptEncoder
from emoreason.curriculum import mix
from emoreason.from_scratch import build_checkpoint
from emoreason.models import lora_config
from emoreason.prompts import instruction_for, target_text
from emoreason.recipe import Phase, SftRecipe
from emoreason.run_dir import RunDir
from emoreason.trainers.callbacks import MetricsLog
from emoreason.trainers.guarded import MediaSFTTrainer
from emoreason.trainers.session import begin_run, finish_run, num_rows, open_model, share_prompts, train_and_save, trainer_config
from emoreason.training_data import Example, Rows, check_lengths, completion_message, lazy_dataset, read_sources


def run(recipe: SftRecipe) -> RunDir:
    """Train every phase that is not done yet; the checkpoint of the last one is the run's."""
    sources = recipe.data + [source for phase in recipe.phases for source in phase.data or []]
    run_dir, is_open = begin_run(recipe, sorted({source.path for source in sources}))
    if not is_open:
        return run_dir
    with PartialState().main_process_first():
        if recipe.model.from_scratch and not Path(recipe.model.path).exists():
            build(recipe)
    folders = [run_dir.trainer_path / f"{number}_{phase.name}" for number, phase in enumerate(recipe.phases, start=1)]

    def configured(number: int) -> SFTConfig:
        return trainer_config("sft", recipe, folders[number] / "steps", recipe.phases[number].trainer)

    for number in range(len(folders)):
        configured(number)  # so that what TRL refuses of the last phase is said before the first begins
    destinations = [*(folder / "model" for folder in folders[:-1]), run_dir.checkpoint_path]
    for number, (phase, destination) in enumerate(zip(recipe.phases, destinations, strict=True)):
        if not destination.exists():
            config = configured(number)  # by itself, since a trainer with DeepSpeed wants a process state that no other has used
            model, processor = open_phase(recipe, phase, destinations[number - 1] if number else None)
            train_and_save(make_trainer(recipe, phase, config, model, processor, run_dir), recipe, processor, destination)
    finish_run(run_dir)
    return run_dir


def open_phase(recipe: SftRecipe, phase: Phase, before: Path | None) -> tuple[PreTrainedModel | PeftModel, ProcessorMixin]:
    """The model that a phase trains, read from what the phase before has written, so that it is the same after an interruption.

    The phases train one adapter on one base, so that nothing of the folder for resuming is needed afterwards.
    """
    if recipe.model.lora:
        model, processor = open_model(recipe, recipe.model.freeze)
        fresh = lora_config(recipe.model.lora, model)
        set_seed(recipe.seed)  # the trainer sets it too late for what it does not make itself
        return (PeftModel.from_pretrained(model, before, is_trainable=True) if before else get_peft_model(model, fresh)), processor
    settings = recipe.model.model_copy(update={"path": str(before or recipe.model.path)})
    return open_model(recipe.model_copy(update={"model": settings}), recipe.model.freeze if phase.freeze is None else phase.freeze)


def make_trainer(recipe: SftRecipe, phase: Phase, config: SFTConfig, model, processor, run_dir: RunDir) -> MediaSFTTrainer:
    """TRL's trainer over one phase's rows, in their order."""
    template = (phase.template or recipe.template).build()
    rows = Rows(recipe, template, recipe.augment)
    sources = read_sources(phase.data or recipe.data)
    order = mix([len(source) for source in sources], [source.weight for source in phase.data or recipe.data], num_rows(config), recipe.seed)

    def row(example: Example, index: int) -> dict:
        text = target_text(example.record, template, phase.think_from)
        return rows.row(example, index, completion=completion_message(text), id=example.record.id, images=[])

    encoder = PromptEncoder(processor, model.config, recipe.media)
    check_lengths(encoder, (row(example, 0) for source in sources for example in source), config.max_length, "trainer.max_length")
    dataset = lazy_dataset(len(order), lambda index: row(sources[order[index][0]][order[index][1]], index))
    callbacks = [MetricsLog(run_dir, phase.name)]
    collator = CompletionCollator(encoder)
    trainer = MediaSFTTrainer(model, config, train_dataset=dataset, processing_class=processor, data_collator=collator, callbacks=callbacks)
    share_prompts(trainer, recipe, (example.record for source in sources for example in source))
    return trainer


def build(recipe: SftRecipe) -> None:
    """Make the checkpoint that `model.from_scratch` describes, from the recipe's own prompts and targets."""
    examples = [example for source in read_sources(recipe.data) for example in source]
    texts = [text for phase in recipe.phases for text in _texts(recipe, phase)]
    # The confidence stage adds to the template; its sentence and its numbers must be in the vocabulary too.
    with_confidence = replace(recipe.template.build(), confidence=True)
    texts += [instruction_for(with_confidence)] * len(examples)
    texts += [target_text(example.record, with_confidence, "reasoning", index % 101 / 100) for index, example in enumerate(examples)]
    shown = [(example.record, example.records_path) for example in examples]
    with Progress(console=Console(stderr=True)) as bar:
        task = bar.add_task("warm start of the towers")

        def progress(step: int, steps: int, loss: float) -> None:
            bar.update(task, completed=step, total=steps, description=f"warm start of the towers, loss {loss:.2f}")

        build_checkpoint(Path(recipe.model.path), recipe.model.from_scratch, recipe.media, texts, shown, recipe.seed, recipe.augment, progress)


def _texts(recipe: SftRecipe, phase: Phase) -> list[str]:
    template = (phase.template or recipe.template).build()
    rows = Rows(recipe, template)
    texts = []
    for source in read_sources(phase.data or recipe.data):
        for example in source:
            texts += [message["content"][-1]["text"] for message in rows.prompt(example)]
            texts.append(target_text(example.record, template, phase.think_from))
    return texts
