"""What is put into the wheel, and that the tables of requirements agree with each other."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import PurePosixPath

import pytest
from _public import PACKAGE, ROOT

import fairgroup

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
# What the package may hold; tables are listed one by one, a real data set has no place here.
TEXT = {".py", ".pyi", ".html", ".css", ".js", ".jinja", ".j2", ".toml", ".typed"}
DATA = {"lending", "lending_truth"}
TABLES = {".csv", ".gz", ".json", ".parquet", ".zip", ".data", ".txt", ".npz"}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> zipfile.ZipFile:
    pytest.importorskip("hatchling")
    folder = tmp_path_factory.mktemp("wheel")
    run = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert run.returncode == 0, run.stderr
    (path,) = folder.glob("*.whl")
    return zipfile.ZipFile(path)


@pytest.mark.slow
def test_wheel_holds_the_whole_package(wheel):
    names = set(wheel.namelist())
    assert "fairgroup/py.typed" in names
    sources = {
        path.relative_to(ROOT).as_posix()
        for pattern in ("*.py", "*.pyi", "*.html", "*.css", "*.js")
        for path in PACKAGE.rglob(pattern)
    }
    assert sources <= names
    assert any(name.endswith("licenses/LICENSE") for name in names)


@pytest.mark.slow
def test_wheel_holds_the_embedded_sample_and_no_other_data(wheel):
    paths = [PurePosixPath(name) for name in wheel.namelist() if name.startswith("fairgroup/")]
    tables = [path for path in paths if path.suffix in TABLES]
    assert any("lending" in path.name for path in tables)
    strange = [
        path
        for path in paths
        if path.suffix not in TEXT and not (path in tables and path.name.split(".")[0] in DATA)
    ]
    assert not strange
    assert sum(entry.file_size for entry in wheel.infolist()) < 5e6


@pytest.mark.slow
def test_wheel_installs_the_command(wheel):
    (name,) = [n for n in wheel.namelist() if n.endswith("entry_points.txt")]
    assert "fairgroup = fairgroup.cli:main" in wheel.read(name).decode()


def requirement_names(requirements: list[str]) -> set[str]:
    names = {re.match(r"[A-Za-z0-9_.-]+", entry).group() for entry in requirements}
    return {name.lower().replace("_", "-") for name in names} - {"fairgroup"}


def test_every_direct_requirement_has_a_tested_version():
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+==[0-9][A-Za-z0-9.]*", pin) for pin in pins)
    wanted = requirement_names(PROJECT["project"]["dependencies"])
    for group in PROJECT["dependency-groups"].values():
        wanted |= requirement_names(group)
    for extra in PROJECT["project"]["optional-dependencies"].values():
        # On other processors than x86-64 the xgboost package stands in for xgboost-cpu.
        wanted |= requirement_names([entry for entry in extra if "!= 'x86_64'" not in entry])
    assert wanted <= requirement_names(pins)


def test_the_extra_all_names_every_extra():
    extras = PROJECT["project"]["optional-dependencies"]
    (everything,) = extras["all"]
    named = set(re.search(r"\[(.*)\]", everything).group(1).split(","))
    assert named == set(extras) - {"all"}


def test_every_extra_named_in_the_package_exists():
    """``require(..., extra=...)`` sends the reader to an extra of pyproject.toml."""
    extras = set(PROJECT["project"]["optional-dependencies"])
    for path in PACKAGE.rglob("*.py"):
        named = set(re.findall(r'extra="([a-z]+)"', path.read_text(encoding="utf-8")))
        assert named <= extras, path


def test_the_citation_names_the_current_version():
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version: {fairgroup.__version__}\n" in citation
