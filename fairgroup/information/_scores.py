"""Continuous scores to a few levels, so that a table can be counted."""

from __future__ import annotations

import itertools
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

__all__ = [
    "ScoreLevels",
    "equal_frequency",
    "is_score",
    "isotonic",
    "learn_levels",
    "threshold_labels",
]

Array = NDArray[np.float64]
_MAX_LEVELS = 20


@dataclass(frozen=True)
class ScoreLevels:
    """Inner edges of the levels of a score; level i holds scores in [edge i - 1, edge i)."""

    edges: Array

    def encode(self, score: Array) -> NDArray[np.int64]:
        """Level of each score."""
        return np.searchsorted(self.edges, score, side="right").astype(np.int64)

    @property
    def labels(self) -> tuple[str, ...]:
        """Readable name of each level."""
        shown = [f"{edge:.4g}" for edge in self.edges]
        if not shown:
            return ("all scores",)
        inner = [f"[{a}, {b})" for a, b in itertools.pairwise(shown)]
        return (f"< {shown[0]}", *inner, f">= {shown[-1]}")


def is_score(values: Any) -> bool:
    """Whether the values are numbers with so many levels that they must be binned first."""
    column = pd.Series(np.asarray(values)) if not isinstance(values, pd.Series) else values
    return bool(pd.api.types.is_float_dtype(column.dtype)) and column.nunique() > _MAX_LEVELS


def equal_frequency(score: Array, n_bins: int | str, weight: Array) -> ScoreLevels:
    """Bins that hold equally many rows.

    Parameters
    ----------
    score : ndarray of shape (n_samples,)
    n_bins : int or "auto"
        ``"auto"``: half the cube root of the number of rows, between 5 and 20.
    weight : ndarray of shape (n_samples,)
        How many rows each score stands for.

    Returns
    -------
    levels : ScoreLevels
    """
    if n_bins == "auto":
        n_bins = int(np.clip(round(weight.sum() ** (1 / 3) / 2), 5, 20))
    shares = np.arange(1, int(n_bins)) / int(n_bins)
    inner = np.quantile(score, shares, weights=weight, method="inverted_cdf")
    edges = np.unique(inner)
    return ScoreLevels(edges[edges > score.min()])


def isotonic(score: Array, in_second_group: NDArray[np.bool_], weight: Array) -> ScoreLevels:
    """Levels of the isotonic regression of the group on the score: the corners of the concave ROC
    curve.

    Free of tuning, and right when the share of the second group is monotone in the score.

    Parameters
    ----------
    score : ndarray of shape (n_samples,)
    in_second_group : ndarray of bool, shape (n_samples,)
    weight : ndarray of shape (n_samples,)

    Returns
    -------
    levels : ScoreLevels
    """
    rising = np.cov(score, in_second_group, aweights=weight)[0, 1] >= 0
    fit = IsotonicRegression(increasing=bool(rising)).fit(score, in_second_group, weight)
    distinct = np.unique(score)
    steps = np.flatnonzero(np.diff(fit.predict(distinct)) != 0) + 1
    return ScoreLevels(distinct[steps])


def threshold_labels(threshold: float) -> tuple[Hashable, ...]:
    """Names of the two decisions that a threshold makes."""
    return (f"< {threshold:g}", f">= {threshold:g}")


def learn_levels(
    score: Array, score_bins: int | str, groups: NDArray[np.int32], weight: Array
) -> ScoreLevels:
    """Levels by the user's choice of ``score_bins``.

    Parameters
    ----------
    score : ndarray of shape (n_samples,)
    score_bins : int, "auto" or "isotonic"
    groups : ndarray of shape (n_samples,)
        Group codes, -1 for rows that take no part.
    weight : ndarray of shape (n_samples,)

    Returns
    -------
    levels : ScoreLevels

    Raises
    ------
    ValueError
        For ``"isotonic"`` with more than two groups.
    """
    if score_bins != "isotonic":
        return equal_frequency(score, score_bins, weight)
    known = groups >= 0
    if groups.max() != 1:
        raise ValueError(
            f"score_bins='isotonic' needs exactly two groups; found {groups.max() + 1}. Use "
            "score_bins='auto'."
        )
    return isotonic(score[known], groups[known] == 1, weight[known])
