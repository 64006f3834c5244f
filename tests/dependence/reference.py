"""Distance covariances straight from their definitions, with n x n matrices."""

from __future__ import annotations

import numpy as np


def distances(x):
    """Euclidean distances of the rows, (n, n)."""
    x = np.asarray(x, dtype=float).reshape(len(x), -1)
    return np.sqrt(((x[:, None, :] - x[None, :, :]) ** 2).sum(axis=2))


def u_centred(x):
    d, n = distances(x), len(x)
    rows, total = d.sum(axis=1), d.sum()
    centred = (rows[:, None] + rows) / (n - 2) - d - total / ((n - 1) * (n - 2))
    np.fill_diagonal(centred, 0.0)
    return centred


def v_centred(x, weights=None):
    d, n = distances(x), len(x)
    w = np.full(n, 1 / n) if weights is None else np.asarray(weights) / np.sum(weights)
    rows = d @ w
    return rows[:, None] + rows - d - w @ rows


def dcov(x, y, estimator="U", weights=None):
    """dCov^2 of two variables."""
    n = len(x)
    if estimator == "U":
        return (u_centred(x) * u_centred(y)).sum() / (n * (n - 3))
    w = np.full(n, 1 / n) if weights is None else np.asarray(weights) / np.sum(weights)
    return w @ (v_centred(x, weights) * v_centred(y, weights)) @ w


def dcor(x, y, estimator="U"):
    """Squared distance correlation."""
    variances = dcov(x, x, estimator) * dcov(y, y, estimator)
    return dcov(x, y, estimator) / np.sqrt(variances)


def jdcov(variables, c=1.0, estimator="U", weights=None):
    """JdCov^2 of several variables."""
    n, d = len(variables[0]), len(variables)
    if estimator == "U":
        product = np.prod([u_centred(v) + c for v in variables], axis=0)
        return product.sum() / (n * (n - 3)) - c**d * n / (n - 3)
    w = np.full(n, 1 / n) if weights is None else np.asarray(weights) / np.sum(weights)
    product = np.prod([v_centred(v, weights) + c for v in variables], axis=0)
    return w @ product @ w - c**d


def distribution(x):
    """Empirical distribution function of every column at its values, ties at the upper value."""
    x = np.asarray(x, dtype=float)
    table = x.reshape(len(x), -1)
    return np.array([[(column <= v).mean() for v in column] for column in table.T]).T
