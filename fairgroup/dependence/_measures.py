"""Distance covariance and correlation of predictions and protected attributes.

Values and gradients come from one kernel per set of attributes, see ``_pair_kernel``.

References
----------
Szekely, Rizzo and Bakirov (2007), Annals of Statistics 35(6); Szekely and Rizzo (2014), Annals of
Statistics 42(6) (U-statistic); Lee, Antonio, Avanzi, Marchi and Zhou (2025), arXiv:2509.08163
(the concatenated one as a fairness penalty).
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from numpy.typing import ArrayLike

from fairgroup.dependence._attributes import Attributes
from fairgroup.dependence._centring import Centring
from fairgroup.dependence._choose import attribute_variance, make_kernel
from fairgroup.dependence._inputs import (
    check_choices,
    evaluate,
    read_input,
    row_weights,
    wants_root,
)
from fairgroup.dependence._pair_kernel import NormalisedKernel
from fairgroup.groups import SensitiveEncoder

__all__ = ["concatenated_distance_covariance", "distance_correlation", "distance_covariance"]


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
    check_choices(estimator, method)
    predictions, attributes = read_input(y_pred, sensitive_features, encoder)
    weights = row_weights(sample_weight, len(predictions))
    kernel = make_kernel(attributes, estimator=estimator, weights=weights, method=method)
    return evaluate(
        kernel, predictions, return_grad=return_grad, root=wants_root(squared, estimator)
    )


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
    y_pred : array-like of shape (n_samples,) or (n_samples, n_outputs), or torch.Tensor
        Predictions.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Protected attributes of any type.
    estimator : {"U", "V"}, default="U"
        Unbiased or biased statistic, as in `distance_covariance`.
    encoder : SensitiveEncoder or None, default=None
        How attributes become numbers.
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights, for "V" only.
    return_grad : bool, default=False
        Return the exact gradient with respect to `y_pred` as well.
    by_attribute : bool, default=False
        Return a Series with the distance covariance of every attribute by itself, the
        remainder (``"remainder"``) and their sum (``"total"``) instead of the value.
    method : {"auto", "dense", "sort", "cells", "blocked", "tiles"}, default="auto"
        Algorithm, as in `distance_covariance`.

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
    check_choices(estimator, method)
    predictions, attributes = read_input(y_pred, sensitive_features, encoder)
    weights = row_weights(sample_weight, len(predictions))

    def value(part: Attributes) -> float:
        kernel = make_kernel(part, estimator=estimator, weights=weights, method=method)
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
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Protected attributes of any type.
    estimator : {"U", "V"}, default="U"
        Unbiased or biased statistic, as in `distance_covariance`.
    squared : bool, default=True
        Return dCor^2. The root is defined for "V" only.
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
    check_choices(estimator, method)
    predictions, attributes = read_input(y_pred, sensitive_features, encoder)
    if predictions.ndim != 1:
        raise ValueError(
            f"y_pred has shape {tuple(predictions.shape)}; distance_correlation takes one output. "
            "Use distance_covariance for several."
        )
    weights = row_weights(sample_weight, len(predictions))
    kernel = make_kernel(attributes, estimator=estimator, weights=weights, method=method)
    centring = Centring.make(len(attributes), estimator, weights)
    kernel = NormalisedKernel(kernel, centring, attribute_variance(attributes, centring))
    return evaluate(
        kernel, predictions, return_grad=return_grad, root=wants_root(squared, estimator)
    )
