"""The rewards of a recipe on completions that are on disk: what they give, and why a run with them would go as it does."""

from collections.abc import Callable
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

from emoreason.allow_list import read_source
from emoreason.completions import parse_completion
from emoreason.faults import did_you_mean, raise_faults
from emoreason.files import read_jsonl
from emoreason.preflight import data_sources
from emoreason.recipe import DpoRecipe, EvaluateRecipe, GrpoRecipe
from emoreason.records import Record, columns
from emoreason.rewarding import RewardFunc, total_reward

_BATCH = 256


def score_file(recipe: GrpoRecipe | DpoRecipe | EvaluateRecipe, path: Path, done: Callable[[int, int], None] | None = None) -> list[dict[str, Any]]:
    """One row a completion: `{"id", "completion", "rewards": {name: value or None}, "total", "problems"}`.

    A line of the file has the `id` of one of the recipe's records and a `completion`, or `completions`, a list; other keys are left
    alone, so completions.jsonl of a run, preference samples and evaluation files can be given. `done(rows, all rows)` is told of progress.

    Raises:
        UserError: every line that cannot be used, in one report, or what a reward says of its settings.
        RewardError: a reward fails and its `on_error` is stop.
    """
    faults: list[str] = []
    records = {record.id: record for source in data_sources(recipe) for record in read_source(source).records}
    wanted: list[tuple[Record, str]] = []
    for line, row in read_jsonl(path, faults):
        wanted += [(records[str(row["id"])], text) for text in _texts(row, f"{path}:{line}", records, faults)]
    if not wanted and not faults:
        faults.append(f"{path}: holds no completions")
    raise_faults(faults)
    template, rewards = recipe.template.build(), [RewardFunc.from_spec(spec) for spec in recipe.rewards]
    rows: list[dict[str, Any]] = []
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        made = [{**columns(record), "template": template} for record, _ in batch]
        texts = [text for _, text in batch]
        totals, by_name = total_reward(rewards, texts, {name: [row[name] for row in made] for name in made[0]})
        for index, (record, text) in enumerate(batch):
            values = {name: values[index] for name, values in by_name.items()}
            problems = parse_completion(text, template).problems
            rows.append({"id": record.id, "completion": text, "rewards": values, "total": totals[index], "problems": problems})
        if done:
            done(len(rows), len(wanted))
    return rows


def summary(rows: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """`{reward or "total": {"mean", "low", "high", "spread", "n", "not_applicable"}}`; low and high are the extremes, None without any value.

    `spread` is the mean over records of the standard deviation among a record's completions, which is what GRPO learns from; None
    where no record has two.
    """
    names = list(rows[0]["rewards"]) if rows else []
    return {name: _summary(rows, lambda row, name=name: row["rewards"][name]) for name in names} | {"total": _summary(rows, lambda row: row["total"])}


def _summary(rows: list[dict[str, Any]], value_of: Callable[[dict[str, Any]], float | None]) -> dict[str, Any]:
    by_record: dict[str, list[float]] = {}
    for row in rows:
        if (value := value_of(row)) is not None:
            by_record.setdefault(row["id"], []).append(value)
    values = [value for group in by_record.values() for value in group]
    spreads = [pstdev(group) for group in by_record.values() if len(group) > 1]
    return {
        "mean": fmean(values) if values else None, "low": min(values, default=None), "high": max(values, default=None),
        "spread": fmean(spreads) if spreads else None, "n": len(values), "not_applicable": len(rows) - len(values),
    }  # fmt: skip


def _texts(row: dict[str, Any], where: str, records: dict[str, Record], faults: list[str]) -> list[str]:
    name = row.get("id")
    if str(name) not in records:
        faults.append(f"{where}: no record {name!r} in the recipe's data{did_you_mean(str(name), records)}")
        return []
    texts = row.get("completions", [row.get("completion")])
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        faults.append(f"{where}: record {name!r}: no completion; accepted: a text `completion`, or a list of texts `completions`")
        return []
    return texts
