"""Drawing a tree with the nodes where FairTTTS acts."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from fairgroup.postprocessing._explain import FairTTTSExplanation
from fairgroup.postprocessing._kernels import LEFT
from fairgroup.postprocessing._rules import FlipRules
from fairgroup.postprocessing._trees import TreeEnsemble
from fairgroup.utils._optional import require

__all__ = ["FairTTTSDisplay"]

Array = NDArray[Any]
_NAMED = 3  # levels in which every split is named
_ACTING, _QUIET, _LEAF = "#c44e52", "#dddddd", "#f3f3f3"


class FairTTTSDisplay:
    """One tree, with the nodes where FairTTTS acts marked.

    Lines are as wide as the number of people who take them. A marked node names its split and says
    on how many people it acts; the arrow shows where the amplified probability leads them, away
    from the less favourable child. Parts of the tree without marked nodes are cut off below
    ``max_depth``.

    Parameters
    ----------
    trees : TreeEnsemble
        The trees.
    rules : FlipRules
        Their protected nodes.
    explanation : FairTTTSExplanation
        The counts.
    tree : int, default=0
        Which tree is drawn.

    Attributes
    ----------
    ax_ : Axes
        Where it was drawn.
    figure_ : Figure
        Its figure.

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from fairgroup.datasets import load_lending
    >>> from fairgroup.postprocessing import FairTTTS, FairTTTSDisplay
    >>> lending = load_lending()
    >>> groups = lending.sensitive_features[["sex", "ethnicity"]]
    >>> X = lending.data[["income", "debt_ratio"]].assign(
    ...     female=groups["sex"] == "female", minority=groups["ethnicity"] == "minority"
    ... )
    >>> tree = DecisionTreeClassifier(max_depth=6, random_state=0)
    >>> model = FairTTTS(tree, protected_inputs=["female", "minority"], heuristic="fixed")
    >>> model = model.fit(X, lending.target, sensitive_features=groups)
    >>> display = FairTTTSDisplay.from_estimator(model, X, sensitive_features=groups)
    """

    def __init__(
        self,
        trees: TreeEnsemble,
        rules: FlipRules,
        explanation: FairTTTSExplanation,
        *,
        tree: int = 0,
    ) -> None:
        self.trees = trees
        self.rules = rules
        self.explanation = explanation
        self.tree = tree

    @classmethod
    def from_estimator(
        cls,
        estimator: Any,
        X: Any,
        *,
        sensitive_features: Any = None,
        tree: int | None = None,
        max_depth: int = 4,
        ax: Any = None,
    ) -> Self:
        """Draw what a fitted FairTTTS or FairTTTSCV does to the rows of X.

        Parameters
        ----------
        estimator : FairTTTS or FairTTTSCV
            Fitted.
        X : array-like of shape (n_samples, n_features)
            People.
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k), default=None
            Protected attributes; needed if `fit` had them.
        tree : int or None, default=None
            Which tree; None is the one that acts on the most people.
        max_depth : int, default=4
            Levels that are drawn even where nothing acts.
        ax : Axes or None, default=None
            Where to draw.

        Returns
        -------
        display : FairTTTSDisplay
        """
        told = estimator.explain(X, sensitive_features=sensitive_features)
        trees = estimator.trees_
        if tree is None:
            people = np.bincount(trees.tree_of, told.counts.act.sum(axis=1))
            tree = int(people.argmax())
        display = cls(trees, estimator._acting_rules, told, tree=tree)
        return display.plot(max_depth=max_depth, ax=ax)

    @classmethod
    def from_predictions(
        cls,
        trees: TreeEnsemble,
        rules: FlipRules,
        explanation: FairTTTSExplanation,
        *,
        tree: int = 0,
        max_depth: int = 4,
        ax: Any = None,
    ) -> Self:
        """Draw an explanation that was computed before.

        Parameters
        ----------
        trees : TreeEnsemble
            The trees.
        rules : FlipRules
            Their protected nodes.
        explanation : FairTTTSExplanation
            From ``explain``.
        tree : int, default=0
            Which tree.
        max_depth : int, default=4
            Levels that are drawn even where nothing acts.
        ax : Axes or None, default=None
            Where to draw.

        Returns
        -------
        display : FairTTTSDisplay
        """
        return cls(trees, rules, explanation, tree=tree).plot(max_depth=max_depth, ax=ax)

    def plot(self, *, max_depth: int = 4, ax: Any = None) -> Self:
        """Draw.

        Parameters
        ----------
        max_depth : int, default=4
            Levels that are drawn even where nothing acts.
        ax : Axes or None, default=None
            Where to draw.

        Returns
        -------
        self : FairTTTSDisplay
        """
        if ax is None:
            pyplot = require("matplotlib.pyplot", extra="report")
            _, ax = pyplot.subplots(figsize=(10, 6), layout="constrained")
        self.ax_, self.figure_ = ax, ax.figure
        begin, end = self.trees.bounds[self.tree], self.trees.bounds[self.tree + 1]
        act = self.explanation.counts.act.sum(axis=1)
        shown = _shown(self.trees, begin, end, act, max_depth)
        place = _layout(self.trees, int(begin), shown)
        arrive = self.explanation.counts.arrive.sum(axis=1)
        for v in place:
            self._draw_branches(v, place, arrive, act)
        for v in place:
            self._draw_node(v, place, arrive, act)
        ax.set_axis_off()
        ax.margins(0.06)
        ax.set_title(self._title(act[begin:end]), fontsize="medium")
        return self

    def _title(self, act: Array) -> str:
        changed = self.explanation.decisions.loc["(all)"]
        return (
            f"tree {self.tree}: {int((act > 0).sum())} nodes act; of {changed['people']:,} "
            f"decisions of the whole model {changed['to_favourable']:,} become favourable, "
            f"{changed['to_unfavourable']:,} unfavourable"
        )

    def _draw_branches(
        self, v: int, place: dict[int, tuple[float, float]], arrive: Array, act: Array
    ) -> None:
        trees = self.trees
        if trees.left[v] not in place:
            return
        everybody = max(arrive.max(), 1)
        for child in (trees.left[v], trees.right[v]):
            width = 0.6 + 9 * arrive[child] / everybody
            (x0, y0), (x1, y1) = place[v], place[int(child)]
            self.ax_.plot([x0, x1], [y0, y1], color="#bbbbbb", lw=width, zorder=1)
        if act[v]:
            better = trees.right[v] if self.rules.side[v] == LEFT else trees.left[v]
            self.ax_.annotate(
                "",
                xy=place[int(better)],
                xytext=place[v],
                arrowprops={"arrowstyle": "-|>", "color": _ACTING, "lw": 1.8, "shrinkB": 9},
                zorder=3,
            )

    def _draw_node(
        self, v: int, place: dict[int, tuple[float, float]], arrive: Array, act: Array
    ) -> None:
        split = self.trees.is_split[v]
        cut = split and int(self.trees.left[v]) not in place
        color = _ACTING if act[v] else _QUIET if split else _LEAF
        x, y = place[v]
        self.ax_.scatter(
            [x], [y], s=90 if act[v] else 36, c=color, edgecolors="0.4", lw=0.6, zorder=4
        )
        if cut:
            self.ax_.text(x, y - 0.28, "…", ha="center", va="top", color="0.5")
        if act[v]:
            label, ink = f"{self._name(v)}\nacts on {act[v]:,}\nof {arrive[v]:,}", _ACTING
        elif split and self.trees.depth[v] < _NAMED:
            label, ink = self._name(v), "0.35"
        else:
            return
        self.ax_.annotate(
            label,
            (x, y),
            (0, 9),
            textcoords="offset points",
            ha="center",
            fontsize="x-small",
            color=ink,
            zorder=5,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
        )

    def _name(self, v: int) -> str:
        return self.explanation.input_names[self.trees.feature[v]]


def _shown(trees: TreeEnsemble, begin: int, end: int, act: Array, max_depth: int) -> set[int]:
    """Nodes to draw: the upper levels, and everything on the way to a node that acts."""
    below = act.astype(float).copy()
    for v in range(end - 1, begin - 1, -1):
        if trees.left[v] >= 0:
            below[v] += below[trees.left[v]] + below[trees.right[v]]
    shown = {int(begin)}
    for v in range(begin, end):
        if v in shown and trees.left[v] >= 0 and (trees.depth[v] < max_depth or below[v] > 0):
            shown |= {int(trees.left[v]), int(trees.right[v])}
    return shown


def _layout(trees: TreeEnsemble, root: int, shown: set[int]) -> dict[int, tuple[float, float]]:
    """Leaves of the drawing side by side, every other node above the middle of its children."""
    place: dict[int, tuple[float, float]] = {}
    column = 0
    for v in sorted(shown, reverse=True):  # right subtrees first, children before parents
        if int(trees.left[v]) in shown:
            x = (place[int(trees.left[v])][0] + place[int(trees.right[v])][0]) / 2
        else:
            x, column = float(-column), column + 1
        place[v] = (x, -float(trees.depth[v]))
    return dict(sorted(place.items()))
