"""Small data that is real: drawn faces and the recipes over them, copied out of recipes/tiny."""

import importlib.util
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml
from converted import SCRIPTS, Converted, Tree, plant

from emoreason import cli
from emoreason.files import read_jsonl, write_jsonl

# `make test-vllm` collects the one, in an environment of its own, `make test-slurm` the other, with the cluster that it has started.
collect_ignore = [] if importlib.util.find_spec("vllm") else ["vllm_cpu"]
collect_ignore += [] if os.environ.get("EMOREASON_TEST_CLUSTER") else ["slurm"]
TINY = Path(__file__).parents[1] / "recipes" / "tiny"
# A shell that runs the tests in the background has them ignore Ctrl-C, and so would the processes that tests start and interrupt.
signal.signal(signal.SIGINT, signal.default_int_handler)


def copy_records(rows: list[dict], data: Path, destination: Path) -> None:
    """Write these rows of a records file in `data` as `destination`, their pictures beside it."""
    write_jsonl(destination, rows)
    for row in rows:
        for name in row.get("media", {}).get("images", []):
            (destination.parent / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(data / name, destination.parent / name)


def rows_of(path: Path) -> list[dict]:
    return [row for _, row in read_jsonl(path, [])]


@pytest.fixture
def faces_path(tmp_path: Path) -> Path:
    """A records file with four drawn faces, each of another emotion, and their pictures."""
    by_label = {row["target"]["label"]: row for row in reversed(rows_of(TINY / "data" / "train.jsonl"))}
    path = tmp_path / "faces" / "faces.jsonl"
    copy_records(list(by_label.values())[:4], TINY / "data", path)
    return path


@pytest.fixture
def tiny_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """`recipes/tiny` below a new working directory: the same recipes, each records file cut to four records, no runs."""
    monkeypatch.chdir(tmp_path)
    folder = Path("recipes/tiny")
    for path in (TINY / "data").glob("*.jsonl"):
        copy_records(rows_of(path)[:4], TINY / "data", folder / "data" / path.name)
    for path in TINY.glob("*.yaml"):
        shutil.copy(path, folder)
    return folder


@dataclass(frozen=True)
class Line:
    """A finished `emoreason run` over a shrunken recipes/tiny, and how to run commands where it stands."""

    folder: Path
    printed: str

    def emoreason(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
        return run_emoreason(self.folder, *arguments, check=check)


def run_emoreason(folder: Path, *arguments: str, check: bool = True) -> subprocess.CompletedProcess:
    """`python -m emoreason ARGUMENTS` in `folder`, its output captured."""
    done = subprocess.run([sys.executable, "-m", "emoreason", *arguments], cwd=folder, capture_output=True, text=True, timeout=600)
    assert not check or done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done


def shrink(folder: Path) -> None:
    """A copy of recipes/tiny in `folder` that trains for seconds: few records, few steps, every stage with its real code."""
    target = folder / "recipes" / "tiny"
    for path in (TINY / "data").glob("*.jsonl"):
        copy_records(rows_of(path)[::40][:8], TINY / "data", target / "data" / path.name)
    for path in TINY.glob("*.yaml"):
        recipe = yaml.safe_load(path.read_text())
        if recipe["stage"] == "sft":
            recipe["model"]["from_scratch"]["warm_start"] |= {"steps": 5, "batch_size": 4}
            for phase, steps in zip(recipe["phases"], (4, 4, 70), strict=True):
                phase["trainer"] |= {"max_steps": steps, "per_device_train_batch_size": 8, "save_steps": 10}
        if "trainer" in recipe and recipe["stage"] != "sft":
            recipe["trainer"] |= {"max_steps": 4, "per_device_train_batch_size": 8, "save_steps": 2, "logging_steps": 1}
        if recipe["stage"] == "grpo":
            recipe["trainer"] |= {"num_generations": 4, "max_completion_length": 24}
        if recipe["stage"] == "dpo":
            recipe["pairs"]["min_margin"] = 0.001
        (target / path.name).write_text(yaml.safe_dump(recipe, sort_keys=False))


@pytest.fixture(scope="session")
def line(tmp_path_factory: pytest.TempPathFactory) -> Line:
    """The whole pipeline, run once for all tests that look at what it leaves behind."""
    folder = tmp_path_factory.mktemp("line")
    shrink(folder)
    done = run_emoreason(folder, "run", "recipes/tiny")
    return Line(folder, done.stdout)


@pytest.fixture
def emoreason(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture):
    """Run the command line in this process: (exit code, standard output, standard error)."""
    monkeypatch.setenv("COLUMNS", "300")  # so that no table cuts a cell

    def run(*arguments: object) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["emoreason", *map(str, arguments)])
        code = 0
        try:
            cli.main()
        except SystemExit as stop:
            code = stop.code
        captured = capfd.readouterr()
        return code, captured.out, captured.err

    return run


@pytest.fixture
def convert(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Converted]:
    """`convert("meld", tree, "--split", "test")`: the script's own main() on the tree, in this process."""

    def run(script: str, tree: Tree | Path, *arguments: str) -> Converted:
        source = tree if isinstance(tree, Path) else plant(tmp_path / "source", tree)
        out = tmp_path / "out"
        spec = importlib.util.spec_from_file_location("__main__", SCRIPTS / f"{script}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setattr(sys, "argv", [f"{script}.py", str(source), str(out), *arguments])
        monkeypatch.setenv("COLUMNS", "160")
        with pytest.raises(SystemExit) as stopped:
            spec.loader.exec_module(module)
        captured = capsys.readouterr()
        return Converted(stopped.value.code, out, captured.out + captured.err)

    return run
