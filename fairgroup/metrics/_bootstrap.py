"""The bootstrap of sums over cells, and intervals from its draws.

Resampling n rows with replacement gives multinomial cell counts, so metrics of counts need one
multinomial draw per bootstrap sample: exact, and independent of n. A sum of a row quantity within
a cell, given the cell's drawn count N, is the sum of N rows drawn with replacement from the cell.
Cells of at most ``EXACT_ROWS`` rows draw these rows; in larger cells the sum is drawn from the
normal distribution with its exact mean and covariance (central limit theorem), which makes that
part independent of n as well.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

EXACT_ROWS = 500
_MAX_INDICES = 2_000_000


def draw_counts(
    counts: NDArray[np.integer], n_draws: int, rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw the cell counts of bootstrap samples.

    Parameters
    ----------
    counts : ndarray of int, shape (n_cells,)
        Observed counts; their sum is the sample size.
    n_draws : int
        Number of bootstrap samples.
    rng : numpy.random.Generator
        Source of randomness.

    Returns
    -------
    draws : ndarray of int64, shape (n_cells, n_draws)
    """
    draws = np.zeros((len(counts), n_draws), dtype=np.int64)
    filled = np.flatnonzero(counts)
    if len(filled):
        total = int(counts.sum())
        draws[filled] = rng.multinomial(total, counts[filled] / total, size=n_draws).T
    return draws


class RowSums:
    """Sums of row quantities by cell, and their bootstrap.

    Parameters
    ----------
    cells : ndarray of int, shape (n_samples,)
        Cell of each row.
    rows : ndarray of shape (n_columns, n_samples)
        Row quantities (weights already applied).
    n_cells : int
        Number of cells.

    Attributes
    ----------
    counts : ndarray of int64, shape (n_cells,)
    sums : ndarray of shape (n_cells, n_columns)
    """

    def __init__(self, cells: NDArray[np.intp], rows: NDArray[np.float64], n_cells: int) -> None:
        self.counts = np.bincount(cells, minlength=n_cells)
        self.sums = np.column_stack(
            [np.bincount(cells, weights=row, minlength=n_cells) for row in rows]
        )
        self._cells, self._rows = cells, rows
        self._prepared = False

    def draw(
        self, n_draws: int, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Draw the counts and sums of bootstrap samples.

        Parameters
        ----------
        n_draws : int
            Number of bootstrap samples.
        rng : numpy.random.Generator
            Source of randomness.

        Returns
        -------
        counts : ndarray of shape (n_cells, n_draws)
        sums : ndarray of shape (n_cells, n_columns, n_draws)
        """
        if not self._prepared:
            self._prepare()
        counts = draw_counts(self.counts, n_draws, rng)
        sums = np.zeros((*self.sums.shape, n_draws))
        self._draw_normal(counts, sums, rng)
        self._draw_rows(counts, sums, rng)
        return counts, sums

    def _prepare(self) -> None:
        """Sort the rows of small cells together and take the moments of large ones."""
        self._small = np.flatnonzero((self.counts > 0) & (self.counts <= EXACT_ROWS))
        self._large = np.flatnonzero(self.counts > EXACT_ROWS)
        is_small = np.zeros(len(self.counts), dtype=bool)
        is_small[self._small] = True
        kept = np.flatnonzero(is_small[self._cells])
        kept = kept[np.argsort(self._cells[kept], kind="stable")]
        self._small_rows = np.ascontiguousarray(self._rows[:, kept])
        self._small_starts = np.cumsum([0, *self.counts[self._small][:-1]]).astype(np.intp)
        self._means = self.sums[self._large] / self.counts[self._large, None]
        self._roots = _covariance_roots(
            self._cells, self._rows, self._large, self.counts, self._means
        )
        self._prepared = True

    def _draw_normal(
        self, counts: NDArray[np.int64], sums: NDArray[np.float64], rng: np.random.Generator
    ) -> None:
        for cell, mean, root in zip(self._large, self._means, self._roots, strict=True):
            size = counts[cell].astype(np.float64)
            noise = root @ rng.standard_normal((len(mean), len(size)))
            sums[cell] = mean[:, None] * size + np.sqrt(size) * noise

    def _draw_rows(
        self, counts: NDArray[np.int64], sums: NDArray[np.float64], rng: np.random.Generator
    ) -> None:
        if not len(self._small):
            return
        per_draw = max(int(self.counts[self._small].sum()), 1)
        step = max(_MAX_INDICES // per_draw, 1)
        for start in range(0, counts.shape[1], step):
            block = slice(start, start + step)
            drawn = counts[self._small, block]
            sums[self._small, :, block] = self._sum_rows(drawn, rng)

    def _sum_rows(self, drawn: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float64]:
        """Sum `drawn` (n_small, n_draws) rows picked with replacement, by column."""
        sizes = np.repeat(self.counts[self._small], drawn.sum(axis=1))
        starts = np.repeat(self._small_starts, drawn.sum(axis=1))
        picked = starts + (rng.random(len(sizes)) * sizes).astype(np.intp)
        ends = np.cumsum(drawn.ravel())
        sums = np.empty((drawn.size, len(self._small_rows)))
        for column, rows in enumerate(self._small_rows):
            running = np.concatenate([[0.0], np.cumsum(rows[picked])])
            sums[:, column] = np.diff(running[np.concatenate([[0], ends])])
        return sums.reshape(*drawn.shape, -1).transpose(0, 2, 1)


def _covariance_roots(
    cells: NDArray[np.intp],
    rows: NDArray[np.float64],
    large: NDArray[np.intp],
    counts: NDArray[np.int64],
    means: NDArray[np.float64],
) -> NDArray[np.float64]:
    """Return a square root of each large cell's covariance matrix."""
    n_columns = len(rows)
    covariance = np.zeros((len(large), n_columns, n_columns))
    position = np.full(len(counts) + 1, len(large))
    position[large] = np.arange(len(large))
    where = position[cells]
    centre = np.vstack([means, np.zeros(n_columns)])
    centred = [row - centre[where, k] for k, row in enumerate(rows)] if len(large) else []
    for i in range(len(centred)):
        for j in range(i + 1):
            products = np.bincount(
                where, weights=centred[i] * centred[j], minlength=len(large) + 1
            )
            covariance[:, i, j] = covariance[:, j, i] = products[:-1] / counts[large]
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.maximum(values, 0.0))[:, None, :]


def quantiles(
    draws: NDArray[np.float64], probabilities: tuple[float, ...]
) -> tuple[NDArray[np.float64], ...]:
    """Return quantiles along the last axis, over the draws that are not NaN.

    Parameters
    ----------
    draws : ndarray of shape (..., n_draws)
        Bootstrap draws; NaN where undefined.
    probabilities : tuple of float in [0, 1]
        Which quantiles (linear interpolation).

    Returns
    -------
    quantiles : tuple of ndarray of shape (...)
        NaN where no draw is defined.
    """
    ordered = np.sort(draws, axis=-1)  # NaN comes last
    defined = draws.shape[-1] - np.isnan(ordered).sum(axis=-1)
    last = np.maximum(defined - 1, 0)
    return tuple(_interpolate(ordered, last * p) for p in probabilities)


def _interpolate(
    ordered: NDArray[np.float64], position: NDArray[np.float64]
) -> NDArray[np.float64]:
    below = np.floor(position).astype(np.intp)
    above = np.ceil(position).astype(np.intp)
    low = np.take_along_axis(ordered, below[..., None], axis=-1)[..., 0]
    high = np.take_along_axis(ordered, above[..., None], axis=-1)[..., 0]
    with np.errstate(invalid="ignore"):
        between = low + (position - below) * (high - low)
    return np.where(low == high, low, between)  # equal infinities stay what they are


def exact_bounds(
    values: NDArray[np.float64],
    trials: NDArray[np.float64],
    lower: NDArray[np.float64],
    upper: NDArray[np.float64],
    confidence_level: float,
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Replace the empty bootstrap intervals of proportions that are exactly 0 or 1.

    A sample without a single case repeats none, so its bootstrap says nothing about how rare the
    case is. The binomial interval of Clopper and Pearson (1934) does.

    Parameters
    ----------
    values : ndarray
        Observed values.
    trials : ndarray of the same shape
        Rows in the denominator of a proportion; NaN for other metrics and with weights.
    lower, upper : ndarray of the same shape
        Bootstrap bounds.
    confidence_level : float in (0, 1)
        Probability of coverage.

    Returns
    -------
    lower, upper : ndarray
    """
    known = trials > 0
    tail = ((1 - confidence_level) / 2) ** (1 / np.where(known, trials, 1.0))
    upper = np.where(known & (values == 0.0), 1 - tail, upper)
    return np.where(known & (values == 1.0), tail, lower), upper


def unstick(
    draws: NDArray[np.float64],
    values: NDArray[np.float64],
    trials: NDArray[np.float64],
    seed: tuple[int, ...],
) -> NDArray[np.float64]:
    """Give proportions of exactly 0 or 1, whose draws never move, the spread of exact bounds.

    Their draws become those of the distribution whose quantiles are the Clopper-Pearson bounds,
    Beta(1, n) for 0 and Beta(n, 1) for 1 of n rows.

    Parameters
    ----------
    draws : ndarray of shape (..., n_draws)
        Bootstrap draws.
    values, trials : ndarray of shape (...)
        Observed values, and rows in the denominator of a proportion (NaN for other metrics).
    seed : tuple of int
        Seed of the beta draws.

    Returns
    -------
    draws : ndarray of shape (..., n_draws)
        The same array where nothing is stuck.
    """
    stuck = (trials > 0) & ((values == 0.0) | (values == 1.0))
    if not stuck.any():
        return draws
    draws = draws.copy()
    uniform = np.random.default_rng(seed).random((int(stuck.sum()), draws.shape[-1]))
    share = uniform ** (1 / trials[stuck])[:, None]
    draws[stuck] = np.where((values[stuck] == 1.0)[:, None], share, 1 - share)
    return draws
