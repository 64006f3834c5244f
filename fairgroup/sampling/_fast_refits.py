"""Ridge and least squares on growing data, exactly, for a fraction of the separate fits.

Three engines give the coefficients of the models trained on ``base`` and the first m further rows,
for many m at once:

* ``"gram"``: add up X'X and X'y between the sizes, solve at each size; for few sizes, p < n.
* ``"rls"``: recursive least squares, O(p^2) per added row (Sherman-Morrison); for many sizes.
* ``"cholesky"``: the factor of a leading block is the leading block of the factor. With
  ``K + alpha I = L L'``, ``W = L^-1 X`` and ``z = L^-1 y`` the coefficients after m rows are
  ``sum_{i <= m} W_i z_i``; for p >= n. With ``W = L^-1 K_v`` the same sums predict
  with any kernel.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError, cho_factor, cho_solve, cholesky, solve_triangular

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

__all__ = [
    "Base",
    "choose_engine",
    "prefix_coefficients",
    "prefix_kernel_predictions",
    "summarise",
]


# Up to here one factorisation is faster than a Python step per row.
_SMALL = 1000


class Base(NamedTuple):
    """The rows that every model is trained on, summarised once for all orders."""

    X: Floats
    y: Floats
    gram: Floats
    moment: Floats
    sums: Floats
    total: float


def summarise(X: Floats, y: Floats, *, gram: bool = True) -> Base:
    """Summarise rows; without ``gram`` the (p, p) products, which "cholesky" does not need."""
    p = X.shape[1]
    products = X.T @ X if gram else np.zeros((0, 0))
    return Base(X, y, products, X.T @ y if gram else np.zeros(p), X.sum(axis=0), float(y.sum()))


def choose_engine(n_rows: int, n_features: int, n_sizes: int) -> str:
    """Cheapest engine: solves cost p^3/3 per size, updates p^2 per row, the factor n^3/3."""
    many = n_sizes > 4 + n_features // 3
    if n_features >= n_rows or (many and n_rows <= _SMALL):
        return "cholesky"
    return "rls" if many else "gram"


def prefix_coefficients(
    base: Base,
    X: Floats,
    y: Floats,
    sizes: Ints,
    *,
    alpha: float,
    fit_intercept: bool,
    engine: str,
) -> tuple[Floats, Floats]:
    """Coefficients after ``base`` and the first m of the further rows, for each size m.

    Parameters
    ----------
    base : Base
        Rows that are always there, possibly none.
    X, y : ndarray of shape (n, p) and (n,)
        Further rows, in order.
    sizes : ndarray of shape (K,)
        Increasing, at most n.
    alpha : float
        Ridge penalty; the intercept is not penalised.
    fit_intercept : bool
    engine : {"gram", "rls", "cholesky"}

    Returns
    -------
    coef : ndarray of shape (K, p)
    intercept : ndarray of shape (K,)

    Raises
    ------
    LinAlgError
        When a system is singular (least squares with too few rows).
    """
    if engine == "gram":
        return _gram(base, X, y, sizes, alpha, fit_intercept)
    if engine == "rls":
        return _recursive(base, X, y, sizes, alpha, fit_intercept)
    return _from_factor(base, X, y, sizes, alpha, fit_intercept)


def _solve(gram: Floats, moment: Floats, alpha: float) -> Floats:
    system = gram + alpha * np.eye(len(gram))
    factor = cho_factor(system, lower=True, check_finite=False)
    diagonal = np.diag(factor[0])
    if diagonal.min() ** 2 < 1e-12 * np.diag(system).max():
        raise LinAlgError("the system is close to singular")
    return cho_solve(factor, moment, check_finite=False)


def _solve_centred(
    gram: Floats, moment: Floats, sums: Floats, total: float, n: int, alpha: float
) -> tuple[Floats, float]:
    mean, level = sums / n, total / n
    coef = _solve(gram - n * np.outer(mean, mean), moment - n * mean * level, alpha)
    return coef, level - float(mean @ coef)


def _gram(
    base: Base, X: Floats, y: Floats, sizes: Ints, alpha: float, fit_intercept: bool
) -> tuple[Floats, Floats]:
    gram, moment = base.gram.copy(), base.moment.copy()
    sums, total = base.sums.copy(), base.total
    coef, intercept = np.empty((len(sizes), X.shape[1])), np.zeros(len(sizes))
    start = 0
    for k, stop in enumerate(sizes):
        block, target = X[start:stop], y[start:stop]
        gram += block.T @ block
        moment += block.T @ target
        sums += block.sum(axis=0)
        total += float(target.sum())
        n = len(base.y) + int(stop)
        if fit_intercept:
            coef[k], intercept[k] = _solve_centred(gram, moment, sums, total, n, alpha)
        else:
            coef[k] = _solve(gram, moment, alpha)
        start = stop
    return coef, intercept


def _recursive(
    base: Base, X: Floats, y: Floats, sizes: Ints, alpha: float, fit_intercept: bool
) -> tuple[Floats, Floats]:
    """Update the inverse row by row, from the first size on."""
    first, p = int(sizes[0]), X.shape[1]
    rows = np.column_stack([X, np.ones(len(X))]) if fit_intercept else X
    inverse, theta = _start(base, X[:first], y[:first], alpha, fit_intercept)
    coef, intercept = np.empty((len(sizes), p)), np.zeros(len(sizes))
    k = 0
    for m in range(first, int(sizes[-1]) + 1):
        if m > first:
            x = rows[m - 1]
            direction = inverse @ x
            scale = 1.0 + x @ direction
            theta = theta + direction * ((y[m - 1] - x @ theta) / scale)
            inverse -= np.outer(direction, direction / scale)
        if m == sizes[k]:
            coef[k] = theta[:p]
            intercept[k] = theta[p] if fit_intercept else 0.0
            k += 1
    return coef, intercept


def _start(
    base: Base, X: Floats, y: Floats, alpha: float, fit_intercept: bool
) -> tuple[Floats, Floats]:
    p = X.shape[1]
    n = len(base.y) + len(y)
    system = np.zeros((p + fit_intercept, p + fit_intercept))
    system[:p, :p] = base.gram + X.T @ X + alpha * np.eye(p)
    right = np.append(base.moment + X.T @ y, base.total + y.sum())[: p + fit_intercept]
    if fit_intercept:
        system[p, :p] = system[:p, p] = base.sums + X.sum(axis=0)
        system[p, p] = n
    factor = cho_factor(system, lower=True, check_finite=False)
    if np.diag(factor[0]).min() ** 2 < 1e-12 * np.diag(system).max():
        raise LinAlgError("the system is close to singular")
    inverse = cho_solve(factor, np.eye(len(system)), check_finite=False)
    return inverse, inverse @ right


def _from_factor(
    base: Base, X: Floats, y: Floats, sizes: Ints, alpha: float, fit_intercept: bool
) -> tuple[Floats, Floats]:
    everything = np.vstack([base.X, X[: sizes[-1]]])
    kernel = everything @ everything.T
    target = np.concatenate([base.y, y[: sizes[-1]]])
    at = len(base.y) + np.asarray(sizes) - 1
    values, intercept = _prefix_sums(kernel, everything, target, alpha, fit_intercept, at)
    return values[0] - intercept[:, None] * values[1], intercept


def prefix_kernel_predictions(
    kernel: Floats, kernel_val: Floats, y: Floats, alpha: float, *, fit_intercept: bool = False
) -> Floats:
    """Predictions of kernel ridge (or the mean of a Gaussian process) after every row.

    Parameters
    ----------
    kernel : ndarray of shape (n, n)
        Between the training rows, in order.
    kernel_val : ndarray of shape (n, n_val)
        Between training and validation rows.
    y : ndarray of shape (n,)
    alpha : float
        Penalty, positive (noise variance of a Gaussian process).
    fit_intercept : bool, default=False
        Add an intercept that is not penalised.

    Returns
    -------
    predictions : ndarray of shape (n, n_val)
        Row m - 1 belongs to the model trained on the first m rows.
    """
    at = np.arange(len(y))
    values, intercept = _prefix_sums(kernel, kernel_val, y, alpha, fit_intercept, at)
    return values[0] + intercept[:, None] * (1 - values[1])


def _prefix_sums(
    kernel: Floats, right: Floats, y: Floats, alpha: float, fit_intercept: bool, at: Ints
) -> tuple[tuple[Floats, Floats], Floats]:
    """Sums over i <= m of W_i z_i and W_i v_i at the rows ``at``, and the intercepts there."""
    system = kernel + alpha * np.eye(len(y))
    factor = cholesky(system, lower=True, check_finite=False)
    if np.diag(factor).min() ** 2 < 1e-12 * np.diag(system).max():
        raise LinAlgError("the system is close to singular")
    both = solve_triangular(
        factor, np.column_stack([y, np.ones(len(y)), right]), lower=True, check_finite=False
    )
    z, v, W = both[:, 0], both[:, 1], both[:, 2:]
    intercept = np.zeros(len(at))
    if fit_intercept:
        intercept = np.cumsum(v * z)[at] / np.cumsum(v * v)[at]
    starts = np.concatenate([[0], at[:-1] + 1])
    weighted = [
        np.cumsum(np.add.reduceat(W * u[:, None], starts, axis=0), axis=0)
        if at[-1] + 1 == len(y)
        else np.cumsum(W * u[:, None], axis=0)[at]
        for u in (z, v)
    ]
    return (weighted[0], weighted[1]), intercept
