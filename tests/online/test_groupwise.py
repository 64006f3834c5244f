"""The estimators: protocol, groups, splits, states, reports, bad input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier, SGDRegressor

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


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda s: "-".join(map(str, s)) or "default")
def test_one_batch_any_split_and_row_by_row_give_the_same_bits(setting):
    X, y, A = people(120)
    whole = GroupwiseRegressor(**setting)
    expected = whole.progressive_predict(X, y, sensitive_features=A)
    for cuts in ([0, 1, 7, 64, 65, 120], range(121)):
        model = GroupwiseRegressor(**setting)
        pieces = [
            model.progressive_predict(X[a:b], y[a:b], sensitive_features=A.iloc[a:b])
            for a, b in zip(list(cuts)[:-1], list(cuts)[1:], strict=True)
        ]
        assert np.array_equal(np.concatenate(pieces), expected)
        assert model.group_names_ == whole.group_names_
        pd.testing.assert_frame_equal(model.group_report(), whole.group_report(), check_exact=True)


def test_blocked_engine_agrees_to_the_stated_tolerance():
    X, y, A = people(1000)
    one = GroupwiseRegressor(engine="rank_one")
    two = GroupwiseRegressor(engine="blocked", block_size=32)
    a = one.progressive_predict(X, y, sensitive_features=A)
    b = two.progressive_predict(X, y, sensitive_features=A)
    np.testing.assert_allclose(a, b, atol=1e-10)
    np.testing.assert_allclose(one.coef_, two.coef_, atol=1e-10)
    a, b = (model.group_report().astype(float) for model in (one, two))
    np.testing.assert_allclose(a, b, atol=1e-9)


def test_predict_is_what_progressive_predict_plays_next_and_changes_nothing():
    X, y, A = people()
    model = GroupwiseRegressor().fit(X[:200], y[:200], sensitive_features=A[:200])
    before = model.get_state()
    ahead = model.predict(X[200:201], sensitive_features=A[200:201])
    after = model.get_state()
    assert before.keys() == after.keys()
    assert all(np.array_equal(before[k], after[k]) for k in before)
    played = model.progressive_predict(X[200:201], y[200:201], sensitive_features=A[200:201])
    assert played[0] == ahead[0]


def test_groups_get_their_own_model():
    X, y, A = people(2000)
    model = GroupwiseRegressor()
    played = model.progressive_predict(X, y, sensitive_features=A[["sex"]])
    assert np.mean((played[500:] - y[500:]) ** 2) < 0.02
    weights = model.group_weights(X[:5], sensitive_features=A[["sex"]][:5])
    np.testing.assert_allclose(weights.sum(axis=1), 1.0)
    assert (weights["everyone"] < 0.05).all()
    alone = GroupwiseRegressor()
    with pytest.warns(FairnessWarning, match="everyone is one group"):
        single = alone.progressive_predict(X, y)
    assert np.mean((single[500:] - y[500:]) ** 2) > 0.8


def test_one_group_is_the_single_learner():
    X, y, _ = people()
    with pytest.warns(FairnessWarning):
        model = GroupwiseRegressor(y_range=(-6, 6)).fit(X, y)
    assert model.regret_[0] == 0.0
    assert model.group_report()["expert_regret"].iloc[0] == pytest.approx(0.0, abs=1e-12)


def test_duplicate_groups_split_the_weight():
    X, y, A = people()
    f = (A["sex"] == "f").to_numpy(float)
    one = GroupwiseRegressor(always_on=False)
    two = GroupwiseRegressor(always_on=False)
    with pytest.warns(FairnessWarning, match="in no group"):
        a = one.progressive_predict(X, y, memberships=f[:, None])
    with pytest.warns(FairnessWarning, match="in no group"):
        b = two.progressive_predict(X, y, memberships=np.column_stack([f, f]))
    np.testing.assert_allclose(a, b, atol=1e-12)


def test_order_of_groups_does_not_matter():
    X, y, A = people()
    M = MembershipEncoder().fit_transform(A)
    order = [3, 1, 4, 0, 2]
    a = GroupwiseRegressor().progressive_predict(X, y, memberships=M)
    b = GroupwiseRegressor().progressive_predict(X, y, memberships=M[:, order])
    np.testing.assert_allclose(a, b, atol=1e-12)


def test_label_scale_does_not_matter_when_it_is_learned():
    """Ridge from the first label on is equivariant, and weights see scaled losses only."""
    X, y, A = people()
    a = GroupwiseRegressor().progressive_predict(X, y, sensitive_features=A)
    b = GroupwiseRegressor().progressive_predict(X, 1000 * y + 7000, sensitive_features=A)
    np.testing.assert_allclose(1000 * a[1:] + 7000, b[1:], atol=1e-6)


@pytest.mark.parametrize("setting", [{}, {"y_range": (-5, 5)}, {"aggregator": "specialists"}])
def test_regret_stays_below_its_bound_on_sorted_labels(setting):
    X, y, A = people(1500)
    order = np.argsort(y)
    model = GroupwiseRegressor(**setting).fit(X[order], y[order], sensitive_features=A.iloc[order])
    report = model.group_report()
    assert not report["alarm"].any()
    assert (model.regret_ <= model.regret_bound_ + 1e-9).all()
    if setting != {"aggregator": "specialists"}:  # there the range learned counts as it grows
        assert (report["expert_regret"] <= report["bound"] + 1e-9).all()
    assert (report["regret"] <= report["regret_bound"] + 1e-9).all()


def test_hindsight_is_the_ridge_objective():
    X, y, A = people()
    model = GroupwiseRegressor(y_range=(-5, 5), fit_intercept=False, alpha=0.3)
    model.fit(X, y, sensitive_features=A[["sex"]])
    scaled = (y + 5) / 10
    for name in ("sex=f", "sex=m"):
        rows = (A["sex"] == name[-1]).to_numpy()
        gram = 0.3 * np.eye(3) + X[rows].T @ X[rows]
        theta = np.linalg.solve(gram, X[rows].T @ scaled[rows])
        best = np.sum((scaled[rows] - X[rows] @ theta) ** 2) + 0.3 * theta @ theta
        assert model.group_report().loc[name, "hindsight_ridge"] == pytest.approx(best, abs=1e-10)
        g = model.group_names_.index(name)
        np.testing.assert_allclose(model.coef_[g], theta, atol=1e-10)
        assert model.logdet_[g] == pytest.approx(np.linalg.slogdet(gram / 0.3)[1])


@pytest.mark.parametrize(
    "learner", ["ridge", "vaw", "ogd", "diagonal", SGDRegressor(random_state=0, eta0=0.2)]
)
def test_every_base_learner_learns(learner):
    X, y, A = people(800)
    model = GroupwiseRegressor(learner, learning_rate=0.3, y_range=(-5, 5))
    played = model.progressive_predict(X, y, sensitive_features=A)
    assert np.mean((played[400:] - y[400:]) ** 2) < 0.5 * np.var(y)


@pytest.mark.parametrize("loss", ["log", "brier", "zero_one"])
@pytest.mark.parametrize(
    "learner",
    [
        "logistic_ons",
        "logistic_sgd",
        "logistic_diagonal",
        "ridge",
        "vaw",
        SGDClassifier("log_loss"),
    ],
)
def test_every_classifier_learns(learner, loss):
    X, y, A = people(500)
    labels = np.where(y > 0, "yes", "no")
    if isinstance(learner, SGDClassifier):
        learner = clone(learner).set_params(random_state=0)
    model = GroupwiseClassifier(learner, loss=loss)
    played = model.progressive_predict(X, labels, sensitive_features=A, classes=["no", "yes"])
    assert set(played) <= {"no", "yes"}
    assert np.mean(played[250:] == labels[250:]) > 0.75
    share = model.predict_proba(X, sensitive_features=A)
    np.testing.assert_allclose(share.sum(axis=1), 1.0)
    assert not model.group_report()["alarm"].any()
    assert (model.regret_ <= model.regret_bound_ + 1e-9).all()


def test_classifier_losses_are_those_of_its_predictions():
    X, y, A = people()
    labels = (y > 0).astype(int)
    for loss in ("log", "brier", "zero_one"):
        model = GroupwiseClassifier(loss=loss)
        share = model.progressive_predict_proba(X, labels, sensitive_features=A)[:, 1]
        right = np.where(labels == 1, share, 1 - share)
        each = {
            "log": lambda p: -np.log(p) / -np.log(0.01),
            "brier": lambda p: (1 - p) ** 2,
            "zero_one": lambda p: 1 - p,
        }[loss](right)
        assert model.loss_[0] == pytest.approx(each.sum(), abs=1e-9)


def test_one_class_so_far_still_gives_a_probability():
    X, _y, A = people(30)
    model = GroupwiseClassifier()
    model.partial_fit(X, np.ones(30), [0, 1], sensitive_features=A)
    assert 0.5 < model.predict_proba(X, sensitive_features=A)[:, 1].min() < 1.0


def test_a_finite_class_of_fitted_models():
    X, y, A = people(800)
    f = (A["sex"] == "f").to_numpy()
    models = [
        FrozenEstimator(LinearRegression().fit(X[rows][:200], y[rows][:200]))
        for rows in (f, ~f, np.ones(800, bool))
    ]
    model = GroupwiseRegressor(models, y_range=(-5, 5))
    clone(model)
    played = model.progressive_predict(X, y, sensitive_features=A)
    assert np.mean((played[400:] - y[400:]) ** 2) < 0.1
    report = model.group_report()
    assert report["hindsight_ridge"].isna().all()
    scaled = (y + 5) / 10
    for name in ("sex=f", "sex=m"):
        rows = (A["sex"] == name[-1]).to_numpy()
        losses = [np.sum(((m.predict(X[rows]) + 5) / 10 - scaled[rows]) ** 2) for m in models]
        own = report.loc[name, "expert_loss"] - min(losses)
        assert own <= report.loc[name, "learner_bound"]
    state = model.get_state()
    again = clone(model).set_state(state)
    assert np.array_equal(
        again.predict(X, sensitive_features=A), model.predict(X, sensitive_features=A)
    )
    with pytest.raises(ValueError, match="y_range"):
        GroupwiseRegressor(models).fit(X, y, sensitive_features=A)


def test_a_finite_class_of_classifiers():
    X, y, A = people(600)
    labels = (y > 0).astype(int)
    f = (A["sex"] == "f").to_numpy()
    models = [FrozenEstimator(LogisticRegression().fit(X[r], labels[r])) for r in (f, ~f)]
    model = GroupwiseClassifier(models)
    played = model.progressive_predict(X, labels, sensitive_features=A)
    assert np.mean(played[300:] == labels[300:]) > 0.85
