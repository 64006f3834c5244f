"""Bias, tests and intervals of the terms of a decomposition, from the table alone.

A table of N rows is a multinomial draw, so a bootstrap sample of the rows is a multinomial sample
of the table and the delete-one values of the jackknife depend only on the cell of the deleted row:
no rows are needed and all samples are decomposed in one batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import chi2, norm

from fairgroup.information._measures import information, normalise

__all__ = [
    "Jackknife",
    "bootstrap_tables",
    "intervals",
    "jackknife",
    "miller_madow",
    "parity_split",
    "test_of_no_disparity",
]

Array = NDArray[np.float64]
# Tables of a bootstrap are decomposed in chunks of at most this many cells.
_CHUNK_CELLS = 20_000_000


def parity_split(joint: Array) -> Array:
    """Split the difference of decisions between each group and the rest like the information.

    With the total variation distance between the law of X in a group and in the rest, TV(X):
    unique is the excess of TV(prediction) over TV(client), redundant the smaller of both, masked
    what the pair tells beyond the larger.

    Parameters
    ----------
    joint : ndarray of shape (p, m, k, n)
        Probabilities.

    Returns
    -------
    split : ndarray of shape (p, m, 5)
        Per group: unique, redundant, masked, global, local (in the order of the decomposition);
        differences of probabilities, 0 to 1, NaN for a group that is absent or alone.
    """
    p, m, k, n = joint.shape
    pair = _variation(joint.reshape(p, m, k * n))
    prediction, client = _variation(joint.sum(3)), _variation(joint.sum(2))
    unique = np.maximum(prediction - client, 0.0)
    masked = np.maximum(pair - np.maximum(prediction, client), 0.0)
    return np.stack([unique, prediction - unique, masked, prediction, unique + masked], axis=2)


def _variation(joint: Array) -> Array:
    """Total variation distance between each group's law and that of the other groups, (p, m)."""
    mass = joint.sum(2)
    rest_mass = mass.sum(1, keepdims=True) - mass
    rest = joint.sum(1, keepdims=True) - joint
    some = (mass > 0) & (rest_mass > 1e-15)
    inside = joint / np.where(some, mass, 1.0)[..., None]
    outside = rest / np.where(some, rest_mass, 1.0)[..., None]
    return np.where(some, 0.5 * np.abs(inside - outside).sum(2), np.nan)


def bootstrap_tables(
    table: Array, n_bootstrap: int, rng: np.random.Generator, *, stratified: bool
) -> list[Array]:
    """Multinomial samples of a table of counts, in chunks (p, m, k, n).

    Parameters
    ----------
    table : ndarray of shape (m, k, n)
        Counts.
    n_bootstrap : int
        Number of samples.
    rng : numpy Generator
        Source of randomness.
    stratified : bool
        Keep the number of rows of every client (last axis).

    Returns
    -------
    tables : list of ndarrays
    """
    m, k, n = table.shape
    if stratified:
        draws = np.stack(
            [_multinomial(table[:, :, s].ravel(), n_bootstrap, rng) for s in range(n)], axis=2
        )
    else:
        draws = _multinomial(table.ravel(), n_bootstrap, rng)
    draws = draws.reshape(n_bootstrap, m, k, n)
    return np.array_split(draws, max(1, -(-draws.size // _CHUNK_CELLS)))


def _multinomial(counts: Array, n_draws: int, rng: np.random.Generator) -> Array:
    total = counts.sum()
    shares = counts / total if total else np.full(len(counts), 1 / len(counts))
    return rng.multinomial(int(total), shares, size=n_draws).astype(np.float64)


@dataclass(frozen=True)
class Jackknife:
    """Bias and standard error of each term."""

    bias: Array
    standard_error: Array


def jackknife(table: Array, terms: Callable[[Array], Array], value: Array) -> Jackknife:
    """Exact delete-one jackknife: one evaluation per cell that is not empty.

    Parameters
    ----------
    table : ndarray of shape (m, k, n)
        Counts.
    terms : callable
        Tables (p, m, k, n) to values (p, q).
    value : ndarray of shape (q,)
        Values at the table itself.

    Returns
    -------
    jackknife : Jackknife
    """
    counts = table.ravel()
    cells = np.flatnonzero(counts > 0)
    total = counts.sum()
    if total < 2:
        return Jackknife(np.full_like(value, np.nan), np.full_like(value, np.nan))
    deleted = np.repeat(counts[None], len(cells), axis=0)
    deleted[np.arange(len(cells)), cells] -= 1
    weight = counts[cells, None]
    left_out = terms(deleted.reshape(-1, *table.shape))
    mean = (weight * left_out).sum(0) / total
    spread = (weight * (left_out - mean) ** 2).sum(0)
    return Jackknife((total - 1) * (mean - value), np.sqrt((total - 1) / total * spread))


def miller_madow(table: Array) -> tuple[float, float]:
    """Leading bias, in nats, of the plug-in global and local disparity.

    Parameters
    ----------
    table : ndarray of shape (m, k, n)
        Counts.

    Returns
    -------
    global_bias, local_bias : float
    """
    total = table.sum()
    return float(_freedom(table.sum(2)) / (2 * total)), float(_local_freedom(table) / (2 * total))


def _freedom(table: Array) -> int:
    """Degrees of freedom of independence in a two-way table, empty levels left out."""
    rows, columns = int((table.sum(1) > 0).sum()), int((table.sum(0) > 0).sum())
    return max(rows - 1, 0) * max(columns - 1, 0)


def _local_freedom(table: Array) -> int:
    return sum(_freedom(table[:, :, s]) for s in range(table.shape[2]))


def test_of_no_disparity(table: Array) -> tuple[float, float]:
    """G-tests of global and of local fairness.

    Parameters
    ----------
    table : ndarray of shape (m, k, n)
        Counts.

    Returns
    -------
    p_global, p_local : float
        Small: the disparity in the table is larger than chance explains. 1 when nothing can vary.
    """
    total = table.sum()
    joint = normalise(table, n_axes=3)
    overall = float(information(joint.sum(2)))
    inside = float(information(np.moveaxis(joint, 2, 0)).sum())
    return tuple(  # type: ignore[return-value]
        float(chi2.sf(2 * total * value, freedom)) if freedom else 1.0
        for value, freedom in ((overall, _freedom(table.sum(2))), (inside, _local_freedom(table)))
    )


test_of_no_disparity.__test__ = False  # type: ignore[attr-defined]  # not a test of pytest


def intervals(
    value: Array,
    samples: Array | None,
    *,
    method: str,
    level: float,
    spread: Jackknife | None = None,
    percentile_terms: NDArray[np.bool_] | None = None,
) -> Array:
    """Interval of each term.

    Parameters
    ----------
    value : ndarray of shape (q,)
        Plug-in values.
    samples : ndarray of shape (n_bootstrap, q) or None
        Bootstrap values; None for the jackknife.
    method : {"shifted", "hybrid", "percentile", "basic", "jackknife"}
        ``"shifted"``: percentile interval minus twice the bias that the bootstrap shows (once for
        the estimate's own bias, once for that of the resamples). ``"hybrid"``: percentile for the
        terms in ``percentile_terms`` (which sit at the border 0), basic for the others.
    level : float
        Coverage.
    spread : Jackknife or None
        For ``method="jackknife"``.
    percentile_terms : ndarray of bool, shape (q,), or None
        See ``method``.

    Returns
    -------
    intervals : ndarray of shape (q, 2)
        Clipped at 0.
    """
    tail = (1 - level) / 2
    if method == "jackknife":
        assert spread is not None
        centre = value - spread.bias
        half = norm.isf(tail) * spread.standard_error
        return np.maximum(np.stack([centre - half, centre + half], axis=1), 0.0)
    assert samples is not None
    low, high = np.nanquantile(samples, [tail, 1 - tail], axis=0)
    percentile = np.stack([low, high], axis=1)
    basic = np.stack([2 * value - high, 2 * value - low], axis=1)
    if method == "shifted":
        chosen = percentile - 2 * (np.nanmean(samples, axis=0) - value)[:, None]
    elif method == "percentile":
        chosen = percentile
    elif method == "basic" or percentile_terms is None:
        chosen = basic
    else:
        chosen = np.where(percentile_terms[:, None], percentile, basic)
    return np.maximum(chosen, 0.0)
