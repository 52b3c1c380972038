"""What a data set is: a row of the table in data_prep/README.md, and what its records have in common."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Card:
    """One data set. Everything is for people to read but `name` and `licence`, which stand in every record."""

    name: str
    """Of the records' `dataset`, in lower case with underscores, and of the script."""
    title: str
    """As papers write it."""
    access: str
    """How one gets it: open, a form, an agreement."""
    licence: str
    """The terms of labels and media, SPDX where there is an identifier."""
    citation: str
    """Authors, year, title or venue, arXiv number."""
    url: str
    size: str
    """Of what and how many, e.g. `13,708 utterances`."""
    labels: str
    """What is annotated, with the names of the label spaces."""
    modalities: str
    """Of `image`, `video`, `audio`, `text`, with commas."""
    splits: str
    """The official ones, with their sizes and folds, or `none`."""
    verified: str
    """What of the format was read in the data set's own files or code; everything else is inferred."""
    inferred: str = ""
    """What is unsure."""
    recipes: str = ""
    """Folders of recipes that such records fit, with commas."""
