"""One protected attribute -> its levels, and the level of each row.

Codes are positions in the levels; -1 (``ABSENT``) means a missing value, -2 (``UNSEEN``) a value
that is not among the levels.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairgroup.groups._frame import MAX_FLOAT_LEVELS

MISSING = "(missing)"
ABSENT = -1
UNSEEN = -2

Levels = tuple[Hashable, ...]
Codes = NDArray[np.int64]


def factorize(column: pd.Series) -> tuple[Codes, Levels]:
    """Return codes (-1 for missing) and the levels that occur, sorted; ordered categories keep
    their order.
    """
    if isinstance(column.dtype, pd.CategoricalDtype) and column.cat.ordered:
        used = column.cat.remove_unused_categories()
        return np.asarray(used.cat.codes, dtype=np.int64), tuple(used.cat.categories.tolist())
    codes, uniques = pd.factorize(column)
    levels = uniques.tolist()
    order = _sorted_positions(levels)
    rank = np.empty(len(order) + 1, dtype=np.int64)
    rank[order] = np.arange(len(order))
    rank[-1] = ABSENT
    return rank[codes], tuple(levels[i] for i in order)


def _sorted_positions(levels: list[Any]) -> list[int]:
    try:
        return sorted(range(len(levels)), key=levels.__getitem__)
    except TypeError:  # levels of several types have no order of their own
        return sorted(range(len(levels)), key=lambda i: (type(levels[i]).__name__, str(levels[i])))


def learn_levels(column: pd.Series, missing: str) -> tuple[Codes, Levels]:
    """Return the codes and levels of a column that means groups, under a policy for missing
    values ("error", "group" or "ignore").
    """
    codes, levels = factorize(column)
    check_discrete(column, len(levels))
    absent = codes == ABSENT
    if absent.any():
        refuse_missing(column, absent, missing)
        if missing == "group":
            codes, levels = np.where(absent, len(levels), codes), (*levels, MISSING)
    return codes, levels


def look_up(column: pd.Series, levels: Levels, missing: str) -> Codes:
    """Return the codes of more rows of a column, under the same policy."""
    codes, found = factorize(column)
    position = {level: i for i, level in enumerate(levels)}
    table = np.array([*(position.get(level, UNSEEN) for level in found), ABSENT], dtype=np.int64)
    codes = table[codes]
    absent = codes == ABSENT
    if absent.any():
        refuse_missing(column, absent, missing)
        if missing == "group":
            codes[absent] = position.get(MISSING, UNSEEN)
    return codes


def refuse_missing(column: pd.Series, absent: NDArray[np.bool_], missing: str) -> None:
    """Raise where missing values are there and the policy is "error"."""
    if missing == "error":
        raise ValueError(
            f"Column {column.name!r} of sensitive_features has {int(absent.sum())} missing "
            f'values (first in row {int(absent.argmax())}). Use missing="group" to make them '
            'a group of their own, or missing="ignore" to leave these rows out of the '
            "fairness term."
        )


def check_discrete(column: pd.Series, n_levels: int) -> None:
    """Refuse a column that cannot mean groups: a continuous one, or an identifier."""
    if pd.api.types.is_float_dtype(column.dtype) and n_levels > MAX_FLOAT_LEVELS:
        raise ValueError(
            f"Column {column.name!r} of sensitive_features is continuous ({n_levels} distinct "
            "numbers) and was asked for as groups. Bin it first, e.g. "
            f"pandas.cut({column.name}, [0, 25, 45, 65, 120]), or use a method that takes "
            "continuous attributes (SensitiveEncoder)."
        )
    if n_levels > max(MAX_FLOAT_LEVELS, len(column) / 2):
        raise ValueError(
            f"Column {column.name!r} of sensitive_features has {n_levels} levels in "
            f"{len(column)} rows; it looks like an identifier, not like groups. "
            "Bin it or leave it out."
        )
