"""Choosing how strongly each group is helped: exact paths of rates, and the search over them.

With one coin per walk a person's score is ``base + strength * gain``, so the decision changes at
one known strength. Sorting these strengths gives a group's rates at every strength at once.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NOTIONS",
    "GroupPath",
    "choose",
    "correct_at",
    "gap_interval",
    "group_path",
    "rates_at",
]

# Which rates must agree between groups: selection, true positive, false positive.
NOTIONS = {
    "demographic_parity": (0,),
    "equal_opportunity": (1,),
    "equalized_odds": (1, 2),
}
_WINDOWS = 48  # lower ends tried per rate when two rates must agree
_STEPS = 400  # strengths per group that are then compared
Array = NDArray[Any]


@dataclass(eq=False)
class GroupPath:
    """A group's rates at every strength where one of them changes.

    Parameters
    ----------
    strength : ndarray of shape (n_steps,)
        From 0 up; the rates hold from here to the next strength.
    rates : ndarray of shape (n_steps, 3)
        Favourable decisions: among all, among the truly favourable, among the others.
    correct : ndarray of shape (n_steps,)
        Weight of the rows that are decided correctly.
    total : float
        Weight of all rows.
    """

    strength: Array
    rates: Array
    correct: Array
    total: float

    def take(self, rows: Array) -> GroupPath:
        """Return a selection of the steps."""
        return GroupPath(self.strength[rows], self.rates[rows], self.correct[rows], self.total)

    def thin(self, n_steps: int) -> GroupPath:
        """Return at most so many steps, evenly spaced, the first and last among them."""
        keep = np.unique(np.linspace(0, len(self.strength) - 1, n_steps).round().astype(int))
        return self.take(keep)


def group_path(
    base: Array, gain: Array, truth: Array, weights: Array, *, movable: bool = True
) -> GroupPath:
    """Return the exact path of one group.

    Parameters
    ----------
    base : ndarray of shape (n,)
        Score of the unmodified model minus the threshold: favourable where positive.
    gain : ndarray of shape (n,)
        Change of the score at strength 1.
    truth : ndarray of bool, shape (n,)
        Whether the true outcome is favourable.
    weights : ndarray of shape (n,)
    movable : bool, default=True
        False keeps the group at strength 0.
    """
    selected = base > 0
    changes = (base + gain > 0) != selected if movable else np.zeros(len(base), bool)
    at = -base[changes] / gain[changes]
    sign = np.where(selected[changes], -1.0, 1.0) * weights[changes]
    # Favourable means above the threshold: a row that arrives at it needs a little more.
    at = np.where(sign > 0, np.nextafter(at, np.inf), at)
    order = np.argsort(at, kind="stable")
    at, sign, positive = at[order], sign[order], truth[changes][order]
    # A strength is listed once, with everything that happens up to it.
    last = np.append(at[1:] != at[:-1], True) if len(at) else np.zeros(0, bool)
    start = np.array(
        [np.sum(weights[selected & truth]), np.sum(weights[selected & ~truth])], dtype=float
    )
    moved = np.column_stack([np.cumsum(sign * positive), np.cumsum(sign * ~positive)])[last]
    counts = np.vstack([start, start + moved])
    totals = np.array([weights[truth].sum(), weights[~truth].sum()])
    with np.errstate(invalid="ignore", divide="ignore"):
        by_truth = counts / totals
        overall = counts.sum(axis=1) / totals.sum()
    strength = np.minimum(np.append(0.0, at[last]), 1.0)
    correct = counts[:, 0] + totals[1] - counts[:, 1]
    return GroupPath(strength, np.column_stack([overall, by_truth]), correct, totals.sum())


def rates_at(paths: list[GroupPath], strengths: Array) -> Array:
    """Return the rates of every group at its strength, (n_groups, 3)."""
    found = [
        path.rates[np.searchsorted(path.strength, s, side="right") - 1]
        for path, s in zip(paths, strengths, strict=True)
    ]
    return np.array(found).reshape(-1, 3)


def gap_of(rates: Array, notion: str) -> float:
    """Largest difference between groups over the rates of the notion; undefined rates left out."""
    used = rates[:, NOTIONS[notion]]
    spread = [np.ptp(column[~np.isnan(column)]) for column in used.T if (~np.isnan(column)).any()]
    return float(max(spread, default=0.0))


def choose(
    paths: list[GroupPath], notion: str, tol: float, *, objective: str = "accuracy"
) -> tuple[Array, bool]:
    """Return the strengths, and whether the gap stays within ``tol``.

    The unmodified model is one of the candidates, so the result is never worse than it: of the
    candidates within ``tol`` it is the most accurate (or the gentlest), and where there is none,
    the one with the smallest gap.
    """
    nothing = np.zeros(len(paths))
    candidates = [nothing]
    width = tol
    while True:
        found = _search(paths, notion, width, objective)
        if found is not None:
            candidates.append(found)
            break
        if width >= 1:
            break
        width = min(1.0, max(width * 1.25, 0.002))  # the smallest gap that can be reached
    # What was found on thinned paths is judged on the exact ones.
    gaps = np.array([gap_of(rates_at(paths, s), notion) for s in candidates])
    within = gaps <= tol + 1e-12
    if not within.any():
        return _middle(paths, candidates[int(np.argmin(gaps))]), False
    merit = np.array([_merit(paths, s, objective) for s in candidates])
    return _middle(paths, candidates[int(np.argmax(np.where(within, merit, -np.inf)))]), True


def _middle(paths: list[GroupPath], strengths: Array) -> Array:
    """Move each strength to the middle of its step, where no decision hangs on a rounding."""
    found = []
    for path, strength in zip(paths, strengths, strict=True):
        after = np.searchsorted(path.strength, strength, side="right")
        end = path.strength[after] if after < len(path.strength) else 1.0
        found.append((strength + end) / 2 if strength > 0 else 0.0)
    return np.array(found)


def correct_at(paths: list[GroupPath], strengths: Array) -> float:
    """Return the weight of the rows that are decided correctly."""
    return float(
        sum(
            path.correct[np.searchsorted(path.strength, s, side="right") - 1]
            for path, s in zip(paths, strengths, strict=True)
        )
    )


def _merit(paths: list[GroupPath], strengths: Array, objective: str) -> float:
    correct = correct_at(paths, strengths)
    return float(correct - 1e-6 * strengths.sum() if objective == "accuracy" else -strengths.sum())


def _search(paths: list[GroupPath], notion: str, width: float, objective: str) -> Array | None:
    """Best strengths among those whose rates lie in a common window of the given width."""
    rates = NOTIONS[notion]
    if len(rates) > 1:
        paths = [path.thin(_STEPS) for path in paths]
    merits = [
        path.correct - 1e-6 * path.strength if objective == "accuracy" else -path.strength
        for path in paths
    ]
    if len(rates) == 1:
        return _best_window(paths, merits, rates[0], width)
    return _best_box(paths, merits, rates, width)


def _best_window(
    paths: list[GroupPath], merits: list[Array], rate: int, width: float
) -> Array | None:
    """One rate: every rate that occurs is tried as the lower end; O(K log K)."""
    known = [not np.isnan(path.rates[0, rate]) for path in paths]
    lows = np.unique(np.concatenate([p.rates[:, rate] for p in paths]))
    lows = lows[~np.isnan(lows)]
    if not len(lows):
        return np.zeros(len(paths))
    total = np.zeros(len(lows))
    picks = []
    for path, merit, has_rate in zip(paths, merits, known, strict=True):
        if not has_rate:
            picks.append(np.full(len(lows), int(np.argmax(merit))))
            continue
        order = np.argsort(path.rates[:, rate], kind="stable")
        ordered = path.rates[order, rate]
        first = np.searchsorted(ordered, lows - 1e-12, side="left")
        last = np.searchsorted(ordered, lows + width + 1e-12, side="right")
        best = _range_argmax(merit[order], first, last)
        total += np.where(best >= 0, merit[order][np.maximum(best, 0)], -np.inf)
        picks.append(order[np.maximum(best, 0)])
    if not np.isfinite(total).any():
        return None
    window = int(np.argmax(total))
    return np.array([p.strength[k[window]] for p, k in zip(paths, picks, strict=True)])


def _range_argmax(values: Array, first: Array, last: Array) -> Array:
    """Position of the largest of ``values[first:last]``, -1 for an empty range (sparse table)."""
    table = [np.arange(len(values))]
    while 2 ** len(table) <= len(values):
        half = 2 ** (len(table) - 1)
        a, b = table[-1][:-half], table[-1][half:]
        table.append(np.where(values[a] >= values[b], a, b))
    found = np.full(len(first), -1)
    lengths = last - first
    for level, row in enumerate(table):
        here = (lengths >= 2**level) & (lengths < 2 ** (level + 1))
        if here.any():
            a, b = row[first[here]], row[last[here] - 2**level]
            found[here] = np.where(values[a] >= values[b], a, b)
    return found


def _best_box(
    paths: list[GroupPath], merits: list[Array], rates: tuple[int, ...], width: float
) -> Array | None:
    """Two rates: a grid of boxes."""
    one, two = rates
    ends = [_lower_ends(paths, rate) for rate in rates]
    lows = np.array(np.meshgrid(*ends, indexing="ij")).reshape(2, -1).T
    total = np.zeros(len(lows))
    picks = np.zeros((len(paths), len(lows)), int)
    for g, (path, merit) in enumerate(zip(paths, merits, strict=True)):
        inside = np.ones((len(lows), len(merit)), bool)
        for column, rate in enumerate((one, two)):
            values = path.rates[:, rate]
            if not np.isnan(values[0]):
                low = lows[:, column, None]
                inside &= (values >= low - 1e-12) & (values <= low + width + 1e-12)
        found = np.where(inside, merit, -np.inf)
        picks[g] = found.argmax(axis=1)
        total += found.max(axis=1)
    if not np.isfinite(total).any():
        return None
    box = int(np.argmax(total))
    return np.array([p.strength[k] for p, k in zip(paths, picks[:, box], strict=True)])


def _lower_ends(paths: list[GroupPath], rate: int) -> Array:
    values = np.unique(np.concatenate([p.rates[:, rate] for p in paths]))
    values = values[~np.isnan(values)]
    if not len(values):
        return np.zeros(1)
    # Where every group stays at 0 must be among them.
    start = np.nanmin([p.rates[0, rate] for p in paths])
    keep = np.linspace(0, len(values) - 1, _WINDOWS).round().astype(int)
    return np.unique(np.append(values[keep], start))


def gap_interval(
    rates: Array,
    sizes: Array,
    notion: str,
    confidence_level: float,
    generator: np.random.Generator,
    n_draws: int = 2000,
) -> tuple[float, float]:
    """Interval of the gap that the validation rows allow, from binomial draws of every rate.

    ``sizes`` (n_groups, 3) are the numbers of rows behind the rates.
    """
    used = list(NOTIONS[notion])
    p, n = np.nan_to_num(rates[:, used]), np.maximum(sizes[:, used], 0).astype(np.int64)
    # A rate of 0 or 1 in a few rows is not known to be exactly that (Agresti and Coull).
    shrunk = (p * n + 1) / (n + 2)
    drawn = generator.binomial(n, shrunk, size=(n_draws, *n.shape)) / np.maximum(n, 1)
    drawn = np.where(n > 0, drawn, np.nan)
    if np.isnan(drawn).all():
        return 0.0, 1.0
    spread = np.nanmax(drawn, axis=1) - np.nanmin(drawn, axis=1)
    tail = (1 - confidence_level) / 2
    low, high = np.quantile(np.nanmax(spread, axis=1), [tail, 1 - tail])
    return float(low), float(high)
