"""Aranyani: fair decisions on a stream, with soft oblique decision forests.

:class:`AranyaniClassifier` and :class:`AranyaniRegressor` learn one row or a million at a time in
constant memory, store no rows, and keep the accuracy and the unfairness of all decisions so far at
hand. :func:`aranyani_path` runs many fairness weights and seeds over the same stream.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
