"""The metrics of one evaluated record set, each in [0, 1] and with a 95 % interval.

A row whose answer or confidence cannot be read is never dropped: it gets the worst value of a row, so that a model does
not gain by breaking the template where it is unsure. AUROC is the exception, see `evaluate_rows`.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from emoreason.completions import Completion, normalise_word
from emoreason.faults import UserError, did_you_mean

NO_CLASS = -1
_WEIGHTS_IN_MEMORY = 2**22  # 32 MB: ten thousand rows are resampled in blocks of 400


@dataclass(frozen=True)
class Scored:
    """One record after evaluation: its gold label (None where it has none), its gold words, and what the model answered."""

    label: str | None
    labels: list[str]
    parsed: Completion


@dataclass(frozen=True)
class _Metric:
    value: float
    used: np.ndarray
    """Indices of the rows that the metric is about."""
    resampled: Callable[[np.ndarray], np.ndarray]
    """Weights of the used rows, a line a resample -> the metric in each resample, NaN where it is undefined."""


def mean_with_interval(values: Sequence[float], *, num_bootstrap: int = 1000, seed: int = 0) -> dict:
    """`{"value", "low", "high", "n"}` of a mean over rows, with a 95 % bootstrap interval, as in `evaluate_rows`."""
    metric = _metric(np.arange(len(values)), _mean, values=np.array(values, float))
    low, high = _bootstrap_intervals({"mean": metric}, len(values), num_bootstrap, seed)["mean"]
    return {"value": metric.value, "low": low, "high": high, "n": len(values)}


def evaluate_rows(rows: Sequence[Scored], label_space_classes: tuple[str, ...], *, num_bootstrap: int = 1000, seed: int = 0) -> dict:
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
    every = np.arange(len(rows))
    metrics = _label_metrics(rows, label_space_classes) | _word_metrics(rows)
    metrics["format_rate"] = _metric(every, _mean, values=np.array([not row.parsed.problems for row in rows], float))
    if any(row.parsed.confidence is not None for row in rows):
        metrics |= _confidence_metrics(rows)
    intervals = _bootstrap_intervals(metrics, len(rows), num_bootstrap, seed)
    entries = {
        name: {"value": metric.value, "low": intervals[name][0], "high": intervals[name][1], "n": len(metric.used)}
        for name, metric in metrics.items()
    }
    return {"metrics": entries, "n": len(rows), "unparsed": sum(not row.parsed.answers for row in rows)}


def set_f1(predicted: Iterable[str], gold: Iterable[str]) -> float | None:
    """2 |p & g| / (|p| + |g|) of two sets of words, normalised as answers are; in [0, 1]; None when gold names no word."""
    predicted_words, gold_words = _words(predicted), _words(gold)
    return 2 * len(predicted_words & gold_words) / (len(predicted_words) + len(gold_words)) if gold_words else None


def expected_calibration_error(confidence: Sequence[float | None], correct: Sequence[bool], num_bins: int = 10) -> float:
    """sum over bins of (rows in bin / rows) * |accuracy in bin - mean confidence in bin|; 0 is calibrated, 1 the worst.

    The bins are equally wide, [0, 0.1), [0.1, 0.2), ... and [0.9, 1.0], the last one closed so that a confidence of 1 counts.
    A confidence of None was not readable; such rows are a bin of their own with error 1, whatever their answer.

    Raises:
        ValueError: no rows, unequal lengths, a confidence outside [0, 1], or no bins.

    Source: Naeini, Cooper and Hauskrecht (AAAI 2015); Guo et al. (ICML 2017), equation 3, whose bins are open on the
    left. EmoCaliber's evaluation has its last bin open on the right, which drops confidence 1 but divides by all rows.
    """
    if num_bins < 1:
        raise ValueError(f"{num_bins} bins given; at least 1 is needed")
    numbers, outcomes = _checked(confidence, correct)
    return float(_ece(np.ones((1, len(numbers))), numbers, outcomes, num_bins)[0])


def brier_score(confidence: Sequence[float | None], correct: Sequence[bool]) -> float:
    """Mean of (confidence - correct)^2, in [0, 1], 0 the best; a confidence of None was not readable and costs 1, the worst.

    Raises:
        ValueError: as for `expected_calibration_error`.

    Source: Brier (1950), for the two outcomes right and wrong and halved, as is usual.
    """
    return float(_squared_errors(*_checked(confidence, correct)).mean())


def constant_confidence_ece(accuracy_claimed: float, correct: Sequence[bool]) -> float:
    """|claimed - accuracy|: the ECE of a model that always states this one confidence, the baseline to beat; in [0, 1]."""
    return expected_calibration_error([accuracy_claimed] * len(correct), correct)


def _label_metrics(rows: Sequence[Scored], classes: tuple[str, ...]) -> dict[str, _Metric]:
    used = np.flatnonzero([row.label is not None for row in rows])
    if not len(used):
        return {}
    from sklearn.metrics import f1_score, recall_score  # takes over a second, and rewards import this module for set_f1

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
        "accuracy": _metric(used, _mean, values=(gold == predicted).astype(float)),
        "uar": _Metric(uar, used, partial(_uar, **members)),
        "macro_f1": _Metric(macro_f1, used, partial(_macro_f1, **members)),
    }


def _word_metrics(rows: Sequence[Scored]) -> dict[str, _Metric]:
    pairs = [(_words(row.parsed.answers), _words(row.labels)) for row in rows]
    used = np.flatnonzero([bool(gold) for _, gold in pairs])
    if not len(used):
        return {}
    shared, num_predicted, num_gold = np.array([(len(p & g), len(p), len(g)) for p, g in (pairs[i] for i in used)]).T
    precision = shared / np.maximum(num_predicted, 1)  # no answer shares no word, so its precision is 0
    return {
        "set_f1": _metric(used, _mean, values=2 * shared / (num_predicted + num_gold)),
        "corpus_set_f1": _metric(used, _corpus_f1, precision=precision, recall=shared / num_gold),
    }


def _confidence_metrics(rows: Sequence[Scored]) -> dict[str, _Metric]:
    readable = np.array([row.parsed.confidence is not None for row in rows])
    stated = np.array([np.nan if row.parsed.confidence is None else row.parsed.confidence for row in rows])
    used = np.flatnonzero(readable)
    metrics = {
        "mean_confidence": _metric(used, _mean, values=stated[used]),
        "coverage": _metric(np.arange(len(rows)), _mean, values=readable.astype(float)),
    }
    used = np.flatnonzero([row.label is not None for row in rows])
    if not len(used):
        return metrics
    confidence = np.array([stated[i] if rows[i].parsed.answers else np.nan for i in used])
    correct = np.array([rows[i].parsed.label == normalise_word(rows[i].label) for i in used], float)
    metrics["ece"] = _metric(used, _ece, confidence=confidence, correct=correct, num_bins=10)
    metrics["brier"] = _metric(used, _mean, values=_squared_errors(confidence, correct))
    if 0 < correct.sum() < len(correct):
        from sklearn.metrics import roc_auc_score

        certainty = np.nan_to_num(confidence, nan=0.0)
        value = float(roc_auc_score(correct, certainty))
        metrics["auroc"] = _Metric(value, used, partial(_auroc, confidence=certainty, correct=correct))
    return metrics


def _metric(used: np.ndarray, formula: Callable[..., np.ndarray], **columns: np.ndarray | int) -> _Metric:
    """The metric whose value is its own formula with every row weighted once."""
    resampled = partial(formula, **columns)
    return _Metric(float(resampled(np.ones((1, len(used))))[0]), used, resampled)


def _bootstrap_intervals(metrics: dict[str, _Metric], num_rows: int, num_bootstrap: int, seed: int) -> dict[str, tuple[float, float]]:
    """{name: (low, high)}; all metrics see the same resamples, as counts of how often each row was drawn."""
    generator = np.random.default_rng(seed)
    block = max(1, _WEIGHTS_IN_MEMORY // num_rows)
    drawn: dict[str, list[np.ndarray]] = {name: [] for name in metrics}
    for start in range(0, num_bootstrap, block):
        size = min(block, num_bootstrap - start)
        cells = generator.integers(num_rows, size=(size, num_rows)) + num_rows * np.arange(size)[:, None]
        weights = np.bincount(cells.ravel(), minlength=size * num_rows).reshape(size, num_rows).astype(float)
        for name, metric in metrics.items():
            drawn[name].append(metric.resampled(weights[:, metric.used]))
    intervals = {}
    for name, blocks in drawn.items():
        defined = np.concatenate(blocks)
        defined = defined[~np.isnan(defined)]
        low, high = np.percentile(defined, [2.5, 97.5]) if len(defined) else (0.0, 1.0)
        intervals[name] = (float(low), float(high))
    return intervals


# The formulas below take weights [resamples, rows] and columns [rows], and return [resamples].


def _mean(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    return _divide(weights @ values, weights.sum(1))


def _uar(weights: np.ndarray, gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    recall = _divide(weights @ (gold & predicted), weights @ gold)
    return _divide(np.nansum(recall, 1), np.isfinite(recall).sum(1))


def _macro_f1(weights: np.ndarray, gold: np.ndarray, predicted: np.ndarray) -> np.ndarray:
    f1 = _divide(2 * (weights @ (gold & predicted)), weights @ gold + weights @ predicted)
    return _divide(np.nansum(f1, 1), np.isfinite(f1).sum(1))


def _corpus_f1(weights: np.ndarray, precision: np.ndarray, recall: np.ndarray) -> np.ndarray:
    precision_mean, recall_mean = _mean(weights, precision), _mean(weights, recall)
    total = precision_mean + recall_mean
    return np.where(total == 0, 0.0, _divide(2 * precision_mean * recall_mean, total))


def _ece(weights: np.ndarray, confidence: np.ndarray, correct: np.ndarray, num_bins: int) -> np.ndarray:
    unreadable = np.isnan(confidence)
    bins = np.minimum((np.where(unreadable, 0.0, confidence) * num_bins).astype(int), num_bins - 1)
    members = (bins[:, None] == np.arange(num_bins)) & ~unreadable[:, None]
    # Of a bin with n rows, n * |accuracy - mean confidence| is |sum of (correct - confidence)|.
    gaps = np.abs(weights @ (members * np.where(unreadable, 0.0, correct - confidence)[:, None])).sum(1)
    return _divide(gaps + weights @ unreadable, weights.sum(1))


def _auroc(weights: np.ndarray, confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    levels, level = np.unique(confidence, return_inverse=True)
    order = np.argsort(level, kind="stable")
    starts = np.searchsorted(level[order], np.arange(len(levels)))
    right = np.add.reduceat((weights * correct)[:, order], starts, axis=1)
    wrong = np.add.reduceat((weights * (1 - correct))[:, order], starts, axis=1)
    beaten = np.cumsum(wrong, 1) - wrong / 2  # wrong rows below this level, and half of those on it
    return _divide((right * beaten).sum(1), right.sum(1) * wrong.sum(1))


def _squared_errors(confidence: np.ndarray, correct: np.ndarray) -> np.ndarray:
    return np.where(np.isnan(confidence), 1.0, (confidence - correct) ** 2)


def _divide(numerator: np.ndarray, denominator: np.ndarray) -> np.ndarray:
    """The quotient, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), np.nan), where=denominator != 0)


def _words(words: Iterable[str]) -> set[str]:
    return {normalised for word in words if (normalised := normalise_word(word))}


def _checked(confidence: Sequence[float | None], correct: Sequence[bool]) -> tuple[np.ndarray, np.ndarray]:
    """Both as float arrays, None as NaN."""
    if len(confidence) != len(correct) or not len(correct):
        raise ValueError(f"{len(confidence)} confidences and {len(correct)} outcomes given; one of each a row is needed")
    wrong = [value for value in confidence if value is not None and not 0 <= value <= 1]
    if wrong:
        raise ValueError(f"confidence {wrong[0]!r} given; accepted: a number from 0 to 1, or None where none was readable")
    return np.array([np.nan if value is None else value for value in confidence]), np.array(correct, float)
