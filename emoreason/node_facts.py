"""What one node of a job sees of what a recipe names, and where nodes differ."""

import hashlib
import json
import os
import platform
import shutil
import time
from contextlib import suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from huggingface_hub import try_to_load_from_cache

from emoreason.faults import UserError
from emoreason.files import sha256
from emoreason.preflight import data_sources
from emoreason.recipe import AnyRecipe
from emoreason.recipe_files import load_recipe

PACKAGES = ("emoreason", "torch", "transformers", "trl", "deepspeed", "vllm")
MAX_CLOCK_DIFFERENCE_S = 5.0


@dataclass
class Facts:
    """What one process sees."""

    node: str
    faults: list[str] = field(default_factory=list)
    num_gpus: int = 0
    versions: dict[str, str] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    """{recipe, records file or allow-list: hash}."""
    model: dict[str, int] | None = None
    """{file of the model: bytes}; None where it is not here, and is still to be made or fetched."""
    free_bytes: int = 0
    clock: float = 0.0
    reduce_s: float | None = None


def look(recipe_path: Path, overrides: list[str], node: str, num_gpus: int) -> tuple[Facts, AnyRecipe | None]:
    """What this node sees of what the recipe names, and the recipe, None where it cannot be read here."""
    facts = Facts(node, num_gpus=num_gpus, versions={"python": platform.python_version(), **_versions()})
    try:
        facts.files[str(recipe_path)] = sha256(recipe_path) if recipe_path.exists() else ""
        recipe = load_recipe(recipe_path, overrides)
    except UserError as error:
        facts.faults += error.faults
        return facts, None
    for path in sorted({Path(path) for source in data_sources(recipe) for path in (source.path, source.allow) if path}):
        if path.exists():
            facts.files[str(path)] = sha256(path)
        else:
            facts.faults.append(f"{path}: no such file (relative paths start at {Path.cwd()})")
    facts.model = model_files(recipe.model.path)
    is_name = recipe.model.path.count("/") == 1 and not Path(recipe.model.path).is_absolute()
    if facts.model is None and recipe.model.from_scratch is None and not is_name:
        facts.faults.append(f"model.path: {recipe.model.path} does not exist; run the stage that makes it, or mount its disk")
    return facts, recipe


def model_files(path: str) -> dict[str, int] | None:
    """{file: bytes} of a checkpoint's folder, or of a model of the hub in this node's cache; None where neither is here."""
    folder = Path(path)
    if not folder.is_dir():
        cached = try_to_load_from_cache(path, "config.json") if path.count("/") == 1 and not folder.is_absolute() else None
        if not isinstance(cached, str):
            return None
        folder = Path(cached).parent
    return {str(file.relative_to(folder)): file.stat().st_size for file in sorted(folder.rglob("*")) if file.is_file()}


def _versions() -> dict[str, str]:
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def leave_mark(mark: Path, facts: Facts) -> None:
    """Write a small file into the run's folder, for the other nodes to see; adds to the faults, and the room that is left."""
    try:
        mark.parent.mkdir(parents=True, exist_ok=True)
        mark.write_text(facts.node)
        facts.free_bytes = shutil.disk_usage(mark.parent).free
    except OSError as error:
        facts.faults.append(f"output_dir: {mark.parent}: cannot be written: {error.strerror or error}")


def unseen_marks(marks: dict[str, Path], patience_s: float = 5.0) -> list[str]:
    """The nodes whose mark does not show up here; a network's disk may take seconds."""
    give_up = time.monotonic() + patience_s
    while True:
        with suppress(OSError):
            os.listdir(next(iter(marks.values())).parent)  # makes NFS look again
        unseen = [node for node, mark in marks.items() if not mark.exists()]
        if not unseen or time.monotonic() > give_up:
            return unseen
        time.sleep(0.2)


def compare(seen: list[Facts], recipe: AnyRecipe | None) -> list[str]:
    """What keeps these nodes from training together: each one's own faults, and where they differ from the first."""
    faults, first = _own_faults(seen), seen[0]
    for other in seen[1:]:
        pair = f"{first.node} and {other.node}"
        if first.num_gpus != other.num_gpus:
            faults.append(f"{pair}: {first.num_gpus} and {other.num_gpus} GPUs; ask for nodes of one kind")
        for package in sorted(first.versions.keys() | other.versions.keys()):
            here, there = first.versions.get(package, "none"), other.versions.get(package, "none")
            if here != there:
                faults.append(f"{pair}: {package} {here} and {there}; activate the same environment on every node (slurm/env.sh)")
        for path in sorted(first.files.keys() & other.files.keys()):
            if first.files[path] != other.files[path]:
                faults.append(f"{pair}: {path} differs between them; keep it on a disk that every node sees")
        faults += [f"{pair}: model.path: {fault}" for fault in _model_differences(first.model, other.model)]
        if abs(first.clock - other.clock) > MAX_CLOCK_DIFFERENCE_S:
            faults.append(f"{pair}: their clocks are {abs(first.clock - other.clock):.1f} s apart; accepted: {MAX_CLOCK_DIFFERENCE_S:.0f}; "
                          "have the site set them (NTP)")
    needed = 2 * sum((first.model or {}).values())
    if recipe is not None:
        faults += [f"{facts.node}: output_dir: {recipe.output_dir}: {facts.free_bytes / 1e9:.1f} GB are free; needed: {needed / 1e9:.1f}, twice "
                   "the model; free some space or choose another output_dir" for facts in seen if 0 < facts.free_bytes < needed]  # fmt: skip
    return faults


def _own_faults(seen: list[Facts]) -> list[str]:
    """Each fault once, with the nodes that have it."""
    nodes: dict[str, list[str]] = {}
    for facts in seen:
        for fault in facts.faults:
            nodes.setdefault(fault, []).append(facts.node)
    return [f"{'every node' if len(having) == len(seen) > 1 else ', '.join(having)}: {fault}" for fault, having in nodes.items()]


def _model_differences(here: dict[str, int] | None, there: dict[str, int] | None) -> list[str]:
    if (here is None) != (there is None):
        return ["is on one of them alone; keep it on a disk that every node sees"]
    differing = sorted(name for name in (here or {}).keys() | (there or {}).keys() if (here or {}).get(name) != (there or {}).get(name))
    shown = ", ".join(differing[:5]) + (f" and {len(differing) - 5} more" if len(differing) > 5 else "")
    return [f"not the same files: {shown}; copy the folder again, or keep it on a disk that every node sees"] if differing else []


def row(facts: Facts, first: Facts) -> list[str]:
    """The node's row of the report."""
    reduce_ms = "-" if facts.reduce_s is None else f"{1000 * facts.reduce_s:.1f}"
    model_gb = "-" if facts.model is None else f"{sum(facts.model.values()) / 1e9:.2f}"
    digest = hashlib.sha256(json.dumps(sorted(facts.files.items())).encode()).hexdigest()
    return [
        facts.node, str(facts.num_gpus), *(facts.versions.get(package, "-") for package in PACKAGES),
        f"{len(facts.files)} files, {digest[:8]}",
        model_gb, f"{facts.free_bytes / 1e9:.0f}", f"{facts.clock - first.clock:+.2f}", reduce_ms,
    ]  # fmt: skip
