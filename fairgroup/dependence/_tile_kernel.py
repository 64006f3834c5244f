"""Attributes with many distinct rows: all pairs, tile by tile, in O(n) memory."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.dependence._attributes import Attributes
from fairgroup.dependence._centring import Centring, centred_gradient
from fairgroup.dependence._kernels import (
    distance_row_sums,
    joint_row_sums,
    signed_distance_sums,
    signed_joint_sums,
)
from fairgroup.dependence._pair_kernel import PairKernel
from fairgroup.dependence._ranking import Ranking
from fairgroup.exceptions import FairgroupWarning

__all__ = ["JointTileKernel", "TileKernel", "warn_if_slow"]

Floats = NDArray[np.float64]

_SLOW = 200_000
_PAIRS_PER_SECOND = 4e8  # pairs and columns of one core, an order of magnitude
_DEVICE_TILE = 4096


def warn_if_slow(n: int, n_columns: int) -> None:
    """Warn before a quadratic computation that takes minutes on a CPU."""
    if n > _SLOW:
        seconds = n * n / 2 * n_columns / _PAIRS_PER_SECOND
        warnings.warn(
            f"{n} rows with as many distinct protected attributes need about {seconds:.0f} s for "
            'each evaluation on one core. Bin the continuous columns, use kind="sum_dcov", a '
            "sample of the rows, or a GPU.",
            FairgroupWarning,
            stacklevel=6,
        )


class TileKernel(PairKernel):
    """dCov^2 with any attributes side by side."""

    method = "tiles"

    def __init__(self, matrix: Floats, centring: Centring) -> None:
        self.n, self.centring = len(matrix), centring
        self.columns = np.ascontiguousarray((matrix - matrix.mean(axis=0)).T)
        self._row_sums: Floats | None = None

    @property
    def row_sums(self) -> Floats:
        """Weighted sums of distances, made when first needed and where the predictions are."""
        if self._row_sums is None:
            warn_if_slow(self.n, len(self.columns))
            self._row_sums = distance_row_sums(self.columns, self.centring.weights)
        return self._row_sums

    @property
    def total(self) -> float:
        """Weighted sum of the row sums."""
        return float(self.centring.weights @ self.row_sums)

    def gradient(self, ranking: Ranking) -> Any:
        """Return the gradient from one pass over all pairs."""
        if ranking.on_host:
            order = ranking.order
            signed = np.empty(self.n)
            signed[order] = signed_distance_sums(
                np.ascontiguousarray(self.columns[:, order]),
                self.centring.weights[order],
                ranking.bounds[1][order],
            )
        else:
            sums, signed = distance_sums_on_device(ranking, self.columns, self.centring.weights)
            self._row_sums = sums.cpu().numpy()
        return centred_gradient(ranking, self.centring, signed, self.row_sums, self.total)

    def rows(self, start: int, stop: int) -> Floats:
        """Return centred distances."""
        centring, rows, w = self.centring, self.row_sums, self.centring.weights
        here = slice(start, stop)
        centred = _block_distances(self.columns, here)
        centred -= centring.rows * (rows[here, None] + rows)
        centred += centring.total * self.total
        return centring.scale * centred * w[here, None] * w


class JointTileKernel(PairKernel):
    """JdCov^2 with any attributes: a product of one factor per attribute for every pair."""

    method = "tiles"

    def __init__(self, attributes: Attributes, centring: Centring, *, c: float) -> None:
        self.n, self.centring = len(attributes), centring
        parts = [attributes.matrix[:, block].T for block in attributes.blocks]
        self.columns = np.ascontiguousarray(np.vstack(parts))
        self.columns -= self.columns.mean(axis=1, keepdims=True)
        self.bounds = np.cumsum([0, *(len(part) for part in parts)])
        w = centring.weights
        sums = np.array([distance_row_sums(np.ascontiguousarray(part), w) for part in parts])
        self.means = centring.rows * sums
        self.shifts = centring.total * (sums @ w) - c
        self.row_sums = joint_row_sums(self.columns, self.bounds, self.means, self.shifts, w)
        if not centring.unbiased:
            self.row_sums += w * np.prod(2 * self.means - self.shifts[:, None], axis=0)
        self.total = float(w @ self.row_sums)
        self.const = centring.constant(c, len(parts), self.total)

    def gradient(self, ranking: Ranking) -> Any:
        """Return the gradient from one pass over all pairs."""
        if not ranking.on_host:
            return ranking.through_host(self.gradient)
        order = ranking.order
        signed = np.empty(self.n)
        signed[order] = signed_joint_sums(
            np.ascontiguousarray(self.columns[:, order]),
            self.bounds,
            np.ascontiguousarray(self.means[:, order]),
            self.shifts,
            self.centring.weights[order],
            ranking.bounds[1][order],
        )
        return -centred_gradient(ranking, self.centring, signed, self.row_sums, self.total)

    def rows(self, start: int, stop: int) -> Floats:
        """Return the centred product."""
        centring, sums, w = self.centring, self.row_sums, self.centring.weights
        here = slice(start, stop)
        product = np.ones((stop - start, self.n))
        for k, shift in enumerate(self.shifts):
            columns = self.columns[self.bounds[k] : self.bounds[k + 1]]
            means = self.means[k]
            product *= means[here, None] + means - _block_distances(columns, here) - shift
        centred = product - centring.rows * (sums[here, None] + sums)
        centred += centring.total * self.total
        return -centring.scale * centred * w[here, None] * w


def _block_distances(columns: Floats, here: slice) -> Floats:
    squares = np.zeros((here.stop - here.start, columns.shape[1]))
    for column in columns:
        squares += (column[here, None] - column) ** 2
    return np.sqrt(squares)


def distance_sums_on_device(ranking: Ranking, columns: Floats, weights: Floats) -> tuple[Any, Any]:
    """Return sum_j w_j |S_i - S_j| and sum_j s_ij w_j |S_i - S_j| with torch.

    One tile of pairs is held at a time. Coordinates are compared by differences: the Gram trick
    loses digits where points are close.
    """
    torch, y, n = ranking.xp, ranking.values, len(ranking)
    points, w = ranking.like(columns), ranking.like(weights)
    sums, signed = ranking.empty(n), ranking.empty(n)
    for i in range(0, n, _DEVICE_TILE):
        here, of_tile, of_signed = slice(i, i + _DEVICE_TILE), 0.0, 0.0
        for j in range(0, n, _DEVICE_TILE):
            there = slice(j, j + _DEVICE_TILE)
            squares = sum((column[here, None] - column[None, there]) ** 2 for column in points)
            distances = torch.sqrt(squares)
            of_tile = of_tile + distances @ w[there]
            of_signed = of_signed + (distances * torch.sign(y[here, None] - y[there])) @ w[there]
        sums[here], signed[here] = of_tile, of_signed
    return sums, signed
