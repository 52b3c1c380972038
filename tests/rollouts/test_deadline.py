"""Work that hangs ends: by an exception where one reaches it, with the process where none does."""

import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from emoreason.rollouts.deadline import EXIT_CODE, deadline
from emoreason.rollouts.faults import EngineError

SAID = "sync 3 has not ended after 0.1 s; look at the log"


def alarm() -> tuple[object, float]:
    """What an alarm would meet, and when it comes."""
    return signal.getsignal(signal.SIGALRM), signal.getitimer(signal.ITIMER_REAL)[0]


def test_work_that_hangs_in_python_ends_in_time_and_says_what_it_was() -> None:
    before, started = alarm(), time.monotonic()
    with pytest.raises(EngineError) as raised, deadline(0.1, "sync 3", "look at the log"):
        time.sleep(30)
    assert str(raised.value) == SAID
    assert 0.1 <= time.monotonic() - started < 5
    assert alarm() == before and before[1] == 0


def test_a_busy_loop_ends_too() -> None:
    with pytest.raises(EngineError, match=SAID), deadline(0.1, "sync 3", "look at the log"):
        while True:
            pass


def test_work_that_ends_leaves_nothing_behind() -> None:
    before, threads = alarm(), threading.active_count()
    for _ in range(20):
        with deadline(60, "sync 3", "look at the log"):
            pass
    assert alarm() == before and before[1] == 0
    waited = time.monotonic() + 5
    while threading.active_count() > threads and time.monotonic() < waited:
        time.sleep(0.01)
    assert threading.active_count() <= threads


def test_an_error_of_the_work_comes_through_and_disarms_the_alarm() -> None:
    before = alarm()
    with pytest.raises(ZeroDivisionError), deadline(60, "sync 3", "look at the log"):
        1 / 0  # noqa: B018
    assert alarm() == before


def test_an_own_handler_of_the_alarm_is_back_afterwards() -> None:
    heard = []
    before = signal.signal(signal.SIGALRM, lambda number, frame: heard.append(number))
    try:
        with pytest.raises(EngineError), deadline(0.05, "sync 3", "look at the log"):
            time.sleep(30)
        signal.raise_signal(signal.SIGALRM)
    finally:
        signal.signal(signal.SIGALRM, before)
    assert heard == [signal.SIGALRM]


def test_the_shorter_of_two_deadlines_is_the_one_that_is_told() -> None:
    with pytest.raises(EngineError, match=r"inner has not ended after 0\.1 s"), deadline(60, "outer", ""), deadline(0.1, "inner", ""):
        time.sleep(30)
    with pytest.raises(EngineError, match=r"outer has not ended after 0\.1 s"), deadline(0.1, "outer", ""), deadline(60, "inner", ""):
        time.sleep(30)


def test_a_deadline_inside_does_not_lift_the_one_around_it() -> None:
    started = time.monotonic()
    with pytest.raises(EngineError, match=r"outer has not ended after 0\.3 s"), deadline(0.3, "outer", ""):
        with deadline(60, "inner", ""):
            time.sleep(0.1)
        time.sleep(30)
    assert 0.3 <= time.monotonic() - started < 5


def test_away_from_the_main_thread_it_raises_nothing_and_passes_what_ends() -> None:
    before, ended = alarm(), []

    def work() -> None:
        with deadline(0.05, "sync 3", "look at the log"):
            time.sleep(0.2)
        ended.append(alarm())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join(10)
    assert ended == [before], "late, but within the grace; the main thread's alarm is not touched"


BLOCKED = """
    # In native code, with the signal blocked, as inside a collective that waits for a peer: no handler ever runs.
    import ctypes, signal
    signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGALRM])
    libc = ctypes.CDLL(None)
    for _ in range(60):
        libc.sleep(1)
"""
SLEEPING = "time.sleep(60)"


def ended(work: str, thread: bool = False) -> tuple[subprocess.CompletedProcess, float]:
    """The process that does this work under a deadline of 0.2 s with a grace of 0.2 s, and the seconds that it took from there."""
    code = f"""
import threading, time
from emoreason.rollouts.deadline import deadline
def main():
    print(time.time(), flush=True)
    with deadline(0.2, "sync 3", "look at the log", grace_s=0.2):
{textwrap.indent(textwrap.dedent(work), "        ")}
    print("went on", flush=True)
thread = threading.Thread(target=main)
{"thread.start(); thread.join()" if thread else "main()"}
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    return done, time.time() - float(done.stdout.split()[0])


@pytest.mark.slow
@pytest.mark.parametrize(("work", "thread"), [(BLOCKED, False), (SLEEPING, True)], ids=["native", "off the main thread"])
def test_where_no_exception_reaches_the_process_ends(work: str, thread: bool) -> None:
    done, seconds = ended(work, thread)
    assert done.returncode == EXIT_CODE == 70
    assert "error: sync 3 has not ended after 0.2 s; look at the log\n" in done.stderr
    assert "Thread 0x" in done.stderr and "went on" not in done.stdout, "it shows where every thread stands"
    assert 0.4 <= seconds < 10


@pytest.mark.slow
def test_an_exception_in_time_spares_the_process() -> None:
    done, _ = ended("try:\n    time.sleep(60)\nexcept Exception as error:\n    print(error)\n    time.sleep(0.1)")
    assert done.returncode == 0 and "sync 3 has not ended" in done.stdout and "went on" in done.stdout
