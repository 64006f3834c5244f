"""The strength of a penalty that just reaches a limit: the one-dimensional dual problem."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np

__all__ = ["DualResult", "smallest_weight"]

Fit = TypeVar("Fit")

_GROWTH = 4.0
_LARGEST = 1e8


@dataclass(frozen=True)
class DualResult(Generic[Fit]):
    """The fit with the smallest weight found that keeps to the limit, or the last one tried."""

    fit: Fit
    weight: float
    unfairness: float
    reached: bool


def smallest_weight(
    solve: Callable[[float, Fit | None], Fit],
    unfairness: Callable[[Fit], float],
    limit: float,
    *,
    first: float = 1.0,
    rtol: float = 0.05,
    max_solves: int = 25,
) -> DualResult[Fit]:
    """Find the smallest fairness weight whose fit has at most the unfairness ``limit``.

    The slope of the dual function at a weight is the unfairness of its fit minus the limit; where
    it changes sign the constraint is met. The sign is bracketed by growing steps from ``first``
    and then halved in the logarithm; each fit starts from the one before.

    Parameters
    ----------
    solve : callable (weight, previous fit or None) -> fit
        Fits a model.
    unfairness : callable (fit) -> float
        What the limit is for.
    limit : float
        Largest unfairness.
    first : float, default=1.0
        First positive weight that is tried.
    rtol : float, default=0.05
        The search ends when the unfairness lies at most this share of the limit below it, or the
        bracket is as narrow.
    max_solves : int, default=25
        Largest number of fits.

    Returns
    -------
    result : DualResult
    """
    fit = solve(0.0, None)
    found = unfairness(fit)
    if found <= limit:
        return DualResult(fit, 0.0, found, True)
    low, high, solves = 0.0, max(first, 1e-6), 1
    best = DualResult(fit, 0.0, found, False)
    while solves < max_solves:
        fit, solves = solve(high, best.fit), solves + 1
        best = DualResult(fit, high, unfairness(fit), False)
        if best.unfairness <= limit:
            break
        low, high = high, _GROWTH * high
        if high > _LARGEST:
            return best
    if best.unfairness > limit:
        return best
    best = DualResult(best.fit, best.weight, best.unfairness, True)
    low = low or high / _GROWTH**8
    while solves < max_solves and high > (1 + rtol) * low:
        if best.unfairness >= (1 - rtol) * limit:
            break
        middle = float(np.sqrt(low * high))
        fit, solves = solve(middle, best.fit), solves + 1
        found = unfairness(fit)
        if found <= limit:
            high, best = middle, DualResult(fit, middle, found, True)
        else:
            low = middle
    return best
