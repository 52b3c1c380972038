"""The emotion wheel scores of MER-UniBench: F_s of open-vocabulary words, and HIT of one label; each a mean over wheels, in [0, 1]."""

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from emoreason.wheels import Level, WheelSet


def wheel_f(predicted: Sequence[Sequence[str]], gold: Sequence[Sequence[str]], wheels: WheelSet, level: Level = "inner") -> dict[str, Any]:
    """`{"f", "precision", "recall", "mean_set_f1", "n", "skipped", "by_wheel"}` of one list of words a row.

    On each wheel, precision and recall are the means over the rows of |p & g| / |p| (0 for no p) and |p & g| / |g| over the clusters, and f
    is 2PR / (P + R) of these two means (0 where both are 0), not a mean of the rows' F1, which is `mean_set_f1`; then all are means over
    the wheels. A row whose gold words a wheel does not have is skipped there: `n` and `skipped` count rows with at least one
    wheel and with none. f, precision and recall are None where every row is skipped.

    Raises:
        ValueError: unequal lengths.

    Source: AffectGPT (Lian et al., arXiv 2501.16566), MER2025 Track 2 for level `middle`. The 2025 code gives NaN at P + R = 0.
    """
    if len(predicted) != len(gold):
        raise ValueError(f"{len(predicted)} predictions and {len(gold)} gold rows given; one of each is needed")
    rows = [wheels.overlaps(words, right, level) for words, right in zip(predicted, gold, strict=True)]
    by_wheel: dict[str, dict[str, float | int]] = {}
    for number, name in enumerate(wheels.names):
        used = [row[number] for row in rows if row[number].num_gold]
        if not used:
            continue
        precision = fmean(one.shared / max(one.num_predicted, 1) for one in used)  # no answer shares nothing
        recall = fmean(one.shared / one.num_gold for one in used)
        f1 = fmean(2 * one.shared / (one.num_predicted + one.num_gold) for one in used)
        by_wheel[name] = {"f": _f(precision, recall), "precision": precision, "recall": recall, "mean_set_f1": f1, "n": len(used)}
    num_used = sum(any(one.num_gold for one in row) for row in rows)
    means = {key: _mean([scores[key] for scores in by_wheel.values()]) for key in ("f", "precision", "recall", "mean_set_f1")}
    return {**means, "n": num_used, "skipped": len(rows) - num_used, "by_wheel": by_wheel}


def hit_rate(predicted: Sequence[Sequence[str]], gold: Sequence[str], wheels: WheelSet) -> dict[str, Any]:
    """`{"hit", "mscore", "n", "skipped", "by_wheel"}` of lists of words against one label a row, on the inner ring.

    hit: share of rows where the label's cluster is among those of the words. It is recall alone, so naming every emotion gives 1;
    mscore guards it: mean of |p & g| / |p & C|, C the clusters of all labels that occur in gold (0 where p meets none). Rows whose
    label a wheel does not have are skipped there, so with the official wheels all `neutral` rows are.

    Raises:
        ValueError: unequal lengths.

    Source: the basic-emotion task of MER-UniBench (arXiv 2501.16566).
    """
    if len(predicted) != len(gold):
        raise ValueError(f"{len(predicted)} predictions and {len(gold)} gold labels given; one of each is needed")
    classes = sorted(set(gold))
    rows = [wheels.overlaps(words, [label]) for words, label in zip(predicted, gold, strict=True)]
    among = [wheels.overlaps(words, classes) for words in predicted]
    by_wheel: dict[str, dict[str, float | int]] = {}
    for number, name in enumerate(wheels.names):
        used = [(row[number].shared, near[number].shared) for row, near in zip(rows, among, strict=True) if row[number].num_gold]
        if used:
            mscore = fmean(hit / near if near else 0.0 for hit, near in used)
            by_wheel[name] = {"hit": fmean(hit for hit, _ in used), "mscore": mscore, "n": len(used)}
    num_used = sum(any(one.num_gold for one in row) for row in rows)
    means = {key: _mean([scores[key] for scores in by_wheel.values()]) for key in ("hit", "mscore")}
    return {**means, "n": num_used, "skipped": len(rows) - num_used, "by_wheel": by_wheel}


def _f(precision: float, recall: float) -> float:
    return 2 * precision * recall / (precision + recall) if precision + recall else 0.0


def _mean(values: Sequence[float]) -> float | None:
    return fmean(values) if values else None
