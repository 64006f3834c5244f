"""What a bug report needs: every library that the package asks for, with its version."""

from __future__ import annotations

import re
import tomllib

import pytest
from _public import ROOT

import fairgroup
from fairgroup._show_versions import _CORE, _OPTIONAL, versions


@pytest.fixture(scope="module")
def project():
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def distribution(requirement):
    return re.match(r"[A-Za-z0-9_-]+", requirement).group()


def test_every_library_that_is_asked_for_is_listed(project):
    small = {"lazy_loader", "tqdm"}  # cannot change a result
    assert {distribution(r) for r in project["dependencies"]} - small <= set(_CORE)
    extras = {distribution(r) for rs in project["optional-dependencies"].values() for r in rs}
    assert extras - {"fairgroup"} <= set(_OPTIONAL)


def test_missing_libraries_are_left_out():
    found = versions()
    assert {"python", "fairgroup", *_CORE} <= set(found)
    assert set(versions(optional=False)) == {"python", "fairgroup", *_CORE}
    assert all(found.values())


def test_it_prints_system_versions_and_threads(capsys):
    fairgroup.show_versions()
    printed = capsys.readouterr().out
    assert printed.startswith("system: ")
    assert f"fairgroup: {fairgroup.__version__}" in printed
    assert "thread(s)" in printed.splitlines()[-1]
