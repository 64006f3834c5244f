"""Adaptive equitable sampling: which group to collect data from next, and what it will buy."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
