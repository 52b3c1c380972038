"""The folder that the user downloaded: its annotation files, and its media by the paths that records will have."""

from argparse import Namespace
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, Literal

from emoreason.conversion import tables
from emoreason.conversion.card import Card
from emoreason.conversion.cells import relative_path
from emoreason.conversion.faults import BadRow
from emoreason.conversion.inspection import inspected
from emoreason.conversion.media_folder import MediaFolder, check_inside
from emoreason.conversion.tables import Row
from emoreason.faults import UserError
from emoreason.records import Record

MEDIA_LINK = "media"
"""The name in the records' folder under which the source's media are found."""


class Source:
    """The source folder, read only. Every file that is opened is hashed; no path leads out of it.

    `options` are the script's own arguments, `splits` those that the user asked for (empty: all).
    """

    def __init__(self, root: Path, card: Card, *, media_dir: Path | None = None, splits: Iterable[str] = (), keep_missing: bool = False,
                 probe_sound: bool = False, options: Namespace | None = None):  # fmt: skip
        self.root, self.card, self.media_dir = _folder(root), card, _folder(media_dir or root)
        self.splits, self.keep_missing, self.probe_sound, self.options = tuple(splits), keep_missing, probe_sound, options or Namespace()
        self.inputs: dict[str, dict[str, Any]] = {}
        """{file: its SHA-256, bytes and encoding}"""
        self.not_there: list[str] = []
        """Annotation files that were looked for in vain and can be done without."""
        self.media_found: Counter[str] = Counter()
        self.media_missing: Counter[str] = Counter()
        self.report: tables.Report = _refuse
        """Takes a line that is no row, with where it stands."""
        self.made_dir: Path | None = None
        """Where pictures are written that annotation files hold as numbers; see `pictures.make_picture`."""
        self._media = MediaFolder(self.media_dir)

    # Annotation files.

    def wants(self, split: str) -> bool:
        """Whether the user asked for this split."""
        return not self.splits or split in self.splits

    def file(self, *candidates: str) -> Path:
        """The first of these files that is there; paths relative to the source, `*` allowed in them.

        Raises:
            UserError: none is.
        """
        found = self.optional(*candidates)
        if found is None:
            raise UserError(f"{self.root}: no {' nor '.join(candidates)}; give the folder that holds it (see --help)")
        return found

    def optional(self, *candidates: str) -> Path | None:
        """The same, or None; the account lists it as not there."""
        for candidate in candidates:
            if found := self.files(candidate):
                return found[0]
        self.not_there.append(candidates[0])
        return None

    def files(self, pattern: str) -> list[Path]:
        """All files of this pattern (`*`, `**`), sorted by name.

        Raises:
            UserError: one is a link that leads out of the source.
        """
        found = [path for path in sorted(self.root.glob(pattern)) if path.is_file()]
        for path in found:
            check_inside(path, self.root)
        return found

    def csv(self, path: Path, required: Iterable[str], *, delimiter: str = ",", fallback: str | None = None, header: Sequence[str] = ()
            ) -> Iterator[Row]:  # fmt: skip
        """See `tables.csv_rows`; `fallback` is the encoding of files that are not UTF-8, e.g. cp1252."""
        with self._opened(path, fallback) as file:
            yield from tables.csv_rows(file, self.name_of(path), required, self.report, delimiter, header)

    def lines(self, path: Path, *, fallback: str | None = None) -> Iterator[Row]:
        """A row for each line that is not blank, its text in `line`, without the end."""
        with self._opened(path, fallback) as file:
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield Row({"line": line.rstrip("\r\n")}, self.name_of(path), number)

    def objects(self, path: Path, names: Sequence[str] = ()) -> Iterator[Row]:
        """A row for each object of a JSON list or of JSON Lines, whichever it is and however the file is named.

        `names` are the fields of items that are lists instead of objects.
        """
        if tables.is_json_lines(path):
            with self._opened(path) as file:
                yield from tables.json_lines(file, self.name_of(path), self.report)
        else:
            with self._opened_bytes(path) as file:
                yield from tables.json_items(file, self.name_of(path), self.report, names)

    def members(self, path: Path, key: str) -> Iterator[Row]:
        """See `tables.json_members`."""
        with self._opened_bytes(path) as file:
            yield from tables.json_members(file, self.name_of(path), key, self.report)

    def sheet(self, path: Path, required: Iterable[str], sheet: str | None = None, header: Sequence[str] = ()) -> Iterator[Row]:
        """A row for each line of an .xlsx, by the names of its first line or of `header`; the first sheet unless another is named.

        Raises:
            UserError: no spreadsheet, no such sheet, or a column that is missing.
        """
        self.note_input(path)
        yield from tables.table_rows(_sheet_cells(path, self.name_of(path), sheet), self.name_of(path), required, header)

    def parquet(self, path: Path, required: Iterable[str]) -> Iterator[Row]:
        """A row for each of a parquet file, in batches.

        Raises:
            UserError: no parquet, or a column that is missing.
        """
        import pyarrow
        from pyarrow.parquet import ParquetFile

        self.note_input(path)
        name = self.name_of(path)
        try:
            file = ParquetFile(path)
        except (pyarrow.ArrowInvalid, OSError) as error:
            raise UserError(f"{name}: no readable parquet: {error}") from error
        tables.check_header(file.schema_arrow.names, name, required)
        number = 0
        for batch in file.iter_batches(1000):
            for fields in batch.to_pylist():
                number += 1
                yield Row(fields, name, f"row {number}")

    def array(self, path: Path) -> Any:
        """What an .npz, .npy or .mat holds; see `arrays`."""
        from emoreason.conversion import arrays

        self.note_input(path)
        return {".npz": arrays.read_npz, ".npy": arrays.read_npy, ".mat": arrays.read_mat}[path.suffix.lower()](path)

    def text(self, path: Path, *, fallback: str | None = None) -> str:
        """A whole small file."""
        with self._opened(path, fallback) as file:
            return file.read()

    def name_of(self, path: Path) -> str:
        """The path as faults and the account name it: relative to the source."""
        return path.relative_to(self.root).as_posix()

    def note_input(self, path: Path, fallback: str | None = None) -> str:
        """The encoding of a file (`binary` where it is no text), which is hashed on the way.

        Raises:
            UserError: it cannot be read, is a pointer of Git LFS, or is empty.
        """
        name = self.name_of(path)
        if name not in self.inputs:
            self.inputs[name] = inspected(path, name)
        encoding = self.inputs[name]["encoding"]
        if encoding is None and fallback:
            encoding = self.inputs[name]["encoding"] = fallback
        return encoding or "binary"

    # Media.

    def clip(self, *candidates: str, name: str = "video") -> str:
        """The records' path of the first of these clips that is there; a candidate without an ending stands for any of a clip's.

        Raises:
            BadRow: none is there, or it is empty or a pointer of Git LFS.
        """
        return self.medium("video", *candidates, name=name)

    def medium(self, kind: Literal["video", "audio", "image"], *candidates: str, name: str | None = None) -> str:
        """The same for any kind of medium: paths relative to the media folder; letters' case and Unicode form may differ from the file's."""
        for candidate in candidates:
            candidate = relative_path(candidate, name or kind)
            if found := self._media.find(candidate, kind):
                self._media.check(found, kind)
                self.media_found[kind] += 1
                return f"{MEDIA_LINK}/{found}"
        self.media_missing[kind] += 1
        if self.keep_missing:
            return f"{MEDIA_LINK}/{relative_path(candidates[0], name or kind)}"
        raise BadRow(f"{kind} is not there", f"no {kind} {' nor '.join(candidates)} in the media folder")

    def video(self, *candidates: str) -> dict[str, Any]:
        """The fields of `Media` for a clip that is heard too: its sound is in the prompt unless the script was told to look and found none."""
        path = self.clip(*candidates)
        return {"video": path, "audio_in_video": self.has_sound(path)}

    def has_sound(self, recorded: str) -> bool:
        """Whether a clip has a sound track. It is opened only with --probe-sound; otherwise yes is assumed, and `emoreason media` tells."""
        if not self.probe_sound:
            return True
        import av

        try:
            with av.open(str(self.media_dir / recorded.removeprefix(f"{MEDIA_LINK}/"))) as container:
                return bool(container.streams.audio)
        except (av.FFmpegError, OSError) as error:
            raise BadRow("video cannot be opened", f"{recorded}: {error}") from error

    def record(self, **fields: Any) -> Record:
        """A record of this data set: `dataset`, `licence` and `source` are the card's unless they are given."""
        return Record.model_validate({"dataset": self.card.name, "licence": self.card.licence, "source": self.card.url, **fields})

    # How.

    @contextmanager
    def _opened(self, path: Path, fallback: str | None = None) -> Iterator[IO[str]]:
        encoding = self.note_input(path, fallback)
        if encoding == "binary":
            raise UserError(f"{self.name_of(path)}: not text in UTF-8{self._broken_at(path)}; save it as UTF-8")
        try:
            with path.open(encoding=encoding, newline="") as file:
                yield file
        except UnicodeDecodeError as error:
            name = self.name_of(path)
            raise UserError(f"{name}: neither text in UTF-8{self._broken_at(path)} nor in {encoding} ({error.reason}); save it as UTF-8") from error

    @contextmanager
    def _opened_bytes(self, path: Path) -> Iterator[IO[bytes]]:
        self.note_input(path)
        with path.open("rb") as file:
            yield file

    def _broken_at(self, path: Path) -> str:
        place = self.inputs[self.name_of(path)].get("not_utf8_at")
        return f" (byte {place})" if place is not None else ""


def _refuse(where: str, fault: BadRow) -> None:
    raise UserError(f"{where}: {fault}")


def _folder(path: Path) -> Path:
    if not path.is_dir():
        raise UserError(f"{path}: no such folder (relative paths start at {Path.cwd()}); archives are unpacked by you, not by this script")
    return path


def _sheet_cells(path: Path, name: str, sheet: str | None) -> Iterator[tuple]:
    """The rows of a sheet, which is unpacked and parsed as they are read."""
    import zipfile
    import zlib

    import openpyxl

    try:
        book = openpyxl.load_workbook(path, read_only=True, data_only=True)
        if sheet is not None and sheet not in book.sheetnames:
            raise UserError(f"{name}: no sheet {sheet!r}; it has {', '.join(book.sheetnames)}")
        yield from book[sheet or book.sheetnames[0]].iter_rows(values_only=True)
        book.close()
    except UserError:
        raise
    except (zipfile.BadZipFile, zlib.error, SyntaxError, KeyError, ValueError, TypeError, AttributeError, IndexError, EOFError, OSError) as error:
        raise UserError(f"{name}: no readable .xlsx, or broken: {error}") from error
