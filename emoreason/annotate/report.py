"""`annotate`: records in, records out, and a report in which every record that came in stands somewhere."""

import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from emoreason.annotate.answers import cleaned
from emoreason.annotate.asking import Ask, Sending, asks_of, missing_needs, request_body, shown_body
from emoreason.annotate.cache import AnswerCache
from emoreason.annotate.client import ChatClient, ClientSettings
from emoreason.annotate.filling import occupied
from emoreason.annotate.filters import FILTERS
from emoreason.annotate.loop import Work, find_model, run_work
from emoreason.annotate.templates import AnnotationTemplate
from emoreason.faults import UserError
from emoreason.files import write_json, write_jsonl
from emoreason.records import Record, read_records

_NUM_EXAMPLES = 3


@dataclass(frozen=True)
class Files:
    """Where a run writes."""

    out: Path
    cache: Path
    rejected: Path
    report: Path

    @classmethod
    def beside(cls, out: Path, cache: Path | None = None) -> "Files":
        """`labels.jsonl` with `labels.cache.jsonl`, `labels.rejected.jsonl` and `labels.report.json` beside it."""
        stem = out.name.removesuffix(".jsonl")
        names = (f"{stem}.{kind}" for kind in ("cache.jsonl", "rejected.jsonl", "report.json"))
        beside_out = [out.with_name(name) for name in names]
        return cls(out, cache or beside_out[0], *beside_out[1:])


@dataclass(frozen=True)
class Options:
    """What a command line may change."""

    server: str
    model: str | None = None
    concurrency: int = 8
    deadline_s: float | None = None
    limit: int | None = None
    rounds: int | None = None
    overwrite: bool = False
    sending: Sending = field(default_factory=lambda: Sending(""))
    client: ClientSettings = field(default_factory=ClientSettings)


@dataclass
class Sorted:
    """The records of a file, and which of them are asked about."""

    records: list[Record]
    """Those within the limit."""
    num_beyond_limit: int
    asks: list[list[Ask]]
    left_out: dict[str, list[str]]
    """Ids by reason."""


def sort_records(records_path: Path, out: Path, template: AnnotationTemplate, limit: int | None, overwrite: bool) -> Sorted:
    """Which records are asked about, with the texts of each request; nothing is sent.

    Raises:
        UserError: faults of the file, a text that cannot be rendered, media that OUT could not name.
    """
    records = read_records(records_path)
    chosen = records[:limit]
    left_out: dict[str, list[str]] = {}
    asks = []
    for record in chosen:
        found = None if (reason := _reason(record, template, overwrite)) else asks_of(record, template)
        if found is not None and template.each == "modality" and len(found) < template.min_modalities:
            reason = f"has fewer than {template.min_modalities} modalities"
        if reason:
            left_out.setdefault(reason, []).append(record.id)
        else:
            asks.append(found)
    if any(record.media.kinds for record in chosen):
        folder_between(records_path, out)
    return Sorted(chosen, len(records) - len(chosen), asks, left_out)


def _reason(record: Record, template: AnnotationTemplate, overwrite: bool) -> str | None:
    """Why the record is left out before anything is asked, or None."""
    if missing := missing_needs(record, template):
        return f"lacks {', '.join(missing)}"
    held = [] if overwrite else occupied(record, template)
    return f"has {', '.join(held)} already; --overwrite asks anew" if held else None


def folder_between(records_path: Path, out: Path) -> str:
    """The path from OUT's folder down to that of the records, by which OUT names their media; empty where they are the same.

    Raises:
        UserError: the records do not lie in OUT's folder or below it.
    """
    above, below = out.parent.resolve(), records_path.parent.resolve()
    if not below.is_relative_to(above):
        where = f"accepted: OUT in {records_path.parent} or a folder above it"
        raise UserError(f"{out}: media are named by paths inside the folder of a records file; {where}")
    return "" if above == below else below.relative_to(above).as_posix()


def check_files(records_path: Path, files: Files) -> None:
    """Refuse to write over what no run of `annotate` has written.

    Raises:
        UserError: OUT is one of the files that are read, or is there without a report beside it.
    """
    names = {path.resolve() for path in asdict(files).values()}
    if records_path.resolve() in names:
        raise UserError(f"{files.out}: would write over the records that are read; give another name")
    if files.cache.resolve() in {path.resolve() for path in (files.out, files.rejected, files.report)}:
        raise UserError(f"--cache {files.cache}: is written as something else; give another name")
    if files.out.is_dir():
        raise UserError(f"{files.out}: a folder; give the name of a file, as labels.jsonl")
    if files.out.exists() and not files.report.exists():
        raise UserError(f"{files.out}: is there already without {files.report.name}, so it is not this command's; give another name or move it away")


def first_request(records_path: Path, found: Sorted, template: AnnotationTemplate, sending: Sending) -> dict[str, Any]:
    """The first request as it would be sent, its media told by type and size.

    Raises:
        UserError: nothing would be asked, or its media cannot be read.
    """
    if not found.asks:
        raise UserError(f"{records_path}: no record would be asked about: " + "; ".join(f"{len(ids)}: {why}" for why, ids in found.left_out.items()))
    return shown_body(request_body(found.asks[0][0], records_path.parent, template, sending))


def annotate(
    records_path: Path, files: Files, template: AnnotationTemplate, options: Options, progress: Callable[[int, int], None] = lambda done, total: None
) -> dict[str, Any]:
    """The report, after OUT, rejected.jsonl and report.json are written; `stopped` in it says why some records were not reached.

    Raises:
        UserError: faults of the files or the template, a server that is not there, not for us, or without the model.
    """
    check_files(records_path, files)
    found = sort_records(records_path, files.out, template, options.limit, options.overwrite)
    cache = AnswerCache(files.cache)
    client = ChatClient(options.server, options.client)
    start = time.monotonic()
    model = find_model(client, options.model, options.deadline_s) if found.asks else options.model or ""
    sending = replace(options.sending, model=model)
    rounds = options.rounds or template.rounds
    left_s = None if options.deadline_s is None else max(options.deadline_s - (time.monotonic() - start), 0.0)
    work = Work(found.asks, records_path.parent, template, sending, cache, rounds, options.concurrency, left_s, progress)
    run_work(work, client)
    report = report_of(found, work, client, time.monotonic() - start)
    _write(records_path, files, work, report)
    return report


def report_of(found: Sorted, work: Work, client: ChatClient, seconds: float) -> dict[str, Any]:
    """The counts of a run; `records` is the sum of kept, left out, rejected, failed and not reached."""
    by_state: dict[str, list] = {}
    for asks, outcome in zip(work.asks, work.outcomes, strict=True):
        by_state.setdefault(outcome.state, []).append((asks[0].record.id, outcome))
    left_out = dict(found.left_out)
    for record_id, outcome in by_state.get("unreadable", []):
        left_out.setdefault("media cannot be read", []).append(f"{record_id}: {outcome.reason}")
    failed: dict[str, list[str]] = {}
    for record_id, outcome in by_state.get("failed", []):
        failed.setdefault(outcome.reason, []).append(record_id)
    counts, kept = work.counts, by_state.get("kept", [])
    report = {
        "template": work.template.name, "template_sha256": work.template.digest, "model": work.sending.signature, "rounds": work.rounds,
        "records": len(found.records), "beyond_limit": found.num_beyond_limit, "kept": len(kept),
        "records_written": sum(len(outcome.records) for _, outcome in kept), "left_out": _counted(left_out),
        "rejected": _rejected(by_state.get("rejected", []), counts.rejected_answers), "failed": _counted(failed),
        "not_reached": len(by_state.get("not reached", [])), "stopped": work.stopped,
        "kept_by_round": _tally(str(outcome.num_rounds) for _, outcome in kept),
        "agreement": _tally(outcome.agreement for _, outcome in kept if outcome.agreement),
        "answers": {"from_cache": counts.num_from_cache, "from_server": counts.num_answered},
        "requests": {"sent": client.num_sent, "retries": client.num_retries},
        "tokens": {"prompt": counts.prompt_tokens, "completion": counts.completion_tokens},
        "seconds": round(seconds, 3), "requests_a_second": round(client.num_sent / seconds, 3) if seconds else 0.0,
    }  # fmt: skip
    parts = [one["records"] for name in ("left_out", "rejected", "failed") for one in report[name].values()]
    told = report["kept"] + report["not_reached"] + sum(parts)
    assert told == report["records"], (told, report)
    return report


def _rejected(outcomes: list, num_answers: dict[str, int]) -> dict[str, dict]:
    """By filter: records whose last answer it was the first to reject, answers of all rounds that it found fault with, examples."""
    found: dict[str, list[str]] = {}
    for record_id, outcome in outcomes:
        found.setdefault(outcome.problems[0].filter, []).append(f"{record_id}: {outcome.problems[0].text}")
    names = [name for name in FILTERS if name in found or name in num_answers]
    return {name: {**_counted({name: found.get(name, [])})[name], "answers": num_answers.get(name, 0)} for name in names}


def _counted(ids: dict[str, list[str]]) -> dict[str, dict]:
    return {reason: {"records": len(names), "examples": names[:_NUM_EXAMPLES]} for reason, names in ids.items()}


def _tally(values: Iterable[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for value in values:
        found[value] = found.get(value, 0) + 1
    return dict(sorted(found.items()))


def _write(records_path: Path, files: Files, work: Work, report: dict[str, Any]) -> None:
    """The report first, since it is what says that OUT is ours."""
    between = folder_between(records_path, files.out) if any(one.media.kinds for outcome in work.outcomes for one in outcome.records) else ""
    records = [record.below(between) if between else record for outcome in work.outcomes for record in outcome.records]
    rejected = [
        {"id": asks[0].record.id, "rounds": outcome.num_rounds, "problems": [one._asdict() for one in outcome.problems], "answers": outcome.answers}
        for asks, outcome in zip(work.asks, work.outcomes, strict=True) if outcome.state == "rejected"
    ]  # fmt: skip
    write_json(files.report, cleaned(report))
    write_jsonl(files.out, (cleaned(record.model_dump(mode="json", exclude_defaults=True)) for record in records))
    write_jsonl(files.rejected, (cleaned(row) for row in rejected))
