"""Slow, obvious versions of what the package computes fast."""

from __future__ import annotations

import itertools
import math

import numpy as np


def entropy(probabilities):
    return -sum(p * math.log2(p) for p in np.ravel(probabilities) if p > 0)


def mutual_information(joint):
    joint = np.asarray(joint, float) / np.sum(joint)
    return entropy(joint.sum(0)) + entropy(joint.sum(1)) - entropy(joint)


def roc_unique(table):
    """Unique information of the first source for two groups: area under the hull, level by level.

    Evaluation 1 of the closed form: points of both ROC curves, upper hull by checking every pair
    of points.
    """
    joint = np.asarray(table, float) / np.sum(table)
    points = {(0.0, 0.0)}
    for margin in (joint.sum(2), joint.sum(1)):
        columns = [c for c in margin.T if c.sum() > 0]
        columns.sort(key=lambda c: -c[1] / c.sum())
        points |= {tuple(p) for p in np.cumsum(columns, axis=0)}
    end = max(points)
    hull = [p for p in sorted(points) if not _below_some_chord(p, points)] + [end]
    hull = sorted(set(hull))
    pieces = np.diff(np.array(hull), axis=0)
    if hull[0] != (0.0, 0.0):
        pieces = np.vstack([hull[0], pieces])
    return mutual_information(pieces.T) - mutual_information(joint.sum(1))


def _below_some_chord(point, points, slack=1e-15):
    """Whether the point lies on or below the chord between two others (or is dominated by one)."""
    x, y = point
    others = [p for p in points if p != point]
    for a, b in itertools.combinations(others, 2):
        (xa, ya), (xb, yb) = sorted((a, b))
        if xa <= x <= xb and xb > xa and ya + (yb - ya) * (x - xa) / (xb - xa) >= y - slack:
            return True
    return any(xo <= x and yo > y + slack for xo, yo in others)


def frontier_lp(table, *, zero_global, zero_local):
    """Smallest error with budgets of zero (the other unlimited), as a linear program of the joint
    law.
    """
    from scipy.optimize import linprog

    law = np.asarray(table, float) / np.sum(table)
    m, n, k = law.shape
    index = np.arange(m * n * k * k).reshape(m, n, k, k)  # z, s, label, decision
    cost = np.broadcast_to(1 - np.eye(k), (m, n, k, k)).ravel()
    rows, right = [], []
    for z, s, y in itertools.product(range(m), range(n), range(k)):
        row = np.zeros(index.size)
        row[index[z, s, y]] = 1
        rows.append(row)
        right.append(law[z, s, y])
    sites = [[s] for s in range(n)] if zero_local else []
    sites += [list(range(n))] if zero_global else []
    for site, z, d in itertools.product(sites, range(1, m), range(k)):
        mass, reference = law[z][site].sum(), law[0][site].sum()
        row = np.zeros(index.size)
        for s in site:
            row[index[z, s, :, d]] = reference
            row[index[0, s, :, d]] -= mass
        rows.append(row)
        right.append(0.0)
    return linprog(cost, A_eq=np.array(rows), b_eq=right, method="highs").fun


def jackknife(table, statistic):
    """Delete every row in turn."""
    rows = [cell for cell, count in np.ndenumerate(table) for _ in range(int(count))]
    values = []
    for cell in rows:
        left = np.array(table, float)
        left[cell] -= 1
        values.append(statistic(left))
    values = np.array(values)
    n = len(rows)
    mean = values.mean()
    return (n - 1) * (mean - statistic(table)), math.sqrt(
        (n - 1) / n * ((values - mean) ** 2).sum()
    )
