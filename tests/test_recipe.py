"""A recipe is read whole: every fault with its line and key, overrides included."""

from pathlib import Path

import pytest
import yaml

from emoreason.faults import UserError
from emoreason.recipe import DpoRecipe, EvaluateRecipe, GrpoRecipe, SftRecipe
from emoreason.recipe_files import load_folder, load_recipe, moved

AS_TEXT = "was read as text, since YAML wants a point in a number with an exponent"
SFT = """\
stage: sft
output_dir: runs/a
label_space: ekman_6
model: {path: runs/base, dtype: float32}
data:
  - {path: data/train.jsonl, weight: 2}
phases:
  - name: cues
    template: {think: free, answer: none}
    trainer: {max_steps: 10}
  - name: reasoning
trainer:
  learning_rate: 1.0e-5
  max_steps: 20
"""
GRPO = """\
stage: grpo
output_dir: runs/b
model: {path: runs/a/checkpoint}
data: [{path: data/train.jsonl}]
rewards:
  - {func: "emoreason.rewards.answer_format:answer_format_reward", weight: 0.5}
  - {func: "mine.py:mine_reward", kwargs: {scale: 2}, timeout_s: null}
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return Path("recipe.yaml")


def write(path: Path, text: str, *changes: tuple[str, str]) -> Path:
    for old, new in changes:
        assert old in text
        text = text.replace(old, new, 1)
    path.write_text(text, encoding="utf-8")
    return path


def faults_of(path: Path, *overrides: str) -> list[str]:
    with pytest.raises(UserError) as caught:
        load_recipe(path, list(overrides))
    return caught.value.faults


def test_a_recipe_has_what_is_written_and_defaults_for_the_rest(path: Path) -> None:
    recipe = load_recipe(write(path, SFT))
    assert isinstance(recipe, SftRecipe)
    assert recipe.model.dtype == "float32" and recipe.model.lora is None
    assert recipe.data[0].weight == 2.0
    assert recipe.phases[0].template.build().tags == ("think",)
    assert recipe.phases[1].template is None
    assert recipe.trainer == {"learning_rate": 1.0e-5, "max_steps": 20}
    assert recipe.seed == 0


def test_rewards_are_kept_in_order(path: Path) -> None:
    recipe = load_recipe(write(path, GRPO))
    assert isinstance(recipe, GrpoRecipe)
    assert [(spec.weight, spec.kwargs, spec.timeout_s) for spec in recipe.rewards] == [(0.5, {}, 60.0), (1.0, {"scale": 2}, None)]
    assert isinstance(load_recipe(path, ["stage=dpo"]), DpoRecipe)


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("output_dir:", "ouput_dir:", "2: ouput_dir: unknown key; did you mean 'output_dir'?"),
        ("dtype:", "dtpye:", "4: model.dtpye: unknown key; did you mean 'dtype'?"),
        ("weight:", "wieght:", "6: data[0].wieght: unknown key; did you mean 'weight'?"),
        ("answer:", "anser:", "9: phases[0].template.anser: unknown key; did you mean 'answer'?"),
        ("learning_rate", "lerning_rate", "13: trainer.lerning_rate: SFTConfig has no such setting; did you mean 'learning_rate'?"),
        ("max_steps: 10", "max_step: 10", "10: phases[0].trainer.max_step: SFTConfig has no such setting; did you mean 'max_steps'?"),
    ],
)
def test_an_unknown_key_has_its_line_and_the_nearest_key(path: Path, old: str, new: str, fault: str) -> None:
    assert f"recipe.yaml:{fault}" in faults_of(write(path, SFT, (old, new)))


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("float32", "float64", "4: model.dtype: Input should be 'float32' or 'bfloat16' (given: 'float64')"),
        ("weight: 2", "weight: many", "6: data[0].weight: Input should be a valid number (given: 'many')"),
        ("weight: 2", "weight: 0", "6: data[0].weight: Input should be greater than 0 (given: 0)"),
        ("name: cues", "name: The Cues", "8: phases[0].name: String should match pattern '^[a-z0-9_]+$' (given: 'The Cues')"),
        ("max_steps: 20", "max_steps: 2.5", "14: trainer.max_steps: 2.5 is a float; accepted: int"),
        ("max_steps: 10", "max_steps: true", "10: phases[0].trainer.max_steps: True is true or false; accepted: int"),
        ("trainer: {max_steps: 10}", "trainer: fast", "10: phases[0].trainer: Input should be a valid dictionary (given: 'fast')"),
        ("output_dir: runs/a", "output_dir: 7", "2: output_dir: Input should be a valid string (given: 7)"),
        ("output_dir: runs/a\n", "", " output_dir: missing"),
        ("label_space: ekman_6", "label_space: ekman6", " unknown label_space 'ekman6'; did you mean 'ekman_6'? (given: an object)"),
        ("stage: sft", "stage: stf", " stage is 'stf'; accepted: sft, confidence, grpo, dpo, evaluate"),
        ("stage: sft", "stage: [sft]", " stage is ['sft']; accepted: sft, confidence, grpo, dpo, evaluate"),
        ("stage: sft\n", "", " stage is None; accepted: sft, confidence, grpo, dpo, evaluate"),
    ],
)
def test_a_wrong_value_has_its_line_and_what_is_accepted(path: Path, old: str, new: str, fault: str) -> None:
    assert faults_of(write(path, SFT, (old, new))) == [f"recipe.yaml:{fault}"]


def test_an_exponent_without_a_point_is_text_in_yaml(path: Path) -> None:
    assert faults_of(write(path, SFT, ("1.0e-5", "1e-6"))) == [
        f"recipe.yaml:13: trainer.learning_rate: '1e-6' {AS_TEXT}; write 1.0e-6"
    ]


@pytest.mark.parametrize(
    ("setting", "hint"),
    [
        ("output_dir: elsewhere", "output_dir: is not set here: the recipe's own output_dir is used"),
        ("seed: 3", "seed: is not set here: the recipe's own seed is used"),
        ("remove_unused_columns: true", "remove_unused_columns: is not set here: rewards need the record's columns, so it is always false"),
        ("resume_from_checkpoint: x", "resume_from_checkpoint: is not set here: the same command resumes by itself"),
    ],
)
def test_what_the_recipe_says_itself_is_not_set_under_trainer(path: Path, setting: str, hint: str) -> None:
    assert faults_of(write(path, SFT, ("max_steps: 20", setting))) == [f"recipe.yaml:14: trainer.{hint}"]
    assert faults_of(write(path, SFT, ("max_steps: 10", setting))) == [f"recipe.yaml:10: phases[0].trainer.{hint}"]


def test_settings_are_those_of_the_stages_own_config(path: Path) -> None:
    assert load_recipe(write(path, GRPO + "trainer: {num_generations: 8}\n")).trainer == {"num_generations": 8}
    (fault,) = faults_of(write(path, SFT, ("max_steps: 20", "num_generations: 8")))
    assert fault.startswith("recipe.yaml:14: trainer.num_generations: SFTConfig has no such setting")


def test_an_evaluate_recipe_has_no_trainer(path: Path) -> None:
    text = "stage: evaluate\noutput_dir: runs/a\nmodel: {path: runs/a/checkpoint}\ntests: {held_out: data/test.jsonl}\n"
    recipe = load_recipe(write(path, text))
    assert isinstance(recipe, EvaluateRecipe)
    assert (recipe.decoding.num_completions, recipe.decoding.temperature) == (1, 0.0)
    (fault,) = faults_of(write(path, text + "trainer: {}\n"))
    assert fault.startswith("recipe.yaml:5: trainer: unknown key")


def test_a_key_given_twice_is_refused_at_every_depth(path: Path) -> None:
    text = SFT + "seed: 1\nseed: 2\n"
    assert faults_of(write(path, text, ("dtype: float32", "path: runs/other"))) == [
        "recipe.yaml:4: model.path: given twice, first on line 4",
        "recipe.yaml:16: seed: given twice, first on line 15",
    ]


def test_every_fault_is_in_one_report(path: Path) -> None:
    changes = [
        ("dtype: float32", "dtyp: float32"), ("weight: 2", "weight: -1"), ("max_steps: 10", "max_steps: ten"), ("1.0e-5", "1e-5"),
        ("max_steps: 20", "seed: 1"),
    ]  # fmt: skip
    assert [fault.split(": ")[:2] for fault in sorted(faults_of(write(path, SFT, *changes), "media.min_pixels=-1"))] == [
        ["override 'media.min_pixels=-1'", "media.min_pixels"],
        ["recipe.yaml:10", "phases[0].trainer.max_steps"],
        ["recipe.yaml:13", "trainer.learning_rate"],
        ["recipe.yaml:14", "trainer.seed"],
        ["recipe.yaml:4", "model.dtyp"],
        ["recipe.yaml:6", "data[0].weight"],
    ]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("- a list\n", "recipe.yaml: a recipe is a mapping of keys, this file holds list"),
        ("", "recipe.yaml: a recipe is a mapping of keys, this file holds NoneType"),
        ("a: [1, 2\n", "recipe.yaml: not YAML: while parsing a flow sequence"),
        ("a: b\n\tc: d\n", "recipe.yaml: not YAML: while scanning"),
        ("stage: !!python/object:os.system {}\n", "recipe.yaml: not YAML: could not determine a constructor"),
    ],
)
def test_a_file_that_is_no_recipe(path: Path, text: str, fault: str) -> None:
    (found,) = faults_of(write(path, text))
    assert found.startswith(fault)


def test_a_recipe_that_is_not_there_or_not_text(path: Path) -> None:
    assert faults_of(path) == [f"recipe.yaml: no such recipe (relative paths start at {Path.cwd()})"]
    path.write_bytes(b"stage: \xff")
    assert faults_of(path)[0].startswith("recipe.yaml: cannot be read as a recipe: 'utf-8' codec")
    assert faults_of(Path("."))[0].startswith(".: cannot be read as a recipe: ")


def test_overrides_reach_mappings_lists_and_new_keys(path: Path) -> None:
    overrides = [
        "trainer.learning_rate=2.0e-6", "data.0.path=data/other.jsonl", "phases.1.trainer.max_steps=5", "phases.0.template=null",
        "model.freeze=[vision, projector]", "media.max_pixels=500000", "prompt.question=What is 1=1?", "output_dir=runs/try",
    ]  # fmt: skip
    recipe = load_recipe(write(path, SFT), overrides)
    assert recipe.trainer == {"learning_rate": 2.0e-6, "max_steps": 20}
    assert (recipe.data[0].path, recipe.data[0].weight) == ("data/other.jsonl", 2.0)
    assert recipe.phases[1].trainer == {"max_steps": 5} and recipe.phases[0].template is None
    assert recipe.model.freeze == ["vision", "projector"]
    assert recipe.media.max_pixels == 500000
    assert recipe.prompt.question == "What is 1=1?"
    assert recipe.output_dir == "runs/try"
    assert yaml.safe_load(path.read_text())["output_dir"] == "runs/a", "the file itself is left alone"


def test_the_last_of_two_overrides_counts(path: Path) -> None:
    assert load_recipe(write(path, SFT), ["seed=1", "seed=2"]).seed == 2


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("seed", "give key.path=value, for example trainer.learning_rate=1.0e-6"),
        ("=1", "give key.path=value, for example trainer.learning_rate=1.0e-6"),
        ("data.1.path=x", "'1' is no place in a list of 1"),
        ("data.first.path=x", "'first' is no place in a list of 1"),
        ("data.-1={path: x}", "'-1' is no place in a list of 1"),
        ("output_dir.x=1", "'output_dir' holds 'runs/a', which has no keys"),
        ("data=[1", "the value is not YAML"),
        ("trainr.max_steps=1", "trainr: unknown key; did you mean 'trainer'?"),
        ("trainer.max_step=1", "trainer.max_step: SFTConfig has no such setting; did you mean 'max_steps'?"),
        ("trainer.learning_rate=1e-6", f"trainer.learning_rate: '1e-6' {AS_TEXT}; write 1.0e-6"),
        ("phases.0.trainer={max_steps: x}", "phases[0].trainer.max_steps: 'x' is a str; accepted: int"),
        ("model.path=3", "model.path: Input should be a valid string (given: 3)"),
    ],
)
def test_a_wrong_override_is_named_and_not_the_line_that_it_replaced(path: Path, override: str, fault: str) -> None:
    assert faults_of(write(path, SFT), override) == [f"override {override!r}: {fault}"]


def test_pixels_are_ordered(path: Path) -> None:
    assert faults_of(write(path, SFT), "media={min_pixels: 9, max_pixels: 4}") == [
        "override 'media={min_pixels: 9, max_pixels: 4}': media: min_pixels 9 is above max_pixels 4 (given: an object)"
    ]


@pytest.mark.parametrize("func", ["emoreason.rewards.answer_format", ":f", "module:", "module:two words"])
def test_a_reward_is_named_by_its_address(path: Path, func: str) -> None:
    (fault,) = faults_of(write(path, GRPO), f'rewards.0.func="{func}"')
    assert "rewards[0].func: String should match pattern" in fault and repr(func) in fault


# Folders.


def test_an_override_goes_to_the_recipes_that_have_its_key(tiny_dir: Path) -> None:
    recipes, faults = load_folder(tiny_dir, ["seed=7", "trainer.learning_rate=3.0e-4", "phases.0.trainer.max_steps=2"])
    assert faults == []
    assert {recipe.seed for recipe in recipes.values()} == {7}
    assert recipes[tiny_dir / "stage1_sft.yaml"].phases[0].trainer["max_steps"] == 2
    assert recipes[tiny_dir / "stage3_grpo.yaml"].trainer["learning_rate"] == 3.0e-4


def test_an_override_that_suits_no_recipe_is_a_fault(tiny_dir: Path) -> None:
    _, faults = load_folder(tiny_dir, ["trianer.max_steps=2"])
    assert faults == ["override 'trianer.max_steps=2' suits no recipe of recipes/tiny; did you mean 'trainer'?"]


def test_a_folder_without_recipes_is_a_fault(tmp_path: Path) -> None:
    recipes, (fault,) = load_folder(tmp_path)
    assert recipes == {} and "no recipes (*.yaml) here" in fault


def test_a_moved_recipe_writes_and_reads_under_the_new_root(tiny_dir: Path) -> None:
    recipe = moved(load_recipe(tiny_dir / "stage3_grpo.yaml"), Path("runs/tiny"), Path("elsewhere/seed1"))
    assert recipe.output_dir == "elsewhere/seed1/stage3_grpo"
    assert recipe.model.path == "elsewhere/seed1/stage2_confidence/checkpoint"
    hub = load_recipe(tiny_dir / "stage1_sft.yaml", ["model.path=Qwen/Qwen2.5-VL-7B-Instruct"])
    assert moved(hub, Path("runs/tiny"), Path("elsewhere")).model.path == "Qwen/Qwen2.5-VL-7B-Instruct"


def test_views_without_augmentation_are_all_the_same(tiny_dir: Path) -> None:
    with pytest.raises(UserError, match=r"confidence\.views is 3 but augment is null"):
        load_recipe(tiny_dir / "stage2_confidence.yaml", ["augment=null"])


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (["trainer.use_vllm=true", "trainer.vllm_mode=server"], "trainer.use_vllm, trainer.vllm_mode: the engine is chosen by rollouts"),
        (["rollouts={engine: vllm, sync: adapter}", "model.lora=null"], "rollouts.sync is adapter but model.lora is null"),
        (["rollouts={sync: adapter}"], "sync is adapter but engine is transformers"),
        (["rollouts={engine: vllm_server, sleep: true}"], "only vllm shares a device with the trainer"),
        (["rollouts={engine: vllm, server: {url: 'http://node:8000'}}"], "server is given but engine is vllm"),
        (["rollouts.engine=vllm", "trainer.generation_kwargs={num_beams: 2}"], "trainer.generation_kwargs goes to transformers alone"),
        (["rollouts.engine=sglang"], "rollouts.engine"),
    ],
)
def test_rollouts_that_contradict_each_other_are_refused(tiny_dir: Path, overrides: list[str], said: str) -> None:
    with pytest.raises(UserError) as failed:
        load_recipe(tiny_dir / "stage3_grpo.yaml", overrides)
    assert said in str(failed.value)


def test_what_trl_corrects_of_an_engines_rollouts_stays_in_the_trainer_block(tiny_dir: Path) -> None:
    overrides = ["rollouts={engine: vllm, sync: adapter}", "model.lora={r: 8}", "trainer.vllm_importance_sampling_mode=token_mask"]
    recipe = load_recipe(tiny_dir / "stage3_grpo.yaml", overrides)
    assert recipe.rollouts.engine == "vllm" and recipe.trainer["vllm_importance_sampling_mode"] == "token_mask"
