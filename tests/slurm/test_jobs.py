"""Real jobs on a real cluster of two nodes (tests/slurm/cluster.sh): the tiny line by one command, and what becomes of jobs that are
told to make room, cancelled, or lose a node. `make test-slurm` starts the cluster and runs them."""

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from jobs import ROOT, Project, kill_node, processes_of, until

from emoreason.files import read_json

pytestmark = pytest.mark.slurm
VLLM_BIN = ROOT / ".venv-vllm" / "bin"
GRPO = ("stage3_grpo.sh", "recipes/tiny/stage3_grpo.yaml")


@pytest.fixture(scope="session")
def the_project(tmp_path_factory: pytest.TempPathFactory) -> Project:
    return Project.make(tmp_path_factory.mktemp("cluster"))


@pytest.fixture
def project(the_project: Project, request: pytest.FixtureRequest) -> Iterator[Project]:
    """The project of all tests; what its jobs have left is printed where a test fails, and no job outlives its test."""
    the_project.jobs.clear()
    failed_before = request.session.testsfailed
    yield the_project
    if request.session.testsfailed > failed_before:
        print(the_project.evidence())
    subprocess.run(["scancel", "--user=root"], check=True)


def metrics(run_dir: Path) -> list[dict]:
    """What was logged of each step, less times."""
    rows = [json.loads(line) for line in (run_dir / "metrics.jsonl").read_text().splitlines() if "train_runtime" not in line]
    return [{key: value for key, value in row.items() if key != "phase" and "time" not in key} for row in rows]


def trains(project: Project, name: str) -> bool:
    """Whether the run has logged a step."""
    path = project.run_dir(name) / "metrics.jsonl"
    return path.exists() and path.read_text().count("\n") > 0


def starts_to_train(project: Project, name: str, deadline_s: float = 90) -> None:
    until(lambda: trains(project, name), deadline_s, f"{name} to log a step")


def checkpoints(run_dir: Path) -> list[str]:
    """Those that are complete; they are written aside."""
    return sorted(path.name for path in run_dir.glob("trainer/checkpoint-*"))


def test_one_command_runs_the_line_on_two_nodes(project: Project) -> None:
    jobs = project.submit_line()
    assert list(jobs) == [
        "tiny-stage1_sft", "tiny-stage1_sft-evaluate", "tiny-stage2_confidence", "tiny-stage2_confidence-evaluate",
        "tiny-stage3_grpo", "tiny-stage3_grpo-evaluate", "tiny-stage3_grpo-release",
    ]  # fmt: skip
    for name, job in jobs.items():
        assert project.ends(job, 240) == "COMPLETED", name
    for name in ("stage1_sft", "stage2_confidence", "stage3_grpo"):
        assert project.is_finished(name) and len(list(project.run_dir(name).glob("eval/*.json"))) == 3
        assert {path.name for path in (project.folder / "logs" / jobs[f"tiny-{name}"]).iterdir()} == {"train-0.log", "train-1.log"}
        table = [line for line in project.log(jobs[f"tiny-{name}"]).splitlines() if line.startswith("│")]
        assert [row.split("│")[1].strip() for row in table] == ["n1", "n2"], "the preflight has a row a node"
    assert (project.folder / "runs/tiny/release/emoreason.json").exists()
    left = project.submit_line()
    assert set(left) == {name for name in jobs if name.endswith(("-evaluate", "-release"))}, "stages that have ended are left out"


def test_a_job_that_is_told_to_make_room_goes_back_and_ends_as_if_nothing_had_been(project: Project) -> None:
    job = project.submit(*GRPO, "output_dir=runs/tiny/preempted")
    starts_to_train(project, "preempted")
    project.shell("scancel", "--signal=USR1", job)
    seconds = until(lambda: project.about(job, "Restarts") == "1", 60, "the job to be sent back")
    print(f"{seconds:.1f} s from USR1 until the job was sent back")
    project.is_sent_back(job, 60)
    assert "has made room and written a checkpoint; sent back to wait (time 1 of at most 20)" in project.log(job)
    assert len(checkpoints(project.run_dir("preempted"))) == 1 and not project.is_finished("preempted")
    assert project.ends(job, 120) == "COMPLETED"
    assert project.is_finished("preempted")
    ours, reference = metrics(project.run_dir("preempted")), metrics(project.run_dir("stage3_grpo"))
    assert [row["step"] for row in ours] == [row["step"] for row in reference]
    for mine, other in zip(ours, reference, strict=True):
        assert mine == pytest.approx(other, rel=1e-4, abs=1e-6)


def test_a_job_that_was_sent_back_too_often_fails_and_can_be_submitted_again(project: Project) -> None:
    job = project.submit(*GRPO, "output_dir=runs/tiny/capped", MAX_REQUEUES="0")
    starts_to_train(project, "capped")
    project.shell("scancel", "--signal=USR1", job)
    assert project.ends(job, 60) == "FAILED" and project.about(job, "ExitCode") == "75:0"
    assert "not sent back to wait, since that was done 0 times (MAX_REQUEUES=0)" in project.log(job)
    again = project.submit(*GRPO, "output_dir=runs/tiny/capped")
    assert project.ends(again, 120) == "COMPLETED" and project.is_finished("capped")


def test_a_cancelled_job_leaves_no_process_and_does_not_come_back(project: Project) -> None:
    job = project.submit(*GRPO, "output_dir=runs/tiny/cancelled")
    starts_to_train(project, "cancelled")
    assert len(processes_of(job)) > 2
    project.shell("scancel", job)
    assert project.ends(job, 60) == "CANCELLED"
    seconds = until(lambda: not processes_of(job), 60, "its processes to end")
    print(f"{seconds:.1f} s until no process was left")
    assert project.about(job, "Restarts") == "0" and not project.is_finished("cancelled")
    assert len(checkpoints(project.run_dir("cancelled"))) == 1, "a checkpoint comes of TERM, too"


def test_a_job_that_gives_its_nodes_to_another_comes_back(project: Project) -> None:
    """SLURM sends TERM, waits for its GraceTime, and sends the job back itself."""
    job = project.submit(*GRPO, "output_dir=runs/tiny/displaced")
    starts_to_train(project, "displaced")
    project.shell("sbatch", "--parsable", "--partition=urgent", "--nodes=2", "--exclusive", "--output=/dev/null", "--wrap=sleep 1")
    project.is_sent_back(job, 150)
    assert len(checkpoints(project.run_dir("displaced"))) == 1
    assert project.ends(job, 120) == "COMPLETED" and project.is_finished("displaced")


def test_a_node_that_dies_takes_the_job_down_and_the_job_comes_back(project: Project) -> None:
    job = project.submit(*GRPO, "output_dir=runs/tiny/bereft", "trainer.save_steps=2")
    until(lambda: checkpoints(project.run_dir("bereft")), 90, "a checkpoint")
    kill_node(job, "n2")
    seconds = until(lambda: not [pid for pid in processes_of(job, "n1") if b"emoreason\0train" in command_of(pid)], 60, "the other rank to end")
    print(f"{seconds:.1f} s until the other rank was down")
    project.is_sent_back(job, 150)
    subprocess.run([ROOT / "tests/slurm/cluster.sh", "node", Path(os.environ["SLURM_CONF"]).parent, "n2"], check=True)
    until(lambda: project.shell("sinfo", "-h", "-p", "main", "-N", "-o", "%t").split() == ["idle"] * 2, 60, "the node to be back")
    assert project.ends(job, 120) == "COMPLETED" and project.is_finished("bereft")


@pytest.mark.skipif(not VLLM_BIN.is_dir(), reason="the environment of `make test-vllm` is not there")
def test_a_real_vllm_answers_on_the_second_node_and_ends_with_the_training(project: Project) -> None:
    few = ("output_dir=runs/tiny/served", "trainer.max_steps=2")
    job = project.submit(*GRPO, *few, VLLM_NODES="1", TEST_BIN=str(VLLM_BIN))
    assert project.ends(job, 300) == "COMPLETED" and project.is_finished("served")
    port = 20000 + int(job) % 4000 * 3 + 2
    served = (project.folder / "logs" / job / "serve-0.log").read_text()
    assert f"--port {port}" in served and "--host 0.0.0.0" in served
    rollouts = read_json(project.run_dir("served") / "run.json")["recipe"]["rollouts"]
    assert (rollouts["engine"], rollouts["server"]["url"]) == ("vllm_server", f"http://n2:{port}")
    assert [row["step"] for row in metrics(project.run_dir("served"))] == [1, 2]
    assert "the vLLM server was ended with the training" in project.log(job)
    until(lambda: not processes_of(job), 30, "the server's processes to end")


def test_where_a_stage_fails_the_jobs_after_it_are_cancelled_and_the_same_command_goes_on(project: Project) -> None:
    blocked = project.folder / "runs" / "other" / "stage1_sft"
    blocked.parent.mkdir(parents=True)
    blocked.write_text("a file where the run's folder should be")
    jobs = project.submit_line("--runs-dir", "runs/other")
    first = jobs.pop("other-stage1_sft")
    assert project.ends(first, 90) == "FAILED" and project.about(first, "ExitCode") == "2:0"
    assert "output_dir: runs/other/stage1_sft: cannot be written" in project.log(first)
    for job in jobs.values():
        assert project.ends(job, 60) == "CANCELLED"
    blocked.unlink()
    assert "other-stage1_sft" in project.submit_line("--runs-dir", "runs/other")


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
