"""Compiled weights of AdaNormalHedge and of the specialists, in the log domain.

The direct formula of AdaNormalHedge overflows once R^2 / (3 C) passes 709.

References
----------
Luo and Schapire, "Achieving All with No Parameters: AdaNormalHedge", COLT 2015.
Freund, Schapire, Singer, Warmuth, "Using and combining predictors that specialize", STOC 1997.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "hedge_weights",
    "log_prior_total",
    "log_weight",
    "mass_weights",
    "potential_bound",
    "uniform",
]

_LOG2 = np.log(2.0)


@njit(cache=True, nogil=True)
def log_weight(regret: float, abs_regret: float) -> float:  # pragma: no cover - compiled
    """Log w(R, C) of AdaNormalHedge; -inf exactly where R <= -1."""
    if regret <= -1.0:
        return -np.inf
    scale = 3.0 * (abs_regret + 1.0)
    up = (regret + 1.0) ** 2 / scale
    down = max(regret - 1.0, 0.0) ** 2 / scale
    return up + np.log(-np.expm1(down - up)) - _LOG2


@njit(cache=True, nogil=True)
def hedge_weights(
    member: NDArray, log_prior: NDArray, regret: NDArray, abs_regret: NDArray, p: NDArray
) -> bool:  # pragma: no cover - compiled
    """Write p over the active experts; the prior over them where every weight is zero. False:
    nobody is active.
    """
    top, any_active = -np.inf, False
    for g in range(p.shape[0]):
        p[g] = -np.inf
        if member[g] > 0.0:
            any_active = True
            p[g] = log_prior[g] + np.log(member[g]) + log_weight(regret[g], abs_regret[g])
            top = max(top, p[g])
    if not any_active:
        p[:] = 0.0
        return False
    if top == -np.inf:
        for g in range(p.shape[0]):
            if member[g] > 0.0:
                p[g] = log_prior[g] + np.log(member[g])
                top = max(top, p[g])
    _softmax(p, top)
    return True


@njit(cache=True, nogil=True)
def mass_weights(
    member: NDArray, log_mass: NDArray, p: NDArray
) -> bool:  # pragma: no cover - compiled
    """Write p proportional to membership times mass. False: nobody is active."""
    top = -np.inf
    for g in range(p.shape[0]):
        p[g] = log_mass[g] + np.log(member[g]) if member[g] > 0.0 else -np.inf
        top = max(top, p[g])
    if top == -np.inf:
        p[:] = 0.0
        return False
    _softmax(p, top)
    return True


@njit(cache=True, nogil=True)
def _softmax(p: NDArray, top: float) -> None:  # pragma: no cover - compiled
    total = 0.0
    for g in range(p.shape[0]):
        p[g] = np.exp(p[g] - top) if p[g] > -np.inf else 0.0
        total += p[g]
    for g in range(p.shape[0]):
        p[g] /= total


@njit(cache=True, nogil=True)
def uniform(seed: int, counter: int) -> float:  # pragma: no cover - compiled
    """Number in [0, 1) that depends on the seed and the round alone (splitmix64): no generator
    state to carry.
    """
    z = np.uint64(seed) + np.uint64(counter + 1) * np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return float(z >> np.uint64(11)) / 9007199254740992.0


@njit(cache=True, nogil=True)
def log_prior_total(log_prior: NDArray) -> float:  # pragma: no cover - compiled
    """Log of the prior's sum; it is kept unnormalised, so that a new group changes no bit."""
    top, total = np.max(log_prior), 0.0
    for g in range(log_prior.shape[0]):
        total += np.exp(log_prior[g] - top)
    return top + np.log(total)


@njit(cache=True, nogil=True)
def potential_bound(log_prior: NDArray, drift: NDArray) -> float:  # pragma: no cover - compiled
    """B_T of section 2.2, drift summed as it occurs: 1 + 3/2 sum q sum |r_t| / (C_{t-1} + 1).

    The logarithmic form there is an upper bound of this sum. The sum also holds when the label
    range grows, because then R and C shrink together, which can only lower the potential.
    """
    log_total, total = log_prior_total(log_prior), 0.0
    for g in range(log_prior.shape[0]):
        total += np.exp(log_prior[g] - log_total) * drift[g]
    return 1.0 + 1.5 * total
