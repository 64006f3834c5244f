"""Speed of fairgroup.sampling next to cvxpy and to separate fits of scikit-learn, in one run.

``OMP_NUM_THREADS=1 python benchmarks/bench_sampling.py``. Best of several runs.
"""

from __future__ import annotations

import time
import tracemalloc
from functools import partial

import numpy as np
from _results import write_results
from sklearn.linear_model import Ridge

from fairgroup.sampling import PowerLawCurve, allocate_budget
from fairgroup.sampling._fast_refits import (
    prefix_coefficients,
    prefix_kernel_predictions,
    summarise,
)
from fairgroup.sampling._fit_curves import fit_shapes


def best(call, repeat=3):
    """Seconds of the fastest call, and peak MiB of one more."""
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


def row(task, size, measured, peer, peer_seconds, agreement):
    seconds, peak = measured
    found = {"task": task, "size": size, "seconds": seconds, "peak MiB": round(peak, 2)}
    found |= {"peer": peer, "peer, s": peer_seconds, "difference": agreement}
    if peer_seconds:
        found["times faster"] = round(peer_seconds / seconds, 1)
    print(found, flush=True)
    return found


def world(n_groups):
    rng = np.random.default_rng(0)
    draws = (
        rng.uniform(0.7, 1, n_groups),
        rng.uniform(1, 3, n_groups),
        rng.uniform(0.3, 0.8, n_groups),
    )
    return [PowerLawCurve(*p) for p in zip(*draws, strict=True)], rng.uniform(1, 3, n_groups)


def allocations():
    rows = []
    for n_groups in (10, 100, 1000, 10_000):
        curves, costs = world(n_groups)
        budget = 300.0 * n_groups
        for rho in (1.0, np.inf):
            options = {"rho": rho, "lower": 20}
            ours = best(partial(allocate_budget, curves, costs, budget, **options))
            found = allocate_budget(curves, costs, budget, **options)
            seconds, difference = None, None
            if rho == 1.0 and n_groups <= 1000:
                solve = {"method": "cvxpy", **options}
                allocate_budget(curves[:3], costs[:3], 900.0, **solve)  # imports cvxpy
                begin = time.perf_counter()
                theirs = allocate_budget(curves, costs, budget, **solve)
                seconds = time.perf_counter() - begin
                difference = abs(theirs.utility - found.utility)
            peer = "cvxpy, CLARABEL" if seconds else ""
            size = f"{n_groups} groups, rho {rho:g}"
            rows.append(row("allocate", size, ours, peer, seconds, difference))
    curves, costs = world(1000)
    options = {"rho": 1.0, "lower": 20, "integer": True}
    ours = best(lambda: allocate_budget(curves, costs, 3e5, **options))
    rows.append(row("allocate", "1000 groups, whole numbers", ours, "", None, None))
    whole = np.ceil(costs)
    exact = best(lambda: allocate_budget(curves[:20], whole[:20], 1e4, exact=True, **options))
    rows.append(row("allocate", "20 groups, exact, budget 10000", exact, "", None, None))
    return rows


def data(n, p, n_val):
    rng = np.random.default_rng(0)
    X, X_val = rng.normal(size=(n, p)), rng.normal(size=(n_val, p))
    return X, X @ rng.normal(size=p) + rng.normal(size=n), X_val


def refits():
    rows = []
    X, y, _ = data(400, 50, 10)
    sizes = np.arange(1, 401)
    base = summarise(X[:0], y[:0])

    def separate():
        return np.array([Ridge(alpha=1.0).fit(X[:m], y[:m]).coef_ for m in sizes])

    theirs, peer = separate(), best(separate)[0]
    for engine in ("rls", "gram", "cholesky"):
        options = {"alpha": 1.0, "fit_intercept": True, "engine": engine}
        coef, _ = prefix_coefficients(base, X, y, sizes, **options)
        ours = best(lambda options=options: prefix_coefficients(base, X, y, sizes, **options))
        difference = float(np.abs(coef - theirs).max())
        size = f"400 prefixes, p 50, {engine}"
        rows.append(row("ridge curve", size, ours, "separate Ridge fits", peer, difference))
    X, y, X_val = data(1000, 2500, 500)

    def kernel_curve():
        return prefix_kernel_predictions(X @ X.T, X @ X_val.T, y, 10.0)

    def one():
        return Ridge(alpha=10.0, fit_intercept=False).fit(X, y).predict(X_val)

    difference = float(np.abs(kernel_curve()[-1] - one()).max())
    ours, peer = best(kernel_curve, 2), best(one, 2)[0]
    size = "1000 prefixes, p 2500, 500 predictions each"
    rows.append(row("ridge curve", size, ours, "one Ridge fit", peer, difference))
    rng = np.random.default_rng(0)
    n = np.sort(rng.uniform(10, 500, (1000, 6)), axis=1)
    scores = 0.9 - 2 * n**-0.5 + 0.02 * rng.standard_normal(n.shape)
    seconds = best(lambda: fit_shapes("power", n, scores, n, score_max=1.0))
    rows.append(row("fit power laws", "1000 curves of 6 points", seconds, "", None, None))
    return rows


if __name__ == "__main__":
    write_results(
        "sampling_speed",
        [*allocations(), *refits()],
        title="Speed of adaptive sampling",
        notes="`difference`: of the utilities (allocations), largest of the coefficients or "
        "predictions (curves); peaks are of what NumPy and Python allocate. The last ridge row "
        "compares all prefixes with one fit.",
        libraries=("cvxpy", "clarabel"),
    )
