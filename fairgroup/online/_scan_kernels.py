"""Compiled aggregation of the groups' predictions: sleeping-experts AdaNormalHedge and
specialists.

Cumulative numbers are kept in the units of the label; they are divided by the squared width
of the label range where a weight or a bound needs losses in [0, 1]. A range that is learned from
the stream can so grow without touching a sleeping group.

References
----------
Luo and Schapire, "Achieving All with No Parameters: AdaNormalHedge", COLT 2015.
Freund, Schapire, Singer, Warmuth, "Using and combining predictors that specialize", STOC 1997.
Vovk, "Competitive on-line statistics", International Statistical Review 69, 2001 (substitution
function).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from fairgroup.online._weight_kernels import (
    hedge_weights,
    log_prior_total,
    mass_weights,
    potential_bound,
    uniform,
)

__all__ = ["Rules", "Tally", "finite_class", "mix", "regret_bounds", "scan"]

ADANORMALHEDGE, SPECIALISTS = 0, 1
MEAN, EXPECTED, SAMPLE, SUBSTITUTION = 0, 1, 2, 3
SQUARED, LOG, ZERO_ONE = 0, 1, 2
# Columns of ``Tally.groups``.
REGRET, ABS_REGRET, DRIFT, LOSS, EXPERT_LOSS, HINDSIGHT, SIZE, ROWS = range(8)
# Places in ``Tally.span``, ``Tally.counters`` and the last axis of ``Tally.history``.
LOW, HIGH = 0, 1
ROUNDS, IDLE, OVERFLOW, RECORDS, STRIDE, SEED, LABELLED = range(7)
HISTORY_FIELDS = ("size", "loss", "expert_loss", "hindsight", "bound")


class Rules(NamedTuple):
    """What the scan does; the same for the whole life of an estimator."""

    aggregator: int
    combine: int
    loss: int
    feedback_prediction: bool
    clip: bool
    learn_range: bool
    idle_prior: bool
    loss_scale: float
    forgetting: float
    eta: float
    eps: float


class Tally(NamedTuple):
    """What the scan knows; every array is updated in place."""

    log_prior: NDArray  # (G,), not normalised
    log_mass: NDArray  # (G,) log W of the specialists
    groups: NDArray  # (G, 8)
    span: NDArray  # (2,) lowest and highest label
    totals: NDArray  # (2,) loss over all rounds, loss over rounds without an active group
    counters: NDArray  # (7,) int64
    history: NDArray  # (K, G, 5)
    history_rounds: NDArray  # (K,) int64


@njit(cache=True, nogil=True)
def loss_of(prediction: float, y: float, rules: Rules) -> float:  # pragma: no cover - compiled
    """Loss of one prediction, before any scaling by the label range."""
    if rules.loss == SQUARED:
        return (prediction - y) ** 2
    if rules.loss == ZERO_ONE:
        return abs(prediction - y)
    right = prediction if y > 0.5 else 1.0 - prediction
    worst = -np.log(rules.eps)
    return min(-np.log(max(right, rules.eps)), worst) / worst


@njit(cache=True, nogil=True)
def fold_range(
    prediction: float, tally: Tally, rules: Rules
) -> float:  # pragma: no cover - compiled
    """Bring an expert's prediction into the range of the loss: clipped, or a hard label for the
    zero-one loss.
    """
    if rules.loss == ZERO_ONE:
        return 1.0 if prediction >= 0.5 else 0.0
    if rules.loss == LOG:
        return min(max(prediction, rules.eps), 1.0 - rules.eps)
    if rules.clip and (not rules.learn_range or tally.counters[LABELLED] > 0):
        return min(max(prediction, tally.span[LOW]), tally.span[HIGH])
    return prediction


@njit(cache=True, nogil=True)
def unit_scale(tally: Tally, rules: Rules) -> float:  # pragma: no cover - compiled
    """Factor that brings squared errors into [0, 1]; zero while all labels were equal."""
    if not rules.learn_range:
        return 1.0
    width = tally.span[HIGH] - tally.span[LOW]
    return 1.0 / (width * width) if width > 0.0 else 0.0


@njit(cache=True, nogil=True)
def weights_of(
    member: NDArray, tally: Tally, rules: Rules, p: NDArray
) -> bool:  # pragma: no cover - compiled
    """Write the aggregation weights of one round. False: no group is active."""
    if rules.aggregator == SPECIALISTS:
        return mass_weights(member, tally.log_mass, p)
    scale = unit_scale(tally, rules) * rules.loss_scale
    return hedge_weights(
        member,
        tally.log_prior,
        tally.groups[:, REGRET] * scale,
        tally.groups[:, ABS_REGRET] * scale,
        p,
    )


@njit(cache=True, nogil=True)
def play(
    experts: NDArray, p: NDArray, tally: Tally, rules: Rules, counter: int
) -> float:  # pragma: no cover
    """Combine the (folded) predictions of the experts with p > 0 into the one that is played."""
    if rules.combine == SAMPLE:
        draw, last = uniform(tally.counters[SEED], counter), 0
        for g in range(p.shape[0]):
            if p[g] > 0.0:
                last = g
                draw -= p[g]
                if draw < 0.0:
                    break
        return experts[last]
    if rules.combine == SUBSTITUTION:
        low, high = 0.0, 0.0
        for g in range(p.shape[0]):
            if p[g] > 0.0:
                low += p[g] * np.exp(-rules.eta * experts[g] ** 2)
                high += p[g] * np.exp(-rules.eta * (1.0 - experts[g]) ** 2)
        return 0.5 + 0.5 * (np.log(high) - np.log(low)) / rules.eta
    total = 0.0
    for g in range(p.shape[0]):
        if p[g] > 0.0:
            total += p[g] * experts[g]
    return total


@njit(cache=True, nogil=True)
def _prior_mean(experts: NDArray, tally: Tally) -> float:  # pragma: no cover - compiled
    total, mass = 0.0, 0.0
    for g in range(experts.shape[0]):
        q = np.exp(tally.log_prior[g])
        total += q * experts[g]
        mass += q
    return total / mass


@njit(cache=True, nogil=True)
def _fold_row(
    raw: NDArray, tally: Tally, rules: Rules, out: NDArray
) -> None:  # pragma: no cover - compiled
    for g in range(raw.shape[0]):
        out[g] = fold_range(raw[g], tally, rules)


@njit(cache=True, nogil=True)
def mix(
    experts: NDArray,
    member: NDArray,
    tally: Tally,
    rules: Rules,
    start: int,
    weights: NDArray,
    out: NDArray,
) -> None:  # pragma: no cover - compiled
    """Predict rows with the state as it stands; writes the weights (n, G) and the predictions
    (n,).

    ``start`` counts rounds that are predicted but not yet learned, so that each has a draw of its
    own.
    """
    folded = np.empty(experts.shape[1])
    for t in range(experts.shape[0]):
        _fold_row(experts[t], tally, rules, folded)
        if weights_of(member[t], tally, rules, weights[t]):
            out[t] = play(folded, weights[t], tally, rules, tally.counters[ROUNDS] + start + t)
        else:
            out[t] = _prior_mean(folded, tally) if rules.idle_prior else 0.0


@njit(cache=True, nogil=True)
def _learn_range(y: float, tally: Tally) -> None:  # pragma: no cover - compiled
    if tally.counters[LABELLED] == 0:
        tally.span[LOW] = y
        tally.span[HIGH] = y
    tally.span[LOW] = min(tally.span[LOW], y)
    tally.span[HIGH] = max(tally.span[HIGH], y)


@njit(cache=True, nogil=True)
def scan(
    experts: NDArray,
    y: NDArray,
    member: NDArray,
    gain: NDArray,
    given: NDArray,
    tally: Tally,
    rules: Rules,
    out: NDArray,
) -> None:  # pragma: no cover - compiled
    """Play and learn rounds in time order (section 2.1 of the method, both aggregators).

    Parameters
    ----------
    experts : ndarray of shape (n, G)
        The base learners' predictions; only those of active groups are read (all of them where
        none is active).
    y : ndarray of shape (n,)
    member : ndarray of shape (n, G)
        Memberships in [0, 1].
    gain : ndarray of shape (n, G)
        Increments of the best ridge loss in hindsight.
    given : ndarray of shape (n, G) or (0, G)
        Weights that were played already (labels that came late), in place of the current ones.
    tally : Tally
    rules : Rules
    out : ndarray of shape (n,)
        Written: the predictions, each made before its label was used. With ``given`` read: what
        was played then.
    """
    n_groups = experts.shape[1]
    folded, p, losses = np.empty(n_groups), np.empty(n_groups), np.empty(n_groups)
    for t in range(experts.shape[0]):
        _fold_row(experts[t], tally, rules, folded)
        if given.shape[0] > 0:
            p[:] = given[t]
            active = p.sum() > 0.0
        else:
            active = weights_of(member[t], tally, rules, p)
        if given.shape[0] > 0:
            pass  # out[t] was played when the weights were
        elif active:
            out[t] = play(folded, p, tally, rules, tally.counters[ROUNDS])
        else:
            out[t] = _prior_mean(folded, tally) if rules.idle_prior else 0.0
        tally.counters[ROUNDS] += 1
        if active:
            if rules.learn_range:
                _learn_range(y[t], tally)
            tally.counters[LABELLED] += 1
            _feedback(folded, p, y[t], member[t], gain[t], out[t], losses, tally, rules)
            if rules.aggregator == SPECIALISTS:
                if (
                    given.shape[0] > 0
                ):  # the mass has moved since: the total stays one under its own weights only
                    mass_weights(member[t], tally.log_mass, p)
                _move_mass(member[t], p, losses, tally, rules)
        else:
            tally.counters[IDLE] += 1
            tally.totals[1] += loss_of(out[t], y[t], rules)
        if tally.history.shape[0] > 0 and tally.counters[ROUNDS] % tally.counters[STRIDE] == 0:
            _record(tally, rules)


@njit(cache=True, nogil=True)
def _feedback(
    experts: NDArray,
    p: NDArray,
    y: float,
    member: NDArray,
    gain: NDArray,
    prediction: float,
    losses: NDArray,
    tally: Tally,
    rules: Rules,
) -> None:  # pragma: no cover - compiled
    """Pay the loss, move the regrets of the active groups, and let the aggregator learn."""
    scale = unit_scale(tally, rules)
    expected, too_large = 0.0, False
    for g in range(p.shape[0]):
        if member[g] > 0.0:
            losses[g] = loss_of(experts[g], y, rules)
            expected += p[g] * losses[g]
            too_large = too_large or losses[g] * scale * rules.loss_scale > 1.0 + 1e-9
    played = loss_of(prediction, y, rules)
    paid = expected if rules.combine == EXPECTED else played
    # Under sampling the regrets follow the expected loss, whose regret is the one that is bounded.
    mixture = not rules.feedback_prediction and rules.aggregator == ADANORMALHEDGE
    reference = expected if mixture or rules.combine == SAMPLE else paid
    tally.totals[0] += paid
    if too_large:
        tally.counters[OVERFLOW] += 1
    for g in range(p.shape[0]):
        if member[g] > 0.0:
            _book(tally, rules, g, member[g], reference - losses[g], scale)
            row = tally.groups[g]
            row[LOSS] += member[g] * paid
            row[EXPERT_LOSS] += member[g] * losses[g]
            row[HINDSIGHT] += gain[g]
            row[SIZE] += member[g]
            row[ROWS] += 1.0


@njit(cache=True, nogil=True)
def _book(
    tally: Tally, rules: Rules, g: int, member: float, gap: float, scale: float
) -> None:  # pragma: no cover
    """Add one instantaneous regret to R and C, and to the sum that enters the bound."""
    r = member * gap
    row = tally.groups[g]
    if rules.aggregator == SPECIALISTS:
        row[REGRET] += r * scale
        row[ABS_REGRET] += abs(r) * scale
        return
    unit = scale * rules.loss_scale
    row[DRIFT] += abs(r) * unit / (row[ABS_REGRET] * unit + 1.0)
    row[REGRET] = rules.forgetting * row[REGRET] + r
    row[ABS_REGRET] = rules.forgetting * row[ABS_REGRET] + abs(r)


@njit(cache=True, nogil=True)
def _move_mass(  # noqa: C901 - three passes over the groups, kept together
    member: NDArray, p: NDArray, losses: NDArray, tally: Tally, rules: Rules
) -> None:  # pragma: no cover - compiled
    """Bayes-like update of the active specialists; the total mass stays one, sleeping mass is
    untouched.
    """
    least = np.inf
    for g in range(p.shape[0]):
        if member[g] > 0.0:
            least = min(least, losses[g])
    eta = rules.eta * unit_scale(tally, rules)
    z = 0.0
    for g in range(p.shape[0]):
        if p[g] > 0.0:
            z += p[g] * np.exp(-eta * (losses[g] - least))
    log_z = np.log(z)
    before, after = -np.inf, -np.inf
    for g in range(p.shape[0]):
        if member[g] > 0.0:
            before = np.logaddexp(before, tally.log_mass[g])
            step = -eta * (losses[g] - least) - log_z
            if member[g] < 1.0:
                step = np.log1p(member[g] * np.expm1(step))
            new = tally.log_mass[g] + step
            if rules.forgetting < 1.0:
                new = rules.forgetting * new + (1.0 - rules.forgetting) * tally.log_prior[g]
            tally.log_mass[g] = new
            after = np.logaddexp(after, new)
    if rules.forgetting < 1.0:
        for g in range(p.shape[0]):
            if member[g] > 0.0:
                tally.log_mass[g] += before - after


@njit(cache=True, nogil=True)
def regret_bounds(tally: Tally, rules: Rules, out: NDArray) -> None:  # pragma: no cover - compiled
    """Bound each group's regret to its own expert, for losses in [0, 1]; NaN under forgetting."""
    if rules.forgetting < 1.0:
        out[:] = np.nan
        return
    log_total = log_prior_total(tally.log_prior)
    if rules.aggregator == SPECIALISTS:
        for g in range(out.shape[0]):
            out[g] = (log_total - tally.log_prior[g]) / rules.eta
        return
    log_b = np.log(potential_bound(tally.log_prior, tally.groups[:, DRIFT]))
    unit = unit_scale(tally, rules) * rules.loss_scale
    for g in range(out.shape[0]):
        log_share = log_b + log_total - tally.log_prior[g]
        spread = 3.0 * tally.groups[g, ABS_REGRET] * unit * log_share
        out[g] = np.sqrt(max(spread, 0.0)) / rules.loss_scale


@njit(cache=True, nogil=True)
def _record(tally: Tally, rules: Rules) -> None:  # pragma: no cover - compiled
    """Keep a snapshot; when the store is full drop every second one and look half as often from
    then on.
    """
    capacity = tally.history.shape[0]
    if tally.counters[RECORDS] == capacity:
        for k in range(capacity // 2):
            tally.history[k] = tally.history[2 * k + 1]
            tally.history_rounds[k] = tally.history_rounds[2 * k + 1]
        tally.counters[RECORDS] = capacity // 2
        tally.counters[STRIDE] *= 2
        if tally.counters[ROUNDS] % tally.counters[STRIDE] != 0:
            return
    k = tally.counters[RECORDS]
    scale = unit_scale(tally, rules)
    regret_bounds(tally, rules, tally.history[k, :, 4])
    for g in range(tally.groups.shape[0]):
        tally.history[k, g, 0] = tally.groups[g, SIZE]
        tally.history[k, g, 1] = tally.groups[g, LOSS] * scale
        tally.history[k, g, 2] = tally.groups[g, EXPERT_LOSS] * scale
        tally.history[k, g, 3] = tally.groups[g, HINDSIGHT] * scale
    tally.history_rounds[k] = tally.counters[ROUNDS]
    tally.counters[RECORDS] += 1


@njit(cache=True, nogil=True)
def finite_class(
    models: NDArray,
    y: NDArray,
    weight: NDArray,
    asked: NDArray,
    regret: NDArray,
    abs_regret: NDArray,
    tally: Tally,
    rules: Rules,
    learn: bool,
    out: NDArray,
) -> None:  # pragma: no cover - compiled
    """AdaNormalHedge over a finite class of models for one group, the base learner of small model
    classes.

    ``models`` (n, H) holds the models' predictions, ``regret`` and ``abs_regret`` (H,) the
    group's own state.
    """
    n, n_models = models.shape
    everyone, log_prior = np.ones(n_models), np.full(n_models, -np.log(n_models))
    p, folded, losses = np.empty(n_models), np.empty(n_models), np.empty(n_models)
    for t in range(n):
        if weight[t] == 0.0 and not asked[t]:
            continue
        hedge_weights(everyone, log_prior, regret, abs_regret, p)
        _fold_row(models[t], tally, rules, folded)
        out[t] = np.sum(p * folded)
        if learn and weight[t] > 0.0:
            expected = 0.0
            for h in range(n_models):
                losses[h] = loss_of(folded[h], y[t], rules)
                expected += p[h] * losses[h]
            for h in range(n_models):
                r = weight[t] * (expected - losses[h])
                regret[h] = rules.forgetting * regret[h] + r
                abs_regret[h] = rules.forgetting * abs_regret[h] + abs(r)
