"""Utility of group-specific scores: isoelastic, from total performance to the worst group.

``rho`` is the aversion to inequality: 0 adds the scores up, 1 adds their logarithms, infinity
looks at the lowest one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

__all__ = ["aggregate", "equal_equivalent", "isoelastic", "marginal"]


def _above(x: Floats, rho: float) -> Floats:
    if rho == 0:
        return x
    if rho == 1:
        return np.log(x)
    return np.expm1((1 - rho) * np.log(x)) / (1 - rho)


def isoelastic(scores: Floats, rho: float, floor: float) -> Floats:
    """Utility of each score, for finite ``rho``.

    Below ``floor`` it goes on as its tangent. Clipping there instead would make a group with a
    score below the floor worth nothing at the margin, and so starve the worst group.
    """
    scores = np.asarray(scores, dtype=np.float64)
    below = np.minimum(scores - floor, 0.0)
    at_floor = np.maximum(scores, floor)
    return _above(at_floor, rho) + floor**-rho * below if rho else scores


def marginal(scores: Floats, rho: float, floor: float) -> Floats:
    """Derivative of `isoelastic`."""
    return np.maximum(np.asarray(scores, dtype=np.float64), floor) ** -rho


def aggregate(scores: Floats, weights: Floats, rho: float, floor: float) -> float:
    """Total utility; groups of weight zero take no part."""
    counted = weights > 0
    if not np.all(np.isfinite(scores[counted])):
        return float("nan")
    if np.isinf(rho):
        return float(np.min(scores[counted]))
    return float(weights[counted] @ isoelastic(scores[counted], rho, floor))


def equal_equivalent(utility: float, rho: float, floor: float) -> float:
    """Return the score that, had by all groups alike, is worth as much (weights sum to one)."""
    if rho == 0 or np.isinf(rho) or np.isnan(utility):
        return utility
    at_floor = float(_above(np.float64(floor), rho))  # type: ignore[arg-type]
    if utility < at_floor:
        return floor + (utility - at_floor) * floor**rho
    if rho == 1:
        return float(np.exp(utility))
    return float(np.exp(np.log1p((1 - rho) * utility) / (1 - rho)))
