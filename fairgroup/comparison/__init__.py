"""Methods side by side: one run, the same folds, the same base model, one table and one report."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
