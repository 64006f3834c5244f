"""The terms of a disparity decomposition for batches of tables (group, prediction, client)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairgroup.information._intervals import parity_split
from fairgroup.information._measures import information, normalise
from fairgroup.information._pid import decompose, unique_information

__all__ = ["TERMS", "Evaluator", "largest_parity_gap"]

Array = NDArray[np.float64]
TERMS = ("unique", "redundant", "masked", "global", "local")
_PID_NAMES = ("unique1", "redundant", "synergy", "mi1")


@dataclass
class Evaluator:
    """Maps tables (p, m, k, n) to one row of numbers each; remembers the worst duality gap it met.

    The columns are the five information terms in nats, the n contributions of the clients to the
    local one in nats, and for every group the five parity terms.
    """

    solver: str
    tol: float
    max_iter: int
    worst_gap: float = 0.0

    def __call__(self, tables: Array) -> Array:
        joint = normalise(tables, n_axes=3)
        found = unique_information(
            joint.sum(3), joint.sum(2), solver=self.solver, tol=self.tol, max_iter=self.max_iter
        )
        self.worst_gap = max(self.worst_gap, float(found.gap.max(initial=0.0)))
        terms = decompose(joint, found)
        five = np.stack(
            [*(terms[name] for name in _PID_NAMES), terms["mi_joint"] - terms["mi2"]], axis=1
        )
        clients = information(np.moveaxis(joint, 3, 1))
        return np.concatenate([five, clients, parity_split(joint).reshape(len(joint), -1)], axis=1)

    @staticmethod
    def split(row: Array, n_groups: int, n_clients: int) -> tuple[Array, Array, Array]:
        """Cut the last axis into terms (5,), clients (n,), parity (m, 5); other axes stay."""
        five, rest = row[..., :5], row[..., 5:]
        clients, parity = rest[..., :n_clients], rest[..., n_clients:]
        return five, clients, parity.reshape(*row.shape[:-1], n_groups, 5)


def largest_parity_gap(joint: Array) -> float:
    """Largest total variation distance between the predictions of two groups that are there.

    For two decisions this is the demographic parity difference.

    Parameters
    ----------
    joint : ndarray of shape (m, k)
        Counts or probabilities.

    Returns
    -------
    gap : float
        0 to 1; NaN with fewer than two groups.
    """
    mass = joint.sum(1)
    laws = joint[mass > 0] / mass[mass > 0, None]
    if len(laws) < 2:
        return float("nan")
    return float(0.5 * np.abs(laws[:, None] - laws[None]).sum(2).max())
