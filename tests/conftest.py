"""Fixtures that every room's tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

# One thread per worker: the suite itself runs on all cores. Set before NumPy is imported.
for _name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(_name, "1")

_LOCAL_DATA = Path(__file__).parents[2] / "shared" / "datasets"


@pytest.fixture(scope="session")
def data_home() -> Path:
    """Folder with the real data sets; the test is skipped, and says so, where there is none."""
    home = Path(os.environ.get("FAIRGROUP_DATA_HOME", _LOCAL_DATA))
    if not (home / "adult" / "adult.data").exists():
        pytest.skip(f"real data sets not found at {home} (set FAIRGROUP_DATA_HOME)")
    return home
