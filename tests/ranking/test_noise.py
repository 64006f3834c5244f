"""Noisy release of running counts."""

import numpy as np
import pytest
from scipy import stats
from sklearn.base import clone

from fairgroup.ranking import NoisyCounter
from fairgroup.ranking._noise import analytic_gaussian_scale


@pytest.mark.parametrize(
    ("options", "scale"),
    [
        ({"noise": "gaussian", "epsilon": 1, "delta": 1e-5}, 4.844805262605389),
        ({"noise": "gaussian", "epsilon": 1, "delta": 0.1}, 2.247544724497493),
        ({"noise": "laplace", "epsilon": 0.5, "sensitivity": 3}, 6.0),
        ({"noise": None}, 0.0),
        ({"noise": "laplace", "mechanism": "tree", "max_batches": 1024, "epsilon": 1.0}, 11.0),
    ],
)
def test_scale(options, scale):
    assert NoisyCounter(**options).noise_scale == pytest.approx(scale, abs=1e-12)


@pytest.mark.parametrize("epsilon", [0.1, 1.0, 4.0])
@pytest.mark.parametrize("delta", [1e-6, 0.01])
def test_analytic_gaussian_meets_the_budget_exactly(epsilon, delta):
    s = analytic_gaussian_scale(epsilon, delta)
    grid = np.linspace(-40 * s, 40 * s, 400_001)
    p, q = stats.norm.pdf(grid, 0, s), stats.norm.pdf(grid, 1, s)
    spent = np.maximum(q - np.exp(epsilon) * p, 0).sum() * (grid[1] - grid[0])
    assert spent == pytest.approx(delta, rel=1e-3)
    if epsilon <= 1:
        assert s < NoisyCounter(noise="gaussian", epsilon=epsilon, delta=delta).noise_scale


@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
@pytest.mark.parametrize("seed", [0, None])
def test_distribution_of_draws(noise, seed):
    counter = NoisyCounter(noise=noise, epsilon=1.0)
    source = None if seed is None else np.random.default_rng(seed)
    drawn = counter.draw((100_000,), source)
    assert drawn.var() == pytest.approx(
        float(counter.noise_variance(1)), rel=0.03 if seed == 0 else 0.06
    )
    assert abs(drawn.mean()) < 6 * counter.noise_scale / np.sqrt(50_000)
    family = stats.laplace if noise == "laplace" else stats.norm
    assert stats.kstest(drawn, family(0, counter.noise_scale).cdf).pvalue > 1e-6


@pytest.mark.parametrize("mechanism", ["batch", "tree"])
@pytest.mark.parametrize("noise", ["laplace", "gaussian"])
def test_running_sums_have_the_right_mean_and_variance(mechanism, noise):
    n_batches, n_levels = 11, 4000
    counter = NoisyCounter(
        n_levels, mechanism=mechanism, noise=noise, max_batches=16, epsilon=1.0, random_state=0
    )
    for b in range(1, n_batches + 1):
        released = counter.add(np.full(n_levels, 3)).release() - 3 * b
        expected = float(counter.noise_variance(b))
        assert released.var() == pytest.approx(expected, rel=0.15)
        assert abs(released.mean()) < 5 * np.sqrt(expected / n_levels)


def test_tree_grows_slowly():
    batch, tree = NoisyCounter(), NoisyCounter(mechanism="tree", max_batches=4096)
    b = np.array([1, 100, 4095])
    assert tree.noise_variance(b)[0] > batch.noise_variance(b)[0]
    assert tree.noise_variance(b)[2] < batch.noise_variance(b)[2]


def test_without_noise_counts_are_exact_and_budget_is_infinite():
    counter = NoisyCounter(3, noise=None)
    counter.add([1, 2, 3]).add([0, 0.5, 0])
    np.testing.assert_array_equal(counter.release(), [1, 2.5, 3])
    assert counter.privacy_spent_["epsilon"] == np.inf


def test_budget_of_an_impression_does_not_grow_with_releases():
    counter = NoisyCounter(noise="gaussian", epsilon=0.5, delta=1e-6, random_state=0)
    assert counter.privacy_spent_ == {
        "epsilon": 0.0, "delta": 0.0, "n_releases": 0, "epsilon_every_batch": 0.0,
    }  # fmt: skip
    for _ in range(4):
        counter.release()
    spent = counter.privacy_spent_
    assert (spent["epsilon"], spent["delta"], spent["n_releases"]) == (0.5, 1e-6, 4)
    assert spent["epsilon_every_batch"] == 2.0


def test_secure_by_default_reproducible_on_request():
    assert not np.array_equal(NoisyCounter(8).release(), NoisyCounter(8).release())
    first, second = (NoisyCounter(8, random_state=3).release() for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_low_order_bits_tell_nothing():
    """Every released number is a multiple of one power of two, whatever the count."""
    counter = NoisyCounter(1000, epsilon=0.7, random_state=0)
    released = counter.add(np.random.default_rng(0).random(1000)).release()
    grid = 2.0 ** (np.floor(np.log2(counter.noise_scale)) - 20)
    np.testing.assert_array_equal(released / grid, np.rint(released / grid))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epsilon": 0}, "epsilon"),
        ({"epsilon": -1.0}, "epsilon"),
        ({"delta": 0}, "delta"),
        ({"delta": 1.0}, "delta"),
        ({"sensitivity": 0.5}, "sensitivity"),
        ({"mechanism": "stream"}, "mechanism"),
        ({"noise": "gaussian", "epsilon": 2.0}, "analytic_gaussian"),
    ],
)
def test_bad_parameters(options, message):
    with pytest.raises(ValueError, match=message):
        NoisyCounter(**options).release()


def test_bad_counts_and_a_full_tree():
    with pytest.raises(ValueError, match="counts must be 2 numbers"):
        NoisyCounter(2).add([1, -1])
    counter = NoisyCounter(2, mechanism="tree", max_batches=2, random_state=0)
    counter.release(), counter.release()
    with pytest.raises(ValueError, match="max_batches=2"):
        counter.release()
    assert clone(counter).max_batches == 2
