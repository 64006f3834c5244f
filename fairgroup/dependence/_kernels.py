"""Compiled loops over pairs of rows: signed sums over cells, concordance, distances in tiles.

All take plain float64 arrays; weights w are ones for U-statistics and sum to one for V-statistics.
Rows that were sorted by the prediction need no comparison of predictions except within ties.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "distance_row_sums",
    "joint_row_sums",
    "signed_cell_sums",
    "signed_concordance",
    "signed_distance_sums",
    "signed_joint_sums",
]

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

_TILE = 512  # distances of one row that are held at a time: they stay in the first-level cache
_REORDER = {"reassoc", "contract", "nsz"}  # lets sums run in vector registers; NaN keeps its sense


@njit(cache=True)
def signed_cell_sums(order: Ints, y: Floats, cell: Ints, w: Floats, table: Floats) -> Floats:
    """Return sum_j s_ij w_j table[cell_i, cell_j], in O(n n_cells) time, O(n_cells^2) memory.

    Rows come in the order of y, and ``below`` holds sum_j w_j table[:, cell_j] of those that came
    before. A run of equal predictions is read before and after it is added, which gives both
    one-sided sums; the rest is the total minus these.
    """
    n, n_cells = len(order), len(table)
    below, total = np.zeros(n_cells), np.zeros(n_cells)
    for j in range(n):
        total[cell[j]] += w[j]
    total = table @ total
    out = np.empty(n)
    start = 0
    while start < n:
        value = y[order[start]]
        stop = start
        while stop < n and y[order[stop]] == value:
            i = order[stop]
            out[i] = below[cell[i]] - total[cell[i]]
            stop += 1
        for position in range(start, stop):
            j = order[position]
            row, weight = table[cell[j]], w[j]
            for m in range(n_cells):
                below[m] += weight * row[m]
        for position in range(start, stop):
            i = order[position]
            out[i] += below[cell[i]]
        start = stop
    return out


@njit(cache=True)
def _add(tree: Floats, rank: int, first: float, second: float) -> None:
    k = rank + 1
    while k < len(tree):
        tree[k, 0] += first
        tree[k, 1] += second
        k += k & -k


@njit(cache=True)
def _below(tree: Floats, rank: int) -> tuple[float, float]:
    first, second = 0.0, 0.0
    k = rank
    while k > 0:
        first += tree[k, 0]
        second += tree[k, 1]
        k -= k & -k
    return first, second


@njit(cache=True)
def _concordance(tree: Floats, at_rank: Floats, sums: Floats, rank: int) -> tuple[float, float]:
    """Return sum_j t_ij w_j over the rows in the tree, for both columns of weights."""
    first, second = _below(tree, rank)
    return (
        2 * first + at_rank[rank, 0] - sums[0],
        2 * second + at_rank[rank, 1] - sums[1],
    )


@njit(cache=True)
def _concordance_with_all(
    rank: Ints, n_ranks: int, w: Floats, wz: Floats, member: NDArray
) -> Floats:
    """Return, by rank of z, sum_j t_ij w_j over all members j, whatever their prediction."""
    at_rank = np.zeros((n_ranks, 2))
    for j in range(len(rank)):
        if member[j]:
            at_rank[rank[j], 0] += w[j]
            at_rank[rank[j], 1] += wz[j]
    out, below = np.zeros((n_ranks, 2)), np.zeros(2)
    for k in range(n_ranks):
        for column in range(2):
            out[k, column] = 2 * below[column] + at_rank[k, column]
            below[column] += at_rank[k, column]
    return out - below


@njit(cache=True)
def signed_concordance(
    order: Ints, y: Floats, rank: Ints, n_ranks: int, w: Floats, wz: Floats, member: NDArray
) -> Floats:
    """Return sum_j s_ij t_ij (w_j, w_j z_j) over the members j, t_ij = sgn(z_i - z_j).

    A Fenwick tree over the ranks of z holds the members that come before in the order of y, so
    that each sum is two-sided in O(log n); shape (n, 2). As in `signed_cell_sums`, a run of equal
    predictions is read before and after it is added.
    """
    n = len(order)
    every = _concordance_with_all(rank, n_ranks, w, wz, member)
    tree, at_rank = np.zeros((n_ranks + 1, 2)), np.zeros((n_ranks, 2))
    sums, out = np.zeros(2), np.empty((n, 2))
    start = 0
    while start < n:
        value = y[order[start]]
        stop = start
        while stop < n and y[order[stop]] == value:
            i = order[stop]
            first, second = _concordance(tree, at_rank, sums, rank[i])
            out[i, 0] = first - every[rank[i], 0]
            out[i, 1] = second - every[rank[i], 1]
            stop += 1
        for position in range(start, stop):
            j = order[position]
            if member[j]:
                _add(tree, rank[j], w[j], wz[j])
                at_rank[rank[j], 0] += w[j]
                at_rank[rank[j], 1] += wz[j]
                sums[0] += w[j]
                sums[1] += wz[j]
        for position in range(start, stop):
            i = order[position]
            first, second = _concordance(tree, at_rank, sums, rank[i])
            out[i, 0] += first
            out[i, 1] += second
        start = stop
    return out


@njit(cache=True, fastmath=_REORDER)
def _distances(columns: Floats, i: int, start: int, stop: int, out: Floats) -> None:
    """Write the distances of row i to the rows start .. stop - 1."""
    width = stop - start
    out[:width] = 0.0
    for d in range(len(columns)):
        here = columns[d, i]
        for j in range(width):
            difference = here - columns[d, start + j]
            out[j] += difference * difference
    for j in range(width):
        out[j] = np.sqrt(out[j])


@njit(cache=True, fastmath=_REORDER)
def distance_row_sums(columns: Floats, w: Floats) -> Floats:
    """Return sum_j w_j |S_i - S_j| from the columns of S, shape (n_columns, n)."""
    n = columns.shape[1]
    out, tile = np.zeros(n), np.empty(_TILE)
    for i in range(n):
        for start in range(i + 1, n, _TILE):
            stop = min(start + _TILE, n)
            _distances(columns, i, start, stop, tile)
            own = 0.0
            for j in range(stop - start):
                own += tile[j] * w[start + j]
                out[start + j] += tile[j] * w[i]
            out[i] += own
    return out


@njit(cache=True, fastmath=_REORDER)
def signed_distance_sums(columns: Floats, w: Floats, run_stop: Ints) -> Floats:
    """Return sum_j s_ij w_j |S_i - S_j| for rows that are sorted by the prediction.

    Each pair is visited once: s_ij |S_i - S_j| is antisymmetric. ``run_stop[i]`` is the first row
    with a larger prediction than row i.
    """
    n = columns.shape[1]
    out, tile = np.zeros(n), np.empty(_TILE)
    for i in range(n):
        for start in range(run_stop[i], n, _TILE):
            stop = min(start + _TILE, n)
            _distances(columns, i, start, stop, tile)
            own = 0.0
            for j in range(stop - start):
                own += tile[j] * w[start + j]
                out[start + j] += tile[j] * w[i]
            out[i] -= own
    return out


@njit(cache=True, fastmath=_REORDER)
def _products(
    columns: Floats,
    bounds: Ints,
    means: Floats,
    shifts: Floats,
    i: int,
    start: int,
    stop: int,
    distances: Floats,
    out: Floats,
) -> None:
    """Write prod_k (means_ki + means_kj - |S_ki - S_kj| - shifts_k) for the rows j of a tile."""
    width = stop - start
    out[:width] = 1.0
    for k in range(len(shifts)):
        _distances(columns[bounds[k] : bounds[k + 1]], i, start, stop, distances)
        here = means[k, i] - shifts[k]
        for j in range(width):
            out[j] *= here + means[k, start + j] - distances[j]


@njit(cache=True, fastmath=_REORDER)
def joint_row_sums(
    columns: Floats, bounds: Ints, means: Floats, shifts: Floats, w: Floats
) -> Floats:
    """Return sum_{j != i} w_j prod_k (U_kij + c), with the factors as in ``_products``."""
    n = columns.shape[1]
    out, distances, tile = np.zeros(n), np.empty(_TILE), np.empty(_TILE)
    for i in range(n):
        for start in range(i + 1, n, _TILE):
            stop = min(start + _TILE, n)
            _products(columns, bounds, means, shifts, i, start, stop, distances, tile)
            own = 0.0
            for j in range(stop - start):
                own += tile[j] * w[start + j]
                out[start + j] += tile[j] * w[i]
            out[i] += own
    return out


@njit(cache=True, fastmath=_REORDER)
def signed_joint_sums(
    columns: Floats, bounds: Ints, means: Floats, shifts: Floats, w: Floats, run_stop: Ints
) -> Floats:
    """Return sum_j s_ij w_j prod_k (U_kij + c) for rows that are sorted by the prediction."""
    n = columns.shape[1]
    out, distances, tile = np.zeros(n), np.empty(_TILE), np.empty(_TILE)
    for i in range(n):
        for start in range(run_stop[i], n, _TILE):
            stop = min(start + _TILE, n)
            _products(columns, bounds, means, shifts, i, start, stop, distances, tile)
            own = 0.0
            for j in range(stop - start):
                own += tile[j] * w[start + j]
                out[start + j] += tile[j] * w[i]
            out[i] -= own
    return out
