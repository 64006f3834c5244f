"""Real data sets with their facts, an embedded sample, and simulators with known truth."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
