"""fairlearn's methods as our adapters: nobody is decided silently."""

from __future__ import annotations

import numpy as np
import pytest
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
from numpy.testing import assert_array_equal
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.preprocessing import StandardScaler

from fairgroup.comparison._adapters import (
    Decorrelated,
    GroupThresholds,
    ReductionClassifier,
    ReductionRegressor,
)
from fairgroup.comparison._thresholds import ScoreThresholds
from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import GroupEncoder


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    group = rng.choice(["a", "b", "c"], 900)
    X = rng.normal(size=(900, 3)) + (group == "a")[:, None]
    y = np.where(X[:, 0] + rng.normal(size=900) > 0.5, "yes", "no")
    return X, y, group


@pytest.mark.parametrize(
    ("constraint", "disparity"),
    [
        ("demographic_parity", demographic_parity_difference),
        ("equalized_odds", equalized_odds_difference),
    ],
)
def test_thresholds_equalise(data, constraint, disparity):
    X, y, group = data
    model = GroupThresholds(LogisticRegression(), constraint=constraint, random_state=0)
    y_pred = model.fit(X, y, sensitive_features=group).predict(X, sensitive_features=group)
    plain = LogisticRegression().fit(X, y).predict(X)
    args = {"sensitive_features": group}
    assert disparity(y == "yes", y_pred == "yes", **args) < 0.08
    assert disparity(y == "yes", plain == "yes", **args) > 0.2
    assert_array_equal(y_pred, model.predict(X, sensitive_features=group))


def test_unseen_group_keeps_the_unmitigated_decision(data):
    X, y, group = data
    known = group != "c"
    encoder = GroupEncoder(unseen="ignore")
    model = GroupThresholds(LogisticRegression(), group_encoder=encoder, random_state=0)
    model.fit(X[known], y[known], sensitive_features=group[known])
    with pytest.warns(FairnessWarning, match="left unmitigated"):
        y_pred = model.predict(X, sensitive_features=group)
    plain = LogisticRegression().fit(X[known], y[known]).predict(X)
    assert_array_equal(y_pred[~known], plain[~known])
    assert (y_pred[~known] == "yes").any()


def test_group_with_one_label_keeps_the_unmitigated_decision(data):
    X, y, group = data
    y = np.where(group == "c", "no", y)
    with pytest.warns(FairnessWarning, match="sensitive_feature_0=c"):
        model = GroupThresholds(LogisticRegression(), random_state=0).fit(
            X, y, sensitive_features=group
        )
    plain = LogisticRegression().fit(X, y).predict(X)
    y_pred = model.predict(X, sensitive_features=group)
    assert_array_equal(y_pred[group == "c"], plain[group == "c"])


def test_thresholds_need_groups_in_predict(data):
    X, y, group = data
    model = GroupThresholds(LogisticRegression()).fit(X, y, sensitive_features=group)
    with pytest.raises(TypeError, match="needs sensitive_features in predict"):
        model.predict(X)
    with pytest.raises(ValueError, match="constraint='fair'"):
        ScoreThresholds("fair", None, 0)


def test_two_classes_only(data):
    X, _, group = data
    with pytest.raises(ValueError, match="y has 3"):
        GroupThresholds(LogisticRegression()).fit(X, group, sensitive_features=group)


@pytest.mark.parametrize("settings", [{}, {"constraint_weight": 0.9, "grid_limit": 0.5}])
def test_reductions(data, settings):
    X, y, group = data
    model = ReductionClassifier(LogisticRegression(), random_state=0, **settings)
    y_pred = model.fit(X, y, sensitive_features=group).predict(X)
    assert set(y_pred) == {"no", "yes"}
    assert_array_equal(y_pred, model.predict(X))
    assert np.mean(y_pred == y) > 0.6


def test_reductions_refuse_rows_without_a_group(data):
    X, y, group = data
    group = np.where(np.arange(900) < 10, None, group)
    model = ReductionClassifier(LogisticRegression(), group_encoder=GroupEncoder(missing="ignore"))
    with (
        pytest.warns(FairnessWarning, match="10 rows"),
        pytest.raises(ValueError, match="10 rows are in no group"),
    ):
        model.fit(X, y, sensitive_features=group)


def test_decorrelated_takes_the_groups_out_of_the_features(data):
    X, y, group = data
    model = Decorrelated(LogisticRegression(), preprocessor=StandardScaler(), alpha=1.0)
    model.fit(X, y, sensitive_features=group)
    features = model._transform(X, group)
    correlation = np.corrcoef(np.column_stack([features, group == "a"]).T)[-1, :-1]
    assert np.abs(correlation).max() < 1e-8
    assert model.predict_proba(X, sensitive_features=group).shape == (900, 2)
    with pytest.raises(TypeError, match="needs sensitive_features"):
        model.predict(X)


def test_bounded_group_loss_lowers_the_worst_groups_loss():
    rng = np.random.default_rng(1)
    group = rng.choice(["a", "b"], 600, p=[0.85, 0.15])
    X = rng.normal(size=(600, 1))
    y = np.where(group == "a", 1.0, -1.0) * X[:, 0] + rng.normal(0, 0.1, 600)
    plain = LinearRegression().fit(X, y).predict(X)
    model = ReductionRegressor(LinearRegression(), loss_bound=0.9, random_state=0)
    y_pred = model.fit(X, y, sensitive_features=group).predict(X)

    def worst(predicted):
        return max(np.mean((y - predicted)[group == g] ** 2) for g in "ab")

    assert worst(y_pred) < worst(plain)
