"""Demographic-parity, equal-opportunity and equalized-odds gaps of labels and of scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairgroup.groups import GroupEncoder
from fairgroup.metrics._distances import GroupScores, group_scores
from fairgroup.metrics._group_metrics import group_metrics
from fairgroup.metrics._labels import encode_labels, is_continuous, positive_class

KINDS = ("auto", "labels", "mean", "ks")


def demographic_parity_gap(
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    kind: str = "auto",
    method: str = "between_groups",
    pos_label: Any = None,
    encoder: GroupEncoder | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Largest difference between groups in what is predicted, whatever the true labels.

    Parameters
    ----------
    y_pred : array-like of shape (n_samples,)
        Predicted labels, or scores.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), or frame
        Protected attributes; the groups are the intersections that occur.
    kind : {"auto", "labels", "mean", "ks"}, default="auto"
        "labels": difference of selection rates (with three or more labels and no `pos_label`, of
        the worst label). "mean": difference of mean scores. "ks": largest difference of the
        distribution functions, that is of the selection rates at the worst threshold. "auto":
        "labels" for labels, an error for scores, where the choice matters.
    method : {"between_groups", "to_overall"}, default="between_groups"
        Two groups that are farthest apart, or the group farthest from all rows.
    pos_label : object, default=None
        The positive label, where it is not 1 or True.
    encoder : GroupEncoder or None, default=None
        How groups are formed.
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights.

    Returns
    -------
    gap : float
        0 for parity; NaN for a single group.

    Examples
    --------
    >>> from fairgroup.metrics import demographic_parity_gap
    >>> demographic_parity_gap([1, 1, 0, 0], ["a", "a", "b", "b"])
    1.0
    >>> round(demographic_parity_gap([0.2, 0.4, 0.4, 0.6], ["a", "a", "b", "b"], kind="mean"), 6)
    0.2
    """
    if _resolve(kind, y_pred) == "labels":
        result = group_metrics(
            y_pred,
            y_pred,
            sensitive_features=sensitive_features,
            metrics="selection_rate",
            sample_weight=sample_weight,
            pos_label=pos_label,
            encoder=encoder,
        )
        return float(result.gaps(method)["demographic_parity_difference"])
    groups = group_scores(y_pred, sensitive_features, encoder=encoder, sample_weight=sample_weight)
    return _score_gap(groups, kind, method)


def equal_opportunity_gap(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    kind: str = "auto",
    method: str = "between_groups",
    pos_label: Any = None,
    encoder: GroupEncoder | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Largest difference between groups in what is predicted for rows with the positive label.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_pred : array-like of shape (n_samples,)
        Predicted labels, or scores.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), or frame
        Protected attributes; the groups are the intersections that occur.
    kind : {"auto", "labels", "mean", "ks"}, default="auto"
        What is compared, as in :func:`demographic_parity_gap`.
    method : {"between_groups", "to_overall"}, default="between_groups"
        Two groups that are farthest apart, or the group farthest from all rows.
    pos_label : object, default=None
        The positive label, where it is not 1 or True.
    encoder : GroupEncoder or None, default=None
        How groups are formed.
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights.

    Returns
    -------
    gap : float
        For labels the difference of true positive rates. NaN for fewer than two groups with
        positives.

    Examples
    --------
    >>> from fairgroup.metrics import equal_opportunity_gap
    >>> equal_opportunity_gap([1, 1, 1, 1], [1, 1, 1, 0], ["a", "a", "b", "b"])
    0.5
    """
    kind = _resolve(kind, y_pred)
    options = {"pos_label": pos_label, "encoder": encoder, "sample_weight": sample_weight}
    if kind == "labels":
        return _label_gap("equal_opportunity", y_true, y_pred, sensitive_features, method, options)
    classes, (codes,) = encode_labels(("y_true", y_true))
    _, positive = positive_class(classes, pos_label)
    if positive is None:
        raise ValueError(
            f"y_true has {len(classes)} labels; pass pos_label to say which one counts."
        )
    return _conditional_gap(y_pred, sensitive_features, [codes == positive], kind, method, options)


def equalized_odds_gap(
    y_true: ArrayLike,
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    kind: str = "auto",
    method: str = "between_groups",
    pos_label: Any = None,
    encoder: GroupEncoder | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Largest difference between groups in what is predicted for rows with equal true label.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels.
    y_pred : array-like of shape (n_samples,)
        Predicted labels, or scores.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), or frame
        Protected attributes; the groups are the intersections that occur.
    kind : {"auto", "labels", "mean", "ks"}, default="auto"
        What is compared, as in :func:`demographic_parity_gap`.
    method : {"between_groups", "to_overall"}, default="between_groups"
        Two groups that are farthest apart, or the group farthest from all rows.
    pos_label : object, default=None
        The positive label, where it is not 1 or True.
    encoder : GroupEncoder or None, default=None
        How groups are formed.
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights.

    Returns
    -------
    gap : float
        For labels the larger of the differences of true and of false positive rates; for scores
        the largest gap within a true label. NaN, never 0, where one of them cannot be compared.

    Examples
    --------
    >>> from fairgroup.metrics import equalized_odds_gap
    >>> equalized_odds_gap([1, 0, 1, 0], [1, 0, 1, 1], ["a", "a", "b", "b"])
    1.0
    """
    kind = _resolve(kind, y_pred)
    options = {"pos_label": pos_label, "encoder": encoder, "sample_weight": sample_weight}
    if kind == "labels":
        return _label_gap("equalized_odds", y_true, y_pred, sensitive_features, method, options)
    classes, (codes,) = encode_labels(("y_true", y_true))
    rows = [codes == k for k in range(len(classes))]
    return _conditional_gap(y_pred, sensitive_features, rows, kind, method, options)


def _resolve(kind: str, y_pred: Any) -> str:
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r}; expected one of {list(KINDS)}.")
    if kind != "auto":
        return kind
    if is_continuous(y_pred, "y_pred"):
        raise ValueError(
            "y_pred holds scores, not labels. Choose kind='mean' (difference of means) or "
            "kind='ks' (worst threshold), or threshold the scores first."
        )
    return "labels"


def _label_gap(
    notion: str,
    y_true: Any,
    y_pred: Any,
    sensitive_features: Any,
    method: str,
    options: dict[str, Any],
) -> float:
    name = f"{notion}_difference"
    result = group_metrics(
        y_true, y_pred, sensitive_features=sensitive_features, metrics=name, **options
    )
    return float(result.gaps(method)[name])


def _conditional_gap(
    y_pred: Any,
    sensitive_features: Any,
    row_sets: list[NDArray[np.bool_]],
    kind: str,
    method: str,
    options: dict[str, Any],
) -> float:
    keep = {name: options[name] for name in ("encoder", "sample_weight")}
    gaps = [
        _score_gap(group_scores(y_pred, sensitive_features, rows=rows, **keep), kind, method)
        for rows in row_sets
    ]
    return float(np.max(gaps))  # NaN where one of them is


def _score_gap(groups: GroupScores, kind: str, method: str) -> float:
    if method not in ("between_groups", "to_overall"):
        raise ValueError(f"method={method!r}; expected 'between_groups' or 'to_overall'.")
    if len(groups.sizes) < 2:
        return float("nan")
    if kind == "ks":
        return _kolmogorov_smirnov(groups, method)
    if method == "between_groups":
        return float(np.ptp(groups.means))
    overall = groups.weights @ groups.scores / groups.weights.sum()
    return float(np.abs(groups.means - overall).max())


def _kolmogorov_smirnov(groups: GroupScores, method: str) -> float:
    """Return the largest vertical distance of the groups' distribution functions, at any score."""
    levels, position = np.unique(groups.scores, return_inverse=True)
    low, high = np.ones(len(levels)), np.zeros(len(levels))
    overall = np.cumsum(np.bincount(position, groups.weights)) / groups.weights.sum()
    farthest = 0.0
    for start, stop in zip(groups.bounds[:-1], groups.bounds[1:], strict=True):
        rows = slice(start, stop)
        cdf = np.cumsum(np.bincount(position[rows], groups.weights[rows], len(levels)))
        cdf = cdf / cdf[-1]
        np.minimum(low, cdf, out=low)
        np.maximum(high, cdf, out=high)
        farthest = max(farthest, float(np.abs(cdf - overall).max()))
    return float((high - low).max()) if method == "between_groups" else farthest
