"""Compiled gradient learners, O(d) per row: projected steps, and steps with a size per column."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fairgroup.online._kernels import (
    GRADIENT,
    LOGIT,
    ROWS,
    LinearState,
    dot,
    implicit_margin,
    nonzero,
    sigmoid,
)

__all__ = ["learn_first_order"]


@njit(cache=True, nogil=True)
def _diagonal_step(
    x: NDArray,
    y: float,
    margin: float,
    c: float,
    rate: float,
    alpha: float,
    columns: NDArray,
    used: int,
    moment: NDArray,
    theta: NDArray,
    link: int,
) -> None:  # pragma: no cover - compiled
    h = 0.0
    for k in range(used):
        j = columns[k]
        moment[j] += c * x[j] * x[j]
        h += rate * x[j] * x[j] / (alpha + moment[j])
    if link == LOGIT:
        push = y - sigmoid(implicit_margin(margin, h, y))
    else:
        push = (y - margin) / (1.0 + h)
    for k in range(used):
        j = columns[k]
        theta[j] += push * rate * x[j] / (alpha + moment[j])


@njit(cache=True, nogil=True)
def first_order(
    X: NDArray,
    y: NDArray,
    weight: NDArray,
    asked: NDArray,
    theta: NDArray,
    moment: NDArray,
    tally: NDArray,
    link: int,
    kind: int,
    alpha: float,
    learning_rate: float,
    radius: float,
    forgetting: float,
    prediction: NDArray,
) -> None:  # pragma: no cover - compiled
    """Run one group's gradient learner through rows in time order, O(d) per row.

    GRADIENT: theta <- projection onto the ball of ``radius`` of theta - eta n^(-1/2) gradient,
    where n counts the member rows of the group including this one. DIAGONAL: the implicit step
    theta_j += P_j x_j (y - prediction after the step) with P_j = eta sqrt(n) / (alpha + sum c
    x_j^2), so that the scale of a column does not matter. ``moment`` holds the sums of c x_j^2;
    ``forgetting`` fades n and these sums.
    """
    n, d = X.shape
    columns = np.empty(d, np.int64)
    for t in range(n):
        c = weight[t]
        if c == 0.0 and not asked[t]:
            continue
        x = X[t]
        used = nonzero(x, columns)
        margin = dot(x, theta, columns, used)
        prediction[t] = sigmoid(margin) if link == LOGIT else margin
        if c == 0.0:
            continue
        tally[ROWS] = forgetting * tally[ROWS] + 1.0
        if kind == GRADIENT:
            slope = prediction[t] - y[t] if link == LOGIT else 2.0 * (margin - y[t])
            step = -learning_rate * c * slope / np.sqrt(tally[ROWS])
            for k in range(used):
                theta[columns[k]] += step * x[columns[k]]
        else:
            rate = c * learning_rate * np.sqrt(tally[ROWS])
            moment *= forgetting
            _diagonal_step(x, y[t], margin, c, rate, alpha, columns, used, moment, theta, link)
        norm = np.sqrt(np.sum(theta * theta))
        if norm > radius:
            theta *= radius / norm


@njit(cache=True, nogil=True)
def learn_first_order(
    X: NDArray,
    y: NDArray,
    member: NDArray,
    asked: NDArray,
    state: LinearState,
    link: int,
    kind: int,
    alpha: float,
    learning_rate: float,
    radius: float,
    forgetting: float,
    experts: NDArray,
) -> None:  # pragma: no cover - compiled
    """Run the gradient learners of all groups; writes experts (n, G)."""
    n, n_groups = member.shape
    weight, prediction = np.empty(n), np.empty(n)
    for g in range(n_groups):
        weight[:] = member[:, g]
        prediction[:] = 0.0
        first_order(
            X,
            y,
            weight,
            asked,
            state.theta[g],
            state.moment[g],
            state.tally[g],
            link,
            kind,
            alpha,
            learning_rate,
            radius,
            forgetting,
            prediction,
        )
        experts[:, g] = prediction
