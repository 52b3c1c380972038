"""The folder of a run: what it is, whether it ended, and what it may not be mixed with.

    run.json           resolved recipe, versions, commit, hashes of the data, parent, status running or finished
    metrics.jsonl      what the trainer logged, a line a step
    completions.jsonl  the completions that the stage scored
    pairs.jsonl        the preference pairs that DPO trains on, as records; pairs.json says how alike their two sides are
    media/             links to the folders where the media of these pairs lie
    checkpoint/        the result, loadable by transformers
    best_checkpoint/   the best by `checkpoints.best_by`, where the recipe keeps them, each loadable by transformers
    trainer/           what is needed to resume; removed when the run has ended
    eval/              a JSON file for each test set
    trackers/          how far each tracker has come and what it said; tensorboard/ and wandb/ are copies of the metrics
"""

import importlib.metadata
import shutil
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emoreason.faults import UserError
from emoreason.files import append_jsonl, read_json, sha256, write_json

PACKAGES = ("emoreason", "torch", "transformers", "trl", "peft", "datasets", "accelerate", "deepspeed")
MAY_CHANGE = frozenset({"checkpoints", "watchdog", "trackers"})
"""Blocks of a recipe that do not touch what is trained; a run goes on under new ones."""


class RunDir:
    """One run's folder. `begin` before anything is written, `finish` when all is."""

    def __init__(self, path: str | Path):
        self.path = Path(path)
        self.checkpoint_path = self.path / "checkpoint"
        self.trainer_path = self.path / "trainer"
        self.metrics_path = self.path / "metrics.jsonl"
        self.completions_path = self.path / "completions.jsonl"
        self.pairs_path = self.path / "pairs.jsonl"
        self.balance_path = self.path / "pairs.json"

    @property
    def manifest(self) -> dict[str, Any] | None:
        """The content of run.json, or None where no run has begun."""
        path = self.path / "run.json"
        return read_json(path) if path.exists() else None

    @property
    def is_finished(self) -> bool:
        manifest = self.manifest
        return manifest is not None and manifest["status"] == "finished"

    def begin(self, recipe: dict[str, Any], data_paths: list[str], parent: str | None) -> bool:
        """Write run.json, or find it; False when this very run has ended already and nothing is left to do.

        Raises:
            UserError: the folder holds another run (another recipe or other data), or files that are no run.
        """
        data = {path: sha256(Path(path)) for path in data_paths}
        allow = {path: sha256(Path(path)) for path in _allow_lists(recipe)}
        manifest = self.manifest
        if self.path.exists() and not self.path.is_dir():
            raise UserError(f"{self.path}: is a file; choose another output_dir")
        if manifest is None and self.path.exists() and any(entry.name[0] != "." for entry in self.path.iterdir()):
            raise UserError(f"{self.path}: holds files but no run.json; choose another output_dir or empty the folder")
        if manifest is not None:
            fixed, now = ({key: value for key, value in one.items() if key not in MAY_CHANGE} for one in (manifest["recipe"], recipe))
            differences = _differences(fixed, now) + _differences(manifest["data"], data, "data ")
            differences += _differences(manifest.get("allow", {}), allow, "allow ")
            if differences:
                shown = "; ".join(differences[:5]) + (f"; and {len(differences) - 5} more" if len(differences) > 5 else "")
                raise UserError(f"{self.path}: holds another run ({shown}); choose another output_dir, or remove the folder to start anew")
            is_open = manifest["status"] != "finished"
            if is_open and manifest["recipe"] != recipe:
                self._write({**manifest, "recipe": recipe})
            return is_open
        self._write({"status": "running", "started": _now(), "finished": None, "recipe": recipe, "data": data, "allow": allow,
                     "parent": parent, "versions": versions(), "commit": _commit()})  # fmt: skip
        return True

    def other_versions(self) -> list[str]:
        """`package then -> now` for what has changed since the run began."""
        return _differences(self.manifest["versions"], versions())

    def finish(self, **results: Any) -> None:
        """Mark the run as ended, with its results, and drop what only resuming needs."""
        self._write({**self.manifest, "status": "finished", "finished": _now(), **results})
        shutil.rmtree(self.trainer_path, ignore_errors=True)

    def log(self, row: dict[str, Any]) -> None:
        append_jsonl(self.metrics_path, row)

    def _write(self, manifest: dict[str, Any]) -> None:
        write_json(self.path / "run.json", manifest)


def _allow_lists(recipe: dict[str, Any]) -> list[str]:
    """The allow-lists that the sources of a recipe name."""
    sources = [*recipe.get("data", []), *(source for phase in recipe.get("phases", []) for source in phase["data"] or [])]
    return sorted({source["allow"] for source in sources if source.get("allow")})


def publish(temporary: Path, final: Path) -> None:
    """Move a folder that is complete to its place; `final` is whole or absent, whatever interrupts the process."""
    old = final.with_name(f".tmp_old_{final.name}")
    shutil.rmtree(old, ignore_errors=True)  # left by a process that was killed here
    if final.exists():
        final.replace(old)
    temporary.replace(final)
    shutil.rmtree(old, ignore_errors=True)


def _differences(old: dict, new: dict, prefix: str = "") -> list[str]:
    """`key: old -> new` for each value that differs, nested keys dotted."""
    found = []
    for key in sorted(old.keys() | new.keys()):
        before, after = old.get(key), new.get(key)
        if isinstance(before, dict) and isinstance(after, dict):
            found += _differences(before, after, f"{prefix}{key}.")
        elif before != after:
            found.append(f"{prefix}{key}: {str(before)[:40]} -> {str(after)[:40]}")
    return found


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def versions() -> dict[str, str]:
    """{package: version} of what a run depends on."""
    installed = {}
    for package in PACKAGES:
        try:
            installed[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return installed


def _commit() -> str | None:
    """The commit of the checkout that holds this file, with `+` when it has changes; None for an installed wheel."""
    here = Path(__file__).parent
    try:
        commit = subprocess.run(["git", "rev-parse", "HEAD"], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
        dirty = subprocess.run(["git", "status", "--porcelain", "-uno"], cwd=here, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if dirty else "")
