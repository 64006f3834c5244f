"""Protected attributes -> a partition of the rows into groups.

The one encoder of groups and the one policy for rows whose group is missing, unseen or tiny.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Hashable
from dataclasses import dataclass
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.groups._codes import ALL, GroupCodes, count
from fairgroup.groups._frame import MISSING, check_discrete, factorize, lookup, sensitive_frame
from fairgroup.utils._sklearn import Interval, StrOptions, fit_context

SMALL = "(small groups)"
_UNSEEN = -2
_SMALL_TABLE = 4096


class GroupEncoder(BaseEstimator):
    """Encode protected attributes as groups, with one policy for the hard rows.

    Parameters
    ----------
    intersections : bool, default=True
        True: a group is a combination of the levels of all columns that occurs in the data. False:
        a group is a level of one column, and each row is in one group per column.
    missing : {"error", "group", "ignore"}, default="error"
        What a missing value means. "group": the missing form a level of their own,
        ``"(missing)"``. "ignore": the row is in no group (code -1): it trains the task and takes
        no part in the fairness term.
    unseen : {"error", "ignore"}, default="error"
        What `transform` does with a group that `fit` has not seen. "ignore": code -1, with a
        warning.
    min_group_size : int, default=0
        A group with fewer rows than this in `fit` is small.
    small : {"keep", "merge", "error"}, default="keep"
        What happens to small groups. "merge": they become one group, ``"(small groups)"``.

    Attributes
    ----------
    columns_ : tuple of str
        Names of the columns.
    levels_ : tuple of tuple
        Levels of each column, sorted.
    labels_ : tuple of tuple
        Groups, each with one level per column.
    counts_ : ndarray of int64, shape (n_groups,)
        Rows of each group seen in `fit`.

    See Also
    --------
    MembershipEncoder : Overlapping groups.
    SensitiveEncoder : Continuous attributes and distances.

    Examples
    --------
    >>> import pandas as pd
    >>> from fairgroup.groups import GroupEncoder
    >>> people = pd.DataFrame({"sex": ["f", "m", "m", "f"], "race": ["a", "a", "b", "a"]})
    >>> encoder = GroupEncoder().fit(people)
    >>> encoder.labels_
    (('f', 'a'), ('m', 'a'), ('m', 'b'))
    >>> encoder.transform(people).codes
    array([0, 1, 2, 0], dtype=int32)
    """

    _parameter_constraints = {  # noqa: RUF012
        "intersections": ["boolean"],
        "missing": [StrOptions({"error", "group", "ignore"})],
        "unseen": [StrOptions({"error", "ignore"})],
        "min_group_size": [Interval(Integral, 0, None, closed="left")],
        "small": [StrOptions({"keep", "merge", "error"})],
    }

    def __init__(
        self,
        *,
        intersections: bool = True,
        missing: str = "error",
        unseen: str = "error",
        min_group_size: int = 0,
        small: str = "keep",
    ) -> None:
        self.intersections = intersections
        self.missing = missing
        self.unseen = unseen
        self.min_group_size = min_group_size
        self.small = small

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, sensitive_features: Any, y: Any = None) -> Self:
        """Learn the groups.

        Parameters
        ----------
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Protected attributes: text, integers, booleans or categories.
        y : None
            Ignored.

        Returns
        -------
        self : GroupEncoder

        Raises
        ------
        ValueError
            For no rows, a missing value (unless allowed), a continuous column, or small groups
            with ``small="error"``.
        """
        self._learn(sensitive_features)
        return self

    def transform(self, sensitive_features: Any) -> GroupCodes:
        """Encode rows.

        Parameters
        ----------
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            The columns that `fit` has seen; a frame may have them in another order.

        Returns
        -------
        groups : GroupCodes

        Raises
        ------
        UnseenGroupError
            For a group that `fit` has not seen, with ``unseen="error"``.
        ValueError
            For other columns than in `fit`, or a missing value with ``missing="error"``.

        Warns
        -----
        FairnessWarning
            When rows are in no group, with their number.
        """
        check_is_fitted(self)
        frame, named = sensitive_frame(sensitive_features)
        frame = self._match_columns(frame, named)
        coded = [
            self._look_up(frame[c], levels)
            for c, levels in zip(self.columns_, self.levels_, strict=True)
        ]
        return self._encode(frame, coded)

    @fit_context(prefer_skip_nested_validation=True)
    def fit_transform(self, sensitive_features: Any, y: Any = None) -> GroupCodes:
        """Learn the groups and encode the same rows.

        Parameters
        ----------
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Protected attributes.
        y : None
            Ignored.

        Returns
        -------
        groups : GroupCodes
        """
        return self._encode(*self._learn(sensitive_features))

    def _learn(self, sensitive_features: Any) -> tuple[pd.DataFrame, list[NDArray[np.int64]]]:
        frame, self._named = sensitive_frame(sensitive_features)
        if not len(frame):
            raise ValueError(
                "sensitive_features has no rows; at least one is needed to learn groups."
            )
        self.columns_ = tuple(frame.columns)
        fitted = [self._fit_column(frame[column]) for column in frame.columns]
        coded = [codes for codes, _ in fitted]
        self.levels_ = tuple(levels for _, levels in fitted)
        self._by_column = [
            _Partition.learn([codes], (levels,), self.min_group_size, self.small)
            for codes, levels in fitted
        ]
        self._joint = self._by_column[0]
        if len(coded) > 1 and self.intersections:
            self._joint = _Partition.learn(coded, self.levels_, self.min_group_size, self.small)
        self.labels_, self.counts_ = self._labels_and_counts()
        if self.small == "error":
            self._refuse_small()
        return frame, coded

    def _encode(self, frame: pd.DataFrame, coded: list[NDArray[np.int64]]) -> GroupCodes:
        by_column = [
            part.assign([codes]) for part, codes in zip(self._by_column, coded, strict=True)
        ]
        one_partition = self.intersections and len(coded) > 1
        assigned = [self._joint.assign(coded)] if one_partition else by_column
        self._report_unseen(frame, assigned)
        return self._group_codes(assigned, by_column)

    def _fit_column(self, column: pd.Series) -> tuple[NDArray[np.int64], tuple[Hashable, ...]]:
        codes, levels = factorize(column)
        check_discrete(column, len(levels))
        absent = codes < 0
        if absent.any():
            self._refuse_missing(column, absent)
            if self.missing == "group":
                codes, levels = np.where(absent, len(levels), codes), (*levels, MISSING)
        return codes, levels

    def _look_up(self, column: pd.Series, levels: tuple[Hashable, ...]) -> NDArray[np.int64]:
        codes = lookup(column, levels)
        absent = codes == -1
        if absent.any():
            self._refuse_missing(column, absent)
            if self.missing == "group":
                codes[absent] = levels.index(MISSING) if MISSING in levels else _UNSEEN
        return codes

    def _refuse_missing(self, column: pd.Series, absent: NDArray[np.bool_]) -> None:
        if self.missing == "error":
            raise ValueError(
                f"Column {column.name!r} of sensitive_features has {int(absent.sum())} missing "
                f'values (first in row {int(absent.argmax())}). Use missing="group" to make them '
                'a group of their own, or missing="ignore" to leave these rows out of the '
                "fairness term."
            )

    def _match_columns(self, frame: pd.DataFrame, named: bool) -> pd.DataFrame:
        if named and self._named:
            lost = [column for column in self.columns_ if column not in frame.columns]
            if lost:
                raise ValueError(
                    f"sensitive_features lacks the columns {lost} that were there in fit; "
                    f"found {list(frame.columns)}."
                )
            return frame[list(self.columns_)]
        if frame.shape[1] != len(self.columns_):
            raise ValueError(
                f"sensitive_features has {frame.shape[1]} columns, "
                f"but {len(self.columns_)} in fit."
            )
        return frame.set_axis(list(self.columns_), axis=1)

    def _labels_and_counts(self) -> tuple[tuple[tuple[Hashable, ...], ...], NDArray[np.int64]]:
        if self.intersections:
            return self._joint.labels, self._joint.counts
        width = len(self.columns_)
        labels = tuple(
            tuple(label[0] if i == j else ALL for i in range(width))
            for j, part in enumerate(self._by_column)
            for label in part.labels
        )
        return labels, np.concatenate([part.counts for part in self._by_column])

    def _refuse_small(self) -> None:
        small = [
            f"{label} ({n})"
            for label, n in zip(self.labels_, self.counts_, strict=True)
            if n < self.min_group_size
        ]
        if small:
            raise ValueError(
                f"Groups with fewer than min_group_size={self.min_group_size} rows: "
                f"{', '.join(small)}. "
                'Merge levels, or use small="merge" or small="keep".'
            )

    def _report_unseen(self, frame: pd.DataFrame, assigned: list[NDArray[np.int64]]) -> None:
        outside = [codes for codes in assigned if codes.min(initial=0) < 0]
        if not outside:
            return
        unseen = np.logical_or.reduce([codes == _UNSEEN for codes in outside])
        absent = np.logical_or.reduce([codes == -1 for codes in outside])
        if unseen.any():
            values = frame[unseen].drop_duplicates().head(5)
            shown = "; ".join(
                ", ".join(f"{c}={v}" for c, v in row.items()) for _, row in values.iterrows()
            )
            found = (
                f"{int(unseen.sum())} rows belong to groups that were not there in fit ({shown})"
            )
            if self.unseen == "error":
                raise UnseenGroupError(
                    f'{found}. Use unseen="ignore" to leave such rows unmitigated, with a warning.'
                )
            warnings.warn(f"{found}; they are left unmitigated.", FairnessWarning, stacklevel=3)
        if absent.any():
            warnings.warn(
                f"{int(absent.sum())} rows have a missing protected attribute; "
                "they take no part in the fairness term.",
                FairnessWarning,
                stacklevel=3,
            )

    def _group_codes(
        self, assigned: list[NDArray[np.int64]], by_column: list[NDArray[np.int64]]
    ) -> GroupCodes:
        marginals = {
            column: _pack(codes, part.labels, (column,))
            for column, codes, part in zip(self.columns_, by_column, self._by_column, strict=True)
        }
        if self.intersections:
            if len(self.columns_) == 1:
                return marginals[self.columns_[0]]
            return _pack(assigned[0], self.labels_, self.columns_, marginals)
        offsets = np.cumsum([0, *(len(part.labels) for part in self._by_column[:-1])])
        stacked = np.column_stack(
            [
                np.where(codes < 0, -1, codes + start)
                for codes, start in zip(by_column, offsets, strict=True)
            ]
        )
        return _pack(stacked, self.labels_, self.columns_, marginals)


@dataclass(frozen=True)
class _Partition:
    """The combinations of some columns' levels that occur, and the group that each belongs to."""

    sizes: tuple[int, ...]
    keys: NDArray[np.int64]
    group_of_key: NDArray[np.int64]
    labels: tuple[tuple[Hashable, ...], ...]
    counts: NDArray[np.int64]

    @classmethod
    def learn(
        cls,
        coded: list[NDArray[np.int64]],
        levels: tuple[tuple[Hashable, ...], ...],
        min_group_size: int,
        small: str,
    ) -> _Partition:
        sizes = tuple(len(level) for level in levels)
        keys, counts = _unique(_keys(coded, sizes), math.prod(sizes))
        labels = [
            tuple(level[i] for level, i in zip(levels, np.unravel_index(key, sizes), strict=True))
            for key in keys
        ]
        group_of_key = np.arange(len(keys))
        merged = counts < min_group_size if small == "merge" else np.zeros(len(keys), bool)
        if merged.any():
            group_of_key = np.where(merged, (~merged).sum(), np.cumsum(~merged) - 1)
            labels = [label for label, gone in zip(labels, merged, strict=True) if not gone]
            labels.append((SMALL,) * len(levels))
            counts = np.append(counts[~merged], counts[merged].sum())
        return cls(sizes, keys, group_of_key, tuple(labels), counts)

    def assign(self, coded: list[NDArray[np.int64]]) -> NDArray[np.int64]:
        """Return the group of each row, -1 where a value is missing, -2 where the combination is
        unseen.
        """
        keys = _keys(coded, self.sizes)
        n_keys = math.prod(self.sizes)
        if n_keys <= max(len(keys), _SMALL_TABLE):
            table = np.full(n_keys + 2, _UNSEEN)
            table[self.keys] = self.group_of_key
            table[-1] = -1
            return table[keys]
        at = np.searchsorted(self.keys, keys).clip(max=len(self.keys) - 1)
        groups = np.where(self.keys[at] == keys, self.group_of_key[at], _UNSEEN)
        return np.where(keys == -1, -1, groups)


def _keys(coded: list[NDArray[np.int64]], sizes: tuple[int, ...]) -> NDArray[np.int64]:
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
        missing = np.logical_or.reduce([codes == -1 for codes in coded])
        unseen = np.logical_or.reduce([codes == _UNSEEN for codes in coded])
        key = np.where(missing, -1, np.where(unseen, _UNSEEN, key))
    return key


def _unique(keys: NDArray[np.int64], n_keys: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the sorted keys that occur (-1 left out) and how often; by counting where the table
    is small.
    """
    if n_keys <= max(len(keys), _SMALL_TABLE):
        counts = np.bincount(keys + 1, minlength=n_keys + 1)[1:]
        found = np.flatnonzero(counts)
        return found, counts[found].astype(np.int64)
    return np.unique(keys[keys >= 0], return_counts=True)


def _pack(
    codes: NDArray[np.int64],
    labels: tuple[tuple[Hashable, ...], ...],
    columns: tuple[str, ...],
    marginals: dict[str, GroupCodes] | None = None,
) -> GroupCodes:
    packed = np.maximum(codes, -1).astype(np.int32)
    return GroupCodes(packed, labels, count(packed, len(labels)), columns, marginals or {})
