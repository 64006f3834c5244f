"""Base learners and aggregation joined, on plain arrays: what the estimators wrap.

A batch goes through in chunks: all base learners first, then the aggregation scan. Memory is thus
constant in the length of the stream, and so is the history, which keeps at most ``HISTORY``
snapshots, ever further apart.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from fairgroup.online._scan_kernels import (
    ADANORMALHEDGE,
    DRIFT,
    EXPECTED,
    HISTORY_FIELDS,
    LABELLED,
    LOG,
    MEAN,
    RECORDS,
    SAMPLE,
    SEED,
    SPECIALISTS,
    SQUARED,
    STRIDE,
    SUBSTITUTION,
    ZERO_ONE,
    Rules,
    Tally,
    mix,
    regret_bounds,
    scan,
)

__all__ = ["Bank", "GroupwiseCore", "fresh_tally", "make_rules"]

HISTORY = 256
CHUNK = 4096
AGGREGATORS = {"adanormalhedge": ADANORMALHEDGE, "specialists": SPECIALISTS}
COMBINES = {"mean": MEAN, "expected": EXPECTED, "sample": SAMPLE, "substitution": SUBSTITUTION}
LOSSES = {"squared": SQUARED, "brier": SQUARED, "log": LOG, "zero_one": ZERO_ONE}

Floats = NDArray[np.float64]


class Bank(Protocol):
    """The base learners of all groups."""

    @property
    def has_hindsight(self) -> bool:
        """Whether `learn` returns the increments of the best ridge loss in hindsight."""

    def learn(
        self, X: Any, y: Floats, member: Floats, asked: NDArray[np.bool_]
    ) -> tuple[Floats, Floats]:
        """Predict each row, then learn it; predictions and hindsight increments (n, G)."""

    def peek(self, X: Any, member: Floats, asked: NDArray[np.bool_]) -> Floats:
        """Predict rows without learning (n, G)."""

    def add(self) -> None:
        """Append a fresh learner for a new group."""

    def state(self) -> dict[str, NDArray]:
        """Everything learned, as arrays."""

    def load(self, state: dict[str, NDArray]) -> None:
        """Take over the arrays of `state`."""

    @property
    def logdet(self) -> Floats:
        """Sum of ln D of each group; NaN where there is no such thing."""

    def learner_bound(self) -> Floats:
        """Bound on each learner's own regret; NaN where there is none."""


def make_rules(
    *,
    aggregator: str,
    combine: str,
    loss: str,
    feedback: str = "mixture",
    clip: bool = True,
    learn_range: bool = False,
    no_active: str = "prior",
    loss_scale: float = 1.0,
    forgetting: float = 1.0,
    eps: float = 0.01,
) -> Rules:
    """Check that the options go together and encode them for the kernels.

    Raises
    ------
    ValueError
        For combinations without a guarantee, with what to choose instead.
    """
    if combine == "substitution" and (aggregator != "specialists" or LOSSES[loss] != SQUARED):
        raise ValueError(
            'combine="substitution" is Vovk\'s rule for squared loss; it needs '
            'aggregator="specialists" and a squared (or Brier) loss.'
        )
    if aggregator == "specialists":
        _check_specialists(combine, loss, clip, learn_range)
    eta = {SQUARED: 2.0 if combine == "substitution" else 0.5, LOG: -math.log(eps)}
    return Rules(
        AGGREGATORS[aggregator],
        COMBINES[combine],
        LOSSES[loss],
        feedback == "prediction",
        clip,
        learn_range,
        no_active == "prior",
        float(loss_scale),
        float(forgetting),
        eta.get(LOSSES[loss], 1.0),
        float(eps),
    )


def _check_specialists(combine: str, loss: str, clip: bool, learn_range: bool) -> None:
    if LOSSES[loss] == ZERO_ONE:
        raise ValueError(
            'aggregator="specialists" needs a mixable loss; for loss="zero_one" use '
            'aggregator="adanormalhedge".'
        )
    if combine not in ("mean", "substitution"):
        raise ValueError(
            f'aggregator="specialists" plays an average; combine={combine!r} has no guarantee '
            'with it. Use combine="mean" or, for squared loss, "substitution".'
        )
    if not clip:
        raise ValueError('aggregator="specialists" needs predictions in range: use clip=True.')
    if combine == "substitution" and learn_range:
        raise ValueError('combine="substitution" needs a known y_range=(low, high).')


def fresh_tally(log_prior: Floats, *, seed: int = 0, history: int = HISTORY) -> Tally:
    """State of an aggregator that has seen nothing; labels in [0, 1] until told otherwise."""
    n_groups = len(log_prior)
    counters = np.zeros(7, dtype=np.int64)
    counters[STRIDE], counters[SEED] = 1, seed
    return Tally(
        np.array(log_prior, dtype=np.float64),
        np.array(log_prior, dtype=np.float64),
        np.zeros((n_groups, 8)),
        np.array([0.0, 1.0]),
        np.zeros(2),
        counters,
        np.zeros((history, n_groups, len(HISTORY_FIELDS))),
        np.zeros(history, dtype=np.int64),
    )


@dataclass
class Pending:
    """Rounds that were predicted and whose labels have not come yet, keyed by their number."""

    next_id: int = 0
    rows: dict[int, tuple[Floats, Floats, Floats, Floats, float]] = field(default_factory=dict)


class GroupwiseCore:
    """Predict and learn rounds given as arrays.

    Parameters
    ----------
    bank : Bank
    rules : Rules
    tally : Tally
    """

    def __init__(self, bank: Bank, rules: Rules, tally: Tally) -> None:
        self.bank, self.rules, self.tally = bank, rules, tally
        self.pending = Pending()

    @property
    def n_groups(self) -> int:
        """Number of groups."""
        return len(self.tally.log_prior)

    def learn(self, X: Any, y: Floats, member: Floats) -> Floats:
        """Predict every row before learning from it.

        Parameters
        ----------
        X : array-like of shape (n, d)
            What the bank reads.
        y : ndarray of shape (n,)
        member : ndarray of shape (n, G)

        Returns
        -------
        played : ndarray of shape (n,)
        """
        played = np.empty(len(y))
        nothing = np.empty((0, self.n_groups))
        for start in range(0, len(y), CHUNK):
            rows = slice(start, start + CHUNK)
            part = np.ascontiguousarray(member[rows])
            experts, gain = self.bank.learn(X[rows], y[rows], part, self._asked(part))
            scan(experts, y[rows], part, gain, nothing, self.tally, self.rules, played[rows])
        return played

    def predict(self, X: Any, member: Floats) -> tuple[Floats, Floats, Floats]:
        """Predict rows as things stand: predictions (n,), weights and experts (n, G)."""
        member = np.ascontiguousarray(member)
        experts = self.bank.peek(X, member, self._asked(member))
        weights, out = np.empty(member.shape), np.empty(len(member))
        mix(experts, member, self.tally, self.rules, len(self.pending.rows), weights, out)
        return out, weights, experts

    def hold(self, X: Floats, member: Floats) -> tuple[NDArray[np.int64], Floats]:
        """Predict rows whose labels come later; returns their numbers and the predictions."""
        out, weights, experts = self.predict(X, member)
        ids = np.arange(self.pending.next_id, self.pending.next_id + len(out))
        for i, key in enumerate(ids.tolist()):
            self.pending.rows[key] = (X[i], member[i], weights[i], experts[i], float(out[i]))
        self.pending.next_id += len(out)
        return ids, out

    def settle(self, ids: NDArray[np.int64], y: Floats) -> None:
        """Learn held rows, in the given order, now that their labels are known."""
        held = [self._take(int(key)) for key in ids]
        for (x, member, weights, experts, played), label in zip(held, y, strict=True):
            short = self.n_groups - len(member)  # groups that came after the prediction slept then
            rows = [np.pad(a, (0, short))[None] for a in (member, weights, experts)]
            target = np.array([label])
            _, gain = self.bank.learn(x[None], target, rows[0], np.zeros(1, dtype=bool))
            scan(
                rows[2], target, rows[0], gain, rows[1], self.tally, self.rules, np.array([played])
            )

    def add_group(self, log_prior: float) -> None:
        """Append a group that starts with a fresh learner and no regret."""
        self.bank.add()
        old = self.tally
        self.tally = Tally(
            np.append(old.log_prior, log_prior),
            np.append(old.log_mass, log_prior),
            np.vstack([old.groups, np.zeros((1, old.groups.shape[1]))]),
            old.span,
            old.totals,
            old.counters,
            np.pad(old.history, ((0, 0), (0, 1), (0, 0))),
            old.history_rounds,
        )

    def bounds(self) -> Floats:
        """Bound on each group's regret to its own expert, losses in [0, 1]."""
        out = np.empty(self.n_groups)
        regret_bounds(self.tally, self.rules, out)
        return out

    def unit(self) -> float:
        """Factor from the units of ``tally.groups`` to losses in [0, 1]."""
        if not self.rules.learn_range:
            return 1.0
        width = float(self.tally.span[1] - self.tally.span[0])
        return 1.0 / width**2 if width > 0 else 0.0

    def history(self) -> tuple[NDArray[np.int64], dict[str, Floats]]:
        """Rounds of the snapshots (k,), and each number's course (k, G)."""
        k = int(self.tally.counters[RECORDS])
        courses = {name: self.tally.history[:k, :, i] for i, name in enumerate(HISTORY_FIELDS)}
        return self.tally.history_rounds[:k], courses

    def state(self) -> dict[str, NDArray]:
        """Everything needed to go on, as arrays."""
        arrays = {f"tally_{k}": v.copy() for k, v in self.tally._asdict().items()}
        arrays |= {f"learner_{k}": v for k, v in self.bank.state().items()}
        return arrays | _pack(self.pending, self.n_groups)

    def load(self, state: dict[str, NDArray]) -> None:
        """Take over what `state` returned."""
        self.tally = Tally(*(np.array(state[f"tally_{k}"]) for k in Tally._fields))
        learner = {k[8:]: v for k, v in state.items() if k.startswith("learner_")}
        self.bank.load(learner)
        self.pending = _unpack(state)

    @property
    def labelled(self) -> int:
        """Rounds whose label was seen."""
        return int(self.tally.counters[LABELLED])

    @property
    def drift(self) -> Floats:
        """Sum of |r_t| / (C_{t-1} + 1) of each group."""
        return self.tally.groups[:, DRIFT]

    def _asked(self, member: Floats) -> NDArray[np.bool_]:
        """Rows without an active group, for which every learner is asked."""
        return np.asarray(~(member > 0).any(axis=1) & self.rules.idle_prior)

    def _take(self, key: int) -> tuple[Floats, Floats, Floats, Floats, float]:
        if key not in self.pending.rows:
            raise ValueError(
                f"Round {key} is not waiting for a label: it was never held, or it was settled "
                "before."
            )
        return self.pending.rows.pop(key)


def _pack(pending: Pending, n_groups: int) -> dict[str, NDArray]:
    rows = pending.rows
    packed = {
        "pending_ids": np.array(list(rows), dtype=np.int64),
        "pending_next": np.array(pending.next_id),
    }
    if rows:
        x, member, weights, experts, played = zip(*rows.values(), strict=True)
        wide = [
            np.array([np.pad(a, (0, n_groups - len(a))) for a in block])
            for block in (member, weights, experts)
        ]
        packed |= {"pending_X": np.array(x), "pending_played": np.array(played)}
        packed |= dict(
            zip(("pending_member", "pending_weights", "pending_experts"), wide, strict=True)
        )
    return packed


def _unpack(state: dict[str, NDArray]) -> Pending:
    pending = Pending(int(state["pending_next"]))
    for i, key in enumerate(np.asarray(state["pending_ids"]).tolist()):
        pending.rows[key] = (
            np.array(state["pending_X"][i]),
            np.array(state["pending_member"][i]),
            np.array(state["pending_weights"][i]),
            np.array(state["pending_experts"][i]),
            float(state["pending_played"][i]),
        )
    return pending
