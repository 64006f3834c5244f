"""Groupwise estimators as river models: one row at a time, features and groups in one mapping.

The first row, and any with attributes not met before, goes through the estimator's own checks; the
others go straight to the learners, which is some fifty times faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairgroup.utils._optional import require

if TYPE_CHECKING:
    from fairgroup.online._groupwise import GroupwiseBase

__all__ = ["wrap_classifier", "wrap_regressor"]

Floats = NDArray[np.float64]


class _Rows:
    """Splits river's mapping into features and groups; remembers the order of the features."""

    def __init__(
        self, estimator: GroupwiseBase, sensitive_features: Sequence[str], memberships: Any
    ) -> None:
        if sensitive_features and memberships:
            raise ValueError("Name sensitive_features or memberships, not both.")
        self.estimator = estimator
        self.sensitive = list(sensitive_features)
        self.memberships = list(memberships)
        self.columns: list[str] | None = None
        if hasattr(estimator, "feature_names_in_"):
            self.columns = [str(name) for name in estimator.feature_names_in_]

    @property
    def started(self) -> bool:
        return hasattr(self.estimator, "_core")

    def values(self, x: dict[str, Any]) -> Floats:
        """Features (1, d)."""
        if self.columns is None:
            apart = {*self.sensitive, *self.memberships}
            self.columns = [key for key in x if key not in apart]
        self._present(x, self.columns, "features")
        row = np.array([[x[key] for key in self.columns]], dtype=np.float64)
        if not np.isfinite(row).all():
            raise ValueError(f"x has a feature that is not finite: {x}.")
        return row

    def frame(self, x: dict[str, Any]) -> pd.DataFrame:
        return pd.DataFrame(self.values(x), columns=self.columns)

    def groups(self, x: dict[str, Any]) -> dict[str, pd.DataFrame]:
        """Arguments for the estimator's own methods."""
        keys = self.sensitive or self.memberships
        if not keys:
            return {}
        self._present(x, keys, "group columns")
        name = "sensitive_features" if self.sensitive else "memberships"
        return {name: pd.DataFrame([[x[key] for key in keys]], columns=keys)}

    def member(self, x: dict[str, Any]) -> Floats | None:
        """Memberships (1, G), if the estimator's checks can be passed over."""
        if not self.started:
            return None
        book = self.estimator._book
        self._present(x, self.sensitive or self.memberships, "group columns")
        if not self.memberships:
            return book.row(tuple(x[key] for key in self.sensitive))
        first = [1.0] if book.always_on else []
        row = np.array([[*first, *(x[key] for key in self.memberships)]], dtype=np.float64)
        known = book.names[len(first) :] == self.memberships
        return row if known and ((row >= 0) & (row <= 1)).all() and row.any() else None

    def note(self, x: dict[str, Any]) -> None:
        """Remember the memberships of a row that went through the estimator's checks."""
        if self.memberships:
            return
        book, groups = self.estimator._book, self.groups(x)
        if not groups:
            placed = np.zeros((1, len(book.names)))
            placed[0, 0] = 1.0
        else:
            placed = book.predict(1, None, groups["sensitive_features"])
        book.note(tuple(x[key] for key in self.sensitive), placed)

    def play(self, x: dict[str, Any]) -> float | None:
        """Prediction in the units of the learners, on the fast way."""
        member = self.member(x)
        if member is None:
            return None
        design = self.estimator._design(self.values(x))
        return float(self.estimator._core.predict(design, member)[0][0])

    def learn(self, x: dict[str, Any], y: Any, **extra: Any) -> None:
        member = self.member(x)
        if member is not None:
            labels = self.estimator._check_labels(np.array([y]))
            self.estimator._learn_checked(self.values(x), labels, member)
            return
        self.estimator.partial_fit(self.frame(x), np.array([y]), **extra, **self.groups(x))
        self.note(x)

    @staticmethod
    def _present(x: dict[str, Any], keys: Sequence[str], what: str) -> None:
        missing = [key for key in keys if key not in x]
        if missing:
            raise ValueError(f"x lacks the {what} {missing}.")


def _model(base: Any, rows: _Rows, methods: dict[str, Callable]) -> Any:
    """Instance of a subclass of river's base class with the given methods."""
    name = f"River{type(rows.estimator).__name__}"
    created = type(name, (base,), {**methods, "__doc__": f"{name}: shares its state."})
    model = created()
    model.estimator = rows.estimator
    return model


def wrap_regressor(
    estimator: Any, sensitive_features: Sequence[str], memberships: Sequence[str]
) -> Any:
    """Return ``estimator`` as a river regressor; see `GroupwiseRegressor.to_river`."""
    base = require("river.base", extra="online")
    rows = _Rows(estimator, sensitive_features, memberships)

    def learn_one(self: Any, x: dict[str, Any], y: float) -> None:
        rows.learn(x, float(y))

    def predict_one(self: Any, x: dict[str, Any]) -> float:
        if not rows.started:
            return 0.0
        played = rows.play(x)
        if played is not None:
            return float(estimator._from_unit(played))
        return float(estimator.predict(rows.frame(x), **rows.groups(x))[0])

    return _model(base.Regressor, rows, {"learn_one": learn_one, "predict_one": predict_one})


def wrap_classifier(
    estimator: Any, sensitive_features: Sequence[str], memberships: Sequence[str]
) -> Any:
    """Return ``estimator`` as a river classifier; see `GroupwiseClassifier.to_river`."""
    base = require("river.base", extra="online")
    rows = _Rows(estimator, sensitive_features, memberships)

    def learn_one(self: Any, x: dict[str, Any], y: Any) -> None:
        if rows.started:
            rows.learn(x, y)
        else:  # river's labels are booleans or 0 and 1
            boolean = isinstance(y, bool | np.bool_)
            rows.learn(x, y, classes=np.array([False, True] if boolean else [0, 1]))

    def predict_proba_one(self: Any, x: dict[str, Any]) -> dict[Any, float]:
        if not rows.started:
            return {}
        share = rows.play(x)
        if share is None:
            share = float(estimator.predict_proba(rows.frame(x), **rows.groups(x))[0, 1])
        first, second = estimator.classes_.tolist()
        return {first: 1.0 - share, second: share}

    methods: dict[str, Callable] = {
        "learn_one": learn_one,
        "predict_proba_one": predict_proba_one,
    }
    return _model(base.Classifier, rows, methods)
