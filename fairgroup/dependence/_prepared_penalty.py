"""A dependence penalty bound to the protected attributes of given rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.dependence._attributes import Attributes
from fairgroup.dependence._centring import Centring, distance_variance
from fairgroup.dependence._choose import attribute_variance, make_kernel
from fairgroup.dependence._conditioning import Anchors, Strata
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

if TYPE_CHECKING:
    from fairgroup.dependence._penalty import DependencePenalty

__all__ = ["PreparedPenalty"]

Floats = NDArray[np.float64]
_LEAST = 4  # rows that the unbiased statistic needs


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
    strict : bool, default=True
        Whether too few rows are an error.

    Attributes
    ----------
    encoder_ : SensitiveEncoder
        How the attributes became numbers.
    method_ : str or None
        Algorithm that was chosen for all rows; None for too few of them.
    """

    def __init__(
        self,
        penalty: DependencePenalty,
        encoder: SensitiveEncoder,
        attributes: Attributes,
        condition: Strata | Anchors | None,
        weights: Floats | None,
        *,
        strict: bool = True,
    ) -> None:
        self.encoder_ = encoder
        self._kind = "ccdcov" if penalty.kind == "dcor" else penalty.kind
        self._c, self._method, self._outputs = penalty.c, penalty.method, penalty.outputs
        self._normalised = penalty._normalised
        biased = penalty.estimator == "V" or isinstance(condition, Anchors)
        self._estimator = "V" if biased else "U"
        self._condition, self._weights = condition, weights
        self._attributes, self._attribute_variance = attributes, 1.0
        self._kernel: PairKernel | None = None
        if strict or len(attributes) >= _LEAST:
            if self._normalised:
                self._set_units()
            self._kernel = self._make(self._attributes, condition, weights, strict=strict)
        if strict and self._kernel is None:
            raise ValueError("No row with positive weight meets the condition of the constraint.")
        self.method_ = None if self._kernel is None else self._kernel.method

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
                        f"The unbiased statistic needs at least 4 rows where {name}; found "
                        f"{len(rows)}. Merge it with another value, leave these rows out, or use "
                        'DependencePenalty(estimator="V").'
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
