"""Speed and accuracy of the decomposition and the frontier, against dit and cvxpy, in one run.

    python benchmarks/bench_pid.py [--quick]

Each size is solved by us alone, by us in a batch, by cvxpy (exponential cones, CLARABEL) and by
dit's default BROJA optimiser (the one behind published numbers), on the same random tables. dit is
optional: where it is not installed, ``--dit-python`` names an interpreter that has it, which is
then run on the same tables.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np
from _results import write_results

from fairgroup.information import DisparityDecomposition, FairnessFrontier, pid_broja

SIZES = ((2, 2, 2), (2, 2, 10), (2, 10, 10), (4, 4, 50))
# More than this per problem and dit is stopped; the figure is then a lower bound.
DIT_LIMIT = 150
# Counts [sex][client][income] of Adult, sexes spread unevenly.
ADULT = [[[4342, 542], [10080, 1227]], [[13534, 6002], [9197, 3916]]]

# Run by the interpreter that has dit; reads tables, prints seconds and unique information.
DIT_PROGRAM = """
import json, sys, time, warnings
warnings.simplefilter("ignore")
import numpy as np, dit
from dit.pid import PID_BROJA
table = np.load(sys.argv[1])
cells = [cell for cell in np.ndindex(table.shape) if table[cell] > 0]
law = dit.Distribution([tuple(map(str, cell)) for cell in cells], [table[cell] for cell in cells])
start = time.perf_counter()
pid = PID_BROJA(law, [[1], [2]], [0])
unique = pid.get_pi(((1,),)) if hasattr(pid, "get_pi") else pid.get_partial(((1,),))
print(json.dumps([time.perf_counter() - start, float(unique), dit.__version__]))
"""


def fairness_like(rng, m, k, n, n_tables):
    """Clients with different mixes of groups and nearly the same decisions given the group."""
    clients = rng.dirichlet(np.full(n, 5.0), n_tables)
    groups = rng.dirichlet(np.full(m, 2.0), (n_tables, n))
    common = rng.dirichlet(np.full(k, 2.0), (n_tables, m))
    noise = rng.dirichlet(np.full(k, 2.0), (n_tables, m, n))
    decide = 0.8 * common[:, :, None] + 0.2 * noise
    law = clients[:, None, :, None] * groups.transpose(0, 2, 1)[..., None] * decide
    return law.transpose(0, 1, 3, 2)


def best_of(function, repeats):
    """Shortest of several runs: the others were disturbed."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return min(times)


def run_dit(python, table):
    """Seconds, unique information and version; None for the value when it was stopped."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.npy"
        np.save(path, table)
        try:
            done = subprocess.run(
                [python, "-c", DIT_PROGRAM, str(path)],
                capture_output=True,
                text=True,
                timeout=DIT_LIMIT,
            )
        except subprocess.TimeoutExpired:
            return DIT_LIMIT, None, None
    if done.returncode:
        raise RuntimeError(done.stderr[-500:])
    return json.loads(done.stdout.strip().splitlines()[-1])


def decomposition_rows(sizes, dit_python, quick):
    rng = np.random.default_rng(7)
    rows = []
    for m, k, n in sizes:
        tables = fairness_like(rng, m, k, n, 200 if quick or m > 2 else 2000)
        exact = pid_broja(tables[:20], tol=1e-11 if m > 2 else 1e-9)
        single = best_of(lambda tables=tables: pid_broja(tables[0]), 20)
        batch = best_of(lambda tables=tables: pid_broja(tables), 3) / len(tables)
        row = {
            "groups x decisions x clients": f"{m} x {k} x {n}",
            "fairgroup, one table [ms]": 1e3 * single,
            "fairgroup, per table of a batch [ms]": 1e3 * batch,
            "largest gap [bits]": float(np.max(pid_broja(tables).duality_gap)),
        }
        if importlib.util.find_spec("cvxpy"):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                solve = [lambda t=t: pid_broja(t, solver="cvxpy", tol=1.0) for t in tables[:3]]
                row["cvxpy [ms]"] = 1e3 * float(np.median([best_of(s, 2) for s in solve]))
                values = [pid_broja(t, solver="cvxpy", tol=1.0).unique1 for t in tables[:3]]
            row["cvxpy error [bits]"] = float(np.abs(values - exact.unique1[:3]).max())
        if dit_python:
            n_runs = 1 if quick or k * n > 50 else 3
            found = [run_dit(dit_python, table) for table in tables[:n_runs]]
            seconds = float(np.median([entry[0] for entry in found]))
            stopped = any(entry[1] is None for entry in found)
            row["dit [ms]"] = 1e3 * seconds
            row["dit stopped"] = "yes, at least this long" if stopped else ""
            if not stopped:
                row["dit error [bits]"] = float(
                    np.max([abs(entry[1] - exact.unique1[i]) for i, entry in enumerate(found)])
                )
            row["dit / one table"] = seconds / single
            row["dit / batch"] = seconds / batch
        rows.append(row)
        print(row, flush=True)
    return rows


def timed(task, function, repeats, **more):
    """One row: shortest wall time, and processor time, which other jobs on the machine disturb
    less.
    """
    wall, cpu = [], []
    for _ in range(repeats):
        start, used = time.perf_counter(), time.process_time()
        function()
        wall.append(time.perf_counter() - start)
        cpu.append(time.process_time() - used)
    row = {"task": task, "seconds": min(wall), "processor seconds": min(cpu), **more}
    print(row, flush=True)
    return row


def largest_gap(frontier):
    return float(np.max(frontier.error_ - frontier.lower_bound_))


def other_rows(quick):
    rng = np.random.default_rng(1)
    table = rng.multinomial(20_000, fairness_like(rng, 2, 2, 10, 1)[0].ravel()).reshape(2, 2, 10)
    n_draws = 1000 if quick else 10_000
    audit = DisparityDecomposition(n_bootstrap=n_draws, random_state=0)
    name = f"{n_draws:,} bootstrap decompositions, 2 x 2 x 10, with parity split"
    rows = [timed(name, lambda: audit.fit_counts(table), 10)]
    frontier = FairnessFrontier()
    name = "frontier of 11 x 11 budgets, Adult labels, 2 clients"
    rows.append(timed(name, lambda: frontier.fit_counts(ADULT), 5))
    rows[-1]["largest gap"] = largest_gap(frontier)
    law = fairness_like(rng, 2, 2, 10, 1)[0]
    counts = rng.multinomial(50_000, law.ravel()).reshape(2, 2, 10).transpose(0, 2, 1)
    rows.append(
        timed("frontier of 11 x 11 budgets, 10 clients", lambda: frontier.fit_counts(counts), 3)
    )
    rows[-1]["largest gap"] = largest_gap(frontier)
    large = rng.integers(1, 40, (4, 50, 3))
    one = FairnessFrontier(epsilon_global=[0.01], epsilon_local=[0.01], decompose=False)
    name = "one budget, 4 groups, 50 clients, 3 labels"
    rows.append(timed(name, lambda: one.fit_counts(large), 1))
    rows[-1]["largest gap"] = largest_gap(one)
    rows.append(timed("one budget, Adult labels", lambda: one.fit_counts(ADULT), 10))
    if importlib.util.find_spec("cvxpy"):
        slow = FairnessFrontier(
            epsilon_global=[0.01], epsilon_local=[0.01], decompose=False, solver="cvxpy", tol=1.0
        )
        rows.append(timed("one budget, Adult labels, cvxpy", lambda: slow.fit_counts(ADULT), 5))
    return [*rows, *sparse_rows(rng)]


def sparse_rows(rng):
    """Tables with far fewer rows than cells, where the interior point method is at its limit."""
    rows = []
    for n_rows in (40, 200, 2000):
        laws = rng.dirichlet(np.full(300, 0.3), 200)
        tables = np.stack([rng.multinomial(n_rows, law) for law in laws]).reshape(-1, 3, 10, 10)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gap = pid_broja(tables).duality_gap
        missed = int((gap > 1e-9).sum())
        name = f"200 tables 3 x 10 x 10 of {n_rows} rows: {missed} above 1e-9 bits"
        rows.append(timed(name, lambda t=tables: quiet(t), 1))
        rows[-1]["largest gap"] = float(gap.max())
    return rows


def quiet(tables):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pid_broja(tables)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer tables and runs")
    parser.add_argument("--tasks", action="store_true", help="only bootstrap, frontier, sparse")
    parser.add_argument(
        "--dit-python", help="interpreter that has dit (default: this one, if it has)"
    )
    options = parser.parse_args()
    dit_python = options.dit_python
    if dit_python is None and importlib.util.find_spec("dit"):
        dit_python = sys.executable
    if dit_python is None and not options.tasks:
        print("dit is not installed; its columns are left out (pip install dit, or --dit-python).")
    sizes = [] if options.tasks else decomposition_rows(SIZES, dit_python, options.quick)
    peers = ["cvxpy"] if importlib.util.find_spec("cvxpy") else []
    notes = (
        "Random tables in which clients differ in their mix of groups. One thread. dit runs its "
        "default BROJA optimiser "
        f"and is stopped after {DIT_LIMIT} s."
    )
    if sizes:
        write_results(
            "pid_speed",
            sizes,
            title="Decomposition: speed and accuracy",
            notes=notes,
            libraries=peers,
        )
    write_results(
        "pid_tasks",
        other_rows(options.quick),
        title="Bootstrap, frontier, sparse tables: seconds",
        libraries=peers,
    )


if __name__ == "__main__":
    main()
