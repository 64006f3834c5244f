"""Input and output that all measures of dependence share."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.dependence._attributes import Attributes, encode_attributes
from fairgroup.dependence._choose import METHODS
from fairgroup.dependence._pair_kernel import PairKernel
from fairgroup.groups import SensitiveEncoder
from fairgroup.utils._validation import check_weights

__all__ = [
    "as_predictions",
    "check_choices",
    "evaluate",
    "read_input",
    "row_weights",
    "wants_root",
]

Floats = NDArray[np.float64]


def as_predictions(y_pred: Any) -> Any:
    """Return predictions as a floating array: a torch tensor as it is, all else NumPy."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(y_pred, torch.Tensor):
        return y_pred if y_pred.is_floating_point() else y_pred.to(torch.float64)
    array = np.asarray(y_pred)
    try:
        array = array if array.dtype.kind == "f" else array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"y_pred must be numbers; found {array.dtype}.") from error
    if array.ndim not in (1, 2):
        raise ValueError(
            f"y_pred has shape {array.shape}; expected (n_samples,) or (n_samples, n_outputs)."
        )
    return array


def read_input(
    y_pred: Any, sensitive_features: Any, encoder: SensitiveEncoder | None
) -> tuple[Any, Attributes]:
    y_pred = as_predictions(y_pred)
    _, attributes = encode_attributes(sensitive_features, encoder=encoder, n_samples=len(y_pred))
    return y_pred, attributes


def evaluate(kernel: PairKernel, y_pred: Any, *, return_grad: bool, root: bool = False) -> Any:
    """Return the value, for a tensor with autograd, and the gradient if it is asked for."""
    if not isinstance(y_pred, np.ndarray):
        from fairgroup.dependence._torch_function import differentiable, square_root

        value = differentiable(kernel, y_pred)
        value = square_root(value) if root else value
        if not return_grad:
            return value
        return value, _gradient(kernel, y_pred, root=root)
    value, gradient = kernel.value_and_grad(y_pred)
    if root:
        value, gradient = _rooted(value, gradient)
    return (value, gradient) if return_grad else value


def _gradient(kernel: PairKernel, y_pred: Any, *, root: bool) -> Any:
    """Return the gradient of the value or its root."""
    value, gradient = kernel.value_and_grad(y_pred)
    return _rooted(value, gradient)[1] if root else gradient


def _rooted(value: float, gradient: Any) -> tuple[float, Any]:
    """Return the root and its gradient; at zero, where the root has none, zero is a subgradient of
    the non-negative value.
    """
    root = float(np.sqrt(max(value, 0.0)))
    return root, gradient / (2 * root) if root > 0 else 0 * gradient


def row_weights(sample_weight: Any, n: int) -> Floats | None:
    return None if sample_weight is None else check_weights(sample_weight, n)


def check_choices(estimator: str, method: str) -> None:
    if estimator not in ("U", "V"):
        raise ValueError(f'estimator={estimator!r}; expected "U" or "V".')
    if method not in METHODS:
        raise ValueError(f"method={method!r}; expected one of {list(METHODS)}.")


def wants_root(squared: bool, estimator: str) -> bool:
    if not squared and estimator == "U":
        raise ValueError(
            'squared=False needs estimator="V": the unbiased statistic can be negative, and then '
            "has no root."
        )
    return not squared
