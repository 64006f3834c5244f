"""FairTTTS with its strength chosen per group on validation data, under a fairness constraint."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, NamedTuple, Self

import narwhals as nw
import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import StratifiedKFold, check_cv
from sklearn.utils import Tags, check_random_state
from sklearn.utils.validation import check_is_fitted

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupCodes, GroupEncoder
from fairgroup.postprocessing._base import TreePostProcessor, _classifies
from fairgroup.postprocessing._kernels import Settings
from fairgroup.postprocessing._passes import TreePass
from fairgroup.postprocessing._path import (
    NOTIONS,
    GroupPath,
    choose,
    correct_at,
    gap_interval,
    gap_of,
    group_path,
    rates_at,
)
from fairgroup.postprocessing._protected import Protected, groups_of
from fairgroup.postprocessing._readers import reader_for
from fairgroup.postprocessing._rules import HEURISTICS, SCALES, FlipRules, flip_rules, with_proxies
from fairgroup.postprocessing._trees import MEAN, TreeEnsemble
from fairgroup.utils._sklearn import HasMethods, Interval, StrOptions, fit_context
from fairgroup.utils._validation import as_generator

__all__ = ["FairTTTSCV"]

Array = NDArray[Any]
_SCOPES = ("protected", "all", "proxies")
_RATES = ("selection_rate", "true_positive_rate", "false_positive_rate")


class _Reading(NamedTuple):
    """A fitted model with everything that is needed to change its output."""

    model: Any
    trees: TreeEnsemble
    rules: FlipRules
    protected: Protected


class _Choice(NamedTuple):
    """What was found for one scope."""

    scope: str
    paths: list[GroupPath]
    strengths: Array
    within: bool
    gap: float
    correct: float


class FairTTTSCV(TreePostProcessor):
    """FairTTTS with the strength of every group chosen on validation data.

    With probability ``strength`` of the person's group the walk takes, at every protected split
    that goes against the person, the other branch; one coin decides for the whole walk, so that
    the score is linear in the strength and one pass gives the group's rates at every strength. The
    strengths are then the most accurate ones (or the smallest) whose gap between the groups on the
    validation rows is at most ``tol``.

    Parameters
    ----------
    estimator : classifier or None, default=None
        A tree model for two classes, as for FairTTTS. The validation rows are out-of-fold rows;
        with ``FrozenEstimator`` they are the rows given to `fit`, which the model must not have
        been trained on.
    protected_inputs : str, int, list, mapping or None, default=None
        As for FairTTTS.
    unprivileged : level, tuple, list, mapping or None, default=None
        Groups that may be helped. None: all of them, and the data decide.
    favorable_class : label or None, default=None
        The favourable class; None is the last one.
    constraint : {"equal_opportunity", "demographic_parity", "equalized_odds"}, \
default="equal_opportunity"
        Rates of favourable decisions that must agree: among the truly favourable, among all, or
        among both the truly favourable and the others.
    tol : float, default=0.02
        Largest difference between groups that is allowed on the validation rows.
    objective : {"accuracy", "least"}, default="accuracy"
        Among the strengths within ``tol``, the most accurate or the smallest.
    scope : {"auto", "protected", "all", "proxies"} or tuple of these, default="auto"
        What may change: decisions at protected splits ("protected"); these, with the published
        wrong turns at every node for everybody, which smooth the model ("all"); or decisions at
        every split that goes against a person of a group that is helped, because other inputs can
        stand in for the protected one ("proxies", not in the paper). "auto" offers all three: the
        choice between the first two is made on the validation rows, and "proxies" is taken where
        neither reaches ``tol``. A tuple offers some of them in this way; "all" costs a pass over
        all nodes for every row.
    p_max : float, default=0.1
        Probability of a wrong turn at distance 0, for scope "all".
    heuristic : {"distance", "fixed", "depth", "agreement"}, default="distance"
        As for FairTTTS, for scope "all".
    distance_scale : {"max_threshold", "node_std", "feature_std", "feature_range"}, \
default="max_threshold"
        As for FairTTTS, for scope "all".
    cv : int, splitter or iterable, default=5
        Folds; a number makes shuffled folds, stratified by class and group.
    confidence_level : float, default=0.95
        Of ``gap_interval_``.
    encoder : GroupEncoder or None, default=None
        How protected attributes become groups.
    n_jobs : int or None, default=None
        Threads.
    random_state : int, RandomState or None, default=None
        Seed of the folds and of the interval.

    Attributes
    ----------
    estimator_ : classifier
        The model fitted on all rows.
    classes_ : ndarray of shape (2,)
        Class labels.
    strengths_ : Series
        Strength of each group, in [0, 1].
    scope_ : {"protected", "all", "proxies"}
        The scope that was chosen.
    gap_, gap_before_ : float
        Gap between groups on the validation rows, with the strengths and without.
    gap_interval_ : tuple of float
        Interval of the gap that the validation rows allow.
    certified_ : bool
        Whether the upper end of the interval is at most ``tol``. False: the data cannot show that
        the constraint holds, even if ``gap_`` does.
    accuracy_, accuracy_before_ : float
        Accuracy on the validation rows, with the strengths and without.
    path_ : DataFrame
        Every group's rates at every strength where one of them changes.
    trees_ : TreeEnsemble
        The trees as arrays.
    protected_nodes_ : ndarray of int64
        Positions in ``trees_`` of the splits on protected inputs.
    n_features_in_ : int
        Columns of X.

    See Also
    --------
    FairTTTS : With a strength of your own.

    Notes
    -----
    The unmodified model is always a candidate, so the choice is never worse than it on the
    validation rows: neither its gap beyond ``tol``, nor, if it is within, its accuracy.

    References
    ----------
    Cohen-Inger, Rokach, Shapira and Cohen, arXiv 2501.08155, 2025, for FairTTTS itself.

    Examples
    --------
    >>> from sklearn.ensemble import RandomForestClassifier
    >>> from fairgroup.datasets import load_lending
    >>> from fairgroup.postprocessing import FairTTTSCV
    >>> lending = load_lending()
    >>> groups = lending.sensitive_features[["sex", "ethnicity"]]
    >>> X = lending.data[["income", "debt_ratio"]].assign(
    ...     female=groups["sex"] == "female", minority=groups["ethnicity"] == "minority"
    ... )
    >>> forest = RandomForestClassifier(20, max_depth=6, random_state=0)
    >>> model = FairTTTSCV(
    ...     forest, protected_inputs=["female", "minority"], tol=0.2, cv=2, random_state=0
    ... )
    >>> model = model.fit(X, lending.target, sensitive_features=groups)
    >>> bool(model.gap_ <= model.gap_before_)
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "protected_inputs": "no_validation",
        "unprivileged": "no_validation",
        "favorable_class": "no_validation",
        "constraint": [StrOptions(set(NOTIONS))],
        "tol": [Interval(Real, 0, 1, closed="both")],
        "objective": [StrOptions({"accuracy", "least"})],
        "scope": [StrOptions({"auto", *_SCOPES}), tuple],
        "p_max": [Interval(Real, 0, 0.5, closed="both")],
        "heuristic": [StrOptions(set(HEURISTICS))],
        "distance_scale": [StrOptions(set(SCALES))],
        "cv": ["cv_object"],
        "confidence_level": [Interval(Real, 0, 1, closed="neither")],
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
        constraint: str = "equal_opportunity",
        tol: float = 0.02,
        objective: str = "accuracy",
        scope: str | tuple[str, ...] = "auto",
        p_max: float = 0.1,
        heuristic: str = "distance",
        distance_scale: str = "max_threshold",
        cv: Any = 5,
        confidence_level: float = 0.95,
        encoder: GroupEncoder | None = None,
        n_jobs: int | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.protected_inputs = protected_inputs
        self.unprivileged = unprivileged
        self.favorable_class = favorable_class
        self.constraint = constraint
        self.tol = tol
        self.objective = objective
        self.scope = scope
        self.p_max = p_max
        self.heuristic = heuristic
        self.distance_scale = distance_scale
        self.cv = cv
        self.confidence_level = confidence_level
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
        """Fit the model and choose the strengths.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features, the protected ones included.
        y : array-like of shape (n_samples,)
            Labels of two classes.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes. None changes nothing, and warns.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights, in the model, in the rates and in the accuracy.

        Returns
        -------
        self : FairTTTSCV

        Raises
        ------
        ValueError
            For other than two classes, or unknown columns, groups or classes.

        Warns
        -----
        FairnessWarning
            When nothing can be done, when no strength brings the gap down to ``tol``, or when the
            validation rows cannot show that it is.
        """
        y = self._check_target(X, y)
        if not _classifies(self):
            raise ValueError("FairTTTSCV chooses decisions of classifiers; use FairTTTS.")
        if len(np.unique(y)) > 2:
            raise ValueError(
                "Only binary classification is supported. FairTTTSCV is for two classes; y has "
                f"{len(np.unique(y))}. Use FairTTTS with favorable_class."
            )
        groups = self._find_groups(sensitive_features, len(y))
        weights = self._weights(sample_weight, len(y))
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        self._take_over(self._fit_model(X, y, sample_weight), y)
        self._favorable_output = self._set_favorable()
        whole = self._read(self.estimator_, X, groups, weights)
        self._rules, self._protected = whole.rules, whole.protected
        self.protected_nodes_ = np.flatnonzero(self._rules.attribute >= 0)
        self.unprivileged_ = self._who_may_be_helped(groups, y, weights)
        if "proxies" not in self._offered_scopes():  # these need no protected split
            self._warn_without_effect_on_groups(self._protected, len(self.protected_nodes_))
        self._choose(X, y, groups, weights, sample_weight)
        return self

    # Reading and scoring --------------------------------------------------------------------

    def _read(self, model: Any, X: Any, groups: GroupCodes, weights: Array) -> _Reading:
        inner = self._trees_of(model)
        trees = reader_for(inner).read(inner)
        protected = self._find_protected(groups, model, trees)
        rules = flip_rules(
            trees,
            self._inputs(X, model),
            weights,
            protected.of_input,
            self._favorable_output,
            heuristic=self.heuristic,
            distance_scale=self.distance_scale,
            p_max=self.p_max,
        )
        return _Reading(model, trees, rules, protected)

    def _who_may_be_helped(
        self, groups: GroupCodes, y: Array, weights: Array
    ) -> tuple[NDArray[np.bool_], ...]:
        if self.encoder_ is not None and self.unprivileged is None:
            views = groups_of(groups, self._protected)
            return tuple(np.ones(view.n_groups, bool) for view in views)
        return self._find_unprivileged(groups, self._protected, y, weights)

    def _ends(
        self, reading: _Reading, inputs: Array, groups: GroupCodes, scope: str
    ) -> tuple[Array, Array]:
        """Output of the trees at strength 0 and at strength 1."""
        rules = self._rules_for(scope, reading)
        run = TreePass(reading.trees, rules, n_jobs=self.n_jobs)
        settings = Settings(1.0, True, scope == "all")
        always = self._may_be_helped(groups)
        none = np.full_like(always, -1.0)
        return run.expect(inputs, none, settings), run.expect(inputs, always, settings)

    def _rules_for(self, scope: str, reading: _Reading) -> FlipRules:
        if scope != "proxies":
            return reading.rules
        return with_proxies(reading.trees, reading.rules, len(reading.protected.names))

    def _may_be_helped(self, groups: GroupCodes) -> Array:
        """1 per row and attribute where the person may be helped, else -1.

        The last column stands for unprotected splits, where belonging to any of the groups counts.
        """
        views = groups_of(groups, self._protected) if self.encoder_ is not None else [groups]
        helped = [
            np.append(np.where(chosen, 1.0, -1.0), -1.0)[view.codes]
            for chosen, view in zip(self.unprivileged_, views, strict=True)
        ]
        return np.column_stack([*helped, np.max(helped, axis=0)])

    def _score(
        self, reading: _Reading, X: Any, groups: GroupCodes, scope: str
    ) -> tuple[Array, Array]:
        """Base score, favourable where positive, and its change at strength 1."""
        inputs = self._inputs(X, reading.model)
        before, after = self._ends(reading, inputs, groups, scope)
        if reading.trees.combine == MEAN:
            column = self.favorable_index_
            return before[:, column] - 0.5, after[:, column] - before[:, column]
        ordinary = self._ends(reading, inputs, groups, "protected")[0]
        inner = self._trees_of(reading.model)
        own = reader_for(inner).margin(inner, self._through_pipeline(reading.model, X))
        sign = self._favorable_output.sign
        base = np.ravel(own) + before[:, 0] - ordinary[:, 0]
        return sign * base, sign * (after - before)[:, 0]

    # Choosing -------------------------------------------------------------------------------

    def _validation(
        self, X: Any, y: Array, groups: GroupCodes, weights: Array, sample_weight: Any
    ) -> Iterator[tuple[_Reading, Any]]:
        """Models with the rows that they have not seen."""
        if isinstance(self._model(), FrozenEstimator):
            whole = _Reading(self.estimator_, self.trees_, self._rules, self._protected)
            yield whole, np.arange(len(y))
            return
        for train, test in self._splitter(y, groups):
            seen = None if sample_weight is None else weights[train]
            model = self._fit_model(_rows(X, train), y[train], seen)
            yield self._read(model, _rows(X, train), groups.take(train), weights[train]), test

    def _splitter(self, y: Array, groups: GroupCodes) -> Iterator[tuple[Array, Array]]:
        labels = np.unique(y, return_inverse=True)[1]
        if not isinstance(self.cv, Integral):
            return iter(check_cv(self.cv, y, classifier=True).split(labels, labels))
        smallest = int(np.bincount(labels).min())
        if smallest < 2:
            raise ValueError(
                f"The class {np.unique(y)[np.argmin(np.bincount(labels))]!r} has one row; "
                "validation needs at least two. Give a FrozenEstimator and validation rows."
            )
        n_splits = min(int(self.cv), smallest)
        cells = np.unique(labels * (groups.n_groups + 1) + groups.codes + 1, return_inverse=True)
        fine = np.bincount(cells[1]).min() >= n_splits
        folds = StratifiedKFold(n_splits, shuffle=True, random_state=self._seed)
        return iter(folds.split(labels, cells[1] if fine else labels))

    def _choose(
        self, X: Any, y: Array, groups: GroupCodes, weights: Array, sample_weight: Any
    ) -> None:
        offered_scopes = self._offered_scopes()
        scopes = tuple(s for s in _SCOPES if s in ("protected", *offered_scopes))
        scores = {scope: np.full((2, len(y)), np.nan) for scope in scopes}
        for reading, rows in self._validation(X, y, groups, weights, sample_weight):
            for scope in scopes:
                part = self._score(reading, _rows(X, rows), groups.take(rows), scope)
                scores[scope][:, rows] = part
        truth = np.asarray(y == self.classes_[self.favorable_index_])
        choices = {
            scope: self._choice(scope, scores[scope], truth, groups, weights) for scope in scopes
        }
        nothing = choices["protected"]._replace(strengths=np.zeros(groups.n_groups))
        before = best = self._judge(nothing)
        # The gentler scopes compete with each other; "proxies" has to be needed, or asked for.
        gentle = [choices[s] for s in offered_scopes if s != "proxies"]
        best = max([before, *gentle], key=self._rank)
        if "proxies" in offered_scopes and (not gentle or not best.within):
            best = max([best, choices["proxies"]], key=self._rank)
        self._store(best, before, groups, truth, weights)

    def _offered_scopes(self) -> tuple[str, ...]:
        if self.encoder_ is None:
            return ("protected",)
        if isinstance(self.scope, str):
            return _SCOPES if self.scope == "auto" else (self.scope,)
        strange = [scope for scope in self.scope if scope not in _SCOPES]
        if strange or not self.scope:
            raise ValueError(f"scope={self.scope!r}: a tuple may hold {list(_SCOPES)}.")
        return self.scope

    def _choice(
        self, scope: str, scores: Array, truth: Array, groups: GroupCodes, weights: Array
    ) -> _Choice:
        base, gain = scores
        codes, n_groups = groups.codes, groups.n_groups
        seen = ~np.isnan(base)
        paths = [
            group_path(base[rows], gain[rows], truth[rows], weights[rows])
            for rows in ((codes == g) & seen for g in range(n_groups))
        ]
        strengths, _ = choose(paths, self.constraint, self.tol, objective=self.objective)
        return self._judge(_Choice(scope, paths, strengths, False, 0.0, 0.0))

    def _judge(self, choice: _Choice) -> _Choice:
        gap = gap_of(rates_at(choice.paths, choice.strengths), self.constraint)
        correct = correct_at(choice.paths, choice.strengths)
        return choice._replace(gap=gap, within=gap <= self.tol + 1e-12, correct=correct)

    def _rank(self, choice: _Choice) -> tuple[bool, float, float]:
        """Within tol first; then the objective, or the gap where nothing is within."""
        if not choice.within:
            return False, -choice.gap, choice.correct
        gentle = -float(choice.strengths.sum()) - _SCOPES.index(choice.scope)
        return True, (choice.correct if self.objective == "accuracy" else gentle), gentle

    def _store(
        self, best: _Choice, before: _Choice, groups: GroupCodes, truth: Array, weights: Array
    ) -> None:
        total = sum(path.total for path in best.paths)
        self.scope_ = best.scope
        whole = _Reading(self.estimator_, self.trees_, self._rules, self._protected)
        self._acting_rules = self._rules_for(best.scope, whole)
        # Plain arrays, from which the properties make tables: they can be shared with skops.
        self._strengths = best.strengths
        self._paths = [(path.strength, path.rates) for path in best.paths]
        self._labels, self._columns, self._names = groups.labels, groups.columns, groups.names
        self.gap_, self.gap_before_ = best.gap, before.gap
        self.accuracy_, self.accuracy_before_ = best.correct / total, before.correct / total
        codes, inside = groups.codes, groups.codes >= 0
        positive = np.bincount(codes[inside & truth], minlength=groups.n_groups)
        everybody = np.bincount(codes[inside], minlength=groups.n_groups)
        sizes = np.column_stack([everybody, positive, everybody - positive])
        rates = rates_at(best.paths, best.strengths)
        generator = as_generator(self._seed)
        self.gap_interval_ = gap_interval(
            rates, sizes, self.constraint, self.confidence_level, generator
        )
        self.certified_ = bool(self.gap_interval_[1] <= self.tol)
        self._warn_without_promise(best)

    def _warn_without_promise(self, best: _Choice) -> None:
        idle = not len(self.protected_nodes_) and "proxies" not in self._offered_scopes()
        if self.encoder_ is None or idle:
            return
        low, high = self.gap_interval_
        level = f"{100 * self.confidence_level:g} %"
        shown = f"the {level} interval of the gap is {low:.3f} to {high:.3f}"
        if not best.within:
            warnings.warn(
                f"No strength brings the gap ({self.constraint}) down to tol={self.tol:g}; the "
                f"smallest is {best.gap:.3f} on the validation rows, and {shown}.",
                FairnessWarning,
                stacklevel=5,
            )
        elif not self.certified_:
            warnings.warn(
                f"The gap ({self.constraint}) is {best.gap:.3f} on the validation rows, but they "
                f"are too few to show that it is at most tol={self.tol:g}: {shown}.",
                FairnessWarning,
                stacklevel=5,
            )

    @property
    def strengths_(self) -> pd.Series:
        """Strength of each group, in [0, 1]."""
        check_is_fitted(self)
        if len(self._columns) == 1:
            index = pd.Index([label[0] for label in self._labels], name=self._columns[0])
        else:
            index = pd.MultiIndex.from_tuples(self._labels, names=list(self._columns))
        return pd.Series(self._strengths, index=index, name="strength")

    @property
    def path_(self) -> pd.DataFrame:
        """Rates of every group at every strength where one of them changes."""
        check_is_fitted(self)
        tables = [
            pd.DataFrame(
                {"group": name, "strength": at, **dict(zip(_RATES, rates.T, strict=True))}
            )
            for name, (at, rates) in zip(self._names, self._paths, strict=True)
        ]
        return pd.concat(tables, ignore_index=True)

    # Predicting -----------------------------------------------------------------------------

    @property
    def _settings(self) -> Settings:
        return Settings(1.0, True, self.scope_ == "all")

    def _strength(self, groups: GroupCodes) -> Array:
        return np.append(self._strengths, 0.0)[groups.codes]

    def _prepared(self, X: Any, sensitive_features: Any) -> tuple[Array, Array]:
        self._check_rows(X)
        inputs = self._inputs(X)
        groups = self._codes(sensitive_features, len(inputs))
        may = self._may_be_helped(groups)
        return inputs, np.where(may > 0, self._strength(groups)[:, None], -1.0)

    def _output(self, X: Any, sensitive_features: Any) -> Array:
        self._check_rows(X)
        inputs = self._inputs(X)
        groups = self._codes(sensitive_features, len(inputs))
        reading = _Reading(self.estimator_, self.trees_, self._rules, self._protected)
        before, after = self._ends(reading, inputs, groups, self.scope_)
        changed = before + self._strength(groups)[:, None] * (after - before)
        if self.trees_.combine == MEAN:
            return changed
        ordinary = before
        if self.scope_ == "all":
            ordinary = self._ends(reading, inputs, groups, "protected")[0]
        return self._with_offset(changed, X, ordinary)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        if tags.classifier_tags is not None:
            tags.classifier_tags.multi_class = False
        return tags


def _rows(X: Any, rows: Array) -> Any:
    """Rows of X, in its own type."""
    frame = nw.from_native(X, eager_only=True, pass_through=True)
    if isinstance(frame, nw.DataFrame):
        return frame[rows].to_native()
    return (X if hasattr(X, "shape") else np.asarray(X))[rows]
