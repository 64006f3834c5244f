"""Motor insurance: the study's published test table and our models, on the same split.

    python benchmarks/motor_insurance.py

Lee, Antonio, Avanzi, Marchi and Zhou (2025), arXiv:2509.08163: numbers of claims, independent of
region (10) and sex jointly. Settings are those that ``motor_insurance_search.py`` has chosen on
the validation fold; here the models are fitted on the whole training set and run once on the test
set. Needs pg15training in the data folder; takes about a minute of processor time.
"""

from __future__ import annotations

import json
import time

import numpy as np
from _motor_study import METRICS, PUBLISHED, SEEDS, Study, better, fairness, load, scores
from _results import RESULTS, write_results
from joblib import Parallel, delayed
from motor_insurance_search import regressor

from fairgroup.dependence import concatenated_distance_covariance

N_SEEDS = 5
N_PERMUTED = 10
RATE_METRICS = ("CCdCov of the rate", "CCdCov of the rate by exposure")
# What an exploration that looked at the test rows had reached; it has no figure for JdCov.
GOAL = (0.1210, 0.529, 2.2e-5, np.inf, 0.0013, 0.0029)


def chosen(family: str) -> dict:
    """Return the settings that the validation fold has chosen."""
    search = json.loads((RESULTS / "motor_insurance_search.json").read_text(encoding="utf-8"))
    (row,) = [r for r in search["rows"] if r["family"] == family and r.get("chosen")]
    return {name: row[name] for name in ("fairness_weight", "alpha")}


def expected_claims(study: Study, family: str, settings: dict, seed: int | None) -> np.ndarray:
    """Fit on the training rows and predict the test rows.

    ``penalise`` among the settings is "response", "rate", or "exposure-weighted rate". The last is
    the same Poisson likelihood, written as that of the rate with the exposure as row weight; the
    penalty then counts a year at risk, not a contract, as the unit.
    """
    X, fit, test = study.features("train"), study.parts["train"], study.parts["test"]
    penalise = settings.get("penalise", "response")
    model = regressor(family, **{k: v for k, v in settings.items() if k != "penalise"}, seed=seed)
    protected, exposure = study.protected.iloc[fit], study.exposure[fit]
    if penalise == "exposure-weighted rate":
        rate = study.claims[fit] / exposure
        model.fit(X[fit], rate, sensitive_features=protected, sample_weight=exposure)
        return study.exposure[test] * model.predict(X[test])
    model.set_params(penalise=penalise)
    model.fit(X[fit], study.claims[fit], sensitive_features=protected, exposure=exposure)
    return model.predict(X[test], exposure=study.exposure[test])


def constant_rate(study: Study) -> np.ndarray:
    """Return exposure times the training rate."""
    fit, test = study.parts["train"], study.parts["test"]
    return study.exposure[test] * study.claims[fit].sum() / study.exposure[fit].sum()


def run(study: Study, name: str, family: str, settings: dict, seed: int | None) -> dict:
    """Fit, predict and measure once."""
    start = time.process_time()
    if family == "constant":
        expected = constant_rate(study)
    else:
        expected = expected_claims(study, family, settings, seed)
    seconds = time.process_time() - start
    found = {**scores(study, "test", expected), **rate_dependence(study, expected)}
    times = {"seconds": seconds, "processor": time.process_time() - start}
    return {"model": name, **found, **times, "expected": expected}


def rate_dependence(study: Study, expected: np.ndarray) -> dict[str, float]:
    """Return CCdCov of claims per year, every contract or every year at risk counting alike."""
    test = study.parts["test"]
    years, protected = study.exposure[test], study.protected.iloc[test]
    by_exposure = {"estimator": "V", "sample_weight": years}
    values = (
        concatenated_distance_covariance(expected / years, protected),
        concatenated_distance_covariance(expected / years, protected, **by_exposure),
    )
    return dict(zip(RATE_METRICS, values, strict=True))


def by_chance(study: Study, expected: np.ndarray) -> dict[str, float]:
    """Return the metrics of dependence when people are permuted: what chance alone leaves."""
    rng, protected = np.random.default_rng(0), study.protected.iloc[study.parts["test"]]
    runs = [fairness(expected, rng.permutation(protected)) for _ in range(N_PERMUTED)]
    return {name: float(np.mean([run[name] for run in runs])) for name in runs[0]}


def plan() -> list[tuple[str, str, dict, int]]:
    """Return the models: name, family, settings, number of seeds."""
    linear, network = chosen("linear, CCdCov"), chosen("network, CCdCov")
    by_exposure = {**linear, "penalise": "exposure-weighted rate"}
    return [
        ("exposure times the mean rate", "constant", {}, 1),
        ("Poisson GLM", "linear, CCdCov", {"fairness_weight": 0.0, "alpha": 0.0}, 1),
        ("linear, CCdCov", "linear, CCdCov", linear, 1),
        ("linear, JdCov", "linear, JdCov", chosen("linear, JdCov"), 1),
        ("linear, CCdCov of the rate", "linear, CCdCov", {**linear, "penalise": "rate"}, 1),
        ("linear, CCdCov of the rate by exposure", "linear, CCdCov", by_exposure, 1),
        ("network", "network, CCdCov", {**network, "fairness_weight": 0.0}, N_SEEDS),
        ("network, CCdCov", "network, CCdCov", network, N_SEEDS),
        ("network, JdCov", "network, JdCov", chosen("network, JdCov"), N_SEEDS),
    ]


def summary(name: str, runs: list[dict], settings: dict) -> dict:
    """Return the row of a model: means over seeds, spreads, and how many seeds meet the goals."""
    row: dict = {"model": name, "seeds": len(runs)}
    row |= {m: float(np.mean([run[m] for run in runs])) for m in (*METRICS, *RATE_METRICS)}
    if len(runs) > 1:
        row |= {f"{m} sd": float(np.std([run[m] for run in runs], ddof=1)) for m in METRICS}
    fair = list(PUBLISHED.values())[1:]
    ahead = sum(all(better(run, than=than) for than in fair) for run in runs)
    row["better on all six"] = f"{ahead} of {len(runs)}"
    row["within the stricter goal"] = (
        f"{sum(better(run, than=GOAL) for run in runs)} of {len(runs)}"
    )
    row["seconds"] = float(np.mean([run["seconds"] for run in runs]))
    shown = {k: settings[k] for k in ("fairness_weight", "alpha") if k in settings}
    return {**row, **shown}


def main() -> None:
    """Run everything, two processes at a time, and write the table."""
    start, study, models = time.perf_counter(), load(), plan()
    # Networks with many seeds first, so that neither process waits for the other at the end.
    jobs = [
        (name, family, settings, seed)
        for name, family, settings, count in reversed(models)
        for seed in (SEEDS[:count] if count > 1 else (None,))
    ]
    found = Parallel(n_jobs=2)(delayed(run)(study, *job) for job in jobs)
    rows: list[dict] = [
        {"model": name, **dict(zip(METRICS, values, strict=True))}
        for name, values in PUBLISHED.items()
    ]
    for name, _, settings, _ in models:
        runs = [result for result in found if result["model"] == name]
        rows.append(summary(name, runs, settings))
        if name in ("linear, CCdCov", "network, CCdCov"):
            chance = by_chance(study, runs[0]["expected"])
            rows.append({"model": f"{name}, people permuted", **chance})
    wall = time.perf_counter() - start
    processor = time.process_time() + sum(result["processor"] for result in found)
    write_results(
        "motor_insurance",
        rows,
        title="Motor insurance: published and our figures on the study's test set",
        notes=f"{NOTES} The whole run took {processor:.0f} s of processor time, spread over two "
        f"processes, and {wall:.0f} s.",
        libraries=("torch", "skorch"),
    )


NOTES = (
    "19,984 test rows of the study's split; settings chosen on the validation fold by the rule of "
    "`motor_insurance_search.py`, then one fit on the 80,016 training rows (per seed) and one "
    "evaluation. Means over seeds, sd over seeds. Lower is better everywhere. better on all six: "
    "seeds that are better than both published fair models in all six metrics at once. within the "
    "stricter goal: RPS .1210, deviance .529, CCdCov 2.2e-5, JSD .0013, UF .0029 at most. JdCov "
    "includes the attributes' own dependence, as published. people permuted: the same "
    "predictions, with the protected rows of the test set in random order (mean of ten), which is "
    "what chance alone leaves. seconds: processor time of fit and prediction. The published "
    "networks took 35 epochs with batches of 128."
)

if __name__ == "__main__":
    main()
