"""Custom objectives, by differences and in LightGBM and XGBoost themselves."""

from __future__ import annotations

import lightgbm
import numpy as np
import pytest
import xgboost
from scipy.special import expit, softmax

from fairgroup.dependence import DependencePenalty, distance_correlation
from fairgroup.dependence._losses import make_loss


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    n = 800
    sex = rng.integers(0, 2, n)
    X = np.column_stack([rng.normal(size=n), sex + 0.3 * rng.normal(size=n), rng.normal(size=n)])
    score = X[:, 0] + 1.5 * X[:, 1] - 0.75
    return X, score, sex


@pytest.mark.parametrize("penalise", ["response", "link", "rate"])
@pytest.mark.parametrize("loss", ["log", "squared", "poisson", "tweedie"])
def test_gradient_by_differences(loss, penalise):
    rng = np.random.default_rng(0)
    sex, raw = rng.integers(0, 2, 12), rng.normal(size=12)
    y = rng.integers(0, 2, 12).astype(float)
    exposure = rng.random(12) + 0.5 if loss in ("poisson", "tweedie") else None
    penalty = DependencePenalty("jdcov")
    objective = penalty.boosting_objective(
        sex, loss=loss, fairness_weight=2.0, exposure=exposure, penalise=penalise
    )
    prepared, base = penalty.prepare(sex), make_loss(loss, y)
    offset = 0.0 if exposure is None else np.log(exposure)

    def value(raw):
        seen = {"link": raw, "rate": base.inverse(raw), "response": base.inverse(raw + offset)}
        fair = prepared.value_and_grad(seen[penalise])[0]
        return base.nll(y, raw + offset).sum() + 12 * 2.0 * fair

    gradient, hessian = objective(y, raw)
    for i in range(12):
        step = 1e-6 * np.eye(12)[i]
        rise = (value(raw + step) - value(raw - step)) / 2e-6
        assert gradient[i] == pytest.approx(rise, abs=1e-6)
    np.testing.assert_allclose(hessian, base.curvature(y, raw + offset))


def test_gradient_of_several_classes():
    rng = np.random.default_rng(0)
    sex, raw, y = rng.integers(0, 2, 9), rng.normal(size=(9, 3)), np.arange(9) % 3
    objective = DependencePenalty().boosting_objective(sex, fairness_weight=2.0)
    prepared = DependencePenalty().prepare(sex)

    def value(raw):
        response = softmax(raw, axis=1)
        loss = -np.log(response[np.arange(9), y]).sum()
        return loss + 9 * 2.0 * prepared.value_and_grad(response)[0]

    gradient, hessian = objective(y, raw)
    assert gradient.shape == hessian.shape == (9, 3)
    for place in np.ndindex(9, 3):
        step = np.zeros((9, 3))
        step[place] = 1e-6
        rise = (value(raw + step) - value(raw - step)) / 2e-6
        assert gradient[place] == pytest.approx(rise, abs=1e-6)


def test_weights_count_in_the_loss():
    y, raw, weights = np.array([0.0, 1.0] * 4), np.linspace(-1, 1, 8), np.arange(8.0) + 1
    objective = DependencePenalty().boosting_objective(["f", "m"] * 4, fairness_weight=0.0)
    gradient, hessian = objective(y, raw, weights)
    np.testing.assert_allclose(gradient, weights * (expit(raw) - y))
    np.testing.assert_allclose(hessian, weights * expit(raw) * expit(-raw))


def boosters(objective):
    small = {"n_estimators": 60, "max_depth": 3, "learning_rate": 0.1, "n_jobs": 1}
    return {
        "lightgbm": lightgbm.LGBMClassifier(objective=objective, verbosity=-1, **small),
        # As a probability: log-odds of zero, where LightGBM starts as well.
        "xgboost": xgboost.XGBClassifier(objective=objective, base_score=0.5, **small),
    }


def raw_scores(name, model, X):
    return model.predict(X, **{"raw_score" if name == "lightgbm" else "output_margin": True})


@pytest.mark.parametrize("name", ["lightgbm", "xgboost"])
class TestLibraries:
    def test_two_classes(self, table, name):
        X, score, sex = table
        y = (score + np.random.default_rng(1).logistic(size=len(sex)) > 0).astype(int)
        found = {}
        for weight in (0.0, 30.0):
            objective = DependencePenalty().boosting_objective(sex, fairness_weight=weight)
            model = boosters(objective)[name].fit(X, y)
            response = expit(raw_scores(name, model, X))
            accuracy = np.mean((response > 0.5) == y)
            found[weight] = distance_correlation(response, sex), accuracy
        assert found[30.0][0] < 0.2 * found[0.0][0]
        assert found[30.0][1] > 0.6
        # Without a penalty it is the library's own objective.
        own = boosters("binary" if name == "lightgbm" else "binary:logistic")[name]
        extra = {"boost_from_average": False} if name == "lightgbm" else {}
        own = own.set_params(**extra).fit(X, y)
        objective = DependencePenalty().boosting_objective(sex, fairness_weight=0.0)
        custom = boosters(objective)[name].fit(X, y)
        np.testing.assert_allclose(
            raw_scores(name, custom, X), raw_scores(name, own, X), atol=2e-3
        )

    def test_counts_given_exposure(self, table, name):
        X, score, sex = table
        rng = np.random.default_rng(1)
        exposure = rng.uniform(0.2, 1.0, len(sex))
        y = rng.poisson(exposure * np.exp(score / 2))
        small = {"n_estimators": 60, "max_depth": 3, "learning_rate": 0.1, "n_jobs": 1}
        found = {}
        for weight in (0.0, 20.0):
            objective = DependencePenalty().boosting_objective(
                sex, loss="poisson", fairness_weight=weight, exposure=exposure
            )
            model = (
                lightgbm.LGBMRegressor(objective=objective, verbosity=-1, **small)
                if name == "lightgbm"
                else xgboost.XGBRegressor(objective=objective, base_score=0.0, **small)
            ).fit(X, y)
            expected = exposure * np.exp(raw_scores(name, model, X))
            found[weight] = distance_correlation(expected, sex)
            assert expected.sum() == pytest.approx(y.sum(), rel=0.1)
        assert found[20.0] < 0.2 * found[0.0]

    def test_three_classes(self, table, name):
        X, score, sex = table
        y = np.digitize(score, [-1.0, 1.0])
        found = {}
        for weight in (0.0, 20.0):
            objective = DependencePenalty().boosting_objective(sex, fairness_weight=weight)
            model = boosters(objective)[name].fit(X, y)
            response = softmax(raw_scores(name, model, X), axis=1)
            found[weight] = sum(distance_correlation(column, sex) for column in response.T)
        assert found[20.0] < 0.4 * found[0.0]


def test_weights_of_the_penalty_and_of_the_loss():
    rng = np.random.default_rng(0)
    sex, raw, y = rng.integers(0, 2, 12), rng.normal(size=12), rng.integers(0, 2, 12)
    weights = rng.random(12)
    penalty = DependencePenalty(estimator="V")
    objective = penalty.boosting_objective(sex, sample_weight=weights, fairness_weight=2.0)
    slope = penalty.prepare(sex, sample_weight=weights).value_and_grad(expit(raw))[1]
    share = expit(raw)
    expected = weights * (share - y) + 12 * 2.0 * share * (1 - share) * slope
    np.testing.assert_allclose(objective(y, raw, weights)[0], expected)


def test_bad_input():
    penalty, sex = DependencePenalty(), ["f", "m"] * 4
    with pytest.raises(ValueError, match="fairness_weight must be at least 0"):
        penalty.boosting_objective(sex, fairness_weight=-1.0)
    with pytest.raises(ValueError, match="penalise must be one of"):
        penalty.boosting_objective(sex, penalise="score")
    with pytest.raises(ValueError, match="exposure must be positive"):
        penalty.boosting_objective(sex, loss="poisson", exposure=np.zeros(8))
    with pytest.raises(ValueError, match="exposure needs a log link"):
        penalty.boosting_objective(sex, loss="squared", exposure=np.ones(8))
    with pytest.raises(ValueError, match=r"loss must be one of .* got 'huber'"):
        penalty.boosting_objective(sex, loss="huber")
    with pytest.raises(ValueError, match=r"power must be in \(1, 2\)"):
        penalty.boosting_objective(sex, loss="tweedie", power=3.0)
    with pytest.raises(ValueError, match=r"labels 0 to 1 .* row 0 is -1"):
        penalty.boosting_objective(sex)(np.array([-1.0, 1.0] * 4), np.zeros(8))
    with pytest.raises(ValueError, match="bound to 8 rows, but the booster is trained on 6"):
        penalty.boosting_objective(sex)(np.zeros(6), np.zeros(6))
