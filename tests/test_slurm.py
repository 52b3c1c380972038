"""The SLURM scripts start the commands that a user would type, on the nodes that SLURM gives, and nothing else."""

import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from emoreason.recipe_files import load_recipe

ROOT = Path(__file__).parents[1]
TRAINING = ["stage1_sft", "stage2_confidence", "stage3_dpo", "stage3_grpo"]
STAGES = ["evaluate", "release", *TRAINING]
FILES = sorted((ROOT / "slurm").glob("*.sh"))
VL = "recipes/qwen2_5_vl_7b"
# What SLURM sets in a job of two nodes with eight GPUs each.
JOB = {
    "SLURM_JOB_ID": "34567",
    "SLURM_NNODES": "2",
    "SLURM_JOB_NODELIST": "gpu[01-02]",
    "SLURM_GPUS_ON_NODE": "8",
    "SLURM_CPUS_PER_TASK": "32",
}
ON_TWO_NODES = [
    *("srun", "--ntasks-per-node=1", "--cpus-per-task=32", "--kill-on-bad-exit=1"),
    *("torchrun", "--nnodes=2", "--nproc-per-node=8", "--rdzv-backend=c10d", "--rdzv-id=34567", "--rdzv-endpoint=gpu01:24567"),
]
HERE = ["torchrun", "--nnodes=1", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=0", "--rdzv-endpoint=localhost:20000"]

every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
every_stage = pytest.mark.parametrize("stage", STAGES)


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    """A folder for PATH with a scontrol that knows one list of nodes, and launchers that write down what they were given."""
    folder = tmp_path / "programs"
    folder.mkdir()
    write_program(folder / "scontrol", '[ "$*" = "show hostnames gpu[01-02]" ] && printf "gpu01\\ngpu02\\n"')
    for name in ("srun", "torchrun", "python"):
        write_program(folder / name, 'printf "%s\\0" "${0##*/}" "$@"; exit 3')
    return folder


def write_program(path: Path, body: str) -> None:
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)


def start(
    script: Path, *arguments: str, cwd: Path = ROOT, path: Path | None = None, **environment: str
) -> subprocess.CompletedProcess[str]:
    """Run a script with no variables of the caller's but PATH, with the folder `path` in front of it."""
    search = os.environ["PATH"] if path is None else f"{path}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(["bash", str(script), *arguments], cwd=cwd, env={"PATH": search, **environment}, capture_output=True, text=True)


def printed(script: Path, *arguments: str, cwd: Path = ROOT, path: Path | None = None, **environment: str) -> list[str]:
    """The words of the one command that a dry run prints."""
    run = start(script, *arguments, cwd=cwd, path=path, EMOREASON_DRY_RUN="1", **environment)
    assert (run.returncode, run.stderr, run.stdout.count("\n")) == (0, "", 1), run
    return shlex.split(run.stdout)


def script_of(stage: str) -> Path:
    return ROOT / f"slurm/{stage}.sh"


def test_there_is_one_script_a_stage_and_one_file_for_the_site() -> None:
    assert [path.stem for path in FILES] == sorted([*STAGES, "env"])


@every_file
def test_bash_can_read_it_and_it_is_short(path: Path) -> None:
    subprocess.run(["bash", "-n", str(path)], check=True)
    assert len(path.read_text().splitlines()) <= 40


@every_stage
def test_head_asks_slurm_for_what_a_job_needs(stage: str) -> None:
    lines = script_of(stage).read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    # SLURM reads its lines up to the first command and no further.
    first_command = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    assert lines[first_command] == "set -euo pipefail"
    asked = dict(re.fullmatch(r"#SBATCH --([\w-]+)=(\S+)", line).groups() for line in lines[:first_command] if line.startswith("#SBATCH"))
    assert asked.keys() == {"job-name", "nodes", "ntasks-per-node", "gpus-per-node", "cpus-per-task", "time", "output"}
    assert (asked["job-name"], asked["ntasks-per-node"], asked["output"]) == (stage, "1", "%x-%j.log")
    assert not any(line.startswith("#SBATCH") for line in lines[first_command:])


@pytest.mark.parametrize("stage", TRAINING)
def test_training_starts_a_process_for_each_gpu_of_each_node(stage: str, programs: Path) -> None:
    command = printed(script_of(stage), "recipes/mine.yaml", "trainer.max_steps=5", path=programs, **JOB)
    assert command == [*ON_TWO_NODES, "-m", "emoreason", "train", "recipes/mine.yaml", "trainer.max_steps=5"]


@pytest.mark.parametrize("stage", TRAINING)
def test_without_slurm_it_trains_on_this_machine(stage: str) -> None:
    assert printed(script_of(stage)) == [*HERE, "-m", "emoreason", "train", f"{VL}/{stage}.yaml"]


def test_without_slurm_the_number_of_gpus_can_be_given() -> None:
    assert "--nproc-per-node=4" in printed(script_of("stage1_sft"), GPUS_PER_NODE="4")


def test_evaluation_is_one_process(programs: Path) -> None:
    command = ["python", "-m", "emoreason", "evaluate", f"{VL}/evaluate.yaml"]
    assert printed(script_of("evaluate")) == printed(script_of("evaluate"), path=programs, **JOB) == command


def test_release_goes_beside_the_run() -> None:
    release = ["python", "-m", "emoreason", "release"]
    assert printed(script_of("release")) == [*release, "runs/qwen2_5_vl_7b/stage3_grpo", "runs/qwen2_5_vl_7b/release"]
    assert printed(script_of("release"), "runs/a/b") == [*release, "runs/a/b", "runs/a/release"]
    assert printed(script_of("release"), "runs/a/b", "out of here") == [*release, "runs/a/b", "out of here"]


@pytest.mark.parametrize("stage", ["evaluate", *TRAINING])
def test_default_recipe_is_there_and_of_this_stage(stage: str) -> None:
    *_, command, recipe = printed(script_of(stage))
    stages = {"evaluate": "evaluate", "stage1_sft": "sft", "stage2_confidence": "confidence", "stage3_dpo": "dpo", "stage3_grpo": "grpo"}
    assert load_recipe(ROOT / recipe).stage == stages[stage]
    assert command == ("evaluate" if stage == "evaluate" else "train")


def test_default_of_release_is_the_run_that_its_recipe_releases() -> None:
    recipe = load_recipe(ROOT / VL / "stage3_grpo.yaml")
    assert recipe.release and printed(script_of("release"))[-2] == recipe.output_dir


@pytest.mark.parametrize("stage", ["evaluate", *TRAINING])
def test_overrides_stay_whole(stage: str, programs: Path) -> None:
    words = ["my recipes/a b.yaml", "prompt.question=What is shown, and why?", "model.lora={r: 8}", "prompt.system='$HOME \"*\"'", ""]
    assert printed(script_of(stage), *words, path=programs, **JOB)[-len(words) :] == words


@pytest.mark.parametrize(("stage", "job", "launched"), [
    ("stage3_grpo", JOB, [*ON_TWO_NODES, "-m", "emoreason", "train"]),
    ("stage3_grpo", {}, [*HERE, "-m", "emoreason", "train"]),
    ("evaluate", JOB, ["python", "-m", "emoreason", "evaluate"]),
])  # fmt: skip
def test_what_a_dry_run_prints_is_what_is_started(stage: str, job: dict[str, str], launched: list[str], programs: Path) -> None:
    run = start(script_of(stage), "a b.yaml", "prompt.question=What is it?", path=programs, **job)
    assert run.stdout.split("\0")[:-1] == [*launched, "a b.yaml", "prompt.question=What is it?"]
    assert run.returncode == 3  # the launcher's own: a run that failed is a job that failed


@every_stage
def test_it_works_from_the_submit_folder_though_slurm_runs_a_copy(stage: str, programs: Path, tmp_path: Path) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    copy = shutil.copy(script_of(stage), spool / "slurm_script")
    job = {**JOB, "SLURM_SUBMIT_DIR": str(ROOT)}
    assert printed(copy, cwd=spool, path=programs, **job) == printed(script_of(stage), path=programs, **JOB)


def test_jobs_on_a_node_do_not_share_a_port(programs: Path) -> None:
    commands = [printed(script_of("stage1_sft"), path=programs, **{**JOB, "SLURM_JOB_ID": job}) for job in ("9999", "10000", "40000001")]
    ports = [int(word.rpartition(":")[2]) for command in commands for word in command if word.startswith("--rdzv-endpoint")]
    # Below 32768 the system hands out no ports of its own.
    assert len(set(ports)) == 3 and all(1024 < port < 32768 for port in ports)


def test_a_list_of_nodes_that_cannot_be_read_stops_the_job(programs: Path) -> None:
    run = start(script_of("stage1_sft"), path=programs, **{**JOB, "SLURM_JOB_NODELIST": "gpu[01-"})
    assert run.returncode != 0 and run.stdout == ""


def test_trackers_are_offline_and_no_secret_is_in_sight(programs: Path) -> None:
    write_program(programs / "python", 'echo "$WANDB_MODE"')
    assert start(script_of("evaluate"), path=programs).stdout == "offline\n"
    assert start(script_of("evaluate"), path=programs, WANDB_MODE="online").stdout == "online\n"
    text = "".join(path.read_text() for path in FILES)
    assert re.findall(r"\w*(?:api_key|token|password|secret)\w*\s*=", text, re.IGNORECASE) == []
