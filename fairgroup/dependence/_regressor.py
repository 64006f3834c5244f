"""Regression with predictions that do not depend on protected attributes."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import RegressorMixin
from sklearn.utils import Tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted, validate_data

from fairgroup.dependence._losses import LOSSES, Loss, make_loss
from fairgroup.dependence._model import COMMON_CONSTRAINTS, DependenceModel
from fairgroup.dependence._objective import PENALISE, Target, log_exposure
from fairgroup.groups import SensitiveEncoder
from fairgroup.utils._sklearn import Interval, StrOptions, fit_context
from fairgroup.utils._validation import check_weights

__all__ = ["DistanceCovarianceRegressor"]

Floats = NDArray[np.float64]


class DistanceCovarianceRegressor(RegressorMixin, DependenceModel):
    """Regressor whose predictions are kept independent of all protected attributes at once.

    Minimises a loss plus a distance covariance between predictions and protected attributes, which
    may be categorical, ordered or continuous, and which are not needed for predictions. Numbers,
    counts (with exposure), positive amounts.

    Parameters
    ----------
    loss : {"squared", "absolute", "poisson", "gamma", "tweedie"}, default="squared"
        "squared": half the squared error. "absolute": smoothed within a thousandth of the median
        absolute deviation. The others are half deviances with a log link.
    power : float, default=1.5
        Tweedie's power, in (1, 2).
    fairness_weight : float, default=1.0
        Strength of the penalty, at least 0. With ``normalise="dvar"`` the objective is the share
        of the best constant's deviance that is left, plus ``fairness_weight`` times a squared
        distance correlation: both are free of units, and 1 trades one for the other. With None it
        is the mean loss plus ``fairness_weight`` times a distance covariance, as published.
    max_unfairness : float or None, default=None
        Reach this value of the penalty on the training rows with the smallest strength that does
        (found by the dual problem, from ``fairness_weight`` on); warns when it cannot be reached.
    penalty : {"ccdcov", "jdcov", "sum_dcov", "dcor", "joint"}, default="ccdcov"
        Kind of dependence, see `DependencePenalty`.
    c : float, default=1.0
        JdCov's constant.
    constraint : {"demographic_parity", "equal_opportunity", "equalized_odds", \
            "conditional_parity"}, default="demographic_parity"
        Independence of the attributes; given that the target is the last of two classes; given
        the target; or given ``control_features``.
    normalise : {"dvar"} or None, default="dvar"
        Units of the penalty and of the loss beside it, see ``fairness_weight``.
    penalise : {"response", "rate", "link"}, default="response"
        What is kept independent: predictions with exposure (as published; differences in exposure
        then count as unfairness), predictions without exposure, or scores (their logarithms).
    encoder : SensitiveEncoder or None, default=None
        How protected attributes become numbers.
    alpha : float, default=0.0
        Half the squared norm of the coefficients counts by this much beside the mean loss; weight
        decay of a network.
    model : {"linear", "mlp"} or torch.nn.Module, default="linear"
        "linear" needs no torch. A module takes features (n, n_features) and returns scores of
        shape (n,) or (n, 1); it is copied. Networks want scaled features.
    hidden_layer_sizes : array-like of int, default=(64, 64)
        Of "mlp".
    dropout : float, default=0.0
        Of "mlp", in [0, 1).
    optimizer : {"adam", "adamw", "sgd"}, default="adam"
        Of networks.
    learning_rate : float, default=3e-3
        Of networks.
    batch_size : int, "auto" or "full", default="auto"
        Of networks: rows per step, at least 4. "full": the exact penalty of all rows in two
        passes, with the memory of one chunk. "auto": "full" up to 4096 rows, else 4096.
    max_iter : int, default=300
        Iterations of "linear", epochs of networks.
    tol : float, default=1e-4
        "linear": largest component of the gradient, for features of unit covariance and relative
        to the best constant's loss. Networks: relative improvement that counts.
    early_stopping : bool, default=True
        Networks: hold out rows, stop when loss plus penalty on them no longer improves, and keep
        the best epoch.
    validation_fraction : float, default=0.2
        Share of rows held out by ``early_stopping``.
    n_iter_no_change : int, default=15
        Epochs without improvement before networks stop.
    warm_start : bool, default=False
        Start from the previous fit.
    device : {"auto", "cpu", "cuda"}, default="auto"
        Where networks are trained.
    mixed_precision : bool, default=False
        Networks on CUDA: forward passes in bfloat16; losses and penalty stay in float32 and
        float64.
    random_state : int, RandomState or None, default=None
        Seed of networks and of the validation rows.
    verbose : int or bool, default=0
        Networks: print the epochs.

    Attributes
    ----------
    coef_ : ndarray of shape (n_features,)
        "linear" only; may be changed.
    intercept_ : float
        "linear" only.
    n_iter_ : int
        Iterations or epochs.
    loss_curve_, penalty_curve_ : list of float
        Mean loss (half the deviance) and penalty after each iteration or epoch. The penalty is
        NaN in iterations of "linear" that leave it out, such as those to the unpenalised fit,
        where the others start.
    fairness_weight_ : float
        Strength that was used; 0 without protected attributes.
    unfairness_ : float
        Penalty on the training rows at the end; NaN without protected attributes.
    duality_gap_ : float
        Only with ``max_unfairness``: no model of the family that keeps to the limit has a mean
        loss lower by more than this, provided that the fit is a global minimum at its strength.
    optimality_ : float
        "linear": largest component of the gradient at the end.
    penalty_method_ : str or None
        Algorithm of the penalty.
    encoder_ : SensitiveEncoder or None
        Fitted.
    module_ : torch.nn.Module
        Networks only.
    n_features_in_ : int
        Columns of X.

    See Also
    --------
    DistanceCovarianceClassifier : For classes.
    FairnessPath : Chooses the strength.

    Notes
    -----
    The objective is not convex in the coefficients, because the kernel of the penalty has both
    signs; "linear" certifies a stationary point (``optimality_``), and starts from the
    unpenalised fit. Row weights count in the loss and in the penalty, which then is the weighted
    V-statistic instead of the unbiased one.

    References
    ----------
    Lee, Antonio, Avanzi, Marchi and Zhou (2025), arXiv:2509.08163.

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.dependence import DistanceCovarianceRegressor, distance_correlation
    >>> rng = np.random.default_rng(0)
    >>> sex, skill = rng.integers(0, 2, 400), rng.normal(size=400)
    >>> X = np.column_stack([skill, sex + 0.3 * rng.normal(size=400)])
    >>> claims = rng.poisson(np.exp(0.5 * skill + 0.8 * sex))
    >>> for weight in (0.0, 1.0):
    ...     model = DistanceCovarianceRegressor(loss="poisson", fairness_weight=weight)
    ...     model = model.fit(X, claims, sensitive_features=sex)
    ...     print(round(distance_correlation(model.predict(X), sex), 3))
    0.141
    0.013
    """

    _parameter_constraints = {
        **COMMON_CONSTRAINTS,
        "loss": [StrOptions(set(LOSSES) - {"log"})],
        "power": [Interval(Real, 1, 2, closed="neither")],
        "penalise": [StrOptions(set(PENALISE))],
        "model": "no_validation",
    }
    __metadata_request__fit: ClassVar = {"exposure": True}
    __metadata_request__partial_fit: ClassVar = {"exposure": True}
    __metadata_request__predict: ClassVar = {"exposure": True}

    def __init__(
        self,
        *,
        loss: str = "squared",
        power: float = 1.5,
        fairness_weight: float = 1.0,
        max_unfairness: float | None = None,
        penalty: str = "ccdcov",
        c: float = 1.0,
        constraint: str = "demographic_parity",
        normalise: str | None = "dvar",
        penalise: str = "response",
        encoder: SensitiveEncoder | None = None,
        alpha: float = 0.0,
        model: Any = "linear",
        hidden_layer_sizes: Any = (64, 64),
        dropout: float = 0.0,
        optimizer: str = "adam",
        learning_rate: float = 3e-3,
        batch_size: int | str = "auto",
        max_iter: int = 300,
        tol: float = 1e-4,
        early_stopping: bool = True,
        validation_fraction: float = 0.2,
        n_iter_no_change: int = 15,
        warm_start: bool = False,
        device: str = "auto",
        mixed_precision: bool = False,
        random_state: Any = None,
        verbose: int | bool = 0,
    ) -> None:
        self.loss = loss
        self.power = power
        self.fairness_weight = fairness_weight
        self.max_unfairness = max_unfairness
        self.penalty = penalty
        self.c = c
        self.constraint = constraint
        self.normalise = normalise
        self.penalise = penalise
        self.encoder = encoder
        self.alpha = alpha
        self.model = model
        self.hidden_layer_sizes = hidden_layer_sizes
        self.dropout = dropout
        self.optimizer = optimizer
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.max_iter = max_iter
        self.tol = tol
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.warm_start = warm_start
        self.device = device
        self.mixed_precision = mixed_precision
        self.random_state = random_state
        self.verbose = verbose

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sensitive_features: Any = None,
        control_features: Any = None,
        exposure: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; protected attributes need not be among them.
        y : array-like of shape (n_samples,)
            Target: at least 0 for "poisson" and "tweedie", positive for "gamma".
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes of any type. None: an unpenalised fit, with a warning.
        control_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Legitimate factors, for ``constraint="conditional_parity"``.
        exposure : array-like of shape (n_samples,), default=None
            Positive factors of the predictions, such as years at risk; with a log link only.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights, in the loss and in the penalty.

        Returns
        -------
        self : DistanceCovarianceRegressor

        Raises
        ------
        ValueError
            For a target or an exposure that the loss does not allow, fewer than 4 rows (in a
            stratum of the constraint), missing protected attributes, or what the constraint needs
            and is not there.

        Warns
        -----
        FairnessWarning
            Without ``sensitive_features``, and for "linear" where ``fairness_weight`` is so strong
            that the best constant would be better.
        ConvergenceWarning
            When the tolerance, or ``max_unfairness``, is not reached.
        """
        X, loss, target = self._read(X, y, exposure, sample_weight, reset=True)
        prepared = self._prepare(
            sensitive_features,
            len(X),
            y=target.y,
            control_features=control_features,
            sample_weight=sample_weight,
        )
        self._train(X, loss, target, prepared)
        return self

    @available_if(lambda self: self._by_steps())
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        *,
        sensitive_features: Any = None,
        control_features: Any = None,
        exposure: ArrayLike | None = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train a network for one more epoch on the given rows; not there for "linear".

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Target.
        sensitive_features, control_features, exposure, sample_weight
            As in `fit`. The encoder of the first call is kept: give one that is fitted to all
            levels where the first rows may lack some. Later calls leave out the penalty of fewer
            than 4 rows (in a stratum).

        Returns
        -------
        self : DistanceCovarianceRegressor
        """
        first = not hasattr(self, "module_")
        X, loss, target = self._read(X, y, exposure, sample_weight, reset=first)
        prepared = self._prepare(
            sensitive_features,
            len(X),
            y=target.y,
            control_features=control_features,
            sample_weight=sample_weight,
            again=not first,
        )
        self._continue(X, loss, target, prepared)
        return self

    def predict(self, X: Any, *, exposure: ArrayLike | None = None) -> Floats:
        """Predict.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        exposure : array-like of shape (n_samples,), default=None
            Positive factors of the predictions. None: rates, for an exposure of 1.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
        """
        check_is_fitted(self)
        X = validate_data(self, X, dtype=np.float64, reset=False)
        loss = make_loss(self.loss, np.ones(1), power=self.power)
        return loss.inverse(self._scores(X) + log_exposure(exposure, len(X), loss, self.loss))

    def _read(
        self, X: Any, y: Any, exposure: Any, sample_weight: Any, *, reset: bool
    ) -> tuple[Floats, Loss, Target]:
        X, y = validate_data(self, X, y, dtype=np.float64, y_numeric=True, reset=reset)
        y = y.astype(np.float64)
        loss = make_loss(self.loss, y, power=self.power)
        weights = check_weights(sample_weight, len(y))
        offset = log_exposure(exposure, len(y), loss, self.loss)
        return X, loss, Target(y, weights / weights.sum(), offset)

    def __sklearn_tags__(self) -> Tags:
        tags = super().__sklearn_tags__()
        tags.target_tags.positive_only = self.loss in ("poisson", "gamma", "tweedie")
        return tags

    def _set_coefficients(self, intercept: Floats, coef: Floats) -> None:
        self.intercept_, self.coef_ = float(intercept[0]), coef[:, 0].copy()
