"""Impression variance, coverage and the noise floor: how far the audience reached is from the
eligible one.

Sections 1 and 2.2 of our design; the settlement's targets are those of the DOJ press release of 9
January 2023.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import sparse
from scipy.special import ndtr
from sklearn.exceptions import UndefinedMetricWarning

from fairgroup.exceptions import FairgroupWarning
from fairgroup.utils._validation import as_generator

Floats = NDArray[np.float64]

TIE = 1e-12  # slack when a variance is compared with a threshold
_CHUNK = 65_536  # items per pass; keeps the temporaries in the cache


def impression_variance(
    counts: ArrayLike, eligible: ArrayLike, *, ordered: bool = False
) -> Floats:
    r"""Distance between the audience that saw each item and the audience eligible for it.

    Half the L1 distance of the two distributions: the smallest share of impressions that would
    have to go to another level. With ``ordered=True`` moving between neighbouring levels costs
    less: the earth mover's distance with ground distance \\|i - j\\| / (n_levels - 1).

    Parameters
    ----------
    counts : array-like or sparse matrix of shape (n_items, n_levels)
        Impressions (or users reached, see `unique_user_counts`) of each level, not negative.
        Triples of item, level and count are given as ``scipy.sparse.coo_array((count, (item,
        level)), shape=...)``; repeated ones add up.
    eligible : array-like of shape (n_levels,) or (n_items, n_levels)
        Eligible distribution; each row sums to one.
    ordered : bool, default=False
        Whether the levels are in order (age bands).

    Returns
    -------
    variance : ndarray of shape (n_items,)
        Between 0 and 1; NaN for an item without impressions.

    Raises
    ------
    ValueError
        For negative or non-finite counts or shares, and for shapes that do not fit.

    References
    ----------
    Timmaraju et al., "Towards Fairness in Personalized Ads Using Impression Variance Aware
    Reinforcement Learning", KDD 2023 (the term; the formula is the total variation that
    independent descriptions of the system use).

    Examples
    --------
    >>> from fairgroup.ranking import impression_variance
    >>> impression_variance([[400, 100], [50, 50]], [0.5, 0.5])
    array([0.3, 0. ])
    """
    counts = _as_counts(counts)
    return _variances(counts, as_shares(eligible, counts.shape), ordered)


def coverage_score(
    counts: ArrayLike,
    eligible: ArrayLike,
    *,
    threshold: float = 0.10,
    min_impressions: int = 300,
    weight: str = "ads",
    ordered: bool = False,
) -> float:
    """Share of items whose impression variance is at most a threshold.

    Parameters
    ----------
    counts : array-like or sparse matrix of shape (n_items, n_levels)
        Impressions of each level.
    eligible : array-like of shape (n_levels,) or (n_items, n_levels)
        Eligible distribution.
    threshold : float, default=0.10
        Largest variance that counts as covered; ties count (within 1e-12).
    min_impressions : int, default=300
        Only items with more impressions than this take part.
    weight : {"ads", "impressions"}, default="ads"
        Count every item once, or by its impressions.
    ordered : bool, default=False
        Use the ordered variance.

    Returns
    -------
    coverage : float
        NaN, with an ``UndefinedMetricWarning``, when no item has enough impressions.

    Examples
    --------
    >>> from fairgroup.ranking import coverage_score
    >>> coverage_score([[300, 300], [400, 100], [10, 0]], [0.5, 0.5])
    0.5
    """
    if weight not in ("ads", "impressions"):
        raise ValueError(f"weight must be 'ads' or 'impressions', found {weight!r}.")
    counts = _as_counts(counts)
    total = counts.sum(axis=1)
    enough = total > min_impressions
    if not enough.any():
        warnings.warn(
            f"No item has more than {min_impressions} impressions; coverage is undefined.",
            UndefinedMetricWarning,
            stacklevel=2,
        )
        return float("nan")
    variance = _variances(counts, as_shares(eligible, counts.shape), ordered)
    covered = variance[enough] <= threshold + TIE
    return float(np.average(covered, weights=total[enough] if weight == "impressions" else None))


def unique_user_counts(
    item: ArrayLike, user: ArrayLike, level: ArrayLike, *, n_items: int, n_levels: int
) -> Floats:
    """Number of different users of each level that every item reached.

    An item shown a hundred times to one person can look balanced when impressions are counted;
    counts of users go into `impression_variance` and `coverage_score` in the same way.

    Parameters
    ----------
    item : array-like of int of shape (n_impressions,)
        Item of each impression, 0 to n_items - 1.
    user : array-like of int of shape (n_impressions,)
        Any integer identity of the user.
    level : array-like of int of shape (n_impressions,)
        Level of the user, 0 to n_levels - 1.
    n_items, n_levels : int
        Shape of the result.

    Returns
    -------
    counts : ndarray of shape (n_items, n_levels)

    Examples
    --------
    >>> from fairgroup.ranking import unique_user_counts
    >>> unique_user_counts([0, 0, 0], [7, 7, 8], [0, 0, 1], n_items=1, n_levels=2)
    array([[1., 1.]])
    """
    item, level = np.asarray(item, dtype=np.int64), np.asarray(level, dtype=np.int64)
    users, codes = np.unique(np.asarray(user, dtype=np.int64), return_inverse=True)
    if not item.shape == codes.shape == level.shape:
        raise ValueError(
            "item, user and level must have the same length; found shapes "
            f"{item.shape}, {codes.shape} and {level.shape}."
        )
    if item.size and (
        item.min() < 0 or item.max() >= n_items or level.min() < 0 or level.max() >= n_levels
    ):
        raise ValueError(f"item must lie in 0..{n_items - 1} and level in 0..{n_levels - 1}.")
    first = np.unique(item * max(users.size, 1) + codes, return_index=True)[1]
    cell = item[first] * n_levels + level[first]
    return (
        np.bincount(cell, minlength=n_items * n_levels)
        .astype(np.float64)
        .reshape(n_items, n_levels)
    )


def expected_variance(
    eligible: ArrayLike, n: ArrayLike, *, gap: ArrayLike | None = None, noise_var: ArrayLike = 0.0
) -> Any:
    """Impression variance to expect from sampling and privacy noise alone, or on top of a true
    gap.

    This is the noise floor: with few impressions or strong noise, even perfectly proportional
    delivery looks skewed.

    Parameters
    ----------
    eligible : array-like of shape (n_levels,) or (n_items, n_levels)
        Eligible distribution.
    n : array-like of shape () or (n_items,)
        Impressions.
    gap : array-like of shape (n_levels,) or (n_items, n_levels), default=None
        True delivery share minus eligible share; None is perfect delivery.
    noise_var : array-like of shape () or (n_items,), default=0.0
        Variance of the noise in each count, see ``NoisyCounter.noise_variance``.

    Returns
    -------
    expected : float or ndarray of shape (n_items,)
        Normal approximation: within 1 % of simulation from 300 impressions on without noise. It is
        of no use when n_levels times the noise's standard deviation is of the order of n.

    Examples
    --------
    >>> from fairgroup.ranking import expected_variance
    >>> round(expected_variance([0.6, 0.19, 0.13, 0.08], 300), 6)
    0.034314
    """
    e = np.asarray(eligible, dtype=np.float64)
    e = as_shares(e, (1, e.shape[-1]) if e.ndim == 1 else e.shape, copy=False)
    total = np.asarray(n, dtype=np.float64)[..., None]
    noise = np.asarray(noise_var, dtype=np.float64)[..., None]
    spread = e * (1 - e) / total + noise * (1 - 2 * e + e.shape[-1] * e**2) / total**2
    s = np.sqrt(np.maximum(spread, 1e-300))
    mu = np.zeros_like(e) if gap is None else np.asarray(gap, dtype=np.float64)
    t = mu / s
    folded = s * np.sqrt(2 / np.pi) * np.exp(-0.5 * t**2) + mu * (1 - 2 * ndtr(-t))
    result = 0.5 * folded.sum(axis=-1)
    scalar = (
        np.ndim(eligible) == 1 and np.ndim(n) == 0 and np.ndim(noise_var) == 0 and np.ndim(mu) <= 2
    )
    return float(result.reshape(-1)[0]) if scalar and result.size == 1 else result


def variance_interval(
    counts: ArrayLike,
    eligible: ArrayLike,
    *,
    noise_var: ArrayLike = 0.0,
    level: float = 0.95,
    n_bootstrap: int = 1000,
    random_state: Any = None,
) -> tuple[Floats, Floats, Floats]:
    """Impression variance corrected for its upward bias, with an interval.

    The estimate is the smallest variance whose expectation, for a gap in the observed direction,
    equals the observed one. The interval holds the variances for which the observed one lies
    between the bootstrap quantiles (multinomial delivery plus normal noise of the given variance).

    Parameters
    ----------
    counts : array-like or sparse matrix of shape (n_items, n_levels)
        Impressions or released counts; negative ones are set to zero.
    eligible : array-like of shape (n_levels,) or (n_items, n_levels)
        Eligible distribution.
    noise_var : array-like of shape () or (n_items,), default=0.0
        Variance of the noise in each count.
    level : float, default=0.95
        Confidence level.
    n_bootstrap : int, default=1000
        Number of draws per item.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of the draws.

    Returns
    -------
    estimate, lower, upper : ndarray of shape (n_items,)
        NaN for items without impressions.

    Examples
    --------
    >>> from fairgroup.ranking import variance_interval
    >>> estimate, lower, upper = variance_interval([[260, 240]], [0.5, 0.5], random_state=0)
    >>> bool(estimate[0] < 0.02), bool(lower[0] == 0)
    (True, True)
    """
    if not 0 < level < 1:
        raise ValueError(f"level must lie between 0 and 1, found {level}.")
    n = np.maximum(_as_counts(counts, signed=True), 0.0)
    e = as_shares(eligible, n.shape)
    total = n.sum(axis=1)
    safe = _positive(total)
    gap = np.where(total[:, None] > 0, n / safe[:, None] - e, 0.0)
    observed = 0.5 * np.abs(gap).sum(axis=1)
    noise = np.broadcast_to(np.asarray(noise_var, dtype=np.float64), total.shape)
    estimate = observed * _corrected_scale(e, safe, gap, noise, observed)
    lower, upper = _invert_bootstrap(
        e, total, gap, noise, observed, level, n_bootstrap, random_state
    )
    for values in (estimate, lower, upper):
        values[total == 0] = np.nan
    return estimate, np.minimum(lower, estimate), np.maximum(upper, estimate)


def _variances(counts: Floats, eligible: Floats, ordered: bool) -> Floats:
    """Impression variances of checked input, in chunks."""
    out = np.empty(len(counts))
    for rows, n, share in _chunks(counts, eligible):
        gap = n / _positive(n.sum(axis=1))[:, None]
        gap -= share
        if ordered and n.shape[1] > 1:
            gap = np.cumsum(gap, axis=1)[:, :-1]
            scale = 1.0 / (n.shape[1] - 1)
        else:
            scale = 0.5
        out[rows] = scale * np.einsum("ij->i", np.abs(gap, out=gap))
    return out


def _corrected_scale(e: Floats, n: Floats, gap: Floats, noise: Floats, observed: Floats) -> Floats:
    """Smallest s in [0, 1] for which the expected variance of s * gap reaches the observed."""
    low, high = np.zeros(len(n)), np.ones(len(n))
    low_enough = expected_variance(e, n, gap=0 * gap, noise_var=noise) >= observed
    for _ in range(50):
        middle = (low + high) / 2
        above = expected_variance(e, n, gap=middle[:, None] * gap, noise_var=noise) >= observed
        high, low = np.where(above, middle, high), np.where(above, low, middle)
    return np.where(low_enough, 0.0, high)


def _invert_bootstrap(
    e: Floats,
    total: Floats,
    gap: Floats,
    noise: Floats,
    observed: Floats,
    level: float,
    n_draws: int,
    random_state: Any,
) -> tuple[Floats, Floats]:
    """Ends of the range of variances whose bootstrap quantiles contain the observed one."""
    rng = as_generator(random_state)
    tails = ((1 - level) / 2, (1 + level) / 2)
    lower, upper = np.empty(len(total)), np.empty(len(total))
    for i in range(len(total)):
        if total[i] == 0 or observed[i] == 0:
            lower[i], upper[i] = 0.0, _zero_gap_upper(total[i], level)
            continue
        # a scale may exceed 1 as long as the shares stay on the simplex
        with np.errstate(divide="ignore", invalid="ignore"):
            most = np.nanmin(np.where(gap[i] < 0, -e[i] / gap[i], np.inf))
        scales = np.linspace(0.0, min(most, 1.0 + 8.0 / (np.sqrt(total[i]) * observed[i])), 61)
        shares = np.clip(e[i] + scales[:, None] * gap[i], 0.0, None)
        shares /= shares.sum(axis=1, keepdims=True)
        drawn = rng.multinomial(round(total[i]), shares, size=(n_draws, len(scales))).astype(
            np.float64
        )
        if noise[i] > 0:
            drawn += rng.standard_normal(drawn.shape) * np.sqrt(noise[i])
            np.maximum(drawn, 0.0, out=drawn)
        drawn /= _positive(drawn.sum(axis=2))[..., None]
        seen = 0.5 * np.abs(drawn - e[i]).sum(axis=2)
        bottom, top = np.quantile(seen, tails, axis=0)
        # both quantiles rise with the scale: the interval ends where they cross the observed one
        ends = (
            np.interp(observed[i], np.maximum.accumulate(edge), scales) for edge in (top, bottom)
        )
        lower[i], upper[i] = (min(scale * observed[i], 1.0) for scale in ends)
    return lower, upper


def _zero_gap_upper(total: float, level: float) -> float:
    """Upper end when no gap at all is seen: the rule of three, for any level."""
    return 1.0 if total == 0 else float(min(1.0, -np.log((1 - level) / 2) / total))


def _as_counts(counts: Any, *, signed: bool = False) -> Floats:
    """Dense (n_items, n_levels) float64 counts; a sparse input's duplicates add up."""
    if sparse.issparse(counts):
        coo = counts.tocoo()
        shape = coo.shape
        cells = coo.row.astype(np.int64) * shape[1] + coo.col
        array = np.bincount(cells, weights=coo.data, minlength=shape[0] * shape[1]).reshape(shape)
    else:
        array = np.asarray(counts, dtype=np.float64)
    if array.ndim != 2 or array.shape[1] == 0:
        raise ValueError(f"counts must have shape (n_items, n_levels), found {array.shape}.")
    lowest = array.min(initial=0.0)
    if not (signed or lowest >= 0) or not np.isfinite(array.sum()):
        raise ValueError(f"counts must be finite and not negative; the smallest is {lowest}.")
    return array


def as_shares(
    shares: ArrayLike, shape: tuple[int, ...], *, name: str = "eligible", copy: bool = True
) -> Floats:
    """Check distributions over levels and make them sum to one; a (n_levels,) one is broadcast to
    ``shape``.

    Raises
    ------
    ValueError
        For negative or non-finite shares, or a shape that does not fit.
    """
    array = np.asarray(shares, dtype=np.float64)
    if array.shape not in (tuple(shape), tuple(shape)[-1:]):
        raise ValueError(
            f"{name} has shape {array.shape}; expected {shape[-1:]} or {tuple(shape)}."
        )
    total = array.sum(axis=-1, keepdims=True)
    if array.size and (
        not array.min() >= 0 or not np.isfinite(total.sum()) or not total.min() > 0
    ):
        raise ValueError(f"{name} must hold finite shares >= 0 with a positive sum.")
    off = np.abs(total - 1).max(initial=0.0)
    if off > 1e-6:
        if off > 1e-3:
            warnings.warn(
                f"{name} sums to {float(total.flat[np.abs(total - 1).argmax()]):.4g}, not 1; "
                "it is normalised.",
                FairgroupWarning,
                stacklevel=3,
            )
        array = array / total
    return np.broadcast_to(array, shape) if copy else array


def _chunks(counts: Floats, eligible: Floats) -> Iterator[tuple[slice, Floats, Floats]]:
    for start in range(0, len(counts), _CHUNK):
        rows = slice(start, start + _CHUNK)
        yield rows, counts[rows], eligible[rows]


def _positive(total: Floats) -> Floats:
    """The totals, NaN-making zero kept for metrics by dividing 0 by 0 quietly."""
    return np.where(total > 0, total, np.nan)
