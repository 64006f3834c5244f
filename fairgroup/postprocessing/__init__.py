"""FairTTTS: fairness at prediction time for fitted trees, forests and boosted trees.

:class:`FairTTTS` softens the decisions of a fitted tree model where it splits on a protected
input, computed exactly instead of simulated (Cohen-Inger, Rokach, Shapira and Cohen 2025).
:class:`FairTTTSCV` chooses how much on validation data, per group.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
