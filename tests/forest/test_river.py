"""The forest as a river model, in river's own evaluation loop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.forest import AranyaniClassifier, AranyaniRegressor

river = pytest.importorskip("river")

NAMES = ["f", "m"]


def rows_of(X, y, groups):
    frame = pd.DataFrame(X, columns=["a", "b", "c"]).assign(sex=np.array(NAMES)[groups])
    return zip(frame.to_dict("records"), y.tolist(), strict=True)


def test_rivers_evaluation_is_ours(stream):
    from river import evaluate, metrics

    X, y, groups = stream(300)
    model = AranyaniClassifier(3, 3, standardize=None, random_state=0)
    wrapped = model.to_river(sensitive_features=["sex"], groups=NAMES)
    assert isinstance(wrapped, river.base.Classifier)
    metric = evaluate.progressive_val_score(rows_of(X, y, groups), wrapped, metrics.Accuracy())
    direct = AranyaniClassifier(3, 3, standardize=None, random_state=0)
    named = np.array(NAMES)[groups]
    direct.partial_fit(X[:0], y[:0], [0, 1], sensitive_groups=NAMES)
    decisions = direct.progressive_predict(X, y, sensitive_features=named)
    assert np.array_equal(model.coef_, direct.coef_)
    assert model.running_parity_ == direct.running_parity_
    # river does not count a row before the model knows any class: the first one.
    assert metric.get() == pytest.approx(np.mean(decisions[1:] == y[1:]), abs=1 / 299)


def test_regression_and_bool_labels(stream):
    from river import evaluate, metrics

    X, y, groups = stream(300, n_classes=1)
    model = AranyaniRegressor(random_state=0)
    wrapped = model.to_river(sensitive_features=["sex"], groups=NAMES)
    metric = evaluate.progressive_val_score(rows_of(X, y, groups), wrapped, metrics.MSE())
    assert isinstance(wrapped, river.base.Regressor)
    assert metric.get() == pytest.approx(model.running_loss_, rel=0.2)
    wrapped = AranyaniClassifier(random_state=0).to_river(sensitive_features=["sex"], groups=NAMES)
    for x, label in rows_of(X, y > 0, groups):
        wrapped.learn_one(x, label)
    assert wrapped.predict_one(x) in (False, True)
    assert set(wrapped.predict_proba_one(x)) == {False, True}


def test_named_classes_and_a_model_that_has_learned(stream):
    X, y, groups = stream(50)
    labels = np.array(["no", "yes"])[y]
    wrapped = AranyaniClassifier(random_state=0).to_river(
        sensitive_features=["sex"], groups=NAMES, classes=["no", "yes"]
    )
    for x, label in rows_of(X, labels, groups):
        wrapped.learn_one(x, label)
    assert wrapped.predict_one(x) in ("no", "yes")
    model = wrapped.estimator
    again = model.to_river(sensitive_features=["sex"])
    again.learn_one(x, "yes")
    assert model.t_ == 51
    frame = pd.DataFrame([x]).drop(columns="sex")
    expected = model.predict_proba(frame)[0]
    assert list(again.predict_proba_one(x).values()) == expected.tolist()


def test_what_it_refuses(stream):
    X, y, groups = stream(5)
    with pytest.raises(ValueError, match="name all groups in groups"):
        AranyaniClassifier().to_river(sensitive_features=["sex"])
    wrapped = AranyaniClassifier(random_state=0).to_river(sensitive_features=["sex"], groups=NAMES)
    (x, label), *_ = rows_of(X, y, groups)
    assert wrapped.predict_one(x) is None
    wrapped.learn_one(x, label)
    with pytest.raises(ValueError, match="lacks the features"):
        wrapped.learn_one({"a": 1.0, "sex": "f"}, 1)
    with pytest.raises(ValueError, match="lacks the group columns"):
        wrapped.learn_one({"a": 1.0, "b": 0.0, "c": 0.0}, 1)
    with pytest.raises(ValueError, match=r"not finite: \['a'\]"):
        wrapped.learn_one({**x, "a": np.nan}, 1)
    with pytest.raises(ValueError, match=r"no numbers: \['a'\]"):
        wrapped.learn_one({**x, "a": "text"}, 1)
    with pytest.raises(UnseenGroupError, match="Known are 'f', 'm'"):
        wrapped.learn_one({**x, "sex": "x"}, 1)
    assert wrapped.estimator.t_ == 1


def test_labels_that_nobody_named(stream):
    wrapped = AranyaniClassifier(constraint=None).to_river()
    with pytest.raises(ValueError, match=r"y is 'yes'.*classes of to_river"):
        wrapped.learn_one({"a": 1.0}, "yes")
    wrapped.learn_one({"a": 1.0}, True)
    assert list(wrapped.estimator.classes_) == [False, True]


def test_without_groups_it_warns():
    with pytest.warns(FairnessWarning, match="without sensitive_features"):
        AranyaniRegressor().to_river()


def test_without_groups(stream):
    X, y, groups = stream(50)
    wrapped = AranyaniClassifier(constraint=None, random_state=0).to_river()
    for x, label in rows_of(X, y, groups):
        wrapped.learn_one({k: v for k, v in x.items() if k != "sex"}, label)
    assert wrapped.estimator.t_ == 50
