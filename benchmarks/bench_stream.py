"""Speed of the forest on a stream: instances per CPU second beside river, growth, and memory.

The rows of Adult (d = 14, standardised), T = 3 trees of depth h = 4; river's HoeffdingTree,
HoeffdingAdaptiveTree and ARF(10) in the same run. Every instance is predicted, then learned. CPU
seconds of the process are measured, because a shared machine's clock says little.
Run: ``OMP_NUM_THREADS=1 python benchmarks/bench_stream.py [speed|growth|memory]``.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
from _results import write_results
from _streams import Stream, adult
from river import forest, tree

from fairgroup.forest import AranyaniClassifier, aranyani_path

CHUNK = 10_000


def cpu_seconds(run: Callable[[], object], repeat: int = 1) -> tuple[float, float]:
    """Least CPU time of a few runs, and least wall time."""
    cpu = wall = np.inf
    for _ in range(repeat):
        start, clock = time.process_time(), time.perf_counter()
        run()
        cpu = min(cpu, time.process_time() - start)
        wall = min(wall, time.perf_counter() - clock)
    return cpu, wall


def made_up(n: int, d: int, n_groups: int = 2, seed: int = 0) -> Stream:
    """Normal features, a label that follows half of them, and groups that shift one of them."""
    rng = np.random.default_rng(seed)
    group = rng.integers(0, n_groups, n)
    X = rng.normal(size=(n, d))
    X[:, 0] += group / n_groups
    y = X[:, : max(1, d // 2)].sum(axis=1) + rng.normal(size=n) > 0
    return Stream(X, y.astype(float), group)


def learn(model: AranyaniClassifier, stream: Stream) -> AranyaniClassifier:
    """Decide and learn all rows, in one call."""
    X, y, group = stream
    known = np.repeat(np.unique(group), 2)  # many levels, once each, would pass for identifiers
    return model.partial_fit(
        X, y, classes=[0, 1], sensitive_features=group, sensitive_groups=known
    )


def row_by_row(model: AranyaniClassifier, stream: Stream) -> None:
    """Decide and learn one row at a time, validation included."""
    X, y, group = stream
    for i in range(len(y)):
        model.progressive_predict(
            X[i : i + 1],
            y[i : i + 1],
            classes=[0, 1] if i == 0 else None,
            sensitive_features=group[i : i + 1],
            sensitive_groups=np.unique(group) if i == 0 else None,
        )


def river_rows(stream: Stream, keys: dict[str, np.ndarray] | None = None) -> list[tuple]:
    """Rows as river wants them."""
    names = [f"x{k}" for k in range(stream.X.shape[1])]
    rows = [dict(zip(names, row, strict=True)) for row in stream.X.tolist()]
    for key, values in (keys or {}).items():
        for row, value in zip(rows, values.tolist(), strict=True):
            row[key] = value
    return list(zip(rows, stream.y.astype(int).tolist(), strict=True))


def one_by_one(model: object, rows: list[tuple]) -> None:
    """River's protocol."""
    for x, y in rows:
        model.predict_one(x)
        model.learn_one(x, y)


def contestants(stream: Stream) -> dict[str, tuple[int, Callable[[], object], int]]:
    """Name -> (instances, run, repeats)."""
    few, rows = Stream(*(values[:3000] for values in stream)), river_rows(stream)
    ours = river_rows(few, {"sex": few.group})
    small = {"n_estimators": 3}
    preset = AranyaniClassifier.published

    def adapted() -> None:
        model = AranyaniClassifier(**small)
        one_by_one(model.to_river(sensitive_features=["sex"], classes=[0, 1], groups=[0, 1]), ours)

    n = len(stream.y)
    return {
        "fairgroup, node level (preset)": (n, lambda: learn(preset(), stream), 5),
        "fairgroup, no penalty": (n, lambda: learn(preset(constraint=None), stream), 5),
        "fairgroup, output level": (n, lambda: learn(AranyaniClassifier(**small), stream), 5),
        "fairgroup, defaults (10 trees)": (n, lambda: learn(AranyaniClassifier(), stream), 3),
        "fairgroup, output level, row by row": (
            len(few.y),
            lambda: row_by_row(AranyaniClassifier(**small), few),
            1,
        ),
        "fairgroup, output level, to_river": (len(few.y), adapted, 2),
        "river HoeffdingTreeClassifier": (
            n,
            lambda: one_by_one(tree.HoeffdingTreeClassifier(), rows),
            2,
        ),
        "river HoeffdingAdaptiveTreeClassifier": (
            n,
            lambda: one_by_one(tree.HoeffdingAdaptiveTreeClassifier(seed=0), rows),
            1,
        ),
        "river ARFClassifier(10)": (
            6000,
            lambda: one_by_one(forest.ARFClassifier(n_models=10, seed=0), rows[:6000]),
            1,
        ),
    }


def run_speed() -> None:
    """Instances per CPU second, d = 14, T = 3, h = 4."""
    stream, rows = adult(), []
    learn(AranyaniClassifier.published(), Stream(*(v[:100] for v in stream)))  # compiles
    for name, (n, run, repeat) in contestants(stream).items():
        cpu, wall = cpu_seconds(run, repeat)
        rows.append({"who": name, "instances": n, "per CPU second": round(n / cpu)})
        rows[-1]["per wall second"] = round(n / wall)
    speed = {row["who"]: row["per CPU second"] for row in rows}
    for row in rows:
        row["times HT"] = row["per CPU second"] / speed["river HoeffdingTreeClassifier"]
        row["times ARF"] = row["per CPU second"] / speed["river ARFClassifier(10)"]
    rows += stacked(stream)
    write_results(
        "stream_speed",
        rows,
        title="Forest on a stream: instances per CPU second, Adult",
        notes="32,561 rows, 14 features, 3 trees of depth 4 unless said; every instance is "
        "decided, then learned, with two groups. river has no groups. Row by row includes all "
        "input checks of a call; rows of dictionaries were made before the clock started. "
        "aranyani_path: independent runs on threads, run-instances. The machine was shared: "
        "what counts is CPU seconds, and ratios.",
        libraries=("river",),
    )


def stacked(stream: Stream) -> list[dict]:
    """40 runs of `aranyani_path`, in run-instances."""
    rows = []
    for n_jobs in (1, 2):

        def run(n_jobs: int = n_jobs) -> None:
            aranyani_path(
                stream.X,
                stream.y,
                sensitive_features=stream.group,
                fairness_weights=[0.1, 0.3, 0.5, 1, 5, 10, 50, 100],
                random_states=range(5),
                estimator=AranyaniClassifier.published(),
                n_jobs=n_jobs,
            )

        cpu, wall = cpu_seconds(run)
        n = 40 * len(stream.y)
        rows.append({"who": f"aranyani_path, 40 runs, {n_jobs} threads", "instances": n})
        rows[-1] |= {"per CPU second": round(n / cpu), "per wall second": round(n / wall)}
    return rows


def run_growth() -> None:
    """Microseconds per instance when one thing grows."""
    base = {"d": 14, "T": 3, "h": 4, "groups": 2}
    steps = {
        "d": (5, 14, 40, 100, 300, 768),
        "T": (1, 3, 10, 30, 100),
        "h": (1, 2, 3, 4, 5, 6, 8),
        "groups": (2, 4, 8, 16, 64),
    }
    rows = [
        growth_row(level, what, base | {what: value})
        for level in ("node", "output")
        for what, values in steps.items()
        for value in values
    ]
    write_results(
        "stream_growth",
        rows,
        title="Forest on a stream: growth with columns, trees, depth and groups",
        notes="CPU microseconds to decide and learn one row, best of three, made-up rows in one "
        "call. The penalty is the mean over all pairs of groups. state: the arrays of the model, "
        "its history of running numbers (a fixed number of rows) included.",
    )


def growth_row(level: str, what: str, size: dict[str, int]) -> dict:
    """Time and state of one size."""
    cost = size["d"] * size["T"] * 2 ** size["h"] * size["groups"]
    n = int(np.clip(2e7 / cost, 2000, 20_000))
    stream = made_up(n, size["d"], size["groups"])
    settings = {"n_estimators": size["T"], "max_depth": size["h"], "level": level}
    found = [AranyaniClassifier(**settings, random_state=0) for _ in range(3)]
    cpu = min(cpu_seconds(lambda model=model: learn(model, stream))[0] for model in found)
    held = sum(getattr(a, "nbytes", 0) for a in found[0].get_state().values())
    row = {"run": f"{level}, {what}={size[what]}", "level": level, "grows": what, **size}
    return row | {"us per instance": 1e6 * cpu / n, "state KiB": held / 1024}


def run_memory() -> None:
    """Peak memory of the process, and the model's own arrays, over a generator of chunks."""
    rows = []
    for n in (100_000, 300_000, 1_000_000):
        command = [sys.executable, __file__, "child", str(n)]
        out = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        peak, held, cpu = map(float, out.split())
        rows.append({"instances": n, "peak MiB": peak, "state KiB": held, "CPU seconds": cpu})
    write_results(
        "stream_memory",
        rows,
        title="Forest on a stream: memory over a million instances",
        notes="A new process for each length: chunks of 10,000 rows with 14 features are made, "
        "learned with the default settings, and thrown away. Peak: of the whole process, "
        "interpreter and libraries included. state: all arrays of the model.",
    )


def child(n: int) -> None:
    """Learn ``n`` rows from a generator of chunks; print peak MiB, state KiB and CPU seconds."""
    model, start = AranyaniClassifier(random_state=0), time.process_time()
    for chunk in range(n // CHUNK):
        learn(model, made_up(CHUNK, 14, seed=chunk))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    held = sum(getattr(a, "nbytes", 0) for a in model.get_state().values()) / 1024
    print(peak, held, time.process_time() - start)


RUNS = {"speed": run_speed, "growth": run_growth, "memory": run_memory}

if __name__ == "__main__":
    if sys.argv[1:2] == ["child"]:
        child(int(sys.argv[2]))
    else:
        for name in sys.argv[1:] or RUNS:
            RUNS[name]()
