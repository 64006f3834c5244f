"""What every regulariser is: a symmetric kernel over pairs of rows, fixed by the attributes.

psi(y) = sum_ij |y_i - y_j| K_ij + const. A kernel object is made once per data set (or batch) and
evaluated for many predictions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.dependence._centring import Centring, prediction_variance
from fairgroup.dependence._ranking import Ranking, rank

__all__ = [
    "ColumnwiseKernel",
    "DenseKernel",
    "NormalisedKernel",
    "PairKernel",
    "StratifiedKernel",
    "SumKernel",
]

Floats = NDArray[np.float64]

_BLOCK = 2**22  # entries of K that are held at a time for vector predictions


class PairKernel(ABC):
    """A regulariser of fixed attributes: value and exact gradient for any predictions.

    Attributes
    ----------
    n : int
        Number of rows.
    const : float
        What is added to sum_ij |y_i - y_j| K_ij.
    method : str
        Algorithm: "dense", "sort", "cells", "blocked" or "tiles".
    """

    n: int
    const: float = 0.0
    method: str

    @abstractmethod
    def gradient(self, ranking: Ranking) -> Any:
        """Return g_i = 2 sum_j s_ij K_ij for scalar predictions, where they are."""

    @abstractmethod
    def rows(self, start: int, stop: int) -> Floats:
        """Return rows start .. stop - 1 of K, shape (stop - start, n); the diagonal is free."""

    def value_and_grad(self, y_pred: Any) -> tuple[float, Any]:
        """Return psi and its gradient.

        Parameters
        ----------
        y_pred : ndarray or torch.Tensor of shape (n_samples,) or (n_samples, n_outputs)
            Finite predictions.

        Returns
        -------
        value : float
        grad : ndarray or torch.Tensor, shape of ``y_pred``
            In the kind, place and precision of ``y_pred``.

        Raises
        ------
        ValueError
            For another number of rows or a prediction that is not finite.
        """
        check_predictions(y_pred, self.n)
        if not isinstance(y_pred, np.ndarray) and (
            y_pred.device.type == "cpu" or y_pred.ndim == 2
        ):
            return self._tensor_value_and_grad(y_pred)
        if y_pred.ndim == 2:
            return self._vector_value_and_grad(y_pred)
        ranking = rank(y_pred)
        value, gradient = self.ranked_value_and_grad(ranking)
        if ranking.on_host:
            return value, gradient.astype(y_pred.dtype, copy=False)
        return value, gradient.to(y_pred.dtype)

    def ranked_value_and_grad(self, ranking: Ranking) -> tuple[float, Any]:
        """Return psi and its gradient for predictions that are sorted already."""
        gradient = self.gradient(ranking)
        return float(ranking.values @ gradient) + self.const, gradient

    def dense(self) -> Floats:
        """Return the whole of K, shape (n, n)."""
        return self.rows(0, self.n)

    def _tensor_value_and_grad(self, y_pred: Any) -> tuple[float, Any]:
        """Evaluate a tensor with NumPy and the compiled loops."""
        # bfloat16 is not known to NumPy.
        value, gradient = self.value_and_grad(y_pred.detach().cpu().double().numpy())
        return value, y_pred.new_tensor(gradient)

    def _vector_value_and_grad(self, y_pred: NDArray[Any]) -> tuple[float, NDArray[Any]]:
        """g_i = 2 sum_j K_ij (y_i - y_j) / |y_i - y_j|, zero for coincident points; by blocks."""
        y = y_pred.astype(np.float64) - y_pred.mean(axis=0, dtype=np.float64)
        gradient, step = np.empty_like(y), max(1, _BLOCK // self.n)
        for start in range(0, self.n, step):
            stop = min(start + step, self.n)
            squares = np.zeros((stop - start, self.n))
            for column in y.T:
                squares += (column[start:stop, None] - column) ** 2
            ratio = self.rows(start, stop)
            np.divide(ratio, np.sqrt(squares), out=ratio, where=squares > 0)
            ratio[squares == 0] = 0.0
            gradient[start:stop] = 2 * (
                ratio.sum(axis=1, keepdims=True) * y[start:stop] - ratio @ y
            )
        value = float(np.vdot(y, gradient)) + self.const
        return value, gradient.astype(y_pred.dtype, copy=False)


class DenseKernel(PairKernel):
    """K held as a matrix: the quickest for few rows without common cells."""

    method = "dense"

    def __init__(self, kernel: PairKernel) -> None:
        self.n, self.const = kernel.n, kernel.const
        self._matrix = kernel.dense()

    def gradient(self, ranking: Ranking) -> Any:
        """Return 2 sum_j s_ij K_ij."""
        y = ranking.values
        sign = ranking.xp.sign(y[:, None] - y)
        return 2 * (sign * ranking.like(self._matrix)).sum(1)

    def rows(self, start: int, stop: int) -> Floats:
        """Return a copy of rows of the matrix."""
        return self._matrix[start:stop].copy()


class SumKernel(PairKernel):
    """A weighted sum of regularisers of the same rows."""

    def __init__(self, kernels: Sequence[PairKernel], factors: Sequence[float]) -> None:
        self.kernels, self.factors = tuple(kernels), tuple(factors)
        self.n = kernels[0].n
        self.const = sum(f * k.const for f, k in zip(factors, kernels, strict=True))
        self.method = "+".join(dict.fromkeys(kernel.method for kernel in kernels))

    def gradient(self, ranking: Ranking) -> Any:
        """Return the weighted sum of the gradients."""
        parts = zip(self.factors, self.kernels, strict=True)
        return sum(factor * kernel.gradient(ranking) for factor, kernel in parts)

    def rows(self, start: int, stop: int) -> Floats:
        """Return the weighted sum of rows."""
        parts = zip(self.factors, self.kernels, strict=True)
        return np.sum([factor * kernel.rows(start, stop) for factor, kernel in parts], axis=0)


class StratifiedKernel(PairKernel):
    """Separate regularisers of disjoint sets of rows, each counting by its factor.

    Rows in no stratum have no gradient.
    """

    def __init__(
        self,
        n: int,
        strata: Sequence[NDArray[np.intp]],
        kernels: Sequence[PairKernel],
        factors: Sequence[float],
    ) -> None:
        self.n, self.strata = n, tuple(strata)
        self.kernels, self.factors = tuple(kernels), tuple(factors)
        self.const = sum(f * k.const for f, k in zip(factors, kernels, strict=True))
        self.method = "+".join(dict.fromkeys(kernel.method for kernel in kernels))

    def gradient(self, ranking: Ranking) -> Any:
        """Return the gradients of the strata, each in its rows."""
        gradient = ranking.empty(self.n)
        gradient[:] = 0.0
        for rows, factor, kernel in zip(self.strata, self.factors, self.kernels, strict=True):
            where = ranking.like(rows)
            gradient[where] = factor * kernel.gradient(rank(ranking.values[where]))
        return gradient

    def rows(self, start: int, stop: int) -> Floats:
        """Return rows of K, zero between strata."""
        block = np.zeros((stop - start, self.n))
        for rows, factor, kernel in zip(self.strata, self.factors, self.kernels, strict=True):
            first, last = np.searchsorted(rows, [start, stop])
            if first < last:
                inside = factor * kernel.rows(int(first), int(last))
                block[np.ix_(rows[first:last] - start, rows)] = inside
        return block


class NormalisedKernel(PairKernel):
    """A regulariser in units of a correlation: divided by sqrt(dVar^2(y) dVar^2(S)).

    The quotient is no longer homogeneous, so value and gradient follow from the parts:
    grad R = grad psi / d - R grad dVar^2(y) / (2 dVar^2(y)). Zero where a variance is zero.
    """

    def __init__(self, kernel: PairKernel, centring: Centring, attribute_variance: float) -> None:
        self.kernel, self.centring = kernel, centring
        self.attribute_variance = attribute_variance
        self.n, self.const, self.method = kernel.n, kernel.const, kernel.method

    def ranked_value_and_grad(self, ranking: Ranking) -> tuple[float, Any]:
        """Return the normalised value and its gradient."""
        gradient = self.kernel.gradient(ranking)
        value = float(ranking.values @ gradient)
        variance, slope = prediction_variance(ranking, self.centring)
        if variance <= 0 or self.attribute_variance <= 0:
            return self.const, 0.0 * gradient
        scale = float(np.sqrt(variance * self.attribute_variance))
        share = value / scale
        return share + self.const, gradient / scale - share / (2 * variance) * slope

    def gradient(self, ranking: Ranking) -> Any:
        """Return the gradient of the normalised value."""
        return self.ranked_value_and_grad(ranking)[1]

    def rows(self, start: int, stop: int) -> Floats:
        """Refuse: the quotient is no kernel over pairs."""
        raise NotImplementedError("A normalised penalty takes scalar predictions only.")


class ColumnwiseKernel(PairKernel):
    """Predictions of several columns: the sum of the regulariser over columns.

    Quick, but not complete: a vector can depend on the attributes where no column does.
    """

    def __init__(self, kernel: PairKernel) -> None:
        self.kernel = kernel
        self.n, self.const, self.method = kernel.n, kernel.const, kernel.method

    def ranked_value_and_grad(self, ranking: Ranking) -> tuple[float, Any]:
        """Return value and gradient for one column."""
        return self.kernel.ranked_value_and_grad(ranking)

    def gradient(self, ranking: Ranking) -> Any:
        """Return the gradient for one column."""
        return self.kernel.gradient(ranking)

    def rows(self, start: int, stop: int) -> Floats:
        """Return rows of K."""
        return self.kernel.rows(start, stop)

    def _vector_value_and_grad(self, y_pred: Any) -> tuple[float, Any]:
        value, gradient = 0.0, 0.0 * y_pred
        for k in range(y_pred.shape[1]):
            part, gradient[:, k] = self.value_and_grad(y_pred[:, k])
            value += part
        return value, gradient


def check_predictions(y_pred: Any, n: int) -> None:
    """Raise for predictions of another length, more than two axes, or not finite."""
    if y_pred.ndim not in (1, 2) or len(y_pred) != n:
        raise ValueError(
            f"y_pred has shape {tuple(y_pred.shape)}; expected ({n},) or ({n}, n_outputs)."
        )
    values = y_pred if isinstance(y_pred, np.ndarray) else y_pred.detach()
    with np.errstate(over="ignore"):
        if np.isfinite(float(values.sum())):
            return
    values = values if isinstance(values, np.ndarray) else values.cpu().numpy()
    bad = ~np.isfinite(values).reshape(n, -1).all(axis=1)
    if bad.any():
        row = int(bad.argmax())
        raise ValueError(f"y_pred must be finite; row {row} is {values[row]}.")
