"""Unique information for any number of groups: a certified interior point method, in batches.

The problem is to minimise ``F(Q) = sum q log(q / q(first, second))`` over the laws Q of (target,
first, second) with given margins (target, first) = A and (target, second) = B. Its dual is a
geometric program,

    maximise  sum A alpha + sum B beta   subject to   f[a, s] = log sum_z exp(alpha[z, a] + beta[z,
    s]) <= 0,

solved here by Mehrotra's predictor-corrector with slacks s and multipliers w, ``f + s = 0``; the
second block of unknowns is eliminated, so one step costs a dense solve of the size of the first
block only. Any dual point gives a lower bound after a shift, any feasible law an upper bound: both
are computed and their difference is what is returned as the certificate. All arrays have a leading
batch axis p; z, a, s name the axes of target, first, second.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from fairgroup.information._linalg import solve_or_nan, to_boundary

__all__ = ["Optimum", "margin_problem", "objective"]

Array = NDArray[np.float64]
_SCALING_SWEEPS = 20
_TO_BOUNDARY = 0.99
# Largest number of float64 values that one array of a chunk of problems may hold.
_CHUNK_VALUES = 4_000_000


@dataclass
class Optimum:
    """Certified optimum of a batch: ``lower <= min F <= upper``, and the feasible law that attains
    ``upper``.
    """

    lower: Array
    upper: Array
    law: Array
    n_iter: NDArray[np.intp]


@dataclass
class _Problem:
    """Margins of a batch, which terms exist, and the dual iterate."""

    first: Array  # (p, z, a)
    second: Array  # (p, z, s)
    allowed: NDArray[np.bool_]  # (p, z, a, s)
    active: NDArray[np.bool_]  # (p, a, s)
    alpha: Array  # (p, z, a)
    beta: Array  # (p, z, s)
    slack: Array  # (p, a, s), 1 in cells that do not exist
    weight: Array  # (p, a, s), 0 in cells that do not exist

    def take(self, keep: NDArray[np.bool_]) -> _Problem:
        return _Problem(*(getattr(self, field.name)[keep] for field in fields(self)))


def margin_problem(first: Array, second: Array, *, tol: float, max_iter: int) -> Optimum:
    """Solve a batch of margin problems.

    Parameters
    ----------
    first : ndarray of shape (p, m, k)
        Joint probabilities of target and first source.
    second : ndarray of shape (p, m, n)
        Joint probabilities of target and second source.
    tol : float
        Wanted difference of the bounds, in nats.
    max_iter : int
        Largest number of Newton steps of each of the two variants.

    Returns
    -------
    optimum : Optimum
    """
    if first.shape[2] > second.shape[2]:
        swapped = margin_problem(second, first, tol=tol, max_iter=max_iter)
        swapped.law = np.ascontiguousarray(np.swapaxes(swapped.law, 2, 3))
        return swapped
    m, k, n = first.shape[1], first.shape[2], second.shape[2]
    size = max(1, _CHUNK_VALUES // (m * m * k * max(n, k)))
    starts = range(0, len(first), size)
    parts = [
        _solve_chunk(first[i : i + size], second[i : i + size], tol, max_iter) for i in starts
    ]
    return Optimum(
        *(np.concatenate([getattr(part, f.name) for part in parts]) for f in fields(Optimum))
    )


def _solve_chunk(first: Array, second: Array, tol: float, max_iter: int) -> Optimum:
    """Mehrotra's method first; what it misses goes to the slower feasible variant."""
    optimum = Optimum(
        np.full(len(first), -np.inf),
        np.full(len(first), np.inf),
        np.zeros((*first.shape, second.shape[2])),
        np.zeros(len(first), dtype=np.intp),
    )
    for step in (_mehrotra_step, _feasible_step):
        todo = np.flatnonzero(optimum.upper - optimum.lower > tol)
        if len(todo) == 0:
            break
        feasible = step is _feasible_step
        problem = _start(first[todo], second[todo], feasible=feasible)
        for _ in range(max_iter):
            keep = _update_bounds(problem, optimum, todo, tol)
            if not keep.any():
                break
            problem, todo = problem.take(keep), todo[keep]
            optimum.n_iter[todo] += 1
            with np.errstate(all="ignore"):
                step(problem)
        else:
            _update_bounds(problem, optimum, todo, tol)
    return optimum


def _start(first: Array, second: Array, *, feasible: bool) -> _Problem:
    """Strictly feasible dual start: by Cauchy-Schwarz the halved log posteriors give f <= 0 before
    the shift.
    """
    allowed = (first > 0)[..., None] & (second > 0)[:, :, None, :]
    active = np.asarray(allowed.any(1))
    of_first, of_second = first.sum(1, keepdims=True), second.sum(1, keepdims=True)
    alpha = 0.5 * np.log(np.divide(first, of_first, out=np.ones_like(first), where=first > 0))
    beta = 0.5 * np.log(np.divide(second, of_second, out=np.ones_like(second), where=second > 0))
    beta[second > 0] -= 0.25 if feasible else 0.1
    f, _ = _cells(alpha, beta, allowed, active)
    n_active = active.sum((1, 2), keepdims=True)
    if feasible:
        slack = np.where(active, -f, 1.0)
        weight = 0.5 / (n_active * slack)
    else:
        slack = np.where(active, np.maximum(-f, 0.1), 1.0)
        weight = np.maximum(of_first.transpose(0, 2, 1) * of_second, 0.1 / n_active)
    return _Problem(
        first, second, allowed, active, alpha, beta, slack, np.where(active, weight, 0.0)
    )


def _cells(
    alpha: Array, beta: Array, allowed: NDArray[np.bool_], active: NDArray[np.bool_]
) -> tuple[Array, Array]:
    """Constraint values f (-1 where there is no cell) and softmax shares (p, z, a, s)."""
    logits = np.where(allowed, alpha[..., None] + beta[:, :, None, :], -np.inf)
    top = np.where(active, logits.max(1), 0.0)
    share = np.exp(logits - top[:, None])
    total = np.where(active, share.sum(1), 1.0)
    return np.where(active, top + np.log(total), -1.0), share / total[:, None]


def _update_bounds(
    problem: _Problem, optimum: Optimum, todo: NDArray[np.intp], tol: float
) -> NDArray[np.bool_]:
    """Improve the certificates of the problems in ``todo``; return which are not finished."""
    f, share = _cells(problem.alpha, problem.beta, problem.allowed, problem.active)
    lower = _dual_value(problem, f)
    # A broken iterate (overflow of a step) must not touch the certificate.
    lower = np.where(np.isfinite(lower), lower, -np.inf)
    optimum.lower[todo] = np.maximum(optimum.lower[todo], lower)
    complementarity = (problem.weight * problem.slack).sum((1, 2))
    close = np.flatnonzero(complementarity <= max(1e4 * tol, 1e-6))
    if len(close):
        law = _feasible_law(
            problem.weight[close, None] * share[close], problem.first[close], problem.second[close]
        )
        upper = objective(law)
        upper = np.where(np.isfinite(upper), upper, np.inf)
        rows = todo[close]
        better = upper < optimum.upper[rows]
        optimum.upper[rows[better]] = upper[better]
        optimum.law[rows[better]] = law[better]
    return np.isfinite(lower) & (optimum.upper[todo] - optimum.lower[todo] > tol)


def _dual_value(problem: _Problem, f: Array) -> Array:
    """Lower bound of min F: the dual objective after the shift that makes the iterate feasible."""
    shift = np.where(problem.active, f, -np.inf).max(1)
    shift = np.where(np.isfinite(shift), shift, 0.0)
    linear = (problem.first * problem.alpha).sum((1, 2)) + (problem.second * problem.beta).sum(
        (1, 2)
    )
    return linear - (problem.second.sum(1) * shift).sum(1)


def objective(law: Array) -> Array:
    """F(Q) = -H(target | first, second) in nats, for laws of shape (p, m, k, n)."""
    pair = law.sum(1)
    return xlogy(law, law).sum((1, 2, 3)) - xlogy(pair, pair).sum((1, 2))


def _feasible_law(law: Array, first: Array, second: Array) -> Array:
    """Move a positive law into the feasible set, exact to rounding.

    A few sweeps of proportional fitting, then scale down to at most the margins and add the
    missing mass as a product.
    """

    def ratio(target: Array, current: Array) -> Array:
        return np.divide(target, current, out=np.zeros_like(target), where=current > 0)

    for _ in range(_SCALING_SWEEPS):
        law = law * ratio(first, law.sum(3))[..., None]
        law = law * ratio(second, law.sum(2))[:, :, None]
    law = law * np.minimum(ratio(first, law.sum(3)), 1.0)[..., None]
    law = law * np.minimum(ratio(second, law.sum(2)), 1.0)[:, :, None]
    miss_first = np.maximum(first - law.sum(3), 0.0)
    miss_second = np.maximum(second - law.sum(2), 0.0)
    missing = miss_second.sum(2)
    fill = miss_first[..., None] * miss_second[:, :, None]
    return law + ratio(fill, np.broadcast_to(missing[..., None, None], fill.shape))


class _Newton:
    """The linear system of one iterate, factored by eliminating the second block."""

    def __init__(self, problem: _Problem) -> None:
        self.problem = problem
        self.f, self.share = _cells(problem.alpha, problem.beta, problem.allowed, problem.active)
        p, m, k, n = self.share.shape
        weighted = problem.weight[:, None] * self.share
        bend = problem.weight / problem.slack - problem.weight
        by_first = self.share.transpose(0, 2, 1, 3)  # (p, a, z, s)
        by_second = self.share.transpose(0, 3, 1, 2)  # (p, s, z, a)
        own_first = (by_first * bend[:, :, None]) @ by_first.transpose(0, 1, 3, 2)
        own_second = (by_second * bend.transpose(0, 2, 1)[:, :, None]) @ by_second.transpose(
            0, 1, 3, 2
        )
        diagonal = np.eye(m)
        own_first += (
            diagonal * _fixed(weighted.sum(3), problem.first).transpose(0, 2, 1)[..., None]
        )
        own_second += (
            diagonal * _fixed(weighted.sum(2), problem.second).transpose(0, 2, 1)[..., None]
        )
        # cross[p, s, z, (a, y)]: how the equation of beta[z, s] feels alpha[y, a].
        cross = np.einsum("pas,pzas,pyas->pszay", bend, self.share, self.share, optimize=False)
        cross += np.einsum("zy,pyas->pszay", diagonal, weighted, optimize=False)
        self.cross = cross.reshape(p, n, m, k * m)
        self.own_second = own_second
        self.eliminated = solve_or_nan(own_second, self.cross)
        schur = -(
            self.cross.reshape(p, n * m, k * m).transpose(0, 2, 1)
            @ self.eliminated.reshape(p, n * m, k * m)
        ).reshape(p, k, m, k, m)
        index = np.arange(k)
        schur[:, index, :, index, :] += own_first.transpose(1, 0, 2, 3)
        self.schur = self._without_gauge(schur.reshape(p, k * m, k * m), k, m)

    def _without_gauge(self, schur: Array, k: int, m: int) -> Array:
        """Fix the directions alpha[z] + t_z, beta[z] - t_z, which change nothing."""
        scale = np.diagonal(schur, axis1=1, axis2=2).max(1)
        exists = (self.problem.first > 0).transpose(0, 2, 1).reshape(len(schur), k, m)
        gauge = np.einsum("pay,yz->payz", exists, np.eye(m), optimize=False).reshape(-1, k * m, m)
        schur = schur + (scale / k)[:, None, None] * (gauge @ gauge.transpose(0, 2, 1))
        return schur + 1e-15 * scale[:, None, None] * np.eye(k * m)

    def direction(self, target: Array | float, curvature: Array | float) -> tuple[Array, ...]:
        """Newton direction that sends weight * slack to ``target``, second-order term given."""
        problem = self.problem
        p, m, k, n = self.share.shape
        v = problem.weight + (target - curvature + problem.weight * self.f) / problem.slack
        v = np.where(problem.active, v, 0.0)
        pull = v[:, None] * self.share
        g_first = np.where(problem.first > 0, problem.first - pull.sum(3), 0.0)
        g_second = np.where(problem.second > 0, problem.second - pull.sum(2), 0.0)
        inner = solve_or_nan(self.own_second, g_second.transpose(0, 2, 1)[..., None])
        carried = self.cross.reshape(p, n * m, k * m).transpose(0, 2, 1) @ inner.reshape(
            p, n * m, 1
        )
        rhs = g_first.transpose(0, 2, 1).reshape(p, k * m, 1) - carried
        step = solve_or_nan(self.schur, rhs)
        back = inner.reshape(p, n * m, 1) - self.eliminated.reshape(p, n * m, k * m) @ step
        d_alpha = step.reshape(p, k, m).transpose(0, 2, 1) * (problem.first > 0)
        d_beta = back.reshape(p, n, m).transpose(0, 2, 1) * (problem.second > 0)
        d_f = (self.share * (d_alpha[..., None] + d_beta[:, :, None])).sum(1)
        d_slack = -(self.f + problem.slack) - d_f
        d_weight = (
            target - curvature - problem.weight * (problem.slack + d_slack)
        ) / problem.slack
        active = problem.active
        return d_alpha, d_beta, np.where(active, d_slack, 0.0), np.where(active, d_weight, 0.0)


def _fixed(diagonal: Array, margin: Array) -> Array:
    """One on the diagonal of an unknown that does not exist, so that its step is zero."""
    return np.where(margin > 0, diagonal, 1.0)


def _mehrotra_step(problem: _Problem) -> None:
    """One predictor-corrector step with a common step length, in place."""
    newton = _Newton(problem)
    n_active = problem.active.sum((1, 2))
    product = problem.weight * problem.slack
    mean = product.sum((1, 2)) / n_active
    _, _, d_slack, d_weight = newton.direction(0.0, 0.0)
    to_weight = np.minimum(to_boundary(problem.weight, d_weight), 1.0)
    to_slack = np.minimum(to_boundary(problem.slack, d_slack), 1.0)
    ahead = (problem.weight + to_weight[:, None, None] * d_weight) * (
        problem.slack + to_slack[:, None, None] * d_slack
    )
    affine = np.where(problem.active, ahead, 0.0).sum((1, 2)) / n_active
    centring = np.clip((affine / mean) ** 3, 1e-6, 1.0)
    damping = np.minimum(to_weight, to_slack) ** 2
    direction = newton.direction(
        (centring * mean)[:, None, None], d_weight * d_slack * damping[:, None, None]
    )
    _, _, d_slack, d_weight = direction
    length = np.minimum(
        1.0,
        _TO_BOUNDARY
        * np.minimum(to_boundary(problem.weight, d_weight), to_boundary(problem.slack, d_slack)),
    )
    _move(problem, direction, length)
    f, _ = _cells(problem.alpha, problem.beta, problem.allowed, problem.active)
    problem.slack = np.where(problem.active, np.maximum(problem.slack, -f), 1.0)


def _move(problem: _Problem, direction: tuple[Array, ...], length: Array) -> None:
    step = length[:, None, None]
    problem.alpha = problem.alpha + step * direction[0]
    problem.beta = problem.beta + step * direction[1]
    problem.slack = problem.slack + step * direction[2]
    problem.weight = problem.weight + step * direction[3]


def _feasible_step(problem: _Problem) -> None:
    """One step of the variant that keeps f < 0 and backtracks on the residual, in place.

    Slower, but it reaches the tolerance on the very sparse tables where the predictor-corrector
    stalls.
    """
    newton = _Newton(problem)
    problem.slack = np.where(problem.active, -newton.f, 1.0)
    n_active = problem.active.sum((1, 2))
    target = 0.1 * (problem.weight * problem.slack).sum((1, 2)) / n_active
    direction = newton.direction(target[:, None, None], 0.0)
    now = _residual(problem, newton.f, newton.share, target)
    length = np.minimum(1.0, _TO_BOUNDARY * to_boundary(problem.weight, direction[3]))
    state = (problem.alpha, problem.beta, problem.slack, problem.weight)
    for _ in range(30):
        _move(problem, direction, length)
        f, share = _cells(problem.alpha, problem.beta, problem.allowed, problem.active)
        better = _residual(problem, f, share, target) <= (1 - 1e-4 * length) * now
        inside = (f < 0).all((1, 2))
        if (better & inside).all():
            break
        problem.alpha, problem.beta, problem.slack, problem.weight = state
        length = np.where(better & inside, length, 0.5 * length)
    problem.slack = np.where(problem.active, np.maximum(-f, 1e-300), 1.0)


def _residual(problem: _Problem, f: Array, share: Array, target: Array) -> Array:
    """Norm of the violated optimality conditions of the feasible variant."""
    flow = problem.weight[:, None] * share
    centred = np.where(problem.active, problem.weight * f + target[:, None, None], 0.0)
    parts = (problem.first - flow.sum(3), problem.second - flow.sum(2), centred)
    return np.sqrt(sum((part**2).sum((1, 2)) for part in parts))
