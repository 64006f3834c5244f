"""The report's tables of groups: numbers with a small chart each, of one model or of two."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from fairgroup.comparison._views import (
    Cell,
    GroupRow,
    View,
    disparities,
    number,
    of_the_data,
    plain_name,
    views,
)
from fairgroup.metrics import GroupMetrics

__all__ = ["DisparityTable", "GroupTable", "Model", "disparity_table", "group_tables"]

STRIP_WIDTH, STRIP_HEIGHT = 84.0, 14.0
_MARGIN = 4.0
FEW_ROWS = 100


@dataclass(frozen=True)
class Model:
    """A model whose groups are shown: its name, its role in the page's colours, its metrics."""

    name: str
    role: str  # "before", "after" or "data"
    result: GroupMetrics


@dataclass(frozen=True)
class Mark:
    """A value with its interval, as text and as positions in a strip of 84 by 14 units."""

    role: str
    model: str
    text: str
    interval: str
    at: float | None
    low: float | None
    high: float | None
    reference: float | None


@dataclass(frozen=True)
class MarkCell:
    """A cell of a table: a mark per model, and the number by which the column is sorted."""

    marks: tuple[Mark, ...]
    sort: str


@dataclass(frozen=True)
class Column:
    """A metric's column, with the ends of its strips; none for what describes the data."""

    title: str
    ends: tuple[str, str] | None


@dataclass(frozen=True)
class Row:
    """A group's row."""

    name: str
    count: int
    few: bool
    cells: tuple[MarkCell, ...]


@dataclass(frozen=True)
class GroupTable:
    """All groups of one view."""

    title: str
    kind: str
    columns: tuple[Column, ...]
    overall: tuple[Row, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class DisparityTable:
    """The largest differences between groups, a column per view."""

    titles: tuple[str, ...]
    rows: tuple[tuple[str, tuple[MarkCell, ...]], ...]


@dataclass(frozen=True)
class _Scale:
    low: float
    high: float

    @property
    def ends(self) -> tuple[str, str]:
        return f"{self.low:g}", f"{self.high:g}"

    def at(self, value: float) -> float | None:
        if math.isnan(value):
            return None
        share = (value - self.low) / (self.high - self.low)
        return round(_MARGIN + share * (STRIP_WIDTH - 2 * _MARGIN), 2)


def group_tables(models: Sequence[Model]) -> list[GroupTable]:
    """Make a table per attribute and one of the intersections.

    Parameters
    ----------
    models : sequence of Model
        Measured on the same rows.

    Returns
    -------
    tables : list of GroupTable
    """
    found = [views(model.result) for model in models]
    overall = [view[0].rows for view in found]
    names = sorted(found[0][0].metrics, key=lambda name: not of_the_data(name))
    scales = {name: _metric_scale(name, found) for name in names}
    columns = tuple(
        Column(plain_name(name), None if of_the_data(name) else scale.ends)
        for name, scale in scales.items()
    )
    # With control features there is no single overall value to compare a group with.
    reference = [rows[0] for rows in overall] if len(overall[0]) == 1 else None
    whole = _rows(models, overall, scales, None)
    return [
        GroupTable(
            view.title,
            view.kind,
            columns,
            whole,
            _rows(models, [views_[i].rows for views_ in found], scales, reference),
        )
        for i, view in enumerate(found[0])
        if view.kind != "overall"
    ]


def disparity_table(models: Sequence[Model]) -> DisparityTable:
    """Make the table of largest differences; its strips begin at 0, which is equality."""
    found = [disparities(model.result) for model in models]
    titles = tuple(dict.fromkeys(title for cells in found[0].values() for title in cells))
    rows = []
    for name in found[0]:
        per_model = [cells[name] for cells in found]
        scale = _from_zero([cell for cells in per_model for cell in cells.values()])
        cells = [_mark_cell(models, [c[title] for c in per_model], scale) for title in titles]
        rows.append((plain_name(name), tuple(cells)))
    return DisparityTable(titles, tuple(rows))


def _rows(
    models: Sequence[Model],
    rows: Sequence[Sequence[GroupRow]],
    scales: dict[str, _Scale],
    reference: Sequence[GroupRow] | None,
) -> tuple[Row, ...]:
    made = []
    for same in zip(*rows, strict=True):
        cells = []
        for name, scale in scales.items():
            shown = 1 if of_the_data(name) else len(models)
            overall = None if reference is None else [r.cells[name].value for r in reference]
            values = [row.cells[name] for row in same[:shown]]
            role = "data" if of_the_data(name) else None
            cells.append(_mark_cell(models[:shown], values, scale, overall, role))
        made.append(Row(same[0].name, same[0].count, same[0].count < FEW_ROWS, tuple(cells)))
    return tuple(made)


def _mark_cell(
    models: Sequence[Model],
    cells: Sequence[Cell],
    scale: _Scale,
    overall: Sequence[float] | None = None,
    role: str | None = None,
) -> MarkCell:
    marks = []
    for i, (model, cell) in enumerate(zip(models, cells, strict=True)):
        marks.append(
            Mark(
                role or model.role,
                "" if role else model.name,
                number(cell.value) if cell.defined else "undefined",
                f"{number(cell.low)} – {number(cell.high)}" if cell.bounded else "",
                scale.at(cell.value),
                scale.at(cell.low) if cell.bounded else None,
                scale.at(cell.high) if cell.bounded else None,
                None if overall is None else scale.at(overall[i]),
            )
        )
    last = cells[-1]
    return MarkCell(tuple(marks), f"{last.value:.9g}" if last.defined else "")


def _metric_scale(name: str, found: Sequence[Sequence[View]]) -> _Scale:
    every = [row for per_model in found for view in per_model for row in view.rows]
    cells = [row.cells[name] for row in every]
    numbers = _numbers(cells)
    if not numbers:
        return _Scale(0.0, 1.0)
    step = _step(max(numbers) - min(numbers))
    low, high = math.floor(min(numbers) / step) * step, math.ceil(max(numbers) / step) * step
    low, high = round(low, 9), round(high, 9)  # 0.3, not 0.30000000000000004
    return _Scale(low, high if high > low else low + step)


def _from_zero(cells: Sequence[Cell]) -> _Scale:
    return _Scale(0.0, max([*_numbers(cells), 1e-9]))


def _numbers(cells: Sequence[Cell]) -> list[float]:
    values = [v for cell in cells for v in (cell.value, cell.low, cell.high)]
    return [value for value in values if math.isfinite(value)]


def _step(span: float) -> float:
    """A tenth of the next power of ten: 0.1 for rates that lie up to 1 apart."""
    return 10.0 ** (math.ceil(math.log10(span)) - 1) if span > 0 else 0.1
