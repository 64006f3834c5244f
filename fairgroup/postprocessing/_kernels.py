"""Compiled passes over fitted trees: expectation, simulation, occupancy of leaves, counts.

At node v a person takes the branch that the rule does not prescribe with probability

    p = max(0, top_v - |x - threshold_v| * slope_v),

which covers every heuristic. Where the split is on a protected input, the rule sends the person to
the less favourable child and the person is in an unprivileged group, p becomes
``min(boost * p, cap)``, or ``boost`` itself when ``forced``. With ``noise`` False every other
decision keeps p = 0. A missing value follows the tree's own rule, p = 0.

Nodes of a tree lie in preorder, left child first, so a sweep from the last node to the first meets
the right subtree, then the left one, then the node: a stack of at most depth + 1 blocks of rows
holds all results that are still needed.

References
----------
Cohen-Inger, Rokach, Shapira, Cohen, "FairTTTS", arXiv 2501.08155, 2025. The expectation replaces
the published simulation; it is what that converges to.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "LEFT",
    "NONE",
    "RIGHT",
    "Nodes",
    "Settings",
    "acting_counts",
    "expect_everywhere",
    "expect_protected",
    "leaf_reach",
    "node_moments",
    "preorder",
    "simulate",
    "subtree_means",
]

NONE, LEFT, RIGHT = 0, 1, 2  # which child of a node is the less favourable one
_BLOCK = 256  # rows whose stack of buffers stays in the first-level cache


class Nodes(NamedTuple):
    """Flat arrays of all nodes of all trees; a leaf has ``left`` = -1."""

    left: NDArray  # int32
    right: NDArray  # int32
    feature: NDArray  # int32
    cut: NDArray  # left where x <= cut
    threshold: NDArray  # distances are taken to this number
    missing_left: NDArray  # bool
    category: NDArray  # int32, row of `bitsets`, -1 for a numeric split
    bitsets: NDArray  # uint32, categories that go left
    top: NDArray  # probability at distance 0
    slope: NDArray  # its decrease with the distance
    side: NDArray  # int8: NONE, LEFT or RIGHT
    attribute: NDArray  # int32, protected attribute of the split, -1 for none
    value: NDArray  # (n_nodes, n_channels)


class Settings(NamedTuple):
    """How probabilities are amplified."""

    cap: float
    forced: bool
    noise: bool


@njit(cache=True, nogil=True)
def _in_left_set(bitsets: NDArray, row: int, x: float, missing_left: bool) -> bool:
    if x < 0:
        return missing_left
    level = np.int64(x)
    if (level >> 5) >= bitsets.shape[1]:
        return False
    return (bitsets[row, level >> 5] >> np.uint32(level & 31)) & np.uint32(1) == 1


@njit(cache=True, nogil=True, inline="always")
def _goes_left(x: float, cut: float, missing_left: bool, row: int, bitsets: NDArray) -> bool:
    """The tree's own rule at one node."""
    if np.isnan(x):
        return missing_left
    if row < 0:
        return x <= cut
    return _in_left_set(bitsets, row, x, missing_left)


@njit(cache=True, nogil=True, inline="always")
def _flip(
    x: float,
    threshold: float,
    top: float,
    slope: float,
    amplify: bool,
    boost: float,
    cap: float,
    forced: bool,
    noise: bool,
) -> float:
    """Probability of taking the other branch at one node."""
    if np.isnan(x) or not (amplify or noise):
        return 0.0
    p = max(0.0, top - abs(x - threshold) * slope)
    if amplify:
        p = boost if forced else min(boost * p, cap)
    return p


@njit(cache=True, nogil=True)
def _at_node(
    nodes: Nodes, v: int, x: float, boost: NDArray, settings: Settings
) -> tuple[bool, bool, float]:
    """Rule, whether the decision is amplified, and probability of the other branch; not fast."""
    goes_left = _goes_left(
        x, nodes.cut[v], nodes.missing_left[v], nodes.category[v], nodes.bitsets
    )
    a = nodes.attribute[v]
    b = boost[a] if a >= 0 else -1.0
    amplify = b >= 0 and goes_left == (nodes.side[v] == LEFT)
    p = _flip(
        x,
        nodes.threshold[v],
        nodes.top[v],
        nodes.slope[v],
        amplify,
        b,
        settings.cap,
        settings.forced,
        settings.noise,
    )
    return goes_left, amplify, p


@njit(cache=True, nogil=True)
def _left_share_plain(
    x: NDArray, q: NDArray, m: int, cut: NDArray, threshold: NDArray, top: NDArray, slope: NDArray
) -> None:
    """Probability of going left at an unprotected numeric split, without missing values."""
    one = top.dtype.type(1)
    zero = top.dtype.type(0)
    c, t, p0, s = cut[0], threshold[0], top[0], slope[0]
    for j in range(m):
        p = max(p0 - abs(x[j] - t) * s, zero)
        q[j] = one - p if x[j] <= c else p


@njit(cache=True, nogil=True)
def _left_share(
    nodes: Nodes,
    v: int,
    x: NDArray,
    q: NDArray,
    m: int,
    boost: NDArray,
    start: int,
    settings: Settings,
) -> None:
    """Probability of going left at any split."""
    # Scalars before the loop: every access to an array of the tuple counts a reference.
    cut, threshold, missing = nodes.cut[v], nodes.threshold[v], nodes.missing_left[v]
    row, bitsets, a = nodes.category[v], nodes.bitsets, nodes.attribute[v]
    top, slope, left_is_worse = nodes.top[v], nodes.slope[v], nodes.side[v] == LEFT
    cap, forced, noise = settings.cap, settings.forced, settings.noise
    for j in range(m):
        goes_left = _goes_left(x[j], cut, missing, row, bitsets)
        b = boost[start + j, a] if a >= 0 else -1.0
        amplify = b >= 0 and goes_left == left_is_worse
        p = _flip(x[j], threshold, top, slope, amplify, b, cap, forced, noise)
        q[j] = 1 - p if goes_left else p


# One array is changed in place in each of these: two names for one block of memory would keep
# the loops from being vectorised.
@njit(cache=True, nogil=True)
def _mix(right: NDArray, q: NDArray, m: int, left: NDArray) -> None:
    for j in range(m):
        right[j] += q[j] * (left[j] - right[j])


@njit(cache=True, nogil=True)
def _mix_left_leaf(right: NDArray, q: NDArray, m: int, left: float) -> None:
    for j in range(m):
        right[j] += q[j] * (left - right[j])


@njit(cache=True, nogil=True)
def _mix_right_leaf(left: NDArray, q: NDArray, m: int, right: float) -> None:
    for j in range(m):
        left[j] = right + q[j] * (left[j] - right)


@njit(cache=True, nogil=True)
def _mix_leaves(target: NDArray, q: NDArray, m: int, left: float, right: float) -> None:
    for j in range(m):
        target[j] = right + q[j] * (left - right)


@njit(cache=True, nogil=True)
def _combine(nodes: Nodes, v: int, stack: NDArray, size: int, q: NDArray, m: int) -> int:
    """Replace the results of the children by the one of the node; return the new stack size."""
    a, b = nodes.left[v], nodes.right[v]
    left_leaf, right_leaf = nodes.left[a] < 0, nodes.left[b] < 0
    if left_leaf and right_leaf:
        size += 1
    elif not left_leaf and not right_leaf:
        size -= 1
    for k in range(stack.shape[1]):
        target = stack[size - 1, k]
        if left_leaf and right_leaf:
            _mix_leaves(target, q, m, nodes.value[a, k], nodes.value[b, k])
        elif left_leaf:
            _mix_left_leaf(target, q, m, nodes.value[a, k])
        elif right_leaf:
            _mix_right_leaf(target, q, m, nodes.value[b, k])
        else:  # the left subtree was finished last and lies on top
            _mix(target, q, m, stack[size, k])
    return size


@njit(cache=True, nogil=True)
def _transpose_block(X: NDArray, used: NDArray, start: int, m: int, block: NDArray) -> bool:
    """Copy the used columns of a block of rows; return whether one is missing."""
    missing = False
    for f in range(len(used)):
        if used[f]:
            for j in range(m):
                block[f, j] = X[start + j, f]
                missing |= np.isnan(block[f, j])
    return missing


@njit(cache=True, nogil=True)
def expect_everywhere(
    X: NDArray,
    nodes: Nodes,
    bounds: NDArray,
    output: NDArray,
    used: NDArray,
    depth: int,
    boost: NDArray,
    settings: Settings,
    out: NDArray,
) -> None:
    """Add the expected leaf values of every tree to ``out``, with noise at every node.

    Cost: one pass over all nodes for every row.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    nodes : Nodes
    bounds : ndarray of int64, shape (n_trees + 1,)
        Where each tree begins.
    output : ndarray of int64, shape (n_trees,)
        First column of ``out`` to which a tree adds.
    used : ndarray of bool, shape (d,)
        Columns that some tree splits on.
    depth : int
        Of the deepest tree.
    boost : ndarray of shape (n, n_attributes)
        Amplification, negative for people who get none.
    settings : Settings
    out : ndarray of shape (n, n_outputs)
    """
    n = X.shape[0]
    channels = nodes.value.shape[1]
    block = np.empty((X.shape[1], _BLOCK), X.dtype)
    stack = np.empty((depth + 2, channels, _BLOCK), nodes.value.dtype)
    q = np.empty(_BLOCK, nodes.value.dtype)
    for start in range(0, n, _BLOCK):
        m = min(_BLOCK, n - start)
        missing = _transpose_block(X, used, start, m, block)
        for t in range(len(bounds) - 1):
            size = 0
            for v in range(bounds[t + 1] - 1, bounds[t] - 1, -1):
                if nodes.left[v] < 0:
                    continue
                x = block[nodes.feature[v]]
                if nodes.attribute[v] < 0 and nodes.category[v] < 0 and not missing:
                    _left_share_plain(
                        x,
                        q,
                        m,
                        nodes.cut[v : v + 1],
                        nodes.threshold[v : v + 1],
                        nodes.top[v : v + 1],
                        nodes.slope[v : v + 1],
                    )
                else:
                    _left_share(nodes, v, x, q, m, boost, start, settings)
                size = _combine(nodes, v, stack, size, q, m)
            for k in range(channels):
                column = output[t] + k
                for j in range(m):
                    out[start + j, column] += stack[0, k, j] if size else nodes.value[bounds[t], k]


@njit(cache=True, nogil=True)
def expect_protected(
    X: NDArray,
    nodes: Nodes,
    bounds: NDArray,
    output: NDArray,
    depth: int,
    boost: NDArray,
    settings: Settings,
    out: NDArray,
) -> None:
    """Add the expected leaf values where only amplified decisions are uncertain.

    A person follows the rule until a decision is amplified; there the walk splits in two. Cost:
    about two walks per row and tree. Parameters as for :func:`expect_everywhere`.
    """
    n = X.shape[0]
    left, right, feature, cut = nodes.left, nodes.right, nodes.feature, nodes.cut
    missing, category, bitsets = nodes.missing_left, nodes.category, nodes.bitsets
    attribute, side, value = nodes.attribute, nodes.side, nodes.value
    threshold, top, slope = nodes.threshold, nodes.top, nodes.slope
    cap, forced = settings.cap, settings.forced
    waiting = np.empty(depth + 2, np.int32)
    share = np.empty(depth + 2, np.float64)
    for start in range(0, n, 1024):
        stop = min(start + 1024, n)
        for t in range(len(bounds) - 1):
            for i in range(start, stop):
                waiting[0], share[0], size = bounds[t], 1.0, 1
                while size:
                    size -= 1
                    v, w = waiting[size], share[size]
                    while left[v] >= 0:
                        x = X[i, feature[v]]
                        goes_left = _goes_left(x, cut[v], missing[v], category[v], bitsets)
                        a = attribute[v]
                        if a >= 0 and boost[i, a] >= 0 and goes_left == (side[v] == LEFT):
                            b = boost[i, a]
                            p = _flip(
                                x, threshold[v], top[v], slope[v], True, b, cap, forced, False
                            )
                            if p >= 1:
                                goes_left = not goes_left
                            elif p > 0:
                                waiting[size] = right[v] if goes_left else left[v]
                                share[size] = w * p
                                size += 1
                                w -= w * p
                        v = left[v] if goes_left else right[v]
                    for k in range(value.shape[1]):
                        out[i, output[t] + k] += w * value[v, k]


@njit(cache=True, nogil=True)
def _next(state: np.uint64) -> tuple[np.uint64, float]:
    """One step of splitmix64: the new state and a uniform number in [0, 1)."""
    state += np.uint64(0x9E3779B97F4A7C15)
    z = state
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    z = z ^ (z >> np.uint64(31))
    return state, np.float64(z >> np.uint64(11)) * (1.0 / 9007199254740992.0)


@njit(cache=True, nogil=True)
def simulate(
    X: NDArray,
    nodes: Nodes,
    bounds: NDArray,
    output: NDArray,
    seeds: NDArray,
    n_walks: int,
    boost: NDArray,
    settings: Settings,
    out: NDArray,
) -> None:
    """Add the mean leaf value of ``n_walks`` random walks through every tree (the published way).

    ``seeds`` (n,) uint64 holds one stream of random numbers per row; the other parameters are
    those of :func:`expect_everywhere`.
    """
    left, right, feature, cut = nodes.left, nodes.right, nodes.feature, nodes.cut
    missing, category, bitsets = nodes.missing_left, nodes.category, nodes.bitsets
    attribute, side, value = nodes.attribute, nodes.side, nodes.value
    threshold, top, slope = nodes.threshold, nodes.top, nodes.slope
    cap, forced, noise = settings.cap, settings.forced, settings.noise
    for i in range(X.shape[0]):
        state = seeds[i]
        for t in range(len(bounds) - 1):
            for _ in range(n_walks):
                v = bounds[t]
                while left[v] >= 0:
                    x = X[i, feature[v]]
                    goes_left = _goes_left(x, cut[v], missing[v], category[v], bitsets)
                    a = attribute[v]
                    b = boost[i, a] if a >= 0 else -1.0
                    amplify = b >= 0 and goes_left == (side[v] == LEFT)
                    p = _flip(x, threshold[v], top[v], slope[v], amplify, b, cap, forced, noise)
                    state, u = _next(state)
                    v = left[v] if goes_left == (u >= p) else right[v]
                for k in range(value.shape[1]):
                    out[i, output[t] + k] += value[v, k] / n_walks


@njit(cache=True, nogil=True)
def leaf_reach(
    X: NDArray,
    nodes: Nodes,
    begin: int,
    end: int,
    boost: NDArray,
    settings: Settings,
    out: NDArray,
) -> None:
    """Probability of arriving at every node of one tree, top down, into ``out`` (n, n_nodes)."""
    for i in range(X.shape[0]):
        out[i, 0] = 1.0
        for v in range(begin, end):
            if nodes.left[v] >= 0:
                x = X[i, nodes.feature[v]]
                goes_left, _, p = _at_node(nodes, v, x, boost[i], settings)
                arrived = out[i, v - begin]
                out[i, nodes.left[v] - begin] = arrived * (1 - p if goes_left else p)
                out[i, nodes.right[v] - begin] = arrived * (p if goes_left else 1 - p)


@njit(cache=True, nogil=True)
def acting_counts(
    X: NDArray,
    nodes: Nodes,
    bounds: NDArray,
    boost: NDArray,
    settings: Settings,
    codes: NDArray,
    arrive: NDArray,
    act: NDArray,
    flips: NDArray,
) -> None:
    """Count people per node and group on the rule's path, without randomness.

    ``arrive`` and ``act`` (n_nodes, n_groups) count those who reach a node and those whose
    decision there is amplified with p > 0; ``flips`` (n_nodes, n_groups) sums their p. Rows with
    code -1 count in the last column.
    """
    for t in range(len(bounds) - 1):
        for i in range(X.shape[0]):
            v, g = bounds[t], codes[i]
            while True:
                arrive[v, g] += 1
                if nodes.left[v] < 0:
                    break
                x = X[i, nodes.feature[v]]
                goes_left, amplify, p = _at_node(nodes, v, x, boost[i], settings)
                if amplify:
                    act[v, g] += p > 0
                    flips[v, g] += p
                v = nodes.left[v] if goes_left else nodes.right[v]


@njit(cache=True, nogil=True)
def node_moments(
    X: NDArray, nodes: Nodes, bounds: NDArray, weights: NDArray, moments: NDArray
) -> None:
    """Sum weight, weight * z and weight * z**2 at every split, z = x - threshold, into moments.

    ``moments`` has shape (n_nodes, 3); missing values are left out.
    """
    for t in range(len(bounds) - 1):
        for i in range(X.shape[0]):
            v = bounds[t]
            while nodes.left[v] >= 0:
                x = X[i, nodes.feature[v]]
                if not np.isnan(x):
                    z = x - nodes.threshold[v]
                    moments[v, 0] += weights[i]
                    moments[v, 1] += weights[i] * z
                    moments[v, 2] += weights[i] * z * z
                rule = _goes_left(
                    x, nodes.cut[v], nodes.missing_left[v], nodes.category[v], nodes.bitsets
                )
                v = nodes.left[v] if rule else nodes.right[v]


@njit(cache=True, nogil=True)
def preorder(left: NDArray, right: NDArray) -> tuple[NDArray, NDArray]:
    """Return the nodes of one tree in preorder, left child first, and their depths."""
    order = np.empty(len(left), np.int64)
    depth = np.zeros(len(left), np.int64)
    waiting = np.empty(len(left), np.int64)
    waiting[0], size, found = 0, 1, 0
    while size:
        size -= 1
        v = waiting[size]
        order[found] = v
        found += 1
        if left[v] >= 0:
            depth[left[v]] = depth[right[v]] = depth[v] + 1
            waiting[size], waiting[size + 1] = right[v], left[v]
            size += 2
    return order[:found], depth[order[:found]]


@njit(cache=True, nogil=True)
def subtree_means(left: NDArray, right: NDArray, cover: NDArray, value: NDArray) -> None:
    """Fill inner values with the cover-weighted mean of the leaves below, in place (preorder)."""
    total = cover.copy()
    for v in range(len(left) - 1, -1, -1):
        if left[v] >= 0:
            a, b = left[v], right[v]
            total[v] = total[a] + total[b]
            for k in range(value.shape[1]):
                if total[v] > 0:
                    value[v, k] = (total[a] * value[a, k] + total[b] * value[b, k]) / total[v]
                else:
                    value[v, k] = (value[a, k] + value[b, k]) / 2
