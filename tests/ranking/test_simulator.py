"""The closed loop against a slow one, and the acceptance numbers of the reference world."""

import numpy as np
import pytest
from sklearn.exceptions import UndefinedMetricWarning

from fairgroup.ranking import (
    AdAuctionSimulator,
    AuctionLog,
    NoisyCounter,
    VarianceAwareReranker,
    impression_variance,
)

SMALL = {
    "n_covered": 4,
    "n_other": 3,
    "n_clusters": 8,
    "n_auctions": 6_000,
    "n_users": 500,
    "random_state": 0,
}


def slow_loop(log, reranker, n_slots):
    """Auction by auction, through the public methods; pacing as a log-offset."""
    reranker = reranker.fit(eligible=log.eligible, composition=log.composition)
    offset, winners = np.zeros(log.values.shape[1]), []
    for t in range(log.n_auctions):
        c, own = log.clusters[t], {a: v[t : t + 1] for a, v in log.levels.items()}
        order = reranker.rerank(
            log.values[t] * np.exp(offset),
            ad_ids=np.arange(len(offset)),
            clusters=[c],
            eligible_mask=log.allowed[c] > 0,
            sensitive_features=own if reranker.policy == "sign" else None,
            top=n_slots,
        )
        winners.append(order)
        for j in order[order >= 0]:
            offset[j] -= log.pacing
            reranker.partial_fit([j], cluster=[c], sensitive_features=own)
        offset += log.pacing * log.targets
    return np.array(winners), reranker


def chunked_loop(log, reranker):
    """Without pacing, chunks that end at the first snapshot are exact."""
    reranker = reranker.fit(eligible=log.eligible, composition=log.composition)
    winners, start = [], 0
    while start < log.n_auctions:
        rows = slice(start, None)
        order = reranker.rerank(
            log.values[rows],
            ad_ids=np.arange(log.values.shape[1]),
            clusters=log.clusters[rows],
            eligible_mask=log.allowed[log.clusters[rows]] > 0,
            top=1,
        )[:, 0]
        ends = []
        for a in range(log.n_covered):
            hits = np.flatnonzero(order == a)
            left = reranker.batch_size - reranker.n_impressions_[a] % reranker.batch_size
            ends += [hits[left - 1]] if len(hits) >= left else []
        n = min(ends, default=len(order) - 1) + 1
        sensitive = {a: v[start : start + n] for a, v in log.levels.items()}
        reranker.partial_fit(
            order[:n], cluster=log.clusters[start : start + n], sensitive_features=sensitive
        )
        winners.append(order[:n])
        start += n
    return np.concatenate(winners), reranker


@pytest.mark.parametrize("n_slots", [1, 2])
@pytest.mark.parametrize("policy", ["pi", "threshold", "sign"])
def test_compiled_loop_equals_the_slow_one(policy, n_slots):
    log = AdAuctionSimulator(**{**SMALL, "n_auctions": 1500}).sample()[0]
    reranker = VarianceAwareReranker(
        policy, batch_size=20, allow_individual_attributes=policy == "sign"
    )
    fast = reranker.simulate(log, n_slots=n_slots)
    winners, live = slow_loop(log, reranker, n_slots)
    np.testing.assert_array_equal(fast.winners, winners)
    if policy != "sign":  # its table in the simulation has a row for every cluster and cell
        np.testing.assert_allclose(fast.multipliers, live.multiplier_table_, rtol=1e-12)
    for a in log.levels:
        np.testing.assert_array_equal(fast.released_counts[a], live.released_counts_[a])


def test_compiled_loop_equals_chunks_that_end_at_snapshots():
    log = AdAuctionSimulator(**{**SMALL, "pacing": 0.0}).sample()[0]
    reranker = VarianceAwareReranker(batch_size=40)
    winners, live = chunked_loop(log, reranker)
    fast = reranker.simulate(log)
    np.testing.assert_array_equal(fast.winners[:, 0], winners)
    np.testing.assert_allclose(fast.multipliers, live.multiplier_table_, rtol=1e-12)
    assert live.n_snapshots_.sum() > 30


def test_results_add_up():
    sim = AdAuctionSimulator(**SMALL)
    log, result = sim.sample()[0], sim.run()
    won = result.winners[:, 0]
    assert result.total_value == pytest.approx(log.values[np.arange(len(won)), won].sum())
    for a, codes in log.levels.items():
        for ad in range(log.n_covered):
            np.testing.assert_array_equal(
                result.counts[a][ad], np.bincount(codes[won == ad], minlength=log.n_levels[a])
            )
    reach = [len(np.unique(log.users[won == ad])) for ad in range(log.n_covered)]
    np.testing.assert_array_equal(result.reach, reach)
    np.testing.assert_array_equal(result.n_impressions, result.counts["race"].sum(axis=1))
    assert set(result.to_frame().columns) >= {"impressions", "reach", "cost", "variance_sex"}
    assert (log.allowed[log.clusters, won] > 0).all()
    by_users = result.coverage_at(0.2, min_impressions=0, users=True)
    assert by_users["sex"] == np.mean(
        impression_variance(result.user_counts["sex"], log.eligible["sex"]) <= 0.2
    )
    same = result.compare(result)
    np.testing.assert_allclose(same, 1.0)


def test_eligible_audience_is_that_of_the_allowed_clusters():
    log = AdAuctionSimulator(**{**SMALL, "n_auctions": 200_000}).sample()[0]
    for ad in range(2):
        open_to = log.allowed[log.clusters, ad] > 0
        seen = np.bincount(log.levels["race"][open_to], minlength=4) / open_to.sum()
        np.testing.assert_allclose(seen, log.eligible["race"][ad], atol=0.006)


def test_users_keep_their_groups_and_cluster():
    log = AdAuctionSimulator(**SMALL).sample()[0]
    for codes in (*log.levels.values(), log.clusters):
        first = {}
        assert all(first.setdefault(u, c) == c for u, c in zip(log.users, codes, strict=True))


def test_reproducible_and_independent_of_threads_and_number_of_worlds():
    sim = AdAuctionSimulator(**SMALL)
    noisy = VarianceAwareReranker(noise=NoisyCounter(epsilon=0.5))
    one, three = (
        sim.run_worlds(noisy, n_worlds=3, n_jobs=1),
        sim.run_worlds(noisy, n_worlds=3, n_jobs=2),
    )
    for a, b in zip(one, three, strict=True):
        np.testing.assert_array_equal(a.winners, b.winners)
        np.testing.assert_array_equal(a.released_counts["sex"], b.released_counts["sex"])
    np.testing.assert_array_equal(sim.run(noisy).winners, one[0].winners)
    assert not np.array_equal(one[0].winners, one[1].winners)


def test_slots_hold_different_ads_and_prices_fall():
    result = AdAuctionSimulator(**{**SMALL, "n_slots": 3, "pacing": 0.0}).run()
    assert (np.diff(np.sort(result.winners, axis=1), axis=1) > 0).all()
    log = AuctionLog([[3.0, 2.0, 1.0]], [0], {"a": [0]}, {"a": [[0.5, 0.5]]})
    costs = {}
    for payment in ("first", "second", "critical"):
        with pytest.warns(UndefinedMetricWarning, match="more than 300"):
            result = VarianceAwareReranker().simulate(log, payment=payment)
        costs[payment] = result.cost[0]
    assert costs == {"first": 3.0, "second": 2.0, "critical": 2.0}


def test_empty_slots_and_quality():
    values = [[np.nan, np.nan], [1.0, np.nan], [1.0, 2.0]]
    log = AuctionLog(
        values,
        [0, 0, 0],
        {"a": [0, 1, 0]},
        {"a": [[0.5, 0.5]]},
        quality=np.array([[0, 0], [0, 0], [5, 0.0]]),
    )
    with pytest.warns(UndefinedMetricWarning, match="more than 300"):
        result = VarianceAwareReranker().simulate(log)
    np.testing.assert_array_equal(result.winners[:, 0], [-1, 0, 0])
    assert result.cost[0] == 0.0  # the runner-up of the last auction is below the quality alone


def test_log_composition_defaults_to_its_own_frequencies():
    log = AuctionLog(np.ones((4, 1)), [0, 0, 1, 1], {"a": [0, 0, 1, 1]}, {"a": [[0.5, 0.5]]})
    np.testing.assert_allclose(log.composition["a"], [[2.5 / 3, 0.5 / 3], [0.5 / 3, 2.5 / 3]])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": [[-1.0]]}, "values must not be negative"),
        ({"clusters": [-1]}, "clusters must be"),
        ({"levels": {"b": [0]}}, "same attributes"),
        ({"eligible": {"a": [[0.5, 0.5], [0.5, 0.5]]}}, "only 1 columns"),
    ],
)
def test_bad_logs(change, message):
    good = {
        "values": [[1.0]],
        "clusters": [0],
        "levels": {"a": [0]},
        "eligible": {"a": [[0.5, 0.5]]},
    }
    with pytest.raises(ValueError, match=message):
        AuctionLog(**{**good, **change})


def test_guardrails_in_closed_loop():
    sim = AdAuctionSimulator(**{**SMALL, "n_auctions": 30_000, "skew": 0.6})
    free, careful = (
        sim.run(VarianceAwareReranker()),
        sim.run(VarianceAwareReranker(max_value_loss=0.03)),
    )
    usual = sim.run()
    assert usual.total_value > careful.total_value > free.total_value


def test_without_skew_control_costs_nothing():
    """All ads have the same audience and no taste: any correction is a reaction to chance."""
    sim = AdAuctionSimulator(skew=0.0, targeting=1.0, random_state=1)
    ratio = sim.run(VarianceAwareReranker()).total_value / sim.run().total_value
    assert ratio == pytest.approx(1.0, abs=0.01)


def mean_coverage(results):
    return {a: np.mean([r.coverage[a] for r in results]) for a in results[0].coverage}


@pytest.mark.slow
def test_reference_world_acceptance():
    """Without control below .25/.15, PI at least .90/.75, worse with more noise."""
    sim = AdAuctionSimulator(random_state=0)
    none, control = (
        mean_coverage(sim.run_worlds()),
        mean_coverage(sim.run_worlds(VarianceAwareReranker(ki=0.1))),
    )
    assert none["sex"] < 0.25
    assert none["race"] < 0.15
    assert control["sex"] >= 0.90
    assert control["race"] >= 0.75
    noisy = []
    for scale in (2, 5, 10, 20):
        counter = NoisyCounter(epsilon=1 / scale)
        found = mean_coverage(
            sim.run_worlds(VarianceAwareReranker(ki=0.05, noise=counter, hold_while_noisy=False))
        )
        noisy.append((found["sex"] + found["race"]) / 2)
    assert (np.diff(noisy) < 0.02).all()
    assert noisy[0] - noisy[-1] > 0.15


@pytest.mark.slow
def test_reference_world_without_skew_loses_less_than_one_percent():
    sim = AdAuctionSimulator(skew=0.0, random_state=0)
    usual, control = (
        sim.run_worlds(n_worlds=4),
        sim.run_worlds(VarianceAwareReranker(), n_worlds=4),
    )
    ratio = [c.total_value / u.total_value for c, u in zip(control, usual, strict=True)]
    assert np.mean(ratio) == pytest.approx(1.0, abs=0.01)
