"""DPO on pairs of the model's own completions, ranked by the recipe's rewards.

    emoreason train recipes/tiny/stage3_dpo.yaml

The parent model answers each record several times, the rewards score the answers, and the best and worst become chosen
and rejected (Rafailov et al. 2023, arXiv 2305.18290; the loss is TRL's). Scores and pairs are kept in completions.jsonl.
"""

import json

from trl import DPOTrainer

from emoreason.evaluate import sample
from emoreason.faults import UserError
from emoreason.files import write_jsonl
from emoreason.models import lora_config
from emoreason.preferences import make_pairs
from emoreason.recipe import DpoRecipe
from emoreason.rewarding import RewardFunc, total_reward
from emoreason.run_dir import RunDir
from emoreason.trainers.callbacks import MarkComplete, MetricsLog
from emoreason.trainers.session import open_model, train_and_save, trainer_config
from emoreason.training_data import Example, Rows, check_lengths, completion_message, lazy_dataset, read_sources


def run(recipe: DpoRecipe) -> RunDir:
    """Sample and score, make the pairs, train; what is done already is not done again."""
    run_dir = RunDir(recipe.output_dir)
    if not run_dir.begin(recipe.model_dump(), sorted({source.path for source in recipe.data}), recipe.model.path):
        return run_dir
    model, processor = open_model(recipe, recipe.model.freeze)
    examples = {example.record.id: example for source in read_sources(recipe.data) for example in source}
    if not run_dir.completions_path.exists():
        write_jsonl(run_dir.completions_path, score_completions(recipe, model, processor, list(examples.values())))
    scored = [json.loads(line) for line in run_dir.completions_path.read_text().splitlines()]
    pairs = [
        (examples[row["id"]], row["completions"][pair.chosen], row["completions"][pair.rejected])
        for row in scored
        for pair in make_pairs(row["completions"], row["totals"], recipe.pairs.min_margin, recipe.pairs.max_pairs_per_record)
    ]
    if not pairs:
        raise UserError(f"{run_dir.completions_path}: no two completions of a record differ by pairs.min_margin {recipe.pairs.min_margin}; "
                        "lower it, raise sampling.temperature or num_completions, or give harder records")
    if not run_dir.checkpoint_path.exists():
        train_and_save(make_trainer(recipe, model, processor, pairs, run_dir), processor, run_dir.checkpoint_path)
    run_dir.finish(num_records=len(scored), num_pairs=len(pairs), num_records_with_pairs=len({pair[0].record.id for pair in pairs}))
    return run_dir


def score_completions(recipe: DpoRecipe, model, processor, examples: list[Example]) -> list[dict]:
    """For each record its sampled completions, each reward's values and their weighted totals."""
    rewards = [RewardFunc(**spec.model_dump(exclude={"func"}), address=spec.func) for spec in recipe.rewards]
    rows = Rows(recipe, recipe.template.build())
    groups = sample(model, processor, recipe, rows.template, examples, recipe.sampling, "sampling for preference pairs")
    scored = []
    for example, group in zip(examples, groups, strict=True):
        texts = [rollout.text for rollout in group]
        columns = {name: [value] * len(texts) for name, value in rows.reward_columns(example).items()}
        totals, by_name = total_reward(rewards, texts, columns)
        scored.append({"id": example.record.id, "completions": texts, "totals": totals, "rewards": by_name})
    return scored


def make_trainer(recipe: DpoRecipe, model, processor, pairs: list[tuple[Example, str, str]], run_dir: RunDir) -> DPOTrainer:
    """TRL's trainer over the pairs, in the order of the records; TRL shuffles them with the recipe's seed."""
    config = trainer_config("dpo", recipe, run_dir.trainer_path)
    rows = Rows(recipe, recipe.template.build(), recipe.augment)

    def row(index: int) -> dict:
        example, chosen, rejected = pairs[index]
        return rows.row(example, index, chosen=completion_message(chosen), rejected=completion_message(rejected), id=example.record.id)

    check_lengths(processor, map(row, range(len(pairs))), config.max_length, "trainer.max_length")
    return DPOTrainer(
        model, None, config, train_dataset=lazy_dataset(len(pairs), row), processing_class=processor,
        peft_config=lora_config(recipe.model.lora, model) if recipe.model.lora else None,
        callbacks=[MetricsLog(run_dir, "dpo"), MarkComplete()],
    )  # fmt: skip
