"""Results as fixed-width text for the shell."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from fairgroup.comparison._views import Cell, View, disparities, number, plain_name, views
from fairgroup.datasets._cache import data_folder
from fairgroup.exceptions import FairnessWarning

if TYPE_CHECKING:
    import pandas as pd

    from fairgroup.comparison._comparison import Comparison
    from fairgroup.metrics import GroupMetrics

__all__ = [
    "comparison_text",
    "dataset_text",
    "for_developers",
    "group_text",
    "plain_messages",
    "suggestion_text",
    "text_table",
]

_BOLD, _GREEN, _DIM, _RESET = "\033[1m", "\033[32m", "\033[2m", "\033[0m"
_HEADER_WIDTH = 14
# Notices for the programmers of a library say nothing about the data or the models.
_FOR_DEVELOPERS = re.compile(r"Deprecat|FutureWarning|Pandas\d")


def text_table(
    header: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    n_left: int = 1,
    colours: Sequence[str] | None = None,
) -> list[str]:
    """Lay out a table in columns.

    Parameters
    ----------
    header : sequence of str
        Names of the columns; long ones are broken into lines.
    rows : sequence of sequence of str
        The cells.
    n_left : int, default=1
        So many columns are text and stand left; the others are numbers and stand right.
    colours : sequence of str or None, default=None
        Terminal codes per row; None for none, also in the header.

    Returns
    -------
    lines : list of str
    """
    heads = [_break(_printable(name)) for name in header]
    rows = [[_printable(cell) for cell in row] for row in rows]
    height = max(map(len, heads))
    heads = [[""] * (height - len(lines)) + lines for lines in heads]
    widths = [
        max(len(text) for text in [*heads[j], *(row[j] for row in rows)])
        for j in range(len(heads))
    ]

    def line(cells: Sequence[str]) -> str:
        parts = [
            cell.ljust(width) if j < n_left else cell.rjust(width)
            for j, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return "  ".join(parts).rstrip()

    top = [line([lines[i] for lines in heads]) for i in range(height)]
    rule = "  ".join("-" * width for width in widths)
    body = [line(row) for row in rows]
    if colours is not None:
        top = [f"{_BOLD}{text}{_RESET}" for text in top]
        body = [f"{c}{t}{_RESET}" if c else t for c, t in zip(colours, body, strict=True)]
    return [*top, rule, *body]


def _printable(text: str) -> str:
    """Names come from the data: no control character of theirs reaches the terminal."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _break(name: str) -> list[str]:
    lines = [""]
    for word in name.split(" "):
        if lines[-1] and len(lines[-1]) + 1 + len(word) > _HEADER_WIDTH:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def comparison_text(
    comparison: Comparison, *, width: int | None = None, colour: bool = False
) -> list[str]:
    """Write the table of a comparison, with failures and an explanation below.

    Parameters
    ----------
    comparison : Comparison
        What was compared.
    width : int or None, default=None
        Columns of the terminal; metrics that do not fit are named below. None for no limit.
    colour : bool, default=False
        Whether to use terminal codes.

    Returns
    -------
    lines : list of str
    """
    front = set(comparison.pareto().index.to_list())
    metrics = list(comparison.metrics)
    lines = _comparison_table(comparison, metrics, front, colour)
    by_importance = sorted(metrics, key=lambda m: _importance(comparison, m))
    while width is not None and len(metrics) > 2 and max(map(_length, lines)) > width:
        metrics.remove(by_importance.pop())
        lines = _comparison_table(comparison, metrics, front, colour)
    lines += ["", *_legend(comparison)]
    left_out = [name for name in comparison.metrics if name not in metrics]
    if left_out:
        lines.append(f"Not shown for lack of width: {', '.join(map(plain_name, left_out))}.")
    for row in comparison.table.reset_index().to_dict(orient="records"):
        if row["error"]:
            name = f"{row['method']} {row['setting']}".strip()
            lines.append(f"failed: {name}: {_one_line(row['error'])}")
    return lines


def _importance(comparison: Comparison, metric: str) -> int:
    if metric in (comparison.score, comparison.unfairness):
        return 0
    if metric in comparison.unfairness_metrics:
        return 3 if "[" in metric else 1
    return 2


def _comparison_table(
    comparison: Comparison, metrics: list[str], front: set[tuple[str, str]], colour: bool
) -> list[str]:
    rows, colours = [], []
    for row in comparison.table.reset_index().to_dict(orient="records"):
        key = (row["method"], row["setting"])
        on_front = key in front
        cells = [_with_half(row[m], row[f"{m}_low"], row[f"{m}_high"]) for m in metrics]
        rows.append(["*" if on_front else "", *key, *cells, number(row["fit_seconds"])])
        colours.append(_DIM if row["error"] else _GREEN if on_front else "")
    header = ["", "method", "setting", *map(plain_name, metrics), "fit seconds"]
    return text_table(header, rows, n_left=3, colours=colours if colour else None)


def _legend(comparison: Comparison) -> list[str]:
    n_folds = comparison.settings["n_folds"]
    score, unfairness = map(plain_name, (comparison.score, comparison.unfairness))
    return [
        f"* on the Pareto front: no other row is better in {score} without being worse in "
        f"{unfairness}.",
        f"Mean over {n_folds} folds ± half width of its 95 % interval.",
    ]


def _with_half(value: float, low: float, high: float) -> str:
    cell = Cell(value, low, high)
    return f"{number(value)} ± {number((high - low) / 2)}" if cell.bounded else number(value)


def for_developers(category: str) -> bool:
    """Return whether warnings of this class are meant for a library's programmers."""
    return _FOR_DEVELOPERS.search(category) is not None


def plain_messages(messages: pd.DataFrame) -> list[tuple[str, str, int]]:
    """Return (method, text, number of fits) of a comparison's messages for users."""
    found = []
    for row in messages.to_dict(orient="records"):
        category, _, text = str(row["message"]).partition(": ")
        if not for_developers(category):
            found.append((str(row["method"]), _one_line(text), int(row["count"])))
    return found


def suggestion_text(comparison: Comparison, max_unfairness: float) -> tuple[str, dict[str, Any]]:
    """Name the best candidate under a bound, in a sentence and as a record."""
    with warnings.catch_warnings():  # the sentence says when nothing keeps the bound
        warnings.simplefilter("ignore", FairnessWarning)
        method, setting = comparison.choose(max_unfairness=max_unfairness)
    table, names = comparison.table, (comparison.score, comparison.unfairness)
    row: dict[Any, Any] = table[list(names)].to_dict(orient="index")[method, setting]
    values = {name: float(row[name]) for name in names}
    kept = values[comparison.unfairness] <= max_unfairness
    said = ", ".join(f"{plain_name(name)} {number(value)}" for name, value in values.items())
    name = f"{method} {setting}".strip()
    text = f"Best with {plain_name(comparison.unfairness)} <= {max_unfairness:g}: {name} ({said})."
    if not kept:
        text = f"Nothing keeps {plain_name(comparison.unfairness)} <= {max_unfairness:g}; "
        text += f"the least unfair is {name} ({said})."
    found = {"method": method, "setting": setting, "max_unfairness": max_unfairness}
    return text, {**found, "kept": kept, **values}


def dataset_text(table: pd.DataFrame, data_home: str | None) -> list[str]:
    """Write the list of data sets."""
    rows = []
    for row in table.to_dict(orient="records"):
        here = "yes" if row["available"] else "on demand" if row["downloadable"] else "by hand"
        licence = _shorten(row["licence"], 45)
        rows.append([row["id"], here, row["task"], row["protected"], licence, f"{row['rows']:,}"])
    return [
        *text_table(["name", "here", "task", "protected", "licence", "rows"], rows, n_left=5),
        "",
        f"Folder: {data_folder(data_home)}",
        "here: 'on demand' is downloaded when first used; 'by hand' says how when used.",
        "fairgroup datasets NAME shows the data sheet with licence, source and known problems.",
    ]


def _shorten(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 3].rstrip() + "..."


def group_text(
    result: GroupMetrics, *, width: int | None = None, colour: bool = False
) -> list[str]:
    """Write metrics by group and the largest differences.

    Parameters
    ----------
    result : GroupMetrics
        What was measured.
    width : int or None, default=None
        Columns of the terminal; where the table is wider, the last metrics are left to the JSON.
    colour : bool, default=False
        Whether to use terminal codes.

    Returns
    -------
    lines : list of str
    """
    found = views(result)
    metrics = list(found[0].metrics)
    lines = _group_table(found, metrics, colour)
    while width is not None and len(metrics) > 1 and max(map(_length, lines)) > width:
        metrics.pop()
        lines = _group_table(found, metrics, colour)
    left_out = [plain_name(m) for m in found[0].metrics if m not in metrics]
    if left_out:
        lines.append(f"Not shown for lack of width: {', '.join(left_out)}.")
    differences = _disparity_table(result, colour)
    if width is not None and max(map(_length, differences)) > width:
        differences = _disparity_list(result, colour)
    lines += ["", *differences]
    if result.n_bootstrap:
        level = f"{100 * result.confidence_level:g} %"
        lines += ["", f"In brackets: {level} bootstrap intervals."]
    return lines


def _group_table(found: list[View], metrics: list[str], colour: bool) -> list[str]:
    rows = []
    for view in found:
        for row in view.rows:
            cells = [_with_bounds(row.cells[m]) for m in metrics]
            rows.append([view.title, row.name, f"{row.count:,}", *cells])
    header = ["split by", "group", "rows", *map(plain_name, metrics)]
    return text_table(header, rows, n_left=2, colours=[""] * len(rows) if colour else None)


def _disparity_table(result: GroupMetrics, colour: bool) -> list[str]:
    found = disparities(result)
    titles = list(dict.fromkeys(title for cells in found.values() for title in cells))
    rows = [
        [plain_name(name), *(_with_bounds(cells[title]) for title in titles)]
        for name, cells in found.items()
    ]
    header = ["largest difference", *titles]
    return text_table(header, rows, colours=[""] * len(rows) if colour else None)


def _disparity_list(result: GroupMetrics, colour: bool) -> list[str]:
    """The same with a line for each value, for narrow terminals."""
    rows = [
        [plain_name(name), title, _with_bounds(cell)]
        for name, cells in disparities(result).items()
        for title, cell in cells.items()
    ]
    header = ["largest difference", "between groups by", "value"]
    return text_table(header, rows, n_left=2, colours=[""] * len(rows) if colour else None)


def _with_bounds(cell: Cell) -> str:
    if not cell.bounded:
        return number(cell.value)
    return f"{number(cell.value)} [{number(cell.low)}, {number(cell.high)}]"


def _length(line: str) -> int:
    return len(re.sub(r"\033\[\d+m", "", line))


def _one_line(text: str) -> str:
    """Put a message on one line, without control characters."""
    return _printable(" ".join(text.split()))
