"""Bootstrap intervals of group values and of the contrasts between groups."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from fairgroup.metrics._bootstrap import quantiles, unstick
from fairgroup.metrics._layout import BY_GROUP, OVERALL, ViewKey, index_product
from fairgroup.metrics._rates import CLASS_METRICS, TABLE_METRICS
from fairgroup.metrics._scores import SCORE_METRICS
from fairgroup.metrics._summaries import deviation, simultaneous_interval, summarise, worst

if TYPE_CHECKING:
    from fairgroup.metrics._result import GroupMetrics

KINDS = ("simultaneous", "percentile")
# Metrics between 0 and 1, whose differences cannot exceed 1.
_UNIT_METRICS = frozenset((*CLASS_METRICS, *TABLE_METRICS, *SCORE_METRICS))


class GroupIntervals:
    """Bootstrap intervals of a :class:`GroupMetrics`, under the names of its values.

    Every table has two columns per metric, ``lower`` and ``upper``, at
    `GroupMetrics.confidence_level`. Values of groups and of the whole have percentile intervals.
    Differences, ratios and gaps take ``kind``:

    * ``"simultaneous"`` (default): the observed value plus and minus the radius within which all
      groups' contrasts have moved together in that share of the draws. It covers also where all
      groups are equal.
    * ``"percentile"``: quantiles of the resampled largest difference. As a largest difference is
      never negative and noise only enlarges it, this interval lies above the truth when groups are
      nearly equal: it never holds 0.

    Parameters
    ----------
    result : GroupMetrics
        What was measured, with draws.

    See Also
    --------
    group_metrics : Measures, with ``n_bootstrap``.

    Examples
    --------
    >>> from fairgroup.metrics import group_metrics
    >>> result = group_metrics(
    ...     [1, 0] * 50,
    ...     [1, 1] * 50,
    ...     sensitive_features=["a"] * 60 + ["b"] * 40,
    ...     metrics="accuracy",
    ...     n_bootstrap=1000,
    ...     random_state=0,
    ... )
    >>> result.intervals.overall.loc["accuracy"].round(1).tolist()
    [0.4, 0.6]
    """

    def __init__(self, result: GroupMetrics) -> None:
        self._result = result

    @property
    def overall(self) -> pd.DataFrame:
        """Intervals over all rows: a row per metric, or per control level."""
        table = self._bounds(OVERALL)
        if self._result._layout.controls is not None:
            return table
        return table.iloc[0].unstack().reindex(list(self._result.metrics))[["lower", "upper"]]

    @property
    def by_group(self) -> pd.DataFrame:
        """Intervals of every group; columns (metric, "lower" | "upper")."""
        return self._bounds(BY_GROUP)

    @property
    def marginals(self) -> dict[str, pd.DataFrame]:
        """Intervals by the levels of each attribute."""
        return {name: self._bounds(("marginal", name)) for name in self._result.attributes}

    def difference(
        self,
        method: str = "between_groups",
        *,
        attribute: str | None = None,
        kind: str = "simultaneous",
    ) -> pd.DataFrame:
        """Return intervals of :meth:`GroupMetrics.difference`.

        Parameters
        ----------
        method : {"between_groups", "to_overall"}, default="between_groups"
            As there.
        attribute : str or None, default=None
            Compare the levels of this attribute; None compares the intersections.
        kind : {"simultaneous", "percentile"}, default="simultaneous"
            Which interval; see the class.

        Returns
        -------
        intervals : DataFrame
            One row per metric with ``lower`` and ``upper``; with control features one row per
            (level, metric).
        """
        return self._contrast("difference", method, attribute, kind)

    def ratio(
        self,
        method: str = "between_groups",
        *,
        attribute: str | None = None,
        kind: str = "simultaneous",
    ) -> pd.DataFrame:
        """Return intervals of :meth:`GroupMetrics.ratio`.

        The simultaneous ones work with logarithms; where a rate is 0 they are [0, 1].

        Parameters
        ----------
        method : {"between_groups", "to_overall"}, default="between_groups"
            As there.
        attribute : str or None, default=None
            Compare the levels of this attribute; None compares the intersections.
        kind : {"simultaneous", "percentile"}, default="simultaneous"
            Which interval; see the class.

        Returns
        -------
        intervals : DataFrame
            As for :meth:`difference`.
        """
        return self._contrast("ratio", method, attribute, kind)

    def gaps(
        self,
        method: str = "between_groups",
        *,
        attribute: str | None = None,
        kind: str = "simultaneous",
    ) -> pd.DataFrame:
        """Return intervals of :meth:`GroupMetrics.gaps`.

        Parameters
        ----------
        method : {"between_groups", "to_overall"}, default="between_groups"
            As there.
        attribute : str or None, default=None
            Compare the levels of this attribute; None compares the intersections.
        kind : {"simultaneous", "percentile"}, default="simultaneous"
            Which interval; see the class.

        Returns
        -------
        intervals : DataFrame
            As for :meth:`difference`.
        """
        key = self._result._key(attribute, method)
        parts = self._result._gap_parts()
        return self._table(
            {n: self._interval(key, ms, k, method, kind) for n, (k, ms) in parts.items()}
        )

    def _contrast(
        self, contrast: str, method: str, attribute: str | None, kind: str
    ) -> pd.DataFrame:
        key = self._result._key(attribute, method)
        metrics = self._result._contrasted()
        return self._table({m: self._interval(key, [m], contrast, method, kind) for m in metrics})

    def _interval(
        self, key: ViewKey, metrics: list[str], contrast: str, method: str, kind: str
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        if kind not in KINDS:
            raise ValueError(f"kind={kind!r}; expected one of {list(KINDS)}.")
        result = self._result
        value = worst([result._summary(key, m, contrast, method) for m in metrics], contrast)
        per_metric: Callable[[int], NDArray] = self._moves(key, contrast, method)
        if kind == "percentile":
            per_metric = self._resampled(key, contrast, method)
        draws = [per_metric(result.metrics.index(m)) for m in metrics]
        if kind == "percentile":
            tail = (1 - result.confidence_level) / 2
            lower, upper = quantiles(worst(draws, contrast), (tail, 1 - tail))
        else:
            moved = np.fmax.reduce(draws, axis=0)
            lower, upper = simultaneous_interval(value, moved, result.confidence_level, contrast)
            columns = {result._columns[result.metrics.index(m)].partition("[")[0] for m in metrics}
            if contrast == "difference" and columns <= _UNIT_METRICS:
                upper = np.minimum(upper, 1.0)
        return np.where(np.isnan(value), np.nan, lower), np.where(np.isnan(value), np.nan, upper)

    def _moves(self, key: ViewKey, contrast: str, method: str) -> Callable[[int], NDArray]:
        result = self._result
        values, draws, trials = result._values, result._draws, result._trials

        def moved(m: int) -> NDArray[np.float64]:
            free = unstick(draws[key][m], values[key][m], trials[key][m], (result._seed, m))
            overall_draws, overall = draws[OVERALL][m], values[OVERALL][m]
            return deviation(free, values[key][m], overall_draws, overall, contrast, method)

        return moved

    def _resampled(self, key: ViewKey, contrast: str, method: str) -> Callable[[int], NDArray]:
        draws = self._result._draws
        return lambda m: summarise(draws[key][m], draws[OVERALL][m], contrast, method)

    def _bounds(self, key: ViewKey) -> pd.DataFrame:
        result = self._result
        keys = (
            list(result._draws)
            if key in result._draws
            else [("marginal", n) for n in result.attributes]
        )
        bounds = {k: result._percentiles(k) for k in ([key] if key in result._draws else keys)}
        tables = {}
        for b, name in enumerate(("lower", "upper")):
            tables[name] = result._tables(key, {k: pair[b] for k, pair in bounds.items()})
        table = pd.concat(tables, axis=1).swaplevel(axis=1)
        return table[[(m, bound) for m in result.metrics for bound in tables]]

    def _table(
        self, intervals: dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
    ) -> pd.DataFrame:
        result = self._result
        controls = result._layout.controls
        names = pd.Index(list(intervals), name=None)
        n_controls = result._layout.n_controls
        bounds = np.reshape(list(intervals.values()), (len(names), 2, n_controls))
        index = names if controls is None else index_product(controls.index, names)
        return pd.DataFrame(
            bounds.transpose(2, 0, 1).reshape(-1, 2), index=index, columns=["lower", "upper"]
        )
