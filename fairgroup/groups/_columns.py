"""Columns taken out of X, by name or position, whatever X is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals as nw
import numpy as np


def take_columns(X: Any, columns: Any, *, drop: bool = False) -> tuple[Any, Any]:
    """Return X, without the columns if they are to be dropped, and the columns, in X's own type.

    Raises
    ------
    ValueError
        When a column is not in X, X has lost its column names, or X has not two dimensions.
    """
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        at, rest = _positions(columns, frame.shape, frame.columns)
        return (frame[:, rest] if drop else frame).to_native(), frame[:, at].to_native()
    array = X if hasattr(X, "shape") else np.asarray(X)
    if array.ndim != 2:
        raise ValueError(
            f"X must be two-dimensional, with the protected columns {columns!r} among its "
            f"columns; found an array of shape {array.shape}. Reshape your data."
        )
    at, rest = _positions(columns, array.shape, None)
    if hasattr(array, "tocsc"):
        array = array.tocsc()
        return (array[:, rest].tocsr() if drop else X), array[:, at].toarray()
    return (array[:, rest] if drop else X), array[:, at]


def _positions(
    columns: Any, shape: tuple[int, ...], names: Sequence[Any] | None
) -> tuple[list[int], list[int]]:
    """Return the positions of the columns, and of the others."""
    keys: list[Any] = np.array(columns, dtype=object, ndmin=1).tolist()
    if not keys:
        raise ValueError("columns is empty; name at least one protected column of X.")
    named = [key for key in keys if not _is_position(key)]
    if named and names is None:
        raise ValueError(
            f"columns={columns!r} are names, but X is an array without column names. A "
            "step before this one lost them: put SensitiveColumns around the whole Pipeline, "
            'use set_output(transform="pandas"), or give positions.'
        )
    order = list(names or ())
    lost = [key for key in named if key not in order]
    if lost:
        raise ValueError(f"columns={columns!r}: X has no column {lost}; it has {order}.")
    width = shape[1]
    needed = max((key + 1 if key >= 0 else -key for key in keys if _is_position(key)), default=0)
    if needed > width:
        raise ValueError(
            f"columns={columns!r}: X has {width} feature(s) (shape={shape}) while a minimum of "
            f"{needed} is required."
        )
    at = [key % width if _is_position(key) else order.index(key) for key in keys]
    return at, [place for place in range(width) if place not in at]


def _is_position(key: Any) -> bool:
    return isinstance(key, int | np.integer) and not isinstance(key, bool)
