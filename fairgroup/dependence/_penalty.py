"""Dependence on protected attributes as a penalty for any model."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from fairgroup.dependence._attributes import encode_attributes
from fairgroup.dependence._choose import KINDS, METHODS
from fairgroup.dependence._conditioning import CONSTRAINTS, condition_of
from fairgroup.dependence._prepared_penalty import PreparedPenalty
from fairgroup.groups import SensitiveEncoder
from fairgroup.groups._frame import sensitive_frame
from fairgroup.utils._sklearn import Interval, StrOptions
from fairgroup.utils._validation import check_weights

__all__ = ["DependencePenalty"]


class DependencePenalty(BaseEstimator):
    """Dependence between predictions and all protected attributes, as a penalty.

    The penalty itself holds choices only; `prepare` binds it to the attributes of given rows and
    returns an object with value and gradient for any predictions of these rows.

    Parameters
    ----------
    kind : {"ccdcov", "jdcov", "sum_dcov", "dcor", "joint"}, default="ccdcov"
        "ccdcov": distance covariance with the attributes side by side, the penalty of choice;
        "jdcov": joint distance covariance, which weighs interactions of attributes by ``c``;
        "sum_dcov": the sum over the attributes by themselves, blind to their intersections;
        "joint": the intersection as one categorical attribute, for discrete attributes; "dcor":
        "ccdcov" with ``normalise="dvar"``.
    c : float, default=1.0
        JdCov's constant, positive: a term of order k among d variables counts c^(d - k).
    estimator : {"U", "V"}, default="U"
        "U": unbiased, also over mini-batches, may be slightly negative. "V": never negative,
        biased by the spread of the predictions, takes weights.
    constraint : {"demographic_parity", "equal_opportunity", "equalized_odds", \
            "conditional_parity"}, default="demographic_parity"
        Independence of the attributes; given that the target is the last of two classes; given
        the target; or given the legitimate factors ``control_features``. A condition that is
        discrete (text, or up to 10 numbers) makes strata, each counting by its share of rows; a
        continuous one is met near quantiles of it, with Gaussian weights (V-statistic).
    normalise : {"dvar"} or None, default=None
        "dvar" divides by the distance standard deviations of predictions and attributes: the
        penalty is a squared distance correlation, free of units, and does not reward predictions
        that are merely less spread out.
    outputs : {"sum", "joint"}, default="sum"
        Predictions of several columns: the sum over columns, quick but not complete, or the
        distance covariance of the whole vector, exact in O(n_samples^2); "joint" does not go
        with ``normalise``.
    encoder : SensitiveEncoder or None, default=None
        How attributes become numbers; used as it is when fitted.
    n_anchors : int, default=20
        Quantiles at which a continuous condition is met.
    method : {"auto", "dense", "sort", "cells", "blocked", "tiles"}, default="auto"
        Algorithm, as for `distance_covariance`.

    See Also
    --------
    DistanceCovarianceLoss : The penalty as a torch module.
    DistanceCovarianceClassifier, DistanceCovarianceRegressor : Models fitted with it.

    Notes
    -----
    The part of JdCov that does not depend on predictions is left out: the penalty is zero in the
    population exactly when predictions are independent of the attributes.

    References
    ----------
    Lee, Antonio, Avanzi, Marchi and Zhou (2025), arXiv:2509.08163 (CCdCov, JdCov). Wang, Pan, Hu,
    Tian and Zhang (2015), JASA 110(512) (conditional distance covariance).

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.dependence import DependencePenalty
    >>> groups = [[0, 0], [0, 1], [1, 0], [1, 1]] * 10
    >>> penalty = DependencePenalty("jdcov", c=1.0).prepare(groups)
    >>> value, grad = penalty.value_and_grad(np.array([0.0, 1.0, 1.0, 0.0] * 10))
    >>> round(value, 6), grad.shape
    (0.117632, (40,))
    """

    _parameter_constraints = {
        "kind": [StrOptions({*KINDS, "dcor"})],
        "c": [Interval(Real, 0, None, closed="neither")],
        "estimator": [StrOptions({"U", "V"})],
        "constraint": [StrOptions(set(CONSTRAINTS))],
        "normalise": [StrOptions({"dvar"}), None],
        "outputs": [StrOptions({"sum", "joint"})],
        "encoder": [SensitiveEncoder, None],
        "n_anchors": [Interval(Integral, 1, None, closed="left")],
        "method": [StrOptions(set(METHODS))],
    }

    def __init__(
        self,
        kind: str = "ccdcov",
        *,
        c: float = 1.0,
        estimator: str = "U",
        constraint: str = "demographic_parity",
        normalise: str | None = None,
        outputs: str = "sum",
        encoder: SensitiveEncoder | None = None,
        n_anchors: int = 20,
        method: str = "auto",
    ) -> None:
        self.kind = kind
        self.c = c
        self.estimator = estimator
        self.constraint = constraint
        self.normalise = normalise
        self.outputs = outputs
        self.encoder = encoder
        self.n_anchors = n_anchors
        self.method = method

    def prepare(
        self,
        sensitive_features: Any,
        *,
        y: ArrayLike | None = None,
        control_features: Any = None,
        sample_weight: ArrayLike | None = None,
        allow_few: bool = False,
    ) -> PreparedPenalty:
        """Bind the penalty to the protected attributes of given rows.

        Parameters
        ----------
        sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
            Protected attributes of any type.
        y : array-like of shape (n_samples,), default=None
            Target, for equal opportunity and equalized odds.
        control_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
            Legitimate factors, for conditional parity.
        sample_weight : array-like of shape (n_samples,), default=None
            Row weights, with ``estimator="V"`` or a continuous condition.
        allow_few : bool, default=False
            Leave out strata of fewer than 4 rows with "U", and let the penalty be zero where
            nothing is left, as in a mini-batch, instead of raising.

        Returns
        -------
        prepared : PreparedPenalty

        Raises
        ------
        ValueError
            For parameters out of range, missing values, weights with "U", fewer than 4 rows (in a
            stratum, which is named) with "U", or what the constraint needs and is not there.
        """
        self._validate_params()
        if self.outputs == "joint" and self._normalised:
            raise ValueError('outputs="joint" is not normalised; use normalise=None.')
        n = len(sensitive_frame(sensitive_features)[0])
        encoder, attributes = encode_attributes(
            sensitive_features, encoder=self.encoder, n_samples=n
        )
        condition = condition_of(
            self.constraint,
            y=y,
            control_features=control_features,
            n_samples=n,
            n_anchors=self.n_anchors,
        )
        weights = None if sample_weight is None else check_weights(sample_weight, n)
        return PreparedPenalty(self, encoder, attributes, condition, weights, strict=not allow_few)

    def boosting_objective(
        self,
        sensitive_features: Any,
        *,
        y: ArrayLike | None = None,
        control_features: Any = None,
        sample_weight: ArrayLike | None = None,
        loss: str = "log",
        fairness_weight: float = 1.0,
        exposure: ArrayLike | None = None,
        penalise: str = "response",
        power: float = 1.5,
    ) -> Any:
        """Return a custom objective for LightGBM and XGBoost.

        Parameters
        ----------
        sensitive_features, y, control_features, sample_weight
            As in `prepare`, of the rows that the booster is trained on, in their order.
        loss : {"log", "squared", "absolute", "poisson", "gamma", "tweedie"}, default="log"
            Base loss; "log" takes labels 0 .. n_classes - 1.
        fairness_weight : float, default=1.0
            Strength of the penalty, at least 0.
        exposure : array-like of shape (n_samples,), default=None
            Factor of the prediction for losses with a log link.
        penalise : {"response", "rate", "link"}, default="response"
            What is made independent: predictions (with exposure), without exposure, or the scores.
        power : float, default=1.5
            Tweedie's power, in (1, 2).

        Returns
        -------
        objective : BoostingObjective
            A callable ``(y_true, raw_score) -> (grad, hess)`` for the parameter ``objective`` of
            the scikit-learn classes of both libraries, with the base loss's Hessian. Row weights
            of the loss are the booster's, given to its ``fit``.

        Examples
        --------
        >>> import numpy as np
        >>> from fairgroup.dependence import DependencePenalty
        >>> sex = ["f", "m"] * 4
        >>> objective = DependencePenalty().boosting_objective(sex, fairness_weight=0.0)
        >>> grad, hess = objective(np.array([0, 1] * 4), np.zeros(8))
        >>> grad[:2], hess[:2]
        (array([ 0.5, -0.5]), array([0.25, 0.25]))
        """
        from fairgroup.dependence._boosting import BoostingObjective

        prepared = self.prepare(
            sensitive_features,
            y=y,
            control_features=control_features,
            sample_weight=sample_weight,
        )
        return BoostingObjective(
            prepared,
            loss=loss,
            fairness_weight=fairness_weight,
            exposure=exposure,
            penalise=penalise,
            power=power,
        )

    @property
    def _normalised(self) -> bool:
        return self.normalise == "dvar" or self.kind == "dcor"
