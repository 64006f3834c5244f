"""Every prefix engine against separate fits of scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.kernel_ridge import KernelRidge
from sklearn.linear_model import LinearRegression, LogisticRegression, Ridge
from sklearn.metrics import r2_score
from sklearn.naive_bayes import GaussianNB
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.tree import DecisionTreeRegressor

from fairgroup.sampling import nested_learning_curve
from fairgroup.sampling._fast_refits import (
    choose_engine,
    prefix_coefficients,
    prefix_kernel_predictions,
    summarise,
)
from fairgroup.sampling._refits import growing_models


def data(seed, n, p, base):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n + base, p)) + 0.5
    y = X @ rng.normal(size=p) + 2 + rng.normal(size=n + base)
    return X[:base], y[:base], X[base:], y[base:]


@pytest.mark.parametrize("engine", ["gram", "rls", "cholesky"])
@pytest.mark.parametrize("fit_intercept", [True, False])
@pytest.mark.parametrize(("n", "p", "base"), [(30, 5, 0), (12, 20, 0), (25, 6, 10), (10, 30, 8)])
def test_every_prefix_is_the_separate_fit(engine, fit_intercept, n, p, base):
    X0, y0, X, y = data(n + p, n, p, base)
    X[3], y[4] = X[2], y[2]  # a duplicate row
    sizes = np.arange(1, n + 1)
    coef, intercept = prefix_coefficients(
        summarise(X0, y0), X, y, sizes, alpha=0.7, fit_intercept=fit_intercept, engine=engine
    )
    for k, m in enumerate(sizes):
        model = Ridge(alpha=0.7, fit_intercept=fit_intercept)
        model.fit(np.vstack([X0, X[:m]]), np.concatenate([y0, y[:m]]))
        np.testing.assert_allclose(coef[k], model.coef_, atol=1e-10)
        np.testing.assert_allclose(intercept[k], model.intercept_, atol=1e-10)


def test_some_sizes_are_the_same_as_all():
    X0, y0, X, y = data(0, 40, 6, 5)
    options = {"alpha": 1.0, "fit_intercept": True}
    every = prefix_coefficients(summarise(X0, y0), X, y, np.arange(1, 41), engine="rls", **options)
    some = np.array([3, 7, 30])
    for engine in ("gram", "rls", "cholesky"):
        found = prefix_coefficients(summarise(X0, y0), X, y, some, engine=engine, **options)
        np.testing.assert_allclose(found[0], every[0][some - 1], atol=1e-10)


@pytest.mark.parametrize("fit_intercept", [False, True])
def test_kernel_predictions(fit_intercept):
    rng = np.random.default_rng(0)
    X, X_val, y = rng.normal(size=(25, 2)), rng.normal(size=(7, 2)), rng.normal(size=25)
    kernel = np.exp(-((X[:, None] - X) ** 2).sum(-1))
    kernel_val = np.exp(-((X[:, None] - X_val) ** 2).sum(-1))
    found = prefix_kernel_predictions(kernel, kernel_val, y, 0.3, fit_intercept=fit_intercept)
    for m in range(1, 26):
        if fit_intercept:
            inverse = np.linalg.inv(kernel[:m, :m] + 0.3 * np.eye(m))
            level = inverse.sum(axis=0) @ y[:m] / inverse.sum()
            expected = level + kernel_val[:m].T @ inverse @ (y[:m] - level)
        else:
            model = KernelRidge(alpha=0.3, kernel="rbf", gamma=1.0).fit(X[:m], y[:m])
            expected = model.predict(X_val)
        np.testing.assert_allclose(found[m - 1], expected, atol=1e-10)


def test_choice_of_engine():
    assert choose_engine(50, 100, 5) == "cholesky"
    assert choose_engine(400, 50, 400) == "cholesky"
    assert choose_engine(4000, 50, 4000) == "rls"
    assert choose_engine(400, 50, 6) == "gram"


@pytest.mark.parametrize(
    "estimator",
    [
        Ridge(alpha=2.0),
        LinearRegression(),
        DecisionTreeRegressor(max_depth=2, random_state=0),
        make_pipeline(StandardScaler(), Ridge()),
    ],
    ids=lambda e: type(e).__name__,
)
@pytest.mark.parametrize("sizes", [[4, 20, 60], [30, 60]])
def test_growing_models_are_the_separate_fits(estimator, sizes):
    _, _, X, y = data(2, 80, 8, 0)
    base, order = np.arange(5), np.arange(5, 80)
    models = growing_models(estimator, X, y, base, order, np.array(sizes))
    for m, model in zip(sizes, models, strict=True):
        rows = np.concatenate([base, order[:m]])
        expected = estimator.fit(X[rows], y[rows]).predict(X)
        np.testing.assert_allclose(model.predict(X), expected, atol=1e-9)


def test_partial_fit_and_one_class():
    _, _, X, y = data(3, 60, 4, 0)
    y = (y > np.median(y)).astype(int)
    order, sizes = np.argsort(y, kind="stable"), np.array([10, 40, 60])
    none = np.empty(0, dtype=int)
    for m, model in zip(
        sizes, growing_models(GaussianNB(), X, y, none, order, sizes), strict=True
    ):
        if m > 30:
            expected = GaussianNB().fit(X[order[:m]], y[order[:m]]).predict(X)
            assert (model.predict(X) == expected).mean() > 0.98
    first, *_, last = growing_models(LogisticRegression(), X, y, none, order, sizes)
    assert set(first.predict(X)) == {0}
    expected = LogisticRegression().fit(X, y).predict_proba(X)
    np.testing.assert_allclose(last.predict_proba(X), expected, atol=1e-2)


class TestNestedLearningCurve:
    def test_against_a_plain_loop(self):
        _, _, X, y = data(4, 120, 5, 0)
        sizes = [10, 30, 80]
        options = {"sizes": sizes, "random_state": 3, "n_orders": 3}
        fast = nested_learning_curve(Ridge(), X[:80], y[:80], X[80:], y[80:], **options)
        rng = np.random.default_rng(3)
        slow = np.zeros((3, 3))
        for r in range(3):
            order = rng.permutation(80)
            for k, m in enumerate(sizes):
                model = Ridge().fit(X[order[:m]], y[order[:m]])
                slow[r, k] = r2_score(y[80:], model.predict(X[80:]))
        np.testing.assert_allclose(fast.all_scores[:, :, 0], slow, atol=1e-10)
        np.testing.assert_allclose(fast.scores[:, 0], slow.mean(axis=0), atol=1e-10)

    def test_engines_agree_and_jobs_do_not_matter(self):
        _, _, X, y = data(5, 120, 5, 0)
        group = np.resize(["a", "b"], 120)
        options = {
            "sizes": [10, 20, 40],
            "random_state": 0,
            "sensitive_features": group[:80],
            "sensitive_features_val": group[80:],
            "group": "b",
        }
        found = [
            nested_learning_curve(
                Ridge(), X[:80], y[:80], X[80:], y[80:], engine=engine, n_jobs=jobs, **options
            )
            for engine, jobs in [
                ("auto", None),
                ("gram", 2),
                ("rls", None),
                ("cholesky", None),
                ("refit", None),
            ]
        ]
        for other in found[1:]:
            np.testing.assert_allclose(other.scores, found[0].scores, atol=1e-10)
        assert found[0].groups == ("sensitive_feature_0=a", "sensitive_feature_0=b")
        assert found[0].frame.shape == (3, 2)
        assert len(found[0].fit()) == 2

    def test_bad_input(self):
        X, y = np.ones((10, 2)), np.arange(10.0)
        with pytest.raises(ValueError, match="sizes must be"):
            nested_learning_curve(Ridge(), X, y, X, y, sizes=[20])
        with pytest.raises(ValueError, match="engine must be"):
            nested_learning_curve(Ridge(), X, y, X, y, engine="magic")
        with pytest.raises(ValueError, match="group 'z'"):
            nested_learning_curve(
                Ridge(), X, y, X, y, sensitive_features=["a", "b"] * 5, group="z"
            )
