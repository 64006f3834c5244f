"""Compiled core of the re-ranker: noisy snapshots, controllers and the auction loop.

Attributes are laid side by side: attribute p owns the columns ``starts[p]:starts[p + 1]`` of every
(.., L) array. The multiplier table has one row per context (user cluster) and one column per
covered ad, and one more row and column of ones at the end, so that index -1 means "unknown, leave
it alone". The design is our own completion (see the user guide); the impression-variance idea is
that of Timmaraju et al., KDD 2023.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

PI, THRESHOLD, Q, SIGN = 0, 1, 2, 3
Q_LEVELS = np.array([1.0, 1.25, 1.5, 2.0, 3.0, 4.0])
Q_EDGES = np.array([0.025, 0.05, 0.1, 0.2])
SHARE_FLOOR = 0.02  # smallest eligible share that a relative gap is divided by
FIRST_PRICE, SECOND_VALUE, CRITICAL_BID = 0, 1, 2

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Settings(NamedTuple):
    """Scalars of the controller; every field is a number."""

    policy: int
    kp: float
    ki: float
    m_min: float
    m_max: float
    dead_zone: float
    batch_size: int
    min_impressions: int
    anti_windup: bool
    tree: bool
    guarded: bool
    max_value_loss: float
    min_reach: float
    cost: float
    discount: float
    step: float
    explore: float


class Layout(NamedTuple):
    """What is fixed during a run: A covered ads, C contexts, L levels of P attributes."""

    starts: Ints  # (P + 1,)
    weights: Floats  # (L,), attribute weight of each level
    eligible: Floats  # (A, L)
    composition: Floats  # (C, L)
    hold: Floats  # (P,), released impressions below which noise dominates
    m_up: Floats  # (A,)
    m_down: Floats  # (A,)


class State(NamedTuple):
    """What changes; arrays are updated in place."""

    pending: Floats  # (A, L), true counts since the last snapshot
    in_batch: Ints  # (A,)
    impressions: Ints  # (A,)
    snapshots: Ints  # (A,)
    counts: Floats  # (A, L), true counts up to the last snapshot
    nodes: Floats  # (A, J, L), noise of the open nodes
    released: Floats  # (A, L), all that a controller may look at
    integral: Floats  # (A, L)
    weights: Floats  # (A, L), log-weights (pi) or direction of the gradient (others)
    clipped: Floats  # (A,), share of the ad's multipliers at a bound
    table: Floats  # (C + 1, A + 1)
    guard: Floats  # (A, 4): shown, unadjusted wins, own value, value of the unadjusted winners
    q_table: Floats  # (S, len(Q_LEVELS))
    q_memory: Floats  # (A, 3): last state (-1 for none), last action, summed variance then


@njit(cache=True, nogil=True)
def cumulative_noise(
    nodes: Floats, n_batches: int, fresh: Floats, tree: bool, out: Floats
) -> None:
    """Add the noise of batch number ``n_batches`` (from 1) and write the noise of the running sum
    to ``out``.

    Without ``tree`` every batch has its own noise and the sum keeps all of it. With ``tree``, node
    j covers 2**j batches, and the running sum after B batches is made of the nodes of the binary
    digits of B; the only node that is new at B is that of its lowest digit.
    """
    if not tree:
        nodes[0] += fresh
        out[:] = nodes[0]
        return
    level = 0
    while (n_batches >> level) & 1 == 0:
        level += 1
    nodes[level] = fresh
    out[:] = 0.0
    for j in range(nodes.shape[0]):
        if (n_batches >> j) & 1:
            out += nodes[j]


@njit(cache=True, nogil=True)
def shares_from_released(released: Floats, eligible: Floats, out: Floats) -> None:
    """Delivery shares of released counts: negatives clipped; parity without any count."""
    total = 0.0
    for k in range(released.size):
        out[k] = max(released[k], 0.0)
        total += out[k]
    for k in range(released.size):
        out[k] = out[k] / total if total > 0 else eligible[k]


@njit(cache=True, nogil=True)
def pi_weights(
    share: Floats,
    eligible: Floats,
    kp: float,
    ki: float,
    integrate: bool,
    integral: Floats,
    out: Floats,
) -> None:
    """Proportional-integral step on the log-multipliers of one attribute; updates ``integral``."""
    centre = 0.0
    for k in range(share.size):
        gap = (eligible[k] - share[k]) / max(eligible[k], SHARE_FLOOR)
        if integrate:
            integral[k] += ki * gap
        centre += eligible[k] * integral[k]
        out[k] = kp * gap
    for k in range(share.size):
        integral[k] -= centre
        out[k] += integral[k]


@njit(cache=True, nogil=True)
def gradient_index(share: Floats, eligible: Floats, out: Floats) -> None:
    """Minus N times the change of the variance caused by one more impression in each level."""
    under = 0.0
    for k in range(share.size):
        if eligible[k] > share[k]:
            under += share[k]
    for k in range(share.size):
        out[k] = (1.0 if eligible[k] > share[k] else 0.0) - under


@njit(cache=True, nogil=True)
def _direction(
    settings: Settings,
    share: Floats,
    eligible: Floats,
    integrate: bool,
    integral: Floats,
    out: Floats,
) -> None:
    if settings.policy == PI:
        pi_weights(share, eligible, settings.kp, settings.ki, integrate, integral, out)
    elif settings.policy == SIGN:
        out[:] = np.sign(eligible - share)
    else:
        gradient_index(share, eligible, out)


@njit(cache=True, nogil=True)
def _q_level(
    state: State, settings: Settings, ad: int, code: int, total: float, uniform: Floats
) -> float:
    """Learn from the last action of the ad, choose the next one, return its boost level."""
    q, memory = state.q_table, state.q_memory[ad]
    if memory[0] >= 0 and settings.step > 0:
        last, action = int(memory[0]), int(memory[1])
        scale = state.impressions[ad] / settings.batch_size
        reward = scale * (memory[2] - total) - settings.cost * (Q_LEVELS[action] - 1.0)
        target = reward + settings.discount * q[code].max()
        q[last, action] += settings.step * (target - q[last, action])
    action = int(np.argmax(q[code]))
    if uniform[0] < settings.explore:
        action = int(uniform[1] * Q_LEVELS.size)
    memory[0], memory[1], memory[2] = code, action, total
    return Q_LEVELS[action]


@njit(cache=True, nogil=True)
def _multiplier(settings: Settings, z: float, up: float, down: float) -> float:
    if settings.policy == PI:
        m = np.exp(z)
    elif z > settings.dead_zone:
        m = up
    elif z < -settings.dead_zone:
        m = down
    else:
        m = 1.0
    return min(max(m, settings.m_min), settings.m_max)


@njit(cache=True, nogil=True)
def fill_multipliers(
    state: State, settings: Settings, layout: Layout, ad: int, up: float, down: float
) -> None:
    """Write the ad's column of the multiplier table and the share of it that lies at a bound."""
    guard = state.guard[ad]
    no_boost = settings.guarded and guard[3] - guard[2] > settings.max_value_loss * guard[3]
    no_cut = settings.guarded and guard[0] < settings.min_reach * guard[1]
    clipped, n_contexts = 0, layout.composition.shape[0]
    for c in range(n_contexts):
        z = 0.0
        for k in range(layout.weights.size):
            z += layout.weights[k] * layout.composition[c, k] * state.weights[ad, k]
        m = _multiplier(settings, z, up, down)
        clipped += m == settings.m_min or m == settings.m_max
        if no_boost:
            m = min(m, 1.0)
        if no_cut:
            m = max(m, 1.0)
        state.table[c, ad] = m
    state.clipped[ad] = clipped / n_contexts


@njit(cache=True, nogil=True)
def snapshot(
    state: State, settings: Settings, layout: Layout, ad: int, fresh: Floats, uniform: Floats
) -> None:
    """Release the ad's counts with noise and set its multipliers from these alone."""
    state.snapshots[ad] += 1
    state.in_batch[ad] = 0
    state.counts[ad] += state.pending[ad]
    state.pending[ad] = 0.0
    released = state.released[ad]
    cumulative_noise(state.nodes[ad], state.snapshots[ad], fresh, settings.tree, released)
    released += state.counts[ad]
    if state.impressions[ad] <= settings.min_impressions:
        return
    share = np.empty(released.size)
    integrate = not (settings.anti_windup and state.clipped[ad] > 0.5)
    code, total, held = 0, 0.0, 0
    for p in range(layout.starts.size - 1):
        a, b = layout.starts[p], layout.starts[p + 1]
        shares_from_released(released[a:b], layout.eligible[ad, a:b], share[a:b])
        variance = 0.5 * np.abs(share[a:b] - layout.eligible[ad, a:b]).sum()
        total += variance
        code = code * (Q_EDGES.size + 1) + np.searchsorted(Q_EDGES, variance)
        if released[a:b].sum() < layout.hold[p]:
            held += 1
            continue
        _direction(
            settings, share[a:b], layout.eligible[ad, a:b], integrate,
            state.integral[ad, a:b], state.weights[ad, a:b],
        )  # fmt: skip
    if held == layout.starts.size - 1:
        return
    up, down = layout.m_up[ad], layout.m_down[ad]
    if settings.policy == Q:
        up = _q_level(state, settings, ad, code, total, uniform)
        down = 1.0 / up
    fill_multipliers(state, settings, layout, ad, up, down)


@njit(cache=True, nogil=True)
def _count(state: State, settings: Settings, ad: int, row: Floats) -> bool:
    """Count one impression; say whether the ad's snapshot is due."""
    state.pending[ad] += row
    state.impressions[ad] += 1
    state.in_batch[ad] += 1
    return state.in_batch[ad] >= settings.batch_size


@njit(cache=True, nogil=True)
def count_impressions(
    state: State,
    settings: Settings,
    layout: Layout,
    ads: Ints,
    contexts: Ints,
    rows: Floats,
    outcome: Floats,
    noise: Floats,
    uniforms: Floats,
) -> Floats:
    """Feed delivered impressions in time order; return the multiplier each had before it was
    counted.

    ``rows`` is (n, L), ``outcome`` (n, 3) with the index of the unadjusted winner (-1: none of the
    covered ads), the value of the shown ad and that of the unadjusted winner, or (0, 3) when no
    guardrail needs it; ``noise`` and ``uniforms`` hold one row per snapshot.
    """
    before = np.empty(ads.size)
    used = 0
    for i in range(ads.size):
        ad = ads[i]
        before[i] = state.table[contexts[i], ad]
        if settings.guarded:
            if outcome[i, 0] >= 0:
                state.guard[int(outcome[i, 0]), 1] += 1
            if ad >= 0:
                state.guard[ad, 0] += 1
                state.guard[ad, 2] += outcome[i, 1]
                state.guard[ad, 3] += outcome[i, 2]
        if ad >= 0 and _count(state, settings, ad, rows[i]):
            snapshot(state, settings, layout, ad, noise[used], uniforms[used])
            used += 1
    return before


@njit(cache=True, nogil=True)
def _best(total: Floats, taken: Ints, n_taken: int) -> int:
    """Index of the largest total value outside ``taken[:n_taken]``, first on ties; -1: none."""
    best, winner = -np.inf, -1
    for j in range(total.size):
        if total[j] > best:
            free = True
            for s in range(n_taken):
                free = free and taken[s] != j
            if free:
                best, winner = total[j], j
    return winner


@njit(cache=True, nogil=True)
def _price(rule: int, value: float, total: float, quality: float, runner_up: float) -> float:
    """Payment for a slot; ``runner_up`` is the next ad's total value, -inf if there is none."""
    if rule == FIRST_PRICE:
        return value
    if runner_up == -np.inf:
        return 0.0
    if rule == SECOND_VALUE:
        return runner_up
    multiplier = (total - quality) / value if value > 0 else 1.0
    return max((runner_up - quality) / multiplier, 0.0)


@njit(cache=True, nogil=True)
def _auction_totals(
    values: Floats, quality: Floats, t: int, pace: Floats, factor: Floats, out: Floats
) -> None:
    """Total values of the ads in auction t; -inf for one that may not be shown (factor 0)."""
    if quality.shape[0] > 0:
        for j in range(out.size):
            total = values[t, j] * pace[j] * factor[j] + quality[t, j]
            out[j] = total if factor[j] > 0 else -np.inf
    else:
        for j in range(out.size):
            out[j] = values[t, j] * pace[j] * factor[j] if factor[j] > 0 else -np.inf


@njit(cache=True, nogil=True)
def _fill_slots(total: Floats, n_slots: int, following: bool, taken: Ints) -> int:
    """Write the ads shown, and the next one if asked, to ``taken``; return how many are shown."""
    taken[:] = -1
    for s in range(n_slots + following):
        taken[s] = _best(total, taken, s)
        if taken[s] < 0:
            return s
    return n_slots


@njit(cache=True, nogil=True)
def _charge(
    rule: int,
    values: Floats,
    quality: Floats,
    t: int,
    pace: Floats,
    total: Floats,
    taken: Ints,
    n_shown: int,
    out: Floats,
) -> None:
    """Write the payments of the filled slots."""
    for s in range(n_shown):
        j, following = taken[s], taken[s + 1]
        worth = quality[t, j] if quality.shape[0] > 0 else 0.0
        runner_up = total[following] if following >= 0 else -np.inf
        out[s] = _price(rule, values[t, j] * pace[j], total[j], worth, runner_up)


@njit(cache=True, nogil=True)
def run_auctions(
    state: State,
    settings: Settings,
    layout: Layout,
    values: Floats,
    quality: Floats,
    contexts: Ints,
    rows: Floats,
    cells: Ints,
    allowed: Floats,
    targets: Floats,
    pacing: float,
    n_slots: int,
    rule: int,
    noise: Floats,
    uniforms: Floats,
) -> tuple[Ints, Floats]:
    """Run T auctions of n ads, the first A of them covered, in closed loop with the controller.

    ``values`` (T, n) are bid times estimated action rate (NaN: not a candidate), ``quality``
    (T, n) or (0, n), ``cells`` (T,) the rows of ``rows`` (.., L) to count for the user,
    ``allowed`` (C, n) 1 or 0, ``targets`` (n,). Returns the winners (T, n_slots), -1 for an empty
    slot, and their payments. Snapshots happen at the impression that makes them due.
    """
    n_auctions, n_ads = values.shape
    n_covered, n_contexts = layout.eligible.shape[0], allowed.shape[0]
    winners = np.full((n_auctions, n_slots), -1)
    payments = np.zeros((n_auctions, n_slots))
    pace, growth, brake = np.ones(n_ads), np.exp(pacing * targets), np.exp(-pacing)
    total, taken, used = np.empty(n_ads), np.empty(n_slots + 1, np.int64), 0
    factor = allowed.copy()
    factor[:, :n_covered] *= state.table[:n_contexts, :n_covered]
    for t in range(n_auctions):
        c = contexts[t]
        _auction_totals(values, quality, t, pace, factor[c], total)
        n_shown = _fill_slots(total, n_slots, rule != FIRST_PRICE, taken)
        winners[t] = taken[:n_slots]
        _charge(rule, values, quality, t, pace, total, taken, n_shown, payments[t])
        if settings.guarded:
            _note_outcome(state, n_covered, values[t], quality, t, pace, allowed[c], winners[t])
        for s in range(n_shown):
            j = taken[s]
            pace[j] *= brake
            if j < n_covered and _count(state, settings, j, rows[cells[t]]):
                snapshot(state, settings, layout, j, noise[used], uniforms[used])
                factor[:, j] = allowed[:, j] * state.table[:n_contexts, j]
                used += 1
        for j in range(n_ads):
            pace[j] *= growth[j]
    return winners, payments


@njit(cache=True, nogil=True)
def _note_outcome(
    state: State,
    n_covered: int,
    values: Floats,
    quality: Floats,
    t: int,
    pace: Floats,
    allowed: Floats,
    winners: Ints,
) -> None:
    """Note for the guardrails how each slot differs from the ranking without multipliers."""
    base = np.where(allowed > 0, values * pace, -np.inf)
    if quality.shape[0] > 0:
        base += quality[t]
    usual = np.empty(winners.size, np.int64)
    for s in range(winners.size):
        usual[s] = _best(base, usual, s)
        j = winners[s]
        if j < 0:
            break
        if usual[s] < n_covered:
            state.guard[usual[s], 1] += 1
        if j < n_covered:
            state.guard[j, 0] += 1
            state.guard[j, 2] += base[j]
            state.guard[j, 3] += base[usual[s]]


@njit(cache=True, nogil=True)
def total_values(
    values: Floats,
    quality: Floats,
    ads: Ints,
    contexts: Ints,
    mask: NDArray[np.bool_],
    table: Floats,
) -> Floats:
    """Multiplied values plus quality of (n, k) candidates, -inf where the mask is False."""
    n, k = values.shape
    out = np.empty((n, k))
    for i in range(n):
        row = table[contexts[i]]
        for j in range(k):
            total = values[i, j] * row[ads[i, j]]
            if quality.size > 0:
                total += quality[i, j]
            out[i, j] = total if mask.size == 0 or mask[i, j] else -np.inf
    return out
