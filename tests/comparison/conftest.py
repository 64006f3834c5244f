"""A small table with a disparity by the combination of two attributes, and its comparison."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import fairgroup


def small_table(n: int = 600, *, seed: int = 0) -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    rng = np.random.default_rng(seed)
    sex = rng.choice(["f", "m"], n)
    origin = rng.choice(["a", "b"], n)
    hit = (sex == "f") & (origin == "b")
    signal = rng.normal(size=n) - 1.5 * hit
    X = pd.DataFrame(
        {
            "signal": signal,
            "noise": rng.normal(size=n),
            "city": rng.choice(["x", "y", "z"], n),
            "sex": sex,
        }
    )
    y = (signal + rng.normal(size=n) > 0).astype(int)
    return X, y, pd.DataFrame({"sex": sex, "origin": origin})


@pytest.fixture(scope="session")
def table() -> tuple[pd.DataFrame, np.ndarray, pd.DataFrame]:
    return small_table()


@pytest.fixture(scope="session")
def comparison(table) -> fairgroup.comparison.Comparison:
    X, y, A = table
    return fairgroup.compare(X, y, sensitive_features=A, cv=3, random_state=0, verbose=False)
