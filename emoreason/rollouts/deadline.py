"""A limit on work that may hang where no exception reaches it: in a collective, in a driver, in a lock."""

import faulthandler
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from emoreason.rollouts.faults import EngineError

GRACE_S = 20.0
"""Time to end by the exception; a thread that is stuck in native code never sees it, and then the process ends."""
EXIT_CODE = 70


@contextmanager
def deadline(seconds: float, what: str, remedy: str, grace_s: float = GRACE_S) -> Iterator[None]:
    """Raise within `seconds` if the work inside has not ended; end the process `grace_s` later if even that does not help.

    A job that ends is restarted by its scheduler; one that hangs holds its nodes until somebody looks.

    Raises:
        EngineError: the work took too long.
    """
    said = f"{what} has not ended after {seconds:g} s; {remedy}"
    in_time = threading.Event()

    def end() -> None:
        if not in_time.wait(seconds + grace_s):
            print(f"error: {said}\n(stuck where no exception reaches it; the process ends)", file=sys.stderr, flush=True)
            faulthandler.dump_traceback(all_threads=True)
            os._exit(EXIT_CODE)

    def raise_late(number: int, frame: object) -> None:
        raise EngineError(said)

    started, by_signal = time.monotonic(), threading.current_thread() is threading.main_thread()
    outer_s = signal.getitimer(signal.ITIMER_REAL)[0] if by_signal else 0.0
    if 0 < outer_s <= seconds:
        by_signal = False  # a deadline around this one comes first, and its alarm says so
    watch = threading.Thread(target=end, daemon=True)
    watch.start()
    if by_signal:
        before = signal.signal(signal.SIGALRM, raise_late)
        signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        in_time.set()
        if by_signal:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)
            if outer_s:
                signal.setitimer(signal.ITIMER_REAL, max(outer_s - (time.monotonic() - started), 1e-6))
