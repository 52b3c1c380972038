"""Our rows through TRL's trainers give TRL's own numbers, and what we override of TRL is where we think it is."""

import inspect
from pathlib import Path

import pytest
from conftest import Line
from datasets import Dataset
from trl import GRPOTrainer, SFTTrainer

from emoreason.curriculum import mix
from emoreason.faults import UserError
from emoreason.prompts import target_text
from emoreason.recipe_files import load_recipe
from emoreason.run_dir import RunDir
from emoreason.stages import grpo, sft
from emoreason.trainers.session import open_model, trainer_config
from emoreason.training_data import Rows, completion_message, read_sources

pytestmark = pytest.mark.slow
PLAIN = {"max_steps": 4, "logging_steps": 1, "save_strategy": "no", "disable_tqdm": True}


def losses(trainer) -> list[float]:
    trainer.train()
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


@pytest.fixture
def stage1(line: Line, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(line.folder)
    return load_recipe(Path("recipes/tiny/stage1_sft.yaml"), ["augment=null"])


def test_sft_losses_are_those_of_plain_trl(stage1, tmp_path: Path) -> None:
    phase = stage1.phases[2].model_copy(update={"data": stage1.data, "trainer": PLAIN})
    config = trainer_config("sft", stage1, tmp_path / "ours", phase.trainer)
    model, processor = open_model(stage1, [])
    ours = losses(sft.make_trainer(stage1, phase, config, model, processor, RunDir(tmp_path / "run")))

    examples = read_sources(stage1.data)[0]
    rows = Rows(stage1, stage1.template.build())
    order = mix([len(examples)], [1.0], 4 * config.per_device_train_batch_size, stage1.seed)
    data = [
        {"prompt": rows.prompt(one), "images": one.pictures(), "completion": completion_message(target_text(one.record, rows.template))}
        for one in (examples[index] for _, index in order)
    ]
    config = trainer_config("sft", stage1, tmp_path / "trl", phase.trainer)
    model, processor = open_model(stage1, [])
    plain = losses(SFTTrainer(model, config, train_dataset=Dataset.from_list(data), processing_class=processor))
    assert ours == pytest.approx(plain, abs=1e-6)
    assert len(set(ours)) == 4


def test_grpo_losses_are_those_of_plain_trl(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(line.folder)
    recipe = load_recipe(Path("recipes/tiny/stage3_grpo.yaml"), ["augment=null"])
    found = []
    for name, trainer_class in (("ours", None), ("trl", GRPOTrainer)):
        config = trainer_config("grpo", recipe, tmp_path / name, {**PLAIN, "reward_weights": [spec.weight for spec in recipe.rewards]})
        model, processor = open_model(recipe, [])
        trainer = grpo.make_trainer(recipe, config, model, processor, RunDir(tmp_path / name))
        if trainer_class is not None:
            trainer.__class__ = trainer_class  # the same trainer without our method
        found.append(losses(trainer))
    assert found[0] == pytest.approx(found[1], abs=1e-6)


def test_what_is_overridden_of_trl_is_still_there() -> None:
    assert list(inspect.signature(GRPOTrainer._calculate_rewards).parameters) == ["self", "inputs", "prompts", "completions", "completion_ids_list"]
    source = inspect.getsource(GRPOTrainer._calculate_rewards)
    assert "return rewards_per_func" in source and "gather(rewards_per_func)" in source
    assert "self.reward_func_names" in inspect.getsource(GRPOTrainer.__init__)


def test_settings_that_trl_refuses_together_are_the_users_mistake(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(line.folder)
    recipe = load_recipe(Path("recipes/tiny/stage3_grpo.yaml"), ["trainer.num_generations=3"])
    with pytest.raises(UserError, match=r"trainer: GRPOConfig refuses these settings: .*num_generations"):
        trainer_config("grpo", recipe, tmp_path)
