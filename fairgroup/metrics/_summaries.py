"""Differences, ratios and fairness gaps of group values, and their intervals.

Arrays have the shape (n_controls, n_groups) or (n_controls, n_groups, n_draws); the group axis is
1.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.metrics._bootstrap import quantiles

Array = NDArray[Any]
METHODS = ("between_groups", "to_overall")

# Name of the gap -> (difference or ratio, the metrics of which the worst counts).
GAPS: dict[str, tuple[str, tuple[str, ...]]] = {
    f"{notion}_{kind}": (kind, metrics)
    for notion, metrics in (
        ("demographic_parity", ("selection_rate",)),
        ("equal_opportunity", ("true_positive_rate",)),
        ("equalized_odds", ("true_positive_rate", "false_positive_rate")),
        ("predictive_parity", ("precision",)),
    )
    for kind in ("difference", "ratio")
}


def summarise(values: Array, overall: Array, kind: str, method: str) -> Array:
    """Reduce group values to one number per control level (and draw).

    Parameters
    ----------
    values : ndarray of shape (n_controls, n_groups, ...)
        Group values; NaN where undefined.
    overall : ndarray of shape (n_controls, 1, ...)
        Values over all rows.
    kind : {"difference", "ratio"}
        What to form.
    method : {"between_groups", "to_overall"}
        Largest against smallest group, or the group farthest from the overall value.

    Returns
    -------
    summary : ndarray of shape (n_controls, ...)
        Over the defined groups; NaN for fewer than two of them.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        if method == "between_groups":
            low, high = np.fmin.reduce(values, axis=1), np.fmax.reduce(values, axis=1)
            out = high - low if kind == "difference" else low / high
        elif kind == "difference":
            out = np.fmax.reduce(np.abs(values - overall), axis=1)
        else:
            ratio = values / overall
            out = np.fmin.reduce(np.fmin(ratio, 1.0 / ratio), axis=1)
    return np.where(np.isfinite(values).sum(axis=1) >= 2, out, np.nan)


def worst(summaries: list[Array], kind: str) -> Array:
    """Combine several metrics: the largest difference or smallest ratio; NaN if one is NaN."""
    stacked = np.stack(summaries)
    return stacked.max(axis=0) if kind == "difference" else stacked.min(axis=0)


def deviation(
    draws: Array, values: Array, overall_draws: Array, overall: Array, kind: str, method: str
) -> Array:
    """Return, per draw, how far the groups' contrasts have moved from the observed ones.

    For differences the largest of |(r*_g - r*_h) - (r_g - r_h)| over pairs of groups (or g against
    the overall value), for ratios the same of logarithms. No difference or ratio moves by more
    than this.
    """
    if kind == "ratio":
        draws, values, overall_draws, overall = map(_log, (draws, values, overall_draws, overall))
    with np.errstate(invalid="ignore"):
        moved = draws - values[..., None]
        if method == "to_overall":
            return np.fmax.reduce(np.abs(moved - (overall_draws - overall[..., None])), axis=1)
        return np.fmax.reduce(moved, axis=1) - np.fmin.reduce(moved, axis=1)


def simultaneous_interval(
    value: Array, moved: Array, confidence_level: float, kind: str
) -> tuple[Array, Array]:
    """Return the interval that also covers where all groups are equal.

    Parameters
    ----------
    value : ndarray of shape (n_controls,)
        Observed difference or ratio.
    moved : ndarray of shape (n_controls, n_draws)
        From `deviation` (the largest over metrics for equalized odds).
    confidence_level : float in (0, 1)
        Probability of coverage.
    kind : {"difference", "ratio"}
        Which of the two `value` is.

    Returns
    -------
    lower, upper : ndarray of shape (n_controls,)
    """
    (radius,) = quantiles(moved, (confidence_level,))
    if kind == "difference":
        return np.maximum(value - radius, 0.0), value + radius
    with np.errstate(over="ignore", invalid="ignore"):
        lower, upper = value * np.exp(-radius), np.minimum(value * np.exp(radius), 1.0)
    unbounded = ~np.isfinite(radius) & np.isfinite(
        value
    )  # a group's rate is 0, in the sample or in many draws
    return np.where(unbounded, 0.0, lower), np.where(unbounded, 1.0, upper)


def _log(values: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.log(values)
