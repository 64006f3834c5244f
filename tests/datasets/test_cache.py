"""Looking up, checking and downloading files, with files of our own."""

from __future__ import annotations

import gzip
import hashlib
import io
import sys
import tarfile
import zipfile
from pathlib import Path

import pandas as pd
import pytest

from fairgroup.datasets import _cache
from fairgroup.datasets._registry import DataFile, DataSet

# pooch leaves the connection of a failed download to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")

TABLE = b"a,b\n1,x\n2,y\n"
URL = "https://upstream.example/files/table.csv"
PATH = "/files/table.csv"


def a_file(content=TABLE, name="table.csv", url=URL, **other):
    digest = hashlib.sha256(content).hexdigest()
    return DataFile(name=name, sha256=digest, rows=2, columns=2, url=url, **other)


def a_dataset(*files, steps=""):
    return DataSet(
        id="toy",
        title="Toy",
        task="classification",
        rows=2,
        target="b",
        positive="x",
        protected=("a",),
        exposure="",
        licence="none at all",
        source="https://upstream.example/about",
        citation="",
        summary="",
        warnings=(),
        steps=steps,
        files=files,
    )


def locate(home, *files, steps="", **options):
    names = tuple(file.name for file in files)
    return _cache.locate(a_dataset(*files, steps=steps), names, home, **options)


def zipped(**members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tarred(name, content):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = len(content)
        archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def everything_below(folder: Path):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())


# Where the files lie


def test_data_folder_is_the_argument_then_the_environment_then_the_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("FAIRGROUP_DATA_HOME", str(tmp_path / "env"))
    assert _cache.data_folder(tmp_path / "given") == tmp_path / "given"
    assert _cache.data_folder() == tmp_path / "env"
    monkeypatch.delenv("FAIRGROUP_DATA_HOME")
    pooch = pytest.importorskip("pooch")
    assert _cache.data_folder() == Path(pooch.os_cache("fairgroup"))


@pytest.mark.parametrize(
    ("platform", "variable", "expected"),
    [
        ("linux", "XDG_CACHE_HOME", ("fairgroup",)),
        ("win32", "LOCALAPPDATA", ("fairgroup", "fairgroup", "Cache")),
    ],
)
def test_the_cache_of_each_system(monkeypatch, tmp_path, platform, variable, expected):
    monkeypatch.delenv("FAIRGROUP_DATA_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setenv(variable, str(tmp_path))
    assert _cache.data_folder() == tmp_path.joinpath(*expected)


def test_the_cache_on_a_mac(monkeypatch):
    monkeypatch.delenv("FAIRGROUP_DATA_HOME", raising=False)
    monkeypatch.setattr(sys, "platform", "darwin")
    assert _cache.data_folder() == Path.home() / "Library" / "Caches" / "fairgroup"


# A file that is there


def test_a_file_with_the_right_checksum_is_used_without_pooch(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "table.csv").write_bytes(TABLE)
    assert locate(tmp_path, a_file()) == [tmp_path / "toy" / "table.csv"]


@pytest.mark.parametrize("stored", ["table.csv.gz", "table.csv"])
def test_a_compressed_file_is_used_compressed_or_not(tmp_path, stored):
    (tmp_path / "toy").mkdir()
    content = gzip.compress(TABLE, 1, mtime=0) if stored.endswith("gz") else TABLE
    (tmp_path / "toy" / stored).write_bytes(content)
    assert locate(tmp_path, a_file(name="table.csv.gz")) == [tmp_path / "toy" / stored]


@pytest.mark.parametrize("content", [TABLE[:-3], b"", gzip.compress(TABLE, mtime=0)[:-5]])
def test_a_file_with_another_checksum_is_refused_and_left_alone(tmp_path, content, upstream):
    name = "table.csv.gz" if content[:2] == b"\x1f\x8b" else "table.csv"
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / name).write_bytes(content)
    with pytest.raises(ValueError, match="checksum differs"):
        locate(tmp_path, a_file(name=name))
    assert (tmp_path / "toy" / name).read_bytes() == content
    assert not upstream.requests


def test_a_conversion_by_other_software_counts_by_its_values(tmp_path):
    values = pd.DataFrame({"n": [1, 2], "x": [0.1 + 0.2, 1 / 3], "s": ["a", None]})
    file = a_file(
        values.to_csv(index=False).encode(),
        url=None,
        table_sha256=_cache.table_fingerprint(values),
    )
    (tmp_path / "toy").mkdir()
    path = tmp_path / "toy" / "table.csv"
    path.write_text('"n","x","s"\n1.0,0.3,"a"\n2e+00,0.333333333333333,NA\n')
    assert locate(tmp_path, file) == [path]
    path.write_text('"n","x","s"\n1.0,0.3,"a"\n2e+00,0.334,NA\n')
    with pytest.raises(ValueError, match="checksum differs"):
        locate(tmp_path, file)


# A file that is not there


def test_without_download_the_error_names_file_source_and_place(tmp_path):
    with pytest.raises(FileNotFoundError) as caught:
        locate(tmp_path, a_file(), download_if_missing=False)
    message = str(caught.value)
    assert str(tmp_path / "toy" / "table.csv") in message
    assert URL in message
    assert "https://upstream.example/about" in message
    assert "FAIRGROUP_DATA_HOME" in message
    assert "none at all" in message


def test_without_an_address_the_error_gives_the_steps(tmp_path):
    with pytest.raises(FileNotFoundError, match="Ask the author for it"):
        locate(tmp_path, a_file(url=None), steps="Ask the author for it.")


def test_without_pooch_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pooch", None)
    with pytest.raises(ImportError, match=r"fairgroup\[data\]"):
        locate(tmp_path, a_file())


@pytest.mark.parametrize(
    "sent",
    [
        TABLE,
        gzip.compress(TABLE, mtime=0),
        zipped(**{"inside/other-name.csv": TABLE, "table.csv": b"something else"}),
        zipped(**{"old.zip": zipped(a=b"no"), "new.zip": zipped(**{"table.csv": TABLE})}),
        zipped(**{"all.tar.gz": gzip.compress(tarred("table.csv", TABLE))}),
    ],
    ids=["plain", "gzip", "zip", "zip in zip", "tar.gz in zip"],
)
def test_the_file_is_found_however_it_is_packed(tmp_path, upstream, sent):
    upstream.answers[PATH] = [sent]
    (path,) = locate(tmp_path, a_file())
    assert path.read_bytes() == TABLE
    assert everything_below(tmp_path) == ["toy/table.csv"]
    locate(tmp_path, a_file())
    assert upstream.requests[PATH] == 1


def test_a_compressed_name_is_stored_uncompressed(tmp_path, upstream):
    upstream.answers[PATH] = [TABLE]
    (path,) = locate(tmp_path, a_file(name="table.csv.gz"))
    assert path.name == "table.csv"
    assert path.read_bytes() == TABLE


def test_a_header_line_is_put_before_what_upstream_sends(tmp_path, upstream):
    upstream.answers[PATH] = [zipped(**{"table.txt": b"1,x\n2,y\n"})]
    (path,) = locate(tmp_path, a_file(header="a,b\n"))
    assert path.read_bytes() == TABLE


def test_two_files_of_one_archive_cost_one_download(tmp_path, upstream):
    upstream.answers[PATH] = [zipped(one=TABLE, two=TABLE * 2)]
    paths = locate(tmp_path, a_file(), a_file(TABLE * 2, name="other.csv"))
    assert [path.read_bytes() for path in paths] == [TABLE, TABLE * 2]
    assert upstream.requests[PATH] == 1


@pytest.mark.parametrize(
    "first",
    [("cut", TABLE * 1000), 503, b"an error page", zipped(a=TABLE)[:40]],
    ids=["cut connection", "server error", "wrong content", "broken archive"],
)
def test_a_failed_attempt_is_repeated(tmp_path, upstream, first):
    upstream.answers[PATH] = [first, TABLE]
    (path,) = locate(tmp_path, a_file())
    assert path.read_bytes() == TABLE
    assert upstream.requests[PATH] == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (("cut", TABLE * 1000), ConnectionError),
        (404, ConnectionError),
        (TABLE + b"3,z\n", ValueError),
        (zipped(a=b"no", b=b"neither"), ValueError),
    ],
    ids=["cut connection", "not found", "wrong checksum", "archive without the file"],
)
def test_what_fails_every_time_leaves_nothing_behind(tmp_path, upstream, answer, error):
    upstream.answers[PATH] = [answer]
    with pytest.raises(error) as caught:
        locate(tmp_path, a_file())
    assert str(tmp_path / "toy" / "table.csv") in str(caught.value)
    assert URL in str(caught.value)
    assert everything_below(tmp_path) == []
    assert upstream.requests[PATH] == 1 + _cache._RETRIES


def test_no_server_at_all_is_an_error_that_says_what_to_do(tmp_path, upstream, monkeypatch):
    monkeypatch.setattr(_cache, "_MIRROR", "http://127.0.0.1:9")  # the discard port
    with pytest.raises(ConnectionError, match="Put the file at"):
        locate(tmp_path, a_file())
    assert everything_below(tmp_path) == []


def test_a_folder_that_cannot_be_written_is_an_error_that_says_so(tmp_path, upstream):
    (tmp_path / "toy").write_text("a file where the folder should be")
    upstream.answers[PATH] = [TABLE]
    with pytest.raises(OSError, match="Give another data_home"):
        locate(tmp_path, a_file())


def test_availability_looks_at_the_files_that_are_read_by_default(tmp_path):
    dataset = a_dataset(a_file(), a_file(name="more.csv", default=False))
    assert not _cache.is_available(dataset, tmp_path)
    (tmp_path / "toy").mkdir()
    (tmp_path / "toy" / "table.csv").write_bytes(TABLE)
    assert _cache.is_available(dataset, tmp_path)
