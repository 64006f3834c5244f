"""How probable a wrong turn is at every node, and which child is the less favourable one.

Sections 2.1 of the FairTTTS code (Cohen-Inger et al. 2025) and equations 3, 4 and 6 of TTTS
(Cohen, Arbili, Mirsky and Rokach, AAAI 2024), each reduced to ``top - distance * slope``.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from fairgroup.postprocessing._kernels import LEFT, NONE, RIGHT, Nodes, node_moments
from fairgroup.postprocessing._trees import TreeEnsemble

__all__ = [
    "HEURISTICS",
    "SCALES",
    "Favorable",
    "FlipRules",
    "as_nodes",
    "flip_rules",
    "with_proxies",
]

HEURISTICS = ("distance", "fixed", "depth", "agreement")
SCALES = ("max_threshold", "node_std", "feature_std", "feature_range")
_STEEP = 1e30  # slope where the scale is zero: p = 0 unless the row lies on the threshold
_PER_LEVEL, _DEPTH_MAX, _AGREEMENT_MAX = 0.05, 0.2, 0.5  # TTTS equations 3 and 4
Array = NDArray[Any]


@dataclass(frozen=True)
class Favorable:
    """What counts as favourable: a class of the distribution, or a direction of one output."""

    index: int  # class of a distribution, or output of a boosted ensemble
    sign: int = 1


@dataclass(eq=False)
class FlipRules:
    """Per node: the probability of a wrong turn, and who gets it amplified."""

    top: Array
    slope: Array
    side: Array
    attribute: Array
    scale: Array  # (n_trees,), largest absolute threshold of each tree


def flip_rules(
    trees: TreeEnsemble,
    inputs: Array,
    weights: Array,
    attribute_of_input: Array,
    favorable: Favorable,
    *,
    heuristic: str = "distance",
    distance_scale: str = "max_threshold",
    p_max: float = 0.1,
) -> FlipRules:
    """Set up the rules of an ensemble from the rows it was fitted on."""
    split = trees.is_split
    scale = largest_thresholds(trees)
    top = np.where(split, _tops(trees, heuristic, p_max), 0.0)
    slope = np.zeros(len(top))
    if heuristic == "distance":
        width = _widths(trees, inputs, weights, distance_scale, scale)
        slope = np.divide(1.0, width, out=np.full(len(top), _STEEP), where=width > 0)
        # A split on missingness alone has an infinite threshold: nobody is near it.
        top[np.isinf(trees.threshold)] = 0.0
    slope[(trees.category >= 0) | ~split | np.isinf(trees.threshold)] = 0.0
    attribute = np.where(split, attribute_of_input[np.maximum(trees.feature, 0)], -1)
    if trees.link == "softmax":  # only the trees of the favourable class speak of it
        attribute[(trees.output != favorable.index)[trees.tree_of]] = -1
    return FlipRules(top, slope, worse_side(trees, favorable), attribute.astype(np.int32), scale)


def with_proxies(trees: TreeEnsemble, rules: FlipRules, attribute: int) -> FlipRules:
    """Let every split act: those on unprotected inputs for one more attribute."""
    free = trees.is_split & (rules.attribute < 0)
    return replace(rules, attribute=np.where(free, attribute, rules.attribute).astype(np.int32))


def largest_thresholds(trees: TreeEnsemble) -> Array:
    """D of the FairTTTS code: one number per tree, over all its numeric splits."""
    scale = np.zeros(trees.n_trees)
    numeric = trees.is_split & (trees.category < 0) & np.isfinite(trees.threshold)
    np.maximum.at(scale, trees.tree_of[numeric], np.abs(trees.threshold[numeric]))
    scale[np.bincount(trees.tree_of[numeric], minlength=trees.n_trees) == 0] = 1.0
    return scale


def worse_side(trees: TreeEnsemble, favorable: Favorable) -> NDArray[np.int8]:
    """Which child has the larger share of the unfavourable outcome; equal children: the left."""
    if trees.link == "probability" and trees.value.shape[1] > 1:
        two = trees.value.shape[1] == 2
        harm = trees.value[:, 1 - favorable.index] if two else 1 - trees.value[:, favorable.index]
    else:
        harm = -favorable.sign * trees.value[:, 0]
    split = trees.is_split
    left_worse = harm[trees.left] >= harm[trees.right]
    side = np.where(left_worse, LEFT, RIGHT)
    return np.where(split, side, NONE).astype(np.int8)


def _tops(trees: TreeEnsemble, heuristic: str, p_max: float) -> Array:
    """Probability at distance 0 of every node."""
    if heuristic == "depth":
        return np.minimum(_PER_LEVEL * trees.depth, _DEPTH_MAX)
    if heuristic == "agreement":
        if trees.link != "probability":
            raise ValueError(
                "heuristic='agreement' needs the class distribution of every node, which only "
                "classification trees and forests have; use 'distance', 'fixed' or 'depth'."
            )
        return np.minimum(1 - trees.value.max(axis=1), _AGREEMENT_MAX)
    return np.full(len(trees.left), float(p_max))


def _widths(
    trees: TreeEnsemble, inputs: Array, weights: Array, distance_scale: str, scale: Array
) -> Array:
    """The distance that counts as 1, for every node."""
    feature = np.maximum(trees.feature, 0)
    if distance_scale == "max_threshold":
        return scale[trees.tree_of]
    if distance_scale == "node_std":
        return _node_std(trees, inputs, weights)
    with np.errstate(invalid="ignore"):
        if distance_scale == "feature_std":
            return np.nan_to_num(np.nanstd(inputs.astype(np.float64), axis=0))[feature]
        width = np.nanmax(inputs, axis=0) - np.nanmin(inputs, axis=0)
    return np.nan_to_num(width.astype(np.float64))[feature]


def _node_std(trees: TreeEnsemble, inputs: Array, weights: Array) -> Array:
    moments = np.zeros((len(trees.left), 3))
    nothing = np.zeros(len(trees.left))
    empty = FlipRules(nothing, nothing, nothing, nothing, nothing)
    node_moments(inputs, as_nodes(trees, empty, np.float64), trees.bounds, weights, moments)
    total = np.maximum(moments[:, 0], np.finfo(float).tiny)
    mean, square = moments[:, 1] / total, moments[:, 2] / total
    return np.sqrt(np.maximum(square - mean**2, 0.0))


def as_nodes(
    trees: TreeEnsemble, rules: FlipRules, dtype: Any, value: Array | None = None
) -> Nodes:
    """Pack everything a kernel reads, in one floating-point type."""
    value = trees.value if value is None else value
    return Nodes(
        trees.left,
        trees.right,
        trees.feature,
        _round_down(trees.cut, dtype),
        np.where(np.isinf(trees.threshold), 0.0, trees.threshold).astype(dtype),
        trees.missing_left,
        trees.category,
        trees.bitsets,
        rules.top.astype(dtype),
        rules.slope.astype(dtype),
        rules.side.astype(np.int8),
        rules.attribute.astype(np.int32),
        np.ascontiguousarray(value, dtype=dtype),
    )


def _round_down(cut: Array, dtype: Any) -> Array:
    """The largest number of the type that is not above the cut: x <= cut keeps its answer."""
    found = cut.astype(dtype)
    return np.where(found > cut, np.nextafter(found, dtype(-np.inf)), found)
