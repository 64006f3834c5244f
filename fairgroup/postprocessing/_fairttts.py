"""FairTTTS: test-time simulation in fitted trees, exact.

Cohen-Inger, Rokach, Shapira and Cohen, arXiv 2501.08155 (2025); the expectation of the published
random walks is a recursion over the nodes, see ``_kernels.py``.
"""

from __future__ import annotations

import warnings
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.utils import check_random_state

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupCodes, GroupEncoder
from fairgroup.postprocessing._base import TreePostProcessor
from fairgroup.postprocessing._explain import count_acting
from fairgroup.postprocessing._kernels import Settings, leaf_reach
from fairgroup.postprocessing._passes import TreePass
from fairgroup.postprocessing._protected import groups_of
from fairgroup.postprocessing._rules import HEURISTICS, SCALES, as_nodes, flip_rules
from fairgroup.utils._sklearn import HasMethods, Interval, StrOptions, fit_context

__all__ = ["FairTTTS"]

Array = NDArray[Any]
_CHUNK = 2048


class FairTTTS(TreePostProcessor):
    """Make a tree model fairer at prediction time, without retraining it.

    At every node a person takes the other branch with a small probability that falls with the
    distance to the threshold. Where the split is on a protected input and the rule would send a
    person of an unprivileged group to the less favourable child, that probability is amplified.
    The prediction is the expectation over all walks: exact, deterministic, the same for equal
    people.

    Parameters
    ----------
    estimator : estimator or None, default=None
        DecisionTree, ExtraTree, RandomForest, ExtraTrees, Bagging of trees, GradientBoosting,
        HistGradientBoosting, XGBoost or LightGBM, classifier or regressor, or a Pipeline that ends
        in one. None is a decision tree. Use ``FrozenEstimator`` for one that is already fitted.
    protected_inputs : str, int, list, mapping or None, default=None
        Columns of the tree's input that encode the protected attribute, by name or position. A
        name also finds the columns that a pipeline made of it (``sex_Female``). A mapping from
        columns of ``sensitive_features`` to such columns gives every attribute its own
        unprivileged groups. None: the columns named like those of ``sensitive_features``.
    unprivileged : level, tuple, list, mapping or None, default=None
        The groups whose probability is amplified; a mapping gives levels per column. None: the
        groups whose favourable outcomes are rarer than overall in `fit`.
    favorable_class : label or None, default=None
        The favourable class; None is the last one of two. For a regressor "high" (None) or "low".
    alpha : float, default=9.0
        Amplification. The authors recommend 5 to 10 and report 9.
    p_max : float, default=0.1
        Probability of a wrong turn at distance 0; in [0, 0.5].
    cap : float, default=0.5
        Largest amplified probability; in [0, 1].
    heuristic : {"distance", "fixed", "depth", "agreement"}, default="distance"
        Base probability at a node: ``max(0, p_max - distance / scale)``; ``p_max`` everywhere;
        0.05 per level up to 0.2; or the share of the smaller classes in the node, up to 0.5.
    distance_scale : {"max_threshold", "node_std", "feature_std", "feature_range"}, \
default="max_threshold"
        Distance that counts as 1: the largest absolute threshold in the tree, as published; the
        standard deviation of the column among the rows in the node, or among all rows; or the
        column's range. The last three do not depend on units.
    scope : {"all", "protected"}, default="all"
        "all": wrong turns at every node for everybody, as published. "protected": only the
        amplified decisions are uncertain, everybody else keeps the model's prediction.
    method : {"exact", "monte_carlo"}, default="exact"
        The expectation, or the mean of ``n_simulations`` random walks per tree as published.
    n_simulations : int, default=100
        Walks per tree for ``method="monte_carlo"``.
    link : {"mean_margin", "probit"}, default="mean_margin"
        For binary boosting: the probability of the expected margin, or an approximation of the
        expected probability that uses the variance of the margin.
    dtype : {"float64", "float32"}, default="float64"
        Precision. float32 has effect where the model rounds its inputs to it.
    encoder : GroupEncoder or None, default=None
        How protected attributes become groups.
    n_jobs : int or None, default=None
        Threads.
    random_state : int, RandomState or None, default=None
        Seed of the walks, drawn in `fit`.

    Attributes
    ----------
    estimator_ : estimator
        The fitted model.
    classes_ : ndarray of shape (n_classes,)
        Class labels; only for classifiers.
    trees_ : TreeEnsemble
        Its trees as arrays.
    protected_nodes_ : ndarray of int64
        Positions in ``trees_`` of the splits on protected inputs.
    distance_scale_ : ndarray of shape (n_trees,)
        Largest absolute threshold of each tree.
    unprivileged_ : tuple of ndarray of bool
        Per attribute, which groups are unprivileged.
    favorable_index_ : int
        Position of the favourable class; only for classifiers.
    n_features_in_ : int
        Columns of X.

    See Also
    --------
    FairTTTSCV : Chooses the strength per group on validation data.

    Notes
    -----
    A missing value follows the tree's own rule with certainty. A categorical split has no
    distance: p = ``p_max``. The method uses group membership at prediction time.

    References
    ----------
    Cohen-Inger, Rokach, Shapira and Cohen, arXiv 2501.08155, 2025. Cohen, Arbili, Mirsky and
    Rokach, "TTTS", AAAI 2024.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from fairgroup.datasets import load_lending
    >>> from fairgroup.postprocessing import FairTTTS
    >>> lending = load_lending()
    >>> groups = lending.sensitive_features[["sex", "ethnicity"]]
    >>> X = lending.data[["income", "debt_ratio"]].assign(
    ...     female=groups["sex"] == "female", minority=groups["ethnicity"] == "minority"
    ... )
    >>> forest = RandomForestClassifier(20, max_depth=6, random_state=0)
    >>> model = FairTTTS(
    ...     forest, protected_inputs=["female", "minority"], heuristic="fixed", scope="protected"
    ... )
    >>> model = model.fit(X, lending.target, sensitive_features=groups)
    >>> model.predict(X, sensitive_features=groups).shape
    (20000,)
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "protected_inputs": "no_validation",
        "unprivileged": "no_validation",
        "favorable_class": "no_validation",
        "alpha": [Interval(Real, 0, None, closed="left")],
        "p_max": [Interval(Real, 0, 0.5, closed="both")],
        "cap": [Interval(Real, 0, 1, closed="both")],
        "heuristic": [StrOptions(set(HEURISTICS))],
        "distance_scale": [StrOptions(set(SCALES))],
        "scope": [StrOptions({"all", "protected"})],
        "method": [StrOptions({"exact", "monte_carlo"})],
        "n_simulations": [Interval(Integral, 1, None, closed="left")],
        "link": [StrOptions({"mean_margin", "probit"})],
        "dtype": [StrOptions({"float64", "float32"})],
        "encoder": [GroupEncoder, FrozenEstimator, None],
        "n_jobs": [Integral, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        protected_inputs: Any = None,
        unprivileged: Any = None,
        favorable_class: Any = None,
        alpha: float = 9.0,
        p_max: float = 0.1,
        cap: float = 0.5,
        heuristic: str = "distance",
        distance_scale: str = "max_threshold",
        scope: str = "all",
        method: str = "exact",
        n_simulations: int = 100,
        link: str = "mean_margin",
        dtype: str = "float64",
        encoder: GroupEncoder | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.protected_inputs = protected_inputs
        self.unprivileged = unprivileged
        self.favorable_class = favorable_class
        self.alpha = alpha
        self.p_max = p_max
        self.cap = cap
        self.heuristic = heuristic
        self.distance_scale = distance_scale
        self.scope = scope
        self.method = method
        self.n_simulations = n_simulations
        self.link = link
        self.dtype = dtype
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
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the model, unless it is frozen, and set up its trees.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, the protected ones included.
        y : array-like of shape (n_samples,)
            Outcome; with a frozen estimator it only tells which groups are unprivileged.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes. None amplifies nothing, and warns.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        self : FairTTTS

        Raises
        ------
        TypeError
            For a model without trees that a reader knows.
        ValueError
            For unknown columns, groups or classes.

        Warns
        -----
        FairnessWarning
            When nothing can be done: no groups, no protected inputs, no split on them, or every
            amplified probability is zero.
        """
        y = self._check_target(X, y)
        groups = self._find_groups(sensitive_features, len(y))
        weights = self._weights(sample_weight, len(y))
        self._take_over(self._fit_model(X, y, sample_weight), y)
        favorable = self._set_favorable()
        protected = self._find_protected(groups, self.estimator_, self.trees_)
        inputs = self._inputs(X)
        self._rules = flip_rules(
            self.trees_,
            inputs,
            weights,
            protected.of_input,
            favorable,
            heuristic=self.heuristic,
            distance_scale=self.distance_scale,
            p_max=self.p_max,
        )
        self._acting_rules, self._protected = self._rules, protected
        self.distance_scale_ = self._rules.scale
        self.protected_nodes_ = np.flatnonzero(self._rules.attribute >= 0)
        self.unprivileged_ = self._find_unprivileged(groups, protected, y, weights)
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._warn_without_effect_on_groups(protected, len(self.protected_nodes_))
        self._warn_without_effect(inputs, groups)
        return self

    @property
    def _settings(self) -> Settings:
        return Settings(float(self.cap), False, self.scope == "all")

    @property
    def _pass(self) -> TreePass:
        return TreePass(self.trees_, self._rules, dtype=self.dtype, n_jobs=self.n_jobs)

    def _warn_without_effect(self, inputs: Array, groups: GroupCodes) -> None:
        """Say so when people stand at protected nodes and not one probability is positive."""
        if not len(self.protected_nodes_) or self.alpha == 0 or self.p_max == 0 or self.cap == 0:
            return
        boost, forced, stood = self._boost(groups), Settings(1.0, True, False), 0
        for start in range(0, len(inputs), _CHUNK):
            rows = slice(start, start + _CHUNK)
            part = (self.trees_, self._rules, inputs[rows])
            if count_acting(*part, boost[rows], self._settings).act.any():
                return
            stood += count_acting(*part, np.minimum(boost[rows], 1.0), forced).act.sum()
        if stood:
            warnings.warn(
                "FairTTTS does nothing for any group: at every protected node the distance to "
                "the threshold is larger than p_max times the scale. With the published scale "
                "this happens when all inputs are small numbers, for example standardised "
                "(largest threshold "
                f"{self.distance_scale_.max():.3g}). Use heuristic='fixed', or FairTTTSCV.",
                FairnessWarning,
                stacklevel=4,
            )

    def _boost(self, groups: GroupCodes) -> Array:
        """Amplification per row and attribute, -1 for none; rows in no group get none."""
        columns = []
        views = groups_of(groups, self._protected) if self.encoder_ is not None else [groups]
        for chosen, of_attribute in zip(self.unprivileged_, views, strict=True):
            per_group = np.append(np.where(chosen, float(self.alpha), -1.0), -1.0)
            columns.append(per_group[of_attribute.codes])
        return np.column_stack(columns)

    def _prepared(self, X: Any, sensitive_features: Any) -> tuple[Array, Array]:
        self._check_rows(X)
        inputs = self._inputs(X)
        return inputs, self._boost(self._codes(sensitive_features, len(inputs)))

    def _output(self, X: Any, sensitive_features: Any) -> Array:
        inputs, boost = self._prepared(X, sensitive_features)
        run = self._pass
        if self.method == "exact":
            changed = run.expect(inputs, boost, self._settings)
        else:
            changed = run.simulate(inputs, boost, self._settings, self.n_simulations, self._seed)
        ordinary = changed if self.trees_.combine == "mean" else self._ordinary(inputs)
        return self._with_offset(changed, X, ordinary)

    def _ordinary(self, inputs: Array) -> Array:
        nobody = np.full((len(inputs), len(self.unprivileged_)), -1.0)
        return self._pass.expect(inputs, nobody, Settings(0.0, False, False))

    def _shrink(self, margin: Array, X: Any, sensitive_features: Any) -> Array:
        if self.link == "mean_margin":
            return margin
        inputs, boost = self._prepared(X, sensitive_features)
        variance = self._pass.variance(inputs, boost, self._settings)[:, 0]
        return margin / np.sqrt(1 + np.pi * variance / 8)

    def predict_variance(self, X: Any, *, sensitive_features: Any = None) -> Array:
        """Return the variance of one simulation, in which every tree is walked once.

        The mean of S simulations has the standard error ``sqrt(variance / S)``, and
        ``variance * (z / (probability - 0.5)) ** 2`` simulations decide a row stably.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; needed if `fit` had them.

        Returns
        -------
        variance : ndarray of shape (n_samples, n_outputs)
            Of the class probabilities, of the margins (boosting) or of the prediction.
        """
        inputs, boost = self._prepared(X, sensitive_features)
        return self._pass.variance(inputs, boost, self._settings)

    def leaf_probabilities(
        self, X: Any, *, sensitive_features: Any = None, tree: int = 0
    ) -> Array:
        """Return where each person could end in one tree.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; needed if `fit` had them.
        tree : int, default=0
            Which tree.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_leaves)
            Leaves from left to right; rows sum to one.
        """
        inputs, boost = self._prepared(X, sensitive_features)
        trees = self.trees_
        if not 0 <= tree < trees.n_trees:
            raise ValueError(f"tree={tree}: the model has the trees 0 to {trees.n_trees - 1}.")
        begin, end = int(trees.bounds[tree]), int(trees.bounds[tree + 1])
        nodes = as_nodes(trees, self._rules, np.float64)
        reach = np.zeros((len(inputs), end - begin))
        leaf_reach(inputs, nodes, begin, end, boost, self._settings, reach)
        return reach[:, ~trees.is_split[begin:end]]

    def counterfactual_gain(self, X: Any, *, sensitive_features: Any = None) -> Array:
        """Return how much each person's favourable score can gain from the protected nodes.

        It is the difference between the better side of every protected decision that goes against
        the person, and the model's own output; 0 for people of privileged groups.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; needed if `fit` had them.

        Returns
        -------
        gain : ndarray of shape (n_samples,)
            In units of the probability, of the margin (boosting) or of the prediction.
        """
        inputs, boost = self._prepared(X, sensitive_features)
        always = np.where(boost >= 0, 1.0, -1.0)
        better = self._pass.expect(inputs, always, Settings(1.0, True, False))
        gain = better - self._ordinary(inputs)
        favorable = self._favorable()
        return favorable.sign * gain[:, favorable.index if gain.shape[1] > 1 else 0]
