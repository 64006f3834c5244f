"""Compiled core of the static list re-rankers of Geyik, Ambler and Kenthapadi (KDD 2019)."""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


@njit(cache=True)
def det_greedy(scores: Floats, queue: Ints, first: Ints, targets: Floats, k: int) -> Ints:
    """DetGreedy; ``queue[first[g]:first[g + 1]]`` lists the candidates of group g, best first."""
    n_groups = targets.size
    head, order = first[:-1].copy(), np.empty(k, np.int64)
    for position in range(1, k + 1):
        best, rank = -1, 3
        for g in range(n_groups):
            if head[g] == first[g + 1]:
                continue
            count, due = head[g] - first[g], position * targets[g]
            # 0: below its minimum, 1: below its maximum, 2: only if nobody else is left
            level = (
                0 if count < np.floor(due + 1e-9) else (1 if count < np.ceil(due - 1e-9) else 2)
            )
            if level < rank or (
                level == rank and scores[queue[head[g]]] > scores[queue[head[best]]]
            ):
                best, rank = g, level
        order[position - 1] = queue[head[best]]
        head[best] += 1
    return order


@njit(cache=True)
def _place(order: Ints, latest: Ints, scores: Floats, at: int) -> None:
    """Move the newcomer up past worse ones that may still stand one place lower."""
    while at > 0 and latest[at - 1] > at and scores[order[at - 1]] < scores[order[at]]:
        order[at - 1], order[at] = order[at], order[at - 1]
        latest[at - 1], latest[at] = latest[at], latest[at - 1]
        at -= 1


@njit(cache=True)
def det_const_sort(scores: Floats, queue: Ints, first: Ints, targets: Floats, k: int) -> Ints:
    """DetConstSort: enter when the minimum rises, then move up as far as the minima allow."""
    n_groups = targets.size
    head, order, latest = first[:-1].copy(), np.empty(k, np.int64), np.empty(k, np.int64)
    filled, position, left = 0, 0, 0
    for g in range(n_groups):
        left += first[g + 1] - first[g] if targets[g] > 0 else 0
    due = np.empty(n_groups, np.int64)
    while filled < min(k, left):
        position += 1
        n_due = 0
        for g in range(n_groups):
            minimum = int(np.floor(position * targets[g] + 1e-9))
            if head[g] < first[g + 1] and head[g] - first[g] < minimum:
                at = n_due  # insertion sort of the groups that are due, best candidate first
                while at > 0 and scores[queue[head[due[at - 1]]]] < scores[queue[head[g]]]:
                    due[at] = due[at - 1]
                    at -= 1
                due[at] = g
                n_due += 1
        for i in range(min(n_due, k - filled)):
            g = due[i]
            order[filled], latest[filled] = queue[head[g]], position
            head[g] += 1
            _place(order, latest, scores, filled)
            filled += 1
    while filled < k:  # groups without a share come last, by score
        best = -1
        for g in range(n_groups):
            if head[g] < first[g + 1] and (
                best < 0 or scores[queue[head[g]]] > scores[queue[head[best]]]
            ):
                best = g
        order[filled] = queue[head[best]]
        head[best] += 1
        filled += 1
    return order
