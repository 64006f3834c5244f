from ._classifier import DistanceCovarianceClassifier
from ._display import IndependenceTestDisplay, SubgroupEnergyDisplay
from ._energy import subgroup_energy_report
from ._independence import IndependenceTest, independence_test
from ._joint import joint_distance_covariance
from ._measures import (
    concatenated_distance_covariance,
    distance_correlation,
    distance_covariance,
)
from ._path import FairnessPath
from ._path_display import FairnessPathDisplay
from ._penalty import DependencePenalty
from ._regressor import DistanceCovarianceRegressor
from ._torch_loss import DistanceCovarianceLoss

__all__ = [
    "DependencePenalty",
    "DistanceCovarianceClassifier",
    "DistanceCovarianceLoss",
    "DistanceCovarianceRegressor",
    "FairnessPath",
    "FairnessPathDisplay",
    "IndependenceTest",
    "IndependenceTestDisplay",
    "SubgroupEnergyDisplay",
    "concatenated_distance_covariance",
    "distance_correlation",
    "distance_covariance",
    "independence_test",
    "joint_distance_covariance",
    "subgroup_energy_report",
]
