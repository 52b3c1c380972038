"""Our rows through TRL's trainers give TRL's own numbers, and what we override of TRL is where we think it is."""

import importlib
import inspect
from pathlib import Path

import pytest
from conftest import Line
from datasets import Dataset
from trl import GRPOTrainer, SFTTrainer

from emoreason.curriculum import mix
from emoreason.faults import UserError
from emoreason.files import read_jsonl
from emoreason.prompts import target_text
from emoreason.recipe import RewardSpec
from emoreason.recipe_files import load_recipe
from emoreason.run_dir import RunDir
from emoreason.stages import grpo, sft
from emoreason.trainers.session import open_model, trainer_config
from emoreason.training_data import Rows, completion_message, lazy_dataset, read_sources

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
    # A row without any reward leaves its group's mean and gets no advantage, which is what masking a completion relies on.
    advantages = inspect.getsource(GRPOTrainer._generate_and_score_completions)
    assert "unscorable_mask" in advantages and "nan_to_num(advantages" in advantages


FAILING = """
def failing_reward(completions, id, **kwargs):
    if "bad" in id:
        raise RuntimeError("no score for this one")
    return [float(len(text)) for text in completions]
"""


def test_a_masked_completion_has_no_reward_and_is_said_to_be_masked(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog) -> None:
    monkeypatch.chdir(line.folder)
    (tmp_path / "failing.py").write_text(FAILING)
    recipe = load_recipe(Path("recipes/tiny/stage3_grpo.yaml"), ["augment=null"])
    rewards = [*recipe.rewards[:1], RewardSpec(func=f"{tmp_path}/failing.py:failing_reward", on_error="mask")]
    recipe = recipe.model_copy(update={"rewards": rewards})
    config = trainer_config("grpo", recipe, tmp_path / "trainer", {**PLAIN, "reward_weights": [1.0, 1.0]})
    model, processor = open_model(recipe, [])
    trainer = grpo.make_trainer(recipe, config, model, processor, RunDir(tmp_path / "run"))
    inputs = [{"id": name, "template": recipe.template.build()} for name in ("good", "bad", "good", "good")]
    texts = [[{"role": "assistant", "content": text}] for text in ("a", "bb", "ccc", "dddd")]
    scores = trainer._calculate_rewards(inputs, ["p"] * 4, texts, [[1]] * 4)
    assert scores[:, 1].isnan().tolist() == [False, True, False, False]
    assert scores[1].isnan().all(), "what the other reward gave must not make a total"
    rows = [row for _, row in read_jsonl(tmp_path / "run" / "completions.jsonl", [])]
    assert [row.get("masked", False) for row in rows] == [False, True, False, False]
    assert rows[1]["rewards"]["answer_format_reward"] == 0.0, "on disk it stays"
    assert any("masked" in message and "'bad'" in message for message in caplog.messages)


def test_a_reward_that_never_changes_sounds_the_alarm(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, caplog) -> None:
    monkeypatch.chdir(line.folder)
    (tmp_path / "flat.py").write_text("def flat_reward(completions, **kwargs):\n    return [0.5] * len(completions)\n")
    recipe = load_recipe(Path("recipes/tiny/stage3_grpo.yaml"), ["augment=null", "reward_alarm_steps=2"])
    recipe = recipe.model_copy(update={"rewards": [RewardSpec(func=f"{tmp_path}/flat.py:flat_reward")]})
    config = trainer_config("grpo", recipe, tmp_path / "trainer", {**PLAIN, "max_steps": 3, "reward_weights": [1.0]})
    model, processor = open_model(recipe, [])
    grpo.make_trainer(recipe, config, model, processor, RunDir(tmp_path / "run")).train()
    said = [message for message in caplog.messages if "reward" in message]
    assert sum("flat_reward: 0.5 for every completion in steps" in message for message in said) == 1
    assert sum("equal within every group" in message for message in said) == 1


def test_plain_trl_takes_our_rewards_as_they_are(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(line.folder)
    recipe = load_recipe(Path("recipes/tiny/stage3_grpo.yaml"), ["augment=null"])
    config = trainer_config("grpo", recipe, tmp_path, {**PLAIN, "max_steps": 2})
    model, processor = open_model(recipe, [])
    rows, examples = Rows(recipe, recipe.template.build()), read_sources(recipe.data)[0]
    data = lazy_dataset(len(examples), lambda index: rows.row(examples[index], index, **rows.reward_columns(examples[index])))
    names = sorted(path.stem for path in (Path(__file__).parents[1] / "rewards").glob("[!_]*.py"))
    functions = [getattr(importlib.import_module(f"emoreason.rewards.{name}"), f"{name}_reward") for name in names]
    trainer = GRPOTrainer(model, functions, config, train_dataset=data, processing_class=processor)
    trainer.train()
    logged = [row for row in trainer.state.log_history if "reward" in row]
    assert len(logged) == 2
    assert {f"rewards/{name}_reward/mean" for name in names} <= set(logged[0])


def test_settings_that_trl_refuses_together_are_the_users_mistake(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(line.folder)
    recipe = load_recipe(Path("recipes/tiny/stage3_grpo.yaml"), ["trainer.num_generations=3"])
    with pytest.raises(UserError, match=r"trainer: GRPOConfig refuses these settings: .*num_generations"):
        trainer_config("grpo", recipe, tmp_path)
