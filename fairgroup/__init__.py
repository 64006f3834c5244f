"""Fairness-aware machine learning in scikit-learn style.

The public names are listed in ``__init__.pyi`` and loaded when first used, so that ``import
fairgroup`` itself imports neither scikit-learn nor any optional library.
"""

import lazy_loader as _lazy

from fairgroup._version import __version__

_getattr, _dir, __all__ = _lazy.attach_stub(__name__, __file__)
__all__ = [*__all__, "__version__"]


def __getattr__(name: str) -> object:
    return _getattr(name)


def __dir__() -> list[str]:
    return _dir()
