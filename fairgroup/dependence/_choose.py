"""Which algorithm serves which attributes: builds the kernel of a regulariser."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairgroup.dependence._attributes import Attributes
from fairgroup.dependence._cell_kernel import CellKernel, centre_cells, joint_cells
from fairgroup.dependence._centring import Centring, distance_variance
from fairgroup.dependence._kernels import distance_row_sums
from fairgroup.dependence._line_kernel import LineKernel, LineTimesCellsKernel
from fairgroup.dependence._pair_kernel import DenseKernel, PairKernel, SumKernel
from fairgroup.dependence._tile_kernel import JointTileKernel, TileKernel, warn_if_slow

__all__ = ["KINDS", "METHODS", "attribute_variance", "make_kernel"]

Floats = NDArray[np.float64]

KINDS = ("ccdcov", "jdcov", "sum_dcov", "joint")
METHODS = ("auto", "dense", "sort", "cells", "blocked", "tiles")
_MOST_CELLS = 4096  # a table of cells then takes 128 MB
_LARGEST_TABLE = 20_000  # cells that can be asked for by name: 3 GB
_DENSE_ROWS = 256  # up to here a matrix of all pairs is quicker than computing distances again


def make_kernel(
    attributes: Attributes,
    *,
    kind: str = "ccdcov",
    estimator: str = "U",
    c: float = 1.0,
    weights: Floats | None = None,
    method: str = "auto",
) -> PairKernel:
    """Build the regulariser of fixed attributes.

    Parameters
    ----------
    attributes : Attributes
        Encoded protected attributes.
    kind : {"ccdcov", "jdcov", "sum_dcov", "joint"}, default="ccdcov"
        Concatenated or joint distance covariance, the sum over attributes, or the covariance with
        the intersection as one categorical attribute.
    estimator : {"U", "V"}, default="U"
        Unbiased or biased statistic.
    c : float, default=1.0
        JdCov's constant.
    weights : ndarray of shape (n_samples,) or None, default=None
        Row weights, for "V" only.
    method : {"auto", "dense", "sort", "cells", "blocked", "tiles"}, default="auto"
        Algorithm.

    Returns
    -------
    kernel : PairKernel
        Its ``method`` says which algorithm was chosen.

    Raises
    ------
    ValueError
        For a method that does not fit the attributes, and as `Centring.make`.
    """
    centring = Centring.make(len(attributes), estimator, weights)
    if method == "dense":
        return DenseKernel(_make(attributes, kind, c, centring, "auto"))
    return _make(attributes, kind, c, centring, method)


def _make(
    attributes: Attributes, kind: str, c: float, centring: Centring, method: str
) -> PairKernel:
    if kind == "sum_dcov":
        parts = [attributes.select([k]) for k in range(len(attributes.blocks))]
        kernels = [_make(part, "ccdcov", c, centring, method) for part in parts]
        return SumKernel(kernels, [1.0] * len(kernels))
    # For levels the question is whether they repeat, not which algorithm is quicker.
    repeated = kind == "joint" and len(attributes.table) < min(len(attributes), _MOST_CELLS)
    discrete = repeated or _is_discrete(attributes)
    if method in ("cells", "blocked") or (method == "auto" and discrete):
        name = "blocked" if method == "auto" else method
        return _cell_kernel(attributes, kind, c, centring, name)
    if kind == "joint":
        raise ValueError(
            'kind="joint" treats the intersections as levels, but sensitive_features has '
            f"{len(attributes.table)} distinct rows; bin the continuous columns or use "
            'kind="ccdcov".'
        )
    line = _line_kernel(attributes, kind, c, centring) if method in ("auto", "sort") else None
    if line is not None:
        return line
    if method == "sort":
        raise ValueError(
            'method="sort" needs one numeric column (and for JdCov any discrete ones); use '
            'method="auto".'
        )
    return _all_pairs(attributes, kind, c, centring, method)


def _is_discrete(attributes: Attributes) -> bool:
    """Whether tables of cells are smaller than matrices of rows."""
    return len(attributes.table) <= min(len(attributes) // 2, _MOST_CELLS)


def _cell_kernel(
    attributes: Attributes, kind: str, c: float, centring: Centring, method: str
) -> CellKernel:
    table, w = attributes.table, centring.weights
    if len(table) > _LARGEST_TABLE:
        raise ValueError(
            f"method={method!r} needs a table of {len(table)} x {len(table)} distinct rows of "
            'sensitive_features; bin the continuous columns or use method="auto".'
        )
    mass = np.bincount(attributes.cell, weights=w, minlength=len(table))
    if kind == "jdcov":
        values, const = joint_cells(table.block_distances, mass, centring, c)
        return CellKernel(attributes.cell, values, w, const=const, method=method)
    if kind == "joint":
        distances = np.sqrt(2.0) * (1.0 - np.eye(len(table)))
    else:
        distances = table.distances
    return CellKernel(attributes.cell, centre_cells(distances, mass, centring), w, method=method)


def _line_kernel(
    attributes: Attributes, kind: str, c: float, centring: Centring
) -> PairKernel | None:
    """Return a kernel that sorts, or None where the attributes do not allow it."""
    if attributes.matrix.shape[1] == 1:
        return LineKernel(attributes.matrix[:, 0], centring)
    if kind != "jdcov":
        return None
    blocks = attributes.blocks
    wide = max(
        (k for k, block in enumerate(blocks) if block.stop - block.start == 1),
        key=lambda k: len(np.unique(attributes.matrix[:, blocks[k]])),
        default=None,
    )
    if wide is None:
        return None
    rest = attributes.select([k for k in range(len(blocks)) if k != wide])
    # Each cell costs a walk of n log n; from the square root of n on, all pairs are as quick.
    if len(rest.table) > max(8.0, np.sqrt(len(attributes))):
        return None
    mass = np.bincount(rest.cell, weights=centring.weights, minlength=len(rest.table))
    factors = np.ones((len(mass), len(mass)))
    for distance in rest.table.block_distances:
        rows = distance @ mass
        shift = centring.total * float(mass @ rows) - c
        factors *= centring.rows * (rows[:, None] + rows) - distance - shift
    z = attributes.matrix[:, blocks[wide].start]
    return LineTimesCellsKernel(z, rest.cell, factors, centring, c=c, n_attributes=len(blocks))


def _all_pairs(
    attributes: Attributes, kind: str, c: float, centring: Centring, method: str
) -> PairKernel:
    kernel: PairKernel
    if kind == "jdcov":
        warn_if_slow(len(attributes), attributes.matrix.shape[1])
        kernel = JointTileKernel(attributes, centring, c=c)
    else:
        kernel = TileKernel(attributes.matrix, centring)
    few = method == "auto" and len(attributes) <= _DENSE_ROWS
    return DenseKernel(kernel) if few else kernel


def attribute_variance(attributes: Attributes, centring: Centring) -> float:
    """Return dVar^2 of the concatenated attributes."""
    w, matrix = centring.weights, attributes.matrix
    centred = matrix - matrix.mean(axis=0)
    moments = w @ centred
    squares = 2 * w.sum() * float(w @ (centred**2).sum(axis=1)) - 2 * float(moments @ moments)
    if _is_discrete(attributes):
        mass = np.bincount(attributes.cell, weights=w, minlength=len(attributes.table))
        row_sums = (attributes.table.distances @ mass)[attributes.cell]
    else:
        row_sums = distance_row_sums(np.ascontiguousarray(centred.T), w)
    return distance_variance(centring, squares, row_sums)
