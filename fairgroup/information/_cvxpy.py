"""The same programs handed to cvxpy as exponential cone programs: slow, independent checks.

The answers of a cone solver are feasible only up to its own tolerance, so they are not used as
they are: the decomposition gets its law moved into the feasible set, the frontier its channel,
before anything is reported.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.information._frontier_newton import equal_rate_equations
from fairgroup.information._frontier_solver import Frontier, never_binds
from fairgroup.information._rules import Rules, informations
from fairgroup.information._solver import Optimum, _feasible_law, objective
from fairgroup.utils._optional import require

__all__ = ["frontier_cvxpy", "margin_problem_cvxpy"]

Array = NDArray[np.float64]


def margin_problem_cvxpy(first: Array, second: Array) -> Optimum:
    """Solve the margin problems of :func:`fairgroup.information._solver.margin_problem` one by
    one.

    Parameters
    ----------
    first : ndarray of shape (p, m, k)
        Joint probabilities of target and first source.
    second : ndarray of shape (p, m, n)
        Joint probabilities of target and second source.

    Returns
    -------
    optimum : Optimum
        ``upper`` is the value of an exactly feasible law; ``lower`` the solver's own value where
        it is below, without proof.
    """
    cp = require("cvxpy", extra="optimize")
    laws, values, steps = [], [], []
    for a, b in zip(first, second, strict=True):
        q = [cp.Variable((a.shape[1], b.shape[1]), nonneg=True) for _ in a]
        pair = sum(q)
        entropy = sum(cp.sum(cp.rel_entr(part, pair)) for part in q)
        margins = [cp.sum(part, axis=1) == row for part, row in zip(q, a, strict=True)]
        margins += [cp.sum(part, axis=0) == row for part, row in zip(q, b, strict=True)]
        problem = cp.Problem(cp.Minimize(entropy), margins)
        problem.solve(solver=cp.CLARABEL)
        laws.append(np.stack([np.maximum(part.value, 0.0) for part in q]))
        values.append(problem.value)
        steps.append(problem.solver_stats.num_iters or 0)
    law = _feasible_law(np.stack(laws), first, second)
    upper = objective(law)
    return Optimum(np.minimum(values, upper), upper, law, np.asarray(steps, dtype=np.intp))


def frontier_cvxpy(rules: Rules, budgets: Array) -> Frontier:
    """Solve AGLFOP budget by budget; see
    :func:`fairgroup.information._frontier_solver.solve_frontier`.

    Parameters
    ----------
    rules : Rules
        Masses, costs and level.
    budgets : ndarray of shape (g, 2)
        Global and local budget in nats.

    Returns
    -------
    frontier : Frontier
        ``error`` belongs to a rule that was moved inside the budgets; ``lower`` is the solver's
        own value, without proof.
    """
    found = []
    programs: dict[tuple[bool, bool], Any] = {}
    for budget in budgets:
        zero = (bool(budget[0] == 0), bool(budget[1] == 0))
        if zero not in programs:
            programs[zero] = _program(rules, zero)
        found.append(_solve_budget(rules, programs[zero], budget))
    error, lower, joint, steps = zip(*found, strict=True)
    return Frontier(
        np.array(error),
        np.array(lower),
        np.full((len(budgets), 2), np.nan),
        np.stack(joint),
        np.array(steps, dtype=np.intp),
    )


def _program(rules: Rules, zero: tuple[bool, bool]) -> tuple[Any, Any, Any]:
    """Problem, decisions per rule and limits; a budget of zero is a set of equations."""
    cp = require("cvxpy", extra="optimize")
    n, m, _, n_out = rules.shape
    rows = np.flatnonzero(rules.exists)
    u = cp.Variable((len(rows), n_out), nonneg=True)
    x = rules.share_matrix()[:, rows] @ u  # (s z, y)
    limits = cp.Parameter(2, nonneg=True)
    inside: Any = 0.0
    pooled: Any = 0.0
    for s in range(n):
        own = x[s * m : (s + 1) * m]
        shares = rules.margin[s] / max(rules.margin[s].sum(), 1e-300)
        inside = inside + cp.sum(cp.rel_entr(own, cp.outer(shares, cp.sum(own, axis=0))))
        pooled = pooled + own
    groups = rules.margin.sum(0)
    overall = cp.sum(cp.rel_entr(pooled, cp.outer(groups, cp.sum(pooled, axis=0))))
    constraints = [cp.sum(u, axis=1) == rules.mass[rows]]
    constraints += [size <= limits[i] for i, size in enumerate((overall, inside)) if not zero[i]]
    equal = equal_rate_equations(rules, zero)
    if len(equal):
        constraints.append(equal @ cp.reshape(x, (n * m * n_out,), order="C") == 0)
    cost = cp.sum(cp.multiply(rules.cost[rows], u))
    return cp.Problem(cp.Minimize(cost), constraints), u, limits


def _solve_budget(
    rules: Rules, program: tuple[Any, Any, Any], budget: Array
) -> tuple[float, float, Array, int]:
    """Solve for one budget and mix the rule with a common one until it keeps the budget."""
    cp = require("cvxpy", extra="optimize")
    problem, u, limits = program
    capped = np.minimum(budget, never_binds(rules.shape[1]))
    limits.value = capped
    problem.solve(solver=cp.CLARABEL)
    value = np.zeros((len(rules.exists), rules.shape[3]))
    value[rules.exists] = np.maximum(u.value, 0.0)
    value *= (rules.mass / np.where(rules.exists, value.sum(1), 1.0))[:, None]
    size = np.array([float(part[0]) for part in informations(rules.outcome(value[None]))[:2]])
    over = (size > capped) & (capped > 0)
    mix = float(np.max(np.where(over, 1 - capped / np.maximum(size, 1e-300), 0.0)))
    feasible = (1 - mix) * value + mix * rules.mass[:, None] * value.sum(0)
    error = float((feasible * rules.cost).sum())
    steps = int(problem.solver_stats.num_iters or 0)
    return error, min(float(problem.value), error), rules.spread(feasible[None])[0], steps
