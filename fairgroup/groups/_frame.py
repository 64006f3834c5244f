"""Any table of protected attributes -> one pandas DataFrame, and its columns -> levels and codes.

Everything in ``groups`` reads protected attributes through these functions, so that arrays, lists,
Series, pandas and polars frames mean the same thing everywhere.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

DEFAULT_NAME = "sensitive_feature_{}"
MISSING = "(missing)"
MAX_FLOAT_LEVELS = 20


def sensitive_frame(
    data: Any, *, name: str = "sensitive_features", n_samples: int | None = None
) -> tuple[pd.DataFrame, bool]:
    """Read protected attributes into a DataFrame with string column names and a fresh index.

    Parameters
    ----------
    data : array-like of shape (n_samples,) or (n_samples, n_columns), Series, DataFrame or mapping
        Frames of any library that narwhals reads.
    name : str, default="sensitive_features"
        The argument's name in messages.
    n_samples : int or None, default=None
        Number of rows that is expected.

    Returns
    -------
    frame : DataFrame of shape (n_samples, n_columns)
    named : bool
        Whether the columns came with names.

    Raises
    ------
    TypeError
        For a scalar, None or a sparse matrix.
    ValueError
        For three or more dimensions, no column, duplicate names or a wrong number of rows.
    """
    frame, named = _to_pandas(data, name)
    if frame.shape[1] == 0:
        raise ValueError(f"{name} has no column; give at least one protected attribute.")
    if not named:
        frame.columns = pd.Index([DEFAULT_NAME.format(j) for j in range(frame.shape[1])])
    frame.columns = frame.columns.map(str)
    if frame.columns.has_duplicates:
        twice = sorted(set(frame.columns[frame.columns.duplicated()]))
        raise ValueError(f"{name} has columns of the same name: {twice}. Rename them.")
    if n_samples is not None and len(frame) != n_samples:
        raise ValueError(
            f"{name} has {len(frame)} rows, but X has {n_samples}; "
            "both must describe the same rows."
        )
    return frame, named


def _to_pandas(data: Any, name: str) -> tuple[pd.DataFrame, bool]:
    if data is None or np.isscalar(data) or hasattr(data, "tocsr"):
        raise TypeError(
            f"{name} must be an array, Series or DataFrame with one row per sample; "
            f"got {type(data).__name__}."
        )
    if isinstance(data, pd.Series):
        return data.to_frame(name=data.name if data.name is not None else 0).reset_index(
            drop=True
        ), data.name is not None
    if isinstance(data, pd.DataFrame):
        return data.reset_index(drop=True), True
    if isinstance(data, Mapping):
        return pd.DataFrame({key: _plain(values) for key, values in data.items()}), True
    native = nw.from_native(data, pass_through=True, allow_series=True)
    if isinstance(native, nw.LazyFrame):
        native = native.collect()
    if isinstance(native, nw.Series):
        return pd.DataFrame({0: _plain(native)}).rename(columns={0: native.name}), bool(
            native.name
        )
    if isinstance(native, nw.DataFrame):
        columns = {column: _plain(native[column]) for column in native.columns}
        return pd.DataFrame(columns, index=pd.RangeIndex(len(native))), True
    return _array_to_pandas(data, name), False


def _array_to_pandas(data: Any, name: str) -> pd.DataFrame:
    if isinstance(
        data, list | tuple
    ):  # column by column, so that numbers beside text stay numbers
        frame = pd.DataFrame(list(data)) if len(data) else pd.DataFrame({0: []})
        if frame.shape[1] and any(isinstance(value, dict) for value in frame.iloc[:, 0].head()):
            raise TypeError(f"{name} must not be a list of mappings; give a DataFrame.")
        return frame
    array = np.asarray(data)
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} has {array.ndim} dimensions; expected one or two.")
    frame = pd.DataFrame(array)
    return frame.infer_objects() if array.dtype == object else frame


def _plain(values: Any) -> Any:
    """Hand a column of any library to pandas, keeping declared categories and their order."""
    if not isinstance(values, nw.Series):
        native = nw.from_native(values, pass_through=True, series_only=True)
        if not isinstance(native, nw.Series):
            return values
        values = native
    if isinstance(values.dtype, nw.Enum):
        return pd.Categorical(
            values.to_list(), categories=list(values.dtype.categories), ordered=True
        )
    if values.dtype == nw.Boolean and values.null_count() == 0:
        return values.to_numpy()
    if values.dtype.is_numeric():
        return values.to_numpy()
    return np.array(values.to_list(), dtype=object)


def factorize(column: pd.Series) -> tuple[NDArray[np.int64], tuple[Hashable, ...]]:
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
    rank[-1] = -1
    return rank[codes], tuple(levels[i] for i in order)


def _sorted_positions(levels: list[Any]) -> list[int]:
    try:
        return sorted(range(len(levels)), key=levels.__getitem__)
    except TypeError:  # levels of several types have no order of their own
        return sorted(range(len(levels)), key=lambda i: (type(levels[i]).__name__, str(levels[i])))


def lookup(column: pd.Series, levels: tuple[Hashable, ...]) -> NDArray[np.int64]:
    """Return the position of every value in ``levels``: -1 for missing, -2 for a value that is not
    there.
    """
    codes, found = factorize(column)
    position = {level: i for i, level in enumerate(levels)}
    table = np.array([*(position.get(level, -2) for level in found), -1], dtype=np.int64)
    return table[codes]


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
