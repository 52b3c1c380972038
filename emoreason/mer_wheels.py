"""The official emotion wheels of the MER challenges, read from the folder that a user has.

Facts of the format and of the mapping are from the public scorer of MER2025 and MER2026 (Lian et al., AffectGPT, arXiv 2501.16566;
OV-MER, arXiv 2410.01495); the files are under an agreement and not shipped.
"""

import csv
from pathlib import Path
from zipfile import BadZipFile

from emoreason.faults import UserError
from emoreason.files import sha256

Cells = dict[str, tuple[str | None, ...]]
"""{surface form: its cluster on each wheel, None where a wheel does not have it}."""

OFFICIAL_VERSIONS = {"ba6de7d61db8e129": "2025", "82234299875465ec": "2026"}
"""{first 16 digits of the sha256 of format.csv: challenge year}; the 2025 file lists `fear` as a form of `fearless`."""
_OFFICIAL_FILES = ("format.csv", "synonym.xlsx", *(f"wheel{number}.xlsx" for number in range(1, 6)))


def read_folder(folder: Path) -> tuple[Cells, Cells, str]:
    """(cells of level 1, cells of level 2, what was read) of format.csv, synonym.xlsx, wheel1.xlsx to wheel5.xlsx.

    A form leads to its base words, those to words of the wheels (the union of the synonym runs), and of all that are reached
    the alphabetically first that stands in a wheel gives the cluster. `neutral` is in no wheel. A word of level 1 counts at
    level 2 as the alphabetically first of its level 2 words. The version is told by the hash of format.csv.

    Raises:
        UserError: a file is missing or is not what it should be.
    """
    missing = [name for name in _OFFICIAL_FILES if not (folder / name).is_file()]
    if missing:
        raise UserError(f"{folder}: no {', '.join(missing)}; accepted: the folder emotion_wheel of the MER2025 or MER2026 baseline, "
                        f"with {', '.join(_OFFICIAL_FILES)}")
    bases = _official_forms(folder / "format.csv")
    heads = _official_synonyms(folder / "synonym.xlsx")
    rings = [_official_rings(folder / f"wheel{number}.xlsx") for number in range(1, 6)]
    cells: list[Cells] = [{}, {}]
    for form, names in bases.items():
        reached = sorted(head for name in names for head in heads.get(name, ()))
        for ring, ring_cells in enumerate(cells):
            ring_cells[form] = tuple(next((wheel[ring][head] for head in reached if head in wheel[ring]), None) for wheel in rings)
    digits = sha256(folder / "format.csv")[:16]
    version = OFFICIAL_VERSIONS.get(digits, "of unknown version")
    return cells[0], cells[1], f"MER wheels {version}, format.csv {digits}"


def _official_forms(path: Path) -> dict[str, list[str]]:
    """{form: its base words}; a base word is a form of itself."""
    with path.open(encoding="utf-8-sig", newline="") as lines:
        reader = csv.DictReader(lines)
        if not {"name", "format"} <= set(reader.fieldnames or ()):
            raise UserError(f"{path}: columns are {', '.join(reader.fieldnames or ['none'])}; accepted: name, format")
        bases: dict[str, list[str]] = {}
        for row in reader:
            for form in [*official_list(row["format"] or ""), row["name"]]:
                bases.setdefault(form, []).append(row["name"])
    return bases


def _official_synonyms(path: Path) -> dict[str, set[str]]:
    """{base word: the wheel words that one of the runs has it for}."""
    header, *rows = _sheet(path)
    runs = [(header.index(f"word_run{number}"), header.index(f"synonym_run{number}")) for number in range(1, 9) if f"word_run{number}" in header]
    if not runs:
        raise UserError(f"{path}: columns are {', '.join(map(str, header))}; accepted: word_run1, synonym_run1, ... to run 8")
    heads: dict[str, set[str]] = {}
    for row in rows:
        for word_column, synonym_column in runs:
            if row[word_column] is None:
                continue
            word = str(row[word_column]).strip().lower()
            for synonym in [word, *official_list(row[synonym_column] or "")]:
                heads.setdefault(synonym.strip().lower(), set()).add(word)
    return heads


def _official_rings(path: Path) -> tuple[dict[str, str], dict[str, str]]:
    """({word: level 1}, {word: level 2}) of one wheel; a blank cell repeats the one above, and of a repeated word the last place counts."""
    header, *rows = _sheet(path)
    if header[:3] != ["level1", "level2", "level3"]:
        raise UserError(f"{path}: columns are {', '.join(map(str, header))}; accepted: level1, level2, level3")
    tree: dict[str, dict[str, list[str]]] = {}
    last = ["", "", ""]
    for row in rows:
        last = [old if cell is None else str(cell).lower().strip() for cell, old in zip(row[:3], last, strict=True)]
        tree.setdefault(last[0], {}).setdefault(last[1], []).append(last[2])
    inner: dict[str, str] = {}
    middle: dict[str, str] = {}
    for level1, branches in tree.items():
        inner[level1], middle[level1] = level1, min(branches)
        for level2, leaves in branches.items():
            for word in (level2, *leaves):
                inner[word], middle[word] = level1, level2
    return inner, middle


def _sheet(path: Path) -> list[list]:
    from openpyxl import load_workbook  # only the official folder needs it
    from openpyxl.utils.exceptions import InvalidFileException

    try:
        book = load_workbook(path, read_only=True, data_only=True)
    except (InvalidFileException, BadZipFile, OSError, KeyError, ValueError) as error:
        raise UserError(f"{path}: no readable xlsx file: {error}") from error
    rows = [list(row) for row in book.worksheets[0].iter_rows(values_only=True)]
    book.close()
    if not rows:
        raise UserError(f"{path}: the sheet is empty")
    return rows


def official_list(cell: str) -> list[str]:
    """The words of a cell such as `['happy', 'proud']` or `happy, proud`, as the MER code splits them.

    That is at every quote and comma, so an apostrophe inside of a word splits it.
    """
    cell = str(cell).strip()
    cell = cell.removeprefix("[").removesuffix("]")
    for separator in "'\"":
        cell = cell.replace(separator, ",")
    return [word.strip() for word in cell.split(",") if word.strip()]
