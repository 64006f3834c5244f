"""Compiled forward and backward pass of a soft oblique forest, one row at a time.

Gradients have a closed form without any division by a node's output, so that saturated nodes are
no special case. Node j of a tree has the children 2j+1 (left, probability n) and 2j+2; leaves come
last. Arrays over the nodes of all trees have the length J = n_trees * n_nodes.

References
----------
Basu Roy Chowdhury, Monath, Beirami, Kidambi, Dubey, Ahmed, Chaturvedi, "Enhancing Group Fairness
in Online Settings Using Oblique Decision Forests", ICLR 2024, arXiv 2310.11401, section 3.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "backward",
    "column_of",
    "compiled",
    "forward",
    "inlined",
    "leaf_gradient",
    "leaf_values",
    "predict_rows",
]

# Division as in NumPy: a check of every divisor would keep loops from being vectorised.
compiled = njit(cache=True, nogil=True, error_model="numpy")
# The state has many arrays: to hand them from function to function costs a fifth of a row's time.
# Such functions become part of their caller, which also is a third less to compile.
inlined = njit(error_model="numpy", inline="always")


@compiled
def sigmoid(margin: float) -> float:  # pragma: no cover - compiled
    """Logistic function that does not overflow."""
    shrunk = np.exp(-abs(margin))
    larger = 1.0 / (1.0 + shrunk)
    return larger if margin >= 0 else shrunk * larger


@compiled
def _softmax(logits: NDArray, shares: NDArray) -> None:  # pragma: no cover - compiled
    top, total = logits[0], 0.0
    for k in range(1, len(logits)):
        top = max(top, logits[k])
    for k in range(len(logits)):
        shares[k] = np.exp(logits[k] - top)
        total += shares[k]
    for k in range(len(logits)):
        shares[k] /= total


@compiled
def leaf_values(leaves: NDArray, values: NDArray) -> None:  # pragma: no cover - compiled
    """Turn leaf parameters (T, L, K) into what the leaves hold: class probabilities, or the number
    itself for K = 1.
    """
    n_trees, n_leaves, n_classes = leaves.shape
    for t in range(n_trees):
        for leaf in range(n_leaves):
            if n_classes == 1:
                values[t, leaf, 0] = leaves[t, leaf, 0]
            elif n_classes == 2:
                margin = leaves[t, leaf, 1] - leaves[t, leaf, 0]
                values[t, leaf, 1] = sigmoid(margin)
                values[t, leaf, 0] = 1.0 - values[t, leaf, 1]
            else:
                _softmax(leaves[t, leaf], values[t, leaf])


@compiled
def column_of(output: int, n_classes: int) -> int:  # pragma: no cover - compiled
    """Class of an output; of two classes only the second has an output of its own."""
    return 1 if n_classes == 2 else output


@compiled
def _mix_leaves(values: NDArray, reach: NDArray, out: NDArray) -> None:  # pragma: no cover
    """Average the leaves by the probability of getting there, and the trees."""
    n_trees, n_leaves, n_classes = values.shape
    for c in range(len(out)):
        column, total = column_of(c, n_classes), 0.0
        for t in range(n_trees):
            for leaf in range(n_leaves):
                total += reach[t, n_leaves - 1 + leaf] * values[t, leaf, column]
        out[c] = total / n_trees


@compiled
def forward(
    x: NDArray, theta: NDArray, values: NDArray, node: NDArray, reach: NDArray, out: NDArray
) -> None:  # pragma: no cover - compiled
    """Run a row (with a constant 1 at its end) through the forest.

    Writes the node outputs ``node`` (J,), the probabilities ``reach`` (T, 2L - 1) of getting to
    each node and leaf, and the outputs ``out`` (C,).
    """
    n_trees, n_leaves, _ = values.shape
    n_nodes = n_leaves - 1
    size = n_trees * n_nodes
    for j in range(size):
        node[j] = 0.0
    for k in range(len(x)):
        weights = theta[k * size : (k + 1) * size]
        for j in range(size):
            node[j] += weights[j] * x[k]
    for j in range(size):
        node[j] = sigmoid(node[j])
    for t in range(n_trees):
        reach[t, 0] = 1.0
        for j in range(n_nodes):
            left = node[t * n_nodes + j]
            reach[t, 2 * j + 1] = reach[t, j] * left
            reach[t, 2 * j + 2] = reach[t, j] * (1.0 - left)
    _mix_leaves(values, reach, out)


@compiled
def backward(
    output: int, values: NDArray, node: NDArray, reach: NDArray, below: NDArray, slope: NDArray
) -> None:  # pragma: no cover - compiled
    """Write the derivative of one output by each node's margin into ``slope`` (J,).

    The derivative by the node's weights is that times the row. ``below`` (2L - 1,) is room for the
    mean leaf value below each node.
    """
    n_trees, n_leaves, n_classes = values.shape
    n_nodes = n_leaves - 1
    column = column_of(output, n_classes)
    for t in range(n_trees):
        for leaf in range(n_leaves):
            below[n_nodes + leaf] = values[t, leaf, column] / n_trees
        for j in range(n_nodes - 1, -1, -1):
            n = node[t * n_nodes + j]
            left, right = below[2 * j + 1], below[2 * j + 2]
            below[j] = n * left + (1.0 - n) * right
            slope[t * n_nodes + j] = reach[t, j] * (left - right) * (n * (1.0 - n))


@compiled
def leaf_gradient(
    output: int, values: NDArray, reach: NDArray, grad: NDArray
) -> None:  # pragma: no cover - compiled
    """Write the derivative of one output by the leaf parameters into ``grad`` (T * L * K,)."""
    n_trees, n_leaves, n_classes = values.shape
    column = column_of(output, n_classes)
    i = 0
    for t in range(n_trees):
        for leaf in range(n_leaves):
            p = reach[t, n_leaves - 1 + leaf] / n_trees
            if n_classes == 1:
                grad[i] = p
            elif n_classes == 2:
                grad[i + 1] = p * values[t, leaf, 1] * values[t, leaf, 0]
                grad[i] = -grad[i + 1]
            else:
                for k in range(n_classes):
                    indicator = 1.0 if k == column else 0.0
                    grad[i + k] = p * values[t, leaf, k] * (indicator - values[t, leaf, column])
            i += n_classes


@compiled
def predict_rows(
    X: NDArray, theta: NDArray, values: NDArray, nodes: NDArray, reached: NDArray, outputs: NDArray
) -> None:  # pragma: no cover - compiled
    """Run rows (n, d) through a forest that stays as it is.

    Fills ``nodes`` (n, J), ``reached`` (n, T, 2L - 1) and ``outputs`` (n, C). The first two may
    have a single row, which is then used as room only.
    """
    x = np.ones(X.shape[1] + 1)
    for i in range(len(X)):
        for k in range(X.shape[1]):
            x[k] = X[i, k]
        at = i if len(nodes) == len(X) else 0
        forward(x, theta, values, nodes[at], reached[at], outputs[i])
