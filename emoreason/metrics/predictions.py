"""Any metric, by name, of two files: gold and predictions, joined by id, so that anybody's predictions can be scored.

    emoreason metric wheel_f gold.csv predictions.csv

A file is CSV or JSON Lines with `id` and what the metric reads: `label`, or `labels` (a list, `['joy', 'pride']`, or joy, pride), `confidence`
in any spelling, `value` (a number), `text`, and `subset`. Of a file with `labels` alone the first is the label. With
`compat`, the label of a prediction is what that published scorer reads in its `completion`. A records file serves as gold, and what
`emoreason evaluate` writes as predictions.
"""

import ast
import csv
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from emoreason.compat import CONFIDENCE_COMPAT, published_answer, published_confidence
from emoreason.emotions import LABEL_SPACES
from emoreason.faults import UserError, did_you_mean, raise_faults
from emoreason.files import read_jsonl
from emoreason.mer_wheels import official_list
from emoreason.metrics.bootstrap import interval, paired_interval, pooled_and_macro
from emoreason.metrics.named import METRICS, NamedMetric, Options, Row
from emoreason.stated_confidence import parse_confidence

MAX_SHOWN = 20


def metric_of_files(
    name: str, gold_path: Path, prediction_path: Path, options: Options | None = None, *,
    against: Path | None = None, by: str | None = None, compat: str | None = None, num_bootstrap: int = 200, seed: int = 0,
) -> dict[str, Any]:  # fmt: skip
    """`{"metric", its numbers, "low", "high", "n", "skipped", "unparsed", "missing", "extra", ...}`; a number is None where it is undefined.

    `n` rows were used; `skipped` gold rows lack what the metric reads; of the used, `missing` have no prediction and `unparsed` one without an
    answer: both count as wrong, but where a metric compares numbers (ccc, plcc, srcc, mae, rmse) they are left out of `n`. `extra`
    predictions have no gold row. low and high are the bounds of a 95 % interval of the first number.
    `compat` names a scorer of `emoreason.compat.COMPAT`, which reads the `completion` of each prediction in place of its label.
    `against`, other predictions, adds `difference`, these less those, with its own interval; `by`, a column of gold, adds `groups`, one
    number each, and their `macro` mean.

    Raises:
        UserError: no such metric, or whatever is wrong with the files, in one report.
    """
    faults = [] if name in METRICS else [f"unknown metric {name!r}{did_you_mean(name, METRICS)}"]
    gold, predicted = read_table(gold_path, faults), read_table(prediction_path, faults)
    others = read_table(against, faults) if against else None
    if by is not None and gold and not any(by in row for row in gold.values()):
        faults.append(f"{gold_path}: no column {by!r} for groups{did_you_mean(by, {column for row in gold.values() for column in row})}")
    _raise_some(faults)
    options, metric = options or Options(), METRICS[name]
    used = {key: row for key, row in gold.items() if all(row.get(column) not in (None, "", []) for column in metric.reads)}
    if not used:
        raise UserError(f"{gold_path}: no row has {' and '.join(metric.reads)}, which {name} reads; columns: {', '.join(next(iter(gold.values())))}")
    if compat:
        classes = list(options.labels) or sorted({row["label"] for row in used.values() if "label" in row})
        predicted = _as_published(predicted, used, compat, classes, prediction_path)
        others = _as_published(others, used, compat, classes, against) if others is not None else None
    rows = [(row, predicted.get(key, {})) for key, row in used.items()]
    given = [prediction for _, prediction in rows if prediction]
    if metric.needs_confidence and given and not any("confidence" in prediction for prediction in given):
        raise UserError(f"{prediction_path}: no row has a confidence, which {name} reads")
    # A class that a resample or a group happens to lack is still a class.
    options = replace(options, labels=tuple(options.classes(rows, metric.reads[0]))) if metric.reads[0] in ("label", "labels") else options
    try:
        numbers = metric.compute(rows, options)
    except ValueError as error:  # gold that the metric refuses
        raise UserError(f"{gold_path}: {error}") from error
    main = next(iter(numbers))

    def value(drawn: Sequence[Row]) -> float | None:
        return metric.compute(drawn, options)[main]

    bounds = interval(value, rows, num_bootstrap=num_bootstrap, seed=seed)
    result = {"metric": name, **numbers, "low": bounds["low"], "high": bounds["high"], "n": numbers.get("n", len(rows)),
              "skipped": len(gold) - len(rows) + numbers.get("skipped", 0), **_unanswered(rows, metric),
              "extra": len(predicted.keys() - gold.keys())}  # fmt: skip
    if others is not None:
        theirs = [others.get(key, {}) for key in used]
        ours, golds = [prediction for _, prediction in rows], list(used.values())
        result["difference"] = paired_interval(lambda gold, some: value(list(zip(gold, some, strict=True))), golds, theirs, ours,
                                               num_bootstrap=num_bootstrap, seed=seed)  # fmt: skip
    if by is not None:
        result |= _by_group(rows, by, main, value)
    return result


def _unanswered(rows: Sequence[Row], metric: NamedMetric) -> dict[str, int]:
    """How many rows have no prediction, and how many one without any of the columns that the metric reads."""
    given = [prediction for _, prediction in rows if prediction]
    columns = metric.answers or metric.reads[:1]
    unparsed = sum(all(prediction.get(column) in (None, "", []) for column in columns) for prediction in given)
    return {"missing": len(rows) - len(given), "unparsed": unparsed}


def _by_group(rows: Sequence[Row], by: str, main: str, value: Callable[[Sequence[Row]], float | None]) -> dict[str, Any]:
    """The number in each group of rows that have the same `by` in gold, and the plain mean over the groups."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(str(row[0].get(by)), []).append(row)
    found = {group: (len(members), value(members)) for group, members in groups.items()}
    return {"groups": {group: {main: one, "n": size} for group, (size, one) in found.items()}, "macro": pooled_and_macro(found)["macro"]}


def _raise_some(faults: list[str]) -> None:
    hidden = len(faults) - MAX_SHOWN
    raise_faults(faults if hidden <= 0 else [*faults[:MAX_SHOWN], f"and {hidden} more of these"])


def read_table(path: Path, faults: list[str]) -> dict[str, dict[str, Any]]:
    """{id: its cells}: labels as a list, label, confidence and value as what they are; other columns as text. Faults go into the list."""
    rows: dict[str, dict[str, Any]] = {}
    for line, raw in _raw_rows(path, faults):
        key = str(raw.get("id") if raw.get("id") is not None else "")
        if not key:
            faults.append(f"{path}:{line}: no id; accepted: columns id, label or labels, confidence, value, text, subset")
        elif key in rows:
            faults.append(f"{path}:{line}: id {key!r} stands twice; accepted: each id once")
        else:
            try:
                rows[key] = _cells(raw)
            except ValueError as error:
                faults.append(f"{path}:{line}: id {key!r}: {error}")
    if not rows and not faults:
        faults.append(f"{path}: holds no rows")
    return rows


def _as_published(
    predicted: dict[str, dict[str, Any]], gold: dict[str, dict[str, Any]], compat: str, classes: Sequence[str], path: Path
) -> dict[str, dict[str, Any]]:
    """The predictions with the answer, and the confidence, that the published scorer reads in their completions."""
    without = [key for key, row in predicted.items() if "completion" not in row]
    raise_faults([f"{path}: id {key!r}: no completion, which compat {compat} reads" for key in without[:20]])
    read: dict[str, dict[str, Any]] = {}
    for key, row in predicted.items():
        text = str(row["completion"])
        label = published_answer(text, compat, classes, gold.get(key, {}).get("label") or "")
        read[key] = {**row, "label": label, "labels": [label] if label else []}
        if compat in CONFIDENCE_COMPAT:
            read[key]["confidence"] = published_confidence(text, compat)
    return read


def named_labels(text: str) -> tuple[str, ...]:
    """The classes of a label space by its name, or the ones that a comma separates."""
    return LABEL_SPACES.get(text) or tuple(word.strip() for word in text.split(",") if word.strip())


def _raw_rows(path: Path, faults: list[str]) -> list[tuple[int, dict[str, Any]]]:
    if path.suffix.lower() != ".csv":
        return list(read_jsonl(path, faults))
    try:
        with path.open(encoding="utf-8-sig", newline="") as lines:
            reader = csv.DictReader(lines)
            reader.fieldnames = [(name or "").strip() for name in reader.fieldnames or ()]
            return [(reader.line_num, row) for row in reader]
    except OSError as error:
        faults.append(f"{path}: cannot be read: {error.strerror}")
    except (UnicodeDecodeError, csv.Error) as error:
        faults.append(f"{path}: not CSV in UTF-8: {error}")
    return []


def _cells(raw: dict[str, Any]) -> dict[str, Any]:
    if isinstance(raw.get("target"), dict):  # a record
        raw = {**raw, **raw["target"]}
    if isinstance(raw.get("answers"), list):  # a row that `emoreason evaluate` wrote, whose labels are gold
        raw = {**raw, "labels": raw["answers"], "label": (raw["answers"] or [None])[0]}
    cells = {name: value for name, value in raw.items() if name and value not in (None, "")}
    if "labels" in cells:
        cells["labels"] = _list(cells["labels"])
        if cells["labels"]:
            cells.setdefault("label", cells["labels"][0])
    if "label" in cells:
        cells["label"] = str(cells["label"])
        cells.setdefault("labels", [cells["label"]])
    if "cues" in cells and not (isinstance(cells["cues"], dict) and all(isinstance(one, list) for one in cells["cues"].values())):
        raise ValueError(f"cues {str(cells['cues'])[:60]!r} are no lists by dimension; accepted, in JSON Lines: {{\"visual\": [\"brows lowered\"]}}")
    if "confidence" in cells:
        cells["confidence"] = parse_confidence(str(cells["confidence"]))
    if "value" in cells:
        try:
            number = float(cells["value"])
        except (TypeError, ValueError, OverflowError):
            number = math.nan
        if not math.isfinite(number):
            raise ValueError(f"value {repr(cells['value'])[:60]}; accepted: a finite number")
        cells["value"] = number
    return cells


def _list(cell: Any) -> list[str]:
    if isinstance(cell, list):
        return [str(word) for word in cell]
    text = str(cell).strip()
    if text.startswith("["):
        try:
            return [str(word) for word in ast.literal_eval(text)]
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            pass  # `[joy, pride]` without quotes, or with an apostrophe inside of them: as the MER code splits it
    return official_list(text) if text.startswith("[") else [word.strip() for word in text.split(",") if word.strip()]
