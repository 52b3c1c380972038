"""Our rows through TRL's trainers give TRL's own numbers, and what we override of TRL is where we think it is."""

import importlib
import inspect
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from conftest import Line
from datasets import Dataset
from trl import DPOTrainer, GRPOTrainer, SFTTrainer
from trl.trainer.utils import FusedCausalLMOutput, add_fused_lm_head

from emoreason.curriculum import mix
from emoreason.families import placeholder_ids
from emoreason.faults import UserError
from emoreason.models import lora_config
from emoreason.prompts import target_text
from emoreason.recipe import Packing, RewardSpec
from emoreason.recipe_files import load_recipe
from emoreason.records import Preference
from emoreason.rewarding import RewardFunc
from emoreason.run_dir import RunDir
from emoreason.shared_prefix import FIELDS
from emoreason.stages import dpo, grpo, sft
from emoreason.trainers.session import num_rows, open_model, trainer_config
from emoreason.training_data import Rows, completion_message, lazy_dataset, read_sources

pytestmark = pytest.mark.slow
PLAIN = {"max_steps": 4, "logging_steps": 1, "save_strategy": "no", "disable_tqdm": True}
DESCENT = {**PLAIN, "max_steps": 3, "optim": "sgd", "learning_rate": 0.5, "lr_scheduler_type": "constant", "warmup_steps": 0, "weight_decay": 0.0,
           "gradient_accumulation_steps": 1}  # fmt: skip
"""Adam turns a gradient that is rounding noise into a whole step; plain descent keeps what is equal equal."""


def losses(trainer) -> list[float]:
    trainer.train()
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


@pytest.fixture
def stage1(line: Line, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(line.folder)
    return load_recipe(Path("recipes/tiny/stage1_sft.yaml"), ["augment=null"])


PACKING = pytest.mark.parametrize("packing", ["always", "never"])


def pictures(example, recipe) -> list:
    return [medium.content for medium in example.media(recipe.media)]


@PACKING
def test_sft_losses_are_those_of_plain_trl(stage1, tmp_path: Path, packing: str) -> None:
    stage1 = stage1.model_copy(update={"packing": Packing(shared_prefix=packing)})
    phase = stage1.phases[2].model_copy(update={"data": stage1.data, "trainer": DESCENT})
    config = trainer_config("sft", stage1, tmp_path / "ours", phase.trainer)
    model, processor = open_model(stage1, [])
    trainer = sft.make_trainer(stage1, phase, config, model, processor, RunDir(tmp_path / "run"))
    ours = losses(trainer)

    examples = read_sources(stage1.data)[0]
    rows = Rows(stage1, stage1.template.build())
    order = mix([len(examples)], [1.0], 3 * config.per_device_train_batch_size, stage1.seed)
    data = [
        {"prompt": rows.prompt(one), "images": pictures(one, stage1), "completion": completion_message(target_text(one.record, rows.template))}
        for one in (examples[index] for _, index in order)
    ]
    config = trainer_config("sft", stage1, tmp_path / "trl", phase.trainer)
    model, processor = open_model(stage1, [])
    plain = SFTTrainer(model, config, train_dataset=Dataset.from_list(data), processing_class=processor)
    assert ours == pytest.approx(losses(plain), abs=1e-5)
    assert len(set(ours)) == 3
    assert same_weights(trainer.model, plain.model)


def same_weights(ours, theirs) -> bool:
    """After a few steps of training, within what float32 leaves of a different order of sums."""
    pairs = zip(ours.state_dict().values(), theirs.state_dict().values(), strict=True)
    return all((left - right).norm() <= 1e-4 * right.norm().clamp(min=1e-2) for left, right in pairs)


def plain_grpo(recipe, config, model, processor, rewards) -> GRPOTrainer:
    """TRL's trainer, its loss and its sampling, on the same rows in the same order."""
    rows, sources = Rows(recipe, recipe.template.build()), read_sources(recipe.data)
    order = mix([len(source) for source in sources], [source.weight for source in recipe.data], None, recipe.seed)

    def row(index: int) -> dict:
        source, place = order[index]
        example = sources[source][place]
        return {"prompt": rows.prompt(example), "images": pictures(example, recipe), **rows.reward_columns(example)}

    adapters = lora_config(recipe.model.lora, model) if recipe.model.lora else None
    dataset = lazy_dataset(len(order), row)
    return GRPOTrainer(model, rewards, config, train_dataset=dataset, processing_class=processor, peft_config=adapters)


GRPO_CASES = {
    "dapo": {},
    "grpo": {"loss_type": "grpo"},
    "bnpo": {"loss_type": "bnpo"},
    "dr_grpo": {"loss_type": "dr_grpo", "scale_rewards": "none"},
    "cispo": {"loss_type": "cispo", "epsilon_high": 5.0},
    "sapo": {"loss_type": "sapo"},
    "luspo": {"loss_type": "luspo", "importance_sampling_level": "sequence"},
    "vespo": {"loss_type": "vespo"},
    "gspo": {"loss_type": "grpo", "importance_sampling_level": "sequence"},
    "beta": {"beta": 0.04},
    "iterations": {"num_iterations": 2, "beta": 0.01},
    "checkpointing": {"gradient_checkpointing": True},
    "entropy": {"top_entropy_quantile": 0.5, "entropy_coef": 0.01},
}


@pytest.mark.parametrize("case", GRPO_CASES)
def test_grpo_losses_are_those_of_plain_trl(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, case: str) -> None:
    """One micro-batch a step, so that TRL's shuffling of rows over micro-batches cannot matter."""
    monkeypatch.chdir(line.folder)
    recipe = load_recipe(Path("recipes/tiny/stage3_grpo.yaml"), ["augment=null", "packing.shared_prefix=always"])
    settings = {**DESCENT, "gradient_checkpointing": False, "reward_weights": [spec.weight for spec in recipe.rewards]}
    found, weights = [], []
    for name in ("ours", "trl"):
        config = trainer_config("grpo", recipe, tmp_path / name, {**settings, **GRPO_CASES[case]})
        torch.manual_seed(0)  # adapters are drawn
        model, processor = open_model(recipe, [])
        if name == "ours":
            trainer = grpo.make_trainer(recipe, config, model, processor, RunDir(tmp_path / name))
        else:
            trainer = plain_grpo(recipe, config, model, processor, [RewardFunc.from_spec(spec) for spec in recipe.rewards])
            trainer.generation_config.suppress_tokens = sorted(placeholder_ids(model.config).values())
        found.append(losses(trainer))
        weights.append(trainer.model)
    assert found[0] == pytest.approx(found[1], abs=1e-5, rel=1e-6)
    assert same_weights(*weights)


@pytest.mark.parametrize("loss_type", ["sigmoid", "ipo", "apo_zero"])
@pytest.mark.parametrize("lora", [False, True])
def test_dpo_losses_are_those_of_plain_trl(line: Line, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, loss_type: str, lora: bool) -> None:
    monkeypatch.chdir(line.folder)
    overrides = ["augment=null", "packing.shared_prefix=always", "model.lora={r: 4}" if lora else "model.lora=null"]
    recipe = load_recipe(Path("recipes/tiny/stage3_dpo.yaml"), overrides)
    examples = read_sources(recipe.data)[0]
    rows = Rows(recipe, recipe.template.build())
    texts = [target_text(one.record, rows.template, confidence=0.5) for one in examples]
    preferences = [Preference(chosen=text, rejected=[other]) for text, other in zip(texts, texts[1:] + texts[:1], strict=True)]
    pairs = [replace(one, record=one.record.model_copy(update={"preference": said})) for one, said in zip(examples, preferences, strict=True)]
    settings = {**DESCENT, "loss_type": loss_type}
    found = []
    for name in ("ours", "trl"):
        config = trainer_config("dpo", recipe, tmp_path / name, settings)
        torch.manual_seed(0)  # adapters are drawn
        model, processor = open_model(recipe, [])
        if name == "ours":
            recipe = recipe.model_copy(update={"data": recipe.data[:1]})
            trainer = dpo.make_trainer(recipe, config, model, processor, [pairs], RunDir(tmp_path / name))
        else:
            data = [{"prompt": rows.prompt(one), "images": pictures(one, recipe), "chosen": completion_message(said.chosen),
                     "rejected": completion_message(said.rejected[0])} for one, said in zip(examples, preferences, strict=True)]  # fmt: skip
            data = [data[place] for _, place in mix([len(data)], [1.0], num_rows(config), recipe.seed)]
            adapters = lora_config(recipe.model.lora, model) if lora else None
            trainer = DPOTrainer(model, None, config, train_dataset=Dataset.from_list(data), processing_class=processor, peft_config=adapters)
        found.append(losses(trainer))
    assert found[0] == pytest.approx(found[1], abs=1e-5, rel=1e-6)
    assert len(set(found[0])) == 3


def test_what_is_overridden_of_trl_is_still_there() -> None:
    """Each of these is a place that ours lean on; when one moves, read the trainers again."""
    parameters = {name: list(inspect.signature(getattr(GRPOTrainer, name)).parameters) for name in GRPO_OVERRIDES}
    assert parameters == GRPO_OVERRIDES
    source = inspect.getsource(GRPOTrainer._calculate_rewards)
    assert "return rewards_per_func" in source and "gather(rewards_per_func)" in source
    assert "self.reward_func_names" in inspect.getsource(GRPOTrainer.__init__)
    # A row without any reward leaves its group's mean and gets no advantage, which is what masking a completion relies on.
    scoring = inspect.getsource(GRPOTrainer._generate_and_score_completions)
    assert "unscorable_mask" in scoring and "nan_to_num(advantages" in scoring
    # Rows without an `images` column bring no media of TRL's, and prompts are tokenized by the method that is overridden.
    assert 'if "images" in inputs[0]' in scoring and "forward_kwargs = {}" in scoring
    assert "self._tokenize_prompts(prompts)" in inspect.getsource(GRPOTrainer._generate)
    assert "self._get_per_token_logps_and_entropies(" in inspect.getsource(GRPOTrainer._compute_loss)
    buffering = inspect.getsource(GRPOTrainer._prepare_inputs)
    assert "self._buffered_inputs = " in buffering and "self._step % self.args.steps_per_generation" in buffering
    generating = inspect.getsource(GRPOTrainer._generate_single_turn)
    assert "for k, v in multimodal_fields.items()" in generating and "generate_inputs[k] = v" in generating
    assert list(inspect.signature(DPOTrainer._compute_loss).parameters) == ["self", "model", "inputs", "return_outputs"]
    for trainer in (DPOTrainer._compute_loss, SFTTrainer.compute_loss):
        assert "fused_lm_head=True" in inspect.getsource(trainer)
    fused = inspect.getsource(add_fused_lm_head)
    assert "shift_labels" in fused and "last_hidden_state" in fused and set(FIELDS) <= set(FusedCausalLMOutput.__annotations__)


GRPO_OVERRIDES = {
    "_tokenize_prompts": ["self", "prompts"],
    "_generate_single_turn": ["self", "prompt_ids", "images", "multimodal_fields", "num_generations", "has_tool_images"],
    "_generate_and_score_completions": ["self", "inputs"],
    "_prepare_inputs": ["self", "generation_batch"],
    "_compute_loss": ["self", "model", "inputs"],
    "_get_per_token_logps_and_entropies": [
        "self", "model", "input_ids", "attention_mask", "logits_to_keep", "batch_size", "compute_entropy", "compute_aux_loss", "pixel_values",
        "image_grid_thw", "num_images", "pixel_attention_mask", "spatial_shapes", "num_tiles", "image_sizes", "token_type_ids",
        "mm_token_type_ids", "image_position_ids",
    ],
    "_calculate_rewards": ["self", "inputs", "prompts", "completions", "completion_ids_list"],
}  # fmt: skip


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
    rows = trainer._lines  # they go to disk with their advantages
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
    data = lazy_dataset(len(examples), lambda index: {
        "prompt": rows.prompt(examples[index]), "images": pictures(examples[index], recipe), **rows.reward_columns(examples[index])})
    names = sorted(path.stem for path in (Path(__file__).parents[2] / "rewards").glob("[!_]*.py"))
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
