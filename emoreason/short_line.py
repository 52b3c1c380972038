"""A folder of recipes made short: a few records, a few steps, every stage with its real code, full and with adapters."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emoreason.allow_list import read_source
from emoreason.faults import UserError
from emoreason.files import read_jsonl, write_jsonl
from emoreason.recipe import AnyRecipe, DataSource, LoraSettings
from emoreason.recipe_files import load_folder, moved

PARENT = "parent"
"""The SFT run that the stages after it start from; those that are disturbed are shorter."""
NUM_RECORDS = 8
SHRUNK = {"max_steps": 6, "per_device_train_batch_size": 8, "save_steps": 2, "logging_steps": 1, "warmup_steps": 2, "disable_tqdm": True}


def short_line(recipes_dir: Path, folder: Path) -> list[AnyRecipe]:
    """The training recipes of a folder, over a few records, for a few steps, below another folder; parents first."""
    recipes, faults = load_folder(recipes_dir)
    if faults:
        raise UserError(faults)
    training = [recipe for recipe in recipes.values() if recipe.stage != "evaluate"]
    roots = {Path(recipe.output_dir).parent for recipe in training}
    if len(roots) != 1:
        raise UserError(f"{recipes_dir}: output_dirs side by side are needed, these are in {', '.join(map(str, sorted(roots)))}")
    return [_short(moved(recipe, *roots, folder / "runs"), recipe.trainer, folder) for recipe in training]


def _short(recipe: AnyRecipe, trainer: dict[str, Any], folder: Path) -> AnyRecipe:
    data = [source.model_copy(update={"path": _few_records(source, folder), "allow": None}) for source in recipe.data]
    settings = {**trainer, **SHRUNK}
    changes: dict[str, Any] = {"data": data, "trainer": settings, "release": False}
    if recipe.stage == "sft":
        steps = [4] * (len(recipe.phases) - 1) + [70]  # enough that the stages after it find answers that they can read
        phases = [phase.model_copy(update={"data": None, "trainer": {**phase.trainer, "max_steps": count, "save_steps": max(2, count // 7),
                                                                     "per_device_train_batch_size": 8}})
                  for phase, count in zip(recipe.phases, steps, strict=True)]  # fmt: skip
        model = recipe.model.model_copy(deep=True)
        if model.from_scratch and model.from_scratch.warm_start:
            model.from_scratch.warm_start = model.from_scratch.warm_start.model_copy(update={"steps": 5, "batch_size": 4})
        changes |= {"phases": phases, "model": model}
    if recipe.stage == "grpo":
        # Long enough for a second epoch, and each completion trained on twice, so that a checkpoint has to wait for its turn.
        changes["trainer"] = settings | {"max_steps": 12, "num_generations": 4, "max_completion_length": 24, "num_iterations": 2, "save_steps": 3}
    if recipe.stage == "dpo":
        changes["pairs"] = recipe.pairs.model_copy(update={"min_margin": 0.001})
    return recipe.model_copy(update=changes)


def _few_records(source: DataSource, folder: Path) -> str:
    """A file of a few records of another that are read, evenly drawn from them, beside copies of their media."""
    path, kept = Path(source.path), {record.id for record in read_source(source).records}
    rows = [row for _, row in read_jsonl(path, []) if row["id"] in kept]
    target = folder / "data" / path.name
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        for entry in path.parent.iterdir():
            if entry.is_dir() and not (target.parent / entry.name).exists():
                shutil.copytree(entry, target.parent / entry.name)
        write_jsonl(target, rows[:: max(1, len(rows) // NUM_RECORDS)][:NUM_RECORDS])
    return str(target)


def variants_of(recipes: list[AnyRecipe]) -> Iterator[tuple[str, AnyRecipe]]:
    """(name, recipe): each stage as it is, then each with adapters where it has none, or without where it has."""
    for recipe in [recipe for recipe in recipes if recipe.stage == "sft"]:
        yield PARENT, recipe
        phases = [phase.model_copy(update={"trainer": {**phase.trainer, "max_steps": 4, "save_steps": 2}}) for phase in recipe.phases]
        short = recipe.model_copy(update={"phases": phases, "output_dir": f"{recipe.output_dir}_short"})
        recipes = [short, *(one for one in recipes if one is not recipe)]
    yield from ((f"{recipe.stage}{'_lora' if recipe.model.lora else ''}", recipe) for recipe in recipes)
    for recipe in recipes:
        lora = None if recipe.model.lora else LoraSettings()
        model = recipe.model.model_copy(update={"lora": lora})
        other = recipe.model_copy(update={"model": model, "output_dir": f"{recipe.output_dir}_other"})
        yield f"{recipe.stage}{'_lora' if lora else ''}", other
