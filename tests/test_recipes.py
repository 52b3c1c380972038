"""Every recipe that is shipped passes its own check, and what stands beside it in words and JSON is true of it."""

import re
import shlex
import textwrap
import typing
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel

from emoreason.preflight import check_recipe
from emoreason.recipe import CONFIG_KIND, RECIPE_CLASSES, AnyRecipe, RewardSpec, Sampling
from emoreason.recipe_files import load_recipe
from emoreason.records import COLUMNS
from emoreason.rewarding import binding_faults, load_function
from emoreason.run_dir import RunDir
from emoreason.trainer_fields import trainer_fields

ROOT = Path(__file__).parents[1]
RECIPES = sorted(path.relative_to(ROOT) for path in (ROOT / "recipes").glob("*/*.yaml"))
FOLDERS = sorted({path.parent for path in RECIPES})
MADE_ON_THE_SPOT = Path("recipes/tiny_av")  # its records are no part of the checkout; test_tiny_av.py makes some
WHOLE_LINES = [folder for folder in FOLDERS if folder != MADE_ON_THE_SPOT]
BASE_MODELS = [folder for folder in FOLDERS if folder.name.startswith("qwen")]
README = ROOT / "recipes/README.md"

every_recipe = pytest.mark.parametrize("path", RECIPES, ids=str)
every_folder = pytest.mark.parametrize("folder", FOLDERS, ids=str)
every_whole_line = pytest.mark.parametrize("folder", WHOLE_LINES, ids=str)


@pytest.fixture(autouse=True)
def checkout_without_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of a user who has not trained yet: what lies in runs/ has a say in what `check` finds."""
    for name in ("recipes", "rewards", "slurm"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def head_of(path: Path) -> str:
    """The comment that a recipe opens with."""
    lines = path.read_text().splitlines()
    return "\n".join(lines[: next(index for index, line in enumerate(lines) if not line.startswith("#"))])


def commands_in(text: str, program: str) -> list[list[str]]:
    """The words of each line that runs `program`; an indented line is a command."""
    lines = re.findall(rf"^[# ]  +({program} .*)$", text, re.MULTILINE)
    return [shlex.split(line, comments=True) for line in lines]


def stages_of(folder: Path) -> dict[str, AnyRecipe]:
    return {path.stem: load_recipe(path) for path in sorted(folder.glob("*.yaml"))}


@every_whole_line
def test_each_folder_has_every_stage(folder: Path) -> None:
    stages = {name: recipe.stage for name, recipe in stages_of(folder).items()}
    names = ["evaluate", "stage1_sft", "stage2_confidence", "stage3_dpo", "stage3_grpo"]
    assert stages == dict(zip(names, ["evaluate", "sft", "confidence", "dpo", "grpo"], strict=True))


@pytest.mark.parametrize("path", [path for path in RECIPES if path.parent != MADE_ON_THE_SPOT], ids=str)
def test_recipe_passes_check_as_shipped(path: Path) -> None:
    assert check_recipe(path, load_recipe(path)) == []


@every_recipe
def test_trainer_settings_are_trls(path: Path) -> None:
    recipe = load_recipe(path)
    if recipe.stage == "evaluate":
        assert not hasattr(recipe, "trainer")
        return
    settings = set(recipe.trainer).union(*(phase.trainer for phase in getattr(recipe, "phases", [])))
    assert settings and settings <= trainer_fields(CONFIG_KIND[recipe.stage]).keys()


@pytest.mark.parametrize("path", [path for path in RECIPES if path.stem in ("stage3_grpo", "stage3_dpo")], ids=str)
def test_every_reward_is_ours_and_resolves(path: Path) -> None:
    for spec in load_recipe(path).rewards:
        module, _, name = spec.func.partition(":")
        assert load_function(spec.func).__name__ == name
        assert Path("rewards", module.removeprefix("emoreason.rewards.") + ".py").exists()


@every_whole_line
def test_each_stage_starts_from_the_one_before(folder: Path) -> None:
    stages = stages_of(folder)
    checkpoints = {name: str(RunDir(recipe.output_dir).checkpoint_path) for name, recipe in stages.items() if name != "evaluate"}
    assert len(set(checkpoints.values())) == len(checkpoints)
    assert stages["stage1_sft"].model.path not in checkpoints.values()
    assert stages["stage2_confidence"].model.path == checkpoints["stage1_sft"]
    assert stages["stage3_grpo"].model.path == stages["stage3_dpo"].model.path == checkpoints["stage2_confidence"]
    assert stages["evaluate"].model.path == checkpoints["stage3_grpo"]
    assert stages["evaluate"].output_dir == stages["stage3_grpo"].output_dir
    assert [name for name, recipe in stages.items() if getattr(recipe, "release", False)] == ["stage3_grpo"]


@every_whole_line
def test_a_parent_with_other_pixels_is_found(folder: Path) -> None:
    path = folder / "stage2_confidence.yaml"
    faults = check_recipe(path, load_recipe(path, ["media.min_pixels=1024"]))
    assert len(faults) == 1 and "media: {'min_pixels': 1024" in faults[0]


@every_recipe
def test_recipe_opens_with_what_it_is_and_its_command(path: Path) -> None:
    head = head_of(path)
    command = "evaluate" if path.stem == "evaluate" else "train"
    assert re.match(r"# [A-Z].*\.", head)
    assert ["emoreason", command, str(path)] in commands_in(head, "emoreason")


@pytest.mark.parametrize("path", [path for path in RECIPES if path.parent in BASE_MODELS], ids=str)
def test_recipe_of_a_base_model_says_how_to_run_it_and_whose_its_values_are(path: Path) -> None:
    head, text = head_of(path), path.read_text()
    assert ["emoreason", "check", str(path)] in commands_in(head, "emoreason")
    assert ["sbatch", f"slurm/{path.stem}.sh", str(path)] in commands_in(head, "sbatch")
    assert "ardware and hours: not measured" in head and "Put your own records" in head
    lines = text.splitlines()
    assert len(lines) <= 70 and max(map(len, lines)) <= 140
    silent = [line for line in text.partition("\ntrainer:")[2].splitlines() if line and "  # " not in line]
    assert silent == []


@every_folder
def test_commands_in_the_heads_name_what_is_there(folder: Path) -> None:
    words = [word for path in folder.glob("*.yaml") for word in head_of(path).split() if re.match(r"(recipes|slurm)/\S+\.\w+$", word)]
    assert words and [word for word in words if not Path(word).exists()] == []


def test_published_settings_are_kept() -> None:
    """EmoCaliber's three stages and AVERE's DPO, as their launch scripts give them, on eight GPUs."""
    vl, omni = stages_of(Path("recipes/qwen2_5_vl_7b")), stages_of(Path("recipes/qwen2_5_omni_7b"))
    trainers = {name: recipe.trainer for name, recipe in vl.items() if name != "evaluate"}
    assert [trainers[name]["learning_rate"] for name in ("stage1_sft", "stage2_confidence", "stage3_grpo")] == [1e-5, 4e-6, 1e-6]
    batches = {name: 8 * one["per_device_train_batch_size"] * one["gradient_accumulation_steps"] for name, one in trainers.items()}
    assert batches == {"stage1_sft": 128, "stage2_confidence": 128, "stage3_grpo": 32 * 8, "stage3_dpo": 64}
    grpo = trainers["stage3_grpo"]
    assert grpo["generation_batch_size"] == 64 * grpo["num_generations"] == 2 * batches["stage3_grpo"]
    assert (grpo["beta"], grpo["scale_rewards"], grpo["max_completion_length"]) == (0.01, "none", 2048)
    for line in (vl, omni):
        assert {(recipe.media.min_pixels, recipe.media.max_pixels) for recipe in line.values()} == {(200704, 451584)}
        dpo = line["stage3_dpo"].trainer
        assert (dpo["learning_rate"], dpo["beta"], dpo["warmup_steps"], dpo["max_length"]) == (5e-7, 0.1, 0.1, 2048)
    assert omni["stage1_sft"].trainer["learning_rate"] == 2e-5
    assert (omni["stage3_grpo"].trainer["num_generations"], omni["stage3_grpo"].trainer["max_completion_length"]) == (8, 1024)


def test_large_models_are_spread_over_the_processes() -> None:
    for folder in BASE_MODELS:
        for name, recipe in stages_of(folder).items():
            assert name == "evaluate" or recipe.zero.stage in (2, 3), f"{folder}/{name}"


def keys_of(block: type[BaseModel], prefix: str, first: dict[type, str]) -> Iterator[tuple[str, object]]:
    """(key, default or "required") of everything a recipe may hold; a block that was met before is one key, its own are known."""
    for name, field in block.model_fields.items():
        key = prefix + name
        default = "required" if field.is_required() else field.default
        nested = nested_block(field.annotation)
        known = nested is not None and first.setdefault(nested, key) != key
        if nested is None or known or default is None:
            yield key, default
        if nested is not None and not known:
            yield from keys_of(nested, f"{key}[]." if "list[" in str(field.annotation) else f"{key}.", first)


def nested_block(annotation: object) -> type[BaseModel] | None:
    """The block of settings in a type such as `list[Block] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((block for part in typing.get_args(annotation) if (block := nested_block(part))), None)


def test_readme_lists_every_key_with_its_stages_and_default() -> None:
    keys: dict[str, tuple[set[str], object]] = {}
    first: dict[type, str] = {}
    for stage, recipe_class in RECIPE_CLASSES.items():
        for key, default in keys_of(recipe_class, "", first):
            keys.setdefault(key, (set(), default))[0].add(stage)
    every = set(RECIPE_CLASSES)
    rows = re.findall(r"^\| `([\w.\[\]]+)` \| ([\w, ]+) \| `?(.*?)`? \|", README.read_text(), re.MULTILINE)
    groups = {"all": every, "training": every - {"evaluate"}}
    written = {key: (groups.get(stages, set(stages.split(", "))), default) for key, stages, default in rows}
    assert written.keys() == keys.keys()
    for key, (stages, default) in keys.items():
        read = yaml.safe_load(written[key][1])
        assert written[key][0] == stages, key
        assert (Sampling(**read) if isinstance(default, Sampling) else read) == default, key


def test_commands_in_the_readme_work() -> None:
    """Recipes and scripts are there, and the overrides are accepted."""
    text = README.read_text()
    found = commands_in(text, "emoreason") + commands_in(text, "sbatch")
    assert len(found) == 6
    for _, *words in found:
        recipe = next(word for word in words if word.startswith("recipes/"))
        assert all(Path(word).exists() for word in words if word.startswith(("recipes/", "slurm/")))
        if recipe.endswith(".yaml"):
            overrides = words[words.index(recipe) + 1 :]
            assert check_recipe(Path(recipe), load_recipe(Path(recipe), overrides)) == []


def published_mixes() -> list[str]:
    """The indented blocks of recipes/README.md that hold a list of rewards."""
    blocks = re.findall(r"(?:^    .*\n)+", README.read_text(encoding="utf-8"), re.MULTILINE)
    return [textwrap.dedent(block) for block in blocks if block.startswith("    rewards:")]


@pytest.mark.parametrize("block", published_mixes())
def test_published_mixes_name_rewards_and_settings_that_exist(block: str) -> None:
    specs = [RewardSpec(**entry) for entry in yaml.safe_load(block)["rewards"]]
    assert specs
    assert [fault for spec in specs for fault in binding_faults(spec.func, spec.kwargs, COLUMNS)] == []
    columns = {name: [] for name in ("template", "label", "labels", "action_units", "cues", "aligned_modality")}
    for spec in specs:  # the settings are accepted, too
        assert load_function(spec.func)([], **columns, **spec.kwargs) == []


def test_there_are_published_mixes() -> None:
    assert len(published_mixes()) == 5
