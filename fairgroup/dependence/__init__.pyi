from ._measures import (
    concatenated_distance_covariance,
    distance_correlation,
    distance_covariance,
    joint_distance_covariance,
)

__all__ = [
    "concatenated_distance_covariance",
    "distance_correlation",
    "distance_covariance",
    "joint_distance_covariance",
]
