"""A collection campaign: whose data to ask for, what came back, and what was learned from it."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from fairgroup.exceptions import FairnessWarning
from fairgroup.sampling._evaluate import Trial, evaluate, nested_scores
from fairgroup.sampling._records import (
    Record,
    history_frame,
    observations_of_scores,
    recommendation_frame,
)
from fairgroup.sampling._responses import (
    Observations,
    estimate_responses,
    known_responses,
)
from fairgroup.sampling._setup import CampaignSetup, n_rows_of
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

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

__all__ = ["Campaign"]

_NO_CURVES = {"maxmin", "score_only", "oracle"}


class Campaign(CampaignSetup):
    """Mixin of `AdaptiveGroupSampler`: the campaign behind `fit`, `fit_source` and ask / tell."""

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
            raise ValueError(
                f"scores and n need one number for each of {self.groups_}; found shapes "
                f"{found.shape} and {held.shape}."
            )
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
                f"More data lowered the score of {', '.join(names)}; the guarantee for the lowest "
                "score holds only where scores do not fall.",
                FairnessWarning,
                stacklevel=5,
            )

    # -- deciding --------------------------------------------------------------------------------

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
