"""Data, splits and metrics of the motor study of Lee, Antonio, Avanzi, Marchi and Zhou (2025).

Preparation and splits follow the study's public code; the numbers of rows and claims that it
prints are checked here. Protected attributes are region (10 levels, one-hot) and sex.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from sklearn.metrics import mean_poisson_deviance

from fairgroup.datasets import fetch_pg15training
from fairgroup.dependence import concatenated_distance_covariance, joint_distance_covariance
from fairgroup.metrics import js_divergence, ranked_probability_score, variance_ratio_unfairness

SEEDS = (3658, 2287, 3583, 3812, 9196, 3612, 107, 2616, 6925, 1585)  # those of the study
METRICS = ("RPS", "deviance", "CCdCov", "JdCov", "JSD", "UF")
# The study's test table: strength 40 for CCdCov and 30 for JdCov.
PUBLISHED = {
    "published, no penalty": (0.12248, 0.54503, 1.0083e-3, 1.3230e-3, 0.028238, 0.080775),
    "published, CCdCov 40": (0.12314, 0.54936, 5.8460e-5, 8.4519e-5, 0.0018170, 0.0061750),
    "published, JdCov 30": (0.12366, 0.55378, 5.2875e-5, 7.5221e-5, 0.0015035, 0.0056544),
}
_SPLIT_SEED = 1220
_NUMBERS = ["Age", "Bonus", "Poldur", "Value", "Density"]
# part: rows and claims in it
_SIZES = {
    "train": (80_016, 11_760),
    "test": (19_984, 2_964),
    "subtrain": (56_495, 8_241),
    "validation": (23_521, 3_519),
}


@dataclass(frozen=True)
class Study:
    """Prepared table and the positions of its parts."""

    claims: np.ndarray
    exposure: np.ndarray
    protected: pd.DataFrame
    numbers: pd.DataFrame
    dummies: np.ndarray
    parts: Mapping[str, np.ndarray]

    def features(self, part: str) -> np.ndarray:
        """Return the 37 features of all rows; numbers are scaled to [0, 1] on ``part``."""
        low = self.numbers.iloc[self.parts[part]].min()
        high = self.numbers.iloc[self.parts[part]].max()
        return np.column_stack([(self.numbers - low) / (high - low), self.dummies])


def load() -> Study:
    """Prepare the table and split it as the study does."""
    policies = fetch_pg15training()  # the 21 rows at the top that repeat a policy are dropped
    data, claims = policies.data, policies.target
    protected = pd.DataFrame(
        {
            "Region": data["Group2"].astype(str),
            "Female": (data["Gender"].astype(str) == "Female").astype(int),
        }
    )
    levels = pd.get_dummies(data[["Type", "Occupation", "Group1"]].astype(str), dtype=float)
    size = data["Category"].cat.codes.to_numpy(float)  # small, medium, large: 0, 1, 2
    key = claims.astype(str) + "_" + protected["Female"].astype(str) + "_" + protected["Region"]
    train, test = stratified_split(key, share=0.2, tolerance=0.0)
    subtrain, validation = stratified_split(
        key.iloc[train].reset_index(drop=True), share=0.3, tolerance=0.05
    )
    study = Study(
        claims=claims.to_numpy(float),
        exposure=policies.exposure.to_numpy(float),
        protected=protected,
        numbers=data[_NUMBERS].astype(float),
        dummies=np.column_stack([levels, size]),
        parts={
            "train": train,
            "test": test,
            "subtrain": train[subtrain],
            "validation": train[validation],
        },
    )
    found = {part: (len(r), int(study.claims[r].sum())) for part, r in study.parts.items()}
    if found != _SIZES or study.features("train").shape[1] != 37:
        raise RuntimeError(f"The split differs from the published one: {found} is not {_SIZES}.")
    return study


def stratified_split(
    key: pd.Series, *, share: float, tolerance: float
) -> tuple[np.ndarray, np.ndarray]:
    """Split rows inside every stratum, the strata in the order of ``value_counts``.

    The order of strata with equal counts depends on the order of the rows, which is why the
    second split takes the training rows as the first leaves them: stratum after stratum.
    """
    np.random.seed(_SPLIT_SEED)  # noqa: NPY002 - the split is defined by the legacy generator
    kept, held = [], []
    for stratum in key.astype(object).value_counts(normalize=True).index:
        rows = np.flatnonzero(key == stratum)
        part = np.clip(share + np.random.uniform(-tolerance, tolerance), 0, 1)  # noqa: NPY002
        n_held, order = max(1, int(len(rows) * part)), np.random.permutation(rows)  # noqa: NPY002
        held.append(order[:n_held])
        kept.append(order[n_held:])
    return np.concatenate(kept), np.concatenate(held)


def fairness(expected: np.ndarray, protected: pd.DataFrame) -> dict[str, float]:
    """Return the four metrics of dependence on region and sex; lower is better."""
    return {
        "CCdCov": concatenated_distance_covariance(expected, protected),
        "JdCov": joint_distance_covariance(expected, protected, c=1.0),
        "JSD": js_divergence(expected, protected, bandwidth=0.15),
        "UF": variance_ratio_unfairness(expected, protected),
    }


def scores(study: Study, part: str, expected: np.ndarray) -> dict[str, float]:
    """Return the study's six metrics of expected numbers of claims; lower is better."""
    rows = study.parts[part]
    accuracy = {
        "RPS": ranked_probability_score(study.claims[rows], expected, family="poisson"),
        "deviance": mean_poisson_deviance(study.claims[rows], expected),
    }
    return {**accuracy, **fairness(expected, study.protected.iloc[rows])}


def better(found: Mapping[str, Any], *, than: tuple[float, ...]) -> bool:
    """Tell whether all six metrics are lower."""
    return all(found[name] < value for name, value in zip(METRICS, than, strict=True))
