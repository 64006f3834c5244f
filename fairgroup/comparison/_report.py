"""The HTML report: one file that stands alone, of a comparison or of an audit.

The page is made from the templates beside this file. jinja2 escapes every name that comes from the
data, and the page's content security policy allows its own style and script only, by their hashes:
nothing is loaded, and nothing that a name may hold is run.
"""

from __future__ import annotations

import base64
import datetime
import hashlib
import io
import math
import warnings
from collections.abc import Mapping, Sequence
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

from fairgroup._show_versions import versions
from fairgroup.comparison._defaults import CONSTANT, UNMITIGATED
from fairgroup.comparison._report_groups import FEW_ROWS, Model, disparity_table, group_tables
from fairgroup.comparison._text import plain_messages
from fairgroup.comparison._views import Cell, View, number, plain_name, views
from fairgroup.exceptions import FairnessWarning
from fairgroup.utils._optional import require

if TYPE_CHECKING:
    import pandas as pd

    from fairgroup.comparison._comparison import Comparison
    from fairgroup.metrics import GroupMetrics

__all__ = ["write_audit", "write_report"]

_SECTIONS = (
    ("data", "Data"),
    ("tradeoff", "Trade-off"),
    ("results", "Results"),
    ("groups", "Metrics by group"),
    ("differences", "Differences"),
    ("warnings", "Warnings"),
    ("reading", "How to read this"),
    ("settings", "Settings"),
)
_SETTINGS = {
    "n_samples": "rows",
    "n_folds": "folds",
    "base": "base model",
    "min_group_size": "smallest group",
    "pos_label": "positive class",
    "random_state": "seed",
    "unprocess": "unprocessed view",
}
Key = tuple[str, str]


def write_report(
    comparison: Comparison,
    path: str | Path,
    *,
    title: str | None = None,
    notes: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
    max_unfairness: float | None = None,
) -> Path:
    """Write the report of a comparison.

    Parameters
    ----------
    comparison : Comparison
        What was compared.
    path : str or Path
        Where to write.
    title : str or None, default=None
        Heading of the page.
    notes : sequence of str, default=()
        Warnings and known problems of the data, in plain words.
    facts : mapping of str to str or None, default=None
        Further lines of the data summary.
    max_unfairness : float or None, default=None
        Bound under which a method is suggested; None for half of the unmitigated model's.

    Returns
    -------
    path : Path

    Raises
    ------
    ImportError
        Without jinja2 or matplotlib.
    """
    chosen, sentence = _suggest(comparison, max_unfairness)
    models = _models(comparison, chosen)
    if not models:
        raise ValueError("No method has results; the column 'error' of the table says why.")
    settings = comparison.settings
    groups = _group_context(models, list(dict.fromkeys([*settings["notes"], *notes])))
    target = f" for {settings['target']}" if settings["target"] else ""
    context = {
        **groups,
        "title": title or f"Comparison of methods{target}",
        "sections": _SECTIONS,
        "short": [*_headline(models), sentence, *_few(groups["n_few"])],
        "data": _data_summary(comparison, facts or {}),
        "n_methods": comparison.table.index.get_level_values("method").nunique(),
        "n_folds": comparison.settings["n_folds"],
        "score": plain_name(comparison.score),
        "unfairness": plain_name(comparison.unfairness),
        "plot": _plot(comparison),
        "plot_caption": _plot_caption(comparison),
        "columns": [
            {
                "title": plain_name(name),
                "direction": "lower is better"
                if comparison.lower_is_better(name)
                else "higher is better",
            }
            for name in comparison.metrics
        ],
        "rows": _result_rows(comparison, chosen),
        "suggestion": _shown(models),
        "messages": plain_messages(comparison.messages),
        "settings": _settings(comparison.settings),
    }
    return _write("compare.html", context, path)


def write_audit(
    result: GroupMetrics,
    path: str | Path,
    *,
    title: str | None = None,
    notes: Sequence[str] = (),
    facts: Mapping[str, str] | None = None,
) -> Path:
    """Write the report of an audit of given predictions.

    Parameters
    ----------
    result : GroupMetrics
        What was measured.
    path : str or Path
        Where to write.
    title : str or None, default=None
        Heading of the page.
    notes : sequence of str, default=()
        Warnings and known problems of the data, in plain words.
    facts : mapping of str to str or None, default=None
        Lines of the data summary.

    Returns
    -------
    path : Path

    Raises
    ------
    ImportError
        Without jinja2.
    """
    models = [Model("given predictions", "after", result)]
    groups = _group_context(models, notes)
    whole = views(result)[0]
    summary = [("Rows", f"{sum(row.count for row in whole.rows):,}")]
    if "base_rate" in whole.metrics and len(whole.rows) == 1:
        share = whole.rows[0].cells["base_rate"].value
        summary.append(("Base rate", f"{100 * share:.1f}\u00a0% of the rows are positive"))
    context = {
        **groups,
        "title": title or "Audit of predictions",
        "sections": [pair for pair in _SECTIONS if pair[0] not in ("tradeoff", "results")],
        "short": [*_headline(models), *_few(groups["n_few"])],
        "data": [
            *(facts or {}).items(),
            *summary,
            ("Protected attributes", ", ".join(result.attributes)),
        ],
        "messages": (),
        "settings": [("Bootstrap draws", f"{result.n_bootstrap:,}")],
    }
    return _write("audit.html", context, path)


def _write(template: str, context: dict[str, Any], path: str | Path) -> Path:
    jinja2 = require("jinja2", extra="report")
    markup = require("markupsafe", extra="report").Markup
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("fairgroup.comparison", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    style, script = _own("style.css"), _own("sort.js")
    page = environment.get_template(template).render(
        context,
        date=datetime.date.today().isoformat(),
        versions=versions(),
        style=markup(style),
        script=markup(script),
        policy=f"default-src 'none'; img-src data:; style-src {_hash(style)}; "
        f"script-src {_hash(script)}; base-uri 'none'; form-action 'none'",
    )
    path = Path(path)
    path.write_text(page, encoding="utf-8", errors="replace", newline="\n")
    return path


def _own(name: str) -> str:
    return (files(__package__) / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{digest}'"


# Which models are shown


def _suggest(comparison: Comparison, bound: float | None) -> tuple[Key | None, str]:
    """Return the candidate that is shown beside the unmitigated model, and why."""
    reference = _value(comparison, (UNMITIGATED, ""), comparison.unfairness)
    name = plain_name(comparison.unfairness)
    which = f"a {name} of at most {number(math.nan if bound is None else bound)}"
    if bound is None:
        if math.isnan(reference):
            return None, "The unmitigated model has no results, so nothing is suggested."
        bound = reference / 2
        which = f"at most half of the unmitigated model's {name} ({number(bound)})"
    others = _mitigations(comparison)
    if others.empty:
        return None, "No mitigation has results, so nothing is suggested."
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FairnessWarning)
        key = comparison.choose(max_unfairness=bound)
    if key[0] == UNMITIGATED and reference <= bound:
        return None, f"Nothing with {which} does better than the unmitigated model."
    if key in others.index and _value(comparison, key, comparison.unfairness) <= bound:
        score = plain_name(comparison.score)
        return key, (
            f"Suggested: {_label(key)}. Of all settings with {which} it has the best {score}: "
            f"{_against(comparison, key)}."
        )
    key = _keys(others)[int(others[comparison.unfairness].argmin())]
    return key, (
        f"No method that looks at the features has {which}. The least unfair of them is "
        f"{_label(key)}: {_against(comparison, key)}."
    )


def _mitigations(comparison: Comparison) -> pd.DataFrame:
    """Rows that can be suggested and shown: neither the unmitigated nor the constant model."""
    table = comparison.table
    shown = [
        key in comparison._predictions
        and key in comparison._candidates
        and key[0] not in (UNMITIGATED, CONSTANT)
        for key in _keys(table)
    ]
    return table[shown].dropna(subset=[comparison.score, comparison.unfairness])


def _keys(table: pd.DataFrame) -> list[Key]:
    return [(str(method), str(setting)) for method, setting in table.index.to_list()]


def _against(comparison: Comparison, key: Key) -> str:
    """Compare a candidate with the unmitigated model in score and unfairness."""
    parts = []
    for name in (comparison.score, comparison.unfairness):
        before, after = (_value(comparison, k, name) for k in ((UNMITIGATED, ""), key))
        instead = "" if math.isnan(before) else f" instead of {number(before)}"
        parts.append(f"{plain_name(name)} {number(after)}{instead}")
    return ", ".join(parts)


def _value(comparison: Comparison, key: Key, name: str) -> float:
    column = comparison.table[name].to_dict()
    return float(column.get(key, math.nan))


def _label(key: Key) -> str:
    return f"{key[0]} ({key[1]})" if key[1] else key[0]


def _models(comparison: Comparison, chosen: Key | None) -> list[Model]:
    roles = {(UNMITIGATED, ""): "before"} | ({chosen: "after"} if chosen else {})
    models = []
    with warnings.catch_warnings():  # an undefined rate is shown as such
        warnings.simplefilter("ignore")
        for key, role in roles.items():
            if key in comparison._predictions:
                models.append(Model(_label(key), role, comparison.audit(*key)))
    return models


def _shown(models: Sequence[Model]) -> str:
    if len(models) == 1:
        return f"The model is: {models[0].name}."
    return f"In every cell, {models[0].name} stands above {models[1].name}."


# What is said about groups


def _group_context(models: Sequence[Model], notes: Sequence[str]) -> dict[str, Any]:
    tables = group_tables(models)
    result = models[0].result
    return {
        "models": models,
        "tables": tables,
        "differences": disparity_table(models),
        "n_few": sum(row.few for row in tables[-1].rows),
        "few_rows": FEW_ROWS,
        "level": f"{100 * result.confidence_level:g} %" if result.n_bootstrap else "",
        "notes": list(dict.fromkeys(notes)),
    }


def _headline(models: Sequence[Model]) -> list[str]:
    """Say for each view how far apart the groups' predictions are."""
    model = models[0]
    whose = f" by the {model.name} model" if model.role == "before" else ""
    found = [_spread(view, whose) for view in views(model.result)[1:]]
    return [sentence for sentence in found if sentence]


def _spread(view: View, whose: str) -> str:
    metric = next((m for m in ("selection_rate", "mean_prediction") if m in view.metrics), None)
    rows = [row for row in view.rows if metric and row.cells[metric].defined]
    if metric is None or len(rows) < 2:
        return ""
    rows.sort(key=lambda row: row.cells[metric].value)
    ends = []
    for row in (rows[0], rows[-1]):
        value = row.cells[metric].value
        shown = number(value) if metric == "mean_prediction" else f"{100 * value:.1f}\u00a0%"
        ends.append(f"{shown} ({row.name}, {row.count:,} rows)")
    what = "the mean prediction" if metric == "mean_prediction" else "the share predicted positive"
    return f"Groups by {view.title}: {what}{whose} lies between {ends[0]} and {ends[1]}."


def _few(n_few: int) -> list[str]:
    if not n_few:
        return []
    groups = "group has" if n_few == 1 else "groups have"
    return [f"{n_few} {groups} fewer than {FEW_ROWS} rows; look at intervals before values."]


# What is said about the comparison


def _data_summary(comparison: Comparison, facts: Mapping[str, str]) -> list[tuple[str, str]]:
    data = comparison._data
    summary = [*facts.items(), ("Rows", f"{len(data.y):,}"), ("Features", f"{data.X.shape[1]:,}")]
    summary.append(("Protected attributes", ", ".join(map(str, data.sensitive.columns))))
    if data.pos_label is not None:
        share = float((data.y == data.pos_label).mean())
        summary.append(
            ("Positive class", f"{data.pos_label} ({100 * share:.1f}\u00a0% of the rows)")
        )
    elif data.task == "regression":
        summary.append(("Mean of the target", number(float(data.y.mean()))))
    return summary


def _result_rows(comparison: Comparison, chosen: Key | None) -> list[dict[str, Any]]:
    front = set(_keys(comparison.pareto()))
    rows = []
    for row in comparison.table.reset_index().to_dict(orient="records"):
        key = (row["method"], row["setting"])
        marks = {"front": key in front, "chosen": key == chosen}
        rows.append(
            {
                "method": key[0],
                "setting": key[1],
                **marks,
                "classes": " ".join(name for name, on in marks.items() if on),
                "cells": [_result_cell(row, name) for name in comparison.metrics],
                "seconds": number(row["fit_seconds"]),
                "seconds_sort": _sort_key(row["fit_seconds"]),
                "n_folds": row["n_folds"],
                "error": row["error"],
            }
        )
    return rows


def _result_cell(row: dict[Any, Any], name: str) -> dict[str, str]:
    low = row[f"{name}_low"]
    if "_difference" in name:  # it is never negative, and neither is the end of its interval
        low = max(low, min(0.0, row[name])) if low == low else low
    cell = Cell(row[name], low, row[f"{name}_high"])
    return {
        "text": number(cell.value),
        "interval": f"{number(cell.low)} – {number(cell.high)}" if cell.bounded else "",
        "sort": _sort_key(cell.value),
    }


def _sort_key(value: float) -> str:
    return "" if math.isnan(value) else f"{value:.9g}"


def _settings(settings: Mapping[str, Any]) -> list[tuple[str, str]]:
    words = {True: "yes", False: "no", None: "none"}
    return [
        (
            _SETTINGS.get(name, plain_name(name)),
            words[value] if value is None or isinstance(value, bool) else str(value),
        )
        for name, value in settings.items()
        if name not in ("tested", "notes")
    ]


def _plot(comparison: Comparison) -> str:
    """Draw the trade-off as an image inside the page; text in an image can run nothing."""
    figure = require("matplotlib.figure", extra="report").Figure(
        figsize=(9.6, 5.2), layout="constrained"
    )
    comparison.plot(ax=figure.subplots())
    picture = io.BytesIO()
    figure.savefig(picture, format="svg", metadata={"Date": None})
    return f"data:image/svg+xml;base64,{base64.b64encode(picture.getvalue()).decode()}"


def _plot_caption(comparison: Comparison) -> str:
    score, unfairness = plain_name(comparison.score), plain_name(comparison.unfairness)
    sides = "below" if comparison.lower_is_better(comparison.score) else "above"
    return (
        f"Each point is a method at one setting: {unfairness} to the right, {score} upwards; "
        "whiskers are 95 % intervals over the folds. Better points lie to the left and "
        f"{sides}. The broad grey line joins the points that no other beats in both. The constant "
        "model treats everyone alike and learns nothing: what lies near it is not worth having."
    )
