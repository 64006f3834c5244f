"""Whitened features, L-BFGS on loss plus penalty, and the strength that reaches a limit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from fairgroup.dependence._dual import smallest_weight
from fairgroup.dependence._linear import WhitenedDesign, fit_linear
from fairgroup.dependence._losses import make_loss
from fairgroup.dependence._objective import Objective, Target
from fairgroup.dependence._penalty import DependencePenalty


def problem(n=300, seed=0, loss="log", **penalty):
    rng = np.random.default_rng(seed)
    groups = rng.integers(0, 2, (n, 2))
    X = np.column_stack([groups[:, 0] + rng.normal(size=n), 10 * rng.normal(size=n) - 50])
    score = X @ [1.0, 0.05] + 2
    y = (rng.random(n) < 1 / (1 + np.exp(-score))).astype(float) if loss == "log" else score
    weights = np.full(n, 1 / n)
    prepared = DependencePenalty(**penalty).prepare(groups)
    objective = Objective(make_loss(loss, y), Target(y, weights), prepared)
    objective.unit = objective.null_loss()
    return X, objective, WhitenedDesign(X, weights)


class TestDesign:
    def test_unit_covariance(self):
        X, _, design = problem()
        weights = np.full(len(X), 1 / len(X))
        covariance = (design.design.T * weights) @ design.design
        np.testing.assert_allclose(covariance, np.eye(2), atol=1e-12)
        np.testing.assert_allclose(design.design, (X - design.mean) @ design.transform)

    def test_directions_without_variation_are_left_out(self):
        X, _, _ = problem()
        wide = np.column_stack([X, X[:, 0] + X[:, 1], np.full(len(X), 7.0)])
        design = WhitenedDesign(wide, np.full(len(X), 1 / len(X)))
        assert design.design.shape == (300, 2)
        assert not design.transform[3].any()

    def test_coordinates_of_coefficients(self):
        design = problem()[2]
        theta = np.array([[1.0], [-2.0]])
        np.testing.assert_allclose(design.coordinates(design.transform @ theta), theta)


class TestFit:
    @pytest.mark.parametrize("normalise", [None, "dvar"])
    @pytest.mark.parametrize("weight", [0.3, 3.0])
    def test_no_better_point_is_found_from_other_starts(self, normalise, weight):
        X, objective, design = problem(normalise=normalise)

        def value(theta):
            terms = objective(X @ theta[1:] + theta[0], weight)
            return terms.loss + weight * terms.penalty

        fit = fit_linear(design, objective, fairness_weight=weight, tol=1e-6, max_iter=1000)
        found = value(np.r_[fit.intercept, fit.coef[:, 0]])
        rng = np.random.default_rng(0)
        for _ in range(4):
            start = np.r_[fit.intercept, fit.coef[:, 0]] + rng.normal(size=3) * [1, 0.5, 0.05]
            options = {"maxiter": 4000, "xatol": 1e-8, "fatol": 1e-12}
            other = minimize(value, start, method="Nelder-Mead", options=options)
            assert found <= other.fun + 1e-5

    def test_the_gradient_is_that_of_the_objective(self):
        X, objective, design = problem(normalise="dvar")
        fit = fit_linear(design, objective, fairness_weight=1.0)
        raw = (X @ fit.coef + fit.intercept)[:, 0]
        terms = objective(raw, 1.0)
        slopes = np.r_[terms.gradient.sum(), design.design.T @ terms.gradient]
        assert np.abs(slopes).max() == pytest.approx(fit.optimality, rel=1e-6, abs=1e-12)
        assert fit.optimality <= 1e-4
        assert fit.converged
        assert terms.loss * objective.unit == pytest.approx(fit.loss_curve[-1])
        assert terms.penalty == pytest.approx(fit.penalty_curve[-1])

    @pytest.mark.parametrize("weight", [0.1, 1.0, 10.0, 100.0, 1000.0])
    def test_strong_penalties_do_not_end_at_the_constant(self, weight):
        """All predictions are tied at the best constant, which a strong penalty likes too well."""
        _, objective, design = problem(normalise="dvar", n=1000)
        fit = fit_linear(design, objective, fairness_weight=weight)
        assert fit.loss_curve[-1] < 0.99 * objective.unit
        assert fit.penalty_curve[-1] < 0.2

    def test_a_warm_start_ends_where_a_cold_one_does(self):
        _, objective, design = problem(normalise="dvar", n=1000)
        keep = {"tol": 1e-5, "max_iter": 1000}
        weak = fit_linear(design, objective, fairness_weight=0.5, **keep)
        warm = (weak.intercept, weak.coef)
        again = fit_linear(design, objective, fairness_weight=1.0, warm=warm, **keep)
        cold = fit_linear(design, objective, fairness_weight=1.0, **keep)
        np.testing.assert_allclose(again.coef, cold.coef, rtol=1e-2)
        assert len(again.loss_curve) < len(cold.loss_curve)

    def test_few_iterations_are_no_convergence(self):
        _, objective, design = problem(normalise="dvar")
        assert not fit_linear(design, objective, fairness_weight=1.0, max_iter=2).converged


class TestDual:
    def test_the_smallest_weight_of_a_known_curve(self):
        """Unfairness 1 / (1 + w): the limit 0.2 is met from w = 4 on."""
        tried = []

        def solve(weight, previous):
            tried.append(weight)
            return weight

        result = smallest_weight(solve, lambda w: 1 / (1 + w), 0.2, rtol=1e-3)
        assert result.reached
        assert result.unfairness <= 0.2
        assert result.weight == pytest.approx(4, rel=2e-3)
        assert len(tried) < 25

    @pytest.mark.parametrize("first", [1e-4, 1.0, 1e4])
    def test_from_any_first_weight(self, first):
        result = smallest_weight(lambda w, p: w, lambda w: 1 / (1 + w), 0.2, first=first)
        assert result.reached
        assert 0.18 <= result.unfairness <= 0.2

    def test_nothing_to_do(self):
        result = smallest_weight(lambda w, p: w, lambda w: 0.1, 0.2)
        assert result.reached
        assert result.weight == 0

    def test_a_limit_out_of_reach(self):
        result = smallest_weight(lambda w, p: w, lambda w: 1.0, 0.2)
        assert not result.reached
        assert result.weight > 1e6
