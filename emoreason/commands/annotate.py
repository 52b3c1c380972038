"""`emoreason annotate`: cues, rationales and statements asked of a server, filtered, and written as records."""

import json
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Column, Table

from emoreason.commands.terminal import AsJson, err, out
from emoreason.faults import UserError


def annotate(
    records: Annotated[Path | None, typer.Argument(metavar="RECORDS", help="Records (JSON Lines).", show_default=False)] = None,
    out_path: Annotated[
        Path | None, typer.Argument(metavar="OUT", help="Records to write, in the same folder or one above it.", show_default=False)
    ] = None,
    template: Annotated[str | None, typer.Option(help="A shipped template by name, or your own by its path.", show_default=False)] = None,
    server: Annotated[str | None, typer.Option(help="http://HOST:PORT of `vllm serve`, or of what speaks like it.", show_default=False)] = None,
    model: Annotated[str | None, typer.Option(help="Its name on the server; not needed where the server has one.", show_default=False)] = None,
    concurrency: Annotated[int, typer.Option(help="Records under way at a time.", min=1, max=1024)] = 8,
    rounds: Annotated[int | None, typer.Option(help="Answers asked of a record at most; default: the template's.", min=1, max=20)] = None,
    limit: Annotated[int | None, typer.Option(help="Only the first so many records.", min=1)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Ask anew for what a record has already; labels stay.")] = False,
    deadline: Annotated[float | None, typer.Option(metavar="SECONDS", help="Stop then, and write what there is.", min=0.1)] = None,
    timeout: Annotated[float, typer.Option(metavar="SECONDS", help="For one attempt of a request.", min=0.1)] = 300.0,
    retries: Annotated[int, typer.Option(help="Repeats of a request that a busy server turns away.", min=0, max=20)] = 4,
    stop_after: Annotated[int, typer.Option(help="Requests in a row without an answer that end the run.", min=1)] = 8,
    clips: Annotated[str, typer.Option(help="Clips as sampled `frames`, or as the `file`, which the server samples.")] = "frames",
    fps: Annotated[float, typer.Option(help="Frames of a second of a clip.", min=0.01)] = 2.0,
    max_frames: Annotated[int, typer.Option(help="Frames of a clip at most.", min=2)] = 16,
    max_pixels: Annotated[int, typer.Option(help="Pixels of a picture or a frame at most.", min=784)] = 451584,
    max_seconds: Annotated[float, typer.Option(help="Longer clips and sounds are left out.", min=0.1)] = 120.0,
    response_format: Annotated[str, typer.Option(help="json_schema, json_object or none: what the server is asked to hold to.")] = "json_schema",
    cache: Annotated[Path | None, typer.Option(help="Answers that are there; default: beside OUT.", show_default=False)] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Print the first request and what is left out; send nothing.")] = False,
    show_list: Annotated[bool, typer.Option("--list", help="The shipped templates.")] = False,
    show: Annotated[str | None, typer.Option(metavar="NAME", help="Print a shipped template, to start your own from.", show_default=False)] = None,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Ask a model behind a server for cues, rationales or statements about records, given their media and labels.

    A template says what is asked, how it must be answered (a JSON schema that
    the server decodes by), where each field goes in the record, and what is
    rejected: other action units or another emotion than the annotators', talk
    of a label that was told, too few words or too many. What is rejected is
    asked again, told what was wrong, up to --rounds.

    Beside OUT stand its report.json, rejected.jsonl with every reason, and
    cache.jsonl with every answer: the same command goes on where it was stopped
    or killed, and asks nothing twice. Filters may be changed, and run anew on
    the answers that are there.

    The key of the server is EMOREASON_API_KEY, or OPENAI_API_KEY; it is written
    nowhere. Pictures are sent without their metadata.

    0: all were reached; 1: stopped by --deadline or by the server; 2: a mistake
    of yours; 130: interrupted.

    Example: emoreason annotate --list

    Example: emoreason annotate data/train.jsonl data/train_reasons.jsonl --template facial_r1_loop --server http://localhost:8000 --dry-run
    """
    from emoreason.annotate.templates import load_template, shipped_names, template_text

    if show_list:
        loaded = [load_template(name) for name in shipped_names()]
        if as_json:
            print(json.dumps([{"name": one.name, "about": one.about, "source": one.source, "needs": one.needs} for one in loaded]))
            return
        table = Table("template", Column("what it asks for", ratio=2), Column("needs", ratio=1), Column("after", ratio=2))
        for one in loaded:
            table.add_row(one.name, one.about, ", ".join(one.needs) or "-", one.source)
        out.print(table)
        return
    if show is not None:
        print(template_text(show), end="")
        return
    accepted = {"--clips": (clips, ("frames", "file")), "--response-format": (response_format, ("json_schema", "json_object", "none"))}
    faults = [f"{name} {given}: accepted: {', '.join(words)}" for name, (given, words) in accepted.items() if given not in words]
    faults += [f"{name} is missing; see `emoreason annotate --help`" for name, given in
               (("RECORDS", records), ("OUT", out_path), ("--template", template)) if given is None]  # fmt: skip
    if server is None and not dry_run:
        faults.append("--server is missing, e.g. http://localhost:8000; or give --dry-run to see what would be sent")
    if faults:
        raise UserError(faults)
    from emoreason.annotate.asking import Sending
    from emoreason.annotate.client import ClientSettings
    from emoreason.annotate.report import Files, Options
    from emoreason.recipe import MediaSettings

    settings = MediaSettings(
        fps=fps, max_frames=max_frames, min_frames=min(4, max_frames), max_pixels=max_pixels, min_pixels=784, video_max_pixels=max_pixels,
        video_min_pixels=784, max_seconds=max_seconds,
    )  # fmt: skip
    sending = Sending(model or "MODEL", settings, clips, response_format)
    patience = ClientSettings(timeout, retries, stop_after=stop_after)
    options = Options(server or "", model, concurrency, deadline, limit, rounds, overwrite, sending, patience)
    chosen = load_template(template)
    if dry_run:
        _print_dry_run(records, out_path, chosen, options)
        return
    _run(records, Files.beside(out_path, cache), chosen, options, as_json)


def _print_dry_run(records: Path, out_path: Path, template, options) -> None:
    from emoreason.annotate.report import first_request, sort_records

    found = sort_records(records, out_path, template, options.limit, options.overwrite)
    print(json.dumps(first_request(records, found, template, options.sending), indent=2, ensure_ascii=False))
    asked = f"{len(found.asks)} of {len(found.records)} records would be asked about, in {sum(map(len, found.asks))} requests or more"
    _say("; ".join(["nothing was sent", asked, *(f"left out {len(ids)}: {reason}" for reason, ids in found.left_out.items())]))


def _say(line: str) -> None:
    """A line on stderr, as it is."""
    err.print(line, markup=False, highlight=False, soft_wrap=True)


def _run(records: Path, files, template, options, as_json: bool) -> None:
    from rich.progress import Progress

    from emoreason.annotate.report import annotate as annotate_records

    with Progress(transient=True, console=err, disable=not err.is_terminal) as bar:
        task = bar.add_task(template.name, total=None)
        report = annotate_records(records, files, template, options, lambda done, total: bar.update(task, completed=done, total=total))
    if as_json:
        print(json.dumps(report))
    else:
        out.print(_table(report, files.out.name))
    if report["stopped"] == "interrupted":
        _say("what was answered is kept")
        raise KeyboardInterrupt
    if report["stopped"]:
        _say(f"stopped: {report['stopped']}; {report['not_reached']} records were not reached, and the same command goes on there")
        raise typer.Exit(1)


def _told(text: str) -> str:
    """What a model or a server wrote, for a terminal: no codes that it would obey, no markup, and not too long."""
    shown = "".join(sign if sign.isprintable() else " " for sign in text)
    return escape(shown if len(shown) <= 300 else f"{shown[:300]}...")


def _table(report: dict, name: str) -> Table:
    table = Table("", Column("records", justify="right"), Column("e.g.", overflow="fold"), title=escape(f"{report['template']}, {report['model']}"))
    table.add_row(escape(f"kept, in {name}"), str(report["kept"]), f"{report['records_written']} written")
    for title, key in (("left out", "left_out"), ("rejected", "rejected"), ("no answer", "failed")):
        for reason, one in report[key].items():
            table.add_row(_told(f"{title}: {reason}"), str(one["records"]), "\n".join(map(_told, one["examples"])))
    if report["not_reached"]:
        table.add_row("not reached", str(report["not_reached"]), _told(report["stopped"]))
    table.add_row("in all", str(report["records"]), f"{report['beyond_limit']} beyond --limit" if report["beyond_limit"] else "", end_section=True)
    answers, requests, tokens = report["answers"], report["requests"], report["tokens"]
    table.add_row("answers", "", f"{answers['from_server']} from the server, {answers['from_cache']} from the cache")
    table.add_row("requests", "", f"{requests['sent']} sent, {requests['retries']} of them repeats; {report['requests_a_second']:.2f} a second")
    table.add_row("tokens", "", f"{tokens['prompt']:,} read, {tokens['completion']:,} written")
    table.add_row("seconds", "", f"{report['seconds']:.1f}")
    for key in ("kept_by_round", "agreement"):
        if report[key]:
            table.add_row(key.replace("_", " "), "", ", ".join(f"{one}: {count}" for one, count in report[key].items()))
    return table
