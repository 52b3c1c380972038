"""`emoreason media`: whether the media that records name can be read, what they are, and a list of those that can."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from emoreason.commands.terminal import AsJson, err
from emoreason.faults import UserError


def media(
    records: Annotated[list[Path], typer.Argument(help="Records files (JSON Lines).", show_default=False)],
    workers: Annotated[int | None, typer.Option(help="Processes that decode; the default is one a CPU.", min=1, show_default=False)] = None,
    as_json: AsJson = False,
    out_path: Annotated[Path | None, typer.Option("--out", help="Write an allow-list for a recipe's data.", metavar="LIST")] = None,
    cache: Annotated[Path | None, typer.Option(help="Keep what was found here; the default is ~/.cache/emoreason/media.jsonl.")] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Decode everything, and keep nothing.")] = False,
    deadline_s: Annotated[float, typer.Option(help="Seconds that one file may take.", min=0.1)] = 600.0,
    max_seconds: Annotated[float | None, typer.Option(help="media.max_seconds of the recipe.", min=0.1, show_default="120")] = None,
    max_megabytes: Annotated[float | None, typer.Option(help="media.max_megabytes of the recipe.", min=0.001, show_default="512")] = None,
    faces: Annotated[bool, typer.Option("--faces", help="Count faces, too; needs OpenCV, finds those that look into the camera.")] = False,
) -> None:  # fmt: skip
    """Decode every picture, clip and sound that records name, whole, and say what is wrong with each.

    A file that crashes or hangs a decoder costs its worker, not the run.
    Faults are what training refuses: missing, zero bytes, a Git LFS pointer,
    truncated, damaged, another kind, silent, without the sound track that the
    record wants, too long. Notes are for you to decide: rotated, another
    extension, a header that states another duration, clipped, a silent sound
    track that no record hears, a person's box beyond the picture.

    What was found is kept by the hash of a file's bytes, so that a second run
    takes seconds. Ends with 1 where anything is not readable.

    With --out, training can leave the records out that need other media, and
    says how many and why: in the recipe data: [{path: train.jsonl, allow:
    allowed.jsonl}]. The list is of these very records; it is made again when
    they change.

    Example: emoreason media data/train.jsonl data/test.jsonl --out data/allowed.jsonl
    """
    from rich.progress import Progress

    from emoreason.allow_list import write_allow_list
    from emoreason.media_check.cache import MediaCache, default_path
    from emoreason.media_check.check import Options, check_media
    from emoreason.media_check.faces import check_faces
    from emoreason.media_check.report import summary
    from emoreason.recipe import MediaSettings

    if no_cache and cache:
        raise UserError("--cache and --no-cache are both given; give one of them")
    if faces:
        check_faces()
    given = {"max_seconds": max_seconds, "max_megabytes": max_megabytes}
    limits = MediaSettings(**{name: value for name, value in given.items() if value is not None})
    options = Options(limits, workers or _num_cpus(), deadline_s, faces)
    with Progress(transient=True, console=err, disable=not err.is_terminal) as bar:
        tasks: dict[str, int] = {}

        def done(what: str, number: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what)
            bar.update(tasks[what], completed=number, total=total)

        check = check_media(records, MediaCache(None if no_cache else cache or default_path()), options, done)
    found = summary(check)
    if out_path:
        made_for = {one.digest: str(one.path) for one in check.records}
        write_allow_list(out_path, made_for, found["limits"], check.allow_rows())
    if as_json:
        import json

        print(json.dumps(found, indent=2))  # ASCII, so that no terminal obeys a file's name
    else:
        _print(found, out_path)
    if check.refused:
        raise typer.Exit(1)


def _num_cpus() -> int:
    """Those that this process may use, as a job on a node says, where the system tells."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _print(found: dict, out_path: Path | None) -> None:
    wide = Console(width=max(Console().width, 120))
    counts = Table("role", "files", "readable", "not readable", "with sound", "heard")
    for role, one in found["roles"].items():
        has_sound = role in ("clip", "sound track", "sound")
        sound = [str(one[key]) if has_sound else "-" for key in ("num_with_sound", "num_heard")]
        counts.add_row(role, *(str(one[key]) for key in ("num_files", "num_readable", "num_unreadable")), *sound)
    wide.print(counts)
    measures = Table("readable files", "n", "min", "5 %", "median", "95 %", "max")
    values = Table("readable files", "different", "most common")
    for role, one in found["roles"].items():
        for name, row in one["measures"].items():
            measures.add_row(f"{role}: {name}", str(row["n"]), *(f"{row[key]:.4g}" for key in ("min", "p5", "median", "p95", "max")))
        for name, row in one["values"].items():
            values.add_row(f"{role}: {name}", str(row["num_different"]), ", ".join(f"{value} ({count})" for value, count in row["most"]))
    for table in (measures, values):
        if table.row_count:
            wide.print(table)
    if found["reasons"]:
        reasons = Table("finding", "files", "")
        for row in found["reasons"]:
            reasons.add_row(row["reason"], str(row["count"]), "fault" if row["is_fault"] else "note")
        wide.print(reasons)
    for one in found["findings"]:
        _say(f"{'fault' if one['is_fault'] else 'note'}: {one['path']} ({one['role']} of record {one['record']!r}): {one['reason']}: {one['text']}")
    for one in found["records"]:
        _say(f"{one['path']}: all media of {one['num_readable']} of {one['num_records']} records are readable")
    _say(f"{found['cache']['num_cached']} of {found['cache']['num_looked']} files were known from the cache")
    if out_path:
        _say(f"wrote {out_path}")


def _say(text: str) -> None:
    from emoreason.show import printable

    print(printable(text).replace("\n", " "))
