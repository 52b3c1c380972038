"""`emoreason split` on disk: a records file for each part, and splits.json with what it came out as."""

from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from emoreason.faults import UserError, raise_faults
from emoreason.files import read_json, read_jsonl, sha256, write_json, write_jsonl
from emoreason.leaks.names import NOBODY
from emoreason.linked_media import linked
from emoreason.records import Record, read_records
from emoreason.splits import NO_LABEL, Division, blocks_of, divide, field_values, name_faults

SUMMARY = "splits.json"
MAX_NAMED = 5
"""Labels or groups that a note names."""


@dataclass(frozen=True)
class Wish:
    """How a records file is to be divided: by shares, into folds, or as it says itself."""

    shares: dict[str, float] | None = None
    folds: int | None = None
    keep: bool = False
    resplit: bool = False
    by: tuple[str, ...] = ("group",)
    stratify: str | None = "target.label"
    seed: int = 0


def write_splits(records_path: Path, folder: Path, wish: Wish) -> dict[str, Any]:
    """Divide the records, write the parts, and return what splits.json holds.

    Raises:
        UserError: the records or the wish are wrong, something would be overwritten, or a file cannot be written.
    """
    records = read_records(records_path)
    raise_faults([f"{records_path}: {fault}" for fault in _official_faults(records, wish)])
    try:
        division = _division(records, records_path.parent, wish)
    except UserError as error:
        raise UserError([f"{records_path}: {fault}" for fault in error.faults]) from error
    contents = _contents(records, division, wish)
    sizes = Counter(division.parts)
    assert sum(sizes.values()) == len(records)
    _check_folder(folder, [f"{name}.jsonl" for name in contents], records_path)
    rows = {f"{name}.jsonl": [one.model_dump(mode="json", exclude_defaults=True) for one in linked(part, records_path.parent, folder)]
            for name, part in contents.items()}  # fmt: skip
    _check_files(folder, rows)
    for name, part in rows.items():
        write_jsonl(folder / name, part)
    written = {name: {"num_records": len(part), "sha256": sha256(folder / name)} for name, part in rows.items()}
    summary = {"records": records_path.name, "sha256": sha256(records_path), "num_records": len(records), **_settings(wish)}
    summary |= _outcome(records, division, wish) | {"files": written}
    write_json(folder / SUMMARY, summary)
    return summary


def _official_faults(records: list[Record], wish: Wish) -> list[str]:
    """What is against the wish in the splits and folds that the records have already."""
    splits, folds = Counter(record.split for record in records), Counter(record.fold for record in records)
    told = ", ".join(f"{name} {count}" for name, count in splits.items())
    if wish.keep and wish.folds:
        wrong = [record.id for record in records if record.fold is None or record.fold > wish.folds]
        return [f"{len(wrong)} records have no fold from 1 to {wish.folds}, e.g. {one!r}; give another --folds" for one in wrong[:1]]
    if wish.keep:
        return name_faults(splits)
    if len(splits) > 1 and not wish.resplit:
        return [f"holds official splits: {told}; keep them with --keep, or divide them anew with --resplit"]
    if wish.folds and set(folds) != {None} and not wish.resplit:
        return [f"holds official folds of {len(records) - folds[None]} records; keep them with --keep, or divide anew with --resplit"]
    return []


def _division(records: list[Record], folder: Path, wish: Wish) -> Division:
    if wish.keep:
        parts = [str(record.fold) if wish.folds else record.split for record in records]
        return Division(parts, *blocks_of(records, folder, list(wish.by)))
    return divide(records, folder, _shares(wish), list(wish.by), wish.stratify, wish.seed)


def _shares(wish: Wish) -> dict[str, float]:
    return wish.shares or {str(fold): 1 / wish.folds for fold in range(1, wish.folds + 1)}


def _contents(records: list[Record], division: Division, wish: Wish) -> dict[str, list[Record]]:
    """{name of a file: its records, in the order of the input}; a record that changes its split says under attributes what it was."""
    if not wish.folds:
        contents = {name: [] for name in wish.shares or dict.fromkeys(division.parts)}
        for record, part in zip(records, division.parts, strict=True):
            contents[part].append(_renamed(record, {"split": part}))
        return contents
    contents = {}
    for fold in range(1, wish.folds + 1):
        for split in ("train", "test"):
            chosen = [(record, part) for record, part in zip(records, division.parts, strict=True) if (part == str(fold)) == (split == "test")]
            contents[f"fold{fold}_{split}"] = [_renamed(record, {"split": split, "fold": int(part)}) for record, part in chosen]
    return contents


def _renamed(record: Record, update: dict[str, Any]) -> Record:
    was = {f"official_{name}": getattr(record, name) for name in update if getattr(record, name) not in (None, update[name])}
    return record.model_copy(update={**update, "attributes": {**was, **record.attributes}})


def _check_folder(folder: Path, names: list[str], records_path: Path) -> None:
    """The input is not overwritten, and no file of an earlier split stays behind beside the new ones."""
    if folder.exists() and not folder.is_dir():
        raise UserError(f"{folder}: a file, not a folder; choose another --out")
    faults = []
    for name in names:
        if (folder / name).resolve() == records_path.resolve():
            faults.append(f"{folder / name}: is the file that is divided; choose another --out, or name the parts otherwise")
    for name in _earlier(folder).keys() - set(names):
        if (folder / name).exists():
            faults.append(f"{folder / name}: is of an earlier split with other parts; choose another --out, or remove it")
    raise_faults(sorted(faults))


def _check_files(folder: Path, rows: dict[str, list[dict]]) -> None:
    """Nothing is overwritten but what an earlier split wrote and nobody has changed, or what would be written now; a kill may have left it."""
    before, faults = _earlier(folder), []
    for name, part in rows.items():
        path = folder / name
        if path.exists() and sha256(path) != before.get(name, {}).get("sha256") and [row for _, row in read_jsonl(path, [])] != part:
            faults.append(f"{path}: is there already, and not as a split has left it; choose another --out, or move it away")
    raise_faults(faults)


def _earlier(folder: Path) -> dict[str, dict]:
    """What an earlier splits.json says of its files."""
    path = folder / SUMMARY
    if not path.exists():
        return {}
    summary = read_json(path)
    if not isinstance(summary, dict) or not isinstance(summary.get("files"), dict) or "num_blocks" not in summary:
        raise UserError(f"{path}: is there already, and of something else; choose another --out, or move it away")
    return summary["files"]


# What it came out as.


def _settings(wish: Wish) -> dict[str, Any]:
    kind = {"keep": True} if wish.keep else {"seed": wish.seed, "resplit": wish.resplit}
    return {"by": list(wish.by), "stratify": wish.stratify, **kind, "folds": wish.folds, "shares": wish.shares}


def _outcome(records: list[Record], division: Division, wish: Wish) -> dict[str, Any]:
    """Counts and label shares of each part, and notes on what did not come out as one would wish."""
    strata = [(field_values(record, wish.stratify) if wish.stratify else []) or [NO_LABEL] for record in records]
    total = Counter(label for own in strata for label in set(own))
    shares = None if wish.keep else _shares(wish)
    parts = {}
    for name in shares or dict.fromkeys(division.parts):
        places = [place for place, part in enumerate(division.parts) if part == name]
        labels = Counter(label for place in places for label in set(strata[place]))
        parts[name] = {
            "num_records": len(places),
            "share": len(places) / len(records),
            "wished_share": shares and shares[name],
            "num_blocks": len({division.blocks[place] for place in places}),
            "label_distance": _distance(labels, total),
            "labels": {label: labels[label] for label in sorted(total)},
        }
    found = {"num_groups": division.num_groups, "num_joined_groups": division.num_joined, "num_blocks": len(set(division.blocks))}
    return {**found, "parts": parts, "notes": _notes(records, division, wish, parts, total)}


def _distance(labels: Counter[str], total: Counter[str]) -> float:
    """Total variation: the share of a part that had to have another label for the part to be as the whole, in [0, 1]."""
    return sum(abs(labels[label] / labels.total() - total[label] / total.total()) for label in total) / 2


def _notes(records: list[Record], division: Division, wish: Wish, parts: dict[str, dict], total: Counter[str]) -> list[str]:
    notes = []
    if wish.stratify and set(total) == {NO_LABEL}:
        notes.append(f"no record has anything under {wish.stratify}, so nothing is in equal shares")
    if division.num_joined:
        notes.append(f"{division.num_joined} groups stay with another one, since their records share a media file")
    nobody = Counter(record.group for record in records if record.group.strip().casefold() in NOBODY)
    notes += [f"group {name!r} holds {count} records together, which may be of several people" for name, count in nobody.items()]
    sides: dict[int, set[str]] = {}
    for block, part in zip(division.blocks, division.parts, strict=True):
        sides.setdefault(block, set()).add(part)
    crossing = [block for block, names in sides.items() if len(names) > 1]
    if crossing:
        named = list(dict.fromkeys(record.group for record, block in zip(records, division.blocks, strict=True) if block == crossing[0]))[:MAX_NAMED]
        notes.append(f"{len(crossing)} blocks of records that should stay together are in several parts, e.g. group {', '.join(named)}")
    largest, size = Counter(division.blocks).most_common(1)[0]
    if size > len(records) / 2:
        group = next(record.group for record, block in zip(records, division.blocks, strict=True) if block == largest)
        notes.append(f"one block, with group {group!r}, holds {size} of {len(records)} records; shares cannot come out")
    for name, part in parts.items():
        absent = [label for label, count in part["labels"].items() if not count]
        if absent:
            told = ", ".join(f"{label} ({total[label]} in all)" for label in absent[:MAX_NAMED])
            notes.append(f"{name} has no record of {told}" + (f", and {len(absent) - MAX_NAMED} more" if len(absent) > MAX_NAMED else ""))
    return notes
