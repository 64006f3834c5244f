from . import comparison, datasets, exceptions, groups, metrics, ranking
from ._show_versions import show_versions
from ._version import __version__
from .comparison import compare
from .groups import GroupEncoder, MembershipEncoder, SensitiveColumns, SensitiveEncoder
from .ranking import (
    AdAuctionSimulator,
    DetConstSort,
    DetGreedy,
    NoisyCounter,
    VarianceAwareReranker,
)

__all__ = [
    "AdAuctionSimulator",
    "DetConstSort",
    "DetGreedy",
    "GroupEncoder",
    "MembershipEncoder",
    "NoisyCounter",
    "SensitiveColumns",
    "SensitiveEncoder",
    "VarianceAwareReranker",
    "__version__",
    "compare",
    "comparison",
    "datasets",
    "exceptions",
    "groups",
    "metrics",
    "ranking",
    "show_versions",
]
