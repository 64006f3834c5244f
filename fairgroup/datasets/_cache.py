"""Where data files lie, how they are checked and how they get there.

A file is looked up at ``<data_home>/<data set>/<file>`` and used after its checksum agrees with
the table. A file that is missing is downloaded where the table has an address. Whatever upstream
sends (the file itself, a gzip file, a zip or tar archive, an archive within an archive), the
wanted file is recognised by its checksum, so nothing depends on how an archive is laid out. pooch
writes to a temporary name, checks the result and moves it into place: the cache never holds half
a file.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from fairgroup.datasets._registry import DataFile, DataSet
from fairgroup.utils._optional import require

__all__ = ["data_folder", "is_available", "locate", "table_fingerprint"]

_MIRROR: str | None = None  # tests put the address of a local server here
_RETRIES = 3
_CHUNK = 2**18  # bytes; the default of pooch, 1 KiB, is slow for large files
_ARCHIVE_DEPTH = 4  # gzip in a tar in a zip in a zip is the deepest seen


def data_folder(data_home: str | os.PathLike[str] | None = None) -> Path:
    """Folder of the data files: the argument, a variable of the environment, or the cache.

    Parameters
    ----------
    data_home : path-like, default=None
        The folder. None looks at the environment variable ``FAIRGROUP_DATA_HOME``, then takes the
        folder ``fairgroup`` in the cache of the operating system, the place that
        ``pooch.os_cache`` names.

    Returns
    -------
    folder : Path
        It need not exist.
    """
    if data_home is None:
        data_home = os.environ.get("FAIRGROUP_DATA_HOME") or _user_cache()
    return Path(data_home).expanduser()


def _user_cache() -> Path:
    """What ``pooch.os_cache("fairgroup")`` gives, also where pooch is not installed."""
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
        return Path(base) / "fairgroup" / "fairgroup" / "Cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "fairgroup"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "fairgroup"


def is_available(dataset: DataSet, data_home: str | os.PathLike[str] | None = None) -> bool:
    """Whether every file that the loader reads by default lies in the folder, right or wrong."""
    folder = data_folder(data_home) / dataset.id
    return all(_existing(folder, file) is not None for file in dataset.files if file.default)


def locate(
    dataset: DataSet,
    names: tuple[str, ...],
    data_home: str | os.PathLike[str] | None = None,
    download_if_missing: bool = True,
) -> list[Path]:
    """Paths of checked files, downloaded where they are missing.

    Parameters
    ----------
    dataset : DataSet
        The facts.
    names : tuple of str
        Names of the wanted files.
    data_home : path-like, default=None
        See :func:`data_folder`.
    download_if_missing : bool, default=True
        Whether to download a file that is not there.

    Returns
    -------
    paths : list of Path

    Raises
    ------
    FileNotFoundError
        When a file is missing and is not to be, or cannot be, downloaded.
    ConnectionError
        When the download fails.
    OSError
        When the folder cannot be written to.
    ValueError
        When a file has another checksum than the table says.
    """
    folder = data_folder(data_home) / dataset.id
    paths = []
    with tempfile.TemporaryDirectory() as scratch:
        for file in map(dataset.file, names):
            path = _existing(folder, file)
            if path is not None:
                _check(path, file, dataset)
            elif download_if_missing and file.url is not None:
                path = _download(dataset, file, folder, Path(scratch))
            else:
                raise FileNotFoundError(_missing_message(dataset, file, folder))
            paths.append(path)
    return paths


def _existing(folder: Path, file: DataFile) -> Path | None:
    for name in (file.name, file.name.removesuffix(".gz")):
        if (folder / name).is_file():
            return folder / name
    return None


def _check(path: Path, file: DataFile, dataset: DataSet) -> None:
    """Raise a ValueError unless the file holds what the table says."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = _gunzip(content) or b""
    if _sha256(content) == file.sha256:
        return
    if file.table_sha256 and _same_table(content, file):
        return
    raise ValueError(
        f"{path} is not the file that the data set {dataset.id!r} needs: its checksum differs "
        f"from the one in the table (sha256 {file.sha256}). Move it away, then load the data set "
        f"again to download it, or fetch it by hand from {dataset.source}."
    )


def _same_table(content: bytes, file: DataFile) -> bool:
    try:
        return (
            table_fingerprint(pd.read_csv(io.BytesIO(content), **file.read)) == file.table_sha256
        )
    except (ValueError, pd.errors.ParserError):
        return False


def table_fingerprint(frame: pd.DataFrame) -> str:
    """sha256 of the values of a table, the same for each software that wrote it as CSV.

    Numbers count with eight significant digits (R writes fifteen, pandas up to seventeen), whole
    numbers are the same with and without a decimal point, and missing values are empty.
    """
    digest = hashlib.sha256()
    for name, column in frame.items():
        if pd.api.types.is_numeric_dtype(column):
            text = [f"{v:.8g}" if v == v else "" for v in column.astype(float).tolist()]
        else:
            text = column.astype(object).where(column.notna(), "").astype(str).tolist()
        digest.update("\n".join([str(name), *text, ""]).encode())
    return digest.hexdigest()


def _download(dataset: DataSet, file: DataFile, folder: Path, scratch: Path) -> Path:
    pooch = require("pooch", extra="data")
    requests = require("requests", extra="data")
    name = file.name.removesuffix(".gz")
    url = str(file.url) if _MIRROR is None else _MIRROR + urlsplit(str(file.url)).path
    cache = pooch.create(
        path=folder,
        base_url="",
        registry={name: f"sha256:{file.sha256}"},
        urls={name: url},
        retry_if_failed=_RETRIES,
    )
    try:
        return Path(cache.fetch(name, downloader=_unpacking_downloader(pooch, file, scratch)))
    except ValueError as error:
        raise ValueError(
            f"What {url} sent does not contain {name} with sha256 {file.sha256}. "
            + _missing_message(dataset, file, folder)
        ) from error
    except requests.RequestException as error:
        raise ConnectionError(
            f"{url} could not be downloaded ({type(error).__name__}). "
            + _missing_message(dataset, file, folder)
        ) from error
    except OSError as error:
        raise OSError(
            f"{name} cannot be stored in {folder} ({error}). Give another data_home."
        ) from error


def _unpacking_downloader(
    pooch: Any, file: DataFile, scratch: Path
) -> Callable[[str, str, Any], None]:
    """Downloader for pooch that takes the wanted file out of what was sent.

    An archive stays in `scratch`, so that two files of the same archive cost one download.
    """
    downloader = pooch.HTTPDownloader(progressbar=sys.stderr.isatty(), chunk_size=_CHUNK)

    def download(url: str, output_file: str, cache: Any) -> None:
        sent = scratch / hashlib.sha256(url.encode()).hexdigest()
        if not sent.exists():
            part = sent.with_suffix(".part")
            downloader(url, part, cache)
            part.rename(sent)
        content = _find(sent.read_bytes(), file)
        if content is None:
            sent.unlink()
            raise ValueError("the wanted file is not in what was sent")
        Path(output_file).write_bytes(content)

    return download


def _find(blob: bytes, file: DataFile, depth: int = _ARCHIVE_DEPTH) -> bytes | None:
    """Return the content with the right checksum: `blob` itself or a file packed in it."""
    content = file.header.encode() + blob
    if _sha256(content) == file.sha256:
        return content
    if depth == 0:
        return None
    found = (_find(member, file, depth - 1) for member in _members(blob))
    return next((content for content in found if content is not None), None)


def _members(blob: bytes) -> Iterator[bytes]:
    if zipfile.is_zipfile(io.BytesIO(blob)):
        with zipfile.ZipFile(io.BytesIO(blob)) as archive:
            yield from (archive.read(entry) for entry in archive.infolist() if not entry.is_dir())
    elif (unpacked := _gunzip(blob)) is not None:
        yield unpacked
    elif blob[257:262] == b"ustar":
        with tarfile.open(fileobj=io.BytesIO(blob)) as archive:
            members = (archive.extractfile(entry) for entry in archive if entry.isfile())
            yield from (member.read() for member in members if member is not None)


def _gunzip(blob: bytes) -> bytes | None:
    try:
        return gzip.decompress(blob)
    except (OSError, EOFError, ValueError):
        return None


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _missing_message(dataset: DataSet, file: DataFile, folder: Path) -> str:
    """What is missing, where it comes from, where to put it."""
    lines = [
        f"The data set {dataset.id!r} needs the file {file.name}, "
        f"which is not at {folder / file.name}."
    ]
    if file.url is not None:
        lines.append(f"It comes from {file.url}.")
    else:
        lines.append(f"There is no direct download. {dataset.steps}".strip())
    lines.append(
        f"Source and terms: {dataset.source} (licence: {dataset.licence}). "
        f"Put the file at {folder / file.name}, or give the folder that holds "
        f"{dataset.id}/{file.name} as data_home or as FAIRGROUP_DATA_HOME."
    )
    return "\n".join(lines)
