"""One threshold per group on given scores: fairlearn's ThresholdOptimizer, with a safety net.

fairlearn gives every member of a group that it has not seen the negative decision, and refuses
groups with a single label. Here such rows keep the unmitigated decision, with a warning.
"""

from __future__ import annotations

import warnings
from typing import Any, Self

import numpy as np
from fairlearn.postprocessing import ThresholdOptimizer
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupCodes

__all__ = ["ScoreThresholds"]

_CONSTRAINTS = {
    "demographic_parity": "demographic_parity",
    "equal_opportunity": "true_positive_rate_parity",
    "equalized_odds": "equalized_odds",
}


class ScoreThresholds:
    """Group thresholds that maximise accuracy under a constraint (Hardt et al. 2016).

    Parameters
    ----------
    constraint : {"demographic_parity", "equal_opportunity", "equalized_odds"}
        What is made equal.
    tolerance : float or None
        Largest difference that is allowed; not for equalized odds. None asks for equality.
    seed : int
        Seeds the draws where a decision is randomised, so that predicting twice gives the same.
    """

    def __init__(self, constraint: str, tolerance: float | None, seed: int) -> None:
        if constraint not in _CONSTRAINTS:
            raise ValueError(f"constraint={constraint!r}; expected one of {list(_CONSTRAINTS)}.")
        self.constraint = constraint
        self.tolerance = tolerance
        self.seed = seed

    def fit(
        self, scores: NDArray[np.float64], labels: NDArray[np.int64], groups: GroupCodes
    ) -> Self:
        """Choose thresholds from scores (n,), labels (n,) in {0, 1} and the groups of the rows."""
        self._served = self._groups_with_both_labels(labels, groups)
        rows = self._servable(groups.codes)
        self._optimizer = ThresholdOptimizer(
            estimator=_Scores(),
            constraints=_CONSTRAINTS[self.constraint],
            tol=self.tolerance,
            prefit=True,
            predict_method="decision_function",
        )
        if rows.any():
            self._optimizer.fit(
                scores[rows, None], labels[rows], sensitive_features=groups.codes[rows]
            )
        return self

    def predict(
        self,
        scores: NDArray[np.float64],
        codes: NDArray[np.int32],
        unmitigated: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Return decisions (n,) in {0, 1}; ``unmitigated`` where a group has no threshold."""
        decisions = np.array(unmitigated, dtype=np.int64)
        rows = self._servable(codes)
        if rows.any():
            decisions[rows] = self._optimizer.predict(
                scores[rows, None], sensitive_features=codes[rows], random_state=self.seed
            )
        return decisions

    def _servable(self, codes: NDArray[np.int32]) -> NDArray[np.bool_]:
        return np.asarray(self._served[codes] & (codes >= 0))

    def _groups_with_both_labels(
        self, labels: NDArray[np.int64], groups: GroupCodes
    ) -> NDArray[np.bool_]:
        known = groups.codes >= 0
        table = np.zeros((groups.n_groups, 2), dtype=np.int64)
        np.add.at(table, (groups.codes[known], labels[known]), 1)
        served = np.asarray((table > 0).all(axis=1))
        if not served.all():
            names = [name for name, ok in zip(groups.names, served, strict=True) if not ok]
            warnings.warn(
                f"Groups without both labels among the training rows ({'; '.join(names)}) keep "
                "the unmitigated decisions.",
                FairnessWarning,
                stacklevel=4,
            )
        return served


class _Scores(ClassifierMixin, BaseEstimator):
    """A fitted model whose single feature is its score."""

    classes_ = np.array([0, 1])

    def fit(self, X: Any, y: Any = None) -> Self:
        return self

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def decision_function(self, X: Any) -> NDArray[np.float64]:
        return np.asarray(X, dtype=np.float64)[:, 0]
