"""Curves: inverses, derivatives, and the fit against slow references."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from scipy.optimize import least_squares
from sklearn.exceptions import NotFittedError

from fairgroup.sampling import ExponentialCurve, HyperbolicCurve, PowerLawCurve
from fairgroup.sampling._fit_curves import fit_shapes
from fairgroup.sampling._utility import aggregate, equal_equivalent, isoelastic, marginal

CURVES = [PowerLawCurve(0.9, 2, 0.5), HyperbolicCurve(0.5, 80), ExponentialCurve(0.9, 0.4, 0.01)]
SIZES = np.array([20.0, 40, 80, 160, 320, 640])


@pytest.mark.parametrize("curve", CURVES, ids=repr)
def test_inverses_and_derivatives(curve):
    n = np.array([30.0, 100, 500])
    np.testing.assert_allclose(curve.inverse(curve.predict(n)), n)
    np.testing.assert_allclose(curve.inverse_derivative(curve.derivative(n)), n)
    step = 1e-4 * n
    slope = (curve.predict(n + step) - curve.predict(n - step)) / (2 * step)
    np.testing.assert_allclose(curve.derivative(n), slope, rtol=1e-6)
    bend = (curve.derivative(n + step) - curve.derivative(n - step)) / (2 * step)
    elasticity = curve._elasticity_at(n, *curve._values())
    np.testing.assert_allclose(elasticity, n * bend / slope, rtol=1e-5)
    assert curve.inverse(2.0) == np.inf
    assert pickle.loads(pickle.dumps(curve)) == curve


@pytest.mark.parametrize("curve", CURVES, ids=repr)
def test_exact_recovery(curve):
    fitted = type(curve)().fit(SIZES, curve.predict(SIZES))
    for name, value in curve.params_.items():
        assert fitted.params_[name] == pytest.approx(value, rel=1e-8)
    assert fitted.sse_ < 1e-20
    assert fitted.cov_.shape == (len(curve.names),) * 2


@pytest.mark.parametrize("seed", range(5))
def test_not_worse_than_sixty_starts_of_least_squares(seed):
    rng = np.random.default_rng(seed)
    y = PowerLawCurve(0.8, 2, 0.6).predict(SIZES) + 0.01 * rng.standard_normal(6)
    root = np.sqrt(SIZES)

    def residual(p):
        return root * (p[0] - p[1] * SIZES ** -p[2] - y)

    best = np.inf
    for _ in range(60):
        start = (rng.uniform(0.5, 1), rng.uniform(0.1, 5), rng.uniform(0.1, 2))
        found = least_squares(residual, start, bounds=([-np.inf, 0, 0.05], [1, np.inf, 3]))
        best = min(best, 2 * found.cost)
    assert PowerLawCurve().fit(SIZES, y).sse_ <= best * (1 + 1e-6)


def test_many_at_once_are_the_same_as_one_by_one():
    rng = np.random.default_rng(0)
    n = np.sort(rng.uniform(10, 500, (5, 6)), axis=1)
    y = 0.9 - 2 * n**-0.5 + 0.02 * rng.standard_normal(n.shape)
    together = fit_shapes("power", n, y, n, score_max=1.0)
    for g in range(5):
        one = PowerLawCurve().fit(n[g], y[g])
        assert one.b == pytest.approx(together.b[g], rel=1e-9)


def test_falling_scores_give_a_flat_curve():
    y = np.array([0.9, 0.8, 0.75, 0.7, 0.65, 0.6])
    curve = PowerLawCurve().fit(SIZES, y)
    assert curve.b == 0
    assert curve.s_inf == pytest.approx(np.average(y, weights=SIZES))
    assert curve.derivative(100) == 0


def test_the_asymptote_keeps_below_the_best_score():
    y = 0.98 - 3 * SIZES**-0.5
    y[-1] += 0.2
    assert PowerLawCurve().fit(SIZES, y).s_inf <= 1
    loss = PowerLawCurve().fit(SIZES, y - 2, score_max=0.0)
    assert loss.s_inf <= 0


def test_covariance_covers_the_truth():
    rng, truth = np.random.default_rng(1), PowerLawCurve(0.8, 2, 0.5)
    inside = 0
    for _ in range(100):
        y = truth.predict(SIZES) + 0.2 / np.sqrt(SIZES) * 0.1 * rng.standard_normal(6)
        fit = PowerLawCurve().fit(SIZES, y)
        inside += abs(fit.s_inf - 0.8) < 3.5 * np.sqrt(fit.cov_[0, 0]) + 1e-12
    assert inside > 80


@pytest.mark.parametrize(
    ("n", "y", "message"),
    [
        ([10, 10], [0.1, 0.2], "two or more different"),
        ([10, -1], [0.1, 0.2], "n must be positive"),
        ([10, 20], [0.1, np.nan], "finite"),
        ([10, 20, 30], [0.1, 0.2], "shape"),
    ],
)
def test_bad_points(n, y, message):
    with pytest.raises(ValueError, match=message):
        PowerLawCurve().fit(n, y)


def test_parameters_are_needed_and_checked():
    with pytest.raises(NotFittedError, match="no parameters"):
        PowerLawCurve().predict(10)
    with pytest.raises(ValueError, match="b must be"):
        PowerLawCurve(0.9, -1, 0.5)


@pytest.mark.parametrize("rho", [0, 0.5, 1, 2, 5])
def test_utility_is_smooth_concave_and_inverted(rho):
    s = np.linspace(-1, 1, 401)
    u, floor = isoelastic(s, rho, 0.05), 0.05
    assert (np.diff(u) > 0).all()
    assert (np.diff(u, 2) < 1e-9 * np.abs(u).max()).all()
    inner = (u[2:] - u[:-2]) / (s[2:] - s[:-2])
    away = np.abs(s[1:-1] - floor) > 0.1
    np.testing.assert_allclose(marginal(s[1:-1], rho, floor)[away], inner[away], rtol=0.02)
    for score in (-0.4, 0.05, 0.3):
        value = aggregate(np.full(2, score), np.array([0.5, 0.5]), rho, floor)
        assert equal_equivalent(value, rho, floor) == pytest.approx(score)


def test_worst_group_leaves_out_weight_zero():
    scores, weights = np.array([0.2, 0.5, np.nan]), np.array([0.0, 1.0, 0.0])
    assert aggregate(scores, weights, np.inf, 0.05) == 0.5
