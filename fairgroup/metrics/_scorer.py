"""Fairness in model selection: a scorer for ``scoring=`` and a rule for ``refit=``."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.utils.metadata_routing import MetadataRequest, get_routing_for_object

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupEncoder
from fairgroup.metrics._group_metrics import METRIC_NAMES, group_metrics
from fairgroup.metrics._scores import SCORE_METRICS
from fairgroup.metrics._summaries import GAPS, METHODS

_ENDINGS = ("_difference", "_ratio", "_group_min", "_group_max")
_ERRORS = (
    "false_positive_rate",
    "false_negative_rate",
    "mean_absolute_error",
    "mean_squared_error",
    "root_mean_squared_error",
    "mean_poisson_deviance",
    "mean_gamma_deviance",
    "brier_score",
    "calibration_error",
)
_GAINS = (
    "accuracy",
    "balanced_accuracy",
    "true_positive_rate",
    "true_negative_rate",
    "precision",
    "f1",
    "r2",
    "roc_auc",
)


def fairness_scorer(
    metric: str | Callable[..., float],
    *,
    greater_is_better: bool | None = None,
    method: str = "between_groups",
    attribute: str | None = None,
    pos_label: Any = None,
    encoder: GroupEncoder | None = None,
) -> FairnessScorer:
    """Make a scorer of a fairness metric.

    The scorer requests ``sensitive_features`` by itself: with metadata routing switched on,
    ``GridSearchCV(...).fit(X, y, sensitive_features=A)`` hands them over. With routing off, wrap
    the estimator in :class:`fairgroup.groups.SensitiveColumns`; the scorer then takes the groups
    out of X.

    As scikit-learn maximises scores, a disparity is returned as a negative number (0 is best).

    Parameters
    ----------
    metric : str or callable
        A gap (``"demographic_parity_difference"``, ``"equalized_odds_ratio"``, ...), or a metric
        of :func:`group_metrics` with ``_difference``, ``_ratio``, ``_group_min`` or ``_group_max``
        (``"accuracy_group_min"``). A callable is called as ``metric(y_true, y_pred,
        sensitive_features=...)``.
    greater_is_better : bool or None, default=None
        Whether the metric itself should be large. None knows it for named metrics.
    method : {"between_groups", "to_overall"}, default="between_groups"
        What differences and ratios compare.
    attribute : str or None, default=None
        Compare the levels of this attribute; None compares the intersections.
    pos_label : object, default=None
        The positive label, where it is not 1 or True.
    encoder : GroupEncoder or None, default=None
        How groups are formed.

    Returns
    -------
    scorer : FairnessScorer
        Called as ``scorer(estimator, X, y_true, *, sensitive_features=None, sample_weight=None)``.

    See Also
    --------
    best_under_constraint : Choose the best candidate among those that are fair enough.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.dummy import DummyClassifier
    >>> from fairgroup.metrics import fairness_scorer
    >>> X, y = np.zeros((4, 1)), np.array([0, 1, 1, 1])
    >>> scorer = fairness_scorer("accuracy_difference")
    >>> scorer(DummyClassifier().fit(X, y), X, y, sensitive_features=["a", "a", "b", "b"])
    -0.5
    """
    if greater_is_better is None:
        greater_is_better = _direction(metric)
    elif isinstance(metric, str):
        _direction(metric, strict=False)
    if method not in METHODS:
        raise ValueError(f"method={method!r}; expected one of {list(METHODS)}.")
    return FairnessScorer(metric, greater_is_better, method, attribute, pos_label, encoder)


class FairnessScorer:
    """A scorer that needs groups; made by :func:`fairness_scorer`.

    Parameters
    ----------
    metric, greater_is_better, method, attribute, pos_label, encoder
        As in :func:`fairness_scorer`.
    """

    def __init__(
        self,
        metric: str | Callable[..., float],
        greater_is_better: bool,
        method: str,
        attribute: str | None,
        pos_label: Any,
        encoder: GroupEncoder | None,
    ) -> None:
        self.metric, self.greater_is_better = metric, greater_is_better
        self.method, self.attribute = method, attribute
        self.pos_label, self.encoder = pos_label, encoder
        self._requests: dict[str, Any] = {"sensitive_features": True}

    def __repr__(self) -> str:
        name = repr(self.metric) if isinstance(self.metric, str) else self.metric.__name__
        return f"fairness_scorer({name}, greater_is_better={self.greater_is_better})"

    def __call__(
        self,
        estimator: Any,
        X: Any,
        y_true: Any,
        *,
        sensitive_features: Any = None,
        sample_weight: Any = None,
    ) -> float:
        """Score a fitted estimator.

        Parameters
        ----------
        estimator : estimator
            Fitted.
        X : array-like of shape (n_samples, n_features)
            Features.
        y_true : array-like of shape (n_samples,)
            Labels or targets.
        sensitive_features : array-like, Series, DataFrame or None, default=None
            Protected attributes; None takes them out of X by ``estimator.sensitive_features_of``.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        score : float
            Greater is better; a disparity is negated. NaN where it is undefined.

        Raises
        ------
        ValueError
            When the groups are not known.
        """
        groups = _find_groups(estimator, X, sensitive_features)
        value = self._value(
            estimator, X, y_true, groups, sensitive_features is not None, sample_weight
        )
        return value if self.greater_is_better else -value + 0.0  # no negative zero

    def get_metadata_routing(self) -> MetadataRequest:
        """Return the metadata that scikit-learn shall pass on.

        Returns
        -------
        request : MetadataRequest
            Asks for ``sensitive_features`` in ``score``.
        """
        request = MetadataRequest(owner=self)
        for name, alias in self._requests.items():
            request.score.add_request(param=name, alias=alias)
        return request

    def set_score_request(self, **requests: bool | str | None) -> Self:
        """Change what is requested, e.g. ``sample_weight=True``.

        Parameters
        ----------
        **requests : bool, str or None
            For ``sensitive_features`` and ``sample_weight``: True, False, or the name under which
            it is passed.

        Returns
        -------
        self : FairnessScorer
        """
        unknown = set(requests) - {"sensitive_features", "sample_weight"}
        if unknown:
            raise TypeError(
                f"The scorer takes sensitive_features and sample_weight, not {sorted(unknown)}."
            )
        self._requests |= requests
        return self

    def _value(
        self, estimator: Any, X: Any, y_true: Any, groups: Any, handed: bool, sample_weight: Any
    ) -> float:
        extra = {"sensitive_features": groups} if handed and _wants_groups(estimator) else {}
        weight = {} if sample_weight is None else {"sample_weight": sample_weight}
        if not isinstance(self.metric, str):
            y_pred = estimator.predict(X, **extra)
            return float(self.metric(y_true, y_pred, sensitive_features=groups, **weight))
        base, ending = _split(self.metric)
        score = base in SCORE_METRICS
        result = group_metrics(
            y_true,
            None if score else estimator.predict(X, **extra),
            sensitive_features=groups,
            metrics=self.metric if self.metric in GAPS else base,
            y_score=_scores(estimator, X, self.pos_label) if score else None,
            pos_label=self.pos_label,
            encoder=self.encoder,
            **weight,
        )
        return float(_reduce(result, self.metric, base, ending, self.method, self.attribute))


def _reduce(
    result: Any, metric: str, base: str, ending: str, method: str, attribute: str | None
) -> float:
    if metric in GAPS:
        return float(result.gaps(method, attribute=attribute)[metric])
    if ending in ("_difference", "_ratio"):
        contrast = result.difference if ending == "_difference" else result.ratio
        return float(_worst(contrast(method, attribute=attribute), base, ending == "_difference"))
    table = result.by_group if attribute is None else result.marginals[attribute]
    values = table[table["count"] > 0]
    if values.drop(columns="count").isna().to_numpy().any():
        return float("nan")  # a group without a value is not one that does well
    return float(
        _worst(
            values.max() if ending == "_group_max" else values.min(), base, ending == "_group_max"
        )
    )


def _worst(summary: Any, base: str, largest: bool) -> float:
    """Reduce the columns of a metric (one per class with several classes) to the worst."""
    columns = summary[[c for c in summary.index if c == base or c.startswith(f"{base}[")]]
    return columns.max(skipna=False) if largest else columns.min(skipna=False)


def _find_groups(estimator: Any, X: Any, sensitive_features: Any) -> Any:
    if sensitive_features is not None:
        return sensitive_features
    of_columns = getattr(estimator, "sensitive_features_of", None)
    if of_columns is None:
        raise ValueError(
            "The fairness scorer did not get sensitive_features. Either switch metadata "
            "routing on (sklearn.set_config(enable_metadata_routing=True)) and pass "
            "sensitive_features= to fit or cross_validate, or wrap the estimator in "
            "fairgroup.groups.SensitiveColumns."
        )
    return of_columns(X)


def _wants_groups(estimator: Any) -> bool:
    """Whether the estimator's predict asks for sensitive_features."""
    return "sensitive_features" in get_routing_for_object(estimator).consumes(
        "predict", ["sensitive_features"]
    )


def _scores(estimator: Any, X: Any, pos_label: Any) -> NDArray[np.float64]:
    classes = list(estimator.classes_)
    if not hasattr(estimator, "predict_proba"):
        sign = -1.0 if pos_label is not None and pos_label == classes[0] else 1.0
        return sign * np.asarray(estimator.decision_function(X))
    if pos_label is None and len(classes) > 2:
        raise ValueError(
            f"The estimator knows {len(classes)} labels; pass pos_label to the scorer."
        )
    return np.asarray(estimator.predict_proba(X))[
        :, -1 if pos_label is None else classes.index(pos_label)
    ]


def _split(metric: str) -> tuple[str, str]:
    for ending in _ENDINGS:
        if metric.endswith(ending) and metric.removesuffix(ending) in METRIC_NAMES:
            return metric.removesuffix(ending), ending
    if metric in GAPS:
        return metric, ""
    raise ValueError(
        f"Unknown fairness metric {metric!r}; use one of {sorted(GAPS)}, or a metric "
        f"of group_metrics followed by one of {list(_ENDINGS)}."
    )


def _direction(metric: str | Callable[..., float], *, strict: bool = True) -> bool:
    """Whether a named metric should be large."""
    if not isinstance(metric, str):
        raise ValueError(
            "Say whether the callable should be large or small: greater_is_better=True or False."
        )
    base, ending = _split(metric)
    if metric.endswith("_difference"):
        return False
    if metric.endswith("_ratio"):
        return True
    if strict and base not in (*_ERRORS, *_GAINS):
        raise ValueError(
            f"Say whether {base}{ending} should be large or small: "
            "greater_is_better=True or False."
        )
    return base in _GAINS


def best_under_constraint(
    score: str, fairness: str, *, at_most: float | None = None, at_least: float | None = None
) -> BestUnderConstraint:
    """Make a ``refit`` rule: the best score among the candidates that are fair enough.

    Parameters
    ----------
    score : str
        Name of the scorer to maximise, as in the ``scoring`` dict.
    fairness : str
        Name of the fairness scorer.
    at_most : float or None
        Largest disparity (mean over the folds) that is allowed. A disparity may come as a negative
        score, as :func:`fairness_scorer` gives it, or as a positive number: its absolute value is
        compared.
    at_least : float or None
        For ratios and other fairness scores that should be large: the smallest that is allowed.
        Exactly one of the two is given.

    Returns
    -------
    rule : BestUnderConstraint
        Takes ``cv_results_`` and returns the index of the chosen candidate. If no candidate is
        fair enough it returns the fairest and warns with FairnessWarning; an undefined (NaN)
        disparity is never fair enough.

    Examples
    --------
    >>> from fairgroup.metrics import best_under_constraint
    >>> rule = best_under_constraint("accuracy", "dp", at_most=0.05)
    >>> rule({"mean_test_accuracy": [0.90, 0.88, 0.85], "mean_test_dp": [-0.20, -0.04, -0.01]})
    1
    """
    if (at_most is None) == (at_least is None):
        raise ValueError("Pass exactly one of at_most (disparities) and at_least (ratios).")
    if at_most is not None and at_most < 0:
        raise ValueError(f"at_most={at_most!r}; a disparity bound is not negative.")
    return BestUnderConstraint(score, fairness, at_most, at_least)


class BestUnderConstraint:
    """The rule made by :func:`best_under_constraint`; picklable.

    Parameters
    ----------
    score, fairness, at_most, at_least
        As there.
    """

    def __init__(
        self, score: str, fairness: str, at_most: float | None, at_least: float | None
    ) -> None:
        self.score, self.fairness = score, fairness
        self.at_most, self.at_least = at_most, at_least

    def __repr__(self) -> str:
        bound = f"at_most={self.at_most}" if self.at_least is None else f"at_least={self.at_least}"
        return f"best_under_constraint({self.score!r}, {self.fairness!r}, {bound})"

    def __call__(self, cv_results: Mapping[str, Any]) -> int:
        """Choose a candidate.

        Parameters
        ----------
        cv_results : mapping of str to array
            ``GridSearchCV.cv_results_``.

        Returns
        -------
        best_index : int
        """
        score = self._column(cv_results, self.score)
        excess = self._excess(self._column(cv_results, self.fairness))
        score, excess = (
            np.where(np.isnan(excess), np.nan, score),
            np.where(np.isnan(score), np.nan, excess),
        )
        if np.isnan(excess).all():
            raise ValueError(
                f"{self.score} or {self.fairness} is undefined (NaN) for every candidate."
            )
        allowed = excess <= 0.0
        if not allowed.any():
            best = int(np.nanargmin(excess))
            found = self._column(cv_results, self.fairness)[best]
            warnings.warn(
                f"No candidate satisfies {self!r}; took the fairest, "
                f"with {self.fairness} = {found:.4g}.",
                FairnessWarning,
                stacklevel=2,
            )
            return best
        best_score = np.where(allowed, score, -np.inf).max()
        return int(np.argmin(np.where(allowed & (score == best_score), excess, np.inf)))

    def _excess(self, fairness: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return how far each candidate is beyond the bound, negative inside."""
        if self.at_least is not None:
            return self.at_least - fairness
        return np.abs(fairness) - self.at_most

    def _column(self, cv_results: Mapping[str, Any], name: str) -> NDArray[np.float64]:
        key = f"mean_test_{name}"
        if key not in cv_results:
            names = [
                k.removeprefix("mean_test_") for k in cv_results if k.startswith("mean_test_")
            ]
            raise ValueError(f"No scorer {name!r} in the search; scoring has {names}.")
        return np.asarray(cv_results[key], dtype=np.float64)
