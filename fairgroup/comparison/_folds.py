"""One candidate on one fold: fit, predict, time, measure; a failure is a result, not an end."""

from __future__ import annotations

import contextlib
import logging
import time
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone, is_classifier
from sklearn.model_selection import KFold, StratifiedKFold, check_cv

from fairgroup.comparison._candidates import Candidate
from fairgroup.comparison._defaults import REGRESSION
from fairgroup.comparison._evaluate import Metrics
from fairgroup.comparison._unprocess import equalise
from fairgroup.groups import GroupCodes
from fairgroup.groups._routing import call_with_groups, request_groups

__all__ = ["Fold", "Table", "fold_splitter", "run_fold"]

_SCORES = ("predict_proba", "decision_function")


@dataclass(frozen=True)
class Table:
    """The rows that are compared on: features, target, protected columns, and their groups."""

    X: Any
    y: NDArray[Any]
    sensitive: pd.DataFrame
    groups: GroupCodes
    controls: GroupCodes | None
    task: str
    pos_label: Any

    def rows(self, rows: NDArray[np.intp]) -> tuple[Any, NDArray[Any], pd.DataFrame]:
        """Return features, target and protected columns of some rows."""
        X = self.X.iloc[rows] if hasattr(self.X, "iloc") else self.X[rows]
        return X, self.y[rows], self.sensitive.iloc[rows]


@dataclass
class Fold:
    """What one candidate gave on one fold."""

    key: tuple[str, str]
    fold: int
    rows: NDArray[np.intp]
    values: dict[str, float] = field(default_factory=dict)
    y_pred: NDArray[Any] | None = None
    y_score: NDArray[np.float64] | None = None
    fit_seconds: float = np.nan
    predict_seconds: float = np.nan
    error: str = ""
    messages: tuple[str, ...] = ()


def fold_splitter(cv: Any, table: Table, random_state: int | None) -> list[tuple[Any, Any]]:
    """Return the folds; a number gives shuffled ones, stratified by label and group if it can."""
    n = len(table.y)
    if not isinstance(cv, int | np.integer):
        splitter = check_cv(cv, table.y, classifier=table.task != REGRESSION)
        return list(splitter.split(np.zeros(n), table.y))
    if cv < 2 or cv > n:
        raise ValueError(f"cv={cv} folds cannot be made of {n} rows.")
    strata = table.groups.codes.astype(np.int64)
    if table.task != REGRESSION:
        labels = np.unique(table.y, return_inverse=True)[1]
        strata = strata * (labels.max() + 1) + labels
        if np.unique(strata, return_counts=True)[1].min() < cv:
            strata = labels
    stratified = np.unique(strata, return_counts=True)[1].min() >= cv
    folds = (StratifiedKFold if stratified else KFold)(cv, shuffle=True, random_state=random_state)
    return list(folds.split(np.zeros(n), strata))


def run_fold(
    candidate: Candidate,
    table: Table,
    split: tuple[Any, Any],
    number: int,
    metrics: Metrics,
    levels: tuple[float, ...] = (),
) -> list[Fold]:
    """Fit and measure a candidate on a fold.

    Parameters
    ----------
    candidate : Candidate
        What is fitted.
    table : Table
        All rows.
    split : (train, test)
        Row numbers.
    number : int
        Number of the fold.
    metrics : Metrics
        What is measured on the test rows.
    levels : tuple of float
        Disparities to which a score model is post-processed in addition.

    Returns
    -------
    folds : list of Fold
        One, and one per level for a model with scores. After an exception one, with ``error`` set.
    """
    train, test = split
    result = Fold(candidate.key, number, test)
    with warnings.catch_warnings(record=True) as caught, _logged() as logged:
        warnings.simplefilter("always")
        try:
            extra = _fit_and_measure(candidate, table, train, result, metrics, levels)
        except Exception as error:
            result.error = f"{type(error).__name__}: {error}"
            extra = []
    said = [_message(w) for w in caught if _concerns_user(w)]
    result.messages = tuple(dict.fromkeys([*said, *logged]))
    return [result, *extra]


@contextlib.contextmanager
def _logged() -> Iterator[list[str]]:
    """Collect what libraries log as a warning, as fairlearn does, and do not print it per fit."""
    texts: list[str] = []
    handler = _Collector(texts)
    root = logging.getLogger()
    root.addHandler(handler)
    try:
        yield texts
    finally:
        root.removeHandler(handler)


class _Collector(logging.Handler):
    def __init__(self, texts: list[str]) -> None:
        super().__init__(logging.WARNING)
        self._texts = texts

    def emit(self, record: logging.LogRecord) -> None:
        self._texts.append(f"Log: {' '.join(record.getMessage().split())}")


def _concerns_user(warning: warnings.WarningMessage) -> bool:
    """Tell warnings about data and fits from notes to the authors of libraries."""
    return not issubclass(warning.category, DeprecationWarning | FutureWarning)


def _message(warning: warnings.WarningMessage) -> str:
    return f"{warning.category.__name__}: {' '.join(str(warning.message).split())}"


def _fit_and_measure(
    candidate: Candidate,
    table: Table,
    train: NDArray[np.intp],
    result: Fold,
    metrics: Metrics,
    levels: tuple[float, ...],
) -> list[Fold]:
    X_train, y_train, A_train = table.rows(train)
    X_test, y_test, A_test = table.rows(result.rows)
    estimator = clone(candidate.estimator)
    request_groups(estimator)
    start = time.perf_counter()
    call_with_groups(estimator, "fit", X_train, A_train, y_train)
    result.fit_seconds = time.perf_counter() - start
    start = time.perf_counter()
    result.y_pred = np.asarray(call_with_groups(estimator, "predict", X_test, A_test))
    result.predict_seconds = time.perf_counter() - start
    result.y_score = _scores(estimator, X_test, A_test, table)
    groups = table.groups.take(result.rows)
    controls = None if table.controls is None else table.controls.take(result.rows)
    result.values = metrics.evaluate(y_test, result.y_pred, result.y_score, groups, controls)
    train_scores = _scores(estimator, X_train, A_train, table) if levels else None
    if train_scores is None:
        return []
    trained = (train_scores, y_train, table.groups.take(train))
    measure = partial(metrics.evaluate, y_test, y_score=result.y_score, groups=groups)
    return equalise(
        result, trained, groups.codes, partial(measure, controls=controls), levels, table.pos_label
    )


def _scores(estimator: Any, X: Any, A: pd.DataFrame, table: Table) -> NDArray[np.float64] | None:
    """Return the scores of the positive class, where the estimator has them."""
    if table.pos_label is None or not is_classifier(estimator):
        return None
    positive = int(np.flatnonzero(np.asarray(estimator.classes_) == table.pos_label)[0])
    for method in _SCORES:
        if hasattr(estimator, method):
            scores = np.asarray(call_with_groups(estimator, method, X, A), dtype=np.float64)
            if scores.ndim == 2:
                return scores[:, positive]
            return scores if positive == 1 else -scores
    return None
