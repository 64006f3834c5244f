"""Invariants of FairTTTS, its warnings, and the ways to name protected inputs and groups."""

from __future__ import annotations

import pickle

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.compose import make_column_transformer
from sklearn.ensemble import (
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from fairgroup.exceptions import FairnessWarning, UnseenGroupError
from fairgroup.groups import GroupEncoder
from fairgroup.postprocessing import FairTTTS
from fairgroup.postprocessing._kernels import LEFT, RIGHT, Settings
from fairgroup.postprocessing._passes import TreePass
from fairgroup.postprocessing._rules import Favorable, worse_side

FOREST = RandomForestClassifier(12, max_depth=6, random_state=0)
MODELS = [
    DecisionTreeClassifier(max_depth=6, random_state=0),
    FOREST,
    GradientBoostingClassifier(n_estimators=8, random_state=0),
    HistGradientBoostingClassifier(max_iter=8),
]
HEURISTICS = [
    {},
    {"distance_scale": "node_std", "p_max": 0.5},
    {"distance_scale": "feature_std"},
    {"distance_scale": "feature_range", "p_max": 0.5},
    {"heuristic": "fixed"},
    {"heuristic": "depth"},
]
every_model = pytest.mark.parametrize("model", MODELS, ids=lambda m: type(m).__name__)


def fitted(model, data, **params):
    X, y, groups = data
    params = {"protected_inputs": [0], "unprivileged": "f", **params}
    return FairTTTS(model, **params).fit(X, y, sensitive_features=groups)


def proba(fair, data, rows=slice(None)):
    return fair.predict_proba(data[0][rows], sensitive_features=data[2][rows])


@every_model
@pytest.mark.parametrize("scope", ["all", "protected"])
@pytest.mark.parametrize("params", HEURISTICS, ids=str)
@pytest.mark.filterwarnings("ignore:FairTTTS does nothing")
def test_equals_the_slow_recursion(data, slow, model, scope, params):
    fair = fitted(model, data, scope=scope, **params)
    rows = slice(0, 25)
    inputs = fair._inputs(data[0][rows])
    boost = fair._boost(fair.encoder_.transform(data[2][rows]))
    found = fair._pass.expect(inputs, boost, fair._settings)
    for i, row in enumerate(inputs):
        args = (fair.trees_, fair._rules, row, boost[i], fair.cap, scope == "all")
        np.testing.assert_allclose(found[i], slow.ensemble(*args), atol=1e-12)


def test_agreement_heuristic(data, slow):
    fair = fitted(FOREST, data, heuristic="agreement")
    assert fair._rules.top.max() <= 0.5
    inputs = fair._inputs(data[0][:10])
    boost = fair._boost(fair.encoder_.transform(data[2][:10]))
    expected = [
        slow.ensemble(fair.trees_, fair._rules, row, b, 0.5, True)
        for row, b in zip(inputs, boost, strict=True)
    ]
    np.testing.assert_allclose(proba(fair, data, slice(0, 10)), expected, atol=1e-12)
    with pytest.raises(ValueError, match="class distribution"):
        fitted(GradientBoostingClassifier(n_estimators=3), data, heuristic="agreement")


def test_three_classes(three_classes, slow):
    for model in (FOREST, GradientBoostingClassifier(n_estimators=4, random_state=0)):
        fair = fitted(model, three_classes, favorable_class=2)
        inputs = fair._inputs(three_classes[0][:10])
        boost = fair._boost(fair.encoder_.transform(three_classes[2][:10]))
        found = fair._pass.expect(inputs, boost, fair._settings)
        for i, row in enumerate(inputs):
            expected = slow.ensemble(fair.trees_, fair._rules, row, boost[i], 0.5, True)
            np.testing.assert_allclose(found[i], expected, atol=1e-12)
        shares = proba(fair, three_classes)
        np.testing.assert_allclose(shares.sum(axis=1), 1)
        if fair.trees_.link == "softmax":
            tree = fair.trees_.tree_of[fair.protected_nodes_]
            assert set(fair.trees_.output[tree]) == {2}


@every_model
def test_monte_carlo_agrees_within_its_standard_error(data, model):
    fair = fitted(model, data, random_state=0)
    inputs = fair._inputs(data[0])
    boost = fair._boost(fair.encoder_.transform(data[2]))
    exact = fair._pass.expect(inputs, boost, fair._settings)
    variance = fair._pass.variance(inputs, boost, fair._settings)
    walks = 400
    found = fair._pass.simulate(inputs, boost, fair._settings, walks, 0)
    z = np.abs(found - exact) / np.sqrt(np.maximum(variance, 1e-9) / walks)
    assert z.max() < 5
    # The errors are of the size that the variance says, not merely below it.
    assert 0.85 < np.sqrt(np.mean(z[variance > 1e-6] ** 2)) < 1.15


def test_monte_carlo_through_the_estimator(data):
    fair = fitted(FOREST, data, method="monte_carlo", n_simulations=50, random_state=3)
    once = proba(fair, data)
    np.testing.assert_array_equal(once, proba(fair, data))
    np.testing.assert_array_equal(once[7:9], proba(fair, data, slice(7, 9)))
    assert not np.array_equal(once, proba(fitted(FOREST, data, random_state=3), data))


def test_variance_equals_the_slow_recursion(data, slow):
    fair = fitted(FOREST, data)
    rows, trees = slice(0, 10), fair.trees_
    inputs = fair._inputs(data[0][rows])
    boost = fair._boost(fair.encoder_.transform(data[2][rows]))
    found = fair.predict_variance(data[0][rows], sensitive_features=data[2][rows])
    for i, row in enumerate(inputs):
        args = (trees, fair._rules, row, boost[i], 0.5, True)
        moments = [
            slow.expected(*args, v, 2) - slow.expected(*args, v, 1) ** 2 for v in trees.bounds[:-1]
        ]
        np.testing.assert_allclose(
            found[i], np.sum(moments, axis=0) / trees.n_trees**2, atol=1e-12
        )


def test_protected_scope_is_the_mixture_with_the_flipped_column(data):
    """Section 2.4: at most one protected node lies on a path when the column is 0/1."""
    X, _, groups = data
    fair = fitted(DecisionTreeClassifier(max_depth=6, random_state=0), data, scope="protected")
    tree, swapped = fair.estimator_, X.copy()
    swapped[:, 0] = 1 - X[:, 0]
    own, other = tree.predict_proba(X), tree.predict_proba(swapped)
    strength = min(9 * max(0, 0.1 - 0.5 / fair.distance_scale_[0]), 0.5)
    found = proba(fair, data)
    touched = np.abs(found - own).max(axis=1) > 1e-12
    assert touched.any() and set(groups[touched]) == {"f"}
    mixed = (1 - strength) * own + strength * other
    np.testing.assert_allclose(found[touched], mixed[touched], atol=1e-12)


@every_model
def test_every_row_alone_gives_the_same(data, model):
    fair = fitted(model, data)
    together = proba(fair, data)
    alone = np.vstack([proba(fair, data, slice(i, i + 1)) for i in range(40)])
    np.testing.assert_array_equal(alone, together[:40])


def test_threads_and_float32(data):
    X, y, groups = (np.concatenate([part] * 6) for part in data)
    one = fitted(FOREST, (X, y, groups))
    expected = proba(one, (X, y, groups))
    two = fitted(FOREST, (X, y, groups), n_jobs=2)
    np.testing.assert_array_equal(proba(two, (X, y, groups)), expected)
    short = fitted(FOREST, (X, y, groups), dtype="float32")
    np.testing.assert_allclose(proba(short, (X, y, groups)), expected, atol=1e-6)


@pytest.mark.filterwarnings("ignore:FairTTTS does nothing")
@given(alpha=st.floats(0, 30), p_max=st.floats(0, 0.5), cap=st.floats(0, 1))
@settings(max_examples=25, deadline=None)
def test_probabilities_stay_within_the_leaves(alpha, p_max, cap):
    rng = np.random.default_rng(0)
    X = np.column_stack([rng.integers(0, 2, 120), 40 * rng.normal(size=120)])
    y = (X[:, 1] / 40 + X[:, 0] + rng.normal(size=120) > 0.5).astype(int)
    data = X, y, np.where(X[:, 0] > 0, "m", "f")
    tree = DecisionTreeClassifier(max_depth=4, random_state=0)
    fair = fitted(tree, data, alpha=alpha, p_max=p_max, cap=cap, heuristic="fixed")
    shares = proba(fair, data)
    leaves = fair.trees_.value[~fair.trees_.is_split, 1]
    assert shares[:, 1].min() >= leaves.min() - 1e-12
    assert shares[:, 1].max() <= leaves.max() + 1e-12
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-12)


class TestWhoIsTouched:
    def test_privileged_rows_do_not_depend_on_alpha(self, data):
        low, high = (proba(fitted(FOREST, data, alpha=a), data) for a in (1.0, 9.0))
        privileged = data[2] == "m"
        np.testing.assert_array_equal(low[privileged], high[privileged])
        assert not np.array_equal(low[~privileged], high[~privileged])

    def test_nobody_with_alpha_zero_in_the_protected_scope(self, data):
        fair = fitted(FOREST, data, alpha=0.0, scope="protected")
        np.testing.assert_allclose(
            proba(fair, data), fair.estimator_.predict_proba(data[0]), atol=1e-12
        )

    def test_amplification_saturates_at_the_cap(self, data):
        many = [proba(fitted(FOREST, data, alpha=a), data) for a in (6.0, 60.0, 600.0)]
        # D is some tens, so p at the protected nodes is close to 0.1.
        np.testing.assert_array_equal(many[1], many[2])

    def test_scores_are_monotone_in_the_strength_with_the_sign_of_the_gain(self, data):
        params = {"heuristic": "fixed", "scope": "protected", "p_max": 0.5, "cap": 1.0}
        fair = fitted(FOREST, data, alpha=2.0, **params)
        gain = fair.counterfactual_gain(data[0], sensitive_features=data[2])
        path = np.array([proba(fitted(FOREST, data, alpha=a, **params), data)[:, 1]
                         for a in (0.0, 0.5, 1.0, 2.0)])  # fmt: skip
        assert (np.sign(gain) * np.diff(path, axis=0) >= -1e-12).all()
        np.testing.assert_allclose(path[-1] - path[0], gain, atol=1e-12)
        assert (gain[data[2] == "m"] == 0).all()

    def test_relabelling_the_classes_changes_nothing(self, data):
        X, y, groups = data
        one = fitted(FOREST, data, favorable_class=1)
        other = fitted(FOREST, (X, np.where(y == 1, "a", "b"), groups), favorable_class="a")
        np.testing.assert_allclose(proba(one, data), proba(other, data)[:, ::-1], atol=1e-12)

    def test_units_of_all_columns_together_do_not_matter(self, data):
        """The largest threshold scales along; 4 is a power of two, so no rounding differs."""
        X, y, groups = data
        scaled = (4 * X, y, groups)
        one, other = fitted(FOREST, data), fitted(FOREST, scaled)
        np.testing.assert_allclose(proba(one, data), proba(other, scaled), atol=1e-12)
        moved = (X + np.float32(64), y, groups)
        assert not np.allclose(proba(one, data), proba(fitted(FOREST, moved), moved))

    def test_equal_children_count_as_worse_on_the_left(self, worked):
        from fairgroup.postprocessing._readers import reader_for

        trees = reader_for(worked).read(worked)
        assert worse_side(trees, Favorable(1))[[0, 1, 4]].tolist() == [LEFT, LEFT, LEFT]
        assert worse_side(trees, Favorable(0))[[0, 1, 4]].tolist() == [RIGHT, RIGHT, RIGHT]
        trees.value[:] = 0.5
        assert worse_side(trees, Favorable(0))[[0, 1, 4]].tolist() == [LEFT, LEFT, LEFT]


def test_thresholds_that_are_all_zero(worked):
    """Without a scale only a row on the threshold is uncertain; nothing is divided by zero."""
    from fairgroup.postprocessing._readers import reader_for
    from fairgroup.postprocessing._rules import flip_rules

    trees = reader_for(worked).read(worked)
    trees.threshold[:] = trees.cut[:] = 0.0
    free = np.full(2, -1, np.int32)
    rules = flip_rules(trees, np.zeros((1, 2)), np.ones(1), free, Favorable(1))
    assert rules.scale.tolist() == [0.0]
    run = TreePass(trees, rules)
    X = np.array([[0.0, -3.0], [1e-3, 2.0]])
    found = run.expect(X, np.full((2, 1), -1.0), Settings(0.5, False, True))[:, 1]
    np.testing.assert_allclose(found, [0.9 * 0.1 + 0.1 * 0.4, 0.9], atol=1e-12)


class TestMissingValues:
    def test_they_follow_the_rule_with_certainty(self, data, slow):
        X, y, groups = data
        X[::3, 1] = np.nan
        fair = fitted(FOREST, (X, y, groups))
        assert np.isinf(fair.trees_.threshold).any()  # some splits ask for missingness only
        inputs = fair._inputs(X[:12])
        boost = fair._boost(fair.encoder_.transform(groups[:12]))
        found = proba(fair, (X, y, groups), slice(0, 12))
        for i, row in enumerate(inputs):
            expected = slow.ensemble(fair.trees_, fair._rules, row, boost[i], 0.5, True)
            np.testing.assert_allclose(found[i], expected, atol=1e-12)

    def test_a_missing_protected_value_is_never_amplified(self, worked):
        X = np.array([[np.nan, 10], [0, 10], [1, 10]], dtype=np.float32)
        # The worked tree takes no missing values, so they are handed to the pass directly.
        fair = fitted(worked, (np.nan_to_num(X), [0, 1, 1], np.array(["f", "f", "m"])),
                      scope="protected")  # fmt: skip
        boost = fair._boost(fair.encoder_.transform(["f", "f", "m"]))
        found = fair._pass.expect(X, boost, fair._settings)[:, 1]
        np.testing.assert_allclose(found, [0.4, 0.25, 0.4])  # missing goes right here


class TestProtectedInputs:
    def frame(self, data):
        X, y, groups = data
        frame = pd.DataFrame(X[:, 1:], columns=["income", "b", "c", "age_cat"])
        frame["sex"] = pd.Categorical(groups)
        frame["age"] = np.where(X[:, 4] > 0, "old", "young")
        return frame, y

    def pipeline(self, *, names=True):
        encode = make_column_transformer(
            (OneHotEncoder(sparse_output=False), ["sex", "age"]), remainder="passthrough"
        )
        return make_pipeline(encode, FOREST)

    def test_one_hot_columns_of_a_pipeline_are_found_by_the_column_name(self, data):
        frame, y = self.frame(data)
        fair = FairTTTS(self.pipeline(), protected_inputs="sex", unprivileged="f")
        fair.fit(frame, y, sensitive_features=frame["sex"])
        assert fair._protected.of_input.tolist() == [0, 0, -1, -1, -1, -1, -1, -1]
        told = fair.explain(frame, sensitive_features=frame["sex"])
        assert set(told.nodes["input"]) <= {"onehotencoder__sex_f", "onehotencoder__sex_m"}

    def test_a_name_does_not_claim_a_longer_one(self, data):
        frame, y = self.frame(data)
        fair = FairTTTS(self.pipeline(), protected_inputs="age", unprivileged="young")
        fair.fit(frame, y, sensitive_features=frame["age"])
        assert fair._protected.of_input.tolist() == [-1, -1, 0, 0, -1, -1, -1, -1]

    def test_none_looks_for_the_names_of_the_sensitive_features(self, data):
        frame, y = self.frame(data)
        fair = FairTTTS(self.pipeline()).fit(frame, y, sensitive_features=frame[["sex", "age"]])
        assert fair._protected.names == ("sex", "age")
        assert fair._protected.of_input.tolist() == [0, 0, 1, 1, -1, -1, -1, -1]

    def test_each_attribute_has_its_own_unprivileged_groups(self, data, slow):
        X, y, _ = data
        X[:, 4] = X[:, 4] > 0
        groups = pd.DataFrame({"sex": X[:, 0].astype(int), "old": X[:, 4].astype(int)})
        fair = FairTTTS(
            FOREST,
            protected_inputs={"sex": [0], "old": [4]},
            unprivileged={"sex": 0, "old": [1]},
        ).fit(X, y, sensitive_features=groups)
        boost = fair._boost(fair.encoder_.transform(groups))
        np.testing.assert_array_equal(boost[:, 0], np.where(groups["sex"] == 0, 9.0, -1.0))
        np.testing.assert_array_equal(boost[:, 1], np.where(groups["old"] == 1, 9.0, -1.0))
        found = fair.predict_proba(X[:8], sensitive_features=groups[:8])
        for i, row in enumerate(X[:8]):
            expected = slow.ensemble(fair.trees_, fair._rules, row, boost[i], 0.5, True)
            np.testing.assert_allclose(found[i], expected, atol=1e-12)

    def test_a_continuous_column_that_appears_several_times_on_a_path(self, data, slow):
        X, _, groups = data
        fair = fitted(FOREST, data, protected_inputs=[1], scope="protected")
        feature = fair.trees_.feature
        assert (feature[fair.protected_nodes_] == 1).all()
        boost = fair._boost(fair.encoder_.transform(groups[:15]))
        found = proba(fair, data, slice(0, 15))
        for i, row in enumerate(X[:15]):
            expected = slow.ensemble(fair.trees_, fair._rules, row, boost[i], 0.5, False)
            np.testing.assert_allclose(found[i], expected, atol=1e-12)

    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"protected_inputs": [9]}, "column 9 of 5"),
            ({"protected_inputs": "sex"}, "no column names"),
            ({"protected_inputs": {"race": [0]}}, "must be columns of sensitive_features"),
            ({"unprivileged": "x"}, r"no group \[\('x',\)\]; the groups are"),
            ({"unprivileged": {"race": "x"}}, "names the columns"),
            ({"favorable_class": 7}, "not among the classes"),
            ({"alpha": -1.0}, "alpha"),
            ({"p_max": 0.6}, "p_max"),
            ({"cap": 1.5}, "cap"),
            ({"encoder": GroupEncoder(intersections=False)}, "intersections=False"),
        ],
    )
    def test_bad_names_say_what_there_is(self, data, params, message):
        groups = np.column_stack([data[2], data[2]]) if "encoder" in params else data[2]
        if "encoder" in params:
            params = {**params, "unprivileged": None}
        with pytest.raises(ValueError, match=message):
            fitted(FOREST, (*data[:2], groups), **params)

    def test_classes_must_be_named_when_there_are_three(self, three_classes):
        with pytest.raises(ValueError, match="favorable_class is needed with 3 classes"):
            fitted(FOREST, three_classes)

    def test_an_unknown_name_in_a_frame(self, data):
        frame, y = self.frame(data)
        with pytest.raises(ValueError, match=r"no input 'race'; it has"):
            FairTTTS(self.pipeline(), protected_inputs="race").fit(
                frame, y, sensitive_features=frame["sex"]
            )


class TestWarnings:
    def test_without_groups(self, data):
        with pytest.warns(FairnessWarning, match="without sensitive_features"):
            fair = FairTTTS(FOREST, protected_inputs=[0]).fit(data[0], data[1])
        assert not len(fair.protected_nodes_)
        fair.predict(data[0])

    def test_without_protected_inputs(self, data):
        with pytest.warns(FairnessWarning, match="found no protected inputs"):
            fitted(FOREST, data, protected_inputs=None)

    def test_without_a_protected_node(self, data):
        X, y, groups = data
        X = np.column_stack([X, np.zeros(len(X), np.float32)])
        with pytest.warns(FairnessWarning, match="no protected node to act on"):
            fair = fitted(FOREST, (X, y, groups), protected_inputs=[5], scope="protected")
        np.testing.assert_allclose(
            proba(fair, (X, y, groups)), fair.estimator_.predict_proba(X), atol=1e-12
        )

    def test_standardised_data(self, data):
        model = make_pipeline(StandardScaler(), FOREST)
        with pytest.warns(FairnessWarning, match="does nothing for any group"):
            fitted(model, data, p_max=0.05)
        fitted(model, data, heuristic="fixed")  # no warning: an error otherwise

    def test_unseen_group(self, data):
        fair = fitted(FOREST, data)
        with pytest.raises(UnseenGroupError):
            fair.predict(data[0][:1], sensitive_features=["x"])
        fair = fitted(FOREST, data, encoder=GroupEncoder(unseen="ignore"), scope="protected")
        with pytest.warns(FairnessWarning):
            found = fair.predict_proba(data[0][:1], sensitive_features=["x"])
        np.testing.assert_allclose(found, fair.estimator_.predict_proba(data[0][:1]), atol=1e-12)

    def test_groups_are_needed_to_predict(self, data):
        with pytest.raises(ValueError, match=r"needs them to predict.*SensitiveColumns"):
            fitted(FOREST, data).predict(data[0])


class TestModels:
    def test_a_frozen_model_is_not_fitted_again(self, data):
        X, y, groups = data
        forest = RandomForestClassifier(5, random_state=0).fit(X, y)
        fair = fitted(FrozenEstimator(forest), (X[:50], y[:50], groups[:50]))
        np.testing.assert_array_equal(fair.estimator_.predict(X), forest.predict(X))
        with pytest.raises(ValueError, match="does not know"):
            fitted(FrozenEstimator(forest), (X, y + 1, groups))

    def test_a_tree_that_is_one_leaf(self, data):
        _, y, _ = data
        with pytest.warns(FairnessWarning, match="no protected node"):
            fair = fitted(DecisionTreeClassifier(max_depth=1, min_samples_leaf=300), data)
        np.testing.assert_allclose(proba(fair, data)[:, 1], y.mean())

    def test_regression_favours_high_or_low(self, data):
        X, _, groups = data
        target = X[:, 2] + 2 * X[:, 0]
        settings_ = {"heuristic": "fixed", "scope": "protected"}
        forest = RandomForestRegressor(8, max_depth=5, random_state=0)
        for best, sign in (("high", 1), ("low", -1)):
            fair = fitted(forest, (X, target, groups), favorable_class=best,
                          unprivileged="f" if sign > 0 else "m", **settings_)  # fmt: skip
            change = fair.predict(X, sensitive_features=groups) - fair.estimator_.predict(X)
            assert np.mean(sign * change) > 0.01
            told = fair.explain(X, sensitive_features=groups).decisions
            assert told.loc["(all)", "to_favourable"] > told.loc["(all)", "to_unfavourable"]
        assert fair.score(X, target, sensitive_features=groups) > 0.3
        with pytest.raises(ValueError, match="'high'"):
            fitted(forest, (X, target, groups), favorable_class=1)

    def test_probit_link_shrinks_uncertain_margins(self, data):
        plain = fitted(MODELS[2], data)
        shrunk = fitted(MODELS[2], data, link="probit")
        a, b = proba(plain, data)[:, 1], proba(shrunk, data)[:, 1]
        assert (np.abs(b - 0.5) <= np.abs(a - 0.5) + 1e-12).all()
        np.testing.assert_array_equal(a > 0.5, b > 0.5)

    def test_default_unprivileged_groups_have_the_rarer_outcome(self, data):
        fair = fitted(FOREST, data, unprivileged=None)
        assert fair.unprivileged_[0].tolist() == [True, False]
        fair = fitted(FOREST, data, unprivileged=None, favorable_class=0)
        assert fair.unprivileged_[0].tolist() == [False, True]

    def test_leaf_probabilities_of_every_tree(self, data):
        fair = fitted(FOREST, data)
        X, groups = data[0][:20], data[2][:20]
        total = 0
        for t in range(fair.trees_.n_trees):
            reach = fair.leaf_probabilities(X, sensitive_features=groups, tree=t)
            begin, end = fair.trees_.bounds[t : t + 2]
            leaf = ~fair.trees_.is_split[begin:end]
            np.testing.assert_allclose(reach.sum(axis=1), 1)
            total = total + reach @ fair.trees_.value[begin:end][leaf]
        np.testing.assert_allclose(
            total / fair.trees_.n_trees, proba(fair, data, slice(0, 20)), atol=1e-12
        )
        with pytest.raises(ValueError, match="tree=99"):
            fair.leaf_probabilities(X, sensitive_features=groups, tree=99)

    def test_sample_weights_reach_the_last_step(self, data):
        X, y, groups = data
        weights = np.where(groups == "f", 3.0, 1.0)
        model = make_pipeline(
            StandardScaler(), DecisionTreeClassifier(max_depth=6, random_state=0)
        )
        fair = FairTTTS(model, protected_inputs=[0], heuristic="fixed")
        fair.fit(X, y, sensitive_features=groups, sample_weight=weights)
        tree = DecisionTreeClassifier(max_depth=6, random_state=0)
        tree.fit(StandardScaler().fit_transform(X), y, sample_weight=weights)
        np.testing.assert_array_equal(fair.estimator_[-1].tree_.value, tree.tree_.value)

    def test_pickle(self, data):
        fair = fitted(HistGradientBoostingClassifier(max_iter=5), data)
        np.testing.assert_array_equal(
            proba(pickle.loads(pickle.dumps(fair)), data), proba(fair, data)
        )


def test_display_marks_the_acting_nodes(data):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    from fairgroup.postprocessing import FairTTTSDisplay

    fair = fitted(FOREST, data, scope="protected")
    display = FairTTTSDisplay.from_estimator(fair, data[0], sensitive_features=data[2])
    told = display.explanation
    begin, end = fair.trees_.bounds[display.tree : display.tree + 2]
    acting = told.counts.act[begin:end].sum(axis=1)
    marked = [t.get_text() for t in display.ax_.texts if "acts on" in t.get_text()]
    assert len(marked) == (acting > 0).sum() > 0
    assert any(f"acts on {acting.max():,}" in text for text in marked)
    _, ax = plt.subplots()
    again = FairTTTSDisplay.from_predictions(
        fair.trees_, fair._acting_rules, told, tree=1, max_depth=2, ax=ax
    )
    assert again.ax_ is ax
    plt.close("all")
