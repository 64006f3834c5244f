"""Tables that do not fit in memory, reduced to counts by their own engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import pandas as pd

__all__ = ["COUNT", "cell_counts", "is_distributed", "join_columns"]

COUNT = "(count)"


def is_distributed(data: Any) -> bool:
    """Whether the data is a Dask frame or series, which must not be pulled into memory."""
    return type(data).__module__.split(".")[0] in {"dask", "dask_expr"}


def join_columns(columns: Mapping[str, Any]) -> Any:
    """Put Dask series of the same rows side by side.

    Parameters
    ----------
    columns : mapping of str to Dask series
        Made from one frame, so that their partitions agree.

    Returns
    -------
    frame : Dask DataFrame

    Raises
    ------
    ValueError
        When some of the columns are not Dask series, or their partitions differ.
    """
    foreign = [name for name, column in columns.items() if not is_distributed(column)]
    if foreign:
        raise ValueError(
            f"{foreign} are in memory and the other columns are Dask series; give all of them as "
            "columns of "
            "the same Dask frame."
        )
    partitions = {name: column.npartitions for name, column in columns.items()}
    if len(set(partitions.values())) > 1:
        raise ValueError(
            f"The Dask series have different partitions {partitions}; take them from the same "
            "frame."
        )
    names = list(columns)
    frame = columns[names[0]].to_frame(name=names[0])
    return frame.assign(**{name: columns[name] for name in names[1:]})


def cell_counts(data: Any, columns: Sequence[str], *, weight: str | None = None) -> pd.DataFrame:
    """Count the rows of every combination of levels that occurs, where the data is.

    Parameters
    ----------
    data : frame that narwhals reads
        Dask, polars (eager or lazy), pandas, ...; only the counts are collected.
    columns : sequence of str
        The columns whose combinations are counted. A missing value is a level of its own.
    weight : str or None, default=None
        Column that is summed instead of counting rows.

    Returns
    -------
    cells : DataFrame
        The columns, and the count (or sum of weights) in a column named ``COUNT``.

    Raises
    ------
    ValueError
        For a column that is not there.
    """
    frame = nw.from_native(data).lazy()
    names = frame.collect_schema().names()
    lost = [name for name in (*columns, *([weight] if weight else [])) if name not in names]
    if lost:
        raise ValueError(f"The data has no column {lost}; it has {names}.")
    total = nw.len() if weight is None else nw.col(weight).sum()
    counted = frame.group_by(*columns, drop_null_keys=False).agg(total.alias(COUNT))
    return counted.collect().to_pandas()
