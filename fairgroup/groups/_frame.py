"""Any table of protected attributes -> one pandas DataFrame.

Everything in ``groups`` reads protected attributes through these functions, so that arrays, lists,
Series, pandas and polars frames mean the same thing everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

DEFAULT_NAME = "sensitive_feature_{}"
MAX_FLOAT_LEVELS = 20
# NumPy text of up to this many characters is told apart by a hash of its characters.
_HASHED_WIDTH = 32


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
    if not _all_text(frame):
        frame = frame.infer_objects()
    frame = frame.set_axis(frame.columns.map(str), axis=1)
    if frame.columns.has_duplicates:
        twice = sorted(set(frame.columns[frame.columns.duplicated()]))
        raise ValueError(f"{name} has columns of the same name: {twice}. Rename them.")
    if n_samples is not None and len(frame) != n_samples:
        raise ValueError(
            f"{name} has {len(frame)} rows, but X has {n_samples}; "
            "both must describe the same rows."
        )
    return frame, named


def _all_text(frame: pd.DataFrame) -> bool:
    """Whether every object column starts with text: there inference would only cost time."""
    objects = [column for _, column in frame.items() if column.dtype == object]
    return len(frame) > 0 and all(isinstance(column.iloc[0], str) for column in objects)


def frame_to_fit(data: Any) -> tuple[pd.DataFrame, bool]:
    """Read the protected attributes that an encoder learns from: `sensitive_frame`, and at least
    one row.
    """
    frame, named = sensitive_frame(data)
    if not len(frame):
        raise ValueError("sensitive_features has no rows; at least one is needed to learn groups.")
    return frame, named


def frame_as_fitted(data: Any, columns: tuple[str, ...], *, named: bool) -> pd.DataFrame:
    """Read the columns that an encoder was fitted on.

    Where both then and now the columns have names, the names decide, and other columns are left
    out; else the positions do.
    """
    frame, named_now = sensitive_frame(data)
    if named and named_now:
        lost = [column for column in columns if column not in frame.columns]
        if lost:
            raise ValueError(
                f"sensitive_features lacks the columns {lost} that were there in fit; "
                f"found {list(frame.columns)}."
            )
        return frame[list(columns)]
    if frame.shape[1] != len(columns):
        raise ValueError(
            f"sensitive_features has {frame.shape[1]} columns, but {len(columns)} in fit."
        )
    return frame.set_axis(list(columns), axis=1)


def _to_pandas(data: Any, name: str) -> tuple[pd.DataFrame, bool]:
    if data is None or np.isscalar(data) or hasattr(data, "tocsr"):
        raise TypeError(
            f"{name} must be an array, Series or DataFrame with one row per sample; "
            f"got {type(data).__name__}."
        )
    if isinstance(data, pd.Series):
        named = data.name is not None
        return data.to_frame(data.name if named else 0).reset_index(drop=True), named
    if isinstance(data, pd.DataFrame):
        return data.reset_index(drop=True), True
    if isinstance(data, Mapping):
        return pd.DataFrame({key: _column(values) for key, values in data.items()}), True
    native = nw.from_native(data, pass_through=True, allow_series=True)
    if isinstance(native, nw.LazyFrame):
        native = native.collect()
    if isinstance(native, nw.Series):
        return pd.DataFrame({native.name: _plain(native)}), bool(native.name)
    if isinstance(native, nw.DataFrame):
        columns = {column: _plain(native[column]) for column in native.columns}
        return pd.DataFrame(columns, index=pd.RangeIndex(len(native))), True
    return _rows_to_pandas(data, name), False


def _rows_to_pandas(data: Any, name: str) -> pd.DataFrame:
    if isinstance(data, list | tuple):  # not an array, so that numbers beside text stay numbers
        if any(isinstance(row, Mapping) or hasattr(row, "name") for row in data[:1]):
            raise TypeError(
                f"{name} must not be a list of {type(data[0]).__name__}; give a DataFrame, or a "
                "dict of column names to columns."
            )
        return pd.DataFrame(list(data) or {0: []})
    array = np.asanyarray(data)  # masked arrays keep their mask, which means missing
    if array.ndim not in (1, 2):
        raise ValueError(f"{name} has {array.ndim} dimensions; expected one or two.")
    if array.dtype.kind == "U":
        columns = array.reshape(len(array), -1).T if array.size else np.atleast_2d(array.T)
        return pd.DataFrame({j: _text(column) for j, column in enumerate(columns)})
    return pd.DataFrame(array)


def _column(values: Any) -> Any:
    """Read one column of a mapping."""
    native = nw.from_native(values, pass_through=True, series_only=True)
    if isinstance(native, nw.Series) and not isinstance(values, pd.Series):
        return _plain(native)
    return values


def _plain(values: nw.Series[Any]) -> Any:
    """Hand a column of any library to pandas, keeping declared categories and their order."""
    if isinstance(values.dtype, nw.Enum):
        categories = list(values.dtype.categories)
        return pd.Categorical(values.to_list(), categories=categories, ordered=True)
    if values.dtype.is_numeric() or (values.dtype == nw.Boolean and values.null_count() == 0):
        return values.to_numpy()
    if values.dtype in (nw.String, nw.Categorical):  # text by text is slow outside its library
        levels = values.drop_nulls().unique().cast(nw.String).to_list()
        codes = values.cast(nw.String).replace_strict(
            [*levels, None], [*range(len(levels)), -1], return_dtype=nw.Int64
        )
        return pd.Categorical.from_codes(codes.to_numpy(), pd.Index(levels, dtype=object))
    return np.array(values.to_list(), dtype=object)


def _text(column: NDArray[np.str_]) -> pd.Categorical | NDArray[np.object_]:
    """Tell NumPy text apart without a Python object per row.

    A row's characters are hashed to one integer; that equal hashes meant equal text is checked.
    """
    width = column.dtype.itemsize // 4
    if not 0 < width <= _HASHED_WIDTH:
        return column.astype(object)
    characters = np.ascontiguousarray(column).view(np.uint32).reshape(len(column), width)
    multipliers = np.random.default_rng(0).integers(2**63, size=width, dtype=np.uint64) * 2 + 1
    codes, found = pd.factorize(characters @ multipliers)
    first = np.empty(len(found), dtype=np.intp)
    first[codes[::-1]] = np.arange(len(codes))[::-1]
    levels = column[first]
    if not (levels[codes] == column).all():
        return column.astype(object)
    return pd.Categorical.from_codes(codes, pd.Index(levels.tolist(), dtype=object))
