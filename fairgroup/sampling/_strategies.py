"""Which samples to buy next: every strategy maps a situation to a number of samples per group."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from fairgroup.sampling._allocate import allocate_budget
from fairgroup.sampling._responses import Responses
from fairgroup.sampling._utility import aggregate, isoelastic, marginal

Floats = NDArray[Any]
Ints = NDArray[Any]

__all__ = ["ADAPTIVE", "STRATEGIES", "Situation", "best_group", "next_purchase", "predicted_gain"]


class Situation(NamedTuple):
    """Where a campaign stands; arrays have shape (G,)."""

    n: Ints
    upper: Floats
    costs: Floats
    weights: Floats
    shares: Floats
    left: float
    batch: float
    scores: Floats
    errors: Floats
    rho: float
    floor: float
    asymptote: Floats
    responses: Responses | None
    quantum: int
    exploration: float
    tie_se: bool
    round: int
    rng: np.random.Generator

    @property
    def room(self) -> Floats:
        """Samples that can still be had."""
        return self.upper - self.n

    @property
    def money(self) -> float:
        """What this round may cost."""
        return min(self.batch, self.left)


def spread(money: Floats, s: Situation, budget: float) -> Ints:
    """Turn amounts of money into whole samples, the rest to those who were rounded down most."""
    wanted = np.minimum(money / s.costs, s.room)
    counts = np.floor(wanted + 1e-9).astype(np.int64)
    left = budget - float(s.costs @ counts)
    while True:
        open_ = (s.costs <= left * (1 + 1e-12)) & (counts < s.room) & (money > 0)
        if not open_.any():
            return counts
        g = int(np.argmax(np.where(open_, (wanted - counts) * s.costs, -np.inf)))
        counts[g] += 1
        left -= s.costs[g]


def _explore(s: Situation, share: float) -> Ints:
    """Give every group an equal part of the batch, and a full part to those without a score."""
    active = s.room > 0
    unknown = ~np.isfinite(s.scores)
    share = max(share, 0.5) if unknown.any() else share
    given = unknown if unknown.any() else active
    money = np.where(given & active, share * s.money / max((given & active).sum(), 1), 0.0)
    counts = np.floor(money / s.costs + 1e-9).astype(np.int64)
    return np.minimum(counts, s.room).astype(np.int64)


def maxmin(s: Situation) -> Ints:
    """Whole batch to the lowest score; needs no curves and no concavity (theorem 2)."""
    if not np.isfinite(s.scores).all():
        return equal_cost_batch(s)
    counts = np.zeros(len(s.n), dtype=np.int64)
    left = s.money
    while True:
        open_ = (counts < s.room) & (s.costs <= left * (1 + 1e-12)) & (s.weights > 0)
        if not open_.any():
            return counts
        scores = np.where(open_, s.scores, np.inf)
        g = int(np.argmin(scores))
        tied = open_ & (scores <= scores[g] + np.nan_to_num(s.errors[g]))
        chosen = np.flatnonzero(tied) if s.tie_se else np.array([g])
        part = left / len(chosen)
        more = np.minimum(np.floor(part / s.costs[chosen] + 1e-9), (s.room - counts)[chosen])
        if not more.any():
            chosen, more = np.array([g]), np.ones(1)
        counts[chosen] += more.astype(np.int64)
        left = s.money - float(s.costs @ counts)


def equal_cost_batch(s: Situation) -> Ints:
    """Split the batch evenly: what to do while some score is unknown."""
    open_ = (s.room > 0).astype(np.float64)
    return spread(s.money * open_ / max(open_.sum(), 1), s, s.money)


def _gain_per_cost(s: Situation, x: Floats, scores: Floats, q: Floats) -> tuple[Floats, Floats]:
    """Utility per cost of q_g more samples of each group, and the changes of all scores."""
    assert s.responses is not None
    change = s.responses.step(x, q)
    if np.isinf(s.rho):
        counted = s.weights > 0
        worst = int(np.argmin(np.where(counted, scores, np.inf)))
        return change[worst] / (np.maximum(q, 1) * s.costs), change
    now = isoelastic(scores, s.rho, s.floor)
    then = isoelastic(scores[:, None] + change, s.rho, s.floor)
    return s.weights @ (then - now[:, None]) / (np.maximum(q, 1) * s.costs), change


def greedy(s: Situation, budget: float, counts: Ints, quantum: int) -> Ints:
    """Spend on the best increment per cost, ``quantum`` samples at a time (theorem 1)."""
    counts = counts.copy()
    assert s.responses is not None
    scores = s.scores + s.responses.step(s.n.astype(np.float64), counts.astype(np.float64)).sum(1)
    left = budget
    while True:
        q = np.minimum(np.minimum(quantum, s.room - counts), np.floor(left / s.costs + 1e-9))
        if not (q > 0).any():
            return counts
        gain, change = _gain_per_cost(s, s.n + counts.astype(np.float64), scores, q)
        g = int(np.argmax(np.where(q > 0, gain, -np.inf)))
        counts[g] += int(q[g])
        scores = scores + change[:, g]
        left -= q[g] * s.costs[g]


def marginal_gain(s: Situation) -> Ints:
    """Explore a little, then buy where the estimated utility per cost rises most."""
    if np.isinf(s.rho):
        return maxmin(s)
    if s.responses is None or not np.isfinite(s.scores).all():
        return equal_cost_batch(s)
    counts = _explore(s, s.exploration) // s.quantum * s.quantum
    return greedy(s, s.money - float(s.costs @ counts), counts, s.quantum)


def plan_target(s: Situation) -> Floats:
    """Best allocation of everything that is left, by the estimated curves."""
    assert s.responses is not None
    if s.responses.linked:
        steps = max(s.quantum, int(s.left / s.costs.max() / 200))
        return s.n + greedy(s, s.left, np.zeros_like(s.n), steps).astype(np.float64)
    total = float(s.costs @ s.n) + s.left
    curves = s.responses.anchored(s.scores)
    found = allocate_budget(
        curves,
        s.costs,
        total,
        weights=s.weights,
        rho=s.rho,
        lower=s.n,
        upper=s.upper,
        utility_floor=s.floor,
    )
    return np.asarray(found.n, dtype=np.float64)


def _toward(s: Situation, target: Floats, exploration: float) -> Ints:
    """Move a batch in proportion to what the target asks for, after exploring."""
    counts = _explore(s, exploration) if exploration else np.zeros_like(s.n)
    budget = s.money - float(s.costs @ counts)
    need = np.maximum(target - s.n - counts, 0.0) * s.costs
    if need.sum() <= 0:
        need = s.costs * (s.room - counts > 0)
    open_ = s._replace(n=s.n + counts)
    return counts + spread(budget * need / max(need.sum(), 1e-300), open_, budget)


def plan(s: Situation) -> Ints:
    """Follow the optimal plan for the whole remaining budget, one batch at a time."""
    if s.responses is None or not np.isfinite(s.scores).all():
        return equal_cost_batch(s)
    return _toward(s, plan_target(s), s.exploration)


def score_only(s: Situation) -> Ints:
    """Index w u'(s) (s_inf - s) / (n c): exact for power laws with one exponent (theorem 3)."""
    if not np.isfinite(s.scores).all():
        return equal_cost_batch(s)
    if np.isinf(s.rho):
        return maxmin(s)
    counts = _explore(s, s.exploration) // s.quantum * s.quantum
    left = s.money - s.costs @ counts
    lack = np.maximum(s.asymptote - s.scores, 0.0)
    while True:
        q = np.minimum(np.minimum(s.quantum, s.room - counts), np.floor(left / s.costs + 1e-9))
        if not (q > 0).any():
            return counts
        # With exponent 1 the lack shrinks like 1 / n; a cancels from the index.
        x = s.n + counts
        missing = lack * np.maximum(s.n, 1) / np.maximum(x, 1)
        value = s.weights * marginal(s.asymptote - missing, s.rho, s.floor) * missing
        g = int(np.argmax(np.where(q > 0, value / (np.maximum(x, 1) * s.costs), -np.inf)))
        counts[g] += int(q[g])
        left -= q[g] * s.costs[g]


def _fill(s: Situation, level: Floats) -> Ints:
    """Bring n_g / level_g to one height, as far as the money goes (bisection, then rounding)."""
    low, high = 0.0, float(np.max(s.n / level) + s.left / (s.costs * level).min())
    for _ in range(100):
        middle = 0.5 * (low + high)
        need = np.clip(middle * level - s.n, 0.0, s.room)
        low, high = (middle, high) if s.costs @ need <= s.left else (low, middle)
    need = np.clip(low * level - s.n, 0.0, s.room)
    counts = spread(s.costs * need, s, s.left)
    rest = s._replace(n=s.n + counts, left=s.left - float(s.costs @ counts))
    open_ = rest.room > 0
    return counts + spread(rest.left * open_ / max(open_.sum(), 1), rest, rest.left)


def equal(s: Situation) -> Ints:
    """Equal numbers."""
    return _fill(s, np.ones(len(s.n)))


def equal_cost(s: Situation) -> Ints:
    """Equal spending."""
    return _fill(s, 1 / s.costs)


def proportional(s: Situation) -> Ints:
    """Numbers in proportion to the population."""
    return _fill(s, np.maximum(s.shares, 1e-12))


def random(s: Situation) -> Ints:
    """Each sample from a random person of the population."""
    counts = np.zeros_like(s.n)
    left = s.left
    while True:
        open_ = (counts < s.room) & (s.costs <= left * (1 + 1e-12))
        chance = np.where(open_, s.shares, 0.0)
        if not chance.sum() > 0:
            return counts
        chance = chance / chance.sum()
        draws = max(int(left / (2 * (chance @ s.costs))), 1)
        more = np.minimum(s.rng.multinomial(draws, chance), s.room - counts).astype(np.int64)
        if s.costs @ more > left * (1 + 1e-12):
            more = np.eye(len(chance), dtype=np.int64)[s.rng.choice(len(chance), p=chance)]
        counts += more
        left -= float(s.costs @ more)


def water_filling(s: Situation) -> Ints:
    """Fill the smallest group first; the same as equal numbers when the budget allows them."""
    return equal(s)


def oracle(s: Situation) -> Ints:
    """Optimal plan for known curves, as they are (not anchored at the scores)."""
    assert s.responses is not None
    known = s._replace(scores=s.responses.stack.predict(s.n.astype(np.float64)), batch=s.left)
    return _toward(known, plan_target(known), 0.0)


def _slice_tuner(growth: Callable[[int], float]) -> Callable[[Situation], Ints]:
    """Convex plan, in rounds that change the imbalance ratio max n / min n by at most T."""

    def strategy(s: Situation) -> Ints:
        if s.responses is None or not np.isfinite(s.scores).all():
            return equal_cost_batch(s)
        target, limit = plan_target(s), growth(s.round)
        start = s.n.max() / max(s.n.min(), 1)
        low, high = 0.0, 1.0
        for _ in range(60):
            share = 0.5 * (low + high)
            x = s.n + share * (target - s.n)
            inside = abs(x.max() / max(x.min(), 1) - start) <= limit
            low, high = (share, high) if inside else (low, share)
        share = 1.0 if low > 1 - 1e-9 else low
        money = share * (target - s.n) * s.costs
        return spread(money, s, float(money.sum()) if share < 1 else s.left)

    return strategy


STRATEGIES: dict[str, Callable[[Situation], Ints]] = {
    "marginal": marginal_gain,
    "maxmin": maxmin,
    "plan": plan,
    "score_only": score_only,
    "equal": equal,
    "equal_cost": equal_cost,
    "proportional": proportional,
    "random": random,
    "water_filling": water_filling,
    "oracle": oracle,
    "slice_tuner_one_shot": _slice_tuner(lambda k: np.inf),
    "slice_tuner_conservative": _slice_tuner(lambda k: 1.0),
    "slice_tuner_linear": _slice_tuner(lambda k: 1.0 + k),
    "slice_tuner_aggressive": _slice_tuner(lambda k: 2.0**k),
}
# Those that look at the data; the others spend everything in one round.
ADAPTIVE = {name for name in STRATEGIES if name.startswith("slice_tuner")} | {
    "marginal",
    "maxmin",
    "plan",
    "score_only",
}


def next_purchase(name: str, s: Situation) -> Ints:
    """Samples of each group to buy next; all zero when nothing can be bought."""
    if not (s.room > 0).any() or s.costs[s.room > 0].min() > s.left * (1 + 1e-12):
        return np.zeros(len(s.n), dtype=np.int64)
    counts = np.asarray(STRATEGIES[name](s), dtype=np.int64)
    return counts if counts.any() else equal_cost_batch(s)


def best_group(name: str, s: Situation, draws: int = 400) -> Floats:
    """Probability that each group is the best one to buy from, given the errors.

    Scores are drawn with their standard errors over validation rows, slopes with those over the
    random orders of the nested refits.
    """
    n_groups = len(s.n)
    if not np.isfinite(s.scores).all():
        return np.full(n_groups, np.nan)
    scores = s.scores + np.nan_to_num(s.errors) * s.rng.standard_normal((draws, n_groups))
    open_ = s.room > 0
    if name == "maxmin" or np.isinf(s.rho):
        value = -np.where(s.weights > 0, scores, np.inf)
    elif name == "score_only" or s.responses is None:
        lack = np.maximum(s.asymptote - scores, 0.0)
        value = (
            s.weights * marginal(scores, s.rho, s.floor) * lack / (np.maximum(s.n, 1) * s.costs)
        )
    else:
        slopes = s.responses.slopes()
        own = np.diag(slopes) * np.maximum(
            1 + s.responses.error * s.rng.standard_normal((draws, n_groups)), 0.0
        )
        worth = s.weights * marginal(scores, s.rho, s.floor)
        value = (worth @ (slopes - np.diag(np.diag(slopes))) + worth * own) / s.costs
    best = np.argmax(np.where(open_, value, -np.inf), axis=1)
    return np.bincount(best, minlength=n_groups) / draws


def predicted_gain(s: Situation, counts: Ints, draws: int = 200) -> tuple[float, float]:
    """Expected gain in utility of a purchase, and its standard error; NaN without curves."""
    if s.responses is None or not np.isfinite(s.scores).all():
        return float("nan"), float("nan")
    change = s.responses.step(s.n.astype(np.float64), counts.astype(np.float64))
    own = np.diag(change)
    now = aggregate(s.scores, s.weights, s.rho, s.floor)
    gain = aggregate(s.scores + change.sum(axis=1), s.weights, s.rho, s.floor) - now
    noise = s.responses.error * s.rng.standard_normal((draws, len(s.n)))
    drawn = [
        aggregate(s.scores + change.sum(axis=1) + own * e, s.weights, s.rho, s.floor) - now
        for e in noise
    ]
    return gain, float(np.std(drawn))
