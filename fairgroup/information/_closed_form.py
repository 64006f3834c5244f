"""Unique information about a binary target, exactly and without iteration.

For two groups the minimum of ``I_Q(Z; Y, S)`` over all laws with the given margins ``(Z, Y)`` and
``(Z, S)`` is the information of the test whose ROC curve is the upper concave envelope of the ROC
curves of ``Y`` and of ``S`` as tests for ``Z``: every such law dominates both tests, the envelope
is the least test that does, and for a binary target the Blackwell order is the order of ROC
curves. In integral form, with ``G_X(t)`` the best expected gain of somebody who guesses ``Z`` from
``X`` at cost ratio ``t``,

    unique(Y) = integral over (0, 1) of max(0, G_Y(t) - G_S(t)) / (t (1 - t)) dt      (nats),

and with the signs exchanged the unique information of ``S``. ``G`` is piecewise linear with
corners at the posteriors, so each piece integrates in closed form. Definition: Bertschinger et
al., Entropy 16 (2014); use for fairness: Hamman and Dutta, ICLR 2024, Definition 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import linprog
from scipy.special import xlog1py, xlogy

__all__ = ["binary_coupling", "binary_unique", "envelope"]

Array = NDArray[np.float64]
# Gains of two sources closer than this are the same up to rounding.
_EQUAL = 1e-15


def binary_unique(first: Array, second: Array) -> tuple[Array, Array]:
    """Unique informations of two sources about a binary target.

    Parameters
    ----------
    first : ndarray of shape (..., 2, k)
        Joint probabilities of target and first source.
    second : ndarray of shape (..., 2, n)
        Joint probabilities of target and second source, with the same target margin.

    Returns
    -------
    unique_first, unique_second : ndarrays of shape (...)
        In nats.
    """
    corners, gain = _gain_difference(first, second)
    positive, negative = _signed_integrals(*_pieces(corners, gain))
    return positive.sum(-1), negative.sum(-1)


def _gain_difference(first: Array, second: Array) -> tuple[Array, Array]:
    """Corners t of the gain curves, 0 and 1 included, and ``G_first - G_second`` there."""
    mass = np.concatenate([first.sum(-2), second.sum(-2)], axis=-1)
    positives = np.concatenate([first[..., 1, :], second[..., 1, :]], axis=-1)
    posterior = np.divide(positives, mass, out=np.zeros_like(mass), where=mass > 0)
    order = np.argsort(posterior, axis=-1)
    corners = np.take_along_axis(posterior, order, -1)
    sign = np.r_[np.ones(first.shape[-1]), -np.ones(second.shape[-1])]
    # G_X(t) sums p(1, x) - t p(x) over the x whose posterior is above t: suffix sums in the order
    # of the posteriors.
    above_positives = _suffix_sums(np.take_along_axis(positives * sign, order, -1))
    above_mass = _suffix_sums(np.take_along_axis(mass * sign, order, -1))
    gain = above_positives - corners * above_mass
    gain[(np.abs(gain) < _EQUAL) | (corners == 0) | (corners == 1)] = 0.0
    ends = np.zeros((*corners.shape[:-1], 1))
    return (
        np.concatenate([ends, corners, ends + 1], axis=-1),
        np.concatenate([ends, gain, ends], axis=-1),
    )


def _suffix_sums(values: Array) -> Array:
    return np.cumsum(values[..., ::-1], axis=-1)[..., ::-1]


def _pieces(corners: Array, gain: Array) -> tuple[Array, Array, Array, Array]:
    """Cut every interval at the zero of the gain, so that no piece changes its sign.

    Returns starts, ends, and the gain at both.
    """
    start, end = corners[..., :-1], corners[..., 1:]
    at_start, at_end = gain[..., :-1], gain[..., 1:]
    crosses = at_start * at_end < 0
    share = np.divide(at_start, at_start - at_end, out=np.ones_like(start), where=crosses)
    middle = start + share * (end - start)
    at_middle = np.where(crosses, 0.0, at_end)
    return (
        np.concatenate([start, middle], axis=-1),
        np.concatenate([middle, end], axis=-1),
        np.concatenate([at_start, at_middle], axis=-1),
        np.concatenate([at_middle, at_end], axis=-1),
    )


def _signed_integrals(
    start: Array, end: Array, at_start: Array, at_end: Array
) -> tuple[Array, Array]:
    """Integral of a linear piece over t (1 - t): its positive and its negative part.

    With the piece written as ``a + b t``, the antiderivative is ``a log t - (a + b) log(1 - t)``;
    ``a`` is zero on a piece that starts at 0 and ``a + b`` on one that ends at 1, because all
    gains vanish there.
    """
    width = end - start
    some = width > 0
    slope = np.divide(at_end - at_start, width, out=np.zeros_like(width), where=some)
    intercept = np.where(start > 0, at_start - slope * start, 0.0)
    at_one = np.where(end < 1, at_end + slope * (1 - end), 0.0)
    value = (
        xlogy(intercept, np.where(some & (start > 0), end, 1.0))
        - xlogy(intercept, np.where(some & (start > 0), start, 1.0))
        - xlog1py(at_one, -np.where(some & (end < 1), end, 0.0))
        + xlog1py(at_one, -np.where(some & (end < 1), start, 0.0))
    )
    return np.maximum(value, 0.0), np.maximum(-value, 0.0)


def envelope(first: Array, second: Array) -> Array:
    """Joint table of the target and the test whose ROC curve is the envelope of both.

    Parameters
    ----------
    first : ndarray of shape (2, k)
        Joint probabilities of target and first source.
    second : ndarray of shape (2, n)
        Joint probabilities of target and second source.

    Returns
    -------
    table : ndarray of shape (2, r)
        Levels in the order of decreasing posterior, r <= k + n.
    """
    points = np.concatenate([_roc(first), _roc(second)])
    points = points[np.lexsort((-points[:, 1], points[:, 0]))]
    hull: list[NDArray[np.float64]] = [np.zeros(2)]
    for point in points:
        if not np.any(point > hull[-1]):
            continue
        while len(hull) > 1 and _turn(hull[-2], hull[-1], point) >= 0:
            hull.pop()
        hull.append(point)
    return np.maximum(np.diff(np.array(hull), axis=0).T, 0.0)


def _roc(joint: Array) -> Array:
    """Corners of the ROC curve of one source, as (mass of target 0, mass of target 1)."""
    seen = joint[:, joint.sum(0) > 0]
    order = np.argsort(-seen[1] / seen.sum(0), kind="stable")
    return np.cumsum(seen[:, order], axis=1).T


def _turn(a: Array, b: Array, c: Array) -> float:
    """Positive for a left turn at b on the way from a to c."""
    return float((b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0]))


def binary_coupling(first: Array, second: Array) -> Array:
    """Return an optimal law of (target, first, second) for a binary target.

    Both sources are drawn from the envelope test, independently of each other given it.

    Parameters
    ----------
    first : ndarray of shape (2, k)
        Joint probabilities of target and first source.
    second : ndarray of shape (2, n)
        Joint probabilities of target and second source.

    Returns
    -------
    coupling : ndarray of shape (2, k, n)
        Its margins agree with the arguments up to the accuracy of the linear program (about 1e-9).
    """
    test = envelope(first, second)
    return np.einsum("zj,ja,js->zas", test, _garbling(test, first), _garbling(test, second))


def _garbling(test: Array, source: Array) -> Array:
    """Channel (r, k) that turns the test into the source; it exists because the test dominates the
    source.
    """
    n_test, n_source = test.shape[1], source.shape[1]
    reproduces = np.kron(test, np.eye(n_source))
    is_channel = np.kron(np.eye(n_test), np.ones(n_source))
    # The equations hold up to rounding only, so they are met in the least absolute deviation.
    n_equations, n_cells = reproduces.shape
    slack = np.eye(n_equations)
    solution = linprog(
        np.r_[np.zeros(n_cells), np.ones(2 * n_equations)],
        A_eq=np.block(
            [
                [reproduces, slack, -slack],
                [is_channel, np.zeros((n_test, 2 * n_equations))],
            ]
        ),
        b_eq=np.r_[source.ravel(), np.ones(n_test)],
        method="highs",
    )
    channel = np.maximum(solution.x[:n_cells].reshape(n_test, n_source), 0.0)
    return channel / channel.sum(1, keepdims=True)
