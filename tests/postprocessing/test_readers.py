"""Every library's trees, read into arrays, give the library's own predictions back."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.ensemble import (
    BaggingClassifier,
    BaggingRegressor,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import (
    DecisionTreeClassifier,
    DecisionTreeRegressor,
    ExtraTreeClassifier,
    ExtraTreeRegressor,
)

from fairgroup.postprocessing import FairTTTS, TreeReader, register_tree_reader
from fairgroup.postprocessing._readers import reader_for

# Some of these small models do not split on the protected column at all.
pytestmark = pytest.mark.filterwarnings("ignore:.*no protected node to act on")

SMALL = {"n_estimators": 8, "random_state": 0}
CLASSIFIERS = [
    DecisionTreeClassifier(max_depth=4),
    DecisionTreeClassifier(max_leaf_nodes=9),  # grown best first: not in preorder
    ExtraTreeClassifier(max_depth=4, random_state=0),
    RandomForestClassifier(max_depth=5, **SMALL),
    ExtraTreesClassifier(max_depth=5, **SMALL),
    BaggingClassifier(DecisionTreeClassifier(max_depth=4), max_features=0.6, **SMALL),
    GradientBoostingClassifier(**SMALL),
    GradientBoostingClassifier(init=LogisticRegression(max_iter=1000), **SMALL),
    HistGradientBoostingClassifier(max_iter=8),
]
REGRESSORS = [
    DecisionTreeRegressor(max_depth=4),
    ExtraTreeRegressor(max_depth=4, random_state=0),
    RandomForestRegressor(max_depth=5, **SMALL),
    BaggingRegressor(DecisionTreeRegressor(max_depth=4), **SMALL),
    GradientBoostingRegressor(**SMALL),
    HistGradientBoostingRegressor(max_iter=8),
    HistGradientBoostingRegressor(max_iter=8, loss="poisson"),
]


def untouched(model, X, y, groups, **settings):
    """FairTTTS with no flip anywhere."""
    fair = FairTTTS(
        model, protected_inputs=[0], p_max=0.0, favorable_class=settings.pop("best", None)
    )
    return fair.fit(X, y, sensitive_features=groups)


def name_of(model):
    return repr(model).replace("\n", "")[:70]


@pytest.mark.parametrize("scope", ["all", "protected"])
@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize("model", CLASSIFIERS, ids=name_of)
def test_classifiers_of_scikit_learn(table, model, n_classes, scope):
    X, y, groups = table(n_classes=n_classes)
    fair = untouched(model, X, y, groups, best=1).set_params(scope=scope)
    found = fair.predict_proba(X, sensitive_features=groups)
    np.testing.assert_allclose(found, fair.estimator_.predict_proba(X), atol=1e-12)
    if hasattr(model, "decision_function"):
        margin = fair.decision_function(X, sensitive_features=groups)
        np.testing.assert_allclose(margin, fair.estimator_.decision_function(X), atol=1e-12)
    else:
        assert not hasattr(fair, "decision_function")


@pytest.mark.parametrize("model", REGRESSORS, ids=name_of)
def test_regressors_of_scikit_learn(table, model):
    X, _, groups = table()
    y = np.abs(X[:, 2]) + X[:, 0] + 0.1
    fair = untouched(model, X, y, groups)
    found = fair.predict(X, sensitive_features=groups)
    np.testing.assert_allclose(found, fair.estimator_.predict(X), rtol=1e-9)
    assert not hasattr(fair, "predict_proba")


def test_bagging_with_a_class_missing_from_a_sample(table):
    X, y, groups = table(60, n_classes=3)
    y[y == 2] = 1
    y[:2] = 2
    model = BaggingClassifier(DecisionTreeClassifier(), max_samples=0.3, **SMALL)
    fair = untouched(model, X, y, groups, best=1)
    found = fair.predict_proba(X, sensitive_features=groups)
    np.testing.assert_allclose(found, fair.estimator_.predict_proba(X), atol=1e-12)


def with_gaps(table, seed=0):
    """Missing values, and a column of categories."""
    X, y, groups = table(seed=seed)
    X = X.astype(np.float64)
    X[::7, 2] = np.nan
    X[:, 3] = np.abs(np.round(2 * X[:, 3]))
    y = y ^ (X[:, 3] == 1)
    return X, y, groups


def test_missing_values_in_trees(table):
    X, y, groups = with_gaps(table)
    fair = untouched(RandomForestClassifier(max_depth=6, **SMALL), X, y, groups)
    found = fair.predict_proba(X, sensitive_features=groups)
    np.testing.assert_allclose(found, fair.estimator_.predict_proba(X), atol=1e-12)


def test_missing_values_where_the_model_takes_none(table):
    X, y, groups = table()
    fair = untouched(GradientBoostingClassifier(**SMALL), X, y, groups)
    X[3, 2] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        fair.predict(X, sensitive_features=groups)


def test_categories_of_hist_gradient_boosting(table):
    X, y, groups = with_gaps(table)
    model = HistGradientBoostingClassifier(max_iter=8, categorical_features=[3])
    fair = untouched(model, X, y, groups)
    assert (fair.trees_.category >= 0).any()
    # Categories come first in the tree's input; column 0 is found all the same.
    assert fair.trees_.input_order.tolist() == [3, 0, 1, 2, 4]
    assert set(fair.trees_.feature[fair.protected_nodes_]) == {1}
    found = fair.decision_function(X, sensitive_features=groups)
    np.testing.assert_allclose(found, fair.estimator_.decision_function(X), atol=1e-12)


def test_a_categorical_protected_column_has_p_max_everywhere(table):
    X, y, groups = table()
    frame = pd.DataFrame(X, columns=list("abcde")).assign(a=pd.Categorical(groups))
    fair = FairTTTS(
        HistGradientBoostingClassifier(max_iter=8, categorical_features="from_dtype"),
        protected_inputs="a",
        scope="protected",
        alpha=2.0,
        unprivileged="f",
    ).fit(frame, y, sensitive_features=groups)
    told = fair.explain(frame, sensitive_features=groups)
    assert told.nodes["input"].unique().tolist() == ["a"]
    np.testing.assert_allclose(told.nodes["probability"], 0.2)


@pytest.mark.parametrize("n_classes", [2, 3])
def test_xgboost(table, n_classes):
    xgboost = pytest.importorskip("xgboost")
    X, y, groups = table(n_classes=n_classes)
    X[::7, 2] = np.nan
    fair = untouched(xgboost.XGBClassifier(**SMALL), X, y, groups, best=1)
    found = fair.predict_proba(X, sensitive_features=groups)
    np.testing.assert_allclose(found, fair.estimator_.predict_proba(X), atol=1e-6)
    # A row on a threshold goes right: the rule is strict.
    trees = fair.trees_
    split = trees.is_split & (trees.feature == 1)
    X = np.repeat(X[:1], split.sum(), axis=0)
    X[:, 1] = trees.threshold[split]
    found = fair.predict_proba(X, sensitive_features=[groups[0]] * len(X))
    np.testing.assert_allclose(found, fair.estimator_.predict_proba(X), atol=1e-6)
    # What the trees alone say differs from the library's margin by one constant only.
    margin = reader_for(fair.estimator_).margin(fair.estimator_, X).reshape(len(X), -1)
    ordinary = fair._ordinary(fair._inputs(X))
    np.testing.assert_allclose(np.ptp(margin - ordinary, axis=0), 0, atol=1e-5)


def test_xgboost_regression_and_what_is_refused(table):
    xgboost = pytest.importorskip("xgboost")
    X, y, groups = table()
    fair = untouched(xgboost.XGBRegressor(**SMALL), X, y + X[:, 2] ** 2, groups)
    found = fair.predict(X, sensitive_features=groups)
    np.testing.assert_allclose(found, fair.estimator_.predict(X), atol=1e-5)
    with pytest.raises(ValueError, match="gbtree"):
        untouched(xgboost.XGBClassifier(booster="dart", **SMALL), X, y, groups)


@pytest.mark.filterwarnings("ignore:X does not have valid feature names")
@pytest.mark.filterwarnings("ignore:categorical_feature keyword")
@pytest.mark.parametrize("n_classes", [2, 3])
def test_lightgbm(table, n_classes):
    lightgbm = pytest.importorskip("lightgbm")
    X, y, groups = with_gaps(table)
    y = table(n_classes=n_classes)[1]
    model = lightgbm.LGBMClassifier(verbose=-1, categorical_feature=[3], n_jobs=1, **SMALL)
    fair = untouched(model, X, y, groups, best=1)
    found = fair.predict_proba(X, sensitive_features=groups)
    np.testing.assert_allclose(found, fair.estimator_.predict_proba(X), atol=1e-12)
    margin = reader_for(fair.estimator_).margin(fair.estimator_, X).reshape(len(X), -1)
    ordinary = fair._ordinary(fair._inputs(X))
    np.testing.assert_allclose(margin, ordinary, atol=1e-10)


def test_a_model_without_trees_is_refused_by_name(data):
    X, y, groups = data
    with pytest.raises(TypeError, match=r"KNeighborsClassifier.*DecisionTreeClassifier.*register"):
        FairTTTS(KNeighborsClassifier()).fit(X, y, sensitive_features=groups)
    with pytest.raises(TypeError, match="Bagging of trees"):
        FairTTTS(BaggingClassifier(KNeighborsClassifier())).fit(X, y, sensitive_features=groups)


def test_several_outputs_are_refused(data):
    X, y, _ = data
    tree = DecisionTreeClassifier().fit(X, np.column_stack([y, y]))
    with pytest.raises(ValueError, match="2 outputs"):
        reader_for(tree).read(tree)


def test_a_reader_of_ones_own_serves_subclasses(worked):
    class Child(type(worked)):
        pass

    assert type(reader_for(Child())) is type(reader_for(worked))
    with pytest.raises(TypeError, match="TreeReader"):
        register_tree_reader(Child, len)
    with pytest.raises(NotImplementedError):
        TreeReader().read(worked)
