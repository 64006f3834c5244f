"""Groupwise regret: online prediction that is good for every overlapping group at once.

:class:`GroupwiseRegressor` and :class:`GroupwiseClassifier` keep one base learner per group and
combine them with a sleeping-experts algorithm, :class:`GroupwiseOptimizer` does so for decisions
found by an oracle. :class:`AdaNormalHedge` and :class:`Specialists` are the aggregators by
themselves, :func:`groupwise_regret` measures the predictions of any model.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
