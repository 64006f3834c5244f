from . import (
    comparison,
    datasets,
    exceptions,
    groups,
    information,
    metrics,
    online,
    postprocessing,
    ranking,
)
from ._show_versions import show_versions
from ._version import __version__
from .comparison import compare
from .groups import GroupEncoder, MembershipEncoder, SensitiveColumns, SensitiveEncoder
from .information import DisparityDecomposition, FairnessFrontier, FrontierPostProcessor
from .online import (
    AdaNormalHedge,
    GroupwiseClassifier,
    GroupwiseOptimizer,
    GroupwiseRegressor,
    Specialists,
)
from .postprocessing import FairTTTS, FairTTTSCV
from .ranking import (
    AdAuctionSimulator,
    DetConstSort,
    DetGreedy,
    NoisyCounter,
    VarianceAwareReranker,
)

__all__ = [
    "AdAuctionSimulator",
    "AdaNormalHedge",
    "DetConstSort",
    "DetGreedy",
    "DisparityDecomposition",
    "FairTTTS",
    "FairTTTSCV",
    "FairnessFrontier",
    "FrontierPostProcessor",
    "GroupEncoder",
    "GroupwiseClassifier",
    "GroupwiseOptimizer",
    "GroupwiseRegressor",
    "MembershipEncoder",
    "NoisyCounter",
    "SensitiveColumns",
    "SensitiveEncoder",
    "Specialists",
    "VarianceAwareReranker",
    "__version__",
    "compare",
    "comparison",
    "datasets",
    "exceptions",
    "groups",
    "information",
    "metrics",
    "online",
    "postprocessing",
    "ranking",
    "show_versions",
]
