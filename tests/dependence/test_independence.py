"""Tests of independence: level, power, and what permutations mean."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.stats import chi2

from fairgroup.dependence import (
    IndependenceTestDisplay,
    concatenated_distance_covariance,
    distance_correlation,
    independence_test,
    joint_distance_covariance,
)


def people(n, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.integers(0, 2, n), "b": rng.choice(list("LMN"), n)})
    return frame, rng.gamma(2, 1, n)


def test_statistic_is_the_measure():
    frame, y = people(50)
    expected = {
        "ccdcov": concatenated_distance_covariance(y, frame),
        "jdcov": joint_distance_covariance(y, frame, include_attribute_dependence=False),
        "dcor": distance_correlation(y, frame),
    }
    for statistic, value in expected.items():
        test = independence_test(y, frame, statistic=statistic, n_permutations=9, random_state=0)
        assert_allclose(test.statistic, value, rtol=1e-12)


@pytest.mark.parametrize("statistic", ["ccdcov", "jdcov", "dcor"])
def test_permutations_are_measured_as_they_stand(statistic):
    """Each value of the null is the statistic of some order of the predictions, here all six of
    two values in four rows.
    """
    y, groups = np.array([0.0, 0, 1, 1]), [0, 1, 1, 0]
    test = independence_test(y, groups, statistic=statistic, n_permutations=200, random_state=0)
    orders = [(0, 0, 1, 1), (0, 1, 0, 1), (0, 1, 1, 0), (1, 0, 0, 1), (1, 0, 1, 0), (1, 1, 0, 0)]
    measure = distance_correlation if statistic == "dcor" else concatenated_distance_covariance
    possible = np.unique([round(measure(np.array(o, float), groups), 9) for o in orders])
    assert_allclose(np.unique(np.round(test.null, 9)), possible, atol=1e-9)
    larger = (test.null >= test.statistic - 1e-9).sum()
    assert test.p_value == (1 + larger) / 201


def test_chi_square():
    frame, y = people(200)
    test = independence_test(y, frame, method="chi2")
    value = 200 * distance_correlation(y, frame) + 1
    assert_allclose(test.statistic, value, rtol=1e-12)
    assert_allclose(test.p_value, chi2.sf(value, 1), rtol=1e-12)
    assert_allclose(test.critical_value, 3.841459, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["permutation", "chi2"])
def test_level_and_power(method):
    rejected = {"independent": 0, "exclusive or": 0}
    for seed in range(200):
        frame, y = people(100, seed)
        options = {"method": method, "n_permutations": 99, "random_state": seed}
        rejected["independent"] += independence_test(y, frame, **options).p_value <= 0.05
        other = frame.assign(b=np.random.default_rng(seed + 1000).integers(0, 2, 100))
        shifted = y + 2 * (other["a"] ^ other["b"])
        rejected["exclusive or"] += independence_test(shifted, other, **options).p_value <= 0.05
    assert rejected["independent"] <= 24  # 5 % of 200 and three standard deviations
    assert rejected["exclusive or"] >= 190


def test_same_random_state_same_result():
    frame, y = people(60)
    tests = [independence_test(y, frame, n_permutations=19, random_state=3) for _ in range(2)]
    np.testing.assert_array_equal(tests[0].null, tests[1].null)
    assert tests[0].p_value == tests[1].p_value


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"statistic": "hsic"}, "statistic='hsic'"),
        ({"method": "bootstrap"}, "method='bootstrap'"),
        ({"method": "chi2", "statistic": "jdcov"}, "is for the distance correlation"),
        ({"n_permutations": 0}, "n_permutations=0"),
        ({"n_permutations": 1.5}, "n_permutations=1.5; expected a whole number"),
        ({"level": 5}, "level=5"),
    ],
)
def test_bad_input(options, message):
    frame, y = people(20)
    with pytest.raises(ValueError, match=message):
        independence_test(y, frame, **options)


def test_display():
    frame, y = people(60)
    display = IndependenceTestDisplay.from_predictions(y, frame, n_permutations=99, random_state=0)
    assert sum(bar.get_height() for bar in display.ax_.patches) == 99
    lines = [line.get_xdata()[0] for line in display.ax_.lines]
    assert display.test.statistic in lines
    with pytest.raises(ValueError, match="no permutations to show"):
        IndependenceTestDisplay.from_predictions(y, frame, method="chi2")
