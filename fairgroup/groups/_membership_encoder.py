"""Protected attributes -> overlapping groups, as a matrix of memberships."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from numbers import Integral
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.utils.validation import check_is_fitted

from fairgroup.groups._frame import frame_as_fitted, frame_to_fit, sensitive_frame
from fairgroup.groups._levels import Codes, Levels, learn_levels, look_up
from fairgroup.groups._partition import Partition, report_outside
from fairgroup.groups._shown import GroupsShown, rows_text
from fairgroup.utils._sklearn import Interval, StrOptions, fit_context

EVERYONE = "everyone"


class MembershipEncoder(GroupsShown, TransformerMixin, BaseEstimator):
    """Encode protected attributes as overlapping groups.

    Every level of every column is a group, so that a row is in several of them; intersections of
    columns and a group of everyone can be added.

    Parameters
    ----------
    intersections : bool, default=False
        Whether the combinations of two or more columns are groups as well.
    max_arity : int or None, default=None
        Most columns that are combined, with ``intersections=True``. None combines up to all.
    min_group_size : int, default=0
        Intersections with fewer rows than this in `fit` are left out and listed in
        ``left_out_``. Levels of single columns are always kept, so that nobody is in no group.
    fractional : sequence of str, default=()
        Columns that are memberships already, with numbers in [0, 1] (a probability of belonging
        to a group, for example); they are taken as they are.
    everyone : bool, default=False
        Whether the first group is ``"everyone"``, a column of ones.
    missing : {"error", "group", "ignore"}, default="error"
        As in `GroupEncoder`; "ignore" leaves the row out of the groups that need the value.
    unseen : {"error", "ignore"}, default="error"
        As in `GroupEncoder`; "ignore" leaves the row out of the groups that need the level.

    Attributes
    ----------
    columns_ : tuple of str
        Names of the columns.
    names_ : tuple of str
        One name per group, such as ``"sex=f"`` or ``"sex=f, race=a"``.
    counts_ : ndarray of shape (n_groups,)
        Sum of memberships of each group in `fit`.
    left_out_ : tuple of str
        Intersections that were smaller than ``min_group_size``.

    See Also
    --------
    GroupEncoder : Groups that do not overlap.

    Examples
    --------
    >>> from fairgroup.groups import MembershipEncoder
    >>> people = {"sex": ["f", "m", "m"], "old": [True, True, False]}
    >>> encoder = MembershipEncoder().fit(people)
    >>> encoder.names_
    ('sex=f', 'sex=m', 'old=False', 'old=True')
    >>> encoder.transform(people)
    array([[1., 0., 0., 1.],
           [0., 1., 0., 1.],
           [0., 1., 1., 0.]])
    """

    _parameter_constraints = {
        "intersections": ["boolean"],
        "max_arity": [Interval(Integral, 1, None, closed="left"), None],
        "min_group_size": [Interval(Integral, 0, None, closed="left")],
        "fractional": ["array-like"],
        "everyone": ["boolean"],
        "missing": [StrOptions({"error", "group", "ignore"})],
        "unseen": [StrOptions({"error", "ignore"})],
    }

    def __init__(
        self,
        *,
        intersections: bool = False,
        max_arity: int | None = None,
        min_group_size: int = 0,
        fractional: Sequence[str] = (),
        everyone: bool = False,
        missing: str = "error",
        unseen: str = "error",
    ) -> None:
        self.intersections = intersections
        self.max_arity = max_arity
        self.min_group_size = min_group_size
        self.fractional = fractional
        self.everyone = everyone
        self.missing = missing
        self.unseen = unseen

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, sensitive_features: Any, y: Any = None) -> Self:
        """Learn the groups.

        Parameters
        ----------
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Protected attributes: text, integers, booleans, categories; and the columns named in
            ``fractional``.
        y : None
            Ignored.

        Returns
        -------
        self : MembershipEncoder

        Raises
        ------
        ValueError
            As `GroupEncoder.fit`; and for ``fractional`` columns that are not there or not in
            [0, 1].
        """
        frame, named = frame_to_fit(sensitive_features)
        lost = [column for column in self.fractional if column not in frame.columns]
        if lost:
            raise ValueError(
                f"fractional names {lost}, but the columns are {list(frame.columns)}."
            )
        discrete = [column for column in frame.columns if column not in self.fractional]
        fitted = {column: learn_levels(frame[column], self.missing) for column in discrete}
        codes = {column: codes for column, (codes, _) in fitted.items()}
        self._levels = {column: levels for column, (_, levels) in fitted.items()}
        self._parts = {
            columns: Partition.learn(
                [codes[column] for column in columns], [self._levels[c] for c in columns]
            )
            for columns in self._column_sets(discrete)
        }
        self._kept = [
            (part.counts >= self.min_group_size) | (len(columns) == 1)
            for columns, part in self._parts.items()
        ]
        self.columns_, self._named = tuple(frame.columns), named
        self.names_, self.left_out_ = self._names()
        self.counts_ = np.concatenate(
            [
                [float(len(frame))] * self.everyone,
                *(
                    part.counts[k]
                    for part, k in zip(self._parts.values(), self._kept, strict=True)
                ),
                *(_as_given(frame, column).sum(axis=0) for column in self.fractional),
            ]
        )
        return self

    def transform(self, sensitive_features: Any) -> NDArray[np.float64]:
        """Return the memberships of rows.

        Parameters
        ----------
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            The columns that `fit` has seen.

        Returns
        -------
        memberships : ndarray of shape (n_samples, n_groups)
            In {0, 1}, or in [0, 1] for ``fractional`` columns.

        Raises
        ------
        UnseenGroupError
            For a level or combination that `fit` has not seen, with ``unseen="error"``.
        """
        check_is_fitted(self)
        frame = frame_as_fitted(sensitive_features, self.columns_, named=self._named)
        codes = {
            column: look_up(frame[column], levels, self.missing)
            for column, levels in self._levels.items()
        }
        return self._stack(frame, codes)

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[np.object_]:
        """Return the names of the groups.

        Parameters
        ----------
        input_features : None
            Ignored; the columns are those seen in `fit`.

        Returns
        -------
        names : ndarray of object, shape (n_groups,)
        """
        check_is_fitted(self)
        return np.array(self.names_, dtype=object)

    def _groups_seen(self) -> list[tuple[str, str]]:
        if not hasattr(self, "names_"):
            return []
        return list(zip(self.names_, map(rows_text, self.counts_), strict=True))

    def _column_sets(self, discrete: list[str]) -> list[tuple[str, ...]]:
        most = 1
        if self.intersections:
            most = len(discrete) if self.max_arity is None else self.max_arity
        arities = range(1, min(most, len(discrete)) + 1)
        return [columns for arity in arities for columns in combinations(discrete, arity)]

    def _names(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        named = [
            (_name(columns, label), kept)
            for (columns, part), keep in zip(self._parts.items(), self._kept, strict=True)
            for label, kept in zip(part.labels, keep, strict=True)
        ]
        first = (EVERYONE,) if self.everyone else ()
        groups = tuple(name for name, kept in named if kept)
        left_out = tuple(name for name, kept in named if not kept)
        return (*first, *groups, *map(str, self.fractional)), left_out

    def _stack(self, frame: pd.DataFrame, codes: dict[str, Codes]) -> NDArray[np.float64]:
        assigned = [
            part.assign([codes[column] for column in columns])
            for columns, part in self._parts.items()
        ]
        report_outside(frame, assigned, unseen=self.unseen)
        memberships = np.zeros((len(frame), len(self.names_)))
        memberships[:, : self.everyone] = 1.0
        start = int(self.everyone)
        for groups, kept in zip(assigned, self._kept, strict=True):
            # Place of each group among the kept ones; the last two for rows in no group.
            place = np.append(np.where(kept, start + np.cumsum(kept) - 1, -1), [-1, -1])[groups]
            rows = np.flatnonzero(place >= 0)
            memberships[rows, place[rows]] = 1.0
            start += int(kept.sum())
        for column in self.fractional:
            memberships[:, [start]] = _as_given(frame, column)
            start += 1
        return memberships


def _as_given(frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
    """Return a column of memberships as (n_samples, 1)."""
    return check_memberships(frame[[column]], name=f"Column {column!r} of sensitive_features")[0]


def _name(columns: tuple[str, ...], label: Levels) -> str:
    return ", ".join(f"{column}={level}" for column, level in zip(columns, label, strict=True))


def check_memberships(
    memberships: ArrayLike | pd.DataFrame,
    *,
    n_samples: int | None = None,
    name: str = "memberships",
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Validate a matrix of memberships.

    Parameters
    ----------
    memberships : array-like of shape (n_samples, n_groups)
        Numbers in [0, 1].
    n_samples : int or None, default=None
        Number of rows that is expected.
    name : str, default="memberships"
        The argument's name in messages.

    Returns
    -------
    memberships : ndarray of float64, shape (n_samples, n_groups)
    names : tuple of str
        The columns' names, else ``"group_0"``, ...

    Raises
    ------
    ValueError
        For a wrong shape or a number outside [0, 1], NaN included.
    """
    frame, named = sensitive_frame(memberships, name=name, n_samples=n_samples)
    try:
        matrix = frame.to_numpy(dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be numbers in [0, 1]; found text.") from error
    bad = ~((matrix >= 0) & (matrix <= 1))
    if bad.any():
        row, column = np.argwhere(bad)[0]
        raise ValueError(
            f"{name} must be in [0, 1]; row {row}, column {frame.columns[column]!r} "
            f"is {matrix[row, column]}."
        )
    names = frame.columns if named else [f"group_{j}" for j in range(frame.shape[1])]
    return matrix, tuple(map(str, names))
