"""How the decisions so far fared: accuracy, rates by group, parity, and what is known about it.

Everything is computed from running sums, for the current moment or for a whole history at once.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairgroup.forest._state import (
    CORRECT,
    EQUAL_OPPORTUNITY,
    EQUALIZED_ODDS,
    LABELLED,
    LOSS,
    Tally,
)

__all__ = ["Rates", "accuracy_of", "loss_of", "parity", "parity_band", "rates_of", "soft_rates_of"]

Floats = NDArray[np.float64]
TIGHTEST_AT = 1000  # rows of a group at which the confidence sequence is tightest


class Rates(NamedTuple):
    """Sums (..., R, G, C) of decisions or outputs, and rows (..., R, G), by stratum and group."""

    sums: Floats
    rows: Floats

    @property
    def means(self) -> Floats:
        """Group means (..., R, G, C); NaN without a row."""
        return divide(self.sums, self.rows[..., None])


def divide(a: Floats, b: Floats) -> Floats:
    """Return a / b, NaN where b is zero."""
    a, b = np.broadcast_arrays(a, b)
    return np.divide(a, b, out=np.full(a.shape, np.nan), where=b > 0)


def accuracy_of(tally: Tally) -> Floats:
    """Share of the labelled decisions that were correct."""
    return divide(tally.head[..., CORRECT], tally.head[..., LABELLED])


def loss_of(tally: Tally) -> Floats:
    """Mean loss of the labelled decisions."""
    return divide(tally.head[..., LOSS], tally.head[..., LABELLED])


def rates_of(tally: Tally, notion: int) -> Rates:
    """Decisions by stratum and group, under a notion of fairness.

    Parameters
    ----------
    tally : Tally
        Its tables may have further axes in front.
    notion : int
        DEMOGRAPHIC_PARITY, EQUAL_OPPORTUNITY or EQUALIZED_ODDS.

    Returns
    -------
    rates : Rates
        Of two classes only the second counts; for numbers the sums are of predictions.
    """
    if tally.decided.shape[-1] == 1:
        return Rates(tally.soft[..., None, :-1, 0, :], tally.decided[..., None, :-1, 0])
    if notion == EQUALIZED_ODDS:
        table = np.moveaxis(tally.confusion[..., :-1, :, :], -2, -3)
    elif notion == EQUAL_OPPORTUNITY:
        table = tally.confusion[..., None, :-1, 1, :]
    else:
        table = tally.decided[..., None, :-1, :]
    return Rates(table[..., 1:] if table.shape[-1] == 2 else table, table.sum(axis=-1))


def soft_rates_of(tally: Tally, notion: int) -> Rates:
    """The same of the forest's outputs, the probabilities, instead of the decisions."""
    rows = rates_of(tally, notion).rows
    soft = tally.soft[..., :-1, :, :]
    if notion == EQUALIZED_ODDS:
        return Rates(np.moveaxis(soft[..., 1:, :], -2, -3), rows)
    column = 2 if notion == EQUAL_OPPORTUNITY else 0
    return Rates(soft[..., None, :, column, :], rows)


def parity(rates: Rates) -> Floats:
    """Largest difference of a rate between two groups, over strata and classes.

    Parameters
    ----------
    rates : Rates

    Returns
    -------
    difference : ndarray of shape (...)
        NaN while no stratum has rows of two groups.
    """
    means = rates.means
    known = ~np.isnan(means)
    high = np.where(known, means, -np.inf).max(axis=-2)
    low = np.where(known, means, np.inf).min(axis=-2)
    gap = np.where(known.sum(axis=-2) > 1, high - low, -np.inf).max(axis=(-2, -1))
    return np.where(np.isfinite(gap), gap, np.nan)


def parity_band(rates: Rates, confidence: float) -> tuple[Floats, Floats]:
    """Confidence sequence for the parity of decisions in [0, 1], valid at all times at once.

    Let mu_i be the mean of decision i given everything before it, its group (and, under a notion
    with strata, its label). Sums of (decision - mu) are a martingale whose steps are sub-Gaussian
    with variance 1/4 (Hoeffding's lemma), so that the two-sided normal mixture bound holds for
    each stratum, group and class; they share the error probability equally.

    Parameters
    ----------
    rates : Rates
    confidence : float
        In (0, 1).

    Returns
    -------
    low, high : ndarray of shape (...)
        For the largest difference of the groups' averages of mu.

    References
    ----------
    Howard, Ramdas, McAuliffe, Sekhon, "Time-uniform, nonparametric, nonasymptotic confidence
    sequences", Annals of Statistics 49, 2021, equation (14).
    """
    cells = int(np.prod(rates.sums.shape[-3:]))
    alpha = (1.0 - confidence) / max(cells, 1)
    spread = 2.0 * np.log(1.0 / alpha)
    rho = TIGHTEST_AT / 4.0 / (spread + np.log(1.0 + spread))
    variance = rates.rows / 4.0
    bound = np.sqrt((variance + rho) * (np.log((variance + rho) / rho) + spread))
    radius = divide(bound, rates.rows)[..., None]
    low = np.clip(rates.means - radius, 0.0, 1.0)
    high = np.clip(rates.means + radius, 0.0, 1.0)
    known = (~np.isnan(rates.means)).sum(axis=-2) > 1
    # The two groups that are furthest apart for certain, and those that can be.
    least = _widest(low, high, known)
    most = _widest(high, low, known)
    return np.where(np.isfinite(least), np.maximum(least, 0.0), np.nan), most


def _widest(upper: Floats, lower: Floats, known: NDArray[np.bool_]) -> Floats:
    """Largest ``upper`` of one group minus ``lower`` of another one, over strata and classes."""
    n_groups = upper.shape[-2]
    gap = upper[..., :, None, :] - lower[..., None, :, :]
    gap[..., np.arange(n_groups), np.arange(n_groups), :] = -np.inf
    gap = np.where(np.isnan(gap), -np.inf, gap).max(axis=(-3, -2))
    widest = np.where(known, gap, -np.inf).max(axis=(-2, -1))
    return np.where(np.isfinite(widest), widest, np.nan)
