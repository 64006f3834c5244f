"""Loss and dependence along the strength of a penalty."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted

from fairgroup.utils._optional import require

__all__ = ["FairnessPathDisplay"]


class FairnessPathDisplay:
    """Loss against dependence on held-out rows, a point for each strength, with standard errors.

    It is best created with `from_estimator`.

    Parameters
    ----------
    path : DataFrame
        ``path_`` of a `FairnessPath`.
    chosen : float
        The strength that was chosen.
    criterion : str
        Name of the criterion.
    target : float or None, default=None
        Drawn as a line.

    Attributes
    ----------
    ax_ : matplotlib Axes
        Where it was drawn.
    figure_ : matplotlib Figure
        Its figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> import pandas as pd
    >>> from fairgroup.dependence import FairnessPathDisplay
    >>> table = pd.DataFrame(
    ...     {"loss": [0.5, 0.6], "loss_se": 0.01, "criterion": [0.1, 0.0], "criterion_se": 0.01},
    ...     index=[0.0, 1.0],
    ... )
    >>> display = FairnessPathDisplay(path=table, chosen=1.0, criterion="dcor").plot()
    >>> display.ax_.get_ylabel()
    'loss'
    """

    def __init__(
        self, *, path: pd.DataFrame, chosen: float, criterion: str, target: float | None = None
    ) -> None:
        self.path, self.chosen = path, chosen
        self.criterion, self.target = criterion, target

    @classmethod
    def from_estimator(cls, estimator: Any, *, ax: Any = None) -> Self:
        """Plot a fitted path.

        Parameters
        ----------
        estimator : FairnessPath
            Fitted, with protected attributes.
        ax : matplotlib Axes, default=None
            Where to draw.

        Returns
        -------
        display : FairnessPathDisplay
        """
        check_is_fitted(estimator)
        name = estimator.criterion
        names = {"dcor": "squared distance correlation", "jsd": "Jensen-Shannon divergence"}
        names["gap"] = "largest difference between groups"
        label = names[name] if isinstance(name, str) else getattr(name, "__name__", "criterion")
        return cls(
            path=estimator.path_,
            chosen=estimator.fairness_weight_,
            criterion=label,
            target=estimator.target,
        ).plot(ax=ax)

    def plot(self, *, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Where to draw.

        Returns
        -------
        self : FairnessPathDisplay
        """
        if ax is None:
            plt = require("matplotlib.pyplot", extra="report")
            _, ax = plt.subplots(layout="constrained")
        path = self.path
        ax.errorbar(
            path["criterion"], path["loss"], xerr=path["criterion_se"], yerr=path["loss_se"],
            fmt="o-", color="#4c72b0", ecolor="#9fb4d6", markersize=4,
        )  # fmt: skip
        for weight, row in path[_apart(path)].iterrows():
            ax.annotate(
                f"{weight:.3g}", (row["criterion"], row["loss"]), xytext=(4, 4),
                textcoords="offset points", fontsize="x-small",
            )  # fmt: skip
        if self.chosen in path.index:
            best = path.loc[self.chosen]
            ax.plot(
                best["criterion"], best["loss"], "o", color="#dd8452", markersize=9, zorder=5,
                label=f"chosen: {self.chosen:.3g}",
            )  # fmt: skip
            ax.legend()
        if self.target is not None:
            ax.axvline(self.target, color="0.6", lw=1)
        ax.set(xlabel=self.criterion, ylabel="loss")
        self.ax_, self.figure_ = ax, ax.figure
        return self


def _apart(path: pd.DataFrame, least: float = 0.06) -> list[bool]:
    """Whether a point is far enough from those before it that both can have a label.

    Strengths found by halving lie close together. Distances are shares of the axes.
    """
    points = path[["criterion", "loss"]].to_numpy()
    span = np.ptp(points, axis=0)
    points = points / np.where(span > 0, span, 1.0)
    labelled: list[int] = []
    for i, point in enumerate(points):
        if not labelled or np.abs(points[labelled] - point).max(axis=1).min() >= least:
            labelled.append(i)
    return [i in labelled for i in range(len(points))]
