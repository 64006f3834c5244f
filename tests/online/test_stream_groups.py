"""Groups that appear late, intersect, overlap in parts, or are missing."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.groups import MembershipEncoder
from fairgroup.online import GroupwiseClassifier, GroupwiseRegressor


def people(n=300, seed=0):
    """Two attributes; women's and men's labels need opposite coefficients."""
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    A = pd.DataFrame({"sex": rng.choice(["f", "m"], n), "race": rng.choice(["a", "b", "c"], n)})
    y = np.where(A["sex"] == "f", X[:, 0], -X[:, 0]) + 0.1 * rng.normal(size=n)
    return X, y, A


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


def test_weight_zero_leaves_a_row_out_also_alone():
    X, y, A = people(60)
    weights = np.ones(60)
    weights[[0, 20]] = 0.0
    kept = weights > 0
    whole = GroupwiseRegressor().partial_fit(X[kept], y[kept], sensitive_features=A[kept])
    model = GroupwiseRegressor()
    for t in range(60):
        row = slice(t, t + 1)
        model.partial_fit(X[row], y[row], sensitive_features=A[row], sample_weight=weights[row])
    order = [model.group_names_.index(name) for name in whole.group_names_]
    np.testing.assert_allclose(model.coef_[order], whole.coef_, atol=1e-12)
    np.testing.assert_allclose(model.loss_[order], whole.loss_, atol=1e-12)
    with pytest.raises(ValueError, match="shape"):
        model.partial_fit(X, y, sensitive_features=A, sample_weight=weights[:3])


def test_a_refused_batch_leaves_a_model_that_works():
    X, y, A = people(60)
    model = GroupwiseRegressor(y_range=(-9, 9)).partial_fit(X, y, sensitive_features=A)
    late = A.assign(race="new")
    before = model.get_state()
    for bad in ({"y": y * 100}, {"X": X * np.nan}, {"sample_weight": 3 * np.ones(60)}):
        with pytest.raises(ValueError, match=r"y_range|NaN|sample_weight"):
            model.partial_fit(**({"X": X, "y": y, "sensitive_features": late} | bad))
    after = model.get_state()
    assert all(np.array_equal(before[key], after[key]) for key in before)
    assert np.isfinite(model.predict(X, sensitive_features=A)).all()


def test_a_refused_beginning_leaves_nothing_behind():
    X, y, A = people(60)
    model = GroupwiseClassifier()
    with pytest.raises(ValueError, match="give one of them"):
        model.partial_fit(X, y > 0, memberships=np.ones((60, 1)), sensitive_features=A)
    model.partial_fit(X[:, :2], np.where(y > 0, "a", "b"), sensitive_features=A)
    assert list(model.classes_) == ["a", "b"]
