"""Who may import whom: a module uses only modules from strictly lower floors, read from its source.

To add a module, give it a place in `FLOORS`.
"""

import ast
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parents[1]
TORCH = frozenset({"torch", "torchvision", "transformers", "trl", "datasets", "peft", "accelerate", "tokenizers", "vllm", "deepspeed"})


class Floor(NamedTuple):
    name: str
    modules: str
    may_also_use: str = ""
    """Third parties, on this floor and on all above it."""


FLOORS = [
    Floor("what went wrong", "faults preemption ranks"),
    Floor("what went wrong with an engine", "rollouts.faults"),
    Floor("words", "emotions taxonomies mentions stated_confidence files secrets leaks leaks.names"),
    Floor("what a model writes", "completions"),
    Floor("what the field knows", "leaks.overlaps mer_wheels action_units valence compat", "openpyxl"),
    Floor("and makes of it", "wheels action_unit_prototypes action_unit_files"),
    Floor("strictness", "schema trainer_fields zero", "pydantic pydantic_core"),
    Floor("contracts", "checkpoints records recipe rewarding run_dir reward_alarm reward_samples", "yaml pebble"),
    Floor(
        "files of sound and sight", "decoding record_media media_check media_check.faces conversion conversion.card conversion.faults",
        "numpy PIL av soundfile cv2",
    ),
    Floor("cells and arrays of data sets", "conversion.cells conversion.arrays conversion.inspection", "scipy"),
    Floor("tables and media of data sets", "conversion.tables conversion.media_folder", "ijson"),
    Floor("chats of data sets", "conversion.conversations"),
    Floor("folders of data sets", "conversion.source", "pyarrow"),
    Floor(
        "accounts of conversions, and what some scripts share",
        "conversion.account conversion.folds conversion.mer conversion.small_files conversion.pictures conversion.class_folders",
        "rich",
    ),
    Floor("scripts that convert", "conversion.opinions conversion.script"),
    Floor(
        "shaping",
        "linked_media splits allow_list media_check.clips media_check.sounds "
        "recipe_files line prompts curriculum cue_counts pair_balance trackers media packing flops reward_contract topology stage_plan "
        "metrics metrics.sets metrics.text metrics.bootstrap",
        "sklearn scipy",
    ),
    Floor(
        "measures",
        "exports exports.pictures exports.samples leaks.fingerprints split_files "
        "media_check.probe media_tokens augmentation preferences "
        "metrics.classification metrics.regression metrics.calibration metrics.cues metrics.wheel "
        "metrics.benchmarks bench tracker_replay",
        "wandb tensorboard",
    ),
    Floor(
        "scores",
        "leaks.store leaks.near "
        "exports.survey exports.files media_check.cache media_check.findings "
        "metrics.evaluation metrics.named confidence rollout_statistics memory_estimate "
        "world_size",
    ),
    Floor(
        "preflight",
        "exports.marked exports.checking "
        "leaks.search media_check.check preflight bench_data metrics.predictions rollout_files record_lengths stage_fit short_line",
    ),
    Floor(
        "saved completions",
        "leaks.report exports.ms_swift exports.llama_factory exports.verl exports.trl_chat media_check.report scoring stage_advice node_facts",
        "huggingface_hub",
    ),
    Floor("files of other frameworks", "exports.writing"),
    Floor("templates and answers", "annotate annotate.answers annotate.templates", "jinja2 jsonschema"),
    Floor("what is asked", "annotate.asking annotate.cache annotate.filters"),
    Floor("who is asked, and what is made of answers", "annotate.client annotate.filling", "httpx anyio"),
    Floor("question and answer", "annotate.loop"),
    Floor("annotation", "annotate.report"),
    # The torch line.
    Floor(
        "machines",
        "families rollouts rollouts.server_client rollouts.deadline rollouts.weights trainers trainers.watchdog from_scratch_warm_start",
        "torch transformers datasets peft tokenizers accelerate packaging safetensors deepspeed",
    ),
    Floor("what models read", "collate models from_scratch rollouts.server_process rollouts.vllm_folder"),
    Floor("how they run", "shared_prefix training_data rollouts.proof rollouts.transformers_engine architecture"),
    Floor("whether they agree", "rollouts.parity"),
    Floor("what vLLM reads, and what runs in its workers", "rollouts.vllm_inputs rollouts.vllm_worker", "vllm"),
    Floor("vLLM here", "rollouts.vllm_engine"),
    Floor("vLLM there", "rollouts.server_engine"),
    Floor("whichever", "rollouts.opening rollouts.serving trainers.policy_sync", "trl"),
    # `session` opens models and resumes from what `callbacks` marks; the trainers sample with the engine's inputs.
    Floor("what every trainer does", "trainers.callbacks trainers.guarded trainers.tracker_feed"),
    Floor("drives", "trainers.session trainers.grpo trainers.dpo"),
    # Stages, release and predict sample through `evaluate`, and release prints the table of `report`.
    Floor("measuring", "evaluate report show confidence_report pair_files node_preflight fit_report", "rich matplotlib"),
    Floor("runs", "stages stages.sft stages.confidence stages.grpo stages.dpo predict release parity_gate bench_training", "prefix_grouper"),
    Floor("pipeline", "pipeline bench_rollouts bench_resume bench_scale"),
    Floor("desk", "commands commands.terminal", "typer"),
    Floor(
        "counters",
        "commands.annotate commands.media commands.export commands.splitting commands.tracking commands.bench commands.cluster commands.topology",
    ),
    Floor("door", "cli"),
    Floor("doormat", "__main__"),
]
TORCH_LINE = next(height for height, floor in enumerate(FLOORS) if floor.name == "machines")
HEIGHT = {f"emoreason.{module}": height for height, floor in enumerate(FLOORS) for module in floor.modules.split()} | {"emoreason": 0}
BELOW_TORCH = sorted(module for module, height in HEIGHT.items() if height < TORCH_LINE)


def below(name: str) -> set[str]:
    """The modules up to and with the floor of this name."""
    height = next(height for height, floor in enumerate(FLOORS) if floor.name == name)
    return {module for module, own in HEIGHT.items() if own <= height}


def third_parties(height: int) -> set[str]:
    return {package for floor in FLOORS[: height + 1] for package in floor.may_also_use.split()}


def sources() -> dict[str, Path]:
    """{module: file} of everything below emoreason/."""
    found = {}
    for path in sorted((ROOT / "emoreason").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


def imports(tree: ast.AST) -> set[str]:
    """What is imported, at the top or later: modules of ours by their whole name, of others by that of their package."""
    names = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: a relative import; write the whole name"
            submodules = {f"{node.module}.{alias.name}" for alias in node.names}
            names |= (submodules & HEIGHT.keys()) or {node.module}
    return {name if name.split(".")[0] == "emoreason" else name.split(".")[0] for name in names} - sys.stdlib_module_names


def problems(module: str, tree: ast.AST) -> list[str]:
    height = HEIGHT[module]
    return [
        f"{module} (floor {height}) imports {name}"
        for name in sorted(imports(tree))
        if not (HEIGHT.get(name, len(FLOORS)) < height if name.startswith("emoreason") else name in third_parties(height))
    ]


def ours(names: set[str]) -> set[str]:
    return {name for name in names if name.split(".")[0] in ("emoreason", "rewards", "data_prep", "tests")}


def parsed(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def test_every_module_has_a_floor_and_every_name_a_module() -> None:
    assert sorted(sources()) == sorted(HEIGHT)
    assert len(HEIGHT) == 1 + sum(len(floor.modules.split()) for floor in FLOORS), "a module stands on two floors"


@pytest.mark.parametrize("module", sorted(HEIGHT))
def test_a_module_imports_only_from_below(module: str) -> None:
    assert problems(module, parsed(sources()[module])) == []


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("from emoreason.media import load_picture", "emoreason.records (floor 7) imports emoreason.media"),
        ("from emoreason import media", "emoreason.records (floor 7) imports emoreason.media"),
        ("import emoreason.recipe", "emoreason.records (floor 7) imports emoreason.recipe"),
        ("from emoreason.rewards.answer_format import x", "emoreason.records (floor 7) imports emoreason.rewards.answer_format"),
        ("import rewards.answer_format", "emoreason.records (floor 7) imports rewards"),
        ("def f():\n    import torch.nn as nn", "emoreason.records (floor 7) imports torch"),
        ("import PIL.Image", "emoreason.records (floor 7) imports PIL"),
        ("import json\nfrom emoreason.schema import Strict\nimport yaml", None),
    ],
)
def test_an_import_from_elsewhere_is_found(source: str, problem: str | None) -> None:
    assert problems("emoreason.records", ast.parse(source)) == ([problem] if problem else [])


@pytest.mark.parametrize("module", BELOW_TORCH)
def test_below_the_torch_line_nothing_imports_torch_not_even_later(module: str) -> None:
    assert imports(parsed(sources()[module])) & TORCH == set()


def test_importing_all_below_the_torch_line_leaves_torch_out() -> None:
    """Through what third parties import, too."""
    code = f"import sys; {'; '.join(f'import {module}' for module in BELOW_TORCH)}; print(sorted({set(TORCH)!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_door_opens_before_anything_is_loaded() -> None:
    for module in ("cli", *(name.removeprefix("emoreason.") for name in HEIGHT if name.startswith("emoreason.commands."))):
        tree = parsed(sources()[f"emoreason.{module}"])
        at_the_top = ast.Module([node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], [])
        found = imports(at_the_top)
        assert {name for name in found if not name.startswith("emoreason.commands.")} <= {"emoreason.faults", "typer", "rich"}, module


@pytest.mark.parametrize("module", sorted(HEIGHT))
def test_emoreason_imports_no_reward_script_or_test(module: str) -> None:
    """A reward enters through its address."""
    first_words = {name.removeprefix("emoreason.").split(".")[0] for name in imports(parsed(sources()[module]))}
    assert first_words & {"rewards", "data_prep", "tests"} == set()


@pytest.mark.parametrize("path", sorted((ROOT / "rewards").glob("*.py")), ids=lambda path: path.stem)
def test_a_reward_uses_words_and_metrics_and_no_other_reward(path: Path) -> None:
    found = imports(parsed(path))
    assert ours(found) <= below("and makes of it") | {module for module in HEIGHT if module.startswith("emoreason.metrics")}
    assert found & TORCH == set()


@pytest.mark.parametrize("path", sorted((ROOT / "data_prep").glob("*.py")), ids=lambda path: path.stem)
def test_data_prep_uses_words_and_contracts(path: Path) -> None:
    found = imports(parsed(path))
    assert ours(found) <= below("scripts that convert") - {"emoreason.decoding"}
    assert found & TORCH == set()
