"""How many samples to collect from each group, when the learning curves are known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fairgroup.sampling import _closed_form
from fairgroup.sampling._curves import HyperbolicCurve, PowerLawCurve
from fairgroup.sampling._integer import exact_integers, round_integers
from fairgroup.sampling._solver import Problem, marginal_per_cost, max_min, search_multiplier
from fairgroup.sampling._stack import CurveStack
from fairgroup.sampling._utility import aggregate, equal_equivalent

Floats = NDArray[np.float64]

__all__ = ["Allocation", "allocate_budget", "check_costs", "check_group_weights", "check_rho"]


@dataclass(frozen=True, eq=False)
class Allocation:
    """Numbers of samples per group, and what they buy.

    Parameters
    ----------
    n : ndarray of shape (n_groups,)
        Samples to hold of each group; integers with ``integer=True``.
    scores : ndarray of shape (n_groups,)
        Score of each group with these samples.
    utility : float
        Utility of the scores.
    equal_equivalent : float
        The score which, had by all groups alike, would be worth the same.
    multiplier : float
        Utility that one more unit of budget would buy; NaN for whole numbers and the worst group.
    spent : float
        Cost of ``n``.
    shadow_prices : ndarray of shape (n_groups,)
        Utility that one more unit of cost would buy in each group; for the worst-group objective
        the rise of the group's own score.
    budget, rho : float
        What was asked.
    costs, lower : ndarray of shape (n_groups,)
        Costs and lower bounds.
    curves : list
        The learning curves.

    Examples
    --------
    >>> from fairgroup.sampling import PowerLawCurve, allocate_budget
    >>> curves = [PowerLawCurve(0.9, 2, 0.5), PowerLawCurve(0.8, 3, 0.6)]
    >>> allocation = allocate_budget(curves, [1.0, 2.0], 600, integer=True)
    >>> allocation.n, allocation.spent
    (array([244, 178]), 600.0)
    """

    n: NDArray[Any]
    scores: Floats
    utility: float
    equal_equivalent: float
    multiplier: float
    spent: float
    shadow_prices: Floats
    budget: float
    rho: float
    costs: Floats
    lower: Floats
    curves: list[Any]

    @property
    def frame(self) -> pd.DataFrame:
        """One row per group.

        Returns
        -------
        frame : DataFrame
            Columns n, cost, score and shadow_price.
        """
        columns = {
            "n": self.n,
            "cost": self.costs * self.n,
            "score": self.scores,
            "shadow_price": self.shadow_prices,
        }
        return pd.DataFrame(columns, index=pd.RangeIndex(len(self.n), name="group"))

    def plot(self, *, ax: Any = None, group_names: Sequence[str] | None = None) -> Any:
        """Draw the curves with the allocation on them.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw.
        group_names : sequence of str, default=None
            Names of the groups.

        Returns
        -------
        display : AllocationDisplay
        """
        from fairgroup.sampling._display import AllocationDisplay

        return AllocationDisplay.from_predictions(self, ax=ax, group_names=group_names)


def check_rho(rho: Any) -> float:
    """Return rho as a float in [0, inf]."""
    if isinstance(rho, bool) or not isinstance(rho, int | float | np.number) or not rho >= 0:
        raise ValueError(f"rho must be a number in [0, inf]; found {rho!r}.")
    return float(rho)


def check_costs(costs: ArrayLike, n_groups: int, *, name: str = "costs") -> Floats:
    """Return positive finite costs of shape (n_groups,); a single number holds for all."""
    values = np.asarray(costs, dtype=np.float64)
    if values.ndim > 1 or (values.ndim == 1 and len(values) != n_groups):
        raise ValueError(f"{name} has shape {values.shape}; expected ({n_groups},) or a number.")
    values = np.broadcast_to(values, (n_groups,)).copy()
    bad = ~(np.isfinite(values) & (values > 0))
    if bad.any():
        g = int(np.argmax(bad))
        raise ValueError(f"{name} must be positive and finite; group {g} has {values[g]}.")
    return values


def check_group_weights(weights: ArrayLike | None, n_groups: int) -> Floats:
    """Return weights that sum to one; None weighs all groups alike."""
    if weights is None:
        return np.full(n_groups, 1 / n_groups)
    values = np.asarray(weights, dtype=np.float64)
    if values.shape != (n_groups,):
        raise ValueError(f"weights has shape {values.shape}; expected ({n_groups},).")
    if not (np.isfinite(values).all() and (values >= 0).all() and values.any()):
        raise ValueError(
            f"weights must be finite, not negative and not all zero; found {values.tolist()}."
        )
    return values / values.sum()


def _bounds(
    lower: ArrayLike | None, upper: ArrayLike | None, costs: Floats, budget: float
) -> tuple[Floats, Floats]:
    n_groups = len(costs)
    try:
        low = np.broadcast_to(
            np.asarray(0.0 if lower is None else lower, dtype=np.float64), n_groups
        )
        high = np.broadcast_to(
            np.asarray(np.inf if upper is None else upper, dtype=np.float64), n_groups
        )
    except ValueError:
        raise ValueError(f"lower and upper must be numbers or have shape ({n_groups},).") from None
    if not ((low >= 0).all() and np.isfinite(low).all() and (low <= high).all()):
        raise ValueError(
            "lower and upper must satisfy 0 <= lower <= upper with lower finite; found "
            f"{low.tolist()} and {high.tolist()}."
        )
    needed = float(costs @ low)
    if needed > budget * (1 + 1e-12):
        raise ValueError(
            f"The lower bounds cost {needed:g}, but the budget is {budget:g}; raise the budget or "
            "lower the bounds."
        )
    # A group cannot have more than what the budget leaves beyond the bounds of the others.
    return low.copy(), np.minimum(high, low + max(budget - needed, 0.0) / costs)


def allocate_budget(
    curves: Sequence[Any],
    costs: ArrayLike,
    budget: float,
    *,
    weights: ArrayLike | None = None,
    rho: float = 1.0,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    integer: bool = False,
    exact: bool = False,
    method: str = "auto",
    utility_floor: float = 0.05,
) -> Allocation:
    """Split a budget over groups with known concave learning curves, to the optimum.

    Maximises ``sum_g w_g u(s_g(n_g))`` subject to ``costs @ n <= budget`` and the bounds, with
    ``u(x) = (x**(1 - rho) - 1) / (1 - rho)``, ``ln x`` for rho = 1, and the lowest score for
    rho = inf.

    Parameters
    ----------
    curves : sequence of curves
        One per group: `PowerLawCurve`, `HyperbolicCurve`, `ExponentialCurve`, an object with
        ``predict`` and ``derivative``, or a tuple (function, derivative); increasing and concave.
    costs : float or array-like of shape (n_groups,)
        Cost of one sample of each group, positive.
    budget : float
        Cost of everything that is held in the end, what is held already included.
    weights : array-like of shape (n_groups,), default=None
        Weights of the groups; None weighs all alike.
    rho : float, default=1.0
        Aversion to inequality: 0 for total performance, 1 for the logarithm, ``np.inf`` for the
        worst group.
    lower, upper : float or array-like of shape (n_groups,), default=None
        Samples that are held already, and that can be had.
    integer : bool, default=False
        Whole samples. Optimal for equal costs and for ``rho=np.inf``; for unequal costs a
        heuristic unless ``exact``.
    exact : bool, default=False
        With ``integer``: a dynamic programme, optimal for any costs.
    method : {"auto", "search", "cvxpy"}, default="auto"
        "auto": a closed form where one applies, else the search for the multiplier. "cvxpy": an
        independent convex programme, slower and less exact.
    utility_floor : float, default=0.05
        Below this score the utility goes on as a straight line (no effect for rho 0 and inf).

    Returns
    -------
    allocation : Allocation

    Raises
    ------
    ValueError
        For costs that are not positive, a budget below the cost of the lower bounds, a negative
        rho, negative weights.

    References
    ----------
    Cai et al., "Adaptive Sampling Strategies to Construct Equitable Training Datasets", FAccT
    2022 (arXiv 2202.01327) for the setting; the solution is the classical one of separable concave
    programmes (Gross, 1956; Fox, 1966).

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.sampling import PowerLawCurve, allocate_budget
    >>> curves = [PowerLawCurve(0.9, 2, 0.5), PowerLawCurve(0.8, 3, 0.6)]
    >>> allocate_budget(curves, 1.0, 400, rho=0).n.round(1)
    array([196.3, 203.7])
    >>> allocate_budget(curves, 1.0, 400, rho=np.inf).n.round(1)
    array([101.8, 298.2])
    """
    n_groups = len(curves)
    if n_groups == 0:
        raise ValueError("curves is empty; give one curve per group.")
    if method not in ("auto", "search", "cvxpy"):
        raise ValueError(f'method must be "auto", "search" or "cvxpy"; found {method!r}.')
    if not np.isfinite(budget) or budget <= 0:
        raise ValueError(f"budget must be positive and finite; found {budget!r}.")
    if not (np.isfinite(utility_floor) and utility_floor > 0):
        raise ValueError(f"utility_floor must be positive; found {utility_floor!r}.")
    price = check_costs(costs, n_groups)
    low, high = _bounds(lower, upper, price, budget)
    problem = Problem(
        CurveStack(curves),
        check_group_weights(weights, n_groups),
        price,
        float(budget),
        low,
        high,
        check_rho(rho),
        float(utility_floor),
    )
    return _finish(problem, *_solve(problem, method, integer, exact))


def _solve(
    problem: Problem, method: str, integer: bool, exact: bool
) -> tuple[NDArray[Any], float]:
    if integer:
        low, high = np.ceil(problem.lower), np.floor(problem.upper + 1e-9)
        problem = problem._replace(lower=low, upper=high)
    if integer and np.isinf(problem.rho):
        n, _ = max_min(problem, integer=True)
        return _spend_rest(problem, n.astype(np.int64)), float("nan")
    if integer and exact:
        return exact_integers(problem), float("nan")
    n, multiplier = _continuous(problem, method)
    if integer:
        return round_integers(problem, n), float("nan")
    return n, multiplier


def _continuous(problem: Problem, method: str) -> tuple[Floats, float]:
    if method == "cvxpy":
        from fairgroup.sampling._cvxpy import solve_with_cvxpy

        return solve_with_cvxpy(problem), float("nan")
    if np.isinf(problem.rho):
        return max_min(problem)
    closed = _from_formula(problem) if method == "auto" else None
    if closed is None:
        return search_multiplier(problem)
    return closed, float(np.max(marginal_per_cost(problem, closed)))


def _from_formula(problem: Problem) -> Floats | None:
    """Closed form where one applies and no upper bound is active, else None."""
    families = problem.curves.families
    if problem.rho != 0 or len(families) != 1 or problem.curves.others:
        return None
    kind, _, values = families[0]
    if not (problem.weights > 0).all() or not all((v > 0).all() for v in values):
        return None
    if kind is HyperbolicCurve:
        n = _closed_form.hyperbolic(
            problem.weights, values[0], values[1], problem.costs, problem.budget, problem.lower
        )
    elif kind is PowerLawCurve and np.all(values[2] == values[2][0]):
        n = _closed_form.common_power(
            problem.weights, values[1], float(values[2][0]), problem.costs, problem.budget
        )
    else:
        return None
    inside = (n >= problem.lower).all() and (n <= problem.upper).all()
    return n if inside else None


def _spend_rest(problem: Problem, n: NDArray[np.int64]) -> NDArray[np.int64]:
    """Give what is left to the lowest scores that can still rise."""
    left = problem.budget - problem.costs @ n
    for _ in range(int(left / problem.costs.min()) + 1):
        scores = problem.curves.predict(n)
        can = (problem.costs <= left * (1 + 1e-12)) & (n + 1 <= problem.upper)
        can &= (problem.weights > 0) & (problem.curves.predict(n + 1.0) > scores)
        if not can.any():
            break
        g = int(np.argmin(np.where(can, scores, np.inf)))
        n[g] += 1
        left -= problem.costs[g]
    return n


def _finish(problem: Problem, n: NDArray[Any], multiplier: float) -> Allocation:
    scores = problem.curves.predict(n.astype(np.float64))
    utility = aggregate(scores, problem.weights, problem.rho, problem.floor)
    if np.isinf(problem.rho):
        prices = problem.curves.derivative(n.astype(np.float64)) / problem.costs
    else:
        prices = marginal_per_cost(problem, n.astype(np.float64))
    return Allocation(
        n=n,
        scores=scores,
        utility=utility,
        equal_equivalent=equal_equivalent(utility, problem.rho, problem.floor),
        multiplier=multiplier,
        spent=float(problem.costs @ n),
        shadow_prices=prices,
        budget=problem.budget,
        rho=problem.rho,
        costs=problem.costs,
        lower=problem.lower,
        curves=problem.curves.curves,
    )
