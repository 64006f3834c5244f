"""What all loaders share: reading checked files, naming things, and making the Bunch."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import pandas as pd
from sklearn.utils import Bunch

from fairgroup.datasets._cache import locate
from fairgroup.datasets._registry import describe
from fairgroup.datasets._sheets import render

__all__ = [
    "PathLike",
    "binary",
    "check_option",
    "codes_to_text",
    "documented",
    "finish",
    "ordered",
    "read_files",
    "text_to_category",
    "translate",
]

PathLike = str | os.PathLike[str]
_PANDAS = (pd.Series, pd.DataFrame)
Loader = TypeVar("Loader", bound=Callable[..., Bunch])

_PLACE = """data_home : path-like, default=None
        Folder of the data files; the files of this data set lie in its subfolder ``{id}``. None:
        the environment variable ``FAIRGROUP_DATA_HOME``, else the user's cache.
    download_if_missing : bool, default=True
        Whether to download a file that is not there. False raises a FileNotFoundError instead."""
_SHAPE = """drop_sensitive : bool, default=False
        Whether to leave the protected columns out of `data`.
    as_frame : bool, default=True
        Whether to return pandas objects. False gives NumPy arrays."""
_RETURNS = """Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        `data` (DataFrame; text columns are categories), `target` (Series), `sensitive_features`
        (DataFrame; attributes that make groups are categories, continuous ones are numbers),
        `frame` (data and target), `feature_names`, `target_names` (for a binary target, the
        meaning of 0 and 1), `DESCR`, `licence`, `source`, `citation`, `warnings` (known
        problems){extra}.

    Raises
    ------
    FileNotFoundError
        When a file is missing and is not to be, or cannot be, downloaded; the message says what
        to do.
    ConnectionError
        When the download fails.
    ValueError
        When a file is not the one in the table (checksum), or an option is unknown."""


def documented(dataset_id: str, *, extra: str = "") -> Callable[[Loader], Loader]:
    """Fill ``{place}``, ``{shape}`` and ``{returns}`` in the docstring of a loader.

    Parameters
    ----------
    dataset_id : str
        Name of the data set.
    extra : str, default=""
        Further keys of the Bunch, one phrase each.
    """

    def decorate(loader: Loader) -> Loader:
        if loader.__doc__:  # stripped under python -OO
            phrase = f"; {extra}" if extra else ""
            loader.__doc__ = (
                loader.__doc__.replace("{place}", _PLACE.replace("{id}", dataset_id))
                .replace("{shape}", _SHAPE)
                .replace("{returns}", _RETURNS.replace("{extra}", phrase))
            )
        return loader

    return decorate


def read_files(
    dataset_id: str, names: Sequence[str], data_home: PathLike | None, download_if_missing: bool
) -> list[pd.DataFrame]:
    """Read checked files of a data set, one table each."""
    facts = describe(dataset_id)
    paths = locate(facts, tuple(names), data_home, download_if_missing)
    tables = [
        pd.read_csv(path, **facts.file(name).read) for path, name in zip(paths, names, strict=True)
    ]
    for table, name in zip(tables, names, strict=True):
        expected = (facts.file(name).rows, facts.file(name).columns)
        if table.shape != expected:
            raise ValueError(f"{name} was read as a table of {table.shape}, expected {expected}.")
    return tables


def check_option(name: str, value: object, options: Iterable[str]) -> None:
    """Raise a ValueError that lists the options unless `value` is one of them."""
    allowed = tuple(options)
    if value not in allowed:
        raise ValueError(
            f"{name} must be one of {', '.join(map(repr, allowed))}; found {value!r}."
        )


def binary(column: pd.Series, positive: object, name: str | None = None) -> pd.Series:
    """1 where the column equals `positive`, else 0; a missing value is an error."""
    if column.isna().any():
        raise ValueError(
            f"The target {column.name!r} has {int(column.isna().sum())} missing values."
        )
    return pd.Series(column == positive, dtype="int64", name=name or column.name)


def text_to_category(frame: pd.DataFrame) -> pd.DataFrame:
    """Text columns as categories without unused levels, truth values as 0 and 1."""
    columns: dict[Any, pd.Series] = {}
    for name, column in frame.items():
        if isinstance(column.dtype, pd.CategoricalDtype):
            column = column.cat.remove_unused_categories()
        elif pd.api.types.is_bool_dtype(column):
            column = column.astype("int64")
        elif not pd.api.types.is_numeric_dtype(column):
            column = column.astype("category")
        columns[name] = column
    return pd.DataFrame(columns, index=frame.index)


def codes_to_text(frame: pd.DataFrame, columns: Iterable[str]) -> pd.DataFrame:
    """Numeric codes as categories named by text, in numeric order; missing values stay missing."""
    coded = {name: frame[name].astype("category") for name in columns}
    return frame.assign(
        **{name: column.cat.rename_categories(_code_name) for name, column in coded.items()}
    )


def _code_name(code: object) -> str:
    # Codes with missing values are read as floats.
    return str(int(code)) if isinstance(code, float) and code.is_integer() else str(code)


def translate(column: pd.Series, names: Mapping[Any, str], *, ordered: bool = False) -> pd.Series:
    """Replace codes by names; missing values stay missing, other codes are an error."""
    unknown = set(column.dropna()) - set(names)
    if unknown:
        raise ValueError(f"The column {column.name!r} has unexpected codes: {sorted(unknown)}.")
    levels = pd.CategoricalDtype(list(dict.fromkeys(names.values())), ordered=ordered)
    return column.map(names).astype(levels)


def ordered(column: pd.Series, levels: Sequence[str]) -> pd.Series:
    """Text column as an ordered category."""
    return translate(column, {level: level for level in levels}, ordered=True)


def finish(
    dataset_id: str,
    data: pd.DataFrame,
    target: pd.Series | pd.DataFrame,
    *,
    sensitive: Sequence[str],
    drop_sensitive: bool,
    as_frame: bool,
    also_drop: Sequence[str] = (),
    extra_sensitive: pd.DataFrame | None = None,
    target_names: Sequence[str] | None = None,
    warnings: Sequence[str] = (),
    **extras: Any,
) -> Bunch:
    """Put the Bunch together.

    Parameters
    ----------
    dataset_id : str
        Name of the data set.
    data : DataFrame of shape (n_samples, n_features)
        Features, protected columns included.
    target : Series or DataFrame of n_samples rows
        What is to be predicted.
    sensitive : sequence of str
        Columns of `data` that are protected.
    drop_sensitive, as_frame : bool
        As in the loaders.
    also_drop : sequence of str, default=()
        Columns that spell out a protected one, dropped together with them.
    extra_sensitive : DataFrame, default=None
        Protected columns that are not features.
    target_names : sequence of str, default=None
        Meaning of 0 and 1.
    warnings : sequence of str, default=()
        Known problems that follow from the options, after those of the table.
    **extras : object
        Further keys of the Bunch; pandas objects follow `as_frame`, None is left out.
    """
    facts = describe(dataset_id)
    data = text_to_category(data.reset_index(drop=True))
    target = target.reset_index(drop=True)
    protected = data[list(sensitive)]
    if extra_sensitive is not None:
        added = text_to_category(extra_sensitive.reset_index(drop=True))
        protected = pd.concat([protected, added], axis=1)
    if drop_sensitive:
        data = data.drop(columns=[*sensitive, *also_drop])
    tables: dict[str, Any] = {
        "data": data,
        "target": target,
        "sensitive_features": protected,
        **{
            key: value.reset_index(drop=True)
            if isinstance(value, pd.Series | pd.DataFrame)
            else value
            for key, value in extras.items()
            if value is not None
        },
    }
    if not as_frame:
        tables = {
            key: value.to_numpy() if isinstance(value, _PANDAS) else value
            for key, value in tables.items()
        }
    return Bunch(
        **tables,
        frame=pd.concat([data, target], axis=1) if as_frame else None,
        feature_names=list(data.columns),
        sensitive_names=list(protected.columns),
        target_names=None if target_names is None else list(target_names),
        DESCR=render(facts),
        licence=facts.licence,
        source=facts.source,
        citation=facts.citation,
        warnings=[*facts.warnings, *warnings],
    )
