"""How a re-ranker's parameters are chosen: calibration, search, Q-learning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from joblib import Parallel, delayed
from numpy.typing import NDArray

from fairgroup.ranking import _kernels as k
from fairgroup.ranking._auctions import AuctionLog
from fairgroup.ranking._policies import calibrated_multipliers, critical_multipliers
from fairgroup.ranking._result import level_counts
from fairgroup.ranking._search import cross_entropy_search
from fairgroup.ranking._variance import impression_variance

if TYPE_CHECKING:
    from fairgroup.ranking._reranker import VarianceAwareReranker

Floats = NDArray[np.float64]
_EXPLORE = (0.5, 0.05)  # of the Q policy, first and last episode


def starting_parameters(
    reranker: VarianceAwareReranker, logs: Sequence[AuctionLog]
) -> dict[str, Any]:
    """The constructor's parameters, with the documented meaning of None filled in."""
    r = reranker
    up, down = r.m_up, r.m_down
    if (up is None or down is None) and r.policy in ("threshold", "sign"):
        if not logs:
            raise ValueError(
                "m_up=None and m_down=None are calibrated on auctions; give some to fit."
            )
        found = np.array(
            [calibrated_multipliers(column) for column in critical_multipliers(logs[0]).T]
        )
        up = np.clip(found[:, 0], 1.0, r.m_max) if up is None else up
        down = np.clip(found[:, 1], r.m_min, 1.0) if down is None else down
    return {
        "kp": float(r.kp),
        "ki": 0.002 * r.batch_size if r.ki is None else float(r.ki),
        "m_min": float(r.m_min),
        "m_max": float(r.m_max),
        "m_up": 1.0 if up is None else up,
        "m_down": 1.0 if down is None else down,
        "dead_zone": float(r.dead_zone),
    }


def search_parameters(
    reranker: VarianceAwareReranker,
    logs: Sequence[AuctionLog],
    start: dict[str, Any],
    rng: np.random.Generator,
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Cross-entropy search of the parameters; all candidates see the same worlds and noise."""
    names, first, spread, bounds = _space(reranker, start)
    seeds = [int(s) for s in rng.integers(0, 2**62, len(logs))]
    untouched = {**start, "m_min": 1.0, "m_max": 1.0}
    usual = [
        _score(log, *_outcome(reranker, log, untouched, seed), reranker)
        for log, seed in zip(logs, seeds, strict=True)
    ]
    if any(np.isnan(coverage) for coverage, _ in usual):
        raise ValueError(
            f"No covered ad gets more than {reranker.coverage_min_impressions} impressions in a "
            "world; use more auctions or a smaller coverage_min_impressions."
        )

    def objective(candidates: Floats) -> Floats:
        def one(candidate: Floats, log: AuctionLog, seed: int, value: float) -> float:
            params = _read(start, names, candidate)
            coverage, total = _score(log, *_outcome(reranker, log, params, seed), reranker)
            return coverage - reranker.cost_weight * (1 - total / value)

        jobs = [
            delayed(one)(candidate, log, seed, value)
            for candidate in candidates
            for log, seed, (_, value) in zip(logs, seeds, usual, strict=True)
        ]
        scores = Parallel(n_jobs=reranker.n_jobs, prefer="threads")(jobs)
        return np.nanmean(np.reshape(scores, (len(candidates), len(logs))), axis=1)

    best, history = cross_entropy_search(
        objective, first, spread, bounds,
        n_iterations=reranker.search_iterations,
        n_candidates=reranker.search_candidates,
        n_elite=max(2, reranker.search_candidates // 4),
        rng=rng,
        verbose=reranker.verbose,
    )  # fmt: skip
    return _read(start, names, best), history


def learn_q_table(
    reranker: VarianceAwareReranker,
    logs: Sequence[AuctionLog],
    params: dict[str, Any],
    rng: np.random.Generator,
) -> tuple[Floats, list[dict[str, Any]]]:
    """Tabular Q-learning over episodes in simulation; all ads share one table."""
    table: Floats | None = None
    history = []
    n_episodes = max(1, reranker.search_iterations * len(logs))
    for episode in range(n_episodes):
        explore = _EXPLORE[0] + (_EXPLORE[1] - _EXPLORE[0]) * episode / max(1, n_episodes - 1)
        log, seed = logs[episode % len(logs)], int(rng.integers(0, 2**62))
        outcome = _outcome(
            reranker,
            log,
            params,
            seed,
            q_table=table,
            explore=explore,
            step=reranker.learning_rate,
        )
        table = outcome[1].q_table
        coverage, total = _score(log, *outcome, reranker)
        history.append({"explore": explore, "coverage": coverage, "total_value": total})
    assert table is not None
    return table, history


def _space(
    reranker: VarianceAwareReranker, start: dict[str, Any]
) -> tuple[list[str], Floats, Floats, Floats]:
    """Searched parameters: names, start, spread, bounds (within the constructor's limits)."""
    top, bottom = np.log(reranker.m_max), np.log(reranker.m_min)
    if reranker.policy == "pi":
        names = ["kp", "ki", "log_limit"]
        limit = max(top, -bottom)
        first = [start["kp"], start["ki"], limit]
        spread = [max(start["kp"], 1.0) / 2, max(start["ki"], 0.1) / 2, 0.5]
        bounds = [[0.0, 32.0], [0.0, 1.0], [0.0, limit]]
    else:
        names = ["log_up", "log_down", "dead_zone"]
        first = [
            np.mean(np.log(start["m_up"])),
            np.mean(np.log(start["m_down"])),
            start["dead_zone"],
        ]
        spread, bounds = [0.4, 0.4, 0.1], [[0.0, top], [bottom, 0.0], [0.0, 1.0]]
    return names, np.array(first), np.array(spread), np.array(bounds)


def _read(start: dict[str, Any], names: list[str], candidate: Floats) -> dict[str, Any]:
    found = dict(zip(names, candidate.tolist(), strict=True))
    if "log_limit" in found:
        limit = float(np.exp(found.pop("log_limit")))
        found |= {"m_max": min(start["m_max"], limit), "m_min": max(start["m_min"], 1 / limit)}
    if "log_up" in found:
        found |= {
            "m_up": float(np.exp(found.pop("log_up"))),
            "m_down": float(np.exp(found.pop("log_down"))),
        }
    return {**start, **found}


def _outcome(
    reranker: VarianceAwareReranker,
    log: AuctionLog,
    params: dict[str, Any],
    seed: int,
    **learning: Any,
) -> tuple[NDArray[np.int64], k.State]:
    winners, _, state = reranker._play(
        log, params, n_slots=1, payment="first", rng=np.random.default_rng(seed), **learning
    )
    return winners, state


def _score(
    log: AuctionLog, winners: NDArray[np.int64], state: k.State, reranker: VarianceAwareReranker
) -> tuple[float, float]:
    """Mean coverage over attributes (NaN without a large enough ad), and total value."""
    coverages = []
    for a, counts in level_counts(log, winners).items():
        enough = counts.sum(axis=1) > reranker.coverage_min_impressions
        near = impression_variance(counts, log.eligible[a]) <= reranker.coverage_threshold + 1e-12
        coverages.append(near[enough].mean() if enough.any() else np.nan)
    shown = winners[:, 0] >= 0
    return float(np.mean(coverages)), float(log.values[shown, winners[shown, 0]].sum())
