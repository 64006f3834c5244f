"""Classification on a stream with a fairness term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils import Tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from fairgroup.forest._aranyani import NOTIONS, AranyaniBase
from fairgroup.forest._decisions import DecisionNumbers
from fairgroup.groups import GroupEncoder
from fairgroup.utils._sklearn import StrOptions, fit_context

__all__ = ["AranyaniClassifier"]

Floats = NDArray[np.float64]


class AranyaniClassifier(ClassifierMixin, DecisionNumbers, AranyaniBase):
    """Fair classification of a stream with a forest of soft oblique trees (Aranyani).

    Each row is decided before it is learned, no row is stored, and accuracy and unfairness of all
    decisions so far are known at any time. Every node of a tree is a logistic model that sends a
    row left with a probability; a row's class probabilities are the average over leaves and trees.
    A penalty pulls the groups together: their outputs (the default), or every node's (as
    published). Rows are a time order, also in `fit`. Groups are needed to learn, never to predict.

    Parameters
    ----------
    n_estimators : int, default=10
        Trees, T.
    max_depth : int, default=4
        Depth of the complete trees, h: 2^h - 1 nodes, 2^h leaves.
    fairness_weight : float, default=0.5
        Weight of the penalty, lambda. 0: none. With ``max_unfairness`` where it starts.
    max_unfairness : float, default=None
        Instead of a fixed weight: a difference between groups that decisions should not exceed.
        The weight rises while they do and falls while they do not (dual ascent with a proportional
        term), by the running rates with ``decay``. Not a guarantee.
    level : {"output", "node"}, default="output"
        Where groups are compared: in the forest's outputs, or at each node, as published.
    constraint : {"demographic_parity", "equal_opportunity", "equalized_odds"} or None, \
            default="demographic_parity"
        What shall be equal for all groups: the rates of decisions; those among the rows of
        ``classes_[1]`` (two classes only); those among the rows of each class. None: no penalty.
    huber_delta : float, default=0.01
        Gaps smaller than this are penalised quadratically, others linearly.
    huber_slope : {"unit", "delta"}, default="unit"
        Derivative of the penalty of larger gaps: 1, as in the authors' code and its published
        results, or ``huber_delta``, which is the Huber function.
    group_reduction : {"mean", "max"}, default="mean"
        Over pairs of groups: the mean of their penalties, or that of the widest gap.
    decay : float, default=0.999
        Group means are running averages whose newest row weighs at least ``1 - decay``, which
        keeps up with a changing model and a changing world. 1: plain averages, as published.
    wait_for_groups : bool, default=False
        Learn nothing before every group has been seen, as published.
    optimizer : {"adam", "sgd"}, default="adam"
        One step per row (or batch).
    learning_rate : float, default=0.005
        Size of a step.
    beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-7
        Of Adam; epsilon stands beside the root of the uncorrected second moment.
    dual_learning_rate : float, default=0.005
        Change of the fairness weight per row and per unit of excess over ``max_unfairness``. The
        default was chosen on a simulated stream, the lending sample and Adult.
    batch_size : int, default=1
        Rows per step. Another algorithm, not an option for speed: with more rows per step there
        are fewer steps, and the learning rate must be raised. Batches are cut within each call.
    n_epochs : int, default=1
        Passes of `fit` over the rows.
    shuffle : bool, default=False
        Whether `fit` takes the rows of each pass in random order.
    standardize : {"running", "fit"} or None, default="running"
        Features are standardised with the running mean and spread of the rows so far, or those of
        the first rows seen, or not at all.
    init_scale : float or "sqrt", default=1.0
        Standard deviation of the first node weights; "sqrt": ``1 / sqrt(n_features + 1)``.
    encoder : GroupEncoder, default=None
        How ``sensitive_features`` become groups; a fitted one in a ``FrozenEstimator`` stays as it
        is. Rows that it ignores train the task and enter no statistics of groups.
    random_state : int, RandomState instance or None, default=None
        For the first parameters and ``shuffle``.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
    groups_ : tuple of str
    coef_ : ndarray of shape (n_estimators, n_nodes, n_features)
        Node weights, for features as standardised. Node j has the children 2j + 1 (left) and
        2j + 2. Live and writable, like the next two.
    intercept_ : ndarray of shape (n_estimators, n_nodes)
    leaf_logits_ : ndarray of shape (n_estimators, n_leaves, n_classes)
    fairness_weight_ : float
    t_, n_updates_ : int
        Decisions, steps of the optimiser.
    group_counts_ : ndarray of int, shape (n_strata, n_groups)
        Rows in the fairness statistics; one stratum, or one per class for "equalized_odds".
    output_mean_ : ndarray of shape (n_strata, n_groups, n_outputs)
    node_mean_, node_grad_mean_, node_gap_ : ndarray
        Statistics of ``level="node"``.
    running_accuracy_, running_loss_, running_dp_difference_, running_parity_, \
            running_soft_parity_ : float
    running_positive_rate_ : ndarray of shape (n_groups,) or (n_groups, n_classes)
    encoder_ : GroupEncoder or None

    See Also
    --------
    AranyaniRegressor : For numbers.
    aranyani_path : Many fairness weights and seeds at once.

    Notes
    -----
    There is no guarantee for the decisions. Nodes that treat groups alike one by one need not do
    so together: unless node decisions are independent given the group, all node gaps can be zero
    while the groups' outputs differ by a half. The output level does not have this defect, but it
    penalises probabilities, not decisions.

    A column with the protected attribute may be among the features.

    References
    ----------
    Basu Roy Chowdhury, Monath, Beirami, Kidambi, Dubey, Ahmed, Chaturvedi, "Enhancing Group
    Fairness in Online Settings Using Oblique Decision Forests", ICLR 2024, arXiv 2310.11401.

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.forest import AranyaniClassifier
    >>> rng = np.random.default_rng(0)
    >>> sex = rng.choice(["f", "m"], size=4000)
    >>> X = np.column_stack([rng.normal(size=4000), rng.normal(size=4000) + (sex == "m")])
    >>> y = X.sum(axis=1) + rng.normal(size=4000) > 0.5
    >>> free = AranyaniClassifier(constraint=None, random_state=0)
    >>> fair = AranyaniClassifier(fairness_weight=2, random_state=0)
    >>> for model in (free, fair):
    ...     decisions = model.progressive_predict(X, y, sensitive_features=sex)
    >>> fair.running_parity_ < 0.2 < free.running_parity_
    True
    >>> model.predict_proba(X[:3]).shape
    (3, 2)
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **AranyaniBase._parameter_constraints,
        "constraint": [None, StrOptions({name for name in NOTIONS if name})],
    }
    classes_: NDArray

    def __init__(
        self,
        n_estimators: int = 10,
        max_depth: int = 4,
        *,
        fairness_weight: float = 0.5,
        max_unfairness: float | None = None,
        level: str = "output",
        constraint: str | None = "demographic_parity",
        huber_delta: float = 0.01,
        huber_slope: str = "unit",
        group_reduction: str = "mean",
        decay: float = 0.999,
        wait_for_groups: bool = False,
        optimizer: str = "adam",
        learning_rate: float = 0.005,
        beta_1: float = 0.9,
        beta_2: float = 0.999,
        epsilon: float = 1e-7,
        dual_learning_rate: float = 0.005,
        batch_size: int = 1,
        n_epochs: int = 1,
        shuffle: bool = False,
        standardize: str | None = "running",
        init_scale: float | str = 1.0,
        encoder: GroupEncoder | None = None,
        random_state: Any = None,
    ) -> None:
        self.n_estimators = n_estimators
        self.max_depth = max_depth
        self.fairness_weight = fairness_weight
        self.max_unfairness = max_unfairness
        self.level = level
        self.constraint = constraint
        self.huber_delta = huber_delta
        self.huber_slope = huber_slope
        self.group_reduction = group_reduction
        self.decay = decay
        self.wait_for_groups = wait_for_groups
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.dual_learning_rate = dual_learning_rate
        self.batch_size = batch_size
        self.n_epochs = n_epochs
        self.shuffle = shuffle
        self.standardize = standardize
        self.init_scale = init_scale
        self.encoder = encoder
        self.random_state = random_state

    @classmethod
    def published(cls, **overrides: Any) -> Self:
        """Return the published protocol: node level, three trees of depth four, plain averages.

        It standardises nothing; the published data were standardised beforehand (except COMPAS).

        Parameters
        ----------
        **overrides
            Parameters that differ.

        Returns
        -------
        model : AranyaniClassifier
        """
        settings: dict[str, Any] = {
            "n_estimators": 3,
            "max_depth": 4,
            "fairness_weight": 0.1,
            "level": "node",
            "huber_delta": 0.01,
            "huber_slope": "unit",
            "decay": 1.0,
            "wait_for_groups": True,
            "learning_rate": 2e-3,
            "standardize": None,
        }
        return cls(**(settings | overrides))

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike, *, sensitive_features: Any = None) -> Self:
        """Forget everything and learn the rows in their order, ``n_epochs`` times.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
            At least two classes.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; their combinations are the groups. Without them nothing is done
            for fairness, with a warning.

        Returns
        -------
        self : AranyaniClassifier

        Raises
        ------
        ValueError
            For a single class, non-finite features, or groups of another number of rows.
        """
        return self._fit(X, y, sensitive_features)

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        *,
        sensitive_features: Any = None,
        sensitive_groups: Any = None,
    ) -> Self:
        """Learn further rows.

        With ``batch_size=1`` it makes no difference how a stream is cut into calls.
        Parameters of the model that were set since take effect, if the learned arrays allow.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            In time order. No rows: only initialises.
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), default=None
            All classes; needed in the first call, unless its labels hold at least two and no
            others will come.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes. None in a later call: the rows train the task only.
        sensitive_groups : array-like or DataFrame, default=None
            Rows of attributes in which every group occurs. Needed in the first call if its rows do
            not show all groups.

        Returns
        -------
        self : AranyaniClassifier

        Raises
        ------
        UnseenGroupError
            For a group that was not there in the first call (a ValueError; see `GroupEncoder`).
        """
        self._set_classes(classes)
        self._learn(
            X,
            y,
            sensitive_features=sensitive_features,
            sensitive_groups=sensitive_groups,
        )
        return self

    def progressive_predict(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sensitive_features: Any = None,
        classes: ArrayLike | None = None,
        sensitive_groups: Any = None,
    ) -> NDArray:
        """Decide each row, then learn it.

        Parameters
        ----------
        X, y, sensitive_features, classes, sensitive_groups
            As in `partial_fit`.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Each made before its label was used.
        """
        probabilities = self.progressive_predict_proba(
            X,
            y,
            sensitive_features=sensitive_features,
            classes=classes,
            sensitive_groups=sensitive_groups,
        )
        return self.classes_[probabilities.argmax(axis=1)]

    def progressive_predict_proba(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sensitive_features: Any = None,
        classes: ArrayLike | None = None,
        sensitive_groups: Any = None,
    ) -> Floats:
        """Predict the probabilities of each row, then learn it.

        Parameters
        ----------
        X, y, sensitive_features, classes, sensitive_groups
            As in `partial_fit`.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        self._set_classes(classes)
        outputs = self._learn(
            X, y, sensitive_features=sensitive_features, sensitive_groups=sensitive_groups
        )
        return self._probabilities(outputs)

    def enqueue(
        self, X: ArrayLike, *, sensitive_features: Any = None
    ) -> tuple[NDArray[np.int64], NDArray]:
        """Decide rows whose labels come later; `resolve` learns them then.

        Rates are counted now, and under demographic parity, which needs no label, the rows enter
        the fairness statistics now.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None

        Returns
        -------
        ids : ndarray of int64, shape (n_samples,)
            To hand to `resolve`.
        y_pred : ndarray of shape (n_samples,)
            The decisions.
        """
        ids, outputs = self._hold(X, sensitive_features)
        return ids, self.classes_[self._probabilities(outputs).argmax(axis=1)]

    def predict_proba(self, X: ArrayLike) -> Floats:
        """Probabilities of the classes as things stand; nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
        """
        return self._probabilities(self._pass(self._checked(X))[0])

    def predict(self, X: ArrayLike) -> NDArray:
        """Return the most probable class, the first one of ties.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
        """
        best = self.predict_proba(X).argmax(axis=1)
        return self.classes_[best]

    @property
    def leaf_logits_(self) -> Floats:
        """Logits of the leaves, (n_estimators, n_leaves, n_classes); live, writable."""
        return self._leaves

    # ---- labels ---------------------------------------------------------------------------

    @property
    def _n_classes(self) -> int:
        return len(self.classes_)

    def _probabilities(self, outputs: Floats) -> Floats:
        if outputs.shape[1] == 1:
            return np.hstack([1.0 - outputs, outputs])
        return outputs

    def _set_classes(self, classes: ArrayLike | None) -> None:
        started = hasattr(self, "_state")
        if classes is None:
            if not started and hasattr(self, "classes_"):
                del self.classes_  # left by a first call that was refused
            return
        unique = np.unique(np.asarray(classes))
        if not started:
            self.classes_ = self._several(unique)
        elif not np.array_equal(unique, self.classes_):
            raise ValueError(
                f"classes are {unique.tolist()}, but were {self.classes_.tolist()} in the first "
                "call; leave them out in later calls."
            )

    def _several(self, classes: NDArray) -> NDArray:
        if len(classes) < 2:
            raise ValueError(
                f"y must have at least two classes, found {len(classes)} class. In partial_fit "
                "name all of them in classes."
            )
        if self.constraint == "equal_opportunity" and len(classes) > 2:
            raise ValueError(
                f"constraint='equal_opportunity' needs two classes, found {len(classes)}; use "
                "'equalized_odds'."
            )
        return classes

    def _check_batch(self, X: Any, y: Any, *, first: bool, least: int) -> tuple[Floats, Floats]:
        X, y = validate_data(self, X, y, reset=first, dtype=np.float64, ensure_min_samples=least)
        if least:
            check_classification_targets(y)
        if first and not hasattr(self, "classes_"):
            self.classes_ = self._several(np.unique(y))
        return X, self._check_labels(y)

    def _check_labels(self, y: NDArray) -> Floats:
        y = np.asarray(y)
        strange = ~np.isin(y, self.classes_)
        if strange.any():
            raise ValueError(
                f"y has the label {y[strange].tolist()[0]!r}, but the classes are "
                f"{self.classes_.tolist()}."
            )
        return np.searchsorted(self.classes_, y).astype(np.float64)

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
        tags.classifier_tags.poor_score = True  # one pass, a small step per row
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_state")
