"""A forest as a river model: one row at a time, features and groups in one mapping.

Rows are checked here and go straight to the compiled loop; only the first one, and attributes not
met before, go through the estimator's own checks, which are made for tables.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairgroup.exceptions import FairnessWarning
from fairgroup.forest._stream_kernels import WHOLE
from fairgroup.utils._optional import require

if TYPE_CHECKING:
    from fairgroup.forest._aranyani import AranyaniBase

__all__ = ["wrap"]

Floats = NDArray[np.float64]


class _Rows:
    """Splits river's mapping into features and groups; remembers the order of the features."""

    def __init__(
        self, estimator: AranyaniBase, sensitive_features: Sequence[str], classes: Any, groups: Any
    ) -> None:
        self.estimator = estimator
        self.sensitive = list(sensitive_features)
        self.classes, self.groups = classes, groups
        self.columns: list[str] | None = None
        self.codes: dict[tuple[Any, ...], int] = {}  # attributes that the encoder has looked up
        if hasattr(estimator, "feature_names_in_"):
            self.columns = [str(name) for name in estimator.feature_names_in_]
        if self.sensitive and groups is None and not self.started:
            raise ValueError(
                "A river model sees one row at a time: name all groups in groups, for example "
                "to_river(sensitive_features=['sex'], groups=['f', 'm'])."
            )
        if not self.sensitive and not self.started and estimator._is_fair:
            warnings.warn(
                "to_river was called without sensitive_features: nothing will be done for "
                "fairness. Name the keys of x that are protected attributes.",
                FairnessWarning,
                stacklevel=4,
            )

    @property
    def started(self) -> bool:
        return hasattr(self.estimator, "_state")

    def values(self, x: dict[str, Any]) -> Floats:
        """Features (1, d)."""
        if self.columns is None:
            self.columns = [key for key in x if key not in self.sensitive]
        self._present(x, self.columns, "features")
        try:
            row = np.array([[x[key] for key in self.columns]], dtype=np.float64)
        except (TypeError, ValueError) as error:
            text = [key for key in self.columns if not isinstance(x[key], Real)]
            raise ValueError(
                f"x has features that are no numbers: {text}. Encode them, or name them in "
                "sensitive_features of to_river if they are protected attributes."
            ) from error
        if not np.isfinite(row).all():
            strange = [
                k for k, good in zip(self.columns, np.isfinite(row[0]), strict=True) if not good
            ]
            raise ValueError(f"x has features that are not finite: {strange}.")
        return row

    def frame(self, x: dict[str, Any]) -> pd.DataFrame:
        return pd.DataFrame(self.values(x), columns=self.columns)

    def code(self, x: dict[str, Any]) -> int:
        """Group of a row."""
        if not self.sensitive:
            return 0 if self.estimator.encoder_ is None else -1
        self._present(x, self.sensitive, "group columns")
        key = tuple(x[name] for name in self.sensitive)
        if key not in self.codes:
            found = self.estimator._look_up(self.estimator.encoder_, self._attributes([key]), 1)
            if found[0] < 0:  # its warning is for every such row
                return -1
            self.codes[key] = int(found[0])
        return self.codes[key]

    def _attributes(self, keys: Sequence[tuple[Any, ...]]) -> pd.DataFrame:
        return pd.DataFrame(keys, columns=self.sensitive)

    def start(self, x: dict[str, Any], classes: dict[str, Any]) -> None:
        """Initialise with the columns of the first row."""
        groups: dict[str, Any] = {}
        if self.sensitive:
            declared = pd.DataFrame(self.groups)
            groups["sensitive_groups"] = declared.set_axis(self.sensitive, axis=1)
        estimator: Any = self.estimator
        empty = self.frame(x).iloc[:0]
        estimator.partial_fit(empty, np.empty(0), **classes, **groups)

    def learn(self, x: dict[str, Any], y: Any) -> None:
        labels = self.estimator._check_labels(np.array([y]))
        codes = np.array([self.code(x)], dtype=np.int32)
        self.estimator._run(self.values(x), labels, codes, WHOLE)

    @staticmethod
    def _present(x: dict[str, Any], keys: Sequence[str], what: str) -> None:
        missing = [key for key in keys if key not in x]
        if missing:
            raise ValueError(f"x lacks the {what} {missing}.")


def wrap(
    estimator: AranyaniBase, sensitive_features: Sequence[str], classes: Any, groups: Any
) -> Any:
    """Return ``estimator`` as a river model; see `AranyaniBase.to_river`."""
    base = require("river.base", extra="online")
    rows = _Rows(estimator, sensitive_features, classes, groups)
    if hasattr(estimator, "predict_proba"):
        return _model(base.Classifier, rows, _classifier_methods(rows))
    return _model(base.Regressor, rows, _regressor_methods(rows))


def _model(base: Any, rows: _Rows, methods: dict[str, Callable]) -> Any:
    """Instance of a subclass of river's base class with the given methods."""
    name = f"River{type(rows.estimator).__name__}"
    model = type(name, (base,), {**methods, "__doc__": f"{name}: shares its state."})()
    model.estimator = rows.estimator
    return model


def _classifier_methods(rows: _Rows) -> dict[str, Callable]:
    estimator: Any = rows.estimator

    def learn_one(self: Any, x: dict[str, Any], y: Any) -> None:
        if not rows.started:
            classes = rows.classes
            if classes is None:  # river's labels are booleans or 0 and 1
                classes = [False, True] if isinstance(y, bool | np.bool_) else [0, 1]
                if y not in classes:
                    raise ValueError(
                        f"y is {y!r}: for labels other than False and True, or 0 and 1, name all "
                        "of them in classes of to_river."
                    )
            rows.start(x, {"classes": np.asarray(classes)})
        rows.learn(x, y)

    def predict_proba_one(self: Any, x: dict[str, Any]) -> dict[Any, float]:
        if not rows.started:
            return {}
        shares = estimator._probabilities(estimator._pass(rows.values(x))[0])[0]
        return dict(zip(estimator.classes_.tolist(), shares.tolist(), strict=True))

    return {"learn_one": learn_one, "predict_proba_one": predict_proba_one}


def _regressor_methods(rows: _Rows) -> dict[str, Callable]:
    estimator: Any = rows.estimator

    def learn_one(self: Any, x: dict[str, Any], y: float) -> None:
        if not rows.started:
            rows.start(x, {})
        rows.learn(x, float(y))

    def predict_one(self: Any, x: dict[str, Any]) -> float:
        if not rows.started:
            return 0.0
        return float(estimator._predict_checked(rows.values(x))[0])

    return {"learn_one": learn_one, "predict_one": predict_one}
