"""Delivered impressions as arrays: memberships of those who saw them, and rows of tables."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fairgroup.exceptions import UnseenGroupError

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


def membership_rows(
    attribute: str,
    levels: tuple[Hashable, ...],
    composition: Floats,
    *,
    frame: pd.DataFrame | None,
    posterior: Mapping[str, ArrayLike] | None,
    clusters: Ints,
    covered: NDArray[np.bool_],
) -> Floats:
    """Membership of each impression's user in the levels of one attribute, (n, K)."""
    n = len(covered)
    if posterior is not None and attribute in posterior:
        rows = np.asarray(posterior[attribute], dtype=np.float64)
        if (
            rows.shape != (n, len(levels))
            or not (rows >= 0).all()
            or np.abs(rows.sum(axis=1) - 1).max(initial=0.0) > 1e-3
        ):
            raise ValueError(
                f"posterior[{attribute!r}] must be {(n, len(levels))} with rows >= 0 that sum "
                "to one."
            )
        return rows
    if frame is not None and attribute in frame:
        codes = _level_codes(frame[attribute], levels)
        return np.eye(len(levels))[codes]
    if (clusters[covered] < 0).any():
        raise ValueError(
            f"Nothing tells {attribute!r} of some impressions: give it in "
            "sensitive_features or posterior, or a known cluster for each."
        )
    return composition[clusters]


def own_levels(frame: pd.DataFrame, levels: Mapping[str, tuple[Hashable, ...]]) -> Ints:
    """Number of each row's combination of levels, for the audit policy."""
    codes = [_level_codes(frame[a], names) for a, names in levels.items()]
    return np.ravel_multi_index(tuple(codes), tuple(len(names) for names in levels.values()))


def _level_codes(column: pd.Series, levels: tuple[Hashable, ...]) -> Ints:
    """Positions of the column's values in ``levels``; missing and unknown ones are errors."""
    missing = int(column.isna().sum())
    if missing:
        raise ValueError(
            f"sensitive_features: {column.name!r} is missing for {missing} impressions; "
            "give posterior= for them: an unknown level must not count as a fair one."
        )
    codes = pd.Index(levels).get_indexer(pd.Index(column)).astype(np.int64)
    if (codes < 0).any():
        bad = column.tolist()[int(np.argmax(codes < 0))]
        raise UnseenGroupError(
            f"sensitive_features: {column.name!r} has level {bad!r}; known levels are {levels}."
        )
    return codes


def positions_of(names: tuple[Hashable, ...]) -> dict[Hashable, int] | None:
    """Position of each name; None where the names are 0, 1, 2, ... and need no lookup."""
    if all(isinstance(name, int) and name == i for i, name in enumerate(names)):
        return None
    return {name: i for i, name in enumerate(names)}


def index_of(
    positions: dict[Hashable, int] | None, size: int, values: Any, n: int, *, name: str
) -> Ints:
    """Positions of n values of the argument ``name`` among ``size`` names, -1 for None and for
    unknown ones.
    """
    if values is None:
        return np.full(n, -1)
    flat = np.atleast_1d(np.asarray(values)).ravel()
    if len(flat) != n:
        raise ValueError(f"{name} must have {n} entries, one per impression; found {len(flat)}.")
    if positions is not None:
        return np.array([positions.get(value, -1) for value in flat.tolist()], dtype=np.int64)
    whole = flat.dtype.kind in "iu" or (flat.dtype.kind == "f" and (flat == np.rint(flat)).all())
    if not whole:
        raise TypeError(
            f"{name} must hold integers, as the names are 0, 1, 2, ...; found {flat.dtype}."
        )
    codes = flat.astype(np.int64)
    return np.where((codes < 0) | (codes >= size), -1, codes)


def broadcast_optional(
    values: ArrayLike | None, shape: tuple[int, ...], dtype: Any
) -> NDArray[Any]:
    """Broadcast an optional argument; an empty array stands for "not given"."""
    if values is None:
        return np.empty((0, 0), dtype=dtype)
    return np.ascontiguousarray(np.broadcast_to(np.asarray(values, dtype=dtype), shape))
