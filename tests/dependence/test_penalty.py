"""The penalty as an object: kinds, conditions, units, batches, vectors, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from fairgroup.dependence import (
    DependencePenalty,
    concatenated_distance_covariance,
    distance_correlation,
    distance_covariance,
    joint_distance_covariance,
)
from fairgroup.dependence._conditioning import Anchors, condition_of
from fairgroup.exceptions import FairgroupWarning
from fairgroup.groups import SensitiveEncoder


@pytest.fixture
def people():
    rng = np.random.default_rng(0)
    n = 60
    groups = pd.DataFrame({"sex": rng.integers(0, 2, n), "region": rng.choice(list("abc"), n)})
    return groups, rng.random(n), rng.integers(0, 2, n), rng.normal(size=n)


def slope_by_differences(prepared, y_pred, step=1e-6):
    slope = np.empty_like(y_pred)
    for place in np.ndindex(y_pred.shape):
        up, down = y_pred.copy(), y_pred.copy()
        up[place] += step
        down[place] -= step
        rise = prepared.value_and_grad(up)[0] - prepared.value_and_grad(down)[0]
        slope[place] = rise / (2 * step)
    return slope


def joint_as_text(groups):
    return groups["sex"].astype(str) + groups["region"]


class TestKinds:
    @pytest.mark.parametrize("estimator", ["U", "V"])
    def test_they_are_the_measures(self, people, estimator):
        groups, y_pred, _, _ = people
        margins = [
            distance_covariance(y_pred, groups[name], estimator=estimator) for name in groups
        ]
        crossed = joint_as_text(groups)
        expected = {
            "ccdcov": concatenated_distance_covariance(y_pred, groups, estimator=estimator),
            "jdcov": joint_distance_covariance(
                y_pred, groups, estimator=estimator, c=0.7, include_attribute_dependence=False
            ),
            "sum_dcov": sum(margins),
            "dcor": distance_correlation(y_pred, groups, estimator=estimator),
            "joint": distance_covariance(y_pred, crossed, estimator=estimator),
        }
        for kind, value in expected.items():
            prepared = DependencePenalty(kind, c=0.7, estimator=estimator).prepare(groups)
            found, slope = prepared.value_and_grad(y_pred)
            assert found == pytest.approx(value, rel=1e-10, abs=1e-14), kind
            np.testing.assert_allclose(
                slope, slope_by_differences(prepared, y_pred), atol=1e-8, err_msg=kind
            )

    @pytest.mark.parametrize("estimator", ["U", "V"])
    def test_in_units_of_a_correlation(self, people, estimator):
        groups, y_pred, _, _ = people
        margins = [
            distance_correlation(y_pred, groups[name], estimator=estimator) for name in groups
        ]
        crossed = joint_as_text(groups)
        expected = {
            "ccdcov": distance_correlation(y_pred, groups, estimator=estimator),
            "jdcov": joint_distance_covariance(
                y_pred,
                groups,
                estimator=estimator,
                normalise="dvar",
                include_attribute_dependence=False,
            ),
            "sum_dcov": sum(margins),
            "joint": distance_correlation(y_pred, crossed, estimator=estimator),
        }
        for kind, value in expected.items():
            penalty = DependencePenalty(kind, estimator=estimator, normalise="dvar")
            prepared = penalty.prepare(groups)
            found, slope = prepared.value_and_grad(y_pred)
            assert found == pytest.approx(value, rel=1e-10, abs=1e-14), kind
            # free of units, so that growing in proportion changes nothing
            assert prepared.value_and_grad(1000 * y_pred + 5)[0] == pytest.approx(found)
            assert y_pred @ slope == pytest.approx(0, abs=1e-12)
            np.testing.assert_allclose(
                slope, slope_by_differences(prepared, y_pred), atol=1e-7, err_msg=kind
            )

    def test_exclusive_or_is_seen_by_what_joins_attributes_only(self):
        groups = [[0, 0], [0, 1], [1, 0], [1, 1]] * 250
        y_pred = np.array([0.0, 1.0, 1.0, 0.0] * 250)
        value = {
            kind: DependencePenalty(kind).prepare(groups).value_and_grad(y_pred)[0]
            for kind in ("ccdcov", "jdcov", "sum_dcov", "joint")
        }
        constant = joint_distance_covariance(y_pred, groups) - value["jdcov"]
        assert value["ccdcov"] == pytest.approx(0.073015146243, abs=1e-11)
        assert value["jdcov"] + constant == pytest.approx(0.124497365721, abs=1e-11)
        assert constant == pytest.approx(
            distance_covariance(np.array(groups)[:, 0], np.array(groups)[:, 1]), abs=1e-12
        )
        assert value["sum_dcov"] == pytest.approx(2 * -0.000251003260, abs=1e-11)
        assert value["joint"] > 0.1

    def test_it_is_homogeneous_and_even(self, people):
        groups, y_pred, _, _ = people
        prepared = DependencePenalty("jdcov").prepare(groups)
        value, slope = prepared.value_and_grad(y_pred)
        assert prepared.value_and_grad(-3 * y_pred)[0] == pytest.approx(3 * value)
        assert slope.sum() == pytest.approx(0, abs=1e-15)
        assert y_pred @ slope == pytest.approx(value)

    def test_constant_predictions(self, people):
        groups = people[0]
        for kind in ("ccdcov", "dcor", "jdcov"):
            value, slope = DependencePenalty(kind).prepare(groups).value_and_grad(np.full(60, 0.3))
            assert value == 0
            np.testing.assert_allclose(slope, 0, atol=1e-15)


class TestConditions:
    @pytest.mark.parametrize("kind", ["ccdcov", "jdcov"])
    def test_equalized_odds_adds_the_classes_by_their_shares(self, people, kind):
        groups, y_pred, y, _ = people
        prepared = DependencePenalty(kind, constraint="equalized_odds").prepare(groups, y=y)
        found, slope = prepared.value_and_grad(y_pred)
        encoder = SensitiveEncoder().fit(groups)
        expected = 0.0
        for label in (0, 1):
            part = DependencePenalty(kind, encoder=encoder).prepare(groups[y == label])
            value, inner = part.value_and_grad(y_pred[y == label])
            share = np.mean(y == label)
            expected += share * value
            np.testing.assert_allclose(slope[y == label], share * inner, atol=1e-15)
        assert found == pytest.approx(expected)

    def test_equal_opportunity_looks_at_the_last_class_only(self, people):
        groups, y_pred, y, _ = people
        labels = np.where(y == 1, "yes", "no")
        penalty = DependencePenalty(constraint="equal_opportunity")
        found, slope = penalty.prepare(groups, y=labels).value_and_grad(y_pred)
        assert found == pytest.approx(
            concatenated_distance_covariance(y_pred[y == 1], groups[y == 1])
        )
        assert not slope[y == 0].any()

    def test_legitimate_factors_make_strata_of_their_combinations(self, people):
        groups, y_pred, y, _ = people
        factors = pd.DataFrame({"a": np.repeat(["x", "y"], 30), "b": y})
        penalty = DependencePenalty(constraint="conditional_parity")
        found = penalty.prepare(groups, control_features=factors).value_and_grad(y_pred)[0]
        expected = sum(
            len(rows) / 60 * concatenated_distance_covariance(y_pred[rows], groups.iloc[rows])
            for rows in factors.groupby(["a", "b"]).indices.values()
        )
        assert found == pytest.approx(expected)

    def test_a_continuous_condition_against_its_definition(self, people):
        groups, y_pred, _, z = people
        penalty = DependencePenalty(constraint="equalized_odds", n_anchors=4)
        prepared = penalty.prepare(groups, y=z)
        width = z.std() * 60**-0.2
        b = np.zeros((60, 60))
        for column in SensitiveEncoder().fit_transform(groups).T:
            b += (column[:, None] - column) ** 2
        a, b = np.abs(y_pred[:, None] - y_pred), np.sqrt(b)
        values = []
        for point in np.quantile(z, [0.125, 0.375, 0.625, 0.875]):
            w = np.exp(-0.5 * ((z - point) / width) ** 2)
            w /= w.sum()
            values.append(
                w @ (a * b) @ w - 2 * w @ ((a @ w) * (b @ w)) + (w @ a @ w) * (w @ b @ w)
            )
        found, slope = prepared.value_and_grad(y_pred)
        assert found == pytest.approx(np.mean(values))
        np.testing.assert_allclose(slope, slope_by_differences(prepared, y_pred), atol=1e-8)

    def test_weights_near_an_anchor_that_is_far_from_every_row(self):
        anchors = Anchors(np.array([0.0, 1.0]), np.array([1e4]), 0.1)
        weights = anchors.weights()
        assert np.isfinite(weights).all()
        assert weights.argmax() == 1

    def test_a_class_with_too_few_rows_is_named(self, people):
        groups, _, y, _ = people
        y = np.where(np.arange(60) < 3, 2, y)
        penalty = DependencePenalty(constraint="equalized_odds")
        with pytest.raises(ValueError, match=r"at least 4 rows where y=2; found 3.*Merge"):
            penalty.prepare(groups, y=y)
        assert len(clone(penalty).set_params(estimator="V").prepare(groups, y=y)) == 60

    def test_batches_skip_small_strata(self, people):
        groups, y_pred, _, _ = people
        y = np.repeat([0, 1], 30)
        prepared = DependencePenalty(constraint="equalized_odds").prepare(groups, y=y)
        index = np.r_[0:10, 30:33]  # three rows of the second class
        value, slope = prepared.value_and_grad(y_pred[index], index)
        assert not slope[10:].any()
        inner = DependencePenalty(encoder=prepared.encoder_).prepare(groups.iloc[:10])
        assert value == pytest.approx(10 / 13 * inner.value_and_grad(y_pred[:10])[0])
        for few in ([0, 1, 2], [0, 1, 2, 30, 31, 32]):
            value, slope = prepared.value_and_grad(y_pred[few], few)
            assert value == 0
            assert not slope.any()

    @pytest.mark.parametrize(
        ("constraint", "given", "message"),
        [
            ("equalized_odds", {}, "needs y"),
            ("equal_opportunity", {"y": np.arange(60) % 3}, "two classes; y has 3"),
            ("conditional_parity", {}, "needs control_features"),
            (
                "conditional_parity",
                {"control_features": np.random.default_rng(0).random((60, 2))},
                "continuous column .* bin it",
            ),
            (
                "conditional_parity",
                {"control_features": np.where(np.arange(60) == 5, None, "x")},
                "missing",
            ),
            ("equalized_odds", {"y": np.zeros(59)}, "59"),
        ],
    )
    def test_what_it_needs(self, people, constraint, given, message):
        with pytest.raises(ValueError, match=message):
            DependencePenalty(constraint=constraint).prepare(people[0], **given)

    def test_numbers_with_few_values_are_strata(self):
        counts = np.repeat(np.arange(10), 4)
        found = condition_of(
            "equalized_odds", y=counts, control_features=None, n_samples=40, n_anchors=5
        )
        assert found.names == tuple(f"y={k}" for k in range(10))
        np.testing.assert_array_equal(found.codes, counts)


class TestBatches:
    def test_a_batch_is_the_penalty_of_its_rows(self, people):
        groups, y_pred, _, _ = people
        index = np.random.default_rng(1).permutation(60)[:25]
        for kind in ("ccdcov", "jdcov", "sum_dcov", "joint"):
            prepared = DependencePenalty(kind).prepare(groups)
            alone = DependencePenalty(kind, encoder=prepared.encoder_).prepare(groups.iloc[index])
            found, expected = (
                prepared.value_and_grad(y_pred[index], index),
                alone.value_and_grad(y_pred[index]),
            )
            assert found[0] == pytest.approx(expected[0])
            np.testing.assert_allclose(found[1], expected[1], atol=1e-15)

    def test_the_mean_of_all_batches_is_the_penalty_of_all_rows(self):
        rng = np.random.default_rng(3)
        groups, y_pred = rng.integers(0, 2, (9, 2)), rng.random(9)
        for kind in ("ccdcov", "sum_dcov", "joint"):
            prepared = DependencePenalty(kind).prepare(groups)
            slope, values = np.zeros(9), []
            batches = [np.array(b) for b in itertools.combinations(range(9), 5)]
            for batch in batches:
                value, part = prepared.value_and_grad(y_pred[batch], batch)
                values.append(value)
                slope[batch] += part / len(batches)
            whole, whole_slope = prepared.value_and_grad(y_pred)
            assert np.mean(values) == pytest.approx(whole, abs=1e-14)
            np.testing.assert_allclose(slope, whole_slope, atol=1e-14)

    def test_batches_share_the_scale_of_the_attributes(self, people):
        groups, y_pred, _, _ = people
        prepared = DependencePenalty("dcor").prepare(groups)
        index = np.arange(0, 60, 2)
        found = prepared.value_and_grad(y_pred[index], index)[0]
        alone = DependencePenalty("dcor", encoder=prepared.encoder_).prepare(groups.iloc[index])
        own = alone.value_and_grad(y_pred[index])[0]
        ratio = alone._attribute_variance / prepared._attribute_variance
        assert found == pytest.approx(own * np.sqrt(ratio))


class TestVectors:
    def test_the_sum_over_columns(self, people):
        groups, _, _, _ = people
        table = np.random.default_rng(0).random((60, 3))
        prepared = DependencePenalty().prepare(groups)
        value, slope = prepared.value_and_grad(table)
        parts = [prepared.value_and_grad(column) for column in table.T]
        assert value == pytest.approx(sum(part[0] for part in parts))
        np.testing.assert_allclose(slope, np.column_stack([part[1] for part in parts]))

    @pytest.mark.parametrize("kind", ["ccdcov", "jdcov"])
    def test_the_joint_form(self, people, kind):
        groups, _, _, _ = people
        table = np.random.default_rng(0).random((60, 2))
        prepared = DependencePenalty(kind, outputs="joint").prepare(groups)
        value, slope = prepared.value_and_grad(table)
        assert value == pytest.approx(
            joint_distance_covariance(table, groups, include_attribute_dependence=False)
            if kind == "jdcov"
            else distance_covariance(table, groups)
        )
        np.testing.assert_allclose(slope, slope_by_differences(prepared, table), atol=1e-8)

    def test_dependence_that_no_column_shows(self):
        """Two coins whose exclusive or is the attribute: only the joint form sees it."""
        table = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]] * 50)
        attribute = [0, 1, 1, 0] * 50
        columns = DependencePenalty(estimator="V").prepare(attribute).value_and_grad(table)[0]
        whole = DependencePenalty(estimator="V", outputs="joint").prepare(attribute)
        assert columns == pytest.approx(0, abs=1e-14)
        assert whole.value_and_grad(table)[0] > 0.05


class TestWeights:
    @pytest.mark.parametrize("constraint", ["demographic_parity", "equalized_odds"])
    def test_whole_weights_are_repeated_rows(self, people, constraint):
        groups, y_pred, y, _ = people
        weights = np.arange(60) % 4
        rows = np.repeat(np.arange(60), weights)
        penalty = DependencePenalty("dcor", estimator="V", constraint=constraint)
        weighted = penalty.prepare(groups, y=y, sample_weight=weights).value_and_grad(y_pred)
        repeated = penalty.prepare(groups.iloc[rows], y=y[rows]).value_and_grad(y_pred[rows])
        assert weighted[0] == pytest.approx(repeated[0])
        summed = np.bincount(rows, weights=repeated[1], minlength=60)
        np.testing.assert_allclose(weighted[1], summed, atol=1e-14)

    def test_the_unbiased_statistic_has_none(self, people):
        with pytest.raises(ValueError, match='needs estimator="V"'):
            DependencePenalty().prepare(people[0], sample_weight=np.arange(60))


class TestBadInput:
    @pytest.mark.parametrize(
        ("params", "message"),
        [
            ({"kind": "cov"}, "kind"),
            ({"c": 0.0}, "'c'"),
            ({"estimator": "W"}, "estimator"),
            ({"constraint": "parity"}, "constraint"),
            ({"n_anchors": 0}, "n_anchors"),
            ({"method": "fast"}, "method"),
            ({"outputs": "joint", "normalise": "dvar"}, "not normalised"),
        ],
    )
    def test_parameters(self, people, params, message):
        with pytest.raises(ValueError, match=message):
            DependencePenalty(**params).prepare(people[0])

    def test_rows_and_predictions(self, people):
        groups, y_pred, _, _ = people
        prepared = DependencePenalty().prepare(groups)
        with pytest.raises(ValueError, match=r"\(59,\)"):
            prepared.value_and_grad(y_pred[:-1])
        y_pred[7] = np.nan
        with pytest.raises(ValueError, match="finite; row 7"):
            prepared.value_and_grad(y_pred)
        with pytest.raises(ValueError, match="at least 4 rows"):
            DependencePenalty().prepare([0, 1, 0])

    def test_a_constant_attribute_warns_and_adds_nothing(self, people):
        groups, y_pred, _, _ = people
        alone = DependencePenalty().prepare(groups).value_and_grad(y_pred)[0]
        with pytest.warns(FairgroupWarning, match="one value only"):
            prepared = DependencePenalty().prepare(groups.assign(planet="earth"))
        assert prepared.value_and_grad(y_pred)[0] == pytest.approx(alone)

    def test_it_is_cloned_and_shown(self):
        penalty = DependencePenalty("jdcov", c=2.0)
        assert clone(penalty).get_params() == penalty.get_params()
        assert "jdcov" in repr(penalty)


def test_intersections_of_few_rows_may_be_levels():
    groups = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"], ["a", "x"], ["a", "x"]]
    y_pred = np.arange(6.0)
    value = DependencePenalty("joint").prepare(groups).value_and_grad(y_pred)[0]
    names = ["".join(row) for row in groups]
    assert value == pytest.approx(distance_covariance(y_pred, names))


@pytest.mark.parametrize("kind", ["ccdcov", "sum_dcov", "jdcov"])
def test_one_person_of_a_group_has_no_distance_variance(kind):
    # The unbiased distance variance is zero exactly, in floating point only nearly.
    rng = np.random.default_rng(0)
    y_pred, one = rng.normal(size=50), np.where(np.arange(50) == 7, "b", "a")
    prepared = DependencePenalty(kind, normalise="dvar").prepare(one)
    value, slope = prepared.value_and_grad(y_pred)
    assert value == 0
    assert not slope.any()
    prepared = DependencePenalty(kind, normalise="dvar").prepare(rng.choice(list("ab"), 50))
    value, slope = prepared.value_and_grad(0.1 + 0.3 * (np.arange(50) == 7))
    assert value == 0
    assert not slope.any()


def test_few_rows_may_be_allowed():
    penalty = DependencePenalty()
    with pytest.raises(ValueError, match="at least 4 rows"):
        penalty.prepare(list("aba"))
    prepared = penalty.prepare(list("aba"), allow_few=True)
    value, slope = prepared.value_and_grad(np.arange(3.0))
    assert prepared.method_ is None
    assert value == 0
    assert not slope.any()
