"""Data sets by name: :func:`fetch` and :func:`list_datasets`."""

from __future__ import annotations

import inspect
from typing import Any

import pandas as pd
from sklearn.utils import Bunch

from fairgroup import datasets
from fairgroup.datasets._base import PathLike
from fairgroup.datasets._cache import data_folder, is_available
from fairgroup.datasets._registry import dataset_ids, describe

__all__ = ["fetch", "list_datasets"]


def fetch(dataset_id: str, **options: Any) -> Bunch:
    """Load a data set by its name.

    Parameters
    ----------
    dataset_id : str
        A name out of ``list_datasets()["id"]``, for example ``"adult"`` or ``"lending"``.
    **options : object
        Passed to the loader, ``fetch_<id>`` or ``load_<id>``. An embedded data set takes no
        notice of `data_home` and `download_if_missing`.

    Returns
    -------
    bunch : :class:`~sklearn.utils.Bunch`
        What the loader returns.

    Raises
    ------
    ValueError
        When there is no data set of that name.
    TypeError
        When the loader does not know an option.

    Examples
    --------
    >>> from fairgroup.datasets import fetch
    >>> fetch("lending").data.shape
    (20000, 13)
    """
    embedded = describe(dataset_id).embedded
    loader = getattr(datasets, f"load_{dataset_id}" if embedded else f"fetch_{dataset_id}")
    if embedded:
        options = {
            k: v for k, v in options.items() if k not in ("data_home", "download_if_missing")
        }
    known = inspect.signature(loader).parameters
    unknown = [name for name in options if name not in known]
    if unknown:
        raise TypeError(
            f"{loader.__name__} has no option {', '.join(map(repr, unknown))}; "
            f"it has {', '.join(known)}."
        )
    return loader(**options)


def list_datasets(*, data_home: PathLike | None = None) -> pd.DataFrame:
    """List all data sets with their licences, and whether they are here.

    Parameters
    ----------
    data_home : path-like, default=None
        Folder of the data files. None: the environment variable ``FAIRGROUP_DATA_HOME``, else the
        user's cache.

    Returns
    -------
    table : DataFrame
        One row per data set: `id`, `title`, `task`, `rows` (with the default options),
        `protected`, `licence`, `available` (embedded, or its files lie in the folder; their
        checksums are looked at when they are loaded) and `downloadable` (the loader can fetch the
        files by itself).

    Examples
    --------
    >>> from fairgroup.datasets import list_datasets
    >>> table = list_datasets().set_index("id")
    >>> print(table.loc["lending", "rows"], table.loc["lending", "available"])
    20000 True
    """
    folder = data_folder(data_home)
    rows = [
        {
            "id": facts.id,
            "title": facts.title,
            "task": facts.task,
            "rows": facts.rows,
            "protected": ", ".join(facts.protected),
            "licence": facts.licence,
            "available": facts.embedded or is_available(facts, folder),
            "downloadable": not facts.embedded and facts.downloadable,
        }
        for facts in map(describe, dataset_ids())
    ]
    return pd.DataFrame(rows)
