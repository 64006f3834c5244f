"""Randomised decision rules as arrays: who shares a channel, and what the rules do to groups and
clients.

Axes: g budgets, s clients, z groups, b base outputs, y decisions, r rules (the cells in which a
channel may differ).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["Rules", "informations"]

Array = NDArray[np.float64]


class Rules:
    """Which rows share a channel, and the linear map from their decisions to x.

    Parameters
    ----------
    mass : ndarray of shape (n, m, B)
        p(s, z, b).
    cost : ndarray of shape (n, m, B, K)
        Expected cost of deciding y for a row of the cell.
    level : {"group-client", "group", "blind"}
        What the channel may look at besides b.
    """

    def __init__(self, mass: Array, cost: Array, level: str) -> None:
        n, m, n_base, n_out = cost.shape
        self.shape = (n, m, n_base, n_out)
        self.level = level
        by_rule = {
            "group-client": (n * m * n_base,),
            "group": (n, m * n_base),
            "blind": (n * m, n_base),
        }[level]
        flat = mass.reshape(by_rule)
        self.mass = flat if level == "group-client" else flat.sum(0)
        self.exists = self.mass > 0
        inverse = np.divide(1.0, self.mass, out=np.zeros_like(self.mass), where=self.exists)
        # share[s, z, b]: the part of its rule's rows that this cell holds.
        self.share = (flat * inverse).reshape(n, m, n_base)
        weighted = (mass[..., None] * cost).reshape(*by_rule, n_out)
        self.cost = inverse[:, None] * (weighted if level == "group-client" else weighted.sum(0))
        self.margin = mass.sum(2)  # (n, m)
        self.cell_cost = cost

    @property
    def step_size(self) -> int:
        """Values in the matrices of one Newton step of one budget."""
        n, m, _, n_out = self.shape
        size = n * m * n_out
        unknowns = (
            n * m
            if self.level == "group-client" and n_out == 2
            else int(self.exists.sum()) * (n_out - 1)
        )
        return 2 * size**2 + 2 * unknowns * (size + unknowns)

    def spread(self, u: Array) -> Array:
        """Decisions per rule (g, r, y) to the joint law (g, s, z, b, y)."""
        n, m, n_base, n_out = self.shape
        per_cell = {
            "group-client": (-1, n, m, n_base, n_out),
            "group": (-1, 1, m, n_base, n_out),
            "blind": (-1, 1, 1, n_base, n_out),
        }[self.level]
        return u.reshape(per_cell) * self.share[..., None]

    def cost_of(self, joint: Array) -> Array:
        """Cost of joint laws (g, s, z, b, y)."""
        return (joint * self.cell_cost).sum((1, 2, 3, 4))

    def pull(self, force: Array) -> Array:
        """Transpose of `outcome`: forces on x (g, s, z, y) to forces on the rules (g, r, y)."""
        n_out = self.shape[3]
        per_cell = self.share[..., None] * force[:, :, :, None, :]
        if self.level == "group-client":
            return np.where(self.exists[:, None], per_cell.reshape(len(force), -1, n_out), 0.0)
        return per_cell.sum(1 if self.level == "group" else (1, 2)).reshape(len(force), -1, n_out)

    def outcome(self, u: Array) -> Array:
        """Decisions per rule (g, r, y) to x (g, s, z, y)."""
        return self.spread(u).sum(3)

    def share_matrix(self) -> Array:
        """(s z, r) weights of each rule in each cell of x."""
        n, m, n_base, _ = self.shape
        if self.level == "blind":
            return self.share.reshape(n * m, n_base)
        if self.level == "group-client":
            cells = np.eye(n * m)[:, :, None] * self.share.reshape(n * m, n_base)
            return cells.reshape(n * m, n * m * n_base)
        out = np.zeros((n, m, m, n_base))
        out[:, np.arange(m), np.arange(m)] = self.share
        return out.reshape(n * m, m * n_base)


def informations(x: Array) -> tuple[Array, Array, Array, Array]:
    """I(Z;Y) and I(Z;Y|S) of laws x (g, s, z, y) and their gradients (g, z, y) and (g, s, z, y).

    The gradients are up to a constant per (s, z), which no admissible direction feels.
    """
    pooled = x.sum(1)
    g_grad = _log_ratio(pooled)
    l_grad = _log_ratio(x)
    return (pooled * g_grad).sum((1, 2)), (x * l_grad).sum((1, 2, 3)), g_grad, l_grad


def _log_ratio(joint: Array) -> Array:
    """Log p(z, y) p / (p(z) p(y)) over the last two axes, 0 where a group is absent."""
    rows, columns = joint.sum(-1, keepdims=True), joint.sum(-2, keepdims=True)
    expected = rows * columns / joint.sum((-2, -1), keepdims=True).clip(1e-300)
    some = (joint > 0) & (expected > 0)
    return np.log(np.divide(joint, expected, out=np.ones_like(joint), where=some))
