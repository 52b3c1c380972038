"""A cluster that runs: projects to submit from, jobs, what becomes of them, and what to look at where that is not what was expected."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import yaml
from conftest import shrink

from emoreason.files import read_json

ROOT = Path(__file__).parents[2]
# What a site would write into env.sh: this environment, the interface of this machine, nodes without GPUs.
SITE = """
export PATH=${{TEST_BIN:-{bin}}}:$PATH GLOO_SOCKET_IFNAME=lo OMP_NUM_THREADS=1
SBATCH_FLAGS=(--gpus-per-node=0 --cpus-per-task=1)
TRAIN_FLAGS=(--nodes=2)
"""
FLAGS = ("--gpus-per-node=0", "--cpus-per-task=1", "--nodes=2")
ENDED = {"COMPLETED", "FAILED", "CANCELLED", "TIMEOUT", "NODE_FAIL", "OUT_OF_MEMORY"}


@dataclass
class Project:
    """A folder with the scripts, an env.sh for this cluster, and recipes/tiny made small."""

    folder: Path
    jobs: list[str] = field(default_factory=list)
    """Those of the test that runs."""

    @classmethod
    def make(cls, folder: Path) -> "Project":
        shrink(folder)
        recipes = folder / "recipes" / "tiny"
        (recipes / "stage3_dpo.yaml").unlink()  # as GRPO for SLURM, and a minute longer
        for path in recipes.glob("stage*.yaml"):
            recipe = yaml.safe_load(path.read_text())
            for phase in recipe.get("phases", [recipe]):
                phase["trainer"]["per_device_train_batch_size"] = 4  # on two nodes as many as `shrink` has on one
            if recipe["stage"] == "grpo":
                recipe["trainer"] |= {"max_steps": 14, "save_steps": 100}  # checkpoints come of signals alone, and there is time for one
            path.write_text(yaml.safe_dump(recipe, sort_keys=False))
        shutil.copytree(ROOT / "slurm", folder / "slurm")
        with (folder / "slurm" / "env.sh").open("a") as file:
            file.write(SITE.format(bin=Path(sys.executable).parent))
        return cls(folder)

    def shell(self, *words: str, deadline_s: float = 60.0, **environment: str) -> str:
        """What a command prints, started in the folder; it must end well."""
        done = subprocess.run(words, cwd=self.folder, env={**os.environ, **environment}, capture_output=True, text=True, timeout=deadline_s)
        assert done.returncode == 0, f"{' '.join(words)}: {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout.strip()

    def submit(self, script: str, *words: str, flags: tuple[str, ...] = FLAGS, **environment: str) -> str:
        """The id of a job of one of the scripts, without a preflight unless it is asked for."""
        job = self.shell("sbatch", "--parsable", *flags, f"slurm/{script}", *words, **{"EMOREASON_PREFLIGHT": "0", **environment})
        self.jobs.append(job)
        return job

    def submit_line(self, *words: str) -> dict[str, str]:
        """{name: id} of the jobs of pipeline.sh."""
        printed = self.shell("slurm/pipeline.sh", "recipes/tiny", *words)
        assert "the same command goes on from there" in printed
        jobs = {name: job for job, name, _ in (line.split("\t") for line in printed.splitlines() if "\t" in line)}
        self.jobs += jobs.values()
        return jobs

    def about(self, job: str, key: str) -> str:
        """A field of `scontrol show job`."""
        return re.search(rf"\b{key}=(\S*)", self.shell("scontrol", "show", "job", "-o", job))[1]

    def ends(self, job: str, deadline_s: float) -> str:
        """The state in which a job ends; where it was sent back to wait, it goes on at once."""
        self.settle(job, ENDED, deadline_s)
        return self.about(job, "JobState")

    def is_sent_back(self, job: str, deadline_s: float) -> None:
        """Return when the job waits anew."""
        until(lambda: self.about(job, "JobState") == "PENDING" and self.about(job, "Restarts") != "0", deadline_s, f"job {job} to be sent back")

    def settle(self, job: str, states: set[str], deadline_s: float) -> None:
        """Return when the job is in one of these states. SLURM lets a job that was sent back wait for two minutes, in which what it had
        started ends; here it waits for that alone, however often a node that has just come back sends it away again."""

        def is_there() -> bool:
            state = self.about(job, "JobState")
            if state == "PENDING" and self.about(job, "Reason") == "BeginTime" and not processes_of(job):
                time.sleep(2)
                self.shell("scontrol", "update", f"JobId={job}", "StartTime=now")
            return state in states

        until(is_there, deadline_s, f"job {job} to be {' or '.join(sorted(states))}")

    def log(self, job: str) -> str:
        return "".join(path.read_text() for path in self.folder.glob(f"*-{job}.log"))

    def rank_logs(self, job: str) -> str:
        return "".join(f"--- {path.name}\n{path.read_text()[-3000:]}" for path in sorted((self.folder / "logs" / job).glob("*.log")))

    def run_dir(self, name: str) -> Path:
        return self.folder / "runs" / "tiny" / name

    def is_finished(self, name: str) -> bool:
        return read_json(self.run_dir(name) / "run.json")["status"] == "finished"

    def evidence(self) -> str:
        """What to look at: the queue, the logs of the test's jobs, the end of the controller's."""
        controller = Path(os.environ["SLURM_CONF"]).with_name("slurmctld.log").read_text().splitlines()[-40:]
        parts = [self.shell("squeue"), self.shell("sinfo", "-N")]
        for job in self.jobs:
            parts += [f"=== job {job}", self.shell("scontrol", "show", "job", job), self.log(job)[-4000:], self.rank_logs(job)]
        return "\n".join([*parts, "=== slurmctld", *controller])


def until(condition: Callable[[], object], deadline_s: float, what: str) -> float:
    """Seconds until the condition held."""
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < deadline_s, f"waited {deadline_s:.0f} s in vain for {what}"
        time.sleep(0.2)
    return time.monotonic() - start


def processes_of(job: str, node: str | None = None) -> list[int]:
    """The processes on this machine that SLURM has started for a job, on one node or all, and what they have started."""
    found = []
    for path in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            variables = path.read_bytes().split(b"\0")
            if f"SLURM_JOB_ID={job}".encode() in variables and (node is None or f"SLURMD_NODENAME={node}".encode() in variables):
                found.append(int(path.parent.name))
    return found


def kill_node(job: str, node: str) -> None:
    """End a node's daemon, the keepers of its tasks, and the tasks, as a power failure would; `cluster.sh node` brings it back."""
    tasks = processes_of(job, node)
    pid_file = Path(os.environ["SLURM_CONF"]).with_name(f"slurmd.{node}.pid")
    keepers = {int(re.search(r"PPid:\s+(\d+)", Path(f"/proc/{pid}/status").read_text())[1]) for pid in tasks} - set(tasks)
    keepers = {pid for pid in keepers if "slurmstepd" in Path(f"/proc/{pid}/cmdline").read_text()}
    assert keepers and tasks, f"nothing of job {job} runs on {node}"
    for pid in [int(pid_file.read_text()), *keepers, *tasks]:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
