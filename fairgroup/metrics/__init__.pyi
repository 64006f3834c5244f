from ._display import GroupMetricsDisplay
from ._distances import js_divergence, variance_ratio_unfairness, wasserstein_gap
from ._gaps import demographic_parity_gap, equal_opportunity_gap, equalized_odds_gap
from ._group_metrics import group_metrics
from ._intervals import GroupIntervals
from ._probability import ranked_probability_score
from ._result import GroupMetrics
from ._scorer import best_under_constraint, fairness_scorer

__all__ = [
    "GroupIntervals",
    "GroupMetrics",
    "GroupMetricsDisplay",
    "best_under_constraint",
    "demographic_parity_gap",
    "equal_opportunity_gap",
    "equalized_odds_gap",
    "fairness_scorer",
    "group_metrics",
    "js_divergence",
    "ranked_probability_score",
    "variance_ratio_unfairness",
    "wasserstein_gap",
]
