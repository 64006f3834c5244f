"""Models on the data held, their scores by group, and scores on less data of each group."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from fairgroup.sampling._refits import GroupScorer, fit_model, growing_models
from fairgroup.sampling._responses import Observations
from fairgroup.utils._sklearn import rows_of

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

__all__ = ["Evaluation", "Trial", "evaluate", "nested_scores", "nested_sizes"]


class Trial(NamedTuple):
    """What is needed to train and score again."""

    estimator: Any
    X: Any
    y: NDArray[Any]
    codes: Ints
    scorer: GroupScorer
    pooled: bool
    refit: str
    n_jobs: int | None


class Evaluation(NamedTuple):
    """Models (one, or one per group), their scores (G,), and standard errors of these."""

    models: list[Any]
    scores: Floats
    errors: Floats


def evaluate(trial: Trial, n_groups: int) -> Evaluation:
    """Fit on everything that is held; None, and no score, for a group without samples."""
    if trial.pooled:
        models = [fit_model(trial.estimator, trial.X, trial.y)]
    else:
        models = [
            fit_model(trial.estimator, rows_of(trial.X, rows), trial.y[rows])
            if len(rows)
            else None
            for rows in (np.flatnonzero(trial.codes == g) for g in range(n_groups))
        ]
    of_group = models * n_groups if trial.pooled else models
    scores, errors = np.full(n_groups, np.nan), np.full(n_groups, np.nan)
    for g, model in enumerate(of_group):
        if model is not None:
            scores[g] = trial.scorer.one(model, g)
            errors[g] = trial.scorer.standard_error(model, g)
    return Evaluation(models, scores, errors)


def nested_sizes(n: int, points: int, fraction: float) -> Ints:
    """Sizes, geometric from ``fraction * n`` (at least 5) to n.

    Smaller sizes can lie below the interpolation threshold, where a score falls with more data.
    """
    if n == 0:
        return np.empty(0, dtype=np.int64)
    first = min(max(fraction * n, 5.0), float(n))
    return np.unique(np.rint(np.geomspace(first, n, points)).astype(np.int64))


def nested_scores(
    trial: Trial,
    n_groups: int,
    scores: Floats,
    *,
    points: int,
    orders: int,
    fraction: float,
    rng: np.random.Generator,
) -> Observations:
    """Score models on nested random subsets of each group, all other data held fixed."""
    rows = [np.flatnonzero(trial.codes == g) for g in range(n_groups)]
    sizes = [nested_sizes(len(r), points, fraction) for r in rows]
    tasks = [
        (g, rng.permutation(rows[g]), sizes[g][:-1])
        for g in range(n_groups)
        for _ in range(orders)
        if len(rows[g])
    ]
    found = Parallel(n_jobs=trial.n_jobs)(delayed(_one_order)(trial, *task) for task in tasks)
    tables: list[Any] = [[] for _ in range(n_groups)]
    for (g, *_), table in zip(tasks, found, strict=True):
        # With all rows the model is the current one, whatever the order.
        tables[g].append(np.vstack([table, scores]) if len(table) else scores[None])
    return Observations(
        [s.astype(np.float64) for s in sizes],
        [np.array(t) if t else np.full((orders, 0, n_groups), np.nan) for t in tables],
    )


def _one_order(trial: Trial, g: int, order: Ints, sizes: Ints) -> Floats:
    """Scores (K, G) along one order; NaN for the other groups where models are separate."""
    base = np.flatnonzero(trial.codes != g) if trial.pooled else np.empty(0, dtype=np.int64)
    n_groups = len(trial.scorer.X)
    table = np.full((len(sizes), n_groups), np.nan)
    if not len(sizes):
        return table
    models = growing_models(
        trial.estimator, trial.X, trial.y, base, order, sizes, refit=trial.refit
    )
    for k, model in enumerate(models):
        if trial.pooled:
            table[k] = trial.scorer.all(model)
        else:
            table[k, g] = trial.scorer.one(model, g)
    return table
