"""fairlearn's methods as estimators that take part in a comparison.

Each adapter is thin: it encodes labels and groups, hands over to fairlearn, and sees to it that
nobody is predicted silently: rows whose group fairlearn cannot serve get the unmitigated model's
prediction, with a warning.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, Self

import numpy as np
from fairlearn.preprocessing import CorrelationRemover
from fairlearn.reductions import (
    BoundedGroupLoss,
    DemographicParity,
    EqualizedOdds,
    ExponentiatedGradient,
    GridSearch,
    SquareLoss,
    TruePositiveRateParity,
)
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin, clone
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metaestimators import available_if

from fairgroup.comparison._thresholds import ScoreThresholds
from fairgroup.groups import GroupCodes, GroupEncoder, MembershipEncoder
from fairgroup.groups._consume import GroupConsumer, encode_groups

_MOMENTS = {
    "demographic_parity": DemographicParity,
    "equal_opportunity": TruePositiveRateParity,
    "equalized_odds": EqualizedOdds,
}


class _BinaryAdapter(GroupConsumer, ClassifierMixin, BaseEstimator):
    """Common ground of the binary classifiers: labels to 0/1, groups to names."""

    estimator: Any
    group_encoder: GroupEncoder | None
    random_state: Any

    def _encode(self, y: Any, sensitive_features: Any) -> tuple[NDArray[np.int64], GroupCodes]:
        self.classes_, labels = np.unique(y, return_inverse=True)
        if len(self.classes_) != 2:
            raise ValueError(
                f"{type(self).__name__} is for two classes; y has {len(self.classes_)}."
            )
        self.encoder_, groups = encode_groups(
            sensitive_features, len(labels), encoder=self.group_encoder, estimator=self
        )
        return labels, groups

    def _seed(self) -> int:
        """Fix the draws of a randomised prediction, so that predicting twice gives the same."""
        return int(check_random_state(self.random_state).randint(2**31))

    def _decode(self, labels: Any) -> NDArray[Any]:
        return self.classes_[np.asarray(labels).astype(np.int64)]


class GroupThresholds(_BinaryAdapter):
    """fairlearn's ThresholdOptimizer: one threshold per group on a score (Hardt et al. 2016).

    Parameters
    ----------
    estimator : estimator
        Gives the scores; fitted on the same rows.
    constraint : {"demographic_parity", "equal_opportunity", "equalized_odds"}
        What is made equal.
    tolerance : float or None
        Largest difference that is allowed; not for equalized odds. None asks for equality.
    group_encoder : GroupEncoder or None
        How groups are formed.
    random_state : int, RandomState or None
        Seeds the draws where a decision is randomised.
    """

    __metadata_request__predict: ClassVar = {"sensitive_features": True}

    def __init__(
        self,
        estimator: Any,
        *,
        constraint: str = "demographic_parity",
        tolerance: float | None = None,
        group_encoder: GroupEncoder | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.constraint = constraint
        self.tolerance = tolerance
        self.group_encoder = group_encoder
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, sensitive_features: Any = None) -> Self:
        labels, groups = self._encode(y, sensitive_features)
        self.estimator_ = clone(self.estimator).fit(X, labels)
        self.thresholds_ = ScoreThresholds(self.constraint, self.tolerance, self._seed())
        self.thresholds_.fit(self._scores(X), labels, groups)
        return self

    def predict(self, X: Any, *, sensitive_features: Any = None) -> NDArray[Any]:
        unmitigated = np.asarray(self.estimator_.predict(X))
        if self.encoder_ is None:
            codes = np.zeros(len(unmitigated), np.int32)
        elif sensitive_features is None:
            raise TypeError(
                "GroupThresholds needs sensitive_features in predict: "
                "each group has a threshold of its own."
            )
        else:
            codes = self.encoder_.transform(sensitive_features).codes
        return self._decode(self.thresholds_.predict(self._scores(X), codes, unmitigated))

    def _scores(self, X: Any) -> NDArray[np.float64]:
        if hasattr(self.estimator_, "predict_proba"):
            return self.estimator_.predict_proba(X)[:, 1]
        return self.estimator_.decision_function(X)


class ReductionClassifier(_BinaryAdapter):
    """fairlearn's reductions (Agarwal et al. 2018): ExponentiatedGradient, or GridSearch.

    Parameters
    ----------
    estimator : estimator
        Refitted with changing weights.
    constraint : {"demographic_parity", "equal_opportunity", "equalized_odds"}
        What is made equal.
    tolerance : float
        Largest difference of a group's rate to the overall rate.
    constraint_weight : float or None
        Weight of the constraint in the choice among the grid's models; runs GridSearch, None runs
        ExponentiatedGradient.
    grid_size, grid_limit : int, float
        Number of models that GridSearch fits, and the largest multiplier among them.
    group_encoder : GroupEncoder or None
        How groups are formed.
    random_state : int, RandomState or None
        Seeds the draws among the models of ExponentiatedGradient.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        constraint: str = "demographic_parity",
        tolerance: float = 0.01,
        constraint_weight: float | None = None,
        grid_size: int = 20,
        grid_limit: float = 2.0,
        group_encoder: GroupEncoder | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.constraint = constraint
        self.tolerance = tolerance
        self.constraint_weight = constraint_weight
        self.grid_size = grid_size
        self.grid_limit = grid_limit
        self.group_encoder = group_encoder
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, sensitive_features: Any = None) -> Self:
        labels, groups = self._encode(y, sensitive_features)
        _check_all_grouped(groups, self)
        moment = _MOMENTS[self.constraint](difference_bound=self.tolerance)
        if self.constraint_weight is None:
            self.reduction_ = ExponentiatedGradient(clone(self.estimator), moment)
        else:
            self.reduction_ = GridSearch(
                clone(self.estimator),
                moment,
                constraint_weight=self.constraint_weight,
                grid_size=self.grid_size,
                grid_limit=self.grid_limit,
            )
        with _without_deprecations():
            self.reduction_.fit(X, labels, sensitive_features=groups.codes)
        self._random_state = self._seed()
        return self

    def predict(self, X: Any) -> NDArray[Any]:
        if isinstance(self.reduction_, GridSearch):
            return self._decode(self.reduction_.predict(X))
        return self._decode(self.reduction_.predict(X, random_state=self._random_state))


class ReductionRegressor(GroupConsumer, RegressorMixin, BaseEstimator):
    """fairlearn's ExponentiatedGradient with a bound on every group's squared loss.

    Parameters
    ----------
    estimator : estimator
        Refitted with changing weights.
    loss_bound : float
        Largest squared loss of a group, as a multiple of the unmitigated model's overall loss.
    group_encoder : GroupEncoder or None
        How groups are formed.
    random_state : int, RandomState or None
        Seeds the draws among the models.
    """

    def __init__(
        self,
        estimator: Any,
        *,
        loss_bound: float = 1.0,
        group_encoder: GroupEncoder | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.loss_bound = loss_bound
        self.group_encoder = group_encoder
        self.random_state = random_state

    def fit(self, X: Any, y: Any, *, sensitive_features: Any = None) -> Self:
        target = np.asarray(y, dtype=np.float64)
        _, groups = encode_groups(
            sensitive_features, len(target), encoder=self.group_encoder, estimator=self
        )
        _check_all_grouped(groups, self)
        # fairlearn's loss is bounded: targets are brought to [0, 1] and predictions taken back.
        self._low, self._span = target.min(), max(np.ptp(target), np.finfo(float).tiny)
        scaled = (target - self._low) / self._span
        unmitigated = clone(self.estimator).fit(X, scaled).predict(X).clip(0, 1)
        bound = self.loss_bound * float(np.mean((scaled - unmitigated) ** 2))
        self.reduction_ = ExponentiatedGradient(
            clone(self.estimator), BoundedGroupLoss(SquareLoss(0, 1), upper_bound=bound)
        )
        with _without_deprecations():
            self.reduction_.fit(X, scaled, sensitive_features=groups.codes)
        self._random_state = int(check_random_state(self.random_state).randint(2**31))
        return self

    def predict(self, X: Any) -> NDArray[np.float64]:
        scaled = self.reduction_.predict(X, random_state=self._random_state)
        return self._low + self._span * np.asarray(scaled, dtype=np.float64).ravel()


def _inner_has(method: str) -> Any:
    def check(self: Decorrelated) -> bool:
        return hasattr(self.estimator, method)

    return check


class Decorrelated(GroupConsumer, BaseEstimator):
    """fairlearn's CorrelationRemover in front of any estimator.

    Parameters
    ----------
    estimator : estimator
        Fitted on the features without their linear dependence on the protected attributes.
    preprocessor : transformer
        Makes the features numeric.
    alpha : float in [0, 1]
        Strength; 1 removes all correlation.
    """

    __metadata_request__predict: ClassVar = {"sensitive_features": True}
    __metadata_request__predict_proba: ClassVar = {"sensitive_features": True}

    def __init__(self, estimator: Any, *, preprocessor: Any, alpha: float = 1.0) -> None:
        self.estimator = estimator
        self.preprocessor = preprocessor
        self.alpha = alpha

    def fit(self, X: Any, y: Any, *, sensitive_features: Any = None) -> Self:
        self.preprocessor_ = clone(self.preprocessor).fit(X)
        self.encoder_ = MembershipEncoder(missing="group", unseen="ignore").fit(sensitive_features)
        table, ids = self._table(X, sensitive_features)
        self.remover_ = CorrelationRemover(sensitive_feature_ids=ids, alpha=self.alpha).fit(table)
        self.estimator_ = clone(self.estimator).fit(self.remover_.transform(table), y)
        return self

    def predict(self, X: Any, *, sensitive_features: Any = None) -> NDArray[Any]:
        return self.estimator_.predict(self._transform(X, sensitive_features))

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X: Any, *, sensitive_features: Any = None) -> NDArray[np.float64]:
        return self.estimator_.predict_proba(self._transform(X, sensitive_features))

    @property
    def classes_(self) -> NDArray[Any]:
        return self.estimator_.classes_

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        return tags

    def _transform(self, X: Any, sensitive_features: Any) -> NDArray[np.float64]:
        if sensitive_features is None:
            raise TypeError(
                "Decorrelated needs sensitive_features in predict: "
                "their linear part is taken out of the features."
            )
        return self.remover_.transform(self._table(X, sensitive_features)[0])

    def _table(self, X: Any, sensitive_features: Any) -> tuple[NDArray[np.float64], list[int]]:
        features = np.asarray(self.preprocessor_.transform(X), dtype=np.float64)
        levels = self.encoder_.transform(sensitive_features)
        ids = list(range(features.shape[1], features.shape[1] + levels.shape[1]))
        return np.hstack([features, levels]), ids


@contextmanager
def _without_deprecations() -> Iterator[None]:
    """Silence what fairlearn's code is told about coming versions of its own dependencies."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        warnings.simplefilter("ignore", FutureWarning)
        yield


def _check_all_grouped(groups: GroupCodes, estimator: Any) -> None:
    if groups.n_ignored:
        raise ValueError(
            f"{type(estimator).__name__} cannot leave rows out of its constraint, but "
            f"{groups.n_ignored} "
            'rows are in no group. Use a GroupEncoder with missing="group".'
        )


__all__ = ["Decorrelated", "GroupThresholds", "ReductionClassifier", "ReductionRegressor"]
