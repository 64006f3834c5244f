"""From a re-ranker's parameters to the arrays of the compiled loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from fairgroup.ranking import _kernels as k
from fairgroup.ranking._auctions import AuctionLog, flat_levels
from fairgroup.ranking._noise import NoisyCounter

Floats = NDArray[np.float64]
POLICIES = {"pi": k.PI, "threshold": k.THRESHOLD, "q": k.Q, "sign": k.SIGN}
PAYMENTS = {"first": k.FIRST_PRICE, "second": k.SECOND_VALUE, "critical": k.CRITICAL_BID}


def calibrated_multipliers(
    critical: ArrayLike, *, top: float = 0.40, bottom: float = 0.85
) -> tuple[float, float]:
    """Multipliers with which a boosted ad wins ``top`` of its auctions and a cut one loses
    ``bottom`` of them.

    ``critical`` are the ad's critical multipliers: (best other total value - quality) / (bid times
    action rate). The levels 40 % and 85 % are those of a third-party simulation.
    """
    ratios = np.asarray(critical, dtype=np.float64)
    ratios = ratios[np.isfinite(ratios)]
    if not ratios.size:
        return 1.0, 1.0
    up, down = np.quantile(ratios, [top, 1 - bottom])
    return float(up), float(down)


def critical_multipliers(log: AuctionLog) -> Floats:
    """Critical multiplier of every auction and covered ad (T, A); NaN: no candidate."""
    values = np.where(log.allowed[log.clusters] > 0, log.values, np.nan)
    quality = log.quality if len(log.quality) else np.zeros((1, 1))
    total = np.where(np.isnan(values), -np.inf, values + quality)
    order = np.partition(total, -2, axis=1)[:, -2:]
    best, is_best = order[:, 1:], total[:, : log.n_covered] >= order[:, 1:]
    other = np.where(is_best, order[:, :1], best)
    with np.errstate(divide="ignore", invalid="ignore"):
        own = np.broadcast_to(quality, total.shape)[:, : log.n_covered]
        ratio = (other - own) / values[:, : log.n_covered]
    return np.where(np.isfinite(ratio), ratio, np.nan)


def make_layout(
    eligible: Mapping[str, Floats],
    composition: Mapping[str, Floats],
    *,
    weights: Mapping[str, float] | None,
    hold: Floats,
    m_up: ArrayLike,
    m_down: ArrayLike,
) -> k.Layout:
    """Lay the attributes side by side."""
    sizes = [e.shape[1] for e in eligible.values()]
    n_ads = len(next(iter(eligible.values())))
    per_attribute = [1.0 if weights is None else float(weights.get(a, 1.0)) for a in eligible]
    return k.Layout(
        starts=np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64),
        weights=np.repeat(per_attribute, sizes),
        eligible=np.ascontiguousarray(np.concatenate(list(eligible.values()), axis=1)),
        composition=np.ascontiguousarray(
            np.concatenate([composition[a] for a in eligible], axis=1)
        ),
        hold=np.asarray(hold, dtype=np.float64),
        m_up=np.ascontiguousarray(np.broadcast_to(m_up, n_ads), dtype=np.float64),
        m_down=np.ascontiguousarray(np.broadcast_to(m_down, n_ads), dtype=np.float64),
    )


def empty_state(layout: k.Layout, *, n_nodes: int, q_table: Floats | None) -> k.State:
    """State before the first impression: every multiplier is one."""
    n_ads, n_levels = layout.eligible.shape
    n_states = (k.Q_EDGES.size + 1) ** (layout.starts.size - 1)
    table = np.zeros((n_states, k.Q_LEVELS.size)) if q_table is None else q_table.copy()
    memory = np.zeros((n_ads, 3))
    memory[:, 0] = -1
    return k.State(
        pending=np.zeros((n_ads, n_levels)),
        in_batch=np.zeros(n_ads, dtype=np.int64),
        impressions=np.zeros(n_ads, dtype=np.int64),
        snapshots=np.zeros(n_ads, dtype=np.int64),
        counts=np.zeros((n_ads, n_levels)),
        nodes=np.zeros((n_ads, n_nodes, n_levels)),
        released=np.zeros((n_ads, n_levels)),
        integral=np.zeros((n_ads, n_levels)),
        weights=np.zeros((n_ads, n_levels)),
        clipped=np.zeros(n_ads),
        table=np.ones((len(layout.composition) + 1, n_ads + 1)),
        guard=np.zeros((n_ads, 4)),
        q_table=table,
        q_memory=memory,
    )


def hold_levels(sizes: list[int], batch_size: int, noise: NoisyCounter | None) -> Floats:
    """Released totals below which weights are kept: max(batch, 5 K sigma); 0 without noise."""
    if noise is None or noise.noise is None:
        return np.zeros(len(sizes))
    sigma = float(np.sqrt(noise.noise_variance(1)))
    return np.array([max(batch_size, 5 * size * sigma) for size in sizes], dtype=np.float64)


def individual_contexts(log: AuctionLog) -> tuple[dict[str, Floats], NDArray[np.int64], Floats]:
    """Contexts of the audit policy (cluster and own levels): composition, codes, targeting."""
    rows, cells = flat_levels(log.levels, log.n_levels)
    n_cells, n_clusters = len(rows), len(log.allowed)
    tiled = np.tile(rows, (n_clusters, 1))
    edges = np.cumsum(list(log.n_levels.values()))[:-1]
    composition = dict(zip(log.levels, np.split(tiled, edges, axis=1), strict=True))
    return composition, log.clusters * n_cells + cells, np.repeat(log.allowed, n_cells, axis=0)


def run_log(
    log: AuctionLog,
    settings: k.Settings,
    layout: k.Layout,
    *,
    noise: NoisyCounter | None,
    n_slots: int,
    payment: int,
    rng: np.random.Generator,
    q_table: Floats | None = None,
    contexts: tuple[Any, Any] | None = None,
) -> tuple[NDArray[np.int64], Floats, k.State]:
    """Run a log in closed loop with a fresh controller; winners, payments, final state."""
    rows, cells = flat_levels(log.levels, log.n_levels)
    state = empty_state(layout, n_nodes=1 if noise is None else noise.n_nodes, q_table=q_table)
    n_snapshots = log.n_auctions * n_slots // settings.batch_size + 1
    fresh = np.zeros((n_snapshots, rows.shape[1]))
    if noise is not None:
        fresh = noise.draw(fresh.shape, rng)
    uniforms = rng.random((n_snapshots, 2))
    user_contexts, allowed = (log.clusters, log.allowed) if contexts is None else contexts
    winners, payments = k.run_auctions(
        state, settings, layout, log.values, log.quality, user_contexts, rows, cells, allowed,
        log.targets, log.pacing, n_slots, payment, fresh, uniforms,
    )  # fmt: skip
    return winners, payments, state


def split_levels(flat: Floats, sizes: Mapping[str, int]) -> dict[str, Floats]:
    """Columns of each attribute."""
    ends = np.cumsum(list(sizes.values()))
    return dict(zip(sizes, np.split(flat, ends[:-1], axis=1), strict=True))
