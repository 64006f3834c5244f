"""The regularised regressor: losses, exposure, units, and what a penalty does."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import (
    GammaRegressor,
    LinearRegression,
    PoissonRegressor,
    QuantileRegressor,
    Ridge,
    TweedieRegressor,
)

from fairgroup.dependence import DistanceCovarianceRegressor, distance_correlation
from fairgroup.exceptions import FairnessWarning

LOSSES = ["squared", "absolute", "poisson", "gamma", "tweedie"]


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    n = 1200
    groups = pd.DataFrame({"sex": rng.choice(["f", "m"], n), "age": rng.uniform(20, 70, n)})
    male = (groups["sex"] == "m").to_numpy()
    X = np.column_stack([rng.normal(size=n), male + 0.5 * rng.normal(size=n)])
    mean = np.exp(0.3 * X[:, 0] + 0.6 * X[:, 1])
    return X, rng.gamma(2.0, mean / 2), groups, rng.uniform(0.2, 1.0, n)


def fit(table, **params):
    X, y, groups, _ = table
    return DistanceCovarianceRegressor(**params).fit(X, y, sensitive_features=groups)


class TestWithoutPenalty:
    @pytest.mark.parametrize(
        ("loss", "plain"),
        [
            ("squared", LinearRegression()),
            ("poisson", PoissonRegressor(alpha=0, tol=1e-10, max_iter=1000)),
            ("gamma", GammaRegressor(alpha=0, tol=1e-10, max_iter=1000)),
            ("tweedie", TweedieRegressor(power=1.5, alpha=0, tol=1e-10, max_iter=1000)),
        ],
    )
    def test_it_is_the_plain_model(self, table, loss, plain):
        X, y, _, _ = table
        model = fit(table, loss=loss, fairness_weight=0.0, tol=1e-9)
        plain.fit(X, y)
        np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-5)
        assert model.intercept_ == pytest.approx(plain.intercept_, rel=1e-5)
        np.testing.assert_allclose(model.predict(X), plain.predict(X), rtol=1e-5)

    def test_absolute_errors(self, table):
        X, y, _, _ = table
        model = fit(table, loss="absolute", fairness_weight=0.0, tol=1e-7, max_iter=2000)
        exact = QuantileRegressor(quantile=0.5, alpha=0).fit(X, y)
        best = np.abs(y - exact.predict(X)).mean()
        assert np.abs(y - model.predict(X)).mean() == pytest.approx(best, rel=1e-4)

    def test_norm_of_the_coefficients(self, table):
        X, y, _, _ = table
        model = fit(table, fairness_weight=0.0, alpha=0.5, tol=1e-10)
        np.testing.assert_allclose(model.coef_, Ridge(0.5 * len(y)).fit(X, y).coef_, rtol=1e-5)

    def test_exposure_is_rates_with_weights(self, table):
        X, _, groups, exposure = table
        counts = np.random.default_rng(1).poisson(exposure * np.exp(0.5 * X[:, 0]))
        model = DistanceCovarianceRegressor(loss="poisson", fairness_weight=0.0, tol=1e-9)
        model.fit(X, counts, sensitive_features=groups, exposure=exposure)
        plain = PoissonRegressor(alpha=0, tol=1e-10, max_iter=1000)
        plain.fit(X, counts / exposure, sample_weight=exposure)
        np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-5)
        np.testing.assert_allclose(model.predict(X), plain.predict(X), rtol=1e-5)
        np.testing.assert_allclose(
            model.predict(X, exposure=exposure), exposure * model.predict(X), rtol=1e-12
        )


class TestPenalty:
    @pytest.mark.parametrize("loss", LOSSES)
    def test_dependence_falls(self, table, loss):
        X, _, groups, _ = table
        free, fair = (fit(table, loss=loss, fairness_weight=w) for w in (0.0, 10.0))
        assert free.unfairness_ == pytest.approx(distance_correlation(free.predict(X), groups))
        assert fair.unfairness_ < 0.05 * free.unfairness_

    @pytest.mark.parametrize("loss", LOSSES)
    @pytest.mark.parametrize("factor", [1e-3, 1e6])
    def test_the_unit_of_the_target_does_not_matter(self, table, loss, factor):
        X, y, groups, _ = table
        one = fit(table, loss=loss)
        other = fit((X, factor * y, groups, None), loss=loss)
        np.testing.assert_allclose(other.predict(X), factor * one.predict(X), rtol=2e-3)
        assert other.unfairness_ == pytest.approx(one.unfairness_, rel=1e-2)

    def test_published_units_do(self, table):
        X, y, groups, _ = table
        one = fit(table, normalise=None, fairness_weight=1.0)
        other = fit((X, 100 * y, groups, None), normalise=None, fairness_weight=1.0)
        # The loss grows with the square of the unit, the penalty with the unit.
        assert other.unfairness_ > 120 * one.unfairness_
        same = fit((X, 100 * y, groups, None), normalise=None, fairness_weight=100.0)
        np.testing.assert_allclose(same.predict(X), 100 * one.predict(X), rtol=1e-3)

    @pytest.mark.parametrize("penalise", ["response", "rate", "link"])
    def test_what_is_penalised(self, table, penalise):
        X, _, groups, exposure = table
        # Groups differ in exposure as well.
        exposure = exposure * np.where(groups["sex"] == "m", 1.0, 0.5)
        counts = np.random.default_rng(1).poisson(exposure * np.exp(X @ [0.3, 0.8]))
        model = DistanceCovarianceRegressor(
            loss="poisson", penalise=penalise, fairness_weight=100.0
        ).fit(X, counts, sensitive_features=groups["sex"], exposure=exposure)
        rate = model.predict(X)
        seen = {
            "rate": rate,
            "response": model.predict(X, exposure=exposure),
            "link": np.log(rate),
        }
        for name, values in seen.items():
            found = distance_correlation(values, groups["sex"])
            if name == penalise:
                assert model.unfairness_ == pytest.approx(found)
                assert found < 0.01
        if penalise == "response":
            # Equal expected counts at unequal exposure are unequal rates.
            assert distance_correlation(rate, groups["sex"]) > 0.1

    def test_given_a_continuous_target(self, table):
        X, y, _, _ = table
        free, fair = (
            fit(table, constraint="equalized_odds", fairness_weight=w) for w in (0.0, 10.0)
        )
        assert fair.unfairness_ < 0.5 * free.unfairness_
        assert fair.score(X, y) > 0

    def test_a_limit(self, table):
        free = fit(table, fairness_weight=0.0)
        model = fit(table, max_unfairness=free.unfairness_ / 5)
        assert 0.9 * free.unfairness_ / 5 <= model.unfairness_ <= free.unfairness_ / 5

    def test_constant_target(self, table):
        X, y, groups, _ = table
        model = fit((X, np.full(len(y), 3.0), groups, None))
        np.testing.assert_allclose(model.predict(X), 3.0, atol=1e-6)


class TestBadInput:
    @pytest.mark.parametrize(
        ("loss", "exposure", "message"),
        [
            ("poisson", np.zeros(1200), "exposure must be positive and finite; row 0 is 0"),
            ("poisson", np.ones(5), r"exposure has shape \(5,\); expected \(1200,\)"),
            ("poisson", np.full(1200, np.nan), "exposure must be positive and finite"),
            ("squared", np.ones(1200), "exposure needs a log link"),
        ],
    )
    def test_exposure(self, table, loss, exposure, message):
        X, y, groups, _ = table
        model = DistanceCovarianceRegressor(loss=loss)
        with pytest.raises(ValueError, match=message):
            model.fit(X, y, sensitive_features=groups, exposure=exposure)

    @pytest.mark.parametrize(
        ("loss", "low", "message"),
        [
            ("poisson", -1.0, "at least 0"),
            ("gamma", 0.0, "positive"),
            ("tweedie", -1.0, "at least"),
        ],
    )
    def test_targets(self, table, loss, low, message):
        X, y, groups, _ = table
        with pytest.raises(ValueError, match=message):
            fit((X, np.r_[low, y[1:]], groups, None), loss=loss)

    def test_equal_opportunity_is_for_classes(self, table):
        with pytest.raises(ValueError, match="two classes"):
            fit(table, constraint="equal_opportunity")

    def test_a_count_with_too_few_rows_is_named(self, table):
        X, _, groups, _ = table
        counts = np.r_[7.0, np.arange(1199) % 3]
        with pytest.raises(ValueError, match=r"at least 4 rows where y=7\.0; found 1"):
            fit((X, counts, groups, None), loss="poisson", constraint="equalized_odds")


def test_exposure_that_is_no_number():
    X, y = np.arange(8.0)[:, None], np.arange(8)
    with pytest.raises(ValueError, match="exposure must be numbers"):
        DistanceCovarianceRegressor(loss="poisson").fit(
            X, y, sensitive_features=list("ab" * 4), exposure=["long"] * 8
        )


def test_the_penalty_curve_starts_where_the_penalty_counts():
    rng = np.random.default_rng(0)
    X, sex = rng.normal(size=(100, 2)), rng.integers(0, 2, 100)
    model = DistanceCovarianceRegressor().fit(X, X[:, 0] + sex, sensitive_features=sex)
    known = np.isfinite(model.penalty_curve_)
    assert model.penalty_curve_[-1] == pytest.approx(model.unfairness_, abs=1e-12)
    assert known[-1]
    assert not known[0]


def test_numbers_that_overflow():
    X = np.array([1e200, -1e200] * 4)[:, None]
    with pytest.raises(ValueError, match="Column 0 of X holds numbers too large"):
        DistanceCovarianceRegressor().fit(X, np.arange(8), sensitive_features=list("ab" * 4))


def test_a_strength_that_is_worse_than_a_constant():
    rng = np.random.default_rng(1)
    X, sex = rng.normal(size=(200, 5)), rng.integers(0, 2, 200)
    model = DistanceCovarianceRegressor(normalise=None, fairness_weight=1e4)
    with pytest.warns(FairnessWarning, match="fairness_weight=10000 is too strong"):
        model.fit(X, X[:, 0] + sex, sensitive_features=sex)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.set_params(fairness_weight=1.0).fit(X, X[:, 0] + sex, sensitive_features=sex)


def test_absolute_errors_count_as_a_share_of_the_best_constants():
    rng = np.random.default_rng(0)
    X, sex = rng.normal(size=(200, 1)), rng.integers(0, 2, 200)
    y = rng.standard_t(3, 200)  # nothing to learn
    model = DistanceCovarianceRegressor(loss="absolute", fairness_weight=0.0)
    model.fit(X, y, sensitive_features=sex)
    share = model.loss_curve_[-1] / np.abs(y - np.median(y)).mean()
    assert model._unit == pytest.approx(np.abs(y - np.median(y)).mean(), rel=1e-2)
    assert 0.97 < share < 1.0
