"""Group metrics as plain rows, as the shell's table, the JSON and the report show them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairgroup.metrics import GroupMetrics

__all__ = [
    "Cell",
    "GroupRow",
    "View",
    "disparities",
    "number",
    "of_the_data",
    "plain_name",
    "record",
    "views",
]


_OF_THE_DATA = ("count", "base_rate", "mean_target")
# A fairness gap of another name is the difference of these.
_IN_GAPS = ("selection_rate", "true_positive_rate")


@dataclass(frozen=True)
class Cell:
    """A value with its interval; NaN where undefined or not computed."""

    value: float
    low: float = math.nan
    high: float = math.nan

    @property
    def defined(self) -> bool:
        """Whether there is a value."""
        return not math.isnan(self.value)

    @property
    def bounded(self) -> bool:
        """Whether there is an interval."""
        return not (math.isnan(self.low) or math.isnan(self.high))


@dataclass(frozen=True)
class GroupRow:
    """One group: its name, its number of rows and its metrics."""

    name: str
    count: int
    cells: dict[str, Cell]


@dataclass(frozen=True)
class View:
    """One way to split the rows into groups: not at all, by an attribute, or by all attributes."""

    title: str
    kind: str  # "overall", "marginal" or "joint"
    metrics: tuple[str, ...]
    rows: tuple[GroupRow, ...]


def views(result: GroupMetrics) -> list[View]:
    """Return the views of group metrics: all rows, each attribute, and the intersections.

    Groups without rows are left out; with control features a row stands for a group within a
    level. A single attribute has no intersections.
    """
    bounds = result.intervals if result.n_bootstrap else None
    overall = _overall(result, None if bounds is None else bounds.overall)
    found = [View("none", "overall", *overall)]
    for name, table in result.marginals.items():
        limits = None if bounds is None else bounds.marginals[name]
        found.append(View(name, "marginal", *_rows(result, table, limits)))
    if len(result.attributes) > 1:
        limits = None if bounds is None else bounds.by_group
        found.append(View(_joint_title(result), "joint", *_rows(result, result.by_group, limits)))
    return found


def disparities(result: GroupMetrics) -> dict[str, dict[str, Cell]]:
    """Return the largest differences between groups: name -> view's title -> value.

    These are the fairness gaps for which the metrics are there, then the differences of the other
    metrics. With control features each level has lines of its own.
    """
    found: dict[str, dict[str, Cell]] = {}
    attributes: list[str | None] = list(result.attributes)
    if len(attributes) > 1:
        attributes.append(None)
    for attribute in attributes:
        title = _joint_title(result) if attribute is None else attribute
        for name, cell in _contrasts(result, attribute).items():
            found.setdefault(name, {})[title] = cell
    return found


def record(result: GroupMetrics) -> dict[str, Any]:
    """Return group metrics and differences as plain Python objects, ready for JSON."""
    return {
        "confidence_level": result.confidence_level,
        "n_bootstrap": result.n_bootstrap,
        "groups": [
            {
                "split_by": view.title,
                "kind": view.kind,
                "group": row.name,
                "rows": row.count,
                "metrics": {name: _plain_cell(cell) for name, cell in row.cells.items()},
            }
            for view in views(result)
            for row in view.rows
        ],
        "differences": {
            name: {title: _plain_cell(cell) for title, cell in cells.items()}
            for name, cells in disparities(result).items()
        },
    }


def _plain_cell(cell: Cell) -> dict[str, float | None]:
    values = {"value": cell.value, "low": cell.low, "high": cell.high}
    return {name: None if math.isnan(value) else value for name, value in values.items()}


def plain_name(name: str) -> str:
    """Write the name of a metric for readers; what stands in brackets stays as it is.

    These are an attribute ("accuracy_difference[sex]") or a class ("selection_rate[yes]").
    """
    metric, bracket, rest = name.partition("[")
    text = metric.replace("_", " ")
    if not bracket:
        return text
    label, _, rest = rest.rpartition("]")
    if metric.endswith(("_difference", "_ratio")):
        return f"{text} by {label}"
    return f"{text} of {label}{rest.replace('_', ' ')}"


def of_the_data(name: str) -> bool:
    """Return whether a metric describes the data, and not predictions."""
    return name.partition("[")[0] in _OF_THE_DATA


def number(value: float) -> str:
    """Write a number with the digits that a reader can use; a dash for NaN."""
    if math.isnan(value):
        return "–"
    digits = 3 - sum(abs(value) >= bound for bound in (10, 100, 1000))
    return f"{value:,.{digits}f}"


def _joint_title(result: GroupMetrics) -> str:
    return " × ".join(result.attributes)


def _overall(
    result: GroupMetrics, limits: pd.DataFrame | None
) -> tuple[tuple[str, ...], tuple[GroupRow, ...]]:
    table = result.overall
    if isinstance(table, pd.DataFrame):
        return _rows(result, table, limits)
    if limits is not None:
        limits = pd.DataFrame([limits.stack()], index=["all rows"])
    return _rows(result, pd.DataFrame([table], index=["all rows"]), limits)


def _rows(
    result: GroupMetrics, table: pd.DataFrame, limits: pd.DataFrame | None
) -> tuple[tuple[str, ...], tuple[GroupRow, ...]]:
    metrics = tuple(name for name in result.metrics if name != "count")
    columns = {name: _column(table, limits, name) for name in metrics}
    rows = []
    for i, (label, count) in enumerate(zip(table.index, table["count"].to_numpy(), strict=True)):
        if count > 0:  # NaN where the combination does not occur
            name = ", ".join(map(str, label)) if isinstance(label, tuple) else str(label)
            cells = {metric: Cell(*map(float, columns[metric][i])) for metric in metrics}
            rows.append(GroupRow(name, int(count), cells))
    return metrics, tuple(rows)


def _column(table: pd.DataFrame, limits: pd.DataFrame | None, name: str) -> NDArray[np.float64]:
    """Return values and bounds of a metric, shape (n_groups, 3)."""
    parts = [table[name]]
    if limits is not None:
        parts += [limits[name, "lower"], limits[name, "upper"]]
    columns = np.full((len(table), 3), np.nan)
    columns[:, : len(parts)] = np.column_stack([part.to_numpy(dtype=np.float64) for part in parts])
    return columns


def _contrasts(result: GroupMetrics, attribute: str | None) -> dict[str, Cell]:
    found: dict[str, Cell] = {}
    bounds = result.intervals if result.n_bootstrap else None
    limits = None if bounds is None else bounds.gaps(attribute=attribute)
    for name, level, value in _items(result.gaps(attribute=attribute)):
        if name.endswith("_difference"):
            found[_with_level(name, level)] = _cell(value, limits, level, name)
    limits = None if bounds is None else bounds.difference(attribute=attribute)
    for name, level, value in _items(result.difference(attribute=attribute)):
        if not of_the_data(name) and name.partition("[")[0] not in _IN_GAPS:
            found[_with_level(f"{name}_difference", level)] = _cell(value, limits, level, name)
    return found


def _items(values: Any) -> list[tuple[str, Any, float]]:
    """Return (name, control level or None, value) of a Series, or of a frame with levels."""
    if isinstance(values, pd.Series):
        return [(str(name), None, float(v)) for name, v in values.items()]
    return [(str(n), level, float(v)) for level, row in values.iterrows() for n, v in row.items()]


def _cell(value: float, limits: pd.DataFrame | None, level: Any, name: str) -> Cell:
    if limits is None:
        return Cell(value)
    key = name if level is None else (*(level if isinstance(level, tuple) else (level,)), name)
    bounds: list[Any] = [limits[bound].at[key] for bound in ("lower", "upper")]
    return Cell(value, *map(float, bounds))


def _with_level(name: str, level: Any) -> str:
    if level is None:
        return name
    return f"{name} ({', '.join(map(str, level)) if isinstance(level, tuple) else level})"
