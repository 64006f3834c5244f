"""The trade-off plot: what each method gives at which unfairness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from fairgroup.comparison._defaults import CONSTANT, UNMITIGATED
from fairgroup.utils._optional import require

if TYPE_CHECKING:
    from fairgroup.comparison._comparison import Comparison

# Okabe and Ito's colours, which people with colour-blindness can tell apart, and as many markers.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#882255", "#44AA99")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")


class ComparisonDisplay:
    """Trade-off of methods, one curve per method through its settings.

    Parameters
    ----------
    table : DataFrame
        As `Comparison.table`.
    front : DataFrame
        Its Pareto rows.
    x, y : str
        Metrics on the axes.
    lower_is_better : tuple of bool
        Whether small values of ``x`` and of ``y`` are the good ones.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        The figure of ``ax_``.

    Examples
    --------
    >>> import fairgroup
    >>> from fairgroup.comparison import ComparisonDisplay
    >>> from fairgroup.datasets import load_lending
    >>> lending = load_lending()
    >>> comparison = fairgroup.compare(
    ...     lending.data,
    ...     lending.target,
    ...     sensitive_features=lending.sensitive_features["sex"],
    ...     methods=["unmitigated"],
    ...     cv=2,
    ...     random_state=0,
    ...     verbose=False,
    ... )
    >>> display = ComparisonDisplay.from_comparison(comparison)
    >>> display.ax_.get_xlabel()
    'demographic parity difference  (lower is better)'
    """

    def __init__(
        self,
        table: pd.DataFrame,
        *,
        front: pd.DataFrame,
        x: str,
        y: str,
        lower_is_better: tuple[bool, bool] = (True, False),
    ) -> None:
        self.table = table
        self.front = front
        self.x = x
        self.y = y
        self.lower_is_better = lower_is_better

    @classmethod
    def from_comparison(
        cls, comparison: Comparison, *, x: str | None = None, y: str | None = None, ax: Any = None
    ) -> ComparisonDisplay:
        """Plot a comparison.

        Parameters
        ----------
        comparison : Comparison
            What is shown.
        x : str or None, default=None
            A metric of the table; None for the unfairness.
        y : str or None, default=None
            Another; None for the score.
        ax : matplotlib Axes or None, default=None
            Where to draw.

        Returns
        -------
        display : ComparisonDisplay
        """
        x, y = x or comparison.unfairness, y or comparison.score
        lower = (comparison.lower_is_better(x), comparison.lower_is_better(y))
        front = comparison.pareto(x, y)
        return cls(comparison.table, front=front, x=x, y=y, lower_is_better=lower).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> ComparisonDisplay:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes or None, default=None
            Where; None makes a figure.

        Returns
        -------
        display : ComparisonDisplay
        """
        pyplot = require("matplotlib.pyplot", extra="report")
        if ax is None:
            _, ax = pyplot.subplots(figsize=(8, 5), layout="constrained")
        points = self.table.dropna(subset=[self.x, self.y])
        self._draw_front(ax)
        colour = 0
        for method, rows in points.groupby(level="method", sort=False):
            if method in (UNMITIGATED, CONSTANT):
                self._draw_reference(ax, str(method), rows)
                continue
            style = {
                "color": _COLOURS[colour % len(_COLOURS)],
                "marker": _MARKERS[colour % len(_MARKERS)],
            }
            self._draw_method(ax, str(method), rows, style)
            colour += 1
        self._label(ax, points)
        self.ax_, self.figure_ = ax, ax.figure
        return self

    def _draw_method(
        self, ax: Any, method: str, rows: pd.DataFrame, style: dict[str, str]
    ) -> None:
        rows = rows.sort_values(self.x)
        ax.errorbar(
            rows[self.x],
            rows[self.y],
            xerr=self._whiskers(rows, self.x),
            yerr=self._whiskers(rows, self.y),
            label=method,
            linewidth=1.2,
            elinewidth=0.7,
            markersize=6,
            capsize=2,
            **style,
        )

    def _draw_reference(self, ax: Any, method: str, rows: pd.DataFrame) -> None:
        marker = "*" if method == UNMITIGATED else "_"
        ax.errorbar(
            rows[self.x],
            rows[self.y],
            xerr=self._whiskers(rows, self.x),
            yerr=self._whiskers(rows, self.y),
            linestyle="none",
            marker=marker,
            markersize=14,
            markeredgewidth=1.5 if marker == "_" else 0.5,
            elinewidth=0.7,
            color="black",
            label=f"{method} model",
            zorder=5,
        )
        if method == CONSTANT:
            ax.axhline(rows[self.y].iloc[0], color="black", linewidth=0.6, linestyle=":", zorder=0)

    def _draw_front(self, ax: Any) -> None:
        if len(self.front) > 1:
            ax.plot(
                self.front[self.x],
                self.front[self.y],
                color="0.8",
                linewidth=6,
                solid_capstyle="round",
                zorder=0,
                label="no method is better in both",
            )

    def _whiskers(self, rows: pd.DataFrame, name: str) -> np.ndarray:
        below = rows[name] - rows[f"{name}_low"]
        above = rows[f"{name}_high"] - rows[name]
        whiskers = np.nan_to_num(np.vstack([below, above])).clip(min=0)
        # A disparity is never negative, so neither is the whisker's end.
        if "_difference" in name:
            whiskers[0] = np.minimum(whiskers[0], rows[name])
        return whiskers

    def _label(self, ax: Any, points: pd.DataFrame) -> None:
        x_lower, y_lower = self.lower_is_better
        ax.set_xlabel(f"{_readable(self.x)}  ({_direction(x_lower)})")
        ax.set_ylabel(f"{_readable(self.y)}  ({_direction(y_lower)})")
        if (points[self.x] >= 0).all() and x_lower:
            ax.set_xlim(left=-0.02 * max(points[self.x].max(), 1e-9))
        ax.grid(alpha=0.25)
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        ax.set_title("Mean over the folds with 95 % interval", fontsize=10, loc="left")


def _readable(name: str) -> str:
    base, _, attribute = name.partition("[")
    text = base.replace("_", " ")
    return f"{text} by {attribute[:-1]}" if attribute else text


def _direction(lower: bool) -> str:
    return "lower is better" if lower else "higher is better"
