"""Plots of a forest on a stream: its course, a tree, and the trade-off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from fairgroup.utils._optional import require

if TYPE_CHECKING:
    from fairgroup.forest._aranyani import AranyaniBase
    from fairgroup.forest._path import AranyaniPath

__all__ = ["AranyaniHistoryDisplay", "AranyaniPathDisplay", "AranyaniTreeDisplay"]

Floats = NDArray[np.float64]


class AranyaniHistoryDisplay:
    """Accuracy and parity of all decisions so far, over time.

    Use `from_estimator`.

    Parameters
    ----------
    history : DataFrame
        What ``history()`` of an estimator returns.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (2,)
    figure_ : Figure

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.forest import AranyaniClassifier, AranyaniHistoryDisplay
    >>> rng = np.random.default_rng(0)
    >>> X, sex = rng.normal(size=(500, 3)), rng.choice(["f", "m"], size=500)
    >>> model = AranyaniClassifier(random_state=0)
    >>> model = model.fit(X, X[:, 0] + (sex == "m") > 0.5, sensitive_features=sex)
    >>> AranyaniHistoryDisplay.from_estimator(model).axes_.shape
    (2,)
    """

    def __init__(self, history: pd.DataFrame) -> None:
        self.history = history

    @classmethod
    def from_estimator(
        cls,
        estimator: AranyaniBase,
        *,
        label: str | None = None,
        ax: Sequence[Any] | None = None,
    ) -> Self:
        """Plot what a fitted estimator has recorded.

        Parameters
        ----------
        estimator : AranyaniClassifier or AranyaniRegressor
            Fitted.
        label : str, default=None
            For the legend.
        ax : sequence of two Axes, default=None
            For accuracy (or loss) and parity. None: a new figure.

        Returns
        -------
        display : AranyaniHistoryDisplay
        """
        return cls(estimator.history()).plot(label=label, ax=ax)

    def plot(self, *, label: str | None = None, ax: Sequence[Any] | None = None) -> Self:
        """Draw the curves; the band is the confidence sequence of the parity.

        Parameters
        ----------
        label : str, default=None
            For the legend.
        ax : sequence of two Axes, default=None
            None: a new figure.

        Returns
        -------
        display : AranyaniHistoryDisplay
        """
        plt = require("matplotlib.pyplot", extra="report")
        if ax is None:
            _, ax = plt.subplots(1, 2, figsize=(8.4, 3.2), layout="constrained")
        self.axes_ = np.array(ax, dtype=object).ravel()
        if len(self.axes_) != 2:
            raise ValueError(
                f"ax must be two axes, for accuracy and parity; got {len(self.axes_)}."
            )
        self.figure_ = self.axes_[0].figure
        rows = self.history.index.to_numpy()
        score = "accuracy" if "accuracy" in self.history else "loss"
        self.axes_[0].plot(rows, self.history[score], label=label, linewidth=1.6)
        (line,) = self.axes_[1].plot(rows, self.history["parity"], label=label, linewidth=1.6)
        if "parity_low" in self.history:
            low, high = self.history["parity_low"], self.history["parity_high"]
            self.axes_[1].fill_between(rows, low, high, color=line.get_color(), alpha=0.15, lw=0)
        for axis, name in zip(self.axes_, (score, "difference between groups"), strict=True):
            axis.set(xlabel="decisions so far", ylabel=name)
            axis.locator_params(axis="x", nbins=5)
            axis.spines[["top", "right"]].set_visible(False)
        self._limit()
        if label is not None:
            self.axes_[0].legend(frameon=False, fontsize="small")
        return self

    def _limit(self) -> None:
        """Leave the first few rows, where nothing is known, out of the parity's range."""
        later = self.history["parity"].iloc[len(self.history) // 20 :]
        if later.notna().any():
            top = max(2.0 * float(later.max()), self.axes_[1].dataLim.y0 + 0.02)
            known = getattr(self.axes_[1], "_parity_top", 0.0)
            self.axes_[1]._parity_top = max(top, known)
            self.axes_[1].set_ylim(0.0, self.axes_[1]._parity_top)


class AranyaniTreeDisplay:
    """What the nodes of a tree look at, and how differently they treat the groups.

    Use `from_estimator`.

    Parameters
    ----------
    weights : ndarray of shape (n_nodes, n_features)
        Of the nodes, for standardised features.
    gaps : ndarray of shape (n_nodes,) or None
        Largest difference between groups of the share that goes left.
    feature_names : sequence of str
        Names of the columns of ``weights``.
    title : str, default=""
        Above the plot.

    Attributes
    ----------
    axes_ : ndarray of Axes, shape (1,) or (2,)
    figure_ : Figure

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.forest import AranyaniClassifier, AranyaniTreeDisplay
    >>> rng = np.random.default_rng(0)
    >>> X, sex = rng.normal(size=(500, 3)), rng.choice(["f", "m"], size=500)
    >>> model = AranyaniClassifier(max_depth=2, random_state=0)
    >>> model = model.fit(X, X[:, 0] + (sex == "m") > 0.5, sensitive_features=sex)
    >>> display = AranyaniTreeDisplay.from_estimator(model, X=X, sensitive_features=sex)
    >>> display.weights.shape, display.gaps.shape
    ((3, 3), (3,))
    """

    def __init__(
        self,
        weights: Floats,
        gaps: Floats | None,
        feature_names: Sequence[str],
        *,
        title: str = "",
    ) -> None:
        self.weights = weights
        self.gaps = gaps
        self.feature_names = feature_names
        self.title = title

    @classmethod
    def from_estimator(
        cls,
        estimator: AranyaniBase,
        *,
        tree: int = 0,
        X: ArrayLike | None = None,
        sensitive_features: Any = None,
        feature_names: Sequence[str] | None = None,
        max_features: int = 15,
        ax: Sequence[Any] | None = None,
    ) -> Self:
        """Plot a tree of a fitted estimator.

        Parameters
        ----------
        estimator : AranyaniClassifier or AranyaniRegressor
            Fitted.
        tree : int, default=0
        X : array-like of shape (n_samples, n_features), default=None
            Rows on which the groups are compared. None: the running means, under
            ``level="node"``; no gaps under "output".
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Groups of these rows.
        feature_names : sequence of str, default=None
            None: the names seen in `fit`, or x0, x1, ...
        max_features : int, default=15
            Features shown, those whose weights are largest over the nodes.
        ax : sequence of two Axes, default=None
            For weights and gaps. None: a new figure.

        Returns
        -------
        display : AranyaniTreeDisplay
        """
        check_is_fitted(estimator, "_state")
        n_trees = len(estimator.coef_)
        if not 0 <= tree < n_trees:
            raise ValueError(f"tree={tree}; there are the trees 0 to {n_trees - 1}.")
        gaps = estimator._running_gaps()
        if X is not None:
            means = estimator.group_node_means(X, sensitive_features=sensitive_features)
            gaps = np.nanmax(means, axis=0) - np.nanmin(means, axis=0)
        weights, names = estimator.coef_[tree], estimator._feature_names(feature_names)
        size = np.abs(weights).mean(axis=0)
        shown = np.sort(np.argsort(-size, kind="stable")[:max_features])
        title = f"tree {tree} of {n_trees}"
        if len(shown) < len(names):
            title += f", {len(shown)} of {len(names)} features"
        mine = None if gaps is None else gaps[tree]
        return cls(weights[:, shown], mine, [names[k] for k in shown], title=title).plot(ax=ax)

    def plot(self, *, ax: Sequence[Any] | None = None) -> Self:
        """Draw weights as a heat map and gaps as bars beside it.

        Parameters
        ----------
        ax : sequence of two Axes, default=None
            None: a new figure.

        Returns
        -------
        display : AranyaniTreeDisplay
        """
        plt = require("matplotlib.pyplot", extra="report")
        n_nodes, n_features = self.weights.shape
        panels = 1 if self.gaps is None else 2
        if ax is None:
            size = (2.5 + 0.42 * n_features + 2.2 * (panels - 1), 1.5 + 0.28 * n_nodes)
            ratios = [max(n_features, 3), 3][:panels]
            _, ax = plt.subplots(
                1, panels, figsize=size, layout="constrained", width_ratios=ratios, squeeze=False
            )
        self.axes_ = np.array(ax, dtype=object).ravel()[:panels]
        if len(self.axes_) != panels:
            raise ValueError(f"ax must be {panels} axes, got {len(self.axes_)}.")
        self.figure_ = self.axes_[0].figure
        self._draw_weights(self.axes_[0])
        if self.gaps is not None:
            self.axes_[1].barh(np.arange(n_nodes), self.gaps, color="0.45", height=0.7)
            self.axes_[1].set(
                ylim=(n_nodes - 0.5, -0.5), yticks=[], xlabel="group gap", xlim=(0, None)
            )
            self.axes_[1].spines[["top", "right"]].set_visible(False)
        return self

    def _draw_weights(self, axis: Any) -> None:
        n_nodes, n_features = self.weights.shape
        top = float(np.abs(self.weights).max()) or 1.0
        image = axis.imshow(self.weights, cmap="RdBu_r", vmin=-top, vmax=top, aspect="auto")
        names = [f"node {j}, depth {int(np.log2(j + 1))}" for j in range(n_nodes)]
        axis.set_yticks(np.arange(n_nodes), names, fontsize="small")
        axis.set_xticks(np.arange(n_features), self.feature_names, rotation=60, ha="right")
        axis.tick_params(axis="x", labelsize="small")
        axis.set_title(self.title, fontsize="medium")
        self.figure_.colorbar(image, ax=axis, label="weight (towards left)", pad=0.02)


class AranyaniPathDisplay:
    """Accuracy against unfairness of a path, with the majority line.

    Use `from_path`.

    Parameters
    ----------
    path : AranyaniPath
        What `aranyani_path` found.

    Attributes
    ----------
    ax_ : Axes
    figure_ : Figure

    Examples
    --------
    >>> import numpy as np
    >>> from fairgroup.forest import AranyaniPathDisplay, aranyani_path
    >>> rng = np.random.default_rng(0)
    >>> X, sex = rng.normal(size=(500, 3)), rng.choice(["f", "m"], size=500)
    >>> y = X[:, 0] + (sex == "m") > 0.5
    >>> path = aranyani_path(X, y, sensitive_features=sex, random_states=[0, 1])
    >>> AranyaniPathDisplay.from_path(path).ax_.get_ylabel()
    'accuracy'
    """

    def __init__(self, path: AranyaniPath) -> None:
        self.path = path

    @classmethod
    def from_path(cls, path: AranyaniPath, *, label: str = "Aranyani", ax: Any = None) -> Self:
        """Plot the result of `aranyani_path`.

        Parameters
        ----------
        path : AranyaniPath
        label : str, default="Aranyani"
            For the legend.
        ax : Axes, default=None
            None: a new figure.

        Returns
        -------
        display : AranyaniPathDisplay
        """
        return cls(path).plot(label=label, ax=ax)

    def plot(self, *, label: str = "Aranyani", ax: Any = None) -> Self:
        """Draw mean and standard deviation over seeds for each weight.

        Parameters
        ----------
        label : str, default="Aranyani"
            For the legend.
        ax : Axes, default=None
            None: a new figure.

        Returns
        -------
        display : AranyaniPathDisplay
        """
        plt = require("matplotlib.pyplot", extra="report")
        if ax is None:
            _, ax = plt.subplots(figsize=(5.4, 3.8), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        table = self.path.summary()
        score = "accuracy" if "accuracy" in table else "loss"
        spread = table[[f"{score}_std", "parity_std"]].fillna(0.0)
        ax.errorbar(
            table["parity"],
            table[score],
            xerr=spread["parity_std"],
            yerr=spread[f"{score}_std"],
            marker="o",
            markersize=4,
            elinewidth=0.8,
            linewidth=1.2,
            label=label,
        )
        for weight, row in table.iterrows():
            at = (row["parity"], row[score])
            ax.annotate(f"{weight:g}", at, (4, -10), textcoords="offset points", fontsize=7)
        if score == "accuracy" and "majority line" not in ax.get_legend_handles_labels()[1]:
            line = self.path.majority_line()
            style = {"color": "0.5", "linestyle": "--", "linewidth": 1.0}
            ax.plot(line["parity"], line["accuracy"], label="majority line", **style)
        ax.set(xlabel="difference between groups", ylabel=score, xlim=(0, None))
        ax.set_title("at each point its fairness_weight", loc="right", fontsize="small")
        ax.spines[["top", "right"]].set_visible(False)
        ax.legend(frameon=False, fontsize="small")
        return self
