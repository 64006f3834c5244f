"""Classification with predictions that do not depend on protected attributes."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import ClassifierMixin
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from fairgroup.dependence._losses import make_loss
from fairgroup.dependence._model import COMMON_CONSTRAINTS, DependenceModel
from fairgroup.dependence._objective import Target
from fairgroup.groups import SensitiveEncoder
from fairgroup.utils._sklearn import StrOptions, fit_context
from fairgroup.utils._validation import check_weights

__all__ = ["DistanceCovarianceClassifier"]

Floats = NDArray[np.float64]


class DistanceCovarianceClassifier(ClassifierMixin, DependenceModel):
    """Classifier whose probabilities are kept independent of all protected attributes at once.

    Minimises the cross-entropy plus a distance covariance between the predicted probabilities and
    the protected attributes, which may be categorical, ordered or continuous, and which are not
    needed for predictions. Binary and multi-class.

    Parameters
    ----------
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
    penalise : {"response", "link"}, default="response"
        What is kept independent: probabilities, or scores (log-odds).
    encoder : SensitiveEncoder or None, default=None
        How protected attributes become numbers.
    alpha : float, default=0.0
        Half the squared norm of the coefficients counts by this much beside the mean loss; weight
        decay of a network.
    model : {"linear", "mlp"} or torch.nn.Module, default="linear"
        "linear" needs no torch. A module takes features (n, n_features) and returns scores of
        shape (n,), (n, 1) or (n, n_classes); it is copied. Networks want scaled features.
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
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    coef_ : ndarray of shape (1, n_features) or (n_classes, n_features)
        "linear" only; may be changed.
    intercept_ : ndarray of shape (1,) or (n_classes,)
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
    DistanceCovarianceRegressor : For numbers and counts.
    FairnessPath : Chooses the strength.

    Notes
    -----
    The objective is not convex in the coefficients, because the kernel of the penalty has both
    signs; "linear" certifies a stationary point (``optimality_``), and starts from the
    unpenalised fit. With several classes the penalty is the sum over the classes' probabilities,
    each by itself; `DependencePenalty` has the joint form. Row weights count in the loss and in
    the penalty, which then is the weighted V-statistic instead of the unbiased one.

    References
    ----------
    Lee, Antonio, Avanzi, Marchi and Zhou (2025), arXiv:2509.08163.

    Examples
    --------
    >>> from fairgroup.datasets import load_lending
    >>> from fairgroup.dependence import DistanceCovarianceClassifier, distance_correlation
    >>> lending = load_lending()
    >>> X, groups = lending.data[["income", "debt_ratio"]], lending.sensitive_features
    >>> X = (X - X.mean()) / X.std()
    >>> groups = groups[["sex", "ethnicity"]]
    >>> for weight in (0.0, 1.0, 10.0):
    ...     model = DistanceCovarianceClassifier(fairness_weight=weight)
    ...     model = model.fit(X, lending.target, sensitive_features=groups)
    ...     print(round(distance_correlation(model.predict_proba(X)[:, 1], groups), 3))
    0.016
    0.015
    0.005
    """

    _parameter_constraints = {
        **COMMON_CONSTRAINTS,
        "penalise": [StrOptions({"response", "link"})],
        "model": "no_validation",
    }

    def __init__(
        self,
        *,
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
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features; protected attributes need not be among them.
        y : array-like of shape (n_samples,)
            Labels.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes of any type. None: an unpenalised fit, with a warning.
        control_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Legitimate factors, for ``constraint="conditional_parity"``.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights, in the loss and in the penalty.

        Returns
        -------
        self : DistanceCovarianceClassifier

        Raises
        ------
        ValueError
            For one class only, fewer than 4 rows (in a stratum of the constraint), missing
            protected attributes, or what the constraint needs and is not there.

        Warns
        -----
        FairnessWarning
            Without ``sensitive_features``, and for "linear" where ``fairness_weight`` is so strong
            that the best constant would be better.
        ConvergenceWarning
            When the tolerance, or ``max_unfairness``, is not reached.
        """
        X, found = validate_data(self, X, y, dtype=np.float64)
        check_classification_targets(found)
        classes, labels = np.unique(found, return_inverse=True)
        target = self._target(classes, labels, sample_weight)
        prepared = self._prepare(
            sensitive_features,
            len(found),
            y=found,
            control_features=control_features,
            sample_weight=sample_weight,
        )
        loss = make_loss("log", target.y, n_classes=len(classes))
        if not np.array_equal(getattr(self, "classes_", classes), classes):
            self._forget("coef_", "_net")
        self.classes_: NDArray[Any] = classes
        self._train(X, loss, target, prepared)
        return self

    @available_if(lambda self: self._by_steps())
    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self,
        X: Any,
        y: ArrayLike,
        classes: ArrayLike | None = None,
        *,
        sensitive_features: Any = None,
        control_features: Any = None,
        sample_weight: ArrayLike | None = None,
    ) -> Self:
        """Train a network for one more epoch on the given rows; not there for "linear".

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Labels.
        classes : array-like of shape (n_classes,), default=None
            All classes, needed in the first call unless ``y`` has them all.
        sensitive_features, control_features, sample_weight
            As in `fit`. The encoder of the first call is kept: give one that is fitted to all
            levels where the first rows may lack some. Later calls leave out the penalty of fewer
            than 4 rows (in a stratum).

        Returns
        -------
        self : DistanceCovarianceClassifier
        """
        first = not hasattr(self, "module_")
        X, found = validate_data(self, X, y, dtype=np.float64, reset=first)
        check_classification_targets(found)
        if first:
            self.classes_ = np.unique(found if classes is None else classes)
        labels = np.searchsorted(self.classes_, found).clip(max=len(self.classes_) - 1)
        if (self.classes_[labels] != found).any():
            raise ValueError(f"y has labels that are not among the classes {self.classes_}.")
        weights = check_weights(sample_weight, len(found))
        prepared = self._prepare(
            sensitive_features,
            len(found),
            y=found,
            control_features=control_features,
            sample_weight=sample_weight,
            again=not first,
        )
        loss = make_loss("log", labels.astype(np.float64), n_classes=len(self.classes_))
        target = Target(labels.astype(np.float64), weights / weights.sum())
        self._continue(X, loss, target, prepared)
        return self

    def decision_function(self, X: Any) -> Floats:
        """Return scores.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Log-odds of the last of two classes, or logarithms of probabilities up to a shift.
        """
        check_is_fitted(self)
        return self._scores(validate_data(self, X, dtype=np.float64, reset=False))

    def predict_proba(self, X: Any) -> Floats:
        """Return probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of ``classes_``.
        """
        raw = self.decision_function(X)
        loss = make_loss("log", np.zeros(1), n_classes=len(self.classes_))
        response = loss.inverse(raw)
        return np.column_stack([1 - response, response]) if response.ndim == 1 else response

    def predict(self, X: Any) -> NDArray[Any]:
        """Return the likeliest class.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Features.

        Returns
        -------
        labels : ndarray of shape (n_samples,)
        """
        raw = self.decision_function(X)
        best = (raw > 0).astype(np.intp) if raw.ndim == 1 else raw.argmax(axis=1)
        return self.classes_[best]

    def _target(
        self, classes: NDArray[Any], labels: NDArray[np.intp], sample_weight: Any
    ) -> Target:
        weights = check_weights(sample_weight, len(labels))
        seen = np.bincount(labels, weights=weights, minlength=len(classes)) > 0
        if seen.sum() < 2:
            raise ValueError(
                f"{type(self).__name__} needs two classes; y (where sample_weight is not zero) "
                f"has one class, {classes[seen][0]}."
            )
        if not seen.all():
            raise ValueError(
                f"The class {classes[~seen][0]} of y has sample_weight zero in every row; leave "
                "these rows out."
            )
        return Target(labels.astype(np.float64), weights / weights.sum())

    def _set_coefficients(self, intercept: Floats, coef: Floats) -> None:
        self.intercept_, self.coef_ = intercept, coef.T.copy()
