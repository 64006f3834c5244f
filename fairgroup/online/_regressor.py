"""Groupwise regression: squared loss."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils import Tags
from sklearn.utils.validation import validate_data

from fairgroup.groups import MembershipEncoder
from fairgroup.online._core import make_rules
from fairgroup.online._groupwise import GroupwiseBase
from fairgroup.online._scan_kernels import Rules
from fairgroup.utils._sklearn import HasMethods, Interval, StrOptions, fit_context

__all__ = ["GroupwiseRegressor"]

Floats = NDArray[np.float64]


class GroupwiseRegressor(RegressorMixin, GroupwiseBase):
    """Online regression that is nearly as good for every group as the best model for that group.

    Groups may overlap in any way. Every group has a base learner of its own, which learns from the
    group's rows; a row is predicted by an average of the learners of the groups it is in, with
    weights that follow each learner's regret. Rows are a time order: each is predicted before it
    is learned, also in `fit`.

    Parameters
    ----------
    base_learner : {"ridge", "vaw", "ogd", "diagonal"}, estimator or list, default="ridge"
        What each group has one of. "ridge": online ridge regression. "vaw": the
        Vovk-Azoury-Warmuth forecaster, which shrinks surprising rows. "ogd": online gradient
        descent, O(d) per row. "diagonal": the same with a step size per column, insensitive to
        scale; both are for large d. A scikit-learn regressor with ``partial_fit`` or a river
        regressor: one copy per group. A list of fitted models (in scikit-learn's
        ``FrozenEstimator``, which survives ``clone``): their best is found per group; needs
        ``y_range``.
    alpha : float, default=1.0
        Ridge strength, for labels scaled to [0, 1] if ``y_range`` is given.
    fit_intercept : bool, default=True
        Whether linear learners have a constant column (penalised like the others).
    aggregator : {"adanormalhedge", "specialists"}, default="adanormalhedge"
        How learners are weighted. "specialists": regret to each group's learner at most
        ``ln(G) / eta``, a constant, with eta = 1/2 (mean) or 2 (substitution).
    combine : {"mean", "expected", "sample", "substitution"}, default="mean"
        "mean" plays the weighted mean. "expected" predicts the mean but accounts the expected loss
        of drawing one learner, as published; "sample" draws one. "substitution": Vovk's rule, with
        "specialists".
    feedback : {"mixture", "prediction"}, default="mixture"
        Loss that regrets are measured from: of a drawn learner in expectation (as published), or
        of the prediction.
    prior : dict or array-like of shape (n_groups,), default=None
        Positive weight of each group (dict: by name, others 1). None: equal.
    always_on : bool, default=True
        Whether a group ``"everyone"`` comes first. Without it nothing is guaranteed for all rows.
    encoder : MembershipEncoder, default=None
        How ``sensitive_features`` become groups: each level, and with ``intersections=True`` the
        combinations once they have been seen ``min_group_size`` times. None: levels only.
    unseen : {"add", "ignore", "error"}, default="add"
        Groups that appear later: "add" starts a learner for them.
    y_range : tuple of float, default=None
        Lowest and highest label possible. None: learned from the stream (labels are measured from
        the first one); the bounds then hold for losses in units of the final range.
    clip : bool, default=True
        Whether learners' predictions are clipped to the range of the label.
    loss_scale : float, default=1.0
        Factor on losses inside AdaNormalHedge. s is valid if losses stay below 1/s, and makes the
        bound tighter.
    forgetting : float, default=1.0
        Factor, below one under drift, by which a group's past fades with each of its rows. There
        is no bound then.
    no_active : {"prior", "zero", "raise"}, default="prior"
        Rows in no group: predicted by the prior-weighted mean of all learners, by the low end of
        the range, or refused. Nothing is learned from them.
    learning_rate : float, default=0.5
        Step size of "ogd" and "diagonal".
    radius : float, default=None
        Largest norm of the coefficients of "ogd" and "diagonal". None: no limit.
    engine : {"auto", "rank_one", "blocked"}, default="auto"
        How batches run through "ridge" and "vaw": one row at a time, or by matrix products where
        the batch is long enough. "auto": matrix products for 64 or more columns that are mostly
        not zero. "rank_one" gives the same bits in any split into batches, "blocked" the same
        numbers to about 1e-10.
    block_size : int, default=64
        Rows per matrix product.
    refresh_every : int, default=1000
        Rank-one updates between two recomputations of an inverse from its Gram matrix.
    random_state : int, RandomState instance or None, default=None
        For ``combine="sample"``.

    Attributes
    ----------
    group_names_ : list of str
        In the order in which groups appear.
    regret_, abs_regret_ : ndarray of shape (n_groups,)
        R and C, losses in [0, 1].
    regret_bound_ : ndarray of shape (n_groups,)
        ``sqrt(3 C (ln(1/q) + ln B))`` or ``ln(1/q) / eta``; NaN under forgetting.
    weights_ : ndarray of shape (n_groups,)
        Log weights, not normalised.
    loss_, expert_loss_, hindsight_ridge_ : ndarray of shape (n_groups,)
        As in `group_report`.
    coef_, intercept_ : ndarray of shape (n_groups, n_features) and (n_groups,)
        Of the linear learners, for labels scaled by ``y_range`` (or counted from the first label).
    gram_, moment_, logdet_ : ndarray
        Of "ridge" and "vaw".
    n_active_ : ndarray of shape (n_groups,)
    n_rounds_, n_idle_, n_loss_overflow_ : int

    See Also
    --------
    GroupwiseClassifier : For binary labels.
    groupwise_regret : For the predictions of any model.

    Notes
    -----
    With losses in [0, 1], the cumulative loss on every group g exceeds that of its own learner by
    at most ``regret_bound_[g]``, for every sequence of rows. Memory: 16 G d^2 bytes for "ridge"
    and "vaw" (G = 1000 groups with d = 100: 160 MB), 16 G d for "ogd" and "diagonal", and
    10 kB per group for the history of the plot; nothing grows with the number of rows.

    References
    ----------
    Acharya, Arunachaleswaran, Kannan, Roth, Ziani, "Oracle Efficient Algorithms for Groupwise
    Regret", ICLR 2024, arXiv 2310.04652. Luo, Schapire, "Achieving All with No Parameters:
    AdaNormalHedge", COLT 2015.

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.online import GroupwiseRegressor
    >>> rng = np.random.default_rng(0)
    >>> X = rng.normal(size=(500, 2))
    >>> sex = rng.choice(["f", "m"], size=500)
    >>> y = np.where(sex == "f", X[:, 0], -X[:, 0])  # the groups need opposite models
    >>> model = GroupwiseRegressor(y_range=(-4, 4))
    >>> played = model.progressive_predict(X, y, sensitive_features=sex)
    >>> bool(np.abs(played - y)[250:].max() < 0.2)
    True
    >>> model.group_names_
    ['everyone', 'sensitive_feature_0=m', 'sensitive_feature_0=f']
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        **GroupwiseBase._parameter_constraints,
        "base_learner": [
            StrOptions({"ridge", "vaw", "ogd", "diagonal"}),
            HasMethods(["partial_fit", "predict"]),
            HasMethods(["learn_one", "predict_one"]),
            list,
            tuple,
        ],
        "combine": [StrOptions({"mean", "expected", "sample", "substitution"})],
        "y_range": [None, tuple, list, np.ndarray],
        "clip": ["boolean"],
        "loss_scale": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        base_learner: Any = "ridge",
        *,
        alpha: float = 1.0,
        fit_intercept: bool = True,
        aggregator: str = "adanormalhedge",
        combine: str = "mean",
        feedback: str = "mixture",
        prior: Mapping[str, float] | ArrayLike | None = None,
        always_on: bool = True,
        encoder: MembershipEncoder | None = None,
        unseen: str = "add",
        y_range: tuple[float, float] | None = None,
        clip: bool = True,
        loss_scale: float = 1.0,
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
        self.alpha = alpha
        self.fit_intercept = fit_intercept
        self.aggregator = aggregator
        self.combine = combine
        self.feedback = feedback
        self.prior = prior
        self.always_on = always_on
        self.encoder = encoder
        self.unseen = unseen
        self.y_range = y_range
        self.clip = clip
        self.loss_scale = loss_scale
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
        """Return the settings of the published experiments.

        Ridge learners without intercept, expected loss of a drawn learner, labels in [0, 1],
        predictions not clipped, rows without a group predicted by zero.

        Parameters
        ----------
        **overrides
            Parameters that differ.

        Returns
        -------
        model : GroupwiseRegressor
        """
        settings: dict[str, Any] = {
            "combine": "expected",
            "fit_intercept": False,
            "y_range": (0.0, 1.0),
            "clip": False,
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
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; each level is a group.
        memberships : array-like or DataFrame of shape (n_samples, n_groups), default=None
            Memberships in [0, 1], instead of ``sensitive_features``.
        sample_weight : array-like of shape (n_samples,), default=None
            Multiplies the memberships; divided by the largest if that exceeds one. (Later calls
            of `partial_fit` cannot know the largest: there weights must be in [0, 1].)

        Returns
        -------
        self : GroupwiseRegressor

        Raises
        ------
        ValueError
            For labels outside ``y_range``, memberships or weights outside [0, 1], other groups
            than before, or both ways of giving groups at once.

        Warns
        -----
        FairnessWarning
            Without groups, for rows in no group, and when a bound cannot hold.
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
        self : GroupwiseRegressor
        """
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

    def progressive_predict(
        self,
        X: ArrayLike,
        y: ArrayLike,
        *,
        sensitive_features: Any = None,
        memberships: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Floats:
        """Predict each row, then learn it.

        Parameters
        ----------
        X, y, sensitive_features, memberships, sample_weight
            As in `partial_fit`.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Each made before its label was used.
        """
        before = self._core.labelled if hasattr(self, "_core") else 0
        played = self._learn(
            X,
            y,
            memberships=memberships,
            sensitive_features=sensitive_features,
            sample_weight=sample_weight,
        )
        shown = self._from_unit(played)
        if before == 0 and len(shown) and self.y_range is None:
            shown[0] = 0.0  # nothing was known before the first label
        return shown

    def predict(
        self, X: ArrayLike, *, sensitive_features: Any = None, memberships: Any = None
    ) -> Floats:
        """Predict rows as things stand; nothing is learned.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sensitive_features, memberships
            As in `fit`. Without them rows count as members of ``"everyone"`` only.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
        """
        return self._from_unit(self._predict_unit(X, memberships, sensitive_features))

    def enqueue(
        self, X: ArrayLike, *, sensitive_features: Any = None, memberships: Any = None
    ) -> tuple[NDArray[np.int64], Floats]:
        """Predict rows whose labels come later; `resolve` learns them then.

        Parameters
        ----------
        X, sensitive_features, memberships
            As in `predict`.

        Returns
        -------
        ids : ndarray of int64, shape (n_samples,)
            To hand to `resolve`.
        y_pred : ndarray of shape (n_samples,)
        """
        ids, played = self._hold(X, memberships, sensitive_features)
        return ids, self._from_unit(played)

    def score(
        self,
        X: ArrayLike,
        y: ArrayLike,
        sample_weight: ArrayLike | None = None,
        *,
        sensitive_features: Any = None,
        memberships: Any = None,
    ) -> float:
        """Return R^2 of the predictions as things stand.

        Parameters
        ----------
        X, y, sample_weight, sensitive_features, memberships
            As in `fit`.

        Returns
        -------
        score : float
        """
        y_pred = self.predict(X, sensitive_features=sensitive_features, memberships=memberships)
        return float(r2_score(y, y_pred, sample_weight=sample_weight))

    def _rules(self) -> Rules:
        return make_rules(
            aggregator=self.aggregator,
            combine=self.combine,
            loss="squared",
            feedback=self.feedback,
            clip=self.clip,
            learn_range=self.y_range is None,
            no_active=self.no_active,
            loss_scale=self.loss_scale,
            forgetting=self.forgetting,
        )

    def _check_batch(self, X: Any, y: Any, *, first: bool, least: int) -> tuple[Floats, NDArray]:
        X, y = validate_data(
            self,
            X,
            y,
            reset=first,
            dtype=np.float64,
            y_numeric=True,
            ensure_min_samples=least,
        )
        return X, self._check_labels(y)

    def _check_labels(self, y: NDArray) -> NDArray:
        y = np.asarray(y, dtype=np.float64)
        if self.y_range is None:
            if not np.isfinite(y).all():
                row = int(np.argmin(np.isfinite(y)))
                raise ValueError(f"y must be finite; row {row} is {y[row]}.")
            return y
        low, width = self._label_scale()
        outside = ~((y >= low) & (y <= low + width))
        if outside.any():
            row = int(np.argmax(outside))
            raise ValueError(
                f"y must be in y_range=({low:g}, {low + width:g}); row {row} is {y[row]:g}. Give "
                "a wider range, or y_range=None to learn it."
            )
        return y

    def _label_scale(self) -> tuple[float, float]:
        if self.y_range is None:
            if isinstance(self.base_learner, list | tuple):
                raise ValueError("A list of fitted models needs y_range=(low, high).")
            return getattr(self, "_first_label", 0.0), 1.0
        limits = np.asarray(self.y_range, dtype=np.float64)
        if limits.shape != (2,) or not limits[0] < limits[1] or not np.isfinite(limits).all():
            raise ValueError(
                f"y_range must be (low, high) with low < high; found {self.y_range!r}."
            )
        return float(limits[0]), float(limits[1] - limits[0])

    def _to_unit(self, y: NDArray) -> Floats:
        low, width = self._label_scale()
        return (y - low) / width

    def _note_labels(self, y: NDArray) -> None:
        if self.y_range is None and len(y) and not hasattr(self, "_first_label"):
            self._first_label = float(y[0])

    def _from_unit(self, played: Floats) -> Floats:
        low, width = self._label_scale()
        return low + width * played

    def _forget(self) -> None:
        super()._forget()
        if hasattr(self, "_first_label"):
            del self._first_label

    def _label_state(self) -> dict[str, Any]:
        if not hasattr(self, "_first_label"):
            return {}
        return {"first_label": np.array(self._first_label)}

    def _load_labels(self, state: Mapping[str, NDArray]) -> None:
        if "first_label" in state:
            self._first_label = float(state["first_label"])

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.regressor_tags.poor_score = True
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_core")
