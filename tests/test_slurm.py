"""The SLURM scripts start the commands that a user would type, on the nodes that SLURM gives, and nothing else."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time
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
    "EMOREASON_PREFLIGHT": "0",
}
AS_RANK = (
    "export RANK=$SLURM_PROCID WORLD_SIZE=$SLURM_NTASKS LOCAL_RANK=$SLURM_LOCALID LOCAL_WORLD_SIZE=$1 MASTER_ADDR=$2 MASTER_PORT=$3; "
    'shift 3; exec "$@"'
)
PORT = 20000 + 34567 % 4000 * 3


def on_nodes(nodes: str, tasks: int = 8, cores: int = 4) -> list[str]:
    num_nodes = len(nodes.split(","))
    return ["srun", f"--nodes={num_nodes}", f"--ntasks={num_nodes * tasks}", f"--ntasks-per-node={tasks}", f"--nodelist={nodes}",
            f"--cpus-per-task={cores}", "--kill-on-bad-exit=1"]  # fmt: skip


def ranks(port: int = PORT, log: str = "train", nodes: str = "gpu01,gpu02", tasks: int = 8) -> list[str]:
    """The words before `emoreason`'s own, of a process a GPU of each node."""
    files = [f"--output=logs/34567/{log}-%t.log", "--open-mode=append"] if log else []
    wrapped = ["bash", "-c", AS_RANK, "rank", str(tasks), "gpu01", str(port), "python", "-m", "emoreason"]
    return [*on_nodes(nodes, tasks, 32 // tasks), *files, *wrapped]


ON_TWO_NODES = ranks()
HERE = ["torchrun", "--nnodes=1", "--nproc-per-node=1", "--rdzv-backend=c10d", "--rdzv-id=0", "--rdzv-endpoint=localhost:20000", "-m", "emoreason"]

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


@pytest.fixture
def submit_folder(tmp_path: Path) -> Path:
    """A folder like the checkout, to write logs into."""
    folder = tmp_path / "submit"
    folder.mkdir()
    (folder / "slurm").symlink_to(ROOT / "slurm")
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


def all_printed(script: Path, *arguments: str, cwd: Path = ROOT, path: Path | None = None, **environment: str) -> list[list[str]]:
    """The words of each command that a dry run prints."""
    run = start(script, *arguments, cwd=cwd, path=path, EMOREASON_DRY_RUN="1", **environment)
    assert (run.returncode, run.stderr) == (0, ""), run
    return [shlex.split(line) for line in run.stdout.splitlines()]


def printed(script: Path, *arguments: str, cwd: Path = ROOT, path: Path | None = None, **environment: str) -> list[str]:
    """The words of the one command that a dry run prints where the nodes are not looked at first."""
    (words,) = all_printed(script, *arguments, cwd=cwd, path=path, **{"EMOREASON_PREFLIGHT": "0", **environment})
    return words


def tell_of_job(programs: Path, state: str) -> None:
    """A scontrol that says this of the job and writes down what else it is asked; nobody sleeps."""
    told = f'*"show job"*) echo "JobId=34567 {state} NodeList=gpu[01-02]";; *hostnames*) printf "gpu01\\ngpu02\\n";; *) echo "$*" >> asked;;'
    write_program(programs / "scontrol", f'case "$*" in {told} esac')
    write_program(programs / "sleep", 'echo "slept $1" >&2')


def script_of(stage: str) -> Path:
    return ROOT / f"slurm/{stage}.sh"


def test_there_is_one_script_a_stage_and_one_file_for_the_site() -> None:
    assert [path.stem for path in FILES] == sorted([*STAGES, "env", "launch", "pipeline"])


@every_file
def test_bash_can_read_it_and_a_script_is_short(path: Path) -> None:
    subprocess.run(["bash", "-n", str(path)], check=True)
    assert path.stem == "launch" or len(path.read_text().splitlines()) <= 40


def test_a_site_edits_settings_and_no_logic() -> None:
    """Lines of env.sh are comments, or set something."""
    lines = [line for line in (ROOT / "slurm/env.sh").read_text().splitlines() if line and not line.startswith("#")]
    assert [line for line in lines if not re.match(r"(export )?[A-Z_]+=", line)] == []


@every_stage
def test_head_asks_slurm_for_what_a_job_needs(stage: str) -> None:
    lines = script_of(stage).read_text().splitlines()
    assert lines[0] == "#!/usr/bin/env bash"
    # SLURM reads its lines up to the first command and no further.
    first_command = next(index for index, line in enumerate(lines) if not line.startswith("#"))
    assert lines[first_command] == "set -euo pipefail"
    asked = dict(re.fullmatch(r"#SBATCH --([\w-]+)(?:=(\S+))?", line).groups() for line in lines[:first_command] if line.startswith("#SBATCH"))
    wanted = {"job-name", "nodes", "ntasks-per-node", "gpus-per-node", "cpus-per-task", "time", "output", "open-mode", "requeue"}
    assert asked.keys() == wanted | ({"signal"} if stage in TRAINING else set())
    assert (asked["job-name"], asked["ntasks-per-node"], asked["output"], asked["open-mode"]) == (stage, "1", "%x-%j.log", "append")
    assert asked.get("signal") == ("USR1@300" if stage in TRAINING else None)
    assert not any(line.startswith("#SBATCH") for line in lines[first_command:])


@pytest.mark.parametrize("stage", TRAINING)
def test_training_starts_a_process_for_each_gpu_of_each_node(stage: str, programs: Path) -> None:
    command = printed(script_of(stage), "recipes/mine.yaml", "trainer.max_steps=5", path=programs, **JOB)
    assert command == [*ON_TWO_NODES, "train", "recipes/mine.yaml", "trainer.max_steps=5"]


def test_nodes_are_looked_at_before_they_train(programs: Path) -> None:
    job = {name: value for name, value in JOB.items() if name != "EMOREASON_PREFLIGHT"}
    first, second = all_printed(script_of("stage1_sft"), "a.yaml", "seed=1", path=programs, **job)
    assert first == [*ranks(PORT + 1, ""), "preflight", "a.yaml", "seed=1"]
    assert second == [*ON_TWO_NODES, "train", "a.yaml", "seed=1"]
    here, then = all_printed(script_of("stage1_sft"), "a.yaml")
    assert (here[-2:], then[-2:]) == (["preflight", "a.yaml"], ["train", "a.yaml"])


def test_nodes_without_gpus_take_one_task_each_or_as_many_as_are_given(programs: Path) -> None:
    job = {name: value for name, value in JOB.items() if name != "SLURM_GPUS_ON_NODE"}
    assert printed(script_of("stage1_sft"), "a.yaml", path=programs, **job) == [*ranks(tasks=1), "train", "a.yaml"]
    assert printed(script_of("stage1_sft"), "a.yaml", path=programs, GPUS_PER_NODE="2", **job) == [*ranks(tasks=2), "train", "a.yaml"]


@pytest.mark.parametrize("stage", TRAINING[1:])
def test_vllm_answers_on_the_last_nodes_and_the_others_train(stage: str, programs: Path) -> None:
    serve, train = all_printed(script_of(stage), "a.yaml", "seed=1", path=programs, VLLM_NODES="1", **JOB)
    words = ["a.yaml", "seed=1", "rollouts.engine=vllm_server", f"rollouts.server.url=http://gpu02:{PORT + 2}"]
    deaf = ["bash", "-c", 'trap "" USR1; exec "$@"', "serve", "python", "-m", "emoreason", "serve"]
    files = ["--output=logs/34567/serve-%n.log", "--open-mode=append"]
    place = [f"--port={PORT + 2}", "--nodes=1", "--master=gpu02"]
    assert serve == [*on_nodes("gpu02", 1, 32), *files, *deaf, *words, *place]
    assert train == [*ranks(nodes="gpu01"), "train", *words]


def test_a_stage_that_samples_nothing_trains_on_all_nodes(programs: Path) -> None:
    assert printed(script_of("stage1_sft"), "a.yaml", path=programs, VLLM_NODES="1", **JOB) == [*ON_TWO_NODES, "train", "a.yaml"]


def test_an_evaluation_of_a_line_with_nodes_for_vllm_has_one_node(programs: Path) -> None:
    job = {**JOB, "SLURM_JOB_NODELIST": "gpu01"}
    write_program(programs / "scontrol", "echo gpu01")
    assert printed(script_of("evaluate"), path=programs, VLLM_NODES="2", **job)[:2] == ["srun", "--nodes=1"]


def test_the_trainer_keeps_a_node(programs: Path) -> None:
    run = start(script_of("stage3_grpo"), path=programs, VLLM_NODES="2", **JOB)
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "VLLM_NODES is 2 of 2 nodes, and the trainer needs one; submit with --nodes=3 or more\n"


@pytest.mark.parametrize("stage", TRAINING)
def test_without_slurm_it_trains_on_this_machine(stage: str) -> None:
    assert printed(script_of(stage)) == [*HERE, "train", f"{VL}/{stage}.yaml"]


def test_without_slurm_the_number_of_gpus_can_be_given() -> None:
    assert "--nproc-per-node=4" in printed(script_of("stage1_sft"), GPUS_PER_NODE="4")


def test_evaluation_is_one_process(programs: Path) -> None:
    command = ["python", "-m", "emoreason", "evaluate", f"{VL}/evaluate.yaml"]
    assert printed(script_of("evaluate")) == command
    assert printed(script_of("evaluate"), path=programs, **JOB) == [*on_nodes("gpu01", 1, 32), *command]


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
    ("stage3_grpo", JOB, [*ON_TWO_NODES, "train"]),
    ("stage3_grpo", {"EMOREASON_PREFLIGHT": "0"}, [*HERE, "train"]),
    ("evaluate", JOB, [*on_nodes("gpu01", 1, 32), "python", "-m", "emoreason", "evaluate"]),
])  # fmt: skip
def test_what_a_dry_run_prints_is_what_is_started(stage: str, job: dict[str, str], launched: list[str], programs: Path, submit_folder: Path) -> None:
    write_program(programs / "timeout", "exit 0")  # what asks whether every node still answers
    run = start(script_of(stage), "a b.yaml", "prompt.question=What is it?", cwd=submit_folder, path=programs, **job)
    words = [*launched, "a b.yaml", "prompt.question=What is it?"]
    assert run.stdout.split("\0")[: len(words)] == words
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
    ports = [int(command[command.index("gpu01") + 1]) for command in commands]
    # Below 32768 the system hands out no ports of its own.
    assert len(set(ports)) == 3 and all(1024 < port < 32768 - 2 for port in ports)


def test_a_list_of_nodes_that_cannot_be_read_stops_the_job(programs: Path) -> None:
    run = start(script_of("stage1_sft"), path=programs, **{**JOB, "SLURM_JOB_NODELIST": "gpu[01-"})
    assert run.returncode != 0 and run.stdout == ""


def test_trackers_are_offline_and_no_secret_is_in_sight(programs: Path) -> None:
    write_program(programs / "python", 'echo "$WANDB_MODE"')
    assert start(script_of("evaluate"), path=programs).stdout == "offline\n"
    assert start(script_of("evaluate"), path=programs, WANDB_MODE="online").stdout == "online\n"
    text = "".join(path.read_text() for path in FILES)
    assert re.findall(r"\w*(?:api_key|token|password|secret)\w*\s*=", text, re.IGNORECASE) == []


@pytest.mark.parametrize(
    ("code", "restarts", "said", "requeued"),
    [
        (0, 0, "", False),
        (75, 0, "the training has made room and written a checkpoint; sent back to wait (time 1 of at most 20)", True),
        (75, 19, "sent back to wait (time 20 of at most 20)", True),
        (75, 20, "not sent back to wait, since that was done 20 times (MAX_REQUEUES=20)", False),
        (138, 0, "was told to make room before it had begun; sent back to wait", True),
        (2, 0, "ended with 2", False),
        (70, 0, "ended with 70", False),
        (1, 0, "ended with 1", False),
    ],
)
def test_the_exit_code_says_what_becomes_of_the_job(
    code: int, restarts: int, said: str, requeued: bool, programs: Path, submit_folder: Path
) -> None:
    write_program(programs / "srun", f'[ "${{*##* true}}" = "" ] && exit 0; exit {code}')
    tell_of_job(programs, "JobState=RUNNING PreemptTime=None")
    run = start(script_of("stage1_sft"), cwd=submit_folder, path=programs, SLURM_RESTART_COUNT=str(restarts), **JOB)
    assert run.returncode == code and said in run.stderr
    assert (submit_folder / "asked").exists() == requeued
    if requeued:
        assert (submit_folder / "asked").read_text() == "requeue 34567\n"


def test_a_job_that_loses_a_node_is_sent_back(programs: Path, submit_folder: Path) -> None:
    write_program(programs / "srun", "exit 1")
    tell_of_job(programs, "JobState=RUNNING PreemptTime=None")
    run = start(script_of("stage1_sft"), cwd=submit_folder, path=programs, **JOB)
    assert run.returncode == 1 and "a node does not answer; sent back to wait" in run.stderr
    assert (submit_folder / "asked").read_text() == "requeue 34567\n"


@pytest.mark.parametrize(
    ("state", "said"),
    [
        ("JobState=RUNNING PreemptTime=2026-01-01T00:00:00", "the nodes go to another job; waits for SLURM to send this one back\nslept 900"),
        ("JobState=CANCELLED PreemptTime=None", "ended with 143"),
        ("JobState=RUNNING PreemptTime=None", "ended with 143"),
    ],
)
def test_a_job_that_is_told_to_end_leaves_it_to_slurm(state: str, said: str, programs: Path, submit_folder: Path) -> None:
    """143 is also what tasks end with that srun has ended since another failed: then the nodes answer, and nothing is waited for."""
    write_program(programs / "srun", '[ "${*##* true}" = "" ] && exit 0; exit 143')
    tell_of_job(programs, state)
    run = start(script_of("stage1_sft"), cwd=submit_folder, path=programs, **JOB)
    assert run.returncode == 143 and said in run.stderr
    assert ("slept" in run.stderr) == ("waits" in said) and not (submit_folder / "asked").exists()


def test_a_cancelled_job_is_never_sent_back(programs: Path, submit_folder: Path) -> None:
    write_program(programs / "srun", "exit 75")
    tell_of_job(programs, "JobState=CANCELLED PreemptTime=None")
    run = start(script_of("stage1_sft"), cwd=submit_folder, path=programs, **JOB)
    assert run.returncode == 75 and not (submit_folder / "asked").exists()


def test_a_task_becomes_a_rank_and_then_the_program_itself(programs: Path) -> None:
    words = printed(script_of("stage1_sft"), path=programs, **JOB)
    wrapper = words[words.index("bash") : words.index("python")]
    variables = {"SLURM_PROCID": "9", "SLURM_NTASKS": "16", "SLURM_LOCALID": "1", "PATH": os.environ["PATH"]}
    shown = 'echo $RANK $WORLD_SIZE $LOCAL_RANK $LOCAL_WORLD_SIZE $MASTER_ADDR $MASTER_PORT "$$" "$1"'
    started = subprocess.Popen([*wrapper, "bash", "-c", shown, "x", "a b"], env=variables, stdout=subprocess.PIPE, text=True)
    assert started.communicate()[0] == f"9 16 1 8 gpu01 {PORT} {started.pid} a b\n"


def test_a_folder_of_recipes_becomes_a_line_of_jobs(submit_folder: Path) -> None:
    """The jobs are those of `emoreason run --plan`; each waits for those before it, and for none of its own name."""
    (submit_folder / "recipes").symlink_to(ROOT / "recipes")
    here = {"PYTHONPATH": str(ROOT)}
    search = Path(sys.executable).parent
    jobs = all_printed(ROOT / "slurm/pipeline.sh", "recipes/tiny", "seed=3", cwd=submit_folder, path=search, **here)
    assert len(jobs) == 9 and all(job[:2] == ["sbatch", "--parsable"] for job in jobs)
    waits = {job[2].removeprefix("--job-name="): job[3].removeprefix("--dependency=") for job in jobs}
    assert waits["tiny-stage1_sft"] == "singleton"
    assert waits["tiny-stage3_grpo"] == "singleton,afterok:tiny-stage2_confidence"
    assert waits["tiny-stage3_grpo-release"] == "singleton,afterok:tiny-stage3_grpo-evaluate"
    assert jobs[0][4:] == ["--kill-on-invalid-dep=yes", "slurm/stage1_sft.sh", "recipes/tiny/stage1_sft.yaml", "seed=3",
                           "output_dir=runs/tiny/stage1_sft", "model.path=runs/tiny/base"]  # fmt: skip


def test_a_line_with_a_fault_submits_nothing(submit_folder: Path) -> None:
    (submit_folder / "recipes").symlink_to(ROOT / "recipes")
    run = start(ROOT / "slurm/pipeline.sh", "recipes/tiny", "sed=3", cwd=submit_folder, path=Path(sys.executable).parent,
                EMOREASON_DRY_RUN="1", PYTHONPATH=str(ROOT))  # fmt: skip
    assert (run.returncode, run.stdout) == (2, "") and "did you mean 'seed'" in run.stderr


@pytest.mark.parametrize(
    ("serving", "training", "code", "said"),
    [
        ("exit 5", "exec /bin/sleep 60", 5, "the vLLM server has ended first, with 5; the end of its log, logs/34567/serve-0.log:\nCUDA error\n"),
        ("exit 0", "exec /bin/sleep 60", 1, "the vLLM server has ended first, with 0"),
        ("exec /bin/sleep 60", "exit 0", 0, ""),
        ("exec /bin/sleep 60", "/bin/sleep 0.5; exit 75", 75, "the training has made room and written a checkpoint; sent back to wait"),
        ("exec /bin/sleep 60", "exit 1", 1, "ended with 1"),
    ],
)
def test_server_and_training_end_together(serving: str, training: str, code: int, said: str, programs: Path, submit_folder: Path) -> None:
    write_program(programs / "srun", f'case "$*" in *"emoreason serve"*) {serving};; *" true") exit 0;; *) {training};; esac')
    tell_of_job(programs, "JobState=RUNNING PreemptTime=None")
    (submit_folder / "logs" / "34567").mkdir(parents=True)
    (submit_folder / "logs" / "34567" / "serve-0.log").write_text("CUDA error\n")
    began = time.monotonic()
    run = start(script_of("stage3_grpo"), cwd=submit_folder, path=programs, VLLM_NODES="1", **JOB)
    assert (run.returncode, said in run.stderr) == (code, True), run
    assert time.monotonic() - began < 30
    assert (submit_folder / "asked").exists() == (code == 75)
