"""Dependence on protected attributes as a penalty for any model."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from fairgroup.dependence._attributes import Attributes, encode_attributes
from fairgroup.dependence._centring import Centring, distance_variance
from fairgroup.dependence._choose import KINDS, METHODS, attribute_variance, make_kernel
from fairgroup.dependence._conditioning import CONSTRAINTS, Anchors, Strata, condition_of
from fairgroup.dependence._inputs import as_predictions
from fairgroup.dependence._joint import normalised_attributes
from fairgroup.dependence._pair_kernel import (
    ColumnwiseKernel,
    NormalisedKernel,
    PairKernel,
    StratifiedKernel,
    SumKernel,
)
from fairgroup.groups import SensitiveEncoder
from fairgroup.groups._frame import sensitive_frame
from fairgroup.utils._sklearn import Interval, StrOptions
from fairgroup.utils._validation import check_weights

__all__ = ["DependencePenalty", "PreparedPenalty"]

Floats = NDArray[np.float64]
_LEAST = 4  # rows that the unbiased statistic needs


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
        return PreparedPenalty(self, encoder, attributes, condition, weights)

    def boosting_objective(
        self,
        sensitive_features: Any,
        *,
        y: ArrayLike | None = None,
        control_features: Any = None,
        loss: str = "log",
        fairness_weight: float = 1.0,
        exposure: ArrayLike | None = None,
        penalise: str = "response",
        power: float = 1.5,
    ) -> Any:
        """Return a custom objective for LightGBM and XGBoost.

        Parameters
        ----------
        sensitive_features, y, control_features
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
            the scikit-learn classes of both libraries, with the base loss's Hessian.

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

        prepared = self.prepare(sensitive_features, y=y, control_features=control_features)
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


class PreparedPenalty:
    """A penalty bound to the protected attributes of given rows; made by `DependencePenalty`.

    Parameters
    ----------
    penalty : DependencePenalty
        The choices.
    encoder : SensitiveEncoder
        Fitted.
    attributes : Attributes
        Encoded attributes of the rows.
    condition : Strata, Anchors or None
        What predictions are compared given.
    weights : ndarray of shape (n_samples,) or None
        Row weights.

    Attributes
    ----------
    encoder_ : SensitiveEncoder
        How the attributes became numbers.
    method_ : str
        Algorithm that was chosen for all rows.
    """

    def __init__(
        self,
        penalty: DependencePenalty,
        encoder: SensitiveEncoder,
        attributes: Attributes,
        condition: Strata | Anchors | None,
        weights: Floats | None,
    ) -> None:
        self.encoder_ = encoder
        self._kind = "ccdcov" if penalty.kind == "dcor" else penalty.kind
        self._c, self._method, self._outputs = penalty.c, penalty.method, penalty.outputs
        self._normalised = penalty._normalised
        biased = penalty.estimator == "V" or isinstance(condition, Anchors)
        self._estimator = "V" if biased else "U"
        self._condition, self._weights = condition, weights
        self._attributes, self._attribute_variance = attributes, 1.0
        if self._normalised:
            self._set_units()
        kernel = self._make(self._attributes, condition, weights, strict=True)
        if kernel is None:
            raise ValueError("No row with positive weight meets the condition of the constraint.")
        self._kernel, self.method_ = kernel, kernel.method

    def __len__(self) -> int:
        return len(self._attributes)

    def kernel(self, index: Any = None) -> PairKernel | None:
        """Return the regulariser of all rows, or of a selection of them.

        Parameters
        ----------
        index : array-like of int, default=None
            Positions of the rows. None: all.

        Returns
        -------
        kernel : PairKernel or None
            None for a selection that is too small: fewer than 4 rows in every stratum.
        """
        if index is None:
            return self._kernel
        rows = np.asarray(index)
        condition = None if self._condition is None else self._condition.take(rows)
        weights = None if self._weights is None else self._weights[rows]
        if len(rows) < _LEAST or (weights is not None and not weights.any()):
            return None
        return self._make(self._attributes.take(rows), condition, weights, strict=False)

    def value_and_grad(self, y_pred: Any, index: Any = None) -> tuple[float, Any]:
        """Return the penalty and its exact gradient with respect to the predictions.

        Parameters
        ----------
        y_pred : array-like or torch.Tensor of shape (n_rows,) or (n_rows, n_outputs)
            Finite predictions of the rows.
        index : array-like of int, default=None
            Which of the prepared rows they are, for example a mini-batch. None: all.

        Returns
        -------
        value : float
        grad : ndarray or torch.Tensor, shape of ``y_pred``

        Raises
        ------
        ValueError
            For another number of rows or predictions that are not finite.
        """
        y_pred = as_predictions(y_pred)
        kernel = self.kernel(index)
        return (0.0, 0.0 * y_pred) if kernel is None else kernel.value_and_grad(y_pred)

    def torch_loss(self, y_pred: Any, index: Any = None) -> Any:
        """Return the penalty of a tensor as a tensor with autograd.

        Parameters
        ----------
        y_pred : torch.Tensor of shape (n_rows,) or (n_rows, n_outputs)
            Predictions, on any device, in any floating precision.
        index : array-like or tensor of int, default=None
            Which of the prepared rows they are. None: all.

        Returns
        -------
        value : torch.Tensor of shape ()
            Zero for a mini-batch of fewer than 4 rows in every stratum.
        """
        from fairgroup.dependence._torch_function import differentiable

        if hasattr(index, "cpu"):
            index = index.cpu().numpy()
        kernel = self.kernel(index)
        return 0.0 * y_pred.sum() if kernel is None else differentiable(kernel, y_pred)

    def _set_units(self) -> None:
        """Fix the scale of the attributes on all rows, so that mini-batches share it."""
        centring = Centring.make(len(self), self._estimator, self._weights)
        if self._kind in ("jdcov", "sum_dcov"):
            self._attributes = normalised_attributes(self._attributes, centring)
        elif self._kind == "joint":
            self._attribute_variance = _cell_variance(self._attributes, centring)
        else:
            self._attribute_variance = attribute_variance(self._attributes, centring)

    def _make(
        self,
        attributes: Attributes,
        condition: Strata | Anchors | None,
        weights: Floats | None,
        *,
        strict: bool,
    ) -> PairKernel | None:
        if condition is None:
            kernel: PairKernel | None = self._plain(attributes, weights)
        elif isinstance(condition, Anchors):
            kernel = self._anchored(attributes, condition, weights)
        else:
            kernel = self._stratified(attributes, condition, weights, strict=strict)
        if kernel is None:
            return None
        kernel.const = 0.0
        if self._normalised:
            centring = Centring.make(len(attributes), self._estimator, weights)
            kernel = NormalisedKernel(kernel, centring, self._attribute_variance)
        return ColumnwiseKernel(kernel) if self._outputs == "sum" else kernel

    def _plain(self, attributes: Attributes, weights: Floats | None) -> PairKernel:
        # Whether intersections may be levels is decided on all rows, not on a batch or stratum.
        part = self._kind == "joint" and len(attributes) < len(self)
        method = "blocked" if part and self._method == "auto" else self._method
        return make_kernel(
            attributes,
            kind=self._kind,
            estimator=self._estimator,
            c=self._c,
            weights=weights,
            method=method,
        )

    def _anchored(
        self, attributes: Attributes, anchors: Anchors, weights: Floats | None
    ) -> PairKernel:
        near = anchors.weights() if weights is None else anchors.weights() * weights
        kernels = [self._plain(attributes, omega) for omega in near]
        return SumKernel(kernels, [1 / len(kernels)] * len(kernels))

    def _stratified(
        self,
        attributes: Attributes,
        strata: Strata,
        weights: Floats | None,
        *,
        strict: bool,
    ) -> PairKernel | None:
        """Add up the strata by their shares; those that are too small are refused or skipped."""
        mass = np.ones(len(attributes)) if weights is None else weights
        total = float(mass[strata.codes >= 0].sum())
        members, kernels, shares = [], [], []
        for code, name in enumerate(strata.names):
            rows = np.flatnonzero(strata.codes == code)
            share = float(mass[rows].sum())
            if self._estimator == "U" and len(rows) < _LEAST:
                if strict:
                    raise ValueError(
                        f'estimator="U" needs at least 4 rows where {name}; found {len(rows)}. '
                        'Merge it with another value, or use estimator="V".'
                    )
                continue
            if not share:
                continue
            part = None if weights is None else weights[rows]
            members.append(rows)
            kernels.append(self._plain(attributes.take(rows), part))
            shares.append(share / total)
        if not kernels:
            return None
        return StratifiedKernel(len(attributes), members, kernels, shares)


def _cell_variance(attributes: Attributes, centring: Centring) -> float:
    """Return dVar^2 of the intersection as one categorical attribute (distance sqrt(2))."""
    w = centring.weights
    mass = np.bincount(attributes.cell, weights=w, minlength=len(attributes.table))
    total = float(mass.sum())
    row_sums = np.sqrt(2.0) * (total - mass[attributes.cell])
    return distance_variance(centring, 2 * (total**2 - float(mass @ mass)), row_sums)
