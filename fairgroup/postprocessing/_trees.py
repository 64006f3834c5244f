"""Fitted trees as flat arrays, whatever library grew them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.postprocessing._kernels import preorder, subtree_means

__all__ = ["TreeEnsemble", "TreeTable", "join_trees"]

MEAN, SUM = "mean", "sum"
Array = NDArray[Any]


@dataclass(eq=False)
class TreeEnsemble:
    """Nodes of one or several trees, one after the other, each in preorder (left child first).

    Parameters
    ----------
    left, right : ndarray of int32, shape (n_nodes,)
        Children, as positions in these arrays; -1 for a leaf.
    feature : ndarray of int32, shape (n_nodes,)
        Column of the tree's input.
    threshold : ndarray of float64, shape (n_nodes,)
        Split point.
    cut : ndarray of float64, shape (n_nodes,)
        A row goes left where x <= cut: the threshold, or the number before it for a strict rule.
    missing_left : ndarray of bool, shape (n_nodes,)
        Whether a missing value goes left.
    category : ndarray of int32, shape (n_nodes,)
        Row of `bitsets` for a categorical split, -1 for a numeric one.
    bitsets : ndarray of uint32, shape (n_categorical, n_words)
        Bit k % 32 of word k // 32 is set where category k goes left.
    value : ndarray of float64, shape (n_nodes, n_channels)
        Class distribution, or score, of every node.
    depth : ndarray of int64, shape (n_nodes,)
        Distance to the root of the tree.
    bounds : ndarray of int64, shape (n_trees + 1,)
        Where each tree begins.
    output : ndarray of int64, shape (n_trees,)
        Column of the result to which a tree adds.
    n_inputs : int
        Columns of the tree's input.
    combine : {"mean", "sum"}
        Whether results are averaged (forests) or added to a margin (boosting).
    single : bool
        Whether inputs are rounded to float32 before they are compared.
    link : {"probability", "logit", "softmax", "identity", "log"}
        What turns the combined value into the prediction.
    input_order : ndarray of int64 or None
        Column of X behind each column of the tree's input, where they differ.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.tree import DecisionTreeClassifier
    >>> from fairgroup.postprocessing import FairTTTS
    >>> X, y = load_iris(return_X_y=True)
    >>> tree = DecisionTreeClassifier(max_depth=2, random_state=0)
    >>> model = FairTTTS(tree, protected_inputs=[2, 3], favorable_class=0, heuristic="fixed")
    >>> model = model.fit(X, y, sensitive_features=X[:, 0] > 6)
    >>> model.trees_.n_trees, len(model.trees_.left)
    (1, 5)
    """

    left: Array
    right: Array
    feature: Array
    threshold: Array
    cut: Array
    missing_left: Array
    category: Array
    bitsets: Array
    value: Array
    depth: Array
    bounds: Array
    output: Array
    n_inputs: int
    combine: str = MEAN
    single: bool = True
    link: str = "probability"
    input_order: Array | None = None

    @property
    def n_trees(self) -> int:
        """Number of trees."""
        return len(self.bounds) - 1

    @property
    def is_split(self) -> Array:
        """Which nodes are inner ones."""
        return self.left >= 0

    @property
    def tree_of(self) -> Array:
        """Tree of each node."""
        return np.repeat(np.arange(self.n_trees), np.diff(self.bounds))

    @property
    def n_outputs(self) -> int:
        """Columns of the result."""
        return int(self.output.max()) + self.value.shape[1]


@dataclass
class TreeTable:
    """One tree as its library numbers it; only `left`, `right`, `feature`, `threshold` and `value`
    are needed.
    """

    left: Array
    right: Array
    feature: Array
    threshold: Array
    value: Array
    cover: Array | None = None  # fills inner values with means of the leaves where given
    cut: Array | None = None
    missing_left: Array | None = None
    category: Array | None = None
    bitsets: Sequence[Array] = field(default_factory=list)
    output: int = 0


def join_trees(
    tables: Sequence[TreeTable],
    n_inputs: int,
    *,
    combine: str = MEAN,
    single: bool = True,
    link: str = "probability",
    input_order: Array | None = None,
) -> TreeEnsemble:
    """Put trees one after the other, each in preorder."""
    parts: dict[str, list[Array]] = {name: [] for name in _COLUMNS}
    start = 0
    words: list[Array] = []
    for table in tables:
        for name, column in _in_preorder(table, start, len(words)).items():
            parts[name].append(column)
        words += list(table.bitsets)
        start = start + len(parts["left"][-1])
    sizes = [len(part) for part in parts["left"]]
    return TreeEnsemble(
        **{name: np.concatenate(columns) for name, columns in parts.items()},
        bitsets=_pad(words),
        bounds=np.cumsum([0, *sizes]),
        output=np.array([table.output for table in tables], dtype=np.int64),
        n_inputs=n_inputs,
        combine=combine,
        single=single,
        link=link,
        input_order=input_order,
    )


_COLUMNS = [
    "left",
    "right",
    "feature",
    "threshold",
    "cut",
    "missing_left",
    "category",
    "value",
    "depth",
]  # per node, besides those of the whole ensemble


def _in_preorder(table: TreeTable, start: int, n_bitsets: int) -> dict[str, Array]:
    """Renumber one tree; children become positions in the joined arrays."""
    left = np.asarray(table.left, np.int64)
    right = np.asarray(table.right, np.int64)
    order, depth = preorder(left, right)
    place = np.full(len(left), -1)
    place[order] = np.arange(len(order))
    left, right = left[order], right[order]
    split = left >= 0
    left, right = np.where(split, place[left], -1), np.where(split, place[right], -1)
    value = np.array(table.value, np.float64)[order]
    if table.cover is not None:
        subtree_means(left, right, np.asarray(table.cover, np.float64)[order], value)
    n_nodes = len(order)
    threshold = np.where(split, np.asarray(table.threshold, np.float64)[order], 0.0)
    cut = threshold if table.cut is None else np.asarray(table.cut, np.float64)[order]
    none = np.full(n_nodes, -1)
    category = none if table.category is None else np.asarray(table.category)[order]
    missing = table.missing_left
    return {
        "left": np.where(split, left + start, -1).astype(np.int32),
        "right": np.where(split, right + start, -1).astype(np.int32),
        "feature": np.where(split, np.asarray(table.feature)[order], -1).astype(np.int32),
        "threshold": threshold,
        "cut": cut,
        "missing_left": np.zeros(n_nodes, bool)
        if missing is None
        else np.asarray(missing, bool)[order],
        "category": np.where(category >= 0, category + n_bitsets, -1).astype(np.int32),
        "value": value,
        "depth": depth,
    }


def _pad(words: Sequence[Array]) -> NDArray[np.uint32]:
    """Bitsets of different lengths as one table."""
    padded = np.zeros((max(len(words), 1), max((len(w) for w in words), default=1)), np.uint32)
    for row, found in enumerate(words):
        padded[row, : len(found)] = found
    return padded
