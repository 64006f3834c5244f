from ._auctions import AuctionLog
from ._bisg import bisg_posterior, correct_counts
from ._display import ImpressionVarianceDisplay
from ._noise import NoisyCounter
from ._reranker import VarianceAwareReranker
from ._result import SimulationResult
from ._simulator import AdAuctionSimulator
from ._static import DetConstSort, DetGreedy, exposure_by_group
from ._variance import (
    coverage_score,
    expected_variance,
    impression_variance,
    unique_user_counts,
    variance_interval,
)

__all__ = [
    "AdAuctionSimulator",
    "AuctionLog",
    "DetConstSort",
    "DetGreedy",
    "ImpressionVarianceDisplay",
    "NoisyCounter",
    "SimulationResult",
    "VarianceAwareReranker",
    "bisg_posterior",
    "correct_counts",
    "coverage_score",
    "expected_variance",
    "exposure_by_group",
    "impression_variance",
    "unique_user_counts",
    "variance_interval",
]
