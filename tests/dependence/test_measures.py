"""Distance covariances against closed forms, definitions and other packages' traps."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose
from scipy.optimize import approx_fprime

from fairgroup.dependence import (
    concatenated_distance_covariance,
    distance_correlation,
    distance_covariance,
    joint_distance_covariance,
)
from fairgroup.exceptions import FairgroupWarning, UnseenGroupError
from fairgroup.groups import SensitiveEncoder

ROOT2 = np.sqrt(2)
Y = np.array([0.1, 0.4, 0.2, 0.8, 0.5, 0.9, 0.3, 0.7])
GROUPS = pd.DataFrame({"a": [0, 0, 0, 0, 1, 1, 1, 1], "b": list("xyzxyzxy")})
ONE_HOT = np.eye(3)[[0, 1, 2, 0, 1, 2, 0, 1]]
NUMBERS = SensitiveEncoder(kinds={"z": "continuous"}, scale="none")


def mixed(n, rng):
    """Sex, four races and an age in years, encoded as documented; and the blocks by hand."""
    sex, race, age = rng.integers(0, 2, n), rng.integers(0, 4, n), rng.integers(18, 70, n)
    frame = pd.DataFrame({"sex": sex, "race": np.array(list("pqrs"))[race], "age": age})
    levels, codes = np.unique(race, return_inverse=True)
    blocks = [
        sex.astype(float),
        np.eye(len(levels))[codes],
        (age - age.min()) / (age.max() - age.min()),
    ]
    return frame, blocks


class TestClosedForms:
    """Section 7 of the method's specification."""

    def test_two_groups(self):
        y, s = [0, 1, 2, 4, 7], [0, 0, 1, 1, 1]
        value, grad = distance_covariance(y, s, estimator="V", return_grad=True)
        assert_allclose(value, 0.5696, rtol=1e-12)
        assert_allclose(grad, [-0.0576, -0.1728, 0.128, 0.0768, 0.0256], atol=1e-12)
        value, grad = distance_covariance(y, s, return_grad=True)
        assert_allclose(value, 2 / 3, rtol=1e-12)
        assert_allclose(grad, [0, -0.4, 4 / 15, 2 / 15, 0], atol=1e-12)
        assert_allclose(distance_correlation(y, s, estimator="V"), 0.618055555555555, rtol=1e-12)
        assert_allclose(distance_correlation(y, s), 0.66226617853252, rtol=1e-12)
        p, energy = 0.4, 4.944444444444445
        assert_allclose(
            distance_covariance(y, s, estimator="V"), 2 * p**2 * (1 - p) ** 2 * energy, rtol=1e-12
        )

    @pytest.mark.parametrize("method", ["auto", "sort", "cells", "blocked", "tiles", "dense"])
    def test_ties(self, method):
        y, z = [1, 2, 2, 5, 3, 4], {"z": [3, 1, 2, 2, 5, 0]}
        common = {"encoder": NUMBERS, "method": method}
        value, grad = distance_covariance(y, z, estimator="V", return_grad=True, **common)
        assert_allclose(value, 0.324074074074074, rtol=1e-12)
        expected = [
            -0.0709876543209877,
            0.0123456790123457,
            -0.0246913580246914,
            0.0339506172839506,
            -0.0524691358024691,
            0.101851851851852,
        ]
        assert_allclose(grad, expected, atol=1e-12)
        value, grad = distance_covariance(y, z, return_grad=True, **common)
        assert_allclose(value, -0.2, rtol=1e-12)
        expected = [
            0,
            0.144444444444444,
            0.0333333333333333,
            0,
            -0.155555555555556,
            -0.0222222222222222,
        ]
        assert_allclose(grad, expected, atol=1e-12)
        assert_allclose(distance_correlation(y, z, **common), -0.262445329583911, rtol=1e-12)
        assert_allclose(
            distance_correlation(y, z, estimator="V", **common), 0.279523353202642, rtol=1e-12
        )

    @pytest.mark.parametrize("method", ["auto", "cells", "blocked", "tiles", "dense"])
    def test_two_attributes(self, method):
        def value(function, **options):
            return function(Y, GROUPS, method=method, **options)

        terms = value(concatenated_distance_covariance, by_attribute=True, estimator="V")
        assert_allclose(terms[["a", "b"]], [0.0203125, 0.0263783975012951], rtol=1e-12)
        assert_allclose(terms["total"], 0.0407619438706724, rtol=1e-12)
        terms = value(concatenated_distance_covariance, by_attribute=True)
        assert_allclose(terms[["a", "b"]], [-0.00285714285714287, -0.0259272486435067], rtol=1e-12)
        assert_allclose(terms["total"], -0.0203385669173593, rtol=1e-12)
        assert_allclose(terms["total"], terms[:-1].sum(), rtol=1e-12)
        for c, expected in (
            (1.0, -0.0959034161275634),
            (0.5, -0.046155881317911),
            (2.0, -0.195398485746868),
        ):
            assert_allclose(value(joint_distance_covariance, c=c), expected, rtol=1e-12)
        assert_allclose(
            value(joint_distance_covariance, estimator="V"), 0.0911612849118553, rtol=1e-12
        )
        constant = value(joint_distance_covariance) - value(
            joint_distance_covariance, include_attribute_dependence=False
        )
        assert_allclose(constant, -0.0707106781186546, rtol=1e-12)
        assert_allclose(
            value(joint_distance_covariance, normalise="dvar"), -0.327153139877556, rtol=1e-12
        )
        _, grad = value(concatenated_distance_covariance, return_grad=True)
        expected = [
            0,
            0.0301805884167,
            -0.00108869039834,
            -0.0306950341212,
            0.0657632508337,
            0,
            -0.0109835449683,
            -0.0531765697624,
        ]
        assert_allclose(grad, expected, atol=1e-12)
        _, grad = value(joint_distance_covariance, return_grad=True)
        expected = [
            0,
            0.000404498406252,
            -0.0212263222254,
            -0.055203451735,
            0.127548157237,
            0,
            0.0116364324471,
            -0.06315931413,
        ]
        assert_allclose(grad, expected, atol=1e-12)

    @pytest.mark.parametrize("n", [40, 1000])
    def test_exclusive_or_is_seen_jointly_only(self, n):
        groups = pd.DataFrame({"a": [0, 0, 1, 1], "b": [0, 1, 0, 1]}).loc[
            np.tile(range(4), n // 4)
        ]
        y = (groups["a"] ^ groups["b"]).to_numpy()
        unbiased = {
            40: (0.067330067585, 0.110702418395, -0.006930006930),
            1000: (0.073015146243, 0.124497365721, -0.000251003260),
        }[n]
        found = (
            concatenated_distance_covariance(y, groups),
            joint_distance_covariance(y, groups),
            distance_covariance(y, groups["a"]),
        )
        assert_allclose(found, unbiased, atol=1e-12)
        assert_allclose(distance_covariance(y, groups["b"], estimator="V"), 0, atol=1e-14)
        assert_allclose(
            concatenated_distance_covariance(y, groups, estimator="V"), (2 - ROOT2) / 8, rtol=1e-12
        )
        terms = joint_distance_covariance(y, groups, estimator="V", decompose=True)
        assert_allclose(terms.sum(), 1 / 8, rtol=1e-12)
        assert_allclose(terms["y_pred x a x b"], 1 / 8, rtol=1e-12)
        pairwise = joint_distance_covariance(y, groups, decompose=True).drop("y_pred x a x b")
        assert abs(pairwise.sum()) < 0.03 < joint_distance_covariance(y, groups)

    def test_the_remainder_of_the_concatenation_can_be_negative_in_the_population(self):
        groups = {"a": [0, 0, 1, 1] * 5, "b": [0, 1, 0, 1] * 5}
        terms = concatenated_distance_covariance(
            groups["a"], groups, estimator="V", by_attribute=True
        )
        assert_allclose(terms["a"] + terms["b"], 1 / 4, rtol=1e-12)
        assert_allclose(terms["total"], ROOT2 / 8, rtol=1e-12)
        assert_allclose(terms["remainder"], ROOT2 / 8 - 1 / 4, rtol=1e-12)


METHODS = ["auto", "cells", "blocked", "tiles", "dense", "sort"]


class TestAgainstDefinitions:
    @pytest.mark.parametrize("estimator", ["U", "V"])
    @pytest.mark.parametrize("ties", [False, True])
    def test_concatenated(self, reference, estimator, ties):
        rng = np.random.default_rng(0)
        frame, blocks = mixed(60, rng)
        y = rng.normal(size=60)
        y = np.round(y, 1) if ties else y
        expected = reference.dcov(y, np.column_stack(blocks), estimator)
        for method in METHODS[:-1]:
            found = concatenated_distance_covariance(y, frame, estimator=estimator, method=method)
            assert_allclose(found, expected, rtol=1e-10)
        found = distance_correlation(y, frame, estimator=estimator)
        assert_allclose(found, reference.dcor(y, np.column_stack(blocks), estimator), rtol=1e-10)

    @pytest.mark.parametrize("estimator", ["U", "V"])
    @pytest.mark.parametrize("c", [1.0, 0.3, 2.0])
    def test_joint(self, reference, estimator, c):
        rng = np.random.default_rng(1)
        frame, blocks = mixed(150, rng)
        y = np.round(rng.normal(size=150), 1)
        expected = reference.jdcov([y, *blocks], c, estimator)
        own = c * reference.jdcov(blocks, c, estimator)
        for method in METHODS:
            common = {"estimator": estimator, "c": c, "method": method}
            found = joint_distance_covariance(y, frame, **common)
            assert_allclose(found, expected, rtol=1e-9, atol=1e-14)
            found = joint_distance_covariance(
                y, frame, include_attribute_dependence=False, **common
            )
            assert_allclose(found, expected - own, rtol=1e-9, atol=1e-14)

    @pytest.mark.parametrize("estimator", ["U", "V"])
    def test_joint_of_ranks(self, reference, estimator):
        rng = np.random.default_rng(2)
        frame, blocks = mixed(50, rng)
        y = np.round(rng.normal(size=50), 1)
        variables = [reference.distribution(v) for v in (y, *blocks)]
        found = joint_distance_covariance(y, frame, ranked=True, estimator=estimator)
        assert_allclose(found, reference.jdcov(variables, 1.0, estimator), rtol=1e-10)

    @pytest.mark.parametrize("estimator", ["U", "V"])
    def test_joint_normalised(self, reference, estimator):
        rng = np.random.default_rng(3)
        frame, blocks = mixed(50, rng)
        y = rng.normal(size=50)
        scaled = [v / np.sqrt(reference.dcov(v, v, estimator)) for v in (y, *blocks)]
        for method in ("auto", "tiles"):
            found = joint_distance_covariance(
                y, frame, normalise="dvar", estimator=estimator, method=method
            )
            assert_allclose(found, reference.jdcov(scaled, 1.0, estimator), rtol=1e-9)
            assert_allclose(
                joint_distance_covariance(
                    7 * y, frame, normalise="dvar", estimator=estimator, method=method
                ),
                found,
                rtol=1e-9,
            )

    @pytest.mark.parametrize("c", [1.0, 0.5])
    @pytest.mark.parametrize("estimator", ["U", "V"])
    @pytest.mark.parametrize("normalise", [None, "dvar"])
    def test_terms_sum_to_the_joint_covariance(self, c, estimator, normalise):
        rng = np.random.default_rng(4)
        frame, _ = mixed(40, rng)
        y = rng.normal(size=40)
        common = {"estimator": estimator, "c": c, "normalise": normalise}
        terms = joint_distance_covariance(y, frame, decompose=True, **common)
        assert len(terms) == 2**4 - 1 - 4
        assert_allclose(terms.sum(), joint_distance_covariance(y, frame, **common), rtol=1e-9)
        ours = joint_distance_covariance(
            y, frame, decompose=True, include_attribute_dependence=False, **common
        )
        assert all(name.startswith("y_pred") for name in ours.index)

    @pytest.mark.parametrize("function", [distance_covariance, joint_distance_covariance])
    def test_weights(self, function):
        """Whole numbers as weights are repeated rows; equal ones change nothing."""
        rng = np.random.default_rng(5)
        frame, _ = mixed(40, rng)
        encoder = SensitiveEncoder().fit(frame)
        y, times = np.round(rng.normal(size=40), 1), rng.integers(1, 4, 40)
        rows = np.repeat(np.arange(40), times)
        common = {"estimator": "V", "encoder": encoder}
        for method in METHODS if function is joint_distance_covariance else METHODS[:-1]:
            found, grad = function(
                y, frame, sample_weight=times, return_grad=True, method=method, **common
            )
            repeated, each = function(
                y[rows], frame.iloc[rows], return_grad=True, method=method, **common
            )
            assert_allclose(found, repeated, rtol=1e-10)
            assert_allclose(grad, np.bincount(rows, weights=each), atol=1e-12)
            equal = function(y, frame, sample_weight=np.full(40, 3.0), method=method, **common)
            assert_allclose(equal, function(y, frame, method=method, **common), rtol=1e-12)

    @pytest.mark.parametrize("estimator", ["U", "V"])
    def test_several_outputs(self, reference, estimator):
        rng = np.random.default_rng(6)
        frame, blocks = mixed(40, rng)
        y = rng.normal(size=(40, 3))
        y[5] = y[6]
        expected = reference.dcov(y, np.column_stack(blocks), estimator)
        for method in METHODS[:-1]:
            found = distance_covariance(y, frame, estimator=estimator, method=method)
            assert_allclose(found, expected, rtol=1e-10)
        expected = reference.jdcov([y, *blocks], 1.0, estimator)
        assert_allclose(joint_distance_covariance(y, frame, estimator=estimator), expected)


class TestGradients:
    @pytest.mark.parametrize("estimator", ["U", "V"])
    @pytest.mark.parametrize("method", METHODS)
    @pytest.mark.parametrize(
        "function",
        [distance_covariance, distance_correlation, joint_distance_covariance],
    )
    def test_differences(self, function, method, estimator):
        rng = np.random.default_rng(7)
        frame, _ = mixed(25, rng)
        frame = frame[["age"]] if method == "sort" else frame
        y = rng.normal(size=25)

        def value(y):
            return function(y, frame, estimator=estimator, method=method)

        _, grad = function(y, frame, estimator=estimator, method=method, return_grad=True)
        assert_allclose(grad, approx_fprime(y, value, 1e-7), atol=1e-6)

    def test_root(self):
        y, s = np.array([0.0, 1, 2, 4, 7]), [0, 0, 1, 1, 1]
        common = {"estimator": "V", "squared": False}
        value, grad = distance_covariance(y, s, return_grad=True, **common)
        assert_allclose(value, np.sqrt(0.5696), rtol=1e-12)
        assert_allclose(
            grad,
            approx_fprime(y, lambda y: distance_covariance(y, s, **common), 1e-7),
            atol=1e-6,
        )

    def test_root_at_zero_has_gradient_zero(self):
        value, grad = distance_covariance(
            np.ones(8), GROUPS, estimator="V", squared=False, return_grad=True
        )
        assert value == 0.0
        assert not grad.any()

    def test_several_outputs(self):
        rng = np.random.default_rng(8)
        frame, _ = mixed(20, rng)
        y = rng.normal(size=(20, 2))
        _, grad = joint_distance_covariance(y, frame, return_grad=True)
        expected = approx_fprime(
            y.ravel(), lambda v: joint_distance_covariance(v.reshape(20, 2), frame), 1e-7
        )
        assert_allclose(grad.ravel(), expected, atol=1e-6)

    def test_float32_in_float32_out(self):
        y = Y.astype(np.float32)
        value, grad = concatenated_distance_covariance(y, GROUPS, return_grad=True)
        assert grad.dtype == np.float32
        assert_allclose(value, -0.0203385669173593, rtol=1e-6)


class TestUnbiased:
    def test_mean_over_all_subsets_is_the_statistic_of_the_data(self):
        """Unbiased for one attribute or the concatenation; JdCov of three variables is not."""
        rng = np.random.default_rng(9)
        n, size = 9, 5
        frame = pd.DataFrame({"a": rng.integers(0, 2, n), "b": rng.normal(size=n)})
        encoder = SensitiveEncoder(kinds={"a": "binary", "b": "continuous"}).fit(frame)
        y = rng.normal(size=n)
        subsets = [list(s) for s in itertools.combinations(range(n), size)]

        def mean(function, estimator="U"):
            return np.mean(
                [
                    function(y[s], frame.iloc[s], encoder=encoder, estimator=estimator)
                    for s in subsets
                ]
            )

        whole = concatenated_distance_covariance(y, frame, encoder=encoder)
        assert_allclose(mean(concatenated_distance_covariance), whole, rtol=1e-10)
        biased = concatenated_distance_covariance(y, frame, encoder=encoder, estimator="V")
        assert mean(concatenated_distance_covariance, "V") > biased
        joint = joint_distance_covariance(y, frame, encoder=encoder)
        assert abs(mean(joint_distance_covariance) - joint) > 1e-6


class TestTraps:
    def test_float32_does_not_lose_a_small_joint_covariance(self, reference):
        """Summing n^2 products near one in float32 loses values of this size."""
        rng = np.random.default_rng(10)
        n = 3000
        frame = pd.DataFrame({"a": rng.integers(0, 2, n), "b": rng.integers(0, 3, n).astype(str)})
        y = rng.gamma(2, 0.1, n).astype(np.float32)
        blocks = [frame["a"].to_numpy(float), np.eye(3)[frame["b"].astype(int)]]
        expected = reference.jdcov([y.astype(float), *blocks])
        found = joint_distance_covariance(y, frame)
        assert_allclose(found, expected, rtol=1e-6)

    @pytest.mark.parametrize("n", [60_000, 200_000])
    def test_no_integer_overflow(self, n):
        """n (n - 1) (n - 2) (n - 3) exceeds 64 bits from n = 55,110; groups of one size have a
        closed form from the means within and between.
        """
        y = np.arange(n) % 4
        s = np.arange(n) % 2
        # The cells of (y, s): s = y mod 2, so dCov^2_V = 2 p^2 (1 - p)^2 E with p = 1/2.
        between, within = np.mean([1, 3, 1, 1]), 1.0
        expected = 2 / 16 * (2 * between - 2 * within)
        found = distance_covariance(y, s)
        assert_allclose(found, expected, rtol=0, atol=1e-4)
        assert_allclose(distance_covariance(y, s, estimator="V"), expected, rtol=1e-10)
        assert 0 < distance_correlation(y, s) < 1

    def test_close_points_keep_their_distance(self, reference):
        z = {"z": np.array([1.0, 1.0 + 1e-9, 5.0, 9.0, 1.0 + 2e-9, 3.0])}
        encoder = SensitiveEncoder(kinds={"z": "continuous"}, scale="none").fit(z)
        y = np.array([0.0, 1, 2, 3, 4, 5]) * 1e-9
        for method in ("sort", "tiles", "dense"):
            found = distance_covariance(y, z, encoder=encoder, estimator="V", method=method)
            assert_allclose(found, reference.dcov(y, z["z"], "V"), rtol=1e-7)


class TestDegenerate:
    @pytest.mark.parametrize("estimator", ["U", "V"])
    @pytest.mark.parametrize("method", METHODS)
    def test_constant_predictions(self, estimator, method):
        groups = {"z": np.arange(6.0)} if method == "sort" else GROUPS
        y = np.full(6 if method == "sort" else 8, 0.3)
        encoder = NUMBERS if method == "sort" else None
        value, grad = distance_covariance(
            y, groups, estimator=estimator, method=method, encoder=encoder, return_grad=True
        )
        assert abs(value) < 1e-16
        assert_allclose(grad, 0, atol=1e-15)
        assert distance_correlation(y, groups, estimator=estimator, encoder=encoder) == 0.0

    def test_constant_attribute_says_so(self):
        with pytest.warns(FairgroupWarning, match="one value only"):
            assert abs(distance_covariance(Y, ["all"] * 8)) < 1e-15
        with pytest.warns(FairgroupWarning, match="one value only"):
            assert distance_correlation(Y, ["all"] * 8) == 0.0

    def test_four_rows(self, reference):
        y, s = [0.0, 1, 3, 2], [0, 1, 1, 0]
        assert_allclose(distance_covariance(y, s), reference.dcov(y, s), rtol=1e-12)

    def test_every_row_a_cell(self, reference):
        z = np.random.default_rng(11).normal(size=30)
        y = np.random.default_rng(12).normal(size=30)
        encoder = SensitiveEncoder(scale="none")
        for method in ("cells", "blocked", "sort", "tiles", "dense"):
            found = distance_covariance(y, z, encoder=encoder, method=method)
            assert_allclose(found, reference.dcov(y, z), rtol=1e-10)

    def test_predictions_of_two_values(self, reference):
        y = np.array([0, 1, 1, 0, 1, 0, 0, 1])
        for method in METHODS[:-1]:
            found = concatenated_distance_covariance(y, GROUPS, method=method)
            blocks = np.column_stack([GROUPS["a"], ONE_HOT])
            assert_allclose(found, reference.dcov(y, blocks), rtol=1e-10)


class TestBadInput:
    def test_too_few_rows(self):
        with pytest.raises(ValueError, match=r"at least 4 rows; got 3.*estimator=\"V\""):
            distance_covariance([1, 2, 3], [0, 1, 0])

    def test_weights_with_the_unbiased_statistic(self):
        with pytest.raises(ValueError, match=r"sample_weight needs estimator=\"V\""):
            distance_covariance(Y, GROUPS, sample_weight=np.ones(8))

    @pytest.mark.parametrize("weights", [np.ones(7), -np.ones(8), np.zeros(8)])
    def test_weights_that_do_not_fit(self, weights):
        with pytest.raises(ValueError, match="sample_weight"):
            distance_covariance(Y, GROUPS, sample_weight=weights, estimator="V")

    def test_predictions_that_are_not_finite(self):
        with pytest.raises(ValueError, match="y_pred must be finite; row 2 is nan"):
            distance_covariance([1, 2, np.nan, 4], [0, 1, 0, 1])

    def test_predictions_that_are_no_numbers(self):
        with pytest.raises(ValueError, match="y_pred must be numbers"):
            distance_covariance(list("abcd"), [0, 1, 0, 1])

    def test_other_numbers_of_rows(self):
        with pytest.raises(ValueError, match=r"sensitive_features has 7 rows.* 8 predictions"):
            distance_covariance(Y, GROUPS[:-1])

    def test_missing_group(self):
        with pytest.raises(ValueError, match="missing"):
            distance_covariance(Y, ["a", None] * 4)

    def test_unseen_level(self):
        encoder = SensitiveEncoder().fit(GROUPS)
        other = GROUPS.assign(b=list("xyzxyzxw"))
        with pytest.raises(UnseenGroupError, match="'w'"):
            distance_covariance(Y, other, encoder=encoder)

    def test_root_of_the_unbiased_statistic(self):
        with pytest.raises(ValueError, match="squared=False needs estimator"):
            distance_covariance(Y, GROUPS, squared=False)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"c": 0.0}, "c=0.0; expected a positive"),
            ({"c": np.nan}, "c=nan; expected a positive"),
            ({"normalise": "std"}, "normalise='std'"),
            ({"ranked": True, "return_grad": True}, "ranked=True has no gradient"),
            ({"decompose": True, "return_grad": True}, "decompose=True has no gradient"),
            ({"estimator": "W"}, "estimator='W'"),
            ({"method": "fast"}, "method='fast'; expected one of"),
            ({"method": "sort"}, "needs one numeric column"),
        ],
    )
    def test_options(self, options, message):
        groups = pd.DataFrame(np.random.default_rng(0).normal(size=(20, 3)))
        with pytest.raises(ValueError, match=message):
            joint_distance_covariance(np.arange(20.0), groups, **options)

    def test_by_attribute_has_no_gradient(self):
        with pytest.raises(ValueError, match="by_attribute=True"):
            concatenated_distance_covariance(Y, GROUPS, by_attribute=True, return_grad=True)

    def test_correlation_takes_one_output(self):
        with pytest.raises(ValueError, match="takes one output"):
            distance_correlation(np.column_stack([Y, Y]), GROUPS)


def test_a_table_of_cells_that_would_not_fit_is_refused(monkeypatch):
    monkeypatch.setattr("fairgroup.dependence._choose._LARGEST_TABLE", 20)
    z = np.random.default_rng(0).normal(size=30)
    with pytest.raises(ValueError, match=r"method='cells' needs a table of 30 x 30"):
        distance_covariance(z, z, method="cells")
