"""Combinatorial decisions behind an oracle: shortest paths."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest

from fairgroup.online import (
    GroupwiseOptimizer,
)

# A graph with three layers of two nodes between s and t: 2 * 2 * 2 paths of four edges.
EDGES = [("s", f"0{i}") for i in range(2)]
EDGES += [(f"{k}{i}", f"{k + 1}{j}") for k in range(2) for i in range(2) for j in range(2)]
EDGES += [(f"2{i}", "t") for i in range(2)]


def all_paths():
    paths = []
    for nodes in itertools.product(range(2), repeat=3):
        route = ["s", *(f"{k}{i}" for k, i in enumerate(nodes)), "t"]
        used = set(itertools.pairwise(route))
        paths.append([float(edge in used) for edge in EDGES])
    return np.array(paths)


PATHS = all_paths()


def shortest(costs):
    """Dynamic programming in the order of the layers."""
    best = {"s": (0.0, ())}
    for e, (tail, head) in enumerate(EDGES):
        total, used = best[tail]
        if head not in best or total + costs[e] < best[head][0]:
            best[head] = total + costs[e], (*used, e)
    decision = np.zeros(len(EDGES))
    decision[list(best["t"][1])] = 1.0
    return decision


def test_oracle_and_perturbed_leader_equal_brute_force():
    rng = np.random.default_rng(0)
    model = GroupwiseOptimizer(shortest, len(EDGES), decision_size=4, random_state=0)
    for _ in range(30):
        member = rng.random(2) < 0.6
        model.decide(member)
        active = np.append(1.0, member)
        decisions = model._decisions(active)
        for g in np.flatnonzero(active):
            noise = model._noise(int(g)) / model._epsilon(model.n_active_[g] + 1)
            costs = model.costs_[g] + noise
            assert decisions[g] @ costs == pytest.approx((PATHS @ costs).min(), abs=1e-12)
        model.update(rng.random(len(EDGES)), member)
    hindsight = model.group_report()["hindsight"]
    np.testing.assert_allclose(hindsight, (PATHS @ model.costs_.T).min(axis=0))


@pytest.mark.slow
def test_expected_regret_of_leader_stays_below_its_bound():
    """Kalai and Vempala, over many runs on costs that alternate to fool an unperturbed leader."""
    n, runs = 30, 1000
    costs = np.zeros((n, 2))
    costs[:, 0] = [0.5, *([0.0, 1.0] * n)][:n]
    costs[:, 1] = [0.0, *([1.0, 0.0] * n)][:n]
    pick = lambda c: np.eye(2)[np.argmin(c)]  # noqa: E731
    for epsilon in ("auto", 0.2):
        regrets = []
        for seed in range(runs):
            model = GroupwiseOptimizer(
                pick, 2, decision_size=1, epsilon=epsilon, random_state=seed
            )
            for row in costs:
                model.decide()
                model.update(row)
            report = model.group_report()
            regrets.append(report["regret"].iloc[0])
        spread = np.std(regrets) / np.sqrt(runs)
        assert np.mean(regrets) <= report["regret_bound"].iloc[0] + 3 * spread
        # Without perturbation the leader always picks what is dear next.
        assert np.mean(regrets) < 0.6 * (costs.max(axis=1).sum() - costs.sum(axis=0).min())


def test_groups_get_their_own_path():
    rng = np.random.default_rng(0)
    good = {0: PATHS[0], 1: PATHS[-1]}
    model = GroupwiseOptimizer(shortest, len(EDGES), decision_size=4, random_state=0)
    paid = np.zeros(2)
    for t in range(600):
        group = int(rng.integers(2))
        costs = np.clip(0.6 - 0.5 * good[group] + 0.1 * rng.normal(size=len(EDGES)), 0, 1)
        member = np.eye(2)[group]
        decision = model.decide(member)
        assert (decision == PATHS).all(axis=1).any()
        cost = model.update(costs, member)
        paid[group] += cost if t >= 300 else 0
    report = model.group_report()
    assert (report["expert_regret"] <= report["bound"] + 1e-9).all()
    assert (report["regret"].iloc[1:] < 0.4 * report["loss"].iloc[1:]).all()
    assert report["hindsight"].iloc[0] > report["loss"].iloc[0]  # better than any single path


def test_optimizer_state_and_groups():
    rng = np.random.default_rng(0)
    make = lambda: GroupwiseOptimizer(shortest, len(EDGES), random_state=1)  # noqa: E731
    one = make()
    for _ in range(10):
        member, costs = rng.random(2) < 0.5, rng.random(len(EDGES))
        one.decide(member)
        one.update(costs, member)
    two = make().set_state(one.get_state())
    for model in (one, two):
        model.add_group("late")
    for _ in range(10):
        member, costs = rng.random(3) < 0.5, rng.random(len(EDGES))
        assert np.array_equal(one.decide(member), two.decide(member))
        assert one.update(costs, member) == two.update(costs, member)
    pd.testing.assert_frame_equal(one.group_report(), two.group_report(), check_exact=True)
    assert one.group_names_ == ["everyone", "group_0", "group_1", "late"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: m.update(np.full(12, 2.0)), ValueError, "cost_bound"),
        (lambda m: m.update(np.ones(3)), ValueError, "shape"),
        (lambda m: m.decide([2.0]), ValueError, r"\[0, 1\]"),
        (lambda m: m.decide([[1.0]]), ValueError, "one row"),
        (lambda m: (m.decide([1.0]), m.decide([1.0, 0.0])), ValueError, "2 entries"),
        (lambda m: m.set_params(oracle=3).decide(), TypeError, "callable"),
        (lambda m: m.set_params(oracle=lambda c: c[:1]).decide(), ValueError, "oracle returned"),
        (lambda m: m.set_params(epsilon=-1.0).decide(), ValueError, "epsilon"),
        (lambda m: m.set_params(n_elements=0).decide(), ValueError, "n_elements"),
        (lambda m: m.set_params(cost_bound=0).decide(), ValueError, "cost_bound"),
        (lambda m: m.set_params(always_on=False).decide(), ValueError, "no group"),
        (lambda m: m.set_params(always_on=False).decide([0.0]), ValueError, "No group"),
        (lambda m: m.add_group("everyone"), ValueError, "exists"),
    ],
)
def test_optimizer_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call(GroupwiseOptimizer(shortest, 12))
