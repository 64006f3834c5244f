"""The accuracy-fairness frontier (AGLFOP) by a certified interior point method, many budgets in
one call.

A randomised rule turns an observed output b of a row with group z at client s into a decision y.
With ``q[z, s, b, y]`` its joint law, Definition 5 of Hamman and Dutta (ICLR 2024) is

    minimise  sum cost q   subject to   sum_y q = p(z, s, b),  I(Z; Y) <= eps_global,  I(Z; Y | S)
    <= eps_local,

where b is the true label for the frontier of all conceivable models and the output of a trained
model for the frontier of its post-processings. Both informations depend on q only through ``x[s,
z, y] = sum_b q``, so a Newton step is a dense solve per client plus a small one that couples the
clients. A budget of zero has no interior; it becomes linear equations of the same Newton system.

Arrays have a leading batch axis g over budgets; s, z, b, y name client, group, base output,
decision, and r the rules (the cells in which the channel may differ). Everything is in nats.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairgroup.information._frontier_newton import Point, newton_step
from fairgroup.information._linalg import to_boundary
from fairgroup.information._rules import Rules, informations

__all__ = ["Frontier", "never_binds", "solve_frontier"]

Array = NDArray[np.float64]
_CENTRING = 0.1
_TO_BOUNDARY = 0.99
# Largest number of float64 values that the matrices of a chunk of budgets may hold.
_CHUNK_VALUES = 20_000_000


@dataclass
class Frontier:
    """Certified optima for a list of budgets: ``lower <= optimum <= error``."""

    error: Array  # (g,)
    lower: Array  # (g,)
    multipliers: Array  # (g, 2), NaN for a budget of zero
    joint: Array  # (g, s, z, b, y), feasible
    n_iter: NDArray[np.intp]


def solve_frontier(
    rules: Rules,
    budgets: Array,
    *,
    tol: float,
    max_iter: int = 100,
    local_weight: float = 0.0,
) -> Frontier:
    """Solve AGLFOP for a list of budgets.

    Parameters
    ----------
    rules : Rules
        Masses, costs and level.
    budgets : ndarray of shape (g, 2)
        Global and local budget in nats; 0 and inf allowed.
    tol : float
        Wanted difference of the bounds (in units of the cost).
    max_iter : int, default=100
        Largest number of Newton steps.
    local_weight : float, default=0.0
        Adds this multiple of I(Z;Y|S) to the cost, to choose among equally good rules.

    Returns
    -------
    frontier : Frontier
    """
    n, m, n_base, n_out = rules.shape
    g = len(budgets)
    result = Frontier(
        np.full(g, np.inf),
        np.full(g, -np.inf),
        np.full((g, 2), np.nan),
        np.zeros((g, n, m, n_base, n_out)),
        np.zeros(g, dtype=np.intp),
    )
    capped = np.minimum(budgets, never_binds(m))
    todo = _unconstrained(rules, capped, result, local_weight)
    for zero in ((False, False), (True, False), (False, True), (True, True)):
        rows = np.flatnonzero(todo & ((capped[:, 0] == 0) == zero[0]))
        rows = rows[(capped[rows, 1] == 0) == zero[1]]
        for part in np.array_split(rows, max(1, -(-len(rows) * rules.step_size // _CHUNK_VALUES))):
            if len(part):
                _solve_kind(rules, capped[part], part, zero, tol, max_iter, local_weight, result)
    return result


def _unconstrained(
    rules: Rules, budgets: Array, result: Frontier, local_weight: float
) -> NDArray[np.bool_]:
    """Where the cheapest decisions keep the budgets, they are the optimum; return where not."""
    best = np.eye(rules.shape[3])[rules.cost.argmin(1)] * rules.mass[:, None]
    joint = rules.spread(best[None])
    size = np.array([part[0] for part in informations(joint.sum(3))[:2]])
    done = (size <= budgets).all(1) & (local_weight == 0)
    result.error[done] = result.lower[done] = (best * rules.cost).sum()
    result.multipliers[done] = 0.0
    result.joint[done] = joint
    return np.asarray(~done)


def never_binds(n_groups: int) -> float:
    """A budget in nats that no rule can use up, log m; infinite ones are cut down to it."""
    return float(np.log(max(n_groups, 2))) + 0.1


@dataclass
class _Iterate:
    """Primal and dual variables of the budgets that are not finished."""

    u: Array  # (g, r, y)
    w: Array  # (g, r, y) multipliers of u >= 0
    slack: Array  # (g, 2)
    eta: Array  # (g, 2)
    eps: Array  # (g, 2)
    fixed: Array  # (g, s, z, y) forces of the equations that replace budgets of zero

    def take(self, keep: NDArray[np.bool_]) -> _Iterate:
        return _Iterate(
            *(a[keep] for a in (self.u, self.w, self.slack, self.eta, self.eps, self.fixed))
        )


def _solve_kind(
    rules: Rules,
    eps: Array,
    rows: NDArray[np.intp],
    zero: tuple[bool, bool],
    tol: float,
    max_iter: int,
    local_weight: float,
    result: Frontier,
) -> None:
    """All budgets with the same pattern of zeros, which have Newton systems of one shape."""
    now = _start(rules, eps, zero)
    for step in range(max_iter + 1):
        info = informations(rules.outcome(now.u))
        keep = _update_bounds(rules, now, info, rows, zero, tol, local_weight, result)
        if not keep.any() or step == max_iter:
            return
        if not keep.all():
            now, rows = now.take(keep), rows[keep]
            info = (info[0][keep], info[1][keep], info[2][keep], info[3][keep])
        result.n_iter[rows] += 1
        with np.errstate(all="ignore"):
            _step(rules, now, info, zero, local_weight)


def _start(rules: Rules, eps: Array, zero: tuple[bool, bool]) -> _Iterate:
    """One channel for everybody: both informations are zero, which is strictly feasible."""
    n, m, _, n_out = rules.shape
    best = np.bincount(rules.cost.argmin(1), weights=rules.mass, minlength=n_out)
    common = 0.9 * best / best.sum() + 0.1 / n_out
    u = np.where(rules.exists[:, None], rules.mass[:, None] * common, 1.0)
    u = np.broadcast_to(u, (len(eps), *u.shape)).copy()
    mu = 0.1 / u[0].size
    on = ~np.asarray(zero)
    slack = np.where(on, eps, 1.0)
    eta = np.where(on, mu / slack, 0.0)
    return _Iterate(u, mu / u, slack, eta, eps, np.zeros((len(eps), n, m, n_out)))


def _update_bounds(
    rules: Rules,
    now: _Iterate,
    info: tuple[Array, Array, Array, Array],
    rows: NDArray[np.intp],
    zero: tuple[bool, bool],
    tol: float,
    local_weight: float,
    result: Frontier,
) -> NDArray[np.bool_]:
    """Certificates of the iterate; returns which budgets go on.

    Upper: mixing with the common channel that has the same overall decision rates scales both
    informations down by at least the mixing weight. Lower: linearise the convex informations at
    the iterate and minimise over the simplices.
    """
    size = np.stack(info[:2], axis=1)
    on = ~np.asarray(zero)
    mix = np.max(
        np.where(on & (size > now.eps), 1 - now.eps / np.maximum(size, 1e-300), 0.0), axis=1
    )
    u = np.where(rules.exists[:, None], now.u, 0.0)
    rates = u.sum(1)
    feasible = (1 - mix)[:, None, None] * u + mix[:, None, None] * rules.mass[:, None] * rates[
        :, None
    ]
    error = (feasible * rules.cost).sum((1, 2))
    objective = error + local_weight * (1 - mix) * info[1]

    force = now.eta[:, :1, None] * info[2]
    force = (
        force[:, None] + (now.eta[:, 1] + local_weight)[:, None, None, None] * info[3] + now.fixed
    )
    cheapest = (rules.cost + rules.pull(force)).min(2)
    eta_eps = np.where(on, now.eta * now.eps, 0.0).sum(1)
    lower = (rules.mass * cheapest).sum(1) - eta_eps

    usable = np.isfinite(error) & np.isfinite(lower)
    higher = usable & (lower > result.lower[rows])
    result.lower[rows[higher]] = lower[higher]
    # The bound falls with the budget at the rate of the multipliers that it was found with.
    result.multipliers[rows[higher]] = np.where(on, now.eta[higher], np.nan)
    better = usable & (objective < result.error[rows])
    result.error[rows[better]] = objective[better]
    result.joint[rows[better]] = rules.spread(feasible[better])
    return usable & (result.error[rows] - result.lower[rows] > tol)


def _step(
    rules: Rules,
    now: _Iterate,
    info: tuple[Array, Array, Array, Array],
    zero: tuple[bool, bool],
    local_weight: float,
) -> None:
    """One primal-dual Newton step, in place."""
    global_info, local_info, g_grad, l_grad = info
    on = ~np.asarray(zero)
    total = (now.u * now.w).sum((1, 2)) + np.where(on, now.slack * now.eta, 0.0).sum(1)
    mu = _CENTRING * total / (now.u[0].size + on.sum())
    excess = np.stack([global_info, local_info], axis=1) - now.eps
    stiff = np.where(on, now.eta / now.slack, 0.0)
    v = np.where(on, now.eta + (mu[:, None] + now.eta * excess) / now.slack, 0.0)

    push = v[:, :1, None, None] * g_grad[:, None]
    push = push + (v[:, 1] + local_weight)[:, None, None, None] * l_grad
    rho = mu[:, None, None] / now.u - rules.cost - rules.pull(push)
    step = newton_step(
        rules,
        Point(now.u, now.w / now.u, rho, g_grad, l_grad),
        eta=now.eta + np.array([0.0, local_weight]),
        stiff=stiff,
        zero=zero,
    )
    now.fixed, du = step.fixed, step.du
    dx = rules.outcome(du)

    slope = np.stack([(dx.sum(1) * g_grad).sum((1, 2)), (dx * l_grad).sum((1, 2, 3))], axis=1)
    d_slack = np.where(on, -(excess + now.slack) - slope, 0.0)
    d_eta = np.where(on, (mu[:, None] - now.eta * (now.slack + d_slack)) / now.slack, 0.0)
    dw = mu[:, None, None] / now.u - now.w - now.w / now.u * du
    length = _TO_BOUNDARY * np.min(
        [
            to_boundary(a, b)
            for a, b in ((now.u, du), (now.w, dw), (now.slack, d_slack), (now.eta, d_eta))
        ],
        axis=0,
    )
    length = np.minimum(length, 1.0)
    now.u = now.u + length[:, None, None] * du
    now.w = now.w + length[:, None, None] * dw
    now.slack = now.slack + length[:, None] * d_slack
    now.eta = now.eta + length[:, None] * d_eta
