"""Regression metrics as functions of sums.

One pass forms a few columns per row (1, y, prediction, error, ...); their weighted sums per cell
give every metric.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from fairgroup.metrics._rates import divide

Array = NDArray[Any]


class SumMetric(NamedTuple):
    """A metric of sums: its columns, the function of their sums, and when it is undefined."""

    columns: tuple[str, ...]
    function: Callable[[Mapping[str, Array]], Array]
    reason: str = "no weight"


def _mean(column: str) -> SumMetric:
    return SumMetric((column,), lambda sums: divide(sums[column], sums["one"]))


def _root_mean_squared_error(sums: Mapping[str, Array]) -> Array:
    return np.sqrt(np.maximum(divide(sums["squared"], sums["one"]), 0.0))


def _r2(sums: Mapping[str, Array]) -> Array:
    mean = divide(sums["centred"], sums["one"])
    spread = sums["centred_squared"] - mean * sums["centred"]
    spread = np.where(spread > 1e-12 * sums["centred_squared"], spread, 0.0)
    return 1.0 - divide(sums["squared"], spread)


SUM_METRICS: dict[str, SumMetric] = {
    "mean_target": _mean("target"),
    "mean_prediction": _mean("prediction"),
    "bias": _mean("error"),
    "mean_absolute_error": _mean("absolute"),
    "mean_squared_error": _mean("squared"),
    "root_mean_squared_error": SumMetric(("squared",), _root_mean_squared_error),
    "r2": SumMetric(("squared", "centred", "centred_squared"), _r2, "the target is constant"),
    "mean_poisson_deviance": _mean("poisson"),
    "mean_gamma_deviance": _mean("gamma"),
}


def _poisson(y: Array, p: Array) -> Array:
    if (y < 0).any() or (p <= 0).any():
        raise ValueError(
            "mean_poisson_deviance needs y_true >= 0 and y_pred > 0 in every row; the smallest "
            f"are {y.min():g} and {p.min():g}."
        )
    return 2.0 * (xlogy(y, y / p) - y + p)


def _gamma(y: Array, p: Array) -> Array:
    if (y <= 0).any() or (p <= 0).any():
        raise ValueError(
            "mean_gamma_deviance needs y_true > 0 and y_pred > 0 in every row; the smallest are "
            f"{y.min():g} and {p.min():g}."
        )
    return 2.0 * (np.log(p / y) + y / p - 1.0)


# The target is centred for R2 so that its spread within a group survives a large mean.
_COLUMNS: dict[str, Callable[[Array, Array], Array]] = {
    "one": lambda y, p: np.ones(len(y)),
    "target": lambda y, p: y,
    "prediction": lambda y, p: p,
    "error": lambda y, p: p - y,
    "absolute": lambda y, p: np.abs(p - y),
    "squared": lambda y, p: (p - y) ** 2,
    "centred": lambda y, p: y - y.mean(),
    "centred_squared": lambda y, p: (y - y.mean()) ** 2,
    "poisson": _poisson,
    "gamma": _gamma,
}


def columns_of(names: Sequence[str]) -> list[str]:
    """Return the columns that some metrics need, the weight first."""
    return list(dict.fromkeys(["one", *(c for name in names for c in SUM_METRICS[name].columns)]))


def row_columns(
    y_true: Array, y_pred: Array, columns: Sequence[str], sample_weight: Array | None = None
) -> NDArray[np.float64]:
    """Form the weighted columns of each row.

    Parameters
    ----------
    y_true, y_pred : ndarray of float, shape (n_samples,)
        Targets and predictions.
    columns : sequence of str
        Names from `columns_of`.
    sample_weight : ndarray of shape (n_samples,) or None
        Row weights.

    Returns
    -------
    rows : ndarray of shape (n_columns, n_samples)
    """
    rows = np.empty((len(columns), len(y_true)))
    for row, column in zip(rows, columns, strict=True):
        row[:] = _COLUMNS[column](y_true, y_pred)
        if sample_weight is not None:
            row *= sample_weight
    return rows
