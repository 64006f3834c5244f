from ._allocate import Allocation, allocate_budget
from ._curves import ExponentialCurve, HyperbolicCurve, PowerLawCurve
from ._display import AllocationDisplay, SamplingDisplay
from ._learning_curve import LearningCurveResult, nested_learning_curve
from ._sampler import AdaptiveGroupSampler

__all__ = [
    "AdaptiveGroupSampler",
    "Allocation",
    "AllocationDisplay",
    "ExponentialCurve",
    "HyperbolicCurve",
    "LearningCurveResult",
    "PowerLawCurve",
    "SamplingDisplay",
    "allocate_budget",
    "nested_learning_curve",
]
