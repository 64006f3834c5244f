"""Impression-variance aware re-ranking: who sees an item, against who is eligible to see it."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
