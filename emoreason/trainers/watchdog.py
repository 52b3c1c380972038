"""Ends a process in which nothing has moved for too long, with the stacks of all of its threads in the log.

Every process of a run watches itself. One that hangs keeps the others waiting, so all of them say where they stand.
"""

import faulthandler
import os
import sys
import threading
import time
from types import TracebackType

from emoreason import ranks

EXIT_CODE = 70
GRACE_S = 20.0
"""Between the stacks and the end, so that the other processes write theirs before the launcher ends them."""
_current: "Watchdog | None" = None


class Watchdog:
    """Watches while the context lasts; `alive()` says that something has moved.

    Two clocks: a thread that writes the stacks with a word of explanation, and faulthandler's own, which needs no interpreter lock and so
    ends a process that hangs in native code.
    """

    def __init__(self, minutes: float, grace_s: float = GRACE_S):
        self.seconds, self.grace_s = 60 * minutes, grace_s
        self._last = time.monotonic()
        self._over = threading.Event()

    def __enter__(self) -> "Watchdog":
        global _current
        _current = self
        self.beat()
        threading.Thread(target=self._watch, daemon=True, name="watchdog").start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        global _current
        _current = None
        self._over.set()
        faulthandler.cancel_dump_traceback_later()

    def beat(self) -> None:
        self._last = time.monotonic()
        faulthandler.dump_traceback_later(self.seconds + 2 * self.grace_s, exit=True, file=sys.__stderr__)

    def _watch(self) -> None:
        while not self._over.wait(min(1.0, self.seconds / 10)):
            if time.monotonic() - self._last > self.seconds:
                self._bark()
                return

    def _bark(self) -> None:
        print(f"watchdog: nothing has moved in {ranks.name()} for {self.seconds / 60:g} minutes; the stacks of its threads follow, and it ends "
              f"in {self.grace_s:g} s unless something moves. Raise watchdog.minutes where a step takes that long.", file=sys.__stderr__, flush=True)
        faulthandler.dump_traceback(file=sys.__stderr__, all_threads=True)
        seen = self._last
        if self._over.wait(self.grace_s):
            return
        if self._last != seen:
            self._watch()
            return
        print(f"watchdog: {ranks.name()} ends with {EXIT_CODE}; the same command goes on from the last checkpoint", file=sys.__stderr__, flush=True)
        os._exit(EXIT_CODE)


def alive() -> None:
    """Something has moved: a micro-batch, a rollout, a reward, a checkpoint. Costs a microsecond, and nothing where nobody watches."""
    if _current is not None:
        _current.beat()
