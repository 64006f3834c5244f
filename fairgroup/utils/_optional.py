"""Import of optional libraries, inside the function that needs them."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["require"]


def require(module: str, *, extra: str) -> Any:
    """Import an optional module or say which extra brings it.

    Parameters
    ----------
    module : str
        Dotted name, for example ``"matplotlib.pyplot"``.
    extra : str
        Name of the fairgroup extra that installs it.

    Returns
    -------
    module
        The imported module.

    Raises
    ------
    ImportError
        When the library is not installed. An error inside an installed library is passed on as it
        is.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = module.split(".")[0]
        if error.name is None or error.name.split(".")[0] != library:
            raise
        raise ImportError(
            f"This needs {library}, which is not installed. "
            f'Install it with: pip install "fairgroup[{extra}]"',
            name=error.name,
        ) from error
