"""Metrics of scores for binary labels: area under the ROC curve, Brier score, calibration error.

The area under the curve of a group is the mean placement of its positives among its negatives. Its
bootstrap uses the placements of the full sample, AUC* = mean*(V10) + mean*(V01) - AUC, the
linearisation on which the variance of DeLong, DeLong and Clarke-Pearson (1988) rests; so it too is
a function of sums.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.metrics._layout import Layout, ViewKey
from fairgroup.metrics._rates import divide

Array = NDArray[Any]
N_BINS = 10
_NEGATIVE, _POSITIVE = 0, 1
# Columns of the sums: weight, weight x score, weight x (label - score)^2, then one placement per
# view.
_WEIGHT, _SCORE, _SQUARED, _PLACEMENT = 0, 1, 2, 3

SCORE_REASONS = {
    "roc_auc": "only one of the two labels occurs",
    "brier_score": "no weight",
    "calibration_error": "no weight",
}
SCORE_METRICS = tuple(SCORE_REASONS)
_PROBABILITY_METRICS = ("brier_score", "calibration_error")


class ScoreRows:
    """Row quantities of score metrics, and the cells (base cell, label, score bin) of the sums."""

    def __init__(
        self,
        positive: Array,
        score: Array,
        names: Sequence[str],
        weight: Array | None,
        layout: Layout,
    ) -> None:
        _check_probabilities(score, names)
        n_bins = N_BINS if "calibration_error" in names else 1
        bins = np.minimum((score * n_bins).astype(np.intp), n_bins - 1) if n_bins > 1 else 0
        label = positive.astype(np.intp)
        self.cells = (layout.cells * 2 + label) * n_bins + bins
        self.n_cells = layout.n_cells * 2 * n_bins
        weight = np.ones(len(score)) if weight is None else weight
        self._views: list[ViewKey] = list(layout.views) if "roc_auc" in names else []
        columns = [weight, weight * score, weight * (label - score) ** 2]
        for key in self._views:
            group = layout.views[key].group_of_cell[layout.cells]
            columns.append(weight * placements(group, label, score, weight))
        self.columns = np.array(columns)

    def placement_column(self, key: ViewKey) -> int | None:
        """Return the column with the placements of a view, None when no area was asked for."""
        return _PLACEMENT + self._views.index(key) if self._views else None


def placements(group: Array, label: Array, score: Array, weight: Array) -> NDArray[np.float64]:
    """Return each row's placement among the rows of the other label in its group.

    Parameters
    ----------
    group : ndarray of int, shape (n_samples,)
        Group of each row; -1 for a row that is in none.
    label : ndarray of {0, 1}, shape (n_samples,)
        Labels.
    score, weight : ndarray of float, shape (n_samples,)
        Scores and weights.

    Returns
    -------
    placement : ndarray of shape (n_samples,)
        For a positive the weighted share of negatives with a lower score, for a negative the share
        of positives with a higher one; ties count one half. 0 where the other label does not
        occur.
    """
    order = np.lexsort((score, group))
    g, s, y, w = group[order], score[order], label[order], weight[order]
    new_group = np.r_[True, g[1:] != g[:-1]]
    new_run = new_group | np.r_[True, s[1:] != s[:-1]]
    run_starts = np.flatnonzero(new_run)
    run_of_row = np.cumsum(new_run) - 1
    group_of_run = (np.cumsum(new_group) - 1)[run_starts]
    first_run = np.flatnonzero(new_group[run_starts])
    below, tied, total = {}, {}, {}
    for value in (_NEGATIVE, _POSITIVE):
        tied[value] = np.add.reduceat(np.where(y == value, w, 0.0), run_starts)
        before = np.cumsum(tied[value]) - tied[value]
        below[value] = before - before[first_run][group_of_run]
        total[value] = np.add.reduceat(tied[value], first_run)[group_of_run]
    lower = below[_NEGATIVE] + 0.5 * tied[_NEGATIVE]
    higher = total[_POSITIVE] - below[_POSITIVE] - 0.5 * tied[_POSITIVE]
    of_positive = np.nan_to_num(divide(lower, total[_NEGATIVE]))
    of_negative = np.nan_to_num(divide(higher, total[_POSITIVE]))
    out = np.empty(len(score))
    out[order] = np.where(y == _POSITIVE, of_positive[run_of_row], of_negative[run_of_row])
    return out


def score_metrics(
    table: Array, names: Sequence[str], placement: int | None, observed: Array
) -> dict[str, Array]:
    """Evaluate the score metrics of each group.

    Parameters
    ----------
    table : ndarray of shape (n_groups, 2, n_bins, n_columns, ...)
        Sums by label, score bin and column; the last axis may hold bootstrap draws.
    names : sequence of str
        Which metrics.
    placement : int or None
        Column with the placements.
    observed : ndarray of shape (n_groups, 2, n_bins, n_columns)
        The sums of the sample itself.

    Returns
    -------
    metrics : dict of str to ndarray of shape (n_groups, ...)
    """
    out = {}
    if "roc_auc" in names:
        out["roc_auc"] = _roc_auc(table.sum(axis=2), placement, observed.sum(axis=2))
    if "brier_score" in names:
        sums = table.sum(axis=(1, 2))
        out["brier_score"] = divide(sums[:, _SQUARED], sums[:, _WEIGHT])
    if "calibration_error" in names:
        positives = table[:, _POSITIVE, :, _WEIGHT]
        gap = np.abs(positives - table[:, :, :, _SCORE].sum(axis=1)).sum(axis=1)
        out["calibration_error"] = divide(gap, table[:, :, :, _WEIGHT].sum(axis=(1, 2)))
    return {name: out[name] for name in names}


def _roc_auc(sums: Array, placement: int | None, observed: Array) -> Array:
    assert placement is not None
    mean_10 = divide(sums[:, _POSITIVE, placement], sums[:, _POSITIVE, _WEIGHT])
    mean_01 = divide(sums[:, _NEGATIVE, placement], sums[:, _NEGATIVE, _WEIGHT])
    auc = divide(observed[:, _POSITIVE, placement], observed[:, _POSITIVE, _WEIGHT])
    auc = auc.reshape(auc.shape + (1,) * (mean_10.ndim - auc.ndim))
    return np.clip(mean_10 + mean_01 - auc, 0.0, 1.0)


def _check_probabilities(score: Array, names: Sequence[str]) -> None:
    asked = [name for name in names if name in _PROBABILITY_METRICS]
    if asked and len(score) and (score.min() < 0 or score.max() > 1):
        raise ValueError(
            f"{asked[0]} needs probabilities in [0, 1]; "
            f"y_score lies in [{score.min():.4g}, {score.max():.4g}]."
        )
