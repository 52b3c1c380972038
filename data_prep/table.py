"""The table of data_prep/README.md: a row for each script that has a CARD.

    python data_prep/table.py
    python data_prep/table.py --check

The first writes it; the second says whether it is up to date, and exits with 1 where it is not.
"""

import argparse
import importlib.util
import sys
from pathlib import Path

from emoreason.conversion.card import Card
from emoreason.files import write_text

FOLDER = Path(__file__).parent
README = FOLDER / "README.md"
START, END = "<!-- made by table.py from here -->", "<!-- to here -->"
COLUMNS = ("data set", "access", "licence", "size", "labels", "modalities", "official split", "recipes", "verified; unsure")


def cards() -> dict[str, Card]:
    """{script: its card}, by name; scripts without one make data and convert none."""
    found = {}
    for path in sorted(FOLDER.glob("*.py")):
        if "\nCARD = Card(" in path.read_text(encoding="utf-8"):
            spec = importlib.util.spec_from_file_location(f"data_prep_{path.stem}", path)
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            found[path.stem] = module.CARD
    return found


def table() -> str:
    """The rows in Markdown."""
    lines = ["| " + " | ".join(COLUMNS) + " |", "|" + " --- |" * len(COLUMNS)]
    for script, card in cards().items():
        sure = f"{card.verified}; **unsure:** {card.inferred}" if card.inferred else card.verified
        recipes = ", ".join(f"[{name}](../recipes/{name})" for name in card.recipes.split(", ") if name)
        cells = (f"[{card.title}]({card.url}), [{script}.py]({script}.py)", card.access, card.licence, card.size, card.labels, card.modalities,
                 card.splits, recipes, sure)  # fmt: skip
        lines.append("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |")
    return "\n".join(lines)


def with_table(readme: str) -> str:
    """The text of the README with the table as it should be."""
    before, start, rest = readme.partition(START)
    _, end, after = rest.partition(END)
    if not (start and end):
        raise SystemExit(f"{README}: no lines {START!r} and {END!r}; put them where the table should be")
    return f"{before}{START}\n\n{table()}\n\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 where the table is not up to date")
    check = parser.parse_args().check
    readme = README.read_text(encoding="utf-8")
    wanted = with_table(readme)
    if check and wanted != readme:
        sys.exit(f"{README}: the table is not up to date; run: python data_prep/table.py")
    if wanted != readme:
        write_text(README, wanted)
    print(f"{README}: {len(cards())} data sets")


if __name__ == "__main__":
    main()
