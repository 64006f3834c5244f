"""One numeric attribute, alone or times discrete ones: sorting instead of pairs.

sum_j s_ij |z_i - z_j| w_j = z_i c_i(w) - c_i(w z) with c_i(w) = sum_j s_ij t_ij w_j,
t_ij = sgn(z_i - z_j): two columns of weights in one pass of O(n log n), because the value comes
from the gradient (Huo and Szekely, 2016, and Chaudhuri and Hu, 2018, need four and give no
gradient).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.dependence._centring import Centring, centred_gradient
from fairgroup.dependence._kernels import signed_concordance
from fairgroup.dependence._pair_kernel import PairKernel
from fairgroup.dependence._ranking import Ranking

__all__ = ["LineKernel", "LineTimesCellsKernel", "line_row_sums"]

Floats = NDArray[np.float64]


def line_row_sums(z: Floats, w: Floats, at: Floats) -> Floats:
    """Return sum_j w_j |x - z_j| for every x of ``at``, from one sort of z."""
    order = np.argsort(z)
    weight = np.concatenate([[0.0], np.cumsum(w[order])])
    moment = np.concatenate([[0.0], np.cumsum((w * z)[order])])
    below = np.searchsorted(z[order], at)
    return at * (2 * weight[below] - weight[-1]) - (2 * moment[below] - moment[-1])


class LineKernel(PairKernel):
    """dCov^2 with one numeric attribute."""

    method = "sort"

    def __init__(self, z: Floats, centring: Centring) -> None:
        self.n, self.centring = len(z), centring
        self.z = z - z.mean()
        levels, self.rank = np.unique(z, return_inverse=True)
        self.n_ranks = len(levels)
        self.row_sums = line_row_sums(self.z, centring.weights, self.z)
        self.total = float(centring.weights @ self.row_sums)
        self.everyone = np.ones(self.n, dtype=np.bool_)

    def gradient(self, ranking: Ranking) -> Any:
        """Return the gradient by a walk through the predictions over a tree of the attribute."""
        if not ranking.on_host:
            return ranking.through_host(self.gradient)
        signed = signed_distances(
            ranking, self.z, self.rank, self.n_ranks, self.centring.weights, self.everyone
        )
        return centred_gradient(ranking, self.centring, signed, self.row_sums, self.total)

    def rows(self, start: int, stop: int) -> Floats:
        """Return centred distances."""
        centring, rows = self.centring, self.row_sums
        distances = np.abs(self.z[start:stop, None] - self.z)
        centred = distances - centring.rows * (rows[start:stop, None] + rows)
        centred += centring.total * self.total
        return centring.scale * centred * centring.weights[start:stop, None] * centring.weights


def signed_distances(
    ranking: Ranking,
    z: Floats,
    ranks: NDArray[np.int64],
    n_ranks: int,
    w: Floats,
    member: NDArray[np.bool_],
) -> Floats:
    """Return sum_j s_ij w_j |z_i - z_j| over the members j."""
    sums = signed_concordance(ranking.order, ranking.values, ranks, n_ranks, w, w * z, member)
    return z * sums[:, 0] - sums[:, 1]


class LineTimesCellsKernel(PairKernel):
    """JdCov^2 with one numeric attribute and any discrete ones, in O(n n_cells log n).

    prod_k (U_kij + c) = F[cell_i, cell_j] (zeta_i + zeta_j - |z_i - z_j| - kappa), where F is the
    product over the discrete attributes and zeta, kappa centre the numeric one.
    """

    method = "sort"

    def __init__(
        self,
        z: Floats,
        cell: NDArray[np.int64],
        factors: Floats,
        centring: Centring,
        *,
        c: float,
        n_attributes: int,
    ) -> None:
        self.n, self.centring = len(z), centring
        self.z, self.cell, self.factors = z - z.mean(), cell, factors
        levels, self.rank = np.unique(z, return_inverse=True)
        self.n_ranks = len(levels)
        rows = line_row_sums(self.z, centring.weights, self.z)
        self.zeta = centring.rows * rows
        self.kappa = centring.total * float(centring.weights @ rows) - c
        self.row_sums = self._row_sums()
        self.total = float(centring.weights @ self.row_sums)
        self.const = centring.constant(c, n_attributes, self.total)

    def gradient(self, ranking: Ranking) -> Any:
        """Return the gradient cell by cell."""
        if not ranking.on_host:
            return ranking.through_host(self.gradient)
        w, signed = self.centring.weights, np.zeros(self.n)
        for m in range(len(self.factors)):
            member = self.cell == m
            inside = w * member
            distances = signed_distances(ranking, self.z, self.rank, self.n_ranks, w, member)
            part = (self.zeta - self.kappa) * ranking.signed_sum(inside) - distances
            part += ranking.signed_sum(inside * self.zeta)
            signed += self.factors[self.cell, m] * part
        return -centred_gradient(ranking, self.centring, signed, self.row_sums, self.total)

    def rows(self, start: int, stop: int) -> Floats:
        """Return the centred product."""
        centring, sums, w = self.centring, self.row_sums, self.centring.weights
        here = slice(start, stop)
        product = (self.zeta[here, None] - self.kappa) + self.zeta
        product -= np.abs(self.z[here, None] - self.z)
        product *= self.factors[self.cell[here][:, None], self.cell]
        centred = product - centring.rows * (sums[here, None] + sums)
        centred += centring.total * self.total
        return -centring.scale * centred * w[here, None] * w

    def _row_sums(self) -> Floats:
        """Return sum_j w_j of the product, without j = i for U."""
        w, sums = self.centring.weights, np.zeros(self.n)
        for m in range(len(self.factors)):
            inside = np.flatnonzero(self.cell == m)
            mass = float(w[inside].sum())
            part = mass * (self.zeta - self.kappa) + float(w[inside] @ self.zeta[inside])
            part -= line_row_sums(self.z[inside], w[inside], self.z)
            sums += self.factors[self.cell, m] * part
        if self.centring.unbiased:
            sums -= self.factors[self.cell, self.cell] * (2 * self.zeta - self.kappa)
        return sums
