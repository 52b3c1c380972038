"""Agreement of predicted numbers with annotated ones: valence, arousal, dominance, sentiment, opinion scores.

Every function takes `gold` and `predicted`, a number a row each, gold first as in scikit-learn. Without any row each is None.
A missing number has no worst value here, and leaving its row out would pay, so None, NaN and infinity are refused: decide
what a missing answer says, such as the middle of the scale, and report how many there were. Unequal lengths are refused too.
Both raise ValueError.
"""

import math
from collections.abc import Sequence
from numbers import Real
from typing import Literal

import numpy as np


def ccc(gold: Sequence[float], predicted: Sequence[float]) -> float | None:
    """Concordance correlation coefficient, in [-1, 1]: 2 cov / (var_g + var_p + (mean_g - mean_p)^2), 1 only for equal columns.

    With the moments of the population (divided by n). A constant column on one side has no covariance: 0. None where the formula
    is 0 / 0, when both columns are constant and equal.

    Source: Lin (Biometrics 1989); with moments of the sample (n - 1), the value of few rows differs.
    """
    columns = _checked(gold, predicted)
    if columns is None:
        return None
    largest = max(np.abs(column).max() for column in columns)
    g, p = (column / (largest or 1.0) for column in columns)  # a common scale changes nothing, and no square overflows
    if _is_constant(g) and _is_constant(p):
        return None if g[0] == p[0] else 0.0
    covariance = 0.0 if _is_constant(g) or _is_constant(p) else np.mean((g - g.mean()) * (p - p.mean()))
    return float(np.clip(2 * covariance / (_variance(g) + _variance(p) + (g.mean() - p.mean()) ** 2), -1, 1))


def plcc(gold: Sequence[float], predicted: Sequence[float]) -> float | None:
    """Pearson's linear correlation coefficient, in [-1, 1]; blind to scale and offset. None where a column is constant."""
    columns = _checked(gold, predicted)
    if columns is None or _is_constant(columns[0]) or _is_constant(columns[1]):
        return None
    g, p = (_centred(column) for column in columns)
    return float(np.clip(g @ p / math.sqrt((g @ g) * (p @ p)), -1, 1))


corr = plcc
"""The name of `plcc` in the sentiment papers (CMU-MOSI, CMU-MOSEI, CH-SIMS)."""


def srcc(gold: Sequence[float], predicted: Sequence[float]) -> float | None:
    """Spearman's rank correlation coefficient, in [-1, 1]; equal numbers share their mean rank. None where a column is constant."""
    columns = _checked(gold, predicted)
    if columns is None or _is_constant(columns[0]) or _is_constant(columns[1]):
        return None
    from scipy.stats import rankdata  # takes most of a second

    return plcc(rankdata(columns[0]), rankdata(columns[1]))


def mae(gold: Sequence[float], predicted: Sequence[float]) -> float | None:
    """Mean absolute error, >= 0, in the unit of the scale."""
    columns = _checked(gold, predicted)
    return None if columns is None else float(np.abs(columns[0] - columns[1]).mean())


def rmse(gold: Sequence[float], predicted: Sequence[float]) -> float | None:
    """Root of the mean squared error, >= 0, in the unit of the scale."""
    columns = _checked(gold, predicted)
    return None if columns is None else float(np.sqrt(((columns[0] - columns[1]) ** 2).mean()))


def acc_2(gold: Sequence[float], predicted: Sequence[float], against: Literal["non_negative", "positive"] = "non_negative") -> float | None:
    """Share of rows with the right side of zero, in [0, 1]; papers print two of these as `81.2/83.0`, in this order.

    non_negative: negative against the rest, so 0 is with the positive numbers; over all rows.
    positive: negative against positive, over the rows whose gold is not 0 (None where there is none); a prediction of 0 counts as
        negative. MER-UniBench has this one, see `classification.waf`.

    Raises:
        ValueError: see above; also an unknown `against`.

    Source: the conventions of CMU-MOSI and CMU-MOSEI papers.
    """
    if against not in ("non_negative", "positive"):
        raise ValueError(f"against {against!r} given; accepted: non_negative, positive")
    columns = _checked(gold, predicted)
    if columns is None:
        return None
    g, p = columns
    if against == "non_negative":
        return float(((g >= 0) == (p >= 0)).mean())
    used = g != 0
    return float(((g > 0) == (p > 0))[used].mean()) if used.any() else None


def acc_7(gold: Sequence[float], predicted: Sequence[float]) -> float | None:
    """Share of rows whose numbers, clipped to [-3, 3] and rounded, are the same whole number; in [0, 1].

    Halves are rounded to the even neighbour, as numpy does: 0.5 to 0, 1.5 to 2.

    Source: the seven sentiment classes of CMU-MOSI and CMU-MOSEI.
    """
    columns = _checked(gold, predicted)
    if columns is None:
        return None
    g, p = (np.round(column.clip(-3, 3)) for column in columns)
    return float((g == p).mean())


def _is_constant(column: np.ndarray) -> bool:
    """Whether all are equal; the variance would not tell, as 0.1 three times has one of 1e-34."""
    return bool((column == column[0]).all())


def _centred(column: np.ndarray) -> np.ndarray:
    """Less its mean and at most 1 in size, so that squares of tiny or huge numbers neither vanish nor overflow."""
    column = column / np.abs(column).max()
    column = column - column.mean()
    return column / np.abs(column).max()


def _variance(column: np.ndarray) -> float:
    return 0.0 if _is_constant(column) else float(column.var())


def _checked(gold: Sequence[float], predicted: Sequence[float]) -> tuple[np.ndarray, np.ndarray] | None:
    """Both as float arrays, or None where there is no row."""
    if len(gold) != len(predicted):
        raise ValueError(f"{len(gold)} gold and {len(predicted)} predicted numbers given; one of each a row is needed")
    columns = []
    for name, values in (("gold", gold), ("predicted", predicted)):
        for row, value in enumerate(values):
            if not isinstance(value, Real) or not math.isfinite(value):
                raise ValueError(f"{name}[{row}] is {value!r}; accepted: a finite number")
        columns.append(np.array(values, float))
    return (columns[0], columns[1]) if len(gold) else None
