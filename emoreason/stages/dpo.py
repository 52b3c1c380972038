"""DPO on preferences: the model's own completions ranked by the recipe's rewards, or the answers that each record prefers.

    emoreason train recipes/tiny/stage3_dpo.yaml

With `pairs.source: samples` the parent model answers each record several times, the rewards score the answers, and the best and
worst become chosen and rejected; scores are kept in completions.jsonl. With `records` a record brings its chosen answer, one or
more rejected ones with weights, and, where it has them, media under which the chosen answer would be wrong. The loss is TRL's
(Rafailov et al. 2023, arXiv 2305.18290), and AVEm-DPO's beyond pairs (`trainers/dpo.py`).
"""

from typing import Any

from trl import DPOConfig

from emoreason.collate import PreferenceCollator, PromptEncoder
from emoreason.evaluate import sample
from emoreason.faults import UserError
from emoreason.models import load_for_sampling, lora_config
from emoreason.preferences import make_pairs
from emoreason.recipe import DpoRecipe
from emoreason.rewarding import RewardFunc, total_reward
from emoreason.run_dir import RunDir
from emoreason.trainers.callbacks import MarkComplete, MetricsLog
from emoreason.trainers.dpo import ComparisonCollator, MediaDPOTrainer
from emoreason.trainers.session import begin_run, finish_run, open_model, sampled_once, share_prompts, train_and_save, trainer_config
from emoreason.training_data import Example, Rows, check_lengths, completion_message, lazy_dataset, read_sources


def run(recipe: DpoRecipe) -> RunDir:
    """Sample and score where the recipe says so, make the pairs, train; what is done already is not done again."""
    run_dir, is_open = begin_run(recipe, sorted({source.path for source in recipe.data}))
    if not is_open:
        return run_dir
    examples = {example.record.id: example for source in read_sources(recipe.data) for example in source}
    pairs = sampled_pairs(recipe, examples, run_dir) if recipe.pairs.source == "samples" else recorded_pairs(examples)
    if not run_dir.checkpoint_path.exists():
        config = trainer_config("dpo", recipe, run_dir.trainer_path)
        model, processor = open_model(recipe, recipe.model.freeze)
        train_and_save(make_trainer(recipe, config, model, processor, pairs, run_dir), processor, run_dir.checkpoint_path)
    finish_run(run_dir, num_records=len(examples), num_pairs=len(pairs), num_records_with_pairs=len({pair[0].record.id for pair in pairs}))
    return run_dir


Pair = tuple[Example, str, list[str], list[float]]
"""An example, its chosen answer, its rejected ones and their weights, which add up to 1."""


def sampled_pairs(recipe: DpoRecipe, examples: dict[str, Example], run_dir: RunDir) -> list[Pair]:
    """The best against the worst of the model's own completions of each record.

    Raises:
        UserError: no two completions differ enough.
    """
    scored = sampled_once(run_dir, list(examples.values()), lambda share: score_completions(recipe, share))
    pairs = [
        (examples[row["id"]], row["completions"][pair.chosen], [row["completions"][pair.rejected]], [1.0])
        for row in scored
        for pair in make_pairs(row["completions"], row["totals"], recipe.pairs.min_margin, recipe.pairs.max_pairs_per_record)
    ]
    if not pairs:
        raise UserError(f"{run_dir.completions_path}: no two completions of a record differ by pairs.min_margin {recipe.pairs.min_margin}; "
                        "lower it, raise sampling.temperature or num_completions, or give harder records")
    return pairs


def recorded_pairs(examples: dict[str, Example]) -> list[Pair]:
    """The preference of every record that has one.

    Raises:
        UserError: none has.
    """
    preferring = [example for example in examples.values() if example.record.preference]
    if not preferring:
        raise UserError("pairs.source is records, but no record has a preference; give some, or use pairs: {source: samples}")
    return [(one, (said := one.record.preference).chosen, said.rejected, said.shares) for one in preferring]


def score_completions(recipe: DpoRecipe, examples: list[Example]) -> list[dict]:
    """For each record its sampled completions, each reward's values and their weighted totals."""
    rewards = [RewardFunc.from_spec(spec) for spec in recipe.rewards]
    rows = Rows(recipe, recipe.template.build())
    model, processor = load_for_sampling(recipe.model, recipe.media)
    groups = sample(model, processor, rows, examples, recipe.sampling, "sampling for preference pairs")
    scored = []
    for example, group in zip(examples, groups, strict=True):
        texts = [rollout.text for rollout in group]
        columns = {name: [value] * len(texts) for name, value in rows.reward_columns(example).items()}
        totals, by_name = total_reward(rewards, texts, columns)
        scored.append({"id": example.record.id, "completions": texts, "totals": totals, "rewards": by_name})
    return scored


def make_trainer(recipe: DpoRecipe, config: DPOConfig, model, processor, pairs: list[Pair], run_dir: RunDir) -> MediaDPOTrainer:
    """The trainer over the pairs, in the order of the records; TRL shuffles them with the recipe's seed."""
    rows = Rows(recipe, recipe.template.build(), recipe.augment)

    def row(index: int) -> dict[str, Any]:
        example, chosen, rejected, weights = pairs[index]
        other = example.other_media(recipe.media) if recipe.pairs.source == "records" else None
        return rows.row(example, index, chosen=completion_message(chosen), rejected=[completion_message(text) for text in rejected],
                        weights=weights, rejected_media=other, id=example.record.id, images=[])  # fmt: skip

    encoder = PromptEncoder(processor, model.config, recipe.media)
    check_lengths(encoder, map(row, range(len(pairs))), config.max_length, "trainer.max_length")
    trainer = MediaDPOTrainer(
        model, None, config, train_dataset=lazy_dataset(len(pairs), row), processing_class=processor,
        data_collator=ComparisonCollator(PreferenceCollator(encoder), recipe.preference.text_prior > 0), preference=recipe.preference,
        peft_config=lora_config(recipe.model.lora, model) if recipe.model.lora else None,
        callbacks=[MetricsLog(run_dir, "dpo"), MarkComplete()],
    )  # fmt: skip
    share_prompts(trainer, recipe)
    return trainer
