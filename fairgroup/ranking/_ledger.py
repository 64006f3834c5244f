"""What a fitted re-ranker has measured and done: fitted attributes, report, state."""

from __future__ import annotations

import json
from collections.abc import Hashable, Mapping
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.utils.validation import check_is_fitted

from fairgroup.ranking import _kernels as k
from fairgroup.ranking._noise import NoisyCounter, spent
from fairgroup.ranking._policies import split_levels
from fairgroup.ranking._variance import expected_variance, impression_variance, variance_interval

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Ledger:
    """Mixin: everything that reads the state, and nothing that ranks."""

    noise: NoisyCounter | None
    attributes_: tuple[str, ...]
    ad_ids_: tuple[Hashable, ...]
    eligible_: dict[str, Floats]
    _state: k.State
    _settings: k.Settings
    _layout: k.Layout
    _source: np.random.Generator | None

    def report(self, *, level: float = 0.95, n_bootstrap: int = 200) -> pd.DataFrame:
        """What is known about every ad and attribute from the released counts.

        Parameters
        ----------
        level : float, default=0.95
            Confidence level of the interval.
        n_bootstrap : int, default=200
            Draws per ad and attribute for the interval.

        Returns
        -------
        table : DataFrame
            Indexed by ad and attribute: ``impressions``, ``snapshots``, ``variance`` as released,
            ``noise_floor`` (what perfect delivery would show), ``estimate`` with ``lower`` and
            ``upper`` (corrected for the floor), ``held`` (noise dominates), smallest and largest
            multiplier, ``boost_stopped`` and ``cut_stopped`` by the guardrails.
        """
        check_is_fitted(self, "params_")
        s, frames = self._state, []
        released_n = s.impressions - s.in_batch
        noise_var = (
            np.zeros(len(released_n))
            if self.noise is None
            else self.noise.noise_variance(s.snapshots)
        )
        for p, (a, counts) in enumerate(self.released_counts_.items()):
            positive = np.maximum(counts, 0.0)
            estimate, lower, upper = variance_interval(
                positive,
                self.eligible_[a],
                noise_var=noise_var,
                level=level,
                n_bootstrap=n_bootstrap,
                random_state=0,
            )
            floor = expected_variance(
                self.eligible_[a], np.maximum(released_n, 1), noise_var=noise_var
            )
            columns = {
                "impressions": s.impressions,
                "snapshots": s.snapshots,
                "variance": impression_variance(positive, self.eligible_[a]),
                "noise_floor": np.where(released_n > 0, floor, np.nan),
                "estimate": estimate,
                "lower": lower,
                "upper": upper,
                "held": counts.sum(axis=1) < self._layout.hold[p],
                "smallest_multiplier": self.multiplier_table_.min(axis=1),
                "largest_multiplier": self.multiplier_table_.max(axis=1),
                "boost_stopped": self._stopped()[0],
                "cut_stopped": self._stopped()[1],
            }
            index = pd.MultiIndex.from_product([self.ad_ids_, [a]], names=["ad", "attribute"])
            frames.append(pd.DataFrame(columns, index=index))
        return pd.concat(frames).sort_index(level=0, sort_remaining=False)

    def get_state(self) -> dict[str, Any]:
        """Copy of everything that deliveries have changed, for an exact restart.

        Returns
        -------
        state : dict of str to ndarray or str
        """
        check_is_fitted(self, "params_")
        state: dict[str, Any] = {
            name: getattr(self._state, name).copy() for name in k.State._fields
        }
        if self._source is not None:
            state["noise_source"] = json.dumps(self._source.bit_generator.state)
        return state

    def set_state(self, state: Mapping[str, Any]) -> Self:
        """Continue from a state of a re-ranker that was fitted in the same way.

        Parameters
        ----------
        state : mapping
            What `get_state` returned.

        Returns
        -------
        self : VarianceAwareReranker
        """
        check_is_fitted(self, "params_")
        for name in k.State._fields:
            mine, theirs = getattr(self._state, name), np.asarray(state[name])
            if mine.shape != theirs.shape:
                raise ValueError(
                    f"state[{name!r}] has shape {theirs.shape}; this re-ranker needs {mine.shape}."
                )
            mine[...] = theirs
        if self._source is not None and "noise_source" in state:
            self._source.bit_generator.state = json.loads(str(state["noise_source"]))
        return self

    @property
    def released_counts_(self) -> dict[str, Floats]:
        """Noisy counts at the last snapshots."""
        return self._by_attribute("released")

    @property
    def log_weights_(self) -> dict[str, Floats]:
        """Index of each level."""
        return self._by_attribute("weights")

    @property
    def integral_(self) -> dict[str, Floats]:
        """Integral part of the controller."""
        return self._by_attribute("integral")

    @property
    def multiplier_table_(self) -> Floats:
        """Multiplier of every ad and cluster."""
        return self._fitted_state.table[:-1, :-1].T

    @property
    def n_impressions_(self) -> Ints:
        """Impressions of every covered ad."""
        return self._fitted_state.impressions

    @property
    def n_snapshots_(self) -> Ints:
        """Snapshots of every covered ad."""
        return self._fitted_state.snapshots

    @property
    def q_table_(self) -> Floats:
        """Action values of the Q policy."""
        return self._fitted_state.q_table

    @property
    def privacy_spent_(self) -> dict[str, dict[str, float]]:
        """Budget of one impression, per attribute and in total."""
        n = int(self._fitted_state.snapshots.max(initial=0))
        one = spent(self.noise or NoisyCounter(noise=None), n)
        total = {
            key: v if key == "n_releases" else v * len(self.attributes_) for key, v in one.items()
        }
        return {**{a: dict(one) for a in self.attributes_}, "total": total}

    @property
    def _fitted_state(self) -> k.State:
        check_is_fitted(self, "params_")
        return self._state

    def _by_attribute(self, field: str) -> dict[str, Floats]:
        sizes = (
            {a: e.shape[1] for a, e in self.eligible_.items()}
            if hasattr(self, "eligible_")
            else {}
        )
        return split_levels(getattr(self._fitted_state, field), sizes)

    def _stopped(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Ads whose boosts (cost) and cuts (reach) the guardrails hold back."""
        guard, s = self._state.guard, self._settings
        if not s.guarded:
            none = np.zeros(len(guard), dtype=bool)
            return none, none
        lost = guard[:, 3] - guard[:, 2]
        limit = np.where(guard[:, 3] > 0, s.max_value_loss, 0.0) * np.maximum(guard[:, 3], 1e-300)
        return lost > limit, guard[:, 0] < s.min_reach * guard[:, 1]
