"""Every public estimator, found by looking, and how to make a small one of each for the tests.

A new method needs nothing here if its defaults suffice; otherwise one entry in ``SETTINGS``, or in
``OTHER_INPUT`` if it does not fit on a feature table.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from _public import public_names
from _toys import GroupMedian, ReweighedLogistic, people
from sklearn.base import BaseEstimator, is_regressor
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeRegressor

from fairgroup.dependence import DistanceCovarianceClassifier

# Settings for the tests, by class name: a list of keyword arguments, one instance for each.
SETTINGS: dict[str, list[dict[str, Any]]] = {
    "AdaptiveGroupSampler": [
        {"estimator": LogisticRegression(), "min_validation_size": 0, "curve_orders": 1},
        # A tree, because frames are handed on as frames and a sum depends on their memory order.
        {"estimator": DecisionTreeRegressor(max_depth=4), "min_validation_size": 0, "rho": np.inf},
    ],
    "AranyaniClassifier": [{"random_state": 0}],
    "AranyaniRegressor": [{"random_state": 0}],
    # The small table has no protected column; its debt stands in for one.
    "FairTTTS": [
        {"protected_inputs": [0]},
        {"protected_inputs": [0], "scope": "protected", "heuristic": "fixed"},
    ],
    "FairTTTSCV": [{"protected_inputs": [0], "tol": 1.0, "cv": 2}],
    "FairnessPath": [
        {
            "estimator": DistanceCovarianceClassifier(),
            "fairness_weights": [0.0, 1.0],
            "n_seeds": 2,
        }
    ],
    "SensitiveColumns": [{"estimator": LogisticRegression(), "columns": [0]}],
}

# Classes whose method measures dependence on numbers, so that a continuous column is welcome.
TAKE_NUMBERS: set[str] = {
    "DistanceCovarianceClassifier",
    "DistanceCovarianceRegressor",
    "FairnessPath",
}


class Other(NamedTuple):
    """An estimator that fits on something else than a feature table."""

    reason: str
    fit: Callable[[Any], Any]
    result: Callable[[Any], Any]


FRAME, LABELS = people()
SEX, RACE = FRAME["sex"], FRAME["race"]
BOTH = FRAME[["sex", "race"]]

# By class name: why, how to fit one (returning it), and what it says afterwards, as numbers.
OTHER_INPUT: dict[str, Other] = {
    "GroupEncoder": Other(
        "encodes protected attributes", lambda e: e.fit(BOTH), lambda e: e.transform(BOTH).codes
    ),
    "MembershipEncoder": Other(
        "encodes protected attributes", lambda e: e.fit(BOTH), lambda e: e.transform(BOTH)
    ),
    "SensitiveEncoder": Other(
        "encodes protected attributes", lambda e: e.fit(BOTH), lambda e: e.transform(BOTH)
    ),
    "DisparityDecomposition": Other(
        "audits predictions",
        lambda e: e.fit(LABELS, sensitive_features=SEX, clients=RACE),
        lambda e: numbers_of(e),
    ),
    "FairnessFrontier": Other(
        "describes what any classifier could reach",
        lambda e: e.fit(LABELS, sensitive_features=SEX, clients=RACE),
        lambda e: numbers_of(e),
    ),
    "VarianceAwareReranker": Other(
        "re-ranks lists of items, from distributions of groups",
        lambda e: e.fit(eligible={"sex": [[0.5, 0.5]]}, composition={"sex": [[0.9, 0.1]]}),
        lambda e: e.rerank(np.array([[0.2, 0.7]]), ad_ids=[0, 0], clusters=[0]),
    ),
}


def numbers_of(estimator: Any) -> np.ndarray:
    """The fitted attributes that are numbers or arrays of numbers, in a row."""
    fitted = {k: v for k, v in sorted(vars(estimator).items()) if k.endswith("_")}
    arrays = [np.asarray(v) for v in fitted.values() if not isinstance(v, pd.DataFrame)]
    return np.concatenate([[0.0], *(a.ravel() for a in arrays if a.dtype.kind in "fiu")])


@cache
def looked_for() -> tuple[dict[str, type[BaseEstimator]], list[str]]:
    """Public estimators by class name, and the public names that cannot be imported."""
    found, broken = {}, []
    for name in public_names():
        module, attribute = name.rsplit(".", 1)
        try:
            value = getattr(import_module(module), attribute)
        except ImportError as error:
            broken.append(f"{name}: {error}")
            continue
        learns = hasattr(value, "fit") or hasattr(value, "partial_fit")
        if inspect.isclass(value) and issubclass(value, BaseEstimator) and learns:
            found[value.__name__] = value
    return found, broken


def public_estimators() -> dict[str, type[BaseEstimator]]:
    """Class name -> class."""
    return looked_for()[0]


def on_tables(*, toys: bool = True) -> list[Any]:
    """Instances of every public estimator that fits on a feature table, then the toys."""
    found = [
        cls(**settings)
        for name, cls in public_estimators().items()
        if name not in OTHER_INPUT
        for settings in SETTINGS.get(name, [{}])
    ]
    return [*found, ReweighedLogistic(), GroupMedian()] if toys else found


def on_other_input() -> list[Any]:
    """Instances of every public estimator that fits on something else."""
    found = public_estimators()
    return [found[name](**s) for name in OTHER_INPUT for s in SETTINGS.get(name, [{}])]


def takes(estimator: Any, method: str, name: str = "sensitive_features") -> bool:
    """Whether a method exists and names a parameter."""
    function = getattr(estimator, method, None)
    return callable(function) and name in inspect.signature(function).parameters


def table_for(estimator: Any, n: int = 240) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    """Features, target and protected attributes that suit the estimator's task."""
    frame, y = people(n)
    target = frame["income"].to_numpy() + y if is_regressor(estimator) else y
    return frame[["debt", "income"]], target, frame[["sex", "race"]]
