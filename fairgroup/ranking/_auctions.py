"""Auctions laid out for the compiled loop: simulated worlds and a user's logs share this form."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from fairgroup.ranking._variance import as_shares

Floats = NDArray[np.float64]


@dataclass
class AuctionLog:
    """Auctions that can be replayed under another re-ranker.

    Parameters
    ----------
    values : array-like of shape (n_auctions, n_ads)
        Bid times estimated action rate, not negative; NaN where an ad was no candidate. The first
        ads are the covered ones.
    clusters : array-like of int of shape (n_auctions,)
        User cluster of each auction.
    levels : mapping of attribute to array-like of int of shape (n_auctions,)
        Level of the user for each protected attribute. It is used to *measure* delivery, never to
        rank.
    eligible : mapping of attribute to array-like of shape (n_covered, K)
        Eligible distribution of each covered ad.
    composition : mapping of attribute to array-like of shape (n_clusters, K), default=None
        Group composition of each cluster. None takes the relative frequencies of the log, with one
        prior user per cluster.
    users : array-like of int of shape (n_auctions,), default=None
        User of each auction, for reach; None counts every auction as another user.
    quality : array-like of shape (n_auctions, n_ads), default=None
        Added to the multiplied value.
    targets : array-like of shape (n_ads,), default=None
        Share of the impressions that pacing aims at, with ``pacing``.
    pacing : float, default=0.0
        Step of the paced log-bid per auction.
    allowed : array-like of bool of shape (n_clusters, n_ads), default=None
        Targeting: which ads may be shown to which cluster.

    Attributes
    ----------
    n_covered : int
        Number of covered ads.

    Examples
    --------
    >>> from fairgroup.ranking import AuctionLog, VarianceAwareReranker
    >>> log = AuctionLog(
    ...     values=[[0.3, 0.2], [0.1, 0.4]],
    ...     clusters=[0, 1],
    ...     levels={"sex": [0, 1]},
    ...     eligible={"sex": [[0.5, 0.5]]},
    ... )
    >>> log.n_covered, log.n_auctions
    (1, 2)
    """

    values: Any
    clusters: Any
    levels: Mapping[str, Any]
    eligible: Mapping[str, Any]
    composition: Mapping[str, Any] | None = None
    users: Any = None
    quality: Any = None
    targets: Any = None
    pacing: float = 0.0
    allowed: Any = None
    n_covered: int = field(init=False)

    def __post_init__(self) -> None:
        self.values = np.ascontiguousarray(self.values, dtype=np.float64)
        n, n_ads = self.values.shape
        self.clusters = _codes(self.clusters, n, "clusters")
        self.levels = {a: _codes(c, n, f"levels[{a!r}]") for a, c in self.levels.items()}
        if set(self.levels) != set(self.eligible):
            raise ValueError(
                "levels and eligible must have the same attributes; found "
                f"{sorted(map(str, self.levels))} and {sorted(map(str, self.eligible))}."
            )
        self.eligible = {
            a: Shares.read(self.eligible[a], name=f"eligible[{a!r}]").values for a in self.levels
        }
        self.n_covered = len(next(iter(self.eligible.values())))
        if self.n_covered > n_ads:
            raise ValueError(f"eligible has {self.n_covered} ads, values only {n_ads} columns.")
        if np.nanmin(self.values, initial=0.0) < 0:
            raise ValueError(
                "values must not be negative: a multiplier would reverse their meaning."
            )
        n_clusters = int(self.clusters.max(initial=-1)) + 1
        if self.composition is None:
            sizes = {a: e.shape[1] for a, e in self.eligible.items()}
            self.composition = {
                a: _frequencies(self.clusters, self.levels[a], n_clusters, k)
                for a, k in sizes.items()
            }
        self.composition = {
            a: Shares.read(c, name=f"composition[{a!r}]").values
            for a, c in self.composition.items()
        }
        n_clusters = max(n_clusters, len(next(iter(self.composition.values()))))
        self.users = np.arange(n) if self.users is None else _codes(self.users, n, "users")
        none = np.empty((0, n_ads))
        self.quality = (
            none if self.quality is None else np.ascontiguousarray(self.quality, dtype=np.float64)
        )
        self.targets = (
            np.zeros(n_ads) if self.targets is None else np.asarray(self.targets, dtype=np.float64)
        )
        self.allowed = (
            np.ones((n_clusters, n_ads))
            if self.allowed is None
            else np.asarray(self.allowed, float)
        )

    @property
    def n_auctions(self) -> int:
        """Number of auctions."""
        return len(self.values)

    @property
    def n_levels(self) -> dict[str, int]:
        """Number of levels of every attribute."""
        return {a: e.shape[1] for a, e in self.eligible.items()}


@dataclass(frozen=True)
class Shares:
    """A table of distributions with the names of its rows and levels."""

    values: Floats
    index: tuple[Hashable, ...]
    levels: tuple[Hashable, ...]

    @classmethod
    def read(cls, table: ArrayLike | pd.DataFrame, *, name: str) -> Shares:
        """Take names from a DataFrame, numbers for anything else; check and normalise rows."""
        frame = (
            table
            if isinstance(table, pd.DataFrame)
            else pd.DataFrame(np.asarray(table, dtype=np.float64))
        )
        values = frame.to_numpy(dtype=np.float64)
        return cls(
            np.ascontiguousarray(as_shares(values, values.shape, name=name)),
            tuple(frame.index),
            tuple(frame.columns),
        )


def read_audience(
    eligible: Mapping[str, Any], composition: Mapping[str, Any]
) -> tuple[dict[str, Shares], dict[str, Shares]]:
    """Read eligible audiences and cluster compositions whose names agree."""
    if set(composition) != set(eligible):
        raise ValueError(
            "eligible and composition must have the same attributes; found "
            f"{sorted(map(str, eligible))} and {sorted(map(str, composition))}."
        )
    ads = {a: Shares.read(t, name=f"eligible[{a!r}]") for a, t in eligible.items()}
    clusters = {a: Shares.read(composition[a], name=f"composition[{a!r}]") for a in eligible}
    if len({t.index for t in ads.values()}) != 1 or len({t.index for t in clusters.values()}) != 1:
        raise ValueError(
            "eligible and composition: all attributes must have the same ads and the same "
            "clusters, in the same order."
        )
    if any(ads[a].levels != clusters[a].levels for a in ads):
        a = next(a for a in ads if ads[a].levels != clusters[a].levels)
        raise ValueError(
            "eligible and composition must have the same levels, in the same order; of "
            f"{a!r} found {ads[a].levels} and {clusters[a].levels}."
        )
    return ads, clusters


def flat_levels(
    levels: Mapping[str, NDArray[np.int64]], sizes: Mapping[str, int]
) -> tuple[Floats, Any]:
    """One-hot rows of every combination of levels side by side, and the row of each impression."""
    shape = tuple(sizes[a] for a in levels)
    grid = np.indices(shape).reshape(len(shape), -1)
    rows = np.concatenate([np.eye(k)[codes] for k, codes in zip(shape, grid, strict=True)], axis=1)
    return rows, np.ravel_multi_index(tuple(levels.values()), shape)


def _codes(values: Any, n: int, name: str) -> NDArray[np.int64]:
    codes = np.ascontiguousarray(values, dtype=np.int64)
    if codes.shape != (n,) or codes.min(initial=0) < 0:
        raise ValueError(
            f"{name} must be {n} integers >= 0; found shape {codes.shape} and a smallest entry of "
            f"{codes.min(initial=0)}."
        )
    return codes


def _frequencies(
    clusters: NDArray[np.int64], codes: NDArray[np.int64], n_clusters: int, k: int
) -> Floats:
    table = np.bincount(clusters * k + codes, minlength=n_clusters * k).reshape(n_clusters, k)
    return (table + table.sum(axis=0) / table.sum()) / (table.sum(axis=1, keepdims=True) + 1)
