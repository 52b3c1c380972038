"""`emoreason leaks` from files to files: what is compared, what is said of it, and the training records without what leaks."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from emoreason.faults import UserError, raise_faults
from emoreason.files import write_jsonl
from emoreason.leaks.fingerprints import Source
from emoreason.leaks.overlaps import Overlap, known_overlaps
from emoreason.leaks.search import Found, Leak, RecordsFile, Search, find_leaks, read_file
from emoreason.leaks.store import Advance, Medium, read_media
from emoreason.linked_media import linked

WITHOUT = {"constant": "of one colour", "silent": "silent", "short": "sounds of less than 1.2 s", "no sound": "clips without sound"}
MAX_DAMAGED = 5


@dataclass(frozen=True, eq=False)
class Comparison:
    """A training file against test files."""

    train: RecordsFile
    tests: list[tuple[RecordsFile, Found]]
    media: dict[Source, Medium]
    overlaps: list[Overlap] = field(default_factory=list)

    def summary(self) -> dict[str, Any]:
        """Counts, without the leaks themselves."""
        tests = [{**_sizes(test), **_counted(found.leaks), "kinds": list(_by_kind(found.leaks)), "left_out": dict(found.left_out)}
                 for test, found in self.tests]  # fmt: skip
        leaks = [leak for _, found in self.tests for leak in found.leaks]
        return {
            "train": _sizes(self.train), "tests": tests, "known_overlaps": [asdict(one) for one in self.overlaps], "media": self._media_counts(),
            "num_certain": sum(leak.certain for leak in leaks), "num_likely": sum(not leak.certain for leak in leaks),
        }  # fmt: skip

    def _media_counts(self) -> dict[str, int]:
        notes = Counter(note if note in WITHOUT else "damaged" for medium in self.media.values() for note in set(medium.fingerprint.notes))
        return {"files": len(self.media), **{name: notes[name] for name in (*WITHOUT, "damaged")}}

    def notes(self) -> list[str]:
        """What was not compared, and why."""
        counts = self._media_counts()
        without = [f"{counts[name]} {told}" for name, told in WITHOUT.items() if counts[name]]
        notes = [f"without a fingerprint, of {counts['files']} files: {', '.join(without)}"] if without else []
        damaged = [f"{source.paths[0]}: {note}" for source, medium in self.media.items() for note in medium.fingerprint.notes if note not in WITHOUT]
        notes += [f"cannot be decoded, so that only its bytes are compared: {told}" for told in damaged[:MAX_DAMAGED]]
        if len(damaged) > MAX_DAMAGED:
            notes.append(f"and {len(damaged) - MAX_DAMAGED} more that cannot be decoded")
        return notes + [f"no leak: {count} {what}" for _, found in self.tests for what, count in found.left_out.items()]

    def rows(self) -> Iterator[dict[str, Any]]:
        """A JSON object for each leak."""
        for test, found in self.tests:
            for leak in found.leaks:
                sides = {"train": _named(self.train, leak.train), "test": _named(test, leak.test)}
                yield {"kind": leak.kind, "certain": leak.certain, "evidence": leak.evidence, **sides}

    def first_pairs(self, at_most: int) -> Iterator[str]:
        """A line for the first leaks of each kind."""
        shown: Counter[tuple] = Counter()
        for test, found in self.tests:
            total = Counter((leak.kind, leak.certain) for leak in found.leaks)
            for leak in found.leaks:
                key = (test.path, leak.kind, leak.certain)
                shown[key] += 1
                if shown[key] <= at_most:
                    level = "certain" if leak.certain else "likely"
                    yield f"{level} {leak.kind}: {_first(self.train, leak.train)} = {_first(test, leak.test)}: {leak.evidence}"
                elif shown[key] == at_most + 1:
                    yield f"  and {total[leak.kind, leak.certain] - at_most} more; --out writes all"


def check_outputs(train: Path, tests: list[Path], *outputs: Path | None) -> None:
    """
    Raises:
        UserError: a file is compared with itself, or one would be overwritten.
    """
    given = [path.resolve() for path in (train, *tests)]
    faults = [f"{path}: is given twice; a file leaks into itself" for path in tests if given.count(path.resolve()) > 1]
    report, clean = outputs
    faults += [f"{path}: is one of the files that are compared; write elsewhere" for path in outputs if path and path.resolve() in given]
    if clean and clean.exists() and clean.resolve() not in given:
        faults.append(f"{clean}: is there already; move it away, or write elsewhere")
    if report and clean and report.resolve() == clean.resolve():
        faults.append(f"{report}: --out and --write-clean are one file")
    raise_faults(list(dict.fromkeys(faults)))


def compare(
    train_path: Path, test_paths: list[Path], search: Search, with_media: bool, workers: int, cache: Path | None, start: Callable[[str, int], Advance]
) -> Comparison:
    """Compare each test file with the training file; `start` is told what begins, and of how many things.

    Raises:
        UserError: with the faults of all records files, or every media file that is missing.
    """
    files, faults = [], []
    for path in (train_path, *test_paths):
        try:
            files.append(read_file(path))
        except UserError as error:
            faults += error.faults
    raise_faults(faults)
    media: dict[Source, Medium] = {}
    if with_media and search.kinds & {"file", "picture", "clip", "sound"}:
        sources = [source for file in files for place in range(len(file.records)) for source in file.sources(place)]
        try:
            media = read_media(sources, workers, cache, start)
        except UserError as error:
            raise UserError([*error.faults, "leaks cannot be told without the media; --no-media compares ids, groups and texts alone"]) from error
    train, *tests = files
    found = []
    for test in tests:
        sounds = {medium.digest for place in range(len(test.records)) for source in test.sources(place)
                  if (medium := media.get(source)) and len(medium.fingerprint.sound)}  # fmt: skip
        found.append((test, find_leaks(train, test, media, search, start("comparing sounds", len(sounds)))))
    datasets = [{record.dataset for record in file.records} for file in files]
    return Comparison(train, found, media, known_overlaps(datasets[0], set().union(*datasets[1:])))


def write_report(found: Comparison, path: Path) -> None:
    """Write every leak as a line of JSON, atomically."""
    write_jsonl(path, found.rows())


def write_clean(found: Comparison, path: Path, keep_likely: bool) -> dict[str, Any]:
    """Write the training records that do not leak, and return the counts.

    Raises:
        UserError: none is left, or the file cannot be written.
    """
    certain = set().union(*(one.places(certain_only=True) for _, one in found.tests))
    likely = set().union(*(one.places() for _, one in found.tests)) - certain
    dropped = certain if keep_likely else certain | likely
    kept = [record for place, record in enumerate(found.train.records) if place not in dropped]
    if not kept:
        raise UserError(f"{path}: every record of {found.train.path} leaks; none is left to write")
    assert len(kept) + len(dropped) == len(found.train.records)
    write_jsonl(path, [record.model_dump(mode="json", exclude_defaults=True) for record in linked(kept, found.train.path.parent, path.parent)])
    return {"file": str(path), "num_records": len(found.train.records), "num_kept": len(kept), "num_dropped": len(dropped),
            "num_certain": len(certain), "num_likely": len(likely)}  # fmt: skip


def _sizes(file: RecordsFile) -> dict[str, Any]:
    return {"file": str(file.path), "num_records": len(file.records)}


def _counted(leaks: list[Leak]) -> dict[str, int]:
    sides = [len({place for leak in leaks for place in getattr(leak, side)}) for side in ("train", "test")]
    return {"num_leaks": len(leaks), "num_train": sides[0], "num_test": sides[1]}


def _by_kind(leaks: list[Leak]) -> Iterator[dict[str, Any]]:
    for kind, certain in dict.fromkeys((leak.kind, leak.certain) for leak in leaks):
        yield {"kind": kind, "certain": certain, **_counted([leak for leak in leaks if (leak.kind, leak.certain) == (kind, certain)])}


def _named(file: RecordsFile, places: tuple[int, ...]) -> list[dict[str, Any]]:
    return [{"file": str(file.path), "line": file.lines[place], "id": file.records[place].id} for place in places]


def _first(file: RecordsFile, places: tuple[int, ...]) -> str:
    more = f" and {len(places) - 1} more" if len(places) > 1 else ""
    return f"{file.path}:{file.lines[places[0]]} {file.records[places[0]].id!r}{more}"
