"""Estimated group membership from surname and place, and counts corrected for known
misclassification.

Bayesian improved surname geocoding: Elliott et al., Health Services and Outcomes Research
Methodology 9 (2009).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


def bisg_posterior(
    p_group_given_surname: ArrayLike | None,
    p_place_given_group: ArrayLike | None = None,
    *,
    prior: ArrayLike | None = None,
) -> Floats:
    """Group probabilities of people from their surname and where they live.

    P(group | surname, place) is proportional to P(group | surname) P(place | group). A row of NaN
    means that the surname (or place) of that person is unknown: then P(group | place) from the
    prior, or P(group | surname), or the prior alone is returned.

    Parameters
    ----------
    p_group_given_surname : array-like of shape (n, K) or None
        From a surname table.
    p_place_given_group : array-like of shape (n, K) or None, default=None
        Share of each group that lives in the person's place; rows need not sum to one.
    prior : array-like of shape (K,), default=None
        P(group); None is uniform. Used where the surname is unknown.

    Returns
    -------
    posterior : ndarray of shape (n, K)
        Rows sum to one.

    Raises
    ------
    ValueError
        For negative entries, shapes that do not fit, and a person for whom no group is possible.

    Notes
    -----
    These are estimates for aggregates, not facts about a person. Sums of posteriors are unbiased
    only where the tables are calibrated for the people who were counted.

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.ranking import bisg_posterior
    >>> bisg_posterior([[0.05, 0.82, 0.03, 0.10]], [[1e-4, 4e-4, 2e-4, 1e-4]]).round(4)
    array([[0.0143, 0.9398, 0.0172, 0.0287]])
    """
    tables = [None if t is None else np.atleast_2d(np.asarray(t, dtype=np.float64))
              for t in (p_group_given_surname, p_place_given_group)]  # fmt: skip
    given = [t for t in tables if t is not None]
    if not given:
        raise ValueError("Give p_group_given_surname, p_place_given_group or both.")
    if any(t.shape != given[0].shape or t.ndim != 2 for t in given):
        raise ValueError(f"Both tables must have shape (n, K), found {[t.shape for t in given]}.")
    n_groups = given[0].shape[1]
    base = (
        np.full(n_groups, 1 / n_groups) if prior is None else np.asarray(prior, dtype=np.float64)
    )
    if base.shape != (n_groups,) or not (base >= 0).all() or base.sum() <= 0:
        raise ValueError(f"prior must hold {n_groups} shares >= 0, found {base}.")
    by_name = _or_default(tables[0], base, given[0].shape, "p_group_given_surname")
    by_place = _or_default(tables[1], np.ones(n_groups), given[0].shape, "p_place_given_group")
    joint = by_name * by_place
    total = joint.sum(axis=1, keepdims=True)
    if not (total > 0).all():
        row = int(np.argmin(total > 0))
        raise ValueError(f"row {row}: surname and place exclude every group; smooth the tables.")
    return joint / total


def correct_counts(counts: ArrayLike, confusion: ArrayLike) -> Floats:
    """Undo the known misclassification of a group classifier in counts of predicted groups.

    Parameters
    ----------
    counts : array-like of shape (K,) or (n_items, K)
        Counts by predicted group.
    confusion : array-like of shape (K, K)
        ``confusion[i, j]`` = P(predicted i | true j); columns sum to one.

    Returns
    -------
    corrected : ndarray of the same shape
        Counts by true group with the same total: the solution of the linear system, projected to
        the simplex.

    Raises
    ------
    ValueError
        When the columns do not sum to one or the matrix cannot be inverted.

    Examples
    --------
    >>> from fairgroup.ranking import correct_counts
    >>> correct_counts([520, 480], [[0.9, 0.1], [0.1, 0.9]])
    array([525., 475.])
    """
    b = np.asarray(confusion, dtype=np.float64)
    n = np.asarray(counts, dtype=np.float64)
    if b.ndim != 2 or b.shape != (n.shape[-1], n.shape[-1]):
        raise ValueError(f"confusion must have shape {(n.shape[-1],) * 2}, found {b.shape}.")
    if not (b >= 0).all() or np.abs(b.sum(axis=0) - 1).max() > 1e-3:
        raise ValueError(
            "columns of confusion are P(predicted | true) and must sum to 1, "
            f"found {b.sum(axis=0)}; transpose it?"
        )
    if np.linalg.cond(b) > 1e8:
        raise ValueError("confusion is singular: these predictions cannot tell the groups apart.")
    total = n.sum(axis=-1, keepdims=True)
    solved = np.linalg.solve(b, n[..., None])[..., 0]
    shares = project_to_simplex(
        solved / np.where(total == 0, 1, solved.sum(axis=-1, keepdims=True))
    )
    return np.where(total == 0, 0.0, shares * total)


def project_to_simplex(points: Any) -> Floats:
    """Nearest points with entries >= 0 that sum to one, by sorting, along the last axis."""
    x = np.asarray(points, dtype=np.float64)
    descending = -np.sort(-x, axis=-1)
    excess = (np.cumsum(descending, axis=-1) - 1) / np.arange(1, x.shape[-1] + 1)
    last = (descending > excess).sum(axis=-1, keepdims=True) - 1
    return np.maximum(x - np.take_along_axis(excess, last, axis=-1), 0.0)


def _or_default(
    table: Floats | None, default: Floats, shape: tuple[int, ...], name: str
) -> Floats:
    """The table with unknown (NaN) rows, or an absent table, replaced by the default."""
    if table is None:
        return np.broadcast_to(default, shape)
    unknown = np.isnan(table).all(axis=1, keepdims=True)
    filled = np.where(unknown, default, table)
    if not (filled >= 0).all():
        raise ValueError(
            f"{name} must hold numbers >= 0; a row that is unknown is NaN throughout."
        )
    return filled
