"""The sampler: buys data batch by batch from the group where it helps most.

Setting: Cai et al. (FAccT 2022). Of the paper only the abstract was available; utilities, curve
estimation and strategies are our own complete formulation of it.
"""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, MetaEstimatorMixin, is_classifier
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from fairgroup.groups import GroupEncoder
from fairgroup.groups._consume import GroupConsumer, encode_groups
from fairgroup.sampling._curves import CURVES
from fairgroup.sampling._learning_curve import ENGINES
from fairgroup.sampling._pool import PoolCampaign
from fairgroup.sampling._strategies import STRATEGIES
from fairgroup.sampling._within import WITHIN
from fairgroup.utils._sklearn import HasMethods, Interval, StrOptions, fit_context, rows_of

Ints = NDArray[np.int64]

__all__ = ["AdaptiveGroupSampler"]


def _inner_has(method: str) -> Callable[[Any], bool]:
    def check(self: Any) -> bool:
        inner = getattr(self, "estimator_", self.estimator)
        inner = next(iter(inner.values())) if isinstance(inner, dict) else inner
        return hasattr(inner, method)

    return check


class AdaptiveGroupSampler(GroupConsumer, MetaEstimatorMixin, PoolCampaign, BaseEstimator):
    """Collect training data batch by batch from the groups where it helps most.

    After a pilot, every round fits the model on all data held, scores each group on its own
    validation rows, estimates how fast each group learns (from refits on nested subsets of the
    data at hand) and spends the next batch. Use `fit` on a pool at hand, `fit_source` with a
    function that delivers samples, or `start`, `ask` and `tell` when people collect the data.

    Parameters
    ----------
    estimator : estimator
        Any classifier or regressor. `Ridge` and `LinearRegression` have fast exact refits.
    scoring : str, callable or None, default=None
        Score of a group, higher is better; None takes the estimator's ``score``. With
        0 < rho < inf scores should be positive: use R2 or accuracy, not a negative loss.
    budget : float or None, default=None
        Cost of everything that is bought, the pilot included. None: all of the pool (`fit` only).
    costs : float, array-like of shape (n_groups,) or mapping, default=1.0
        Cost of one sample of each group. Arrays are in the order of ``groups_``, which is sorted.
    strategy : str, default="marginal"
        "marginal": estimated gain in utility per cost. "maxmin": always the lowest score; needs
        no curves. "plan": the best plan for the whole remaining budget, one batch of it at a time.
        "score_only": scores and known ``asymptote``. "oracle": known ``curve``. Baselines:
        "equal", "equal_cost", "proportional", "random", "water_filling" and
        "slice_tuner_one_shot", "slice_tuner_conservative", "slice_tuner_linear",
        "slice_tuner_aggressive".
    rho : float, default=1.0
        Aversion to inequality: 0 total performance, 1 logarithm, ``np.inf`` worst group (then
        "marginal" is "maxmin").
    weights : array-like of shape (n_groups,), mapping or None, default=None
        Weights of the groups in the utility; None weighs all alike.
    pilot : "auto", int, array-like or mapping, default="auto"
        First samples of each group. "auto": max(20, 2 x features), at most 30 % of the budget. A
        pilot well above the number of features keeps the curve off the interpolation threshold.
    batch : "auto" or float, default="auto"
        Cost of one round; "auto" is a tenth of the budget after the pilot.
    exploration : float, default=0.2
        Share of every batch that is spread over all groups ("marginal", "plan", "score_only").
    quantum : "auto" or int, default="auto"
        Samples per greedy step.
    curve : {"power", "hyperbolic", "exponential"} or list of curves, default="power"
        Family of the learning curves, or known curves.
    curve_points, curve_orders : int, default=6 and 4
        Sizes and random orders of the nested refits.
    curve_min_fraction : float, default=0.5
        Smallest size of a nested refit, as a share of the group's samples.
    pooled : bool, default=True
        One model for all groups, else one for each.
    transfer : {"nonnegative", "free", "none"}, default="nonnegative"
        Effect of a group's data on the scores of the others, with one model for all: estimated
        as not negative, of any sign, or left out.
    within_group : {"random", "margin", "entropy", "leverage"} or callable, default="random"
        Which rows of a group `fit` takes first. A callable ``(model, X, X_held)`` gives values,
        the highest first.
    utility_floor : float, default=0.05
        Below this score the utility is a straight line (0 < rho < inf).
    optimism : float, default=0.0
        Standard errors added to the slope of each curve.
    tie_se : bool, default=False
        "maxmin": share the batch among groups within one standard error of the lowest score.
    asymptote : float, array-like or mapping, default=1.0
        Score with unlimited data, for "score_only".
    min_gain : float, default=0.0
        Stop when the predicted gain in utility per cost falls below this.
    validation_fraction : float, default=0.25
        Share of each group of the pool that `fit` holds out where no validation data are given.
    min_validation_size : int, default=50
        Warn where a group has fewer validation rows, or those of one class only; 0 never warns.
    population : array-like, mapping or None, default=None
        Shares for "proportional" and "random"; None takes those of the pool, or equal ones.
    refit : str, default="auto"
        How nested refits are made: "auto", "gram", "rls", "cholesky", "partial_fit", "warm_start"
        or "refit".
    encoder : GroupEncoder or None, default=None
        How protected attributes become groups. Rows in no group are not bought.
    n_jobs : int or None, default=None
        Processes for the nested refits; the result does not depend on it.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of pilot, orders and estimator.

    Attributes
    ----------
    groups_ : list
        Labels of the groups, tuples for several attributes.
    n_per_group_ : ndarray of int of shape (n_groups,)
        Samples bought.
    spent_ : float
        What they cost.
    scores_ : ndarray of shape (n_groups,)
        Scores in the last round.
    utility_, ede_ : float
        Utility of the scores, and the equal score that would be worth as much.
    curves_ : list
        Learning curves through the current scores.
    cross_slopes_ : ndarray of shape (n_groups, n_groups)
        Change of the row's score per sample of the column's group.
    history_ : DataFrame
        One row per round and group.
    recommendation_ : DataFrame
        Whom to ask next, and how sure that is.
    n_rounds_ : int
        Rounds, the pilot included.
    stopped_reason_ : str
        "budget", "exhausted" or "gain"; empty while the campaign goes on.
    selected_indices_ : ndarray of int
        Rows of the pool that `fit` bought, in order.
    estimator_ : estimator, or dict of group to estimator
        Fitted on everything bought.
    encoder_ : GroupEncoder
        The groups.

    See Also
    --------
    allocate_budget : The best split when the learning curves are known.
    nested_learning_curve : Learning curves of the data at hand.

    Notes
    -----
    `tell` is the counterpart of ``partial_fit``: it adds rows and refits. `get_state` and
    `set_state` stop and resume a campaign with identical decisions.

    References
    ----------
    Cai et al., "Adaptive Sampling Strategies to Construct Equitable Training Datasets", FAccT
    2022 (arXiv 2202.01327).

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import Ridge
    >>> from fairgroup.sampling import AdaptiveGroupSampler
    >>> rng = np.random.default_rng(0)
    >>> group = np.repeat(["easy", "hard"], 1000)
    >>> X = rng.normal(size=(2000, 20))
    >>> coef = np.where((group == "easy")[:, None], np.arange(20) < 2, np.arange(20) % 3 - 1.0)
    >>> y = (X * coef).sum(axis=1) + np.where(group == "easy", 0.5, 3) * rng.normal(size=2000)
    >>> sampler = AdaptiveGroupSampler(Ridge(), budget=400, pooled=False, random_state=0)
    >>> sampler = sampler.fit(X, y, sensitive_features=group)
    >>> bool(sampler.n_per_group_[1] > 2 * sampler.n_per_group_[0])
    True
    """

    __metadata_request__predict: ClassVar = {"sensitive_features": True}
    __metadata_request__predict_proba: ClassVar = {"sensitive_features": True}
    __metadata_request__decision_function: ClassVar = {"sensitive_features": True}
    __metadata_request__score: ClassVar = {"sensitive_features": True}

    _parameter_constraints = {
        "estimator": [HasMethods("fit")],
        "scoring": [str, callable, None],
        "budget": [Interval(Real, 0, None, closed="neither"), None],
        "costs": [Real, "array-like", dict],
        "strategy": [StrOptions(set(STRATEGIES))],
        "rho": [Real],
        "weights": ["array-like", dict, None],
        "pilot": [StrOptions({"auto"}), Real, "array-like", dict],
        "batch": [StrOptions({"auto"}), Interval(Real, 0, None, closed="neither")],
        "exploration": [Interval(Real, 0, 1, closed="both")],
        "quantum": [StrOptions({"auto"}), Interval(Integral, 1, None, closed="left")],
        "curve": [StrOptions(set(CURVES)), list, tuple],
        "curve_points": [Interval(Integral, 3, None, closed="left")],
        "curve_orders": [Interval(Integral, 1, None, closed="left")],
        "curve_min_fraction": [Interval(Real, 0, 1, closed="left")],
        "pooled": ["boolean"],
        "transfer": [StrOptions({"nonnegative", "free", "none"})],
        "within_group": [StrOptions(set(WITHIN)), callable],
        "utility_floor": [Interval(Real, 0, None, closed="neither")],
        "optimism": [Interval(Real, 0, None, closed="left")],
        "tie_se": ["boolean"],
        "asymptote": [Real, "array-like", dict],
        "min_gain": [Interval(Real, 0, None, closed="left")],
        "validation_fraction": [Interval(Real, 0, 1, closed="neither")],
        "min_validation_size": [Interval(Integral, 0, None, closed="left")],
        "population": ["array-like", dict, None],
        "refit": [StrOptions(set(ENGINES))],
        "encoder": [GroupEncoder, None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        estimator: Any,
        *,
        scoring: Any = None,
        budget: float | None = None,
        costs: Any = 1.0,
        strategy: str = "marginal",
        rho: float = 1.0,
        weights: Any = None,
        pilot: Any = "auto",
        batch: Any = "auto",
        exploration: float = 0.2,
        quantum: Any = "auto",
        curve: Any = "power",
        curve_points: int = 6,
        curve_orders: int = 4,
        curve_min_fraction: float = 0.5,
        pooled: bool = True,
        transfer: str = "nonnegative",
        within_group: Any = "random",
        utility_floor: float = 0.05,
        optimism: float = 0.0,
        tie_se: bool = False,
        asymptote: Any = 1.0,
        min_gain: float = 0.0,
        validation_fraction: float = 0.25,
        min_validation_size: int = 50,
        population: Any = None,
        refit: str = "auto",
        encoder: GroupEncoder | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.scoring = scoring
        self.budget = budget
        self.costs = costs
        self.strategy = strategy
        self.rho = rho
        self.weights = weights
        self.pilot = pilot
        self.batch = batch
        self.exploration = exploration
        self.quantum = quantum
        self.curve = curve
        self.curve_points = curve_points
        self.curve_orders = curve_orders
        self.curve_min_fraction = curve_min_fraction
        self.pooled = pooled
        self.transfer = transfer
        self.within_group = within_group
        self.utility_floor = utility_floor
        self.optimism = optimism
        self.tie_se = tie_se
        self.asymptote = asymptote
        self.min_gain = min_gain
        self.validation_fraction = validation_fraction
        self.min_validation_size = min_validation_size
        self.population = population
        self.refit = refit
        self.encoder = encoder
        self.n_jobs = n_jobs
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sensitive_features: Any = None,
        X_val: Any = None,
        y_val: ArrayLike | None = None,
        sensitive_features_val: Any = None,
        oracle: Callable[[Ints], ArrayLike] | None = None,
    ) -> Self:
        """Buy from a pool.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            The pool. A frame is handed to the estimator as a frame.
        y : array-like of shape (n_samples,)
            Labels, looked at only when bought. With ``oracle`` they are not looked at.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Protected attributes.
        X_val, y_val, sensitive_features_val : table, array-like, array-like, default=None
            Validation data. None: a part of the pool is held out, with its labels.
        oracle : callable, default=None
            ``oracle(indices) -> y`` gives the labels of rows of the pool.

        Returns
        -------
        self : AdaptiveGroupSampler

        Raises
        ------
        ValueError
            For a budget below the cost of the pilot, bad costs or weights, groups without
            validation rows, or validation rows that are in the pool.
        """
        X, y = self._read_pool(X, y, oracle)
        encoder, groups = encode_groups(
            sensitive_features, len(y), encoder=self.encoder, estimator=self
        )
        if encoder is None:
            encoder = GroupEncoder().fit(np.repeat("all", len(y)))
        codes = self._one_group_each(groups)
        pool, held_out = self._split(X, X_val, codes, oracle)
        available = np.bincount(codes[pool], minlength=len(encoder.labels_))
        self._begin(encoder, available, np.maximum(available, 1e-9), self._whole(available))
        if held_out is not None:
            self._validate_on(rows_of(X, held_out), y[held_out], codes[held_out])
        else:
            codes_val = self.encoder_.transform(sensitive_features_val).codes.astype(np.int64)
            self._validate_on(X_val, y_val, codes_val)
        self._check_pilot(self.n_features_in_)
        self._buy_from_pool(X, y, codes, pool, oracle)
        self._finish_models()
        self._forget_data()
        return self

    def fit_source(
        self,
        source: Callable[[Any, int, np.random.Generator], tuple[Any, ArrayLike]],
        groups: Any,
        *,
        X_val: Any,
        y_val: ArrayLike,
        sensitive_features_val: Any,
        available: Any = None,
    ) -> Self:
        """Buy from a function.

        Parameters
        ----------
        source : callable
            ``source(group, n, rng) -> (X, y)``. Fewer than n rows mean that no more can be had.
        groups : array-like
            Protected attributes in which every group occurs, as for `start`.
        X_val, y_val, sensitive_features_val : table, array-like, array-like
            Validation data.
        available : float, array-like or mapping, default=None
            Samples that can be had of each group.

        Returns
        -------
        self : AdaptiveGroupSampler
            What was bought is in ``X_bought_``, ``y_bought_`` and ``groups_bought_`` (positions
            in ``groups_``).
        """
        self.start(
            groups,
            X_val=X_val,
            y_val=y_val,
            sensitive_features_val=sensitive_features_val,
            available=available,
        )
        while counts := self.ask():
            rng = self._rng(3)
            parts = [(label, k, source(label, k, rng)) for label, k in counts.items()]
            short = [label for label, k, (_, y) in parts if len(np.asarray(y)) < k]
            found = [(self.groups_.index(label), X, np.asarray(y)) for label, _, (X, y) in parts]
            found = [(g, X, y) for g, X, y in found if len(y)]
            if found:
                from fairgroup.sampling._tables import concatenate

                X: Any = None
                for _, part, _ in found:
                    X = concatenate(X, part)
                codes = np.repeat([g for g, _, _ in found], [len(y) for _, _, y in found])
                self._receive(X, np.concatenate([y for _, _, y in found]), codes)
            else:
                self._pending = None
            self._cap(short)
        if self._y is None:
            raise ValueError(
                "source gave no samples at all; it must return rows for the groups that "
                "it is asked for."
            )
        self._finish_models()
        self.X_bought_, self.y_bought_, self.groups_bought_ = self._X, self._y, self._codes
        return self

    def predict(self, X: Any, *, sensitive_features: Any = None) -> NDArray[Any]:
        """Predict with the model fitted on everything bought.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            Rows.
        sensitive_features : array-like, default=None
            Protected attributes; needed with ``pooled=False``, else only checked.

        Returns
        -------
        predictions : ndarray of shape (n_samples,)
        """
        return self._respond_with("predict", X, sensitive_features)

    @available_if(_inner_has("predict_proba"))
    def predict_proba(self, X: Any, *, sensitive_features: Any = None) -> NDArray[Any]:
        """Probabilities of the classes.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            Rows.
        sensitive_features : array-like, default=None
            As in `predict`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        return self._respond_with("predict_proba", X, sensitive_features)

    @available_if(_inner_has("decision_function"))
    def decision_function(self, X: Any, *, sensitive_features: Any = None) -> NDArray[Any]:
        """Decision values.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            Rows.
        sensitive_features : array-like, default=None
            As in `predict`.

        Returns
        -------
        decisions : ndarray
        """
        return self._respond_with("decision_function", X, sensitive_features)

    def score(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sensitive_features: Any = None,
    ) -> float:
        """Accuracy or R2 of the predictions.

        Parameters
        ----------
        X : table of shape (n_samples, n_features)
            Rows.
        y : array-like of shape (n_samples,)
            True values.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.
        sensitive_features : array-like, default=None
            As in `predict`.

        Returns
        -------
        score : float
        """
        from sklearn.metrics import accuracy_score, r2_score

        measure = accuracy_score if is_classifier(self) else r2_score
        predictions = self.predict(X, sensitive_features=sensitive_features)
        return float(measure(y, predictions, sample_weight=sample_weight))

    @property
    def classes_(self) -> NDArray[Any]:
        """Classes of the fitted classifier.

        Returns
        -------
        classes : ndarray
        """
        check_is_fitted(self, "estimator_")
        if isinstance(self.estimator_, dict):
            models = [model for model in self.estimator_.values() if model is not None]
            return np.unique(np.concatenate([model.classes_ for model in models]))
        return self.estimator_.classes_

    def __sklearn_tags__(self) -> Any:
        tags, inner = super().__sklearn_tags__(), get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags, tags.input_tags = inner.target_tags, inner.input_tags
        tags.target_tags.multi_output, tags.target_tags.single_output = False, True
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_label = False
        return tags

    # -- predicting ------------------------------------------------------------------------------

    def _respond_with(self, method: str, X: Any, sensitive_features: Any) -> NDArray[Any]:
        if not hasattr(self, "estimator_") and getattr(self, "_models", None):
            self._finish_models()
        check_is_fitted(self, "estimator_")
        X = self._read_rows(X)
        codes = None
        if sensitive_features is not None:
            codes = self.encoder_.transform(sensitive_features).codes
            n = X.shape[0] if hasattr(X, "shape") else len(X)
            if len(codes) != n:
                raise ValueError(f"sensitive_features has {len(codes)} rows, but X has {n}.")
        if not isinstance(self.estimator_, dict):
            return np.asarray(getattr(self.estimator_, method)(X))
        if codes is None:
            raise ValueError("With pooled=False, predict needs sensitive_features.")
        if (codes < 0).any():
            raise ValueError("With pooled=False every row must be in a group that was sampled.")
        return self._by_model(method, X, codes)

    def _read_rows(self, X: Any) -> Any:
        """Check rows against those of `fit`; frames stay frames."""
        if not hasattr(self, "n_features_in_"):
            return X
        if hasattr(X, "columns"):
            validate_data(self, X, reset=False, skip_check_array=True)
            return X
        allow = "allow-nan" if get_tags(self.estimator).input_tags.allow_nan else True
        options = {"accept_sparse": ["csr"], "dtype": None, "ensure_all_finite": allow}
        return validate_data(self, X, reset=False, **options)

    def _by_model(self, method: str, X: Any, codes: NDArray[np.int32]) -> NDArray[Any]:
        assert isinstance(self.estimator_, dict)
        out: Any = None
        for g, model in enumerate(self.estimator_.values()):
            rows = np.flatnonzero(codes == g)
            if not len(rows):
                continue
            if model is None:
                raise ValueError(f"No sample of the group {self.groups_[g]!r} was bought.")
            values = np.asarray(getattr(model, method)(rows_of(X, rows)))
            if method == "predict_proba":
                wide = np.zeros((len(rows), len(self.classes_)))
                wide[:, np.searchsorted(self.classes_, model.classes_)] = values
                values = wide
            if out is None:
                out = np.zeros((len(codes), *values.shape[1:]), dtype=values.dtype)
            if out.dtype != values.dtype:
                out = out.astype(np.result_type(out, values))
            out[rows] = values
        return np.asarray(out)
