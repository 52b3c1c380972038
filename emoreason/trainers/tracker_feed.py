"""Feeds the recipe's trackers while a run trains, each in a process of its own.

A tracker that raises, crashes, or waits for a network cannot stop or slow the training: all that the trainer does is to ring after
each row of metrics.jsonl. What a tracker has missed is sent by `emoreason track RUN` later.
"""

import logging
import os
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

from transformers import TrainerCallback

from emoreason.secrets import redacted_text
from emoreason.trackers import CURSORS

_LOG = logging.getLogger("emoreason")


class TrackerFeed(TrainerCallback):
    """Add it after the log of metrics; it acts on the main process alone."""

    def __init__(self, run_path: str | Path, trackers: list[str], patience_s: float = 15.0):
        """`patience_s`: how long the end of the training waits for the trackers to have everything."""
        self.run_path, self.trackers, self.patience_s = Path(run_path), list(dict.fromkeys(trackers)), patience_s
        self._feeders: dict[str, subprocess.Popen] = {}

    def on_train_begin(self, args, state, control, **kwargs):
        # A feeder is no process of the run's, and would speak to the others when it fails.
        environment = {name: value for name, value in os.environ.items() if name not in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")}
        for tracker in self.trackers if state.is_world_process_zero else []:
            command = [sys.executable, "-m", "emoreason", "track", str(self.run_path), "--to", tracker, "--follow"]
            try:
                self._log_path(tracker).parent.mkdir(parents=True, exist_ok=True)
                with self._log_path(tracker).open("wb") as log:
                    # In a session of its own, so that the signals that tell the run to make room or to stop do not end it too soon.
                    feeder = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=log, stderr=log, start_new_session=True, bufsize=0,
                                              env=environment)
            except OSError as error:
                self._warn(tracker, str(error))
                continue
            os.set_blocking(feeder.stdin.fileno(), False)
            self._feeders[tracker] = feeder

    def on_log(self, args, state, control, **kwargs):
        for tracker, feeder in list(self._feeders.items()):
            self._ring(tracker, feeder, b"\n")

    def on_train_end(self, args, state, control, **kwargs):
        for tracker, feeder in list(self._feeders.items()):
            self._ring(tracker, feeder, b"e")
        deadline = time.monotonic() + self.patience_s
        for tracker, feeder in list(self._feeders.items()):
            with suppress(subprocess.TimeoutExpired):
                if feeder.wait(max(0.0, deadline - time.monotonic())):
                    self._give_up(tracker, feeder)
                continue
            self._warn(tracker, f"has not ended within {self.patience_s:g} s, and goes on by itself")
        self._feeders.clear()

    def _ring(self, tracker: str, feeder: subprocess.Popen, bell: bytes) -> None:
        try:
            os.write(feeder.stdin.fileno(), bell)
            if bell == b"e":
                feeder.stdin.close()
        except BlockingIOError:  # it has not listened for a while, and will see all rows when it does
            if bell == b"e":
                feeder.stdin.close()
        except OSError:
            self._give_up(tracker, feeder)

    def _give_up(self, tracker: str, feeder: subprocess.Popen) -> None:
        feeder.wait()
        with suppress(OSError):
            feeder.stdin.close()
        del self._feeders[tracker]
        said = [line for line in self._log_path(tracker).read_text(errors="replace").splitlines() if line.strip()]
        self._warn(tracker, f"{redacted_text(said[-1])[:300] if said else f'exit code {feeder.returncode}'} (see {self._log_path(tracker)})")

    def _log_path(self, tracker: str) -> Path:
        return self.run_path / CURSORS / f"{tracker}.log"

    def _warn(self, tracker: str, problem: str) -> None:
        _LOG.warning("%s is not fed any more: %s; the training goes on, metrics.jsonl has every row, send them later: emoreason track %s --to %s",
                     tracker, problem, self.run_path, tracker)  # fmt: skip
