"""Learning curves from nested subsets of the data at hand."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.metrics import check_scoring

from fairgroup.groups import GroupEncoder
from fairgroup.sampling._curves import CURVES, LearningCurve
from fairgroup.sampling._evaluate import Trial, _one_order
from fairgroup.sampling._refits import GroupScorer
from fairgroup.utils._validation import as_generator

Floats = NDArray[np.float64]

__all__ = ["ENGINES", "LearningCurveResult", "nested_learning_curve"]

ENGINES = ("auto", "gram", "rls", "cholesky", "partial_fit", "warm_start", "refit")


@dataclass(frozen=True, eq=False)
class LearningCurveResult:
    """Scores on nested subsets.

    Parameters
    ----------
    sizes : ndarray of shape (K,)
        Numbers of training rows.
    scores : ndarray of shape (K, G)
        Mean score over the orders, for every validation group.
    std : ndarray of shape (K, G)
        Standard deviation over the orders.
    all_scores : ndarray of shape (n_orders, K, G)
        Every score.
    groups : tuple of str
        Names of the G groups, ``("all",)`` without sensitive features.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from sklearn.linear_model import Ridge
    >>> from fairgroup.sampling import nested_learning_curve
    >>> X, y = make_regression(300, 5, noise=50, random_state=0)
    >>> result = nested_learning_curve(
    ...     Ridge(), X[:200], y[:200], X[200:], y[200:], sizes=[20, 50, 200], random_state=0
    ... )
    >>> result.scores.shape, bool(result.scores[-1, 0] > result.scores[0, 0])
    ((3, 1), True)
    """

    sizes: NDArray[np.int64]
    scores: Floats
    std: Floats
    all_scores: Floats
    groups: tuple[str, ...]

    @property
    def frame(self) -> pd.DataFrame:
        """Mean scores as a table.

        Returns
        -------
        frame : DataFrame
            One row per size, one column per group.
        """
        index = pd.Index(self.sizes, name="n")
        return pd.DataFrame(self.scores, index=index, columns=list(self.groups))

    def fit(self, family: str = "power", *, score_max: float = 1.0) -> list[LearningCurve]:
        """Fit one curve per group.

        Parameters
        ----------
        family : {"power", "hyperbolic", "exponential"}, default="power"
            Kind of curve.
        score_max : float, default=1.0
            Best possible score.

        Returns
        -------
        curves : list of learning curves
        """
        return [
            CURVES[family]().fit(self.sizes, self.scores[:, g], score_max=score_max)
            for g in range(self.scores.shape[1])
        ]


def nested_learning_curve(
    estimator: Any,
    X: Any,
    y: ArrayLike,
    X_val: Any,
    y_val: ArrayLike,
    *,
    sizes: Sequence[int] | None = None,
    scorer: Any = None,
    n_orders: int = 4,
    sensitive_features: Any = None,
    sensitive_features_val: Any = None,
    group: Any = None,
    random_state: Any = None,
    engine: str = "auto",
    n_jobs: int | None = None,
) -> LearningCurveResult:
    """Scores of models trained on nested random subsets, by the cheapest exact way.

    Parameters
    ----------
    estimator : estimator
        `Ridge` and `LinearRegression` are refitted on all sizes for the price of about one fit;
        others by ``partial_fit`` where they have it, else by plain refits.
    X, y : table of shape (n_samples, n_features), array-like of shape (n_samples,)
        Training data.
    X_val, y_val : table and array-like
        Validation data.
    sizes : sequence of int, default=None
        Numbers of rows, at most those there are. None takes 8 geometric steps.
    scorer : str, callable or None, default=None
        scikit-learn scorer; None takes the estimator's ``score``.
    n_orders : int, default=4
        Random orders.
    sensitive_features, sensitive_features_val : array-like, default=None
        Protected attributes of the training and validation rows. The scores are then by group.
    group : label or None, default=None
        Take subsets of this group's rows only, with all rows of the others in every model: what
        more data of one group would do to all. A tuple for several attributes.
    random_state : int, RandomState instance, Generator or None, default=None
        Seed of the orders.
    engine : {"auto", "gram", "rls", "cholesky", "partial_fit", "warm_start", "refit"}, \
default="auto"
        How models on growing data are made.
    n_jobs : int or None, default=None
        Processes over the orders.

    Returns
    -------
    result : LearningCurveResult

    Raises
    ------
    ValueError
        For sizes that the data do not have, or an unknown group.

    Examples
    --------
    >>> from sklearn.datasets import make_classification
    >>> from sklearn.linear_model import LogisticRegression
    >>> from fairgroup.sampling import nested_learning_curve
    >>> X, y = make_classification(400, random_state=0)
    >>> result = nested_learning_curve(
    ...     LogisticRegression(), X[:200], y[:200], X[200:], y[200:], sizes=[25, 100],
    ...     random_state=0,
    ... )
    >>> result.frame.index.tolist()
    [25, 100]
    """
    if engine not in ENGINES:
        raise ValueError(f"engine must be one of {ENGINES}; found {engine!r}.")
    y, y_val = np.asarray(y), np.asarray(y_val)
    encoder, codes = _encode(sensitive_features, len(y), None)
    _, codes_val = _encode(sensitive_features_val, len(y_val), encoder)
    names = encoder.transform(sensitive_features).names if encoder else ("all",)
    n_groups = len(names) if sensitive_features_val is not None else 1
    scoring = check_scoring(estimator, scorer)
    score = GroupScorer(scoring, X_val, y_val, codes_val, n_groups)
    subset = _rows_of_group(encoder, codes, group)
    marked = np.where(subset, 0, 1) if group is not None else np.zeros(len(y), dtype=np.int64)
    rows = np.flatnonzero(marked == 0)
    at = _check_sizes(sizes, len(rows))
    trial = Trial(estimator, X, y, marked, score, True, engine, None)
    rng = as_generator(random_state)
    orders = [rng.permutation(rows) for _ in range(n_orders)]
    from joblib import Parallel, delayed

    found = Parallel(n_jobs=n_jobs)(delayed(_one_order)(trial, 0, order, at) for order in orders)
    scores = np.array(found)
    return LearningCurveResult(
        at, scores.mean(axis=0), scores.std(axis=0), scores, tuple(names[:n_groups])
    )


def _encode(
    values: Any, n: int, encoder: GroupEncoder | None
) -> tuple[GroupEncoder | None, NDArray[np.int64]]:
    if values is None:
        return encoder, np.zeros(n, dtype=np.int64)
    encoder = GroupEncoder().fit(values) if encoder is None else encoder
    codes = encoder.transform(values).codes
    if len(codes) != n:
        raise ValueError(f"sensitive_features has {len(codes)} rows, but X has {n}.")
    return encoder, codes.astype(np.int64)


def _rows_of_group(
    encoder: GroupEncoder | None, codes: NDArray[np.int64], group: Any
) -> NDArray[np.bool_]:
    if group is None:
        return np.ones(len(codes), dtype=bool)
    label = group if isinstance(group, tuple) else (group,)
    if encoder is None or label not in encoder.labels_:
        known = () if encoder is None else encoder.labels_
        raise ValueError(
            f"The group {group!r} is not among the groups of sensitive_features {known}."
        )
    return codes == encoder.labels_.index(label)


def _check_sizes(sizes: Sequence[int] | None, n: int) -> NDArray[np.int64]:
    if sizes is None:
        return np.unique(np.rint(np.geomspace(min(10, n), n, 8)).astype(np.int64))
    at = np.unique(np.asarray(sizes, dtype=np.int64))
    if not len(at) or at[0] < 1 or at[-1] > n:
        raise ValueError(f"sizes must be between 1 and the {n} rows; found {list(sizes)}.")
    return at
