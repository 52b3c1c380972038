"""How far a number could be off: percentile intervals over resampled rows, differences of two models, sums over tasks.

Rows are resampled as if independent (Efron and Tibshirani 1993, chapter 13). Clips of one speaker are not, so that real
intervals are somewhat wider. `low` and `high` are the 2.5th and 97.5th percentile of what the resamples say, and nothing
makes them hold the value: a metric that resampling biases, such as ECE, can lie outside. Only defined resamples count;
where none is, `low` and `high` are None.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

_DRAWS_IN_MEMORY = 2**22  # 32 MB: ten thousand rows are resampled in blocks of 400


@dataclass(frozen=True)
class RowMetric:
    """A metric whose value in a resample follows from how often each row was drawn, so that many are computed at once."""

    value: float
    used: np.ndarray
    """Indices of the rows that the metric is about."""
    resampled: Callable[[np.ndarray], np.ndarray]
    """Weights of the used rows, a line a resample -> the metric in each resample, NaN where it is undefined."""


def row_metric(used: np.ndarray, formula: Callable[..., np.ndarray], **columns: np.ndarray | int) -> RowMetric:
    """The metric whose value is its own formula with every row weighted once.

    `formula(weights [resamples, rows], **columns [rows])` returns [resamples].
    """
    resampled = partial(formula, **columns)
    return RowMetric(float(resampled(np.ones((1, len(used))))[0]), used, resampled)


def weighted_mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The formula of a mean: weights [resamples, rows] and values [rows] -> [resamples], NaN where nothing has weight."""
    return quotient(weights @ values, weights.sum(1))


def quotient(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator != 0)


def row_metric_intervals(
    metrics: Mapping[str, RowMetric], num_rows: int, *, num_bootstrap: int = 1000, seed: int = 0
) -> dict[str, tuple[float, float] | None]:
    """{name: (low, high)}, or None for a metric that is defined in no resample; all metrics see the same resamples.

    Raises:
        ValueError: no rows, or `num_bootstrap` is below 1.
    """
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for rows in _resamples(num_rows, num_bootstrap, seed):
        cells = rows + num_rows * np.arange(len(rows))[:, None]
        weights = np.bincount(cells.ravel(), minlength=rows.size).reshape(rows.shape).astype(float)
        for name, metric in metrics.items():
            drawn[name].append(metric.resampled(weights[:, metric.used]))
    return {name: _percentiles(np.concatenate(blocks)) for name, blocks in drawn.items()}


def interval(metric: Callable[..., float | None], *columns: Sequence, num_bootstrap: int = 1000, seed: int = 0) -> dict[str, Any]:
    """`{"value", "low", "high", "n"}` of any metric of one or more columns, with a 95 % interval; None where it is undefined.

    `metric(*columns)` gets the drawn rows of every column, arrays as arrays and all else as lists, once a resample. Means and
    what else can be computed from row weights is far faster with `row_metric_intervals`, which sees the same resamples.

    Raises:
        ValueError: no rows, columns of unequal length, or `num_bootstrap` is below 1.

    >>> interval(lambda values: max(values), [1, 1, 1])
    {'value': 1, 'low': 1.0, 'high': 1.0, 'n': 3}
    """
    num_rows = _same_length(columns)
    found = [metric(*drawn) for drawn in _resampled_columns(columns, num_bootstrap, seed)]
    low, high = _percentiles(np.array([np.nan if one is None else one for one in found], float)) or (None, None)
    return {"value": metric(*columns), "low": low, "high": high, "n": num_rows}


def paired_interval(
    metric: Callable[..., float | None],
    gold: Sequence,
    predictions_a: Sequence,
    predictions_b: Sequence,
    *,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Any]:
    """`{"value", "low", "high", "n", "share_b_above_a"}` of the difference b - a of two models on the same rows.

    Both see the same resamples, which takes out what makes a row hard for both. `share_b_above_a` is the share of the resamples
    in which b has the higher `metric(gold, predictions)`; a tie is not above. What is undefined for a or b is undefined for the
    difference: such resamples are left out, and a value without any is None.

    Raises:
        ValueError: as for `interval`.

    Source: the paired bootstrap test of Koehn (EMNLP 2004).
    """
    columns = (gold, predictions_a, predictions_b)
    num_rows = _same_length(columns)

    def difference(gold: Sequence, a: Sequence, b: Sequence) -> float | None:
        of_a, of_b = metric(gold, a), metric(gold, b)
        return None if of_a is None or of_b is None else of_b - of_a

    found = [one for drawn in _resampled_columns(columns, num_bootstrap, seed) if (one := difference(*drawn)) is not None]
    low, high = _percentiles(np.array(found, float)) or (None, None)
    share = sum(one > 0 for one in found) / len(found) if found else None
    return {"value": difference(*columns), "low": low, "high": high, "n": num_rows, "share_b_above_a": share}


def pooled_and_macro(tasks: Mapping[str, tuple], metric: Callable[..., float | None] | None = None) -> dict[str, Any]:
    """`{"pooled", "macro", "n", "undefined"}`: one number over all rows, and the plain mean over the tasks. They differ.

    Without `metric`, a task is `(number of rows, value)`, and `pooled` is the mean of the values weighted by rows, which is what
    all rows together give only for a mean of rows, such as accuracy. With `metric`, a task is its columns, and `pooled` is
    `metric` of all rows in one, which holds for F1, UAR, ECE and AUROC too.
    `undefined` names the tasks whose value is None; `macro` is over the others, and so is a `pooled` from values, and `n` counts
    the rows of `pooled`. Each is None where no task is left.

    Raises:
        ValueError: unequal columns, or a negative number of rows.

    >>> pooled_and_macro({"FI-2": (300, 0.9), "Abstract-8": (100, 0.5)})
    {'pooled': 0.8, 'macro': 0.7, 'n': 400, 'undefined': []}
    """
    if metric is None:
        sizes_and_values = dict(tasks)
    else:
        sizes_and_values = {task: (_same_length(columns, at_least=0), metric(*columns)) for task, columns in tasks.items()}
    negative = [task for task, (size, _) in sizes_and_values.items() if size < 0]
    if negative:
        raise ValueError(f"task {negative[0]!r} has {sizes_and_values[negative[0]][0]} rows")
    defined = {task: (size, value) for task, (size, value) in sizes_and_values.items() if value is not None}
    if metric is None:
        num_rows = sum(size for size, _ in defined.values())
        pooled = sum(size * value for size, value in defined.values()) / num_rows if num_rows else None
    else:
        num_rows = sum(size for size, _ in sizes_and_values.values())
        columns = [[row for column in parts for row in column] for parts in zip(*tasks.values(), strict=True)]
        pooled = metric(*columns) if columns else None
    macro = sum(value for _, value in defined.values()) / len(defined) if defined else None
    return {"pooled": pooled, "macro": macro, "n": num_rows, "undefined": [task for task in sizes_and_values if task not in defined]}


def _resamples(num_rows: int, num_bootstrap: int, seed: int) -> Iterator[np.ndarray]:
    """Row numbers [resamples of a block, num_rows], until `num_bootstrap` resamples were drawn."""
    if num_rows < 1 or num_bootstrap < 1:
        raise ValueError(f"{num_rows} rows and {num_bootstrap} bootstrap resamples given; at least 1 of each is needed")
    generator = np.random.default_rng(seed)
    block = max(1, _DRAWS_IN_MEMORY // num_rows)
    for start in range(0, num_bootstrap, block):
        yield generator.integers(num_rows, size=(min(block, num_bootstrap - start), num_rows))


def _resampled_columns(columns: Sequence[Sequence], num_bootstrap: int, seed: int) -> Iterator[list[Sequence]]:
    for block in _resamples(len(columns[0]), num_bootstrap, seed):
        for drawn in block:
            numbers = drawn.tolist()
            yield [column[drawn] if isinstance(column, np.ndarray) else [column[number] for number in numbers] for column in columns]


def _percentiles(values: np.ndarray) -> tuple[float, float] | None:
    defined = values[~np.isnan(values)]
    if not len(defined):
        return None
    low, high = np.percentile(defined, [2.5, 97.5])
    return float(low), float(high)


def _same_length(columns: Sequence[Sequence], at_least: int = 1) -> int:
    lengths = {len(column) for column in columns}
    if len(lengths) != 1 or min(lengths) < at_least:
        raise ValueError(f"columns of {', '.join(str(len(column)) for column in columns) or 'no'} rows given; all need the same, "
                         f"at least {at_least}")  # fmt: skip
    return lengths.pop()
