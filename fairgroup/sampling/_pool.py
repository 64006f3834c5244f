"""Buying from a pool: who can be bought, who is held out, and in which order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.base import is_classifier, is_regressor
from sklearn.utils import get_tags
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data

from fairgroup.groups import GroupCodes
from fairgroup.sampling._saved import SavedCampaign
from fairgroup.sampling._tables import check_no_overlap
from fairgroup.sampling._within import most_wanted
from fairgroup.utils._sklearn import rows_of
from fairgroup.utils._validation import as_generator

Ints = NDArray[np.int64]

__all__ = ["PoolCampaign"]


class PoolCampaign(SavedCampaign):
    """Mixin of `AdaptiveGroupSampler`."""

    within_group: Any
    validation_fraction: float
    n_features_in_: int

    def _read_pool(
        self, X: Any, y: ArrayLike, oracle: Callable[..., ArrayLike] | None
    ) -> tuple[Any, NDArray[Any]]:
        """Check X and y; frames stay frames, for estimators that read columns by name."""
        frame = hasattr(X, "columns")
        if oracle is not None:
            y = np.zeros(len(np.asarray(y)))
        options = {"accept_sparse": ["csr"], "ensure_min_samples": 2, "dtype": None}
        if frame:
            validate_data(self, X, skip_check_array=True)
            table = X
            checked = np.asarray(y)
            if len(checked) != len(X):
                raise ValueError(f"y has {len(checked)} rows, but X has {len(X)}.")
            if len(X) < 2:
                raise ValueError(
                    f"Found array with {len(X)} sample(s) while a minimum of 2 is needed."
                )
        else:
            allow = "allow-nan" if get_tags(self.estimator).input_tags.allow_nan else True
            table, checked = validate_data(
                self,
                X,
                y,
                y_numeric=is_regressor(self.estimator),
                ensure_all_finite=allow,
                **options,
            )
        if is_classifier(self.estimator) and oracle is None:
            check_classification_targets(checked)
        return table, checked

    def _one_group_each(self, groups: GroupCodes) -> Ints:
        if groups.codes.ndim > 1:
            raise ValueError(
                "A sample is bought for one group: use an encoder with intersections=True."
            )
        return groups.codes.astype(np.int64)

    def _whole(self, available: Ints) -> float:
        """Cost of the whole pool, for ``budget=None``; wrong costs are reported by `_begin`."""
        costs = self.costs
        if isinstance(costs, dict):
            costs = [costs.get(label, 1.0) for label in sorted(costs)]
        values = np.asarray(costs, dtype=np.float64)
        fits = values.ndim == 0 or values.shape == available.shape
        return max(float(np.sum(values * available)), 1.0) if fits else 1.0

    def _split(
        self, X: Any, X_val: Any, codes: Ints, oracle: Callable[..., ArrayLike] | None
    ) -> tuple[Ints, Ints | None]:
        """Rows that can be bought, and rows held out for validation where none are given."""
        everybody = np.flatnonzero(codes >= 0)
        if X_val is not None:
            check_no_overlap(X, X_val)
            return everybody, None
        if oracle is not None:
            raise ValueError("With oracle, give X_val, y_val and sensitive_features_val.")
        rng = np.random.default_rng(as_generator(self.random_state).integers(2**32))
        taken = []
        for g in np.unique(codes[everybody]):
            rows = rng.permutation(np.flatnonzero(codes == g))
            if len(rows) < 2:
                raise ValueError(
                    "A group of the pool has 1 sample, which cannot be both bought and validated "
                    "on; give validation data or merge small groups."
                )
            taken.append(rows[: max(1, round(self.validation_fraction * len(rows)))])
        held_out = np.sort(np.concatenate(taken))
        return np.setdiff1d(everybody, held_out), held_out

    def _buy_from_pool(
        self,
        X: Any,
        y: NDArray[Any],
        codes: Ints,
        pool: Ints,
        oracle: Callable[[Ints], ArrayLike] | None,
    ) -> None:
        shuffled = self._rng(0).permutation(pool)
        left = [shuffled[codes[shuffled] == g] for g in range(len(self.groups_))]
        bought: list[Ints] = []
        while counts := self.ask():
            rows = []
            for label, k in counts.items():
                g = self.groups_.index(label)
                picked = self._pick(X, left[g], g, k)
                rows.append(left[g][picked])
                left[g] = np.delete(left[g], picked)
            new = np.concatenate(rows)
            bought.append(new)
            target = y[new] if oracle is None else np.asarray(oracle(new))
            self._receive(rows_of(X, new), target, codes[new])
        self.selected_indices_ = np.concatenate(bought)

    def _pick(self, X: Any, rows: Ints, g: int, k: int) -> Ints:
        if self.within_group == "random" or self._y is None:
            return np.arange(k)
        model = self._models[0 if self.pooled else g]
        held = rows_of(self._X, np.flatnonzero(self._codes == g))
        return most_wanted(self.within_group, model, rows_of(X, rows), held, k)

    def _forget_data(self) -> None:
        """After `fit` the pool is the user's; copies of it would only make the model heavy."""
        self._X, self._score, self._models = None, None, []
        self._y = None
        self._codes = np.empty(0, dtype=np.int64)
        self.__dict__.pop("_validation", None)
