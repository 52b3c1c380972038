"""What became of every row: kept, left out by reason, bad by reason; as a table for people and as JSON beside the records."""

from collections import Counter
from collections.abc import Iterable
from typing import Any

from rich.console import Group
from rich.table import Table
from rich.text import Text

from emoreason.conversion.faults import BadRow
from emoreason.conversion.source import Source
from emoreason.records import Record

SHOWN_FAULTS = 20
"""Bad rows that are printed; faults.jsonl has them all."""
SHOWN_LABELS = 40


class Account:
    """Counts that add up: every row is kept, left out, or bad."""

    def __init__(self) -> None:
        self.num_rows = self.num_kept = self.num_records = 0
        self.left_out: Counter[str] = Counter()
        self.bad: Counter[str] = Counter()
        self.first_bad: list[str] = []
        self.labels: Counter[str] = Counter()
        self.splits: Counter[str] = Counter()

    @property
    def num_bad(self) -> int:
        return sum(self.bad.values())

    @property
    def bad_share(self) -> float:
        """Of the rows that were not meant to be left out."""
        judged = self.num_rows - sum(self.left_out.values())
        return self.num_bad / judged if judged else 0.0

    def keep(self, records: Iterable[Record]) -> None:
        self.num_rows += 1
        self.num_kept += 1
        for record in records:
            self.num_records += 1
            self.splits[record.split] += 1
            target = record.target
            for label in [target.label] if target.label is not None else target.labels:
                self.labels[label] += 1

    def leave_out(self, reason: str) -> None:
        self.num_rows += 1
        self.left_out[reason] += 1

    def mark_bad(self, where: str, fault: BadRow) -> None:
        self.num_rows += 1
        self.bad[fault.reason] += 1
        if len(self.first_bad) < SHOWN_FAULTS:
            self.first_bad.append(f"{where}: {fault}")

    def as_json(self, source: Source) -> dict[str, Any]:
        """The counts, and what was read, for conversion.json."""
        assert self.num_rows == self.num_kept + sum(self.left_out.values()) + self.num_bad, "rows do not add up"
        kinds = sorted({*source.media_found, *source.media_missing})
        return {
            "rows": self.num_rows, "rows_kept": self.num_kept, "records": self.num_records,
            "left_out": dict(self.left_out.most_common()), "bad": dict(self.bad.most_common()),
            "splits": dict(sorted(self.splits.items())), "labels": dict(self.labels.most_common()),
            "media": {kind: {"found": source.media_found[kind], "missing": source.media_missing[kind]} for kind in kinds},
            "inputs": dict(sorted(source.inputs.items())), "not_there": source.not_there,
        }  # fmt: skip

    def as_table(self, source: Source) -> Group:
        """The same for the terminal."""
        table = Table("", "", title=f"{source.card.title}: {self.num_rows:,} rows in, {self.num_records:,} records out", show_header=False)
        table.add_row("rows kept", f"{self.num_kept:,}")
        for name, counts in (("left out", self.left_out), ("bad", self.bad)):
            for reason, count in counts.most_common():
                table.add_row(f"{name}: {reason}", f"{count:,}")
        table.add_section()
        for split, count in sorted(self.splits.items()):
            table.add_row(f"split {split}", f"{count:,}")
        table.add_section()
        for label, count in self.labels.most_common(SHOWN_LABELS):
            table.add_row(f"label {label}", f"{count:,}")
        if len(self.labels) > SHOWN_LABELS:
            table.add_row(f"{len(self.labels) - SHOWN_LABELS} more labels", f"{sum(sorted(self.labels.values())[:-SHOWN_LABELS]):,}")
        table.add_section()
        for kind in sorted({*source.media_found, *source.media_missing}):
            table.add_row(f"{kind} files found, missing", f"{source.media_found[kind]:,}, {source.media_missing[kind]:,}")
        lines = [Text(f"not there: {name}") for name in source.not_there]
        lines += [Text(line) for line in self.first_bad]
        if self.num_bad > len(self.first_bad):
            lines.append(Text(f"{self.num_bad - len(self.first_bad):,} more bad rows are in faults.jsonl"))
        return Group(table, *lines)
