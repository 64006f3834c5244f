"""Tables that do not fit in memory, reduced to counts by their own engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import narwhals as nw
import pandas as pd

__all__ = [
    "COUNT",
    "cell_counts",
    "is_distributed",
    "join_columns",
    "pooled_columns",
    "repeated_rows",
]

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


def pooled_columns(variables: Sequence[Any], sample_weight: Any = None) -> tuple[list[Any], Any]:
    """Reduce Dask series (or frames) of the same rows to their distinct combinations, with the
    counts as weights.
    """
    flat: dict[str, Any] = {}
    groups: list[list[str]] = []
    for i, variable in enumerate(variables):
        wide = is_distributed(variable) and variable.ndim == 2
        parts = list(variable.columns) if wide else [getattr(variable, "name", None)]
        names = [f"{i} {part}" for part in parts]
        flat |= {n: variable[p] if wide else variable for n, p in zip(names, parts, strict=True)}
        groups.append(names)
    if sample_weight is not None:
        flat["weight"] = sample_weight
    cells = cell_counts(
        join_columns(flat),
        [name for names in groups for name in names],
        weight=None if sample_weight is None else "weight",
    )
    # Names go back to what the user gave, without the position that kept them apart.
    found = [cells[names].rename(columns=lambda n: n.split(" ", 1)[1]) for names in groups]
    return found, cells[COUNT].to_numpy()


def repeated_rows(variables: Sequence[Any]) -> list[Any]:
    """Dask series or frames of the same rows as columns in memory, for what needs rows.

    The engine counts the distinct combinations; each is then repeated as often as it occurs, so
    that codes of levels, not the data, come to this process. Rows are in no particular order.

    Parameters
    ----------
    variables : sequence of Dask series, Dask frames or None
        None stays None.

    Returns
    -------
    columns : list of DataFrame, Series or None
    """
    given = [variable for variable in variables if variable is not None]
    found, count = pooled_columns(given)
    found = [frame.astype("category").loc[frame.index.repeat(count)] for frame in found]
    rows = iter([frame.reset_index(drop=True) for frame in found])
    tables = [None if variable is None else next(rows) for variable in variables]
    return [
        table if table is None or variable.ndim == 2 else table.iloc[:, 0]
        for variable, table in zip(variables, tables, strict=True)
    ]
