"""What a campaign starts from: parameters by group, validation data, pilot and batch."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupEncoder
from fairgroup.sampling._allocate import check_costs, check_group_weights, check_rho
from fairgroup.sampling._records import Record
from fairgroup.sampling._refits import GroupScorer
from fairgroup.sampling._responses import Observations, Responses
from fairgroup.utils._validation import as_generator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

__all__ = ["CampaignSetup", "n_rows_of"]

_PILOT_SHARE = 0.3


def n_rows_of(table: Any) -> int:
    """Rows of a table; sparse ones have no length."""
    return int(table.shape[0]) if hasattr(table, "shape") else len(table)


class CampaignSetup:
    """Mixin of `Campaign` that reads the parameters and sets everything to the beginning."""

    estimator: Any
    scoring: Any
    budget: float | None
    costs: Any
    strategy: str
    rho: float
    weights: Any
    pilot: Any
    batch: Any
    exploration: float
    quantum: Any
    curve: Any
    curve_points: int
    curve_orders: int
    curve_min_fraction: float
    pooled: bool
    transfer: str
    utility_floor: float
    optimism: float
    tie_se: bool
    asymptote: Any
    min_gain: float
    min_validation_size: int
    population: Any
    refit: str
    encoder: GroupEncoder | None
    n_jobs: int | None
    random_state: Any

    def _by_group(self, value: Any, name: str, default: float | None = None) -> Any:
        """Return a number, an array in the order of ``groups_``, or a mapping as an array."""
        if isinstance(value, Mapping):
            unknown = [key for key in value if key not in self.groups_]
            if unknown:
                raise ValueError(f"{name} names unknown groups {unknown}; known: {self.groups_}.")
            missing = [label for label in self.groups_ if label not in value]
            if missing and default is None:
                raise ValueError(f"{name} has no entry for the groups {missing}.")
            return np.array([value.get(label, default) for label in self.groups_], dtype=float)
        return value

    def _begin(
        self,
        encoder: GroupEncoder,
        available: ArrayLike | None,
        shares: ArrayLike | None,
        budget: float | None = None,
    ) -> None:
        """Set everything back to the state before the pilot."""
        self.encoder_ = encoder
        single = len(encoder.columns_) == 1
        self.groups_ = [label[0] if single else label for label in encoder.labels_]
        n_groups = len(self.groups_)
        self._costs = check_costs(self._by_group(self.costs, "costs"), n_groups)
        self._weights = check_group_weights(self._by_group(self.weights, "weights", 0.0), n_groups)
        self._rho = check_rho(self.rho)
        top = np.inf if available is None else self._by_group(available, "available", np.inf)
        self._upper = np.broadcast_to(np.asarray(top, dtype=np.float64), n_groups).copy()
        given = (
            shares if self.population is None else self._by_group(self.population, "population")
        )
        self._shares = check_group_weights(given, n_groups)
        limit = self.budget if self.budget is not None else budget
        if limit is None or not np.isfinite(limit) or limit <= 0:
            raise ValueError(f"budget must be positive and finite; found {limit!r}.")
        self._budget = float(limit)
        self._entropy = as_generator(self.random_state).integers(2**32, size=4).tolist()
        self.n_per_group_ = np.zeros(n_groups, dtype=np.int64)
        self.spent_, self.n_rounds_, self.stopped_reason_ = 0.0, 0, ""
        self.scores_, self._errors = np.full(n_groups, np.nan), np.full(n_groups, np.nan)
        self.utility_, self.ede_ = float("nan"), float("nan")
        self._records: list[Record] = []
        self._seen: Observations | None = None
        self._responses: Responses | None = None
        self._pending: Ints | None = None
        self._X: Any = None
        self._y: NDArray[Any] | None = None
        self._codes = np.empty(0, dtype=np.int64)
        self._score: GroupScorer | None = None
        self._models: list[Any] = []
        self._warned_fall = False
        self.__dict__.pop("estimator_", None)
        self._n_columns: int | None = None

    def _validate_on(self, X_val: Any, y_val: Any, codes_val: Ints, *, warn: bool = True) -> None:
        """Keep the validation data, and say where they are too few."""
        y_val = np.asarray(y_val)
        if len(y_val) != n_rows_of(X_val) or len(codes_val) != len(y_val):
            raise ValueError(
                f"X_val, y_val and sensitive_features_val have {n_rows_of(X_val)}, {len(y_val)} "
                f"and {len(codes_val)} rows; all must describe the same rows."
            )
        counts = np.bincount(codes_val[codes_val >= 0], minlength=len(self.groups_))
        if (counts == 0).any():
            absent = [label for label, n in zip(self.groups_, counts, strict=True) if not n]
            raise ValueError(
                f"The validation data have no rows of the groups {absent}; every group that is to "
                "be sampled must be scored."
            )
        scorer = check_scoring(self.estimator, self.scoring)
        self._score = GroupScorer(scorer, X_val, y_val, codes_val, len(self.groups_))
        self._validation = (X_val, y_val, codes_val)
        if warn and self.min_validation_size:
            self._warn_of_few(counts)

    def _warn_of_few(self, counts: Ints) -> None:
        assert self._score is not None
        few = [
            f"{label} ({n})"
            for label, n in zip(self.groups_, counts, strict=True)
            if n < self.min_validation_size
        ]
        if few:
            warnings.warn(
                f"Fewer than {self.min_validation_size} validation rows: {', '.join(few)}; their "
                "scores are too noisy to steer by.",
                FairnessWarning,
                stacklevel=4,
            )
        if is_classifier(self.estimator):
            one = [
                str(label)
                for label, y in zip(self.groups_, self._score.y, strict=True)
                if len(np.unique(y)) < 2
            ]
            if one:
                warnings.warn(
                    f"Validation rows of one class only: {', '.join(one)}.",
                    FairnessWarning,
                    stacklevel=4,
                )

    def _rng(self, purpose: int) -> np.random.Generator:
        """Return a generator that depends on the round, so that a campaign resumes exactly."""
        return np.random.default_rng([*self._entropy, self.n_rounds_, purpose])

    def _encoder_of(self, groups: Any) -> GroupEncoder:
        encoder = GroupEncoder() if self.encoder is None else clone(self.encoder)
        # Twice, because a column without any repetition looks like an identifier.
        if isinstance(groups, pd.DataFrame | pd.Series):
            frame: Any = groups
            return encoder.fit(pd.concat([frame, frame], ignore_index=True))
        return encoder.fit([*groups, *groups])

    def _check_pilot(self, n_columns: int | None) -> Ints:
        """Samples of the pilot; an error when the budget does not cover it."""
        n_groups, total = len(self.groups_), float(self._costs.sum())
        self._n_columns = n_columns
        if isinstance(self.pilot, str):
            size = min(max(20, 2 * (n_columns or 0)), int(_PILOT_SHARE * self._budget / total))
            pilot = np.full(n_groups, max(size, 1), dtype=np.int64)
        else:
            given = np.asarray(self._by_group(self.pilot, "pilot"), dtype=np.float64)
            if given.ndim > 1 or (given.ndim == 1 and len(given) != n_groups) or (given < 1).any():
                raise ValueError(
                    f"pilot must be 1 or more, one number or one for each of the {n_groups} "
                    f"groups; found {self.pilot!r}."
                )
            pilot = np.broadcast_to(given, n_groups).astype(np.int64)
        pilot = np.minimum(pilot, self._upper).astype(np.int64)
        cost = float(self._costs @ pilot)
        if cost > self._budget * (1 + 1e-12):
            raise ValueError(
                f"The pilot costs {cost:g}, but the budget is {self._budget:g}; raise the budget "
                "or lower pilot."
            )
        self._pilot_cost = cost
        self._batch = self._batch_cost()
        return pilot

    def _batch_cost(self) -> float:
        top = float(self._costs.max())
        if isinstance(self.batch, str):
            return max(0.1 * (self._budget - self._pilot_cost), top)
        if self.batch < top:
            warnings.warn(
                f"batch={self.batch:g} does not pay for one sample of the dearest group; {top:g} "
                "is used.",
                FairnessWarning,
                stacklevel=4,
            )
        return max(float(self.batch), top)
