"""The columns of X that describe people, taken out of X on the way into any estimator.

scikit-learn's search, ``cross_val_predict`` and scorers never hand metadata to ``predict``, and
without metadata routing a Pipeline hands none to ``fit``. Taking the groups from X needs neither.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from numbers import Integral
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, clone, is_classifier, is_regressor
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils import Tags, get_tags
from sklearn.utils.metadata_routing import (
    MetadataRouter,
    MethodMapping,
    process_routing,
)
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_is_fitted, validate_data

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups._columns import take_columns
from fairgroup.groups._routing import (
    PREDICTORS,
    call_with_groups,
    request_everywhere,
    request_groups,
    takes_groups,
)
from fairgroup.utils._sklearn import (
    HasMethods,
    VisualBlock,
    fit_context,
    hide_metadata,
    routing_enabled,
)

_PARAM = "sensitive_features"


def _inner_has(method: str) -> Callable[[SensitiveColumns], bool]:
    def check(self: SensitiveColumns) -> bool:
        return hasattr(getattr(self, "estimator_", self.estimator), method)

    return check


class SensitiveColumns(MetaEstimatorMixin, BaseEstimator):
    """Hand columns of X to an estimator as its ``sensitive_features``.

    The inner estimator may be one of fairgroup, one of fairlearn, or a whole Pipeline. The groups
    reach ``fit`` and, where the inner method takes them, ``predict``, ``predict_proba``,
    ``decision_function`` and ``score``. This works in every search, splitter and scorer of
    scikit-learn, with metadata routing on or off; routing is switched on for the inner call only.

    Parameters
    ----------
    estimator : estimator
        What is fitted.
    columns : str, int or sequence of them
        Names (for frames) or positions (for arrays) of the protected attributes in X.
    drop : bool, default=False
        Whether the inner estimator sees X without these columns.

    Attributes
    ----------
    estimator_ : estimator
        The fitted inner estimator.
    classes_ : ndarray
        Class labels, where the inner estimator is a classifier.
    n_features_in_ : int
        Number of columns of X, protected ones included.
    feature_names_in_ : ndarray of str
        Their names, where X has them.

    See Also
    --------
    GroupEncoder : Forms the groups; estimators take one as ``encoder``.
    fairgroup.metrics.fairness_scorer : Scorer that takes the groups out of X in the same way.

    Examples
    --------
    >>> from fairlearn.postprocessing import ThresholdOptimizer
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.model_selection import cross_val_predict
    >>> from fairgroup.datasets import load_lending
    >>> from fairgroup.groups import SensitiveColumns
    >>> lending = load_lending()
    >>> X = lending.data[["sex", "income", "debt_ratio"]].head(500)
    >>> inner = ThresholdOptimizer(estimator=LogisticRegression(), predict_method="predict_proba")
    >>> model = SensitiveColumns(inner, "sex", drop=True)
    >>> cross_val_predict(model, X, lending.target.head(500), cv=3).shape
    (500,)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit"])],
        "columns": [str, "array-like", Integral],
        "drop": ["boolean"],
    }
    estimator_: Any

    def __init__(
        self, estimator: Any, columns: str | int | Sequence[str | int], *, drop: bool = False
    ) -> None:
        self.estimator = estimator
        self.columns = columns
        self.drop = drop

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Fit the inner estimator.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Features, with the protected columns among them.
        y : array-like of shape (n_samples,), default=None
            Target.
        **fit_params : dict
            Handed on to the inner ``fit`` (through routing where that is on).

        Returns
        -------
        self : SensitiveColumns

        Raises
        ------
        ValueError
            When a protected column is not in X, or X has lost its column names.
        TypeError
            When ``sensitive_features`` is given as well.
        """
        self._reset()
        return self._fit("fit", X, y, fit_params)

    @available_if(_inner_has("partial_fit"))
    def partial_fit(self, X: Any, y: Any = None, **fit_params: Any) -> Self:
        """Go on fitting the inner estimator with more rows.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Features, with the protected columns among them.
        y : array-like of shape (n_samples,), default=None
            Target.
        **fit_params : dict
            Handed on to the inner ``partial_fit``, such as ``classes``.

        Returns
        -------
        self : SensitiveColumns
        """
        if not hasattr(self, "estimator_"):
            self._reset()
        return self._fit("partial_fit", X, y, fit_params)

    @available_if(_inner_has("predict"))
    def predict(self, X: Any, **params: Any) -> NDArray[Any]:
        """Predict with the inner estimator.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Features, with the protected columns among them.
        **params : dict
            Handed on to the inner ``predict``.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
        """
        return self._call("predict", X, params)

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X: Any, **params: Any) -> NDArray[np.float64]:
        """Return the inner estimator's class probabilities.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Features, with the protected columns among them.
        **params : dict
            Handed on to the inner ``predict_proba``.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        return self._call("predict_proba", X, params)

    @available_if(_inner_has("predict_log_proba"))
    def predict_log_proba(self, X: Any, **params: Any) -> NDArray[np.float64]:
        """Return the logarithm of the inner estimator's class probabilities.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Features, with the protected columns among them.
        **params : dict
            Handed on to the inner ``predict_log_proba``.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
        """
        return self._call("predict_log_proba", X, params)

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X: Any, **params: Any) -> NDArray[np.float64]:
        """Return the inner estimator's decision scores.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Features, with the protected columns among them.
        **params : dict
            Handed on to the inner ``decision_function``.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        return self._call("decision_function", X, params)

    @available_if(_inner_has("predict"))
    def score(self, X: Any, y: ArrayLike, **params: Any) -> float:
        """Return the inner estimator's score: accuracy of a classifier, R2 of a regressor.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Features, with the protected columns among them.
        y : array-like of shape (n_samples,)
            True target.
        **params : dict
            Handed on to the inner ``score``, such as ``sample_weight``.

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        needs_groups, takes_them = (
            takes_groups(self.estimator_, method) for method in ("predict", "score")
        )
        if hasattr(self.estimator_, "score") and needs_groups == takes_them:
            return self._call("score", X, params, y)
        regression = is_regressor(self) or type_of_target(y) == "continuous"
        metric = r2_score if regression else accuracy_score
        return float(metric(y, self.predict(X), **params))

    def sensitive_features_of(self, X: Any) -> Any:
        """Return the protected columns of X, as the inner estimator receives them.

        Parameters
        ----------
        X : {array-like, DataFrame} of shape (n_samples, n_features)
            Features, with the protected columns among them.

        Returns
        -------
        sensitive_features : array or DataFrame of shape (n_samples, n_columns)
        """
        return take_columns(X, self.columns)[1]

    def get_metadata_routing(self) -> MetadataRouter:
        """Route other metadata, such as ``sample_weight``, to the inner estimator.

        ``sensitive_features`` is not among them, so that a search can hand them to a scorer.

        Returns
        -------
        routing : MetadataRouter
        """
        mapping = MethodMapping()
        for method in ("fit", "partial_fit", *PREDICTORS):
            mapping.add(caller=method, callee=method)
        router = MetadataRouter(owner=self).add(estimator=self.estimator, method_mapping=mapping)
        hide_metadata(router, _PARAM)
        return router

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels of the inner estimator."""
        inner = self.estimator_
        return inner.classes_ if hasattr(inner, "classes_") else self._labels

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "estimator_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.target_tags = inner.target_tags
        tags.input_tags = inner.input_tags
        inner = _typed_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags = inner.classifier_tags
        tags.regressor_tags = inner.regressor_tags
        return tags

    def _sk_visual_block_(self) -> VisualBlock:
        """Show the fitted inner estimator once there is one, with the groups it has seen."""
        inner = getattr(self, "estimator_", self.estimator)
        name = f"estimator: {type(inner).__name__}"
        return VisualBlock("parallel", [inner], names=[name], name_details=[str(inner)])

    def _reset(self) -> None:
        self.__dict__.pop("estimator_", None)

    def _fit(self, method: str, X: Any, y: Any, params: dict[str, Any]) -> Self:
        first = not hasattr(self, "estimator_")
        inner_X, groups = take_columns(X, self.columns, drop=self.drop)
        validate_data(self, X, reset=first, skip_check_array=True)
        inner: Any = clone(self.estimator) if first else self.estimator_
        if first:
            request_groups(inner)
            self._warn_if_unused(inner, method)
        params = self._routed(inner, method, params)
        call_with_groups(inner, method, inner_X, groups, y, params=params)
        if first and is_classifier(self) and not hasattr(inner, "classes_"):
            self._labels = np.unique(params.get("classes", y))
        self.estimator_ = inner
        return self

    def _warn_if_unused(self, inner: Any, method: str) -> None:
        used = any(takes_groups(inner, name) for name in (method, *PREDICTORS))
        if not (self.drop or used):
            warnings.warn(
                f"{type(inner).__name__} takes no sensitive_features in any method: "
                "nothing is done for fairness.",
                FairnessWarning,
                stacklevel=5,
            )

    def _call(self, method: str, X: Any, params: dict[str, Any], *targets: Any) -> Any:
        check_is_fitted(self)
        split = take_columns(X, self.columns, drop=self.drop)
        validate_data(self, X, reset=False, skip_check_array=True)
        params = self._routed(self.estimator_, method, params)
        return call_with_groups(self.estimator_, method, *split, *targets, params=params)

    def _routed(self, inner: Any, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Return what the inner method gets; without routing, every part that names a parameter
        gets it.
        """
        if _PARAM in params:
            raise TypeError(
                f"SensitiveColumns takes the groups from X (columns={self.columns!r}); "
                "do not pass sensitive_features as well."
            )
        if params and routing_enabled():
            return dict(process_routing(self, method, **params)["estimator"][method])
        for param in params:
            request_everywhere(inner, param)
        return params


def _typed_tags(estimator: Any) -> Tags:
    """Return the tags of the first part that says whether it classifies; fairlearn's estimators
    do not say, what they wrap does.
    """
    tags = get_tags(estimator)
    steps = getattr(estimator, "steps", None)
    part = steps[-1][1] if steps else getattr(estimator, "estimator", None)
    if tags.estimator_type is None and hasattr(part, "fit"):
        return _typed_tags(part)
    return tags
