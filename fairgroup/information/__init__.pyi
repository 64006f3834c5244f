from ._counts import contingency_table
from ._decomposition import DisparityDecomposition
from ._display import DisparityDecompositionDisplay, FairnessFrontierDisplay
from ._federated import aggregate_counts, client_counts
from ._frontier import FairnessFrontier, FrontierPoint
from ._measures import conditional_mutual_information, mutual_information
from ._pid import PIDResult, pid_broja
from ._post_processor import FrontierPostProcessor

__all__ = [
    "DisparityDecomposition",
    "DisparityDecompositionDisplay",
    "FairnessFrontier",
    "FairnessFrontierDisplay",
    "FrontierPoint",
    "FrontierPostProcessor",
    "PIDResult",
    "aggregate_counts",
    "client_counts",
    "conditional_mutual_information",
    "contingency_table",
    "mutual_information",
    "pid_broja",
]
