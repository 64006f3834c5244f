"""The fairness scorer in searches, with routing on and off, and the refit rule."""

import pickle

import fairlearn.metrics as fl
import numpy as np
import pandas as pd
import pytest
import sklearn
from fairlearn.postprocessing import ThresholdOptimizer
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import SensitiveColumns
from fairgroup.metrics import best_under_constraint, fairness_scorer, group_metrics

GRID = [1e-4, 1e-3, 1e-2, 1.0]


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    n = 1200
    A = pd.DataFrame({"sex": rng.choice(["F", "M"], n, p=[0.4, 0.6]), "old": rng.random(n) < 0.3})
    X = pd.DataFrame(rng.normal(size=(n, 3)), columns=list("abc"))
    X["a"] += 0.6 * (A.sex == "M")
    y = (X.sum(axis=1) + rng.normal(size=n) > 0.6).astype(int)
    return X, y, A


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def test_search_with_routing_asks_for_nothing_by_hand(data, routing):
    X, y, A = data
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": GRID},
        scoring={
            "accuracy": "accuracy",
            "dp": fairness_scorer("demographic_parity_difference"),
        },
        refit=best_under_constraint("accuracy", "dp", at_most=0.22),
        cv=3,
    ).fit(X, y, sensitive_features=A)
    dp = search.cv_results_["mean_test_dp"]
    assert (dp <= 0).all()
    allowed = -dp <= 0.22
    assert allowed.any() and not allowed.all()
    accuracy = np.where(allowed, search.cv_results_["mean_test_accuracy"], -1)
    assert search.best_index_ == accuracy.argmax()
    assert search.predict(X).shape == y.shape


def test_score_is_the_negative_disparity(data, routing):
    X, y, A = data
    model = LogisticRegression().fit(X, y)
    expected = fl.equalized_odds_difference(y, model.predict(X), sensitive_features=A)
    scorer = fairness_scorer("equalized_odds_difference")
    assert scorer(model, X, y, sensitive_features=A) == pytest.approx(-expected)
    ratio = fairness_scorer("demographic_parity_ratio", attribute="sex")
    expected = fl.demographic_parity_ratio(y, model.predict(X), sensitive_features=A.sex)
    assert ratio(model, X, y, sensitive_features=A) == pytest.approx(expected)


def test_search_without_routing_takes_groups_from_sensitive_columns(data):
    X, y, A = data
    table = pd.concat([X, A["sex"]], axis=1)
    inner = SensitiveColumns(LogisticRegression(), ["sex"], drop=True)
    search = GridSearchCV(
        inner,
        {"estimator__C": GRID},
        scoring={"accuracy": "accuracy", "dp": fairness_scorer("demographic_parity_difference")},
        refit=best_under_constraint("accuracy", "dp", at_most=0.22),
        cv=3,
    )
    search.fit(table, y)
    with sklearn.config_context(enable_metadata_routing=True):
        routed = GridSearchCV(
            LogisticRegression(),
            {"C": GRID},
            scoring={"dp": fairness_scorer("demographic_parity_difference")},
            refit="dp",
            cv=3,
        ).fit(X, y, sensitive_features=A["sex"])
    np.testing.assert_allclose(
        search.cv_results_["mean_test_dp"], routed.cv_results_["mean_test_dp"]
    )


def test_missing_groups_are_an_error_that_says_what_to_do(data):
    X, y, _ = data
    model = LogisticRegression().fit(X, y)
    with pytest.raises(ValueError, match="SensitiveColumns"):
        fairness_scorer("accuracy_difference")(model, X, y)


def test_cross_validate_with_weights(data, routing):
    X, y, A = data
    scorer = fairness_scorer("accuracy_difference").set_score_request(sample_weight=True)
    weight = np.random.default_rng(0).random(len(y))
    model = LogisticRegression().set_fit_request(sample_weight=False)
    result = cross_validate(
        model, X, y, scoring=scorer, params={"sensitive_features": A, "sample_weight": weight}
    )
    assert np.isfinite(result["test_score"]).all()
    plain = cross_validate(
        LogisticRegression(),
        X,
        y,
        scoring=fairness_scorer("accuracy_difference"),
        params={"sensitive_features": A},
    )
    assert (result["test_score"] != plain["test_score"]).any()
    with pytest.raises(TypeError, match="exposure"):
        scorer.set_score_request(exposure=True)


def test_groups_reach_a_predict_that_asks_for_them(data, routing):
    """scikit-learn's own scorers cannot do this."""
    X, y, A = data
    model = ThresholdOptimizer(
        estimator=LogisticRegression(), predict_method="predict_proba", prefit=False
    )
    model.fit(X, y, sensitive_features=A["sex"])
    model.set_predict_request(sensitive_features=True, random_state=False)
    scorer = fairness_scorer("demographic_parity_difference")
    assert scorer(model, X, y, sensitive_features=A["sex"]) > -0.1


@pytest.mark.parametrize(
    ("metric", "direction"),
    [
        ("accuracy_group_min", 1),
        ("false_positive_rate_group_max", -1),
        ("roc_auc_difference", -1),
        ("roc_auc_group_min", 1),
        ("selection_rate_ratio", 1),
    ],
)
def test_derived_metrics_and_their_direction(data, metric, direction):
    X, y, A = data
    model = LogisticRegression().fit(X, y)
    score = fairness_scorer(metric)(model, X, y, sensitive_features=A["sex"])
    base, _, ending = metric.replace("_group", "").rpartition("_")
    values = group_metrics(
        y,
        model.predict(X),
        y_score=model.decision_function(X),
        sensitive_features=A["sex"],
        metrics=base,
    ).by_group[base]
    expected = {
        "min": values.min(),
        "max": values.max(),
        "difference": values.max() - values.min(),
        "ratio": values.min() / values.max(),
    }[ending]
    assert score == pytest.approx(direction * expected)


def test_scores_without_predict_proba_and_another_positive_label(data):
    X, y, A = data
    labels = np.array(["no", "yes"])[y]
    model = LogisticRegression().fit(X, labels)

    class Margin(ClassifierMixin, BaseEstimator):
        classes_ = model.classes_

        def decision_function(self, X):
            return model.decision_function(X)

    for positive in ("no", "yes"):
        scorer = fairness_scorer("roc_auc_group_min", pos_label=positive)
        by_probability = scorer(model, X, labels, sensitive_features=A)
        assert scorer(Margin(), X, labels, sensitive_features=A) == pytest.approx(by_probability)
        assert by_probability > 0.5


def test_regression_and_callables(data):
    X, y, A = data
    model = LinearRegression().fit(X, y)
    error = fairness_scorer("mean_absolute_error_difference", attribute="old")
    assert error(model, X, y, sensitive_features=A) <= 0

    def spread(y_true, y_pred, *, sensitive_features):
        return float(np.ptp(y_pred))

    scorer = fairness_scorer(spread, greater_is_better=False)
    assert scorer(model, X, y, sensitive_features=A) == -np.ptp(model.predict(X))
    assert "spread" in repr(scorer)


def test_a_group_without_value_is_not_the_best_group(data):
    X, y, A = data
    model = LogisticRegression().fit(X, y)
    y = y.where(A.sex == "M", 0)
    with pytest.warns(UserWarning, match="undefined"):
        score = fairness_scorer("true_positive_rate_group_min")(
            model, X, y, sensitive_features=A["sex"]
        )
    assert np.isnan(score)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (("fairness",), {}, "Unknown fairness metric"),
        (("accuracy",), {}, "Unknown fairness metric"),
        (("selection_rate_group_max",), {}, "greater_is_better"),
        ((max,), {}, "greater_is_better"),
        (("accuracy_difference",), {"method": "pairs"}, "between_groups"),
    ],
)
def test_bad_scorers(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        fairness_scorer(*arguments, **options)


def test_rule_understands_both_signs_ties_and_ratios():
    accuracy = [0.9, 0.88, 0.88, 0.8]
    negative = {"mean_test_acc": accuracy, "mean_test_dp": [-0.2, -0.04, -0.03, -0.01]}
    positive = {"mean_test_acc": accuracy, "mean_test_dp": [0.2, 0.04, 0.03, 0.01]}
    rule = best_under_constraint("acc", "dp", at_most=0.05)
    assert rule(negative) == rule(positive) == 2  # the fairer of two equally accurate ones
    ratio = {"mean_test_acc": accuracy, "mean_test_dp": [0.6, 0.85, 0.8, 0.99]}
    assert best_under_constraint("acc", "dp", at_least=0.8)(ratio) == 1


def test_rule_without_a_fair_candidate_warns_and_takes_the_fairest():
    results = {"mean_test_acc": [0.9, 0.8, 0.7], "mean_test_dp": [-0.3, -0.1, np.nan]}
    with pytest.warns(FairnessWarning, match=r"dp = -0\.1"):
        assert best_under_constraint("acc", "dp", at_most=0.05)(results) == 1
    with pytest.raises(ValueError, match="undefined"):
        best_under_constraint("acc", "dp", at_most=0.05)(
            {"mean_test_acc": [0.9], "mean_test_dp": [np.nan]}
        )
    with pytest.raises(ValueError, match="No scorer 'eo'"):
        best_under_constraint("acc", "eo", at_most=0.05)(results)


@pytest.mark.parametrize("bounds", [{}, {"at_most": 0.1, "at_least": 0.8}, {"at_most": -0.1}])
def test_rule_needs_one_sensible_bound(bounds):
    with pytest.raises(ValueError, match=r"exactly one|not negative"):
        best_under_constraint("acc", "dp", **bounds)


def test_scorer_and_rule_pickle_and_clone(data):
    X, y, A = data
    model = LogisticRegression().fit(X, y)
    scorer = fairness_scorer("demographic_parity_difference")
    copy = pickle.loads(pickle.dumps(scorer))
    assert copy(model, X, y, sensitive_features=A) == scorer(model, X, y, sensitive_features=A)
    rule = pickle.loads(pickle.dumps(best_under_constraint("a", "b", at_most=0.1)))
    assert "at_most=0.1" in repr(rule)
    clone(GridSearchCV(model, {"C": GRID}, scoring={"dp": scorer}, refit=rule))


def test_search_inside_sensitive_columns_with_routing_off(data):
    X, y, A = data
    table = pd.concat([X, A["sex"]], axis=1)
    search = GridSearchCV(
        make_pipeline(StandardScaler(), LogisticRegression()),
        {"logisticregression__C": GRID},
        scoring={"accuracy": "accuracy", "dp": fairness_scorer("demographic_parity_difference")},
        refit=best_under_constraint("accuracy", "dp", at_most=0.22),
        cv=3,
    )
    model = SensitiveColumns(search, ["sex"], drop=True).fit(table, y)
    assert (model.estimator_.cv_results_["mean_test_dp"] <= 0).all()
    assert model.predict(table).shape == y.shape


def test_search_over_a_method_that_needs_groups_to_predict_with_routing_off(data):
    """fairlearn's ThresholdOptimizer in GridSearchCV, which scikit-learn alone cannot score."""
    X, y, A = data
    table = pd.concat([X, A["sex"]], axis=1)
    inner = ThresholdOptimizer(estimator=LogisticRegression(), predict_method="predict_proba")
    search = GridSearchCV(
        SensitiveColumns(inner, ["sex"], drop=True),
        {"estimator__constraints": ["demographic_parity", "true_positive_rate_parity"]},
        scoring={"accuracy": "accuracy", "dp": fairness_scorer("demographic_parity_difference")},
        refit=best_under_constraint("accuracy", "dp", at_most=0.12),
        cv=3,
    ).fit(table, y)
    by_parity, by_opportunity = search.cv_results_["mean_test_dp"]
    assert by_opportunity < by_parity <= 0
