"""The same allocation as a convex programme, as an independent check of the search."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning

from fairgroup.sampling._curves import ExponentialCurve, HyperbolicCurve, PowerLawCurve
from fairgroup.sampling._solver import Problem
from fairgroup.utils._optional import require

Floats = NDArray[np.float64]

__all__ = ["solve_with_cvxpy"]


def _scores(cp: Any, n: Any, problem: Problem) -> list[Any]:
    found: list[Any] = [None] * len(problem.costs)
    for kind, where, values in problem.curves.families:
        for i, params in zip(where, zip(*values, strict=True), strict=True):
            found[i] = _score(cp, kind, n[int(i)], params)
    if problem.curves.others:
        raise ValueError('method="cvxpy" knows the three families of curves only; use "auto".')
    return found


def _score(cp: Any, kind: type, n: Any, params: tuple[float, ...]) -> Any:
    if kind is PowerLawCurve:
        s_inf, b, a = params
        return s_inf - b * cp.power(n, -a, approx=False)
    if kind is HyperbolicCurve:
        s_inf, kappa = params
        return s_inf - s_inf * kappa * cp.inv_pos(n + kappa)
    assert kind is ExponentialCurve
    s_inf, b, a = params
    return s_inf - b * cp.exp(-a * n)


def solve_with_cvxpy(problem: Problem) -> Floats:
    """Solve with CLARABEL; utilities of scores below the floor are not covered."""
    cp = require("cvxpy", extra="optimize")
    n = cp.Variable(len(problem.costs))
    scores = cp.hstack(_scores(cp, n, problem))
    rho, weights = problem.rho, problem.weights
    if np.isinf(rho):
        objective = cp.min(scores[np.flatnonzero(weights > 0)])
    elif rho == 0:
        objective = weights @ scores
    elif rho == 1:
        objective = weights @ cp.log(scores)
    else:
        power = cp.power(scores, 1 - rho, approx=False)
        objective = weights @ power / (1 - rho)
    limits = [problem.costs @ n <= problem.budget, n >= problem.lower, n <= problem.upper]
    programme = cp.Problem(cp.Maximize(objective), limits)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Solution may be inaccurate")
        programme.solve(solver=cp.CLARABEL)
    if programme.status == cp.OPTIMAL_INACCURATE:
        warnings.warn("cvxpy calls its solution inaccurate.", ConvergenceWarning, stacklevel=5)
    if n.value is None:
        raise ValueError("cvxpy found no solution; are all scores positive at the lower bounds?")
    return np.asarray(n.value, dtype=np.float64)
