"""A collection campaign: whose data to ask for, what came back, and what was learned from it."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone, is_classifier
from sklearn.metrics import check_scoring
from sklearn.utils.validation import check_is_fitted

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupEncoder
from fairgroup.sampling._allocate import check_costs, check_group_weights, check_rho
from fairgroup.sampling._evaluate import Trial, evaluate, nested_scores
from fairgroup.sampling._records import (
    Record,
    history_frame,
    observations_of_scores,
    recommendation_frame,
)
from fairgroup.sampling._refits import GroupScorer
from fairgroup.sampling._responses import (
    Observations,
    Responses,
    estimate_responses,
    known_responses,
)
from fairgroup.sampling._strategies import (
    ADAPTIVE,
    Situation,
    best_group,
    next_purchase,
    predicted_gain,
)
from fairgroup.sampling._tables import concatenate
from fairgroup.sampling._utility import aggregate, equal_equivalent
from fairgroup.utils._sklearn import rows_of
from fairgroup.utils._validation import as_generator

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

__all__ = ["Campaign"]


def n_rows_of(table: Any) -> int:
    """Rows of a table; sparse ones have no length."""
    return int(table.shape[0]) if hasattr(table, "shape") else len(table)


_NO_CURVES = {"maxmin", "score_only", "oracle"}
_PILOT_SHARE = 0.3


class Campaign:
    """Mixin of `AdaptiveGroupSampler`: the campaign behind `fit`, `fit_source` and ask / tell."""

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

    # -- reading the parameters ------------------------------------------------------------------

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
                f"the validation data have no rows of the groups {absent}; every group that is to "
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
                f"fewer than {self.min_validation_size} validation rows: {', '.join(few)}; their "
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
                    f"validation rows of one class only: {', '.join(one)}.",
                    FairnessWarning,
                    stacklevel=4,
                )

    def _rng(self, purpose: int) -> np.random.Generator:
        """Return a generator that depends on the round, so that a campaign resumes exactly."""
        return np.random.default_rng([*self._entropy, self.n_rounds_, purpose])

    # -- the loop by hand ------------------------------------------------------------------------

    def start(
        self,
        groups: Any,
        *,
        X_val: Any = None,
        y_val: Any = None,
        sensitive_features_val: Any = None,
        available: Any = None,
    ) -> Self:
        """Begin a campaign that is driven by hand with `ask` and `tell` or `tell_scores`.

        Parameters
        ----------
        groups : array-like of shape (n_rows,) or (n_rows, n_columns)
            Protected attributes in which every group occurs: a list of labels, or a frame with one
            row per group.
        X_val, y_val, sensitive_features_val : table, array-like, array-like, default=None
            Validation data. Needed for `tell`; not for `tell_scores`.
        available : float, array-like or mapping, default=None
            Samples that can be had of each group; None: no limit.

        Returns
        -------
        self : AdaptiveGroupSampler

        Raises
        ------
        ValueError
            For a budget that is missing or below the cost of the pilot, costs that are not
            positive, and groups without validation rows.
        """
        self._validate_params()  # type: ignore[attr-defined]
        self._begin(self._encoder_of(groups), available, None)
        if X_val is not None:
            codes = self.encoder_.transform(sensitive_features_val).codes
            self._validate_on(X_val, y_val, codes.astype(np.int64))
        self._check_pilot(n_columns=None if X_val is None else np.shape(X_val)[1])
        return self

    def _encoder_of(self, groups: Any) -> GroupEncoder:
        encoder = GroupEncoder() if self.encoder is None else clone(self.encoder)
        # Twice, because a column without any repetition looks like an identifier.
        if isinstance(groups, pd.DataFrame | pd.Series):
            frame: Any = groups
            return encoder.fit(pd.concat([frame, frame], ignore_index=True))
        return encoder.fit([*groups, *groups])

    def ask(self, n: float | None = None) -> dict[Any, int]:
        """Say how many samples to collect next.

        The first answer is the pilot. Asking again before `tell` gives the same answer.

        Parameters
        ----------
        n : float, default=None
            What this batch may cost; None takes ``batch``. Not used for the pilot.

        Returns
        -------
        counts : dict of group to int
            Empty when the campaign is over; ``stopped_reason_`` says why.
        """
        check_is_fitted(self, "n_per_group_")
        if self.stopped_reason_:
            return {}
        if self._pending is None or n is not None:
            self._pending = self._decide(n)
        counts = self._pending
        return {self.groups_[g]: int(k) for g, k in enumerate(counts) if k > 0}

    def tell(
        self, X: Any, y: ArrayLike, *, sensitive_features: Any, exhausted: Sequence[Any] = ()
    ) -> Self:
        """Report collected samples: models are fitted, groups scored, curves estimated.

        Parameters
        ----------
        X, y : table of shape (n, n_features), array-like of shape (n,)
            New samples, not necessarily those that were asked for.
        sensitive_features : array-like of shape (n,) or (n, n_columns)
            Their groups.
        exhausted : sequence of group labels, default=()
            Groups of which nothing more can be had.

        Returns
        -------
        self : AdaptiveGroupSampler
        """
        check_is_fitted(self, "n_per_group_")
        if self._score is None:
            raise ValueError(
                "tell needs validation data: give X_val, y_val and sensitive_features_val to "
                "start, or report scores with tell_scores."
            )
        codes = self.encoder_.transform(sensitive_features).codes.astype(np.int64)
        if len(codes) != n_rows_of(X) or len(codes) != len(np.asarray(y)):
            raise ValueError(
                f"X, y and sensitive_features have {n_rows_of(X)}, {len(np.asarray(y))} and "
                f"{len(codes)} rows; all must describe the same rows."
            )
        self._receive(X, np.asarray(y), codes)
        self._cap(exhausted)
        return self

    def tell_scores(self, scores: Any, n: Any, *, errors: Any = None) -> Self:
        """Report scores of models that were trained elsewhere.

        Parameters
        ----------
        scores : array-like of shape (n_groups,) or mapping of group to float
            Score of each group, higher is better; NaN where unknown.
        n : array-like of shape (n_groups,) or mapping of group to int
            Samples that are now held of each group, at least those before.
        errors : array-like or mapping, default=None
            Standard errors of the scores.

        Returns
        -------
        self : AdaptiveGroupSampler
        """
        check_is_fitted(self, "n_per_group_")
        held = np.asarray(self._by_group(n, "n"), dtype=np.int64)
        found = np.asarray(self._by_group(scores, "scores"), dtype=np.float64)
        spread = np.full(len(held), np.nan)
        if errors is not None:
            spread = np.asarray(self._by_group(errors, "errors"), dtype=np.float64)
        if held.shape != self.n_per_group_.shape or found.shape != held.shape:
            raise ValueError(f"scores and n need one number for each of {self.groups_}.")
        if (held < self.n_per_group_).any():
            raise ValueError(
                f"n must not fall: {self.n_per_group_.tolist()} were held, found {held.tolist()}."
            )
        self._count(held - self.n_per_group_)
        self._learn(found, spread, None)
        return self

    # -- one round -------------------------------------------------------------------------------

    def _receive(self, X: Any, y: NDArray[Any], codes: Ints) -> None:
        """Add rows, then fit, score and learn."""
        self._X = concatenate(self._X, X)
        self._y = y if self._y is None else np.concatenate([self._y, y])
        self._codes = np.concatenate([self._codes, codes])
        self._count(np.bincount(codes[codes >= 0], minlength=len(self.groups_)))
        self._evaluate_now()

    def _count(self, counts: Ints) -> None:
        self._bought = counts
        self.n_per_group_ = self.n_per_group_ + counts
        self.spent_ = float(self._costs @ self.n_per_group_)
        self._upper = np.maximum(self._upper, self.n_per_group_)
        self._pending = None

    def _trial(self) -> Trial:
        assert self._y is not None and self._score is not None
        estimator = seeded(self.estimator, int(self._entropy[0]))
        args = (self._X, self._y, self._codes, self._score, self.pooled, self.refit, self.n_jobs)
        return Trial(estimator, *args)

    def _evaluate_now(self) -> None:
        trial, n_groups = self._trial(), len(self.groups_)
        found = evaluate(trial, n_groups)
        self._models = found.models
        self.__dict__.pop("estimator_", None)  # made again from these when it is needed
        seen = None
        if self._needs_curves():
            seen = nested_scores(
                trial,
                n_groups,
                found.scores,
                points=self.curve_points,
                orders=self.curve_orders,
                fraction=self.curve_min_fraction,
                rng=self._rng(1),
            )
        self._learn(found.scores, found.errors, seen)

    def _effective(self) -> str:
        """Strategy in use: rho = inf makes the marginal one look at the lowest score."""
        return "maxmin" if np.isinf(self._rho) and self.strategy == "marginal" else self.strategy

    def _needs_curves(self) -> bool:
        name = self._effective()
        return isinstance(self.curve, str) and name in ADAPTIVE - _NO_CURVES

    def _learn(self, scores: Floats, errors: Floats, seen: Observations | None) -> None:
        """Keep what a round has shown."""
        self._warn_of_fall(scores, errors)
        self.scores_, self._errors, self._seen = scores, errors, seen
        self.n_rounds_ += 1
        self.utility_ = aggregate(scores, self._weights, self._rho, self.utility_floor)
        self.ede_ = equal_equivalent(self.utility_, self._rho, self.utility_floor)
        self._records.append(
            Record(
                n=self.n_per_group_,
                bought=self._bought,
                spent=self.spent_,
                scores=scores,
                errors=errors,
                utility=self.utility_,
                ede=self.ede_,
            )
        )
        self._respond()

    def _respond(self) -> None:
        n = np.maximum(self.n_per_group_, 1).astype(np.float64)
        if not isinstance(self.curve, str):
            self._responses = known_responses(n, list(self.curve))
            return
        if self._seen is None and self._needs_curves():
            self._seen = observations_of_scores(self._records)
        if self._seen is None:
            self._responses = None
            return
        self._responses = estimate_responses(
            n,
            self._seen,
            family=self.curve,
            score_max=self._score_max(),
            transfer=self.transfer if self.pooled and self._X is not None else "none",
            optimism=self.optimism,
        )

    def _score_max(self) -> float:
        """Best possible score: 0 for losses, 1 for scores that stay below 1."""
        if self._score is not None and getattr(self._score.scorer, "_sign", 1) < 0:
            return 0.0
        return 1.0 if not (self.scores_ > 1).any() else float("inf")

    def _warn_of_fall(self, scores: Floats, errors: Floats) -> None:
        if self._warned_fall or self._effective() != "maxmin":
            return
        with np.errstate(invalid="ignore"):
            fell = self.scores_ - scores > 3 * np.hypot(errors, self._errors)
        grew = self._bought > 0
        if (fell & grew).any():
            self._warned_fall = True
            names = [str(self.groups_[g]) for g in np.flatnonzero(fell & grew)]
            warnings.warn(
                f"more data lowered the score of {', '.join(names)}; the guarantee for the lowest "
                "score holds only where scores do not fall.",
                FairnessWarning,
                stacklevel=5,
            )

    # -- deciding --------------------------------------------------------------------------------

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
                f"the pilot costs {cost:g}, but the budget is {self._budget:g}; raise the budget "
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

    def _situation(self, batch: float) -> Situation:
        quantum = self.quantum
        if isinstance(quantum, str):
            quantum = max(1, int(batch / (20 * self._costs.max())))
        asymptote = np.asarray(self._by_group(self.asymptote, "asymptote"), dtype=np.float64)
        return Situation(
            n=self.n_per_group_,
            upper=self._upper,
            costs=self._costs,
            weights=self._weights,
            shares=self._shares,
            left=self._budget - self.spent_,
            batch=batch,
            scores=self.scores_,
            errors=self._errors,
            rho=self._rho,
            floor=self.utility_floor,
            asymptote=np.broadcast_to(asymptote, len(self.groups_)),
            responses=self._responses,
            quantum=int(quantum),
            exploration=self.exploration,
            tie_se=self.tie_se,
            round=self.n_rounds_,
            rng=self._rng(2),
        )

    def _decide(self, batch: float | None) -> Ints:
        if self.n_rounds_ == 0:
            return self._check_pilot(self._n_columns)
        s = self._situation(self._batch if batch is None else float(batch))
        name = self._effective()
        counts = next_purchase(name, s)
        if not counts.any():
            self.stopped_reason_ = "budget" if (s.room > 0).any() else "exhausted"
            return counts
        record = self._records[-1]
        record.chance = best_group(name, s)
        record.gain, record.gain_error = predicted_gain(s, counts)
        if self.min_gain > 0 and record.gain < self.min_gain * float(self._costs @ counts):
            self.stopped_reason_ = "gain"
            return np.zeros_like(counts)
        record.asked = counts
        return counts

    def _cap(self, exhausted: Sequence[Any]) -> None:
        for label in exhausted:
            g = self.groups_.index(label)
            self._upper[g] = self.n_per_group_[g]

    # -- reading the results ---------------------------------------------------------------------

    @property
    def history_(self) -> pd.DataFrame:
        """What happened, one row per round and group.

        Returns
        -------
        frame : DataFrame
            Columns round, group, n, bought, score, standard_error, probability_best (that this
            group was the best one to buy from next), asked, and for the round spent, utility, ede,
            predicted_gain, predicted_gain_error.
        """
        check_is_fitted(self, "n_per_group_")
        return history_frame(self._records, self.groups_)

    @property
    def recommendation_(self) -> pd.DataFrame:
        """Who to collect from next and how sure that is, one row per group.

        Returns
        -------
        frame : DataFrame
            Columns n, score, standard_error, slope (expected gain of the group's own score per
            sample), slope_error (relative), trusted (False: curve borrowed from the other
            groups), buy and probability_best.
        """
        check_is_fitted(self, "n_per_group_")
        counts = self.ask()
        return recommendation_frame(self._records, self.groups_, self._responses, counts)

    @property
    def curves_(self) -> list[Any]:
        """Fitted learning curves, anchored at the current scores; empty without curves."""
        check_is_fitted(self, "n_per_group_")
        return [] if self._responses is None else self._responses.anchored(self.scores_)

    @property
    def cross_slopes_(self) -> Floats:
        """Change of the score of the row's group per sample of the column's group, (G, G)."""
        check_is_fitted(self, "n_per_group_")
        n_groups = len(self.groups_)
        if self._responses is None:
            return np.full((n_groups, n_groups), np.nan)
        return self._responses.slopes()

    def _finish_models(self) -> None:
        """Put the fitted models where predict finds them; a stand-in is replaced by the real."""
        assert self._y is not None
        estimator = seeded(self.estimator, int(self._entropy[0]))
        fitted = []
        rows = np.arange(len(self._y))
        for model in self._models:
            if self.pooled and type(model) is not type(estimator):
                model = clone(estimator).fit(rows_of(self._X, rows), self._y[rows])
            fitted.append(model)
        self.estimator_ = (
            fitted[0] if self.pooled else dict(zip(self.groups_, fitted, strict=True))
        )


def seeded(estimator: Any, seed: int) -> Any:
    """Clone with every ``random_state=None`` set, so that refits are repeatable."""
    copy = clone(estimator)
    params = copy.get_params(deep=True)
    unset = [k for k, v in params.items() if k.split("__")[-1] == "random_state" and v is None]
    return copy.set_params(**dict.fromkeys(sorted(unset), seed))
