"""The exact penalty of rows that are spread over processes.

Every process knows the protected attributes of all rows, which are static, and predicts some rows.
Predictions are gathered, not their graphs: the gradient at a row contains the row's part in all
pairs already, so that a process keeps those of its own rows and no gradient is gathered.
"""

from __future__ import annotations

from typing import Any

from fairgroup.dependence._prepared_penalty import PreparedPenalty
from fairgroup.dependence._torch_function import value_and_gradient
from fairgroup.utils._optional import require

torch = require("torch", extra="neural")

__all__ = ["distributed_loss"]


class _DistributedPenalty(torch.autograd.Function):  # type: ignore[name-defined]
    """The value for all rows; the gradient for the rows of this process.

    It is multiplied by the number of processes, because DistributedDataParallel averages the
    gradients of the parameters over them.
    """

    @staticmethod
    def forward(ctx: Any, y_pred: Any, penalty: PreparedPenalty, index: Any, group: Any) -> Any:
        size, rank = torch.distributed.get_world_size(group), torch.distributed.get_rank(group)
        lengths = _lengths(len(y_pred), y_pred.device, size, group)
        everywhere = _gather(y_pred.detach(), lengths, group)
        rows = _gather(index.to(y_pred.device), lengths, group)
        kernel = penalty.kernel(rows.cpu().numpy())
        if kernel is None:
            ctx.save_for_backward(torch.zeros_like(y_pred))
            return y_pred.new_tensor(0.0)
        value, gradient = value_and_gradient(kernel, everywhere)
        start = sum(lengths[:rank])
        ctx.save_for_backward(size * gradient[start : start + len(y_pred)])
        return y_pred.new_tensor(value)

    @staticmethod
    def backward(ctx: Any, grad_output: Any) -> tuple[Any, None, None, None]:
        (gradient,) = ctx.saved_tensors
        return grad_output * gradient, None, None, None


def distributed_loss(
    penalty: PreparedPenalty, y_pred: Any, index: Any, process_group: Any = None
) -> Any:
    """Return the penalty of the rows of all processes, differentiable in those of this one.

    Parameters
    ----------
    penalty : PreparedPenalty
        Bound to all rows, the same in every process.
    y_pred : torch.Tensor of shape (n_local,) or (n_local, n_outputs)
        Predictions of the rows of this process; lengths may differ.
    index : torch.Tensor of int64, shape (n_local,)
        Which of the prepared rows they are.
    process_group : torch.distributed.ProcessGroup or None
        None: the default group.

    Returns
    -------
    value : torch.Tensor of shape ()
        The same in every process.

    Raises
    ------
    ValueError
        For an ``index`` that is missing or of another length.
    """
    if index is None or len(index) != len(y_pred):
        found = None if index is None else len(index)
        raise ValueError(
            f"index must give the row of each of the {len(y_pred)} predictions; found {found}."
        )
    index = torch.as_tensor(index, dtype=torch.int64)
    return _DistributedPenalty.apply(y_pred, penalty, index, process_group)


def _lengths(own: int, device: Any, size: int, group: Any) -> list[int]:
    lengths = [torch.zeros(1, dtype=torch.int64, device=device) for _ in range(size)]
    torch.distributed.all_gather(lengths, torch.tensor([own], device=device), group=group)
    return [int(length) for length in lengths]


def _gather(tensor: Any, lengths: list[int], group: Any) -> Any:
    """Concatenate the rows of all processes, which may be of different numbers."""
    padded = tensor.new_zeros((max(lengths), *tensor.shape[1:]))
    padded[: len(tensor)] = tensor
    parts = [torch.empty_like(padded) for _ in lengths]
    torch.distributed.all_gather(parts, padded, group=group)
    return torch.cat([part[:length] for part, length in zip(parts, lengths, strict=True)])
