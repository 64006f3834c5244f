"""Ridge and forward forecasts of a whole block of rounds by matrix products (section 4.3, option
B).

Within a block the one-step-ahead residuals are those of one triangular solve: with A = L L' at
the start of the block, V = L^-1 X', K = I + V'V = C C' and z = C^-1 (y - X theta), round t has
D_t = C_tt^2 and e_t = z_t C_tt. The Gram matrix is only ever added to, never down-dated, which
makes this the numerically safe form; for wide, dense features it is also the faster one, since
the work is in matrix products.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular

__all__ = ["BlockResult", "blocked_ridge"]


class BlockResult(NamedTuple):
    """One group's rounds: ``ridge`` predictions, D = 1 + c h, and the increments c e^2 / D."""

    ridge: NDArray[np.float64]
    growth: NDArray[np.float64]
    gain: NDArray[np.float64]


def blocked_ridge(
    X: NDArray[np.float64],
    y: NDArray[np.float64],
    weight: NDArray[np.float64],
    gram: NDArray[np.float64],
    moment: NDArray[np.float64],
    *,
    block_size: int = 64,
) -> BlockResult:
    """Predict every row from the rows before it, exactly as the rank-one recursion does.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    y : ndarray of shape (n,)
    weight : ndarray of shape (n,)
        Positive memberships.
    gram : ndarray of shape (d, d)
        Lower half of A = alpha I + sum c x x', updated in place (the upper half is left alone).
    moment : ndarray of shape (d,)
        b = sum c y x, updated in place.
    block_size : int, default=64
        Rows per triangular solve.

    Returns
    -------
    result : BlockResult
        Arrays of shape (n,).
    """
    root = np.sqrt(weight)
    scaled, label = X * root[:, None], y * root
    ridge, growth, gain = np.empty(len(y)), np.empty(len(y)), np.empty(len(y))
    for start in range(0, len(y), block_size):
        rows = slice(start, start + block_size)
        block = scaled[rows]
        factor = cholesky(gram, lower=True, check_finite=False)
        theta = cho_solve((factor, True), moment, check_finite=False)
        half = solve_triangular(factor, block.T, lower=True, check_finite=False)
        inner = half.T @ half
        inner.flat[:: len(block) + 1] += 1.0
        outer = cholesky(inner, lower=True, check_finite=False)
        residual = label[rows] - block @ theta
        z = solve_triangular(outer, residual, lower=True, check_finite=False)
        diagonal = np.diagonal(outer)
        ridge[rows] = y[rows] - z * diagonal / root[rows]
        growth[rows] = diagonal**2
        gain[rows] = z**2
        gram += np.tril(block.T @ block)
        moment += block.T @ label[rows]
    return BlockResult(ridge, growth, gain)
