"""Late labels, saved states, and what a stream refuses."""

from __future__ import annotations

import pickle
import warnings

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import MembershipEncoder
from fairgroup.online import GroupwiseClassifier, GroupwiseRegressor


def people(n=300, seed=0):
    """Two attributes; women's and men's labels need opposite coefficients."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    A = pd.DataFrame({"sex": rng.choice(["f", "m"], n), "race": rng.choice(["a", "b", "c"], n)})
    y = np.where(A["sex"] == "f", X[:, 0], -X[:, 0]) + 0.1 * rng.normal(size=n)
    return X, y, A


SETTINGS = [
    {},
    {"y_range": (-5.0, 5.0)},
    {"y_range": (-5.0, 5.0), "aggregator": "specialists", "combine": "substitution"},
    {"aggregator": "specialists"},
    {"base_learner": "vaw", "feedback": "prediction"},
    {"base_learner": "ogd", "learning_rate": 0.1},
    {"base_learner": "diagonal", "combine": "expected"},
    {"combine": "sample", "random_state": 3},
    {"forgetting": 0.97},
    {"encoder": MembershipEncoder(intersections=True, min_group_size=20)},
    {"always_on": False, "prior": {"sex=f": 3.0}},
    {"base_learner": SGDRegressor(random_state=0, eta0=0.01)},
]


@pytest.mark.parametrize("setting", [{}, {"aggregator": "specialists"}, {"combine": "sample"}])
def test_labels_at_once_are_no_delay(setting):
    X, y, A = people(80)
    direct = GroupwiseRegressor(random_state=0, **setting)
    direct.partial_fit(X[:20], y[:20], sensitive_features=A[:20])
    late = clone(direct).partial_fit(X[:20], y[:20], sensitive_features=A[:20])
    for t in range(20, 80):
        row = slice(t, t + 1)
        a = direct.progressive_predict(X[row], y[row], sensitive_features=A[row])
        ids, b = late.enqueue(X[row], sensitive_features=A[row])
        late.resolve(ids, y[row])
        assert a[0] == b[0]
    assert np.array_equal(direct.regret_, late.regret_)
    assert np.array_equal(direct.coef_, late.coef_)


def test_labels_may_come_late_and_in_any_order():
    X, y, A = people(600)
    model = GroupwiseRegressor(y_range=(-5, 5))
    model.partial_fit(X[:1], y[:1], sensitive_features=A[:1])
    waiting = {}
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FairnessWarning)  # levels that have not been learned yet
        for t in range(1, 600):
            ids, _ = model.enqueue(X[t : t + 1], sensitive_features=A[t : t + 1])
            waiting[int(ids[0])] = y[t]
            if len(waiting) > 10:
                key = rng.choice(list(waiting))
                model.resolve([key], [waiting.pop(key)])
    state = model.get_state()
    again = clone(model).set_state(state)
    for one in (model, again):
        one.resolve(list(waiting), list(waiting.values()))
    assert np.array_equal(model.coef_, again.coef_)
    assert model.n_rounds_ == 600
    with pytest.raises(ValueError, match="not waiting"):
        model.resolve([3], [0.0])
    assert (model.regret_ <= model.regret_bound_).all()


@pytest.mark.parametrize("setting", SETTINGS[:-1], ids=str)
def test_state_continues_exactly_through_a_file(setting, tmp_path):
    X, y, A = people(200)
    model = GroupwiseRegressor(**setting)
    model.partial_fit(X[:100], y[:100], sensitive_features=A[:100])
    np.savez(tmp_path / "state.npz", **model.get_state())
    with np.load(tmp_path / "state.npz") as archive:
        again = GroupwiseRegressor(**setting).set_state(archive)
    copies = [again, pickle.loads(pickle.dumps(model))]
    joblib.dump(model, tmp_path / "model.joblib")
    copies.append(joblib.load(tmp_path / "model.joblib"))
    expected = model.progressive_predict(X[100:], y[100:], sensitive_features=A[100:])
    for copy in copies:
        played = copy.progressive_predict(X[100:], y[100:], sensitive_features=A[100:])
        assert np.array_equal(played, expected)
        assert copy.group_names_ == model.group_names_
        pd.testing.assert_frame_equal(copy.group_report(), model.group_report(), check_exact=True)


def test_classifier_state_continues_exactly():
    X, y, A = people(200)
    labels = np.where(y > 0, "yes", "no")
    model = GroupwiseClassifier().fit(X[:100], labels[:100], sensitive_features=A[:100])
    again = GroupwiseClassifier().set_state(model.get_state())
    a = model.progressive_predict_proba(X[100:], labels[100:], sensitive_features=A[100:])
    b = again.progressive_predict_proba(X[100:], labels[100:], sensitive_features=A[100:])
    assert np.array_equal(a, b)
    assert again.predict(X[:1], sensitive_features=A[:1])[0] in ("yes", "no")


def test_objects_have_no_plain_state_but_pickle():
    X, y, A = people(50)
    model = GroupwiseRegressor(SGDRegressor(random_state=0)).fit(X, y, sensitive_features=A)
    with pytest.raises(TypeError, match="pickle"):
        model.get_state()
    copy = pickle.loads(pickle.dumps(model))
    assert np.array_equal(
        copy.predict(X, sensitive_features=A), model.predict(X, sensitive_features=A)
    )


def test_learned_arrays_are_live():
    X, y, A = people(50)
    model = GroupwiseRegressor(y_range=(-5, 5)).fit(X, y, sensitive_features=A)
    model.coef_[:], model.intercept_[:] = 0.0, 0.5
    np.testing.assert_allclose(model.predict(X, sensitive_features=A), 0.0, atol=1e-12)


def test_weights_attribute_and_learning_attributes():
    X, y, A = people(100)
    model = GroupwiseRegressor(aggregator="specialists").fit(X, y, sensitive_features=A)
    assert model.weights_.shape == (6,)
    assert model.gram_.shape == (6, 4, 4)
    assert model.moment_.shape == (6, 4)
    hedge = GroupwiseRegressor().fit(X, y, sensitive_features=A)
    assert np.exp(hedge.weights_).min() >= 0
    no_intercept = GroupwiseRegressor(fit_intercept=False).fit(X, y, sensitive_features=A)
    assert (no_intercept.intercept_ == 0).all()
    with pytest.raises(AttributeError, match="linear"):
        GroupwiseRegressor(SGDRegressor()).fit(X, y, sensitive_features=A).coef_


def test_pandas_polars_and_numpy_agree():
    X, y, A = people()
    a = GroupwiseRegressor().progressive_predict(X, y, sensitive_features=A)
    frame = pl.DataFrame({c: A[c].tolist() for c in A})
    b = GroupwiseRegressor().progressive_predict(
        pd.DataFrame(X, columns=list("abc")), pd.Series(y), sensitive_features=frame
    )
    assert np.array_equal(a, b)
    model = GroupwiseRegressor().fit(pd.DataFrame(X, columns=list("abc")), y, sensitive_features=A)
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    assert np.array_equal(model.set_state(model.get_state()).feature_names_in_, ["a", "b", "c"])


def test_routing_needs_nothing_said():
    X, y, A = people(120)
    with sklearn.config_context(enable_metadata_routing=True):
        pipeline = make_pipeline(StandardScaler(), GroupwiseRegressor())
        grid = GridSearchCV(pipeline, {"groupwiseregressor__alpha": [0.1, 10.0]}, cv=3)
        grid.fit(X, y, sensitive_features=A)
        assert grid.best_estimator_[-1].n_rounds_ == 120
        assert "sex=f" in grid.best_estimator_[-1].group_names_
        model = make_pipeline(StandardScaler(), GroupwiseClassifier())
        model.fit(X, y > 0, sensitive_features=A)
        assert model.predict(X, sensitive_features=A).dtype == bool


def test_predict_without_groups_says_so():
    X, y, A = people()
    model = GroupwiseRegressor().fit(X, y, sensitive_features=A)
    with pytest.warns(FairnessWarning, match="'everyone' only"):
        model.predict(X)
    strict = GroupwiseRegressor(always_on=False).fit(X, y, sensitive_features=A)
    with pytest.raises(ValueError, match="always_on=False"):
        strict.predict(X)


def test_loss_overflow_and_alarm_are_reported():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(300, 1)) * 100
    M = np.column_stack([X[:, 0] > 0, np.ones(300)]).astype(float)
    y = rng.random(300)
    model = GroupwiseRegressor(
        "ogd", y_range=(0, 1), clip=False, learning_rate=0.001, loss_scale=1e4
    )
    with pytest.warns(FairnessWarning, match="exceed") as caught:
        model.fit(X, y, memberships=M)
    assert model.n_loss_overflow_ > 0
    alarmed = model.group_report()["alarm"]
    assert alarmed.any() == any("its bound" in str(w.message) for w in caught)


def test_alarm_marks_the_group():
    X, y, A = people()
    model = GroupwiseRegressor(y_range=(-5, 5)).fit(X, y, sensitive_features=A)
    model._core.tally.groups[2, 0] += 1000.0  # as if a regret had come from nowhere
    report = model.group_report()
    assert list(report.index[report["alarm"]]) == [model.group_names_[2]]
    with pytest.warns(FairnessWarning, match="exceeds its bound"):
        model.partial_fit(X[:1], y[:1], sensitive_features=A[:1])
    model.partial_fit(X[:1], y[:1], sensitive_features=A[:1])  # said once


X0, Y0, A0 = people(40)
M0 = MembershipEncoder().fit_transform(A0)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (
            lambda m: m.fit(X0, Y0, memberships=2 * M0),
            ValueError,
            r"memberships must be in \[0, 1\]",
        ),
        (lambda m: m.fit(X0, Y0, memberships=M0 * np.nan), ValueError, r"\[0, 1\]"),
        (lambda m: m.fit(X0, Y0, memberships=M0[:5]), ValueError, "5 rows"),
        (lambda m: m.fit(X0, Y0, sensitive_features=A0[:5]), ValueError, "5 rows"),
        (
            lambda m: m.fit(X0, Y0, memberships=M0, sensitive_features=A0),
            ValueError,
            "give one of them",
        ),
        (lambda m: m.fit(X0, np.r_[np.inf, Y0[1:]], memberships=M0), ValueError, "infinity"),
        (lambda m: m.fit(X0 * np.nan, Y0, memberships=M0), ValueError, "NaN"),
        (lambda m: m.fit(X0[:0], Y0[:0], memberships=M0[:0]), ValueError, "0 sample"),
        (lambda m: m.predict(X0), NotFittedError, "not fitted"),
        (lambda m: m.group_report(), NotFittedError, "not fitted"),
        (lambda m: m.set_params(alpha=0.0).fit(X0, Y0, memberships=M0), ValueError, "alpha"),
        (
            lambda m: m.set_params(y_range=(1, 0)).fit(X0, Y0, memberships=M0),
            ValueError,
            "low < h",
        ),
        (
            lambda m: m.set_params(y_range=(0, 1)).fit(X0, Y0, memberships=M0),
            ValueError,
            r"y_range=\(0, 1\); row",
        ),
        (lambda m: m.set_params(prior=[1.0]).fit(X0, Y0, memberships=M0), ValueError, "6 groups"),
        (
            lambda m: m.set_params(prior=[0, 1, 1, 1, 1, 1]).fit(X0, Y0, memberships=M0),
            ValueError,
            "positive",
        ),
        (
            lambda m: m.fit(X0, Y0, memberships=M0).partial_fit(X0, Y0, memberships=M0[:, :2]),
            ValueError,
            "2 columns, but there are 5 groups",
        ),
        (
            lambda m: m.fit(X0, Y0, sensitive_features=X0[:, 0]),
            ValueError,
            "continuous",
        ),
        (
            lambda m: m.set_params(base_learner=SGDRegressor(), always_on=False).fit(
                X0, Y0, memberships=0.5 * M0
            ),
            None,
            "",
        ),
        (lambda m: m.set_params(always_on=False).fit(X0, Y0), ValueError, "always_on=False"),
        (lambda m: m.fit(X0, Y0, memberships=M0).resolve([0], [1.0, 2.0]), ValueError, "shape"),
        (lambda m: m.fit(X0, Y0, memberships=M0).add_group("x", prior=-1), ValueError, "positive"),
    ],
)
def test_bad_input(call, error, words):
    if error is None:
        call(GroupwiseRegressor())
        return
    with pytest.raises(error, match=words):
        call(GroupwiseRegressor())


def test_continuous_attribute_is_noticed_row_by_row():
    model = GroupwiseRegressor()
    with pytest.raises(ValueError, match="continuous"):
        for t in range(40):
            model.partial_fit(X0[t : t + 1], Y0[t : t + 1], sensitive_features=X0[t : t + 1, :1])


def test_classifier_bad_input():
    with pytest.raises(ValueError, match="two classes"):
        GroupwiseClassifier().fit(X0, np.zeros(40), memberships=M0)
    with pytest.raises(ValueError, match="two classes"):
        GroupwiseClassifier().fit(X0, np.arange(40) % 3, memberships=M0)
    model = GroupwiseClassifier().fit(X0, Y0 > 0, memberships=M0)
    with pytest.raises(ValueError, match="differ"):
        model.partial_fit(X0, Y0 > 0, [1, 2], memberships=M0)
    labels = GroupwiseClassifier().fit(X0, np.arange(40) % 2, memberships=M0)
    with pytest.raises(ValueError, match="has the label"):
        labels.partial_fit(X0, np.full(40, 7), memberships=M0)
