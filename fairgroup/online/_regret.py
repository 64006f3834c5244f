"""Regret on every group of any sequence of predictions, against the best model in hindsight."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import cho_factor, cho_solve, qr
from sklearn.utils.validation import check_array, check_consistent_length, column_or_1d

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import MembershipEncoder
from fairgroup.groups._membership_encoder import EVERYONE, check_memberships
from fairgroup.utils._validation import check_weights

__all__ = ["groupwise_regret", "least_squares_course", "ridge_course"]

Floats = NDArray[np.float64]
_RANK_CUT = 1e-9  # relative; below it a column is a combination of the others


def groupwise_regret(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    *,
    sensitive_features: Any = None,
    memberships: Any = None,
    X: ArrayLike | None = None,
    comparator: Any = "ols",
    alpha: float = 1.0,
    sample_weight: ArrayLike | None = None,
    checkpoints: int | None = None,
    always_on: bool = True,
) -> pd.DataFrame:
    """Cumulative squared loss of each group beyond that of the best linear model for the group.

    Rows are a time order; the predictions may come from any model. The comparator of a group knows
    all its rows (with ``checkpoints``: all up to the checkpoint), and is fitted to this group
    alone.

    Parameters
    ----------
    y_true, y_pred : array-like of shape (n_samples,)
        Labels, and predictions made before each label was known.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
        Protected attributes; each level is a group.
    memberships : array-like or DataFrame of shape (n_samples, n_groups), default=None
        Memberships in [0, 1], instead of ``sensitive_features``.
    X : array-like of shape (n_samples, n_features), default=None
        Features of the comparator, without intercept (add a column of ones if wanted). Needed
        unless ``comparator`` is an array.
    comparator : {"ols", "ridge"} or array-like of shape (n_samples,), default="ols"
        "ols": unregularised least squares, whatever the rank of X. "ridge": the least value of
        ``alpha ||theta||^2 +`` squared errors. An array: predictions of any other model.
    alpha : float, default=1.0
        Of "ridge".
    sample_weight : array-like of shape (n_samples,), default=None
        Multiplies the memberships.
    checkpoints : int, default=None
        Give the course at (up to) so many points of each group, equally spaced in its rows. None:
        the end only.
    always_on : bool, default=True
        Whether a group ``"everyone"`` comes first.

    Returns
    -------
    regret : DataFrame
        Columns ``n`` (rows), ``size`` (sum of memberships), ``loss``, ``hindsight``, ``regret``;
        index ``group``, with checkpoints ``(group, row)`` where ``row`` counts the rows of the
        stream.

    Raises
    ------
    ValueError
        For missing X, both or neither way of giving groups, or shapes that do not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.online import groupwise_regret
    >>> X = np.array([[1.0], [2.0], [1.0], [3.0]])
    >>> y, sex = np.array([1.0, 2.0, -1.0, -3.0]), np.array(["f", "f", "m", "m"])
    >>> groupwise_regret(y, np.zeros(4), sensitive_features=sex, X=X)["regret"].round(3)
    group
    everyone                  1.667
    sensitive_feature_0=f     5.000
    sensitive_feature_0=m    10.000
    Name: regret, dtype: float64
    """
    truth = column_or_1d(np.asarray(y_true, dtype=np.float64))
    played = column_or_1d(np.asarray(y_pred, dtype=np.float64))
    check_consistent_length(truth, played)
    member, names = _groups(len(truth), sensitive_features, memberships, always_on)
    member = member * check_weights(sample_weight, len(truth))[:, None]
    features, other = _comparator(comparator, X, truth)
    tables = []
    for g, name in enumerate(names):
        rows = np.flatnonzero(member[:, g])
        ends = _ends(len(rows), checkpoints)
        weight = member[rows, g]
        loss = np.cumsum(weight * (played[rows] - truth[rows]) ** 2)
        if other is not None:
            best = np.cumsum(weight * (other[rows] - truth[rows]) ** 2)[ends - 1]
        else:
            assert features is not None
            course = ridge_course if comparator == "ridge" else least_squares_course
            extra = {"alpha": alpha} if comparator == "ridge" else {}
            best = course(features[rows], truth[rows], ends, weight=weight, **extra)
        tables.append(
            pd.DataFrame(
                {
                    "group": name,
                    "row": rows[ends - 1],
                    "n": ends,
                    "size": np.cumsum(weight)[ends - 1],
                    "loss": loss[ends - 1],
                    "hindsight": best,
                    "regret": loss[ends - 1] - best,
                }
            )
        )
    table = pd.concat(tables, ignore_index=True)
    if checkpoints is None:
        return table.drop(columns="row").set_index("group").reindex(list(names))
    return table.set_index(["group", "row"])


def _groups(
    n_rows: int, sensitive_features: Any, memberships: Any, always_on: bool
) -> tuple[Floats, tuple[str, ...]]:
    if (sensitive_features is None) == (memberships is None) and not (
        always_on and memberships is None
    ):
        raise ValueError("Give either sensitive_features or memberships.")
    if memberships is not None:
        matrix, names = check_memberships(memberships, n_samples=n_rows)
    elif sensitive_features is not None:
        encoder = MembershipEncoder()
        matrix = encoder.fit_transform(sensitive_features)
        names = encoder.names_
        check_consistent_length(matrix, np.empty(n_rows))
    else:
        warnings.warn(
            "Neither sensitive_features nor memberships was given: everyone is one group.",
            FairnessWarning,
            stacklevel=3,
        )
        matrix, names = np.empty((n_rows, 0)), ()
    if always_on and EVERYONE not in names:
        return np.hstack([np.ones((n_rows, 1)), matrix]), (EVERYONE, *names)
    return matrix, names


def _comparator(
    comparator: Any, X: ArrayLike | None, y_true: Floats
) -> tuple[Floats | None, Floats | None]:
    if not isinstance(comparator, str):
        other = column_or_1d(np.asarray(comparator, dtype=np.float64))
        check_consistent_length(y_true, other)
        return None, other
    if comparator not in ("ols", "ridge"):
        raise ValueError(
            f'comparator must be "ols", "ridge" or an array of predictions; found {comparator!r}.'
        )
    if X is None:
        raise ValueError(f'comparator="{comparator}" needs the features X.')
    features = check_array(X, dtype=np.float64)
    check_consistent_length(y_true, features)
    return features, None


def _ends(n: int, checkpoints: int | None) -> NDArray[np.int64]:
    """Numbers of rows at which the course is read."""
    if n == 0:
        return np.empty(0, dtype=np.int64)
    if checkpoints is None:
        return np.array([n])
    k = min(int(checkpoints), n)
    return np.unique(np.linspace(max(n // k, 1), n, k).astype(np.int64))


def least_squares_course(
    X: Floats, y: Floats, ends: NDArray[np.int64], *, weight: Floats | None = None
) -> Floats:
    """Least squared error of any coefficients on the first ``m`` rows, for every m in ``ends``.

    The triangular factor of [X y] is carried from checkpoint to checkpoint, at the cost of one
    small factorisation each; the residual left is read from a column-pivoted factorisation, so
    that collinear columns do no harm.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    y : ndarray of shape (n,)
    ends : ndarray of int
        Increasing.
    weight : ndarray of shape (n,), default=None

    Returns
    -------
    residual : ndarray of shape (len(ends),)
    """
    root = np.ones(len(y)) if weight is None else np.sqrt(weight)
    rows = np.column_stack([X, y]) * root[:, None]
    factor = np.empty((0, rows.shape[1]))
    course, start = np.empty(len(ends)), 0
    for i, end in enumerate(ends):
        factor = qr(
            np.vstack([factor, rows[start:end]]), mode="r", check_finite=False, pivoting=False
        )[0][: rows.shape[1]]
        course[i], start = _residual(factor), end
    return course


def _residual(factor: Floats) -> float:
    """Least |r - R theta|^2 for the triangular factor [R r], also of a rank deficient R."""
    R, r = factor[:, :-1], factor[:, -1]
    basis, lead, _ = qr(R, mode="economic", pivoting=True, check_finite=False)
    size = np.abs(np.diagonal(lead))
    kept = size > _RANK_CUT * size.max(initial=0.0)
    basis = basis[:, : len(size)][:, kept]
    rest = r - basis @ (basis.T @ r)
    return float(rest @ rest)


def ridge_course(
    X: Floats,
    y: Floats,
    ends: NDArray[np.int64],
    *,
    weight: Floats | None = None,
    alpha: float = 1.0,
) -> Floats:
    """Least ridge objective on the first ``m`` rows, for every m in ``ends``.

    Parameters
    ----------
    X : ndarray of shape (n, d)
    y : ndarray of shape (n,)
    ends : ndarray of int
        Increasing.
    weight : ndarray of shape (n,), default=None
    alpha : float, default=1.0

    Returns
    -------
    objective : ndarray of shape (len(ends),)
    """
    scale = np.ones(len(y)) if weight is None else weight
    gram, moment, square = alpha * np.eye(X.shape[1]), np.zeros(X.shape[1]), 0.0
    course, start = np.empty(len(ends)), 0
    for i, end in enumerate(ends):
        part = X[start:end] * scale[start:end, None]
        gram += part.T @ X[start:end]
        moment += part.T @ y[start:end]
        square += float(scale[start:end] @ y[start:end] ** 2)
        course[i] = square - float(moment @ cho_solve(cho_factor(gram), moment))
        start = end
    return course
