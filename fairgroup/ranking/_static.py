"""Re-ranking of one list towards target shares, and the exposure that groups get in rankings.

Geyik, Ambler and Kenthapadi, "Fairness-Aware Ranking in Search and Recommendation Systems with
Application to LinkedIn Talent Search", KDD 2019: algorithms 1 (DetGreedy) and 3 (DetConstSort).
Exposure as in Singh and Joachims, "Fairness of Exposure in Rankings", KDD 2018.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator

from fairgroup.groups import GroupCodes, GroupEncoder
from fairgroup.ranking._list_kernels import det_const_sort, det_greedy
from fairgroup.utils._sklearn import Interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class _ListReranker(BaseEstimator):
    """What the two algorithms share: parameters, groups, one list or many."""

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "proportions": [dict, None],
        "top": [Interval(Integral, 1, None, closed="left"), None],
    }
    _kernel: Callable[..., Ints]

    def __init__(
        self, proportions: Mapping[Any, float] | None = None, *, top: int | None = None
    ) -> None:
        self.proportions = proportions
        self.top = top

    def rerank(
        self, scores: ArrayLike, *, sensitive_features: Any, query: ArrayLike | None = None
    ) -> Ints:
        """Order of the candidates.

        Parameters
        ----------
        scores : array-like of shape (n,)
            Higher is better; ties keep their order.
        sensitive_features : array-like of shape (n,) or (n, n_columns), Series or DataFrame
            Protected attributes; several columns form intersections.
        query : array-like of shape (n,), default=None
            List that each candidate belongs to; None is one list.

        Returns
        -------
        order : ndarray of int of shape (n_ranked,)
            Positions in ``scores``, best first; with ``query``, list after list in the order of
            their values.

        Raises
        ------
        ValueError
            For scores that are not finite, and proportions that name no or not all groups of the
            data or do not sum to one.
        """
        self._validate_params()
        s = np.asarray(scores, dtype=np.float64)
        if s.ndim != 1 or not np.isfinite(s).all():
            raise ValueError(f"scores must be one-dimensional and finite, found shape {s.shape}.")
        groups = _encode(sensitive_features, s.size)
        codes = groups.codes.astype(np.int64)
        wanted = self._targets(groups)
        parts = []
        for rows in _lists(query, s.size):
            n_groups = len(groups.labels)
            local = np.bincount(codes[rows], minlength=n_groups) / max(len(rows), 1)
            order = self._one(s[rows], codes[rows], local if wanted is None else wanted)
            parts.append(rows[order])
        return np.concatenate(parts) if parts else np.empty(0, dtype=np.int64)

    def _one(self, scores: Floats, codes: Ints, targets: Floats) -> Ints:
        k = len(scores) if self.top is None else min(int(self.top), len(scores))
        queue = np.lexsort((-scores, codes))
        first = np.searchsorted(codes[queue], np.arange(targets.size + 1))
        return type(self)._kernel(scores, queue, first, targets, k)

    def _targets(self, groups: GroupCodes) -> Floats | None:
        """Target share of each group, None for the share of the list itself."""
        if self.proportions is None:
            return None
        named = {
            key if isinstance(key, tuple) else (key,): p for key, p in self.proportions.items()
        }
        missing = [label for label in groups.labels if tuple(label) not in named]
        if missing:
            raise ValueError(
                f"proportions has no entry for {missing}; it names {list(self.proportions)}."
            )
        shares = np.array([named[tuple(label)] for label in groups.labels], dtype=np.float64)
        total = float(sum(named.values()))
        if not (shares >= 0).all() or abs(total - 1) > 1e-6:
            raise ValueError(
                f"proportions must be >= 0 and sum to one, found {dict(self.proportions)}."
            )
        return shares


class DetGreedy(_ListReranker):
    """Greedy re-ranking of one list so that every prefix holds each group's share.

    At place k the best next candidate of the groups with fewer than floor(k p) places is taken; if
    there is none, the best of the groups with fewer than ceil(k p). With four or more groups a
    minimum can be missed.

    Parameters
    ----------
    proportions : dict of group to float, default=None
        Target share of each group (a tuple of levels for several columns); None takes each list's
        own shares.
    top : int or None, default=None
        Number of places; None ranks all.

    See Also
    --------
    DetConstSort : Never misses a minimum.
    VarianceAwareReranker : Many items, each with an audience, over time.

    Examples
    --------
    >>> from fairgroup.ranking import DetGreedy
    >>> ranker = DetGreedy({"a": 0.5, "b": 0.5})
    >>> ranker.rerank([9, 8, 7, 6], sensitive_features=["a", "a", "b", "b"])
    array([0, 2, 1, 3])
    """

    _kernel = staticmethod(det_greedy)


class DetConstSort(_ListReranker):
    """Re-ranking of one list with guaranteed minimum counts and as much order by score as they
    allow.

    Groups enter when floor(k p) rises; a newcomer then moves up past worse candidates that may
    still stand one place lower. Every prefix of length k holds at least floor(k p) of each group
    while the group lasts.

    Parameters
    ----------
    proportions : dict of group to float, default=None
        Target share of each group (a tuple of levels for several columns); None takes each list's
        own shares.
    top : int or None, default=None
        Number of places; None ranks all.

    See Also
    --------
    DetGreedy : Looks one place ahead only.

    Notes
    -----
    The published pseudocode counts places from zero and the latest allowed place from one, so
    that, read literally, a candidate can sink one place too low. Here it cannot.

    Examples
    --------
    >>> from fairgroup.ranking import DetConstSort
    >>> ranker = DetConstSort({"a": 0.5, "b": 0.5})
    >>> ranker.rerank([9, 8, 7, 6], sensitive_features=["a", "a", "b", "b"])
    array([0, 2, 1, 3])
    """

    _kernel = staticmethod(det_const_sort)


def exposure_by_group(
    order: ArrayLike,
    *,
    sensitive_features: Any,
    query: ArrayLike | None = None,
    relevance: ArrayLike | None = None,
    discount: str | Callable[[Ints], ArrayLike] = "log",
    top: int | None = None,
) -> pd.DataFrame:
    """Position-weighted exposure of the groups in one or many rankings.

    Parameters
    ----------
    order : array-like of int of shape (n_ranked,)
        Candidates, best first; with ``query``, list after list, as `DetGreedy.rerank` returns it.
    sensitive_features : array-like of shape (n,) or (n, n_columns), Series or DataFrame
        Protected attributes of all candidates.
    query : array-like of shape (n,), default=None
        List of each candidate.
    relevance : array-like of shape (n,), default=None
        Merit; adds mean relevance and exposure per unit of it.
    discount : {"log", "inverse", "uniform"} or callable, default="log"
        Weight of place 1, 2, ...: 1 / log2(1 + place), 1 / place, 1, or a function of the places.
    top : int or None, default=None
        Places that are seen; None is all.

    Returns
    -------
    table : DataFrame
        One row per group: ``n_candidates``, ``exposure`` (mean over all candidates of the group;
        not ranked is 0), ``share`` of the total exposure, ``population`` share of the candidates,
        ``ratio`` of the two, and with ``relevance`` also ``relevance`` and
        ``exposure_per_relevance``. Each list has weight one.

    Raises
    ------
    ValueError
        For an ``order`` that names a candidate twice or that does not exist.

    Examples
    --------
    >>> from fairgroup.ranking import exposure_by_group
    >>> exposure_by_group([0, 1], sensitive_features=["a", "b"], discount="inverse")[
    ...     "share"
    ... ].round(3).tolist()
    [0.667, 0.333]
    """
    ranked = np.asarray(order, dtype=np.int64)
    groups = _encode(sensitive_features, None)
    n = len(groups.codes)
    if ranked.size and (
        ranked.min() < 0 or ranked.max() >= n or np.unique(ranked).size < ranked.size
    ):
        raise ValueError(f"order must hold different positions in 0..{n - 1}.")
    lists = (
        np.zeros(n, dtype=np.int64)
        if query is None
        else np.unique(np.asarray(query), return_inverse=True)[1]
    )
    place = _places(lists[ranked])
    weight = _discount(discount, place)
    if top is not None:
        weight = np.where(place <= top, weight, 0.0)
    exposure = np.zeros(n)
    exposure[ranked] = weight
    total = np.bincount(lists, weights=exposure)
    exposure /= np.where(total > 0, total, 1.0)[lists]
    codes, size = groups.codes, np.maximum(groups.counts, 1)
    by_group = np.bincount(codes, weights=exposure, minlength=len(size))
    n_lists = max(len(total), 1)
    table = pd.DataFrame(
        {
            "n_candidates": groups.counts,
            "exposure": by_group / size,
            "share": by_group / n_lists,
            "population": _population(codes, lists, len(size)),
        },
        index=groups.index,
    )
    table["ratio"] = table["share"] / table["population"]
    if relevance is not None:
        merit = (
            np.bincount(
                codes, weights=np.asarray(relevance, dtype=np.float64), minlength=len(size)
            )
            / size
        )
        table["relevance"] = merit
        table["exposure_per_relevance"] = np.divide(
            table["exposure"], merit, out=np.full(len(merit), np.nan), where=merit != 0
        )
    return table


def _encode(sensitive_features: Any, n: int | None) -> GroupCodes:
    groups = GroupEncoder().fit_transform(sensitive_features)
    if n is not None and len(groups.codes) != n:
        raise ValueError(f"sensitive_features has {len(groups.codes)} rows, scores {n}.")
    return groups


def _lists(query: ArrayLike | None, n: int) -> list[Ints]:
    """Rows of each list, in the order of the lists' values."""
    if query is None:
        return [np.arange(n)]
    codes = np.unique(np.asarray(query), return_inverse=True)[1]
    if codes.shape != (n,):
        raise ValueError(f"query has {codes.size} rows, scores {n}.")
    rows = np.argsort(codes, kind="stable")
    return np.split(rows, np.flatnonzero(np.diff(codes[rows])) + 1) if n else []


def _places(lists: Ints) -> Ints:
    """Place of each ranked candidate in its own list, from 1."""
    rows = np.argsort(lists, kind="stable")
    starts = np.flatnonzero(np.diff(lists[rows], prepend=-1))
    place = np.empty(len(lists), dtype=np.int64)
    place[rows] = np.arange(len(lists)) - np.repeat(starts, np.diff(starts, append=len(lists))) + 1
    return place


def _discount(discount: str | Callable[[Ints], ArrayLike], place: Ints) -> Floats:
    if callable(discount):
        return np.asarray(discount(place), dtype=np.float64)
    weights = {
        "log": lambda k: 1 / np.log2(1 + k),
        "inverse": lambda k: 1 / k,
        "uniform": lambda k: np.ones(k.shape),
    }
    if discount not in weights:
        raise ValueError(
            f"discount must be one of {sorted(weights)} or a function, found {discount!r}."
        )
    return weights[discount](place)


def _population(codes: NDArray[np.int32], lists: Ints, n_groups: int) -> Floats:
    """Mean over lists of the groups' shares of the candidates."""
    size = np.bincount(lists)
    return np.bincount(codes, weights=1 / size[lists], minlength=n_groups) / len(size)
