"""A process that is asked to make room remembers it, and so do those that it has started."""

import signal
import subprocess
import sys
import time

import pytest

LISTEN = "import os, signal, subprocess, sys, time; from emoreason import preemption; preemption.listen(); "


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", LISTEN + code], capture_output=True, text=True, timeout=30)


@pytest.mark.parametrize(("number", "code"), [("SIGUSR1", 75), ("SIGTERM", 143)])
def test_a_signal_is_remembered_and_gives_its_exit_code(number: str, code: int) -> None:
    leave = "try:\n    preemption.leave_if_asked()\nexcept preemption.Preempted as asked:\n    print(asked)\n    sys.exit(asked.exit_code)"
    done = run(f"os.kill(os.getpid(), signal.{number}); time.sleep(0.2); print(preemption.requested().name)\n{leave}")
    assert done.returncode == code, done.stderr
    assert done.stdout.splitlines() == [number, f"made room on {number}; the same command goes on from here"]


def test_without_a_signal_work_goes_on() -> None:
    assert run("preemption.leave_if_asked(); print(preemption.requested())").stdout == "None\n"


def test_children_survive_usr1_and_die_by_term() -> None:
    """SLURM signals every process of a step, workers too."""
    code = ("child = subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(20)']); time.sleep(0.5); child.send_signal(signal.SIGUSR1); "
            "time.sleep(0.3); print(child.poll()); child.terminate(); print(child.wait())")  # fmt: skip
    assert run(code).stdout.splitlines() == ["None", str(-signal.SIGTERM)]


def test_it_listens_before_torch_is_there() -> None:
    """USR1 that comes while a stage is still importing must not end it."""
    code = "print('ready', flush=True); import torch; time.sleep(0.1); print(preemption.requested())"
    process = subprocess.Popen([sys.executable, "-c", LISTEN + code], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.05)
    process.send_signal(signal.SIGUSR1)
    assert process.communicate(timeout=60)[0].strip().endswith("10")
