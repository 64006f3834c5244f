"""The levels of several columns -> groups: which combinations there are, and who is in which."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.groups._levels import ABSENT, UNSEEN, Codes, Levels

SMALL = "(small groups)"
# Up to this many combinations of levels are counted in a table, however few the rows.
_SMALL_TABLE = 4096


@dataclass(frozen=True)
class Partition:
    """The combinations of some columns' levels that occur, and the group that each belongs to.

    ``merged`` are the labels of the combinations that were too small for a group of their own.
    """

    sizes: tuple[int, ...]
    keys: NDArray[np.int64]
    group_of_key: NDArray[np.int64]
    labels: tuple[Levels, ...]
    counts: NDArray[np.int64]
    merged: tuple[Levels, ...] = ()

    @classmethod
    def learn(cls, coded: list[Codes], levels: list[Levels], *, merge_below: int = 0) -> Partition:
        """Find the combinations; those with fewer rows than ``merge_below`` become one group."""
        sizes = tuple(map(len, levels))
        keys, counts = _unique(_keys(coded, sizes), math.prod(sizes))
        labels: list[Levels] = []
        if len(keys):
            positions = np.transpose(np.unravel_index(keys, sizes))
            labels = [
                tuple(level[i] for level, i in zip(levels, at, strict=True)) for at in positions
            ]
        small = counts < merge_below
        if not small.any():
            return cls(sizes, keys, np.arange(len(keys)), tuple(labels), counts)
        group_of_key = np.where(small, (~small).sum(), np.cumsum(~small) - 1)
        merged = tuple(label for label, gone in zip(labels, small, strict=True) if gone)
        kept = [label for label, gone in zip(labels, small, strict=True) if not gone]
        counts = np.append(counts[~small], counts[small].sum())
        return cls(sizes, keys, group_of_key, (*kept, (SMALL,) * len(sizes)), counts, merged)

    def assign(self, coded: list[Codes]) -> Codes:
        """Return the group of each row, -1 where a value is missing, -2 where the combination is
        unseen.
        """
        keys = _keys(coded, self.sizes)
        n_keys = math.prod(self.sizes)
        if len(self.keys) == n_keys and not self.merged:
            return keys  # every combination is a group
        if n_keys <= max(len(keys), _SMALL_TABLE):
            table = np.full(n_keys + 2, UNSEEN)
            table[self.keys] = self.group_of_key
            table[-1] = ABSENT
            return table[keys]
        at = np.searchsorted(self.keys, keys)
        found = np.append(self.keys, UNSEEN)[at] == keys  # padded: `at` may be one past the end
        groups = np.where(found, np.append(self.group_of_key, UNSEEN)[at], UNSEEN)
        return np.where(keys == ABSENT, ABSENT, groups)


def _keys(coded: list[Codes], sizes: tuple[int, ...]) -> Codes:
    """Number each row's combination of levels; -1 where a value is missing, else -2 where one is
    unseen.
    """
    if math.prod(sizes) >= 2**62:
        raise ValueError(
            "The columns of sensitive_features have too many levels for intersections; "
            "use fewer columns or intersections=False."
        )
    if len(coded) == 1:
        return coded[0]
    key = coded[0]
    for codes, size in zip(coded[1:], sizes[1:], strict=True):
        key = key * size + codes
    if min(codes.min(initial=0) for codes in coded) < 0:
        missing = np.logical_or.reduce([codes == ABSENT for codes in coded])
        unseen = np.logical_or.reduce([codes == UNSEEN for codes in coded])
        key = np.where(missing, ABSENT, np.where(unseen, UNSEEN, key))
    return key


def _unique(keys: Codes, n_keys: int) -> tuple[Codes, NDArray[np.int64]]:
    """Return the sorted keys that occur (-1 left out) and how often; by counting where the table
    is small.
    """
    if n_keys <= max(len(keys), _SMALL_TABLE):
        counts = np.bincount(keys + 1, minlength=n_keys + 1)[1:]
        found = np.flatnonzero(counts)
        return found, counts[found].astype(np.int64)
    return np.unique(keys[keys >= 0], return_counts=True)


def report_outside(
    frame: pd.DataFrame, assigned: list[Codes], *, unseen: str, stacklevel: int = 4
) -> None:
    """Raise or warn about rows that some partition puts in no group, once for all partitions.

    Parameters
    ----------
    frame : DataFrame of shape (n_samples, n_columns)
        The protected attributes, for the message.
    assigned : list of ndarray of shape (n_samples,)
        Results of `Partition.assign`.
    unseen : {"error", "ignore"}
        The policy.
    stacklevel : int, default=4
        Where the warning points; the default is the caller of the encoder's ``transform``.
    """
    outside = [codes for codes in assigned if codes.min(initial=0) < 0]
    if not outside:
        return
    strange = np.logical_or.reduce([codes == UNSEEN for codes in outside])
    absent = np.logical_or.reduce([codes == ABSENT for codes in outside])
    if strange.any():
        examples = frame[strange].drop_duplicates().head(5)
        shown = "; ".join(
            ", ".join(f"{column}={value}" for column, value in row.items())
            for _, row in examples.iterrows()
        )
        found = f"{int(strange.sum())} rows belong to groups that were not there in fit ({shown})"
        if unseen == "error":
            raise UnseenGroupError(
                f'{found}. Use unseen="ignore" to leave such rows unmitigated, with a warning.'
            )
        warnings.warn(
            f"{found}; they are left unmitigated.", FairnessWarning, stacklevel=stacklevel
        )
    if absent.any():
        warnings.warn(
            f"{int(absent.sum())} rows have a missing protected attribute; "
            "they take no part in the fairness term of the groups that need it.",
            FairnessWarning,
            stacklevel=stacklevel,
        )
