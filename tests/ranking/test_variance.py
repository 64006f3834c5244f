"""Impression variance, coverage, noise floor and the corrected estimate."""

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse
from sklearn.exceptions import UndefinedMetricWarning

from fairgroup.exceptions import FairgroupWarning
from fairgroup.ranking import (
    coverage_score,
    expected_variance,
    impression_variance,
    unique_user_counts,
    variance_interval,
)

ADS = [[150, 150], [400, 100], [210, 190], [40, 60], [0, 0], [1000, 0], [5200, 4700], [330, 270]]
FIRST = [0.5, 0.5, 0.48, 0.5, 0.5, 0.7, 0.5, 0.45]
ELIGIBLE = [[e, 1 - e] for e in FIRST]


def shares(n_levels):
    weights = st.lists(st.integers(1, 50), min_size=n_levels, max_size=n_levels)
    return weights.map(lambda w: np.array(w) / sum(w))


pairs = st.integers(2, 5).flatmap(
    lambda k: st.tuples(
        st.lists(st.integers(0, 200), min_size=k, max_size=k).filter(any), shares(k)
    )
)


@pytest.mark.parametrize(
    ("counts", "eligible", "expected"),
    [
        ([400, 100], [0.5, 0.5], 0.3),
        ([210, 190], [0.48, 0.52], 0.045),
        ([5200, 4700], [0.5, 0.5], 0.025252525252525276),
        ([330, 270], [0.45, 0.55], 0.10),
    ],
)
def test_examples(counts, eligible, expected):
    assert impression_variance([counts], eligible)[0] == pytest.approx(expected, abs=1e-12)


@given(pairs)
def test_equivalent_forms(pair):
    counts, e = pair
    d = np.array(counts) / sum(counts)
    v = impression_variance([counts], e)[0]
    subsets = [list(s) for r in range(len(e) + 1) for s in combinations(range(len(e)), r)]
    assert v == pytest.approx(np.maximum(d - e, 0).sum(), abs=1e-12)
    assert v == pytest.approx(1 - np.minimum(d, e).sum(), abs=1e-12)
    assert v == pytest.approx(max((d[s] - e[s]).sum() for s in subsets), abs=1e-12)
    assert v == pytest.approx(impression_variance([e], d)[0], abs=1e-12)
    assert impression_variance([counts], e, ordered=True)[0] <= v + 1e-12


@given(pairs, st.floats(0.1, 100), st.randoms(use_true_random=False))
def test_invariance_and_triangle(pair, factor, random):
    counts, e = np.array(pair[0], dtype=float), pair[1]
    order = list(range(len(e)))
    random.shuffle(order)
    v = impression_variance([counts], e)[0]
    assert impression_variance([counts * factor], e)[0] == pytest.approx(v, abs=1e-12)
    assert impression_variance([counts[order]], e[order])[0] == pytest.approx(v, abs=1e-12)
    third = np.full(len(e), 1 / len(e))
    detour = impression_variance([counts], third)[0] + impression_variance([third], e)[0]
    assert v <= detour + 1e-12


def test_number_of_impressions_to_move_is_whole():
    counts, eligible = np.array([[37, 40, 23]]), np.array([0.5, 0.3, 0.2])
    moved = counts.sum() * impression_variance(counts, eligible)[0]
    assert moved == pytest.approx(13)


def test_ordered_levels_count_steps():
    assert impression_variance([[1, 0, 0]], [0, 1, 0], ordered=True)[0] == 0.5
    assert impression_variance([[1, 0, 0]], [0, 0, 1], ordered=True)[0] == 1.0
    assert impression_variance([[5]], [1.0], ordered=True)[0] == 0.0


def test_two_levels_is_the_difference():
    assert impression_variance([[7, 3]], [0.5, 0.5])[0] == pytest.approx(0.2)


def test_no_impressions_is_undefined_not_fair():
    assert np.isnan(impression_variance([[0, 0]], [0.5, 0.5])[0])


def test_many_chunks_equal_one_row_at_a_time():
    rng = np.random.default_rng(0)
    counts, eligible = rng.integers(0, 9, (150_000, 3)), rng.dirichlet(np.ones(3), 150_000)
    v = impression_variance(counts, eligible)
    for i in (0, 65_535, 65_536, 149_999):
        if counts[i].sum():
            assert v[i] == pytest.approx(
                0.5 * np.abs(counts[i] / counts[i].sum() - eligible[i]).sum()
            )


def test_sparse_triples_add_up():
    item, level, count = [0, 0, 2, 0], [0, 1, 1, 0], [3.0, 1.0, 5.0, 2.0]
    table = sparse.coo_array((count, (item, level)), shape=(3, 2))
    v = impression_variance(table, [0.5, 0.5])
    np.testing.assert_allclose(v, [5 / 6 - 0.5, np.nan, 0.5])
    assert coverage_score(table, [0.5, 0.5], threshold=0.4, min_impressions=0) == 0.5


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"threshold": 0.1}, 3 / 5),
        ({"threshold": 0.05}, 2 / 5),
        ({"threshold": 0.1, "min_impressions": 0}, 5 / 7),
        ({"threshold": 0.1, "min_impressions": 1000}, 1.0),
        ({"threshold": 0.1, "weight": "impressions"}, 0.8790322580645161),
    ],
)
def test_coverage(options, expected):
    assert coverage_score(ADS, ELIGIBLE, **options) == pytest.approx(expected, abs=1e-15)


def test_coverage_without_a_large_enough_ad_warns():
    with pytest.warns(UndefinedMetricWarning, match="more than 300"):
        assert np.isnan(coverage_score([[10, 10]], [0.5, 0.5]))


def test_bad_input_is_named():
    with pytest.raises(ValueError, match="counts must be finite and not negative"):
        impression_variance([[-1, 2]], [0.5, 0.5])
    with pytest.raises(ValueError, match="eligible has shape"):
        impression_variance([[1, 2]], [0.5, 0.3, 0.2])
    with pytest.raises(ValueError, match="eligible must hold finite shares"):
        impression_variance([[1, 2]], [-0.5, 1.5])
    with pytest.raises(ValueError, match="weight must be"):
        coverage_score([[1, 2]], [0.5, 0.5], weight="people")
    with pytest.warns(FairgroupWarning, match="sums to 1.1"):
        impression_variance([[1, 2]], [0.5, 0.6])


def test_slightly_off_shares_are_normalised_quietly():
    assert impression_variance([[1, 1]], [0.5, 0.50005])[0] == pytest.approx(0, abs=1e-4)


def test_unique_users():
    item, user, level = [0, 0, 0, 1, 1], [9, 9, 4, 9, 9], [1, 1, 0, 1, 1]
    counts = unique_user_counts(item, user, level, n_items=2, n_levels=2)
    np.testing.assert_array_equal(counts, [[1, 1], [0, 1]])
    with pytest.raises(ValueError, match="item must lie"):
        unique_user_counts([2], [0], [0], n_items=2, n_levels=2)


def test_one_hundred_impressions_of_one_person_are_not_balance():
    item, user, level = (
        np.zeros(200, int),
        np.r_[np.zeros(100, int), np.arange(1, 101)],
        np.repeat([0, 1], 100),
    )
    seen = np.bincount(level)[None]
    reached = unique_user_counts(item, user, level, n_items=1, n_levels=2)
    assert impression_variance(seen, [0.5, 0.5])[0] == 0
    assert impression_variance(reached, [0.5, 0.5])[0] == pytest.approx(100 / 101 - 0.5)


@pytest.mark.parametrize(
    ("eligible", "n", "noise_var", "expected"),
    [
        ([0.5, 0.5], 100, 0, 0.039894),
        ([0.5, 0.5], 300, 0, 0.023033),
        ([0.5, 0.5], 1000, 0, 0.012616),
        ([0.5, 0.5], 100, 200, 0.089206),
        ([0.5, 0.5], 300, 200, 0.035183),
        ([0.5, 0.5], 1000, 200, 0.014927),
        ([0.6, 0.19, 0.13, 0.08], 100, 0, 0.059434),
        ([0.6, 0.19, 0.13, 0.08], 300, 0, 0.034314),
        ([0.6, 0.19, 0.13, 0.08], 1000, 0, 0.018795),
        ([0.6, 0.19, 0.13, 0.08], 100, 200, 0.223588),
        ([0.6, 0.19, 0.13, 0.08], 300, 200, 0.079720),
        ([0.6, 0.19, 0.13, 0.08], 1000, 200, 0.028678),
    ],
)
def test_noise_floor_values(eligible, n, noise_var, expected):
    assert expected_variance(eligible, n, noise_var=noise_var) == pytest.approx(expected, abs=6e-7)


def test_noise_floor_is_vectorised():
    floor = expected_variance([[0.5, 0.5], [0.6, 0.4]], [300, 1000], noise_var=[0.0, 200.0])
    assert floor.shape == (2,)
    assert floor[1] == expected_variance([0.6, 0.4], 1000, noise_var=200.0)


@pytest.mark.parametrize("gap", [0.0, 0.03, 0.1])
def test_noise_floor_agrees_with_simulation(gap):
    rng, e, n = np.random.default_rng(3), np.array([0.6, 0.19, 0.13, 0.08]), 500
    mu = gap * np.array([1.0, -0.5, -0.3, -0.2])
    drawn = rng.multinomial(n, e + mu, size=40_000)
    simulated = impression_variance(drawn, e).mean()
    assert expected_variance(e, n, gap=mu) == pytest.approx(simulated, rel=0.02)
    noisy = np.maximum(drawn + rng.laplace(0, 10, drawn.shape), 0)
    simulated = impression_variance(noisy, e).mean()
    assert expected_variance(e, n, gap=mu, noise_var=200) == pytest.approx(simulated, rel=0.05)


def test_share_of_fair_ads_that_seem_fair():
    """Two levels under parity, N = 300: 2 Phi(tau / sqrt(e(1-e)/N)) - 1."""
    rng = np.random.default_rng(0)
    first = rng.binomial(300, 0.5, 200_000)
    v = impression_variance(np.c_[first, 300 - first], [0.5, 0.5])
    assert np.mean(v <= 0.05) == pytest.approx(0.9167, abs=0.015)
    assert np.mean(v <= 0.10) == pytest.approx(0.999468, abs=0.0005)


def test_correction_takes_the_floor_away():
    rng, e = np.random.default_rng(5), np.array([0.6, 0.19, 0.13, 0.08])
    fair, skewed = rng.multinomial(400, e, 500), rng.multinomial(400, [0.4, 0.29, 0.2, 0.11], 500)
    for counts, true in ((fair, 0.0), (skewed, 0.2)):
        estimate = variance_interval(counts, e, n_bootstrap=2, random_state=0)[0]
        raw = impression_variance(counts, e)
        assert (estimate <= raw + 1e-12).all()
        assert abs(estimate.mean() - true) <= abs(raw.mean() - true) + 1e-9
    assert estimate.mean() == pytest.approx(0.2, abs=0.01)


@pytest.mark.slow
@pytest.mark.parametrize("true", [0.0, 0.05, 0.2])
@pytest.mark.parametrize("noise_var", [0.0, 200.0])
def test_interval_holds_the_truth(true, noise_var):
    rng, e = np.random.default_rng(11), np.array([0.6, 0.19, 0.13, 0.08])
    delivered = e + true * np.array([-1.0, 0.5, 0.3, 0.2])
    counts = rng.multinomial(800, delivered, 120).astype(float)
    counts = np.maximum(counts + rng.normal(0, np.sqrt(noise_var), counts.shape), 0)
    _, lower, upper = variance_interval(
        counts, e, noise_var=noise_var, n_bootstrap=200, random_state=0
    )
    assert np.mean((lower <= true + 1e-9) & (true <= upper + 1e-9)) >= 0.85


def test_interval_of_nothing_is_undefined():
    values = variance_interval([[0, 0], [50, 50]], [0.5, 0.5], n_bootstrap=50, random_state=0)
    assert all(np.isnan(v[0]) for v in values)
    assert values[0][1] == 0
    assert 0 < values[2][1] < 0.2
    with pytest.raises(ValueError, match="level must lie"):
        variance_interval([[1, 2]], [0.5, 0.5], level=95)


@settings(max_examples=20, deadline=None)
@given(pairs)
def test_interval_is_ordered_and_reproducible(pair):
    first = variance_interval([pair[0]], pair[1], n_bootstrap=20, random_state=1)
    second = variance_interval([pair[0]], pair[1], n_bootstrap=20, random_state=1)
    np.testing.assert_array_equal(first, second)
    estimate, lower, upper = (x[0] for x in first)
    assert 0 <= lower <= estimate <= upper <= 1
