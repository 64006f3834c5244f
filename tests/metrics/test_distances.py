"""Distances of score distributions: definitions, closed forms, peers."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from fairgroup.groups import GroupEncoder
from fairgroup.metrics import _distances, js_divergence, variance_ratio_unfairness, wasserstein_gap


@pytest.fixture(scope="module")
def scores():
    rng = np.random.default_rng(0)
    group = rng.choice(3, 700, p=[0.5, 0.3, 0.2])
    return rng.beta(2, 5, 700) + 0.1 * group, group


def _slow_divergence(score, group, bandwidth=0.15, grid_size=1000, equal=False):
    """The definition, word by word."""
    grid = np.linspace(score.min(), score.max(), grid_size)
    names = np.unique(group)
    densities, shares = [], []
    for g in names:
        values = score[group == g]
        density = np.array([np.exp(-0.5 * ((x - values) / bandwidth) ** 2).sum() for x in grid])
        densities.append(density / density.sum())
        shares.append(1 / len(names) if equal else np.mean(group == g))

    def entropy(p):
        p = np.maximum(p, 1e-10)
        return -np.sum(p * np.log2(p))

    mixture = sum(s * p for s, p in zip(shares, densities, strict=True))
    return entropy(mixture) - sum(s * entropy(p) for s, p in zip(shares, densities, strict=True))


@pytest.mark.parametrize("bandwidth", [0.15, 0.05, 0.01])
@pytest.mark.parametrize("equal", [False, True])
def test_divergence_equals_its_definition(scores, bandwidth, equal):
    score, group = scores
    found = js_divergence(
        score, group, bandwidth=bandwidth, weights="equal" if equal else "proportion"
    )
    expected = _slow_divergence(score, group, bandwidth, equal=equal)
    assert found == pytest.approx(expected, rel=1e-10, abs=1e-13)


def test_divergence_of_many_scores_uses_a_lattice_that_changes_nothing(scores, monkeypatch):
    score, group = scores
    rng = np.random.default_rng(1)
    score = np.repeat(score, 60) + rng.normal(0, 0.02, 60 * len(score))
    group = np.repeat(group, 60)
    fast = js_divergence(score, group)
    monkeypatch.setattr(_distances, "_LATTICE", 10**9)
    assert fast == pytest.approx(js_divergence(score, group), rel=1e-6)


def test_divergence_rules_of_thumb_are_those_of_scipy(scores):
    score, group = scores
    grid = np.linspace(score.min(), score.max(), 1000)
    for rule in ("scott", "silverman"):
        densities = [scipy.stats.gaussian_kde(score[group == g], rule)(grid) for g in range(3)]
        densities = np.array([p / p.sum() for p in densities])
        share = np.bincount(group) / len(group)
        mixture = share @ densities
        expected = share @ [scipy.stats.entropy(p, mixture, base=2) for p in densities]
        assert js_divergence(score, group, bandwidth=rule) == pytest.approx(expected, rel=1e-5)


def test_divergence_limits(scores):
    score, group = scores
    twice = np.r_[score, score]
    halves = np.repeat(["a", "b"], len(score))
    assert abs(js_divergence(twice, halves)) < 1e-9
    far = np.r_[np.zeros(50), np.ones(150)]
    apart = js_divergence(far, np.repeat([0, 1], [50, 150]), bandwidth=0.01)
    limit = scipy.stats.entropy([0.25, 0.75], base=2)
    assert apart == pytest.approx(limit, rel=1e-6)
    assert js_divergence(score, group) <= scipy.stats.entropy(np.bincount(group) / 700, base=2)
    assert js_divergence(np.ones(700), group) == 0.0
    natural = js_divergence(score, group, base=np.e)
    assert natural == pytest.approx(np.log(2) * js_divergence(score, group))
    histogram = js_divergence(
        far, np.repeat([0, 1], [50, 150]), estimator="histogram", grid_size=5
    )
    assert histogram == pytest.approx(limit, rel=1e-6)


def test_variance_ratio(scores):
    score, group = scores
    means = [score[group == g].mean() for g in range(3)]
    expected = np.var(means, ddof=1) / np.var(score, ddof=1)
    assert variance_ratio_unfairness(score, group) == pytest.approx(expected)
    between = np.bincount(group) @ (np.array(means) - score.mean()) ** 2
    within = ((score - score.mean()) ** 2).sum()
    weighted = variance_ratio_unfairness(score, group, weights="proportion")
    assert weighted == pytest.approx(between / within)
    assert variance_ratio_unfairness(np.ones(700), group) == 0.0
    assert np.isnan(variance_ratio_unfairness(score, np.zeros(700, int)))


@settings(max_examples=60, deadline=None)
@given(st.integers(2, 30), st.integers(0, 2**20))
def test_wasserstein_equals_scipy(n, seed):
    rng = np.random.default_rng(seed)
    score, weight = rng.integers(0, 8, n) / 4, rng.integers(1, 5, n) / 2
    group = np.r_[0, 1, rng.integers(0, 3, n - 2)]
    parts = [(score[group == g], weight[group == g]) for g in np.unique(group)]
    pairs = [scipy.stats.wasserstein_distance(a, b, v, w) for a, v in parts for b, w in parts]
    found = wasserstein_gap(score, group, sample_weight=weight)
    assert found == pytest.approx(max(pairs), abs=1e-12)
    overall = max(scipy.stats.wasserstein_distance(a, score, v, weight) for a, v in parts)
    found = wasserstein_gap(score, group, sample_weight=weight, method="to_overall")
    assert found == pytest.approx(overall, abs=1e-12)


def test_wasserstein_of_order_two_of_shifted_samples():
    score = np.random.default_rng(0).normal(size=101)
    both = np.r_[score, 3 + 2 * score]
    expected = np.sqrt(np.mean((3 + score) ** 2))
    assert wasserstein_gap(both, np.repeat([0, 1], 101), order=2) == pytest.approx(expected)
    assert np.isnan(wasserstein_gap(score, np.zeros(101, int)))


def test_ignored_rows_and_unused_groups_do_not_count(scores):
    score, group = scores
    named = np.array(["a", "b", "c"], dtype=object)[group]
    named[:10] = None
    encoder = GroupEncoder(missing="ignore").fit(named)
    for function in (js_divergence, variance_ratio_unfairness, wasserstein_gap):
        with pytest.warns(UserWarning, match="10 rows"):
            found = function(score, named, encoder=encoder)
        assert found == pytest.approx(function(score[10:], group[10:]))
        two = np.flatnonzero((group < 2) & (np.arange(700) >= 10))
        assert function(score[two], named[two], encoder=encoder) == pytest.approx(
            function(score[two], group[two])
        )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: js_divergence([0.1, 0.2], [0, 1], bandwidth=0), "bandwidth"),
        (lambda: js_divergence([0.1, 0.2], [0, 1], bandwidth="wide"), "scott"),
        (lambda: js_divergence([0.1, 0.1, 0.2], [0, 0, 1], bandwidth="scott"), "vary"),
        (lambda: js_divergence([0.1, 0.2], [0, 1], weights="half"), "proportion"),
        (lambda: js_divergence([0.1, np.nan], [0, 1]), "not finite in row 1"),
        (lambda: js_divergence([0.1, 0.2, 0.3], [0, 1]), "2 rows"),
        (lambda: wasserstein_gap([0.1, 0.2], [0, 1], order=0.5), "order"),
        (lambda: wasserstein_gap([0.1, 0.2], [0, 1], method="pairs"), "between_groups"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
