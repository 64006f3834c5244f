"""Exact continuous allocations: one-dimensional search for the multiplier, or for the level.

For concave curves the optimum equates the marginal utility per cost,
``psi_g(n) = w_g u'(s_g(n)) s_g'(n) / c_g``, over all groups that are not at a bound. Everything
here takes and returns plain arrays.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairgroup.sampling._stack import CurveStack
from fairgroup.sampling._utility import marginal

Floats = NDArray[np.float64]

__all__ = ["Problem", "marginal_per_cost", "max_min", "search_multiplier"]

_OUTER, _INNER = 200, 100
_TINY = 1e-9


class Problem(NamedTuple):
    """What is to be allocated; arrays have shape (G,), bounds are finite."""

    curves: CurveStack
    weights: Floats
    costs: Floats
    budget: float
    lower: Floats
    upper: Floats
    rho: float
    floor: float


def marginal_per_cost(problem: Problem, n: Floats) -> Floats:
    """Utility that one more unit of cost buys in each group, for finite rho."""
    slope = problem.curves.derivative(n)
    with np.errstate(invalid="ignore"):
        value = problem.weights * slope / problem.costs
        value = value * marginal(problem.curves.predict(n), problem.rho, problem.floor)
    return np.where(problem.weights > 0, value, 0.0)


def _log_slope(problem: Problem, n: Floats) -> Floats:
    """Derivative of ln psi with respect to ln n."""
    score = problem.curves.predict(n)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        bend = -problem.rho * n * problem.curves.derivative(n) / score
    return problem.curves.elasticity(n) + np.where(score > problem.floor, bend, 0.0)


def _log_psi(problem: Problem, x: Floats) -> Floats:
    with np.errstate(divide="ignore"):
        return np.log(marginal_per_cost(problem, np.exp(x)))


def _sizes(problem: Problem, log_lambda: float, low: Floats, high: Floats, x: Floats) -> Floats:
    """Solve ln psi(e^x) = log_lambda between the bounds by safeguarded Newton, from x."""
    low, high = low.copy(), high.copy()
    x = np.clip(x, low, high)
    for _ in range(_INNER):
        gap = _log_psi(problem, x) - log_lambda
        low, high = np.where(gap >= 0, x, low), np.where(gap <= 0, x, high)
        with np.errstate(divide="ignore", invalid="ignore"):
            step = x - gap / _log_slope(problem, np.exp(x))
        inside = np.isfinite(step) & (step > low) & (step < high)
        # A step that stays at a bound is the answer there: bisect only between open ends.
        new = np.where(inside, step, 0.5 * (low + high))
        if np.max(np.abs(new - x), initial=0.0) < 1e-15 * (1 + np.max(np.abs(x), initial=0.0)):
            return new
        x = new
    return x


def search_multiplier(problem: Problem) -> tuple[Floats, float]:
    """Optimal allocation for finite rho.

    Parameters
    ----------
    problem : Problem
        With ``costs @ lower <= budget``.

    Returns
    -------
    n : ndarray of shape (G,)
        Spends the budget, up to rounding, unless all groups are at their upper bounds.
    multiplier : float
        Utility per additional unit of budget; 0 when the budget does not bind.
    """
    costs, budget = problem.costs, problem.budget
    useful = problem.weights > 0
    if costs @ np.where(useful, problem.upper, problem.lower) <= budget:
        return np.where(useful, problem.upper, problem.lower), 0.0
    # The search runs in ln n: a bound of zero becomes a billionth of what the budget could buy.
    smallest = _TINY * np.maximum(problem.upper, _TINY)
    low, high = np.log(np.maximum(problem.lower, smallest)), np.log(problem.upper)
    at_low, at_high = _log_psi(problem, low), _log_psi(problem, high)
    bottom = np.min(at_high[useful & np.isfinite(at_high)], initial=np.inf)
    top = np.max(at_low[np.isfinite(at_low)], initial=-np.inf)
    if not bottom < top:  # no group gains anything, or all curves are straight lines
        return _spend_on_ties(problem, at_low)
    return _outer(problem, (low, high, at_low, at_high), bottom, top)


def _outer(
    problem: Problem, ends: tuple[Floats, ...], bottom: float, top: float
) -> tuple[Floats, float]:
    """Find the multiplier by safeguarded Newton on the money that it spends."""
    low, high, at_low, at_high = ends
    x = 0.5 * (low + high)
    log_lambda = 0.5 * (bottom + top)
    n = problem.lower
    for _ in range(_OUTER):
        stuck_low, stuck_high = at_low <= log_lambda, at_high >= log_lambda
        inner = ~(stuck_low | stuck_high)
        x = np.where(stuck_low, low, np.where(stuck_high, high, x))
        solved = _sizes(problem, log_lambda, np.where(inner, low, x), np.where(inner, high, x), x)
        n = np.where(stuck_low, problem.lower, np.where(stuck_high, problem.upper, np.exp(solved)))
        x = np.where(inner, solved, 0.5 * (low + high))
        excess = problem.costs @ n - problem.budget
        bottom, top = (log_lambda, top) if excess > 0 else (bottom, log_lambda)
        if abs(excess) <= 4e-16 * problem.budget or top - bottom <= 1e-15 * (1 + abs(top)):
            break
        with np.errstate(divide="ignore", invalid="ignore"):
            change = problem.costs * n / _log_slope(problem, np.maximum(n, _TINY))
            step = log_lambda - excess / np.sum(change[inner])
        ok = np.isfinite(step) and bottom < step < top
        log_lambda = float(step) if ok else 0.5 * (bottom + top)
    return _settle(problem, n, inner), float(np.exp(log_lambda))


def _settle(problem: Problem, n: Floats, inner: NDArray[np.bool_]) -> Floats:
    """Share what rounding, or a tie between straight pieces, has left among inner groups."""
    left = problem.budget - problem.costs @ n
    if not inner.any() or left <= 0:
        return n
    room = np.where(inner, problem.upper - n, 0.0)
    money = problem.costs @ room
    return n + room * min(1.0, left / money) if money > 0 else n


def _spend_on_ties(problem: Problem, value: Floats) -> tuple[Floats, float]:
    """All marginals are constant: fill groups in their order, the best per cost first."""
    n, left = problem.lower.astype(np.float64).copy(), problem.budget
    left -= float(problem.costs @ n)
    rate = 0.0
    for g in np.argsort(-value, kind="stable"):
        if not np.isfinite(value[g]) or left <= 0:
            break
        more = min(problem.upper[g] - n[g], left / problem.costs[g])
        n[g] += more
        left -= more * problem.costs[g]
        rate = float(np.exp(value[g]))
    return n, rate if left <= 0 else 0.0


def max_min(problem: Problem, *, integer: bool = False) -> tuple[Floats, float]:
    """Raise the lowest score as far as the budget goes, then the next lowest (leximin).

    Parameters
    ----------
    problem : Problem
        Weights matter only in whether they are positive.
    integer : bool, default=False
        Buy whole samples.

    Returns
    -------
    n : ndarray of shape (G,)
    multiplier : float
        Rise of the lowest score per additional unit of budget; NaN for integers.
    """
    n = problem.lower.astype(np.float64).copy()
    active = problem.weights > 0
    rate = float("nan")
    ends = problem.curves.predict(problem.upper)
    while active.any():
        cap = float(np.min(ends[active]))
        need = _need(problem, cap, n, active, integer)
        left = problem.budget - float(problem.costs[~active] @ n[~active])
        if problem.costs[active] @ need[active] > left:
            n, level = _raise(problem, n, active, cap, left, integer)
            # At the lowest level that is left, groups above it have not been touched.
            raised = active & (n > problem.lower) & (problem.curves.predict(n) <= level + 1e-9)
            rate = _level_rate(problem, n, raised)
            break
        n = np.where(active, need, n)
        active &= ends > cap
        rate = 0.0 if np.isnan(rate) else rate
    return n, rate


def _need(
    problem: Problem, level: float, n: Floats, active: NDArray[np.bool_], integer: bool
) -> Floats:
    """Samples with which active groups reach the level, where they can; others keep theirs."""
    sizes = problem.curves.inverse(level, problem.lower, problem.upper)
    if integer:
        whole = np.isfinite(sizes)
        sizes[whole] = np.ceil(sizes[whole] - 1e-9 * np.maximum(sizes[whole], 1.0))
    # A group whose best score is the level itself reaches it at its upper bound, or never rises.
    flat = problem.curves.predict(problem.lower) >= level
    sizes = np.where(np.isinf(sizes), np.where(flat, problem.lower, problem.upper), sizes)
    return np.where(active, np.maximum(sizes, problem.lower), n)


def _raise(
    problem: Problem,
    n: Floats,
    active: NDArray[np.bool_],
    cap: float,
    left: float,
    integer: bool,
) -> tuple[Floats, float]:
    low, high = float(np.min(problem.curves.predict(problem.lower)[active])), cap
    if not np.isfinite(low):
        low = float(np.min(problem.curves.predict(np.maximum(problem.lower, _TINY))[active]))
    best = np.where(active, problem.lower, n)
    for _ in range(_OUTER):
        middle = 0.5 * (low + high)
        if not low < middle < high:
            break
        need = _need(problem, middle, n, active, integer)
        if problem.costs[active] @ need[active] <= left:
            low, best = middle, need
        else:
            high = middle
    return best, low


def _level_rate(problem: Problem, n: Floats, raised: NDArray[np.bool_]) -> float:
    slope = problem.curves.derivative(n)[raised]
    if not raised.any() or (slope <= 0).any():
        return float("nan")
    return float(1 / np.sum(problem.costs[raised] / slope))
