"""Slow, obvious versions of what the package computes fast: one person, one node at a time."""

from __future__ import annotations

import numpy as np

from fairgroup.postprocessing._kernels import LEFT


def goes_left(trees, v, x):
    """The tree's rule."""
    if np.isnan(x):
        return bool(trees.missing_left[v])
    if trees.category[v] >= 0:
        word = trees.bitsets[trees.category[v], int(x) // 32]
        return bool((int(word) >> int(x) % 32) & 1)
    return bool(x <= trees.cut[v])


def flip(trees, rules, v, x, left, boost, cap, noise):
    """Probability of the other branch, written as in section 2.1."""
    if np.isnan(x):
        return 0.0
    distance = abs(float(x) - trees.threshold[v])
    p = rules.top[v] if rules.slope[v] == 0 else max(0, rules.top[v] - distance * rules.slope[v])
    a = rules.attribute[v]
    if a >= 0 and boost[a] >= 0 and left == (rules.side[v] == LEFT):
        return min(boost[a] * p, cap)
    return p if noise else 0.0


def expected(trees, rules, row, boost, cap, noise, v=0, power=1):
    """Expected leaf value (to a power) below node v."""
    if trees.left[v] < 0:
        return trees.value[v] ** power
    x = row[trees.feature[v]]
    left = goes_left(trees, v, x)
    p = flip(trees, rules, v, x, left, boost, cap, noise)
    q = 1 - p if left else p
    below = [
        expected(trees, rules, row, boost, cap, noise, child, power)
        for child in (trees.left[v], trees.right[v])
    ]
    return q * below[0] + (1 - q) * below[1]


def ensemble(trees, rules, row, boost, cap, noise):
    """Sum or mean over the trees."""
    out = np.zeros(trees.n_outputs)
    for t in range(trees.n_trees):
        found = expected(trees, rules, row, boost, cap, noise, trees.bounds[t])
        out[trees.output[t] : trees.output[t] + len(found)] += found
    return out / trees.n_trees if trees.combine == "mean" else out
