"""Labels of any type -> small integers, and which of them is the positive one."""

from __future__ import annotations

from typing import Any

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import NDArray

# Integers that span at most this many values are coded by subtraction and a lookup table, not by
# hashing.
_MAX_SPAN = 4096


def as_column(values: Any, name: str) -> Any:
    """Return one column of any library as a NumPy array or a pandas Series.

    Parameters
    ----------
    values : array-like of shape (n_samples,) or (n_samples, 1), or Series of any library
        Labels, predictions or scores.
    name : str
        The argument's name in messages.

    Returns
    -------
    column : ndarray or Series of shape (n_samples,)

    Raises
    ------
    ValueError
        For more than one column, or a scalar.
    """
    if isinstance(values, pd.Series):
        return values.reset_index(drop=True)
    if isinstance(values, pd.Categorical | pd.api.extensions.ExtensionArray):
        return pd.Series(values)
    if not isinstance(values, np.ndarray):
        native = nw.from_native(values, pass_through=True, allow_series=True)
        values = native.to_numpy() if isinstance(native, nw.Series | nw.DataFrame) else values
    array = np.asarray(values)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{name} has shape {array.shape}; expected one column (n_samples,).")
    return array


def as_numbers(values: Any, name: str) -> NDArray[np.float64]:
    """Return one column as finite float64.

    Raises
    ------
    TypeError
        When the column is not numeric.
    ValueError
        For a value that is NaN or infinite.
    """
    column = as_column(values, name)
    try:
        numbers = np.asarray(column, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise TypeError(
            f"{name} must be numeric for this metric; found {_kind(column)}."
        ) from error
    if not np.isfinite(numbers.sum()):  # one pass; a sum that overflows is looked at again
        bad = ~np.isfinite(numbers)
        if bad.any():
            row = int(bad.argmax())
            raise ValueError(
                f"{name} has a value that is not finite in row {row}: {numbers[row]}."
            )
    return numbers


def is_continuous(values: Any, name: str) -> bool:
    """Whether a column holds numbers that are not all whole."""
    column = as_column(values, name)
    if not pd.api.types.is_float_dtype(column.dtype):
        return False
    numbers = np.asarray(column, dtype=np.float64)
    return bool((numbers != np.rint(numbers)).any())


def encode_labels(*columns: tuple[str, Any]) -> tuple[NDArray[Any], list[NDArray[np.intp]]]:
    """Code several columns of labels by one sorted list of classes.

    Parameters
    ----------
    *columns : tuple of (str, array-like)
        Name for messages, and values.

    Returns
    -------
    classes : ndarray of shape (n_classes,)
    codes : list of ndarray of int, shape (n_samples,)
        Position of each value in `classes`.

    Raises
    ------
    ValueError
        For a missing label.
    TypeError
        When numbers and text are mixed.
    """
    arrays = [_tidy(as_column(values, name), name) for name, values in columns]
    if all(array.dtype.kind in "biu" for array in arrays):
        coded = _encode_integers(arrays)
        if coded is not None:
            return coded
    return _encode_any(arrays, [name for name, _ in columns])


def _tidy(column: Any, name: str) -> Any:
    """Turn whole floats into integers and refuse missing labels."""
    if not isinstance(column, np.ndarray):
        dtype = column.dtype
        if pd.api.types.is_bool_dtype(dtype) or pd.api.types.is_numeric_dtype(dtype):
            if column.hasnans:
                raise _missing(name, column.isna().to_numpy())
            column = column.to_numpy(
                dtype=dtype.numpy_dtype if hasattr(dtype, "numpy_dtype") else None
            )
        else:
            return column
    if column.dtype.kind == "f":
        if np.isnan(column.sum()):
            raise _missing(name, np.isnan(column))
        whole = column.astype(np.int64)
        return whole if np.array_equal(whole, column) else column
    if column.dtype == object:
        return pd.Series(column).infer_objects().to_numpy() if _holds_numbers(column) else column
    return column


def _holds_numbers(column: NDArray[Any]) -> bool:
    return bool(len(column)) and isinstance(column[0], bool | int | float | np.number | np.bool_)


def _encode_integers(
    arrays: list[NDArray[Any]],
) -> tuple[NDArray[Any], list[NDArray[np.intp]]] | None:
    dtype = np.result_type(*arrays)
    arrays = [a.view(np.uint8) if a.dtype == bool else a for a in arrays]
    filled = [a for a in arrays if len(a)]
    if not filled:
        return np.empty(0, dtype), [a.astype(np.intp) for a in arrays]
    low, high = min(int(a.min()) for a in filled), max(int(a.max()) for a in filled)
    if high - low >= _MAX_SPAN:
        return None
    codes = [a.astype(np.intp) - low if low else a.astype(np.intp) for a in arrays]
    counts = [np.bincount(c, minlength=high - low + 1) for c in codes]
    present = np.sum(counts, axis=0) > 0
    if not present.all():
        rank = np.cumsum(present) - 1
        codes = [rank[c] for c in codes]
    return (np.flatnonzero(present) + low).astype(dtype), codes


def _encode_any(
    arrays: list[Any], names: list[str]
) -> tuple[NDArray[Any], list[NDArray[np.intp]]]:
    factored = [pd.factorize(array) for array in arrays]
    for (codes, _), name in zip(factored, names, strict=True):
        if len(codes) and codes.min() < 0:
            raise _missing(name, codes < 0)
    levels = [np.asarray(uniques).tolist() for _, uniques in factored]
    union = {level for found in levels for level in found}
    try:
        classes = sorted(union)
    except TypeError as error:
        kinds = sorted({type(level).__name__ for level in union})
        raise TypeError(
            f"{' and '.join(names)} mix labels of different types "
            f"({', '.join(kinds)}); use one type."
        ) from error
    position = {level: i for i, level in enumerate(classes)}
    tables = [np.array([position[level] for level in found], dtype=np.intp) for found in levels]
    return np.array(classes), [
        table[codes] if len(table) else codes.astype(np.intp)
        for table, (codes, _) in zip(tables, factored, strict=True)
    ]


def positive_class(classes: NDArray[Any], pos_label: Any) -> tuple[NDArray[Any], int | None]:
    """Find the positive class.

    Parameters
    ----------
    classes : ndarray of shape (n_classes,)
        Sorted labels that occur.
    pos_label : object or None
        The positive label. None: True of booleans, 1 of {0, 1} and of {-1, 1}.

    Returns
    -------
    classes : ndarray
        With the positive label appended where it does not occur.
    positive : int or None
        Its position; None for three or more classes without `pos_label` (one-vs-rest).

    Raises
    ------
    ValueError
        When two labels leave open which is positive, or `pos_label` is not among the labels.
    """
    if pos_label is None:
        if len(classes) > 2:
            return classes, None
        if classes.dtype == bool:
            pos_label = True
        elif classes.dtype.kind in "iuf" and (set(classes) <= {0, 1} or set(classes) <= {-1, 1}):
            pos_label = 1
        else:
            raise ValueError(
                f"It is not clear which of the labels {classes.tolist()} is the positive one; "
                "pass pos_label= "
                "(it is found by itself only for {0, 1}, {-1, 1} and booleans)."
            )
    found = np.flatnonzero([label == pos_label for label in classes.tolist()])
    if len(found):
        return classes, int(found[0])
    if len(classes) > 1:
        raise ValueError(f"pos_label={pos_label!r} is not among the labels {classes.tolist()}.")
    return np.append(classes, np.array([pos_label])), len(classes)


def _missing(name: str, absent: NDArray[np.bool_]) -> ValueError:
    return ValueError(
        f"{name} has {int(absent.sum())} missing values (first in row {int(absent.argmax())}); "
        "leave these rows out or fill them."
    )


def _kind(column: Any) -> str:
    value = column[0] if len(column) else None
    return f"{type(value).__name__} {value!r}"
