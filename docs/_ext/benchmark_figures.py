"""Draw the figures of recorded results that the guide shows, when the documentation is built."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

RESULTS = Path("..", "benchmarks", "results")
FOLDER = Path("benchmarks")
Rows = list[dict[str, Any]]

STREAMS = {
    "stream_adult": "Adult",
    "stream_compas": "COMPAS",
    "stream_census": "Census-Income (test file)",
}
CURVES = {
    "paper": ("published", "0.45", "o"),
    "preset": ("preset (our run)", "C0", "s"),
    "preset, raw": ("preset, as published", "C0", "s"),
    "preset, standardised": ("preset, standardised", "C9", "s"),
    "defaults": ("defaults", "C3", "D"),
    "target": ("defaults, max_unfairness", "C3", "*"),
}
TREES = {"river HT": "v", "river HAT": "^", "river ARF(10)": "P"}


def draw_curve(axis: Any, rows: Rows, method: str) -> None:
    """Accuracy against parity of one method, with its spread."""
    label, colour, marker = CURVES[method]
    rows = sorted((r for r in rows if r["method"] == method), key=lambda r: r["parity"])
    if rows:
        axis.errorbar(
            [r["parity"] for r in rows],
            [r["accuracy"] for r in rows],
            xerr=[r.get("parity sd") or 0 for r in rows],
            yerr=[r.get("accuracy sd") or 0 for r in rows],
            label=label,
            color=colour,
            marker=marker,
            markersize=9 if marker == "*" else 4,
            linestyle="none" if method in ("paper", "target") else "-",
            linewidth=1,
            elinewidth=0.6,
        )


def draw_stream(axis: Any, rows: Rows, title: str) -> None:
    """One data set."""
    for method in CURVES:
        draw_curve(axis, rows, method)
    longest = max(r.get("rows") or 0 for r in rows)
    for method, marker in TREES.items():
        # A peer that ran on the first rows only met another stream.
        for row in (r for r in rows if r["method"] == method and r.get("rows", 0) == longest):
            axis.plot(
                row["parity"], row["accuracy"], marker, color="C2", label=method, linestyle="none"
            )
    lines = dict.fromkeys(r["method"] for r in rows if r["method"].startswith("majority"))
    for number, line in enumerate(lines):
        points = [(r["parity"], r["accuracy"]) for r in rows if r["method"] == line]
        label = "majority lines" if number == 0 else None
        axis.plot(*zip(*points, strict=True), "--", color="0.6", linewidth=1, label=label)
    axis.set(title=title, xlabel="demographic parity difference of all decisions")


def draw_streams(results: Path, folder: Path) -> None:
    """Accuracy against parity on every stream with a result file, as ``stream.svg``."""
    found = {name: title for name, title in STREAMS.items() if (results / f"{name}.json").exists()}
    if not found:
        return
    with mpl.rc_context({"svg.hashsalt": "fairgroup", "font.size": 8}):
        figure = Figure(figsize=(11, 4.2), layout="constrained")
        axes = figure.subplots(1, len(found), squeeze=False)[0]
        for axis, (name, title) in zip(axes, found.items(), strict=True):
            record = json.loads((results / f"{name}.json").read_text(encoding="utf-8"))
            draw_stream(axis, record["rows"], title)
            axis.legend(fontsize=6.5)
        axes[0].set_ylabel("accuracy of all decisions, percent")
        figure.savefig(folder / "stream.svg", metadata={"Date": None})


def draw_figures(app: Any, config: Any) -> None:
    """Draw every figure beside the benchmark pages."""
    draw_streams(Path(app.srcdir, RESULTS), Path(app.srcdir, FOLDER))


def setup(app: Any) -> dict[str, Any]:
    """Register the extension, after ``benchmark_pages``, which makes the folder anew."""
    app.connect("config-inited", draw_figures, priority=900)
    return {"parallel_read_safe": True}
