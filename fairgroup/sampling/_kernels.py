"""Compiled loop: max-plus convolution of a value table with a concave sequence."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

__all__ = ["convolve_concave"]


@numba.njit(cache=True)
def convolve_concave(values: Floats, gains: Floats, best: Ints) -> Floats:
    """``out[j] = max over k <= min(j, K) of values[j - k] + gains[k]``.

    ``values`` is non-decreasing and ``gains`` concave, so that the best start i = j - k rises
    with j: the middle row is solved first and bounds its neighbours (monotone minima), in
    O(J log J). ``best`` receives k.
    """
    size, last = len(values), len(gains) - 1
    out = np.empty(size)
    start = np.zeros(size, dtype=np.int64)
    step = 1
    while step < size:
        step *= 2
    while step >= 1:
        for j in range(step - 1, size, 2 * step):
            low = 0 if j - step < 0 else start[j - step]
            high = start[j + step] if j + step < size else size - 1
            low, high = max(low, j - last), min(high, j)
            top, where = -np.inf, low
            for i in range(low, high + 1):
                value = values[i] + gains[j - i]
                if value > top:
                    top, where = value, i
            out[j], start[j], best[j] = top, where, j - where
        step //= 2
    return out
