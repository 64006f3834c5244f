"""Encoded protected attributes of n rows, and the distinct rows among them (the cells).

With discrete attributes the n x n matrices of distances hold only n_cells x n_cells different
numbers, which is what makes exact distance covariances cheap.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from fairgroup.groups import SensitiveEncoder
from fairgroup.groups._consume import is_fitted
from fairgroup.groups._sensitive_encoder import distinct_rows

__all__ = ["Attributes", "CellTable", "encode_attributes", "fitted_encoder"]

Floats = NDArray[np.float64]
Cells = NDArray[np.int64]


@dataclass(frozen=True)
class CellTable:
    """The distinct encoded rows, and how far they are apart."""

    rows: Floats
    blocks: tuple[slice, ...]

    def __len__(self) -> int:
        return len(self.rows)

    @cached_property
    def distances(self) -> Floats:
        """Distances of the concatenated attributes, shape (n_cells, n_cells)."""
        return np.sqrt(sum(d * d for d in self.block_distances))

    @cached_property
    def block_distances(self) -> tuple[Floats, ...]:
        """Distances of each attribute by itself, each of shape (n_cells, n_cells)."""
        return tuple(_distances(self.rows[:, block]) for block in self.blocks)


@dataclass(frozen=True)
class Attributes:
    """Protected attributes as numbers: one row per person, one block of columns per attribute.

    Parameters
    ----------
    matrix : ndarray of shape (n_samples, n_columns)
        Encoded attributes side by side.
    blocks : tuple of slice
        Columns of each attribute.
    names : tuple of str
        Names of the attributes.
    cell : ndarray of int64, shape (n_samples,)
        Position of each row in ``table``.
    table : CellTable
        The distinct rows; after `take` it may hold some that no longer occur.
    """

    matrix: Floats
    blocks: tuple[slice, ...]
    names: tuple[str, ...]
    cell: Cells
    table: CellTable

    def __len__(self) -> int:
        return len(self.matrix)

    @classmethod
    def from_matrix(
        cls, matrix: Floats, blocks: Sequence[slice], names: Sequence[str]
    ) -> Attributes:
        """Find the cells of a matrix of encoded attributes."""
        cell, first = distinct_rows(matrix)
        table = CellTable(matrix[first], tuple(blocks))
        return cls(matrix, tuple(blocks), tuple(names), cell, table)

    def take(self, rows: Any) -> Attributes:
        """Return a selection of the rows, with the same cells."""
        return Attributes(self.matrix[rows], self.blocks, self.names, self.cell[rows], self.table)

    def select(self, attributes: Sequence[int]) -> Attributes:
        """Return some of the attributes, with cells of their own."""
        columns = [self.matrix[:, self.blocks[k]] for k in attributes]
        stops = np.cumsum([column.shape[1] for column in columns])
        blocks = [
            slice(int(stop) - column.shape[1], int(stop))
            for stop, column in zip(stops, columns, strict=True)
        ]
        return Attributes.from_matrix(
            np.hstack(columns), blocks, [self.names[k] for k in attributes]
        )


def fitted_encoder(encoder: SensitiveEncoder | None, sensitive_features: Any) -> SensitiveEncoder:
    """Return the encoder if it is fitted, else a fitted clone of it; None means the defaults."""
    if encoder is not None and is_fitted(encoder):
        return encoder
    fresh = SensitiveEncoder() if encoder is None else clone(encoder)
    return fresh.fit(sensitive_features)


def encode_attributes(
    sensitive_features: Any, *, encoder: SensitiveEncoder | None, n_samples: int
) -> tuple[SensitiveEncoder, Attributes]:
    """Encode protected attributes of any type and check their number of rows.

    Parameters
    ----------
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Protected attributes, categorical or continuous.
    encoder : SensitiveEncoder or None
        Used as it is when fitted, else a clone is fitted.
    n_samples : int
        Number of rows that they must have.

    Returns
    -------
    encoder : SensitiveEncoder
        Fitted.
    attributes : Attributes

    Raises
    ------
    ValueError
        For another number of rows, missing or infinite values.
    """
    encoder = fitted_encoder(encoder, sensitive_features)
    matrix = encoder.transform(sensitive_features)
    if len(matrix) != n_samples:
        raise ValueError(
            f"sensitive_features has {len(matrix)} rows, but there are {n_samples} predictions; "
            "both must describe the same rows."
        )
    blocks = [block.columns for block in encoder.blocks_]
    return encoder, Attributes.from_matrix(matrix, blocks, encoder.columns_)


def _distances(rows: Floats) -> Floats:
    """Euclidean distances by differences: the Gram trick loses digits where points are close."""
    squares = np.zeros((len(rows), len(rows)))
    for column in rows.T:
        difference = column[:, None] - column
        squares += difference * difference
    return np.sqrt(squares)
