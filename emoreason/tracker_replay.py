"""Sends what a run's folder says to a tracker: all of it, what is new, or row by row while the run trains.

TensorBoard and offline W&B runs are files beside the run, so they are written anew from the first row whenever something has changed:
no part of an earlier session is left that could overlay them. A W&B run on a server cannot be written anew, so it is gone on with
under its id beyond the last step that was sent.
"""

import fcntl
import json
import os
import select
import shlex
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoreason.faults import UserError
from emoreason.trackers import (
    CURSORS,
    Content,
    missing_package,
    read_content,
    read_cursor,
    read_manifest,
    read_rows,
    unsent,
    with_global_steps,
    write_cursor,
)

_NOT_METRICS = frozenset({"step", "global_step"})
_LOOK_S = 5.0
"""Between looks at a doorbell that is not rung."""


@dataclass(frozen=True)
class Sent:
    """What a replay did: rows sent, rows that were there already, where it lies, and the command that is left to be run."""

    rows: int
    skipped: int
    where: str
    command: str = ""


class TensorBoardWriter:
    """Event files in `<run>/tensorboard`, those of earlier sessions removed."""

    def __init__(self, path: Path, content: Content):
        from tensorboard.compat.proto.event_pb2 import Event, SessionLog
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        folder, self._make_event = path / "tensorboard", Event
        self.place = folder.name
        self._old = list(folder.glob("events.out.tfevents.*"))
        self._writer = EventFileWriter(str(folder))
        # A TensorBoard that is open forgets what it has read of the files before.
        self._writer.add_event(Event(wall_time=time.time(), step=0, session_log=SessionLog(status=SessionLog.START)))
        self._text("config", json.dumps(content.config, indent=2).splitlines(), 0)

    def row(self, step: int, values: dict[str, Any]) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary

        numbers = [Summary.Value(tag=name, simple_value=value) for name, value in values.items() if isinstance(value, int | float)]
        self._writer.add_event(self._make_event(wall_time=time.time(), step=step, summary=Summary(value=numbers)))

    def flush(self) -> None:
        self._writer.flush()
        while self._old:
            self._old.pop().unlink(missing_ok=True)

    def close(self, step: int, content: Content) -> None:
        if content.summary:
            self.row(step, content.summary)
        texts = [f"step {row['step']}, {row['id']}, total {row['total']}\n{row['completion']}\n" for row in content.completions]
        if texts:
            self._text("completions", "\n".join(texts).splitlines(), step)
        self.flush()
        self._writer.close()

    def _text(self, tag: str, lines: list[str], step: int) -> None:
        from tensorboard.compat.proto.summary_pb2 import Summary, SummaryMetadata
        from tensorboard.compat.proto.tensor_pb2 import TensorProto
        from tensorboard.compat.proto.tensor_shape_pb2 import TensorShapeProto

        text = "\n".join(f"    {line}" for line in lines).encode()  # as code, so that <think> is not taken for HTML
        tensor = TensorProto(dtype="DT_STRING", string_val=[text], tensor_shape=TensorShapeProto(dim=[TensorShapeProto.Dim(size=1)]))
        metadata = SummaryMetadata(plugin_data=SummaryMetadata.PluginData(plugin_name="text"))
        value = Summary.Value(tag=f"{tag}/text_summary", metadata=metadata, tensor=tensor)
        self._writer.add_event(self._make_event(wall_time=time.time(), step=step, summary=Summary(value=[value])))


class WandbWriter:
    """A W&B run: offline unless WANDB_MODE says otherwise. Project, entity and key are W&B's own (its environment, `wandb login`)."""

    def __init__(self, path: Path, content: Content):
        import wandb

        self._table = wandb.Table
        root = Path(os.environ.get("WANDB_DIR") or path).resolve()
        self._old = [folder for folder in (root / "wandb").glob(f"offline-run-*-{content.run_id}") if wandb_mode() == "offline"]
        while any(time.strftime("%Y%m%d_%H%M%S") in folder.name for folder in self._old):
            time.sleep(0.1)  # W&B names the folder by the second
        # Nothing is recorded of the machine, the command line or git, whose addresses may hold a password; run.json has what counts.
        quiet = wandb.Settings(console="off", silent=True, disable_git=True, disable_code=True, save_code=False, x_disable_stats=True,
                               x_disable_meta=True, x_disable_machine_info=True, x_save_requirements=False)  # fmt: skip
        try:
            self._run = wandb.init(id=content.run_id, name=content.name, dir=str(root), config=content.config, mode=wandb_mode(), settings=quiet,
                                   resume="allow" if wandb_mode() == "online" else None)  # fmt: skip
        except wandb.errors.Error as error:
            raise UserError(f"{path}: wandb: {error}; metrics.jsonl has everything: try again later, or with WANDB_MODE=offline") from error
        folder = Path(self._run.dir).parent
        own = folder.relative_to(path.resolve()) if folder.is_relative_to(path.resolve()) else folder
        self.place = str(own) if wandb_mode() == "offline" else self._run.url

    def row(self, step: int, values: dict[str, Any]) -> None:
        self._run.log(values, step=step)

    def flush(self) -> None:
        """W&B writes by itself; what is left is to remove the folders of earlier sessions, all of which this run holds too."""
        while self._old:
            shutil.rmtree(self._old.pop())

    def close(self, step: int, content: Content) -> None:
        self._run.summary.update(content.summary)
        if content.completions:
            columns = list(content.completions[0])
            self._run.summary["completions"] = self._table(columns=columns, data=[[row[name] for name in columns] for row in content.completions])
        self._run.finish()
        self.flush()


WRITERS = {"tensorboard": TensorBoardWriter, "wandb": WandbWriter}


def wandb_mode() -> str:
    """W&B's mode: `offline` unless WANDB_MODE says otherwise, so that nothing leaves a machine, or waits for its network, unasked.

    Raises:
        UserError: WANDB_MODE is none of W&B's modes.
    """
    asked = os.environ.get("WANDB_MODE", "").strip().lower() or "offline"
    found = {"dryrun": "offline", "run": "online", "shared": "online"}.get(asked, asked)
    if found not in ("offline", "online", "disabled"):
        raise UserError(f"WANDB_MODE is {asked!r}; accepted: offline, online, disabled")
    return found


class Session:
    """One sending of a run to one tracker, which is opened once there is something to send."""

    def __init__(self, path: Path, tracker: str):
        if problem := missing_package(tracker):
            raise UserError(f"{path}: {problem}")
        self.path, self.tracker, self._writer = path, tracker, None
        self.mode = wandb_mode() if tracker == "wandb" else "file"
        kept = read_cursor(path, tracker)
        self.cursor = kept if kept.get("mode") == self.mode else {}
        self._rows, self._offset, self._sent = [], 0, set()

    def catch_up(self) -> None:
        """Send the rows that metrics.jsonl has got since."""
        rows, self._offset = read_rows(self.path / "metrics.jsonl", self._offset)
        self._rows += rows
        if rows and self.mode != "disabled":
            self._send(with_global_steps(self._rows), lambda: read_content(self.path))

    def finish(self) -> Sent:
        """Send what is left, evaluations and completions too, and close the tracker; where all is there already nothing is touched."""
        content = read_content(self.path)
        if self.mode == "disabled":
            return Sent(0, len(content.rows), "nowhere: WANDB_MODE is disabled")
        if self._writer is None and self.cursor.get("digest") == content.digest and self._is_there():
            return Sent(0, len(content.rows), *self._shown())
        self._open(lambda: content)
        self._send(content.rows, lambda: content)
        self._writer.close(content.rows[-1]["global_step"] if content.rows else 0, content)
        self._keep(digest=content.digest)
        return Sent(len(self._sent), len(content.rows) - len(self._sent), *self._shown())

    def _open(self, content: Callable[[], Content]) -> None:
        if self._writer is None:
            if self.mode != "online":
                self.cursor = {}  # written anew from the first row
            self._writer = WRITERS[self.tracker](self.path, content())

    def _send(self, rows: list[dict[str, Any]], content: Callable[[], Content]) -> None:
        if self._writer is None and self.mode == "online" and not unsent(rows, self.cursor):
            return
        self._open(content)
        new = unsent(rows, self.cursor)
        for row in new:
            self._writer.row(row["global_step"], {name: value for name, value in row.items() if name not in _NOT_METRICS})
        self._writer.flush()
        self._sent |= {row["global_step"] for row in new}
        if new:
            self._keep(step=rows[-1]["global_step"], names=sorted(rows[-1]))

    def _keep(self, **fields: Any) -> None:
        self.cursor = {**self.cursor, **fields, "mode": self.mode, "place": self._writer.place}
        write_cursor(self.path, self.tracker, self.cursor)

    def _is_there(self) -> bool:
        return self.mode == "online" or (self.path / self.cursor["place"]).is_dir()

    def _shown(self) -> tuple[str, str]:
        """Where it lies, and the command that is left to be run."""
        place = self.cursor["place"]
        if self.mode == "online":
            return place, ""
        folder = self.path / place
        return str(folder), f"{'wandb sync' if self.tracker == 'wandb' else 'tensorboard --logdir'} {shlex.quote(str(folder))}"


def replay(path: Path, tracker: str) -> Sent:
    """Send to the tracker what it does not have of the run in this folder.

    Raises:
        UserError: no run there, the tracker is not installed or refuses, or the run that trains is feeding it.
    """
    with _alone(path, tracker, wait=False):
        return Session(path, tracker).finish()


def follow(path: Path, tracker: str, doorbell: int) -> Sent:
    """Send rows as they come, until `e` or the end of the file comes from `doorbell` or the process that started this one is gone."""
    starter = os.getppid()
    with _alone(path, tracker, wait=True):
        session, is_open = Session(path, tracker), True
        while is_open:
            ready = select.select([doorbell], [], [], _LOOK_S)[0]
            rung = os.read(doorbell, 4096) if ready else b"."
            is_open = bool(rung) and b"e" not in rung and os.getppid() == starter
            session.catch_up()
        return session.finish()


@contextmanager
def _alone(path: Path, tracker: str, wait: bool) -> Iterator[None]:
    """Nobody else sends this run to this tracker meanwhile, where the file system has locks."""
    lock = path / CURSORS / f"{tracker}.lock"
    read_manifest(path)  # before anything is written into a folder that is no run's
    lock.parent.mkdir(exist_ok=True)
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError as error:
            raise UserError(f"{path}: {tracker} is being fed by the run itself; wait until it ends") from error
        except OSError:
            pass
        yield
