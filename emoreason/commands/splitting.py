"""Parts of a records file that share nothing, and what two files share all the same."""

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.markup import escape
from rich.table import Table

from emoreason.commands.terminal import AsJson, err, out
from emoreason.faults import UserError

MAX_LABELS = 30
"""That the table shows a row each; splits.json has all."""
MAX_SHOWN = 5
"""Pairs of a kind that `leaks` prints."""


def split(
    records: Annotated[Path, typer.Argument(metavar="RECORDS", help="A records file (JSON Lines).", show_default=False)],
    folder: Annotated[Path, typer.Option("--out", metavar="DIR", help="Where the parts are written.", show_default=False)],
    shares: Annotated[str | None, typer.Option(metavar="NAME=SHARE,...", help="Parts and their shares, e.g. train=0.8,val=0.1,test=0.1.")] = None,
    folds: Annotated[int | None, typer.Option(metavar="K", min=2, help="Instead, K folds of cross-validation: foldN_train, foldN_test.")] = None,
    keep: Annotated[bool, typer.Option("--keep", help="Instead, as `split` of the records says; with --folds, as `fold` says.")] = False,
    by: Annotated[list[str] | None, typer.Option(
        metavar="FIELD", help="What must not be on both sides; give it again for more. Else group.", show_default=False)] = None,
    stratify: Annotated[str, typer.Option(metavar="FIELD", help="What all parts have in equal shares; `none` for nothing.")] = "label",
    seed: Annotated[int, typer.Option(help="Another seed, another division.", min=0)] = 0,
    resplit: Annotated[bool, typer.Option("--resplit", help="Divide anew what has official splits or folds.")] = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Divide records into parts that share no group and no media file, with the labels in equal shares.

    Records of one group (speaker, subject, dialogue) stay together, and so do
    records that show one media file, whatever their groups: two groups that share a file are one block, and
    so are groups of one name in two datasets. The same seed gives the same parts,
    in whatever order the records stand. Fields are named as in a record, e.g.
    group, attributes.dialogue, target.labels; `label` is short for target.label.

    Writes DIR/NAME.jsonl with `split` set (and `fold`, with --folds) and
    DIR/splits.json: counts, groups and labels of each part, the seed, the hash of
    the input. Where DIR is not the folder of the records, DIR/media/0 is a link
    to it. Nothing is overwritten but what an earlier split has written. A record
    whose split changes keeps the old one in attributes.official_split.

    Example: emoreason split data/records.jsonl --out data --shares train=0.8,val=0.1,test=0.1

    Example: emoreason split data/records.jsonl --out data/folds --folds 5 --by group --by attributes.dialogue --seed 1

    Example: emoreason split data/records.jsonl --out data/official --keep
    """
    from emoreason.split_files import Wish, write_splits
    from emoreason.splits import parse_shares

    if (shares is not None) + (folds is not None and not keep) + keep != 1:
        raise UserError("give one of --shares, --folds and --keep; only --keep and --folds go together")
    field = {"none": None, "label": "target.label", "labels": "target.labels"}.get(stratify, stratify)
    wish = Wish(parse_shares(shares) if shares is not None else None, folds, keep, resplit, tuple(by or ["group"]), field, seed)
    summary = write_splits(records, folder, wish)
    if as_json:
        import json

        print(json.dumps(summary, ensure_ascii=False))
        return
    for table in _split_tables(summary):
        out.print(table)
    from emoreason.show import printable

    for note in summary["notes"]:
        err.print(f"note: {printable(note)}", markup=False, highlight=False, soft_wrap=True)
    out.print(f"wrote {', '.join(summary['files'])} and splits.json in {folder}", markup=False, highlight=False, soft_wrap=True)


def _split_tables(summary: dict) -> list[Table]:
    from emoreason.show import printable

    parts, total = summary["parts"], summary["num_records"]
    word = "fold" if summary["folds"] else "part"
    blocks = f"{summary['num_groups']} groups" + (f" in {summary['num_blocks']} blocks" if summary["num_joined_groups"] else "")
    table = Table(word, "records", "share", "wished", "blocks", "distance of labels", title=f"{total} records, {blocks}")
    for name, part in parts.items():
        wished = "-" if part["wished_share"] is None else f"{part['wished_share']:.1%}"
        figures = (str(part["num_records"]), f"{part['share']:.1%}", wished, str(part["num_blocks"]), f"{part['label_distance']:.1%}")
        table.add_row(escape(name), *figures)
    labels = next(iter(parts.values()))["labels"]
    if summary["stratify"] is None or len(labels) > MAX_LABELS:
        return [table]
    shown = Table(summary["stratify"], "all", *map(escape, parts))
    for label in labels:
        counts = [part["labels"][label] for part in parts.values()]
        shares = (f"{count} ({count / max(sum(part['labels'].values()), 1):.1%})" for count, part in zip(counts, parts.values(), strict=True))
        shown.add_row(escape(printable(label)), str(sum(counts)), *shares)
    return [table, shown]


def leaks(
    train: Annotated[Path, typer.Argument(metavar="TRAIN", help="Records that are trained on.", show_default=False)],
    tests: Annotated[list[Path], typer.Argument(metavar="TEST...", help="Records that are tested on; each file is compared.", show_default=False)],
    images_at_most: Annotated[int, typer.Option(metavar="BITS", help="Of 64, by which pictures may differ.", min=0, max=24)] = 8,
    flips: Annotated[bool, typer.Option("--flips", help="Mirror images are alike, too.")] = False,
    text_at_least: Annotated[int, typer.Option(
        metavar="LETTERS", help="Shorter transcripts are no leak; a Chinese or Japanese character counts three.", min=1)] = 24,
    skip: Annotated[list[str] | None, typer.Option(metavar="KIND", help="Leave a kind out; again for more. Kinds: see above.")] = None,
    no_media: Annotated[bool, typer.Option("--no-media", help="Open no media: ids, groups and texts alone.")] = False,
    workers: Annotated[int | None, typer.Option(help="Processes that read media; else one a core.", min=1, show_default=False)] = None,
    cache: Annotated[Path | None, typer.Option(
        metavar="DIR", help="Where fingerprints are kept, by content; else ~/.cache/emoreason.", show_default=False)] = None,
    no_cache: Annotated[bool, typer.Option("--no-cache", help="Keep no fingerprints.")] = False,
    report: Annotated[Path | None, typer.Option("--out", metavar="leaks.jsonl", help="Write every leak, a JSON object a line.")] = None,
    clean: Annotated[Path | None, typer.Option("--write-clean", metavar="PATH", help="Write TRAIN without the records that leak.")] = None,
    keep_likely: Annotated[bool, typer.Option("--keep-likely", help="With --write-clean, drop only what certainly leaks.")] = False,
    strict: Annotated[bool, typer.Option("--strict", help="End with 1 over likely leaks, too.")] = False,
    as_json: AsJson = False,
) -> None:  # fmt: skip
    """Find what a test set shares with a training set, and end with 1 over a certain leak.

    Certain: id and group (in one dataset), clip_id (a clip of a published set
    that ids or paths name), file (the same bytes), text_record (the same text,
    without media).

    Likely: id and group (in two datasets, where it is no mere number or word),
    alike_id (but for case, zeros, extension, a split's name), picture (encoded
    again, resized), clip (8 frames, length and sound agree), sound (encoded
    again, louder, a part of the other), text (the same transcript).

    One colour, silence, and sounds of less than 1.2 s have no fingerprint and are
    counted. Sets that are known to share clips are named with what to do, by
    `dataset` of the records. Pictures that are cropped by 2 % a side or more are
    not found.

    Example: emoreason leaks data/train.jsonl data/test.jsonl

    Example: emoreason leaks mer2025.jsonl emer.jsonl --out leaks.jsonl --write-clean clean.jsonl
    """
    import json

    from rich.progress import Progress

    from emoreason.leaks.report import Comparison, check_outputs, compare, write_clean, write_report
    from emoreason.leaks.store import default_folder

    check_outputs(train, tests, report, clean)
    search = _search(images_at_most, flips, text_at_least, skip or [])
    folder = None if no_cache else cache or default_folder()
    with Progress(transient=True, console=err, disable=not err.is_terminal) as bar:

        def start(what: str, total: int):
            task = bar.add_task(what, total=total)
            return lambda: bar.advance(task)

        found: Comparison = compare(train, tests, search, not no_media, workers or num_cores(), folder, start)
    summary = found.summary()
    if report is not None:
        write_report(found, report)
    if clean is not None:
        summary["clean"] = write_clean(found, clean, keep_likely)
    if as_json:
        print(json.dumps(summary, ensure_ascii=False))
    else:
        _print_leaks(found, summary)
    if summary["num_certain"] or (strict and summary["num_likely"]):
        raise typer.Exit(1)


def num_cores() -> int:
    """Cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _search(bits: int, mirrored: bool, min_text: int, skip: list[str]):
    from emoreason.faults import did_you_mean
    from emoreason.leaks.search import KINDS, Search

    if unknown := [kind for kind in skip if kind not in KINDS]:
        raise UserError([f"--skip {kind}: no kind of leak{did_you_mean(kind, KINDS)}" for kind in unknown])
    return Search(bits, mirrored, min_text, frozenset(KINDS) - set(skip))


def _print_leaks(found, summary: dict) -> None:
    from emoreason.leaks.search import KINDS
    from emoreason.show import printable

    title = f"{escape(summary['train']['file'])}: {summary['train']['num_records']} records"
    table = Table("test", "leak", "", "leaks", "training records", "test records", title=title)
    for test in summary["tests"]:
        for row in test["kinds"]:
            level = "[red]certain[/red]" if row["certain"] else "likely"
            table.add_row(escape(test["file"]), KINDS[row["kind"]], level, *(str(row[name]) for name in ("num_leaks", "num_train", "num_test")))
        total = (str(test[name]) for name in ("num_leaks", "num_train", "num_test"))
        table.add_row(escape(test["file"]), f"in all, of {test['num_records']} test records", "", *total, end_section=True)
    out.print(table)
    for line in found.first_pairs(MAX_SHOWN):
        out.print(printable(line), markup=False, highlight=False, soft_wrap=True)
    if summary["known_overlaps"]:
        known = Table("train", "test", "share", "how", "what to do", "reference", title="Sets that are known to overlap")
        for row in summary["known_overlaps"]:
            known.add_row(*(escape(printable(row[name])) for name in ("train", "test", "shared", "what", "do", "reference")))
        out.print(known)
    for note in found.notes():
        err.print(f"note: {printable(note)}", markup=False, highlight=False, soft_wrap=True)
    if "clean" in summary:
        told = summary["clean"]
        out.print(f"wrote {told['file']}: {told['num_kept']} of {told['num_records']} records; {told['num_certain']} leak certainly, "
                  f"{told['num_likely']} more likely, {told['num_dropped']} are left out", markup=False, highlight=False, soft_wrap=True)  # fmt: skip
