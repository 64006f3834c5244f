"""A world of ad auctions with skewed values, to choose and judge a re-ranker beforehand."""

from __future__ import annotations

from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray
from sklearn.base import BaseEstimator

from fairgroup.ranking._auctions import AuctionLog
from fairgroup.ranking._policies import PAYMENTS
from fairgroup.ranking._reranker import VarianceAwareReranker
from fairgroup.ranking._result import SimulationResult
from fairgroup.utils._sklearn import Interval, StrOptions
from fairgroup.utils._validation import as_generator

Floats = NDArray[np.float64]
ATTRIBUTES = {"sex": (0.5, 0.5), "race": (0.60, 0.19, 0.13, 0.08)}


class AdAuctionSimulator(BaseEstimator):
    """Simulate auctions in which covered and other ads compete for users of several groups.

    Users belong to clusters that are informative about their groups; each ad may be shown to a
    random part of the clusters; its value for a user depends on the user's groups (the skew that
    delivery inherits); pacing spreads delivery over time. The numbers below define the reference
    world of the user guide.

    Parameters
    ----------
    n_covered : int, default=20
        Ads whose audience is to be balanced.
    n_other : int, default=20
        Competing ads that are never adjusted.
    n_clusters : int, default=64
        User clusters, the only thing about a user that the re-ranker knows.
    attributes : mapping of str to sequence of float, default=None
        Population shares of each protected attribute, independent of each other; None is
        ``{"sex": (.5, .5), "race": (.60, .19, .13, .08)}``.
    skew : float, default=0.3
        Standard deviation of the effect of a group on an ad's log-value.
    cluster_info : float, default=3.0
        How informative clusters are about groups.
    targeting : float, default=0.8
        Share of the clusters to which each ad may be shown.
    pacing : float, default=0.02
        Step of the paced log-bids; 0 switches pacing off.
    value_noise : float, default=0.5
        Standard deviation of the log-value that is not explained by ad and group.
    n_auctions : int, default=100_000
        Auctions of a world.
    n_slots : int, default=1
        Ads shown in each auction.
    n_users : int, default=20_000
        Size of the population, for reach.
    payment : {"critical", "first", "second"}, default="critical"
        Price of a slot: the smallest bid that still wins it, the bid, or the next total value.
    random_state : int, RandomState instance, Generator or None, default=None
        With an int, the worlds and all noise in them are the same in every run: re-rankers are
        compared on common random numbers.

    See Also
    --------
    VarianceAwareReranker : What is tried out here.

    Examples
    --------
    >>> from fairgroup.ranking import AdAuctionSimulator, VarianceAwareReranker
    >>> world = AdAuctionSimulator(n_covered=4, n_other=4, n_auctions=20_000, random_state=0)
    >>> usual, controlled = world.run(), world.run(VarianceAwareReranker())
    >>> bool(controlled.variance["sex"].mean() < usual.variance["sex"].mean())
    True
    """

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "n_covered": [Interval(Integral, 1, None, closed="left")],
        "n_other": [Interval(Integral, 0, None, closed="left")],
        "n_clusters": [Interval(Integral, 1, None, closed="left")],
        "attributes": [dict, None],
        "skew": [Interval(Real, 0, None, closed="left")],
        "cluster_info": [Interval(Real, 0, None, closed="left")],
        "targeting": [Interval(Real, 0, 1, closed="right")],
        "pacing": [Interval(Real, 0, None, closed="left")],
        "value_noise": [Interval(Real, 0, None, closed="left")],
        "n_auctions": [Interval(Integral, 1, None, closed="left")],
        "n_slots": [Interval(Integral, 1, None, closed="left")],
        "n_users": [Interval(Integral, 1, None, closed="left")],
        "payment": [StrOptions(set(PAYMENTS))],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        n_covered: int = 20,
        *,
        n_other: int = 20,
        n_clusters: int = 64,
        attributes: Mapping[str, Any] | None = None,
        skew: float = 0.3,
        cluster_info: float = 3.0,
        targeting: float = 0.8,
        pacing: float = 0.02,
        value_noise: float = 0.5,
        n_auctions: int = 100_000,
        n_slots: int = 1,
        n_users: int = 20_000,
        payment: str = "critical",
        random_state: Any = None,
    ) -> None:
        self.n_covered = n_covered
        self.n_other = n_other
        self.n_clusters = n_clusters
        self.attributes = attributes
        self.skew = skew
        self.cluster_info = cluster_info
        self.targeting = targeting
        self.pacing = pacing
        self.value_noise = value_noise
        self.n_auctions = n_auctions
        self.n_slots = n_slots
        self.n_users = n_users
        self.payment = payment
        self.random_state = random_state

    def sample(self, n_worlds: int = 1) -> list[AuctionLog]:
        """Draw worlds without running them.

        Parameters
        ----------
        n_worlds : int, default=1
            The first worlds do not depend on how many are drawn.

        Returns
        -------
        logs : list of AuctionLog
        """
        return [self._world(rng) for rng in self._sources(n_worlds)]

    def run(self, reranker: VarianceAwareReranker | None = None) -> SimulationResult:
        """Run one world.

        Parameters
        ----------
        reranker : VarianceAwareReranker or None, default=None
            Starts with its parameters and an empty memory and is not changed; None leaves all ads
            alone.

        Returns
        -------
        result : SimulationResult
        """
        return self.run_worlds(reranker, n_worlds=1)[0]

    def run_worlds(
        self,
        reranker: VarianceAwareReranker | None = None,
        *,
        n_worlds: int = 8,
        n_jobs: int | None = None,
    ) -> list[SimulationResult]:
        """Run several worlds, in parallel threads (the compiled loop does not hold Python's lock).

        Parameters
        ----------
        reranker : VarianceAwareReranker or None, default=None
            As in `run`.
        n_worlds : int, default=8
            Number of worlds.
        n_jobs : int or None, default=None
            Number of threads. The results do not depend on it.

        Returns
        -------
        results : list of SimulationResult
        """
        if reranker is None:
            reranker = VarianceAwareReranker(kp=0.0, ki=0.0, m_min=1.0, m_max=1.0)
        job = delayed(self._one)
        return Parallel(n_jobs=n_jobs, prefer="threads")(
            job(reranker, rng) for rng in self._sources(n_worlds)
        )

    def _one(self, reranker: VarianceAwareReranker, rng: np.random.Generator) -> SimulationResult:
        log = self._world(rng)
        return reranker.simulate(log, n_slots=self.n_slots, payment=self.payment, random_state=rng)

    def _sources(self, n_worlds: int) -> list[np.random.Generator]:
        self._validate_params()
        return as_generator(self.random_state).spawn(n_worlds)

    def _world(self, rng: np.random.Generator) -> AuctionLog:
        shares = [
            np.asarray(s, dtype=float) / np.sum(s)
            for s in (self.attributes or ATTRIBUTES).values()
        ]
        names, sizes = list(self.attributes or ATTRIBUTES), tuple(len(s) for s in shares)
        grid = np.indices(sizes).reshape(len(sizes), -1)
        joint = _cell_shares(shares, grid)[:, None] * self._clusters_of(grid, sizes, rng)
        composition = {
            a: _marginal(joint, codes, size).T
            for a, codes, size in zip(names, grid, sizes, strict=True)
        }
        mass = joint.sum(axis=0)[:, None]
        composition = {a: c / mass for a, c in composition.items()}
        n_ads = self.n_covered + self.n_other
        allowed = self._targeting(n_ads, rng)
        eligible = {}
        for a, c in composition.items():
            audience = (allowed[:, : self.n_covered] * mass).T @ c
            eligible[a] = audience / audience.sum(axis=1, keepdims=True)
        log_values = rng.normal(0, 0.3, n_ads) + sum(
            rng.normal(0, self.skew, (size, n_ads))[codes]
            for codes, size in zip(grid, sizes, strict=True)
        )
        targets = rng.lognormal(0, 1, n_ads)
        cells, clusters, users = self._users(joint, rng)
        values = rng.standard_normal((self.n_auctions, n_ads))
        values *= self.value_noise
        values += log_values[cells]
        np.exp(values, out=values)
        return AuctionLog(
            values=values,
            clusters=clusters,
            levels={a: codes[cells] for a, codes in zip(names, grid, strict=True)},
            eligible=eligible,
            composition=composition,
            users=users,
            targets=targets / targets.sum(),
            pacing=self.pacing,
            allowed=allowed,
        )

    def _clusters_of(
        self, grid: NDArray[np.int64], sizes: tuple[int, ...], rng: np.random.Generator
    ) -> Floats:
        """P(cluster | cell), (n_cells, n_clusters)."""
        logits = np.tile(rng.standard_normal(self.n_clusters), (grid.shape[1], 1))
        for codes, size in zip(grid, sizes, strict=True):
            logits += self.cluster_info * rng.normal(0, 0.5, (size, self.n_clusters))[codes]
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        return weights / weights.sum(axis=1, keepdims=True)

    def _targeting(self, n_ads: int, rng: np.random.Generator) -> Floats:
        """Random clusters of each ad, (n_clusters, n_ads) of 0 and 1; at least one."""
        n_open = max(1, round(self.targeting * self.n_clusters))
        ranks = rng.random((self.n_clusters, n_ads)).argsort(axis=0).argsort(axis=0)
        return (ranks < n_open).astype(np.float64)

    def _users(
        self, joint: Floats, rng: np.random.Generator
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Cell, cluster and identity of the user of each auction."""
        boundaries = np.cumsum(joint.ravel())
        drawn = np.searchsorted(
            boundaries, rng.random(self.n_auctions) * boundaries[-1], side="right"
        )
        drawn = np.minimum(drawn, joint.size - 1)
        size = np.maximum(1, np.rint(self.n_users * joint.ravel())).astype(np.int64)
        users = (np.cumsum(size) - size)[drawn] + (
            rng.random(self.n_auctions) * size[drawn]
        ).astype(np.int64)
        cells, clusters = np.divmod(drawn, self.n_clusters)
        return cells, clusters, users


def _cell_shares(shares: list[Floats], grid: NDArray[np.int64]) -> Floats:
    return np.prod([s[codes] for s, codes in zip(shares, grid, strict=True)], axis=0)


def _marginal(joint: Floats, codes: NDArray[np.int64], size: int) -> Floats:
    """Sum of the cells of each level of one attribute, (size, n_clusters)."""
    return np.stack([joint[codes == level].sum(axis=0) for level in range(size)])
