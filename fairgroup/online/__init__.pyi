from ._aggregators import AdaNormalHedge, Specialists
from ._classifier import GroupwiseClassifier
from ._display import GroupRegretDisplay
from ._optimizer import GroupwiseOptimizer
from ._regressor import GroupwiseRegressor
from ._regret import groupwise_regret

__all__ = [
    "AdaNormalHedge",
    "GroupRegretDisplay",
    "GroupwiseClassifier",
    "GroupwiseOptimizer",
    "GroupwiseRegressor",
    "Specialists",
    "groupwise_regret",
]
