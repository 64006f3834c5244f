"""Time of ``import fairgroup`` above bare Python, and what the first use of each part adds.

Run: ``python benchmarks/bench_import.py``. Every statement runs in fresh interpreters; statements
take turns, so that a busy moment of the machine hits all of them alike.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

from _results import write_results

REPEATS = 15
BARE = "pass"
STATEMENTS = {
    "bare Python": BARE,
    "import fairgroup": "import fairgroup",
    "fairgroup.GroupEncoder": "import fairgroup; fairgroup.GroupEncoder",
    "fairgroup.metrics.group_metrics": "import fairgroup; fairgroup.metrics.group_metrics",
    "fairgroup.compare": "import fairgroup; fairgroup.compare",
    "import sklearn": "import sklearn",
    "import pandas": "import pandas",
    "import fairlearn": "import fairlearn",
    "from fairlearn.metrics import MetricFrame": "from fairlearn.metrics import MetricFrame",
}


def seconds(statement: str) -> float:
    """Wall time of one fresh interpreter."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - start


def modules_loaded(statement: str) -> int:
    """Number of modules in ``sys.modules`` afterwards."""
    code = f"{statement}\nimport sys; print(len(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return int(run.stdout)


def main() -> None:
    """Measure, print, write ``results/import.json``."""
    for statement in STATEMENTS.values():  # warm the file cache and write the .pyc files
        seconds(statement)
    times: dict[str, list[float]] = {name: [] for name in STATEMENTS}
    for _ in range(REPEATS):
        for name, statement in STATEMENTS.items():
            times[name].append(seconds(statement))
    bare = times[next(iter(STATEMENTS))]
    rows = [
        {
            "statement": name,
            "median (s)": round(statistics.median(times[name]), 4),
            "above bare Python, medians (s)": round(
                statistics.median(times[name]) - statistics.median(bare), 4
            ),
            "above bare Python, fastest runs (s)": round(min(times[name]) - min(bare), 4),
            "modules": modules_loaded(statement),
        }
        for name, statement in STATEMENTS.items()
    ]
    write_results(
        "import",
        rows,
        title="Import time",
        notes=(
            f"{REPEATS} fresh interpreters per statement. Goal: `import fairgroup` "
            "costs less than 0.05 s above bare Python; what a name needs is loaded on first use."
        ),
    )


if __name__ == "__main__":
    main()
