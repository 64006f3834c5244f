"""The result of :func:`group_metrics`: tables, contrasts between groups, and their intervals."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairgroup.metrics._bootstrap import exact_bounds, quantiles
from fairgroup.metrics._intervals import GroupIntervals
from fairgroup.metrics._layout import BY_GROUP, OVERALL, Layout, View, ViewKey, index_product
from fairgroup.metrics._summaries import GAPS, METHODS, summarise, worst

# Intersections that do not occur are listed as NaN rows, as MetricFrame does, while the table
# stays this small.
MAX_PRODUCT = 10_000


@dataclass(frozen=True, eq=False)
class GroupMetrics:
    """Metrics of every group, made by :func:`group_metrics`.

    Attributes
    ----------
    metrics : tuple of str
        Names of the metrics.
    n_bootstrap : int
        Number of bootstrap draws; 0 for none.
    confidence_level : float
        Confidence level of the intervals.

    See Also
    --------
    group_metrics : Measures and returns this.
    GroupMetricsDisplay : The plot.

    Examples
    --------
    >>> from fairgroup.metrics import group_metrics
    >>> result = group_metrics(
    ...     [1, 0, 1, 0],
    ...     [1, 0, 0, 1],
    ...     sensitive_features=["a", "a", "b", "b"],
    ...     metrics=["accuracy", "selection_rate"],
    ... )
    >>> result.by_group["accuracy"].tolist()
    [1.0, 0.0]
    >>> float(result.difference()["accuracy"])
    1.0
    """

    metrics: tuple[str, ...]
    n_bootstrap: int
    confidence_level: float
    _layout: Layout = field(repr=False)
    _values: dict[ViewKey, NDArray[np.float64]] = field(
        repr=False
    )  # (n_metrics, n_controls, n_groups)
    _draws: dict[ViewKey, NDArray[np.float64]] = field(
        repr=False
    )  # the same with n_draws at the end
    _trials: dict[ViewKey, NDArray[np.float64]] = field(repr=False)  # rows of a proportion, or NaN
    _seed: int = field(repr=False)
    _columns: tuple[str, ...] = field(
        repr=False
    )  # the metrics' own names, where the user gave others
    _added_count: bool = field(repr=False)
    _bounds: dict[ViewKey, tuple[NDArray, NDArray]] = field(default_factory=dict, repr=False)

    @property
    def attributes(self) -> tuple[str, ...]:
        """Names of the protected attributes."""
        return self._layout.groups.columns

    @property
    def n_ignored(self) -> int:
        """Number of rows in no group; they count in `overall` only."""
        return self._layout.n_ignored

    @property
    def group_names(self) -> tuple[str, ...]:
        """Readable names of the groups that occur."""
        return self._layout.groups.names

    @property
    def overall(self) -> pd.Series | pd.DataFrame:
        """Metrics over all rows: a Series, or a DataFrame with a row per control level."""
        table = self._table(OVERALL, self._values[OVERALL])
        return table if self._layout.controls is not None else table.iloc[0].rename(None)

    @property
    def by_group(self) -> pd.DataFrame:
        """Metrics of every group: a row per combination of levels, a column per metric."""
        return self._tables(BY_GROUP, self._values)

    @property
    def marginals(self) -> dict[str, pd.DataFrame]:
        """Metrics by the levels of each attribute on its own."""
        return {name: self._tables(("marginal", name), self._values) for name in self.attributes}

    def difference(self, method: str = "between_groups", *, attribute: str | None = None) -> Any:
        """Return the largest difference of each metric between groups.

        Parameters
        ----------
        method : {"between_groups", "to_overall"}, default="between_groups"
            Largest minus smallest group value, or the largest distance of a group to the overall
            value.
        attribute : str or None, default=None
            Compare the levels of this attribute; None compares the intersections.

        Returns
        -------
        difference : Series of float, or DataFrame with a row per control level
            Over the groups where the metric is defined; NaN for fewer than two of them.
        """
        return self._contrast("difference", method, attribute)

    def ratio(self, method: str = "between_groups", *, attribute: str | None = None) -> Any:
        """Return the smallest ratio of each metric between groups.

        Parameters
        ----------
        method : {"between_groups", "to_overall"}, default="between_groups"
            Smallest over largest group value, or the smallest ratio (below 1) of a group and the
            overall value.
        attribute : str or None, default=None
            Compare the levels of this attribute; None compares the intersections.

        Returns
        -------
        ratio : Series of float, or DataFrame with a row per control level
            1 for equal groups. NaN for fewer than two defined groups.
        """
        return self._contrast("ratio", method, attribute)

    def gaps(self, method: str = "between_groups", *, attribute: str | None = None) -> Any:
        """Return the fairness gaps for which the metrics are there.

        ``demographic_parity`` looks at ``selection_rate``, ``equal_opportunity`` at
        ``true_positive_rate``, ``equalized_odds`` at the worse of ``true_positive_rate`` and
        ``false_positive_rate``, ``predictive_parity`` at ``precision``; each as ``_difference``
        and ``_ratio``. With several classes the worst class counts. Group accuracies and other
        metrics are compared by :meth:`difference`.

        Parameters
        ----------
        method : {"between_groups", "to_overall"}, default="between_groups"
            As in :meth:`difference`.
        attribute : str or None, default=None
            Compare the levels of this attribute; None compares the intersections.

        Returns
        -------
        gaps : Series of float, or DataFrame with a row per control level
            NaN, not 0, where one of the rates cannot be compared.
        """
        key = self._key(attribute, method)
        columns = {}
        for name, (kind, parts) in self._gap_parts().items():
            columns[name] = worst([self._summary(key, m, kind, method) for m in parts], kind)
        return self._contrast_table(columns)

    @property
    def intervals(self) -> GroupIntervals:
        """Bootstrap intervals of everything, under the same names.

        Raises
        ------
        AttributeError
            When there are no draws; pass ``n_bootstrap=`` to `group_metrics`.
        """
        if not self.n_bootstrap:
            raise AttributeError(
                "No intervals without draws: call group_metrics(..., n_bootstrap=10_000)."
            )
        return GroupIntervals(self)

    def to_frame(self) -> pd.DataFrame:
        """Return one long table of all values, with intervals where there are draws.

        Returns
        -------
        frame : DataFrame
            Columns ``view`` ("overall", "by_group" or an attribute's name), ``group``, ``control``
            (with control features), ``count``, ``metric``, ``value`` and, with draws, ``lower``
            and ``upper``.
        """
        parts = [self._long(view) for view in self._layout.views.values()]
        return pd.concat(parts, ignore_index=True)

    def plot(self, metrics: Any = None, *, ax: Any = None) -> Any:
        """Plot group values with intervals; see :class:`GroupMetricsDisplay`.

        Parameters
        ----------
        metrics : str, list of str or None, default=None
            Which metrics; None for all but the count (at most six).
        ax : matplotlib Axes, array of Axes or None, default=None
            Where to draw.

        Returns
        -------
        display : GroupMetricsDisplay
        """
        from fairgroup.metrics._display import GroupMetricsDisplay

        return GroupMetricsDisplay(self, metrics=metrics).plot(ax=ax)

    def _repr_html_(self) -> str:
        return str(self.by_group.to_html(max_rows=60, float_format="{:.4g}".format))

    # Tables

    def _tables(self, key: ViewKey, arrays: dict[ViewKey, NDArray]) -> pd.DataFrame:
        """Make the table of a view; for overlapping groups, stack those of the attributes."""
        if key in arrays:
            return self._table(key, arrays[key])
        keys: list[ViewKey] = [("marginal", name) for name in self.attributes]
        stacked = np.concatenate([arrays[k] for k in keys], axis=2)
        return self._frame(stacked, self._layout.groups.index)

    def _table(self, key: ViewKey, values: NDArray[np.float64]) -> pd.DataFrame:
        view = self._layout.views[key]
        if key == OVERALL:
            controls = self._layout.controls
            index = pd.Index(["all"]) if controls is None else controls.index
            return pd.DataFrame(values[:, :, 0].T, index=index, columns=list(self.metrics))
        table = self._frame(values, view.index)
        if key != BY_GROUP:
            return table
        return table.reindex(_full_index(table.index, self._orders()))

    def _orders(self) -> list[list[Any]]:
        """Return the levels of each attribute, in the attribute's own order."""
        views = self._layout.views
        return [views["marginal", name].index.tolist() for name in self.attributes]

    def _frame(self, values: NDArray[np.float64], groups: pd.Index) -> pd.DataFrame:
        index = groups
        if self._layout.controls is not None:
            index = index_product(self._layout.controls.index, groups)
        table = pd.DataFrame(
            values.reshape(len(values), -1).T, index=index, columns=list(self.metrics)
        )
        return table

    def _long(self, view: View) -> pd.DataFrame:
        n_controls, n_groups = self._layout.n_controls, view.n_groups
        controls = self._layout.controls
        frame = pd.DataFrame(
            {"view": view.key if isinstance(view.key, str) else view.key[1]}, index=[0]
        )
        frame = frame.loc[np.zeros(len(self.metrics) * n_controls * n_groups, int)].reset_index(
            drop=True
        )
        names = ["all"] if view.key == OVERALL else view.labels()
        frame["group"] = np.tile(names, len(self.metrics) * n_controls)
        if controls is not None:
            frame["control"] = np.tile(np.repeat(controls.names, n_groups), len(self.metrics))
        frame["count"] = np.tile(self._counts(view.key).ravel(), len(self.metrics))
        frame["metric"] = np.repeat(self.metrics, n_controls * n_groups)
        frame["value"] = self._values[view.key].ravel()
        if self.n_bootstrap:
            lower, upper = self._percentiles(view.key)
            frame["lower"], frame["upper"] = lower.ravel(), upper.ravel()
        return frame

    def _counts(self, key: ViewKey) -> NDArray[np.float64]:
        return self._values[key][self._columns.index("count")]

    def _percentiles(self, key: ViewKey) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the bounds of a view's values, shape (n_metrics, n_controls, n_groups)."""
        if key not in self._bounds:
            tail = (1 - self.confidence_level) / 2
            lower, upper = quantiles(self._draws[key], (tail, 1 - tail))
            self._bounds[key] = exact_bounds(
                self._values[key], self._trials[key], lower, upper, self.confidence_level
            )
        return self._bounds[key]

    # Contrasts

    def _contrasted(self) -> tuple[str, ...]:
        return tuple(m for m in self.metrics if not (m == "count" and self._added_count))

    def _gap_parts(self) -> dict[str, tuple[str, list[str]]]:
        """Return the gaps whose metrics are all there, with their columns (several per class)."""
        found = {}
        for name, (kind, metrics) in GAPS.items():
            columns = [self._columns_of(m) for m in metrics]
            if all(columns):
                found[name] = (kind, list(itertools.chain.from_iterable(columns)))
        return found

    def _columns_of(self, metric: str) -> list[str]:
        pairs = zip(self.metrics, self._columns, strict=True)
        return [name for name, c in pairs if c == metric or c.startswith(f"{metric}[")]

    def _key(self, attribute: str | None, method: str) -> ViewKey:
        if method not in METHODS:
            raise ValueError(f"method={method!r}; expected one of {list(METHODS)}.")
        if attribute is None:
            if not self._layout.joint:
                raise ValueError(
                    "Groups overlap (the encoder has intersections=False); name the attribute "
                    f"to compare, one of {list(self.attributes)}."
                )
            return BY_GROUP
        if attribute not in self.attributes:
            raise ValueError(f"attribute={attribute!r}; expected one of {list(self.attributes)}.")
        return ("marginal", attribute)

    def _summary(self, key: ViewKey, metric: str, kind: str, method: str) -> NDArray[np.float64]:
        m = self.metrics.index(metric)
        return summarise(self._values[key][m], self._values[OVERALL][m], kind, method)

    def _contrast(self, kind: str, method: str, attribute: str | None) -> Any:
        key = self._key(attribute, method)
        return self._contrast_table(
            {m: self._summary(key, m, kind, method) for m in self._contrasted()}
        )

    def _contrast_table(self, columns: dict[Any, NDArray[np.float64]]) -> Any:
        controls = self._layout.controls
        if controls is not None:
            return pd.DataFrame(columns, index=controls.index)
        return pd.Series({name: value[0] for name, value in columns.items()}, dtype=np.float64)


def _full_index(index: pd.Index, orders: list[list[Any]]) -> pd.Index:
    """Return all combinations of the levels, as MetricFrame does, unless there are too many.

    ``orders`` are the levels of each attribute as its own table lists them.
    """
    if index.nlevels == 1:
        return index
    lists = [index.get_level_values(i) for i in range(index.nlevels - len(orders))]
    levels = [list(dict.fromkeys(found)) for found in lists]
    for order, i in zip(orders, range(len(levels), index.nlevels), strict=True):
        occurring = set(index.get_level_values(i))
        levels.append([level for level in order if level in occurring])
    if math.prod(len(level) for level in levels) > MAX_PRODUCT:
        return index
    full = pd.MultiIndex.from_product(levels, names=index.names)
    return full if len(full) >= len(index) and index.isin(full).all() else index
