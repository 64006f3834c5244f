"""Ranking with a table of multipliers; no attribute of a person comes in, except for audits."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from fairgroup.groups._frame import sensitive_frame
from fairgroup.ranking import _kernels as k
from fairgroup.ranking._impressions import broadcast_optional, index_of, own_levels

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Ranks:
    """Mixin: multipliers, total values and orders of candidates."""

    policy: str
    attributes_: tuple[str, ...]
    levels_: dict[str, tuple[Hashable, ...]]
    _state: k.State
    ad_ids_: tuple[Hashable, ...]
    cluster_ids_: tuple[Hashable, ...]
    _ad_positions: dict[Hashable, int] | None
    _cluster_positions: dict[Hashable, int] | None

    def multipliers(
        self, ad_ids: ArrayLike, clusters: ArrayLike, *, sensitive_features: Any = None
    ) -> Floats:
        """Multipliers of candidates.

        Parameters
        ----------
        ad_ids : array-like of shape (n_candidates,) or (n_auctions, n_candidates)
            Unknown ads have multiplier 1.
        clusters : scalar or array-like of shape (n_auctions,)
            User cluster of each auction; an unknown one gives multiplier 1. With one-dimensional
            ``ad_ids``, also one cluster for each of them.
        sensitive_features : DataFrame or mapping, default=None
            Own levels, with ``policy="sign"`` only.

        Returns
        -------
        multipliers : ndarray of the shape of ``ad_ids``
        """
        check_is_fitted(self, "params_")
        ads = self._ad_index(ad_ids)
        contexts = self._user_contexts(clusters, sensitive_features)
        return self._state.table[contexts.reshape(-1, 1) if ads.ndim == 2 else contexts, ads]

    def transform(
        self,
        values: ArrayLike,
        *,
        ad_ids: ArrayLike,
        clusters: ArrayLike,
        quality: ArrayLike | None = None,
        eligible_mask: ArrayLike | None = None,
        sensitive_features: Any = None,
    ) -> Floats:
        """Total values after multiplication: multiplier times value, plus quality.

        Parameters
        ----------
        values : array-like of shape (n_candidates,) or (n_auctions, n_candidates)
            Bid times estimated action rate, not negative.
        ad_ids : array-like of the shape of ``values`` or (n_candidates,)
            Candidates; one-dimensional ids hold for all auctions.
        clusters : scalar or array-like of shape (n_auctions,)
            User clusters.
        quality : array-like that broadcasts to ``values``, default=None
            Added after multiplication.
        eligible_mask : array-like of bool that broadcasts to ``values``, default=None
            Candidates that may be shown.
        sensitive_features : DataFrame or mapping, default=None
            Own levels, with ``policy="sign"`` only.

        Returns
        -------
        totals : ndarray of the shape of ``values``
            -inf for a candidate that may not be shown.
        """
        check_is_fitted(self, "params_")
        v = np.ascontiguousarray(np.atleast_2d(np.asarray(values, dtype=np.float64)))
        if not (v.min(initial=0.0) >= 0 and np.isfinite(v.sum())):
            raise ValueError(
                "values must be finite and >= 0: "
                "a multiplier would reverse the meaning of a negative value."
            )
        contexts = self._user_contexts(clusters, sensitive_features)
        contexts = np.ascontiguousarray(np.broadcast_to(contexts, len(v)))
        totals = k.total_values(
            v,
            broadcast_optional(quality, v.shape, np.float64),
            np.ascontiguousarray(np.broadcast_to(self._ad_index(ad_ids), v.shape)),
            contexts,
            broadcast_optional(eligible_mask, v.shape, np.bool_),
            self._state.table,
        )
        return totals[0] if np.ndim(values) == 1 else totals

    def rerank(
        self,
        values: ArrayLike,
        *,
        ad_ids: ArrayLike,
        clusters: ArrayLike,
        quality: ArrayLike | None = None,
        eligible_mask: ArrayLike | None = None,
        sensitive_features: Any = None,
        top: int | None = None,
    ) -> Ints:
        """Order of the candidates by total value, best first; ties keep their order.

        Parameters
        ----------
        values, ad_ids, clusters, quality, eligible_mask, sensitive_features
            As in `transform`, which gives the totals that are sorted.
        top : int or None, default=None
            Number of places; None ranks all.

        Returns
        -------
        order : ndarray of int of shape (n_places,) or (n_auctions, n_places)
            Positions in ``values``; -1 for a place that no eligible candidate fills.
        """
        totals = self.transform(
            values, ad_ids=ad_ids, clusters=clusters, quality=quality,
            eligible_mask=eligible_mask, sensitive_features=sensitive_features,
        )  # fmt: skip
        if top == 1 and totals.shape[-1] > 0:
            order = totals.argmax(axis=-1)[..., None]
        else:
            order = np.argsort(-totals, axis=-1, kind="stable")[..., :top]
        if eligible_mask is not None:
            order = np.where(np.take_along_axis(totals, order, axis=-1) == -np.inf, -1, order)
        return order

    def _ad_index(self, ad_ids: ArrayLike) -> Ints:
        array = np.asarray(ad_ids)
        flat = index_of(self._ad_positions, len(self.ad_ids_), array, array.size, name="ad_ids")
        return flat.reshape(array.shape)

    def _cluster_index(self, clusters: Any, n: int) -> Ints:
        known = self._cluster_positions
        return index_of(known, len(self.cluster_ids_), clusters, n, name="clusters")

    def _user_contexts(self, clusters: Any, sensitive_features: Any) -> Ints:
        if self.policy != "sign":
            if sensitive_features is not None:
                raise ValueError(
                    "sensitive_features do not enter a ranking; "
                    "only policy='sign' (audits) takes them."
                )
            flat = np.atleast_1d(np.asarray(clusters))
            return self._cluster_index(flat, len(flat))
        if sensitive_features is None:
            raise ValueError("policy='sign' needs the sensitive_features of every auction's user.")
        return own_levels(sensitive_frame(sensitive_features)[0], self.levels_)
