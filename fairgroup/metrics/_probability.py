"""Proper scores of predicted distributions."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import pdtr

from fairgroup.metrics._labels import as_numbers
from fairgroup.utils._validation import check_weights

FAMILIES = ("poisson", "binary", "ordinal")


def ranked_probability_score(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    family: str = "poisson",
    max_count: int = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Mean squared distance between predicted and observed distribution functions (RPS).

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Counts ("poisson"), 0 or 1 ("binary"), or the position 0 .. n_classes - 1 of the class
        ("ordinal").
    y_pred : array-like of shape (n_samples,) or (n_samples, n_classes)
        Expected count, probability of 1, or probabilities of the ordered classes.
    family : {"poisson", "binary", "ordinal"}, default="poisson"
        The predicted distribution. "binary" is the Brier score.
    max_count : int, default=10
        Largest count of the sum for "poisson".
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights.

    Returns
    -------
    score : float
        0 is best.

    Notes
    -----
    The mean over rows of sum_k (F(k) - 1{k >= y})^2 with k = 0 .. `max_count` for counts.

    References
    ----------
    Lee, Antonio, Avanzi, Marchi, Zhou (2025), arXiv 2509.08163, and the study's public code.

    Examples
    --------
    >>> from fairgroup.metrics import ranked_probability_score
    >>> round(ranked_probability_score([0, 1], [0.25, 0.75], family="binary"), 6)
    0.0625
    """
    y = as_numbers(y_true, "y_true")
    weights = check_weights(sample_weight, len(y))
    if family not in FAMILIES:
        raise ValueError(f"family={family!r}; expected one of {list(FAMILIES)}.")
    if family == "ordinal":
        rows = _ordinal(y, np.asarray(y_pred, dtype=np.float64))
    else:
        prediction = as_numbers(y_pred, "y_pred")
        if len(prediction) != len(y):
            raise ValueError(f"y_pred has {len(prediction)} rows, but y_true has {len(y)}.")
        rows = _binary(y, prediction) if family == "binary" else _poisson(y, prediction, max_count)
    return float(weights @ rows / weights.sum())


def _binary(y: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    if not np.isin(y, (0.0, 1.0)).all():
        raise ValueError(
            f"y_true must be 0 or 1 for family='binary'; found {np.unique(y)[:5].tolist()}."
        )
    if (p < 0).any() or (p > 1).any():
        raise ValueError(
            "y_pred must be probabilities in [0, 1] for family='binary'; found values from "
            f"{p.min():g} to {p.max():g}."
        )
    return (p - y) ** 2


def _poisson(
    y: NDArray[np.float64], mean: NDArray[np.float64], max_count: int
) -> NDArray[np.float64]:
    if (y < 0).any() or (mean < 0).any():
        raise ValueError(
            "y_true and y_pred must not be negative for family='poisson'; the smallest are "
            f"{y.min():g} and {mean.min():g}."
        )
    total = np.zeros(len(y))
    for k in range(max_count + 1):
        total += (pdtr(k, mean) - (k >= y)) ** 2
    return total


def _ordinal(y: NDArray[np.float64], p: NDArray[np.float64]) -> NDArray[np.float64]:
    if p.ndim != 2 or len(p) != len(y):
        raise ValueError(f"y_pred has shape {p.shape}; expected ({len(y)}, n_classes).")
    classes = np.arange(p.shape[1])
    if not np.isin(y, classes).all():
        raise ValueError(
            f"y_true must be whole numbers in 0 .. {p.shape[1] - 1} for family='ordinal', one for "
            f"each column of y_pred; found {np.setdiff1d(y, classes)[:5].tolist()}."
        )
    if (p < 0).any() or not np.allclose(p.sum(axis=1), 1.0):
        raise ValueError(
            "The rows of y_pred must be probabilities that sum to one; found sums from "
            f"{p.sum(axis=1).min():g} to {p.sum(axis=1).max():g} and a smallest entry of "
            f"{p.min():g}."
        )
    distance = np.cumsum(p, axis=1) - (classes >= y[:, None])
    return (distance**2).sum(axis=1)
