"""Confidence verbalization: the model learns to say how likely it is to be right.

    emoreason train recipes/tiny/stage2_confidence.yaml

The model of stage 1 answers each record several times. The share of its answers that agree with the annotation, mixed
with the annotators' own agreement, becomes the number in `<confidence>`; then SFT on the annotated answers with it. Give
records that stage 1 was not trained on: on its own training data a model always agrees with itself.
"""

import json

from peft import get_peft_model
from trl import SFTTrainer

from emoreason.completions import Template, parse_completion
from emoreason.confidence import agreement, confidence_target, human_share
from emoreason.curriculum import mix
from emoreason.evaluate import sample
from emoreason.files import write_jsonl
from emoreason.models import lora_config
from emoreason.prompts import target_text
from emoreason.recipe import ConfidenceRecipe
from emoreason.run_dir import RunDir
from emoreason.trainers.callbacks import MarkComplete, MetricsLog
from emoreason.trainers.session import num_rows, open_model, train_and_save, trainer_config
from emoreason.training_data import Example, Rows, check_lengths, completion_message, lazy_dataset, read_sources


def run(recipe: ConfidenceRecipe) -> RunDir:
    """Sample, make the targets, train; what is done already is not done again."""
    run_dir = RunDir(recipe.output_dir)
    if not run_dir.begin(recipe.model_dump(), sorted({source.path for source in recipe.data}), recipe.model.path):
        return run_dir
    model, processor = open_model(recipe, recipe.model.freeze)
    sources = read_sources(recipe.data)
    if not run_dir.completions_path.exists():
        examples = list({example.record.id: example for source in sources for example in source}.values())
        write_jsonl(run_dir.completions_path, sample_targets(recipe, model, processor, examples))
    rows = [json.loads(line) for line in run_dir.completions_path.read_text().splitlines()]
    targets = {row["id"]: row["confidence_target"] for row in rows}
    if not run_dir.checkpoint_path.exists():
        peft_config = lora_config(recipe.model.lora, model) if recipe.model.lora else None
        trainer = make_trainer(recipe, get_peft_model(model, peft_config) if peft_config else model, processor, sources, targets, run_dir)
        train_and_save(trainer, processor, run_dir.checkpoint_path)
    run_dir.finish(mean_confidence_target=sum(targets.values()) / len(targets))
    return run_dir


def sample_targets(recipe: ConfidenceRecipe, model, processor, examples: list[Example]) -> list[dict]:
    """For each record its sampled completions, its agreement, the annotators' share and the confidence target."""
    before = Template(recipe.template.think, recipe.template.answer, confidence=False)
    groups = sample(model, processor, recipe, before, examples, recipe.sampling, "sampling for confidence targets")
    rows = []
    for example, group in zip(examples, groups, strict=True):
        label = example.record.target.label
        answers = [parse_completion(rollout.text, before).label for rollout in group]
        agreed, human = agreement(answers, label), human_share(example.record.target, label)
        rows.append({"id": example.record.id, "label": label, "agreement": agreed, "human_share": human,
                     "confidence_target": confidence_target(agreed, human, **recipe.confidence.model_dump()),
                     "completions": [rollout.text for rollout in group]})  # fmt: skip
    return rows


def make_trainer(recipe: ConfidenceRecipe, model, processor, sources: list[list[Example]], targets: dict[str, float], run_dir: RunDir) -> SFTTrainer:
    """TRL's SFT trainer over the annotated answers, each with its confidence."""
    config = trainer_config("sft", recipe, run_dir.trainer_path)
    template = recipe.template.build()
    rows = Rows(recipe, template, recipe.augment)
    order = mix([len(source) for source in sources], [source.weight for source in recipe.data], num_rows(config), recipe.seed)

    def row(example: Example, index: int) -> dict:
        text = target_text(example.record, template, confidence=targets[example.record.id])
        return rows.row(example, index, completion=completion_message(text), id=example.record.id)

    check_lengths(processor, (row(example, 0) for source in sources for example in source), config.max_length, "trainer.max_length")
    dataset = lazy_dataset(len(order), lambda index: row(sources[order[index][0]][order[index][1]], index))
    callbacks = [MetricsLog(run_dir, "confidence"), MarkComplete()]
    return SFTTrainer(model, config, train_dataset=dataset, processing_class=processor, callbacks=callbacks)
