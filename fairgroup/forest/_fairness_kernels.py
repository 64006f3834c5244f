"""Compiled fairness term: running means per stratum and group, gaps, and their gradient.

Every stored number was computed with the parameters of its own time and is never refreshed. Level
"node" keeps the mean output of each node and its gradient by the node's own parameters, level
"output" the mean output of the forest and its gradient by all parameters.

References
----------
Basu Roy Chowdhury et al., ICLR 2024, arXiv 2310.11401, section 4 (node level, Huber penalty). The
output level, strata, several groups and decay extend it.
Stooke, Achiam, Abbeel, "Responsive Safety in Reinforcement Learning by PID Lagrangian Methods",
ICML 2020 (dual ascent with a proportional term).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairgroup.forest._kernels import backward, compiled, inlined, leaf_gradient
from fairgroup.forest._state import NODE, Room, Rules, State

__all__ = ["add_fairness_gradient", "add_row", "dual_step", "pair_pull"]

# Rows of ascent that the share which answers at once is worth: about what means with decay recall.
DAMPING = 1000.0


@compiled
def _move_mean(mean: NDArray, slope: NDArray, x: NDArray, rate: float) -> None:
    """Move a mean gradient (D * J,) towards that of a row, which has rank one."""
    size = len(slope)
    for k in range(len(x)):
        row = mean[k * size : (k + 1) * size]
        for j in range(size):
            row[j] += rate * (slope[j] * x[k] - row[j])


@inlined
def add_row(
    stratum: int, group: int, state: State, rules: Rules, room: Room
) -> None:  # pragma: no cover - compiled
    """Let a row enter the statistics of its stratum and group."""
    state.rows[stratum, group] += 1.0
    rate = max(1.0 / state.rows[stratum, group], 1.0 - rules.decay)
    outputs, decisions = state.output_mean[stratum, group], state.decision_mean[stratum, group]
    for c in range(len(room.out)):
        outputs[c] += rate * (room.out[c] - outputs[c])
        decisions[c] += rate * (room.decision[c] - decisions[c])
    node, slope = room.node, room.slope
    if rules.level == NODE:
        mean = state.node_mean[stratum, group]
        for j in range(len(node)):
            mean[j] += rate * (node[j] - mean[j])
            slope[j] = node[j] * (1.0 - node[j])
        _move_mean(state.grad_mean[stratum, group, 0], slope, room.x, rate)
        return
    n_inner = len(room.x) * len(node)
    for c in range(len(room.out)):
        backward(c, room.values, node, room.reach, room.below, slope)
        leaf_gradient(c, room.values, room.reach, room.leaf_grad)
        stored = state.grad_mean[stratum, group, c]
        _move_mean(stored[:n_inner], slope, room.x, rate)
        leaves = stored[n_inner:]
        for i in range(len(leaves)):
            leaves[i] += rate * (room.leaf_grad[i] - leaves[i])


@compiled
def _penalty_slope(gap: float, rules: Rules) -> float:
    """Derivative of the Huber penalty; with unit slope outside of the zone, as published."""
    if abs(gap) < rules.delta:
        return gap
    size = 1.0 if rules.unit_slope else rules.delta
    return size if gap > 0 else -size


@compiled
def pair_pull(mean: NDArray, count: NDArray, rules: Rules, weight: float, pull: NDArray) -> None:
    """Derivative of the weighted penalties by the group means.

    Parameters
    ----------
    mean : ndarray of shape (G, Q)
        Group means of Q quantities in one stratum; each has a penalty of its own.
    count : ndarray of shape (G,)
        Groups without a row take no part.
    rules : Rules
    weight : float
    pull : ndarray of shape (G, Q)
        Result; sums to zero over the groups.
    """
    n_groups, n_quantities = mean.shape
    seen = 0
    for g in range(n_groups):
        seen += count[g] > 0
        for q in range(n_quantities):
            pull[g, q] = 0.0
    share = weight / max(1, seen * (seen - 1) // 2)
    for q in range(n_quantities):
        if rules.largest_pair:
            _pull_widest(mean, count, q, rules, weight, pull)
            continue
        for g in range(n_groups):
            for other in range(g + 1, n_groups):
                if count[g] > 0 and count[other] > 0:
                    phi = share * _penalty_slope(mean[other, q] - mean[g, q], rules)
                    pull[other, q] += phi
                    pull[g, q] -= phi


@compiled
def _pull_widest(
    mean: NDArray, count: NDArray, q: int, rules: Rules, weight: float, pull: NDArray
) -> None:  # pragma: no cover - compiled
    """Pull at the pair of groups that is furthest apart, the first one of ties."""
    widest, low, high = -1.0, 0, 0
    for g in range(len(count)):
        for other in range(g + 1, len(count)):
            gap = abs(mean[other, q] - mean[g, q])
            if count[g] > 0 and count[other] > 0 and gap > widest:
                widest, low, high = gap, g, other
    if widest >= 0:
        phi = weight * _penalty_slope(mean[high, q] - mean[low, q], rules)
        pull[high, q], pull[low, q] = phi, -phi


@inlined
def _add_nodes(
    stratum: int, grad: NDArray, state: State, rules: Rules, pull: NDArray
) -> None:  # pragma: no cover - compiled
    """Node level: every node has a gap of its own, which pulls at its own parameters only."""
    size = pull.shape[1]
    for g in range(rules.n_groups):
        if state.rows[stratum, g] == 0:
            continue
        factors, means = pull[g], state.grad_mean[stratum, g, 0]
        for k in range(rules.n_features + 1):
            stored, into = means[k * size : (k + 1) * size], grad[k * size : (k + 1) * size]
            for j in range(size):
                into[j] += factors[j] * stored[j]


@inlined
def _add_outputs(
    stratum: int, grad: NDArray, state: State, rules: Rules, pull: NDArray
) -> None:  # pragma: no cover - compiled
    """Output level: one gap per output, which pulls at all parameters."""
    for g in range(rules.n_groups):
        for c in range(pull.shape[1]):
            factor = pull[g, c]
            if factor != 0.0:
                stored = state.grad_mean[stratum, g, c]
                for i in range(len(grad)):
                    grad[i] += factor * stored[i]


@inlined
def add_fairness_gradient(
    grad: NDArray, state: State, rules: Rules, pull: NDArray
) -> None:  # pragma: no cover - compiled
    """Add the gradient of the penalties of all strata to ``grad`` (P,).

    ``pull`` is room: (G, J) for level "node", (G, C) for "output".
    """
    weight = state.weight[0]
    if weight == 0.0:
        return
    for stratum in range(rules.n_strata):
        count = state.rows[stratum]
        if rules.level == NODE:
            pair_pull(state.node_mean[stratum], count, rules, weight, pull)
            _add_nodes(stratum, grad, state, rules, pull)
        else:
            pair_pull(state.output_mean[stratum], count, rules, weight, pull)
            _add_outputs(stratum, grad, state, rules, pull)


@inlined
def dual_step(state: State, rules: Rules, unit: float) -> None:  # pragma: no cover - compiled
    """Raise the fairness weight while the decisions' gap exceeds the target, else lower it.

    The multiplier of the constraint "gap <= max_unfairness" makes a step of dual ascent. The model
    answers with a delay, which alone would make the two swing; a share that answers to the excess
    of now damps that. ``unit`` is the size of one unit of the outputs in the target's own; the
    excess is counted in units of the outputs, in which the weight acts.
    """
    widest = -1.0
    for stratum in range(rules.n_strata):
        for c in range(state.decision_mean.shape[2]):
            low, high, seen = np.inf, -np.inf, 0
            for g in range(rules.n_groups):
                if state.rows[stratum, g] > 0:
                    seen += 1
                    low = min(low, state.decision_mean[stratum, g, c])
                    high = max(high, state.decision_mean[stratum, g, c])
            if seen > 1:
                widest = max(widest, high - low)
    if widest >= 0:
        excess = widest - rules.max_unfairness / unit
        state.weight[1] = max(0.0, state.weight[1] + rules.dual_rate * excess)
        state.weight[0] = max(0.0, state.weight[1] + DAMPING * rules.dual_rate * excess)
