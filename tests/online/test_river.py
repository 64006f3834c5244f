"""river models around and inside of ours."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import SGDRegressor

from fairgroup.groups import MembershipEncoder
from fairgroup.online import (
    GroupwiseClassifier,
    GroupwiseRegressor,
)


def people(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    A = pd.DataFrame({"sex": rng.choice(["f", "m"], n), "race": rng.choice(["a", "b"], n)})
    return X, np.where(A["sex"] == "f", X[:, 0], -X[:, 0]) + 0.1 * rng.normal(size=n), A


def test_river_regressor_is_the_same_model():
    pytest.importorskip("river")
    X, y, A = people(40)
    direct = GroupwiseRegressor()
    expected = direct.progressive_predict(X, y, sensitive_features=A)
    wrapped = GroupwiseRegressor().to_river(sensitive_features=["sex", "race"])
    assert wrapped.predict_one({"a": 0.0, "b": 0.0, "c": 0.0, "sex": "f", "race": "a"}) == 0.0
    for t, (sex, race) in enumerate(A.itertuples(index=False)):
        row = {"a": X[t, 0], "b": X[t, 1], "c": X[t, 2], "sex": sex, "race": race}
        if t >= 20:  # by then every level is known
            assert wrapped.predict_one(row) == expected[t]
        wrapped.learn_one(row, y[t])
    assert np.array_equal(wrapped.estimator.coef_, direct.coef_)


def test_river_classifier_and_evaluation():
    river = pytest.importorskip("river")
    from river import evaluate, metrics

    X, y, A = people(120)
    model = GroupwiseClassifier().to_river(memberships=["f"])
    frame = pd.DataFrame(X, columns=list("abc")).assign(f=(A["sex"] == "f").to_numpy(float))
    rows = zip(frame.to_dict("records"), (y > 0).tolist(), strict=True)
    metric = evaluate.progressive_val_score(rows, model, metrics.Accuracy())
    assert metric.get() > 0.7
    assert isinstance(model, river.base.Classifier)
    with pytest.raises(ValueError, match="lacks the group"):
        model.predict_proba_one({"a": 0.0, "b": 0.0, "c": 0.0})
    with pytest.raises(ValueError, match="lacks the features"):
        model.predict_proba_one({"a": 0.0, "b": 0.0, "f": 1.0})
    with pytest.raises(ValueError, match="not both"):
        GroupwiseRegressor().to_river(sensitive_features=["s"], memberships=["m"])


def test_river_models_as_base_learners():
    pytest.importorskip("river")
    from river import linear_model, optim

    X, y, A = people(300)
    M = MembershipEncoder().fit_transform(A)
    learner = linear_model.LinearRegression(optim.SGD(0.1), intercept_lr=0.2)
    model = GroupwiseRegressor(learner, y_range=(-5, 5))
    played = model.progressive_predict(X, y, memberships=M)
    assert np.mean((played[150:] - y[150:]) ** 2) < 0.5 * np.var(y)
    model.fit(X, y, memberships=0.5 * M)  # its learn_one takes a weight
    labels = GroupwiseClassifier(linear_model.LogisticRegression())
    labels.fit(X, y > 0, memberships=M)
    assert labels.score(X, y > 0, memberships=M) > 0.8
    weightless = GroupwiseRegressor(linear_model.BayesianLinearRegression(), y_range=(-5, 5))
    with pytest.raises(ValueError, match="takes no weight"):
        weightless.fit(X, y, memberships=0.5 * M)


def test_estimator_without_weights_refuses_fractions():
    class Plain(SGDRegressor):
        def partial_fit(self, X, y):
            return super().partial_fit(X, y)

    X, y, A = people(20)
    with pytest.raises(ValueError, match="takes no sample_weight"):
        GroupwiseRegressor(Plain()).fit(
            X, y, memberships=0.5 * MembershipEncoder().fit_transform(A)
        )
