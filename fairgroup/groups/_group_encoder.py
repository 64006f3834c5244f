"""Protected attributes -> a partition of the rows into groups.

The one encoder of groups and the one policy for rows whose group is missing, unseen or tiny.
"""

from __future__ import annotations

import warnings
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups._codes import ALL, GroupCodes, count, name_of
from fairgroup.groups._frame import frame_as_fitted, frame_to_fit
from fairgroup.groups._levels import Codes, Levels, learn_levels, look_up
from fairgroup.groups._partition import Partition, report_outside
from fairgroup.groups._shown import GroupsShown, rows_text
from fairgroup.utils._sklearn import Interval, StrOptions, fit_context


class GroupEncoder(GroupsShown, BaseEstimator):
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
        What happens to small groups. "merge": they become one group, ``"(small groups)"``, listed
        in ``merged_``; if even together they are small, a warning says so.

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
    merged_ : tuple of tuple
        Labels of the small groups that were merged.

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

    _parameter_constraints = {
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
            For no rows, a missing value (unless allowed), a continuous column, an identifier, or
            small groups with ``small="error"``.

        Warns
        -----
        FairnessWarning
            When the merged small groups are still small.
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
        frame = frame_as_fitted(sensitive_features, self.columns_, named=self._named)
        coded = [
            look_up(frame[column], levels, self.missing)
            for column, levels in zip(self.columns_, self.levels_, strict=True)
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

    def _groups_seen(self) -> list[tuple[str, str]]:
        if not hasattr(self, "labels_"):
            return []
        named = zip(self.labels_, self.counts_, strict=True)
        return [(name_of(self.columns_, label), rows_text(n)) for label, n in named]

    def _learn(self, sensitive_features: Any) -> tuple[pd.DataFrame, list[Codes]]:
        frame, named = frame_to_fit(sensitive_features)
        fitted = [learn_levels(frame[column], self.missing) for column in frame.columns]
        coded = [codes for codes, _ in fitted]
        levels = [levels for _, levels in fitted]
        merge_below = self.min_group_size if self.small == "merge" else 0
        by_column = [
            Partition.learn([codes], [level], merge_below=merge_below) for codes, level in fitted
        ]
        joint = by_column[0]
        if len(coded) > 1 and self.intersections:
            joint = Partition.learn(coded, levels, merge_below=merge_below)
        parts = [joint] if self.intersections else by_column
        if not all(part.labels for part in parts):
            raise ValueError(
                "No row of sensitive_features is in a group, because each misses a value; use "
                'missing="group" to make them a group of their own.'
            )
        labels = self._side_by_side([part.labels for part in parts])
        counts = np.concatenate([part.counts for part in parts])
        self._check_sizes(labels, counts)
        self.columns_, self._named = tuple(frame.columns), named
        self.levels_ = tuple(levels)
        self._by_column, self._joint = by_column, joint
        self.labels_, self.counts_ = labels, counts
        self.merged_ = self._side_by_side([part.merged for part in parts])
        return frame, coded

    def _check_sizes(self, labels: tuple[Levels, ...], counts: NDArray[np.int64]) -> None:
        """Refuse small groups, or warn where merging did not make them large enough."""
        small = ", ".join(
            f"{label if len(label) > 1 else label[0]} ({n})"
            for label, n in zip(labels, counts, strict=True)
            if n < self.min_group_size
        )
        found = f"Groups with fewer than min_group_size={self.min_group_size} rows"
        if small and self.small == "error":
            raise ValueError(
                f'{found}: {small}. Merge levels, or use small="merge" or small="keep".'
            )
        if small and self.small == "merge":
            warnings.warn(f"{found}, after merging: {small}.", FairnessWarning, stacklevel=5)

    def _side_by_side(self, labels: list[tuple[Levels, ...]]) -> tuple[Levels, ...]:
        """Concatenate the labels of several partitions, ``"*"`` in the place of other columns."""
        if self.intersections:
            return labels[0]
        return tuple(
            tuple(label[0] if i == j else ALL for i in range(len(labels)))
            for j, of_column in enumerate(labels)
            for label in of_column
        )

    def _encode(self, frame: pd.DataFrame, coded: list[Codes]) -> GroupCodes:
        by_column = [
            part.assign([codes]) for part, codes in zip(self._by_column, coded, strict=True)
        ]
        one_partition = self.intersections and len(coded) > 1
        assigned = [self._joint.assign(coded)] if one_partition else by_column
        report_outside(frame, assigned, unseen=self.unseen)
        marginals = {
            column: _pack(codes, part.labels, (column,))
            for column, codes, part in zip(self.columns_, by_column, self._by_column, strict=True)
        }
        if not self.intersections:
            return _pack(self._stack(by_column), self.labels_, self.columns_, marginals)
        if one_partition:
            return _pack(assigned[0], self.labels_, self.columns_, marginals)
        return marginals[self.columns_[0]]

    def _stack(self, by_column: list[Codes]) -> NDArray[np.int64]:
        """Return the groups of every column, numbered through, as (n_samples, n_columns)."""
        starts = np.cumsum([0, *(len(part.labels) for part in self._by_column[:-1])])
        return np.column_stack(
            [
                np.where(codes < 0, -1, codes + start)
                for codes, start in zip(by_column, starts, strict=True)
            ]
        )


def _pack(
    codes: Codes,
    labels: tuple[Levels, ...],
    columns: tuple[str, ...],
    marginals: dict[str, GroupCodes] | None = None,
) -> GroupCodes:
    packed = np.maximum(codes, -1).astype(np.int32)
    return GroupCodes(packed, labels, count(packed, len(labels)), columns, marginals or {})
