"""The compiled loop over a stream: decide, count, learn, row by row.

One call is one stream on one thread. Nothing depends on where a call begins or ends (with
``batch_size=1``), so any split of a stream gives the same bits.

References
----------
Basu Roy Chowdhury et al., ICLR 2024, arXiv 2310.11401, algorithm 1.
Welford, "Note on a method for calculating corrected sums of squares and products",
Technometrics 4, 1962 (running standardisation).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from fairgroup.forest._fairness_kernels import add_fairness_gradient, add_row, dual_step
from fairgroup.forest._kernels import (
    backward,
    compiled,
    forward,
    inlined,
    leaf_gradient,
    leaf_values,
)
from fairgroup.forest._state import (
    ALARM,
    CORRECT,
    DEMOGRAPHIC_PARITY,
    EQUAL_OPPORTUNITY,
    LABELLED,
    LOSS,
    NODE,
    ROWS,
    RUNNING,
    SATURATED,
    SATURATED_ROWS,
    SNAPSHOTS,
    STEPS,
    STRIDE,
    UNSCALED,
    Room,
    Rules,
    State,
    Tally,
)

__all__ = ["DECIDE", "MADE_OF", "RESOLVE", "WHOLE", "learn_rows", "standardise"]

# Numba takes a compiled loop from its cache as long as *this* file is the same. What the loop is
# made of lies in others too: this is their digest, so that a change there is a change here.
MADE_OF = "1946588945a7c7c0"
WHOLE, DECIDE, RESOLVE = 0, 1, 2  # both; decision without a label; label of an earlier decision
SMALLEST = 1e-7  # probabilities are clipped to this in the loss
_NEARLY = 1e-6  # a node output this close to 0 or 1 is saturated
_WINDOW = 100  # rows over which saturated outputs are counted
_MOST = 0.99


@compiled
def _welford(moments: NDArray, value: float) -> None:  # pragma: no cover - compiled
    """Let a value enter (rows, mean, sum of squared deviations)."""
    moments[0] += 1.0
    deviation = value - moments[1]
    moments[1] += deviation / moments[0]
    moments[2] += deviation * (value - moments[1])


@compiled
def _spread(moments: NDArray) -> float:  # pragma: no cover - compiled
    """Population standard deviation; 1 where it is zero."""
    if moments[0] == 0.0 or moments[2] <= 0.0:
        return 1.0
    return np.sqrt(moments[2] / moments[0])


@compiled
def scale_row(
    raw: NDArray, scaler: NDArray, scaling: int, learn: bool, x: NDArray
) -> None:  # pragma: no cover - compiled
    """Write the standardised row into ``x``, whose last entry is the constant; the row enters the
    running moments first.
    """
    for k in range(len(raw)):
        if learn and scaling == RUNNING:
            _welford(scaler[:, k], raw[k])
        x[k] = raw[k]
        if scaling != UNSCALED:
            x[k] = (raw[k] - scaler[1, k]) / _spread(scaler[:, k])


@compiled
def standardise(X: NDArray, scaler: NDArray, scaled: NDArray) -> None:  # pragma: no cover
    """Standardise rows with the moments as they are."""
    for k in range(X.shape[1]):
        mean, spread = scaler[1, k], _spread(scaler[:, k])
        for i in range(len(X)):
            scaled[i, k] = (X[i, k] - mean) / spread


@compiled
def _decide(out: NDArray, n_classes: int) -> int:  # pragma: no cover - compiled
    """Most probable class, the first one of ties; 0 for a number."""
    if n_classes == 1:
        return 0
    if n_classes == 2:
        return 1 if out[0] > 1.0 - out[0] else 0
    best = 0
    for k in range(1, n_classes):
        if out[k] > out[best]:
            best = k
    return best


@compiled
def _as_outputs(chosen: int, out: NDArray, n_classes: int, decision: NDArray) -> None:
    """Write the decision in the form of the outputs: indicators, or the number itself."""
    if n_classes == 1:
        decision[0] = out[0]
    elif n_classes == 2:
        decision[0] = chosen
    else:
        for k in range(n_classes):
            decision[k] = 1.0 if k == chosen else 0.0


@compiled
def _watch_saturation(node: NDArray, counters: NDArray) -> None:  # pragma: no cover - compiled
    """Raise the alarm when nearly all node outputs of a hundred rows are nearly 0 or 1."""
    for j in range(len(node)):
        counters[SATURATED] += node[j] < _NEARLY or node[j] > 1.0 - _NEARLY
    counters[SATURATED_ROWS] += 1
    if counters[SATURATED_ROWS] == _WINDOW:
        if counters[SATURATED] > _MOST * _WINDOW * len(node) and counters[ALARM] == 0:
            counters[ALARM] = 1
        counters[SATURATED_ROWS] = counters[SATURATED] = 0


@inlined
def _snapshot(state: State) -> None:  # pragma: no cover - compiled
    """Keep the tally at evenly spaced rows; when there is no more room, keep every second one."""
    counters, history = state.counters, state.history
    if state.tally[ROWS] % counters[STRIDE] != 0:
        return
    if counters[SNAPSHOTS] == len(history):
        for i in range(len(history) // 2):
            for j in range(history.shape[1]):
                history[i, j] = history[2 * i + 1, j]
        counters[SNAPSHOTS] = len(history) // 2
        counters[STRIDE] *= 2
        if state.tally[ROWS] % counters[STRIDE] != 0:
            return
    for j in range(history.shape[1]):
        history[counters[SNAPSHOTS], j] = state.tally[j]
    counters[SNAPSHOTS] += 1


@compiled
def _stratum_of(label: float, rules: Rules) -> int:  # pragma: no cover - compiled
    """Statistics that a row of this class enters; -1 for none."""
    if rules.notion == DEMOGRAPHIC_PARITY:
        return 0
    if rules.notion == EQUAL_OPPORTUNITY:
        return 0 if label == 1 else -1
    return int(label)


@compiled
def _all_groups_seen(count: NDArray) -> bool:  # pragma: no cover - compiled
    for g in range(count.shape[1]):
        rows = 0.0
        for stratum in range(count.shape[0]):
            rows += count[stratum, g]
        if rows == 0.0:
            return False
    return True


@compiled
def _task_factor(
    label: float, out: NDArray, share: float, rules: Rules
) -> float:  # pragma: no cover - compiled
    """Derivative of the row's share of the loss by the output that `backward` differentiates."""
    if rules.n_classes == 1:
        return share * (out[0] - label)
    if rules.n_classes == 2:
        if label == 1:
            return -share / max(out[0], SMALLEST)
        return share / max(1.0 - out[0], SMALLEST)
    return -share / max(out[int(label)], SMALLEST)


@inlined
def _add_task(label: float, share: float, rules: Rules, room: Room) -> None:  # pragma: no cover
    """Add the gradient of a row's share of the loss: a multiple of the gradient of one output."""
    factor = _task_factor(label, room.out, share, rules)
    output = int(label) if rules.n_classes > 2 else 0
    backward(output, room.values, room.node, room.reach, room.below, room.slope)
    leaf_gradient(output, room.values, room.reach, room.leaf_grad)
    size = len(room.node)
    for k in range(len(room.x)):
        into, xk = room.grad[k * size : (k + 1) * size], factor * room.x[k]
        for j in range(size):
            into[j] += room.slope[j] * xk
    leaves = room.grad[len(room.x) * size :]
    for i in range(len(leaves)):
        leaves[i] += factor * room.leaf_grad[i]


@inlined
def _step(grad: NDArray, state: State, rules: Rules) -> None:  # pragma: no cover - compiled
    """One step of the optimiser; Adam's epsilon stands beside the uncorrected second moment."""
    theta, momentum, velocity = state.theta, state.momentum, state.velocity
    state.counters[STEPS] += 1
    rate, b1, b2, eps = rules.learning_rate, rules.beta_1, rules.beta_2, rules.epsilon
    if not rules.adam:
        for i in range(len(theta)):
            theta[i] -= rate * grad[i]
        return
    k = float(state.counters[STEPS])
    rate *= np.sqrt(1.0 - b2**k) / (1.0 - b1**k)
    for i in range(len(theta)):
        momentum[i] = b1 * momentum[i] + (1.0 - b1) * grad[i]
        velocity[i] = b2 * velocity[i] + (1.0 - b2) * grad[i] * grad[i]
        theta[i] -= rate * momentum[i] / (np.sqrt(velocity[i]) + eps)


@compiled
def _loss(label: float, out: NDArray, rules: Rules) -> float:  # pragma: no cover - compiled
    if rules.n_classes == 1:
        return (label - out[0]) ** 2
    if rules.n_classes == 2:
        return -np.log(max(out[0] if label == 1 else 1.0 - out[0], SMALLEST))
    return -np.log(max(out[int(label)], SMALLEST))


@inlined
def _record_decision(out: NDArray, group: int, n_classes: int, tally: Tally) -> None:
    """Count a decision when it is taken."""
    tally.head[ROWS] += 1.0
    tally.decided[group, _decide(out, n_classes)] += 1.0
    for c in range(len(out)):
        tally.soft[group, 0, c] += out[c]


@inlined
def _record_label(label: float, out: NDArray, group: int, rules: Rules, tally: Tally) -> None:
    """Count a decision when its label is known."""
    loss = _loss(label, out, rules)
    tally.head[LABELLED] += 1.0
    tally.head[LOSS] += loss
    if rules.n_classes == 1:
        tally.confusion[group, 0, 0] += 1.0
        tally.soft[group, 1, 0] += loss
        return
    row, chosen = int(label), _decide(out, rules.n_classes)
    tally.head[CORRECT] += chosen == row
    tally.confusion[group, row, chosen] += 1.0
    for c in range(len(out)):
        tally.soft[group, 1 + row, c] += out[c]


@inlined
def _decide_row(
    i: int,
    group: int,
    mode: int,
    outputs: NDArray,
    state: State,
    tally: Tally,
    rules: Rules,
    room: Room,
) -> None:  # pragma: no cover - compiled
    """Take a decision and count it; one that was taken earlier stays as it was."""
    forward(room.x, state.theta, room.values, room.node, room.reach, room.out)
    if mode == RESOLVE:
        return
    for c in range(len(room.out)):
        outputs[i, c] = room.out[c]
    if rules.scale_target:
        outputs[i, 0] = state.target[1] + _spread(state.target) * room.out[0]
    _record_decision(outputs[i], group, rules.n_classes, tally)
    _watch_saturation(room.node, state.counters)


@inlined
def _learn_label(
    label: float,
    out: NDArray,
    group: int,
    share: float,
    state: State,
    tally: Tally,
    rules: Rules,
    room: Room,
) -> None:  # pragma: no cover - compiled
    """Count the decision by its label, and add the gradient of the task."""
    _record_label(label, out, group, rules, tally)
    if rules.scale_target:
        _welford(state.target, label)
        label = (label - state.target[1]) / _spread(state.target)
    _add_task(label, share, rules, room)


@inlined
def _enter_statistics(
    label: float,
    out: NDArray,
    group: int,
    state: State,
    rules: Rules,
    room: Room,
) -> None:  # pragma: no cover - compiled
    """Let a row enter the fairness statistics, if it has a place there."""
    stratum = _stratum_of(label, rules)
    if stratum < 0:
        return
    _as_outputs(_decide(out, rules.n_classes), room.out, rules.n_classes, room.decision)
    add_row(stratum, group, state, rules, room)


@inlined
def _update(state: State, rules: Rules, room: Room) -> None:  # pragma: no cover - compiled
    """Make one step with the gradient of the task and of the fairness term."""
    if rules.fair:
        if rules.wait and not _all_groups_seen(state.rows):
            return
        add_fairness_gradient(room.grad, state, rules, room.pull)
    _step(room.grad, state, rules)
    if rules.fair and not np.isnan(rules.max_unfairness):
        dual_step(state, rules, _spread(state.target) if rules.scale_target else 1.0)


@compiled
def _make_room(leaves: NDArray, state: State, rules: Rules) -> Room:  # pragma: no cover - compiled
    n_trees, n_leaves, _ = leaves.shape
    size, n_outputs = n_trees * (n_leaves - 1), state.output_mean.shape[2]
    return Room(
        np.ones(rules.n_features + 1),
        np.empty(size),
        np.empty((n_trees, 2 * n_leaves - 1)),
        np.empty(leaves.shape),
        np.empty(n_outputs),
        np.empty(n_outputs),
        np.empty(2 * n_leaves - 1),
        np.empty(size),
        np.empty(leaves.size),
        np.empty(len(state.theta)),
        np.empty((rules.n_groups, size if rules.level == NODE else n_outputs)),
    )


@compiled
def learn_rows(
    X: NDArray,
    y: NDArray,
    codes: NDArray,
    state: State,
    tally: Tally,
    leaves: NDArray,
    rules: Rules,
    mode: int,
    outputs: NDArray,
) -> None:  # pragma: no cover - compiled
    """Run a piece of the stream.

    Parameters
    ----------
    X : ndarray of shape (n, d)
        Rows as they come; they are standardised here.
    y : ndarray of float64, shape (n,)
        Class numbers, or target values. Not read under DECIDE.
    codes : ndarray of int32, shape (n,)
        Groups; -1 takes no part in the statistics.
    state : State
        Updated in place.
    tally : Tally
        Views of ``state.tally``.
    leaves : ndarray of shape (T, L, K)
        View of the leaf parameters in ``state.theta``.
    rules : Rules
    mode : int
        WHOLE: decide and learn. DECIDE: the label will come later; statistics that need no label
        are updated. RESOLVE: the label of a row that was decided before.
    outputs : ndarray of shape (n, C)
        Outputs at the time of the decision, in units of the target: written, or read under
        RESOLVE.
    """
    room = _make_room(leaves, state, rules)
    early = rules.notion == DEMOGRAPHIC_PARITY  # whether statistics do without the label
    enters = rules.fair and (mode == WHOLE or (mode == DECIDE) == early)
    for start in range(0, len(X), rules.batch_size):
        stop = min(start + rules.batch_size, len(X))
        leaf_values(leaves, room.values)
        for j in range(len(room.grad)):
            room.grad[j] = 0.0
        for i in range(start, stop):
            group = codes[i] if codes[i] >= 0 else rules.n_groups
            scale_row(X[i], state.scaler, rules.scaling, mode != RESOLVE, room.x)
            _decide_row(i, group, mode, outputs, state, tally, rules, room)
            if enters and codes[i] >= 0:
                label = 0.0 if mode == DECIDE else y[i]
                _enter_statistics(label, outputs[i], group, state, rules, room)
            if mode != DECIDE:
                share = 1.0 / (stop - start)
                _learn_label(y[i], outputs[i], group, share, state, tally, rules, room)
            if mode != RESOLVE:
                _snapshot(state)
        if mode != DECIDE:
            _update(state, rules, room)
