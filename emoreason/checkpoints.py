"""Checkpoints on disk: sealed with sizes and hashes when they are whole, verified before an older one goes, kept by age and by merit.

    trainer/aside/checkpoint-40    being written
    trainer/checkpoint-20          sealed: complete.json names each file with its size and SHA-256, and what the checkpoint fits
"""

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Literal

from emoreason.files import read_json, sha256, write_json

SEAL = "complete.json"
ASIDE = "aside"
_NUM_THREADS = 8
"""That hash files; hashing lets the interpreter go."""


def digests(folder: Path, names: Iterable[str]) -> dict[str, list]:
    """{file: [bytes, SHA-256]} of what is on disk, after it has been flushed there."""

    def digest(name: str) -> tuple[str, list]:
        path = folder / name
        with path.open("rb") as file:
            os.fsync(file.fileno())
        return name, [path.stat().st_size, sha256(path)]

    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        return dict(pool.map(digest, names))


def file_names(folder: Path) -> list[str]:
    """Every file of a checkpoint but its seal, relative, sorted."""
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.name != SEAL)


def seal(folder: Path, files: Mapping[str, list], facts: Mapping[str, Any]) -> None:
    """Write complete.json: the checkpoint is whole, and this is what it holds and fits."""
    write_json(folder / SEAL, {**facts, "files": dict(sorted(files.items()))})


def problem(folder: Path) -> str | None:
    """Why a checkpoint cannot be resumed from, or None where every file is there and as it was written."""
    if not (folder / SEAL).exists():
        return f"{SEAL} is missing, so it was cut off while it was written"
    try:
        files = read_json(folder / SEAL)["files"]
    except (ValueError, KeyError, TypeError):
        return f"{SEAL} cannot be read"
    for name, (size, _) in files.items():
        if not (folder / name).is_file():
            return f"{name} is missing"
        if (found := (folder / name).stat().st_size) != size:
            return f"{name} has {found} bytes, {size} were written"
    found = digests(folder, files)
    changed = [name for name in files if found[name] != files[name]]
    return f"{changed[0]} has other content than was written" if changed else None


def step_of(folder: Path) -> int:
    return int(folder.name.rpartition("-")[2])


def newest_good(folder: Path, say: Callable[[str], None]) -> Path | None:
    """The newest checkpoint that is whole, or None; each one that is not is said by name, with why, and stays."""
    for checkpoint in sorted(folder.glob("checkpoint-*"), key=step_of, reverse=True):
        why = problem(checkpoint)
        if why is None:
            return checkpoint
        say(f"{checkpoint}: skipped: {why}")
    return None


def clear_aside(folder: Path) -> None:
    """Remove what a process that was cut off has left half written or half removed."""
    shutil.rmtree(folder / ASIDE, ignore_errors=True)


def stale(folder: Path, keep_last: int, keep_best: int, best_is: Literal["highest", "lowest"]) -> list[Path]:
    """The sealed checkpoints that are neither among the newest nor among the best."""
    sealed = sorted((path for path in folder.glob("checkpoint-*") if (path / SEAL).exists()), key=step_of)
    kept = {*sealed[-keep_last:], *best(sealed, keep_best, best_is)}
    return [path for path in sealed if path not in kept]


def best(sealed: Iterable[Path], count: int, best_is: Literal["highest", "lowest"]) -> list[Path]:
    """The best first; of equal ones the earlier. Those that have no merit are left out."""
    merits = {path: read_json(path / SEAL).get("merit") for path in sealed}
    sign = -1 if best_is == "highest" else 1
    return sorted((path for path, merit in merits.items() if merit is not None), key=lambda path: (sign * merits[path], step_of(path)))[:count]


def remove(checkpoint: Path) -> None:
    """Remove a checkpoint such that it is at no time a torn one."""
    aside = checkpoint.parent / ASIDE / f"removed-{step_of(checkpoint)}"
    shutil.rmtree(aside, ignore_errors=True)
    aside.parent.mkdir(exist_ok=True)
    checkpoint.replace(aside)
    shutil.rmtree(aside)


def merit_of(log_history: Iterable[Mapping[str, Any]], column: str | None, after: int) -> float | None:
    """The mean of a column over the logged rows of the steps behind `after`; None where none has it."""
    values = [row[column] for row in log_history if column is not None and column in row and row["step"] > after]
    return sum(values) / len(values) if values else None


FITTING = {
    "zero_stage": "zero.stage",
    "world_size": "processes",
    "rows_per_step": "rows a step (per-device batch x accumulation x processes)",
}


def misfits(sealed: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """(what keeps a checkpoint from being gone on with, what may change its numbers), each `what: then -> now`."""
    refused, noted = [], []
    for key, what in FITTING.items():
        if sealed.get(key) != now[key]:
            # Without ZeRO each process holds all; only draws at random are by process, and the rows of a step are the same.
            converts = key == "world_size" and not now["zero_stage"] and sealed.get("rows_per_step") == now["rows_per_step"]
            (noted if converts else refused).append(f"{what}: {sealed.get(key)} -> {now[key]}")
    before, after = sealed.get("versions", {}), now["versions"]
    changed = [name for name in sorted(before.keys() | after.keys()) if before.get(name) != after.get(name)]
    noted += [f"{name}: {before.get(name)} -> {after.get(name)}" for name in changed]
    return refused, noted
