"""The strength of a fairness penalty, chosen on rows that were not trained on."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Tags, check_random_state, get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from fairgroup.dependence._path_runs import (
    CRITERIA,
    Measure,
    Rows,
    Seen,
    fit_with_groups,
    knee,
    run_split,
    summary,
)
from fairgroup.exceptions import FairnessWarning
from fairgroup.groups._consume import GroupConsumer
from fairgroup.groups._frame import sensitive_frame
from fairgroup.utils._sklearn import HasMethods, Interval, StrOptions, fit_context

__all__ = ["FairnessPath"]

_HALVINGS = 5
_PER_ROW = ("exposure", "sample_weight", "control_features")


def _has(method: str) -> Callable[[Any], bool]:
    return lambda self: hasattr(getattr(self, "best_estimator_", self.estimator), method)


class FairnessPath(GroupConsumer, BaseEstimator):
    """Fit a model over a range of ``fairness_weight`` and choose one on validation rows.

    For each seed, a share of the rows is held out and the model is fitted to the others at growing
    strengths, each fit starting from the one before. Loss and dependence of the held-out rows are
    averaged over the seeds, the strength is chosen, and the model is fitted to all rows with it.

    Parameters
    ----------
    estimator : estimator
        With a parameter ``fairness_weight``, such as `DistanceCovarianceClassifier`, or a Pipeline
        that ends in one.
    fairness_weights : array-like of float or None, default=None
        Strengths. None: 0 and a grid from 0.1 to 100.
    criterion : {"dcor", "jsd", "gap"} or callable, default="dcor"
        Dependence of held-out predictions (without exposure, unless the estimator penalises
        predictions with it): squared distance correlation under the estimator's
        constraint, Jensen-Shannon divergence between groups, or the largest difference between
        groups in the share of each class (mean prediction, for numbers). A callable takes
        predictions (probabilities) and protected attributes, and returns a number that is the
        better the lower. "jsd" and "gap" need discrete attributes.
    target : float or None, default=None
        The smallest strength is chosen whose mean criterion is at most this, to within a step that
        is refined by halving; warns when no strength reaches it. None: the knee of the path, that
        is the point nearest to the best loss and the best criterion seen, with both axes scaled to
        their ranges on the path.
    n_seeds : int, default=3
        Number of splits.
    validation_fraction : float, default=0.3
        Share of the rows held out.
    bandwidth : float, "scott" or "silverman", default=0.15
        Of "jsd", in units of the predictions; the published value, which is coarse for small ones.
    n_jobs : int or None, default=None
        Seeds at a time.
    random_state : int, RandomState or None, default=None
        Seed of the splits, and of the models through their ``random_state``.

    Attributes
    ----------
    results_ : DataFrame
        One row per strength and seed: ``fairness_weight``, ``seed``, ``loss``, ``criterion``.
    path_ : DataFrame
        Mean and standard error over seeds for each strength: ``loss``, ``loss_se``,
        ``criterion``, ``criterion_se``.
    fairness_weight_ : float
        The choice.
    target_reached_ : bool
        Whether the mean criterion of the choice is at most ``target``; True without a target.
    best_estimator_ : estimator
        Fitted to all rows.
    classes_ : ndarray
        Of a classifier.

    Notes
    -----
    The loss is the cross-entropy of a classifier, and the deviance, squared or absolute error that
    a regressor's ``loss`` names. The criterion at the choice is a mean of the rows that it was
    chosen on; measure it again on rows of a test set.

    Examples
    --------
    >>> from fairgroup.datasets import load_lending
    >>> from fairgroup.dependence import DistanceCovarianceClassifier, FairnessPath
    >>> lending = load_lending()
    >>> X, groups = lending.data[["income", "debt_ratio"]], lending.sensitive_features
    >>> path = FairnessPath(
    ...     DistanceCovarianceClassifier(),
    ...     fairness_weights=[0, 10, 100],
    ...     n_seeds=2,
    ...     random_state=0,
    ... ).fit(X, lending.target, sensitive_features=groups[["sex", "ethnicity"]])
    >>> path.path_["criterion"].is_monotonic_decreasing
    True
    >>> path.fairness_weight_
    10.0
    """

    __metadata_request__fit: ClassVar[dict[str, bool | None]] = {
        "control_features": True,
        "exposure": True,
        "sample_weight": None,
    }
    __metadata_request__predict: ClassVar = {"exposure": True}
    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"])],
        "fairness_weights": ["array-like", None],
        "criterion": [StrOptions(set(CRITERIA)), callable],
        "target": [Interval(Real, None, None, closed="neither"), None],
        "n_seeds": [Interval(Integral, 1, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "bandwidth": [
            Interval(Real, 0, None, closed="neither"),
            StrOptions({"scott", "silverman"}),
        ],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        fairness_weights: ArrayLike | None = None,
        criterion: str | Callable[..., float] = "dcor",
        target: float | None = None,
        n_seeds: int = 3,
        validation_fraction: float = 0.3,
        bandwidth: float | str = 0.15,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.fairness_weights = fairness_weights
        self.criterion = criterion
        self.target = target
        self.n_seeds = n_seeds
        self.validation_fraction = validation_fraction
        self.bandwidth = bandwidth
        self.n_jobs = n_jobs
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: Any, y: ArrayLike, *, sensitive_features: Any = None, **fit_params: Any
    ) -> Self:
        """Fit the path, choose, and fit to all rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Target.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes. None: the unpenalised model, with a warning.
        **fit_params
            ``exposure``, ``sample_weight`` and ``control_features``, one per row, handed on.

        Returns
        -------
        self : FairnessPath

        Raises
        ------
        ValueError
            For an estimator without a strength, a strength that is negative or not finite, or
            missing protected attributes.

        Warns
        -----
        FairnessWarning
            Without ``sensitive_features``.
        ConvergenceWarning
            When no strength reaches ``target``.
        """
        weights = self._strengths()
        unknown = set(fit_params) - set(_PER_ROW)
        if unknown:
            raise TypeError(
                f"fit takes {list(_PER_ROW)} beside the data; found {sorted(unknown)}."
            )
        fit_params = {name: value for name, value in fit_params.items() if value is not None}
        if sensitive_features is None:
            warnings.warn(
                "FairnessPath was fitted without sensitive_features: nothing was chosen, and "
                "nothing was done for fairness.",
                FairnessWarning,
                stacklevel=2,
            )
            self.fairness_weight_, self.target_reached_ = 0.0, self.target is None
            return self._fit_all(X, y, None, fit_params)
        n_samples = X.shape[0] if hasattr(X, "shape") else len(X)
        for name, value in fit_params.items():
            if len(value) != n_samples:
                raise ValueError(f"{name} has {len(value)} rows, but X has {n_samples}.")
        frame = sensitive_frame(sensitive_features, n_samples=n_samples)[0]
        data = Rows(X, np.asarray(y), frame, fit_params)
        measure = self._make_measure(data)
        seeds = check_random_state(self.random_state).randint(2**31 - 1, size=self.n_seeds)
        rows = self._run(data, measure, weights, seeds)
        rows, chosen = self._choose(rows, lambda more: self._run(data, measure, more, seeds))
        rows = rows.sort_values(["fairness_weight", "seed"], ignore_index=True)
        self._results = {str(name): rows[name].to_numpy() for name in rows}
        self.fairness_weight_ = chosen
        return self._fit_all(X, y, frame, fit_params)

    # Running --------------------------------------------------------------------------------

    def _strengths(self) -> list[float]:
        if self.fairness_weights is None:
            return [0.0, *np.geomspace(0.1, 100, 13).tolist()]
        try:
            weights = np.unique(np.asarray(self.fairness_weights, dtype=np.float64))
        except (TypeError, ValueError) as error:
            raise ValueError(f"fairness_weights must be numbers: {error}.") from error
        if not len(weights) or weights[0] < 0 or not np.isfinite(weights).all():
            raise ValueError(
                f"fairness_weights must be finite and at least 0; got {self.fairness_weights!r}."
            )
        return weights.tolist()

    def _places(self, name: str) -> list[str]:
        """Return where in the estimator a parameter is, the outermost first."""
        parameters = self.estimator.get_params(deep=True)
        found = [key for key in parameters if key == name or key.endswith(f"__{name}")]
        return sorted(found, key=len)

    def _parameter(self, name: str) -> str | None:
        """Return where the part of the estimator that has a strength has another parameter."""
        strength = self._places("fairness_weight")
        if not strength:
            raise ValueError(
                f"{type(self.estimator).__name__} has no parameter fairness_weight to choose."
            )
        key = strength[0].removesuffix("fairness_weight") + name
        return key if key in self.estimator.get_params(deep=True) else None

    def _fresh(self, weight: float, seed: int | None = None) -> Any:
        key = str(self._parameter("fairness_weight"))
        model = clone(self.estimator).set_params(**{key: weight})
        if seed is not None:
            model.set_params(**dict.fromkeys(self._places("random_state"), seed))
        return model

    def _run(
        self, data: Rows, measure: Measure, weights: Sequence[float], seeds: NDArray[Any]
    ) -> pd.DataFrame:
        strength, warm = self._parameter("fairness_weight"), self._parameter("warm_start")
        tasks = []
        for number, seed in enumerate(seeds.tolist()):
            model = self._fresh(weights[0], seed)
            if warm is not None:
                model.set_params(**{warm: True})
            split = (self.validation_fraction, seed, number)
            tasks.append(delayed(run_split)(model, data, measure, strength, list(weights), split))
        parts = Parallel(n_jobs=self.n_jobs)(tasks)
        return pd.DataFrame([row for part in parts for row in part])

    def _fit_all(self, X: Any, y: Any, groups: Any, fit_params: dict[str, Any]) -> Self:
        state = None
        if self.random_state is not None:
            state = int(check_random_state(self.random_state).randint(2**31 - 1))
        model = self._fresh(self.fairness_weight_, state)
        with warnings.catch_warnings():
            if groups is None:
                warnings.simplefilter("ignore", FairnessWarning)
            self.best_estimator_ = fit_with_groups(model, X, y, groups, fit_params)
        return self

    # Measuring and choosing -----------------------------------------------------------------

    def _make_measure(self, data: Rows) -> Measure:
        inner = {name: self._value_of(name) for name in ("constraint", "encoder", "penalise")}
        return Measure(
            self.criterion, data.groups, bandwidth=self.bandwidth, seen_by=Seen(**inner)
        )

    def _value_of(self, name: str) -> Any:
        key = self._parameter(name)
        return None if key is None else self.estimator.get_params(deep=True)[key]

    def _choose(
        self, rows: pd.DataFrame, run: Callable[[list[float]], pd.DataFrame]
    ) -> tuple[pd.DataFrame, float]:
        path = summary(rows)
        self.target_reached_ = True
        if self.target is None:
            return rows, knee(path)
        enough = path[path["criterion"] <= self.target]
        if not len(enough):
            self.target_reached_ = False
            best = float(path.index.to_numpy()[path["criterion"].argmin()])
            warnings.warn(
                f"No fairness_weight brings the criterion down to target={self.target:g}; the "
                f"lowest is {path['criterion'].min():.3g} at {best:g}, which was taken. Offer "
                "larger ones.",
                ConvergenceWarning,
                stacklevel=4,
            )
            return rows, best
        high = float(enough.index[0])
        below = path.index[path.index < high]
        if not len(below):
            return rows, high
        low = float(below[-1])
        for _ in range(_HALVINGS):
            middle = float(np.sqrt(low * high)) if low > 0 else high / 4
            more = run([middle])
            rows = pd.concat([rows, more], ignore_index=True)
            if more["criterion"].mean() <= self.target:
                high = middle
            else:
                low = middle
        return rows, high

    # Predicting -----------------------------------------------------------------------------

    def predict(self, X: Any, **params: Any) -> NDArray[Any]:
        """Predict with the chosen model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        **params
            Such as ``exposure``, handed on.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        return self.best_estimator_.predict(X, **params)

    @available_if(_has("predict_proba"))
    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """Return the chosen model's probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.best_estimator_.predict_proba(X)

    @available_if(_has("decision_function"))
    def decision_function(self, X: Any) -> NDArray[np.float64]:
        """Return the chosen model's scores.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        check_is_fitted(self)
        return self.best_estimator_.decision_function(X)

    @available_if(_has("score"))
    def score(self, X: Any, y: ArrayLike, sample_weight: ArrayLike | None = None) -> float:
        """Return the chosen model's score.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        score : float
        """
        check_is_fitted(self)
        return float(self.best_estimator_.score(X, y, sample_weight=sample_weight))

    @property
    def results_(self) -> pd.DataFrame:
        """One row per strength and seed."""
        check_is_fitted(self, "_results")
        return pd.DataFrame(self._results)

    @property
    def path_(self) -> pd.DataFrame:
        """Mean and standard error over seeds for each strength."""
        return summary(self.results_)

    @property
    def classes_(self) -> NDArray[Any]:
        """Class labels of the chosen model."""
        return self.best_estimator_.classes_

    @property
    def n_features_in_(self) -> int:
        """Number of columns of X."""
        return self.best_estimator_.n_features_in_

    @property
    def feature_names_in_(self) -> NDArray[Any]:
        """Names of the columns of X."""
        return self.best_estimator_.feature_names_in_

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "best_estimator_")

    def __sklearn_tags__(self) -> Tags:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags, tags.input_tags = inner.target_tags, inner.input_tags
        return tags
