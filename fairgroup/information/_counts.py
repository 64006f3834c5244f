"""Rows to contingency tables: arrays, Series, frames in memory, and frames that stay where they
are.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairgroup.groups._frame import sensitive_frame
from fairgroup.groups._levels import factorize, look_up
from fairgroup.utils._cells import COUNT, cell_counts, is_distributed, pooled_columns
from fairgroup.utils._validation import check_weights

__all__ = ["Levels", "contingency_table", "count_cells", "encode"]

Levels = tuple[Hashable, ...]


def contingency_table(
    first: Any,
    second: Any,
    third: Any = None,
    *,
    data: Any = None,
    sample_weight: Any = None,
    levels: Sequence[Sequence[Hashable] | None] | None = None,
) -> tuple[NDArray[np.float64], tuple[Levels, ...]]:
    """Count the rows of every combination of two or three variables.

    Parameters
    ----------
    first, second, third : array-like of shape (n_samples,) or (n_samples, n_columns), or str
        The variables, in the order of the axes; several columns are one variable whose levels are
        their combinations. With ``data``, column names (or lists of them). ``third=None`` gives a
        two-way table.
    data : DataFrame or None, default=None
        pandas, polars (also lazy) or Dask frame. A Dask frame is counted by its own groupby; only
        the counts leave it.
    sample_weight : array-like of shape (n_samples,), or str with ``data``, default=None
        Row weights; the table then holds sums of weights.
    levels : sequence of (sequence or None), or None, default=None
        The levels of each variable, in this order; None lets the data decide. Sites that count on
        their own must agree on them.

    Returns
    -------
    table : ndarray of shape (n_levels_1, n_levels_2) or (n_levels_1, n_levels_2, n_levels_3)
        Counts.
    labels : tuple of tuple
        The levels along each axis.

    Raises
    ------
    ValueError
        For variables of different lengths, missing values, a value that is not among the given
        levels, or bad weights.

    Examples
    --------
    >>> from fairgroup.information import contingency_table
    >>> table, labels = contingency_table(["f", "m", "m"], [1, 0, 1], levels=[None, [0, 1]])
    >>> table
    array([[0., 1.],
           [1., 1.]])
    >>> labels
    (('f', 'm'), (0, 1))
    """
    variables = [first, second] if third is None else [first, second, third]
    if data is not None:
        variables, sample_weight = _from_frame(data, variables, sample_weight)
    elif any(is_distributed(v) for v in variables):
        variables, sample_weight = pooled_columns(variables, sample_weight)
    wanted = [None] * len(variables) if levels is None else list(levels)
    if len(wanted) != len(variables):
        raise ValueError(f"levels has {len(wanted)} entries for {len(variables)} variables.")
    names = ("first", "second", "third")
    pairs = [
        encode(v, name=n, levels=w) for v, n, w in zip(variables, names, wanted, strict=False)
    ]
    codes, labels = [c for c, _ in pairs], tuple(found for _, found in pairs)
    return count_cells(codes, [len(found) for found in labels], sample_weight), labels


def encode(
    values: Any, *, name: str, levels: Sequence[Hashable] | None = None
) -> tuple[NDArray[np.int64], Levels]:
    """Codes and levels of one variable.

    Parameters
    ----------
    values : array-like of shape (n_samples,) or (n_samples, n_columns)
        Several columns become one variable of their combinations.
    name : str
        The argument's name in messages.
    levels : sequence or None, default=None
        Fixed levels.

    Returns
    -------
    codes : ndarray of shape (n_samples,)
    levels : tuple

    Raises
    ------
    ValueError
        For missing values, or values outside the given levels.
    """
    frame, _ = sensitive_frame(values, name=name)
    if frame.shape[1] > 1:
        frame = frame.apply(tuple, axis=1).to_frame()
    column = frame.iloc[:, 0]
    if column.isna().any():
        raise ValueError(
            f"{name} has {int(column.isna().sum())} missing values; drop these rows or give them "
            "a level of their own."
        )
    if levels is None:
        return factorize(column)
    fixed = tuple(levels)
    codes = look_up(column, fixed, "error")
    if (codes < 0).any():
        outside = column[codes < 0].unique()[:5].tolist()
        raise ValueError(
            f"{name} has values {outside} that are not among its levels {list(fixed)}."
        )
    return codes, fixed


def count_cells(
    codes: Sequence[NDArray[Any]], sizes: Sequence[int], sample_weight: ArrayLike | None = None
) -> NDArray[np.float64]:
    """Sum of weights in each cell.

    Parameters
    ----------
    codes : sequence of ndarrays of shape (n_samples,)
        Level of each row in each variable; a row with a negative code is left out.
    sizes : sequence of int
        Number of levels of each variable.
    sample_weight : array-like of shape (n_samples,) or None, default=None
        None counts rows.

    Returns
    -------
    table : ndarray of shape sizes

    Raises
    ------
    ValueError
        When the variables have different lengths.
    """
    lengths = [len(c) for c in codes]
    if len(set(lengths)) > 1:
        raise ValueError(f"The variables have different numbers of rows: {lengths}.")
    weights = None if sample_weight is None else check_weights(sample_weight, lengths[0])
    inside = np.min(codes, axis=0) >= 0
    if not inside.all():
        codes = [c[inside] for c in codes]
        weights = None if weights is None else weights[inside]
    key = np.ravel_multi_index([np.asarray(c, dtype=np.intp) for c in codes], tuple(sizes))
    total = np.bincount(key, weights=weights, minlength=int(np.prod(sizes)))
    return total.reshape(tuple(sizes)).astype(np.float64)


def _from_frame(data: Any, variables: Sequence[Any], weight: Any) -> tuple[list[Any], Any]:
    names = [[v] if isinstance(v, str) else list(v) for v in variables]
    if weight is not None and not isinstance(weight, str):
        raise ValueError("With data, sample_weight must be the name of a column.")
    flat = list(dict.fromkeys(name for group in names for name in group))
    cells = cell_counts(data, flat, weight=weight)
    return [cells[group] for group in names], cells[COUNT].to_numpy()
