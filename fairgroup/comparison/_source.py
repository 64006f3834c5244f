"""What the shell reads: a data set by its name, or a CSV or Parquet file."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pandas as pd

from fairgroup.datasets import fetch
from fairgroup.datasets._base import text_to_category
from fairgroup.datasets._registry import dataset_ids, describe
from fairgroup.utils._optional import require

__all__ = ["Source", "is_named", "read_source", "sample"]

_PARQUET = (".parquet", ".pq")
_SEPARATORS = ";\t|"


@dataclass(frozen=True)
class Source:
    """A table and what is known about it.

    Attributes
    ----------
    name : str
        Name of the data set, or of the file.
    frame : DataFrame
        All columns.
    features, targets, sensitive : tuple of str
        Columns that the data set names as such. A file names none: all its columns are features.
    facts : dict
        Lines for the report: source, licence, and the like.
    problems : tuple of str
        Known problems of the data.
    """

    name: str
    frame: pd.DataFrame
    features: tuple[str, ...]
    targets: tuple[str, ...] = ()
    sensitive: tuple[str, ...] = ()
    facts: Mapping[str, str] = field(default_factory=dict)
    problems: tuple[str, ...] = ()


def is_named(data: str) -> bool:
    """Return whether this is the name of a data set, and not a path."""
    return data in dataset_ids()


def read_source(
    data: str, *, data_home: str | None = None, options: Mapping[str, Any] | None = None
) -> Source:
    """Read a data set by its name, or a CSV or Parquet file.

    Parameters
    ----------
    data : str
        A name of `list_datasets`, or a path.
    data_home : str or None, default=None
        Folder of the data sets.
    options : mapping or None, default=None
        Options of the data set's loader.

    Returns
    -------
    source : Source

    Raises
    ------
    FileNotFoundError
        When there is neither a data set nor a file of this name.
    ValueError
        When the file holds no table, or a file is read with options.
    """
    if is_named(data):
        return _read_named(data, data_home, options or {})
    path = Path(data)
    if not path.exists():
        near = difflib.get_close_matches(data, dataset_ids(), n=1)
        hint = f"did you mean {near[0]!r}? " if near else ""
        raise FileNotFoundError(
            f"There is no file {data!r} and no data set of that name; {hint}"
            "'fairgroup datasets' lists the names."
        )
    if options:
        raise ValueError("Loader options are for named data sets; this is a file.")
    frame = _read_file(path)
    return Source(path.name, frame, tuple(frame.columns), facts={"File": path.name})


def _read_named(name: str, data_home: str | None, options: Mapping[str, Any]) -> Source:
    try:
        bunch = fetch(name, data_home=data_home, **options)
    except TypeError as error:  # an option that the loader does not have
        raise ValueError(f"--option: {error}") from error
    target = bunch.target.to_frame() if bunch.target.ndim == 1 else bunch.target
    frame = pd.concat([bunch.data, target], axis=1)
    more = [bunch.sensitive_features]
    for key, value in bunch.items():  # further columns, such as scores, weights and exposures
        if key in ("data", "target", "frame", "sensitive_features"):
            continue
        if isinstance(value, pd.Series):
            value = value.to_frame(key)
        if isinstance(value, pd.DataFrame) and len(value) == len(frame):
            more.append(value)
    for table in more:
        frame = pd.concat([frame, table[[c for c in table if c not in frame]]], axis=1)
    facts = {"Data set": describe(name).title, "Licence": bunch.licence, "Source": bunch.source}
    if bunch.target_names is not None:
        facts["Meaning of the target"] = ", ".join(
            f"{code} = {text}" for code, text in enumerate(bunch.target_names)
        )
    return Source(
        name,
        frame,
        tuple(bunch.data.columns),
        tuple(target.columns),
        tuple(bunch.sensitive_features.columns),
        facts,
        tuple(bunch.warnings),
    )


def _read_file(path: Path) -> pd.DataFrame:
    if path.is_dir():
        raise ValueError(f"{str(path)!r} is a folder; give a CSV or Parquet file.")
    try:
        frame = _parse_file(path)
    except pd.errors.EmptyDataError:
        raise ValueError(f"{str(path)!r} is empty.") from None
    except (ValueError, UnicodeError, EOFError) as error:
        kind = "Parquet" if path.suffix in _PARQUET else "CSV"
        raise ValueError(f"{str(path)!r} cannot be read as {kind}: {error}") from error
    if not len(frame):
        raise ValueError(f"{str(path)!r} has a header but no rows.")
    frame.columns = frame.columns.map(str)
    return text_to_category(frame)


def _parse_file(path: Path) -> pd.DataFrame:
    if path.suffix in _PARQUET:
        require("pyarrow", extra="data")
        return pd.read_parquet(path).reset_index(drop=True)
    header = pd.read_csv(path, nrows=1, header=None, dtype=str)
    separator = ","
    if header.shape[1] == 1:  # one name that holds another separator
        separator = next((s for s in _SEPARATORS if s in str(header.iloc[0, 0])), ",")
        header = pd.read_csv(path, nrows=1, header=None, dtype=str, sep=separator)
    names = header.iloc[0]
    if names.duplicated().any():  # pandas would number them and go on
        raise ValueError(f"several columns are called {names[names.duplicated()].iloc[0]!r}")
    return pd.read_csv(path, sep=separator, index_col=False, low_memory=False)


def sample(source: Source, max_rows: int | None, seed: int) -> Source:
    """Draw at most so many rows, in their order."""
    if max_rows is None or max_rows >= len(source.frame):
        return source
    drawn = source.frame.sample(n=max_rows, random_state=seed).sort_index().reset_index(drop=True)
    return replace(source, frame=drawn)
