"""Fixtures of the tests of distance covariance."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def reference():
    """The functions of ``reference.py``, which is no package."""
    path = Path(__file__).parent / "reference.py"
    spec = importlib.util.spec_from_file_location("dependence_reference", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
