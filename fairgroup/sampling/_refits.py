"""Models on growing data, by the cheapest way that the estimator allows, and their scores."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import LinAlgError
from sklearn.base import BaseEstimator, RegressorMixin, clone, is_classifier
from sklearn.dummy import DummyClassifier
from sklearn.exceptions import UndefinedMetricWarning
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge

from fairgroup.sampling._fast_refits import choose_engine, prefix_coefficients, summarise
from fairgroup.utils._sklearn import rows_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

__all__ = ["GroupScorer", "fit_model", "growing_models", "ridge_settings"]

_FOLDS = 10


class LinearModel(RegressorMixin, BaseEstimator):
    """Coefficients that an engine has found, for a scorer to score."""

    def __init__(self, coef: Floats, intercept: float) -> None:
        self.coef, self.intercept = coef, intercept

    def fit(self, X: Any, y: Any = None) -> LinearModel:
        """Nothing to fit."""
        return self

    def predict(self, X: Any) -> Floats:
        """Predict."""
        return np.asarray(X, dtype=np.float64) @ self.coef + self.intercept

    def __sklearn_is_fitted__(self) -> bool:
        return True


def ridge_settings(estimator: Any) -> tuple[float, bool] | None:
    """Penalty and intercept where the prefix engines give the estimator's own solution."""
    if type(estimator) is Ridge and np.isscalar(estimator.alpha) and not estimator.positive:
        return float(np.asarray(estimator.alpha)), bool(estimator.fit_intercept)
    if type(estimator) is LinearRegression and not estimator.positive:
        return 0.0, bool(estimator.fit_intercept)
    return None


def fit_model(estimator: Any, X: Any, y: NDArray[Any]) -> Any:
    """Fit a clone; a constant stands in for a classifier that has seen one class only."""
    if is_classifier(estimator) and len(np.unique(y)) < 2:
        return DummyClassifier(strategy="prior").fit(np.zeros((len(y), 1)), y)
    return clone(estimator).fit(X, y)


def _as_floats(X: Any) -> Floats | None:
    try:
        return np.asarray(X, dtype=np.float64)
    except (TypeError, ValueError):
        return None


def growing_models(
    estimator: Any,
    X: Any,
    y: NDArray[Any],
    base: Ints,
    order: Ints,
    sizes: Ints,
    refit: str = "auto",
) -> Iterator[Any]:
    """Yield the model trained on the rows ``base`` and the first m of ``order``, for each size.

    A model may be changed in place for the next one: score it before going on.

    Parameters
    ----------
    estimator : estimator
    X, y : table and target
    base, order : ndarray of int
        Rows that are always there, and rows that are added in this order.
    sizes : ndarray of shape (K,)
        Increasing.
    refit : {"auto", "gram", "rls", "cholesky", "partial_fit", "warm_start", "refit"}
    """
    if refit == "auto":
        refit = _way_of(estimator, len(base) + int(sizes[-1]), X, len(sizes))
    if refit in ("gram", "rls", "cholesky"):
        found = _linear_models(estimator, X, y, base, order, sizes, refit)
        if found is not None:
            yield from found
            return
        refit = "refit"
    if refit == "partial_fit":
        yield from _partially(estimator, X, y, base, order, sizes)
        return
    if refit == "warm_start":
        estimator = clone(estimator).set_params(warm_start=True)
    model, seen = clone(estimator), None
    for m in sizes:
        rows = np.concatenate([base, order[:m]])
        labels = np.unique(y[rows]).tolist() if is_classifier(estimator) else None
        if refit == "warm_start" and labels == seen and m != sizes[0]:
            yield model.fit(rows_of(X, rows), y[rows])
            continue
        # A warm start needs the classes of the fit before.
        model, seen = fit_model(estimator, rows_of(X, rows), y[rows]), labels
        yield model


def _way_of(estimator: Any, n_rows: int, X: Any, n_sizes: int) -> str:
    settings = ridge_settings(estimator)
    if settings is not None:
        # Least squares with fewer rows than features has no system to factorise.
        return choose_engine(n_rows, X.shape[1], n_sizes) if settings[0] > 0 else "gram"
    if hasattr(estimator, "partial_fit"):
        return "partial_fit"
    return "warm_start" if type(estimator) is LogisticRegression else "refit"


def _linear_models(
    estimator: Any,
    X: Any,
    y: NDArray[Any],
    base: Ints,
    order: Ints,
    sizes: Ints,
    engine: str,
) -> list[LinearModel] | None:
    """Models by a prefix engine; None where the system is singular or the data do not fit."""
    settings = ridge_settings(estimator)
    table = _as_floats(rows_of(X, np.concatenate([base, order])))
    if settings is None or table is None or y.ndim != 1:
        return None
    target = np.asarray(y[np.concatenate([base, order])], dtype=np.float64)
    held, rest = np.split(table, [len(base)]), np.split(target, [len(base)])
    try:
        coef, intercept = prefix_coefficients(
            summarise(held[0], rest[0], gram=engine != "cholesky"),
            held[1],
            rest[1],
            sizes,
            alpha=settings[0],
            fit_intercept=settings[1],
            engine=engine,
        )
    except LinAlgError:
        return None
    return [LinearModel(c, float(i)) for c, i in zip(coef, intercept, strict=True)]


def _partially(
    estimator: Any, X: Any, y: NDArray[Any], base: Ints, order: Ints, sizes: Ints
) -> Iterator[Any]:
    model = clone(estimator)
    params = {"classes": np.unique(y[np.concatenate([base, order])])}
    params = params if is_classifier(estimator) else {}
    start = 0
    for m in sizes:
        new = order[start:m] if start else np.concatenate([base, order[:m]])
        yield model.partial_fit(rows_of(X, new), y[new], **params)
        start = m


class GroupScorer:
    """Scores of a model on the validation rows of each group.

    Parameters
    ----------
    scorer : callable
        scikit-learn scorer.
    X, y : table and target
    codes : ndarray of int
        Group of each row.
    n_groups : int
    """

    def __init__(self, scorer: Any, X: Any, y: Any, codes: Ints, n_groups: int) -> None:
        self.scorer = scorer
        where = [np.flatnonzero(codes == g) for g in range(n_groups)]
        self.X = [rows_of(X, rows) for rows in where]
        self.y = [np.asarray(y)[rows] for rows in where]

    def one(self, model: Any, group: int, rows: Ints | None = None) -> float:
        """Score on one group, or on some of its rows; NaN where it is not defined."""
        X, y = self.X[group], self.y[group]
        if rows is not None:
            X, y = rows_of(X, rows), y[rows]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", UndefinedMetricWarning)
                return float(self.scorer(model, X, y))
        except ValueError:
            # Scorers of probabilities refuse the constant that stands in for a one-class model.
            if isinstance(model, DummyClassifier) or len(np.unique(y)) < 2:
                return float("nan")
            raise

    def all(self, model: Any) -> Floats:
        """Score on every group."""
        return np.array([self.one(model, g) for g in range(len(self.X))])

    def standard_error(self, model: Any, group: int) -> float:
        """Standard error over the validation rows, by a jackknife that leaves out tenths."""
        n = len(self.y[group])
        folds = min(_FOLDS, n)
        if folds < 3:
            return float("nan")
        fold = np.arange(n) % folds
        values = [self.one(model, group, np.flatnonzero(fold != k)) for k in range(folds)]
        return float(np.sqrt((folds - 1) * np.var(values)))
