"""The table of facts about the data sets: one TOML file per data set in ``table/``.

The table is the only place where names, checksums, addresses, licences and known problems are
written down. The loaders, :func:`list_datasets`, the ``DESCR`` of a loaded data set and the data
sheets in the top-level folder ``datasets/`` are all made from it.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

__all__ = ["DataFile", "DataSet", "dataset_ids", "describe"]


@dataclass(frozen=True)
class DataFile:
    """One file of a data set.

    Attributes
    ----------
    name : str
        File name below ``<data_home>/<id>/``. Where it ends in ``.gz``, the same file without
        compression is accepted too.
    sha256 : str
        Checksum of the uncompressed content.
    rows, columns : int
        Shape of the table in it.
    bytes : int
        Size of the uncompressed content. 0: not known.
    url : str or None
        Address from which the file, or an archive that holds it, is downloaded. None: there is
        none.
    header : str
        Line that is put before the upstream content, for a file that upstream has no header.
    table_sha256 : str
        For a file converted from another format: fingerprint of the parsed table, which a
        conversion with other software reproduces even where its bytes differ. Empty for the rest.
    read : dict
        Arguments of :func:`pandas.read_csv`.
    default : bool
        Whether the loader reads the file when no option is given.
    """

    name: str
    sha256: str
    rows: int
    columns: int
    bytes: int = 0
    url: str | None = None
    header: str = ""
    table_sha256: str = ""
    read: dict[str, Any] = field(default_factory=dict)
    default: bool = True


@dataclass(frozen=True)
class DataSet:
    """Facts about one data set; the texts are shown to users as they stand."""

    id: str
    title: str
    task: str
    rows: int
    target: str
    positive: str
    protected: tuple[str, ...]
    exposure: str
    licence: str
    source: str
    citation: str
    summary: str
    warnings: tuple[str, ...]
    options: tuple[str, ...] = ()
    steps: str = ""
    files: tuple[DataFile, ...] = ()

    def file(self, name: str) -> DataFile:
        """Return the file called `name`."""
        return next(file for file in self.files if file.name == name)

    @property
    def downloadable(self) -> bool:
        """Whether every file that the loader reads by default has an address."""
        return all(file.url is not None for file in self.files if file.default)

    @property
    def embedded(self) -> bool:
        """Whether the data come with the package."""
        return not self.files


@cache
def dataset_ids() -> tuple[str, ...]:
    """Names of the data sets in the table, sorted."""
    table = files(__package__) / "table"
    return tuple(sorted(p.name[:-5] for p in table.iterdir() if p.name.endswith(".toml")))


@cache
def describe(dataset_id: str) -> DataSet:
    """Read the facts about one data set.

    Parameters
    ----------
    dataset_id : str
        Name of the data set, for example ``"adult"``.

    Returns
    -------
    facts : DataSet

    Raises
    ------
    ValueError
        When there is no data set of that name; the message lists the names.
    """
    if dataset_id not in dataset_ids():
        raise ValueError(
            f"No data set is called {dataset_id!r}. Known names: {', '.join(dataset_ids())}."
        )
    text = (files(__package__) / "table" / f"{dataset_id}.toml").read_text(encoding="utf-8")
    facts = tomllib.loads(text)
    shared = facts.pop("read", {})
    entries = tuple(
        DataFile(**{**entry, "read": _read_arguments({**shared, **entry.get("read", {})})})
        for entry in facts.pop("files", [])
    )
    for key in ("protected", "warnings", "options"):
        facts[key] = tuple(facts.get(key, ()))
    return DataSet(id=dataset_id, files=entries, **facts)


def _read_arguments(arguments: dict[str, Any]) -> dict[str, Any]:
    """TOML has no null: ``header = "none"`` says that a file has neither header nor names."""
    return {key: None if value == "none" else value for key, value in arguments.items()}
