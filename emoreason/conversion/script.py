"""The command line of every script in data_prep/: SOURCE to OUT, row by row, with an account of all of them.

Streams: what is held of the data set is its ids. Files appear under their names when they are whole.
"""

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import Any, NoReturn

from pydantic import TypeAdapter, ValidationError
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from emoreason import __version__
from emoreason.conversion.account import Account
from emoreason.conversion.card import Card
from emoreason.conversion.faults import BadRow, LeftOut
from emoreason.conversion.source import MEDIA_LINK, Source
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.files import write_json
from emoreason.record_media import media_uses
from emoreason.records import Record
from emoreason.schema import describe, dotted

Read = Callable[[Source], Iterable[Row]]
ToRecords = Callable[[Row, Source], Record | Iterable[Record]]
RECORDS, FAULTS, ACCOUNT = "records.jsonl", "faults.jsonl", "conversion.json"
ROWS_BETWEEN_UPDATES = 1000
BUFFER_BYTES = 1 << 20


_RECORD = TypeAdapter(Record)


class _Stopped(Exception):
    """--strict met its first bad row."""


def main(card: Card, read: Read, to_records: ToRecords, doc: str, add_options: Callable[[argparse.ArgumentParser], None] | None = None) -> NoReturn:
    """Run a script: parse the arguments, convert, print the account, exit.

    `read` yields the rows of annotation, `to_records` makes the record or records of one, or raises `LeftOut` or `BadRow`.
    `add_options` adds arguments of the script's own, which are in `source.options`.

    Exits with 0; 1 when more than --max-bad-share of the rows are bad, or the first one with --strict; 2 for the user's mistakes.
    """
    arguments = _parser(card, doc, add_options).parse_args()
    out, err = Console(), Console(stderr=True)
    try:
        source = Source(
            arguments.source, card, media_dir=arguments.media, splits=arguments.split, keep_missing=arguments.missing_media == "keep",
            probe_sound=arguments.probe_sound, options=arguments,
        )  # fmt: skip
        account = convert(source, arguments.out, read, to_records, strict=arguments.strict, copy_media=arguments.copy_media, console=err)
    except _Stopped as stopped:
        err.print(f"{stopped}\n--strict stops here; nothing was written", markup=False, highlight=False, soft_wrap=True)
        sys.exit(1)
    except UserError as error:
        for fault in error.faults:
            err.print(fault, markup=False, highlight=False, soft_wrap=True)
        sys.exit(2)
    except KeyboardInterrupt:
        err.print("stopped; nothing was written")
        sys.exit(130)
    out.print(account.as_table(source))
    if account.bad_share > arguments.max_bad_share:
        err.print(f"{account.bad_share:.1%} of the rows are bad, more than --max-bad-share {arguments.max_bad_share:g}; the good ones are written")
        sys.exit(1)
    sys.exit(0)


def convert(source: Source, out: Path, read: Read, to_records: ToRecords, *, strict: bool = False, copy_media: bool = False,
            console: Console | None = None) -> Account:  # fmt: skip
    """Write records.jsonl, a file for each split, faults.jsonl and conversion.json into `out`; what became of the rows.

    Raises:
        UserError: what is missing or unreadable as a whole, or no row gave a record.
    """
    account = Account()
    used_media: dict[str, None] = {}
    with _Writer(out) as writer:

        def mark_bad(where: str, fault: BadRow) -> None:
            if strict:
                raise _Stopped(f"{where}: {fault}")
            account.mark_bad(where, fault)
            writer.write_fault({"where": where, "reason": fault.reason, "found": str(fault)})

        source.report, source.made_dir = mark_bad, writer.made_dir
        seen: set[str] = set()
        for row in _counted(read(source), console):
            try:
                records = _records_of(row, source, to_records, seen)
            except LeftOut as left:
                account.leave_out(left.reason)
            except BadRow as fault:
                mark_bad(row.where, fault)
            else:
                account.keep(records)
                for record in records:
                    writer.write(record)
                    if copy_media:
                        used_media.update(dict.fromkeys(use.path for use in media_uses(record)))
        if not account.num_records:
            raise UserError([f"{source.root}: {account.num_rows} rows gave no record", *account.first_bad,
                             *(f"{count} left out: {reason}" for reason, count in account.left_out.items())])  # fmt: skip
        writer.flush()
        _place_media(source, out, used_media if copy_media else None)
        outputs = writer.finish()
        write_json(out / ACCOUNT, {"data_set": vars(source.card), "emoreason": __version__, **account.as_json(source), "outputs": outputs})
    return account


def _records_of(row: Row, source: Source, to_records: ToRecords, seen: set[str]) -> list[Record]:
    """The records of a row, of the splits that were asked for, with ids that are new."""
    try:
        made = to_records(row, source)
        records = [made] if isinstance(made, Record) else list(made)
    except ValidationError as error:
        faults = describe(error, Record)
        location = dotted(faults[0][0])
        raise BadRow(f"{location or 'record'} is not accepted", "; ".join(f"{dotted(place)}: {text}" for place, text in faults)) from error
    except BadRow:
        raise
    except UserError as error:
        raise BadRow("a value is not accepted", str(error)) from error
    kept = [record for record in records if source.wants(record.split)] if source.splits else records
    if not kept:
        raise LeftOut("of another split" if records else "nothing to learn from")
    ids = [record.id for record in kept]
    if len(set(ids)) < len(ids) or not seen.isdisjoint(ids):
        twice = next(name for place, name in enumerate(ids) if name in seen or name in ids[:place])
        raise BadRow("an id stands twice", f"id {twice!r} stood above already; ids are unique")
    seen.update(ids)
    return kept


class _Writer:
    """Records and faults as they come, under names of their own until all is whole."""

    def __init__(self, out: Path):
        self.out, self._files, self._digests, self._names = out, {}, {}, {}

    def __enter__(self) -> "_Writer":
        try:
            self.out.mkdir(parents=True, exist_ok=True)
            self._folder = Path(tempfile.mkdtemp(dir=self.out, prefix=".tmp_"))
        except OSError as error:
            raise UserError(f"{self.out}: cannot be written: {error.strerror or error}") from error
        return self

    @property
    def made_dir(self) -> Path:
        """Of pictures that the script makes, until all is whole."""
        return self._folder / MEDIA_LINK

    def __exit__(self, *_: Any) -> None:
        for file in self._files.values():
            with suppress(OSError):  # what could not be written is told already, and its file goes
                file.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def write(self, record: Record) -> None:
        line = _RECORD.dump_json(record, exclude_defaults=True) + b"\n"
        self._write(RECORDS, line)
        if record.split not in self._names:
            self._names[record.split] = f"{_file_name(record.split)}.jsonl"
        self._write(self._names[record.split], line)

    def write_fault(self, fault: dict[str, str]) -> None:
        self._write(FAULTS, json.dumps(fault, ensure_ascii=False).encode("utf-8", "backslashreplace") + b"\n")

    def _write(self, name: str, line: bytes) -> None:
        try:
            if name not in self._files:
                self._files[name], self._digests[name] = (self._folder / name).open("wb", buffering=BUFFER_BYTES), hashlib.sha256()
            self._files[name].write(line)
        except OSError as error:
            raise self._full(error) from error
        self._digests[name].update(line)

    def flush(self) -> None:
        """Have all that was written on the disk, while nothing beside it is touched yet."""
        try:
            for file in self._files.values():
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise self._full(error) from error

    def finish(self) -> dict[str, str]:
        """{file: SHA-256} of what now stands under its own name; files of an earlier conversion that this one has not made are gone."""
        try:
            earlier = _outputs_of_earlier(self.out)
            for name in self._files:
                (self._folder / name).replace(self.out / name)
            for name in earlier - self._files.keys():
                (self.out / name).unlink(missing_ok=True)
        except OSError as error:
            raise self._full(error) from error
        return {name: digest.hexdigest() for name, digest in self._digests.items()}

    def _full(self, error: OSError) -> UserError:
        return UserError(f"{self.out}: cannot be written: {error.strerror or error}; free some space or choose another folder")


def _outputs_of_earlier(out: Path) -> set[str]:
    """The files that the conversion before wrote into the folder, by its account."""
    try:
        outputs = json.loads((out / ACCOUNT).read_text(encoding="utf-8"))["outputs"]
        return {name for name in outputs if "/" not in name and name.endswith(".jsonl")}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _file_name(split: str) -> str:
    if not split.replace("_", "").replace("-", "").isalnum() or split == "records" or split == "faults":
        raise UserError(f"split {split!r} cannot name a file; accepted: letters, digits, _ and -, and neither records nor faults")
    return split


def _place_media(source: Source, out: Path, copied: Iterable[str] | None) -> None:
    """`media` in the folder of the records: the pictures that were made, or a link to the media folder, or copies of these files of it."""
    if not source.media_found and not source.keep_missing:
        return
    place = out / MEDIA_LINK
    try:
        if place.is_symlink():
            place.unlink()
        if source.made_dir is not None and source.made_dir.is_dir():
            shutil.copytree(source.made_dir, place, copy_function=os.replace, dirs_exist_ok=True)
        elif copied is not None:
            for path in copied:
                (out / path).parent.mkdir(parents=True, exist_ok=True)
                original = source.media_dir / path.removeprefix(f"{MEDIA_LINK}/")
                if original.exists():  # rows whose file is not there may be kept
                    shutil.copyfile(original, out / path)
        elif place.exists():
            raise UserError(f"{place}: there is a folder already, with copies; remove it, or give --copy-media")
        else:
            target = os.path.relpath(source.media_dir.resolve(), out.resolve())
            place.symlink_to(target, target_is_directory=True)
    except OSError as error:
        raise UserError(f"{place}: media cannot be put there: {error.strerror or error}; --copy-media copies them instead of linking") from error


def _counted(rows: Iterable[Row], console: Console | None) -> Iterator[Row]:
    """The rows, with how many there were so far on a terminal."""
    shown = console is not None and console.is_terminal
    columns = (SpinnerColumn(), TextColumn("{task.completed:,} rows"), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True) if shown else nullcontext() as progress:
        task = progress.add_task("", total=None) if progress else None
        for number, row in enumerate(rows, start=1):
            if progress and number % ROWS_BETWEEN_UPDATES == 0:
                progress.update(task, completed=number)
            yield row


def count(text: str) -> int:
    """An argument of a script's own that is a whole number from 1 on, for argparse's `type`."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r}; accepted: a whole number from 1 on")
    return int(text)


def _parser(card: Card, doc: str, add_options: Callable[[argparse.ArgumentParser], None] | None) -> argparse.ArgumentParser:
    facts = f"access: {card.access}\nlicence: {card.licence}\nlabels: {card.labels}\nsplits: {card.splits}\nverified: {card.verified}"
    unsure = f"\nunsure: {card.inferred}" if card.inferred else ""
    epilog = f"{card.title}\n{facts}{unsure}\ncitation: {card.citation}\nsee: {card.url}"
    parser = argparse.ArgumentParser(description=doc, epilog=epilog, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path, metavar="SOURCE", help="the folder that you downloaded, unpacked")
    parser.add_argument("out", type=Path, metavar="OUT", help=f"the folder for {RECORDS}, a file a split, {FAULTS} and {ACCOUNT}")
    parser.add_argument("--split", action="append", default=[], metavar="NAME", help="only this split; may be given again")
    parser.add_argument("--media", type=Path, metavar="DIR", help="the folder of pictures, clips and sounds, where it is not SOURCE")
    parser.add_argument("--copy-media", action="store_true", help=f"copy the files that records name to OUT/{MEDIA_LINK} instead of linking there")
    parser.add_argument("--missing-media", choices=("drop", "keep"), default="drop", help="a row whose file is not there is bad (drop), or kept")
    parser.add_argument("--probe-sound", action="store_true", help="open each clip, and say that it is heard only where it has a sound track")
    parser.add_argument("--strict", action="store_true", help="stop at the first bad row and write nothing")
    parser.add_argument("--max-bad-share", type=float, default=0.05, metavar="SHARE", help="of bad rows; beyond it, exit with 1 (default: 0.05)")
    if add_options:
        add_options(parser)
    return parser
