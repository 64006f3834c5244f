"""What a forest on a stream is made of: its rules, its arrays, and how they begin.

Everything that is learned is in plain arrays, updated in place by the compiled loop. The running
statistics have no rows of the stream in them, so that memory does not grow with it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "ALARM",
    "CORRECT",
    "DEMOGRAPHIC_PARITY",
    "EQUALIZED_ODDS",
    "EQUAL_OPPORTUNITY",
    "FIXED",
    "LABELLED",
    "LOSS",
    "NODE",
    "OUTPUT",
    "ROWS",
    "RUNNING",
    "SATURATED",
    "SATURATED_ROWS",
    "SNAPSHOTS",
    "STEPS",
    "STRIDE",
    "UNSCALED",
    "Room",
    "Rules",
    "State",
    "Tally",
    "fresh_state",
    "leaf_view",
    "node_view",
    "tally_views",
]

Floats = NDArray[np.float64]

NODE, OUTPUT = 0, 1
DEMOGRAPHIC_PARITY, EQUAL_OPPORTUNITY, EQUALIZED_ODDS = 0, 1, 2
UNSCALED, RUNNING, FIXED = 0, 1, 2
# Places in ``State.counters``.
STEPS, SATURATED, SATURATED_ROWS, ALARM, SNAPSHOTS, STRIDE = range(6)
# Places at the head of ``State.tally``; the tables by group lie behind it (`Tally`).
ROWS, LABELLED, CORRECT, LOSS = range(4)
HEADER = 4
HISTORY_LENGTH = 200


class Rules(NamedTuple):
    """What the loop does; the same for the whole life of an estimator."""

    n_trees: int
    depth: int
    n_classes: int  # 1: regression
    n_features: int
    n_groups: int
    n_strata: int
    level: int
    notion: int
    fair: bool  # whether there is a fairness term
    wait: bool
    unit_slope: bool
    largest_pair: bool
    delta: float
    decay: float
    adam: bool
    learning_rate: float
    beta_1: float
    beta_2: float
    epsilon: float
    batch_size: int
    scaling: int
    scale_target: bool
    max_unfairness: float  # NaN: the weight is fixed
    dual_rate: float

    @property
    def n_nodes(self) -> int:
        """Internal nodes of one tree."""
        return 2**self.depth - 1

    @property
    def n_outputs(self) -> int:
        """Outputs with a gradient of their own: one for two classes, whose outputs sum to 1."""
        return self.n_classes if self.n_classes > 2 else 1

    @property
    def n_node_parameters(self) -> int:
        """Weights and biases of all nodes."""
        return (self.n_features + 1) * self.n_trees * self.n_nodes

    @property
    def n_parameters(self) -> int:
        """Numbers that the optimiser moves."""
        return self.n_node_parameters + self.n_trees * 2**self.depth * self.n_classes


class State(NamedTuple):
    """What has been learned; every array is updated in place.

    ``J = n_trees * n_nodes`` nodes, C outputs, R strata, G groups. Node parameters come first in
    ``theta``, as a (n_features + 1, J) table with the biases last: the nodes are contiguous, so
    that sums over features need no reordering to be vectorised.
    """

    theta: Floats  # (P,)
    momentum: Floats  # (P,)
    velocity: Floats  # (P,)
    weight: Floats  # (2,) fairness weight, and the multiplier behind it; both move under a target
    rows: Floats  # (R, G) rows in the statistics
    node_mean: Floats  # (R, G, J) under level "node", else (R, G, 0)
    output_mean: Floats  # (R, G, C)
    decision_mean: Floats  # (R, G, C)
    grad_mean: Floats  # (R, G, 1, P of the nodes) or (R, G, C, P)
    scaler: Floats  # (3, n_features): rows, mean, sum of squared deviations
    target: Floats  # (3,): the same of the target
    tally: Floats  # (tally_length,)
    counters: NDArray[np.int64]  # (6,)
    history: Floats  # (HISTORY_LENGTH, tally_length)


class Room(NamedTuple):
    """Working memory of the loop, for one row; ``grad`` for one batch."""

    x: Floats  # (d + 1,) standardised row and a constant
    node: Floats  # (J,) node outputs
    reach: Floats  # (T, 2L - 1) probability of getting to each node and leaf
    values: Floats  # (T, L, K) what the leaves hold
    out: Floats  # (C,)
    decision: Floats  # (C,) in the form of outputs
    below: Floats  # (2L - 1,)
    slope: Floats  # (J,)
    leaf_grad: Floats  # (T * L * K,)
    grad: Floats  # (P,)
    pull: Floats  # (G, J) or (G, C)


class Tally(NamedTuple):
    """Views of ``State.tally``: running sums over all decisions; group G is "unknown"."""

    head: Floats  # (4,): ROWS, LABELLED, CORRECT, LOSS
    decided: Floats  # (G + 1, K) decisions, when they were taken
    soft: Floats  # (G + 1, 1 + K, C) sums of outputs: of all decisions, then by label
    confusion: Floats  # (G + 1, K, K) decisions by label
    # For numbers ``soft`` and ``confusion`` have squared errors and rows in the places by label.


def tally_views(flat: Floats, n_groups: int, n_classes: int) -> Tally:
    """Tables in a tally, or in a history of tallies (their shapes come behind the first axes)."""
    n_outputs = n_classes if n_classes > 2 else 1
    cells, ahead = n_groups + 1, flat.shape[:-1]
    shapes = ((cells, n_classes), (cells, 1 + n_classes, n_outputs), (cells, n_classes, n_classes))
    ends = np.cumsum([HEADER, *(int(np.prod(shape)) for shape in shapes)])
    tables = [
        flat[..., start:stop].reshape(*ahead, *shape)
        for start, stop, shape in zip(ends, ends[1:], shapes, strict=False)
    ]
    return Tally(flat[..., :HEADER], *tables)


def tally_length(n_groups: int, n_classes: int) -> int:
    """Numbers in a tally."""
    n_outputs = n_classes if n_classes > 2 else 1
    return HEADER + (n_groups + 1) * (n_classes + (1 + n_classes) * n_outputs + n_classes**2)


def fresh_state(rules: Rules, theta: Floats, *, fairness_weight: float) -> State:
    """Begin with parameters and no statistics.

    Parameters
    ----------
    rules : Rules
    theta : ndarray of shape (n_parameters,)
    fairness_weight : float

    Returns
    -------
    state : State
    """
    cells = (rules.n_strata, rules.n_groups)
    total = tally_length(rules.n_groups, rules.n_classes)
    n_nodes = rules.n_trees * rules.n_nodes
    at_nodes = rules.level == NODE
    stored = (1, rules.n_node_parameters) if at_nodes else (rules.n_outputs, rules.n_parameters)
    counters = np.zeros(6, dtype=np.int64)
    counters[STRIDE] = 1
    return State(
        theta=theta,
        momentum=np.zeros_like(theta),
        velocity=np.zeros_like(theta),
        weight=np.full(2, float(fairness_weight)),
        rows=np.zeros(cells),
        node_mean=np.zeros((*cells, n_nodes if at_nodes else 0)),
        output_mean=np.zeros((*cells, rules.n_outputs)),
        decision_mean=np.zeros((*cells, rules.n_outputs)),
        grad_mean=np.zeros((*cells, *(stored if rules.fair else (0, 0)))),
        scaler=np.zeros((3, rules.n_features)),
        target=np.zeros(3),
        tally=np.zeros(total),
        counters=counters,
        history=np.zeros((HISTORY_LENGTH, total)),
    )


def leaf_view(theta: Floats, rules: Rules) -> Floats:
    """Leaf parameters (T, L, K) within the vector of all parameters."""
    shape = (rules.n_trees, 2**rules.depth, rules.n_classes)
    return theta[rules.n_node_parameters :].reshape(shape)


def node_view(theta: Floats, rules: Rules) -> Floats:
    """Weights and biases of the nodes, (T, m, d + 1), within the vector of all parameters."""
    table = theta[: rules.n_node_parameters]
    return table.reshape(rules.n_features + 1, rules.n_trees, rules.n_nodes).transpose(1, 2, 0)
