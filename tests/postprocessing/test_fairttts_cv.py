"""The exact paths, the search over them, and the estimator that uses both."""

from __future__ import annotations

import itertools
import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.model_selection import KFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.tree import DecisionTreeClassifier

from fairgroup.exceptions import FairnessWarning
from fairgroup.postprocessing import FairTTTS, FairTTTSCV
from fairgroup.postprocessing._path import (
    choose,
    correct_at,
    gap_interval,
    gap_of,
    group_path,
    rates_at,
)

FOREST = RandomForestClassifier(12, max_depth=6, random_state=0)
pytestmark = pytest.mark.filterwarnings("ignore:The gap .* too few to show")


def rows(seed, n=40):
    rng = np.random.default_rng(seed)
    base, gain = rng.normal(size=n).round(1), rng.normal(size=n).round(1)
    gain[rng.random(n) < 0.2] = 0.0
    return base, gain, rng.random(n) < 0.5, rng.integers(1, 4, n).astype(float)


@given(seed=st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_a_path_holds_the_rates_at_every_strength(seed):
    base, gain, truth, weights = rows(seed)
    path = group_path(base, gain, truth, weights)
    assert path.strength[0] == 0 and (np.diff(path.strength) >= 0).all()
    ends = np.append(path.strength[1:], 1.0)
    for k, strength in enumerate((path.strength + ends) / 2):
        if ends[k] - path.strength[k] < 1e-9:
            continue
        decided = base + strength * gain > 0
        expected = [
            np.average(decided, weights=weights),
            np.average(decided[truth], weights=weights[truth]) if truth.any() else np.nan,
            np.average(decided[~truth], weights=weights[~truth]) if (~truth).any() else np.nan,
        ]
        np.testing.assert_allclose(rates_at([path], [strength])[0], expected, atol=1e-12)
        right = np.sum(weights * (decided == truth))
        assert correct_at([path], [strength]) == pytest.approx(right)


def test_a_group_that_is_not_movable_stays():
    path = group_path(*rows(0), movable=False)
    assert path.strength.tolist() == [0]


@pytest.mark.parametrize("notion", ["demographic_parity", "equal_opportunity"])
@pytest.mark.parametrize("seed", range(6))
def test_the_choice_is_the_best_of_all_combinations(notion, seed):
    paths = [group_path(*rows(100 * seed + g, 12)) for g in range(3)]
    tol = 0.1
    found, within = choose(paths, notion, tol)
    best = -np.inf
    for steps in itertools.product(*(range(len(p.strength)) for p in paths)):
        strengths = np.array([p.strength[k] for p, k in zip(paths, steps, strict=True)])
        if gap_of(rates_at(paths, strengths), notion) <= tol + 1e-12:
            best = max(best, correct_at(paths, strengths))
    assert within == np.isfinite(best)
    if within:
        assert correct_at(paths, found) == pytest.approx(best)
        assert gap_of(rates_at(paths, found), notion) <= tol + 1e-12


def test_two_rates_at_once_stay_within_the_tolerance():
    paths = [group_path(*rows(g, 60)) for g in range(2)]
    found, within = choose(paths, "equalized_odds", 0.15)
    rates = rates_at(paths, found)
    assert within
    assert np.ptp(rates[:, 1]) <= 0.15 + 1e-12 and np.ptp(rates[:, 2]) <= 0.15 + 1e-12


def test_least_intervention_moves_less_than_the_most_accurate():
    paths = [group_path(*rows(g, 60)) for g in (3, 4)]
    gentle, _ = choose(paths, "demographic_parity", 0.05, objective="least")
    accurate, _ = choose(paths, "demographic_parity", 0.05)
    assert gentle.sum() <= accurate.sum()
    assert correct_at(paths, gentle) <= correct_at(paths, accurate)


def test_the_interval_of_the_gap_covers_at_its_level():
    """Two groups with true rates 0.5 and 0.6; the interval of the gap should hold 0.1."""
    rng = np.random.default_rng(0)
    covered = 0
    for seed in range(200):
        n = np.array([200, 200])
        rates = np.column_stack([rng.binomial(n, [0.5, 0.6]) / n] * 3)
        low, high = gap_interval(
            rates, np.column_stack([n] * 3), "demographic_parity", 0.9,
            np.random.default_rng(seed), n_draws=400,
        )  # fmt: skip
        covered += low <= 0.1 <= high
    assert 160 <= covered <= 198  # 90 % of 200, four standard errors


def fitted(model, data, **params):
    X, y, groups = data
    params = {"protected_inputs": [0], "tol": 0.05, "cv": 3, "random_state": 0, **params}
    return FairTTTSCV(model, **params).fit(X, y, sensitive_features=groups)


@pytest.mark.parametrize(
    "scope", ["auto", "protected", "all", "proxies", ("protected", "proxies")]
)
@pytest.mark.parametrize(
    "constraint", ["equal_opportunity", "demographic_parity", "equalized_odds"]
)
@pytest.mark.filterwarnings("ignore:No strength brings the gap")
def test_never_worse_than_the_unmodified_model_on_the_validation_rows(table, scope, constraint):
    fair = fitted(FOREST, table(600), scope=scope, constraint=constraint)
    assert fair.gap_ <= max(fair.gap_before_, 0.05)
    if fair.gap_before_ <= 0.05:
        assert fair.accuracy_ >= fair.accuracy_before_
    assert fair.scope_ in {"protected", "all", "proxies"}


@pytest.mark.parametrize(
    "model", [FOREST, HistGradientBoostingClassifier(max_iter=10)], ids=["forest", "boosting"]
)
@pytest.mark.parametrize("scope", ["protected", "all", "proxies"])
@pytest.mark.filterwarnings("ignore:No strength brings the gap")
def test_frozen_validation_figures_are_those_of_the_predictions(table, model, scope):
    """With a frozen model the rows of `fit` are the validation rows: all can be recounted."""
    X, y, groups = table(900)
    model.fit(X[:400], y[:400])
    rest = X[400:], y[400:], groups[400:]
    fair = fitted(FrozenEstimator(model), rest, scope=scope, constraint="demographic_parity")
    decided = fair.predict(rest[0], sensitive_features=rest[2])
    rates = [np.mean(decided[rest[2] == g]) for g in ("f", "m")]
    assert abs(rates[0] - rates[1]) == pytest.approx(fair.gap_, abs=1e-12)
    assert np.mean(decided == rest[1]) == pytest.approx(fair.accuracy_, abs=1e-12)
    plain = model.predict(rest[0])
    assert np.mean(plain == rest[1]) == pytest.approx(fair.accuracy_before_, abs=1e-12)
    assert fair.gap_ < fair.gap_before_


def test_the_score_is_linear_in_the_strength_and_agrees_with_fairttts(data):
    """For a 0/1 column one coin per walk and one coin per node are the same thing."""
    X, y, groups = data
    fair = fitted(FOREST, data, scope="protected", unprivileged="f", tol=1.0)
    fair._strengths = np.array([0.3, 0.0])
    same = FairTTTS(
        FOREST, protected_inputs=[0], unprivileged="f", heuristic="fixed", scope="protected",
        p_max=0.5, alpha=0.6, cap=1.0,
    ).fit(X, y, sensitive_features=groups)  # fmt: skip
    np.testing.assert_allclose(
        fair.predict_proba(X, sensitive_features=groups),
        same.predict_proba(X, sensitive_features=groups),
        atol=1e-12,
    )


def test_only_unprivileged_groups_are_moved_when_they_are_named(data):
    fair = fitted(FOREST, data, unprivileged="f", scope="proxies",
                  constraint="demographic_parity")  # fmt: skip
    assert fair.strengths_["f"] > 0 == fair.strengths_["m"]
    X, _, groups = data
    same = fair.predict(X, sensitive_features=groups) == fair.estimator_.predict(X)
    assert same[groups == "m"].all()


def test_several_groups(table):
    X, y, sex = table(900)
    X[:, 4] = X[:, 4] > 0
    groups = pd.DataFrame({"sex": sex, "old": X[:, 4].astype(int)})
    fair = fitted(FOREST, (X, y, groups), protected_inputs={"sex": [0], "old": [4]}, tol=0.1)
    assert fair.strengths_.index.names == ["sex", "old"]
    assert len(fair.strengths_) == 4 and fair.gap_ <= 0.1
    assert fair.predict(X, sensitive_features=groups).shape == y.shape


def test_a_pipeline_on_a_frame_with_weights(table):
    X, y, groups = table(600)
    frame = pd.DataFrame(X[:, 1:], columns=list("abcd")).assign(sex=groups)
    encode = make_column_transformer((OneHotEncoder(), ["sex"]), remainder="passthrough",
                                     sparse_threshold=0)  # fmt: skip
    model = FairTTTSCV(make_pipeline(encode, FOREST), tol=0.05, cv=3, random_state=0)
    weights = np.where(groups == "f", 2.0, 1.0)
    model.fit(frame, y, sensitive_features=frame["sex"], sample_weight=weights)
    assert model.gap_ <= 0.05
    found = model.predict_proba(frame, sensitive_features=frame["sex"])
    np.testing.assert_allclose(found.sum(axis=1), 1)
    copy = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(
        copy.predict_proba(frame, sensitive_features=frame["sex"]), found
    )


def test_the_path_is_a_table_of_every_group(data):
    fair = fitted(FOREST, data)
    assert set(fair.path_["group"]) == {"sensitive_feature_0=f", "sensitive_feature_0=m"}
    assert {"strength", "selection_rate", "true_positive_rate"} <= set(fair.path_)
    told = fair.explain(data[0], sensitive_features=data[2])
    assert (told.decisions.sum(axis=1) == 2 * told.decisions["people"]).all()


def test_a_splitter_of_ones_own(data):
    fair = fitted(DecisionTreeClassifier(max_depth=5, random_state=0), data, cv=KFold(4))
    assert 0 <= fair.gap_ <= 1


class TestWarnings:
    @pytest.mark.filterwarnings("default:The gap")
    def test_it_does_not_promise_what_the_rows_cannot_show(self, data):
        with pytest.warns(FairnessWarning, match=r"too few to show.*95 % interval"):
            fair = fitted(FOREST, data, scope="proxies", tol=0.02)
        assert not fair.certified_ and fair.gap_ <= 0.02 < fair.gap_interval_[1]

    def test_a_large_tolerance_is_certified(self, table):
        fair = fitted(FOREST, table(1500), tol=0.4)
        assert fair.certified_ and fair.gap_interval_[1] <= 0.4

    def test_a_gap_that_no_strength_closes(self, data):
        X, y, groups = data
        rng = np.random.default_rng(0)
        X[:, 0] = rng.integers(0, 2, len(X))  # the protected column says nothing
        y = ((X[:, 1] > 20) & (groups == "m")).astype(int) ^ (rng.random(len(X)) < 0.1)
        X[:, 3] = (groups == "m") * 1.0  # and another one says everything
        with pytest.warns(FairnessWarning, match="No strength brings the gap"):
            fair = fitted(FOREST, (X, y, groups), scope="protected",
                          constraint="demographic_parity", tol=0.01)  # fmt: skip
        assert 0.01 < fair.gap_ <= fair.gap_before_

    def test_without_groups(self, data):
        with pytest.warns(FairnessWarning, match="without sensitive_features"):
            fair = FairTTTSCV(FOREST, cv=2).fit(data[0], data[1])
        np.testing.assert_array_equal(fair.predict(data[0]), fair.estimator_.predict(data[0]))


@pytest.mark.parametrize(
    ("params", "message"),
    [({"scope": ("protected", "x")}, "a tuple may hold"), ({"tol": 2.0}, "tol")],
)
def test_bad_parameters(data, params, message):
    with pytest.raises(ValueError, match=message):
        fitted(FOREST, data, **params)


@pytest.mark.filterwarnings("ignore:.*no protected node")
def test_two_classes_only(three_classes, data):
    with pytest.raises(ValueError, match="two classes"):
        fitted(FOREST, three_classes)
    X, y, groups = data
    with pytest.raises(ValueError, match="one row"):
        fitted(FOREST, (X, (np.arange(len(y)) == 3).astype(int), groups))
