"""The estimators: protocol, groups, splits, states, reports, bad input."""

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
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, LogisticRegression, SGDClassifier, SGDRegressor
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.groups import MembershipEncoder
from fairgroup.online import GroupwiseClassifier, GroupwiseRegressor

WEIGHT_CHECK = {
    "check_sample_weight_equivalence_on_dense_data": (
        "a weight is a membership in [0, 1] of one round; repeated rows are several rounds of the "
        "stream"
    )
}


@pytest.mark.filterwarnings("ignore::fairgroup.exceptions.FairnessWarning")
@parametrize_with_checks(
    [GroupwiseRegressor(), GroupwiseClassifier()], expected_failed_checks=lambda _: WEIGHT_CHECK
)
def test_check_estimator(estimator, check):
    check(estimator)


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


# ---- groups that appear, vanish, and are asked for ----------------------------------------


def test_new_levels_start_a_learner_and_are_announced_at_predict():
    X, y, A = people()
    model = GroupwiseRegressor()
    first = A["race"] != "c"
    model.partial_fit(X[first], y[first], sensitive_features=A[first])
    assert "race=c" not in model.group_names_
    with pytest.warns(FairnessWarning, match="race=c"):
        model.predict(X[:20], sensitive_features=A[:20])
    model.partial_fit(X[~first], y[~first], sensitive_features=A[~first])
    assert model.group_names_[-1] == "race=c"
    assert model.group_report().loc["race=c", "n"] == (~first).sum()
    model.predict(X[:20], sensitive_features=A[:20])


def test_unseen_policies():
    X, y, A = people()
    first = A["race"] != "c"
    strict = GroupwiseRegressor(unseen="error")
    strict.partial_fit(X[first], y[first], sensitive_features=A[first])
    with pytest.raises(UnseenGroupError, match="race=c"):
        strict.partial_fit(X, y, sensitive_features=A)
    with pytest.raises(UnseenGroupError, match="race=c"):
        strict.predict(X, sensitive_features=A)
    lenient = GroupwiseRegressor(unseen="ignore")
    lenient.partial_fit(X[first], y[first], sensitive_features=A[first])
    with pytest.warns(FairnessWarning, match="race=c"):
        lenient.partial_fit(X, y, sensitive_features=A)
    assert "race=c" not in lenient.group_names_


def test_zero_rows_initialise():
    X, y, A = people()
    model = GroupwiseRegressor(unseen="error")
    model.partial_fit(X[:0], y[:0], sensitive_groups=A.drop_duplicates())
    assert model.group_names_ == ["everyone", *MembershipEncoder().fit(A).names_]
    assert model.n_rounds_ == 0
    assert model.predict(X[:2], sensitive_features=A[:2]).shape == (2,)
    for t in range(20):
        row = slice(t, t + 1)
        model.partial_fit(X[row], y[row], sensitive_features=A[row])
    named = GroupwiseRegressor().partial_fit(X[:0], y[:0], sensitive_groups=["young", "old"])
    assert named.group_names_ == ["everyone", "young", "old"]
    named.partial_fit(X, y, memberships=np.column_stack([X[:, 0] > 0, X[:, 0] <= 0]))
    labels = GroupwiseClassifier()
    labels.partial_fit(X[:0], y[:0], [0, 1], sensitive_groups=["young", "old"])
    assert labels.predict_proba(X[:1], memberships=[[1, 0]])[0, 1] == 0.5


def test_intersections_wait_for_their_least_size():
    X, y, A = people()
    encoder = MembershipEncoder(intersections=True, min_group_size=30)
    model = GroupwiseRegressor(encoder=encoder).fit(X, y, sensitive_features=A)
    sizes = A.value_counts()
    for (sex, race), size in sizes.items():
        name = f"sex={sex}, race={race}"
        assert (name in model.group_names_) == (size >= 30)
        if size >= 30:  # active from its thirtieth row on
            assert model.group_report().loc[name, "n"] == size - 29
    assert model.group_report().loc["sex=f", "n"] == (A["sex"] == "f").sum()


def test_three_way_intersections_by_arity():
    X, y, A = people()
    A = A.assign(old=X[:, 1] > 0)
    two = MembershipEncoder(intersections=True, max_arity=2)
    model = GroupwiseRegressor(encoder=two).fit(X, y, sensitive_features=A)
    assert max(name.count("=") for name in model.group_names_) == 2
    model = clone(model).set_params(encoder=MembershipEncoder(intersections=True))
    model.fit(X, y, sensitive_features=A)
    assert max(name.count("=") for name in model.group_names_) == 3


def test_add_group_leaves_the_others_alone():
    X, y, A = people()
    M = MembershipEncoder().fit_transform(A)
    model = GroupwiseRegressor().fit(X[:200], y[:200], memberships=M[:200, :3])
    before = model.regret_.copy()
    model.add_group("late", prior=0.5)
    assert np.array_equal(model.regret_[:-1], before)
    model.partial_fit(X[200:], y[200:], memberships=M[200:, :4])
    assert model.group_names_[-1] == "late"
    assert model.group_report().loc["late", "n"] == M[200:, 3].sum()
    with pytest.raises(ValueError, match="exists already"):
        model.add_group("late")


def test_frames_of_memberships_are_matched_by_name():
    X, y, A = people()
    M = pd.get_dummies(A, dtype=float)
    one = GroupwiseRegressor().fit(X[:200], y[:200], memberships=M[:200])
    a = one.predict(X[200:], memberships=M[200:])
    b = one.predict(X[200:], memberships=M[200:][M.columns[::-1]])
    assert np.array_equal(a, b)
    one.partial_fit(X[200:], y[200:], memberships=M[200:].assign(new=1.0))
    assert one.group_names_[-1] == "new"


def test_fractional_memberships():
    X, y, A = people()
    M = MembershipEncoder().fit_transform(A)
    a = GroupwiseRegressor().progressive_predict(X, y, memberships=M)
    b = GroupwiseRegressor().progressive_predict(X, y, memberships=M.astype(int))
    assert np.array_equal(a, b)
    half = GroupwiseRegressor().fit(X, y, memberships=0.5 * M)
    full = GroupwiseRegressor().fit(X, y, memberships=M)
    np.testing.assert_allclose(
        half.group_report()["size"].iloc[1:], 0.5 * full.group_report()["size"].iloc[1:]
    )
    assert half.group_report().loc["group_0", "n"] == full.group_report().loc["group_0", "n"]


def test_sample_weights_multiply_memberships():
    X, y, A = people()
    w = np.random.default_rng(1).uniform(0.1, 1, len(y))
    M = MembershipEncoder().fit_transform(A)
    a = GroupwiseRegressor(always_on=False).partial_fit(X, y, memberships=M, sample_weight=w)
    b = GroupwiseRegressor(always_on=False).partial_fit(X, y, memberships=M * w[:, None])
    assert np.array_equal(a.coef_, b.coef_)
    with pytest.raises(ValueError, match=r"must be in \[0, 1\]"):
        a.partial_fit(X, y, memberships=M, sample_weight=2 * w)
    GroupwiseRegressor().fit(X, y, memberships=M, sample_weight=7 * w)


@pytest.mark.parametrize("no_active", ["prior", "zero", "raise"])
def test_rows_in_no_group(no_active):
    X, y, _ = people(60)
    M = np.zeros((60, 2))
    M[:30, 0] = M[20:50, 1] = 1.0
    model = GroupwiseRegressor(no_active=no_active, always_on=False, y_range=(-5, 5))
    if no_active == "raise":
        with pytest.raises(ValueError, match="Row 50 is in no group"):
            model.fit(X, y, memberships=M)
        return
    with pytest.warns(FairnessWarning, match="10 rows are in no group"):
        played = model.progressive_predict(X, y, memberships=M)
    assert model.n_idle_ == 10
    learned = clone(model).fit(X[:50], y[:50], memberships=M[:50])
    assert np.array_equal(learned.coef_, model.coef_)
    if no_active == "zero":
        assert (played[50:] == -5).all()
    else:
        each = X[50:] @ model.coef_.T + model.intercept_
        np.testing.assert_allclose(played[50:], 10 * np.clip(each, 0, 1).mean(axis=1) - 5)


# ---- base learners -------------------------------------------------------------------------


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


# ---- late labels ---------------------------------------------------------------------------


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


# ---- state ---------------------------------------------------------------------------------


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


# ---- inputs --------------------------------------------------------------------------------


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
