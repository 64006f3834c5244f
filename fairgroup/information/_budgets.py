"""Budgets and counts as the frontier solver takes them, and what surrounds its answers."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairgroup.exceptions import FairgroupWarning
from fairgroup.information._frontier_solver import Frontier, solve_frontier
from fairgroup.information._rules import Rules, informations

__all__ = ["check_budgets", "chord", "least_local", "masses_and_costs"]

Array = NDArray[np.float64]
# Budgets below this many bits have no numerically usable interior.
_TINY_BITS = 1e-6


def masses_and_costs(table: Array) -> tuple[Array, Array]:
    """What the solver needs, from counts.

    Parameters
    ----------
    table : ndarray of shape (m, n, K) or (m, n, B, K)
        Groups, clients, (base outputs,) labels.

    Returns
    -------
    mass : ndarray of shape (n, m, B)
        p(client, group, base output); in label mode the base output is the label.
    cost : ndarray of shape (n, m, B, K)
        Probability that decision y is wrong.
    """
    joint = table / table.sum()
    n_labels = joint.shape[-1]
    if joint.ndim == 3:
        mass = joint.transpose(1, 0, 2)
        return mass, np.broadcast_to(1 - np.eye(n_labels), (*mass.shape, n_labels)).copy()
    mass = joint.sum(3)
    right = np.divide(joint, mass[..., None], out=np.zeros_like(joint), where=mass[..., None] > 0)
    return mass.transpose(1, 0, 2), (1 - right).transpose(1, 0, 2, 3)


def check_budgets(first: ArrayLike, second: ArrayLike, nats: float) -> Array:
    """Budgets in nats (g, 2); tiny ones become zero, with a warning."""
    budgets = np.stack([np.asarray(first, dtype=float), np.asarray(second, dtype=float)], axis=1)
    for column, name in enumerate(("epsilon_global", "epsilon_local")):
        if not (budgets[:, column] >= 0).all():
            worst = budgets[~(budgets[:, column] >= 0), column][0]
            raise ValueError(f"{name} must not be negative or missing; found {worst}.")
    budgets *= nats
    tiny = (budgets > 0) & (budgets < _TINY_BITS * np.log(2))
    if tiny.any():
        warnings.warn(
            f"{int(tiny.sum())} budgets are below {_TINY_BITS:g} bits and are taken as zero.",
            FairgroupWarning,
            stacklevel=4,
        )
    return np.where(tiny, 0.0, budgets)


def least_local(
    rules: Rules, budgets: Array, found: Frontier, tol: float, max_iter: int
) -> Frontier:
    """Among the optimal rules, the one with the least local disparity.

    The cost gets a multiple of the local disparity so small that it cannot raise the error by more
    than ``tol``.
    """
    inside = informations(found.joint.sum(3))[1]
    weight = tol / max(float(inside.max()), 1e-3)
    again = solve_frontier(rules, budgets, tol=1e-3 * tol, max_iter=max_iter, local_weight=weight)
    cells = rules.cost_of(again.joint)
    better = informations(again.joint.sum(3))[1] < inside
    joint = np.where(better[:, None, None, None, None], again.joint, found.joint)
    return Frontier(
        np.where(better, cells, found.error),
        found.lower,
        found.multipliers,
        joint,
        found.n_iter + again.n_iter,
    )


def chord(error: Array, axes: Sequence[Array], point: Array) -> float:
    """Interpolate a convex, falling function between grid points from above; inf outside."""
    order = [np.argsort(axis) for axis in axes]
    value = error[np.ix_(*order)]
    for axis, rank, at in zip(axes, order, point, strict=True):
        knots = axis[rank]
        if at < knots[0]:
            return float("inf")
        right = int(np.clip(np.searchsorted(knots, at, side="right"), 1, max(len(knots) - 1, 1)))
        if right >= len(knots) or at >= knots[-1]:
            value = value[-1]
            continue
        share = (at - knots[right - 1]) / (knots[right] - knots[right - 1])
        value = (1 - share) * value[right - 1] + share * value[right]
    return float(value)
