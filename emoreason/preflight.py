"""Everything about a recipe that can be known before torch is imported: the body of `emoreason check`."""

from pathlib import Path
from typing import Any

from emoreason.faults import UserError
from emoreason.media import media_faults
from emoreason.prompts import target_problems
from emoreason.recipe import AnyRecipe, DpoRecipe, EvaluateRecipe, GrpoRecipe, SftRecipe, load_recipe
from emoreason.records import COLUMNS, Record, read_records
from emoreason.rewarding import binding_faults
from emoreason.run_dir import RunDir

MAX_SHOWN = 20


def check_recipe(path: Path, recipe: AnyRecipe, with_parent: bool = True) -> list[str]:
    """Every fault of a recipe that its own file does not show: data, pictures, targets, rewards, the parent's settings.

    Without `with_parent`, what stands at `model.path` is not looked at.
    """
    faults: list[str] = []
    records = _read_all(recipe, faults)
    for records_path, found in records.items():
        faults += media_faults(found, records_path)
        faults += _label_space_faults(recipe, records_path, found)
    faults += _target_faults(recipe, records)
    if isinstance(recipe, GrpoRecipe | DpoRecipe):
        faults += _reward_faults(path, recipe)
    if with_parent:
        faults += _parent_faults(path, recipe)
    hidden = len(faults) - MAX_SHOWN
    return faults if hidden <= 0 else [*faults[:MAX_SHOWN], f"and {hidden} more of these"]


def _read_all(recipe: AnyRecipe, faults: list[str]) -> dict[Path, list[Record]]:
    found = {}
    for path in data_paths(recipe):
        try:
            found[Path(path)] = read_records(Path(path))
        except UserError as error:
            faults += error.faults
    return found


def data_paths(recipe: AnyRecipe) -> list[str]:
    """Every records file that the recipe names, once, sorted."""
    if isinstance(recipe, EvaluateRecipe):
        return sorted(set(recipe.tests.values()))
    sources = list(recipe.data)
    if isinstance(recipe, SftRecipe):
        sources += [source for phase in recipe.phases for source in phase.data or []]
    return sorted({source.path for source in sources})


def _label_space_faults(recipe: AnyRecipe, path: Path, records: list[Record]) -> list[str]:
    spaces = sorted({record.target.label_space for record in records} - {recipe.label_space})
    return [f"{path}: records are labelled in {space!r}, the recipe's label_space is {recipe.label_space!r}" for space in spaces]


def _target_faults(recipe: AnyRecipe, records: dict[Path, list[Record]]) -> list[str]:
    """SFT targets that the parser rejects, so that no stage teaches a format that a later stage punishes."""
    if isinstance(recipe, SftRecipe):
        phases = [((phase.template or recipe.template).build(), phase.think_from, phase.data or recipe.data) for phase in recipe.phases]
    elif recipe.stage == "confidence":
        phases = [(recipe.template.build(), "reasoning", recipe.data)]
    else:
        return []
    faults = []
    for template, think_from, sources in phases:
        confidence = 0.5 if template.confidence else None
        for source in sources:
            for record in records.get(Path(source.path), []):
                problems = target_problems(record, template, think_from, confidence)
                if recipe.stage == "confidence" and record.target.label is None:
                    problems.append("no target.label, which a confidence target needs")
                faults += [f"{source.path}: record {record.id!r}: SFT target: {problem}" for problem in problems]
    return list(dict.fromkeys(faults))


def _reward_faults(path: Path, recipe: GrpoRecipe | DpoRecipe) -> list[str]:
    faults, names = [], []
    for index, spec in enumerate(recipe.rewards):
        names.append(spec.func.rpartition(":")[2])
        try:
            found = binding_faults(spec.func, spec.kwargs, COLUMNS)
        except UserError as error:
            found = error.faults
        faults += [f"{path}: rewards[{index}]: {fault}" for fault in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    faults += [f"{path}: rewards: {name} is given twice, and logs tell rewards apart by name" for name in twice]
    return faults


def _parent_faults(path: Path, recipe: AnyRecipe) -> list[str]:
    """Where a stage would read its parent with another template, label space or pixels than the parent was trained with."""
    parent = _parent_recipe(path, recipe)
    if parent is None:
        missing = Path(recipe.model.path).is_absolute() or recipe.model.path.count("/") != 1
        if missing and not Path(recipe.model.path).exists() and not recipe.model.from_scratch:
            return [f"{path}: model.path: {recipe.model.path} does not exist, and no recipe beside this one writes it"]
        return []
    mine, faults = recipe.model_dump(), []
    for key in ("label_space", "media", "prompt"):
        if mine[key] != parent[key]:
            faults.append(f"{path}: {key}: {mine[key]} here, but {parent[key]} where {recipe.model.path} was trained")
    grown = {**parent["template"], "confidence": True} if recipe.stage == "confidence" else parent["template"]
    if recipe.stage != "evaluate" and mine["template"] not in (parent["template"], grown):
        faults.append(f"{path}: template: {mine['template']} here, but {parent['template']} where {recipe.model.path} was trained")
    return faults


def _parent_recipe(path: Path, recipe: AnyRecipe) -> dict[str, Any] | None:
    """The resolved recipe that makes `model.path`: from the run that made it, else from a recipe in the same folder."""
    manifest = RunDir(Path(recipe.model.path).parent).manifest
    if manifest is not None:
        return manifest["recipe"]
    for sibling in sorted(path.parent.glob("*.yaml")):
        if sibling.resolve() == path.resolve():
            continue
        try:
            other = load_recipe(sibling)
        except UserError:
            continue  # its own check reports it
        if other.stage != "evaluate" and RunDir(other.output_dir).checkpoint_path == Path(recipe.model.path):
            return other.model_dump()
    return None
