"""Confidence verbalization: the model learns to say how likely it is to be right.

    emoreason train recipes/tiny/stage2_confidence.yaml

The model of stage 1 answers each record several times. The share of its answers that agree with the annotation, mixed
with the annotators' own agreement, becomes the number in `<confidence>`; then SFT on the annotated answers with it. Give
records that stage 1 was not trained on: on its own training data a model always agrees with itself.
"""

from trl import SFTConfig, SFTTrainer

from emoreason.completions import Template, parse_completion
from emoreason.confidence import agreement, confidence_target, human_share
from emoreason.curriculum import mix
from emoreason.evaluate import sample
from emoreason.models import load_for_sampling, lora_config
from emoreason.prompts import target_text
from emoreason.recipe import ConfidenceRecipe
from emoreason.run_dir import RunDir
from emoreason.trainers.callbacks import MarkComplete, MetricsLog
from emoreason.trainers.session import begin_run, finish_run, num_rows, open_model, sampled_once, train_and_save, trainer_config
from emoreason.training_data import Example, Rows, check_lengths, completion_message, lazy_dataset, read_sources


def run(recipe: ConfidenceRecipe) -> RunDir:
    """Sample, make the targets, train; what is done already is not done again."""
    run_dir, is_open = begin_run(recipe, sorted({source.path for source in recipe.data}))
    if not is_open:
        return run_dir
    sources = read_sources(recipe.data)
    examples = list({example.record.id: example for source in sources for example in source}.values())
    rows = sampled_once(run_dir, examples, lambda share: sample_targets(recipe, share))
    targets = {row["id"]: row["confidence_target"] for row in rows}
    if not run_dir.checkpoint_path.exists():
        config = trainer_config("sft", recipe, run_dir.trainer_path)
        model, processor = open_model(recipe, recipe.model.freeze)
        train_and_save(make_trainer(recipe, config, model, processor, sources, targets, run_dir), processor, run_dir.checkpoint_path)
    finish_run(run_dir, mean_confidence_target=sum(targets.values()) / len(targets))
    return run_dir


def sample_targets(recipe: ConfidenceRecipe, examples: list[Example]) -> list[dict]:
    """For each record its sampled completions, its agreement, the annotators' share and the confidence target."""
    before = Template(recipe.template.think, recipe.template.answer, confidence=False)
    model, processor = load_for_sampling(recipe.model, recipe.media)
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


def make_trainer(
    recipe: ConfidenceRecipe, config: SFTConfig, model, processor, sources: list[list[Example]], targets: dict[str, float], run_dir: RunDir
) -> SFTTrainer:
    """TRL's SFT trainer over the annotated answers, each with its confidence."""
    template = recipe.template.build()
    rows = Rows(recipe, template, recipe.augment)
    order = mix([len(source) for source in sources], [source.weight for source in recipe.data], num_rows(config), recipe.seed)

    def row(example: Example, index: int) -> dict:
        text = target_text(example.record, template, confidence=targets[example.record.id])
        return rows.row(example, index, completion=completion_message(text), id=example.record.id)

    check_lengths(processor, (row(example, 0) for source in sources for example in source), config.max_length, "trainer.max_length")
    dataset = lazy_dataset(len(order), lambda index: row(sources[order[index][0]][order[index][1]], index))
    return SFTTrainer(
        model, config, train_dataset=dataset, processing_class=processor,
        peft_config=lora_config(recipe.model.lora, model) if recipe.model.lora else None,
        callbacks=[MetricsLog(run_dir, "confidence"), MarkComplete()],
    )  # fmt: skip
