"""A file of records as a file of another framework: two passes over the records, of which one at a time is in memory.

The first finds every fault and counts what the file holds, since one column has one type; the second writes.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import ModuleType
from typing import Any

from emoreason.exports import llama_factory, ms_swift, trl_chat, verl
from emoreason.exports.checking import checked_records
from emoreason.exports.files import WRITERS, MediaMode, Places, check_out, replacing
from emoreason.exports.pictures import is_seen_otherwise
from emoreason.exports.samples import Kind, Sample, Style, samples_of
from emoreason.exports.survey import Survey
from emoreason.faults import UserError, raise_faults
from emoreason.files import sha256, write_json
from emoreason.records import Record, stream_records

FORMATS: dict[str, ModuleType] = {"ms_swift": ms_swift, "llama_factory": llama_factory, "verl": verl, "trl": trl_chat}
MAX_EXAMPLES = 5
Progress = Callable[[str, int, int], None]
"""Called with what is done, and bytes read of how many."""


@dataclass
class Reasons:
    """How often something was the case, and of which records."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, record_id: str) -> None:
        self.counts[reason] += 1
        shown = self.examples.setdefault(reason, [])
        if len(shown) < MAX_EXAMPLES:
            shown.append(record_id)

    def listed(self) -> list[dict[str, Any]]:
        """The most frequent first."""
        return [{"reason": reason, "count": count, "examples": self.examples[reason]} for reason, count in self.counts.most_common()]


@dataclass
class Report:
    """What became of every record: `records` is `exported` and all of `left_out` together."""

    records: int = 0
    exported: int = 0
    rows: int = 0
    left_out: Reasons = field(default_factory=Reasons)
    """Records of which nothing is in the file."""
    rows_left_out: Reasons = field(default_factory=Reasons)
    """Rows, of records that gave others."""
    notes: Reasons = field(default_factory=Reasons)
    """Records whose rows do not say all, and what has to be done about it."""
    how_to_load: str = ""

    def plain(self) -> dict[str, Any]:
        listed = {name: getattr(self, name).listed() for name in ("left_out", "rows_left_out", "notes")}
        return {"records": self.records, "exported": self.exported, "rows": self.rows, **listed, "how_to_load": self.how_to_load}


@dataclass(frozen=True)
class Export:
    """What is exported, as what, and how."""

    records_path: Path
    out: Path
    framework: str
    kind: Kind
    style: Style = field(default_factory=Style)
    media: MediaMode = "relative"

    @property
    def format(self) -> ModuleType:
        return FORMATS[self.framework]

    def check(self) -> None:
        """Refuse what the framework cannot do at all.

        Raises:
            UserError: with what it can.
        """
        title, faults = self.format.TITLE, []
        if self.kind not in self.format.KINDS:
            faults.append(f"--kind {self.kind}: {title} has no such data; accepted: {', '.join(self.format.KINDS)}")
        if self.media == "embed" and not self.format.EMBEDS:
            faults.append(f"--media embed: {title} reads files; accepted: relative, absolute, copy")
        if not self.records_path.is_file():
            faults.append(f"{self.records_path}: no such file (relative paths start at {Path.cwd()})")
        raise_faults(faults)
        check_out(self.out, self.records_path, self.format.SUFFIXES)

    def refusal(self, sample: Sample) -> str | None:
        """Why the framework cannot train on a sample, or None."""
        held = [mark for mark in self.format.PLACEHOLDERS if any(mark in text for text in sample.texts)]
        if held:
            return f"a text says {held[0]}, which {self.format.TITLE} takes for a medium"
        if self.media == "embed" and any(one.kind != "image" for one in sample.media):
            return "clips cannot be embedded, pictures can; use --media copy"
        return self.format.refusal(sample, self.kind)

    def samples(self, record: Record) -> tuple[list[Sample], list[str]]:
        """(Those that the framework can train on, why others are not among them or there is none)."""
        made, why = samples_of(record, self.kind, self.style)
        refused = [(sample, self.refusal(sample)) for sample in made]
        return [sample for sample, reason in refused if reason is None], [why] if why else [reason for _, reason in refused if reason]


def export(job: Export, progress: Progress = lambda what, done, total: None) -> Report:
    """Write the file, what belongs beside it, and `OUT.export.json` with the counts; nothing where no record can be exported.

    Raises:
        UserError: with every fault of the records, media that are not there included.
    """
    job.check()
    survey, report = Survey(), Report()
    for record in checked_records(job.records_path, _adding(progress, "checking", job.records_path)):
        for sample in job.samples(record)[0]:
            survey.add(sample)
    place = Places(job.records_path.parent, job.out, job.media)
    schema = job.format.schema(job.kind, survey, job.media == "embed")
    with replacing(job.out) as temporary:
        with WRITERS[job.out.suffix](temporary, schema) as writer:
            for record in stream_records(job.records_path, [], _adding(progress, "writing", job.records_path)):
                first = report.rows
                for number, sample in enumerate(_counted(job, record, survey, report), start=first):
                    writer.write(job.format.row(sample.placed(place), job.kind, survey, number))
        if writer.late:
            raise UserError(f"{job.out}: {', '.join(writer.late)}: empty in the first 10 MB, from which JSON loaders learn the types of columns; "
                            f"export to {job.out.with_suffix('.parquet').name}, which states them")
        if report.rows:
            _write_beside(job, survey, report)
        else:
            temporary.unlink()
    return report


def _adding(progress: Progress, what: str, path: Path) -> Callable[[int], None]:
    """Takes the characters of each line, and tells how far that is in the file."""
    done, total = 0, path.stat().st_size if path.exists() else 0

    def add(num_chars: int) -> None:
        nonlocal done
        done += num_chars
        progress(what, done, total)

    return add


def _counted(job: Export, record: Record, survey: Survey, report: Report) -> list[Sample]:
    """The samples of a record that go into the file, after all has been counted."""
    made, reasons = job.samples(record)
    unfit = [(sample, survey.refusal(sample)) for sample in made]
    kept = [sample for sample, reason in unfit if reason is None]
    reasons += [reason for _, reason in unfit if reason]
    report.records += 1
    report.exported += bool(kept)
    report.rows += len(kept)
    if kept:
        for reason in reasons:
            report.rows_left_out.add(reason, record.id)
    else:
        report.left_out.add(reasons[0], record.id)
    notes = [note for sample in kept for note in job.format.notes(sample, job.kind)]
    for note in dict.fromkeys([*notes, *_pair_notes(record, kept), *_picture_notes(job, kept)]):
        report.notes.add(note, record.id)
    return kept


def _picture_notes(job: Export, kept: list[Sample]) -> list[str]:
    pictures = {path for sample in kept for one in (*sample.media, *sample.rejected_media) if one.kind == "image" or one.fps for path in one.paths}
    if not any(is_seen_otherwise(job.records_path.parent / path) for path in pictures):
        return []
    done = "it was drawn anew" if job.media in ("copy", "embed") else "--media copy draws it anew"
    return [f"a picture is transparent or turned by EXIF, which not all readers see as here: {done}"]


def _pair_notes(record: Record, kept: list[Sample]) -> list[str]:
    several = ["several rejected answers: a row each"] if sum(not sample.rejected_media for sample in kept) > 1 else []
    weights = record.preference.weights if record.preference and kept[1:] else []
    return several + (["weights of rejected answers: rows count alike"] if len(set(weights)) > 1 else [])


def _write_beside(job: Export, survey: Survey, report: Report) -> None:
    report.how_to_load = job.format.how_to_load(job.out, job.kind, survey)
    if job.framework == "llama_factory":
        llama_factory.write_dataset_info(job.out, job.kind, survey)
    said = {"framework": job.format.TITLE, "kind": job.kind, "media": job.media, "records_file": job.records_path.name,
            "records_sha256": sha256(job.records_path)}  # fmt: skip
    style = {"template": asdict(job.style.template), "prompt": job.style.prompt.model_dump(), "label_space": job.style.label_space,
             "think_from": job.style.think_from}  # fmt: skip
    write_json(job.out.with_name(f"{job.out.name}.export.json"), {**said, **style, **report.plain()})
