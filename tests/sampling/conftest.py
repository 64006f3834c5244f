"""Small campaigns and slow references for the tests of sampling."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from fairgroup.sampling import PowerLawCurve


@pytest.fixture
def three_curves():
    return [PowerLawCurve(0.9, 2, 0.5), PowerLawCurve(0.8, 3, 0.6), PowerLawCurve(0.95, 5, 0.7)]


def brute_force(values, costs, budget):
    """Best total of ``values[g][n_g]`` over all whole allocations (slow)."""
    best, where = -np.inf, None
    for n in itertools.product(*(range(len(v)) for v in values)):
        if np.dot(costs, n) <= budget + 1e-9:
            total = sum(v[k] for v, k in zip(values, n, strict=True))
            if total > best:
                best, where = total, n
    return best, where


@pytest.fixture(scope="session")
def slow_best():
    return brute_force


def make_groups(seed=0, n=600, widths=(3, 8), noise=(0.5, 1.0)):
    """Two groups with a linear target each, of different difficulty, in one table."""
    rng = np.random.default_rng(seed)
    tables, targets = [], []
    for p, sd in zip(widths, noise, strict=True):
        X = rng.normal(size=(n, max(widths)))
        beta = np.zeros(max(widths))
        beta[:p] = rng.normal(size=p)
        tables.append(X)
        targets.append(X @ beta + sd * rng.normal(size=n))
    return np.vstack(tables), np.concatenate(targets), np.repeat(["easy", "hard"], n)


@pytest.fixture(scope="session")
def two_groups():
    return make_groups


@pytest.fixture(scope="session")
def split_groups():
    """Pool and validation parts of `make_groups`."""

    def split(seed=0, **options):
        X, y, group = make_groups(seed, **options)
        pool = np.arange(len(y)) % 2 == 0
        return (X[pool], y[pool], group[pool]), (X[~pool], y[~pool], group[~pool])

    return split
