"""Preference pairs on disk: records that can be read and trained on like any others, and how alike their two sides are."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from emoreason.completions import Template
from emoreason.faults import UserError
from emoreason.files import read_json, write_json, write_jsonl
from emoreason.linked_media import link_to
from emoreason.pair_balance import pair_balance
from emoreason.preferences import Pairs, no_pairs
from emoreason.recipe import PairSource
from emoreason.records import Record, read_records
from emoreason.run_dir import RunDir
from emoreason.training_data import Example

MAX_VALUES = 8
"""Labels, first words, ... that the table shows; pairs.json has all."""

_LOG = logging.getLogger("emoreason")


def linked_records(examples: list[Example], folder: Path) -> list[Record]:
    """The records with media paths that start in this folder, where `media/0`, `media/1`, ... become links to the folders of their files.

    Raises:
        UserError: see `linked_media.link_to`.
    """
    places = dict.fromkeys(example.records_path.parent.resolve() for example in examples)
    links = {place: link_to(place, folder) for place in places}
    return [example.record.below(links[example.records_path.parent.resolve()]) for example in examples]


def write_pairs(run_dir: RunDir, found: dict[PairSource, Pairs], template: Template, num_tokens: Callable[[str], int]) -> None:
    """Write pairs.jsonl and, when it is whole, pairs.json; show how alike chosen and rejected answers are, and warn of shortcuts.

    Raises:
        UserError: a source gives no pair.
    """
    if empty := [source for source, pairs in found.items() if not pairs.records]:
        raise UserError([f"{run_dir.path}: {no_pairs(source, found[source])}" for source in empty])
    made = [record for pairs in found.values() for record in pairs.records]
    write_jsonl(run_dir.pairs_path, [record.model_dump(exclude_defaults=True) for record in made])
    balance = pair_balance([record.preference for record in made], template, num_tokens)
    counts = {source: {"num_pairs": len(pairs.records), "left_out": pairs.left_out} for source, pairs in found.items()}
    used = {one.id if source == "records" else one.id.rpartition("#")[0] for source, pairs in found.items() for one in pairs.records}
    write_json(run_dir.balance_path, {"num_records": len(used), "sources": counts, **balance})
    Console().print(balance_table(balance))
    for warning in balance["warnings"]:
        _LOG.warning("%s: %s", run_dir.pairs_path, warning)


def read_pairs(run_dir: RunDir) -> tuple[list[Example], int]:
    """(the pairs of a run as examples, how many records they come from)"""
    return [Example(record, run_dir.pairs_path) for record in read_records(run_dir.pairs_path)], read_json(run_dir.balance_path)["num_records"]


def balance_table(balance: dict[str, Any]) -> Table:
    """What pairs.json says of the two sides, in short."""
    table = Table("", "chosen", "rejected", "AUROC", title=f"{balance['num_pairs']} preference pairs: how alike are the two sides?")
    for unit, length in balance["length"].items():
        sides = [f"{length[side]['mean']:.1f} ({length[side]['median']:g})" for side in ("chosen", "rejected")]
        table.add_row(f"{unit}, mean (median)", *sides, f"{length['auroc']:.2f}")
        table.add_row(f"longer in {unit}", f"{length['longer']:.0%}", f"{1 - length['longer'] - length['equal']:.0%}", "", end_section=True)
    for name in ("writer", "label", "first_word", "format"):
        shown = list(balance[name].items())[:MAX_VALUES]
        for place, (value, counts) in enumerate(shown, start=1):
            row = (f"{name.replace('_', ' ')} {value}", str(counts["chosen"]), str(counts["rejected"]), "")
            table.add_row(*row, end_section=place == len(shown))
    return table
