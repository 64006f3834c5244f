"""Base learners made of other objects: scikit-learn or river models, or a finite class of models.

They go through rows one at a time, so that any split of a stream gives the same result; the
compiled linear learners are faster by two to three orders of magnitude.
"""

from __future__ import annotations

import copy
import inspect
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import clone

from fairgroup.online._core import fresh_tally
from fairgroup.online._scan_kernels import Rules, finite_class

__all__ = ["EstimatorBank", "FiniteBank", "RiverBank"]

Floats = NDArray[np.float64]


class _ObjectBank:
    """One independent copy of a model per group; subclasses say how to predict and learn a row."""

    has_hindsight = False

    def __init__(self, model: Any, n_groups: int, *, classifier: bool) -> None:
        self.model = model
        self.classifier = classifier
        self.models = [self._copy() for _ in range(n_groups)]
        self.started = [False] * n_groups

    def learn(
        self, X: Floats, y: Floats, member: Floats, asked: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Predict each row, then learn it."""
        experts = np.zeros(member.shape)
        for t in range(len(X)):
            experts[t] = self.peek(X[t : t + 1], member[t : t + 1], asked[t : t + 1])[0]
            for g in np.flatnonzero(member[t]):
                self._learn_one(int(g), X[t], float(y[t]), float(member[t, g]))
                self.started[g] = True
        return experts, np.zeros(member.shape)

    def peek(self, X: Floats, member: Floats, asked: NDArray[np.bool_]) -> Floats:
        """Predict rows without learning; a model that has learned nothing predicts the middle."""
        experts = np.zeros(member.shape)
        for g, model in enumerate(self.models):
            rows = np.flatnonzero((member[:, g] > 0) | asked)
            if len(rows) and self.started[g]:
                experts[rows, g] = self._predict(model, X[rows])
            elif len(rows):
                experts[rows, g] = 0.5 if self.classifier else 0.0
        return experts

    def add(self) -> None:
        """Append a fresh model."""
        self.models.append(self._copy())
        self.started.append(False)

    def state(self) -> dict[str, NDArray]:
        """Not possible for arbitrary objects."""
        raise TypeError(
            f"The base learner {type(self.model).__name__} has no state of plain arrays; save the "
            "whole estimator with pickle or joblib, which continues exactly."
        )

    def load(self, state: dict[str, NDArray]) -> None:
        """Not possible for arbitrary objects."""
        self.state()

    @property
    def logdet(self) -> Floats:
        """NaN: there is no Gram matrix."""
        return np.full(len(self.models), np.nan)

    def learner_bound(self) -> Floats:
        """NaN: nothing is known about the model's own regret."""
        return np.full(len(self.models), np.nan)

    def _copy(self) -> Any:
        raise NotImplementedError

    def _predict(self, model: Any, X: Floats) -> Floats:
        raise NotImplementedError

    def _learn_one(self, g: int, x: Floats, y: float, weight: float) -> None:
        raise NotImplementedError


class EstimatorBank(_ObjectBank):
    """One clone of a scikit-learn estimator with ``partial_fit`` per group."""

    def _copy(self) -> Any:
        return clone(self.model)

    def _predict(self, model: Any, X: Floats) -> Floats:
        if not self.classifier:
            return np.asarray(model.predict(X), dtype=np.float64).reshape(len(X))
        if hasattr(model, "predict_proba"):
            return np.asarray(model.predict_proba(X), dtype=np.float64)[:, 1]
        return np.asarray(model.predict(X), dtype=np.float64)

    def _learn_one(self, g: int, x: Floats, y: float, weight: float) -> None:
        model = self.models[g]
        known = inspect.signature(model.partial_fit).parameters
        extra: dict[str, Any] = {}
        if weight != 1.0:
            if "sample_weight" not in known:
                raise ValueError(
                    f"{type(model).__name__}.partial_fit takes no sample_weight, so fractional "
                    "memberships and weights cannot be used with it."
                )
            extra["sample_weight"] = np.array([weight])
        if self.classifier:
            extra["classes"] = np.array([0, 1])
            model.partial_fit(x[None], np.array([int(y)]), **extra)
        else:
            model.partial_fit(x[None], np.array([y]), **extra)


class RiverBank(_ObjectBank):
    """One copy of a river model per group; features go in as ``{column: value}``."""

    def __init__(self, model: Any, n_groups: int, *, classifier: bool, columns: list[str]) -> None:
        self.columns = columns
        super().__init__(model, n_groups, classifier=classifier)

    def _copy(self) -> Any:
        return self.model.clone() if hasattr(self.model, "clone") else copy.deepcopy(self.model)

    def _row(self, x: Floats) -> dict[str, float]:
        return dict(zip(self.columns, x.tolist(), strict=True))

    def _predict(self, model: Any, X: Floats) -> Floats:
        if self.classifier:
            shares = [model.predict_proba_one(self._row(x)) for x in X]
            return np.array([share.get(1, 1.0 - share.get(0, 0.5)) for share in shares])
        return np.array([float(model.predict_one(self._row(x))) for x in X])

    def _learn_one(self, g: int, x: Floats, y: float, weight: float) -> None:
        model = self.models[g]
        label = int(y) if self.classifier else y
        if weight == 1.0:
            model.learn_one(self._row(x), label)
        elif "w" in inspect.signature(model.learn_one).parameters:
            model.learn_one(self._row(x), label, w=weight)
        else:
            raise ValueError(
                f"{type(model).__name__}.learn_one takes no weight w, so fractional memberships "
                "and weights cannot be used with it."
            )


class FiniteBank:
    """AdaNormalHedge over a finite class of fitted models, once per group.

    With C the sum of absolute regrets and B as in section 2.2, a group's regret to the best of H
    models is at most sqrt(3 C (ln H + ln B)): the small class of Blum and Lykouris without
    enumerating groups times models in one Hedge.

    Parameters
    ----------
    models : list
        Fitted models with ``predict`` (or ``predict_proba``).
    n_groups : int
    rules : Rules
        Of the estimator: loss, clipping, forgetting.
    classifier : bool
    low, width : float
        The models' predictions p enter as (p - low) / width.
    """

    has_hindsight = False

    def __init__(
        self,
        models: list[Any],
        n_groups: int,
        *,
        rules: Rules,
        classifier: bool,
        low: float = 0.0,
        width: float = 1.0,
    ) -> None:
        self.models, self.classifier = models, classifier
        self.low, self.width = low, width
        self.rules, self.unit = rules, fresh_tally(np.zeros(1), history=0)
        self.regret = np.zeros((n_groups, len(models)))
        self.abs_regret = np.zeros((n_groups, len(models)))

    def learn(
        self, X: Floats, y: Floats, member: Floats, asked: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Predict each row, then learn it."""
        return self._run(X, y, member, asked, learn=True), np.zeros(member.shape)

    def peek(self, X: Floats, member: Floats, asked: NDArray[np.bool_]) -> Floats:
        """Predict rows without learning."""
        return self._run(X, np.zeros(len(X)), member, asked, learn=False)

    def add(self) -> None:
        """Append a fresh Hedge."""
        row = np.zeros((1, len(self.models)))
        self.regret = np.vstack([self.regret, row])
        self.abs_regret = np.vstack([self.abs_regret, row])

    def state(self) -> dict[str, NDArray]:
        """Regrets of every group to every model; the models themselves are parameters."""
        return {"regret": self.regret.copy(), "abs_regret": self.abs_regret.copy()}

    def load(self, state: dict[str, NDArray]) -> None:
        """Take over the arrays of `state`."""
        self.regret, self.abs_regret = np.array(state["regret"]), np.array(state["abs_regret"])

    @property
    def logdet(self) -> Floats:
        """NaN: there is no Gram matrix."""
        return np.full(len(self.regret), np.nan)

    def learner_bound(self) -> Floats:
        """Bound on each group's regret to the best of the models (losses in [0, 1])."""
        n_models = len(self.models)
        spread = 1.0 + 1.5 * np.mean(1.0 + np.log1p(self.abs_regret), axis=1)
        worst = self.abs_regret.max(axis=1, initial=0.0)
        return np.sqrt(3.0 * worst * (np.log(n_models) + np.log(spread)))

    def _run(
        self, X: Floats, y: Floats, member: Floats, asked: NDArray[np.bool_], *, learn: bool
    ) -> Floats:
        predictions = np.column_stack([self._predict(model, X) for model in self.models])
        experts, out = np.zeros(member.shape), np.empty(len(X))
        for g in range(member.shape[1]):
            out[:] = 0.0
            finite_class(
                predictions,
                y,
                np.ascontiguousarray(member[:, g]),
                asked,
                self.regret[g],
                self.abs_regret[g],
                self.unit,
                self.rules,
                learn,
                out,
            )
            experts[:, g] = out
        return experts

    def _predict(self, model: Any, X: Floats) -> Floats:
        if self.classifier and hasattr(model, "predict_proba"):
            return np.asarray(model.predict_proba(X), dtype=np.float64)[:, 1]
        return (np.asarray(model.predict(X), dtype=np.float64) - self.low) / self.width
