"""What a run of auctions delivered: audience, value, cost, reach."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairgroup.ranking._auctions import AuctionLog
from fairgroup.ranking._variance import coverage_score, impression_variance, unique_user_counts

Floats = NDArray[np.float64]


@dataclass
class SimulationResult:
    """Outcome of one simulated world; all counts are true counts, whatever the re-ranker could
    see.

    Attributes
    ----------
    coverage : dict of attribute to float
        Share of covered ads with more than 300 impressions whose variance is at most 0.10; NaN
        (with a warning) when there is none.
    variance : dict of attribute to ndarray of shape (n_covered,)
        Impression variance of every covered ad, NaN without impressions.
    counts : dict of attribute to ndarray of shape (n_covered, K)
        Impressions of each level.
    user_counts : dict of attribute to ndarray of shape (n_covered, K)
        Different users of each level.
    eligible : dict of attribute to ndarray of shape (n_covered, K)
        Eligible distributions.
    n_impressions : ndarray of shape (n_covered,)
        Impressions of each covered ad.
    reach : ndarray of shape (n_covered,)
        Different users reached.
    cost : ndarray of shape (n_covered,)
        Payments.
    total_value : float
        Sum of the values (bid times action rate, without pacing or multipliers) of all ads shown.
    value : ndarray of shape (n_covered,)
        The same for each covered ad.
    winners : ndarray of int of shape (n_auctions, n_slots)
        Ad shown, -1 for an empty slot.
    multipliers : ndarray of shape (n_covered, n_contexts)
        Multiplier table at the end.
    released_counts : dict of attribute to ndarray of shape (n_covered, K)
        What the controller saw at its last snapshots.
    n_snapshots : ndarray of shape (n_covered,)
        Number of snapshots.

    Examples
    --------
    >>> from fairgroup.ranking import AdAuctionSimulator
    >>> result = AdAuctionSimulator(n_auctions=10_000, random_state=0).run()
    >>> sorted(result.coverage)
    ['race', 'sex']
    >>> int(result.counts["sex"].sum()) == int(result.n_impressions.sum())
    True
    """

    coverage: dict[str, float]
    variance: dict[str, Floats]
    counts: dict[str, Floats]
    user_counts: dict[str, Floats]
    eligible: dict[str, Floats]
    n_impressions: NDArray[np.int64]
    reach: NDArray[np.int64]
    cost: Floats
    total_value: float
    value: Floats
    winners: NDArray[np.int64] = field(repr=False)
    multipliers: Floats = field(repr=False)
    released_counts: dict[str, Floats] = field(repr=False)
    n_snapshots: NDArray[np.int64] = field(repr=False)

    def coverage_at(
        self,
        threshold: float = 0.10,
        *,
        min_impressions: int = 300,
        weight: str = "ads",
        users: bool = False,
    ) -> dict[str, float]:
        """Coverage at another threshold or minimum size, or of users instead of impressions.

        Parameters
        ----------
        threshold : float, default=0.10
            Largest variance that counts as covered.
        min_impressions : int, default=300
            Only ads with more impressions (users) than this take part.
        weight : {"ads", "impressions"}, default="ads"
            What an ad counts.
        users : bool, default=False
            Count each user once per ad.

        Returns
        -------
        coverage : dict of attribute to float
        """
        counts = self.user_counts if users else self.counts
        return {
            a: coverage_score(
                counts[a], e, threshold=threshold, min_impressions=min_impressions, weight=weight
            )
            for a, e in self.eligible.items()
        }

    def to_frame(self) -> pd.DataFrame:
        """One row per covered ad: impressions, reach, cost, cost per reach, value and variances.

        Returns
        -------
        table : DataFrame
        """
        columns: dict[str, NDArray] = {
            "impressions": self.n_impressions,
            "reach": self.reach,
            "cost": self.cost,
            "cost_per_reach": _ratio(self.cost, self.reach),
            "value": self.value,
        }
        columns |= {f"variance_{a}": v for a, v in self.variance.items()}
        return pd.DataFrame(columns).rename_axis("ad")

    def compare(self, baseline: SimulationResult) -> pd.DataFrame:
        """Levelling-down check: this run against one of the same world, usually without a
        re-ranker.

        Parameters
        ----------
        baseline : SimulationResult
            The other run.

        Returns
        -------
        table : DataFrame
            One row per covered ad: ``reach``, ``cost_per_reach`` and ``value`` relative to the
            baseline, and for every attribute and level the relative reach: an ad that reaches
            fewer people of *every* group became more even by harming all.
        """
        ours, theirs = self.to_frame(), baseline.to_frame()
        table = pd.DataFrame(
            {
                c: _ratio(ours[c], theirs[c])
                for c in ("impressions", "reach", "cost_per_reach", "value")
            }
        )
        for a, counts in self.user_counts.items():
            for level in range(counts.shape[1]):
                table[f"reach_{a}_{level}"] = _ratio(
                    counts[:, level], baseline.user_counts[a][:, level]
                )
        return table.rename_axis("ad")


def level_counts(log: AuctionLog, winners: NDArray[np.int64]) -> dict[str, Floats]:
    """Impressions of each covered ad and level."""
    auctions, slots = np.nonzero((winners >= 0) & (winners < log.n_covered))
    ads = winners[auctions, slots]
    return {
        a: np.bincount(ads * k + log.levels[a][auctions], minlength=log.n_covered * k)
        .reshape(log.n_covered, k)
        .astype(np.float64)
        for a, k in log.n_levels.items()
    }


def summarise(
    log: AuctionLog,
    winners: NDArray[np.int64],
    payments: Floats,
    *,
    multipliers: Floats,
    released: Mapping[str, Floats],
    n_snapshots: NDArray[np.int64],
) -> SimulationResult:
    """Measure a run of auctions on true counts."""
    n = log.n_covered
    auctions, slots = np.nonzero(winners >= 0)
    ads = winners[auctions, slots]
    values = log.values[auctions, ads]
    covered = ads < n
    counts = level_counts(log, winners)
    users = {
        a: unique_user_counts(
            ads[covered],
            log.users[auctions[covered]],
            log.levels[a][auctions[covered]],
            n_items=n,
            n_levels=k,
        )
        for a, k in log.n_levels.items()
    }
    return SimulationResult(
        coverage={a: coverage_score(counts[a], e) for a, e in log.eligible.items()},
        variance={a: impression_variance(counts[a], e) for a, e in log.eligible.items()},
        counts=counts,
        user_counts=users,
        eligible=dict(log.eligible),
        n_impressions=np.bincount(ads[covered], minlength=n),
        reach=next(iter(users.values())).sum(axis=1).astype(np.int64),
        cost=_sums(ads[covered], payments[auctions, slots][covered], n),
        total_value=float(values.sum()),
        value=_sums(ads[covered], values[covered], n),
        winners=winners,
        multipliers=multipliers,
        released_counts=dict(released),
        n_snapshots=n_snapshots,
    )


def _ratio(a: Any, b: Any) -> Floats:
    top, bottom = np.asarray(a, dtype=np.float64), np.asarray(b, dtype=np.float64)
    return np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)


def _sums(ads: NDArray[np.int64], weights: Floats, n: int) -> Floats:
    return np.bincount(ads, weights=weights, minlength=n).astype(np.float64)
