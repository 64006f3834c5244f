"""The scikit-learn checks that an estimator of ours cannot pass by nature, each with its reason.

Usually there are none. Give a reason that a reader can verify.
"""

from __future__ import annotations

from typing import Any

STREAM_WEIGHTS = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a weight is a membership in [0, 1] of one round; repeated rows are several rounds of the "
        "stream, whose order matters"
    )
}

EXPECTED: dict[str, dict[str, str]] = {
    "GroupwiseClassifier": STREAM_WEIGHTS,
    "GroupwiseRegressor": STREAM_WEIGHTS,
}


def expected_failed_checks(estimator: Any) -> dict[str, str]:
    """Return check name -> reason."""
    return EXPECTED.get(type(estimator).__name__, {})
