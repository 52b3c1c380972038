"""Mirrors that keep pictures in a folder for each class, named by its word, or by a number in one of two orders."""

from argparse import ArgumentParser

from emoreason.conversion import cells
from emoreason.conversion.media_folder import IMAGE_ENDINGS
from emoreason.conversion.source import Source
from emoreason.conversion.tables import Row
from emoreason.emotions import label_from_index
from emoreason.faults import UserError


def picture_rows(source: Source, *folders: str) -> list[Row]:
    """A row for each picture in `<one of these folders>/<class>/`: `picture`, its path; `class`, the name of its folder.

    What is no picture by its name, or hidden, as file managers leave it behind (`.DS_Store`, `._a.jpg`, `Thumbs.db`), is passed over.

    Raises:
        UserError: classes are numbers and --order does not say whose.
    """
    rows = []
    for folder in folders:
        for path in source.files(f"{folder}/*/*.*"):
            if path.name.startswith(".") or path.suffix.lower().removeprefix(".") not in IMAGE_ENDINGS:
                continue
            name = source.name_of(path)
            rows.append(Row({"picture": name, "class": path.parent.name}, name, "file"))
    numbers = sorted({row["class"] for row in rows if row["class"].isdigit()})
    if numbers and source.options.order is None:
        raise UserError(f"folders {', '.join(numbers)} are numbers; say with --order whose: official, as the data set counts, or folders, "
                        "by the alphabet (see --help)")  # fmt: skip
    return rows


def folder_label(name: str, label_space: str, source: Source) -> str:
    """The label that a folder stands for; `<label space>_folders` are the numbers by the alphabet."""
    if not name.isdigit():
        return cells.label(name, label_space)
    return label_from_index(int(name), label_space if source.options.order == "official" else f"{label_space}_folders")


def add_order_option(parser: ArgumentParser) -> None:
    parser.add_argument("--order", choices=("official", "folders"), help="whose numbers a mirror's folders are; needed only where they are numbers")
