"""Discrete attributes: the n x n kernel holds only n_cells x n_cells different numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.dependence._centring import Centring
from fairgroup.dependence._kernels import signed_cell_sums
from fairgroup.dependence._pair_kernel import PairKernel
from fairgroup.dependence._ranking import Ranking

__all__ = ["CellKernel", "centre_cells", "joint_cells"]

Floats = NDArray[np.float64]


class CellKernel(PairKernel):
    """K_ij = w_i w_j table[cell_i, cell_j].

    "blocked" walks through the sorted predictions once with running sums (compiled, memory for
    the table only); "cells" takes prefix sums cell by cell, on any device.
    """

    def __init__(
        self,
        cell: NDArray[np.int64],
        table: Floats,
        weights: Floats,
        *,
        const: float = 0.0,
        method: str = "blocked",
    ) -> None:
        self.n, self.const, self.method = len(cell), const, method
        self.cell, self.table, self.weights = cell, table, weights

    def gradient(self, ranking: Ranking) -> Any:
        """Return 2 w_i sum_j s_ij w_j table[cell_i, cell_j]."""
        if self.method == "blocked" and ranking.on_host:
            sums = signed_cell_sums(
                ranking.order, ranking.values, self.cell, self.weights, self.table
            )
            return 2 * self.weights * sums
        cell, w = ranking.like(self.cell), ranking.like(self.weights)
        table = ranking.like(self.table)
        sums = 0.0 * ranking.values
        for m in range(len(self.table)):
            sums += table[cell, m] * ranking.signed_sum(w * (cell == m))
        return 2 * w * sums

    def rows(self, start: int, stop: int) -> Floats:
        """Gather rows of K."""
        kernel = self.table[self.cell[start:stop][:, None], self.cell]
        return kernel * self.weights[start:stop, None] * self.weights


def centre_cells(distances: Floats, mass: NDArray[Any], centring: Centring) -> Floats:
    """Return the table of dCov^2: centred distances between cells that weigh ``mass``."""
    rows = distances @ mass
    shift = centring.total * float(mass @ rows)
    return centring.scale * (distances - centring.rows * (rows[:, None] + rows) + shift)


def joint_cells(
    distances: tuple[Floats, ...], mass: NDArray[Any], centring: Centring, c: float
) -> tuple[Floats, float]:
    """Return the table of JdCov^2 and its constant, from each attribute's distances.

    V_ml = prod_k (U_kml + c) is centred once more. For U the row sums leave out j = i, which for
    cells means one row less in the own cell.
    """
    product = np.ones((len(mass), len(mass)))
    for distance in distances:
        rows = distance @ mass
        shift = centring.total * float(mass @ rows) - c
        product *= centring.rows * (rows[:, None] + rows) - distance - shift
    sums = product @ mass
    if centring.unbiased:
        sums -= np.diag(product)
    total = float(mass @ sums)
    centred = product - centring.rows * (sums[:, None] + sums) + centring.total * total
    return -centring.scale * centred, centring.constant(c, len(distances), total)
