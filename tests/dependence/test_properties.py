"""What must hold for any predictions and attributes."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from fairgroup.dependence._attributes import Attributes
from fairgroup.dependence._centring import Centring, prediction_variance
from fairgroup.dependence._choose import KINDS, make_kernel
from fairgroup.dependence._ranking import rank
from fairgroup.exceptions import FairgroupWarning

BLOCKS = (slice(0, 1), slice(1, 4), slice(4, 5))
KERNELS = [(k, e) for k in KINDS for e in "UV"]
every_kernel = pytest.mark.parametrize(("kind", "estimator"), KERNELS)


def attributes_of(sex, race, age):
    """Three attributes: binary, one-hot of three levels, a number."""
    matrix = np.column_stack([sex, np.eye(3)[race], np.asarray(age) / 5])
    return Attributes.from_matrix(matrix.astype(float), BLOCKS, ("sex", "race", "age"))


@st.composite
def problems(draw):
    """Attributes and predictions, with few values so that ties are common."""
    n = draw(st.integers(4, 14))

    def numbers(high):
        return draw(st.lists(st.integers(0, high), min_size=n, max_size=n))

    y = np.array(numbers(6)) / 4 - 0.5
    return attributes_of(numbers(1), numbers(2), numbers(4)), y


def dense_value(kernel, y):
    """The master formula: sum_ij |y_i - y_j| K_ij + const."""
    return (np.abs(y[:, None] - y) * kernel.dense()).sum() + kernel.const


class TestKernel:
    @every_kernel
    @settings(max_examples=40, deadline=None)
    @given(problem=problems())
    def test_methods_agree_with_all_pairs(self, kind, estimator, problem):
        attributes, y = problem
        method = "blocked" if kind == "joint" else "tiles"
        expected = make_kernel(attributes, kind=kind, estimator=estimator, method=method)
        value = dense_value(expected, y)
        sign = np.sign(y[:, None] - y)
        grad = 2 * (sign * expected.dense()).sum(axis=1)
        for method in ("cells", "blocked") if kind == "joint" else ("cells", "blocked", "dense"):
            kernel = make_kernel(attributes, kind=kind, estimator=estimator, method=method)
            found = kernel.value_and_grad(y)
            assert_allclose(found[0], value, atol=1e-12)
            assert_allclose(found[1], grad, atol=1e-12)
            assert_allclose(dense_value(kernel, y), value, atol=1e-12)

    @every_kernel
    @settings(max_examples=40, deadline=None)
    @given(problem=problems(), factor=st.floats(0.01, 50), shift=st.floats(-5, 5))
    def test_homogeneous_even_and_blind_to_shifts(self, kind, estimator, problem, factor, shift):
        attributes, y = problem
        kernel = make_kernel(attributes, kind=kind, estimator=estimator, method="blocked")
        value, grad = kernel.value_and_grad(y)
        scale = 1 + np.abs(grad).max()
        assert_allclose(y @ grad + kernel.const, value, atol=1e-12 * scale)
        assert_allclose(grad.sum(), 0, atol=1e-12 * scale)
        free = value - kernel.const
        for other, expected, slope in (
            (y * factor, factor * free, grad),
            (-y, free, -grad),
            (y + np.round(shift * 4) / 4, free, grad),
        ):
            found, its = kernel.value_and_grad(other)
            assert_allclose(found - kernel.const, expected, atol=1e-9 * (1 + factor))
            assert_allclose(its, slope, atol=1e-9)

    @every_kernel
    @settings(max_examples=30, deadline=None)
    @given(problem=problems(), seed=st.integers(0, 1000))
    def test_order_of_rows_and_names_of_levels_do_not_matter(self, kind, estimator, problem, seed):
        attributes, y = problem
        rng = np.random.default_rng(seed)
        moved, levels = rng.permutation(len(y)), rng.permutation(3)
        matrix = attributes.matrix[moved].copy()
        matrix[:, 0] = 1 - matrix[:, 0]
        matrix[:, 1:4] = matrix[:, 1:4][:, levels]
        other = Attributes.from_matrix(matrix, BLOCKS, attributes.names)
        value, grad = make_kernel(
            attributes, kind=kind, estimator=estimator, method="blocked"
        ).value_and_grad(y)
        found, its = make_kernel(
            other, kind=kind, estimator=estimator, method="blocked"
        ).value_and_grad(y[moved])
        assert_allclose(found, value, atol=1e-12)
        assert_allclose(its, grad[moved], atol=1e-12)

    @settings(max_examples=60, deadline=None)
    @given(problem=problems())
    def test_biased_statistics_are_not_negative(self, problem):
        attributes, y = problem
        for kind in KINDS:
            kernel = make_kernel(attributes, kind=kind, estimator="V", method="blocked")
            assert kernel.value_and_grad(y)[0] >= -1e-14

    @settings(max_examples=40, deadline=None)
    @given(problem=problems(), c=st.sampled_from([0.3, 1.0, 4.0]))
    def test_one_attribute_has_one_covariance(self, problem, c):
        """JdCov of two variables is dCov for every c, and every kind is the same."""
        attributes, y = problem
        for k in range(3):
            part = attributes.select([k])
            expected = make_kernel(part, method="blocked").value_and_grad(y)[0]
            for kind in ("jdcov", "sum_dcov"):
                kernel = make_kernel(part, kind=kind, c=c, method="blocked")
                assert_allclose(kernel.value_and_grad(y)[0], expected, atol=1e-12)

    @settings(max_examples=40, deadline=None)
    @given(problem=problems(), cut=st.integers(0, 13))
    def test_splitting_a_cell_in_two_equal_ones_changes_nothing(self, problem, cut):
        attributes, y = problem
        cell, rows = attributes.cell.copy(), attributes.table.rows
        own = cell == cell[0]
        own[: min(cut, len(y) - 1)] = False
        cell[own] = len(rows)
        table = type(attributes.table)(np.vstack([rows, rows[attributes.cell[0]]]), BLOCKS)
        split = Attributes(attributes.matrix, BLOCKS, attributes.names, cell, table)
        for kind in ("ccdcov", "jdcov"):
            expected = make_kernel(attributes, kind=kind, method="blocked").value_and_grad(y)
            found = make_kernel(split, kind=kind, method="blocked").value_and_grad(y)
            assert_allclose(found[0], expected[0], atol=1e-12)
            assert_allclose(found[1], expected[1], atol=1e-12)

    @settings(max_examples=40, deadline=None)
    @given(problem=problems())
    def test_a_batch_is_as_good_as_its_own_attributes(self, problem):
        attributes, y = problem
        rows = np.arange(0, len(y), 1)[::-1][: max(4, len(y) - 2)]
        batch = attributes.take(rows)
        fresh = Attributes.from_matrix(attributes.matrix[rows], BLOCKS, attributes.names)
        for kind in KINDS:
            found = make_kernel(batch, kind=kind, method="blocked").value_and_grad(y[rows])
            expected = make_kernel(fresh, kind=kind, method="blocked").value_and_grad(y[rows])
            assert_allclose(found[0], expected[0], atol=1e-12)
            assert_allclose(found[1], expected[1], atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(problem=problems(), estimator=st.sampled_from("UV"))
def test_variance_of_predictions(problem, estimator):
    """dVar^2(y) = dCov^2(y, y); its gradient has Euler's identity of degree two."""
    y = problem[1]
    y = y + 1e-3 * np.arange(len(y))
    centring = Centring.make(len(y), estimator)
    value, grad = prediction_variance(rank(y), centring)
    own = Attributes.from_matrix(y[:, None], [slice(0, 1)], ["y"])
    expected = make_kernel(own, estimator=estimator, method="tiles").value_and_grad(y)[0]
    assert_allclose(value, expected, atol=1e-12)
    assert_allclose(grad @ (y - y.mean()), 2 * value, atol=1e-12)


def test_correlation_is_one_for_a_line():
    rng = np.random.default_rng(0)
    z = rng.normal(size=200)
    for y in (3 * z + 1, -2 * z):
        own = Attributes.from_matrix(z[:, None], [slice(0, 1)], ["z"])
        centring = Centring.make(200, "V")
        value = make_kernel(own, estimator="V").value_and_grad(y)[0]
        spread = (
            prediction_variance(rank(y), centring)[0],
            prediction_variance(rank(z), centring)[0],
        )
        assert_allclose(value / np.sqrt(spread[0] * spread[1]), 1, rtol=1e-12)


def test_concatenated_l1_distance_would_be_the_sum_of_the_marginals():
    """Why the concatenation is Euclidean: an additive distance is blind to intersections."""
    rng = np.random.default_rng(1)
    attributes = attributes_of(rng.integers(0, 2, 30), rng.integers(0, 3, 30), np.zeros(30))
    y = rng.normal(size=30)
    centring = Centring.make(30, "U")
    from fairgroup.dependence._cell_kernel import CellKernel, centre_cells

    mass = np.bincount(attributes.cell).astype(float)
    additive = sum(attributes.table.block_distances)
    kernel = CellKernel(attributes.cell, centre_cells(additive, mass, centring), centring.weights)
    marginal = make_kernel(attributes, kind="sum_dcov").value_and_grad(y)[0]
    assert_allclose(kernel.value_and_grad(y)[0], marginal, rtol=1e-10)
    assert abs(make_kernel(attributes).value_and_grad(y)[0] - marginal) > 1e-4


class TestChoice:
    @pytest.mark.parametrize(
        ("kind", "columns", "n", "expected"),
        [
            ("ccdcov", "sr", 1000, "blocked"),
            ("jdcov", "sra", 1000, "blocked"),
            ("ccdcov", "z", 1000, "sort"),
            ("jdcov", "srz", 1000, "sort"),
            ("ccdcov", "sz", 1000, "tiles"),
            ("jdcov", "zz", 1000, "tiles"),
            ("ccdcov", "sz", 100, "dense"),
            ("sum_dcov", "sz", 1000, "blocked+sort"),
        ],
    )
    def test_follows_the_attributes(self, kind, columns, n, expected):
        rng = np.random.default_rng(2)
        make = {
            "s": lambda: rng.integers(0, 2, (n, 1)).astype(float),
            "r": lambda: np.eye(3)[rng.integers(0, 3, n)],
            "a": lambda: rng.integers(20, 60, (n, 1)) / 40,
            "z": lambda: rng.normal(size=(n, 1)),
        }
        parts = [make[column]() for column in columns]
        stops = np.cumsum([0, *(part.shape[1] for part in parts)])
        blocks = [slice(a, b) for a, b in itertools.pairwise(stops)]
        attributes = Attributes.from_matrix(np.hstack(parts), blocks, list(columns))
        assert make_kernel(attributes, kind=kind).method == expected


def test_a_quadratic_computation_that_takes_minutes_says_so(monkeypatch):
    monkeypatch.setattr("fairgroup.dependence._tile_kernel._SLOW", 300)
    rng = np.random.default_rng(3)
    attributes = Attributes.from_matrix(
        rng.normal(size=(400, 2)), [slice(0, 1), slice(1, 2)], ["a", "b"]
    )
    with pytest.warns(FairgroupWarning, match="need about .* s for each evaluation"):
        make_kernel(attributes).value_and_grad(rng.normal(size=400))
