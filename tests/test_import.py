"""Importing fairgroup is cheap: it loads nothing heavy until a name is used."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest
from _public import public_modules, public_names

CORE = {"numpy", "scipy", "sklearn", "pandas", "narwhals", "joblib", "numba", "fairlearn", "tqdm"}
OPTIONAL = {
    "cvxpy",
    "dask",
    "distributed",
    "flwr",
    "jinja2",
    "lightgbm",
    "lime",
    "matplotlib",
    "polars",
    "pooch",
    "pyarrow",
    "ray",
    "river",
    "shap",
    "skorch",
    "torch",
    "xgboost",
}
# pandas loads it by itself wherever it is installed.
LOADED_BY_PANDAS = {"pyarrow"}
# Classes that are torch modules: their definition needs torch, so their first use may load it.
NEEDS_TORCH = {"DistanceCovarianceLoss"}


def output_of(code: str) -> str:
    """What a fresh interpreter prints; its error, if it fails."""
    run = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=300
    )
    assert run.returncode == 0, run.stderr
    return run.stdout


def loaded_by(statement: str) -> set[str]:
    """Top-level modules that a statement loads in a fresh interpreter, beyond the bare one's."""
    code = (
        "import sys, json; bare = set(sys.modules)\n"
        f"{statement}\n"
        "print(json.dumps(sorted({name.split('.')[0] for name in set(sys.modules) - bare})))"
    )
    return set(json.loads(output_of(code).splitlines()[-1]))


def test_import_loads_no_library():
    loaded = loaded_by("import fairgroup")
    assert "fairgroup" in loaded
    assert not loaded & (CORE | OPTIONAL), loaded & (CORE | OPTIONAL)


def test_dir_and_version_load_no_library():
    loaded = loaded_by("import fairgroup; dir(fairgroup); fairgroup.__version__")
    assert not loaded & (CORE | OPTIONAL), loaded & (CORE | OPTIONAL)


def test_public_names_use_no_optional_library():
    """Every public name can be looked up with the core alone."""
    names = [name.rsplit(".", 1) for name in public_names()]
    wanted = "; ".join(
        f"import {module}; {module}.{name}" for module, name in names if name not in NEEDS_TORCH
    )
    unwanted = loaded_by(wanted) & (OPTIONAL - LOADED_BY_PANDAS)
    assert not unwanted, unwanted


@pytest.mark.parametrize("module", public_modules())
def test_dir_of_a_subpackage_is_what_it_lists(module):
    listed = [name.rsplit(".", 1)[1] for name in public_names() if name.startswith(f"{module}.")]
    found = output_of(f"import {module}; print(*{module}.__all__)")
    assert sorted(found.split()) == sorted(listed)


def test_a_wrong_name_is_an_attribute_error():
    import fairgroup

    with pytest.raises(AttributeError, match="no_such_name"):
        fairgroup.no_such_name


def test_the_command_shows_its_help_without_optional_libraries():
    loaded = loaded_by(
        "from fairgroup.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit as end:\n    assert not end.code"
    )
    assert not loaded & (OPTIONAL - LOADED_BY_PANDAS), loaded
