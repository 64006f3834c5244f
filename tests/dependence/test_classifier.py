"""The regularised classifier: what it equals without a penalty, and what a penalty does."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from sklearn import config_context
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairgroup.dependence import (
    DependencePenalty,
    DistanceCovarianceClassifier,
    distance_correlation,
    joint_distance_covariance,
)
from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import SensitiveEncoder


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    n = 1500
    groups = pd.DataFrame({"sex": rng.choice(["f", "m"], n), "age": rng.uniform(20, 70, n)})
    male = groups["sex"] == "m"
    X = np.column_stack(
        [rng.normal(size=n), male + rng.normal(size=n), groups["age"] / 10 + rng.normal(size=n)]
    )
    score = X @ [1.0, 1.0, 0.5] - 2.7
    y = np.where(score + rng.logistic(size=n) > 0, "yes", "no")
    return X, y, groups


def fit(table, **params):
    X, y, groups = table
    model = DistanceCovarianceClassifier(**params)
    return model.fit(X, y, sensitive_features=groups)


class TestWithoutPenalty:
    def test_two_classes(self, table):
        X, y, _ = table
        model = fit(table, fairness_weight=0.0, tol=1e-9)
        plain = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(X, y)
        np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-5)
        np.testing.assert_allclose(model.intercept_, plain.intercept_, rtol=1e-5)
        np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(X), atol=1e-6)
        np.testing.assert_array_equal(model.predict(X), plain.predict(X))

    def test_three_classes(self, table):
        X, _, groups = table
        y = np.digitize(X @ [1.0, 1.0, 0.5] + np.random.default_rng(1).logistic(size=1500), [2, 4])
        model = DistanceCovarianceClassifier(fairness_weight=0.0, tol=1e-9)
        model.fit(X, y, sensitive_features=groups)
        plain = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(X, y)
        assert model.coef_.shape == (3, 3)
        np.testing.assert_allclose(model.predict_proba(X), plain.predict_proba(X), atol=1e-5)

    def test_norm_of_the_coefficients(self, table):
        X, y, _ = table
        model = fit(table, fairness_weight=0.0, alpha=0.1, tol=1e-9)
        plain = LogisticRegression(C=1 / (0.1 * len(y)), tol=1e-10, max_iter=1000).fit(X, y)
        np.testing.assert_allclose(model.coef_, plain.coef_, rtol=1e-4)

    def test_weights_are_repeated_rows(self, table):
        X, y, groups = table
        weights = np.arange(len(y)) % 3
        rows = np.repeat(np.arange(len(y)), weights)
        for weight in (0.0, 1.0):
            model = DistanceCovarianceClassifier(fairness_weight=weight, tol=1e-7, max_iter=1000)
            weighted = model.fit(X, y, sensitive_features=groups, sample_weight=weights).coef_
            model.fit(
                X[rows],
                y[rows],
                sensitive_features=groups.iloc[rows],
                sample_weight=np.ones(len(rows)),
            )
            np.testing.assert_allclose(weighted, model.coef_, atol=2e-3)

    def test_without_groups(self, table):
        X, y, _ = table
        with pytest.warns(FairnessWarning, match="without sensitive_features"):
            model = DistanceCovarianceClassifier(tol=1e-9).fit(X, y)
        reference = fit(table, fairness_weight=0.0, tol=1e-9)
        np.testing.assert_allclose(model.coef_, reference.coef_)
        assert model.fairness_weight_ == 0
        assert np.isnan(model.unfairness_)
        assert model.encoder_ is None


class TestPenalty:
    def test_dependence_falls_and_accuracy_gives_way(self, table):
        X, _, groups = table
        found = []
        for weight in (0.0, 1.0, 10.0, 100.0):
            model = fit(table, fairness_weight=weight)
            response = model.predict_proba(X)[:, 1]
            assert model.unfairness_ == pytest.approx(distance_correlation(response, groups))
            found.append((model.unfairness_, model.loss_curve_[-1]))
        found = np.array(found)
        assert (np.diff(found[:, 0]) < 0).all()
        assert (np.diff(found[:, 1]) > 0).all()
        assert found[-1, 0] < 0.01 * found[0, 0]

    def test_units_of_features_do_not_matter(self, table):
        X, y, groups = table
        scaled = X * [1e-3, 1.0, 1e4] + [0, 5, 1e5]
        one, other = fit(table), fit((scaled, y, groups))
        np.testing.assert_allclose(other.predict_proba(scaled), one.predict_proba(X), atol=1e-4)

    @pytest.mark.parametrize("penalty", ["ccdcov", "jdcov", "sum_dcov", "dcor"])
    def test_every_kind_lowers_itself(self, table, penalty):
        free = fit(table, penalty=penalty, fairness_weight=0.0)
        fair = fit(table, penalty=penalty, fairness_weight=10.0)
        assert fair.unfairness_ < 0.2 * free.unfairness_

    def test_published_units(self, table):
        X, _, groups = table
        model = fit(table, penalty="jdcov", c=2.0, normalise=None, fairness_weight=20.0)
        response = model.predict_proba(X)[:, 1]
        expected = joint_distance_covariance(
            response, groups, c=2.0, include_attribute_dependence=False
        )
        assert model.unfairness_ == pytest.approx(expected)

    def test_scores_instead_of_probabilities(self, table):
        X, _, groups = table
        model = fit(table, penalise="link", fairness_weight=10.0)
        found = distance_correlation(model.decision_function(X), groups)
        assert model.unfairness_ == pytest.approx(found)
        assert found < 0.02

    def test_the_intersection_that_margins_do_not_show(self):
        rng = np.random.default_rng(0)
        groups = rng.integers(0, 2, (1000, 2))
        exclusive = groups[:, 0] ^ groups[:, 1]
        X = np.column_stack([exclusive + 0.3 * rng.normal(size=1000), rng.normal(size=1000)])
        y = (X.sum(axis=1) + rng.normal(size=1000) > 0.5).astype(int)
        gap = {}
        for penalty in ("sum_dcov", "ccdcov", "jdcov"):
            model = DistanceCovarianceClassifier(penalty=penalty, fairness_weight=10.0)
            response = model.fit(X, y, sensitive_features=groups).predict_proba(X)[:, 1]
            gap[penalty] = response[exclusive == 1].mean() - response[exclusive == 0].mean()
        assert gap["sum_dcov"] > 0.1
        assert abs(gap["ccdcov"]) < 0.2 * gap["sum_dcov"]
        assert abs(gap["jdcov"]) < 0.2 * gap["sum_dcov"]


class TestConstraints:
    @pytest.mark.parametrize("constraint", ["equalized_odds", "equal_opportunity"])
    def test_given_the_label(self, table, constraint):
        X, y, groups = table
        free = fit(table, constraint=constraint, fairness_weight=0.0)
        fair = fit(table, constraint=constraint, fairness_weight=10.0)
        encoder = SensitiveEncoder().fit(groups)
        rows = y == "yes"
        inside = [
            DependencePenalty(encoder=encoder)
            .prepare(groups[rows])
            .value_and_grad(model.predict_proba(X[rows])[:, 1])[0]
            for model in (free, fair)
        ]
        assert inside[1] < 0.2 * inside[0]
        parity = fit(table, fairness_weight=10.0)
        # What is asked of each class leaves more of the difference that the label explains.
        everybody = [
            distance_correlation(model.predict_proba(X)[:, 1], groups) for model in (fair, parity)
        ]
        assert everybody[1] < everybody[0]

    def test_given_a_legitimate_factor(self, table):
        X, y, groups = table
        model = DistanceCovarianceClassifier(constraint="conditional_parity", fairness_weight=10.0)
        factor = np.digitize(groups["age"], [35, 50])
        model.fit(X, y, sensitive_features=groups["sex"], control_features=factor)
        response = model.predict_proba(X)[:, 1]
        for level in range(3):
            inside = factor == level
            assert distance_correlation(response[inside], groups["sex"][inside]) < 0.01


class TestLimit:
    def test_it_is_reached_with_little_to_spare(self, table):
        free = fit(table, fairness_weight=0.0)
        limit = free.unfairness_ / 10
        model = fit(table, max_unfairness=limit)
        assert 0.9 * limit <= model.unfairness_ <= limit
        assert model.fairness_weight_ > 0
        share = np.mean(table[1] == "yes")
        entropy = -share * np.log(share) - (1 - share) * np.log(1 - share)
        slack = limit - model.unfairness_
        assert model.duality_gap_ == pytest.approx(entropy * model.fairness_weight_ * slack)
        # The certificate: a model that keeps to the limit and is better by more is not found.
        nearer = fit(table, max_unfairness=model.unfairness_)
        assert nearer.loss_curve_[-1] >= model.loss_curve_[-1] - model.duality_gap_ - 1e-4
        stronger = fit(table, fairness_weight=2 * model.fairness_weight_)
        assert stronger.loss_curve_[-1] > model.loss_curve_[-1]

    def test_nothing_to_do(self, table):
        model = fit(table, max_unfairness=0.9)
        assert model.fairness_weight_ == 0
        assert model.duality_gap_ == 0

    def test_out_of_reach(self):
        """The only feature is the attribute, and a correlation of binary things has no middle."""
        sex = np.array([0, 1] * 30)
        y = np.where(np.arange(60) % 7 == 0, 1 - sex, sex)
        model = DistanceCovarianceClassifier(max_unfairness=1e-6)
        with pytest.warns(ConvergenceWarning, match="max_unfairness=1e-06 was not reached"):
            model.fit(sex[:, None], y, sensitive_features=sex)


class TestAround:
    def test_a_search_over_the_strength(self, table):
        X, y, groups = table
        model = make_pipeline(StandardScaler(), DistanceCovarianceClassifier())
        grid = {"distancecovarianceclassifier__fairness_weight": [0.0, 10.0]}
        with config_context(enable_metadata_routing=True):
            search = GridSearchCV(model, grid, cv=2).fit(X, y, sensitive_features=groups)
        assert search.best_params_["distancecovarianceclassifier__fairness_weight"] == 0.0

    def test_warm_start(self, table):
        cold = fit(table, fairness_weight=1.5)
        model = fit(table, fairness_weight=1.0, warm_start=True)
        X, y, groups = table
        model.set_params(fairness_weight=1.5).fit(X, y, sensitive_features=groups)
        assert model.n_iter_ < cold.n_iter_
        np.testing.assert_allclose(model.coef_, cold.coef_, atol=0.02)
        model.fit(X, (y == "yes").astype(int), sensitive_features=groups)  # other classes
        assert list(model.classes_) == [0, 1]

    def test_coefficients_may_be_changed(self, table):
        X = table[0]
        model = fit(table)
        model.coef_[:] = 0
        model.intercept_[:] = 0
        np.testing.assert_allclose(model.predict_proba(X), 0.5)

    def test_the_linear_model_has_no_partial_fit(self):
        assert not hasattr(DistanceCovarianceClassifier(), "partial_fit")


def test_linear_models_need_no_torch():
    code = """
import sys
import numpy as np

class NotThere:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "skorch"):
            raise ModuleNotFoundError(name, name=name)

sys.meta_path.insert(0, NotThere())
from fairgroup.dependence import DistanceCovarianceClassifier, FairnessPath
X, y, sex = np.random.default_rng(0).normal(size=(40, 2)), [0, 1] * 20, [0, 0, 1, 1] * 10
path = FairnessPath(DistanceCovarianceClassifier(), fairness_weights=[0, 1], n_seeds=1)
print(path.fit(X, y, sensitive_features=sex).predict(X).shape)
model = DistanceCovarianceClassifier(model="mlp")
try:
    model.fit(X, y, sensitive_features=sex)
except ImportError as error:
    print(error)
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.startswith("(40,)")
    assert "This needs torch" in run.stdout


class TestBadInput:
    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"fairness_weight": -1.0}, "fairness_weight"),
            ({"c": 0.0}, "'c'"),
            ({"max_unfairness": 0.0}, "max_unfairness"),
            ({"model": "forest"}, 'model must be "linear", "mlp" or a torch'),
            ({"penalise": "rate"}, "penalise"),
            ({"constraint": "conditional_parity"}, "needs control_features"),
        ],
    )
    def test_parameters(self, table, params, message):
        with pytest.raises(ValueError, match=message):
            fit(table, **params)

    def test_rows(self, table):
        X, y, groups = table
        model = DistanceCovarianceClassifier()
        with pytest.raises(ValueError, match="one class"):
            model.fit(X, np.repeat("yes", len(y)), sensitive_features=groups)
        with pytest.raises(ValueError, match="sample_weight zero in every row"):
            labels = np.where(np.arange(len(y)) < 5, "maybe", y)
            weights = (np.arange(len(y)) >= 5).astype(float)
            model.fit(X, labels, sensitive_features=groups, sample_weight=weights)
        with pytest.raises(ValueError, match="at least 4 rows"):
            model.fit(X[:3], ["a", "b", "a"], sensitive_features=[0, 1, 0])
        with pytest.raises(ValueError, match="two classes; y has 3"):
            odds = DistanceCovarianceClassifier(constraint="equal_opportunity")
            odds.fit(X, np.arange(len(y)) % 3, sensitive_features=groups)

    def test_too_few_iterations_warn(self, table):
        with pytest.warns(ConvergenceWarning, match=r"stopped after \d+ iterations"):
            fit(table, max_iter=3)
