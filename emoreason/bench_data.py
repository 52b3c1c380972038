"""Rows that the scripts of data_prep/ convert in a second, and the memory that they take, beside reading and writing alone."""

import csv
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoreason.emotions import LABEL_SPACES
from emoreason.faults import UserError

TEXT = "Where did you put it? I have asked you {} times now, and you never gave me an answer."
LINKS_TO_A_FILE = 30_000
"""Clips that are links to one file, below what file systems allow."""
NUM_PICTURES = 1000


@dataclass(frozen=True)
class Sample:
    """A source folder of a data set's layout, as large as is wished."""

    script: str
    kind: str
    make: Callable[[Path, int], None]
    table: str
    """The file whose rows are counted."""


def measure(num_rows: int, scripts_dir: Path, tell: Callable[[str], None] = lambda line: None) -> list[dict[str, Any]]:
    """For each data set: rows, seconds, rows_per_second, peak_mb, and `reached`, the share of the speed of reading and writing alone.

    A script runs as a user runs it, in a process of its own, its start included, on one core. The limit reads the same table by
    Python's csv or json module and writes each row as JSON.

    Raises:
        UserError: a script is not there, or fails.
    """
    found = []
    for sample in SAMPLES:
        script = scripts_dir / f"{sample.script}.py"
        if not script.is_file():
            raise UserError(f"{script}: no such script; run this in the project's folder, or give --scripts")
        with tempfile.TemporaryDirectory(prefix="bench_data_") as folder:
            source, out = Path(folder) / "source", Path(folder) / "out"
            source.mkdir()
            tell(f"{sample.script}: making {num_rows:,} rows")
            sample.make(source, num_rows)
            tell(f"{sample.script}: converting")
            seconds, peak_mb = _timed([sys.executable, str(script), str(source), str(out)])
            kept = json.loads((out / "conversion.json").read_text(encoding="utf-8"))["rows_kept"]
            if kept != num_rows:
                raise UserError(f"{script}: kept {kept} of {num_rows} rows, so its speed says nothing")
            limit = _bare_seconds(source / sample.table, sample.kind, Path(folder) / "bare.jsonl")
            found.append({
                "data_set": sample.script, "kind": sample.kind, "rows": num_rows, "seconds": round(seconds, 3),
                "rows_per_second": round(num_rows / seconds), "peak_mb": round(peak_mb, 1),
                "limit_rows_per_second": round(num_rows / limit), "reached": round(limit / seconds, 3),
            })  # fmt: skip
    return found


def _timed(command: list[str]) -> tuple[float, float]:
    """(seconds, peak of resident memory in MB) of a command that succeeds."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    start = time.perf_counter()
    with tempfile.TemporaryFile() as printed:
        process = subprocess.Popen(command, stdout=printed, stderr=subprocess.STDOUT, env=environment)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        seconds = time.perf_counter() - start
        if process.returncode:
            printed.seek(0)
            raise UserError(f"{' '.join(command)} ended with {process.returncode}: {printed.read()[-1000:].decode(errors='replace')}")
    return seconds, usage.ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


def _bare_seconds(table: Path, kind: str, out: Path) -> float:
    """Seconds to read every row and write it as JSON, with nothing in between."""
    start = time.perf_counter()
    with table.open(encoding="utf-8", newline="") as file, out.open("w", encoding="utf-8") as written:
        rows: Iterator[dict] = csv.DictReader(file) if kind == "CSV" else map(json.loads, file)
        for row in rows:
            written.write(json.dumps(row, ensure_ascii=False) + "\n")
    return time.perf_counter() - start


def _make_meld(source: Path, num_rows: int) -> None:
    """One split with a clip a row."""
    clips = source / "train_splits"
    clips.mkdir()
    with (source / "train_sent_emo.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow("Sr No.,Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID,Season,Episode,StartTime,EndTime".split(","))
        for number in range(num_rows):
            dialogue, utterance = divmod(number, 10)
            emotion, sentiment = (("joy", "positive"), ("anger", "negative"), ("neutral", "neutral"))[number % 3]
            times = ("00:10:02,100", "00:10:04,009")
            writer.writerow((number, TEXT.format(number), "Ann", emotion, sentiment, dialogue, utterance, 4, 7, *times))
            _plant_clip(clips / f"dia{dialogue}_utt{utterance}.mp4", number)
    for split in ("dev", "test"):
        (source / f"{split}_sent_emo.csv").write_text("Utterance,Speaker,Emotion,Sentiment,Dialogue_ID,Utterance_ID\n", encoding="utf-8")


def _plant_clip(path: Path, number: int) -> None:
    """A clip of two kilobytes: a file now and then, and links to it."""
    original = path.parent.parent / f"clip_{number // LINKS_TO_A_FILE}"
    if number % LINKS_TO_A_FILE == 0:
        original.write_bytes(b"\0" * 2048)
    os.link(original, path)


def _make_vecbench(source: Path, num_rows: int) -> None:
    """The test set in Qwen's chat form, over a thousand pictures."""
    (source / "FI").mkdir()
    for number in range(min(num_rows, NUM_PICTURES)):
        (source / "FI" / f"{number}.jpg").write_bytes(b"\0" * 2048)
    labels = LABEL_SPACES["mikels_8"]
    with (source / "test_8k.jsonl").open("w", encoding="utf-8") as file:
        for number in range(num_rows):
            content = [{"type": "image", "image": f"FI/{number % NUM_PICTURES}.jpg"}, {"type": "text", "text": TEXT.format(number)}]
            row = {"task": "FI-8", "ground_truth": labels[number % len(labels)], "candidates": labels}
            file.write(json.dumps({**row, "conversations": [{"role": "user", "content": content}]}) + "\n")


SAMPLES = (
    Sample("meld", "CSV", _make_meld, "train_sent_emo.csv"),
    Sample("vecbench", "JSON Lines", _make_vecbench, "test_8k.jsonl"),
)
