"""Entropies and mutual informations of count tables, in batches.

Everything inside the room is in nats; :func:`unit` converts to the base that the user asked for.
``0 log 0 = 0`` throughout, so empty cells, groups and clients need no special treatment.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import xlogy

__all__ = [
    "as_tables",
    "clip_rounding",
    "conditional_mutual_information",
    "information",
    "mutual_information",
    "normalise",
    "unit",
]

Array = NDArray[np.float64]
# A rounding error of a difference of entropies; anything more negative would be a bug and stays
# visible.
_ROUNDING = 1e-12


def mutual_information(table: ArrayLike, *, base: float | str = 2) -> Any:
    """Mutual information between the two variables of a contingency table.

    Parameters
    ----------
    table : array-like of shape (..., n_levels_a, n_levels_b)
        Counts, weights or probabilities; leading axes are a batch of tables. Each table is
        normalised.
    base : float or "e", default=2
        Base of the logarithm: 2 gives bits, ``"e"`` nats.

    Returns
    -------
    information : float or ndarray of shape (...)
        At least 0; 0 exactly when the two variables are independent in the table.

    Raises
    ------
    ValueError
        For negative or non-finite entries, a table without any mass, or fewer than two axes.

    Examples
    --------
    >>> from fairgroup.information import mutual_information
    >>> float(mutual_information([[50, 0], [0, 50]]))
    1.0
    """
    joint = normalise(as_tables(table, n_axes=2), n_axes=2)
    return _scalar(information(joint) / unit(base))


def conditional_mutual_information(table: ArrayLike, *, base: float | str = 2) -> Any:
    """Mutual information between the first two variables given the third.

    Parameters
    ----------
    table : array-like of shape (..., n_levels_a, n_levels_b, n_levels_given)
        Counts, weights or probabilities; leading axes are a batch of tables.
    base : float or "e", default=2
        Base of the logarithm: 2 gives bits, ``"e"`` nats.

    Returns
    -------
    information : float or ndarray of shape (...)
        The average over the given variable of the mutual information inside each of its levels; at
        least 0.

    Raises
    ------
    ValueError
        For negative or non-finite entries, a table without any mass, or fewer than three axes.

    Examples
    --------
    Two fair coins are independent, but not once their exclusive or is known.

    >>> import numpy as np
    >>> from fairgroup.information import conditional_mutual_information
    >>> xor = np.zeros((2, 2, 2))
    >>> for a in range(2):
    ...     for b in range(2):
    ...         xor[a, b, a ^ b] = 1
    >>> float(conditional_mutual_information(xor))
    1.0
    """
    joint = normalise(as_tables(table, n_axes=3), n_axes=3)
    per_level = information(np.moveaxis(joint, -1, -3))
    return _scalar(per_level.sum(-1) / unit(base))


def information(joint: Array) -> Array:
    """Mutual information in nats of the last two axes; the mass of a table scales the result.

    Parameters
    ----------
    joint : ndarray of shape (..., a, b)
        Not necessarily normalised: for a slice with mass q the result is q times its mutual
        information, so that slices of a larger table add up to a conditional mutual information.

    Returns
    -------
    information : ndarray of shape (...)
    """
    cells = xlogy(joint, joint).sum((-2, -1))
    rows, columns = joint.sum(-1), joint.sum(-2)
    mass = rows.sum(-1)
    value = cells - xlogy(rows, rows).sum(-1) - xlogy(columns, columns).sum(-1) + xlogy(mass, mass)
    return clip_rounding(value)


def clip_rounding(value: Array) -> Array:
    """Set the rounding error of a non-negative quantity, [-1e-12, 0), to zero."""
    return np.where((value < 0) & (value >= -_ROUNDING), 0.0, value)


def unit(base: float | str) -> float:
    """Nats per unit of information in the given base.

    Parameters
    ----------
    base : float or "e"
        2 for bits.

    Returns
    -------
    nats : float

    Raises
    ------
    ValueError
        For anything that is neither ``"e"`` nor a number above 1.
    """
    if isinstance(base, str) and base == "e":
        return 1.0
    if isinstance(base, str) or not base > 1:
        raise ValueError(
            f"base must be a number above 1 (2 gives bits) or 'e' (nats); found {base!r}."
        )
    return math.log(base)


def as_tables(table: ArrayLike, *, n_axes: int, name: str = "table") -> Array:
    """Check a batch of tables and return it as float64.

    Parameters
    ----------
    table : array-like of shape (..., d_1, ..., d_n_axes)
        Counts or probabilities.
    n_axes : int
        How many trailing axes make one table.
    name : str, default="table"
        Argument name in messages.

    Returns
    -------
    tables : ndarray of float64

    Raises
    ------
    ValueError
        For a wrong number of axes, an empty axis, negative or non-finite entries, or a table that
        is all zero.
    """
    tables = np.asarray(table, dtype=np.float64)
    if tables.ndim < n_axes:
        raise ValueError(f"{name} has {tables.ndim} axes; expected at least {n_axes}.")
    if 0 in tables.shape[-n_axes:]:
        raise ValueError(
            f"{name} has shape {tables.shape}; every variable needs at least one level."
        )
    if not np.isfinite(tables).all():
        raise ValueError(f"{name} holds NaN or infinite entries; give finite counts.")
    if (tables < 0).any():
        raise ValueError(
            f"{name} holds negative entries (smallest {tables.min()}); counts cannot be."
        )
    if (tables.sum(tuple(range(-n_axes, 0))) <= 0).any():
        raise ValueError(f"{name} is all zero; at least one row must be counted.")
    return tables


def normalise(tables: Array, *, n_axes: int) -> Array:
    """Divide each table, the last ``n_axes`` axes, by its total."""
    return tables / tables.sum(tuple(range(-n_axes, 0)), keepdims=True)


def _scalar(value: Array) -> Any:
    """Return a Python-friendly scalar for a single table."""
    return value[()] if np.ndim(value) == 0 else value
