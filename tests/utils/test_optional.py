"""The message for a missing library, and the errors that must not be hidden by it."""

from __future__ import annotations

import math

import pytest

from fairgroup.utils._optional import require


def test_returns_the_module():
    assert require("math", extra="report") is math


def test_returns_a_submodule_not_its_parent():
    assert require("os.path", extra="report").join("a", "b").startswith("a")


def test_a_missing_library_names_the_extra():
    with pytest.raises(
        ImportError, match=r'no_such_lib.*pip install "fairgroup\[neural\]"'
    ) as caught:
        require("no_such_lib.part", extra="neural")
    assert caught.value.name == "no_such_lib"


def test_an_error_inside_an_installed_library_is_passed_on(tmp_path, monkeypatch):
    """A library that is there but lacks a library of its own must not look uninstalled."""
    (tmp_path / "half_installed.py").write_text("import its_missing_part\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="its_missing_part") as caught:
        require("half_installed", extra="report")
    assert "pip install" not in str(caught.value)
