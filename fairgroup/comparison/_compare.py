"""The main job: fit methods on the same folds, measure them, put them side by side."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from joblib import Parallel, delayed
from numpy.typing import ArrayLike, NDArray
from scipy.stats import t as student_t
from sklearn.frozen import FrozenEstimator
from sklearn.utils.multiclass import type_of_target
from sklearn.utils.validation import check_consistent_length
from tqdm.auto import tqdm

from fairgroup.comparison._candidates import Candidate, make_candidates
from fairgroup.comparison._comparison import Comparison
from fairgroup.comparison._defaults import (
    BINARY,
    MULTICLASS,
    REGRESSION,
    Setup,
    base_model,
    default_preprocessor,
    obstacles,
)
from fairgroup.comparison._evaluate import Metrics, default_metrics
from fairgroup.comparison._folds import Fold, Table, fold_splitter, run_fold
from fairgroup.comparison._unprocess import LEVELS
from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupEncoder
from fairgroup.groups._frame import sensitive_frame

__all__ = ["compare"]

CONFIDENCE = 0.95


def compare(
    X: Any,
    y: ArrayLike,
    *,
    sensitive_features: Any,
    estimators: Mapping[str, Any] | None = None,
    metrics: Sequence[str] | Mapping[str, str | Callable[..., float]] | None = None,
    cv: Any = 5,
    control_features: Any = None,
    n_jobs: int | None = None,
    random_state: int | None = None,
    verbose: bool = True,
    methods: Sequence[str] | None = None,
    base: Any = "linear",
    constraint: str = "demographic_parity",
    pos_label: Any = None,
    min_group_size: int = 100,
    unprocess: bool = False,
) -> Comparison:
    """Compare models and mitigations on the same folds.

    Every method is fitted with every one of its settings, so that each gives a curve and not a
    point. The unmitigated and the constant model always take part.

    Parameters
    ----------
    X : {array-like, DataFrame} of shape (n_samples, n_features)
        Features. Keep the protected columns in it or leave them out: each method sees X as it is.
    y : array-like of shape (n_samples,)
        Target: two or more classes, or numbers.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns)
        Protected attributes. Missing values form a group of their own.
    estimators : mapping of name to estimator or (estimator, grid), or None, default=None
        What is compared; grids as in `sklearn.model_selection.ParameterGrid`. None takes the
        methods that can do the task, built on the same base model: see ``methods``.
    metrics : sequence of str, mapping of name to str or callable, or None, default=None
        Names are metrics of `group_metrics` ("accuracy"), comparisons of groups
        ("accuracy_difference", "demographic_parity_difference"), or these for one attribute
        ("demographic_parity_difference[sex]"). The first that compares groups is the unfairness
        and the first other one the score by which `Comparison.best` ranks.
    cv : int, splitter or iterable of (train, test), default=5
        An integer gives shuffled folds, stratified by label and group where the sizes allow.
    control_features : array-like of shape (n_samples,) or (n_samples, n_columns), default=None
        Legitimate factors: groups are compared within their levels, and the largest difference of
        any level counts.
    n_jobs : int or None, default=None
        Number of processes.
    random_state : int or None, default=None
        Seeds folds and methods; the same number gives the same table on any number of jobs.
    verbose : bool, default=True
        Whether a progress bar is shown.
    methods : sequence of str or None, default=None
        Which default methods take part; None for all that can share the base model. Those that
        cannot are named in the notes of the report.
    base : {"linear", "boosting"} or estimator, default="linear"
        The model that all default methods share.
    constraint : {"demographic_parity", "equal_opportunity", "equalized_odds"}, \
            default="demographic_parity"
        What the default classification methods are asked for.
    pos_label : label or None, default=None
        The positive class; None for 1, True or the last of the sorted labels.
    min_group_size : int, default=100
        Smaller groups are merged for the mitigation and the comparison of groups, with a warning
        that names them. `Comparison.audit` lists them on their own.
    unprocess : bool, default=False
        Whether each model with scores is also shown with group thresholds at the same disparities
        (Cruz and Hardt 2024).

    Returns
    -------
    comparison : Comparison

    Raises
    ------
    ValueError
        For a target with one class or missing values, lengths that differ, unknown metrics or
        methods.

    Warns
    -----
    FairnessWarning
        When small groups are merged.

    Examples
    --------
    >>> import fairgroup
    >>> from fairgroup.datasets import load_lending
    >>> lending = load_lending()
    >>> comparison = fairgroup.compare(
    ...     lending.data,
    ...     lending.target,
    ...     sensitive_features=lending.sensitive_features[["sex", "ethnicity"]],
    ...     methods=["threshold optimizer"],
    ...     cv=2,
    ...     random_state=0,
    ...     verbose=False,
    ... )
    >>> model = comparison.best(max_unfairness=0.05)
    """
    target = _read_target(y)
    sensitive, _ = sensitive_frame(sensitive_features, n_samples=len(target))
    encoder, notes = _merging_encoder(sensitive, min_group_size)
    table = _read_table(X, target, sensitive, encoder, control_features, pos_label)
    setup = Setup(
        base_model(base, table.task, table.X, random_state),
        default_preprocessor(table.X),
        constraint,
        # Frozen, so that every fold has the same groups, however few of their rows it holds.
        FrozenEstimator(encoder),
        random_state,
    )
    candidates = make_candidates(estimators, table.task, setup, methods)
    if estimators is None and methods is None:
        left_out = obstacles(table.task, setup.base)
        notes += [f"{name} is left out: {reason}." for name, reason in left_out.items()]
    names = default_metrics(table.task, table.groups.columns) if metrics is None else metrics
    measured = Metrics(names, table.pos_label)
    measured.check(table.y, table.groups)
    splits = fold_splitter(cv, table, random_state)
    levels = LEVELS if unprocess and table.task == BINARY else ()
    runs = list(_run(candidates, table, splits, measured, levels, n_jobs, verbose))
    return _collect(
        runs,
        candidates,
        table,
        measured,
        {
            "task": table.task,
            "target": getattr(y, "name", None),
            "notes": notes,
            "n_samples": len(table.y),
            "n_folds": len(splits),
            "base": repr(setup.base),
            "constraint": constraint,
            "min_group_size": min_group_size,
            "pos_label": str(table.pos_label),
            "random_state": random_state,
            "unprocess": bool(levels),
        },
    )


def _read_target(y: Any) -> NDArray[Any]:
    target = np.asarray(y)
    if target.ndim != 1:
        raise ValueError(f"y must be one-dimensional; found shape {target.shape}.")
    n_missing = int(pd.isna(target).sum())
    if n_missing:
        raise ValueError(f"y has {n_missing} missing values; leave these rows out or fill them.")
    return target


def _merging_encoder(
    sensitive: pd.DataFrame, min_group_size: int
) -> tuple[GroupEncoder, list[str]]:
    """Return the fitted encoder that merges small groups, and the warning that names them."""
    groups = GroupEncoder(missing="group").fit_transform(sensitive)
    sizes = zip(groups.names, groups.counts, strict=True)
    small = [f"{name} ({n})" for name, n in sizes if n < min_group_size]
    notes = []
    if small:
        notes = [
            f"Groups with fewer than {min_group_size} rows are merged for the mitigation and the "
            f"comparison of groups; the audit lists them on their own: {'; '.join(small)}."
        ]
        warnings.warn(notes[0], FairnessWarning, stacklevel=3)
    encoder = GroupEncoder(
        missing="group", unseen="ignore", min_group_size=min_group_size, small="merge"
    )
    with warnings.catch_warnings():  # the warning above says more
        warnings.simplefilter("ignore", FairnessWarning)
        return encoder.fit(sensitive), notes


def _read_table(
    X: Any,
    y: NDArray[Any],
    sensitive: pd.DataFrame,
    encoder: GroupEncoder,
    control_features: Any,
    pos_label: Any,
) -> Table:
    X = _read_features(X)
    check_consistent_length(X, y)
    controls = None
    if control_features is not None:
        frame, _ = sensitive_frame(control_features, name="control_features", n_samples=len(y))
        controls = GroupEncoder(missing="group").fit_transform(frame)
    task = _task(y)
    positive = _positive(y, pos_label) if task == BINARY else None
    return Table(X, y, sensitive, encoder.transform(sensitive), controls, task, positive)


def _read_features(X: Any) -> Any:
    if isinstance(X, pd.DataFrame):
        return X.reset_index(drop=True)
    if hasattr(X, "__narwhals_dataframe__") or hasattr(X, "columns"):
        return sensitive_frame(X, name="X")[0]
    array = X if hasattr(X, "shape") else np.asarray(X)
    if array.ndim != 2:
        raise ValueError(f"X must be two-dimensional; found shape {array.shape}.")
    return array


def _task(y: NDArray[Any]) -> str:
    kind = type_of_target(y)
    if kind == "continuous" or (kind == "multiclass" and np.issubdtype(y.dtype, np.floating)):
        return REGRESSION
    n_classes = len(np.unique(y))
    if n_classes == 2:
        return BINARY
    if n_classes < 2:
        raise ValueError(f"y has one class only ({y[0]!r}); nothing can be learned.")
    return REGRESSION if np.issubdtype(y.dtype, np.integer) and n_classes > 20 else MULTICLASS


def _positive(y: NDArray[Any], pos_label: Any) -> Any:
    labels = np.unique(y)
    if pos_label is None:
        return labels[1].item() if isinstance(labels[1], np.generic) else labels[1]
    if pos_label not in labels.tolist():
        raise ValueError(f"pos_label={pos_label!r} is not in y; labels: {labels.tolist()}.")
    return pos_label


def _run(
    candidates: list[Candidate],
    table: Table,
    splits: list[tuple[Any, Any]],
    metrics: Metrics,
    levels: tuple[float, ...],
    n_jobs: int | None,
    verbose: bool,
) -> Iterator[Fold]:
    """Yield the results in a fixed order, while the bar says what came in last."""
    tasks = [(candidate, split, k) for candidate in candidates for k, split in enumerate(splits)]
    parallel = Parallel(n_jobs=n_jobs, return_as="generator")
    results = parallel(
        delayed(run_fold)(candidate, table, split, k, metrics, levels)
        for candidate, split, k in tasks
    )
    with tqdm(total=len(tasks), disable=not verbose, unit="fit") as bar:
        for candidate, _, _ in tasks:
            bar.set_description(f"{candidate.method} {candidate.setting}".strip())
            yield from next(results)
            bar.update()


def _collect(
    runs: list[Fold],
    candidates: list[Candidate],
    table: Table,
    metrics: Metrics,
    settings: dict[str, Any],
) -> Comparison:
    keys = list(dict.fromkeys(run.key for run in runs))
    by_key = {key: [run for run in runs if run.key == key] for key in keys}
    rows = [_summarise(by_key[key], metrics.names) for key in keys]
    index = pd.MultiIndex.from_tuples(keys, names=["method", "setting"])
    tested = np.zeros(len(table.y), dtype=bool)
    for run in runs:
        tested[run.rows] = True
    return Comparison(
        table=pd.DataFrame(rows, index=index),
        folds=_fold_frame(runs),
        metrics=metrics.names,
        performance_metrics=metrics.performance,
        unfairness_metrics=metrics.unfairness,
        messages=_messages(runs),
        settings={**settings, "tested": tested},
        _data=table,
        _candidates={candidate.key: candidate for candidate in candidates},
        _predictions=_out_of_fold(by_key, len(table.y), "y_pred"),
        _scores=_out_of_fold(by_key, len(table.y), "y_score"),
        _lower=metrics.lower,
    )


def _summarise(folds: list[Fold], metrics: tuple[str, ...]) -> dict[str, Any]:
    done = [fold for fold in folds if not fold.error]
    row: dict[str, Any] = {}
    for name in metrics:
        values = np.array([fold.values[name] for fold in done], dtype=np.float64)
        row[name], row[f"{name}_low"], row[f"{name}_high"] = _mean_interval(values)
    # The median, because on a new machine the first fold of a method also compiles its kernels.
    for name in ("fit_seconds", "predict_seconds"):
        row[name] = float(np.median([getattr(fold, name) for fold in done])) if done else np.nan
    row["n_folds"] = len(done)
    row["error"] = "; ".join(dict.fromkeys(fold.error for fold in folds if fold.error))
    return row


def _mean_interval(values: NDArray[np.float64]) -> tuple[float, float, float]:
    n = len(values)
    if not n:
        return np.nan, np.nan, np.nan
    mean = float(values.mean())
    if n == 1:
        return mean, np.nan, np.nan
    half = student_t.ppf(0.5 + CONFIDENCE / 2, n - 1) * values.std(ddof=1) / np.sqrt(n)
    return mean, float(mean - half), float(mean + half)


def _fold_frame(runs: list[Fold]) -> pd.DataFrame:
    return pd.DataFrame(
        [
            {"method": run.key[0], "setting": run.key[1], "fold": run.fold, **run.values}
            for run in runs
        ]
    )


def _messages(runs: list[Fold]) -> pd.DataFrame:
    found = [(run.key[0], message) for run in runs for message in run.messages]
    frame = pd.DataFrame(found, columns=["method", "message"])
    return frame.value_counts(sort=False).reset_index(name="count")


def _out_of_fold(
    by_key: dict[tuple[str, str], list[Fold]], n_samples: int, name: str
) -> dict[tuple[str, str], NDArray[Any]]:
    """Put the folds' predictions together where all folds gave one; a row's last fold counts."""
    out = {}
    for key, folds in by_key.items():
        parts = [getattr(fold, name) for fold in folds]
        if all(part is not None for part in parts):
            whole = np.zeros(n_samples, dtype=np.result_type(*parts))
            for fold, part in zip(folds, parts, strict=True):
                whole[fold.rows] = part
            out[key] = whole
    return out
