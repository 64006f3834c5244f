"""Groupwise binary classification: log, Brier and zero-one loss."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets, type_of_target
from sklearn.utils.validation import validate_data

from fairgroup.groups import MembershipEncoder
from fairgroup.online._core import make_rules
from fairgroup.online._groupwise import GroupwiseBase
from fairgroup.online._scan_kernels import Rules
from fairgroup.utils._sklearn import HasMethods, Interval, StrOptions, fit_context

__all__ = ["GroupwiseClassifier"]

Floats = NDArray[np.float64]


class GroupwiseClassifier(ClassifierMixin, GroupwiseBase):
    """Online binary classification that is nearly as good for each group as the best model for it.

    As `GroupwiseRegressor`, with probabilities in place of labels: every group has a base learner,
    and a row's probability is an average over the groups it is in, weighted by how each learner
    has done. Rows are a time order, also in `fit`.

    Parameters
    ----------
    base_learner : str, estimator or list, default="logistic_ons"
        "logistic_ons": online Newton steps on the logistic loss, implicit (so that the scale of
        features cannot make them diverge). "logistic_sgd": gradient descent. "logistic_diagonal":
        implicit steps with a size per column, for large d. "ridge", "vaw": least squares on labels
        0 and 1, with hindsight numbers; their natural loss is "brier". A scikit-learn classifier
        with ``partial_fit``, a river classifier, or a list of fitted classifiers (in
        ``FrozenEstimator``).
    loss : {"log", "brier", "zero_one"}, default="log"
        What regret is measured in. Under "zero_one" learners vote with labels, and the probability
        is the chance that the drawn learner says the second class.
    eps : float, default=0.01
        Probabilities are clipped to [eps, 1 - eps] under "log", whose losses are divided by
        ``-log(eps)``.
    alpha : float, default=1.0
        Ridge strength.
    fit_intercept : bool, default=True
        Whether linear learners have a constant column (penalised like the others).
    aggregator : {"adanormalhedge", "specialists"}, default="adanormalhedge"
        "specialists": constant regret ``ln(G)`` in nats for "log", ``ln(G) / eta`` for "brier",
        eta = 1/2 (mean) or 2 (substitution); not for "zero_one".
    combine : {"mean", "expected", "sample", "substitution"}, default="mean"
        As in `GroupwiseRegressor`.
    feedback : {"mixture", "prediction"}, default="mixture"
        Loss that regrets are measured from.
    prior : dict or array-like of shape (n_groups,), default=None
        Positive weight of each group (dict: by name, others 1). None: equal.
    always_on : bool, default=True
        Whether a group ``"everyone"`` comes first. Without it nothing is guaranteed for all rows.
    encoder : MembershipEncoder, default=None
        How ``sensitive_features`` become groups; see `GroupwiseRegressor`.
    unseen : {"add", "ignore", "error"}, default="add"
        Groups that appear later: "add" starts a learner for them.
    forgetting : float, default=1.0
        Factor by which a group's past fades with each of its rows. No bound below one.
    no_active : {"prior", "zero", "raise"}, default="prior"
        Rows in no group: predicted by the prior-weighted mean of all learners, with probability
        zero, or refused. Nothing is learned from them.
    learning_rate : float, default=0.5
        Step size of "logistic_sgd" and "logistic_diagonal".
    radius : float, default=None
        Largest norm of their coefficients. None: no limit.
    engine : {"auto", "rank_one", "blocked"}, default="auto"
        How batches run through "ridge" and "vaw"; see `GroupwiseRegressor`.
    block_size : int, default=64
        Rows per matrix product.
    refresh_every : int, default=1000
        Rank-one updates between two recomputations of an inverse from its Gram matrix.
    random_state : int, RandomState instance or None, default=None
        For ``combine="sample"``.

    Attributes
    ----------
    classes_ : ndarray of shape (2,)
    group_names_, regret_, abs_regret_, regret_bound_, weights_, loss_, expert_loss_
        As in `GroupwiseRegressor`; losses in [0, 1].
    coef_, intercept_ : ndarray of shape (n_groups, n_features) and (n_groups,)
    n_active_ : ndarray of shape (n_groups,)
    n_rounds_, n_idle_, n_loss_overflow_ : int

    See Also
    --------
    GroupwiseRegressor : For numbers.

    Notes
    -----
    The averaged probability bounds the log and Brier loss of the prediction on every group. The
    zero-one bound is on the expected loss of drawing a label with the returned probability; the
    labels of `predict` are its rounding.

    References
    ----------
    Acharya, Arunachaleswaran, Kannan, Roth, Ziani, "Oracle Efficient Algorithms for Groupwise
    Regret", ICLR 2024, arXiv 2310.04652.

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.online import GroupwiseClassifier
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(600, 2))
    >>> sex = rng.choice(["f", "m"], size=600)
    >>> y = np.where(sex == "f", X[:, 0] > 0, X[:, 0] < 0)
    >>> model = GroupwiseClassifier().fit(X[:500], y[:500], sensitive_features=sex[:500])
    >>> model.score(X[500:], y[500:], sensitive_features=sex[500:]) > 0.95
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **GroupwiseBase._parameter_constraints,
        "base_learner": [
            StrOptions({"logistic_ons", "logistic_sgd", "logistic_diagonal", "ridge", "vaw"}),
            HasMethods(["partial_fit", "predict"]),
            HasMethods(["learn_one", "predict_proba_one"]),
            list,
            tuple,
        ],
        "loss": [StrOptions({"log", "brier", "zero_one"})],
        "eps": [Interval(Real, 0, 0.5, closed="neither")],
        "combine": [StrOptions({"mean", "expected", "sample", "substitution"})],
    }
    _is_classifier: ClassVar[bool] = True
    classes_: NDArray

    def __init__(
        self,
        base_learner: Any = "logistic_ons",
        *,
        loss: str = "log",
        eps: float = 0.01,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        aggregator: str = "adanormalhedge",
        combine: str = "mean",
        feedback: str = "mixture",
        prior: Mapping[str, float] | ArrayLike | None = None,
        always_on: bool = True,
        encoder: MembershipEncoder | None = None,
        unseen: str = "add",
        forgetting: float = 1.0,
        no_active: str = "prior",
        learning_rate: float = 0.5,
        radius: float | None = None,
        engine: str = "auto",
        block_size: int = 64,
        refresh_every: int = 1000,
        random_state: Any = None,
    ) -> None:
        self.base_learner = base_learner
        self.loss = loss
        self.eps = eps
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.aggregator = aggregator
        self.combine = combine
        self.feedback = feedback
        self.prior = prior
        self.always_on = always_on
        self.encoder = encoder
        self.unseen = unseen
        self.forgetting = forgetting
        self.no_active = no_active
        self.learning_rate = learning_rate
        self.radius = radius
        self.engine = engine
        self.block_size = block_size
        self.refresh_every = refresh_every
        self.random_state = random_state

    @classmethod
    def published(cls, **overrides: Any) -> Self:
        """Return the aggregation of the published experiments: expected loss of a drawn learner.

        The published experiments are regressions; base learner and loss stay the defaults.

        Parameters
        ----------
        **overrides
            Parameters that differ.

        Returns
        -------
        model : GroupwiseClassifier
        """
        settings: dict[str, Any] = {
            "combine": "expected",
            "fit_intercept": False,
            "no_active": "zero",
        }
        return cls(**(settings | overrides))

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sensitive_features: Any = None,
        memberships: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Forget everything and learn the rows in their order.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            Two classes.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; each level is a group.
        memberships : array-like or DataFrame of shape (n_samples, n_groups), default=None
            Memberships in [0, 1], instead of ``sensitive_features``.
        sample_weight : array-like of shape (n_samples,), default=None
            Multiplies the memberships; divided by the largest if that exceeds one. (Later calls
            of `partial_fit` cannot know the largest: there weights must be in [0, 1].)

        Returns
        -------
        self : GroupwiseClassifier

        Raises
        ------
        ValueError
            For other than two classes, memberships or weights outside [0, 1], other groups than
            before, or both ways of giving groups at once.
        """
        self._forget()
        self._learn(
            X,
            y,
            memberships=memberships,
            sensitive_features=sensitive_features,
            sample_weight=sample_weight,
            whole=True,
        )
        return self

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        *,
        sensitive_features: Any = None,
        memberships: Any = None,
        sensitive_groups: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Learn further rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            In time order. No rows: only initialises.
        y : array-like of shape (n_samples,)
        classes : array-like of shape (2,), default=None
            Needed in the first call, unless its labels hold both classes.
        sensitive_features, memberships
            As in `fit`.
        sensitive_groups : array-like, default=None
            Groups to know from the start: names of the columns of ``memberships``, or rows of
            attributes with the levels of ``sensitive_features``.
        sample_weight : array-like of shape (n_samples,), default=None
            In [0, 1]; multiplies the memberships. A row of weight zero is not learned, and is
            predicted like one in no group.

        Returns
        -------
        self : GroupwiseClassifier
        """
        self._set_classes(classes)
        self._learn(
            X,
            y,
            memberships=memberships,
            sensitive_features=sensitive_features,
            sample_weight=sample_weight,
            sensitive_groups=sensitive_groups,
            may_be_empty=True,
        )
        return self

    def progressive_predict(self, X: ArrayLike, y: ArrayLike, **groups: Any) -> NDArray:
        """Predict the label of each row, then learn the row.

        Parameters
        ----------
        X, y
            As in `partial_fit`.
        **groups
            ``sensitive_features``, ``memberships``, ``sample_weight``, and ``classes``, as in
            `partial_fit`.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
        """
        share = self.progressive_predict_proba(X, y, **groups)[:, 1]
        return self.classes_[(share >= 0.5).astype(int)]

    def progressive_predict_proba(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        classes: ArrayLike | None = None,
        sensitive_features: Any = None,
        memberships: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Floats:
        """Predict the probabilities of each row, then learn the row.

        Parameters
        ----------
        X, y, classes, sensitive_features, memberships, sample_weight
            As in `partial_fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, 2)
            Each made before its label was used.
        """
        self._set_classes(classes)
        share = self._learn(
            X,
            y,
            memberships=memberships,
            sensitive_features=sensitive_features,
            sample_weight=sample_weight,
        )
        return np.column_stack([1.0 - share, share])

    def predict_proba(
        self, X: ArrayLike, *, sensitive_features: Any = None, memberships: Any = None
    ) -> Floats:
        """Probabilities of the two classes as things stand; nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sensitive_features, memberships
            As in `fit`. Without them rows count as members of ``"everyone"`` only.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, 2)
        """
        share = self._predict_unit(X, memberships, sensitive_features)
        return np.column_stack([1.0 - share, share])

    def predict(
        self, X: ArrayLike, *, sensitive_features: Any = None, memberships: Any = None
    ) -> NDArray:
        """Return the more probable class.

        Parameters
        ----------
        X, sensitive_features, memberships
            As in `predict_proba`.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
        """
        share = self._predict_unit(X, memberships, sensitive_features)
        return self.classes_[(share >= 0.5).astype(int)]

    def enqueue(
        self, X: ArrayLike, *, sensitive_features: Any = None, memberships: Any = None
    ) -> tuple[NDArray[np.int64], Floats]:
        """Predict rows whose labels come later; `resolve` learns them then.

        Parameters
        ----------
        X, sensitive_features, memberships
            As in `predict_proba`.

        Returns
        -------
        ids : ndarray of int64, shape (n_samples,)
            To hand to `resolve`.
        probabilities : ndarray of shape (n_samples, 2)
        """
        ids, share = self._hold(X, memberships, sensitive_features)
        return ids, np.column_stack([1.0 - share, share])

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sensitive_features: Any = None,
        memberships: Any = None,
    ) -> float:
        """Return the accuracy of the predictions as things stand.

        Parameters
        ----------
        X, y, sample_weight, sensitive_features, memberships
            As in `fit`.

        Returns
        -------
        score : float
        """
        y_pred = self.predict(X, sensitive_features=sensitive_features, memberships=memberships)
        return float(accuracy_score(y, y_pred, sample_weight=sample_weight))

    def _rules(self) -> Rules:
        return make_rules(
            aggregator=self.aggregator,
            combine=self.combine,
            loss=self.loss,
            feedback=self.feedback,
            no_active=self.no_active,
            forgetting=self.forgetting,
            eps=self.eps,
        )

    def _set_classes(self, classes: ArrayLike | None) -> None:
        started = hasattr(self, "_core")
        if classes is None:
            if not started and hasattr(self, "classes_"):
                del self.classes_  # left by a first call that was refused
            return
        unique = np.unique(np.asarray(classes))
        if not started:
            self.classes_ = self._two(unique)
        elif not np.array_equal(unique, self.classes_):
            raise ValueError(f"classes={unique!r} differ from the first call: {self.classes_}")

    @staticmethod
    def _two(classes: NDArray) -> NDArray:
        if len(classes) != 2:
            raise ValueError(
                f"Only binary classification is supported: y must have two classes, found "
                f"{len(classes)} class{'es' if len(classes) != 1 else ''}. "
                "In partial_fit name both in classes."
            )
        return classes

    def _check_batch(self, X: Any, y: Any, *, first: bool, least: int) -> tuple[Floats, NDArray]:
        X, y = validate_data(self, X, y, reset=first, dtype=np.float64, ensure_min_samples=least)
        if least:
            check_classification_targets(y)
            if type_of_target(y) not in ("binary", "multiclass"):
                raise ValueError(
                    f"Only binary classification is supported. y is {type_of_target(y)!r}."
                )
        if first and not hasattr(self, "classes_"):
            self.classes_ = self._two(np.unique(y))
        return X, self._check_labels(y)

    def _check_labels(self, y: NDArray) -> NDArray:
        y = np.asarray(y)
        strange = ~np.isin(y, self.classes_)
        if strange.any():
            raise ValueError(
                f"y has the label {y[strange][0]!r}, but the classes are {self.classes_.tolist()}."
            )
        return y

    def _to_unit(self, y: NDArray) -> Floats:
        return (y == self.classes_[1]).astype(np.float64)

    def _forget(self) -> None:
        super()._forget()
        if hasattr(self, "classes_"):
            del self.classes_

    def _label_state(self) -> dict[str, Any]:
        classes = self.classes_
        return {"classes": classes.astype(str) if classes.dtype == object else classes.copy()}

    def _load_labels(self, state: Mapping[str, NDArray]) -> None:
        self.classes_ = np.array(state["classes"])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = False
        tags.classifier_tags.poor_score = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_core")
