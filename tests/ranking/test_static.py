"""DetGreedy, DetConstSort and exposure against slow references and on real rankings."""

import heapq
import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairgroup.ranking import DetConstSort, DetGreedy, exposure_by_group

lists = st.integers(2, 4).flatmap(
    lambda g: st.tuples(
        st.lists(
            st.tuples(st.integers(0, g - 1), st.integers(0, 30)), min_size=g, max_size=25
        ).filter(lambda rows, g=g: {r[0] for r in rows} == set(range(g))),
        st.lists(st.integers(1, 6), min_size=g, max_size=g),
    )
)


def heaps(scores, codes, n_groups):
    queues = [
        [(-s, i) for i, (s, c) in enumerate(zip(scores, codes, strict=True)) if c == g]
        for g in range(n_groups)
    ]
    for q in queues:
        heapq.heapify(q)
    return queues


def slow_greedy(scores, codes, p):
    queues, count, order = heaps(scores, codes, len(p)), [0] * len(p), []
    for k in range(1, len(scores) + 1):
        free = [g for g in range(len(p)) if queues[g]]
        below_min = [g for g in free if count[g] < math.floor(k * p[g] + 1e-9)]
        below_max = [g for g in free if count[g] < math.ceil(k * p[g] - 1e-9)]
        g = min(below_min or below_max or free, key=lambda g: (queues[g][0][0], g))
        order.append(heapq.heappop(queues[g])[1])
        count[g] += 1
    return order


def slow_const_sort(scores, codes, p, *, as_printed=False):
    """Algorithm 3 with lists; ``as_printed`` compares a place from 0 with one from 1."""
    queues, count, placed, k = heaps(scores, codes, len(p)), [0] * len(p), [], 0
    while any(queues[g] for g in range(len(p)) if p[g] > 0):
        k += 1
        due = [g for g in range(len(p)) if queues[g] and count[g] < math.floor(k * p[g] + 1e-9)]
        for g in sorted(due, key=lambda g: (queues[g][0][0], g)):
            placed.append((heapq.heappop(queues[g])[1], k))
            count[g] += 1
            at = len(placed) - 1
            while (
                at > 0
                and placed[at - 1][1] + as_printed > at
                and scores[placed[at - 1][0]] < scores[placed[at][0]]
            ):
                placed[at - 1], placed[at] = placed[at], placed[at - 1]
                at -= 1
    rest = sorted(q for queue in queues for q in queue)
    return [i for i, _ in placed] + [i for _, i in rest]


def shortfalls(order, codes, p):
    """Number of (prefix, group) pairs below the minimum while the group lasts."""
    codes, size = np.asarray(codes), np.bincount(codes, minlength=len(p))
    seen = np.cumsum(np.eye(len(p), dtype=int)[codes[order]], axis=0)
    k = np.arange(1, len(order) + 1)[:, None]
    return int((seen < np.minimum(np.floor(k * np.asarray(p) + 1e-9), size)).sum())


@settings(deadline=None)
@given(lists)
def test_both_equal_their_slow_references(case):
    rows, weights = case
    codes, scores = [r[0] for r in rows], [float(r[1]) for r in rows]
    p = np.array(weights) / sum(weights)
    target = dict(enumerate(p))
    greedy = DetGreedy(target).rerank(scores, sensitive_features=codes)
    const = DetConstSort(target).rerank(scores, sensitive_features=codes)
    assert greedy.tolist() == slow_greedy(scores, codes, p)
    assert const.tolist() == slow_const_sort(scores, codes, p)
    for order in (greedy, const):
        assert sorted(order) == list(range(len(rows)))
        for g in set(codes):
            own = [scores[i] for i in order if codes[i] == g]
            assert own == sorted(own, reverse=True)


def plenty(n_groups, seed, n=60):
    rng = np.random.default_rng(seed)
    codes = np.repeat(np.arange(n_groups), n)
    return rng.permutation(codes), rng.random(codes.size), rng.dirichlet(np.ones(n_groups))


@pytest.mark.parametrize("n_groups", [2, 3, 6])
@pytest.mark.parametrize("seed", range(5))
def test_const_sort_never_misses_a_minimum(n_groups, seed):
    codes, scores, p = plenty(n_groups, seed)
    order = DetConstSort(dict(enumerate(p)), top=50).rerank(scores, sensitive_features=codes)
    assert shortfalls(order, codes, p) == 0


def test_the_printed_comparison_can_miss_one():
    missed = 0
    for seed in range(20):
        codes, scores, p = plenty(2, seed, n=30)
        missed += shortfalls(slow_const_sort(scores, codes, p, as_printed=True)[:25], codes, p)
    assert missed > 0


@pytest.mark.parametrize("seed", range(5))
def test_greedy_meets_minima_and_maxima_with_two_groups(seed):
    codes, scores, p = plenty(2, seed)
    order = DetGreedy(dict(enumerate(p)), top=50).rerank(scores, sensitive_features=codes)
    assert shortfalls(order, codes, p) == 0
    seen = np.cumsum(np.eye(2)[codes[order]], axis=0)
    assert (seen <= np.ceil(np.arange(1, 51)[:, None] * p - 1e-9)).all()


def test_a_fair_order_by_score_stays():
    order = DetGreedy().rerank([4, 3, 2, 1], sensitive_features=["a", "b", "a", "b"])
    np.testing.assert_array_equal(order, [0, 1, 2, 3])


def test_groups_without_a_share_come_last():
    target = {"a": 1.0, "b": 0.0}
    for ranker in (DetGreedy(target), DetConstSort(target)):
        order = ranker.rerank([9, 8, 1, 2], sensitive_features=["b", "b", "a", "a"])
        np.testing.assert_array_equal(order, [3, 2, 0, 1])


def test_queries_are_ranked_one_by_one():
    scores, groups, query = [1, 2, 3, 4, 5], ["a", "b", "a", "b", "a"], [7, 7, 3, 3, 7]
    order = DetGreedy({"a": 0.5, "b": 0.5}).rerank(scores, sensitive_features=groups, query=query)
    np.testing.assert_array_equal(order, [3, 2, 4, 1, 0])
    top = DetConstSort(top=1).rerank(scores, sensitive_features=groups, query=query)
    assert len(top) == 2


def test_intersections_are_groups():
    people = pd.DataFrame({"sex": ["f", "m", "f", "m"], "old": [True, True, False, False]})
    target = {("f", True): 0.25, ("m", True): 0.25, ("f", False): 0.25, ("m", False): 0.25}
    order = DetConstSort(target).rerank([4, 3, 2, 1], sensitive_features=people)
    assert sorted(order) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("options", "call", "message"),
    [
        ({"proportions": {"a": 1.0}}, {}, "no entry for"),
        ({"proportions": {"a": 0.9, "b": 0.9}}, {}, "sum to one"),
        ({"top": 0}, {}, "top"),
        ({}, {"scores": [1.0, np.nan]}, "finite"),
        ({}, {"sensitive_features": ["a"]}, "rows"),
        ({}, {"query": [1]}, "query has 1 rows"),
    ],
)
def test_bad_input(options, call, message):
    good = {"scores": [1.0, 2.0], "sensitive_features": ["a", "b"]}
    with pytest.raises(ValueError, match=message):
        DetGreedy(**options).rerank(**{**good, **call})


def test_exposure_by_hand():
    table = exposure_by_group([2, 0, 1], sensitive_features=["a", "a", "b"], relevance=[1, 3, 4])
    weight = 1 / np.log2([2, 3, 4])
    expected = np.array([(weight[1] + weight[2]), weight[0]]) / weight.sum()
    np.testing.assert_allclose(table["share"], expected)
    np.testing.assert_allclose(table["exposure"], expected / [2, 1])
    np.testing.assert_allclose(table["ratio"], expected / [2 / 3, 1 / 3])
    np.testing.assert_allclose(table["exposure_per_relevance"], table["exposure"] / [2, 4])


def test_exposure_sees_the_top_only_and_weighs_lists_alike():
    table = exposure_by_group(
        [0, 1, 3, 2], sensitive_features=["a", "b", "a", "b"], query=[0, 0, 1, 1], top=1
    )
    np.testing.assert_allclose(table["share"], [0.5, 0.5])
    uniform = exposure_by_group([0, 1], sensitive_features=["a", "b", "b"], discount="uniform")
    np.testing.assert_allclose(uniform["share"], [0.5, 0.5])
    np.testing.assert_allclose(uniform["population"], [1 / 3, 2 / 3])
    own = exposure_by_group([0, 1], sensitive_features=["a", "b"], discount=lambda k: 0.5**k)
    np.testing.assert_allclose(own["share"], [2 / 3, 1 / 3])
    with pytest.raises(ValueError, match="different positions"):
        exposure_by_group([0, 0], sensitive_features=["a", "b"])
    with pytest.raises(ValueError, match="discount must be"):
        exposure_by_group([0], sensitive_features=["a"], discount="linear")


def top_shares(order, codes, query, k):
    """Share of code 1 in the first k places, mean over lists."""
    order, places = np.asarray(order), {}
    for i in order:
        places.setdefault(query[i], []).append(codes[i])
    return np.mean([np.mean(c[:k]) for c in places.values()])


def test_w3c_experts(data_home):
    """The judgements rank women low; both re-rankers restore their share in every prefix."""
    from fairgroup.datasets import fetch_trec_w3c_experts

    data = fetch_trec_w3c_experts(data_home=data_home)
    codes = (data.sensitive_features["gender"] == "female").to_numpy().astype(int)
    query = np.asarray(data.query)
    scores = np.asarray(data.target, dtype=float)
    assert (len(scores), len(np.unique(query))) == (12_190, 60)
    by_score = np.lexsort((-scores, query))
    before = exposure_by_group(by_score, sensitive_features=codes, query=query)
    assert before["ratio"].loc[1] < 0.85
    assert top_shares(by_score, codes, query, 50) < 0.05
    for ranker in (DetGreedy(), DetConstSort()):
        order = ranker.rerank(scores, sensitive_features=codes, query=query)
        after = exposure_by_group(order, sensitive_features=codes, query=query)
        assert after["ratio"].loc[1] > 0.9
        assert top_shares(order, codes, query, 50) == pytest.approx(codes.mean(), abs=0.02)
        rows = np.split(order, np.flatnonzero(np.diff(query[order])) + 1)
        assert len(rows) == 60
        for r in rows[:10]:
            p = np.bincount(codes[r], minlength=2) / len(r)
            assert shortfalls(np.arange(len(r)), codes[r], p) == 0


def test_engineering_students(data_home):
    """Five cohorts, four intersections of gender and school, little loss of mean score."""
    from fairgroup.datasets import fetch_engineering_students

    data = fetch_engineering_students(data_home=data_home)
    scores, query = np.asarray(data.target, dtype=float), np.asarray(data.query)
    groups = data.sensitive_features
    assert len(scores) == 2403
    by_score = np.lexsort((-scores, query))
    before = exposure_by_group(by_score, sensitive_features=groups, query=query, top=100)
    order = DetConstSort(top=100).rerank(scores, sensitive_features=groups, query=query)
    after = exposure_by_group(order, sensitive_features=groups, query=query, top=100)
    assert len(order) == 500
    assert np.abs(after["ratio"] - 1).max() < np.abs(before["ratio"] - 1).max()
    assert np.abs(after["ratio"] - 1).max() < 0.16
    top = np.concatenate(
        [by_score[np.flatnonzero(query[by_score] == y)[:100]] for y in range(1, 6)]
    )
    assert scores[top].mean() - scores[order].mean() < 0.15
