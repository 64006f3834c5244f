from . import (
    comparison,
    datasets,
    dependence,
    exceptions,
    forest,
    groups,
    information,
    metrics,
    online,
    postprocessing,
    ranking,
    sampling,
)
from ._show_versions import show_versions
from ._version import __version__
from .comparison import compare
from .dependence import (
    DistanceCovarianceClassifier,
    DistanceCovarianceRegressor,
    FairnessPath,
)
from .forest import AranyaniClassifier, AranyaniRegressor, aranyani_path
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
from .sampling import AdaptiveGroupSampler

__all__ = [
    "AdAuctionSimulator",
    "AdaNormalHedge",
    "AdaptiveGroupSampler",
    "AranyaniClassifier",
    "AranyaniRegressor",
    "DetConstSort",
    "DetGreedy",
    "DisparityDecomposition",
    "DistanceCovarianceClassifier",
    "DistanceCovarianceRegressor",
    "FairTTTS",
    "FairTTTSCV",
    "FairnessFrontier",
    "FairnessPath",
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
    "aranyani_path",
    "compare",
    "comparison",
    "datasets",
    "dependence",
    "exceptions",
    "forest",
    "groups",
    "information",
    "metrics",
    "online",
    "postprocessing",
    "ranking",
    "sampling",
    "show_versions",
]
