"""Regression on a stream with a fairness term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from fairgroup.forest._aranyani import AranyaniBase
from fairgroup.forest._running import divide, rates_of
from fairgroup.forest._state import DEMOGRAPHIC_PARITY, Tally
from fairgroup.groups import GroupEncoder
from fairgroup.utils._sklearn import StrOptions, fit_context

__all__ = ["AranyaniRegressor"]

Floats = NDArray[np.float64]


class AranyaniRegressor(RegressorMixin, AranyaniBase):
    """Fair regression on a stream with a forest of soft oblique trees.

    As `AranyaniClassifier`, with numbers in the leaves and half the squared error as loss. Groups
    are pulled to the same mean prediction (or, at each node, to the same share that goes left).

    Parameters
    ----------
    n_estimators : int, default=10
        Trees.
    max_depth : int, default=4
        Depth of the complete trees.
    fairness_weight : float, default=0.5
        Weight of the penalty, in units of the target as learned (see ``standardize_target``).
    max_unfairness : float, default=None
        Difference between the groups' mean predictions that should not be exceeded, in units of
        the target; the weight then follows by dual ascent.
    level : {"output", "node"}, default="output"
        Where groups are compared.
    constraint : {"demographic_parity"} or None, default="demographic_parity"
        Equal mean predictions, or no penalty.
    huber_delta : float, default=0.01
        Gaps smaller than this are penalised quadratically, others linearly.
    huber_slope : {"unit", "delta"}, default="unit"
        Derivative of the penalty of larger gaps: 1 or ``huber_delta``.
    group_reduction : {"mean", "max"}, default="mean"
        Over pairs of groups: the mean of their penalties, or that of the widest gap.
    decay : float, default=0.999
        Group means are running averages whose newest row weighs at least ``1 - decay``.
    wait_for_groups : bool, default=False
        Learn nothing before every group has been seen.
    optimizer : {"adam", "sgd"}, default="adam"
        One step per row (or batch).
    learning_rate : float, default=0.005
        Size of a step.
    beta_1, beta_2, epsilon : float, default=0.9, 0.999, 1e-7
        Of Adam.
    dual_learning_rate : float, default=0.005
        Change of the fairness weight per row and per unit of excess over ``max_unfairness``, in
        units of the target as learned.
    batch_size : int, default=1
        Rows per step; see `AranyaniClassifier`.
    n_epochs : int, default=1
        Passes of `fit` over the rows.
    shuffle : bool, default=False
        Whether `fit` takes the rows of each pass in random order.
    standardize : {"running", "fit"} or None, default="running"
        How features are standardised; see `AranyaniClassifier`.
    standardize_target : bool, default=True
        Whether leaves are in units of the running standard deviation of the target around its
        running mean. False: in the target's own units.
    init_scale : float or "sqrt", default=1.0
        Standard deviation of the first node weights; "sqrt": ``1 / sqrt(n_features + 1)``.
    encoder : GroupEncoder, default=None
        How ``sensitive_features`` become groups; a fitted one in a ``FrozenEstimator`` stays as it
        is. Rows that it ignores train the task only.
    random_state : int, RandomState instance or None, default=None
        For the first parameters and ``shuffle``.

    Attributes
    ----------
    groups_ : tuple of str
    coef_ : ndarray of shape (n_estimators, n_nodes, n_features)
        Live and writable, like the next two.
    intercept_ : ndarray of shape (n_estimators, n_nodes)
    leaf_values_ : ndarray of shape (n_estimators, n_leaves, 1)
        In the units in which the model learns.
    fairness_weight_ : float
    t_, n_updates_ : int
    group_counts_, output_mean_, node_mean_, node_grad_mean_, node_gap_
        As in `AranyaniClassifier`.
    running_loss_ : float
        Mean squared error of the predictions so far.
    running_dp_difference_, running_parity_ : float
        Largest difference between the groups' mean predictions so far.
    running_mean_prediction_ : ndarray of shape (n_groups,)
    encoder_ : GroupEncoder or None

    See Also
    --------
    AranyaniClassifier : For classes, with the notes on what is not guaranteed.

    References
    ----------
    Basu Roy Chowdhury et al., "Enhancing Group Fairness in Online Settings Using Oblique Decision
    Forests", ICLR 2024, arXiv 2310.11401. The published experiments are classifications.

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.forest import AranyaniRegressor
    >>> rng = np.random.default_rng(0)
    >>> sex = rng.choice(["f", "m"], size=4000)
    >>> X = np.column_stack([rng.normal(size=4000), rng.normal(size=4000) + (sex == "m")])
    >>> wage = 20 + 3 * X.sum(axis=1) + rng.normal(size=4000)
    >>> free = AranyaniRegressor(constraint=None, random_state=0)
    >>> fair = AranyaniRegressor(fairness_weight=1, random_state=0)
    >>> for model in (free, fair):
    ...     _ = model.fit(X, wage, sensitive_features=sex)
    >>> fair.running_parity_ < 0.6 * free.running_parity_
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **AranyaniBase._parameter_constraints,
        "constraint": [None, StrOptions({"demographic_parity"})],
        "standardize_target": ["boolean"],
    }

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
        standardize_target: bool = True,
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
        self.standardize_target = standardize_target
        self.init_scale = init_scale
        self.encoder = encoder
        self.random_state = random_state

    @classmethod
    def published(cls, **overrides: Any) -> Self:
        """Return the published protocol with numbers in the leaves.

        The authors' code offers this and reports no result of it.

        Parameters
        ----------
        **overrides
            Parameters that differ.

        Returns
        -------
        model : AranyaniRegressor
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
            "standardize_target": False,
        }
        return cls(**(settings | overrides))

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: ArrayLike, y: ArrayLike, *, sensitive_features: Any = None) -> Self:
        """Forget everything and learn the rows in their order, ``n_epochs`` times.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; their combinations are the groups.

        Returns
        -------
        self : AranyaniRegressor
        """
        return self._fit(X, y, sensitive_features)

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sensitive_features: Any = None,
        sensitive_groups: Any = None,
    ) -> Self:
        """Learn further rows.

        Parameters of the model that were set since take effect, if the learned arrays allow.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            In time order. No rows: only initialises.
        y : array-like of shape (n_samples,)
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes. None in a later call: the rows train the task only.
        sensitive_groups : array-like or DataFrame, default=None
            Rows of attributes in which every group occurs. Needed in the first call if its rows do
            not show all groups.

        Returns
        -------
        self : AranyaniRegressor
        """
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
        sensitive_groups: Any = None,
    ) -> Floats:
        """Predict each row, then learn it.

        Parameters
        ----------
        X, y, sensitive_features, sensitive_groups
            As in `partial_fit`.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Each made before its target was used.
        """
        return self._learn(
            X, y, sensitive_features=sensitive_features, sensitive_groups=sensitive_groups
        )[:, 0]

    def enqueue(
        self, X: ArrayLike, *, sensitive_features: Any = None
    ) -> tuple[NDArray[np.int64], Floats]:
        """Predict rows whose targets come later; `resolve` learns them then.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None

        Returns
        -------
        ids : ndarray of int64, shape (n_samples,)
            To hand to `resolve`.
        y_pred : ndarray of shape (n_samples,)
        """
        ids, outputs = self._hold(X, sensitive_features)
        return ids, outputs[:, 0]

    def predict(self, X: ArrayLike) -> Floats:
        """Predict as things stand; nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
        """
        return self._predict_checked(self._checked(X))

    def _predict_checked(self, rows: Floats) -> Floats:
        outputs = self._pass(rows)[0][:, 0]
        if not self._rules.scale_target or self._state.target[0] == 0:
            return outputs
        n, mean, squares = self._state.target
        return mean + (np.sqrt(squares / n) if squares > 0 else 1.0) * outputs

    @property
    def leaf_values_(self) -> Floats:
        """Values of the leaves, (n_estimators, n_leaves, 1); live, writable."""
        return self._leaves

    @property
    def running_mean_prediction_(self) -> Floats:
        """Mean prediction by group."""
        return rates_of(self._tally(), DEMOGRAPHIC_PARITY).means[0, :, 0]

    @property
    def _n_classes(self) -> int:
        return 1

    def _check_batch(self, X: Any, y: Any, *, first: bool, least: int) -> tuple[Floats, Floats]:
        X, y = validate_data(
            self, X, y, reset=first, dtype=np.float64, ensure_min_samples=least, y_numeric=True
        )
        return X, y.astype(np.float64)

    def _check_labels(self, y: NDArray) -> Floats:
        labels = np.asarray(y, dtype=np.float64)
        if not np.isfinite(labels).all():
            raise ValueError("y has a target that is not finite.")
        return labels

    def _label_state(self) -> dict[str, Any]:
        return {}

    def _load_labels(self, state: Mapping[str, NDArray]) -> None:
        pass

    def _report_columns(self, tally: Tally) -> dict[str, NDArray]:
        rows, labelled = tally.decided[:, 0], tally.confusion[:, 0, 0]
        return {
            "n": rows.astype(np.int64),
            "labelled": labelled.astype(np.int64),
            "mean_prediction": divide(tally.soft[:, 0, 0], rows),
            "mean_squared_error": divide(tally.soft[:, 1, 0], labelled),
        }

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True  # one pass, a small step per row
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_state")
