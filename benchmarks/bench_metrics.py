"""Group metrics against fairlearn's MetricFrame: time, bootstrap, growth with n, peak memory.

Run: python benchmarks/bench_metrics.py [--quick]

Both sides get the same arrays in the same process: five metrics (accuracy, selection rate, true
and false positive rate, count) by one or two protected attributes, as integers or text, coding of
the groups and labels included. Our bootstrap column is the extra time of 10,000 draws with the
intervals of everything (overall, marginal, intersections, difference, ratio and gaps). Seconds are
processor time of the one thread that both sides use, which is wall time on an idle machine and,
unlike it, comparable on a busy one.
"""

from __future__ import annotations

import argparse
import os
import time
import tracemalloc
from functools import partial

os.environ.setdefault("OMP_NUM_THREADS", "1")

import fairlearn.metrics as fl
import numpy as np
import pandas as pd
from _results import write_results
from sklearn.metrics import accuracy_score

from fairgroup.metrics import group_metrics

NAMES = ["accuracy", "selection_rate", "true_positive_rate", "false_positive_rate", "count"]
PEER = {
    "accuracy": accuracy_score,
    "selection_rate": fl.selection_rate,
    "true_positive_rate": fl.true_positive_rate,
    "false_positive_rate": fl.false_positive_rate,
    "count": fl.count,
}
SEX = np.array(["Female", "Male"])
RACE = np.array(["Amer-Indian", "Asian", "Black", "Other", "White"])
N_DRAWS = 10_000


def make_tables(n_rows, seed=0):
    """Return labels, predictions, and the protected attributes in several forms."""
    rng = np.random.default_rng(seed)
    sex, race = rng.integers(0, 2, n_rows), rng.choice(5, n_rows, p=[0.02, 0.04, 0.1, 0.04, 0.8])
    y = (rng.random(n_rows) < 0.2 + 0.1 * sex).astype(int)
    p = np.where(rng.random(n_rows) < 0.8, y, 1 - y)
    text = pd.DataFrame({"sex": SEX[sex], "race": RACE[race]})
    return {
        "y": y,
        "p": p,
        "1 integer": pd.Series(sex, name="sex"),
        "1 text": text["sex"],
        "2 integer": pd.DataFrame({"sex": sex, "race": race}),
        "2 text": text,
        "2 text (object)": text.astype(object),
    }


def best_of(function, repeats):
    """Return the shortest of several times, and the last result."""
    times = []
    for _ in range(repeats):
        start = time.process_time()
        result = function()
        times.append(time.process_time() - start)
    return min(times), result


def ours(table, form, n_bootstrap=0):
    """Measure, and look at everything."""
    result = group_metrics(
        table["y"],
        table["p"],
        sensitive_features=table[form],
        metrics=NAMES,
        n_bootstrap=n_bootstrap,
        random_state=0,
    )
    seen = [result.overall, result.by_group, result.marginals]
    seen += [result.difference(), result.ratio(), result.gaps()]
    if n_bootstrap:
        bounds = result.intervals
        seen += [bounds.overall, bounds.by_group, bounds.marginals]
        seen += [bounds.difference(), bounds.ratio(), bounds.gaps()]
    return result


def theirs(table, form):
    """The same five metrics with MetricFrame."""
    frame = fl.MetricFrame(
        metrics=PEER, y_true=table["y"], y_pred=table["p"], sensitive_features=table[form]
    )
    frame.difference(), frame.ratio()
    return frame


def compare(table, form, n_rows, repeats):
    """One row of the comparison."""
    seconds, result = best_of(lambda: ours(table, form), repeats)
    with_draws, _ = best_of(lambda: ours(table, form, N_DRAWS), repeats)
    peer_seconds, frame = best_of(lambda: theirs(table, form), 1)
    np.testing.assert_allclose(result.by_group[NAMES], frame.by_group[NAMES], rtol=1e-12)
    return {
        "rows": n_rows,
        "groups": form,
        "fairgroup s": seconds,
        "10,000 draws, extra s": with_draws - seconds,
        "MetricFrame s": peer_seconds,
        "ratio": peer_seconds / seconds,
        "peak MB": peak_memory(lambda: ours(table, form)),
        "peak MB with draws": peak_memory(lambda: ours(table, form, N_DRAWS)),
    }


def peak_memory(function):
    """Return the largest memory allocated during a call, in MB."""
    tracemalloc.start()
    function()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak / 1e6


def growth(form, sizes, repeats):
    """Time over two decades of rows, and the exponent of the fitted power law."""
    tables = [make_tables(n) for n in sizes]
    seconds = [best_of(partial(ours, table, form), repeats)[0] for table in tables]
    fixed, per_row = np.linalg.lstsq(np.c_[np.ones(len(sizes)), sizes], seconds, rcond=None)[0]
    upper = slice(len(sizes) // 2, None)  # where the fixed cost no longer hides the slope
    exponent = np.polyfit(np.log(sizes[upper]), np.log(seconds[upper]), 1)[0]
    rows = [
        {"rows": int(n), "groups": form, "fairgroup s": s}
        for n, s in zip(sizes, seconds, strict=True)
    ]
    return rows, {
        "fixed ms": 1e3 * fixed,
        "ns per row": 1e9 * per_row,
        "exponent above 1e5 rows": exponent,
    }


def main():
    """Run, print and write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="100,000 rows and few repeats")
    quick = parser.parse_args().quick
    n_rows, repeats = (100_000, 2) if quick else (1_000_000, 7)
    table = make_tables(n_rows)
    best_of(lambda: ours(make_tables(1000), "2 text", 10), 1)  # imports
    forms = [form for form in table if form not in "yp"]
    rows = [compare(table, form, n_rows, repeats) for form in forms]
    sizes = np.unique(np.geomspace(1e4, n_rows, 7).astype(int))
    series, fit = growth("2 text", sizes, repeats)
    slowest = max(row["fairgroup s"] for row in rows)
    draws = max(row["10,000 draws, extra s"] for row in rows)
    notes = (
        f"Slowest case {slowest:.3f} s (goal 0.1 s at 1e6 rows), draws at most {draws:.3f} s more "
        f"(goal 0.2 s). Time = {fit['fixed ms']:.1f} ms + {fit['ns per row']:.0f} ns per row "
        "(2 text attributes); exponent of the power law over the upper decade "
        f"{fit['exponent above 1e5 rows']:.2f}."
    )
    name = "metrics_quick" if quick else "metrics"
    write_results(name, [*rows, *series], title="Group metrics against MetricFrame", notes=notes)
    print("\n" + notes)


if __name__ == "__main__":
    main()
