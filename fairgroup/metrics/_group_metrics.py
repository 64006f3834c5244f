"""From rows to a GroupMetrics, in as few passes as the asked metrics need."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.exceptions import UndefinedMetricWarning

from fairgroup.groups import GroupEncoder
from fairgroup.metrics._families import (
    CallableFamily,
    CountFamily,
    Family,
    LabelFamily,
    ScoreFamily,
    SumFamily,
)
from fairgroup.metrics._labels import (
    as_column,
    as_numbers,
    encode_labels,
    is_continuous,
    positive_class,
)
from fairgroup.metrics._layout import OVERALL, Layout, ViewKey, encode, make_layout
from fairgroup.metrics._rates import CLASS_METRICS, TABLE_METRICS
from fairgroup.metrics._result import GroupMetrics
from fairgroup.metrics._scores import SCORE_METRICS
from fairgroup.metrics._summaries import GAPS
from fairgroup.metrics._sums import SUM_METRICS
from fairgroup.utils._cells import is_distributed, repeated_rows
from fairgroup.utils._validation import as_generator, check_weights

DEFAULT_LABEL_METRICS = (
    "accuracy",
    "base_rate",
    "selection_rate",
    "true_positive_rate",
    "false_positive_rate",
)
DEFAULT_REGRESSION_METRICS = (
    "mean_target",
    "mean_prediction",
    "bias",
    "mean_absolute_error",
    "root_mean_squared_error",
)
METRIC_NAMES = ("count", *TABLE_METRICS, *CLASS_METRICS, *SUM_METRICS, *SCORE_METRICS)

Metrics = str | Callable[..., Any] | Sequence[Any] | Mapping[str, Any] | None


def group_metrics(
    y_true: ArrayLike,
    y_pred: ArrayLike | None,
    *,
    sensitive_features: Any,
    metrics: Metrics = None,
    sample_weight: ArrayLike | None = None,
    control_features: Any = None,
    y_score: ArrayLike | None = None,
    pos_label: Any = None,
    encoder: GroupEncoder | None = None,
    n_bootstrap: int = 0,
    confidence_level: float = 0.95,
    random_state: Any = None,
) -> GroupMetrics:
    """Measure a model overall, by intersections of groups, and by each attribute, with intervals.

    Label metrics of all groups come from one count of (group, label, prediction), regression
    metrics from one table of sums; time grows linearly with the rows.

    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        True labels (any type) or numeric targets.
    y_pred : array-like of shape (n_samples,) or None
        Predicted labels or numbers. None when only score metrics are asked for.
    sensitive_features : array-like of shape (n_samples,) or (n_samples, n_columns), or frame
        Protected attributes (pandas, polars, arrays) or ready GroupCodes. A continuous column is
        an error that says how to bin it. Labels, predictions and attributes may be Dask columns of
        one frame; they are reduced to counts by Dask.
    metrics : str, callable, list, dict or None, default=None
        Names, callables ``metric(y_true, y_pred[, sample_weight])``, or a dict of name -> name or
        callable. A name of :meth:`GroupMetrics.gaps` stands for the rates it needs. None chooses
        for the task.

        * labels: ``accuracy``, ``balanced_accuracy``, ``selection_rate``, ``base_rate``,
          ``true_positive_rate``, ``false_positive_rate``, ``true_negative_rate``,
          ``false_negative_rate``, ``precision``, ``f1``. With three or more labels and no
          `pos_label`, rates have one column per class, ``selection_rate[a]``;
        * numbers: ``mean_target``, ``mean_prediction``, ``bias`` (mean of prediction - target),
          ``mean_absolute_error``, ``mean_squared_error``, ``root_mean_squared_error``, ``r2``,
          ``mean_poisson_deviance``, ``mean_gamma_deviance``;
        * scores of two labels: ``roc_auc``, ``brier_score``, ``calibration_error`` (ten equal
          bins);
        * ``count``, the number of rows, is always there.
    sample_weight : array-like of shape (n_samples,), default=None
        Row weights; ``count`` stays unweighted.
    control_features : array-like, Series or DataFrame, default=None
        Columns within whose levels everything is measured (conditional fairness).
    y_score : array-like of shape (n_samples,), default=None
        Scores or probabilities of the positive label.
    pos_label : object, default=None
        The positive label. None: 1 of {0, 1} and {-1, 1}, True of booleans; else an error when it
        is needed.
    encoder : GroupEncoder or None, default=None
        How groups are formed and what happens to missing values; a fitted one is used as it is.
    n_bootstrap : int, default=0
        Number of bootstrap draws for intervals. For unweighted label metrics they cost nothing per
        row.
    confidence_level : float in (0, 1), default=0.95
        Confidence level of the intervals.
    random_state : int, RandomState, Generator or None, default=None
        Seed of the draws.

    Returns
    -------
    result : GroupMetrics

    Raises
    ------
    ValueError
        For inconsistent lengths, missing values, an unknown metric, or an undecidable positive
        label.
    TypeError
        For a numeric metric of text, or a callable that cannot use the given weights.

    Warns
    -----
    UndefinedMetricWarning
        When a metric has no denominator in some group; its value is NaN, and differences leave it
        out.

    Examples
    --------
    >>> from fairgroup.metrics import group_metrics
    >>> result = group_metrics(
    ...     [1, 0, 1, 1, 0, 1],
    ...     [1, 0, 1, 0, 1, 1],
    ...     sensitive_features={"sex": ["f", "f", "f", "m", "m", "m"]},
    ...     metrics=["selection_rate", "true_positive_rate"],
    ...     n_bootstrap=1000,
    ...     random_state=0,
    ... )
    >>> result.by_group["true_positive_rate"].to_dict()
    {'f': 1.0, 'm': 0.5}
    >>> float(result.difference()["true_positive_rate"])
    0.5
    """
    _check_draws(n_bootstrap, confidence_level)
    given = (y_true, y_pred, sensitive_features, control_features)
    if any(is_distributed(columns) for columns in given):
        if y_score is not None or sample_weight is not None:
            raise ValueError(
                "Dask data is counted by level: give neither y_score nor sample_weight."
            )
        y_true, y_pred, sensitive_features, control_features = repeated_rows(given)
    n_samples = _length(y_true, y_pred, y_score, sample_weight)
    weight = None if sample_weight is None else check_weights(sample_weight, n_samples)
    groups = encode(sensitive_features, encoder, n_samples, "sensitive_features")
    controls = None
    if control_features is not None:
        controls = encode(control_features, None, n_samples, "control_features")
    named, called = _plan(metrics, y_true, y_pred, y_score)
    layout = make_layout(groups, controls)
    rows = _Rows(y_true, y_pred, y_score, weight, pos_label)
    families = list(_families(layout, rows, named, called))
    columns = _columns(families, named, called)
    order = tuple(columns.values())
    values = _values(layout, families, order)
    rng = as_generator(random_state)
    draws = _draws(layout, families, order, n_bootstrap, rng)
    _warn_undefined(layout, families, order, values)
    return GroupMetrics(
        metrics=tuple(columns),
        n_bootstrap=n_bootstrap,
        confidence_level=confidence_level,
        _layout=layout.without_rows(),
        _values=values,
        _draws=draws,
        _trials=_trials(layout, families, order),
        _seed=int(rng.integers(2**32)),
        _columns=order,
        _added_count="count" not in named.values(),
    )


class _Rows:
    """The rows of one call, coded when a family first needs them."""

    def __init__(
        self, y_true: Any, y_pred: Any, y_score: Any, weight: Any, pos_label: Any
    ) -> None:
        self.y_true, self.y_pred, self.y_score = y_true, y_pred, y_score
        self.weight, self.pos_label = weight, pos_label

    def labels(self, names: Sequence[str]) -> tuple[NDArray, NDArray, NDArray, int | None]:
        """Return coded labels, predictions, the classes, and the positive one if needed."""
        classes, (y, p) = encode_labels(("y_true", self.y_true), ("y_pred", self.y_pred))
        positive = None
        if any(name in CLASS_METRICS for name in names):
            classes, positive = positive_class(classes, self.pos_label)
        return y, p, classes, positive

    def positive_label(self) -> NDArray[np.bool_]:
        """Return whether each row has the positive label."""
        classes, (y,) = encode_labels(("y_true", self.y_true))
        classes, positive = positive_class(classes, self.pos_label)
        if positive is None:
            raise ValueError(
                f"Score metrics need two labels or pos_label; y_true has {len(classes)} labels."
            )
        return y == positive


def _check_draws(n_bootstrap: int, confidence_level: float) -> None:
    if (
        not isinstance(n_bootstrap, int | np.integer)
        or isinstance(n_bootstrap, bool)
        or n_bootstrap < 0
    ):
        raise ValueError(f"n_bootstrap={n_bootstrap!r}; expected a whole number, at least 0.")
    if not 0 < confidence_level < 1:
        raise ValueError(
            f"confidence_level={confidence_level!r}; expected a number between 0 and 1."
        )


def _length(y_true: Any, y_pred: Any, y_score: Any, sample_weight: Any) -> int:
    n_samples = len(as_column(y_true, "y_true"))
    if not n_samples:
        raise ValueError("y_true has no rows; there is nothing to measure.")
    for name, values in (("y_pred", y_pred), ("y_score", y_score)):
        if values is not None and len(as_column(values, name)) != n_samples:
            raise ValueError(
                f"{name} has {len(as_column(values, name))} rows, but y_true has {n_samples}."
            )
    return n_samples


def _plan(
    metrics: Metrics, y_true: Any, y_pred: Any, y_score: Any
) -> tuple[dict[str, str], dict[str, Callable[..., Any]]]:
    """Sort the asked metrics into known names and callables, both keyed by column."""
    if metrics is None:
        metrics = _default_metrics(y_true, y_pred, y_score)
    if isinstance(metrics, str) or callable(metrics):
        metrics = [metrics]
    if not isinstance(metrics, Mapping):
        metrics = {_column_name(metric): metric for metric in metrics}
    named: dict[str, str] = {}
    called: dict[str, Callable[..., Any]] = {}
    for column, metric in metrics.items():
        if callable(metric):
            called[str(column)] = metric
        elif metric in GAPS:
            named |= {name: name for name in GAPS[metric][1] if name not in named.values()}
        elif metric in METRIC_NAMES:
            named[str(column)] = metric
        else:
            raise ValueError(
                f"Unknown metric {metric!r}; pass a callable or one of "
                f"{sorted([*METRIC_NAMES, *GAPS])}."
            )
    _check_inputs(named, called, y_pred, y_score)
    return named, called


def _check_inputs(
    named: dict[str, str], called: dict[str, Any], y_pred: Any, y_score: Any
) -> None:
    if y_score is None:
        asked = [name for name in named.values() if name in SCORE_METRICS]
        if asked:
            raise ValueError(
                f"{asked[0]} needs y_score, the scores or probabilities of the positive label."
            )
    if y_pred is None:
        asked = [c for c, name in named.items() if name not in (*SCORE_METRICS, "count")] + list(
            called
        )
        if asked:
            raise ValueError(f"{asked[0]} needs y_pred; None is possible for score metrics only.")


def _default_metrics(y_true: Any, y_pred: Any, y_score: Any) -> list[str]:
    scores = [] if y_score is None else ["roc_auc"]
    if y_pred is None:
        return scores
    if is_continuous(y_true, "y_true") or is_continuous(y_pred, "y_pred"):
        return list(DEFAULT_REGRESSION_METRICS)
    return [*DEFAULT_LABEL_METRICS, *scores]


def _column_name(metric: Any) -> str:
    return metric if isinstance(metric, str) else getattr(metric, "__name__", repr(metric))


def _families(
    layout: Layout, rows: _Rows, named: dict[str, str], called: dict[str, Callable[..., Any]]
) -> Any:
    """Yield the families that the metrics need, each made in one pass."""
    asked = list(dict.fromkeys(named.values()))
    yield CountFamily(layout)
    labels = [name for name in asked if name in TABLE_METRICS or name in CLASS_METRICS]
    if labels:
        y, p, classes, positive = rows.labels(labels)
        yield LabelFamily(layout, y, p, classes, labels, positive, rows.weight)
    sums = [name for name in asked if name in SUM_METRICS]
    if sums:
        y_true, y_pred = as_numbers(rows.y_true, "y_true"), as_numbers(rows.y_pred, "y_pred")
        yield SumFamily(layout, y_true, y_pred, sums, rows.weight)
    scores = [name for name in asked if name in SCORE_METRICS]
    if scores:
        score = as_numbers(rows.y_score, "y_score")
        yield ScoreFamily(layout, rows.positive_label(), score, scores, rows.weight)
    if called:
        y_true, y_pred = as_column(rows.y_true, "y_true"), as_column(rows.y_pred, "y_pred")
        yield CallableFamily(layout, y_true, y_pred, called, rows.weight)


def _columns(
    families: list[Family], named: dict[str, str], called: dict[str, Callable[..., Any]]
) -> dict[str, str]:
    """Return the user's column names -> the families' ones; a count not asked for comes first."""
    given = [column for family in families for column in family.columns]
    columns = {} if "count" in named.values() else {"count": "count"}
    for name, metric in named.items():
        for column in given:
            if column == metric or column.startswith(f"{metric}["):
                columns[name + column.removeprefix(metric)] = column
    return columns | {name: name for name in called}


def _values(
    layout: Layout, families: list[Family], order: tuple[str, ...]
) -> dict[ViewKey, NDArray[np.float64]]:
    out = {}
    for key, view in layout.views.items():
        found = {name: v for family in families for name, v in family.values(view).items()}
        shape = (len(order), layout.n_controls, view.n_groups)
        out[key] = np.array([found[name] for name in order]).reshape(shape)
    return out


def _trials(
    layout: Layout, families: list[Family], order: tuple[str, ...]
) -> dict[ViewKey, NDArray[np.float64]]:
    out = {}
    for key, view in layout.views.items():
        found = {name: v for family in families for name, v in family.trials(view).items()}
        shape = (layout.n_controls, view.n_groups)
        none = np.full(shape, np.nan)
        out[key] = np.array([found.get(name, none).reshape(shape) for name in order], dtype=float)
    return out


def _draws(
    layout: Layout,
    families: list[Family],
    order: tuple[str, ...],
    n_draws: int,
    rng: np.random.Generator,
) -> dict[ViewKey, NDArray[np.float64]]:
    if not n_draws:
        return {}
    # Each family has a stream of its own, so that adding a metric does not move the draws of the
    # others.
    streams = rng.spawn(5)
    kinds = (CountFamily, LabelFamily, SumFamily, ScoreFamily, CallableFamily)
    drawn = [family.replicates(n_draws, streams[kinds.index(type(family))]) for family in families]
    out = {}
    for key, view in layout.views.items():
        found = {name: v for family in drawn for name, v in family[key].items()}
        shape = (len(order), layout.n_controls, view.n_groups, n_draws)
        out[key] = np.array([found[name] for name in order]).reshape(shape)
    return out


def _warn_undefined(
    layout: Layout,
    families: list[Family],
    order: tuple[str, ...],
    values: dict[ViewKey, NDArray[np.float64]],
) -> None:
    """Warn once per metric, naming the groups with rows in which it has no value."""
    counts = {key: _row_counts(layout, key) for key in values}
    for m, metric in enumerate(order):
        names = [
            name
            for key, table in values.items()
            for name in _undefined_groups(layout, key, np.isnan(table[m]) & (counts[key] > 0))
        ]
        if names:
            family = next(f for f in families if metric in f.columns)
            shown = "; ".join(names[:5]) + (
                f" and {len(names) - 5} more" if len(names) > 5 else ""
            )
            warnings.warn(
                f"{metric} is undefined (NaN) for {shown}: {family.reason(metric)}. "
                "Differences and ratios leave it out.",
                UndefinedMetricWarning,
                stacklevel=3,
            )


def _row_counts(layout: Layout, key: ViewKey) -> NDArray[np.int64]:
    view = layout.views[key]
    group = view.group_of_cell
    counts = np.zeros(layout.n_controls * view.n_groups, dtype=np.int64)
    cells = np.bincount(layout.cells, minlength=layout.n_cells)
    np.add.at(counts, group[group >= 0], cells[group >= 0])
    return counts.reshape(layout.n_controls, view.n_groups)


def _undefined_groups(layout: Layout, key: ViewKey, undefined: NDArray[np.bool_]) -> list[str]:
    if not undefined.any():
        return []
    names = ["all rows"] if key == OVERALL else layout.views[key].labels()
    if layout.controls is None:
        return [names[g] for _, g in np.argwhere(undefined)]
    return [f"{names[g]} in {layout.controls.names[c]}" for c, g in np.argwhere(undefined)]
