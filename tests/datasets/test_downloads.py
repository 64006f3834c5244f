"""Real files, sent by a local server the way upstream packs them, become the same data."""

from __future__ import annotations

import gzip
import io
import tarfile
import zipfile
from urllib.parse import urlsplit

import pytest

from fairgroup import datasets
from fairgroup.datasets._registry import describe

pytestmark = pytest.mark.filterwarnings("ignore::ResourceWarning")


def zipped(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def tar_gz(members):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for name, content in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def plain(files):
    return next(iter(files.values()))


def without_header(files):
    return zipped({"data.txt": plain(files).split(b"\n", 1)[1]})


# data set, files, how upstream packs them, options of the loader
CASES = [
    ("adult", ["adult.data", "adult.test"], zipped, {}),
    ("compas", ["compas-scores-two-years.csv"], plain, {}),
    ("compas", ["compas-scores.csv.gz"], plain, {"subset": "all_scores"}),
    ("german_credit", ["german.data", "german.data-numeric"], zipped, {}),
    (
        "bank_marketing",
        ["bank-additional-full.csv"],
        lambda files: zipped(
            {"bank.zip": zipped({"x": b""}), "bank-additional.zip": zipped(files)}
        ),
        {},
    ),
    (
        "census_income_kdd",
        ["census-income.test"],
        lambda files: zipped({"census.tar.gz": tar_gz(files)}),
        {},
    ),
    (
        "communities_crime",
        ["CommViolPredUnnormalizedData.csv"],
        without_header,
        {"subset": "unnormalised"},
    ),
    ("oulad", ["oulad_clean.csv"], plain, {}),
]


@pytest.mark.parametrize(("dataset_id", "names", "pack", "options"), CASES)
def test_downloaded_data_are_the_local_data(
    dataset_id, names, pack, options, data_home, tmp_path, upstream
):
    local = {}
    for name in names:
        path = data_home / dataset_id / name
        packed = path.with_name(f"{name}.gz")
        local[name] = gzip.decompress(packed.read_bytes()) if packed.exists() else None
        local[name] = local[name] or path.read_bytes()
    facts = describe(dataset_id)
    stems = {name.removesuffix(".gz") for name in names}
    files = [file for file in facts.files if file.name.removesuffix(".gz") in stems]
    for file in files:
        upstream.answers[urlsplit(file.url).path] = [503, pack(local)]
    bunch = datasets.fetch(dataset_id, data_home=tmp_path, **options)
    expected = datasets.fetch(dataset_id, data_home=data_home, **options)
    assert bunch.frame.equals(expected.frame)
    stored = {p.name for p in (tmp_path / dataset_id).iterdir()}
    assert stored == stems
    again = datasets.fetch(dataset_id, data_home=tmp_path, download_if_missing=False, **options)
    assert again.frame.equals(expected.frame)
