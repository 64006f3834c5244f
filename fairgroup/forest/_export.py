"""Trees as rules that can be read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from fairgroup.forest._state import NODE, Rules, State

__all__ = ["ReadableTrees"]

Floats = NDArray[np.float64]


class ReadableTrees:
    """Mixin with `export_text` and `group_node_means`."""

    _rules: Rules
    _state: State
    n_features_in_: int

    @property
    def coef_(self) -> Floats:
        raise NotImplementedError

    @property
    def intercept_(self) -> Floats:
        raise NotImplementedError

    def _leaf_values(self) -> Floats:
        raise NotImplementedError

    def _feature_names(self, names: Sequence[str] | None) -> list[str]:
        if names is None:
            names = getattr(self, "feature_names_in_", None)
        if names is None:
            return [f"x{k}" for k in range(self.n_features_in_)]
        if len(names) != self.n_features_in_:
            raise ValueError(
                f"feature_names has {len(names)} names, but there are {self.n_features_in_} "
                "features."
            )
        return [str(name) for name in names]

    def _running_gaps(self) -> Floats | None:
        """Widest difference of the groups' mean node outputs, (T, m), if they are kept."""
        if self._rules.level != NODE or not self._rules.fair:
            return None
        seen, mean = self._state.rows > 0, self._state.node_mean
        high = np.where(seen[..., None], mean, -np.inf).max(axis=1)
        low = np.where(seen[..., None], mean, np.inf).min(axis=1)
        gap = np.where(seen.sum(axis=1)[:, None] > 1, high - low, np.nan).max(axis=0)
        return gap.reshape(self._rules.n_trees, self._rules.n_nodes)

    def group_node_means(self, X: ArrayLike, *, sensitive_features: Any) -> Floats:
        """Mean node output of each group on given rows, with the parameters as they are.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        sensitive_features : array-like of shape (n_samples,) or (n_samples, k)

        Returns
        -------
        means : ndarray of shape (n_groups, n_estimators, n_nodes)
            NaN for groups without a row. Unlike ``node_mean_`` nothing in it is stale.
        """
        if sensitive_features is None:
            raise ValueError("sensitive_features is needed: the groups of the rows of X.")
        nodes = self.node_outputs(X)  # type: ignore[attr-defined]
        codes = self._look_up(self.encoder_, sensitive_features, len(nodes))  # type: ignore[attr-defined]
        means = np.full((self._rules.n_groups, *nodes.shape[1:]), np.nan)
        for g in np.unique(codes[codes >= 0]):
            means[g] = nodes[codes == g].mean(axis=0)
        return means

    def export_text(
        self,
        tree: int = 0,
        *,
        feature_names: Sequence[str] | None = None,
        n_features: int = 3,
        decimals: int = 2,
    ) -> str:
        """Write a tree as nested rules.

        Parameters
        ----------
        tree : int, default=0
            Which one.
        feature_names : sequence of str, default=None
            None: the names seen in `fit`, or x0, x1, ...
        n_features : int, default=3
            Features shown per node, those of largest weight.
        decimals : int, default=2

        Returns
        -------
        text : str
            A row goes left with probability sigmoid(score), for features as standardised by the
            model. Under ``level="node"`` the running difference between groups stands beside it.

        Raises
        ------
        ValueError
            For a tree that is not there.
        """
        check_is_fitted(self, "_state")
        if not 0 <= tree < self._rules.n_trees:
            raise ValueError(f"tree={tree}; there are the trees 0 to {self._rules.n_trees - 1}.")
        names, gaps = self._feature_names(feature_names), self._running_gaps()
        lines = [f"tree {tree}: left with probability sigmoid(score)"]
        self._write_node(tree, 0, 0, lines, names, gaps, n_features, decimals)
        return "\n".join(lines)

    def _write_node(
        self,
        tree: int,
        node: int,
        indent: int,
        lines: list[str],
        names: list[str],
        gaps: Floats | None,
        n_features: int,
        decimals: int,
    ) -> None:
        pad, n_nodes = "|   " * indent, self._rules.n_nodes
        if node >= n_nodes:
            values = self._leaf_values()[tree, node - n_nodes]
            lines.append(f"{pad}leaf {node - n_nodes}: {self._leaf_text(values, decimals)}")
            return
        weights = self.coef_[tree, node]
        largest = np.argsort(-np.abs(weights), kind="stable")[:n_features]
        terms = [f"{weights[k]:+.{decimals}f} {names[k]}" for k in largest]
        more = " ..." if len(largest) < len(weights) else ""
        gap = "" if gaps is None else f"  [group gap {gaps[tree, node]:.3f}]"
        bias = f"{self.intercept_[tree, node]:+.{decimals}f}"
        lines.append(f"{pad}node {node}: score = {bias} {' '.join(terms)}{more}{gap}")
        for side, child in (("left", 2 * node + 1), ("right", 2 * node + 2)):
            lines.append(f"{pad}|-- {side}")
            self._write_node(tree, child, indent + 1, lines, names, gaps, n_features, decimals)

    def _leaf_text(self, values: Floats, decimals: int) -> str:
        classes = getattr(self, "classes_", None)
        if classes is None:
            return f"{values[0]:.{decimals}f}"
        pairs = zip(classes, values, strict=True)
        return ", ".join(f"P({label}) = {value:.{decimals}f}" for label, value in pairs)
