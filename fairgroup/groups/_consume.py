"""How an estimator of ours asks for, and reads, ``sensitive_features``."""

from __future__ import annotations

import warnings
from typing import Any, ClassVar

from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups._codes import GroupCodes
from fairgroup.groups._group_encoder import GroupEncoder
from fairgroup.groups._shown import GroupsShown

__all__ = ["GroupConsumer", "encode_groups", "is_fitted"]


class GroupConsumer(GroupsShown):
    """Mixin: ``fit`` and ``partial_fit`` request ``sensitive_features`` without being told.

    With metadata routing on, ``GridSearchCV(make_pipeline(scaler, Est()), grid).fit(X, y,
    sensitive_features=A)`` then works with nothing else said. In a notebook the fitted estimator
    shows the groups it has seen. Put it left of ``BaseEstimator``.
    """

    __metadata_request__fit: ClassVar = {"sensitive_features": True}
    __metadata_request__partial_fit: ClassVar = {"sensitive_features": True}


def encode_groups(
    sensitive_features: Any,
    n_samples: int,
    *,
    encoder: GroupEncoder | None = None,
    estimator: Any = None,
) -> tuple[GroupEncoder | None, GroupCodes]:
    """Encode the groups of the rows that an estimator is fitted on.

    Parameters
    ----------
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), or None
        Protected attributes. None means one group, with a warning.
    n_samples : int
        Rows of X.
    encoder : GroupEncoder or None, default=None
        The user's encoder: used as it is when fitted, else cloned and fitted. None: the defaults.
    estimator : object, default=None
        Names the estimator in the warning.

    Returns
    -------
    encoder : GroupEncoder or None
        Fitted; None when there are no groups.
    groups : GroupCodes

    Raises
    ------
    ValueError
        For another number of rows, and for an encoder that puts a row into several groups.

    Warns
    -----
    FairnessWarning
        When ``sensitive_features`` is None: the fit is unpenalised.
    """
    if sensitive_features is None:
        warnings.warn(
            f"{type(estimator).__name__} was fitted without sensitive_features: "
            "nothing was done for fairness. Pass them to fit, through metadata routing inside "
            "Pipelines and searches, or wrap the estimator in SensitiveColumns.",
            FairnessWarning,
            stacklevel=3,
        )
        return None, GroupCodes.everyone(n_samples)
    if encoder is not None and is_fitted(encoder):
        groups = encoder.transform(sensitive_features)
    else:
        encoder = GroupEncoder() if encoder is None else clone(encoder)
        groups = encoder.fit_transform(sensitive_features)
    if groups.codes.ndim != 1:
        raise ValueError(
            f"{type(estimator).__name__} needs every row in one group, but the encoder has "
            "intersections=False; set it to True."
        )
    if len(groups) != n_samples:
        raise ValueError(
            f"sensitive_features has {len(groups)} rows, but X has {n_samples}; "
            "both must describe the same rows."
        )
    return encoder, groups


def is_fitted(encoder: Any) -> bool:
    """Whether an encoder has been fitted."""
    try:
        check_is_fitted(encoder)
    except NotFittedError:
        return False
    return True
