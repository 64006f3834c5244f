"""Compiled one-row-at-a-time updates of the linear base learners, one group after another.

A base learner never looks at the aggregation weights, so a batch is run in two stages: here every
group goes through its own rows in time order, then ``_scan_kernels`` combines the predictions.
Each kernel predicts a row before it learns from it. Nothing depends on where a batch begins or
ends: the counters that trigger a refresh belong to the state, so any split of a stream gives the
same bits.

References
----------
Acharya, Arunachaleswaran, Kannan, Roth, Ziani, "Oracle Efficient Algorithms for Groupwise
Regret", ICLR 2024. Azoury and Warmuth, "Relative loss bounds for on-line density estimation",
Machine Learning 43, 2001 (forward forecaster).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "DIAGONAL",
    "FORWARD",
    "GRADIENT",
    "LOGIT",
    "RIDGE",
    "SQUARE",
    "LinearState",
    "dot",
    "implicit_margin",
    "invert_gram",
    "learn_second_order",
    "nonzero",
    "peek_linear",
    "second_order",
    "sigmoid",
]

SQUARE, LOGIT = 0, 1  # what links x.theta to the prediction
RIDGE, FORWARD = (
    0,
    1,
)  # second order: plain ridge, or the row enters the Gram matrix before it is predicted
GRADIENT, DIAGONAL = 0, 1  # first order: projected gradient step, or one step size per column
# Columns of ``tally``, the running numbers of one learner.
LOGDET, LARGEST, SINCE_REFRESH, ROWS = 0, 1, 2, 3
_NEWTON_STEPS = 100


class LinearState(NamedTuple):
    """What the linear learners of all groups know; every array is updated in place.

    First-order learners have no use for the matrices: there ``gram`` and ``inverse`` are empty.
    """

    gram: NDArray  # (G, d, d), lower halves
    inverse: NDArray  # (G, d, d)
    moment: NDArray  # (G, d)
    theta: NDArray  # (G, d)
    tally: NDArray  # (G, 4)


@njit(cache=True, nogil=True)
def sigmoid(margin: float) -> float:  # pragma: no cover - compiled
    """Logistic function that does not overflow."""
    if margin >= 0:
        return 1.0 / (1.0 + np.exp(-margin))
    grown = np.exp(margin)
    return grown / (1.0 + grown)


@njit(cache=True, nogil=True)
def implicit_margin(margin: float, gain: float, y: float) -> float:  # pragma: no cover - compiled
    """Solve m = margin + gain (y - sigmoid(m)), the margin after an implicit logistic step.

    The equation is increasing in m, so its root lies between the two ends and a bracketed Newton
    search cannot miss it, however large the features are.
    """
    low, high = margin + gain * (y - 1.0), margin + gain * y
    if low == high:
        return margin
    m, last = min(max(margin, low), high), high - low
    step = last
    for _ in range(_NEWTON_STEPS):
        p = sigmoid(m)
        residual, slope = m - margin - gain * (y - p), 1.0 + gain * p * (1.0 - p)
        if residual > 0:
            high = m
        else:
            low = m
        newton = m - residual / slope
        # A Newton step that leaves the bracket, or does not halve the last step, is a bisection.
        if low <= newton <= high and abs(2.0 * residual) <= abs(last * slope):
            last, step = step, m - newton
            m = newton
        else:
            last, step = step, 0.5 * (high - low)
            m = low + step
        if abs(step) <= 1e-15 * (1.0 + abs(m)):
            break
    return m


@njit(cache=True, nogil=True)
def invert_gram(gram: NDArray, inverse: NDArray) -> None:  # pragma: no cover - compiled
    """Write the inverse of a positive definite matrix (lower half given) through its Cholesky
    factor.
    """
    d = gram.shape[0]
    full = np.empty((d, d))
    for i in range(d):
        for j in range(i + 1):
            full[i, j] = gram[i, j]
            full[j, i] = gram[i, j]
    factor = np.linalg.cholesky(full)
    half = np.linalg.solve(factor, np.eye(d))
    inverse[:, :] = half.T @ half


@njit(cache=True, nogil=True)
def dot(
    x: NDArray, theta: NDArray, columns: NDArray, used: int
) -> float:  # pragma: no cover - compiled
    total = 0.0
    for k in range(used):
        j = columns[k]
        total += x[j] * theta[j]
    return total


@njit(cache=True, nogil=True)
def nonzero(x: NDArray, columns: NDArray) -> int:  # pragma: no cover - compiled
    used = 0
    for j in range(x.shape[0]):
        if x[j] != 0.0:
            columns[used] = j
            used += 1
    return used


@njit(cache=True, nogil=True)
def _spread(
    x: NDArray, inverse: NDArray, columns: NDArray, used: int, v: NDArray
) -> float:  # pragma: no cover - compiled
    """Write v = P x, reading only the rows of P where x is not zero, and return x.v."""
    v[:] = 0.0
    for k in range(used):
        j = columns[k]
        xj = x[j]
        row = inverse[j]
        for i in range(v.shape[0]):
            v[i] += xj * row[i]
    return dot(x, v, columns, used)


@njit(cache=True, nogil=True)
def _refresh(
    gram: NDArray,
    inverse: NDArray,
    moment: NDArray,
    theta: NDArray,
    alpha: float,
    faded: float,
    link: int,
) -> None:  # pragma: no cover - compiled
    """Recompute the inverse from the Gram matrix; under forgetting, first restore the faded part
    of the ridge.
    """
    if faded > 0.0:
        for i in range(gram.shape[0]):
            gram[i, i] += alpha * faded
    invert_gram(gram, inverse)
    if link == SQUARE:
        for i in range(theta.shape[0]):
            total = 0.0
            for j in range(theta.shape[0]):
                total += inverse[i, j] * moment[j]
            theta[i] = total


@njit(cache=True, nogil=True)
def _rank_one(
    inverse: NDArray, theta: NDArray, v: NDArray, shrink: float, push: float
) -> None:  # pragma: no cover - compiled
    for i in range(v.shape[0]):
        theta[i] += push * v[i]
        down = shrink * v[i]
        row = inverse[i]
        for j in range(v.shape[0]):
            row[j] -= down * v[j]


@njit(cache=True, nogil=True)
def _accumulate(
    gram: NDArray,
    moment: NDArray,
    x: NDArray,
    columns: NDArray,
    used: int,
    weight: float,
    pull: float,
) -> None:  # pragma: no cover - compiled
    for k in range(used):
        j = columns[k]
        moment[j] += pull * x[j]
        up = weight * x[j]
        for m in range(k + 1):
            gram[j, columns[m]] += up * x[columns[m]]


@njit(cache=True, nogil=True)
def second_order(
    X: NDArray,
    y: NDArray,
    weight: NDArray,
    asked: NDArray,
    gram: NDArray,
    inverse: NDArray,
    moment: NDArray,
    theta: NDArray,
    tally: NDArray,
    link: int,
    forward: int,
    alpha: float,
    forgetting: float,
    refresh_every: int,
    prediction: NDArray,
    gain: NDArray,
) -> None:  # pragma: no cover - compiled
    """Run one group's ridge, forward or online Newton learner through rows in time order.

    With v = P x, h = x.v, D = 1 + c h and e = y - x.theta the ridge update is theta += c v e / D,
    P -= c v v' / D. The logistic learner takes the implicit Newton step, of which this is the
    special case of constant curvature. The Gram matrix is accumulated beside its inverse, and the
    inverse recomputed from it every ``refresh_every`` updates, because rank-one updates alone
    lose positive definiteness on badly scaled features.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    y : ndarray of shape (n,)
    weight : ndarray of shape (n,)
        Membership of each row in this group; zero leaves the learner untouched.
    asked : ndarray of shape (n,), bool
        Rows that want a prediction although they are not members.
    gram, inverse : ndarray of shape (d, d)
        A (lower half) and P = A^-1, updated in place.
    moment, theta : ndarray of shape (d,)
        b = sum c y x and the coefficients.
    tally : ndarray of shape (4,)
        log-determinant sum, largest squared residual (ridge) or label (forward), updates since
        the last refresh, member rows.
    link, forward : int
        SQUARE or LOGIT; RIDGE or FORWARD.
    alpha, forgetting : float
        Ridge strength and the factor by which the past fades per member row.
    refresh_every : int
        Updates between two recomputations of the inverse.
    prediction, gain : ndarray of shape (n,)
        Written: the prediction before learning, and c e^2 / D, whose sum is the best ridge loss
        in hindsight.
    """
    n, d = X.shape
    v = np.empty(d)
    columns = np.empty(d, np.int64)
    for t in range(n):
        c = weight[t]
        if c == 0.0 and not asked[t]:
            continue
        x = X[t]
        used = nonzero(x, columns)
        margin = dot(x, theta, columns, used)
        if c == 0.0 and forward == RIDGE:
            prediction[t] = sigmoid(margin) if link == LOGIT else margin
            continue
        h = _spread(x, inverse, columns, used, v)
        if h < 0.0 or not np.isfinite(
            h
        ):  # rounding has cost the inverse its definiteness: rebuild it now
            _refresh(gram, inverse, moment, theta, alpha, 0.0, link)
            margin = dot(x, theta, columns, used)
            h = max(_spread(x, inverse, columns, used, v), 0.0)
        if c == 0.0:
            prediction[t] = margin / (1.0 + h)
            continue
        if link == LOGIT:
            prediction[t] = sigmoid(margin)
            new = implicit_margin(margin, c * h, y[t])
            p = sigmoid(new)
            curvature, push = c * p * (1.0 - p), c * (y[t] - p)
        else:
            e = y[t] - margin
            D = 1.0 + c * h
            prediction[t] = margin / D if forward == FORWARD else margin
            gain[t] = c * e * e / D
            curvature, push = c, c * e / D
            seen = y[t] if forward == FORWARD else e
            tally[LARGEST] = max(tally[LARGEST], seen * seen)
        tally[LOGDET] += np.log(1.0 + curvature * h)
        _rank_one(inverse, theta, v, curvature / (1.0 + curvature * h), push)
        _accumulate(gram, moment, x, columns, used, curvature, c * y[t])
        if forgetting < 1.0:
            _fade(gram, inverse, moment, forgetting)
        tally[ROWS] += 1
        tally[SINCE_REFRESH] += 1
        if tally[SINCE_REFRESH] >= refresh_every:
            faded = 1.0 - forgetting ** tally[SINCE_REFRESH]
            _refresh(gram, inverse, moment, theta, alpha, faded, link)
            tally[SINCE_REFRESH] = 0


@njit(cache=True, nogil=True)
def _fade(
    gram: NDArray, inverse: NDArray, moment: NDArray, forgetting: float
) -> None:  # pragma: no cover
    d = moment.shape[0]
    for i in range(d):
        moment[i] *= forgetting
        for j in range(d):
            gram[i, j] *= forgetting
            inverse[i, j] /= forgetting


@njit(cache=True, nogil=True)
def learn_second_order(
    X: NDArray,
    y: NDArray,
    member: NDArray,
    asked: NDArray,
    state: LinearState,
    link: int,
    forward: int,
    alpha: float,
    forgetting: float,
    refresh_every: int,
    experts: NDArray,
    gain: NDArray,
) -> None:  # pragma: no cover - compiled
    """Run the second-order learners of all groups; writes experts and gain, both (n, G)."""
    n, n_groups = member.shape
    weight, prediction, gained = np.empty(n), np.empty(n), np.empty(n)
    for g in range(n_groups):
        weight[:] = member[:, g]
        prediction[:] = 0.0
        gained[:] = 0.0
        second_order(
            X,
            y,
            weight,
            asked,
            state.gram[g],
            state.inverse[g],
            state.moment[g],
            state.theta[g],
            state.tally[g],
            link,
            forward,
            alpha,
            forgetting,
            refresh_every,
            prediction,
            gained,
        )
        experts[:, g] = prediction
        gain[:, g] = gained


@njit(cache=True, nogil=True)
def peek_linear(
    X: NDArray,
    member: NDArray,
    asked: NDArray,
    state: LinearState,
    link: int,
    forward: int,
    experts: NDArray,
) -> None:  # pragma: no cover - compiled
    """Predict rows with the learners as they stand; arithmetic as in the kernels above."""
    n, d = X.shape
    v = np.empty(d)
    columns = np.empty(d, np.int64)
    for t in range(n):
        used = nonzero(X[t], columns)
        for g in range(member.shape[1]):
            if member[t, g] == 0.0 and not asked[t]:
                continue
            margin = dot(X[t], state.theta[g], columns, used)
            if link == LOGIT:
                experts[t, g] = sigmoid(margin)
            elif forward == FORWARD:
                c = member[t, g] if member[t, g] > 0.0 else 1.0
                h = _spread(X[t], state.inverse[g], columns, used, v)
                experts[t, g] = margin / (1.0 + c * max(h, 0.0))
            else:
                experts[t, g] = margin
