"""GRPO on verifiable rewards: format, label, emotion words, calibration, length, and any plug-in.

    emoreason train recipes/tiny/stage3_grpo.yaml

The algorithm is TRL's (Shao et al. 2024, arXiv 2402.03300, with TRL's default loss and normalisation); what a reward is
and how it may fail is `emoreason.rewarding`'s. Every scored completion is kept in completions.jsonl.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial

from trl import GRPOConfig

from emoreason.collate import PromptEncoder
from emoreason.curriculum import mix
from emoreason.models import lora_config
from emoreason.recipe import GrpoRecipe
from emoreason.rewarding import RewardFunc
from emoreason.rollouts import Engine
from emoreason.rollouts.opening import start_vllm
from emoreason.run_dir import RunDir
from emoreason.trainers.callbacks import MetricsLog
from emoreason.trainers.grpo import MediaGRPOTrainer
from emoreason.trainers.policy_sync import PolicySync
from emoreason.trainers.session import begin_run, finish_run, open_model, share_prompts, train_and_save, trainer_config
from emoreason.training_data import Example, Rows, check_lengths, lazy_dataset, one_of_each_kind, read_sources


def run(recipe: GrpoRecipe) -> RunDir:
    """Train, or go on training, and publish the checkpoint (an adapter where the recipe has `model.lora`)."""
    run_dir, is_open = begin_run(recipe, sorted({source.path for source in recipe.data}))
    if not is_open:
        return run_dir
    if not run_dir.checkpoint_path.exists():
        config = trainer_config("grpo", recipe, run_dir.trainer_path, {"reward_weights": [spec.weight for spec in recipe.rewards]})
        model, processor = open_model(recipe, recipe.model.freeze)
        with rollout_engine(recipe, run_dir) as engine:
            trainer = make_trainer(recipe, config, model, processor, run_dir, engine)
            train_and_save(trainer, recipe, processor, run_dir.checkpoint_path)
    finish_run(run_dir)
    return run_dir


@contextmanager
def rollout_engine(recipe: GrpoRecipe, run_dir: RunDir) -> Iterator[Engine | None]:
    """The engine that the policy is handed to before it answers, or None where the policy answers itself."""
    settings = recipe.rollouts
    if settings.engine == "transformers":
        yield None
        return
    by_adapter = settings.sync == "adapter"
    engine = start_vllm(recipe.model, recipe.media, settings, run_dir.path, recipe.model.lora.r if by_adapter else None, synced_later=not by_adapter)
    try:
        yield engine
    finally:
        engine.close()


def make_trainer(
    recipe: GrpoRecipe, config: GRPOConfig, model, processor, run_dir: RunDir, engine: Engine | None = None
) -> MediaGRPOTrainer:
    """TRL's trainer over one epoch's mix of the records; it shuffles them with the recipe's seed."""
    rows = Rows(recipe, recipe.template.build(), recipe.augment)
    sources = read_sources(recipe.data)
    order = mix([len(source) for source in sources], [source.weight for source in recipe.data], None, recipe.seed)

    def row(example: Example, index: int) -> dict:
        return rows.row(example, index, **rows.reward_columns(example))

    positions = model.config.get_text_config().max_position_embeddings
    limit = positions - config.max_completion_length
    encoder = PromptEncoder(processor, model.config, recipe.media)
    check_lengths(encoder, (row(example, 0) for source in sources for example in source), limit, "the model's positions less completions,")
    dataset = lazy_dataset(len(order), lambda index: row(sources[order[index][0]][order[index][1]], index))
    rewards = [RewardFunc.from_spec(spec) for spec in recipe.rewards]
    fixed = [partial(encoder, rows.prompt(example), example.media(recipe.media)) for example in one_of_each_kind(sources).values()] if engine else []
    trainer = MediaGRPOTrainer(
        model, rewards, config, train_dataset=dataset, processing_class=processor, encoder=encoder, run_dir=run_dir,
        alarm_steps=recipe.reward_alarm_steps, max_resamples=recipe.max_resamples,
        peft_config=lora_config(recipe.model.lora, model) if recipe.model.lora else None,
        callbacks=[MetricsLog(run_dir, "grpo")], engine=engine,
        sync=lambda trainer: PolicySync(trainer.accelerator.unwrap_model(trainer.model), processor, trainer.accelerator, engine, recipe.rollouts,
                                        fixed, run_dir.path / "adapters"),
    )  # fmt: skip
    share_prompts(trainer, recipe, (example.record for source in sources for example in source))
    return trainer
