"""The streams of the Aranyani experiments, read from the raw files, and the published figures.

Rows stay in file order, nothing is shuffled or split. Text columns become integer codes of the
sorted strings; "standardised" means z-scores over the whole file (ddof 1), as published, which
looks ahead. Published points were read from the vector graphics of the authors' conference
slides, to about 0.0005 in parity and 0.01 in accuracy; which fairness weight a point has is not
said there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

HOME = Path(
    os.environ.get("FAIRGROUP_DATA_HOME", Path(__file__).parents[2] / "shared" / "datasets")
)
ADULT_COLUMNS = [
    *("age", "workclass", "fnlwgt", "education", "education-num", "marital-status"),
    *("occupation", "relationship", "race", "gender", "capital-gain", "capital-loss"),
    *("hours-per-week", "native-country", "income"),
]
COMPAS_COLUMNS = [
    *("juv_fel_count", "juv_misd_count", "juv_other_count", "priors_count", "age"),
    *("c_charge_degree", "c_charge_desc", "age_cat", "sex", "race"),
]


class Stream(NamedTuple):
    """Features (n, d), labels (n,) 0 or 1, and group codes (n,) 0 or 1, in time order."""

    X: np.ndarray
    y: np.ndarray
    group: np.ndarray


def codes(table: pd.DataFrame) -> np.ndarray:
    """Numbers as they are, text as the rank of the string."""
    coded = [
        c if pd.api.types.is_numeric_dtype(c) else np.unique(c, return_inverse=True)[1]
        for _, c in table.items()
    ]
    return np.column_stack(coded).astype(float)


def z_scores(X: np.ndarray) -> np.ndarray:
    """Standardise over the whole file, as published."""
    spread = X.std(axis=0, ddof=1)
    return (X - X.mean(axis=0)) / np.where(spread > 0, spread, 1.0)


def adult(*, standardise: bool = True) -> Stream:
    """32,561 rows of ``adult.data``, 14 features with the protected one; group: gender."""
    table = pd.read_csv(HOME / "adult" / "adult.data", names=ADULT_COLUMNS, header=None)
    features = codes(table.drop(columns="income"))
    y = (table["income"] == " >50K").to_numpy(float)
    group = (table["gender"] == " Male").to_numpy(int)
    return Stream(z_scores(features) if standardise else features, y, group)


def census(*, standardise: bool = True) -> Stream:
    """99,762 rows of the test file of Census-Income (KDD), 40 features; group: sex.

    The published experiment is on the larger training file. The instance weight is no feature.
    """
    table = pd.read_csv(
        HOME / "census_income_kdd" / "census-income.test.gz", header=None, keep_default_na=False
    )
    features = codes(table.drop(columns=[24, 41]))
    y = table[41].str.contains("50000+", regex=False).to_numpy(float)
    group = (table[12] == " Male").to_numpy(int)
    return Stream(z_scores(features) if standardise else features, y, group)


def compas(*, standardise: bool = False) -> Stream:
    """6,167 rows of the two-year file under the usual filter, 10 features; group: race is white.

    The authors' own two files are not distributed. Published without standardisation.
    """
    table = pd.read_csv(HOME / "compas" / "compas-scores-two-years.csv", low_memory=False)
    kept = table["days_b_screening_arrest"].abs().le(30) & (table["is_recid"] != -1)
    kept &= (table["c_charge_degree"] != "O") & table["score_text"].notna()
    table = table[kept].dropna(subset=["c_charge_desc"])
    white = (table["race"] == "Caucasian").astype(int)
    features = codes(table[COMPAS_COLUMNS].assign(race=white))
    y = table["is_recid"].to_numpy(float)
    return Stream(z_scores(features) if standardise else features, y, white.to_numpy())


# Points (parity, accuracy in percent, half length of the error bars of both).
ADULT = (
    (0.1906, 83.48, 0.0035, 0.05),
    (0.1145, 82.72, 0.0053, 0.12),
    (0.1103, 82.64, 0.0076, 0.17),
    (0.1030, 82.16, 0.0050, 0.17),
    (0.0877, 81.34, 0.0073, 0.36),
    (0.0528, 79.90, 0.0074, 0.41),
    (0.0411, 79.32, 0.0136, 0.84),
    (0.0265, 77.93, 0.0113, 0.67),
)
CENSUS = (
    (0.0396, 94.64, 0.0011, 0.06),
    (0.0259, 94.49, 0.0010, 0.04),
    (0.0214, 94.45, 0.0021, 0.02),
    (0.0212, 94.42, 0.0013, 0.01),
    (0.0149, 94.24, 0.0011, 0.02),
    (0.0097, 94.14, 0.0010, 0.06),
    (0.0061, 93.97, 0.0032, 0.09),
    (0.0056, 94.01, 0.0019, 0.03),
)
COMPAS = (
    (0.1164, 59.87, 0.0171, 1.76),
    (0.0338, 61.30, 0.0204, 1.97),
    (0.0212, 56.07, 0.0119, 1.99),
    (0.0178, 54.10, 0.0158, 2.70),
    (0.0069, 51.68, 0.0058, 0.37),
    (0.0065, 54.69, 0.0046, 2.58),
    (0.0053, 52.64, 0.0038, 0.26),
    (0.0045, 51.87, 0.0010, 0.15),
    (0.0033, 52.00, 0.0028, 0.30),
    (0.0033, 54.47, 0.0010, 3.31),
)
# Published single points of methods without a fairness term (parity, accuracy in percent).
TREES = {
    "adult": {"HT": (0.1450, 82.29), "AHT": (0.1617, 82.12), "FAHT": (0.1836, 82.72)},
    "census": {"HT": (0.0331, 94.44), "AHT": (0.0331, 94.44), "FAHT": (0.0202, 94.04)},
    "compas": {"HT": (0.1297, 63.02), "AHT": (0.1620, 64.51), "FAHT": (0.1287, 60.39)},
}
ADULT_WEIGHTS = (0.0, 0.1, 0.3, 0.5, 1.0, 5.0, 10.0, 100.0)
CENSUS_WEIGHTS = (0.0, 0.05, 0.08, 0.1, 5.0, 10.0)
COMPAS_WEIGHTS = (
    *(0.0, 0.01, 0.02, 0.03, 0.04, 0.05, 0.08, 0.09, 0.1, 0.3, 0.5, 1.0, 5.0, 10.0, 100.0),
)
