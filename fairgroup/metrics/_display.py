"""The plot of group metrics: one dot with its interval per group, the overall value as a line."""

from __future__ import annotations

from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from fairgroup.metrics._group_metrics import group_metrics
from fairgroup.metrics._layout import BY_GROUP, OVERALL, ViewKey, as_tuple
from fairgroup.metrics._result import GroupMetrics
from fairgroup.utils._optional import require

MAX_PANELS = 6
# Blue for attributes on their own, orange for intersections: apart also for colour-blind readers.
_MARGINAL, _JOINT, _LINE = "#0072B2", "#D55E00", "#444444"


class _Block(NamedTuple):
    """Rows of the plot that belong to one view."""

    key: ViewKey
    title: str
    names: list[str]
    groups: NDArray[np.intp]


class GroupMetricsDisplay:
    """Dot plot of group metrics with intervals.

    One panel per metric; the levels of each attribute come first, then the intersections. Every
    row shows the group's size, because a wide interval and a small group belong together.

    Parameters
    ----------
    result : GroupMetrics
        What was measured; with draws, intervals are shown.
    metrics : str, list of str or None, default=None
        Which metrics; None for all but the count, at most six.

    Attributes
    ----------
    figure_ : matplotlib Figure
    axes_ : ndarray of matplotlib Axes, shape (n_panels,)

    See Also
    --------
    group_metrics : Measures what is shown.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from fairgroup.metrics import GroupMetricsDisplay
    >>> display = GroupMetricsDisplay.from_predictions(
    ...     [1, 0, 1, 0], [1, 0, 0, 1], sensitive_features=["a", "a", "b", "b"], metrics="accuracy"
    ... )
    >>> len(display.axes_)
    1
    """

    def __init__(self, result: GroupMetrics, *, metrics: Any = None) -> None:
        self.result = result
        self.metrics = _chosen(result, metrics)

    @classmethod
    def from_predictions(
        cls, y_true: Any, y_pred: Any, *, sensitive_features: Any, ax: Any = None, **options: Any
    ) -> Self:
        """Measure predictions and plot.

        Parameters
        ----------
        y_true, y_pred : array-like of shape (n_samples,)
            Labels or numbers, and predictions.
        sensitive_features : array-like, Series or DataFrame
            Protected attributes.
        ax : matplotlib Axes, array of Axes or None, default=None
            Where to draw.
        **options
            Further arguments of :func:`group_metrics`, e.g. ``metrics`` and ``n_bootstrap``.

        Returns
        -------
        display : GroupMetricsDisplay
        """
        result = group_metrics(y_true, y_pred, sensitive_features=sensitive_features, **options)
        return cls(result).plot(ax=ax)

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        y: Any,
        *,
        sensitive_features: Any,
        ax: Any = None,
        **options: Any,
    ) -> Self:
        """Predict, measure and plot.

        Parameters
        ----------
        estimator : estimator
            Fitted, with ``predict``.
        X : array-like of shape (n_samples, n_features)
            Features.
        y : array-like of shape (n_samples,)
            Labels or targets.
        sensitive_features : array-like, Series or DataFrame
            Protected attributes.
        ax : matplotlib Axes, array of Axes or None, default=None
            Where to draw.
        **options
            Further arguments of :func:`group_metrics`.

        Returns
        -------
        display : GroupMetricsDisplay
        """
        predicted = estimator.predict(X)
        return cls.from_predictions(
            y, predicted, sensitive_features=sensitive_features, ax=ax, **options
        )

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, array of Axes or None, default=None
            One Axes per metric; None makes a figure.

        Returns
        -------
        display : GroupMetricsDisplay
        """
        if self.result._layout.controls is not None:
            raise ValueError(
                "The plot shows results without control_features; "
                "measure each of their levels on its own."
            )
        blocks = self._blocks()
        axes = self._axes(ax, sum(len(block.groups) for block in blocks) + len(blocks))
        for i, (metric, panel) in enumerate(zip(self.metrics, axes, strict=True)):
            self._panel(panel, metric, blocks, labelled=i == 0 or ax is not None)
        self.axes_, self.figure_ = axes, axes[0].figure
        return self

    def _axes(self, ax: Any, n_rows: int) -> NDArray[Any]:
        if ax is not None:
            axes = np.atleast_1d(np.asarray(ax, dtype=object)).ravel()
            if len(axes) != len(self.metrics):
                raise ValueError(f"ax has {len(axes)} Axes; the metrics are {list(self.metrics)}.")
            return axes
        pyplot = require("matplotlib.pyplot", extra="report")
        width = 2.6 * len(self.metrics) + 2.0
        _, axes = pyplot.subplots(
            1,
            len(self.metrics),
            figsize=(width, 0.28 * n_rows + 1.3),
            sharey=True,
            squeeze=False,
            layout="constrained",
        )
        return axes[0]

    def _blocks(self) -> list[_Block]:
        layout = self.result._layout
        keys = [key for key in layout.views if key not in (OVERALL, BY_GROUP)]
        if layout.joint and (len(keys) != 1):
            keys.append(BY_GROUP)
        return [self._block(key) for key in keys]

    def _block(self, key: ViewKey) -> _Block:
        view = self.result._layout.views[key]
        counts = self.result._counts(key)[0]
        groups = np.flatnonzero(counts > 0)
        title = key[1] if isinstance(key, tuple) else " × ".join(map(str, view.index.names))
        levels = [", ".join(map(str, as_tuple(view.index[int(g)]))) for g in groups]
        names = [f"{level}  (n={counts[g]:,.0f})" for level, g in zip(levels, groups, strict=True)]
        return _Block(key, title, names, groups)

    def _panel(self, panel: Any, metric: str, blocks: list[_Block], *, labelled: bool) -> None:
        m = self.result.metrics.index(metric)
        self._draw_overall(panel, m)
        ticks, names, headings, row = [], [], [], 0
        for block in blocks:
            headings.append((row, block.title))
            rows = row + 1 + np.arange(len(block.groups))
            colour = _JOINT if block.key == BY_GROUP else _MARGINAL
            self._draw_groups(panel, m, block, rows, colour)
            ticks += rows.tolist()
            names += block.names
            row = int(rows[-1]) + 1 if len(rows) else row + 1
        panel.set_ylim(row - 0.4, -0.6)
        panel.set_yticks(ticks, names)
        panel.tick_params(axis="y", length=0, labelleft=labelled)
        for at, title in headings:
            panel.axhline(at, color="#dddddd", linewidth=0.8, zorder=0)
            if labelled:
                panel.annotate(
                    title,
                    (0, at),
                    (-6, 0),
                    xycoords=panel.get_yaxis_transform(),
                    textcoords="offset points",
                    ha="right",
                    va="center",
                    fontweight="bold",
                    fontsize="small",
                )
        panel.set_title(metric.replace("_", " "), fontsize="medium")
        panel.grid(axis="x", color="#eeeeee")
        panel.set_axisbelow(True)
        for side in ("top", "right", "left"):
            panel.spines[side].set_visible(False)

    def _draw_overall(self, panel: Any, m: int) -> None:
        panel.axvline(
            self.result._values[OVERALL][m, 0, 0], color=_LINE, linewidth=1, linestyle="--"
        )
        if self.result.n_bootstrap:
            lower, upper = self.result._percentiles(OVERALL)
            panel.axvspan(lower[m, 0, 0], upper[m, 0, 0], color=_LINE, alpha=0.12, linewidth=0)

    def _draw_groups(
        self, panel: Any, m: int, block: _Block, rows: NDArray[np.intp], colour: str
    ) -> None:
        values = self.result._values[block.key][m, 0, block.groups]
        if self.result.n_bootstrap:
            lower, upper = self.result._percentiles(block.key)
            panel.hlines(
                rows,
                lower[m, 0, block.groups],
                upper[m, 0, block.groups],
                color=colour,
                linewidth=2.2,
                alpha=0.55,
            )
        panel.plot(values, rows, "o", color=colour, markersize=5.5)
        for row in rows[np.isnan(values)]:
            panel.annotate(
                "undefined",
                (0.5, row),
                xycoords=panel.get_yaxis_transform(),
                ha="center",
                va="center",
                fontsize="x-small",
                color=_LINE,
                style="italic",
            )


def _chosen(result: GroupMetrics, metrics: Any) -> tuple[str, ...]:
    if metrics is None:
        shown = tuple(m for m in result.metrics if m != "count")[:MAX_PANELS]
        return shown or ("count",)
    metrics = (metrics,) if isinstance(metrics, str) else tuple(metrics)
    unknown = [metric for metric in metrics if metric not in result.metrics]
    if unknown:
        raise ValueError(
            f"metrics has {unknown}, which were not measured; there are {list(result.metrics)}."
        )
    return metrics
