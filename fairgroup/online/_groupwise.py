"""Online prediction that is good for every group at once: what regressor and classifier share.

Acharya, Arunachaleswaran, Kannan, Roth, Ziani, "Oracle Efficient Algorithms for Groupwise Regret",
ICLR 2024 (arXiv 2310.04652): one base learner per group, combined by a sleeping-experts algorithm.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any, ClassVar, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import MembershipEncoder
from fairgroup.groups._consume import GroupConsumer
from fairgroup.groups._shown import rows_text
from fairgroup.online._core import Bank, GroupwiseCore, fresh_tally
from fairgroup.online._group_book import GroupBook
from fairgroup.online._learned import LearnedNumbers
from fairgroup.online._linear import KINDS, LinearBank
from fairgroup.online._report import alarms, group_report
from fairgroup.online._saved import SavedState
from fairgroup.online._scan_kernels import ROWS, Rules
from fairgroup.online._wrapped import EstimatorBank, FiniteBank, RiverBank
from fairgroup.utils._sklearn import Interval, StrOptions
from fairgroup.utils._validation import check_weights

__all__ = ["GroupwiseBase"]

Floats = NDArray[np.float64]


class GroupwiseBase(LearnedNumbers, SavedState, GroupConsumer, BaseEstimator):
    """Everything but the label and the loss; see the subclasses for the parameters."""

    __metadata_request__fit: ClassVar = {"memberships": True}
    __metadata_request__partial_fit: ClassVar = {"memberships": True, "sensitive_groups": False}
    __metadata_request__predict: ClassVar = {"sensitive_features": True, "memberships": True}
    __metadata_request__score: ClassVar = {"sensitive_features": True, "memberships": True}

    _parameter_constraints: ClassVar[dict[str, list[Any]]] = {
        "alpha": [Interval(Real, 0, None, closed="neither")],
        "fit_intercept": ["boolean"],
        "aggregator": [StrOptions({"adanormalhedge", "specialists"})],
        "feedback": [StrOptions({"mixture", "prediction"})],
        "prior": [None, "array-like", dict],
        "always_on": ["boolean"],
        "encoder": [None, MembershipEncoder],
        "unseen": [StrOptions({"add", "ignore", "error"})],
        "forgetting": [Interval(Real, 0, 1, closed="right")],
        "no_active": [StrOptions({"prior", "zero", "raise"})],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "radius": [None, Interval(Real, 0, None, closed="neither")],
        "engine": [StrOptions({"auto", "rank_one", "blocked"})],
        "block_size": [Interval(Integral, 1, None, closed="left")],
        "refresh_every": [Interval(Integral, 1, None, closed="left")],
        "random_state": ["random_state"],
    }
    _is_classifier: ClassVar[bool] = False

    # The subclasses' __init__ store these.
    base_learner: Any
    alpha: float
    fit_intercept: bool
    aggregator: str
    combine: str
    feedback: str
    prior: Any
    always_on: bool
    encoder: MembershipEncoder | None
    unseen: str
    forgetting: float
    no_active: str
    learning_rate: float
    radius: float | None
    engine: str
    block_size: int
    refresh_every: int
    random_state: Any

    def _rules(self) -> Rules:
        raise NotImplementedError

    def _to_unit(self, y: NDArray) -> Floats:
        """Labels as the base learners see them."""
        raise NotImplementedError

    def _note_labels(self, y: NDArray) -> None:
        """Look at the labels of rows that will be learned."""

    # ---- learning -------------------------------------------------------------------------

    def _learn(
        self,
        X: Any,
        y: Any,
        *,
        memberships: Any,
        sensitive_features: Any,
        sample_weight: Any,
        sensitive_groups: Any = None,
        whole: bool = False,
        may_be_empty: bool = False,
    ) -> Floats:
        """Validate a batch, learn it row by row, and return the predictions made before."""
        first = not hasattr(self, "_core")
        least = 0 if may_be_empty and hasattr(y, "__len__") and len(y) == 0 else 1
        X, y = self._check_batch(X, y, first=first, least=least)
        # Whatever can be refused is refused before the groups of these rows are written down.
        weights = self._row_weights(sample_weight, len(X), whole=whole)
        book = self._book if not first else self._new_book()
        member = book.learn(len(X), memberships, sensitive_features, sensitive_groups)
        if first:
            self._start(X.shape[1], book)
        while self._core.n_groups < len(book.names):
            self._core.add_group(self._log_prior([book.names[self._core.n_groups]])[0])
        self._check_active(member)
        return self._learn_checked(X, y, member * weights[:, None])

    def _learn_checked(self, X: Floats, y: NDArray, member: Floats) -> Floats:
        """Learn rows that were checked; the way in for one row at a time."""
        self._note_labels(y[(member > 0).any(axis=1)])
        played = self._core.learn(self._design(X), self._to_unit(y), member)
        self._warn_once()
        return played

    def _check_batch(self, X: Any, y: Any, *, first: bool, least: int) -> tuple[Floats, NDArray]:
        raise NotImplementedError

    def _groups_seen(self) -> list[tuple[str, str]]:
        if not hasattr(self, "_core"):
            return []
        rows = self._core.tally.groups[:, ROWS]
        return list(zip(self._book.names, map(rows_text, rows), strict=True))

    def _new_book(self) -> GroupBook:
        self._validate_params()
        self._rules()  # refuses options that do not go together, before anything is stored
        return GroupBook(self.encoder, always_on=self.always_on, unseen=self.unseen)

    def _start(self, n_features: int, book: GroupBook) -> None:
        if not book.names:
            raise ValueError(
                "There is no group yet: give memberships, sensitive_features or sensitive_groups, "
                "or use always_on=True."
            )
        rules = self._rules()
        draws = self.combine == "sample"  # nothing else is random
        seed = check_random_state(self.random_state).randint(2**31 - 1) if draws else 0
        tally = fresh_tally(self._log_prior(book.names), seed=seed)
        if rules.learn_range:
            tally.span[:] = 0.0
        self._book = book
        self._core = GroupwiseCore(self._bank(n_features, len(book.names), rules), rules, tally)
        self._warned: set[str] = set()

    def _bank(self, n_features: int, n_groups: int, rules: Rules) -> Bank:
        learner, classifier = self.base_learner, self._is_classifier
        if isinstance(learner, str):
            return LinearBank(
                n_features + self.fit_intercept,
                n_groups,
                kind=self._kind(learner),
                alpha=self.alpha,
                learning_rate=self.learning_rate,
                radius=np.inf if self.radius is None else self.radius,
                forgetting=self.forgetting,
                refresh_every=self.refresh_every,
                engine=self.engine,
                block_size=self.block_size,
            )
        if isinstance(learner, list | tuple):
            low, width = self._label_scale()
            return FiniteBank(
                list(learner), n_groups, rules=rules, classifier=classifier, low=low, width=width
            )
        if hasattr(learner, "partial_fit"):
            return EstimatorBank(learner, n_groups, classifier=classifier)
        names = getattr(self, "feature_names_in_", [f"x{j}" for j in range(n_features)])
        return RiverBank(
            learner, n_groups, classifier=classifier, columns=[str(name) for name in names]
        )

    def _kind(self, learner: str) -> str:
        assert learner in KINDS
        return learner

    def _label_scale(self) -> tuple[float, float]:
        return 0.0, 1.0

    def _log_prior(self, names: list[str]) -> Floats:
        if self.prior is None:
            return np.zeros(len(names))
        if isinstance(self.prior, Mapping):
            weights = np.array([float(self.prior.get(name, 1.0)) for name in names])
        else:
            weights = np.asarray(self.prior, dtype=np.float64)
            if hasattr(self, "_core"):
                weights = np.ones(1)
            elif weights.shape != (len(names),):
                raise ValueError(
                    f"prior has shape {weights.shape}, but there are {len(names)} groups: {names}."
                )
        if not (np.isfinite(weights) & (weights > 0)).all():
            raise ValueError(f"prior must be positive and finite; found {self.prior!r}.")
        return np.log(weights)

    def _row_weights(self, sample_weight: Any, n_rows: int, *, whole: bool) -> Floats:
        if sample_weight is None:
            return np.ones(n_rows)
        if whole:
            weights = check_weights(sample_weight, n_rows)
            return weights / max(1.0, weights.max())
        weights = np.asarray(sample_weight, dtype=np.float64)
        if weights.shape != (n_rows,):
            raise ValueError(f"sample_weight has shape {weights.shape}; expected ({n_rows},).")
        if not ((weights >= 0) & (weights <= 1)).all():
            raise ValueError(
                "sample_weight multiplies the memberships and must be in [0, 1]. Divide by the "
                "largest weight of the whole stream."
            )
        return weights

    def _check_active(self, member: Floats) -> None:
        idle = ~(member > 0).any(axis=1)
        if not idle.any():
            return
        row = int(np.argmax(idle))
        if self.no_active == "raise":
            raise ValueError(
                f"Row {row} is in no group. Use always_on=True, or no_active='prior' to predict "
                "such rows by the prior-weighted mean of all learners."
            )
        how = "the mean of all learners" if self.no_active == "prior" else "zero"
        warnings.warn(
            f"{int(idle.sum())} rows are in no group (first: row {row}); they are predicted by "
            f"{how}, and nothing is learned from them.",
            FairnessWarning,
            stacklevel=4,
        )

    def _design(self, X: Floats) -> Floats:
        """Features as the base learners see them."""
        if isinstance(self.base_learner, str) and self.fit_intercept:
            X = np.hstack([X, np.ones((len(X), 1))])
        return np.ascontiguousarray(X)

    def _warn_once(self) -> None:
        """Say it once when losses leave [0, 1] or a regret passes its bound."""
        if self.n_loss_overflow_ and "overflow" not in self._warned:
            self._warned.add("overflow")
            warnings.warn(
                "Some losses exceed 1, where the regret bound does not hold; they are counted in "
                "n_loss_overflow_. Use clip=True, a wider y_range or a smaller loss_scale.",
                FairnessWarning,
                stacklevel=4,
            )
        alarmed = [self._book.names[g] for g in np.flatnonzero(alarms(self._core))]
        new = [name for name in alarmed if name not in self._warned]
        if new:
            self._warned.update(new)
            warnings.warn(
                f"The regret of {', '.join(map(repr, new))} to the own learner exceeds its bound, "
                "which in-range losses cannot do: check labels, y_range and loss_scale.",
                FairnessWarning,
                stacklevel=4,
            )

    # ---- predicting -----------------------------------------------------------------------

    def _predict_unit(self, X: Any, memberships: Any, sensitive_features: Any) -> Floats:
        check_is_fitted(self, "_core")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        member = self._book.predict(len(X), memberships, sensitive_features)
        self._check_active(member)
        return self._core.predict(self._design(X), member)[0]

    def group_weights(
        self, X: ArrayLike, *, sensitive_features: Any = None, memberships: Any = None
    ) -> pd.DataFrame:
        """Weight of each group's learner in the prediction of each row, as things stand.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
        memberships : array-like of shape (n_samples, n_groups), default=None

        Returns
        -------
        weights : DataFrame of shape (n_samples, n_groups)
            Rows sum to one; zero for groups that a row is not in.
        """
        check_is_fitted(self, "_core")
        features = validate_data(self, X, reset=False, dtype=np.float64)
        member = self._book.predict(len(features), memberships, sensitive_features)
        weights = self._core.predict(self._design(features), member)[1]
        return pd.DataFrame(weights, columns=self._book.names)

    # ---- labels that come late ------------------------------------------------------------

    def _hold(
        self, X: Any, memberships: Any, sensitive_features: Any
    ) -> tuple[NDArray[np.int64], Floats]:
        check_is_fitted(self, "_core")
        X = validate_data(self, X, reset=False, dtype=np.float64)
        member = self._book.predict(len(X), memberships, sensitive_features)
        self._check_active(member)
        return self._core.hold(self._design(X), member)

    def resolve(self, ids: ArrayLike, y: ArrayLike) -> Self:
        """Learn from rows that `enqueue` predicted, now that their labels are known.

        The loss is paid with the weights and predictions of the time of the prediction.

        Parameters
        ----------
        ids : array-like of shape (n,)
            Numbers that `enqueue` returned, in any order.
        y : array-like of shape (n,)
            Their labels.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            For a number that is not waiting.
        """
        check_is_fitted(self, "_core")
        numbers, labels = np.atleast_1d(np.asarray(ids)), np.atleast_1d(np.asarray(y))
        if numbers.shape != labels.shape:
            raise ValueError(f"ids has shape {numbers.shape}, but y has {labels.shape}.")
        labels = self._check_labels(labels)
        self._note_labels(labels)
        self._core.settle(numbers, self._to_unit(labels))
        self._warn_once()
        return self

    def _check_labels(self, y: NDArray) -> NDArray:
        raise NotImplementedError

    def to_river(self, *, sensitive_features: Any = (), memberships: Any = ()) -> Any:
        """Wrap this model as a river model, which shares its state.

        Parameters
        ----------
        sensitive_features : sequence of str, default=()
            Keys of ``x`` that are protected attributes; they are not features.
        memberships : sequence of str, default=()
            Keys of ``x`` that are memberships in [0, 1], instead.

        Returns
        -------
        model : river.base.Regressor or river.base.Classifier
        """
        from fairgroup.online._river import wrap_classifier, wrap_regressor

        wrap = wrap_classifier if self._is_classifier else wrap_regressor
        return wrap(self, sensitive_features, memberships)

    # ---- groups ---------------------------------------------------------------------------

    def add_group(self, name: str, *, prior: float | None = None) -> Self:
        """Start a learner for a group that was not there before.

        Its regret counts from now on. The other groups keep their state.

        Parameters
        ----------
        name : str
            Of the new last column of ``memberships``.
        prior : float, default=None
            Weight relative to the other groups' prior weights. None: one, or the entry in the
            parameter ``prior``.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If the group exists.
        """
        check_is_fitted(self, "_core")
        if name in self._book.names:
            raise ValueError(f"The group {name!r} exists already: {self._book.names}.")
        if prior is not None and not (np.isfinite(prior) and prior > 0):
            raise ValueError(f"prior must be positive and finite; found {prior!r}.")
        self._book.names.append(name)
        log_prior = self._log_prior([name])[0] if prior is None else float(np.log(prior))
        self._core.add_group(log_prior)
        return self

    def group_report(self) -> pd.DataFrame:
        """What each group has lost, and how far it can be from the best model for it.

        Losses are in [0, 1] per round (squared errors of labels scaled to [0, 1]; log loss divided
        by ``-log(eps)``) and summed over the group's rounds, weighted by membership.

        Returns
        -------
        report : DataFrame of shape (n_groups, 11), index ``group``
            ``n``: rounds; ``size``: sum of memberships; ``loss``; ``expert_loss``: of the group's
            own learner; ``hindsight_ridge``: least ridge objective of a single model for the group
            in hindsight; ``expert_regret`` = loss - expert_loss; ``bound`` on it; ``regret`` =
            loss - hindsight_ridge; ``learner_bound``: bound on the learner's own regret to that
            model; ``regret_bound`` = bound + learner_bound; ``alarm``: the regret to the own
            learner exceeds its bound. NaN where a number does not exist for the base learner.
        """
        check_is_fitted(self, "_core")
        return group_report(self._core, self._book.names)

    def _forget(self) -> None:
        """Back to before the first row."""
        for name in ("_core", "_book", "_warned", "feature_names_in_", "n_features_in_"):
            if hasattr(self, name):
                delattr(self, name)
