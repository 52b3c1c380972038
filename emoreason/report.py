"""Metrics of runs as one table, over stages and over seeds."""

import io
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from emoreason.faults import UserError
from emoreason.files import read_json

COLUMNS = ("accuracy", "uar", "set_f1", "format_rate", "ece", "brier", "auroc", "reward")


def read_metrics(run_paths: list[Path]) -> dict[tuple[str, str], list[dict]]:
    """{(stage, test): one evaluation a run}, in the order of the runs' names."""
    found: dict[tuple[str, str], list[dict]] = defaultdict(list)
    for path in run_paths:
        for report in sorted((path / "eval").glob("*.json")):
            found[path.name, report.stem].append(read_json(report))
    return found


def stage_paths(roots: list[Path]) -> list[Path]:
    """The evaluated runs in these folders, stages in order.

    Raises:
        UserError: a folder without any evaluated run.
    """
    paths = []
    for root in roots:
        runs = sorted(path.parent for path in root.glob("*/eval") if path.is_dir())
        if not runs:
            raise UserError(f"{root}: no evaluated run below it (<stage>/eval/*.json); run: emoreason run RECIPES_DIR --runs-dir {root}")
        paths += runs
    return paths


def metrics_table(run_paths: list[Path], markdown: bool = False) -> str:
    """A row a stage and test set, a column a metric: value and interval of one run, or the mean of several with their range."""
    rows = [[stage, test, str(len(reports)), str(reports[0]["n"]), *(_cell(reports, name) for name in COLUMNS)]
            for (stage, test), reports in sorted(read_metrics(run_paths).items())]  # fmt: skip
    header = ["stage", "test set", "runs", "n", *COLUMNS]
    if markdown:
        lines = [header, ["---"] * len(header), *rows]
        return "\n".join("| " + " | ".join(line) + " |" for line in lines)
    table = Table(*header, title="metrics, greedy decoding: value [95 % interval], or mean over runs (lowest to highest)")
    for row in rows:
        table.add_row(*row)
    text = io.StringIO()
    Console(file=text, width=170).print(table)
    return text.getvalue()


def _cell(reports: list[dict], name: str) -> str:
    entries = [report["metrics"][name] for report in reports if name in report["metrics"]]
    if not entries:
        return "-"
    values = [entry["value"] for entry in entries]
    if len(entries) == 1:
        return f"{values[0]:.2f} [{entries[0]['low']:.2f}, {entries[0]['high']:.2f}]"
    return f"{sum(values) / len(values):.3f} ({min(values):.2f} to {max(values):.2f})"
