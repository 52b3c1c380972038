"""Making room when asked: USR1 and TERM ask a stage to write a checkpoint at the next step and to end; the same command goes on.

SLURM sends USR1 some minutes before a job's time is over (`#SBATCH --signal`), and TERM when it takes the nodes for others or on `scancel`.
It sends them to every process of a step, so the workers that read data or score rewards would die of USR1. Therefore USR1 is blocked, which
they inherit, and waited for by a thread. TERM stays deliverable, since it is what ends workers.
"""

import signal
import threading
from types import FrameType

EXIT_CODES = {signal.SIGUSR1: 75, signal.SIGTERM: 143}
"""75 is EX_TEMPFAIL of sysexits.h, 143 what a shell reports of a process that TERM ended."""
_requested: signal.Signals | None = None


class Preempted(Exception):
    """The stage has ended early because it was asked to, with everything that it needs to go on."""

    def __init__(self, number: signal.Signals):
        self.exit_code = EXIT_CODES[number]
        super().__init__(f"made room on {number.name}; the same command goes on from here")


def listen() -> None:
    """From now on USR1 and TERM are remembered instead of ending the process. Call it before anything slow is imported or any thread begins."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    threading.Thread(target=_wait_for_usr1, daemon=True, name="preemption").start()
    signal.signal(signal.SIGTERM, _remember)


def _wait_for_usr1() -> None:
    while True:
        _remember(signal.sigwait({signal.SIGUSR1}), None)


def _remember(number: int, frame: FrameType | None) -> None:
    global _requested
    _requested = signal.Signals(number)


def requested() -> signal.Signals | None:
    """The signal that has come, or None."""
    return _requested


def leave_if_asked() -> None:
    """Raise where this process has been asked to make room. For work that processes do each for themselves.

    Raises:
        Preempted: USR1 or TERM has come.
    """
    if _requested is not None:
        raise Preempted(_requested)
