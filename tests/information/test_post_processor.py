from __future__ import annotations

import io
import pickle

import joblib
import numpy as np
import pandas as pd
import pytest
import sklearn
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.ensemble import RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import LinearSVC
from sklearn.utils.estimator_checks import parametrize_with_checks

from fairgroup.datasets import make_client_disparity
from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.groups import GroupEncoder, SensitiveColumns
from fairgroup.information import (
    DisparityDecomposition,
    FrontierPostProcessor,
    mutual_information,
)

INF = float("inf")


@parametrize_with_checks([FrontierPostProcessor()])
@pytest.mark.filterwarnings("ignore")
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def bunch():
    return make_client_disparity(6000, kind="mixed", random_state=0)


@pytest.fixture(scope="module")
def parts(bunch):
    return bunch.data, bunch.target, bunch.sensitive_features["group"], bunch.clients


def disparities(model, X, z, s, **given):
    """Exact disparities of a rule on its training rows, from the probabilities."""
    probability = model.predict_proba(X, **given)
    table = np.zeros((2, 2, s.nunique()))
    np.add.at(
        table.transpose(0, 2, 1), (z.cat.codes.to_numpy(), s.cat.codes.to_numpy()), probability
    )
    inside = sum(
        table[:, :, c].sum() * mutual_information(table[:, :, c]) for c in range(table.shape[2])
    )
    return mutual_information(table.sum(2)), inside / table.sum()


@pytest.mark.parametrize("level", ["group-client", "group", "blind"])
@pytest.mark.parametrize("budgets", [(0.001, INF), (INF, 0.002), (0.001, 0.002), (0, INF)])
def test_budgets_hold_on_the_training_rows(parts, level, budgets):
    X, y, z, s = parts
    model = FrontierPostProcessor(epsilon_global=budgets[0], epsilon_local=budgets[1], level=level)
    model.fit(X, y, sensitive_features=z, clients=s)
    given = {} if level == "blind" else {"sensitive_features": z}
    if level == "group-client":
        given["clients"] = s
    found = disparities(model, X, z, s, **given)
    assert_allclose(found, [model.point_.achieved_global, model.point_.achieved_local], atol=1e-9)
    assert found[0] <= budgets[0] + 1e-9
    assert found[1] <= budgets[1] + 1e-9
    assert 0 <= model.point_.error - model.point_.lower_bound + 1e-12 <= 1e-8


def test_draws_realise_the_probabilities(parts):
    X, y, z, s = parts
    given = {"sensitive_features": z, "clients": s}
    model = FrontierPostProcessor(epsilon_global=0.0005, epsilon_local=0.001, random_state=0).fit(
        X, y, **given
    )
    probability = model.predict_proba(X, **given)[:, 1]
    assert ((probability > 0.01) & (probability < 0.99)).any()
    decided = model.predict(X, **given)
    for group in ("a", "b"):
        rows = (z == group).to_numpy()
        error = np.sqrt((probability * (1 - probability))[rows].sum())
        assert abs(decided[rows].sum() - probability[rows].sum()) < 4 * error + 1
    audit = DisparityDecomposition().fit(decided, **given)
    before = DisparityDecomposition().fit(model.estimator_.predict(X), **given)
    assert audit.global_disparity_ < 0.3 * before.global_disparity_
    assert audit.local_disparity_ < 0.3 * before.local_disparity_


def test_same_person_same_decision(parts):
    X, y, z, s = parts
    given = {"sensitive_features": z, "clients": s}
    model = FrontierPostProcessor(random_state=0).fit(X, y, **given)
    decided = model.predict(X, **given)
    order = np.random.default_rng(0).permutation(len(X))[:500]
    some = {"sensitive_features": z.iloc[order], "clients": s.iloc[order]}
    assert_array_equal(model.predict(X.iloc[order], **some), decided[order])
    again = FrontierPostProcessor(random_state=0).fit(X, y, **given)
    assert_array_equal(again.predict(X, **given), decided)
    other = FrontierPostProcessor(random_state=1).fit(X, y, **given)
    assert (other.predict(X, **given) != decided).any()
    drawn = [model.predict(X, **given, random_state=i) for i in (0, 0, 1)]
    assert_array_equal(drawn[0], drawn[1])
    assert (drawn[0] != drawn[2]).any()


def test_deterministic_decision(parts):
    X, y, z, s = parts
    given = {"sensitive_features": z, "clients": s}
    model = FrontierPostProcessor(decision="most_likely").fit(X, y, **given)
    assert_array_equal(
        model.predict(X, **given), model.classes_[model.predict_proba(X, **given).argmax(1)]
    )


def test_no_budget_leaves_the_best_rule(parts):
    X, y, z, s = parts
    model = FrontierPostProcessor(epsilon_global=INF).fit(X, y, sensitive_features=z, clients=s)
    assert set(np.unique(model.rule_)) == {0.0, 1.0}
    plain = (model.estimator_.predict(X) != y).mean()
    assert model.point_.error <= plain + 1e-12
    decided = model.predict(X, sensitive_features=z, clients=s)
    assert_allclose((decided != y).mean(), model.point_.error, atol=1e-12)


def test_smaller_budgets_cost_more(parts):
    X, y, z, s = parts
    errors = [
        FrontierPostProcessor(epsilon_global=eps)
        .fit(X, y, sensitive_features=z, clients=s)
        .point_.error
        for eps in (0, 0.001, 0.01, INF)
    ]
    assert errors == sorted(errors, reverse=True)
    assert errors[0] > errors[-1] + 0.01


def test_many_classes_groups_and_models(rng):
    n = 3000
    z, s = rng.integers(0, 3, n), rng.integers(0, 2, n)
    X = rng.normal(size=(n, 3)) + np.eye(3)[z]
    y = np.array(["low", "mid", "high"])[np.digitize(X[:, 0] + 0.5 * X[:, 1], [0.0, 0.8])]
    people = pd.DataFrame({"a": z == 0, "b": z == 1})
    for estimator in (None, LinearSVC(), RandomForestClassifier(10, max_depth=4, random_state=0)):
        model = FrontierPostProcessor(estimator, epsilon_global=0.002, epsilon_local=0.01)
        model.fit(X, y, sensitive_features=people, clients=s)
        assert model.point_.achieved_global <= 0.002 + 1e-12
        decided = model.predict(X, sensitive_features=people, clients=s)
        assert set(decided) <= {"low", "mid", "high"}
        assert_allclose(model.predict_proba(X, sensitive_features=people, clients=s).sum(1), 1)


def test_fitted_models_and_out_of_fold_outputs(parts):
    X, y, z, s = parts
    fitted = LogisticRegression().fit(X, y)
    frozen = FrontierPostProcessor(FrozenEstimator(fitted)).fit(
        X, y, sensitive_features=z, clients=s
    )
    assert_array_equal(frozen.estimator_.coef_, fitted.coef_)
    forest = RandomForestClassifier(20, random_state=0)
    naive = FrontierPostProcessor(forest).fit(X, y, sensitive_features=z, clients=s)
    careful = FrontierPostProcessor(forest, cv=3).fit(X, y, sensitive_features=z, clients=s)
    assert careful.point_.error > naive.point_.error + 0.01


def test_what_predict_needs(parts):
    X, y, z, s = parts
    model = FrontierPostProcessor().fit(X, y, sensitive_features=z, clients=s)
    with pytest.raises(ValueError, match="needs sensitive_features"):
        model.predict(X, clients=s)
    with pytest.raises(ValueError, match="needs clients"):
        model.predict(X, sensitive_features=z)
    with pytest.raises(ValueError, match="rows"):
        model.predict(X, sensitive_features=z, clients=s[:10])
    with pytest.raises(UnseenGroupError, match="nowhere"):
        model.predict(X[:1], sensitive_features=z[:1], clients=["nowhere"])
    with pytest.raises(UnseenGroupError):
        model.predict(X[:1], sensitive_features=["c"], clients=s[:1])
    blind = FrontierPostProcessor(level="blind").fit(X, y, sensitive_features=z, clients=s)
    assert len(blind.predict(X)) == len(X)
    with pytest.warns(FairnessWarning, match="without sensitive_features"):
        FrontierPostProcessor().fit(X, y)


def test_rows_without_a_group_keep_the_models_decision(parts):
    X, y, z, s = parts
    model = FrontierPostProcessor(epsilon_global=0, encoder=GroupEncoder(missing="ignore"))
    z = z.astype(object).copy()
    z[:50] = None
    with pytest.warns(FairnessWarning, match="missing"):
        model.fit(X, y, sensitive_features=z, clients=s)
    with pytest.warns(FairnessWarning, match="missing"):
        decided = model.predict(X, sensitive_features=z, clients=s)
    assert_array_equal(decided[:50], model.estimator_.predict(X)[:50])


def test_cells_that_training_did_not_see():
    X = np.array([[0.0], [1.0], [0.1], [0.9]] * 30)
    y = np.array([0, 1, 0, 1] * 30)
    z, s = np.array(["f", "m"] * 60), np.repeat([0, 1], 60)
    keep = ~((z == "m") & (s == 1))
    model = FrontierPostProcessor(score_bins=None)
    model.fit(X[keep], y[keep], sensitive_features=z[keep], clients=s[keep])
    probability = model.predict_proba(X, sensitive_features=z, clients=s)
    assert_allclose(probability.sum(1), 1)
    assert np.isfinite(probability).all()


def test_pickle_joblib_and_clone(parts):
    X, y, z, s = parts
    given = {"sensitive_features": z, "clients": s}
    model = FrontierPostProcessor(random_state=0).fit(X, y, **given)
    decided = model.predict(X, **given)
    file = io.BytesIO()
    joblib.dump(model, file)
    file.seek(0)
    for copy in (pickle.loads(pickle.dumps(model)), joblib.load(file)):
        assert_array_equal(copy.predict(X, **given), decided)
    assert not hasattr(clone(model), "rule_")


def test_pipeline_search_and_columns(parts):
    X, y, z, s = parts
    data = X.assign(group=z, client=s)
    wrapped = SensitiveColumns(
        FrontierPostProcessor(
            make_pipeline(StandardScaler(), LogisticRegression()), random_state=0
        ),
        "group",
        drop=True,
    )
    decided = cross_val_predict(wrapped, data.drop(columns="client")[:1000], y[:1000], cv=3)
    assert set(decided) == {0, 1}
    with sklearn.config_context(enable_metadata_routing=True):
        search = GridSearchCV(
            make_pipeline(StandardScaler(), FrontierPostProcessor(level="blind")),
            {"frontierpostprocessor__epsilon_global": [0.0005, 0.01]},
            cv=3,
        )
        search.fit(X[:1500], y[:1500], sensitive_features=z[:1500], clients=s[:1500])
    assert search.best_params_["frontierpostprocessor__epsilon_global"] == 0.01


def test_weights_are_repeated_rows(parts):
    X, y, z, s = (part[:400] for part in parts)
    weight = np.random.default_rng(0).integers(1, 4, 400)
    again = np.repeat(np.arange(400), weight)
    one = FrontierPostProcessor(FrozenEstimator(LogisticRegression().fit(X, y)))
    other = clone(one)
    one.fit(X, y, sensitive_features=z, clients=s, sample_weight=weight)
    other.fit(
        X.iloc[again], y.iloc[again], sensitive_features=z.iloc[again], clients=s.iloc[again]
    )
    assert_allclose(one.rule_, other.rule_, atol=1e-6)
