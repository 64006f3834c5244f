"""The encoded groups that every method receives."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

ALL = "*"


@dataclass(frozen=True, eq=False)
class GroupCodes:
    """Groups of n rows as integers, with their names.

    Made by :meth:`GroupEncoder.transform`; methods and metrics work on ``codes`` and use the rest
    for display.

    Parameters
    ----------
    codes : ndarray of int32, shape (n_samples,)
        Group of each row, in 0 .. n_groups - 1; -1 for a row that takes no part (its attribute is
        missing or its group unseen, and the encoder's policy is "ignore"). With
        ``GroupEncoder(intersections=False)`` the shape is (n_samples, n_columns): a row is in one
        group of every column.
    labels : tuple of tuple
        One entry per group, with one level per column; ``"*"`` stands for any level.
    counts : ndarray of int64, shape (n_groups,)
        Rows in each group.
    columns : tuple of str
        Names of the protected attributes.
    marginals : dict of str to GroupCodes
        The groups of each column on its own.

    Examples
    --------
    >>> from fairgroup.groups import GroupEncoder
    >>> groups = GroupEncoder().fit_transform({"sex": ["f", "m", "m"], "old": [True, True, False]})
    >>> groups.names
    ('sex=f, old=True', 'sex=m, old=False', 'sex=m, old=True')
    >>> groups.codes
    array([0, 2, 1], dtype=int32)
    >>> groups.marginals["sex"].counts
    array([1, 2])
    """

    codes: NDArray[np.int32]
    labels: tuple[tuple[Hashable, ...], ...]
    counts: NDArray[np.int64]
    columns: tuple[str, ...]
    marginals: dict[str, GroupCodes] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not self.marginals and len(self.columns) == 1:
            self.marginals[self.columns[0]] = self

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.labels)

    @property
    def n_ignored(self) -> int:
        """Number of rows that are in no group."""
        return int(np.sum(self._table().max(axis=1, initial=-1) < 0))

    @property
    def names(self) -> tuple[str, ...]:
        """One readable name per group, such as ``"sex=Female, race=Black"``."""
        return tuple(name_of(self.columns, label) for label in self.labels)

    @property
    def index(self) -> pd.Index:
        """Row labels of a table by group: an Index for one column, else a MultiIndex."""
        if len(self.columns) == 1:
            return pd.Index([label[0] for label in self.labels], name=self.columns[0])
        return pd.MultiIndex.from_tuples(self.labels, names=list(self.columns))

    def membership(self) -> NDArray[np.float64]:
        """Return the (n_samples, n_groups) 0/1 matrix; a row that is ignored is all zero."""
        in_group = self._table()[:, :, None] == np.arange(self.n_groups)
        return in_group.any(axis=1).astype(np.float64)

    def take(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> GroupCodes:
        """Return the same groups for a selection of the rows.

        Parameters
        ----------
        rows : ndarray of int or bool
            Positions of the rows, or a mask.

        Returns
        -------
        groups : GroupCodes
            With the counts of the selection.
        """
        codes = self.codes[rows]
        marginals = {
            column: codes_of.take(rows)
            for column, codes_of in self.marginals.items()
            if codes_of is not self
        }
        return GroupCodes(codes, self.labels, count(codes, self.n_groups), self.columns, marginals)

    def _table(self) -> NDArray[np.int32]:
        """Return the codes as (n_samples, 1 or n_columns)."""
        return self.codes if self.codes.ndim == 2 else self.codes[:, None]

    @classmethod
    def everyone(cls, n_samples: int) -> GroupCodes:
        """Return one group that holds all rows.

        Parameters
        ----------
        n_samples : int
            Number of rows.

        Returns
        -------
        groups : GroupCodes
        """
        return cls(
            np.zeros(n_samples, np.int32), (("all",),), np.array([n_samples]), ("everyone",)
        )


def name_of(columns: tuple[str, ...], label: tuple[Hashable, ...]) -> str:
    """Return the readable name of one group."""
    named = zip(columns, label, strict=True)
    return ", ".join(f"{column}={level}" for column, level in named if level != ALL)


def count(codes: NDArray[np.int32], n_groups: int) -> NDArray[np.int64]:
    """Count the rows of each group; ignored rows (-1) are left out."""
    return np.bincount(codes.ravel() + 1, minlength=n_groups + 1)[1:].astype(np.int64)
