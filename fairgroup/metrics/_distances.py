"""Distances between the groups' score distributions.

Jensen-Shannon divergence and variance-ratio unfairness follow the motor insurance study that
accompanies Lee, Antonio, Avanzi, Marchi and Zhou (2025), arXiv 2509.08163; Wasserstein distances
come from the quantile functions.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairgroup.groups import GroupEncoder
from fairgroup.metrics._labels import as_numbers
from fairgroup.metrics._layout import encode
from fairgroup.utils._validation import check_weights

Array = NDArray[np.float64]
# More scores than this are spread over as many lattice points before the kernel density is
# evaluated.
_LATTICE = 16_384
_BLOCK = 4_000_000


@dataclass(frozen=True)
class GroupScores:
    """Scores sorted by group, then by value; rows in no group are left out."""

    scores: Array
    weights: Array
    bounds: NDArray[np.intp]

    @property
    def sizes(self) -> Array:
        """Weight of each group."""
        return np.add.reduceat(self.weights, self.bounds[:-1])

    @property
    def means(self) -> Array:
        """Mean score of each group."""
        return np.add.reduceat(self.weights * self.scores, self.bounds[:-1]) / self.sizes

    def __iter__(self) -> Iterator[tuple[Array, Array]]:
        """Yield each group's scores and weights."""
        for start, stop in itertools.pairwise(self.bounds):
            yield self.scores[start:stop], self.weights[start:stop]


def group_scores(
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    encoder: GroupEncoder | None = None,
    sample_weight: ArrayLike | None = None,
    rows: NDArray[np.bool_] | None = None,
) -> GroupScores:
    """Split scores by the groups that occur (with positive weight)."""
    scores = as_numbers(y_pred, "y_pred")
    weights = check_weights(sample_weight, len(scores))
    groups = encode(sensitive_features, encoder, len(scores), "sensitive_features")
    if groups.codes.ndim > 1:
        raise ValueError(
            "Groups overlap (the encoder has intersections=False); pass one attribute at a time."
        )
    kept = (groups.codes >= 0) & (weights > 0)
    if rows is not None:
        kept &= rows
    codes, scores, weights = groups.codes[kept], scores[kept], weights[kept]
    if not len(scores):
        raise ValueError("No row is left that belongs to a group; there is nothing to compare.")
    order = np.lexsort((scores, codes))
    codes = codes[order]
    starts = np.flatnonzero(np.r_[True, codes[1:] != codes[:-1]])
    return GroupScores(scores[order], weights[order], np.append(starts, len(codes)))


def js_divergence(
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    estimator: str = "kde",
    bandwidth: float | str = 0.15,
    grid_size: int = 1000,
    base: float = 2,
    weights: str = "proportion",
    encoder: GroupEncoder | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Jensen-Shannon divergence between the groups' distributions of scores.

    Each group's density is estimated on a common grid from the smallest to the largest score and
    normalised to sum one; the result is the entropy of the mixture minus the mean entropy of the
    groups.

    Parameters
    ----------
    y_pred : array-like of shape (n_samples,)
        Scores, probabilities or numeric predictions.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), or frame
        Protected attributes; the groups are the intersections that occur.
    estimator : {"kde", "histogram"}, default="kde"
        Gaussian kernel density on the grid, or shares of `grid_size` equal bins.
    bandwidth : float, "scott" or "silverman", default=0.15
        Standard deviation of the kernel in units of `y_pred`, or a rule applied to each group.
        0.15 is the value of the study and coarse for predictions that are themselves small; the
        divergence is comparable between models only at equal bandwidth.
    grid_size : int, default=1000
        Number of grid points (bins).
    base : float, default=2
        Base of the logarithm; 2 gives bits.
    weights : {"proportion", "equal"}, default="proportion"
        Weight of each group in the mixture: its share of the rows, or 1 / n_groups.
    encoder : GroupEncoder or None, default=None
        How groups are formed.
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights, e.g. exposure.

    Returns
    -------
    divergence : float
        From 0 (equal distributions) to the entropy of the group weights.

    References
    ----------
    Lee, Antonio, Avanzi, Marchi, Zhou (2025), arXiv 2509.08163, and the study's public code:
    probabilities below 1e-10 are set to 1e-10 inside the logarithm and before it.

    Examples
    --------
    >>> from fairgroup.metrics import js_divergence
    >>> round(js_divergence([0.1, 0.2, 0.8, 0.9], ["a", "a", "b", "b"], bandwidth=0.05), 3)
    1.0
    """
    _check_choice("estimator", estimator, ("kde", "histogram"))
    groups = group_scores(y_pred, sensitive_features, encoder=encoder, sample_weight=sample_weight)
    low, high = groups.scores.min(), groups.scores.max()
    if low == high:
        return 0.0
    if estimator == "kde":
        density = _kernel_densities(groups, np.linspace(low, high, grid_size), bandwidth)
    else:
        edges = np.linspace(low, high, grid_size + 1)
        density = np.array([np.histogram(s, bins=edges, weights=w)[0] for s, w in groups])
    density /= density.sum(axis=1, keepdims=True)
    share = _group_shares(groups, weights)
    return float(_entropy(share @ density, base) - share @ _entropy(density, base))


def variance_ratio_unfairness(
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    weights: str = "equal",
    encoder: GroupEncoder | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Variance of the groups' mean predictions relative to the variance of the predictions (UF).

    Parameters
    ----------
    y_pred : array-like of shape (n_samples,)
        Scores, probabilities or numeric predictions.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), or frame
        Protected attributes; the groups are the intersections that occur.
    weights : {"equal", "proportion"}, default="equal"
        "equal": sample variance (divisor n - 1) of the unweighted group means over the sample
        variance of the predictions, as published. "proportion": the share of the variance that
        lies between groups (the squared correlation ratio, 0 to 1), in which small groups count
        little.
    encoder : GroupEncoder or None, default=None
        How groups are formed.
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights.

    Returns
    -------
    ratio : float
        0 for equal means; NaN for a single group with "equal"; 0 for constant predictions.

    References
    ----------
    Lee, Antonio, Avanzi, Marchi, Zhou (2025), arXiv 2509.08163, and the study's public code.

    Examples
    --------
    >>> from fairgroup.metrics import variance_ratio_unfairness
    >>> round(variance_ratio_unfairness([0, 1, 1, 2], ["a", "a", "b", "b"]), 6)
    0.75
    """
    _check_choice("weights", weights, ("equal", "proportion"))
    groups = group_scores(y_pred, sensitive_features, encoder=encoder, sample_weight=sample_weight)
    total = groups.weights.sum()
    mean = groups.weights @ groups.scores / total
    spread = float(groups.weights @ (groups.scores - mean) ** 2)
    if spread == 0.0:
        return 0.0
    if weights == "proportion":
        return float(groups.sizes @ (groups.means - mean) ** 2) / spread
    if len(groups.sizes) < 2:
        return float("nan")
    divisor = total - 1 if sample_weight is None else total
    return float(groups.means.var(ddof=1) / (spread / divisor))


def wasserstein_gap(
    y_pred: ArrayLike,
    sensitive_features: Any,
    *,
    order: float = 1,
    method: str = "between_groups",
    encoder: GroupEncoder | None = None,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Largest Wasserstein distance between the groups' distributions of scores.

    Parameters
    ----------
    y_pred : array-like of shape (n_samples,)
        Scores, probabilities or numeric predictions.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), or frame
        Protected attributes; the groups are the intersections that occur.
    order : float, default=1
        The order p >= 1 of the distance.
    method : {"between_groups", "to_overall"}, default="between_groups"
        The largest distance of two groups, or of a group to the distribution of all rows.
    encoder : GroupEncoder or None, default=None
        How groups are formed.
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights.

    Returns
    -------
    distance : float
        In units of `y_pred`; NaN for a single group.

    Examples
    --------
    >>> from fairgroup.metrics import wasserstein_gap
    >>> round(wasserstein_gap([0.1, 0.3, 0.4, 0.6], ["a", "a", "b", "b"]), 6)
    0.3
    """
    _check_choice("method", method, ("between_groups", "to_overall"))
    if order < 1:
        raise ValueError(f"order={order!r}; expected a number, at least 1.")
    groups = group_scores(y_pred, sensitive_features, encoder=encoder, sample_weight=sample_weight)
    parts = list(groups)
    if len(parts) < 2:
        return float("nan")
    if method == "between_groups":
        pairs = list(itertools.combinations(parts, 2))
    else:
        everyone = np.argsort(groups.scores)
        pairs = [(part, (groups.scores[everyone], groups.weights[everyone])) for part in parts]
    return max(wasserstein_distance(*a, *b, order=order) for a, b in pairs)


def wasserstein_distance(
    a: Array, a_weight: Array, b: Array, b_weight: Array, *, order: float
) -> float:
    """Wasserstein distance of two sorted, weighted samples, from their quantile functions."""
    a_cdf, b_cdf = np.cumsum(a_weight), np.cumsum(b_weight)
    a_cdf, b_cdf = a_cdf / a_cdf[-1], b_cdf / b_cdf[-1]
    levels = np.union1d(a_cdf, b_cdf)
    widths = np.diff(levels, prepend=0.0)
    middles = levels - 0.5 * widths
    a_quantile = a[np.searchsorted(a_cdf, middles).clip(max=len(a) - 1)]
    b_quantile = b[np.searchsorted(b_cdf, middles).clip(max=len(b) - 1)]
    return float(widths @ np.abs(a_quantile - b_quantile) ** order) ** (1.0 / order)


def _kernel_densities(groups: GroupScores, grid: Array, bandwidth: float | str) -> Array:
    """Return each group's kernel density on the grid, (n_groups, n_grid), up to a factor."""
    if isinstance(bandwidth, str):
        _check_choice("bandwidth", bandwidth, ("scott", "silverman"))
        widths = [_rule_of_thumb(s, w, bandwidth) for s, w in groups]
        return np.array(
            [_kernel_sum(s, w, grid, h) for (s, w), h in zip(groups, widths, strict=True)]
        )
    if not bandwidth > 0:
        raise ValueError(
            f"bandwidth={bandwidth!r}; expected a positive number, 'scott' or 'silverman'."
        )
    spacing = (grid[-1] - grid[0]) / (_LATTICE - 1)
    if (
        len(groups.scores) > 2 * _LATTICE and spacing < bandwidth / 1000
    ):  # relative error below 1e-6
        lattice = np.linspace(grid[0], grid[-1], _LATTICE)
        spread = np.array([_spread(s, w, grid[0], spacing) for s, w in groups])
        return _kernel_sum(lattice, spread.T, grid, bandwidth).T
    return np.array([_kernel_sum(s, w, grid, bandwidth) for s, w in groups])


def _kernel_sum(points: Array, weights: Array, grid: Array, bandwidth: float) -> Array:
    """Sum Gaussian kernels at `points`; `weights` has the shape (n_points,) or (n_points, k)."""
    out = np.zeros((len(grid), *weights.shape[1:]))
    step = max(_BLOCK // len(grid), 1)
    for start in range(0, len(points), step):
        block = slice(start, start + step)
        kernel = np.exp(-0.5 * ((grid[:, None] - points[None, block]) / bandwidth) ** 2)
        out += kernel @ weights[block]
    return out


def _spread(scores: Array, weights: Array, low: float, spacing: float) -> Array:
    """Share each score between its two neighbouring lattice points."""
    position = (scores - low) / spacing
    left = np.minimum(position.astype(np.intp), _LATTICE - 2)
    right_share = (position - left) * weights
    lattice = np.zeros(_LATTICE)
    lattice += np.bincount(left, weights - right_share, _LATTICE)
    lattice += np.bincount(left + 1, right_share, _LATTICE)
    return lattice


def _rule_of_thumb(scores: Array, weights: Array, rule: str) -> float:
    total = weights.sum()
    size = total**2 / (weights @ weights)  # the effective number of rows
    mean = weights @ scores / total
    deviation = np.sqrt(weights @ (scores - mean) ** 2 / total * size / max(size - 1, 1))
    factor = size**-0.2 if rule == "scott" else (size * 0.75) ** -0.2
    if not deviation > 0:
        raise ValueError(
            f"bandwidth={rule!r} needs scores that vary in every group; pass a number instead."
        )
    return float(factor * deviation)


def _group_shares(groups: GroupScores, weights: str) -> Array:
    _check_choice("weights", weights, ("proportion", "equal"))
    sizes = groups.sizes if weights == "proportion" else np.ones(len(groups.sizes))
    return sizes / sizes.sum()


def _entropy(density: Array, base: float) -> Array:
    clipped = np.maximum(density, 1e-10)
    return -(clipped * np.log(clipped)).sum(axis=-1) / np.log(base)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        raise ValueError(f"{name}={value!r}; expected one of {list(choices)}.")
