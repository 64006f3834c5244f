"""Speed of groupwise regression: rounds per second against river and against a NumPy loop.

Two shapes of the published experiments: synthetic (25 features, 6 groups, 3 active) and Adult-like
(96 features, mostly one-hot, 13 groups, 5 active). Peers in the same run: river's
BayesianLinearRegression, a single learner for everybody (river has no groups), and a plain NumPy
loop that solves every active group's normal equations in every round. Then growth with d, with G
and with T, and memory. Run with ``OMP_NUM_THREADS=1 python benchmarks/bench_groupwise.py``.
"""

from __future__ import annotations

import resource
import time
import tracemalloc

import numpy as np
from _results import write_results
from river import linear_model

from fairgroup.online import GroupwiseRegressor


def shape(n, d_dense, blocks, n_groups, active, seed=0):
    """Random rows: dense columns, one-hot blocks, and memberships with ``active`` groups each."""
    rng = np.random.default_rng(seed)
    parts = [rng.random((n, d_dense))] + [np.eye(k)[rng.integers(0, k, n)] for k in blocks]
    X = np.hstack(parts)
    ranks = rng.random((n, n_groups - 1)).argsort(axis=1)
    M = np.column_stack([ranks < active - 1, np.ones(n)]).astype(float)
    y = np.clip(X @ rng.normal(size=X.shape[1]) / 10 + 0.5 + 0.1 * rng.normal(size=n), 0, 1)
    return X, y, M


def synthetic(n, seed=0):
    """25 features, 5 of them one-hot; 6 groups, 3 active."""
    return shape(n, 20, (3, 2), 6, 3, seed)


def adult_shaped(n, seed=0):
    """96 features, 85 of them one-hot; 13 groups, 5 active."""
    return shape(n, 11, (9, 7, 6, 42, 14, 5, 2), 13, 5, seed)


def model(**settings):
    """The published algorithm's settings, memberships given."""
    return GroupwiseRegressor.published(always_on=False, **settings)


def seconds(run, repeat=3):
    """Best wall time of a few runs."""
    best = np.inf
    for _ in range(repeat):
        start = time.perf_counter()
        run()
        best = min(best, time.perf_counter() - start)
    return best


def plain_loop(X, y, M):
    """One solve per active group and round, weights by the direct formula."""
    d, n_groups = X.shape[1], M.shape[1]
    A = np.tile(np.eye(d), (n_groups, 1, 1))
    b, R, C = np.zeros((n_groups, d)), np.zeros(n_groups), np.zeros(n_groups)
    paid = 0.0
    for x, label, member in zip(X, y, M, strict=True):
        act = np.flatnonzero(member)
        prediction = np.array([x @ np.linalg.solve(A[g], b[g]) for g in act])
        up, down = np.maximum(R[act] + 1, 0), np.maximum(R[act] - 1, 0)
        scale = 3 * (C[act] + 1)
        w = np.exp(up**2 / scale) - np.exp(down**2 / scale)
        p = w / w.sum() if w.sum() > 0 else np.full(len(act), 1 / len(act))
        losses = (prediction - label) ** 2
        r = p @ losses - losses
        paid += p @ losses
        R[act] += r
        C[act] += np.abs(r)
        for g in act:
            A[g] += np.outer(x, x)
            b[g] += label * x
    return paid


def river_one(X, y):
    """predict_one and learn_one of a single Bayesian linear regression."""
    learner = linear_model.BayesianLinearRegression()
    for x, label in zip([dict(enumerate(row)) for row in X], y, strict=True):
        learner.predict_one(x)
        learner.learn_one(x, label)


def row_by_row(X, y, M):
    """partial_fit with one row at a time, validation included."""
    learner = model()
    for t in range(len(y)):
        learner.partial_fit(X[t : t + 1], y[t : t + 1], memberships=M[t : t + 1])


def as_river(X, y, M):
    """predict_one and learn_one of our own model."""
    keys = [f"group {g}" for g in range(M.shape[1])]
    learner = model().to_river(memberships=keys)
    rows = [
        dict(enumerate(x)) | dict(zip(keys, m, strict=True)) for x, m in zip(X, M, strict=True)
    ]
    for x, label in zip(rows, y, strict=True):
        learner.predict_one(x)
        learner.learn_one(x, label)


def contestants(X, y, M, n_peer):
    """Name -> (rounds, run)."""
    few = X[:n_peer], y[:n_peer], M[:n_peer]
    return {
        "fairgroup, one batch": (len(y), lambda: model().partial_fit(X, y, memberships=M)),
        "fairgroup, blocked": (
            len(y),
            lambda: model(engine="blocked").partial_fit(X, y, memberships=M),
        ),
        "fairgroup, partial_fit row by row": (n_peer, lambda: row_by_row(*few)),
        "fairgroup, to_river row by row": (n_peer, lambda: as_river(*few)),
        "river BayesianLinearRegression (no groups)": (n_peer, lambda: river_one(*few[:2])),
        "NumPy, solve each round": (n_peer, lambda: plain_loop(*few)),
    }


def against_peers() -> list[dict]:
    """Rounds per second of us and the peers; first, that we compute what the plain loop does."""
    rows = []
    shapes = (("synthetic", synthetic, 2000), ("Adult-shaped", adult_shaped, 400))
    for name, make, n_peer in shapes:
        X, y, M = make(100_000 if make is synthetic else 20_000)
        ours = model().partial_fit(X[:n_peer], y[:n_peer], memberships=M[:n_peer])
        assert abs(ours.loss_[-1] - plain_loop(X[:n_peer], y[:n_peer], M[:n_peer])) < 1e-8
        for who, (n, run) in contestants(X, y, M, n_peer).items():
            taken = seconds(run)
            rows.append(
                {
                    "data": f"{name} d={X.shape[1]} G={M.shape[1]}",
                    "who": who,
                    "rounds": n,
                    "rounds/s": round(n / taken),
                    "us per round": round(1e6 * taken / n, 2),
                }
            )
    return rows


def growth() -> list[dict]:
    """Microseconds per round as d, G and T grow."""
    rows = []
    for d in (5, 10, 25, 50, 100, 200, 500):
        n = max(1000, min(20_000, 2_000_000 // d**2 * 10))
        X, y, M = shape(n, d, (), 6, 3)
        taken = seconds(lambda X=X, y=y, M=M: model().partial_fit(X, y, memberships=M), 2)
        rows.append({"grows": "d", "d": d, "G": 6, "T": n, "us per round": 1e6 * taken / n})
    for n_groups in (6, 20, 60, 200, 600):
        X, y, M = shape(5000, 25, (), n_groups, 3)
        taken = seconds(lambda X=X, y=y, M=M: model().partial_fit(X, y, memberships=M), 2)
        rows.append(
            {"grows": "G", "d": 25, "G": n_groups, "T": 5000, "us per round": taken / 5e-3}
        )
    for learner in ("ridge", "ogd", "diagonal"):
        X, y, M = shape(5000, 400, (), 6, 3)
        settings = {"base_learner": learner, "learning_rate": 0.01}
        taken = seconds(
            lambda X=X, y=y, M=M, s=settings: model(**s).partial_fit(X, y, memberships=M), 2
        )
        rows.append(
            {"grows": f"{learner}", "d": 400, "G": 6, "T": 5000, "us per round": taken / 5e-3}
        )
    return rows


def a_million() -> list[dict]:
    """1e6 rounds in batches of 10,000: time and the memory that the stream has added."""
    learner, rows = model(), []
    X, y, M = synthetic(10_000)
    learner.partial_fit(X, y, memberships=M)
    tracemalloc.start()
    start, base = time.perf_counter(), tracemalloc.get_traced_memory()[0]
    for step in range(1, 101):
        learner.partial_fit(X, y, memberships=M)
        if step in (1, 10, 100):
            held, peak = tracemalloc.get_traced_memory()
            rows.append(
                {
                    "grows": "T",
                    "d": 25,
                    "G": 6,
                    "T": step * 10_000,
                    "us per round": 1e2 * (time.perf_counter() - start) / step,
                    "held KiB": (held - base) / 1024,
                    "peak MiB": peak / 2**20,
                }
            )
    tracemalloc.stop()
    rows[-1]["process MiB"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return rows


if __name__ == "__main__":
    write_results(
        "groupwise_speed",
        against_peers(),
        title="Groupwise regression: rounds per second",
        notes="One core. A round predicts, pays, and updates all active groups; river's learner "
        "is a single model for everybody.",
        libraries=("river",),
    )
    write_results(
        "groupwise_growth",
        growth() + a_million(),
        title="Groupwise regression: growth with columns, groups and rounds",
        notes="Three active groups per round. Memory: what the stream added after its start.",
    )
