"""Counts of (group, prediction, client) with the names of their levels; tables add up over sites
and time.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fairgroup.groups import GroupEncoder
from fairgroup.groups._codes import GroupCodes
from fairgroup.groups._consume import encode_groups
from fairgroup.groups._levels import factorize
from fairgroup.information._counts import Levels, count_cells, encode
from fairgroup.information._measures import as_tables
from fairgroup.utils._cells import is_distributed, pooled_columns
from fairgroup.utils._validation import check_weights

__all__ = ["LabelledTable", "Rows", "group_labels"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class LabelledTable:
    """A table and the levels along its axes."""

    counts: Array
    labels: tuple[Levels, ...]

    @classmethod
    def from_counts(
        cls, table: ArrayLike, labels: Sequence[Sequence[Hashable]] | None, axes: str
    ) -> LabelledTable:
        """Check a user's three-dimensional table; levels without names are numbered."""
        counts = as_tables(table, n_axes=3)
        if counts.ndim != 3:
            raise ValueError(f"table has {counts.ndim} axes; expected ({axes}).")
        return cls(counts, named_levels(labels, counts.shape))

    def __add__(self, other: LabelledTable) -> LabelledTable:
        union = tuple(_union(a, b) for a, b in zip(self.labels, other.labels, strict=True))
        total = np.zeros([len(levels) for levels in union])
        for part in (self, other):
            rows = [
                [u.index(x) for x in names] for u, names in zip(union, part.labels, strict=True)
            ]
            total[np.ix_(*rows)] += part.counts
        return LabelledTable(total, union)


def named_levels(
    labels: Sequence[Sequence[Hashable]] | None, shape: tuple[int, ...]
) -> tuple[Levels, ...]:
    """Levels along the axes of a table; None numbers them.

    Parameters
    ----------
    labels : sequence of sequences or None
    shape : tuple of int

    Returns
    -------
    levels : tuple of tuple

    Raises
    ------
    ValueError
        When the numbers of levels do not fit the shape.
    """
    if labels is None:
        return tuple(tuple(range(size)) for size in shape)
    found = tuple(tuple(levels) for levels in labels)
    if tuple(map(len, found)) != tuple(shape):
        raise ValueError(
            f"labels name {tuple(map(len, found))} levels, but the table has {tuple(shape)}."
        )
    return found


def _union(first: Levels, second: Levels) -> Levels:
    if first == second:
        return first
    return factorize(pd.Series([*first, *second], dtype=object))[1]


def group_labels(groups: GroupCodes) -> Levels:
    """Levels of a single protected attribute, readable names of intersections."""
    if len(groups.columns) > 1:
        return groups.names
    return tuple(label[0] for label in groups.labels)


class Rows:
    """Rows of an audit: encoded groups and clients, and the column that is still to be encoded.

    Parameters
    ----------
    values : array-like of shape (n_samples,)
        Predictions or labels.
    sensitive_features : array-like
        Protected attributes.
    clients : array-like or None
        None puts all rows into one client.
    sample_weight : array-like or None
        Row weights.
    encoder : GroupEncoder or None
        How groups are made.
    estimator : object
        Names the estimator in warnings.
    """

    def __init__(
        self,
        values: Any,
        sensitive_features: Any,
        clients: Any,
        sample_weight: Any,
        *,
        encoder: GroupEncoder | None,
        estimator: Any,
    ) -> None:
        given = [v for v in (values, sensitive_features, clients) if v is not None]
        if any(is_distributed(v) for v in given):
            pooled, sample_weight = pooled_columns(given, sample_weight)
            values, sensitive_features = pooled[0], pooled[1]
            clients = pooled[2] if clients is not None else None
        self.values = values
        n_samples = len(values)
        self.counted_weight = sample_weight
        self.weight = check_weights(sample_weight, n_samples)
        self.encoder, self.groups = encode_groups(
            sensitive_features, n_samples, encoder=encoder, estimator=estimator
        )
        if clients is None:
            clients = np.zeros(n_samples, dtype=np.int64)
        self.clients, self.client_labels = encode(clients, name="clients")

    def table(self, codes: NDArray[np.int64], levels: Levels) -> LabelledTable:
        """Count (group, value, client), given the codes of the values."""
        counts = count_cells(
            [self.groups.codes, codes, self.clients],
            [self.groups.n_groups, len(levels), len(self.client_labels)],
            None if self.counted_weight is None else self.weight,
        )
        return LabelledTable(counts, (group_labels(self.groups), levels, self.client_labels))
