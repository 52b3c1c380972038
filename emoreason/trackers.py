"""What trackers show of a run, read from its folder: metrics.jsonl is what happened, W&B and TensorBoard are copies of it.

A requeued job appends to metrics.jsonl under the same run, so its rows make one series however often the run was cut off; a tracker
that is fed by the trainer itself loses that (an offline W&B run cannot be resumed, and the parts of one overlay each other when they
are synced). So everything is sent from here, under one id, and can be sent again at any time.
"""

import hashlib
import importlib.util
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoreason.faults import UserError
from emoreason.files import read_json, whole_rows, write_json
from emoreason.run_dir import RunDir
from emoreason.secrets import redacted

TRACKERS = ("tensorboard", "wandb")
CURSORS = "trackers"
"""The folder in a run's folder that says how far each tracker has come."""
NUM_COMPLETIONS = 20
_TAIL_BYTES = 1 << 20


@dataclass(frozen=True)
class Content:
    """All that a tracker is to show of a run."""

    name: str
    run_id: str
    config: dict[str, Any]
    rows: list[dict[str, Any]]
    """One a step, as `with_global_steps` makes them."""
    summary: dict[str, float]
    """{`eval/<test>/<metric>`: value}, with `/low` and `/high` of its interval."""
    completions: list[dict[str, Any]]
    """The newest, oldest first: step, id, total, completion."""

    @property
    def digest(self) -> str:
        said = [self.name, self.run_id, self.config, self.rows, self.summary, self.completions]
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()


def read_content(path: Path) -> Content:
    """What there is to show of the run in this folder, whatever machine it was made on.

    Raises:
        UserError: there is no run.
    """
    run_dir, manifest = RunDir(path), read_manifest(path)
    config = {key: manifest.get(key) for key in ("recipe", "versions", "commit", "parent", "started")}
    return Content(manifest["recipe"]["output_dir"], run_id(path), redacted(config), with_global_steps(read_rows(run_dir.metrics_path)[0]),
                   evaluations(path), newest_completions(run_dir.completions_path))  # fmt: skip


def read_manifest(path: Path) -> dict[str, Any]:
    """The run.json of this folder, or a `UserError`."""
    manifest = RunDir(path).manifest
    if manifest is None:
        raise UserError(f"{path}: no run here (run.json is missing); accepted: the output_dir of a stage, or a folder of them")
    return manifest


def run_id(path: Path) -> str:
    """The id under which trackers know the run in this folder: the same whoever sends it, on whatever machine, after whatever requeue."""
    if kept := read_cursor(path, "wandb").get("run_id"):
        return kept
    manifest = read_manifest(path)
    made_from = [manifest["started"], manifest["recipe"]["output_dir"], manifest["recipe"].get("seed"), manifest["data"]]
    return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode()).hexdigest()[:12]


def read_rows(path: Path, offset: int = 0) -> tuple[list[dict[str, Any]], int]:
    """(the rows of metrics.jsonl from this byte on, the byte after the last of them); a line that is cut off is left for later."""
    if not path.exists():
        return [], offset
    with path.open("rb") as file:
        file.seek(offset)
        whole = file.read().rpartition(b"\n")[0]
    return [row for row in whole_rows(whole) if {"phase", "step"} <= row.keys()], offset + len(whole) + bool(whole)


def with_global_steps(rows: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """One row a step, in order, with `global_step`: the steps of the phases before, and its own.

    Rows of one step are one, the later value counts. A row whose step is below one of its phase before it comes from a run that was
    cut off and went on from a checkpoint: what lies beyond it was done again and is left out.
    """
    phases: dict[str, dict[int, dict]] = {}
    for row in rows:
        steps = phases.setdefault(row["phase"], {})
        for step in [step for step in reversed(steps) if step > row["step"]] if steps and next(reversed(steps)) > row["step"] else []:
            del steps[step]
        steps[row["step"]] = steps.get(row["step"], {}) | row
    found, before = [], 0
    for steps in phases.values():
        found += [{**row, "global_step": before + step} for step, row in steps.items()]
        before += max(steps)
    return found


def unsent(rows: list[dict[str, Any]], cursor: dict[str, Any]) -> list[dict[str, Any]]:
    """Of rows with global steps those beyond the cursor, and of the row at the cursor what has come to it since."""
    step, names = cursor.get("step", -1), set(cursor.get("names", ()))
    kept = {"phase", "step", "global_step"}
    left = []
    for row in rows:
        if row["global_step"] > step:
            left.append(row)
        elif row["global_step"] == step and (more := {name: value for name, value in row.items() if name not in names or name in kept}).keys() - kept:
            left.append(more)
    return left


def evaluations(path: Path) -> dict[str, float]:
    """{`eval/<test>/<metric>`: value} of the run's evaluations, with `/low` and `/high`."""
    found = {}
    for report in sorted((path / "eval").glob("*.json")):
        for name, entry in read_json(report).get("metrics", {}).items():
            parts = {"": entry.get("value"), "/low": entry.get("low"), "/high": entry.get("high")}
            found |= {f"eval/{report.stem}/{name}{part}": value for part, value in parts.items() if isinstance(value, int | float)}
    return found


def newest_completions(path: Path, count: int = NUM_COMPLETIONS) -> list[dict[str, Any]]:
    """The last completions of a completions.jsonl, of a line each or of a group a line: step, id, total, completion."""
    if not path.exists():
        return []
    with path.open("rb") as file:
        file.seek(max(0, file.seek(0, 2) - _TAIL_BYTES))
        tail = file.read()  # begins within a line, which is left out as one that was cut off
    found: list[dict[str, Any]] = []
    for row in reversed(whole_rows(tail)):
        texts = row.get("completions") or [row.get("completion")]
        totals = row.get("totals") or [row.get("total")] * len(texts)
        one = [{"step": row.get("step"), "id": row.get("id"), "total": total, "completion": text} for text, total in zip(texts, totals, strict=False)]
        found = one + found
        if len(found) >= count:
            break
    return found[-count:]


def read_cursor(path: Path, tracker: str) -> dict[str, Any]:
    """How far this tracker has come with the run in this folder; {} where nothing has been sent."""
    cursor = path / CURSORS / f"{tracker}.json"
    return read_json(cursor) if cursor.exists() else {}


def write_cursor(path: Path, tracker: str, cursor: dict[str, Any]) -> None:
    """Keep how far a tracker has come, whole or not at all."""
    write_json(path / CURSORS / f"{tracker}.json", {"run_id": run_id(path), **cursor})


def tracked_runs(path: Path) -> list[Path]:
    """The run in this folder, or the runs of a line in the folders below it, in the order of their beginning.

    Raises:
        UserError: neither.
    """
    if (path / "run.json").exists():
        return [path]
    runs = [found.parent for found in path.glob("*/run.json")]
    if not runs:
        raise UserError(f"{path}: no run here or one folder below (run.json is missing); accepted: the output_dir of a stage, or a folder of them")
    return sorted(runs, key=lambda run: (read_manifest(run)["started"], run.name))


def trackers_of(path: Path) -> list[str]:
    """The trackers that the run's recipe names; none for a run of a version that had none."""
    return read_manifest(path)["recipe"].get("trackers", [])


def missing_package(tracker: str) -> str | None:
    """What to install before this tracker can be fed, or None. A folder `wandb/` where one works is no package."""
    spec = importlib.util.find_spec(tracker)
    if spec is not None and spec.origin is not None:
        return None
    return f"{tracker} is not installed; run: pip install 'emoreason[{tracker}]', or leave it out"
