"""Choosing the strength: the path, a target, the knee, Pipelines, the display."""

from __future__ import annotations

import matplotlib
import numpy as np
import pandas as pd
import pytest
import sklearn
from sklearn.base import clone
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning, NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, mean_poisson_deviance
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from fairgroup.dependence import (
    DistanceCovarianceClassifier,
    DistanceCovarianceRegressor,
    FairnessPath,
    FairnessPathDisplay,
    distance_correlation,
)
from fairgroup.dependence._path_runs import knee
from fairgroup.exceptions import FairnessWarning
from fairgroup.metrics import demographic_parity_gap, js_divergence

matplotlib.use("Agg")


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    n = 1000
    groups = pd.DataFrame({"sex": rng.choice(["f", "m"], n), "race": rng.choice(list("ab"), n)})
    male = (groups["sex"] == "m").to_numpy()
    X = np.column_stack([rng.normal(size=n), male + 0.5 * rng.normal(size=n)])
    y = (X @ [1.0, 1.5] - 0.75 + rng.logistic(size=n) > 0).astype(int)
    return X, y, groups


def fit(table, estimator=None, **params):
    X, y, groups = table
    estimator = DistanceCovarianceClassifier() if estimator is None else estimator
    settings = {"fairness_weights": [0.0, 1.0, 10.0], "n_seeds": 2, "random_state": 0, **params}
    return FairnessPath(estimator, **settings).fit(X, y, sensitive_features=groups)


class TestPath:
    def test_rows_are_fits_on_splits(self, table):
        X, y, groups = table
        path = fit(table, n_seeds=1)
        seed = int(np.random.RandomState(0).randint(2**31 - 1, size=1)[0])
        train, valid = train_test_split(
            np.arange(1000), test_size=0.3, stratify=y, random_state=seed
        )
        train, valid = np.sort(train), np.sort(valid)
        for row in path.results_.itertuples():
            model = DistanceCovarianceClassifier(fairness_weight=row.fairness_weight)
            model.fit(X[train], y[train], sensitive_features=groups.iloc[train])
            response = model.predict_proba(X[valid])
            # A warm start ends within the tolerance of a cold one.
            assert row.loss == pytest.approx(log_loss(y[valid], response), abs=1e-3)
            expected = distance_correlation(response[:, 1], groups.iloc[valid])
            assert row.criterion == pytest.approx(expected, abs=2e-3)

    def test_tables(self, table):
        path = fit(table)
        assert list(path.results_) == ["fairness_weight", "seed", "loss", "criterion"]
        assert len(path.results_) == 6
        means = path.results_.groupby("fairness_weight")["loss"].mean()
        np.testing.assert_allclose(path.path_["loss"], means)
        assert path.path_["criterion"].is_monotonic_decreasing
        assert path.path_["loss"].is_monotonic_increasing
        assert (path.path_["loss_se"] > 0).all()

    def test_the_chosen_model_is_fitted_to_all_rows(self, table):
        X, y, groups = table
        path = fit(table)
        model = DistanceCovarianceClassifier(fairness_weight=path.fairness_weight_)
        model.fit(X, y, sensitive_features=groups)
        np.testing.assert_allclose(path.predict_proba(X), model.predict_proba(X), atol=1e-12)
        np.testing.assert_array_equal(path.predict(X), model.predict(X))
        np.testing.assert_allclose(path.decision_function(X), model.decision_function(X))
        assert path.score(X, y) == model.score(X, y)
        assert list(path.classes_) == [0, 1]

    def test_jobs_do_not_matter(self, table):
        one, two = fit(table), fit(table, n_jobs=2)
        pd.testing.assert_frame_equal(one.results_, two.results_)

    def test_the_default_grid(self, table):
        path = fit(table, fairness_weights=None, n_seeds=1)
        assert len(path.path_) == 14
        assert path.path_.index[0] == 0


class TestChoice:
    def test_the_knee(self):
        path = pd.DataFrame(
            {"loss": [0.0, 0.1, 1.0], "criterion": [1.0, 0.1, 0.0]}, index=[0.0, 5.0, 9.0]
        )
        assert knee(path) == 5.0
        path["criterion"] = 0.0
        assert knee(path) == 0.0

    def test_a_target_is_reached_with_the_smallest_strength(self, table):
        free = fit(table).path_["criterion"].iloc[0]
        target = free / 4
        path = fit(table, target=target)
        chosen = path.path_.loc[path.fairness_weight_]
        assert path.target_reached_
        assert chosen["criterion"] <= target
        weaker = path.path_.index[path.path_.index < path.fairness_weight_]
        assert path.path_.loc[weaker[-1], "criterion"] > target
        assert path.fairness_weight_ / weaker[-1] < 1.1
        assert len(path.path_) == 3 + 5

    def test_nothing_to_do_for_a_target(self, table):
        assert fit(table, target=0.9).fairness_weight_ == 0

    def test_a_target_out_of_reach_warns(self, table):
        with pytest.warns(ConvergenceWarning, match=r"down to target=-1"):
            path = fit(table, target=-1.0)
        assert not path.target_reached_
        assert path.fairness_weight_ == path.path_["criterion"].idxmin()


class TestCriteria:
    def test_they_are_the_metrics(self, table):
        X, y, groups = table
        settings = {"fairness_weights": [1.0], "n_seeds": 1}
        seed = int(np.random.RandomState(0).randint(2**31 - 1, size=1)[0])
        train, valid = (
            np.sort(part)
            for part in train_test_split(
                np.arange(1000), test_size=0.3, stratify=y, random_state=seed
            )
        )
        model = DistanceCovarianceClassifier()
        model.fit(X[train], y[train], sensitive_features=groups.iloc[train])
        response, there = model.predict_proba(X[valid])[:, 1], groups.iloc[valid]
        expected = {
            "jsd": js_divergence(response, there, bandwidth=0.05),
            "gap": demographic_parity_gap(model.predict(X[valid]), sensitive_features=there),
            "dcor": distance_correlation(response, there),
        }
        for name, value in expected.items():
            path = fit(table, criterion=name, bandwidth=0.05, **settings)
            assert path.path_["criterion"].iloc[0] == pytest.approx(value, abs=1e-9), name
        path = fit(table, criterion=lambda p, g: p[:, 1].mean() + len(g), **settings)
        assert path.path_["criterion"].iloc[0] == pytest.approx(300 + response.mean())

    def test_the_estimators_notion_is_measured(self, table):
        odds = DistanceCovarianceClassifier(constraint="equalized_odds")
        given = fit(table, estimator=odds, fairness_weights=[0.0])
        parity = fit(table, fairness_weights=[0.0])
        assert given.path_["criterion"].iloc[0] < parity.path_["criterion"].iloc[0]

    def test_counts_given_exposure(self, table):
        X, _, groups = table
        rng = np.random.default_rng(1)
        exposure = rng.uniform(0.2, 1.0, 1000)
        y = rng.poisson(exposure * np.exp(X @ [0.3, 0.5]))
        path = FairnessPath(
            DistanceCovarianceRegressor(loss="poisson"),
            fairness_weights=[0.0, 10.0],
            n_seeds=1,
            random_state=0,
        ).fit(X, y, sensitive_features=groups, exposure=exposure)
        overall = mean_poisson_deviance(y, exposure * y.sum() / exposure.sum())
        assert 0.5 * overall < path.path_["loss"].iloc[0] < overall
        assert path.predict(X, exposure=2 * np.ones(1000)) == pytest.approx(2 * path.predict(X))


class TestAround:
    def test_in_a_pipeline(self, table):
        X, y, _ = table
        estimator = make_pipeline(StandardScaler(), DistanceCovarianceClassifier())
        path = fit(table, estimator=estimator)
        plain = fit(table)
        np.testing.assert_allclose(path.path_, plain.path_, atol=2e-3)
        assert path.score(X, y) > 0.5

    def test_without_groups(self, table):
        X, y, _ = table
        with pytest.warns(FairnessWarning, match="nothing was chosen"):
            path = FairnessPath(DistanceCovarianceClassifier()).fit(X, y)
        assert path.fairness_weight_ == 0
        plain = LogisticRegression(C=np.inf).fit(X, y)
        assert np.mean(path.predict(X) == plain.predict(X)) > 0.99
        with pytest.raises(NotFittedError):
            _ = path.results_

    def test_bad_input(self, table):
        X, y, groups = table
        with pytest.raises(ValueError, match="no parameter fairness_weight"):
            fit(table, estimator=LogisticRegression())
        with pytest.raises(ValueError, match="fairness_weights must be finite and at least 0"):
            fit(table, fairness_weights=[-1.0, 2.0])
        with pytest.raises(TypeError, match="colour"):
            FairnessPath(DistanceCovarianceClassifier()).fit(
                X, y, sensitive_features=groups, colour=y
            )
        with pytest.raises(ValueError, match="continuous"):
            noisy = groups.assign(age=np.random.default_rng(0).random(1000))
            fit((X, y, noisy), criterion="gap")

    def test_display(self, table):
        path = fit(table, target=0.05)
        display = FairnessPathDisplay.from_estimator(path)
        assert display.ax_.get_xlabel() == "squared distance correlation"
        texts = {text.get_text() for text in display.ax_.texts}
        assert {"0", "1", "10"} <= texts
        assert "chosen" in display.ax_.get_legend().get_texts()[0].get_text()
        with pytest.raises(NotFittedError):
            FairnessPathDisplay.from_estimator(clone(path))
        matplotlib.pyplot.close("all")


def test_every_part_of_a_pipeline_is_seeded_and_the_model_measured(table):
    X, y, groups = table
    model = DistanceCovarianceClassifier(constraint="equalized_odds")
    pipeline = Pipeline([("p", PCA(svd_solver="randomized")), ("the_model", model)])
    path = FairnessPath(pipeline, fairness_weights=[0.0, 1.0], n_seeds=1, random_state=0)
    path.fit(X, y, sensitive_features=groups)
    inner = path.best_estimator_[-1]
    assert inner.random_state == path.best_estimator_[0].random_state is not None
    direct = FairnessPath(model, fairness_weights=[0.0, 1.0], n_seeds=1, random_state=0)
    direct.fit(X, y, sensitive_features=groups)
    np.testing.assert_allclose(direct.results_, path.results_, rtol=1e-2, atol=1e-4)


def test_legitimate_factors_reach_the_criterion():
    rng = np.random.default_rng(0)
    n = 800
    sex, job = rng.integers(0, 2, (2, n))
    job = np.where(rng.random(n) < 0.7, sex, job)  # explains the difference
    X = np.column_stack([job, rng.normal(size=n)])
    y = (2 * job + rng.logistic(size=n) > 1).astype(int)
    found = {}
    for constraint in ("conditional_parity", "demographic_parity"):
        path = FairnessPath(
            DistanceCovarianceClassifier(constraint=constraint),
            fairness_weights=[0.0],
            n_seeds=2,
            random_state=0,
        ).fit(X, y, sensitive_features=sex, control_features=job)
        found[constraint] = path.path_["criterion"].iloc[0]
    assert abs(found["conditional_parity"]) < 0.1 * found["demographic_parity"]


def test_exposure_is_not_measured_where_it_is_not_penalised():
    rng = np.random.default_rng(0)
    n = 600
    sex = rng.integers(0, 2, n)
    X, exposure = rng.normal(size=(n, 1)), np.where(sex == 1, 1.0, 0.5)
    y = rng.poisson(exposure * np.exp(0.3 * X[:, 0]))
    found = {}
    for penalise in ("rate", "response"):
        path = FairnessPath(
            DistanceCovarianceRegressor(loss="poisson", penalise=penalise),
            fairness_weights=[0.0],
            n_seeds=2,
            random_state=0,
        ).fit(X, y, sensitive_features=sex, exposure=pd.Series(exposure))
        found[penalise] = path.path_["criterion"].iloc[0]
    assert abs(found["rate"]) < 0.02
    assert found["response"] > 0.2


def test_what_has_a_row_each_is_routed_and_checked():
    rng = np.random.default_rng(0)
    X, sex, exposure = rng.normal(size=(200, 2)), rng.integers(0, 2, 200), rng.uniform(0.5, 1, 200)
    y = rng.poisson(exposure)
    model = DistanceCovarianceRegressor(loss="poisson")
    path = FairnessPath(model, fairness_weights=[0.0, 1.0], n_seeds=1, random_state=0)
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(path, {"target": [0.5]}, cv=2)
        search.fit(X, y, sensitive_features=sex, exposure=exposure)
    direct = path.fit(X, y, sensitive_features=sex, exposure=exposure)
    found = search.best_estimator_.best_estimator_.intercept_
    assert found == pytest.approx(direct.best_estimator_.intercept_, abs=1e-3)
    with pytest.raises(ValueError, match="exposure has 3 rows, but X has 200"):
        path.fit(X, y, sensitive_features=sex, exposure=exposure[:3])


def test_labels_of_strengths_that_lie_together_do_not_cover_each_other():
    from fairgroup.dependence._path_display import _apart

    path = pd.DataFrame({"criterion": [1.0, 0.5, 0.49, 0.48, 0.0], "loss": [0, 1, 1.01, 1.02, 2]})
    assert _apart(path) == [True, True, False, False, True]
