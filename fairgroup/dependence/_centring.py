r"""Double centring of pairwise quantities, for the U- and the V-statistic in one form.

For a symmetric b_ij with weighted row sums b_i = sum_j w_j b_ij and total b = sum_i w_i b_i

    U (w = 1):       b_ij - (b_i + b_j) / (n - 2) + b / ((n - 1) (n - 2)),   scaled 1 / (n (n - 3))
    V (sum w = 1):   b_ij - (b_i + b_j)           + b,                       scaled 1

(Szekely and Rizzo, 2014, for U; the weighted V-statistic has w_i w_j in place of 1/n^2).
Every regulariser is psi(y) = sum_ij w_i w_j |y_i - y_j| kappa_ij + const with a centred kappa that
depends on the protected attributes only, so that

    g_i = d psi / d y_i = 2 w_i sum_j w_j s_ij kappa_ij   and   psi = sum_i y_i g_i + const

(Euler: |y_i - y_j| is homogeneous of degree one). One pass gives both.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.dependence._ranking import Ranking

__all__ = ["Centring", "centred_gradient", "distance_variance", "prediction_variance"]

Floats = NDArray[np.float64]

_ROUNDING = 1e-13  # of the terms that a variance is the difference of


@dataclass(frozen=True)
class Centring:
    """Weights and factors of a U- or V-statistic of n rows.

    Factors are floats: n (n - 1) (n - 2) (n - 3) exceeds the 64-bit integers from n = 55,110 on.
    """

    weights: Floats
    scale: float
    rows: float
    total: float
    unbiased: bool

    def __len__(self) -> int:
        return len(self.weights)

    @classmethod
    def make(cls, n: int, estimator: str, weights: Floats | None = None) -> Centring:
        """Check the estimator's needs and derive the factors.

        Raises
        ------
        ValueError
            For fewer than 4 rows with "U", and for weights with "U".
        """
        if estimator == "V":
            w = np.full(n, 1.0 / n) if weights is None else weights / weights.sum()
            return cls(w, 1.0, 1.0, 1.0, False)
        if weights is not None:
            raise ValueError(
                'sample_weight needs estimator="V": the unbiased statistic is defined for rows '
                "that count alike."
            )
        if n < 4:
            raise ValueError(
                f'estimator="U" needs at least 4 rows; got {n}. Use estimator="V" or more rows.'
            )
        m = float(n)
        return cls(np.ones(n), 1 / (m * (m - 3)), 1 / (m - 2), 1 / ((m - 1) * (m - 2)), True)

    def constant(self, c: float, n_attributes: int, total: float) -> float:
        """Return c JdCov^2(S_1 .. S_q), the part of JdCov^2 that does not depend on y.

        Parameters
        ----------
        c : float
            JdCov's constant.
        n_attributes : int
            q.
        total : float
            sum_ij w_i w_j prod_k (U_kij + c), without i = j for U.
        """
        n, power = float(len(self)), c**n_attributes
        if self.unbiased:
            return c * (self.scale * (total + n * power) - power * n / (n - 3))
        return c * (total - power)


def centred_gradient(
    ranking: Ranking, centring: Centring, signed: Any, row_sums: Any, total: float
) -> Any:
    """Return g from signed = sum_j s_ij w_j b_ij, the row sums b_i and the total of b."""
    w = ranking.like(centring.weights)
    rows = ranking.like(row_sums)
    sigma = ranking.signed_sum(w)
    inner = signed - centring.rows * (rows * sigma + ranking.signed_sum(w * rows))
    return 2 * centring.scale * w * (inner + centring.total * total * sigma)


def distance_variance(centring: Centring, squares: float, row_sums: Floats) -> float:
    """Return dVar^2 from sum_ij w_i w_j b_ij^2 and the weighted row sums of the distances b."""
    w = centring.weights
    total = float(w @ row_sums)
    middle = 2 * centring.rows * float(w @ row_sums**2)
    return _variance(centring, squares, middle, total)


def prediction_variance(ranking: Ranking, centring: Centring) -> tuple[float, Any]:
    """Return dVar^2 of the predictions and its gradient, from one sort."""
    y, w = ranking.values, ranking.like(centring.weights)
    sigma, mass, moment = ranking.signed_sum(w), float(w.sum()), float((w * y).sum())
    rows = y * sigma - ranking.signed_sum(w * y)
    total = float((w * rows).sum())
    squares = 2 * mass * float((w * y * y).sum()) - 2 * moment**2
    middle = 2 * centring.rows * float((w * rows * rows).sum())
    value = _variance(centring, squares, middle, total)
    spread = mass * y - moment
    coupling = rows * sigma + ranking.signed_sum(w * rows)
    gradient = spread - centring.rows * coupling + centring.total * total * sigma
    return value, 4 * centring.scale * w * gradient


def _variance(centring: Centring, squares: float, middle: float, total: float) -> float:
    """Return dVar^2, zero where it is rounding only: one row beside equal ones has none for U."""
    value = squares - middle + centring.total * total**2
    return centring.scale * value if value > _ROUNDING * squares else 0.0
