"""Decisions at a point of the frontier: a randomised change of a model's outputs, by group and
client.

The rule is the solution of the post-processing form of AGLFOP (Hamman and Dutta, ICLR 2024,
Definition 5, with the true label replaced by what the model puts out).
"""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import cross_val_predict
from sklearn.utils import Tags, assert_all_finite, check_random_state, column_or_1d, get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, has_fit_parameter, validate_data

from fairgroup.exceptions import UnseenGroupError
from fairgroup.groups import GroupEncoder
from fairgroup.groups._consume import GroupConsumer
from fairgroup.information._counts import count_cells
from fairgroup.information._frontier import FairnessFrontier
from fairgroup.information._scores import ScoreLevels, equal_frequency
from fairgroup.information._table import Rows
from fairgroup.utils._sklearn import HasMethods, Interval, StrOptions, fit_context
from fairgroup.utils._validation import as_generator, check_weights

__all__ = ["FrontierPostProcessor"]

Array = NDArray[np.float64]


class FrontierPostProcessor(GroupConsumer, ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Change a classifier's decisions as little as needed to stay within disparity budgets.

    Fits the classifier, counts (group, client, output, label), finds the randomised rule with the
    smallest error whose global and local disparity stay within the budgets, and decides by it. Any
    number of groups, clients and classes.

    Parameters
    ----------
    estimator : classifier or None, default=None
        The model whose outputs are changed; None is a logistic regression. Use ``FrozenEstimator``
        for one that is already fitted.
    epsilon_global : float, default=0.001
        Budget for I(group; decision), in units of ``base``; infinity for none. With two groups of
        shares a and 1 - a and two decisions, the difference of decision rates is at most
        ``sqrt(epsilon ln 2 / 2) / (2 a (1 - a))`` for a budget in bits.
    epsilon_local : float, default=inf
        Budget for I(group; decision | client).
    level : {"group-client", "group", "blind"}, default="group-client"
        What the rule may look at besides the output. ``"blind"`` needs no groups in ``predict``.
    score_bins : int or None, default=10
        For two classes and a model with ``predict_proba``: number of score levels that the rule
        can treat differently. None: the rule sees the model's decision only.
    decision : {"random", "most_likely"}, default="random"
        ``"random"`` realises the rule: a draw that is a fixed function of the row's features, so
        that the same person gets the same decision every time. ``"most_likely"`` takes the
        likelier decision, which is deterministic also across fits and may leave the budgets.
    cv : int, splitter, iterable or None, default=None
        Count out-of-fold outputs instead of those on the training rows; protects against a model
        that overfits.
    base : float or "e", default=2
        Base of the logarithm; 2 gives bits.
    tol : float, default=1e-8
        Wanted gap between the rule's error and its lower bound.
    encoder : GroupEncoder or None, default=None
        How protected attributes become groups.
    random_state : int, RandomState or None, default=None
        Seed of the draws.

    Attributes
    ----------
    estimator_ : classifier
        The fitted model.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    point_ : FrontierPoint
        Error on the training counts with its lower bound, achieved disparities, price of fairness.
    rule_ : ndarray of shape (n_groups, n_clients, n_outputs, n_classes)
        Probability of each decision.
    n_features_in_ : int
        Columns of X.

    See Also
    --------
    FairnessFrontier : All budgets at once.

    Notes
    -----
    The budgets hold on the counts that the rule was made from; on new rows they hold up to
    sampling error.

    References
    ----------
    Hamman and Dutta, ICLR 2024, Definition 5.

    Examples
    --------
    >>> from fairgroup.datasets import load_lending
    >>> from fairgroup.information import FrontierPostProcessor
    >>> lending = load_lending()
    >>> X, y = lending.data[["income", "debt_ratio"]], lending.target
    >>> model = FrontierPostProcessor(epsilon_global=0.0005, random_state=0)
    >>> model = model.fit(X, y, sensitive_features=lending.data["sex"])
    >>> model.predict(X, sensitive_features=lending.data["sex"]).shape
    (20000,)
    """

    __metadata_request__fit: ClassVar = {"clients": True}
    __metadata_request__predict: ClassVar = {"sensitive_features": True, "clients": True}
    __metadata_request__predict_proba: ClassVar = {"sensitive_features": True, "clients": True}
    __metadata_request__score: ClassVar = {"sensitive_features": True, "clients": True}

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict"]), None],
        "epsilon_global": [Interval(Real, 0, None, closed="both")],
        "epsilon_local": [Interval(Real, 0, None, closed="both")],
        "level": [StrOptions({"group-client", "group", "blind"})],
        "score_bins": [Interval(Integral, 2, None, closed="left"), None],
        "decision": [StrOptions({"random", "most_likely"})],
        "cv": ["cv_object"],
        "base": [Interval(Real, 1, None, closed="neither"), StrOptions({"e"})],
        "tol": [Interval(Real, 0, None, closed="neither")],
        "encoder": [HasMethods(["fit", "transform"]), None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        epsilon_global: float = 0.001,
        epsilon_local: float = np.inf,
        level: str = "group-client",
        score_bins: int | None = 10,
        decision: str = "random",
        cv: Any = None,
        base: float | str = 2,
        tol: float = 1e-8,
        encoder: GroupEncoder | None = None,
        random_state: Any = None,
    ) -> None:
        self.estimator = estimator
        self.epsilon_global = epsilon_global
        self.epsilon_local = epsilon_local
        self.level = level
        self.score_bins = score_bins
        self.decision = decision
        self.cv = cv
        self.base = base
        self.tol = tol
        self.encoder = encoder
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sensitive_features: Any = None,
        clients: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the model and the rule.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Class labels.
        sensitive_features : array-like or frame of n_samples rows, default=None
            Protected attributes. None fits without fairness, and warns.
        clients : array-like of shape (n_samples,), default=None
            Site of each row; None puts all into one.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.

        Returns
        -------
        self : FrontierPostProcessor

        Raises
        ------
        ValueError
            For different lengths or missing values in the protected attributes or clients.

        Warns
        -----
        FairnessWarning
            Without ``sensitive_features``.
        ConvergenceWarning
            When the bounds of the error are further apart than ``tol``.
        """
        validate_data(self, X, skip_check_array=True)
        y = column_or_1d(y, warn=True)
        assert_all_finite(y, input_name="y")
        check_classification_targets(y)
        self.classes_, labels = np.unique(y, return_inverse=True)
        model = self._model()
        weighted = sample_weight is not None and has_fit_parameter(model, "sample_weight")
        params = {"sample_weight": sample_weight} if weighted else {}
        self.estimator_ = clone(model).fit(X, y, **params)
        self._by_score = (
            self.score_bins is not None
            and len(self.classes_) == 2
            and hasattr(self.estimator_, "predict_proba")
        )
        n_samples = len(labels)
        rows = Rows(
            labels,
            sensitive_features,
            clients,
            sample_weight,
            encoder=self.encoder,
            estimator=self,
        )
        self._encoder = rows.encoder
        self._clients = None if clients is None else rows.client_labels
        self._seed = int(check_random_state(self.random_state).randint(2**31 - 1))
        output = self._output(X) if self.cv is None else self._out_of_fold(X, y)
        weight = check_weights(sample_weight, n_samples)
        if self._by_score:
            self._levels = _with_half(equal_frequency(output, int(self.score_bins or 2), weight))
            output = self._levels.encode(output)
        n_levels = len(self._levels.labels) if self._by_score else len(self.classes_)
        table = count_cells(
            [rows.groups.codes, rows.clients, output.astype(np.int64), labels],
            [rows.groups.n_groups, len(rows.client_labels), n_levels, len(self.classes_)],
            weight,
        )
        self._solve(table)
        return self

    def predict_proba(
        self, X: Any, *, sensitive_features: Any = None, clients: Any = None
    ) -> Array:
        """Return the exact probability of each decision.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        sensitive_features : array-like or frame of n_samples rows, default=None
            Protected attributes; needed unless ``level="blind"`` or none were given to `fit`.
        clients : array-like of shape (n_samples,), default=None
            Sites; needed for ``level="group-client"`` if they were given to `fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)

        Raises
        ------
        ValueError
            When groups or clients are needed and not given, or new ones appear.
        """
        check_is_fitted(self)
        output = self._output(X)
        validate_data(self, X, reset=False, skip_check_array=True)
        decided = (output > 0.5).astype(np.int64) if self._by_score else output.astype(np.int64)
        level = self._levels.encode(output) if self._by_score else decided
        groups = self._groups(sensitive_features, len(output))
        sites = self._sites(clients, len(output))
        probabilities = self.rule_[groups, sites, level]
        # A row without a group (the encoder's policy "ignore") keeps the model's decision.
        outside = groups < 0
        probabilities[outside] = np.eye(len(self.classes_))[decided[outside]]
        return probabilities

    def predict(
        self,
        X: Any,
        *,
        sensitive_features: Any = None,
        clients: Any = None,
        random_state: Any = None,
    ) -> NDArray[Any]:
        """Decide.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        sensitive_features : array-like or frame of n_samples rows, default=None
            As in :meth:`predict_proba`.
        clients : array-like of shape (n_samples,), default=None
            As in :meth:`predict_proba`.
        random_state : int, RandomState, Generator or None, default=None
            None: the draw is a function of the row's features. Otherwise rows are drawn
            independently of them, for data in which many rows have the same features.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
        """
        probabilities = self.predict_proba(
            X, sensitive_features=sensitive_features, clients=clients
        )
        if self.decision == "most_likely":
            return self.classes_[probabilities.argmax(1)]
        n_samples = len(probabilities)
        draw = (
            _row_draws(X, self._seed)
            if random_state is None
            else as_generator(random_state).random(n_samples)
        )
        chosen = (draw[:, None] >= probabilities.cumsum(1)).sum(1)
        return self.classes_[np.minimum(chosen, len(self.classes_) - 1)]

    def score(
        self,
        X: Any,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sensitive_features: Any = None,
        clients: Any = None,
    ) -> float:
        """Return the accuracy of the decisions.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            True labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights.
        sensitive_features : array-like or frame of n_samples rows, default=None
            As in :meth:`predict_proba`.
        clients : array-like of shape (n_samples,), default=None
            As in :meth:`predict_proba`.

        Returns
        -------
        score : float
        """
        decisions = self.predict(X, sensitive_features=sensitive_features, clients=clients)
        return float(accuracy_score(y, decisions, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = get_tags(self._model()).input_tags.sparse
        return tags

    def _groups_seen(self) -> Iterable[tuple[str, str]]:
        encoder = getattr(self, "_encoder", None)
        return [] if encoder is None else encoder._groups_seen()

    def _model(self) -> Any:
        return LogisticRegression(max_iter=1000) if self.estimator is None else self.estimator

    def _solve(self, table: Array) -> None:
        frontier = FairnessFrontier(
            epsilon_global=[self.epsilon_global],
            epsilon_local=[self.epsilon_local],
            base=self.base,
            tol=self.tol,
            level=self.level,
            decompose=False,
        ).fit_counts(table)
        self.point_ = frontier.solve(self.epsilon_global, self.epsilon_local)
        self.rule_ = _conditional(self.point_.joint, table)

    def _output(self, X: Any) -> NDArray[Any]:
        """Score of the second class, or index of the decided class."""
        if self._by_score:
            return np.asarray(self.estimator_.predict_proba(X))[:, 1]
        return np.asarray(np.searchsorted(self.classes_, self.estimator_.predict(X)))

    def _out_of_fold(self, X: Any, y: Any) -> NDArray[Any]:
        method = "predict_proba" if self._by_score else "predict"
        found = cross_val_predict(clone(self.estimator_), X, y, cv=self.cv, method=method)
        return found[:, 1] if self._by_score else np.searchsorted(self.classes_, found)

    def _groups(self, sensitive_features: Any, n_samples: int) -> NDArray[np.int64]:
        if self._encoder is None or self.level == "blind":
            return np.zeros(n_samples, dtype=np.int64)
        if sensitive_features is None:
            raise ValueError(
                f"level={self.level!r} decides by group: predict needs sensitive_features. Hand "
                "them over, wrap the estimator in SensitiveColumns, or use level='blind'."
            )
        groups = self._encoder.transform(sensitive_features)
        if len(groups) != n_samples:
            raise ValueError(
                f"sensitive_features has {len(groups)} rows, but X has {n_samples}; both must "
                "describe the same rows."
            )
        return groups.codes.astype(np.int64)

    def _sites(self, clients: Any, n_samples: int) -> NDArray[np.int64]:
        if self._clients is None or self.level != "group-client":
            return np.zeros(n_samples, dtype=np.int64)
        if clients is None:
            raise ValueError(
                "level='group-client' decides by client: predict needs clients. Hand them "
                "over, or use level='group'."
            )
        values = pd.Series(np.asarray(clients, dtype=object))
        if len(values) != n_samples:
            raise ValueError(
                f"clients has {len(values)} rows, but X has {n_samples}; both must describe the "
                "same rows."
            )
        position = {client: i for i, client in enumerate(self._clients)}
        unseen = [client for client in values.unique() if client not in position]
        if unseen:
            raise UnseenGroupError(
                f"clients has {unseen[:5]}, which were not there in fit; use level='group' for a "
                "rule that any client can use."
            )
        return np.array([position[client] for client in values], dtype=np.int64)


def _with_half(levels: ScoreLevels) -> ScoreLevels:
    """Let the model's own decision be one of the rules."""
    above = np.nextafter(0.5, 1)
    return ScoreLevels(np.unique(np.append(levels.edges, above)))


def _conditional(joint: Array, table: Array) -> Array:
    """Probability of each decision given group, client and output.

    A cell that no training row is in takes the rule of its group and output, else of its output,
    else the most frequent label of its output, else of all.
    """
    eye = np.eye(joint.shape[3])
    by_output = table.sum((0, 1))
    common = eye[by_output.sum(0).argmax()]
    rule = np.where(by_output.sum(1)[:, None] > 0, eye[by_output.argmax(1)], common)
    rule = np.broadcast_to(rule, joint.shape).copy()
    for axes in ((0, 1), (1,), ()):
        total = joint.sum(axes, keepdims=True)
        mass = total.sum(3, keepdims=True)
        share = np.divide(total, mass, out=np.zeros_like(total), where=mass > 0)
        rule = np.where(mass > 0, share, rule)
    return rule


def _row_draws(X: Any, seed: int) -> Array:
    """A number in [0, 1) per row that depends on its features and the seed only."""
    if isinstance(X, pd.DataFrame):
        frame = X.reset_index(drop=True)
    else:
        frame = pd.DataFrame(np.asarray(X.toarray() if hasattr(X, "toarray") else X))
    numbers = frame.select_dtypes(["number", "bool"]).columns
    frame = frame.astype(dict.fromkeys(numbers, np.float64)).set_axis(
        range(frame.shape[1]), axis=1
    )
    hashed = pd.util.hash_pandas_object(frame, index=False).to_numpy(dtype=np.uint64)
    # The finaliser of SplitMix64 mixes the seed in; pandas' own key reaches text columns only.
    mixed = hashed ^ np.random.SeedSequence(seed).generate_state(1, np.uint64)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed ^= mixed >> np.uint64(31)
    return (mixed >> np.uint64(11)).astype(np.float64) * 2.0**-53
