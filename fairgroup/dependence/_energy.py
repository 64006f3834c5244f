r"""Which pair of subgroups drives the dependence: distance covariance as a sum of energies.

With shares p and the centred distances W of the cells

    dCov^2 = sum_{m < l} p_m p_l W_ml E_ml,
    E_ml = 2 mean|Y_m - Y_l| - mean|Y_m - Y_m'| - mean|Y_l - Y_l'|,

E_ml being the energy distance of the predictions of cells m and l. The same holds for the
U-statistic with counts in place of shares and means over distinct rows inside a cell: its row
sums leave out the own row, and so do these means.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.stats import norm

from fairgroup.dependence._attributes import Attributes, encode_attributes
from fairgroup.dependence._cell_kernel import centre_cells
from fairgroup.dependence._centring import Centring, prediction_variance
from fairgroup.dependence._inputs import check_choices
from fairgroup.dependence._line_kernel import line_row_sums
from fairgroup.dependence._ranking import rank
from fairgroup.groups import SensitiveEncoder
from fairgroup.groups._frame import sensitive_frame
from fairgroup.metrics._labels import as_numbers
from fairgroup.utils._validation import check_weights

__all__ = ["subgroup_energy_report"]

Floats = NDArray[np.float64]

_MOST_CELLS = 200


def subgroup_energy_report(
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    estimator: str = "U",
    confidence_level: float = 0.95,
    simultaneous: bool = True,
    encoder: SensitiveEncoder | None = None,
    sample_weight: ArrayLike | None = None,
) -> pd.DataFrame:
    """Split the distance covariance into the pairs of subgroups that make it up.

    Parameters
    ----------
    y_pred : array-like of shape (n_samples,)
        Predictions.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Protected attributes; the subgroups are the combinations that occur, at most 200.
    estimator : {"U", "V"}, default="U"
        Statistic that the contributions sum to, see `concatenated_distance_covariance`.
    confidence_level : float, default=0.95
        Level of the intervals.
    simultaneous : bool, default=True
        Let all intervals hold together (Bonferroni). False: each by itself.
    encoder : SensitiveEncoder or None, default=None
        How attributes become numbers.
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights, for "V" only.

    Returns
    -------
    report : DataFrame
        One row per pair of subgroups, the largest contribution first: ``group_a``, ``group_b``,
        their sizes ``n_a``, ``n_b``, the difference of their mean predictions (a minus b), their
        ``energy`` distance in units of `y_pred` with ``lower`` and ``upper``, its ``weight``, the
        ``contribution`` (energy times weight) and its ``share`` of the sum.

    Raises
    ------
    ValueError
        For more than 200 subgroups, and as in `distance_covariance`.

    Notes
    -----
    Weights depend on the attributes only, and are negative for pairs that are closer to each other
    than the average: there an energy lowers the total. Intervals are normal, with the
    variance of the two-sample statistic of first order plus the one it has when both subgroups
    share a distribution. They hold zero too often where the distributions are equal, and are wide
    for small subgroups; they may reach below zero although an energy cannot.

    Examples
    --------
    >>> from fairgroup.dependence import subgroup_energy_report
    >>> report = subgroup_energy_report([0, 1, 2, 4, 7], {"s": ["a", "a", "b", "b", "b"]})
    >>> report[["group_a", "group_b", "energy", "contribution"]].round(6)
      group_a group_b    energy  contribution
    0     s=a     s=b  3.333333      0.666667
    """
    check_choices(estimator, "auto")
    y = as_numbers(y_pred, "y_pred")
    if not 0 < confidence_level < 1:
        raise ValueError(f"confidence_level={confidence_level!r}; expected a number in (0, 1).")
    _, attributes = encode_attributes(sensitive_features, encoder=encoder, n_samples=len(y))
    weights = None if sample_weight is None else check_weights(sample_weight, len(y))
    centring = Centring.make(len(y), estimator, weights)
    n_cells = len(attributes.table)
    if n_cells > _MOST_CELLS:
        raise ValueError(
            f"sensitive_features has {n_cells} distinct rows; the report needs at most "
            f"{_MOST_CELLS}. Bin the continuous columns."
        )
    subgroups = _Subgroups.of(y - y.mean(), attributes, centring)
    names = _names(sensitive_features, attributes)
    first, second = np.triu_indices(n_cells, 1)
    energy = subgroups.energies[first, second]
    mass = subgroups.mass
    table = centre_cells(attributes.table.distances, mass, centring)
    weight = mass[first] * mass[second] * table[first, second]
    pairs = len(first) if simultaneous else 1
    radius = norm.isf((1 - confidence_level) / 2 / max(pairs, 1))
    radius = radius * subgroups.deviations(rank(y), centring)[first, second]
    contribution = weight * energy
    total = contribution.sum()
    report = pd.DataFrame(
        {
            "group_a": names[first],
            "group_b": names[second],
            "n_a": subgroups.counts[first],
            "n_b": subgroups.counts[second],
            "mean_difference": subgroups.means[first] - subgroups.means[second],
            "energy": energy,
            "lower": energy - radius,
            "upper": energy + radius,
            "weight": weight,
            "contribution": contribution,
            "share": contribution / total if total else np.nan,
        }
    )
    order = np.argsort(-report["contribution"].to_numpy(), kind="stable")
    return report.iloc[order].reset_index(drop=True)


@dataclass(frozen=True)
class _Subgroups:
    """Sizes, means and energy distances of the predictions of every cell."""

    counts: NDArray[np.int64]
    mass: Floats
    sizes: Floats
    means: Floats
    energies: Floats
    influence: Floats

    @classmethod
    def of(cls, y: Floats, attributes: Attributes, centring: Centring) -> _Subgroups:
        cell, w, m = attributes.cell, centring.weights, len(attributes.table)
        mass: Floats = np.bincount(cell, weights=w, minlength=m).astype(np.float64)
        # Distances to the own cell are averaged over the other rows for U, over all for V.
        others = np.maximum(mass - 1, 1) if centring.unbiased else mass
        mean_distance, own = np.empty((m, m)), np.empty(len(y))
        for k in range(m):
            rows = np.flatnonzero(cell == k)
            own[rows] = line_row_sums(y[rows], w[rows], y[rows]) / others[k]
        within = np.bincount(cell, weights=w * own, minlength=m) / mass
        influence = np.empty((m, m))
        for k in range(m):
            rows = np.flatnonzero(cell == k)
            distance = line_row_sums(y[rows], w[rows], y) / mass[k]
            mean_distance[k] = np.bincount(cell, weights=w * distance, minlength=m) / mass
            influence[:, k] = _variance(distance - own, cell, w, mass)
        energies = 2 * mean_distance - within[:, None] - within
        means = np.bincount(cell, weights=w * y, minlength=m) / mass
        sizes = mass**2 / np.bincount(cell, weights=w * w, minlength=m)
        counts = np.bincount(cell, minlength=m)
        return cls(counts, mass, sizes, means, energies, influence)

    def deviations(self, ranking: Any, centring: Centring) -> Floats:
        """Standard deviations of the energies.

        First order: 4 (var_m phi / n_m + var_l phi / n_l), phi(x) = mean|x - Y_l| - mean|x - Y_m|.
        Second order, which is all there is for equal distributions: 2 s with
        s = dVar^2 (1/n_m + 1/n_l)^2. The sampling noise in phi adds 4 s to the first on average,
        which is taken off again.
        """
        inverse = 1 / self.sizes
        first = 4 * (self.influence * inverse[:, None] + self.influence.T * inverse)
        variance = max(prediction_variance(ranking, centring)[0], 0.0)
        second = variance * (inverse[:, None] + inverse) ** 2
        return np.sqrt(np.maximum(first - 2 * second, 2 * second))


def _variance(values: Floats, cell: NDArray[np.int64], w: Floats, mass: Floats) -> Floats:
    """Return the weighted variance of the values in every cell."""
    mean = np.bincount(cell, weights=w * values, minlength=len(mass)) / mass
    return np.bincount(cell, weights=w * (values - mean[cell]) ** 2, minlength=len(mass)) / mass


def _names(sensitive_features: Any, attributes: Attributes) -> NDArray[np.object_]:
    """Return a readable name of every cell, such as ``"sex=f, region=R"``."""
    frame, _ = sensitive_frame(sensitive_features)
    _, first = np.unique(attributes.cell, return_index=True)
    rows = frame[[c for c in frame.columns if c in attributes.names]].iloc[first]
    return np.array(
        [", ".join(f"{c}={v}" for c, v in row.items()) for _, row in rows.iterrows()], dtype=object
    )
