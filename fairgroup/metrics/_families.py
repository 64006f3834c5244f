"""Metrics that share one table: labels (counts), regression (sums), scores, and any callable.

A family turns rows into a table over base cells once, gives the metrics of every view from it, and
draws their bootstrap jointly over all groups.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fairgroup.metrics._bootstrap import RowSums, draw_counts
from fairgroup.metrics._counts import count_table, sum_cells, table_cells
from fairgroup.metrics._layout import Layout, View, ViewKey
from fairgroup.metrics._rates import CLASS_METRICS, DENOMINATORS, TABLE_METRICS, one_vs_rest
from fairgroup.metrics._scores import SCORE_REASONS, ScoreRows, score_metrics
from fairgroup.metrics._sums import SUM_METRICS, columns_of, row_columns

Array = NDArray[Any]
# The largest block of drawn table entries that is held at a time.
_MAX_BLOCK = 4_000_000


class Family(Protocol):
    """What `group_metrics` asks of a family of metrics."""

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the metrics it gives."""

    def values(self, view: View) -> dict[str, Array]:
        """Return each metric's values, shape (n_controls * n_groups,)."""

    def replicates(
        self, n_draws: int, rng: np.random.Generator
    ) -> dict[ViewKey, dict[str, Array]]:
        """Return each metric's draws for every view, shape (n_controls * n_groups, n_draws)."""

    def trials(self, view: View) -> dict[str, Array]:
        """Return the rows in the denominator of metrics that are unweighted proportions."""

    def reason(self, column: str) -> str:
        """Say when the metric is undefined."""


class _TableFamily:
    """A family whose metrics are functions of additive tables."""

    columns: tuple[str, ...]
    layout: Layout
    base: Array

    def draw(self, n_draws: int, rng: np.random.Generator) -> Array:
        raise NotImplementedError

    def evaluate(self, table: Array, view: View) -> dict[str, Array]:
        raise NotImplementedError

    def values(self, view: View) -> dict[str, Array]:
        return self.evaluate(self._sum(self.base, view), view)

    def trials(self, view: View) -> dict[str, Array]:
        return {}

    def replicates(
        self, n_draws: int, rng: np.random.Generator
    ) -> dict[ViewKey, dict[str, Array]]:
        step = max(_MAX_BLOCK // max(self.base.size, 1), 1)
        blocks: dict[ViewKey, list[dict[str, Array]]] = {key: [] for key in self.layout.views}
        for start in range(0, n_draws, step):
            drawn = self.draw(min(step, n_draws - start), rng)
            for key, view in self.layout.views.items():
                blocks[key].append(self.evaluate(self._sum(drawn, view), view))
        return {
            key: {name: np.concatenate([p[name] for p in parts], axis=-1) for name in self.columns}
            for key, parts in blocks.items()
        }

    def _sum(self, table: Array, view: View) -> Array:
        return sum_cells(table, view.group_of_cell, self.layout.n_controls * view.n_groups)


class LabelFamily(_TableFamily):
    """Metrics of true and predicted labels, from counts or, with weights, from weighted counts."""

    def __init__(
        self,
        layout: Layout,
        y_true: Array,
        y_pred: Array,
        classes: Array,
        names: Sequence[str],
        positive: int | None,
        sample_weight: Array | None,
    ) -> None:
        self.layout, self._positive, self._classes = layout, positive, classes
        self._shape = (layout.n_cells, len(classes), len(classes))
        sizes = {"n_cells": layout.n_cells, "n_classes": len(classes)}
        self._weights: RowSums | None = None
        if sample_weight is None:
            self.base = count_table(layout.cells, y_true, y_pred, **sizes)
        else:
            flat = table_cells(layout.cells, y_true, y_pred, **sizes)
            self._weights = RowSums(flat, sample_weight[None, :], int(np.prod(self._shape)))
            self.base = self._weights.sums.reshape(self._shape)
        self._metrics = dict(self._plan(names))
        self.columns = tuple(self._metrics)

    def _plan(self, names: Sequence[str]) -> Any:
        for name in names:
            if name in TABLE_METRICS or self._positive is not None:
                yield name, (name, self._positive)
            else:
                yield from (
                    (f"{name}[{label}]", (name, k)) for k, label in enumerate(self._classes)
                )

    def draw(self, n_draws: int, rng: np.random.Generator) -> Array:
        if self._weights is None:
            return draw_counts(self.base.ravel(), n_draws, rng).reshape(*self._shape, n_draws)
        _, sums = self._weights.draw(n_draws, rng)
        return np.maximum(sums[:, 0], 0.0).reshape(*self._shape, n_draws)

    def evaluate(self, table: Array, view: View) -> dict[str, Array]:
        confusions = {}
        for name, k in self._metrics.values():
            if name in CLASS_METRICS and k not in confusions:
                confusions[k] = one_vs_rest(table, k)
        return {
            column: CLASS_METRICS[name][0](confusions[k])
            if name in CLASS_METRICS
            else TABLE_METRICS[name][0](table)
            for column, (name, k) in self._metrics.items()
        }

    def trials(self, view: View) -> dict[str, Array]:
        if self._weights is not None:
            return {}
        table, out = self._sum(self.base, view), {}
        for column, (name, k) in self._metrics.items():
            if name == "accuracy":
                out[column] = table.sum(axis=(1, 2))
            elif name in DENOMINATORS:
                out[column] = DENOMINATORS[name](one_vs_rest(table, k))
        return out

    def reason(self, column: str) -> str:
        name = self._metrics[column][0]
        return (CLASS_METRICS.get(name) or TABLE_METRICS[name])[1]


class SumFamily(_TableFamily):
    """Metrics of numeric targets and predictions, from sums."""

    def __init__(
        self,
        layout: Layout,
        y_true: Array,
        y_pred: Array,
        names: Sequence[str],
        weight: Array | None,
    ) -> None:
        self.layout, self.columns = layout, tuple(names)
        self._names = columns_of(names)
        rows = row_columns(y_true, y_pred, self._names, weight)
        self._sums = RowSums(layout.cells, rows, layout.n_cells)
        self.base = self._sums.sums

    def draw(self, n_draws: int, rng: np.random.Generator) -> Array:
        return self._sums.draw(n_draws, rng)[1]

    def evaluate(self, table: Array, view: View) -> dict[str, Array]:
        sums = {column: table[:, k] for k, column in enumerate(self._names)}
        return {name: SUM_METRICS[name].function(sums) for name in self.columns}

    def reason(self, column: str) -> str:
        return SUM_METRICS[column].reason


class ScoreFamily(_TableFamily):
    """Metrics of binary labels and scores, from sums over cells x labels x score bins."""

    def __init__(
        self,
        layout: Layout,
        positive: Array,
        y_score: Array,
        names: Sequence[str],
        weight: Array | None,
    ) -> None:
        self.layout, self.columns = layout, tuple(names)
        self._rows = ScoreRows(positive, y_score, names, weight, layout)
        self._sums = RowSums(self._rows.cells, self._rows.columns, self._rows.n_cells)
        self.base = self._by_cell(self._sums.sums)

    def _by_cell(self, sums: Array) -> Array:
        return sums.reshape(self.layout.n_cells, 2, -1, *sums.shape[1:])

    def draw(self, n_draws: int, rng: np.random.Generator) -> Array:
        return self._by_cell(self._sums.draw(n_draws, rng)[1])

    def evaluate(self, table: Array, view: View) -> dict[str, Array]:
        observed = self._sum(self.base, view)
        return score_metrics(table, self.columns, self._rows.placement_column(view.key), observed)

    def reason(self, column: str) -> str:
        return SCORE_REASONS[column]


class CountFamily(_TableFamily):
    """The number of rows."""

    columns = ("count",)

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.base = np.bincount(layout.cells, minlength=layout.n_cells)

    def draw(self, n_draws: int, rng: np.random.Generator) -> Array:
        return draw_counts(self.base, n_draws, rng)

    def evaluate(self, table: Array, view: View) -> dict[str, Array]:
        # A group without rows has no count, as MetricFrame has it; a draw may well miss a group.
        observed = self._sum(self.base, view).reshape(-1, *[1] * (table.ndim - 1))
        return {"count": np.where(observed > 0, table, np.nan)}

    def reason(self, column: str) -> str:
        return ""


class CallableFamily:
    """Any function ``metric(y_true, y_pred)``, called for every group and every resample."""

    def __init__(
        self,
        layout: Layout,
        y_true: Any,
        y_pred: Any,
        metrics: Mapping[str, Callable[..., Any]],
        weight: Array | None,
    ) -> None:
        self.layout, self.columns = layout, tuple(metrics)
        self._data = (np.asarray(y_true), np.asarray(y_pred))
        self._metrics, self._weight = dict(metrics), weight
        if weight is not None:
            for name, metric in metrics.items():
                _check_takes_weights(name, metric)

    def values(self, view: View) -> dict[str, Array]:
        return self._evaluate(np.arange(len(self.layout.cells)), view)

    def replicates(
        self, n_draws: int, rng: np.random.Generator
    ) -> dict[ViewKey, dict[str, Array]]:
        n = len(self.layout.cells)
        found: dict[ViewKey, list[dict[str, Array]]] = {key: [] for key in self.layout.views}
        for _ in range(n_draws):
            rows = rng.integers(0, n, n)
            for key, view in self.layout.views.items():
                found[key].append(self._evaluate(rows, view))
        return {
            key: {
                name: np.stack([values[name] for values in draws], axis=-1)
                for name in self.columns
            }
            for key, draws in found.items()
        }

    def trials(self, view: View) -> dict[str, Array]:
        return {}

    def reason(self, column: str) -> str:
        return "the function returned NaN"

    def _evaluate(self, rows: NDArray[np.intp], view: View) -> dict[str, Array]:
        n_groups = self.layout.n_controls * view.n_groups
        group = view.group_of_cell[self.layout.cells[rows]]
        order = np.argsort(group, kind="stable")
        bounds = np.searchsorted(group[order], np.arange(n_groups + 1))
        out = {name: np.full(n_groups, np.nan) for name in self.columns}
        for g in range(n_groups):
            chosen = rows[order[bounds[g] : bounds[g + 1]]]
            if not len(chosen):
                continue
            weight = {} if self._weight is None else {"sample_weight": self._weight[chosen]}
            for name, metric in self._metrics.items():
                out[name][g] = metric(*(values[chosen] for values in self._data), **weight)
        return out


def _check_takes_weights(name: str, metric: Callable[..., Any]) -> None:
    try:
        parameters = inspect.signature(metric).parameters
    except (TypeError, ValueError):
        return
    if "sample_weight" not in parameters and not any(
        p.kind is p.VAR_KEYWORD for p in parameters.values()
    ):
        raise TypeError(
            f"metrics[{name!r}] takes no sample_weight, so its values would ignore the "
            "weights that were given; "
            "add the parameter to the function or leave the metric out."
        )
