"""Accuracy against parity of all decisions on a stream: the published points and ours.

Adult (32,561 rows), Census-Income (the test file, 99,762 rows) and COMPAS (6,167 rows) in file
order; every row is decided before it is learned. Published points, our run of the published
protocol over the published grid of weights, our defaults, settings chosen on the first rows of the
stream, river's trees and forest, and the majority line.
Run: ``OMP_NUM_THREADS=1 python benchmarks/stream_tradeoff.py [NAME]``, names at the end.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from itertools import product

import _streams as streams
import numpy as np
import pandas as pd
from _results import write_results
from _streams import Stream
from river import forest, tree
from sklearn.base import clone

from fairgroup.forest import AranyaniClassifier, aranyani_path

OUR_WEIGHTS = (0.0, 0.1, 0.2, 0.3, 0.5, 1.0, 2.0, 5.0, 10.0)
TARGETS = (0.1, 0.045, 0.026)
NOTES = (
    "Accuracy in percent and demographic parity difference of all decisions, each taken before "
    "its row was learned; mean and standard deviation over seeds. paper: points of the published "
    "figure, whose spread is that of its error bars (what they are and how many runs is not "
    "said). preset: our run of the published protocol, features standardised over the whole file "
    "beforehand. defaults: AranyaniClassifier() with another fairness_weight, raw features, no "
    "look-ahead; target: max_unfairness instead. soft parity is that of the probabilities. "
    "Above the line: accuracy beyond what replacing decisions of the same method without a "
    "penalty by the most frequent label would give at the same parity (expected values). "
)
TREES: dict[str, Callable[[int], object]] = {
    "river HT": lambda _: tree.HoeffdingTreeClassifier(),
    "river HAT": lambda seed: tree.HoeffdingAdaptiveTreeClassifier(seed=seed),
    "river ARF(10)": lambda seed: forest.ARFClassifier(n_models=10, seed=seed),
}


def score(decisions: np.ndarray, stream: Stream, start: int = 0) -> tuple[float, float]:
    """Accuracy and parity of the decisions from row ``start`` on."""
    decided = decisions[start:]
    group = stream.group[start : start + len(decided)]
    right = decided == stream.y[start : start + len(decided)]
    return right.mean(), abs(decided[group == 1].mean() - decided[group == 0].mean())


def figures(accuracy: Sequence[float], parity: Sequence[float]) -> dict:
    """Mean and standard deviation over seeds."""
    several = len(accuracy) > 1
    return {
        "accuracy": round(100 * float(np.mean(accuracy)), 2),
        "accuracy sd": round(100 * float(np.std(accuracy, ddof=1)), 2) if several else None,
        "parity": round(float(np.mean(parity)), 4),
        "parity sd": round(float(np.std(parity, ddof=1)), 4) if several else None,
    }


def path_rows(
    name: str, stream: Stream, model: AranyaniClassifier, weights: Sequence[float], seeds: int
) -> list[dict]:
    """A row for each fairness weight."""
    path = aranyani_path(
        stream.X,
        stream.y,
        sensitive_features=stream.group,
        fairness_weights=weights,
        random_states=range(seeds),
        estimator=model,
    )
    rows = []
    for weight, runs in path.runs.groupby("fairness_weight"):
        row = {"run": f"{name} {weight:g}", "method": name, "fairness weight": weight}
        row |= figures(runs["accuracy"], runs["parity"])
        row["soft parity"] = round(float(runs["soft_parity"].mean()), 4)
        rows.append(row | {"seeds": seeds, "rows": len(stream.y)})
    return above_the_line(rows, stream)


def target_rows(stream: Stream, targets: Sequence[float], seeds: int) -> list[dict]:
    """Defaults with a target instead of a weight."""
    rows = []
    for target in targets:
        model = AranyaniClassifier(max_unfairness=target)
        found = [decide(clone(model), stream, seed) for seed in range(seeds)]
        scores = np.array([score(decisions, stream) for decisions in found])
        row = {"run": f"target {target:g}", "method": "target", "target": target}
        rows.append(row | figures(*scores.T) | {"seeds": seeds, "rows": len(stream.y)})
    return rows


def decide(model: AranyaniClassifier, stream: Stream, seed: int) -> np.ndarray:
    """Progressive decisions of a fresh model."""
    model.set_params(random_state=seed)
    return model.progressive_predict(
        stream.X,
        stream.y,
        sensitive_features=stream.group,
        classes=[0, 1],
        sensitive_groups=[0, 1],
    )


def river_rows(stream: Stream, seeds: dict[str, int], n_rows: dict[str, int]) -> list[dict]:
    """River's trees and forest, features as given to the published protocol."""
    rows = []
    for name, make in TREES.items():
        n = min(n_rows.get(name, len(stream.y)), len(stream.y))
        found = [score(river_decisions(make(s), stream, n), stream) for s in range(seeds[name])]
        row = {"run": name, "method": name, **figures(*np.array(found).T)}
        rows.append(row | {"seeds": seeds[name], "rows": n})
    return rows


def river_decisions(model: object, stream: Stream, n: int) -> np.ndarray:
    """Progressive decisions; 0 while the model knows no label."""
    decisions = np.zeros(n)
    features = [dict(enumerate(row)) for row in stream.X[:n].tolist()]
    for i, (x, label) in enumerate(zip(features, stream.y[:n].astype(int).tolist(), strict=True)):
        decisions[i] = model.predict_one(x) or 0
        model.learn_one(x, label)
    return decisions


def above_the_line(rows: list[dict], stream: Stream) -> list[dict]:
    """Add what a curve has beyond the majority line of its own first row, which has no penalty."""
    start, share = rows[0], 100 * max(stream.y.mean(), 1 - stream.y.mean())
    for row in rows:
        line = share + (start["accuracy"] - share) * row["parity"] / start["parity"]
        row["above the line"] = round(row["accuracy"] - line, 2)
    return rows


def paper_rows(points: Sequence[tuple], trees: dict, stream: Stream) -> list[dict]:
    """Published points, in the order of their parity, and the published trees."""
    names = ("parity", "accuracy", "parity sd", "accuracy sd")
    curve = [
        {"run": f"paper {i}", "method": "paper", **dict(zip(names, point, strict=True))}
        for i, point in enumerate(points, start=1)
    ]
    single = [
        {"run": f"paper {name}", "method": f"paper {name}", "parity": at[0], "accuracy": at[1]}
        for name, at in trees.items()
    ]
    return above_the_line(curve, stream) + single


def majority_rows(start: dict, stream: Stream, name: str) -> list[dict]:
    """Majority line, expected values: a decision is the unconstrained forest's with chance p."""
    share = 100 * max(stream.y.mean(), 1 - stream.y.mean())
    return [
        {
            "run": f"{name} {p:g}",
            "method": name,
            "accuracy": round(p * start["accuracy"] + (1 - p) * share, 2),
            "parity": round(p * start["parity"], 4),
        }
        for p in (0, 0.25, 0.5, 0.75, 1)
    ]


def beside(rows: list[dict], points: Sequence[tuple]) -> None:
    """Put beside each preset row the published point of the same rank, and judge the distance."""
    for row, (parity, accuracy, parity_sd, accuracy_sd) in zip(rows, points, strict=True):
        row |= {"paper parity": parity, "paper accuracy": accuracy}
        row["parity off (spreads)"] = round(abs(row["parity"] - parity) / parity_sd, 2)
        row["accuracy off (spreads)"] = round(abs(row["accuracy"] - accuracy) / accuracy_sd, 2)


def run_adult() -> None:
    """Adult, the protocol of the published curve."""
    scaled, raw = streams.adult(), streams.adult(standardise=False)
    preset = path_rows(
        "preset", scaled, AranyaniClassifier.published(), streams.ADULT_WEIGHTS, seeds=10
    )
    beside(preset, streams.ADULT)
    defaults = path_rows("defaults", raw, AranyaniClassifier(), OUR_WEIGHTS, seeds=10)
    rows = paper_rows(streams.ADULT, streams.TREES["adult"], scaled) + preset + defaults
    rows += target_rows(raw, TARGETS, seeds=10)
    rows += river_rows(scaled, {"river HT": 1, "river HAT": 5, "river ARF(10)": 5}, {})
    rows += majority_rows(preset[0], scaled, "majority of preset")
    rows += majority_rows(defaults[0], raw, "majority of defaults")
    write_results(
        "stream_adult",
        rows,
        title="Decisions on a stream: Adult, 32,561 rows in file order",
        notes=NOTES + "The published weights are not annotated in the figure: preset rows stand "
        "beside the point of the same rank, and their distance is given in published spreads.",
        libraries=("river",),
    )


def run_census() -> None:
    """Census-Income: the published figures are for the training file, ours for the test file."""
    scaled, raw = streams.census(), streams.census(standardise=False)
    preset = path_rows(
        "preset", scaled, AranyaniClassifier.published(), (*streams.CENSUS_WEIGHTS, 0.5, 1.0), 5
    )
    defaults = path_rows("defaults", raw, AranyaniClassifier(), OUR_WEIGHTS, seeds=5)
    rows = paper_rows(streams.CENSUS, streams.TREES["census"], scaled) + preset + defaults
    rows += target_rows(raw, (0.02, 0.01), seeds=5)
    few = {"river HAT": 20_000, "river ARF(10)": 10_000}
    rows += river_rows(scaled, dict.fromkeys(TREES, 1), few)
    rows += majority_rows(preset[0], scaled, "majority of preset")
    rows += majority_rows(defaults[0], raw, "majority of defaults")
    write_results(
        "stream_census",
        rows,
        title="Decisions on a stream: Census-Income (KDD), 99,762 rows of the test file",
        notes=NOTES + "The published figures are for the training file (199,523 rows), which is "
        "not at hand: they are not comparable row by row. river's adaptive tree and forest ran on "
        "the first rows only, which is why their rows differ.",
        libraries=("river",),
    )


def run_compas() -> None:
    """COMPAS, raw as published, and standardised."""
    raw, scaled = streams.compas(), streams.compas(standardise=True)
    published = AranyaniClassifier.published()
    preset = path_rows("preset, raw", raw, published, streams.COMPAS_WEIGHTS, seeds=20)
    better = path_rows("preset, standardised", scaled, published, streams.COMPAS_WEIGHTS, 20)
    defaults = path_rows("defaults", raw, AranyaniClassifier(), OUR_WEIGHTS, seeds=20)
    rows = paper_rows(streams.COMPAS, streams.TREES["compas"], raw) + preset + better + defaults
    rows += target_rows(raw, (0.05, 0.03), seeds=20)
    rows += river_rows(raw, {"river HT": 1, "river HAT": 5, "river ARF(10)": 5}, {})
    rows += majority_rows(better[0], raw, "majority of preset, standardised")
    write_results(
        "stream_compas",
        rows,
        title="Decisions on a stream: COMPAS, 6,167 rows, group: race is white",
        notes=NOTES + "The authors' own two files are not distributed; this is ProPublica's "
        "two-year file under the usual filter. Published on raw features, whose nodes are "
        "saturated from the start.",
        libraries=("river",),
    )


def run_slope() -> None:
    """Adult under both slopes of the penalty outside of the Huber zone."""
    scaled, rows = streams.adult(), []
    for slope in ("unit", "delta"):
        model = AranyaniClassifier.published(huber_slope=slope)
        rows += path_rows(slope, scaled, model, (0.0, 0.1, 1.0, 10.0, 100.0), seeds=5)
    write_results(
        "stream_slope",
        rows,
        title="Decisions on a stream: the two slopes of the penalty, Adult",
        notes="The published protocol with the slope of the authors' code (unit), whose curve is "
        "the published one, and with that of the textbook's Huber function (delta). " + NOTES,
    )


# ---- settings chosen on the first rows ----------------------------------------------------


def candidates(data: str) -> dict[str, list[dict]]:
    """Settings to choose from; of the preset and of the defaults only the weight is free."""
    weights = OUR_WEIGHTS[1:]
    grid = product((3, 10, 20), (0.002, 0.005, 0.01, 0.02), (0.99, 0.999))
    if data == "census":  # many rows and columns: fewer candidates
        grid = product((3, 10), (0.002, 0.005, 0.01), (0.999,))
    return {
        "preset": [{"fairness_weight": w} for w in streams.ADULT_WEIGHTS[1:]],
        "defaults": [{"fairness_weight": w} for w in weights],
        "best": [
            {"n_estimators": n, "learning_rate": rate, "decay": decay, "fairness_weight": w}
            for n, rate, decay in grid
            for w in weights
        ],
    }


def on_prefix(name: str, settings: list[dict], stream: Stream, cut: int) -> pd.DataFrame:
    """Accuracy and parity of every setting on the first ``cut`` rows, mean over three seeds."""
    make = AranyaniClassifier.published if name == "preset" else AranyaniClassifier
    head = Stream(*(values[:cut] for values in stream))
    shapes: dict[tuple, list[float]] = {}
    for setting in settings:
        shape = tuple((k, v) for k, v in setting.items() if k != "fairness_weight")
        shapes.setdefault(shape, []).append(setting["fairness_weight"])
    tables = []
    for shape, weights in shapes.items():
        path = aranyani_path(
            head.X,
            head.y,
            sensitive_features=head.group,
            fairness_weights=weights,
            random_states=range(100, 103),
            estimator=make(**dict(shape)),
        )
        means = path.runs.groupby("fairness_weight")[["accuracy", "parity"]].mean().reset_index()
        tables.append(means.assign(**dict(shape)))
    return pd.concat(tables, ignore_index=True)


def choose(table: pd.DataFrame, budget: float) -> pd.Series:
    """Most accurate setting within the budget; the one of least parity if there is none."""
    within = table[table["parity"] <= budget]
    if within.empty:
        return table.loc[table["parity"].idxmin()]
    return within.loc[within["accuracy"].idxmax()]


def run_prefix() -> None:
    """Choose on the first fifth, report on the rest: nothing was chosen there."""
    plans = {
        "adult": ((0.1, 0.045, 0.026, 0.015), streams.adult, 10),
        "compas": ((0.1, 0.05, 0.03), streams.compas, 20),
        "census": ((0.02, 0.01, 0.005), streams.census, 5),
    }
    rows = []
    for data, (budgets, load, seeds) in plans.items():
        streams_of = {"preset": load(standardise=True)}
        streams_of["defaults"] = streams_of["best"] = load(standardise=False)
        for name, settings in candidates(data).items():
            stream = streams_of[name]
            cut = len(stream.y) // (10 if data == "census" else 5)
            table = on_prefix(name, settings, stream, cut)
            for budget in budgets:
                chosen = choose(table, budget)
                rows.append(
                    {"run": f"{data}, {name}, {budget:g}", "data": data, "from": name}
                    | {"budget": budget, "chosen on": cut}
                    | chosen_row(name, chosen, stream, cut, seeds)
                )
    write_results(
        "stream_prefix",
        rows,
        title="Decisions on a stream: settings chosen on its first rows",
        notes="For each parity budget the most accurate setting among those whose mean over three "
        "seeds kept the budget on the first rows (the least unfair one where none did). Judged on "
        "the decisions for all other rows (rest) and for all (whole), with other seeds. preset "
        "and defaults: only the weight was free; best: 3, 10 or 20 trees, four learning rates, "
        "two decays and eight weights (census: 3 or 10 trees, three rates, one decay). The preset "
        "has features standardised over the whole file.",
    )


def chosen_row(name: str, chosen: pd.Series, stream: Stream, cut: int, seeds: int) -> dict:
    """Decisions of the chosen setting, for the rest of the stream and for all of it."""
    make = AranyaniClassifier.published if name == "preset" else AranyaniClassifier
    row = {"fairness weight": chosen["fairness_weight"]}
    row |= {"trees": chosen.get("n_estimators"), "learning rate": chosen.get("learning_rate")}
    row["decay"] = chosen.get("decay")
    settings = chosen.drop(["accuracy", "parity"]).to_dict()
    if "n_estimators" in settings:
        row["trees"] = settings["n_estimators"] = int(settings["n_estimators"])
    found = [decide(make(**settings), stream, seed) for seed in range(seeds)]
    row["prefix accuracy"] = round(100 * chosen["accuracy"], 2)
    row["prefix parity"] = round(chosen["parity"], 4)
    for part, start in (("rest", cut), ("whole", 0)):
        numbers = figures(*np.array([score(d, stream, start) for d in found]).T)
        row |= {f"{part} {key}": value for key, value in numbers.items()}
    return row | {"seeds": seeds}


RUNS = {
    "adult": run_adult,
    "census": run_census,
    "compas": run_compas,
    "prefix": run_prefix,
    "slope": run_slope,
}

if __name__ == "__main__":
    for name in sys.argv[1:] or RUNS:
        RUNS[name]()
