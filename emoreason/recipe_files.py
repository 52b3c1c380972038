"""Recipe files: strict YAML with lines in every message, overrides from the command line, folders of recipes."""

from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError

from emoreason.faults import UserError, did_you_mean, raise_faults
from emoreason.recipe import CONFIG_KIND, RECIPE_CLASSES, AnyRecipe
from emoreason.schema import describe, dotted
from emoreason.secrets import ADVICE, HIDDEN, hide_secrets, redacted_text
from emoreason.trainer_fields import trainer_faults


def load_recipe(path: Path, overrides: list[str] | None = None) -> AnyRecipe:
    """The recipe in a YAML file, with `key.path=value` overrides applied.

    Raises:
        UserError: with every fault that the file alone shows, each with file, line and key; a key or password among the values is one,
            and is shown by none.
    """
    try:
        return _load(path, overrides or [])
    except UserError as error:
        raise UserError(redacted_text(fault) for fault in error.faults) from None


def _load(path: Path, overrides: list[str]) -> AnyRecipe:
    values, lines = _read_yaml(path)
    places = [_apply_override(values, override) for override in overrides]
    # From here on nothing holds a secret, so that no message of whatever library can show it.
    values, secrets = hide_secrets(values)
    for override, place in zip(overrides, places, strict=True):
        lines = {key: where for key, where in lines.items() if key[: len(place)] != place}
        is_secret = any(location[: len(place)] == place for location, _ in secrets)
        for size in range(1, len(place) + 1):
            lines.setdefault(place[:size], f"override {_shown(override, is_secret)!r}")
    stage = values.get("stage")
    if not isinstance(stage, str) or stage not in RECIPE_CLASSES:
        raise UserError(f"{path}: stage is {stage!r}; accepted: {', '.join(RECIPE_CLASSES)}")
    recipe_class = RECIPE_CLASSES[stage]
    faults = [_fault(path, lines, location, f"{what}; {ADVICE}") for location, what in secrets]
    recipe = None
    try:
        recipe = TypeAdapter(recipe_class).validate_python(values)
    except ValidationError as error:
        faults += [_fault(path, lines, location, text) for location, text in describe(error, recipe_class)]
    if stage != "evaluate":
        faults += _trainer_faults(path, lines, stage, values)
    raise_faults(faults)
    return recipe


def load_folder(folder: Path, overrides: list[str] | None = None) -> tuple[dict[Path, AnyRecipe], list[str]]:
    """(the recipes of a folder by path, the faults of those that do not load).

    An override goes to the recipes whose stage has its first key, and must suit at least one.
    """
    recipes, faults, used = {}, [], set()
    for path in sorted(folder.glob("*.yaml")):
        try:
            stage = _read_yaml(path)[0].get("stage")
            keys = RECIPE_CLASSES[stage].model_fields if isinstance(stage, str) and stage in RECIPE_CLASSES else {}
            mine = [one for one in overrides or [] if one.partition("=")[0].split(".")[0] in keys]
            used.update(mine)
            recipes[path] = load_recipe(path, mine)
        except UserError as error:
            faults += error.faults
    if not recipes and not faults:
        faults.append(f"{folder}: no recipes (*.yaml) here (relative paths start at {Path.cwd()})")
    known = sorted({key for recipe_class in RECIPE_CLASSES.values() for key in recipe_class.model_fields})
    for override in sorted(set(overrides or []) - used):
        faults.append(f"override {_shown(override)!r} suits no recipe of {folder}{did_you_mean(override.partition('=')[0].split('.')[0], known)}")
    return recipes, faults


def moved(recipe: AnyRecipe, old_root: Path, new_root: Path) -> AnyRecipe:
    """The recipe with `output_dir` and `model.path` under another root, where they lie under the old one."""

    def move(path: str) -> str:
        return str(new_root / Path(path).relative_to(old_root)) if Path(path).is_relative_to(old_root) else path

    model = recipe.model.model_copy(update={"path": move(recipe.model.path)})
    return recipe.model_copy(update={"output_dir": move(recipe.output_dir), "model": model})


def _trainer_faults(path: Path, lines: dict[tuple, int | str], stage: str, values: dict) -> list[str]:
    blocks = [((), values.get("trainer"))]
    phases = values.get("phases") if isinstance(values.get("phases"), list) else []
    blocks += [(("phases", index), phase.get("trainer")) for index, phase in enumerate(phases) if isinstance(phase, dict)]
    return [
        _fault(path, lines, (*where, "trainer", name), text)
        for where, settings in blocks if isinstance(settings, dict)
        for name, text in trainer_faults(CONFIG_KIND[stage], settings)
    ]  # fmt: skip


def _fault(path: Path, lines: dict[tuple, int | str], location: tuple, text: str) -> str:
    """`lines` holds the line of each key, or the override that set it."""
    line = next((lines[location[:size]] for size in range(len(location), 0, -1) if location[:size] in lines), "")
    where = f"{path}:{line}" if isinstance(line, int) else line or str(path)
    return f"{where}: {dotted(location)}: {text}" if location else f"{where}: {text}"


def _read_yaml(path: Path) -> tuple[dict, dict[tuple, int]]:
    """The values of a YAML file and the line of each key; a key given twice is a fault."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except FileNotFoundError as error:
        raise UserError(f"{path}: no such recipe (relative paths start at {Path.cwd()})") from error
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as a recipe: {error}") from error
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"{path}: not YAML: {_yaml_problem(error)}") from None
    if not isinstance(values, dict):
        raise UserError(f"{path}: a recipe is a mapping of keys, this file holds {type(values).__name__}")
    lines: dict[tuple, int] = {}
    faults: list[str] = []
    _walk(root, (), lines, faults, path)
    raise_faults(faults)
    return values, lines


def _yaml_problem(error: yaml.YAMLError) -> str:
    """What PyYAML says, with its places and without the piece of the file that it quotes, which may be anything."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return " ".join(str(error).split())
    said = ((error.context, error.context_mark), (error.problem, error.problem_mark))
    return ": ".join(f"{text}{f' (line {mark.line + 1}, column {mark.column + 1})' if mark else ''}" for text, mark in said if text)


def _walk(node: yaml.Node, location: tuple, lines: dict[tuple, int], faults: list[str], path: Path) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            place = (*location, key.value)
            line = key.start_mark.line + 1
            if place in lines:
                faults.append(f"{path}:{line}: {dotted(place)}: given twice, first on line {lines[place]}")
            lines.setdefault(place, line)
            _walk(value, place, lines, faults, path)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            lines[*location, index] = value.start_mark.line + 1
            _walk(value, (*location, index), lines, faults, path)


def read_settings(given: list[str]) -> dict[str, Any]:
    """{setting: value} of `setting=value` words, the values read as YAML.

    Raises:
        UserError: a word is not of that form.
    """
    settings: dict[str, Any] = {}
    for word in given:
        _apply_override(settings, word)
    return settings


def _apply_override(values: dict, override: str) -> tuple:
    """Set `key.path=value` in nested mappings and lists, the value read as YAML; the location that was set."""
    key, equals, text = override.partition("=")
    shown = _shown(override)
    if not equals or not key:
        raise UserError(f"override {shown!r}: give key.path=value, for example trainer.learning_rate=1.0e-6")
    *parents, last = key.split(".")
    place: Any = values
    location: list[str | int] = []
    for part in parents:
        location.append(int(part) if isinstance(place, list) and part.isdigit() else part)
        if isinstance(place, list):
            if not part.isdigit() or int(part) >= len(place):
                raise UserError(f"override {shown!r}: {part!r} is no place in a list of {len(place)}")
            place = place[int(part)]
        else:
            place = place.setdefault(part, {})
        if not isinstance(place, dict | list):
            held = hide_secrets({part: place})[0]
            raise UserError(f"override {shown!r}: {part!r} holds {held.get(part)!r}, which has no keys")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise UserError(f"override {shown!r}: the value is not YAML") from error
    if isinstance(place, list):
        if not last.isdigit() or int(last) >= len(place):
            raise UserError(f"override {shown!r}: {last!r} is no place in a list of {len(place)}")
        place[int(last)] = value
        return (*location, int(last))
    place[last] = value
    return (*location, last)


def _shown(override: str, is_secret: bool = False) -> str:
    """The override as a message may show it: without its value where that is a secret, or looks like one."""
    key, equals, text = override.partition("=")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        value = text
    name = next((part for part in reversed(key.split(".")) if not part.isdigit()), "")
    if equals and (is_secret or hide_secrets({name: value})[1] or redacted_text(text) != text):
        return redacted_text(f"{key}={HIDDEN}")
    return redacted_text(override)
