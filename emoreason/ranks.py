"""Who this process is among those of the run, and whose failure it was when all of them end."""

import json
import os
import socket
import sys
import time
from pathlib import Path

_folder: Path | None = None
WAIT_S = 5.0
"""For the process that failed first to have written down why."""
MAX_CHARACTERS = 2000


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def name() -> str:
    return f"rank {rank()} of {world_size()} on {socket.gethostname()}"


def watch_failures(run_path: Path) -> None:
    """From now on the first process that fails says so in the run's folder, which all processes see."""
    global _folder
    _folder = run_path
    if rank() == 0:
        _path(run_path).unlink(missing_ok=True)


def _path(run_path: Path) -> Path:
    return run_path / f".failure_{os.environ.get('SLURM_JOB_ID') or os.environ.get('TORCHELASTIC_RUN_ID') or 'here'}.json"


def first_failure(error: BaseException, said: str) -> str | None:
    """None where this process is the first to fail, which it writes down, as `said`; else who was, and why.

    When a process ends, the others fail in the exchange that they were in, and their errors would hide its own.
    """
    if _folder is None or world_size() == 1:
        return None
    path = _path(_folder)
    deadline = time.monotonic() + WAIT_S
    while _is_of_an_exchange(error) and time.monotonic() < deadline:
        try:
            other = json.loads(path.read_text(encoding="utf-8"))
            return f"{name()} stops since {other['who']} failed: {other['error']}"
        except (OSError, ValueError):
            time.sleep(0.1)
    try:
        with path.open("x", encoding="utf-8") as file:
            json.dump({"who": name(), "error": said[:MAX_CHARACTERS]}, file)
    except OSError:
        pass  # another was faster, or the disk is the very thing that failed
    return None


def _is_of_an_exchange(error: BaseException) -> bool:
    """Whether it is what gloo or NCCL says of a process that has gone."""
    text = str(error)
    return isinstance(error, RuntimeError) and any(word in text for word in ("peer", "gloo", "NCCL", "ProcessGroup", "Connection reset", "Socket"))


def leave(code: int) -> None:
    """End this process at once: an orderly end waits for threads and exchanges that will never end once a process is missing."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
