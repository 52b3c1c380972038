"""Cross-validation that a data set, or the papers on it, divide by: one fold is the test, the others are for training."""

from argparse import ArgumentParser
from collections.abc import Iterable

from emoreason.conversion.faults import BadRow
from emoreason.conversion.source import Source


def add_fold(parser: ArgumentParser, num_folds: int, default: int = 1) -> None:
    """The option that says which fold is tested; papers report the mean over all, each converted into a folder of its own."""
    parser.add_argument(
        "--fold", type=int, choices=range(1, num_folds + 1), default=default, help=f"the one that is split `test` (default: {default})"
    )


def split_of(fold: int, source: Source) -> str:
    """`test` where it is the fold of --fold, else `train`."""
    return "test" if fold == source.options.fold else "train"


def tested_in(clips: Iterable[tuple[str, int, str]], source: Source) -> dict[str, int]:
    """{clip: the fold in which it is tested}, of (clip, fold, where that stands); one that is tested in two folds is reported."""
    found: dict[str, int] = {}
    for clip, fold, where in clips:
        if found.setdefault(clip, fold) != fold:
            source.report(where, BadRow("tested in two folds", f"clip {clip} is tested in fold {found[clip]} already"))
    return found
