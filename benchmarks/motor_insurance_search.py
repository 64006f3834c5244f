"""Choose the settings for ``motor_insurance.py`` on the study's validation fold.

    python benchmarks/motor_insurance_search.py [--missing]

Models are fitted on the 56,495 sub-training rows and judged on the 23,521 validation rows; of
networks, the means of three seeds count. The rule: among the settings of a family whose
validation JSD, CCdCov and UF are at most `TARGETS`, the one with the smallest validation RPS. The
targets lie below what is wanted on the test rows (.0013, 2.2e-5, .0029), because the study's own
figures rise from validation to test. Rule and targets were fixed before any network, and any
linear model with ``alpha``, was run on the test rows; linear models without it had been, to check
the split against known figures.
"""

from __future__ import annotations

import argparse
import json
import time
import warnings

import numpy as np
from _motor_study import METRICS, SEEDS, Study, load, scores
from _results import RESULTS, write_results
from joblib import Parallel, delayed
from sklearn.exceptions import ConvergenceWarning

from fairgroup.dependence import DistanceCovarianceRegressor

NAME = "motor_insurance_search"
TARGETS = {"JSD": 0.0010, "CCdCov": 1.2e-5, "UF": 0.0015}
# Half the deviance of the best constant is about 0.3: networks see the loss relative to it, so
# that their alpha of 0.006 acts as 0.002 does in the linear model.
ALPHAS = {"linear": (0.0, 0.002, 0.003, 0.004), "network": (0.0, 0.003, 0.006, 0.012)}
# JdCov presses about twice as hard at the same strength; 600 was added when 400 met no target.
STRENGTHS = {
    "linear, CCdCov": (100.0, 200.0, 400.0),
    "linear, JdCov": (100.0, 200.0, 400.0),
    "network, CCdCov": (100.0, 200.0, 400.0, 600.0),
    "network, JdCov": (100.0, 200.0, 400.0),
}
EPOCHS = 20


def regressor(
    family: str, *, fairness_weight: float, alpha: float, seed: int | None = None
) -> DistanceCovarianceRegressor:
    """Return the model of a family such as "network, CCdCov"."""
    kind, _, penalty = family.partition(", ")
    network = {
        "model": "mlp",
        "hidden_layer_sizes": (32, 32),
        "batch_size": 4096,
        "max_iter": EPOCHS,
        "early_stopping": False,
        "device": "cpu",
    }
    return DistanceCovarianceRegressor(
        loss="poisson",
        penalty=penalty.lower(),
        normalise=None,  # the strength in the units of the study
        fairness_weight=fairness_weight,
        alpha=alpha,
        random_state=seed,
        **(network if kind == "network" else {}),
    )


def judge(
    study: Study, family: str, fairness_weight: float, alpha: float, seed: int | None
) -> dict:
    """Fit on the sub-training rows, score on the validation rows."""
    X, fit, held = study.features("subtrain"), study.parts["subtrain"], study.parts["validation"]
    model = regressor(family, fairness_weight=fairness_weight, alpha=alpha, seed=seed)
    start = time.process_time()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(
            X[fit],
            study.claims[fit],
            sensitive_features=study.protected.iloc[fit],
            exposure=study.exposure[fit],
        )
    seconds = time.process_time() - start
    expected = model.predict(X[held], exposure=study.exposure[held])
    return {**scores(study, "validation", expected), "seconds": seconds}


def settings() -> list[tuple[str, float, float]]:
    """Return all combinations of family, strength and alpha."""
    return [
        (family, strength, alpha)
        for family, strengths in STRENGTHS.items()
        for strength in strengths
        for alpha in ALPHAS[family.split(",")[0]]
    ]


def recorded() -> dict[tuple[str, float, float], dict]:
    """Return the rows of an earlier search."""
    path = RESULTS / f"{NAME}.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    return {(r["family"], r["fairness_weight"], r["alpha"]): r for r in rows}


def search(keys: list[tuple[str, float, float]]) -> dict[tuple[str, float, float], dict]:
    """Fit and judge all settings; return their mean metrics."""
    study = load()
    seeds = {key: SEEDS[:3] if key[0].startswith("network") else (None,) for key in keys}
    jobs = [(key, seed) for key in keys for seed in seeds[key]]
    found = Parallel(n_jobs=2)(delayed(judge)(study, *key, seed) for key, seed in jobs)
    rows = {}
    for key in keys:
        runs = [run for (done, _), run in zip(jobs, found, strict=True) if done == key]
        means = {m: float(np.mean([run[m] for run in runs])) for m in (*METRICS, "seconds")}
        family, strength, alpha = key
        row = {"family": family, "fairness_weight": strength, "alpha": alpha, "seeds": len(runs)}
        rows[key] = {**row, **means}
    return rows


def choose(rows: list[dict]) -> None:
    """Apply the rule to every family."""
    for row in rows:
        row["within"] = all(row[name] <= target for name, target in TARGETS.items())
        row["chosen"] = False
    for family in STRENGTHS:
        admissible = [row for row in rows if row["family"] == family and row["within"]]
        if admissible:
            min(admissible, key=lambda row: row["RPS"])["chosen"] = True


def main() -> None:
    """Search all families and mark the settings that the rule chooses."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--missing", action="store_true", help="keep what is recorded already")
    known = recorded() if parser.parse_args().missing else {}
    keys = settings()
    known |= search([key for key in keys if key not in known])
    rows = [known[key] for key in keys]
    choose(rows)
    targets = ", ".join(f"{name} at most {value:g}" for name, value in TARGETS.items())
    write_results(
        NAME,
        rows,
        title="Motor insurance: settings on the validation fold",
        notes="56,495 rows to fit, 23,521 to judge; networks have two layers of 32 units, batches "
        f"of 4096, 20 epochs and Adam at 0.003. within: {targets}. chosen: the smallest RPS "
        "within, for each family. seconds: processor time of one fit.",
        libraries=("torch", "skorch"),
    )


if __name__ == "__main__":
    main()
