"""Linear models with a dependence penalty: whitened features and L-BFGS on the exact objective."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from fairgroup.dependence._objective import Objective, Terms

__all__ = ["LinearFit", "WhitenedDesign", "fit_linear"]

Floats = NDArray[np.float64]

Coefficients = tuple[Floats, Floats]

_MEMORY = 20
_RESTARTS = 5
_ROUGH = 1e-3  # tolerance of the unpenalised fit that a penalised one starts from
_GAIN = 0.01  # relative to the tolerance of the gradient


class WhitenedDesign:
    """Features in coordinates in which the loss is well conditioned.

    Centred features are rotated and scaled to unit covariance; directions in which they do not
    vary are left out, so that among equal fits the coefficients are the smallest.

    Parameters
    ----------
    X : ndarray of shape (n_samples, n_features)
        Features.
    weights : ndarray of shape (n_samples,)
        Row weights with sum one.
    """

    def __init__(self, X: Floats, weights: Floats) -> None:
        self.mean = weights @ X
        centred = X - self.mean
        with np.errstate(over="ignore"):
            spread = np.sqrt(weights @ centred**2)
        if not np.isfinite(spread).all():
            raise ValueError(
                f"Column {int(np.argmax(spread))} of X holds numbers too large to be squared; "
                "scale it."
            )
        spread[spread <= 1e-12 * (1 + np.abs(self.mean))] = np.inf
        scaled = centred / spread
        values, vectors = np.linalg.eigh((scaled.T * weights) @ scaled)
        kept = values > 1e-9 * max(values.max(initial=0.0), 1e-300)
        # coef = transform @ theta for scores = start + design @ theta
        self.transform = vectors[:, kept] / np.sqrt(values[kept]) / spread[:, None]
        self.design = centred @ self.transform

    def coordinates(self, coef: Floats) -> Floats:
        """Return the theta of coefficients, the least squares one."""
        return np.linalg.lstsq(self.transform, coef, rcond=None)[0]


@dataclass(frozen=True)
class LinearFit:
    """Coefficients and how they were reached.

    ``intercept`` has shape (n_outputs,), ``coef`` (n_features, n_outputs).
    """

    intercept: Floats
    coef: Floats
    loss_curve: list[float]
    penalty_curve: list[float]
    optimality: float
    converged: bool


class _Problem:
    """The objective as a function of one flat vector: intercepts, then whitened coefficients."""

    def __init__(
        self,
        design: WhitenedDesign,
        objective: Objective,
        fairness_weight: float,
        alpha: float,
        scale: float,
        start: Any,
    ) -> None:
        self.design, self.objective = design, objective
        self.fairness_weight, self.alpha, self.scale = fairness_weight, alpha, scale
        self.start = np.atleast_1d(start)
        self.scalar = np.ndim(start) == 0
        self.last: Terms | None = None

    def unpack(self, theta: Floats) -> tuple[Floats, Floats]:
        table = self.scale * theta.reshape(-1, len(self.start))
        return self.start + table[0], table[1:]

    def scores(self, theta: Floats) -> Floats:
        level, slopes = self.unpack(theta)
        raw = self.design.design @ slopes + level
        return raw[:, 0] if self.scalar else raw

    def __call__(self, theta: Floats) -> tuple[float, Floats]:
        terms = self.objective(self.scores(theta), self.fairness_weight)
        self.last = terms
        gradient = terms.gradient.reshape(len(terms.gradient), -1)
        slopes = self.design.design.T @ gradient
        value = terms.loss
        if self.fairness_weight:
            value += self.fairness_weight * terms.penalty
        if self.alpha:
            coef = self.design.transform @ self.unpack(theta)[1]
            value += 0.5 * self.alpha * float(np.vdot(coef, coef)) / self.objective.unit
            slopes += self.alpha / self.objective.unit * (self.design.transform.T @ coef)
        full = np.vstack([gradient.sum(axis=0), slopes])
        return value, self.scale * full.ravel()


def fit_linear(
    design: WhitenedDesign,
    objective: Objective,
    *,
    fairness_weight: float,
    alpha: float = 0.0,
    tol: float = 1e-4,
    max_iter: int = 300,
    warm: Coefficients | None = None,
) -> LinearFit:
    """Minimise loss plus penalty over linear scores.

    The penalty is piecewise smooth and not convex in the coefficients. L-BFGS starts from the
    unpenalised fit or from ``warm``. Where it ends at a kink, with a gradient that is not zero, it
    is restarted without memory until a restart gains next to nothing: then neither the steepest
    descent nor a curved path from it lowers the objective. What is certified is such a stationary
    point, not a global minimum.

    Parameters
    ----------
    design : WhitenedDesign
        Features.
    objective : Objective
        Its unit should be the loss of the best constant, so that ``tol`` has a meaning.
    fairness_weight, alpha : float
        Strength of the penalty; of half the squared norm of the coefficients.
    tol : float, default=1e-4
        Largest component of the gradient, in whitened coordinates, that counts as zero.
    max_iter : int, default=300
        Largest number of iterations.
    warm : tuple of ndarray (n_outputs,) and ndarray (n_features, n_outputs), or None
        Intercepts and coefficients to start from.

    Returns
    -------
    fit : LinearFit
        ``optimality`` is the largest component of the gradient at the end.
    """
    fit = _fit_stage(design, objective, fairness_weight, alpha, tol, max_iter, warm)
    for _ in range(1, objective.loss.stages):
        objective = objective.with_loss(objective.loss.sharper(10.0))
        warm = fit.intercept, fit.coef
        fit = _fit_stage(design, objective, fairness_weight, alpha, tol, max_iter, warm)
    return fit


def _fit_stage(
    design: WhitenedDesign,
    objective: Objective,
    fairness_weight: float,
    alpha: float,
    tol: float,
    max_iter: int,
    warm: Coefficients | None,
) -> LinearFit:
    target, loss = objective.target, objective.loss
    start = loss.start(target.y, target.weights, target.offset)
    scale = loss.scale(target.y, target.weights)
    problem = _Problem(design, objective, fairness_weight, alpha, scale, start)
    run = _Run(problem, max_iter)
    if warm is not None:
        theta = _from_warm(problem, warm)
    else:
        theta = np.zeros((1 + design.design.shape[1]) * len(problem.start))
        # The best constant is a kink: all predictions are tied there, which a strong penalty
        # likes too well. So the way leads through the unpenalised fit, found roughly.
        problem.fairness_weight = 0.0
        theta = run.minimize(theta, tol if fairness_weight == 0 else max(tol, _ROUGH))
    problem.fairness_weight = fairness_weight
    if warm is not None or fairness_weight > 0:
        theta = run.minimize(theta, tol)
    value, gradient = problem(theta)
    run.note(theta)
    level, slopes = problem.unpack(theta)
    coef = design.transform @ slopes
    return LinearFit(
        intercept=level - design.mean @ coef,
        coef=coef,
        loss_curve=run.losses,
        penalty_curve=run.penalties,
        optimality=float(np.max(np.abs(gradient))),
        converged=bool(run.converged and np.isfinite(value)),
    )


class _Run:
    """L-BFGS with restarts, and what happened on the way."""

    def __init__(self, problem: _Problem, max_iter: int) -> None:
        self.problem, self.max_iter = problem, max_iter
        self.losses: list[float] = []
        self.penalties: list[float] = []
        self.converged = False

    def note(self, _: Floats) -> None:
        """Keep loss and penalty of the latest evaluation."""
        assert self.problem.last is not None
        self.losses.append(self.problem.last.loss * self.problem.objective.unit)
        self.penalties.append(self.problem.last.penalty)

    def minimize(self, theta: Floats, tol: float) -> Floats:
        """Return where no component of the gradient, or no restart's gain, exceeds ``tol``."""
        best = np.inf
        for _ in range(_RESTARTS):
            result = minimize(
                self.problem,
                theta,
                jac=True,
                method="L-BFGS-B",
                callback=self.note,
                options={
                    "maxiter": max(1, self.max_iter - len(self.losses)),
                    "maxcor": _MEMORY,
                    "gtol": tol,
                    "ftol": _GAIN**2 * tol,
                    "maxls": 40,
                },
            )
            gain, best, theta = best - result.fun, result.fun, result.x
            flat = float(np.max(np.abs(result.jac))) <= tol
            self.converged = flat or gain <= _GAIN * tol
            if self.converged or len(self.losses) >= self.max_iter:
                break
        return theta


def _from_warm(problem: _Problem, warm: Coefficients) -> Floats:
    intercept, coef = warm
    level = intercept + problem.design.mean @ coef - problem.start
    table = np.vstack([level, problem.design.coordinates(coef)])
    return table.ravel() / problem.scale
