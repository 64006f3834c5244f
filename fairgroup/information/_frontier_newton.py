"""The linear algebra of one Newton step of the frontier solver.

Near the optimum some decisions are pinned (their probability is almost zero) and others are free;
the curvatures of the barrier then differ by twenty orders of magnitude. The step stays accurate
because it is solved in coordinates in which every pinned decision has a diagonal entry of its own:
each rule's probabilities relative to its likeliest decision. With two decisions and a channel per
client the outputs b of a cell are eliminated exactly, so that the size of the system does not
depend on their number. A budget of zero replaces its Hessian by linear equations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from fairgroup.information._linalg import solve_or_nan
from fairgroup.information._rules import Rules

__all__ = ["Point", "Step", "equal_rate_equations", "newton_step"]

Array = NDArray[np.float64]


@dataclass
class Point:
    """Where the step starts: decisions, their barrier's curvature, what pushes them, gradients of
    both informations.
    """

    u: Array  # (g, r, y)
    stiff: Array  # (g, r, y), multiplier over u
    push: Array  # (g, r, y)
    global_grad: Array  # (g, z, y)
    local_grad: Array  # (g, s, z, y)


@dataclass
class Step:
    """Direction of the decisions, and the force on x of the equations that replace a budget of
    zero.
    """

    du: Array  # (g, r, y)
    fixed: Array  # (g, s, z, y)


def newton_step(
    rules: Rules, point: Point, *, eta: Array, stiff: Array, zero: tuple[bool, bool]
) -> Step:
    """Solve the Newton system.

    Parameters
    ----------
    rules : Rules
        Masses and level.
    point : Point
        The iterate.
    eta : ndarray of shape (g, 2)
        Multipliers of the global and local budget.
    stiff : ndarray of shape (g, 2)
        Multiplier over slack.
    zero : tuple of bool
        Which of the two budgets is zero, that is, replaced by equations.

    Returns
    -------
    step : Step
    """
    n, m, _, n_out = rules.shape
    g, size = len(point.u), n * m * n_out
    kind = _Eliminated if rules.level == "group-client" and n_out == 2 else _Relative
    coordinates = kind(rules, point)
    to_x = coordinates.to_x
    hessian = _hessian(rules.outcome(point.u), point, eta, stiff, zero).reshape(g, size, size)
    matrix = coordinates.curvature + to_x.transpose(0, 2, 1) @ hessian @ to_x
    rhs = coordinates.force[..., None]
    equations = equal_rate_equations(rules, zero)
    if len(equations) == 0:
        change = solve_or_nan(matrix, rhs)
        return Step(coordinates.decisions(change[..., 0]), np.zeros((g, n, m, n_out)))
    held = np.broadcast_to(equations @ to_x, (g, len(equations), matrix.shape[1]))
    n_held = len(equations)
    system = np.block([[matrix, held.transpose(0, 2, 1)], [held, np.zeros((g, n_held, n_held))]])
    found = solve_or_nan(system, np.concatenate([rhs, np.zeros((g, n_held, 1))], axis=1))
    fixed = equations.T @ found[:, -n_held:]
    return Step(coordinates.decisions(found[:, :-n_held, 0]), fixed.reshape(g, n, m, n_out))


def _hessian(x: Array, point: Point, eta: Array, stiff: Array, zero: tuple[bool, bool]) -> Array:
    """Hessian of both information terms on x, (g, s, z, y, s, z, y)."""
    g, n, m, n_out = x.shape
    out = np.zeros((g, n, m * n_out, n, m * n_out))
    if not zero[0]:
        pooled = _information_hessian(x.sum(1), eta[:, 0]).reshape(g, m * n_out, m * n_out)
        grad = point.global_grad.reshape(g, -1)
        pooled += stiff[:, 0, None, None] * grad[:, :, None] * grad[:, None]
        out += pooled[:, None, :, None]
    if not zero[1]:
        own = np.stack([_information_hessian(x[:, s], eta[:, 1]) for s in range(n)])
        out[:, np.arange(n), :, np.arange(n), :] += own.reshape(n, g, m * n_out, m * n_out)
        inside = point.local_grad.reshape(g, n, m * n_out)
        steep = stiff[:, 1, None, None, None, None]
        out += steep * inside[..., None, None] * inside[:, None, None]
    return out


def _information_hessian(joint: Array, eta: Array) -> Array:
    """Hessian of eta times the information of laws (g, z, y) in themselves, (g, z, y, z, y)."""
    some = joint > 0
    own = np.divide(1.0, joint, out=np.zeros_like(joint), where=some)
    common = np.divide(1.0, joint.sum(1), out=np.zeros_like(joint[:, 0]), where=some.any(1))
    both = some[:, :, None] & some[:, None]
    groups = np.eye(joint.shape[1])[:, :, None] * own[:, :, None] - both * common[:, None, None]
    hessian = groups * eta[:, None, None, None]
    return np.einsum("gzwy,yv->gzywv", hessian, np.eye(joint.shape[2]))


class _Relative:
    """Each rule's decisions relative to its likeliest one."""

    def __init__(self, rules: Rules, point: Point) -> None:
        self.rules = rules
        self.rows = np.flatnonzero(rules.exists)
        u = point.u[:, self.rows]
        g, n_rules, n_out = u.shape
        order = np.argsort(-u, axis=2, kind="stable")
        self.reference, self.others = order[..., :1], order[..., 1:]
        push, curve = point.push[:, self.rows], point.stiff[:, self.rows]
        size = n_rules * (n_out - 1)
        self.force = (self._take(push, self.others) - self._take(push, self.reference)).reshape(
            g, size
        )
        own = np.eye(n_out - 1) * self._take(curve, self.others)[..., None]
        block = own + self._take(curve, self.reference)[..., None]
        self.curvature = _block_diagonal(block)
        eye = np.eye(n_out)
        change = eye[self.others] - eye[self.reference]  # (g, r, y', y)
        share = rules.share_matrix()[:, self.rows]  # (s z, r)
        to_x = share[None, :, None, :, None] * change.transpose(0, 3, 1, 2)[:, None]
        self.to_x = to_x.reshape(g, -1, size)

    @staticmethod
    def _take(values: Array, index: NDArray[np.intp]) -> Array:
        return np.take_along_axis(values, index, axis=2)

    def decisions(self, change: Array) -> Array:
        """Coordinates (g, d) to directions of all decisions (g, r, y)."""
        change = change.reshape(self.others.shape)
        present = np.zeros((len(change), len(self.rows), self.others.shape[2] + 1))
        np.put_along_axis(present, self.others, change, axis=2)
        np.put_along_axis(present, self.reference, -change.sum(2, keepdims=True), axis=2)
        du = np.zeros((len(change), len(self.rules.exists), present.shape[2]))
        du[:, self.rows] = present
        return du


class _Eliminated:
    """Two decisions, a channel per client: the probability of the second decision in each (client,
    group).
    """

    def __init__(self, rules: Rules, point: Point) -> None:
        n, m, n_base, _ = rules.shape
        g = len(point.u)
        ease = np.where(rules.exists, 1 / point.stiff.sum(2), 0.0).reshape(g, n * m, n_base)
        push = (point.push[..., 1] - point.push[..., 0]).reshape(g, n * m, n_base)
        total = ease.sum(2)
        some = total > 0
        self.weight = np.divide(
            ease, total[..., None], out=np.zeros_like(ease), where=some[..., None]
        )
        # ease_b (push_b - mean push), summed over pairs: the difference itself would lose its
        # digits.
        pairs = ease[..., :, None] * self.weight[..., None, :]
        self.own = (pairs * (push[..., :, None] - push[..., None, :])).sum(3)
        self.force = np.where(some, (self.weight * push).sum(2), 0.0)
        inverse = np.divide(1.0, total, out=np.ones_like(total), where=some)
        self.curvature = np.eye(n * m) * inverse[:, :, None]
        # A cell without rows cannot move x, whatever its coordinate does.
        self.to_x = np.kron(np.diag(some[0].astype(float)), np.array([[-1.0], [1.0]]))[None]

    def decisions(self, change: Array) -> Array:
        """Coordinates (g, d) to directions of all decisions (g, r, y)."""
        second = (self.own + self.weight * change[..., None]).reshape(len(change), -1)
        return np.stack([-second, second], axis=2)


def _block_diagonal(blocks: Array) -> Array:
    """(g, r, a, b) to (g, r a, r b)."""
    g, n, a, b = blocks.shape
    out = np.zeros((g, n, a, n, b))
    index = np.arange(n)
    out[:, index, :, index, :] = blocks.transpose(1, 0, 2, 3)
    return out.reshape(g, n * a, n * b)


def equal_rate_equations(rules: Rules, zero: tuple[bool, bool]) -> Array:
    """Linear equations (q, s z y) on x that say a budget is zero: every group decides at the same
    rates.

    With a local budget of zero inside every client; with a global one in the pooled table. When
    both are zero and one client holds all groups but one, the two sets overlap, so linearly
    dependent rows are dropped.
    """
    n, m, _, n_out = rules.shape
    rows = []
    if zero[1]:
        for client, mass in enumerate(rules.margin):
            block = np.zeros((n, m * n_out))
            for row in _equal_rates(mass, n_out):
                block[client] = row
                rows.append(block.ravel().copy())
    if zero[0]:
        rows += [np.tile(row, n) for row in _equal_rates(rules.margin.sum(0), n_out)]
    return _independent(np.array(rows).reshape(len(rows), n * m * n_out), rules)


def _equal_rates(mass: Array, n_out: int) -> list[Array]:
    """Equations (each m K) that every group with mass decides y at the rate of the first such
    group.
    """
    present = np.flatnonzero(mass > 0)
    rows = []
    for z in present[1:]:
        both = mass[z] + mass[present[0]]
        for y in range(n_out - 1):
            row = np.zeros((len(mass), n_out))
            row[z, y], row[present[0], y] = mass[present[0]] / both, -mass[z] / both
            rows.append(row.ravel())
    return rows


def _independent(rows: Array, rules: Rules) -> Array:
    """Drop equations that follow from the others for the x that the rules can reach."""
    n, m, _, n_out = rules.shape
    if len(rows) == 0:
        return rows
    reachable = rules.share_matrix()[:, rules.exists]  # (s z, r)
    reduced = (rows.reshape(len(rows), n * m, n_out).transpose(0, 2, 1) @ reachable).reshape(
        len(rows), -1
    )
    kept: list[int] = []
    basis = np.zeros((0, reduced.shape[1]))
    for i, row in enumerate(reduced):
        rest = row - basis.T @ (basis @ row)
        rest = rest - basis.T @ (basis @ rest)
        if np.linalg.norm(rest) > 1e-9 * max(float(np.linalg.norm(row)), 1e-300):
            kept.append(i)
            basis = np.vstack([basis, rest / np.linalg.norm(rest)])
    return rows[kept]
