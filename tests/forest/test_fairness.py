"""What the fairness term does, what it does not promise, and what the authors' code got wrong."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fairgroup.exceptions import FairnessWarning
from fairgroup.forest import AranyaniClassifier, AranyaniRegressor
from fairgroup.forest._fairness_kernels import DAMPING

SMALL = {"n_estimators": 3, "max_depth": 3, "random_state": 0}
each_level = pytest.mark.parametrize("level", ["node", "output"])


class TestCounterexample:
    """Section 1.5: node gaps are zero, the groups' outputs differ by a half."""

    X = np.array([[1.0, 1.0], [-1.0, -1.0], [1.0, -1.0], [-1.0, 1.0]])
    GROUPS = np.array([0, 0, 1, 1])
    W = [[[10.0, 0.0], [0.0, 10.0], [0.0, 0.0]]]
    THETA = [[[-20.0, 20.0], [20.0, -20.0], [20.0, -20.0], [20.0, -20.0]]]

    def model(self, with_parameters, **params):
        model = AranyaniClassifier(
            1, 2, optimizer="sgd", learning_rate=0.0, decay=1.0, standardize=None, **params
        )
        B = [[0.0, 0.0, 0.0]]
        return with_parameters(model, self.W, B, self.THETA, classes=[0, 1], groups=[0, 1])

    def test_zero_at_nodes_but_a_half_at_the_output(self, with_parameters):
        model = self.model(with_parameters, level="node")
        model.partial_fit(self.X, [1, 0, 0, 0], sensitive_features=self.GROUPS)
        assert_allclose(model.node_gap_, 0.0, atol=1e-16)
        p = model.predict_proba(self.X)[:, 1]
        assert_allclose(p[:2].mean(), 0.4999546041922641, rtol=1e-14)
        assert_allclose(p[2:].mean(), 4.53958077e-05, rtol=1e-8)
        assert_allclose(model.running_soft_parity_, 0.49990920838, rtol=1e-10)
        assert model.running_parity_ == 0.5
        assert model.predict(self.X).tolist() == [1, 0, 0, 0]

    def test_the_output_level_sees_it(self, with_parameters):
        model = self.model(with_parameters, level="output")
        model.partial_fit(self.X, [1, 0, 0, 0], sensitive_features=self.GROUPS)
        assert_allclose(abs(np.diff(model.output_mean_[0, :, 0])), 0.49990920838, rtol=1e-10)


class TestDefectsOfTheAuthorsCode:
    """Section 3.6: each of these fails or does nothing there."""

    @each_level
    def test_as_many_features_as_leaves(self, stream, level):
        X, y, groups = stream(200, d=8)
        model = AranyaniClassifier(2, 3, level=level, random_state=0)
        model.fit(X, y, sensitive_features=groups)
        assert model.coef_.shape == (2, 7, 8)
        assert model.leaf_logits_.shape == (2, 8, 2)
        assert np.isfinite(model.predict_proba(X)).all()

    @each_level
    def test_depth_one(self, stream, level):
        X, y, groups = stream(400)
        model = AranyaniClassifier(5, 1, level=level, random_state=0, learning_rate=0.05)
        model.fit(X, y, sensitive_features=groups)
        assert model.score(X, y) > 0.7

    @each_level
    def test_several_groups_and_classes(self, stream, level):
        X, y, groups = stream(600, d=4, n_groups=4, n_classes=5)
        names = np.array(["a", "b", "c", "d"])[groups]
        labels = np.array(["v", "w", "x", "y", "z"])[y]
        model = AranyaniClassifier(level=level, constraint="equalized_odds", random_state=0)
        model.fit(X, labels, sensitive_features=names)
        assert model.group_counts_.shape == (5, 4)
        assert model.group_counts_.sum() == 600
        assert model.running_positive_rate_.shape == (4, 5)
        assert_allclose(model.predict_proba(X).sum(axis=1), 1.0)

    @each_level
    def test_the_weight_has_an_effect(self, stream, level):
        """There the node parameters were lost, and the output's gradient was that of the sum of
        the class probabilities, which is one.
        """
        X, y, groups = stream(2000)
        found = {}
        for weight in (0.0, 1.0, 5.0):
            model = AranyaniClassifier(level=level, fairness_weight=weight, **SMALL)
            found[weight] = model.fit(X, y, sensitive_features=groups)
        assert np.abs(found[1.0].coef_ - found[0.0].coef_).max() > 0.05
        parities = [found[weight].running_soft_parity_ for weight in (0.0, 1.0, 5.0)]
        assert parities[0] > 1.3 * max(parities[1:])

    def test_output_gradient_is_not_zero(self, stream):
        X, y, groups = stream(200)
        model = AranyaniClassifier(**SMALL).fit(X, y, sensitive_features=groups)
        stored = model._state.grad_mean[0, :, 0]
        assert np.abs(stored).max() > 1e-3

    def test_prediction_is_a_distribution(self, stream):
        """There the output went through a second softmax, or raised for a forest."""
        X, y, groups = stream(300, n_classes=3)
        model = AranyaniClassifier(**SMALL, learning_rate=0.05).fit(
            X, y, sensitive_features=groups
        )
        p = model.predict_proba(X)
        assert_allclose(p.sum(axis=1), 1.0)
        assert p.max() > 0.8
        assert_allclose(p, model.tree_outputs(X).mean(axis=1), atol=1e-14)


class TestEquivalences:
    @pytest.mark.parametrize("cls", [AranyaniClassifier, AranyaniRegressor])
    def test_no_weight_is_no_constraint(self, stream, cls):
        X, y, groups = stream(200, n_classes=1 if cls is AranyaniRegressor else 2)
        models = [
            cls(**SMALL, fairness_weight=0).fit(X, y, sensitive_features=groups),
            cls(**SMALL, constraint=None).fit(X, y, sensitive_features=groups),
            cls(**SMALL, constraint=None).fit(X, y, sensitive_features=1 - groups),
            cls(**SMALL, constraint=None).fit(X, y),
        ]
        for other in models[1:]:
            assert_array_equal(other.coef_, models[0].coef_)
            assert other.fairness_weight_ == 0.0

    @each_level
    @pytest.mark.parametrize("constraint", ["demographic_parity", "equalized_odds"])
    def test_exchanging_names_of_groups(self, stream, level, constraint):
        X, y, groups = stream(300)
        params = {**SMALL, "level": level, "constraint": constraint}
        one = AranyaniClassifier(**params).fit(X, y, sensitive_features=groups)
        two = AranyaniClassifier(**params).fit(X, y, sensitive_features=1 - groups)
        assert_allclose(one.coef_, two.coef_, atol=1e-10)

    @each_level
    def test_mean_and_max_are_the_same_for_two_groups(self, stream, level):
        X, y, groups = stream(300)
        fits = [
            AranyaniClassifier(**SMALL, level=level, group_reduction=reduction).fit(
                X, y, sensitive_features=groups
            )
            for reduction in ("mean", "max")
        ]
        assert_array_equal(fits[0].coef_, fits[1].coef_)

    @each_level
    def test_unit_slope_is_delta_slope_of_another_weight(self, stream, level):
        """As long as no gap is inside the zone, here made tiny."""
        X, y, groups = stream(300)
        params = {**SMALL, "level": level, "huber_delta": 1e-9}
        unit = AranyaniClassifier(**params, fairness_weight=0.5)
        delta = AranyaniClassifier(**params, fairness_weight=0.5e9, huber_slope="delta")
        for model in (unit, delta):
            model.fit(X, y, sensitive_features=groups)
        assert_allclose(unit.coef_, delta.coef_, atol=1e-9)

    @each_level
    def test_one_group_is_unconstrained(self, stream, level):
        X, y, _ = stream(300)
        alone = np.zeros(300, dtype=int)
        model = AranyaniClassifier(**SMALL, level=level)
        with pytest.warns(FairnessWarning, match="one group"):
            model.fit(X, y, sensitive_features=alone)
        free = AranyaniClassifier(**SMALL, constraint=None).fit(X, y)
        assert_array_equal(model.coef_, free.coef_)
        assert np.isnan(model.running_parity_)

    def test_order_of_features_does_not_matter(self, stream, with_parameters):
        X, y, groups = stream(200, d=4)
        order = [2, 0, 3, 1]
        first = AranyaniClassifier(**SMALL)
        empty = np.empty((0, 4)), np.empty(0)
        first.partial_fit(*empty, classes=[0, 1], sensitive_groups=[0, 1])
        start = first.coef_.copy(), first.intercept_.copy(), first.leaf_logits_.copy()
        other = with_parameters(
            AranyaniClassifier(**SMALL), start[0][..., order], *start[1:], classes=[0, 1],
            groups=[0, 1],
        )  # fmt: skip
        first.partial_fit(X, y, sensitive_features=groups)
        other.partial_fit(X[:, order], y, sensitive_features=groups)
        assert_allclose(other.coef_, first.coef_[..., order], atol=1e-9)

    def test_copies_of_trees(self, stream, with_parameters):
        """Outputs stay; each copy gets half of the gradient."""
        X, y, _ = stream(1)
        W, b, theta = (
            np.random.default_rng(0).normal(size=s) for s in ((1, 3, 3), (1, 3), (1, 4, 2))
        )
        moves = []
        for copies in (1, 2):
            model = AranyaniClassifier(
                copies, 2, optimizer="sgd", learning_rate=1.0, constraint=None, standardize=None
            )
            many = [np.repeat(a, copies, axis=0) for a in (W, b, theta)]
            with_parameters(model, *many, classes=[0, 1], groups=[0])
            p = model.progressive_predict_proba(X, y)
            moves.append((p, model.coef_[0] - W[0]))
        assert_allclose(moves[0][0], moves[1][0], rtol=1e-14)
        assert_allclose(moves[0][1], 2 * moves[1][1], rtol=1e-12)

    def test_fixed_model_has_exact_gaps(self, stream):
        """Learning rate zero: running means are the means over the data (the offline gap)."""
        X, y, groups = stream(300)
        model = AranyaniClassifier(
            **SMALL, level="node", optimizer="sgd", learning_rate=0.0, decay=1.0, standardize=None
        )
        model.fit(X, y, sensitive_features=groups)
        weights = np.where(groups == 1, 1 / (groups == 1).sum(), -1 / (groups == 0).sum())
        nodes = model.node_outputs(X)
        assert_allclose(model.node_gap_, np.tensordot(weights, nodes, 1), atol=1e-13)
        means = model.group_node_means(X, sensitive_features=groups)
        assert_allclose(model.node_gap_, means[1] - means[0], atol=1e-13)

    @each_level
    def test_one_batch_is_one_step_on_everything(self, stream, level):
        """SGD with B = n: mean loss plus the penalty of exact means, by central differences."""
        X, y, groups = stream(40)
        params = {
            **SMALL,
            "level": level,
            "optimizer": "sgd",
            "standardize": None,
            "batch_size": 40,
            "decay": 1.0,
            "huber_slope": "delta",
            "fairness_weight": 30.0,
        }
        model = AranyaniClassifier(**params, learning_rate=1.0)
        model.partial_fit(np.empty((0, 3)), np.empty(0), classes=[0, 1], sensitive_groups=[0, 1])

        def objective():
            p = model.predict_proba(X)
            loss = -np.log(p[np.arange(40), y]).mean()
            values = p[:, 1] if level == "output" else model.node_outputs(X)
            gap = np.abs(values[groups == 1].mean(axis=0) - values[groups == 0].mean(axis=0))
            delta = model.huber_delta
            huber = np.where(gap < delta, gap**2 / 2, delta * (gap - delta / 2))
            return loss + model.fairness_weight * huber.sum()

        places = [
            (model.coef_, (1, 2, 0)),
            (model.intercept_, (0, 0)),
            (model.leaf_logits_, (2, 3, 1)),
        ]
        expected = []
        for array, at in places:
            ends = []
            for sign in (1, -1):
                array[at] += sign * 1e-6
                ends.append(objective())
                array[at] -= sign * 1e-6
            expected.append((ends[0] - ends[1]) / 2e-6)
        before = [array[at] for array, at in places]
        model.partial_fit(X, y, sensitive_features=groups)
        found = [start - array[at] for start, (array, at) in zip(before, places, strict=True)]
        assert_allclose(found, expected, atol=1e-8)


class TestNotions:
    def test_equalized_odds_of_one_class_is_demographic_parity(self, stream):
        X, _, groups = stream(200)
        ones = np.ones(200, dtype=int)
        fits = []
        for constraint in ("demographic_parity", "equalized_odds"):
            model = AranyaniClassifier(**SMALL, constraint=constraint)
            empty = np.empty((0, 3)), np.empty(0)
            model.partial_fit(*empty, classes=[0, 1], sensitive_groups=[0, 1])
            fits.append(model.partial_fit(X, ones, sensitive_features=groups))
        assert_array_equal(fits[0].coef_, fits[1].coef_)

    @each_level
    def test_equal_opportunity_looks_at_positives_only(self, stream, level):
        X, y, groups = stream(200)
        names = {"constraint": "equal_opportunity", "level": level}
        model = AranyaniClassifier(**SMALL, **names).fit(X, y, sensitive_features=groups)
        counts = [(y[groups == g] == 1).sum() for g in (0, 1)]
        assert model.group_counts_.tolist() == [counts]
        mixed = np.where(y == 0, 1 - groups, groups)  # other groups where they do not count
        other = AranyaniClassifier(**SMALL, **names).fit(X, y, sensitive_features=mixed)
        assert_array_equal(other.coef_, model.coef_)

    def test_equal_opportunity_closes_the_gap_it_is_about(self):
        rng = np.random.default_rng(0)
        n = 12000
        groups, y = rng.integers(2, size=n), rng.integers(2, size=n)
        # Positives of group 1 are easy to tell, those of group 0 look like negatives.
        X = rng.normal(size=(n, 2))
        X[:, 0] += 2.0 * y * np.where(groups == 1, 1.0, 0.3)
        X[:, 1] += groups
        gaps = {}
        for weight in (0.0, 1.0):
            model = AranyaniClassifier(
                constraint="equal_opportunity", fairness_weight=weight, random_state=0
            ).fit(X, y, sensitive_features=groups)
            gaps[weight] = model.running_parity_
        assert gaps[1.0] < 0.5 * gaps[0.0]

    def test_regression_pulls_means_together(self, stream):
        X, y, groups = stream(5000, n_classes=1)
        parities = [
            AranyaniRegressor(fairness_weight=weight, random_state=0)
            .fit(X, y, sensitive_features=groups)
            .running_parity_
            for weight in (0.0, 1.0, 2.0)
        ]
        assert parities[0] > 1.3 * parities[1] > 2 * parities[2]


class TestTarget:
    @pytest.mark.parametrize("start", [0.0, 0.5])
    def test_the_weight_moves_until_the_target_is_met(self, stream, start):
        X, y, groups = stream(20000)
        free = AranyaniClassifier(constraint=None, random_state=0)
        free.fit(X, y, sensitive_features=groups)
        assert free.running_parity_ > 0.2
        model = AranyaniClassifier(fairness_weight=start, max_unfairness=0.1, random_state=0)
        decisions = model.progressive_predict(X, y, sensitive_features=groups)
        late = slice(10000, None)
        rates = [decisions[late][groups[late] == g].mean() for g in (0, 1)]
        assert 0.07 < abs(rates[1] - rates[0]) < 0.13
        assert model.fairness_weight_ > start

    def test_one_step_of_the_ascent(self, with_parameters):
        """The decisions' gap is 1 after two rows; the weight moves by rate times the excess."""
        model = AranyaniClassifier(
            1, 1, max_unfairness=0.2, fairness_weight=0.3, dual_learning_rate=0.5, decay=1.0,
            optimizer="sgd", learning_rate=0.0, standardize=None,
        )  # fmt: skip
        theta = [[[-9.0, 9.0], [9.0, -9.0]]]
        with_parameters(model, [[[3.0]]], [[0.0]], theta, classes=[0, 1], groups=[0, 1])
        model.partial_fit([[1.0]], [1], sensitive_features=[0])
        assert model.fairness_weight_ == 0.3  # one group: no gap, no step
        model.partial_fit([[-1.0]], [1], sensitive_features=[1])
        multiplier = 0.3 + 0.5 * (1.0 - 0.2)
        assert_allclose(model.fairness_weight_, multiplier + DAMPING * 0.5 * (1.0 - 0.2))
        for _ in range(200):  # both groups are decided alike from now on
            model.partial_fit([[1.0], [1.0]], [1, 1], sensitive_features=[0, 1])
        assert model.fairness_weight_ == 0.0

    def test_a_loose_target_leaves_no_weight(self, stream):
        X, y, groups = stream(4000)
        model = AranyaniClassifier(max_unfairness=0.9, random_state=0)
        assert model.fit(X, y, sensitive_features=groups).fairness_weight_ == 0.0

    def test_regression_target_is_in_units_of_the_target(self, stream):
        X, y, groups = stream(20000, n_classes=1)
        model = AranyaniRegressor(max_unfairness=30.0, random_state=0)
        found = model.progressive_predict(X, 100 * y, sensitive_features=groups)[10000:]
        late = groups[10000:]
        assert 20.0 < abs(found[late == 1].mean() - found[late == 0].mean()) < 40.0

    def test_the_scale_of_the_target_does_not_matter(self, stream):
        X, y, groups = stream(1000, n_classes=1)
        models = [
            AranyaniRegressor(max_unfairness=0.1 * scale, random_state=0).fit(
                X, scale * y, sensitive_features=groups
            )
            for scale in (1.0, 2.0**15)
        ]
        assert_allclose(models[1].coef_, models[0].coef_)
        assert models[0].fairness_weight_ == pytest.approx(models[1].fairness_weight_)


def test_decay_follows_a_change(stream):
    """After the groups change places, faded statistics see it and plain averages do not."""
    X, y, groups = stream(3000)
    flipped = np.where(np.arange(3000) < 1500, groups, 1 - groups)
    gaps = {}
    for decay in (1.0, 0.99):
        model = AranyaniClassifier(
            **SMALL, decay=decay, optimizer="sgd", learning_rate=0.0, standardize=None
        ).fit(X, y, sensitive_features=flipped)
        gaps[decay] = float(np.diff(model.output_mean_[0, :, 0])[0])
    fixed = AranyaniClassifier(**SMALL, optimizer="sgd", learning_rate=0.0, standardize=None)
    p = fixed.fit(X, y, sensitive_features=groups).predict_proba(X)[:, 1]
    now = p[flipped == 1][-700:].mean() - p[flipped == 0][-700:].mean()
    assert abs(gaps[0.99] - now) < abs(gaps[1.0] - now)
