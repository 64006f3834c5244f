"""Joint distance covariance: also sees dependence that no pair of variables shows."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fairgroup.dependence._attributes import Attributes
from fairgroup.dependence._centring import Centring
from fairgroup.dependence._choose import attribute_variance, make_kernel
from fairgroup.dependence._inputs import check_choices, evaluate, read_input, row_weights
from fairgroup.dependence._pair_kernel import NormalisedKernel, PairKernel
from fairgroup.groups import SensitiveEncoder

__all__ = ["joint_distance_covariance", "normalised_attributes"]

Floats = NDArray[np.float64]


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
    encoder : SensitiveEncoder or None, default=None
        How attributes become numbers.
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights, for "V" only.
    return_grad : bool, default=False
        Return the exact gradient with respect to `y_pred` as well.
    method : {"auto", "dense", "sort", "cells", "blocked", "tiles"}, default="auto"
        Algorithm, as in `distance_covariance`.

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
    check_choices(estimator, method)
    predictions, attributes = read_input(y_pred, sensitive_features, encoder)
    weights = row_weights(sample_weight, len(predictions))
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
            method=method,
        )
        return NormalisedKernel(kernel, centring, 1.0) if normalise == "dvar" else kernel

    if decompose:
        terms = _terms(kernel_of, predictions, attributes, c)
        return terms if include_attribute_dependence else terms[_with_predictions(terms)]
    kernel = kernel_of(attributes, c)
    if not include_attribute_dependence:
        kernel.const = 0.0
    return evaluate(kernel, predictions, return_grad=return_grad)


def normalised_attributes(attributes: Attributes, centring: Centring) -> Attributes:
    """Divide every attribute by its distance standard deviation sqrt(dVar^2); zero if constant."""
    matrix = attributes.matrix.copy()
    for k, block in enumerate(attributes.blocks):
        variance = attribute_variance(attributes.select([k]), centring)
        matrix[:, block] *= 1 / np.sqrt(variance) if variance > 0 else 0.0
    return _with_matrix(attributes, matrix)


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
