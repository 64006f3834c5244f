"""How strongly predictions depend on protected attributes: distance covariances.

Values and gradients come from one kernel per set of attributes, see ``_pair_kernel``; here are
the definitions, the input and the output.

References
----------
Szekely and Rizzo (2014), Annals of Statistics 42(6) (U-statistic); Chakraborty and Zhang (2019),
JASA 114(528) (joint distance covariance); Lee, Antonio, Avanzi, Marchi and Zhou (2025),
arXiv:2509.08163 (both as fairness penalties).
"""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fairgroup.dependence._attributes import Attributes, encode_attributes
from fairgroup.dependence._centring import Centring
from fairgroup.dependence._choose import METHODS, attribute_variance, make_kernel
from fairgroup.dependence._pair_kernel import NormalisedKernel, PairKernel
from fairgroup.groups import SensitiveEncoder
from fairgroup.utils._validation import check_weights

__all__ = [
    "as_predictions",
    "concatenated_distance_covariance",
    "distance_correlation",
    "distance_covariance",
    "joint_distance_covariance",
    "normalised_attributes",
]

Floats = NDArray[np.float64]


def distance_covariance(
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    estimator: str = "U",
    squared: bool = True,
    encoder: SensitiveEncoder | None = None,
    sample_weight: ArrayLike | None = None,
    return_grad: bool = False,
    method: str = "auto",
) -> Any:
    r"""Distance covariance between predictions and protected attributes.

    Zero in the population exactly when the two are independent. Several attributes are taken as
    one vector, so that this equals `concatenated_distance_covariance`.

    Parameters
    ----------
    y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs), or torch.Tensor
        Predictions. Costs O(n_samples^2) for several outputs.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Protected attributes of any type.
    estimator : {"U", "V"}, default="U"
        "U": unbiased, may be negative, needs 4 rows. "V": biased upwards, never negative.
    squared : bool, default=True
        Return dCov^2. The root is defined for "V" only.
    encoder : SensitiveEncoder or None, default=None
        How attributes become numbers; used as it is when fitted, else fitted here.
        ``SensitiveEncoder(scale="none")`` leaves continuous columns as they are.
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights such as exposure or survey weights, for "V" only.
    return_grad : bool, default=False
        Return the exact gradient with respect to `y_pred` as well.
    method : {"auto", "dense", "sort", "cells", "blocked", "tiles"}, default="auto"
        Algorithm; all give the same numbers. "auto" chooses tables of cells ("blocked") for
        discrete attributes, "sort" for one numeric attribute, else all pairs ("dense" for few
        rows, "tiles" with O(n_samples) memory).

    Returns
    -------
    value : float, or torch.Tensor of shape () with autograd for a tensor
        In units of `y_pred` times those of the encoded attributes.
    grad : ndarray or torch.Tensor, shape of `y_pred`
        Only with ``return_grad=True``. Tied predictions exert no force on each other.

    Raises
    ------
    ValueError
        For fewer than 4 rows or weights with "U", another number of rows, predictions that are
        not finite, or a method that does not fit the attributes.

    See Also
    --------
    joint_distance_covariance : Also sees dependence on combinations that no margin shows.
    distance_correlation : The same without units.

    Notes
    -----
    With :math:`a_{ij} = |\hat y_i - \hat y_j|` and :math:`B_{ij}` the centred distances of the
    attributes, the value is :math:`-\sum_{ij} a_{ij} B_{ij}` over :math:`n(n-3)` (U) or
    :math:`n^2` (V).

    References
    ----------
    Szekely, G. J. and Rizzo, M. L. (2014). Partial distance correlation with methods for
    dissimilarities. Annals of Statistics 42(6).

    Examples
    --------
    >>> from fairgroup.dependence import distance_covariance
    >>> value, grad = distance_covariance([0, 1, 2, 4, 7], [0, 0, 1, 1, 1], return_grad=True)
    >>> round(value, 6)
    0.666667
    >>> grad[1:4].round(6)
    array([-0.4     ,  0.266667,  0.133333])
    """
    predictions, attributes = _read(y_pred, sensitive_features, encoder)
    weights = _weights(sample_weight, len(predictions))
    kernel = make_kernel(
        attributes, estimator=_estimator(estimator), weights=weights, method=_method(method)
    )
    return _evaluate(kernel, predictions, return_grad=return_grad, root=_root(squared, estimator))


def concatenated_distance_covariance(
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    estimator: str = "U",
    encoder: SensitiveEncoder | None = None,
    sample_weight: ArrayLike | None = None,
    return_grad: bool = False,
    by_attribute: bool = False,
    method: str = "auto",
) -> Any:
    r"""Distance covariance with all protected attributes side by side, CCdCov^2.

    Parameters
    ----------
    y_pred, sensitive_features, estimator, encoder, sample_weight, return_grad, method
        As in `distance_covariance`.
    by_attribute : bool, default=False
        Return a Series with the distance covariance of every attribute by itself, the
        remainder (``"remainder"``) and their sum (``"total"``) instead of the value.

    Returns
    -------
    value : float, torch.Tensor of shape (), or Series
        Zero in the population exactly when predictions are independent of the attributes jointly.
    grad : ndarray or torch.Tensor, shape of `y_pred`
        Only with ``return_grad=True``.

    Raises
    ------
    ValueError
        As in `distance_covariance`; also for ``by_attribute`` together with ``return_grad``.

    Notes
    -----
    The remainder is not a pure interaction: it can be negative in the population. For two fair
    independent coins and predictions equal to the first, the attributes' own terms sum to 1/4 and
    the total is :math:`\sqrt 2 / 8`. Interactions are the terms of
    `joint_distance_covariance` with ``decompose=True``.

    References
    ----------
    Lee, Antonio, Avanzi, Marchi and Zhou (2025), arXiv:2509.08163.

    Examples
    --------
    >>> from fairgroup.dependence import concatenated_distance_covariance
    >>> groups = [[0, 0], [0, 1], [1, 0], [1, 1]] * 10  # predictions are their exclusive or
    >>> round(concatenated_distance_covariance([0, 1, 1, 0] * 10, groups), 6)
    0.06733
    """
    if not by_attribute:
        return distance_covariance(
            y_pred,
            sensitive_features,
            estimator=estimator,
            encoder=encoder,
            sample_weight=sample_weight,
            return_grad=return_grad,
            method=method,
        )
    if return_grad:
        raise ValueError("by_attribute=True returns a table, which has no gradient.")
    predictions, attributes = _read(y_pred, sensitive_features, encoder)
    weights, estimator = _weights(sample_weight, len(predictions)), _estimator(estimator)

    def value(part: Attributes) -> float:
        kernel = make_kernel(part, estimator=estimator, weights=weights, method=_method(method))
        return kernel.value_and_grad(predictions)[0]

    terms = {name: value(attributes.select([k])) for k, name in enumerate(attributes.names)}
    total = value(attributes)
    return pd.Series({**terms, "remainder": total - sum(terms.values()), "total": total})


def distance_correlation(
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    estimator: str = "U",
    squared: bool = True,
    encoder: SensitiveEncoder | None = None,
    sample_weight: ArrayLike | None = None,
    return_grad: bool = False,
    method: str = "auto",
) -> Any:
    """Distance correlation between predictions and protected attributes.

    Parameters
    ----------
    y_pred : array-like of shape (n_samples,), or torch.Tensor
        Predictions.
    sensitive_features, estimator, encoder, sample_weight, return_grad, method
        As in `distance_covariance`.
    squared : bool, default=True
        Return dCor^2. The root is defined for "V" only.

    Returns
    -------
    value : float, or torch.Tensor of shape () with autograd for a tensor
        dCov^2 / sqrt(dVar^2(y_pred) dVar^2(attributes)), in [0, 1] for "V". 0 where predictions or
        attributes are constant.
    grad : ndarray or torch.Tensor of shape (n_samples,)
        Only with ``return_grad=True``.

    Raises
    ------
    ValueError
        As in `distance_covariance`.

    References
    ----------
    Szekely, Rizzo and Bakirov (2007), Annals of Statistics 35(6); Szekely and Rizzo (2014).

    Examples
    --------
    >>> from fairgroup.dependence import distance_correlation
    >>> round(distance_correlation([0, 1, 2, 4, 7], [0, 0, 1, 1, 1]), 6)
    0.662266
    """
    predictions, attributes = _read(y_pred, sensitive_features, encoder)
    if predictions.ndim != 1:
        raise ValueError(
            f"y_pred has shape {tuple(predictions.shape)}; distance_correlation takes one output. "
            "Use distance_covariance for several."
        )
    weights, estimator = _weights(sample_weight, len(predictions)), _estimator(estimator)
    kernel = make_kernel(attributes, estimator=estimator, weights=weights, method=_method(method))
    centring = Centring.make(len(attributes), estimator, weights)
    kernel = NormalisedKernel(kernel, centring, attribute_variance(attributes, centring))
    return _evaluate(kernel, predictions, return_grad=return_grad, root=_root(squared, estimator))


def joint_distance_covariance(
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    estimator: str = "U",
    c: float = 1.0,
    normalise: str | None = None,
    ranked: bool = False,
    include_attribute_dependence: bool = True,
    decompose: bool = False,
    encoder: SensitiveEncoder | None = None,
    sample_weight: ArrayLike | None = None,
    return_grad: bool = False,
    method: str = "auto",
) -> Any:
    r"""Joint distance covariance of predictions and all protected attributes, JdCov^2.

    Parameters
    ----------
    y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs), or torch.Tensor
        Predictions.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Protected attributes of any type.
    estimator : {"U", "V"}, default="U"
        "U" is corrected for bias, and unbiased for a single attribute. "V" is never negative.
    c : float, default=1.0
        Weight of low orders: a term of order k counts c^(n_attributes + 1 - k). Positive.
    normalise : {"dvar"} or None, default=None
        "dvar": every variable divided by its distance standard deviation, which makes the value
        free of scale (type "US" of the reference; "VS" with ``estimator="V"``).
    ranked : bool, default=False
        Replace every column by its empirical distribution function first (types "Rank U" and
        "Rank V"). It has no gradient.
    include_attribute_dependence : bool, default=True
        False leaves out c JdCov^2 of the attributes among themselves, which does not depend on the
        predictions. Published figures include it.
    decompose : bool, default=False
        Return a Series with one term per combination of at least two variables, which sum to the
        value, instead of the value.
    encoder, sample_weight, return_grad, method
        As in `distance_covariance`.

    Returns
    -------
    value : float, torch.Tensor of shape (), or Series
        Without the attributes' own dependence: zero in the population exactly when predictions
        are independent of the attributes jointly.
    grad : ndarray or torch.Tensor, shape of `y_pred`
        Only with ``return_grad=True``.

    Raises
    ------
    ValueError
        As in `distance_covariance`; for c that is not positive; for a gradient of ranks or of a
        decomposition.

    Notes
    -----
    With :math:`U_k` the centred distances of variable k,
    :math:`JdCov^2 = E \prod_k (U_k + c) - c^d = \sum_{|T| \ge 2} c^{d - |T|} dCov^2(X_T)`; the sum
    is exact in the sample as well, and is what ``decompose`` returns. The U-statistic is
    :math:`\frac{1}{n(n-3)} \sum_{ij} \prod_k (U_{k,ij} + c) - c^d \frac{n}{n-3}`; some
    implementations leave out :math:`c^d` in the last term, which is right for c = 1 only.

    References
    ----------
    Chakraborty, S. and Zhang, X. (2019). Distance metrics for measuring joint dependence with
    application to causal inference. JASA 114(528).

    Examples
    --------
    >>> import pandas as pd
    >>> from fairgroup.dependence import joint_distance_covariance
    >>> groups = pd.DataFrame({"a": [0, 0, 1, 1] * 10, "b": [0, 1, 0, 1] * 10})
    >>> y_pred = [0, 1, 1, 0] * 10  # exclusive or: only all three together depend
    >>> terms = joint_distance_covariance(y_pred, groups, estimator="V", decompose=True)
    >>> terms.round(6).abs()
    y_pred x a        0.000
    y_pred x b        0.000
    y_pred x a x b    0.125
    a x b             0.000
    dtype: float64
    """
    _check_joint(c, normalise, ranked=ranked, decompose=decompose, return_grad=return_grad)
    predictions, attributes = _read(y_pred, sensitive_features, encoder)
    weights, estimator = _weights(sample_weight, len(predictions)), _estimator(estimator)
    centring = Centring.make(len(attributes), estimator, weights)
    if ranked:
        predictions = _distribution(np.asarray(predictions, dtype=np.float64))
        attributes = _with_matrix(attributes, _distribution(attributes.matrix))
    if normalise == "dvar":
        attributes = normalised_attributes(attributes, centring)

    def kernel_of(part: Attributes, constant: float) -> PairKernel:
        kernel = make_kernel(
            part,
            kind="jdcov",
            estimator=estimator,
            c=constant,
            weights=weights,
            method=_method(method),
        )
        return NormalisedKernel(kernel, centring, 1.0) if normalise == "dvar" else kernel

    if decompose:
        terms = _terms(kernel_of, predictions, attributes, c)
        return terms if include_attribute_dependence else terms[_with_predictions(terms)]
    kernel = kernel_of(attributes, c)
    if not include_attribute_dependence:
        kernel.const = 0.0
    return _evaluate(kernel, predictions, return_grad=return_grad)


def normalised_attributes(attributes: Attributes, centring: Centring) -> Attributes:
    """Divide every attribute by its distance standard deviation sqrt(dVar^2); zero if constant."""
    matrix = attributes.matrix.copy()
    for k, block in enumerate(attributes.blocks):
        variance = attribute_variance(attributes.select([k]), centring)
        matrix[:, block] *= 1 / np.sqrt(variance) if variance > 0 else 0.0
    return _with_matrix(attributes, matrix)


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


def _read(
    y_pred: Any, sensitive_features: Any, encoder: SensitiveEncoder | None
) -> tuple[Any, Attributes]:
    y_pred = as_predictions(y_pred)
    _, attributes = encode_attributes(sensitive_features, encoder=encoder, n_samples=len(y_pred))
    return y_pred, attributes


def _evaluate(kernel: PairKernel, y_pred: Any, *, return_grad: bool, root: bool = False) -> Any:
    """Return the value, for a tensor with autograd, and the gradient if it is asked for."""
    if not isinstance(y_pred, np.ndarray):
        from fairgroup.dependence._torch_function import differentiable, square_root

        value = differentiable(kernel, y_pred)
        value = square_root(value) if root else value
        if not return_grad:
            return value
        return value, kernel_gradient(kernel, y_pred, root=root)
    value, gradient = kernel.value_and_grad(y_pred)
    if root:
        value, gradient = _rooted(value, gradient)
    return (value, gradient) if return_grad else value


def kernel_gradient(kernel: PairKernel, y_pred: Any, *, root: bool) -> Any:
    """Return the gradient of the value or its root."""
    value, gradient = kernel.value_and_grad(y_pred)
    return _rooted(value, gradient)[1] if root else gradient


def _rooted(value: float, gradient: Any) -> tuple[float, Any]:
    """Return the root and its gradient; at zero, where the root has none, zero is a subgradient of
    the non-negative value.
    """
    root = float(np.sqrt(max(value, 0.0)))
    return root, gradient / (2 * root) if root > 0 else 0 * gradient


def _terms(kernel_of: Any, y_pred: Any, attributes: Attributes, c: float) -> pd.Series:
    """Return c^(d - |T|) dCov^2(X_T) for every combination T of at least two variables.

    With the predictions in T it is a joint covariance with constant zero. Without, it is what the
    joint covariance of T (the constant of the kernel for c = 1) has beyond its smaller terms.
    """
    d, names = len(attributes.blocks) + 1, attributes.names
    with_predictions: dict[str, float] = {}
    among: dict[tuple[int, ...], float] = {}
    for size in range(1, d):
        for chosen in combinations(range(d - 1), size):
            part = attributes.select(chosen)
            name = " x ".join(["y_pred", *(names[k] for k in chosen)])
            value = kernel_of(part, 0.0).value_and_grad(y_pred)[0]
            with_predictions[name] = c ** (d - 1 - size) * value
            if size > 1:
                smaller = sum(v for t, v in among.items() if set(t) < set(chosen))
                among[chosen] = kernel_of(part, 1.0).const - smaller
    attributes_only = {
        " x ".join(names[k] for k in chosen): c ** (d - len(chosen)) * value
        for chosen, value in among.items()
    }
    return pd.Series({**with_predictions, **attributes_only})


def _with_predictions(terms: pd.Series) -> NDArray[np.bool_]:
    return np.array([str(name).startswith("y_pred x ") for name in terms.index])


def _check_joint(
    c: float, normalise: str | None, *, ranked: bool, decompose: bool, return_grad: bool
) -> None:
    if not (np.isfinite(c) and c > 0):
        raise ValueError(f"c={c!r}; expected a positive number.")
    if normalise not in (None, "dvar"):
        raise ValueError(f'normalise={normalise!r}; expected "dvar" or None.')
    if return_grad and (ranked or decompose):
        reason = "ranks are constant almost everywhere" if ranked else "it returns a table"
        argument = "ranked" if ranked else "decompose"
        raise ValueError(f"{argument}=True has no gradient: {reason}.")


def _with_matrix(attributes: Attributes, matrix: Floats) -> Attributes:
    """Return the same rows with other numbers for their levels; cells stay what they are."""
    _, first = np.unique(attributes.cell, return_index=True)
    rows = np.zeros_like(attributes.table.rows)
    rows[attributes.cell[first]] = matrix[first]
    return replace(attributes, matrix=matrix, table=replace(attributes.table, rows=rows))


def _distribution(values: Floats) -> Floats:
    """Return each column's empirical distribution function at its values; ties get the upper."""
    table = values.reshape(len(values), -1)
    ranks = [np.searchsorted(np.sort(c), c, side="right") / len(c) for c in table.T]
    return np.column_stack(ranks).reshape(values.shape)


def _weights(sample_weight: Any, n: int) -> Floats | None:
    return None if sample_weight is None else check_weights(sample_weight, n)


def _estimator(estimator: str) -> str:
    if estimator not in ("U", "V"):
        raise ValueError(f'estimator={estimator!r}; expected "U" or "V".')
    return estimator


def _method(method: str) -> str:
    if method not in METHODS:
        raise ValueError(f"method={method!r}; expected one of {list(METHODS)}.")
    return method


def _root(squared: bool, estimator: str) -> bool:
    if not squared and estimator == "U":
        raise ValueError(
            'squared=False needs estimator="V": the unbiased statistic can be negative, and then '
            "has no root."
        )
    return not squared
