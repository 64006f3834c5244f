"""The result of a comparison: table, Pareto front, plot, report, and the chosen estimator."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import clone

from fairgroup.comparison._candidates import Candidate
from fairgroup.comparison._defaults import CONSTANT
from fairgroup.comparison._folds import Table
from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupEncoder
from fairgroup.groups._routing import call_with_groups, request_groups
from fairgroup.metrics import GroupMetrics, group_metrics


@dataclass(eq=False)
class Comparison:
    """Methods side by side, made by :func:`compare`.

    Attributes
    ----------
    table : DataFrame
        One row per (method, setting). For each metric its mean over the folds and, as ``_low``
        and ``_high``, the 95 % t-interval of that mean; ``fit_seconds`` and ``predict_seconds``
        (medians over the folds), ``n_folds`` that succeeded, and ``error`` (empty, or why folds
        failed).
    folds : DataFrame
        The metrics of every fold, long.
    metrics : tuple of str
        Names of the metrics in the table.
    performance_metrics, unfairness_metrics : tuple of str
        Those that do not compare groups, and those that do.
    messages : DataFrame
        Warnings of the methods: ``method``, ``message``, ``count``.
    settings : dict
        How the comparison was made.

    See Also
    --------
    compare : Makes it.

    Examples
    --------
    >>> import fairgroup
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
    >>> comparison.choose(max_unfairness=0.1)
    ('unmitigated', '')
    >>> comparison.audit(n_bootstrap=0).by_group["count"].tolist()
    [10129.0, 9871.0]
    """

    table: pd.DataFrame
    folds: pd.DataFrame
    metrics: tuple[str, ...]
    performance_metrics: tuple[str, ...]
    unfairness_metrics: tuple[str, ...]
    messages: pd.DataFrame
    settings: dict[str, Any]
    _data: Table = field(repr=False)
    _candidates: dict[tuple[str, str], Candidate] = field(repr=False)
    _predictions: dict[tuple[str, str], NDArray[Any]] = field(repr=False)
    _scores: dict[tuple[str, str], NDArray[np.float64]] = field(repr=False)
    _lower: frozenset[str] = field(repr=False)

    @property
    def score(self) -> str:
        """The metric by which candidates are ranked: the first of performance."""
        return self.performance_metrics[0]

    @property
    def unfairness(self) -> str:
        """The metric that is bounded: the first that compares groups."""
        return self.unfairness_metrics[0]

    def lower_is_better(self, metric: str) -> bool:
        """Return whether small values of a metric of the table are the good ones.

        Parameters
        ----------
        metric : str
            One of ``metrics``.

        Returns
        -------
        lower : bool
        """
        return metric in self._lower

    def pareto(self, x: str | None = None, y: str | None = None) -> pd.DataFrame:
        """Return the rows that no other row beats in both metrics.

        Parameters
        ----------
        x : str or None, default=None
            A metric of the table; None for the unfairness.
        y : str or None, default=None
            Another; None for the score.

        Returns
        -------
        front : DataFrame
            Rows of the table, sorted by ``x``.
        """
        x, y = x or self.unfairness, y or self.score
        for argument, name in (("x", x), ("y", y)):
            if name not in self.metrics:
                raise ValueError(f"{argument}={name!r}; expected one of {list(self.metrics)}.")
        points = self.table[[x, y]].dropna()
        cost = points.to_numpy() * [1 if self.lower_is_better(name) else -1 for name in (x, y)]
        no_worse = (cost[:, None, :] <= cost[None, :, :]).all(axis=2)
        better = (cost[:, None, :] < cost[None, :, :]).any(axis=2)
        beaten = (no_worse & better).any(axis=0)
        return self.table.loc[points.index[np.flatnonzero(~beaten)]].sort_values(x)

    def best(self, *, max_unfairness: float | None = None) -> Any:
        """Return the best estimator under a bound, refitted on all rows.

        Parameters
        ----------
        max_unfairness : float or None, default=None
            Largest mean of the unfairness metric over the folds; None for no bound.

        Returns
        -------
        estimator : estimator
            Fitted. Where its method needs groups to predict, call
            ``predict(X, sensitive_features=A)``.

        Warns
        -----
        FairnessWarning
            When no candidate keeps the bound; the least unfair one is returned.

        Notes
        -----
        The candidate is chosen by its results on the folds, so these results are optimistic for
        it. Confirm the choice on rows that took no part.
        """
        return self.fitted(*self.choose(max_unfairness=max_unfairness))

    def choose(self, *, max_unfairness: float | None = None) -> tuple[str, str]:
        """Return (method, setting) of the best candidate under a bound.

        The constant model is no candidate: it is there for comparison.

        Parameters
        ----------
        max_unfairness : float or None, default=None
            Largest mean of the unfairness metric over the folds; None for no bound.

        Returns
        -------
        key : tuple of str
            Index of its row in the table.

        Warns
        -----
        FairnessWarning
            When no candidate keeps the bound; the least unfair one is returned.
        """
        eligible = [
            key for key in self.table.index if key in self._candidates and key[0] != CONSTANT
        ]
        refittable = self.table.loc[eligible]
        complete = refittable.dropna(subset=[self.score, self.unfairness])
        if complete.empty:
            raise ValueError("No candidate has results; see the column 'error' of the table.")
        allowed = complete
        if max_unfairness is not None:
            allowed = complete[complete[self.unfairness] <= max_unfairness]
        if allowed.empty:
            key = _key(complete[self.unfairness].idxmin())
            warnings.warn(
                f"No candidate has {self.unfairness} <= {max_unfairness}; the least unfair is "
                f"{' '.join(key).strip()!r} with {complete[self.unfairness].min():.3g}.",
                FairnessWarning,
                stacklevel=2,
            )
            return key
        score = allowed[self.score]
        return _key(score.idxmin() if self.lower_is_better(self.score) else score.idxmax())

    def fitted(self, method: str, setting: str = "") -> Any:
        """Return a candidate fitted on all rows.

        Parameters
        ----------
        method, setting : str
            Index of its row in the table.

        Returns
        -------
        estimator : estimator
        """
        if (method, setting) not in self._candidates:
            raise KeyError(f"No candidate {(method, setting)}; see the index of the table.")
        estimator = clone(self._candidates[method, setting].estimator)
        request_groups(estimator)
        data = self._data
        call_with_groups(estimator, "fit", data.X, data.sensitive, data.y)
        return estimator

    def audit(
        self,
        method: str | None = None,
        setting: str = "",
        *,
        n_bootstrap: int = 2000,
        random_state: Any = 0,
    ) -> GroupMetrics:
        """Measure a candidate by group, on its out-of-fold predictions of all rows.

        Parameters
        ----------
        method : str or None, default=None
            Of its row in the table; None for the unmitigated model.
        setting : str, default=""
            Of its row in the table.
        n_bootstrap : int, default=2000
            Draws for the intervals.
        random_state : int, RandomState instance, Generator or None, default=0
            Seeds the draws.

        Returns
        -------
        metrics : GroupMetrics
            By group (small groups on their own) and by attribute.
        """
        key = (method or "unmitigated", setting)
        if key not in self._predictions:
            raise KeyError(f"No predictions of {key}; see the column 'error' of the table.")
        data = self._data
        tested = self.settings["tested"]
        return group_metrics(
            data.y[tested],
            self._predictions[key][tested],
            sensitive_features=data.sensitive[tested],
            encoder=GroupEncoder(missing="group"),
            pos_label=data.pos_label,
            n_bootstrap=n_bootstrap,
            random_state=random_state,
        )

    def plot(self, x: str | None = None, y: str | None = None, *, ax: Any = None) -> Any:
        """Plot the trade-off; see :class:`ComparisonDisplay`.

        Parameters
        ----------
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
        from fairgroup.comparison._display import ComparisonDisplay

        return ComparisonDisplay.from_comparison(self, x=x, y=y, ax=ax)

    def to_html(
        self, path: str | Path, *, title: str | None = None, max_unfairness: float | None = None
    ) -> Path:
        """Write the report: one self-contained HTML file.

        Parameters
        ----------
        path : str or Path
            Where to write it.
        title : str or None, default=None
            Heading of the page.
        max_unfairness : float or None, default=None
            Bound under which a candidate is suggested; None for half of the unmitigated model's.

        Returns
        -------
        path : Path
        """
        from fairgroup.comparison._report import write_report

        return write_report(self, Path(path), title=title, max_unfairness=max_unfairness)

    def to_dict(self) -> dict[str, Any]:
        """Return table, messages and settings as plain Python objects, ready for JSON.

        Returns
        -------
        record : dict
        """
        table = self.table.reset_index()
        rows = [
            {name: _plain(value) for name, value in row.items()}
            for row in table.to_dict(orient="records")
        ]
        settings = {name: v for name, v in self.settings.items() if name != "tested"}
        return {
            "score": self.score,
            "unfairness": self.unfairness,
            "metrics": list(self.metrics),
            "table": rows,
            "messages": self.messages.to_dict(orient="records"),
            "settings": settings,
        }

    def _repr_html_(self) -> str:
        return self.table.to_html(escape=True)


def _key(label: Any) -> tuple[str, str]:
    method, setting = label
    return method, setting


def _plain(value: Any) -> Any:
    if isinstance(value, float | np.floating):
        return None if np.isnan(value) else float(value)
    return value.item() if isinstance(value, np.generic) else value
