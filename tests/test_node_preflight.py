"""Nodes as processes of this machine: they meet, or who is missing is named in time."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import TINY

pytestmark = pytest.mark.slow


def start(ranks: list[int], *arguments: str, world_size: int = 2) -> list[tuple[int, str, str]]:
    """(exit code, standard output, standard error) of `emoreason preflight` as these ranks, each a node of its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    started = []
    for rank in ranks:
        names = {"RANK": str(rank), "WORLD_SIZE": str(world_size), "LOCAL_RANK": "0", "LOCAL_WORLD_SIZE": "1", "MASTER_ADDR": "localhost",
                 "MASTER_PORT": port, "EMOREASON_NODES": "n1 n2", "SLURMD_NODENAME": f"n{rank + 1}", "OMP_NUM_THREADS": "1"}  # fmt: skip
        command = [sys.executable, "-m", "emoreason", "preflight", str(TINY / "stage1_sft.yaml"), *arguments]
        started.append(subprocess.Popen(command, cwd=TINY.parents[1], env={**os.environ, **names}, stdout=-1, stderr=-1, text=True))
    ended = [process.communicate(timeout=60) for process in started]
    return [(process.returncode, *texts) for process, texts in zip(started, ended, strict=True)]


def test_two_nodes_meet_and_a_row_tells_of_each(tmp_path: Path) -> None:
    (code, out, _), (other, nothing, _) = start([0, 1], f"output_dir={tmp_path}/run")
    assert (code, other, nothing) == (0, 0, "")
    rows = [line.split("│") for line in out.splitlines() if line.startswith("│")]
    assert [row[1].strip() for row in rows] == ["n1", "n2"]
    assert all(0 < float(row[-2]) < 10_000 for row in rows), "milliseconds of the all-reduce"
    assert "processes: 2, gloo over" in out
    assert list((tmp_path / "run").iterdir()) == [], "no mark is left"


def test_faults_come_from_the_first_process_alone_and_all_end_with_2(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("where the run's folder should be")
    (code, out, err), (other, nothing, silent) = start([0, 1], f"output_dir={file}", "data=[{path: absent.jsonl}]")
    assert (code, other, nothing, silent) == (2, 2, "", "")
    assert "n2" in out
    assert "every node: absent.jsonl: no such file" in err and f"every node: output_dir: {file}: cannot be written" in err


@pytest.mark.parametrize(("here", "named"), [(0, "n2: never arrived (ranks 1)"), (1, "where n1 should be")])
def test_a_node_that_never_arrives_is_named_in_time(here: int, named: str, tmp_path: Path) -> None:
    began = time.monotonic()
    ((code, _, err),) = start([here], f"output_dir={tmp_path}/run", "--deadline-s=8")
    assert code == 2 and named in err
    assert time.monotonic() - began < 30


def test_one_process_without_slurm_works_too(tmp_path: Path) -> None:
    ((code, out, _),) = start([0], f"output_dir={tmp_path}/run", world_size=1)
    assert code == 0 and "│ n1" in out


def test_torchrun_starts_it_too(tmp_path: Path) -> None:
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--nnodes=1", "--nproc-per-node=2", "--rdzv-backend=c10d"]
    command = [*torchrun, "--rdzv-endpoint=localhost:0",
               "-m", "emoreason", "preflight", str(TINY / "stage1_sft.yaml"), f"output_dir={tmp_path}/run"]  # fmt: skip
    done = subprocess.run(command, cwd=TINY.parents[1], env={**os.environ, "OMP_NUM_THREADS": "1"}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("│ 0 ") == 1 and "failed to bind" not in done.stderr, "two processes, one node"
