"""Any regulariser as a differentiable torch function; imported only where torch is in use."""

from __future__ import annotations

from typing import Any

from fairgroup.dependence._pair_kernel import PairKernel
from fairgroup.utils._optional import require

torch = require("torch", extra="neural")

__all__ = ["differentiable", "square_root", "value_and_gradient"]


class _PenaltyFunction(torch.autograd.Function):  # type: ignore[name-defined]
    """The gradient is computed with the value, so nothing of the n x n pairs is stored.

    psi is piecewise linear in the predictions: their Hessian is zero wherever it exists, and the
    saved gradient is rightly a constant under ``create_graph=True``.
    """

    @staticmethod
    def forward(ctx: Any, y_pred: Any, kernel: PairKernel) -> Any:
        value, gradient = value_and_gradient(kernel, y_pred.detach())
        ctx.save_for_backward(gradient)
        return y_pred.new_tensor(value)

    @staticmethod
    def backward(ctx: Any, grad_output: Any) -> tuple[Any, None]:
        (gradient,) = ctx.saved_tensors
        return grad_output * gradient, None


def value_and_gradient(kernel: PairKernel, y_pred: Any) -> tuple[float, Any]:
    """Return the regulariser of a detached tensor, and its gradient as a tensor of the same kind.

    Parameters
    ----------
    kernel : PairKernel
        The regulariser.
    y_pred : torch.Tensor of shape (n_samples,) or (n_samples, n_outputs)
        Predictions.

    Returns
    -------
    value : float
    gradient : torch.Tensor, shape of ``y_pred``
    """
    if y_pred.device.type == "cpu" and y_pred.dtype in (torch.float32, torch.float64):
        # The compiled kernels take NumPy's view of the same memory.
        value, gradient = kernel.value_and_grad(y_pred.numpy())
        return value, torch.from_numpy(gradient)
    return kernel.value_and_grad(y_pred)


def differentiable(kernel: PairKernel, y_pred: Any) -> Any:
    """Return the regulariser of a tensor as a 0-dimensional tensor with autograd.

    Parameters
    ----------
    kernel : PairKernel
        The regulariser.
    y_pred : torch.Tensor of shape (n_samples,) or (n_samples, n_outputs)
        Predictions, on any device, in any floating precision.

    Returns
    -------
    value : torch.Tensor of shape ()
    """
    return _PenaltyFunction.apply(y_pred, kernel)


def square_root(value: Any) -> Any:
    """Return the root of a statistic, with gradient zero at and below zero instead of NaN."""
    positive = value > 0
    root = torch.sqrt(torch.where(positive, value, torch.ones_like(value)))
    return torch.where(positive, root, torch.zeros_like(root))
