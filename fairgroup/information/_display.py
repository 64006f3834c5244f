"""Plots of the room: where a disparity comes from, and what fairness costs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import numpy as np
import pandas as pd

from fairgroup.utils._optional import require

__all__ = ["DisparityDecompositionDisplay", "FairnessFrontierDisplay"]

_COLOURS = {"unique": "#4c72b0", "redundant": "#dd8452", "masked": "#937860"}


class DisparityDecompositionDisplay:
    """Stacked bars of global and local disparity, and what each client adds to the local one.

    Parameters
    ----------
    summary : DataFrame
        From ``DisparityDecomposition.summary``.
    clients : DataFrame or None
        From ``DisparityDecomposition.to_frame``; None leaves the second panel out.
    units : str
        Name of the unit of information.

    Attributes
    ----------
    ax_ : Axes or ndarray of Axes
        Where it was drawn.
    figure_ : Figure
        Its figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from fairgroup.information import DisparityDecomposition, DisparityDecompositionDisplay
    >>> audit = DisparityDecomposition().fit_counts([[[40, 20], [10, 30]], [[15, 25], [35, 25]]])
    >>> display = DisparityDecompositionDisplay.from_estimator(audit)
    >>> len(display.ax_)
    2
    """

    def __init__(self, *, summary: pd.DataFrame, clients: pd.DataFrame | None, units: str) -> None:
        self.summary = summary
        self.clients = clients
        self.units = units

    @classmethod
    def from_estimator(
        cls, estimator: Any, *, ax: Any = None, parity: bool = False, max_clients: int = 20
    ) -> Self:
        """Draw a fitted decomposition.

        Parameters
        ----------
        estimator : DisparityDecomposition
            Fitted.
        ax : Axes, sequence of two Axes, or None, default=None
            With one Axes only the stacked bars are drawn. None makes a figure.
        parity : bool, default=False
            Draw the split in units of statistical parity instead of information (two groups).
        max_clients : int, default=20
            Only the clients that contribute most are drawn.

        Returns
        -------
        display : DisparityDecompositionDisplay

        Raises
        ------
        ValueError
            For ``parity=True`` with other than two groups.
        """
        units = {2: "bits", "e": "nats"}.get(estimator.base, f"base {estimator.base}")
        summary = estimator.summary()
        if parity:
            if "parity_global" not in summary.index:
                raise ValueError("parity=True needs counts of exactly two groups.")
            summary = summary[summary.index.str.startswith("parity_")]
            summary = summary.rename(index=lambda name: name.removeprefix("parity_"))
            units = "difference of decision rates"
        clients = None if estimator.counts_ is None or parity else estimator.to_frame()
        if clients is not None:
            clients = clients.nlargest(max_clients, "contribution")
        return cls(summary=summary, clients=clients, units=units).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : Axes, sequence of two Axes, or None, default=None
            Where to draw.

        Returns
        -------
        display : DisparityDecompositionDisplay
        """
        pyplot = require("matplotlib.pyplot", extra="report")
        if ax is None:
            if self.clients is None:
                _, axes = pyplot.subplots(figsize=(5, 4), layout="constrained")
            else:
                _, axes = pyplot.subplots(1, 2, figsize=(12, 4), layout="constrained")
        else:
            axes = ax
        panels = np.atleast_1d(np.asarray(axes, dtype=object))
        self._bars(panels[0])
        if len(panels) > 1 and self.clients is not None:
            self._clients(panels[1])
        self.ax_ = axes
        self.figure_ = panels[0].figure
        return self

    def _bars(self, ax: Any) -> None:
        estimate = self.summary["estimate"]
        stacks = {"global": ("unique", "redundant"), "local": ("unique", "masked")}
        top = np.nanmax([estimate["global"], estimate["local"], 1e-12])
        for i, (whole, parts) in enumerate(stacks.items()):
            bottom = 0.0
            for part in parts:
                height = float(np.nan_to_num(estimate[part]))
                ax.bar(i, height, bottom=bottom, width=0.6, color=_COLOURS[part])
                if height > 0.07 * top:
                    ax.text(
                        i,
                        bottom + height / 2,
                        f"{part}\n{height:.3g}",
                        ha="center",
                        va="center",
                        color="white",
                    )
                bottom += height
            low, high = self.summary.loc[whole, ["lower", "upper"]].to_numpy(dtype=float)
            if np.isfinite(low):
                ax.errorbar(
                    i,
                    bottom,
                    yerr=[[max(bottom - low, 0)], [max(high - bottom, 0)]],
                    color="black",
                    capsize=4,
                )
        ax.set_xticks([0, 1], ["global\n(all clients pooled)", "local\n(inside the clients)"])
        ax.set_ylabel(f"disparity [{self.units}]")
        ax.set_title("Where the disparity comes from")
        handles = [ax.bar(0, 0, color=colour) for colour in _COLOURS.values()]
        meaning = ("unique: in both", "redundant: only in the pool", "masked: only inside")
        ax.legend(
            handles,
            meaning,
            fontsize="small",
            loc="upper left",
            bbox_to_anchor=(0, -0.16),
            ncols=3,
            frameon=False,
        )

    def _clients(self, ax: Any) -> None:
        assert self.clients is not None
        clients = self.clients.iloc[::-1]
        position = np.arange(len(clients))
        ax.barh(position, clients["contribution"], color="#8c8c8c")
        if "lower" in clients:
            below = (clients["contribution"] - clients["lower"]).clip(lower=0)
            above = (clients["upper"] - clients["contribution"]).clip(lower=0)
            ax.errorbar(
                clients["contribution"],
                position,
                xerr=[below, above],
                fmt="none",
                color="black",
                capsize=3,
            )
        gaps = clients["statistical_parity"]
        names = [
            f"{name} ({weight:.0%} of rows, gap {gap:.2f})"
            for name, weight, gap in zip(clients.index, clients["weight"], gaps, strict=True)
        ]
        ax.set_yticks(position, names)
        ax.set_xlabel(f"share of the local disparity [{self.units}]")
        ax.locator_params(axis="x", nbins=5)
        ax.set_title("Which client adds how much")


class FairnessFrontierDisplay:
    """What accuracy is left at which disparity, and what one more unit of fairness costs.

    Parameters
    ----------
    frontier : FairnessFrontier
        Fitted.
    models : DataFrame or None
        Points of trained models: columns ``accuracy``, ``global``, ``local``; the index names
        them.

    Attributes
    ----------
    ax_ : Axes or ndarray of Axes
        Where it was drawn.
    figure_ : Figure
        Its figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from fairgroup.information import FairnessFrontier, FairnessFrontierDisplay
    >>> frontier = FairnessFrontier(n_grid=4).fit_counts(
    ...     [[[30, 10], [20, 20]], [[10, 20], [15, 35]]]
    ... )
    >>> display = FairnessFrontierDisplay.from_estimator(frontier)
    >>> len(display.ax_)
    2
    """

    def __init__(self, *, frontier: Any, models: pd.DataFrame | None = None) -> None:
        self.frontier = frontier
        self.models = models

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        *,
        models: pd.DataFrame | None = None,
        panels: Sequence[str] = ("accuracy", "curves"),
        ax: Any = None,
    ) -> Self:
        """Draw a fitted frontier.

        Parameters
        ----------
        estimator : FairnessFrontier
            Fitted.
        models : DataFrame, default=None
            Trained models to draw on top: columns ``accuracy``, ``global`` and ``local``
            (disparities in the same base), one row per model.
        panels : sequence of str, default=("accuracy", "curves")
            What to draw: ``"accuracy"``, ``"unique"``, ``"redundant"`` or ``"masked"`` as contours
            over both budgets, ``"curves"`` for accuracy against the global budget at a few local
            ones.
        ax : Axes, sequence of Axes, or None, default=None
            One Axes per panel; None makes a figure.

        Returns
        -------
        display : FairnessFrontierDisplay

        Raises
        ------
        ValueError
            For an unknown panel, or contours of a grid with fewer than two budgets on a side.
        """
        return cls(frontier=estimator, models=models).plot(panels=panels, ax=ax)

    def plot(self, *, panels: Sequence[str] = ("accuracy", "curves"), ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        panels : sequence of str, default=("accuracy", "curves")
            See :meth:`from_estimator`.
        ax : Axes, sequence of Axes, or None, default=None
            Where to draw.

        Returns
        -------
        display : FairnessFrontierDisplay
        """
        pyplot = require("matplotlib.pyplot", extra="report")
        known = ("accuracy", "curves", "unique", "redundant", "masked")
        unknown = [panel for panel in panels if panel not in known]
        if unknown:
            raise ValueError(f"panels {unknown} are unknown; choose from {known}.")
        if ax is None:
            width = 4.8 * len(panels)
            _, ax = pyplot.subplots(
                1, len(panels), figsize=(width, 4), layout="constrained", squeeze=False
            )
            ax = ax[0]
        axes = np.atleast_1d(np.asarray(ax, dtype=object))
        for panel, one in zip(panels, axes, strict=True):
            if panel == "curves":
                self._curves(one)
            else:
                self._contours(one, panel)
        self.ax_ = ax
        self.figure_ = axes[0].figure
        return self

    def _units(self) -> str:
        base = self.frontier.base
        return {2: "bits", "e": "nats"}.get(base, f"base {base}")

    def _contours(self, ax: Any, panel: str) -> None:
        frontier = self.frontier
        values = getattr(frontier, f"{panel}_")
        if min(values.shape) < 2:
            raise ValueError(
                "Contours need at least two global and two local budgets; draw panels=['curves']."
            )
        drawn = ax.contourf(
            frontier.epsilon_local_, frontier.epsilon_global_, values, levels=12, cmap="viridis"
        )
        ax.figure.colorbar(drawn, ax=ax)
        if self.models is not None:
            for i, (name, row) in enumerate(self.models.iterrows()):
                ax.plot(row["local"], row["global"], "o", color="white", markeredgecolor="black")
                _name_point(ax, str(name), row["local"], row["global"], below=i % 2 == 1)
        ax.set_xlabel(f"local budget [{self._units()}]")
        ax.set_ylabel(f"global budget [{self._units()}]")
        ax.set_title(
            "best accuracy within both budgets"
            if panel == "accuracy"
            else f"{panel} part at the optimum"
        )

    def _curves(self, ax: Any) -> None:
        frontier = self.frontier
        local = frontier.epsilon_local_
        chosen = np.unique(np.linspace(0, len(local) - 1, min(4, len(local))).round().astype(int))
        colours = require("matplotlib", extra="report").colormaps["viridis"](
            np.linspace(0, 0.85, len(chosen))
        )
        for colour, j in zip(colours, chosen, strict=True):
            label = "no limit" if np.isinf(local[j]) else f"{local[j]:.3g}"
            ax.plot(
                frontier.epsilon_global_,
                frontier.accuracy_[:, j],
                marker=".",
                color=colour,
                label=label,
            )
        if self.models is not None:
            for i, (name, row) in enumerate(self.models.iterrows()):
                ax.plot(row["global"], row["accuracy"], "o", color="black")
                _name_point(ax, str(name), row["global"], row["accuracy"], below=i % 2 == 1)
        ax.set_xlabel(f"global disparity [{self._units()}]")
        ax.set_ylabel("accuracy")
        ax.set_title("no rule lies above these lines")
        ax.legend(title=f"local budget [{self._units()}]", fontsize="small")


def _name_point(ax: Any, name: str, x: float, y: float, *, below: bool) -> None:
    """Write a model's name left of its point, above or below, so that neighbours stay apart."""
    ax.annotate(
        name,
        (x, y),
        xytext=(-6, -12 if below else 5),
        textcoords="offset points",
        ha="right",
    )
