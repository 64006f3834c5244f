from ._allocate import Allocation, allocate_budget
from ._curves import ExponentialCurve, HyperbolicCurve, PowerLawCurve
from ._learning_curve import LearningCurveResult, nested_learning_curve
from ._sampler import AdaptiveGroupSampler

__all__ = [
    "AdaptiveGroupSampler",
    "Allocation",
    "ExponentialCurve",
    "HyperbolicCurve",
    "LearningCurveResult",
    "PowerLawCurve",
    "allocate_budget",
    "nested_learning_curve",
]
