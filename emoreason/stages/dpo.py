"""DPO on preference pairs from any mix of sources: samples, the records' own, conflicts of modalities, cues.

    emoreason train recipes/tiny_av/stage3_dpo.yaml

With `samples` among `pairs.sources` the parent model answers each record several times, and the recipe's rewards score the answers,
which completions.jsonl keeps; `preferences` says what each source gives. The pairs are written to pairs.jsonl as records that can
be read and trained on again, how alike their two sides are to pairs.json, and training reads the file. The loss is TRL's (Rafailov
et al. 2023, arXiv 2305.18290), and AVEm-DPO's beyond pairs (`trainers/dpo.py`).
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from accelerate import PartialState
from trl import DPOConfig

from emoreason.collate import PreferenceCollator, PromptEncoder
from emoreason.curriculum import mix
from emoreason.evaluate import sample
from emoreason.models import load_processor, lora_config
from emoreason.pair_files import linked_records, read_pairs, write_pairs
from emoreason.preferences import Pairs, sampled_pairs, unsampled_pairs
from emoreason.recipe import DpoRecipe, PairSource
from emoreason.records import Preference, Record
from emoreason.rewarding import RewardFunc, total_reward
from emoreason.rollouts import Engine
from emoreason.rollouts.opening import open_engine
from emoreason.run_dir import RunDir
from emoreason.trainers.callbacks import MetricsLog
from emoreason.trainers.dpo import ComparisonCollator, MediaDPOTrainer
from emoreason.trainers.session import begin_run, finish_run, num_rows, open_model, sampled_once, share_prompts, train_and_save, trainer_config
from emoreason.training_data import Example, Rows, check_lengths, completion_message, lazy_dataset, read_sources


def run(recipe: DpoRecipe) -> RunDir:
    """Sample and score where the recipe says so, make the pairs, train; what is done already is not done again."""
    run_dir, is_open = begin_run(recipe, sorted({source.path for source in recipe.data}))
    if not is_open:
        return run_dir
    sources = read_sources(recipe.data)
    examples = {example.record.id: example for source in sources for example in source}
    scored = []
    if "samples" in recipe.pairs.sources:
        views = [replace(example, view=view) for example in examples.values() for view in range(recipe.pairs.views)]
        scored = sampled_once(recipe, run_dir, views, lambda: open_sampler(recipe))
    with PartialState().main_process_first():
        if not run_dir.balance_path.exists():
            records = linked_records(list(examples.values()), run_dir.path)
            found = {source: pairs_of(source, recipe, records, scored) for source in recipe.pairs.sources}
            tokenizer = load_processor(recipe.model.path, recipe.media, recipe.model.trust_remote_code).tokenizer
            write_pairs(run_dir, found, recipe.template.build(), lambda text: len(tokenizer(text)["input_ids"]))
    pairs, num_records_with_pairs = read_pairs(run_dir)
    if not run_dir.checkpoint_path.exists():
        config = trainer_config("dpo", recipe, run_dir.trainer_path)
        model, processor = open_model(recipe, recipe.model.freeze)
        by_source = [from_records(pairs, {example.record.id for example in source}) for source in sources]
        train_and_save(make_trainer(recipe, config, model, processor, by_source, run_dir), recipe, processor, run_dir.checkpoint_path)
    finish_run(run_dir, num_records=len(examples), num_pairs=len(pairs), num_records_with_pairs=num_records_with_pairs)
    return run_dir


def pairs_of(source: PairSource, recipe: DpoRecipe, records: list[Record], scored: list[dict]) -> Pairs:
    """What a source gives; `scored` are the completions of the records, as completions.jsonl has them."""
    if source != "samples":
        return unsampled_pairs(source, records, recipe)
    by_id = {record.id: record for record in records}
    sampled = [by_id[row["id"]] for row in scored]
    texts, totals = [row["completions"] for row in scored], [row["totals"] for row in scored]
    return sampled_pairs(sampled, texts, totals, recipe.pairs.min_margin, recipe.pairs.max_pairs_per_record)


@contextmanager
def open_sampler(recipe: DpoRecipe) -> Iterator[Callable[[list[Example], int], list[dict]]]:
    """What samples views of records by the model that the stage starts from, and scores them."""
    rewards = [RewardFunc.from_spec(spec) for spec in recipe.rewards]
    with open_engine(recipe.model, recipe.media, recipe.rollouts, Path(recipe.output_dir)) as engine:
        yield partial(score_completions, recipe, engine, rewards)


def score_completions(recipe: DpoRecipe, engine: Engine, rewards: list[RewardFunc], examples: list[Example], start: int) -> list[dict]:
    """For each view of a record its sampled completions, each reward's values and their weighted totals."""
    rows = Rows(recipe, recipe.template.build(), recipe.augment if recipe.pairs.views > 1 else None)
    groups = sample(engine, rows, examples, recipe.sampling, f"sampling for preference pairs, from {start}", start)
    scored = []
    for example, group in zip(examples, groups, strict=True):
        texts = [rollout.text for rollout in group]
        columns = {name: [value] * len(texts) for name, value in rows.reward_columns(example).items()}
        totals, by_name = total_reward(rewards, texts, columns)
        scored.append({"id": example.record.id, "view": example.view, "completions": texts, "totals": totals, "rewards": by_name})
    return scored


def from_records(pairs: list[Example], ids: set[str]) -> list[Example]:
    """The pairs that come from records of these ids."""
    return [pair for pair in pairs if pair.record.id in ids or pair.record.id.rpartition("#")[0] in ids]


def make_trainer(recipe: DpoRecipe, config: DPOConfig, model, processor, sources: list[list[Example]], run_dir: RunDir) -> MediaDPOTrainer:
    """The trainer over a mix of the pairs of each records file, by its weight; TRL shuffles them with the recipe's seed."""
    rows = Rows(recipe, recipe.template.build(), recipe.augment)
    order = mix([len(source) for source in sources], [source.weight for source in recipe.data], num_rows(config), recipe.seed)

    def row(pair: Example, draw: int) -> dict[str, Any]:
        preference = pair.record.preference
        answers = {"chosen": completion_message(preference.chosen), "rejected": [completion_message(text) for text in preference.rejected]}
        # The same draw changes both media in the same way, so that a change does not tell them apart.
        other = rows.row(under_rejected_media(pair), draw)["media"] if preference.rejected_media else None
        return rows.row(pair, draw, **answers, weights=preference.shares, rejected_media=other, id=pair.record.id, images=[])

    def measured() -> Iterator[dict[str, Any]]:
        for made in (row(pair, 0) for source in sources for pair in source):
            yield made
            if made["rejected_media"] is not None:
                yield {**made, "media": made["rejected_media"], "rejected": []}

    encoder = PromptEncoder(processor, model.config, recipe.media)
    check_lengths(encoder, measured(), config.max_length, "trainer.max_length")
    dataset = lazy_dataset(len(order), lambda index: row(sources[order[index][0]][order[index][1]], index))
    preferences = [pair.record.preference for source in sources for pair in source]
    trainer = MediaDPOTrainer(
        model, None, config, train_dataset=dataset, processing_class=processor,
        data_collator=ComparisonCollator(PreferenceCollator(encoder), recipe.preference.text_prior > 0, all(map(is_plain, preferences))),
        preference=recipe.preference,
        peft_config=lora_config(recipe.model.lora, model) if recipe.model.lora else None,
        callbacks=[MetricsLog(run_dir, "dpo")],
    )  # fmt: skip
    share_prompts(trainer, recipe, (pair.record for source in sources for pair in source))
    return trainer


def is_plain(preference: Preference) -> bool:
    """Whether it is one pair of answers and nothing else."""
    return len(preference.rejected) == 1 and preference.rejected_media is None


def under_rejected_media(pair: Example) -> Example:
    """The pair's record with its rejected media in the place of its own."""
    return replace(pair, record=pair.record.model_copy(update={"media": pair.record.preference.rejected_media, "preference": None}))
