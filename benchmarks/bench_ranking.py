"""Speed of fairgroup.ranking on one core, next to the package ``reranking`` where installed.

``OMP_NUM_THREADS=1 python benchmarks/bench_ranking.py``; the peer is optional (``pip install
reranking``). Best of several runs after one run to compile. Peaks are those of the allocations
that NumPy and Python report. Then both list re-rankers on two real sets of rankings (skipped
where they are not found; ``FAIRGROUP_DATA_HOME`` says where they are).
"""

from __future__ import annotations

import argparse
import importlib.util
import time
import tracemalloc
import warnings
from functools import partial

import numpy as np
from _results import write_results

from fairgroup.datasets import fetch_engineering_students, fetch_trec_w3c_experts
from fairgroup.ranking import (
    AdAuctionSimulator,
    DetConstSort,
    DetGreedy,
    VarianceAwareReranker,
    coverage_score,
    exposure_by_group,
    impression_variance,
    variance_interval,
)
from fairgroup.ranking._policies import empty_state, run_log

SHARES = {0: 0.4, 1: 0.3, 2: 0.2, 3: 0.1}


def best(call, repeat=5):
    """Seconds of the fastest call, and peak MiB of one more."""
    call()
    times = []
    for _ in range(repeat):
        begin = time.perf_counter()
        call()
        times.append(time.perf_counter() - begin)
    tracemalloc.start()
    call()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    return min(times), peak


def row(task, size, call, *, goal="", rate=None, peer=None, repeat=5):
    seconds, peak = best(call, repeat)
    found = {
        "task": task,
        "size": size,
        "seconds": seconds,
        "peak MiB": round(peak, 1),
        "goal": goal,
    }
    if rate:
        found["per second"] = round(rate / seconds)
    if peer is not None:
        found["reranking, s"] = peer
        found["times faster"] = round(peer / seconds, 1)
    print(found, flush=True)
    return found


def auctions():
    rows = []
    for n in (10_000, 100_000, 1_000_000):
        world = AdAuctionSimulator(n_auctions=n, random_state=0)
        log, reranker = world.sample()[0], VarianceAwareReranker()
        params = {
            "kp": 2.0,
            "ki": 0.1,
            "m_min": 0.25,
            "m_max": 4.0,
            "m_up": 2.0,
            "m_down": 0.5,
            "dead_zone": 0.0,
        }
        layout = reranker._make_layout(log.eligible, log.composition, params)
        loop = partial(
            run_log, log, reranker._make_settings(params), layout,
            noise=None, n_slots=1, payment=2, rng=np.random.default_rng(0),
        )  # fmt: skip
        goal = "500,000 auctions/s"
        rows.append(
            row("closed loop, 40 ads, drawn world", f"{n:,}", loop, goal=goal, rate=n, repeat=3)
        )
        assert empty_state(layout, n_nodes=1, q_table=None).table.shape == (65, 21)
    whole = partial(AdAuctionSimulator(random_state=0).run, VarianceAwareReranker())
    rows.append(row("draw world, loop, all measures", "100,000", whole, rate=100_000, repeat=3))
    return rows


def reranking_of_candidates():
    world = AdAuctionSimulator(n_auctions=20_000, random_state=0)
    log = world.sample()[0]
    reranker = VarianceAwareReranker().fit(eligible=log.eligible, composition=log.composition)
    rng, rows = np.random.default_rng(0), []
    ads = rng.integers(0, 20, 200_000)
    cluster, people = (
        rng.integers(0, 64, ads.size),
        {"sex": rng.integers(0, 2, ads.size), "race": rng.integers(0, 4, ads.size)},
    )
    feed = partial(reranker.partial_fit, ads, cluster=cluster, sensitive_features=people)
    rows.append(row("count impressions with snapshots", "200,000", feed, rate=ads.size))
    for n in (500, 5_000, 50_000):
        values, ids, clusters = (
            rng.lognormal(0, 1, (n, 20)),
            rng.integers(0, 40, (n, 20)),
            rng.integers(0, 64, n),
        )
        call = partial(reranker.rerank, values, ad_ids=ids, clusters=clusters)
        rows.append(
            row(
                "rerank, full order",
                f"{n:,} x 20",
                call,
                goal="0.15 s" if n == 50_000 else "",
                rate=n,
            )
        )
    rows.append(row("rerank, winner only", "50,000 x 20", partial(call, top=1), rate=n))
    rows.append(
        row(
            "rerank, one auction",
            "1 x 20",
            partial(reranker.rerank, values[0], ad_ids=ids[0], clusters=[3]),
            rate=1,
            repeat=200,
        )
    )
    return rows


def metrics():
    rng, rows = np.random.default_rng(0), []
    for n in (10_000, 100_000, 1_000_000):
        counts, eligible = rng.integers(0, 200, (n, 4)).astype(float), rng.dirichlet(np.ones(4), n)
        goal = "0.3 s" if n == 1_000_000 else ""
        rows.append(
            row(
                "impression_variance",
                f"{n:,} x 4",
                partial(impression_variance, counts, eligible),
                goal=goal,
            )
        )
    rows.append(row("coverage_score", f"{n:,} x 4", partial(coverage_score, counts, eligible)))
    some = partial(variance_interval, counts[:20], eligible[:20], random_state=0)
    rows.append(row("variance_interval, 1,000 draws", "20 x 4", some, repeat=2))
    return rows


def timed_peer(peer, codes, k, algorithm):
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        order = peer.rerank(codes, SHARES, k_max=k, algorithm=algorithm)
    return time.perf_counter() - begin, order[:k]


def missed(order, codes):
    """Number of (prefix, group) pairs below floor(k p) while the group still has candidates."""
    p, size = np.array(list(SHARES.values())), np.bincount(codes, minlength=len(SHARES))
    seen = np.cumsum(np.eye(len(p), dtype=int)[codes[np.asarray(order)]], axis=0)
    minima = np.floor(np.arange(1, len(order) + 1)[:, None] * p + 1e-9)
    return int((seen < np.minimum(minima, size)).sum())


def lists():
    peer, rows = None, []
    if importlib.util.find_spec("reranking"):
        import reranking as peer
    rng = np.random.default_rng(0)
    for n, k in (
        (100, 100),
        (1_000, 1_000),
        (10_000, 1_000),
        (10_000, 10_000),
        (100_000, 100_000),
    ):
        scores = np.sort(rng.random(n))[::-1].copy()
        codes = rng.choice(4, n, p=[0.55, 0.25, 0.15, 0.05])
        for ranker, name in (
            (DetGreedy(SHARES, top=k), "det_greedy"),
            (DetConstSort(SHARES, top=k), "det_const_sort"),
        ):
            ours = ranker.rerank(scores, sensitive_features=codes)
            theirs, extra = None, {"prefix minima missed": missed(ours, codes)}
            if peer is not None and k <= 1_000:
                theirs, order = timed_peer(peer, codes, k, name)
                extra["reranking: missed"] = missed(order, codes)
            call = partial(ranker.rerank, scores, sensitive_features=codes)
            rows.append(row(name, f"n={n:,}, k={k:,}", call, peer=theirs) | extra)
    return rows


def real_lists():
    """Exposure and ranking quality before and after, on the judgements of two real data sets."""
    rows = []
    for fetch in (fetch_trec_w3c_experts, fetch_engineering_students):
        data = fetch(download_if_missing=False)
        scores, query = np.asarray(data.target, dtype=float), np.asarray(data.query)
        gain = scores - scores.min()
        people = data.sensitive_features
        people = people.iloc[:, 0] if people.shape[1] == 1 else people
        usual = np.lexsort((-scores, query))
        orders = {"by score": usual}
        for ranker in (DetGreedy(), DetConstSort()):
            order = ranker.rerank(scores, sensitive_features=people, query=query)
            orders[type(ranker).__name__] = order
        for name, order in orders.items():
            table = exposure_by_group(order, sensitive_features=people, query=query)
            worst = table["ratio"].idxmin()
            top = exposure_by_group(
                order, sensitive_features=people, query=query, top=50, discount="uniform"
            )
            rows.append(
                {
                    "data": fetch.__name__.removeprefix("fetch_"),
                    "order": name,
                    "least exposed group": worst if isinstance(worst, str) else "/".join(worst),
                    "its exposure ratio": round(float(table["ratio"].min()), 3),
                    "smallest ratio in the first 50": round(float(top["ratio"].min()), 3),
                    "NDCG": round(
                        discounted_gain(order, gain, query) / discounted_gain(usual, gain, query),
                        4,
                    ),
                }
            )
    return rows


def discounted_gain(order, gain, query):
    starts = np.flatnonzero(np.diff(query[order], prepend=-1))
    place = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return float((gain[order] / np.log2(place + 2)).sum())


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.parse_args()
    rows = auctions() + reranking_of_candidates() + metrics() + lists()
    installed = ["reranking"] if importlib.util.find_spec("reranking") else []
    notes = "one core, best of several runs; the peer runs once, on an already sorted list"
    try:
        real = real_lists()
    except OSError as error:
        print(f"real rankings skipped: {error}")
    else:
        title = "Ranking: real lists, before and after"
        write_results("ranking_lists", real, title=title, notes="target: each list's own shares")
    write_results("ranking", rows, title="Ranking: speed", notes=notes, libraries=installed)


if __name__ == "__main__":
    main()
