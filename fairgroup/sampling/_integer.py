"""Whole samples: rounding with exchange, exact for equal costs; a dynamic programme for others."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.sampling._solver import Problem
from fairgroup.sampling._utility import isoelastic

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

__all__ = ["exact_integers", "round_integers"]

_MAX_CELLS = 10_000_000


def _value(problem: Problem, n: NDArray[Any]) -> Floats:
    """Weighted utility of each group; -inf where a score is not defined."""
    with np.errstate(invalid="ignore"):
        scores = problem.curves.predict(n)
        value = problem.weights * isoelastic(scores, problem.rho, problem.floor)
    return np.where(problem.weights > 0, value, 0.0)


def _increments(problem: Problem, n: Ints) -> tuple[Floats, Floats]:
    """Gain of one sample more, and loss of one less, per cost; (G,) each."""
    here = _value(problem, n)
    with np.errstate(invalid="ignore"):
        more = (_value(problem, n + 1) - here) / problem.costs
        less = (here - _value(problem, np.maximum(n - 1, 0))) / problem.costs
    more = np.where(n + 1 <= problem.upper, np.nan_to_num(more, nan=np.inf), -np.inf)
    less = np.where(n - 1 >= problem.lower, np.nan_to_num(less, nan=np.inf), np.inf)
    return more, less


def round_integers(problem: Problem, continuous: Floats) -> Ints:
    """Round the continuous optimum down, spend the rest greedily, then exchange.

    For equal costs the result is optimal, because an allocation that no exchange of two samples
    improves is one; ties go to the first group. For unequal costs it is a heuristic.
    """
    n = np.floor(continuous + 1e-9 * np.maximum(continuous, 1.0)).astype(np.int64)
    n = np.clip(n, np.ceil(problem.lower), np.floor(problem.upper)).astype(np.int64)
    left = problem.budget - problem.costs @ n
    slack = 1e-9 * problem.budget
    more, less = _increments(problem, n)
    for _ in range(4 * len(n) + int(left / problem.costs.min()) + 1):
        affordable = np.where(problem.costs <= left + slack, more, -np.inf)
        g = int(np.argmax(affordable))
        if affordable[g] > 0:
            n[g] += 1
            left -= problem.costs[g]
        else:
            # A move: the sample of group h pays for one of group g.
            h = int(np.argmin(less))
            possible = np.where(problem.costs <= left + problem.costs[h] + slack, more, -np.inf)
            possible[h] = -np.inf
            g = int(np.argmax(possible))
            gain = possible[g] * problem.costs[g] - less[h] * problem.costs[h]
            if not gain > 1e-15 * abs(less[h] * problem.costs[h]):
                break
            n[g] += 1
            n[h] -= 1
            left += problem.costs[h] - problem.costs[g]
        more, less = _increments(problem, n)
    return n


def _unit(costs: Floats) -> float:
    """Largest amount of which every cost is a whole multiple."""
    parts = [Fraction(float(c)).limit_denominator(10**6) for c in costs]
    denominator = int(np.lcm.reduce([part.denominator for part in parts]))
    whole = [int(part * denominator) for part in parts]
    return float(np.gcd.reduce(whole)) / denominator


def exact_integers(problem: Problem) -> Ints:
    """Optimal whole numbers for any costs, by a dynamic programme over the money spent.

    One max-plus convolution per group and residue class of the budget modulo the group's cost.

    Raises
    ------
    ValueError
        When the budget is more than 10 million units of the costs' common divisor.
    """
    from fairgroup.sampling._kernels import convolve_concave

    low = np.ceil(problem.lower).astype(np.int64)
    unit = _unit(problem.costs)
    cells = int(np.floor((problem.budget - problem.costs @ low) / unit + 1e-9))
    if cells > _MAX_CELLS:
        raise ValueError(
            f"exact=True needs {cells:,} cells (budget over the costs' common divisor {unit:g}); "
            f"at most {_MAX_CELLS:,} are allowed. Use exact=False or coarser costs."
        )
    steps = np.rint(problem.costs / unit).astype(np.int64)
    room = np.floor(problem.upper).astype(np.int64) - low
    values, chosen = np.zeros(cells + 1), []
    for g in range(len(low)):
        gains = _gains(problem, g, low, int(min(room[g], cells // steps[g])))
        new, best = np.empty(cells + 1), np.zeros(cells + 1, dtype=np.int64)
        for residue in range(min(int(steps[g]), cells + 1)):
            row = np.ascontiguousarray(values[residue :: steps[g]])
            picked = np.zeros(len(row), dtype=np.int64)
            new[residue :: steps[g]] = convolve_concave(row, gains, picked)
            best[residue :: steps[g]] = picked
        values = new
        chosen.append(best.astype(np.int32))
    n, cell = low.copy(), cells
    for g in reversed(range(len(low))):
        k = int(chosen[g][cell])
        n[g] += k
        cell -= k * int(steps[g])
    return n


def _gains(problem: Problem, g: int, low: Ints, most: int) -> Floats:
    """Utility of 0 .. most samples of group g above its lower bound."""
    if problem.weights[g] == 0:
        return np.zeros(1)
    at = low[g] + np.arange(most + 1, dtype=np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        scores = np.asarray(problem.curves.curves[g].predict(at))
    # An undefined score (a power law without data) is worse than anything that can be bought.
    scores = np.where(np.isfinite(scores), scores, -1e300)
    return problem.weights[g] * isoelastic(scores, problem.rho, problem.floor)
