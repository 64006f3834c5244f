"""Versions of everything that can change a result."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

from fairgroup._version import __version__

__all__ = ["show_versions", "versions"]

_CORE = ("numpy", "scipy", "scikit-learn", "pandas", "narwhals", "joblib", "numba", "fairlearn")
_OPTIONAL = (
    "torch",
    "skorch",
    "cvxpy",
    "matplotlib",
    "jinja2",
    "pooch",
    "pyarrow",
    "polars",
    "lightgbm",
    "xgboost",
    "xgboost-cpu",
    "shap",
    "lime",
    "river",
    "flwr",
    "dask",
    "distributed",
    "skops",
)


def versions(*, optional: bool = True) -> dict[str, str]:
    """Return name -> version of Python, fairgroup and its dependencies; missing ones are left
    out.
    """
    found = {"python": sys.version.split()[0], "fairgroup": __version__}
    for name in (*_CORE, *_OPTIONAL) if optional else _CORE:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found


def show_versions() -> None:
    """Print the system and the versions of fairgroup's dependencies, for a bug report.

    Numerical results can also depend on the linear algebra library and on the number of threads,
    which are printed last. Optional libraries that are not installed are left out.

    Examples
    --------
    >>> import fairgroup
    >>> fairgroup.show_versions()  # doctest: +ELLIPSIS
    system: ...
    """
    print(f"system: {platform.platform()}")
    for name, version in versions().items():
        print(f"{name}: {version}")
    for pool in _thread_pools():
        print(pool)


def _thread_pools() -> list[str]:
    """Return one line per loaded library that has threads of its own, in scikit-learn's words."""
    import numpy  # noqa: F401  # loads the linear algebra library that is asked about
    from threadpoolctl import threadpool_info  # comes with scikit-learn

    return [
        f"{pool['internal_api']}: {pool.get('version') or 'version unknown'}, "
        f"{pool['num_threads']} thread(s)"
        for pool in threadpool_info()
    ]
