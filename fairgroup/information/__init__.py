"""Where a disparity comes from, and what fairness must cost.

Partial information decomposition of disparity over clients (or any other second source), and the
certified frontier of accuracy against global and local fairness, after Hamman and Dutta (ICLR
2024). Everything is computed from counts, so clients need not share rows.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
