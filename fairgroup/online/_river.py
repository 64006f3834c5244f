"""Groupwise estimators as river models: one row at a time, features and groups in one mapping."""

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

    def features(self, x: dict[str, Any]) -> pd.DataFrame:
        apart = {*self.sensitive, *self.memberships}
        if self.columns is None:
            self.columns = [key for key in x if key not in apart]
        missing = [key for key in self.columns if key not in x]
        if missing:
            raise ValueError(f"x lacks the features {missing}.")
        values = [[float(x[key]) for key in self.columns]]
        return pd.DataFrame(values, columns=self.columns)

    def groups(self, x: dict[str, Any]) -> dict[str, pd.DataFrame]:
        keys = self.sensitive or self.memberships
        if not keys:
            return {}
        missing = [key for key in keys if key not in x]
        if missing:
            raise ValueError(f"x lacks the group columns {missing}.")
        name = "sensitive_features" if self.sensitive else "memberships"
        return {name: pd.DataFrame([[x[key] for key in keys]], columns=keys)}

    def started(self) -> bool:
        return hasattr(self.estimator, "_core")


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
        estimator.partial_fit(rows.features(x), np.array([float(y)]), **rows.groups(x))

    def predict_one(self: Any, x: dict[str, Any]) -> float:
        if not rows.started():
            return 0.0
        return float(estimator.predict(rows.features(x), **rows.groups(x))[0])

    return _model(base.Regressor, rows, {"learn_one": learn_one, "predict_one": predict_one})


def wrap_classifier(
    estimator: Any, sensitive_features: Sequence[str], memberships: Sequence[str]
) -> Any:
    """Return ``estimator`` as a river classifier; see `GroupwiseClassifier.to_river`."""
    base = require("river.base", extra="online")
    rows = _Rows(estimator, sensitive_features, memberships)

    def learn_one(self: Any, x: dict[str, Any], y: Any) -> None:
        classes = None if rows.started() else np.array([False, True])
        label = np.array([y])
        if classes is not None and not isinstance(y, bool | np.bool_):
            classes = np.array([0, 1])
        estimator.partial_fit(rows.features(x), label, classes, **rows.groups(x))

    def predict_proba_one(self: Any, x: dict[str, Any]) -> dict[Any, float]:
        if not rows.started():
            return {}
        shares: NDArray = estimator.predict_proba(rows.features(x), **rows.groups(x))[0]
        return dict(zip(estimator.classes_.tolist(), shares.tolist(), strict=True))

    methods: dict[str, Callable] = {
        "learn_one": learn_one,
        "predict_proba_one": predict_proba_one,
    }
    return _model(base.Classifier, rows, methods)
