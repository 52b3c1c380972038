"""A process that stands still says where it stands, and ends."""

import subprocess
import sys

CODE = """
import threading, time
from emoreason.trainers.watchdog import Watchdog, alive

def stand_still():
    {stand}

with Watchdog(minutes={seconds} / 60, grace_s={grace}):
    for _ in range({beats}):
        time.sleep(0.2)
        alive()
    stand_still()
print("went on")
"""


def run(stand: str, seconds: float = 0.5, grace: float = 0.3, beats: int = 0) -> subprocess.CompletedProcess[str]:
    code = CODE.format(stand=stand, seconds=seconds, grace=grace, beats=beats)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)


def test_it_writes_the_stacks_and_ends_with_70() -> None:
    done = run("time.sleep(30)")
    assert done.returncode == 70 and done.stdout == ""
    assert "watchdog: nothing has moved in rank 0 of 1" in done.stderr
    assert "in stand_still" in done.stderr and "Raise watchdog.minutes" in done.stderr


def test_what_moves_is_left_alone() -> None:
    done = run("pass", beats=6)
    assert (done.returncode, done.stdout, done.stderr) == (0, "went on\n", "")


def test_what_moves_again_in_time_goes_on() -> None:
    done = run("time.sleep(0.7); alive(); time.sleep(0.2)", grace=2.0)
    assert (done.returncode, done.stdout) == (0, "went on\n") and "in stand_still" in done.stderr


def test_native_code_that_keeps_the_interpreter_is_ended_too() -> None:
    """A thread of Python would never run again; faulthandler's clock needs no interpreter."""
    done = run("import ctypes; ctypes.PyDLL(None).sleep(30)", grace=0.3)
    assert done.returncode == 1 and "in stand_still" in done.stderr
