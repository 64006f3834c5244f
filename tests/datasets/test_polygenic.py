"""The simulator of polygenic scores against its own law, and clumping and thresholding."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from fairgroup.datasets import make_polygenic_scores

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture(scope="module")
def people():
    return make_polygenic_scores([3000, 3000, 3000], n_snps=200, random_state=0)


def of(people, label):
    rows = (people.sensitive_features["ancestry"] == label).to_numpy()
    return people.data.to_numpy()[rows], people.genotypes[rows], people.target.to_numpy()[rows]


def test_shapes_and_names(people):
    assert people.data.shape == people.genotypes.shape == (9000, 200)
    assert set(np.unique(people.genotypes)) == {0, 1, 2}
    assert people.sensitive_features["ancestry"].value_counts().to_dict() == {
        "A": 3000,
        "B": 3000,
        "C": 3000,
    }
    assert (np.any(people.effects != 0, axis=0)).sum() == 50


@pytest.mark.parametrize("g", range(3))
def test_heritability_and_frequencies(people, g):
    X, genotypes, y = of(people, "ABC"[g])
    assert y.var() == pytest.approx(1, abs=0.08)
    genetic = X @ people.effects[g]
    assert genetic.var() == pytest.approx((0.6, 0.5, 0.3)[g])
    assert np.cov(genetic, y)[0, 1] == pytest.approx(genetic.var(), abs=0.03)
    np.testing.assert_allclose(genotypes.mean(axis=0) / 2, people.frequencies[g], atol=0.03)
    assert people.heritability[g] == pytest.approx((0.6, 0.5, 0.3)[g])


def test_drift_and_linkage():
    people = make_polygenic_scores(
        [4000] * 3, drift=(0.02, 0.15, 0.25), n_snps=400, block_size=20, random_state=1
    )
    spread = np.abs(people.frequencies[1:] - people.frequencies[0]).mean(axis=1)
    assert spread[0] > 0.05

    def linkage(label):
        _, genotypes, _ = of(people, label)
        r = [np.corrcoef(genotypes[:, j], genotypes[:, j + 1])[0, 1] ** 2 for j in range(399)]
        inside = np.arange(399) % 20 != 19
        return np.mean(np.array(r)[inside]), np.mean(np.array(r)[~inside])

    strong, weak = linkage("A"), linkage("C")
    assert strong[0] > 3 * weak[0] > 0
    assert strong[1] < 0.01


def test_effects_are_partly_shared():
    people = make_polygenic_scores(60, n_snps=20_000, causal_fraction=1.0, random_state=0)
    assert np.corrcoef(people.effects)[0, 1] == pytest.approx(0.36, abs=0.03)
    alike = make_polygenic_scores(60, n_snps=500, shared_effect=1.0, random_state=0)
    assert np.corrcoef(alike.effects)[0, 1] == pytest.approx(1)


def test_same_seed_same_people():
    first, second = (make_polygenic_scores(90, n_snps=10, random_state=3) for _ in range(2))
    np.testing.assert_array_equal(first.data, second.data)
    np.testing.assert_array_equal(first.target, second.target)


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"n_samples": [10, 10]}, "n_samples"),
        ({"n_samples": 3}, "n_samples"),
        ({"n_snps": 0}, "n_snps"),
        ({"drift": (0.1, 1.5, 0.1)}, "drift"),
        ({"linkage": (0.5, 0.5)}, "linkage"),
        ({"heritability": (0.5, 0.5, -1)}, "heritability"),
        ({"shared_effect": 2}, "shared_effect"),
        ({"causal_fraction": 0}, "causal_fraction"),
        ({"block_size": 1.5}, "block_size"),
    ],
)
def test_bad_parameters(options, name):
    with pytest.raises(ValueError, match=name):
        make_polygenic_scores(**{"n_samples": 60, **options})


def test_clumping_and_thresholding(people, monkeypatch):
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    from polygenic_scores import ClumpingThresholding

    sys.modules.pop("polygenic_scores")
    X, _, y = of(people, "A")
    model = ClumpingThresholding().fit(X[:2000], y[:2000])
    taken = np.flatnonzero(model.coef_)
    r2 = np.corrcoef(X[:2000, taken].T) ** 2
    near = np.abs(np.subtract.outer(taken, taken)) <= 50
    assert r2[near & ~np.eye(len(taken), dtype=bool)].max() < 0.1
    slope = [np.polyfit(X[:2000, j], y[:2000], 1)[0] for j in taken]
    np.testing.assert_allclose(model.coef_[taken], slope, rtol=1e-8)
    assert np.corrcoef(model.predict(X[2000:]), y[2000:])[0, 1] ** 2 > 0.2
