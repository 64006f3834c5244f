"""Optimal allocations that have a formula, for total performance (rho = 0)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

__all__ = ["common_power", "hyperbolic", "neyman"]


def common_power(weights: Floats, b: Floats, a: float, costs: Floats, budget: float) -> Floats:
    """Power laws with one exponent and no active bound: n proportional to (w b / c)^(1/(1+a))."""
    share = (weights * b / costs) ** (1 / (1 + a))
    return budget * share / (costs @ share)


def neyman(weights: Floats, sigma: Floats, costs: Floats, budget: float) -> Floats:
    """Estimate group means: minimise sum of w sigma^2 / n (Neyman, 1934)."""
    share = sigma * np.sqrt(weights / costs)
    return budget * share / (costs @ share)


def hyperbolic(
    weights: Floats, s_inf: Floats, kappa: Floats, costs: Floats, budget: float, lower: Floats
) -> Floats:
    """Hyperbolic curves with lower bounds, by water-filling.

    Groups that fall below their bound are fixed there one round at a time, at most G rounds.
    """
    rate = np.sqrt(weights * s_inf * kappa / costs)
    free = np.ones(len(rate), dtype=bool)
    n = lower.astype(np.float64).copy()
    while free.any():
        left = budget - costs[~free] @ lower[~free]
        level = (left + costs[free] @ kappa[free]) / (costs[free] @ rate[free])
        n[free] = rate[free] * level - kappa[free]
        below = free & (n < lower)
        if not below.any():
            break
        n[below] = lower[below]
        free &= ~below
    return n
