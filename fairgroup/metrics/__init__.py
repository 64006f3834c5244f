"""How a model treats groups, measured, with uncertainty.

:func:`group_metrics` gives every metric overall, by intersection and by attribute, with
differences, ratios and bootstrap intervals, from one pass over the rows. Distances between the
groups' score distributions and scorers for ``GridSearchCV`` stand beside it.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
