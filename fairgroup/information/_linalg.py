"""Two small helpers that both interior point methods share."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["solve_or_nan", "to_boundary"]

Array = NDArray[np.float64]


def solve_or_nan(matrix: Array, rhs: Array) -> Array:
    """Solve a batch of linear systems; NaN for the singular ones, whose problems then stop where
    they are.
    """
    try:
        return np.linalg.solve(matrix, rhs).astype(np.float64, copy=False)
    except np.linalg.LinAlgError:
        if len(matrix) == 1:
            return np.full_like(rhs, np.nan)
        halves = (slice(None, len(matrix) // 2), slice(len(matrix) // 2, None))
        return np.concatenate([solve_or_nan(matrix[half], rhs[half]) for half in halves])


def to_boundary(value: Array, step: Array) -> Array:
    """Largest multiple of the step that keeps a positive value non-negative, per problem."""
    limit = np.where(step < 0, -value / np.where(step < 0, step, -1.0), np.inf)
    return limit.reshape(len(value), -1).min(1)
