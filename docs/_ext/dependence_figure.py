"""Draw the figure of the page about distance covariance from recorded results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

RESULTS = Path("..", "benchmarks", "results")
FOLDER = Path("benchmarks")
Rows = list[dict[str, Any]]

# model: colour, marker, side of its label
MODELS = {
    "published, CCdCov 40": ("0.45", "o", "right"),
    "published, JdCov 30": ("0.45", "o", "right"),
    "linear, CCdCov": ("C0", "s", "left"),
    "network, CCdCov": ("C3", "D", "left"),
    "network, JdCov": ("C1", "D", "left"),
}
PENALTIES = {"no penalty": "none", "each attribute, 10": "each attribute by itself"}
PENALTIES |= {"CCdCov, 10": "CCdCov", "JdCov, 10": "JdCov"}
PARTS = {"each attribute": "0.6", "interactions": "C1"}


def rows_of(results: Path, name: str) -> Rows:
    """Return the rows of a result file."""
    return json.loads((results / f"{name}.json").read_text(encoding="utf-8"))["rows"]


def draw_motor(axis: Any, rows: Rows) -> None:
    """Ranked probability score against Jensen-Shannon divergence."""
    found = {row["model"]: row for row in rows}
    for name, (colour, marker, side) in MODELS.items():
        row = found[name]
        axis.errorbar(
            row["JSD"],
            row["RPS"],
            xerr=row.get("JSD sd"),
            yerr=row.get("RPS sd"),
            color=colour,
            marker=marker,
        )
        axis.annotate(
            name,
            (row["JSD"], row["RPS"]),
            xytext=(6 if side == "left" else -6, 5),
            textcoords="offset points",
            horizontalalignment=side,
            color=colour,
        )
    chance = found["network, CCdCov, people permuted"]["JSD"]
    axis.axvline(chance, color="C3", linestyle=":", linewidth=1)
    axis.annotate(
        "network, chance alone",
        (chance, 0.02),
        xycoords=("data", "axes fraction"),
        xytext=(3, 0),
        textcoords="offset points",
        color="C3",
    )
    axis.margins(0.2)
    axis.set(title="motor insurance", xlabel="Jensen-Shannon divergence")
    axis.set_ylabel("ranked probability score")


def draw_compas(axis: Any, rows: Rows) -> None:
    """What is left on single attributes and on interactions."""
    found = {row["model"].split(";")[0]: row for row in rows if row["features"] == "with them"}
    shown = [name for name in PENALTIES if name in found and name != "no penalty"]
    for shift, (part, colour) in zip((-0.2, 0.2), PARTS.items(), strict=True):
        values = [found[name][part] for name in shown]
        low = [found[name][part] - found[name][f"{part} low"] for name in shown]
        high = [found[name][f"{part} high"] - found[name][part] for name in shown]
        place = [number + shift for number in range(len(shown))]
        axis.bar(place, values, 0.38, color=colour, label=part)
        axis.errorbar(place, values, yerr=[low, high], fmt="none", ecolor="0.2", elinewidth=1)
    labels = [f"{PENALTIES[name]}\nAUC {found[name]['AUC']:.3f}" for name in shown]
    axis.set_xticks(range(len(shown)), labels)
    axis.axhline(0, color="0.3", linewidth=0.6)
    axis.ticklabel_format(axis="y", style="sci", scilimits=(-3, 3))
    axis.set(title="COMPAS, sex x race x age", ylabel="terms of JdCov on test rows")
    axis.set_xlabel("penalty, strength 10")
    axis.legend(frameon=False)


def draw(results: Path, folder: Path) -> None:
    """Write ``dependence.svg``."""
    with mpl.rc_context({"svg.hashsalt": "fairgroup", "font.size": 8}):
        figure = Figure(figsize=(9, 3.8), layout="constrained")
        left, right = figure.subplots(1, 2)
        draw_motor(left, rows_of(results, "motor_insurance"))
        draw_compas(right, rows_of(results, "compas_intersections"))
        figure.savefig(folder / "dependence.svg", metadata={"Date": None})


def draw_figure(app: Any, config: Any) -> None:
    """Draw beside the benchmark pages."""
    draw(Path(app.srcdir, RESULTS), Path(app.srcdir, FOLDER))


def setup(app: Any) -> dict[str, Any]:
    """Register the extension, after ``benchmark_pages``, which makes the folder anew."""
    app.connect("config-inited", draw_figure, priority=900)
    return {"parallel_read_safe": True}
