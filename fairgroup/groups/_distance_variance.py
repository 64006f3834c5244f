r"""Distance variance (U-statistic) of one attribute, without the n x n matrix of distances.

For distances :math:`a_{ij}` with row sums :math:`a_{i.}` and total :math:`a_{..}` (Szekely and
Rizzo, 2014)

.. math:: dVar^2_U = \frac{1}{n(n-3)}\Big(\sum_{ij} a_{ij}^2 - \frac{2}{n-2}\sum_i a_{i.}^2
                     + \frac{a_{..}^2}{(n-1)(n-2)}\Big).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def distance_variance(values: NDArray[np.float64]) -> float:
    """Return dVar²_U of numbers, in O(n log n).

    The row sums of |x_i - x_j| follow from one sort and its prefix sums, the sum of squares from
    the first two moments.
    """
    n = len(values)
    x = np.sort(values - values.mean())
    before = np.concatenate([[0.0], np.cumsum(x)[:-1]])
    rank = np.arange(n)
    rows = rank * x - before + (x.sum() - before - x) - (n - 1 - rank) * x
    return _from_sums(n, 2 * n * float(x @ x) - 2 * float(x.sum()) ** 2, rows, np.ones(n))


def distance_variance_one_hot(counts: NDArray[np.int64]) -> float:
    """Return dVar²_U of a one-hot attribute (distance sqrt(2) between levels) from its counts."""
    n = int(counts.sum())
    rows = np.sqrt(2.0) * (n - counts)
    return _from_sums(n, 2.0 * float(n**2 - (counts.astype(float) ** 2).sum()), rows, counts)


def _from_sums(
    n: int, squares: float, rows: NDArray[np.float64], multiplicity: NDArray[np.number]
) -> float:
    if n < 4:
        raise ValueError(f'scale="dvar" needs at least 4 rows; found {n}.')
    total = float(multiplicity @ rows)
    middle = 2 / (n - 2) * float(multiplicity @ rows**2)
    return (squares - middle + total**2 / ((n - 1) * (n - 2))) / (n * (n - 3))
