"""What of a test set a training set has seen: the same record, person, file, or one that is alike, and sets that are known to overlap."""

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path

from emoreason.faults import raise_faults
from emoreason.files import read_jsonl
from emoreason.leaks.fingerprints import Source
from emoreason.leaks.names import NOBODY, bare_id, is_distinctive, num_letters, plain_text
from emoreason.leaks.near import MAX_BITS, near_clips, near_pictures, near_sounds
from emoreason.leaks.overlaps import base_name, clip_ids, names_one_clip
from emoreason.leaks.store import Medium
from emoreason.record_media import media_uses
from emoreason.records import Media, Record, read_records

KINDS = {
    "id": "same id",
    "clip_id": "same clip of a published set, as ids or paths name it",
    "group": "same group",
    "file": "same bytes",
    "text_record": "same text of records without media",
    "alike_id": "ids alike but for case, zeros, extension or split",
    "picture": "pictures alike",
    "clip": "clips alike",
    "sound": "sounds alike",
    "text": "same transcript",
}
"""Each kind of leak, the certain ones first; ids and groups are only likely where datasets differ."""
MIN_TEXT = 24
"""Letters of a transcript, about five words, a Chinese or Japanese character or a syllable of Hangul counting three: `yeah` and `I do not know`
are said in every dialogue."""
MAX_SPEAKERS = 2
"""A sentence that more groups of one side say was given to them to say (CREMA-D has twelve, RAVDESS two) or is a phrase."""
NUMBERED_BY_SPLIT = frozenset({"meld", "raf_db", "raf_au", "affectnet", "fer2013", "fer_plus", "ii_bench"})
"""Sets in which train/1 and test/1 are two different items."""
_EMPTY_FILE = hashlib.sha256().hexdigest()


@dataclass(frozen=True, eq=False)
class RecordsFile:
    """The records of a file, with their lines and what their media are."""

    path: Path
    records: list[Record]
    lines: list[int]

    def sources(self, place: int) -> Iterator[Source]:
        """The media that a record shows, those of its worse side included."""
        record = self.records[place]
        rejected = record.preference.rejected_media if record.preference else None
        for media in (record.media, rejected):
            if media is not None:
                yield from _sources(media, self.path.parent)

    def texts(self, place: int) -> list[str]:
        """The id and the paths of a record."""
        return [self.records[place].id, *(use.path for use in media_uses(self.records[place]))]


@dataclass(frozen=True)
class Leak:
    """One thing that both sides have."""

    kind: str
    certain: bool
    evidence: str
    train: tuple[int, ...]
    """Places of the records that have it."""
    test: tuple[int, ...]


@dataclass
class Found:
    """All leaks between two files, and what was looked at without being counted as one."""

    leaks: list[Leak] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)

    def places(self, certain_only: bool = False) -> set[int]:
        """The training records that leak."""
        return {place for leak in self.leaks if leak.certain or not certain_only for place in leak.train}


@dataclass(frozen=True)
class Search:
    """What counts as alike."""

    bits: int = MAX_BITS
    mirrored: bool = False
    min_text: int = MIN_TEXT
    kinds: frozenset[str] = frozenset(KINDS)


def read_file(path: Path) -> RecordsFile:
    """The records of a file with their lines.

    Raises:
        UserError: see `records.read_records`.
    """
    records, faults = read_records(path), []
    lines = [line for line, _ in read_jsonl(path, faults)]
    raise_faults(faults)
    return RecordsFile(path, records, lines)


def _sources(media: Media, folder: Path) -> Iterator[Source]:
    for name in media.images:
        yield Source("picture", (folder / name,))
    if media.video:
        yield Source("clip", (folder / media.video,))
    if media.frames:
        yield Source.of_frames([folder / name for name in media.frames], media.frames_fps)
    for name in (media.audio, media.sound_track):
        if name:
            yield Source("sound", (folder / name,))


def find_leaks(train: RecordsFile, test: RecordsFile, media: Mapping[Source, Medium], search: Search, advance: Callable[[], None]) -> Found:
    """What the two share. `media` holds every source of both, or none where media are not looked at; `advance` is called for each sound."""
    found = Found()
    sides = (_Side(train, media), _Side(test, media))
    rules = {
        "id": _same_ids, "clip_id": _same_clips, "group": _same_groups, "file": _same_files,
        "alike_id": lambda *given: _alike_ids(*given, search), "text": lambda *given: _same_texts(*given, search),
    }  # fmt: skip
    for kind, rule in rules.items():
        if kind in search.kinds:
            found.leaks += rule(*sides, found.left_out)
    found.leaks += _near(*sides, search, advance)
    order = list(KINDS)
    found.leaks.sort(key=lambda leak: (not leak.certain, order.index(leak.kind), leak.test, leak.train, leak.evidence))
    return found


class _Side:
    """Records with what is known of their media."""

    def __init__(self, file: RecordsFile, media: Mapping[Source, Medium]):
        self.file, self.records = file, file.records
        self.media = [
            [(source, media[source]) for source in dict.fromkeys(file.sources(place)) if source in media] for place in range(len(file.records))
        ]

    def by_digest(self, part: str, kinds: tuple[str, ...]) -> dict[str, tuple[Medium, tuple[int, ...]]]:
        """{digest: (medium, places of its records)} of the media of these kinds whose fingerprint has this part."""
        places: dict[str, list[int]] = {}
        media = {}
        for place, sources in enumerate(self.media):
            for source, medium in sources:
                if source.kind in kinds and len(getattr(medium.fingerprint, part)):
                    media[medium.digest] = medium
                    places.setdefault(medium.digest, []).append(place)
        return {digest: (medium, tuple(dict.fromkeys(places[digest]))) for digest, medium in media.items()}


def _shared(train: _Side, test: _Side, keys: Callable[[_Side, int], Iterable[Hashable]]) -> Iterator[tuple[Hashable, list[int], list[int]]]:
    """(key, training places, test places) of the keys that records of both sides have."""
    tables: list[dict[Hashable, list[int]]] = []
    for side in (train, test):
        table: dict[Hashable, list[int]] = {}
        for place in range(len(side.records)):
            for key in dict.fromkeys(keys(side, place)):
                table.setdefault(key, []).append(place)
        tables.append(table)
    for key, places in tables[1].items():
        if key in tables[0]:
            yield key, tables[0][key], places


def _named(kind: str, train: _Side, test: _Side, name: Callable[[Record], str]) -> Iterator[Leak]:
    """Records of one name: certain within a dataset, and within its parts where the name is no mere number or word, which many give.

    Between datasets a name that is not so is no leak, and another one likely.
    """
    for key, ours, theirs in _shared(train, test, lambda side, place: [name(side.records[place])]):
        distinctive = is_distinctive(str(key))
        for (one, here), (other, there) in product(_by_dataset(train, ours), _by_dataset(test, theirs)):
            same_set = base_name(one) == base_name(other)
            if same_set or distinctive:
                yield Leak(kind, one == other or (same_set and distinctive), str(key), here, there)


def _by_dataset(side: _Side, places: list[int]) -> list[tuple[str, tuple[int, ...]]]:
    table: dict[str, list[int]] = {}
    for place in places:
        table.setdefault(side.records[place].dataset, []).append(place)
    return [(dataset, tuple(own)) for dataset, own in table.items()]


def _same_ids(train: _Side, test: _Side, left_out: Counter[str]) -> Iterator[Leak]:
    return _named("id", train, test, lambda record: unicodedata.normalize("NFC", record.id))


def _same_groups(train: _Side, test: _Side, left_out: Counter[str]) -> Iterator[Leak]:
    for leak in _named("group", train, test, lambda record: unicodedata.normalize("NFC", record.group).strip()):
        if leak.evidence.casefold() in NOBODY:
            left_out[f"group {leak.evidence!r}, which is nobody's name"] += 1
        else:
            yield leak


def _same_clips(train: _Side, test: _Side, left_out: Counter[str]) -> Iterator[Leak]:
    for key, ours, theirs in _shared(train, test, lambda side, place: clip_ids(side.records[place].dataset, side.file.texts(place))):
        for (one, here), (other, there) in product(_by_dataset(train, ours), _by_dataset(test, theirs)):
            yield Leak("clip_id", names_one_clip(str(key), one, other), str(key), here, there)


def _same_files(train: _Side, test: _Side, left_out: Counter[str]) -> Iterator[Leak]:
    def digests(side: _Side, place: int) -> list[str]:
        return [medium.digest for _, medium in side.media[place]]

    every = (medium for side in (train, test) for media in side.media for _, medium in media)
    empty = {_EMPTY_FILE} | {medium.digest for medium in every if medium.fingerprint.says_nothing}
    for digest, ours, theirs in _shared(train, test, digests):
        if digest in empty:
            left_out["files that are empty, of one colour or silent, and that both sides have"] += 1
        else:
            yield Leak("file", True, f"sha256 {digest}", tuple(ours), tuple(theirs))


# Ids and texts.


def _alike_ids(train: _Side, test: _Side, left_out: Counter[str], search: Search) -> Iterator[Leak]:
    def keys(side: _Side, place: int) -> list[tuple[str, str]]:
        record = side.records[place]
        dataset = base_name(record.dataset)
        bare = bare_id(record.id, dataset in NUMBERED_BY_SPLIT)
        return [(dataset, bare)] + [("", bare)] * is_distinctive(bare)

    seen = set()
    for _, ours, theirs in _shared(train, test, keys):
        for one, other in product(ours, theirs):
            names = {unicodedata.normalize("NFC", side.records[place].id) for side, place in ((train, one), (test, other))}
            if (one, other) in seen or len(names) == 1:
                continue
            seen.add((one, other))
            if _contradicted(train, one, test, other, search):
                left_out["pairs of alike ids whose media or transcripts differ"] += 1
            else:
                yield Leak("alike_id", False, f"{train.records[one].id} ~ {test.records[other].id}", (one,), (other,))


def _contradicted(train: _Side, one: int, test: _Side, other: int, search: Search) -> bool:
    """Whether transcripts or media of the two records show that they are two."""
    texts = [plain_text(side.records[place].text or "") for side, place in ((train, one), (test, other))]
    if all(texts) and texts[0] != texts[1]:
        return True
    verdicts = []
    for part, kinds, near in _parts(search):
        sides = [[medium for source, medium in side.media[place] if source.kind in kinds and len(getattr(medium.fingerprint, part))]
                 for side, place in ((train, one), (test, other))]  # fmt: skip
        if all(sides):
            same = {medium.digest for medium in sides[0]} & {medium.digest for medium in sides[1]}
            verdicts.append(bool(same or near(*([medium.fingerprint for medium in side] for side in sides))))
    return bool(verdicts) and not any(verdicts)


def _same_texts(train: _Side, test: _Side, left_out: Counter[str], search: Search) -> Iterator[Leak]:
    def texts(side: _Side, place: int) -> list[str]:
        plain = plain_text(side.records[place].text or "")
        return [plain] if plain else []

    for text, ours, theirs in _shared(train, test, texts):
        sides = ((train, ours), (test, theirs))
        bare = [tuple(place for place in places if not any(media_uses(side.records[place]))) for side, places in sides]
        speakers = [len({side.records[place].group for place in places}) for side, places in sides]
        if num_letters(str(text)) < search.min_text:
            left_out[f"transcripts of fewer than {search.min_text} letters that both sides have"] += 1
            continue
        if all(bare):
            yield Leak("text_record", True, str(text)[:200], *bare)
        if sum(map(len, bare)) == len(ours) + len(theirs):
            continue
        if max(speakers) > MAX_SPEAKERS:
            left_out[f"transcripts that more than {MAX_SPEAKERS} groups of one side say, and both sides have"] += 1
        else:
            yield Leak("text", False, str(text)[:200], tuple(ours), tuple(theirs))


# Media that are alike.


def _parts(search: Search) -> list[tuple[str, tuple[str, ...], Callable]]:
    return [
        ("pictures", ("picture",), lambda one, other: near_pictures(one, other, search.bits, search.mirrored)),
        ("pictures", ("clip", "frames"), lambda one, other: near_clips(one, other, search.bits, search.mirrored)),
        ("sound", ("clip", "sound"), near_sounds),
    ]


def _near(train: _Side, test: _Side, search: Search, advance: Callable[[], None]) -> Iterator[Leak]:
    """Media that are alike; those that are the same file are told as such already."""
    for kind, (part, kinds, near) in zip(("picture", "clip", "sound"), _parts(search), strict=True):
        if kind not in search.kinds:
            continue
        ours, theirs = (side.by_digest(part, kinds) for side in (train, test))
        media = [[medium for medium, _ in side.values()] for side in (ours, theirs)]
        arguments = ([medium.fingerprint for medium in side] for side in media)
        pairs = near(*arguments, advance) if kind == "sound" else near(*arguments)
        for one, other, distance in pairs:
            digests = media[0][one].digest, media[1][other].digest
            if digests[0] != digests[1] or "file" not in search.kinds:
                far = f"{distance:.1%} of the bits differ" if kind == "sound" else f"{distance:.3g} of 64 bits differ"
                yield Leak(kind, False, far, ours[digests[0]][1], theirs[digests[1]][1])
