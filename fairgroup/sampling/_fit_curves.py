"""Least squares for learning curves of all groups at once, by variable projection.

Every family is ``s_inf - b z(n; t)`` with one shape parameter ``t``: ``n**-t`` (power law),
``t / (n + t)`` (hyperbolic, where b = s_inf) and ``exp(-t n)`` (exponential). Given ``t`` the best
``s_inf`` and ``b`` have closed forms; what is left is a search in one dimension, from a grid and
then by golden sections. It needs no start values and has no way to diverge.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

__all__ = ["CurveFit", "curve_covariance", "fit_shapes"]

_GOLDEN = (np.sqrt(5) - 1) / 2
_STEPS = 80


class CurveFit(NamedTuple):
    """Fitted parameters, each of shape (G,)."""

    s_inf: Floats
    b: Floats
    shape: Floats
    sse: Floats


def basis(family: str, n: Floats, shape: Floats) -> Floats:
    """Return z(n; shape)."""
    if family == "power":
        return n**-shape
    if family == "hyperbolic":
        return shape / (n + shape)
    return np.exp(-shape * n)


def _grid(family: str, n: Floats) -> Floats:
    """Candidate shapes (G, T), in the parameter in which they are evenly spaced."""
    if family == "power":
        return np.broadcast_to(np.linspace(0.05, 3, 60), (len(n), 60))
    size = np.log(n.max(axis=1, keepdims=True))
    steps = np.linspace(-4.0, 4.0, 60)
    return size + steps if family == "hyperbolic" else steps - size


def project(z: Floats, y: Floats, weights: Floats, score_max: float, tied: bool) -> CurveFit:
    """Best ``s_inf`` and ``b`` for a given basis; all of shape (..., K), no increase allowed.

    ``tied`` is the hyperbolic family through the origin, where b = s_inf.
    """
    w = weights / weights.sum(axis=-1, keepdims=True)
    if tied:
        rest = 1 - z
        top = (w * rest * y).sum(-1) / (w * rest**2).sum(-1)
        s_inf = np.clip(top, 0.0, score_max)
        b = s_inf
    else:
        z_mean, y_mean = (w * z).sum(-1), (w * y).sum(-1)
        dz = z - z_mean[..., None]
        spread = (w * dz**2).sum(-1)
        slope = -(w * dz * y).sum(-1) / np.where(spread > 0, spread, 1.0)
        b = np.maximum(np.where(spread > 0, slope, 0.0), 0.0)
        s_inf = y_mean + b * z_mean
        capped = np.maximum((w * z * (score_max - y)).sum(-1) / (w * z**2).sum(-1), 0.0)
        over = (s_inf > score_max) & (b > 0)
        b = np.where(over, capped, b)
        s_inf = np.where(over, score_max, s_inf)
    residual = y - s_inf[..., None] + b[..., None] * z
    return CurveFit(s_inf, b, np.zeros_like(b), (weights * residual**2).sum(-1))


def fit_shapes(
    family: str, n: Floats, y: Floats, weights: Floats, *, score_max: float = np.inf
) -> CurveFit:
    """Fit one curve per row.

    Parameters
    ----------
    family : {"power", "hyperbolic", "exponential"}
        Kind of curve.
    n, y, weights : ndarray of shape (G, K)
        Sizes, scores and weights of the points; weight zero leaves a point out.
    score_max : float, default=inf
        Largest asymptote.

    Returns
    -------
    fit : CurveFit
        Where scores do not rise with n, b is 0 and s_inf the weighted mean.
    """
    tied = family == "hyperbolic"
    # Sizes relative to the largest keep z near 1, whatever the exponent.
    unit = n.max(axis=1, keepdims=True) if family == "power" else np.ones((len(n), 1))
    relative = n / unit

    def shape_of(theta: Floats) -> Floats:
        return theta if family == "power" else np.exp(theta)

    def at(theta: Floats) -> CurveFit:
        z = basis(family, relative[:, None, :], shape_of(theta)[..., None])
        return project(z, y[:, None, :], weights[:, None, :], score_max, tied)

    grid = _grid(family, n)
    sse = at(grid).sse
    best = np.argmin(sse, axis=1)
    rows = np.arange(len(n))
    low = grid[rows, np.maximum(best - 1, 0)]
    high = grid[rows, np.minimum(best + 1, grid.shape[1] - 1)]
    theta = _golden(lambda t: at(t[:, None]).sse[:, 0], low, high)
    better = at(theta[:, None]).sse[:, 0] <= sse[rows, best]
    theta = np.where(better, theta, grid[rows, best])
    s_inf, b, _, sse_best = (values[:, 0] for values in at(theta[:, None]))
    shape = shape_of(theta)
    if family == "power":
        b = b * unit[:, 0] ** shape
    return CurveFit(s_inf, b, shape, sse_best)


def _golden(f: Callable[[Floats], Floats], low: Floats, high: Floats) -> Floats:
    """Golden-section search of every row at once."""
    left, right = high - _GOLDEN * (high - low), low + _GOLDEN * (high - low)
    f_left, f_right = f(left), f(right)
    for _ in range(_STEPS):
        go_left = f_left <= f_right
        high, low = np.where(go_left, right, high), np.where(go_left, low, left)
        probe = np.where(go_left, high - _GOLDEN * (high - low), low + _GOLDEN * (high - low))
        value = f(probe)
        left, right = np.where(go_left, probe, right), np.where(go_left, left, probe)
        f_left, f_right = np.where(go_left, value, f_right), np.where(go_left, f_left, value)
    return (low + high) / 2


def curve_covariance(jacobian: Floats, weights: Floats, sse: float) -> Floats:
    """Covariance of fitted parameters (delta method); NaN where the points cannot tell.

    Parameters
    ----------
    jacobian : ndarray of shape (K, P)
        Derivatives of the curve at the points.
    weights : ndarray of shape (K,)
        Weights of the points.
    sse : float
        Weighted sum of squared residuals.

    Returns
    -------
    covariance : ndarray of shape (P, P)
    """
    points, parameters = jacobian.shape
    if points <= parameters:
        return np.full((parameters, parameters), np.nan)
    # Points differ by orders of magnitude between columns: scale before inverting.
    scale = np.sqrt((weights[:, None] * jacobian**2).sum(axis=0))
    scale = np.where(scale > 0, scale, 1.0)
    scaled = jacobian / scale
    information = scaled.T @ (weights[:, None] * scaled)
    inverse = np.linalg.pinv(information, hermitian=True) / np.outer(scale, scale)
    return sse / (points - parameters) * inverse
