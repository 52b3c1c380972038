"""The metrics of one evaluated record set, each in [0, 1] and with a 95 % interval.

A row whose answer or confidence cannot be read is never dropped: it gets the worst value of a row, so that a model does
not gain by breaking the template where it is unsure. AUROC is the exception, see `evaluate_rows`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from emoreason.completions import Completion, normalise_word
from emoreason.faults import UserError, did_you_mean
from emoreason.metrics.bootstrap import RowMetric, quotient, row_metric, row_metric_intervals, weighted_mean
from emoreason.metrics.calibration import equal_width_bins, squared_errors
from emoreason.metrics.sets import word_set

NO_CLASS = -1


@dataclass(frozen=True)
class Scored:
    """One record after evaluation: its gold label (None where it has none), its gold words, and what the model answered."""

    label: str | None
    labels: list[str]
    parsed: Completion


def mean_with_interval(values: Sequence[float], *, num_bootstrap: int = 1000, seed: int = 0) -> dict:
    """`{"value", "low", "high", "n"}` of a mean over rows, with a 95 % bootstrap interval, as in `evaluate_rows`."""
    metric = row_metric(np.arange(len(values)), weighted_mean, values=np.array(values, float))
    return _with_intervals({"mean": metric}, len(values), num_bootstrap, seed)["mean"]


def evaluate_rows(
    rows: Sequence[Scored],
    label_space_classes: tuple[str, ...],
    *,
    confidence_expected: bool = False,
    num_bootstrap: int = 1000,
    seed: int = 0,
) -> dict:
    """`{"metrics": {name: {"value", "low", "high", "n"}}, "n": rows, "unparsed": rows without a usable answer}`.

    Over the rows with a gold label (the dominant answer counts; no answer, or one outside the label space, is wrong):
        accuracy: share of right answers.
        uar: unweighted average recall, the mean recall of the classes that occur in gold.
        macro_f1: mean F1 of the classes that occur in gold or among the answers; an answer outside the space is no class.
    Over the rows with gold words:
        set_f1: mean of each row's `set_f1`.
        corpus_set_f1: 2PR / (P + R) of the mean precision P and the mean recall R of the rows (0 for no answer), the F of
            AffectGPT (arXiv 2501.16566), there on emotion wheel clusters. It is no mean of rows and differs from set_f1.
    Over all rows: format_rate, the share without any problem.
    When at least one row states a readable confidence, over the rows with a gold label unless said otherwise:
        ece: `expected_calibration_error`. brier: `brier_score`. No usable answer or no readable confidence is None there.
        auroc: chance that a right answer has a higher confidence than a wrong one, ties count half; such rows have confidence
            0, as if the model abstained. Read it beside `coverage`, since wrong rows that abstain raise it. Absent when all
            answers are right or all wrong.
        mean_confidence: over the rows with a readable confidence. coverage: their share of all rows.
    With `confidence_expected`, since the template asks for one, ece, brier and coverage are there in any case: 1, 1 and 0 for
    a model that states none.

    A metric without any row is absent; `n` is the number of rows it used. `low` and `high` are the 2.5th and 97.5th
    percentile over `num_bootstrap` resamples of the rows as if independent (Efron and Tibshirani 1993, chapter 13);
    resamples where the metric is undefined are left out, and where none is left the interval is 0 to 1. ECE is biased
    upwards by resampling, so its value can lie below its interval when calibration is good.
    `label_space_classes` is empty for an open vocabulary: then the classes are the labels that occur in gold.

    Raises:
        UserError: a gold label is outside the label space.
        ValueError: there are no rows, or `num_bootstrap` is below 1.
    """
    if not rows or num_bootstrap < 1:
        raise ValueError(f"{len(rows)} rows and {num_bootstrap} bootstrap resamples given; at least 1 of each is needed")
    metrics = _label_metrics(rows, label_space_classes) | _word_metrics(rows)
    follows_template = np.array([not row.parsed.problems for row in rows], float)
    metrics["format_rate"] = row_metric(np.arange(len(rows)), weighted_mean, values=follows_template)
    if confidence_expected or any(row.parsed.confidence is not None for row in rows):
        metrics |= _confidence_metrics(rows)
    entries = _with_intervals(metrics, len(rows), num_bootstrap, seed)
    return {"metrics": entries, "n": len(rows), "unparsed": sum(not row.parsed.answers for row in rows)}


def _with_intervals(metrics: dict[str, RowMetric], num_rows: int, num_bootstrap: int, seed: int) -> dict[str, dict]:
    intervals = row_metric_intervals(metrics, num_rows, num_bootstrap=num_bootstrap, seed=seed)
    entries = {}
    for name, metric in metrics.items():
        low, high = intervals[name] or (0.0, 1.0)  # nothing is known, so nothing is claimed
        entries[name] = {"value": metric.value, "low": low, "high": high, "n": len(metric.used)}
    return entries


def _label_metrics(rows: Sequence[Scored], classes: tuple[str, ...]) -> dict[str, RowMetric]:
    used = np.flatnonzero([row.label is not None for row in rows])
    if not len(used):
        return {}
    from sklearn.metrics import f1_score, recall_score  # takes about half a second

    words = [normalise_word(rows[i].label) for i in used]
    index = {normalise_word(name): number for number, name in enumerate(classes or sorted(set(words)))}
    outside = sorted(set(words) - set(index))
    if outside:
        raise UserError(f"gold label {outside[0]!r} is not in the label space of this evaluation{did_you_mean(outside[0], index)}")
    gold = np.array([index[word] for word in words])
    predicted = np.array([index.get(rows[i].parsed.label, NO_CLASS) for i in used])
    occurring = np.union1d(gold, predicted[predicted != NO_CLASS])
    members = {"gold": gold[:, None] == np.arange(len(index)), "predicted": predicted[:, None] == np.arange(len(index))}
    uar = float(recall_score(gold, predicted, labels=np.unique(gold), average="macro"))
    macro_f1 = float(f1_score(gold, predicted, labels=occurring, average="macro"))
    return {
        "accuracy": row_metric(used, weighted_mean, values=(gold == predicted).astype(float)),
        "uar": RowMetric(uar, used, partial(_uar, **members)),
        "macro_f1": RowMetric(macro_f1, used, partial(_macro_f1, **members)),
    }


def _word_metrics(rows: Sequence[Scored]) -> dict[str, RowMetric]:
    pairs = [(word_set(row.parsed.answers), word_set(row.labels)) for row in rows]
    used = np.flatnonzero([bool(gold) for _, gold in pairs])
    if not len(used):
        return {}
    shared, num_predicted, num_gold = np.array([(len(p & g), len(p), len(g)) for p, g in (pairs[i] for i in used)]).T
    precision = shared / np.maximum(num_predicted, 1)  # no answer shares no word, so its precision is 0
    return {
        "set_f1": row_metric(used, weighted_mean, values=2 * shared / (num_predicted + num_gold)),
        "corpus_set_f1": row_metric(used, _corpus_f1, precision=precision, recall=shared / num_gold),
    }


def _confidence_metrics(rows: Sequence[Scored]) -> dict[str, RowMetric]:
    readable = np.array([row.parsed.confidence is not None for row in rows])
    stated = np.array([np.nan if row.parsed.confidence is None else row.parsed.confidence for row in rows])
    metrics = {"coverage": row_metric(np.arange(len(rows)), weighted_mean, values=readable.astype(float))}
    if readable.any():
        used = np.flatnonzero(readable)
        metrics = {"mean_confidence": row_metric(used, weighted_mean, values=stated[used])} | metrics
    used = np.flatnonzero([row.label is not None for row in rows])
    if not len(used):
        return metrics
    confidence = np.array([stated[i] if rows[i].parsed.answers else np.nan for i in used])
    correct = np.array([rows[i].parsed.label == normalise_word(rows[i].label) for i in used], float)
    metrics["ece"] = row_metric(used, _ece, confidence=confidence, correct=correct, num_bins=10)
    metrics["brier"] = row_metric(used, weighted_mean, values=squared_errors(confidence, correct))
    if readable.any() and 0 < correct.sum() < len(correct):
        from sklearn.metrics import roc_auc_score

        certainty = np.nan_to_num(confidence, nan=0.0)
        value = float(roc_auc_score(correct, certainty))
        metrics["auroc"] = RowMetric(value, used, partial(_auroc, confidence=certainty, correct=correct))
    return metrics


# The formulas below take weights [resamples, rows] and columns [rows], and return [resamples].


def _uar(weights: np.ndarray, gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    recall = quotient(weights @ (gold & predicted), weights @ gold)
    return quotient(np.nansum(recall, 1), np.isfinite(recall).sum(1))


def _macro_f1(weights: np.ndarray, gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    f1 = quotient(2 * (weights @ (gold & predicted)), weights @ gold + weights @ predicted)
    return quotient(np.nansum(f1, 1), np.isfinite(f1).sum(1))


def _corpus_f1(weights: np.ndarray, precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    precision_mean, recall_mean = weighted_mean(weights, precision), weighted_mean(weights, recall)
    total = precision_mean + recall_mean
    return np.where(total == 0, 0.0, quotient(2 * precision_mean * recall_mean, total))


def _ece(weights: np.ndarray, confidence: np.ndarray, correct: np.ndarray, num_bins: int) -> np.ndarray:
    unreadable = np.isnan(confidence)
    members = equal_width_bins(confidence, num_bins)[:, None] == np.arange(num_bins)
    # Of a bin with n rows, n * |accuracy - mean confidence| is |sum of (correct - confidence)|.
    gaps = np.abs(weights @ (members * np.where(unreadable, 0.0, correct - confidence)[:, None])).sum(1)
    return quotient(gaps + weights @ unreadable, weights.sum(1))


def _auroc(weights: np.ndarray, confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    levels, level = np.unique(confidence, return_inverse=True)
    order = np.argsort(level, kind="stable")
    starts = np.searchsorted(level[order], np.arange(len(levels)))
    right = np.add.reduceat((weights * correct)[:, order], starts, axis=1)
    wrong = np.add.reduceat((weights * (1 - correct))[:, order], starts, axis=1)
    beaten = np.cumsum(wrong, 1) - wrong / 2  # wrong rows below this level, and half of those on it
    return quotient((right * beaten).sum(1), right.sum(1) * wrong.sum(1))
