"""Runs with metrics made by hand, and what real trackers hold of them, read back."""

import json
import struct
from pathlib import Path
from typing import Any

from emoreason.files import append_jsonl, write_json, write_jsonl


def make_run(folder: Path, rows: list[dict[str, Any]] = (), started: str = "2026-01-01T00:00:00+00:00", **recipe: Any) -> Path:
    """A run's folder with this metrics.jsonl, an evaluation and three completions."""
    folder.mkdir(parents=True, exist_ok=True)
    recipe = {"stage": "grpo", "output_dir": f"runs/{folder.name}", "seed": 0, "trackers": [], **recipe}
    write_json(folder / "run.json", {"status": "running", "started": started, "recipe": recipe, "data": {"d.jsonl": "ab" * 32}, "parent": "base",
                                     "versions": {"torch": "2.9"}, "commit": "12" * 20})  # fmt: skip
    write_json(folder / "eval/faces.json", {"n": 4, "metrics": {"accuracy": {"value": 0.5, "low": 0.25, "high": 0.75}}})
    scored = [{"step": step, "id": f"r{step}", "completion": f"<think>{step}</think>", "total": 0.5 * step} for step in (1, 2, 3)]
    write_jsonl(folder / "completions.jsonl", scored)
    write_jsonl(folder / "metrics.jsonl", rows)
    return folder


def row(step: int, phase: str = "grpo", **values: float) -> dict[str, Any]:
    return {"phase": phase, "step": step, **(values or {"loss": 1.0 / step})}


def add(folder: Path, *rows: dict[str, Any]) -> None:
    for one in rows:
        append_jsonl(folder / "metrics.jsonl", one)


def go_on_from(folder: Path, rows: list[dict[str, Any]]) -> None:
    """What the log of metrics does when a run resumes: these rows are left."""
    write_jsonl(folder / "metrics.jsonl", rows)


def tensorboard_scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """{tag: (step, value) in the order in which TensorBoard has them} of all event files, as TensorBoard itself reads them."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(folder / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {tag: [(event.step, round(event.value, 4)) for event in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def wandb_records(folder: Path) -> dict[Path, list[Any]]:
    """{offline run's folder: its records}, read from W&B's log: blocks of 32 KiB of chunks (checksum, length, kind), as in LevelDB."""
    from wandb.proto.wandb_internal_pb2 import Record

    found = {}
    for path in sorted(folder.glob("wandb/offline-run-*/run-*.wandb")):
        data, place, parts, records = path.read_bytes(), 7, b"", []
        while place + 7 <= len(data):
            if (left := 32768 - place % 32768) < 7:
                place += left
                continue
            _, length, kind = struct.unpack("<IHB", data[place : place + 7])
            parts += data[place + 7 : place + 7 + length]
            place += 7 + length
            if kind in (1, 4):  # whole, or the last of its parts
                record = Record()
                record.ParseFromString(parts)
                records.append(record)
                parts = b""
        found[path.parent] = records
    return found


def wandb_history(folder: Path) -> list[dict[str, Any]]:
    """The history of the one offline run in the folder: a row a step, with `_step`, W&B's own other columns left out."""
    ((_, records),) = wandb_records(folder).items()
    rows = [{"/".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
            for record in records if record.WhichOneof("record_type") == "history"]  # fmt: skip
    return [{name: value for name, value in one.items() if name == "_step" or name[0] != "_"} for one in rows]
