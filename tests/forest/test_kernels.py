"""Gradients and steps of the compiled loop against central differences and the slow reference."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose

from fairgroup.forest import AranyaniClassifier, AranyaniRegressor, _stream_kernels
from fairgroup.forest._kernels import (
    backward,
    column_of,
    forward,
    leaf_gradient,
    leaf_values,
    sigmoid,
)

SHAPES = st.tuples(
    st.integers(1, 3), st.integers(1, 5), st.integers(1, 5), st.integers(1, 5)
)  # trees, depth, features, classes


def draw_forest(T, h, d, K, seed):
    rng = np.random.default_rng(seed)
    W, b = rng.normal(size=(T, 2**h - 1, d)), rng.normal(size=(T, 2**h - 1))
    return W, b, rng.normal(size=(T, 2**h, K)), rng.normal(size=d)


def flat(W, b):
    """Node parameters as the kernels keep them."""
    both = np.concatenate([W, b[..., None]], axis=2)
    return np.moveaxis(both, -1, 0).ravel()


def run_forward(W, b, theta, x):
    T, m, _d = W.shape
    values, node = np.empty(theta.shape), np.empty(T * m)
    reach, out = np.empty((T, 2 * m + 1)), np.empty(max(1, theta.shape[2] * (theta.shape[2] > 2)))
    leaf_values(theta, values)
    forward(np.append(x, 1.0), flat(W, b), values, node, reach, out)
    return values, node, reach, out


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(0, 2**16))
def test_gradient_of_every_output_by_central_differences(shape, seed):
    T, h, d, K = shape
    W, b, theta, x = draw_forest(T, h, d, K, seed)
    values, node, reach, out = run_forward(W, b, theta, x)
    slope, below, leaf_grad = np.empty(node.shape), np.empty(reach.shape[1]), np.empty(theta.size)
    rng, step = np.random.default_rng(seed), 1e-6
    for c in range(len(out)):
        backward(c, values, node, reach, below, slope)
        leaf_gradient(c, values, reach, leaf_grad)
        for array, grad in ((b, slope.reshape(b.shape)), (theta, leaf_grad.reshape(theta.shape))):
            at = tuple(rng.integers(n) for n in array.shape)
            ends = []
            for sign in (1, -1):
                array[at] += sign * step
                ends.append(run_forward(W, b, theta, x)[3][c])
                array[at] -= sign * step
            assert_allclose((ends[0] - ends[1]) / (2 * step), grad[at], atol=2e-9)


@settings(max_examples=40, deadline=None)
@given(SHAPES, st.integers(0, 2**16))
def test_identities(shape, seed):
    T, h, d, K = shape
    W, b, theta, x = draw_forest(T, h, d, K, seed)
    values, node, reach, out = run_forward(W, b, theta, x)
    leaves = reach[:, 2**h - 1 :]
    assert_allclose(leaves.sum(axis=1), 1.0, atol=1e-14)
    if K > 1:
        assert_allclose(values.sum(axis=2), 1.0, atol=1e-14)
    if K > 2:
        assert_allclose(out.sum(), 1.0, atol=1e-14)
    below, slope, leaf_grad = np.empty(reach.shape[1]), np.empty(node.shape), np.empty(theta.size)
    for c in range(len(out)):
        backward(c, values, node, reach, below, slope)
        # the value below the root of the last tree is that tree's output, divided by T
        column = column_of(c, K)
        assert_allclose(below[0], leaves[-1] @ values[-1, :, column] / T, atol=1e-14)
        leaf_gradient(c, values, reach, leaf_grad)
        if K > 1:
            assert_allclose(leaf_grad.reshape(-1, K).sum(axis=1), 0.0, atol=1e-15)


@settings(max_examples=25, deadline=None)
@given(SHAPES, st.integers(0, 2**16))
def test_forward_and_gradient_of_the_reference(reference, shape, seed):
    T, h, d, K = shape
    W, b, theta, x = draw_forest(T, h, d, K, seed)
    slow = reference.SlowForest(W, b, theta)
    values, node, reach, out = run_forward(W, b, theta, x)
    classes = [column_of(c, K) for c in range(len(out))]
    assert_allclose(out, slow.output(x)[classes], rtol=1e-12)
    slope, below, leaf_grad = np.empty(node.shape), np.empty(reach.shape[1]), np.empty(theta.size)
    for c, k in enumerate(classes):
        backward(c, values, node, reach, below, slope)
        leaf_gradient(c, values, reach, leaf_grad)
        expected = slow.gradient(x, k)
        assert_allclose(slope, expected[W.size : W.size + b.size], atol=1e-14)
        assert_allclose(leaf_grad, expected[W.size + b.size :], atol=1e-14)


def test_saturated_nodes_are_no_special_case():
    assert sigmoid(-1e4) == 0.0
    assert sigmoid(1e4) == 1.0
    W, b, theta, x = draw_forest(2, 3, 2, 2, 0)
    values, node, reach, out = run_forward(1e6 * W, b, theta, x)
    assert set(np.round(node, 12)) <= {0.0, 1.0}
    slope, below = np.empty(node.shape), np.empty(reach.shape[1])
    backward(0, values, node, reach, below, slope)
    assert np.isfinite(out).all()
    assert np.isfinite(slope).all()


OPTIONS = st.fixed_dictionaries(
    {
        "level": st.sampled_from(["node", "output"]),
        "huber_slope": st.sampled_from(["unit", "delta"]),
        "group_reduction": st.sampled_from(["mean", "max"]),
        "decay": st.sampled_from([1.0, 0.9]),
        "wait_for_groups": st.booleans(),
        "optimizer": st.sampled_from(["adam", "sgd"]),
        "batch_size": st.sampled_from([1, 3, 7]),
        "huber_delta": st.sampled_from([0.01, 0.2]),
    }
)


def as_reference(reference, model, n_groups, notion):
    leaves = model.leaf_logits_ if hasattr(model, "classes_") else model.leaf_values_
    return reference.SlowForest(
        model.coef_,
        model.intercept_,
        leaves,
        weight=model.fairness_weight,
        level=model.level,
        notion=notion,
        n_groups=n_groups,
        delta=model.huber_delta,
        slope=model.huber_slope,
        reduction=model.group_reduction,
        decay=model.decay,
        wait=model.wait_for_groups,
        optimizer=model.optimizer,
        rate=model.learning_rate,
    )


def test_a_changed_kernel_is_compiled_anew():
    """Else users of an older version would go on with its loop, which numba has in its cache."""
    folder = Path(_stream_kernels.__file__).parent
    names = ("_fairness_kernels.py", "_kernels.py", "_state.py")
    sources = "".join((folder / name).read_text(encoding="utf-8") for name in names)
    assert hashlib.sha256(sources.encode()).hexdigest()[:16] == _stream_kernels.MADE_OF


NOTIONS = st.sampled_from(["demographic_parity", "equal_opportunity", "equalized_odds"])


@pytest.mark.filterwarnings("ignore:The only group is")
@settings(max_examples=40, deadline=None)
@given(OPTIONS, NOTIONS, st.integers(1, 4), st.integers(2, 4), st.integers(0, 1000))
def test_classifier_is_the_reference(
    reference, stream, with_parameters, options, notion, n_groups, n_classes, seed
):
    n_classes = 2 if notion == "equal_opportunity" else n_classes
    X, y, groups = stream(30, 3, n_groups, n_classes, seed)
    model = AranyaniClassifier(
        2, 2, fairness_weight=0.7, constraint=notion, standardize=None, learning_rate=0.05,
        random_state=seed, **options,
    )  # fmt: skip
    start = np.empty((0, 3)), np.empty(0)
    model.partial_fit(*start, classes=range(n_classes), sensitive_groups=range(n_groups))
    slow = as_reference(reference, model, n_groups, notion)
    found = model.progressive_predict_proba(X, y, sensitive_features=groups)
    expected = slow.run(X, y, groups, model.batch_size)
    assert_allclose(found, expected, atol=1e-9)
    assert_allclose(model.coef_, slow.W, atol=1e-9)
    assert_allclose(model.intercept_, slow.b, atol=1e-9)
    assert_allclose(model.leaf_logits_, slow.theta, atol=1e-9)
    assert model.n_updates_ == slow.updates


@pytest.mark.filterwarnings("ignore:The only group is")
@settings(max_examples=20, deadline=None)
@given(OPTIONS, st.integers(1, 3), st.integers(0, 1000))
def test_regressor_is_the_reference(reference, stream, options, n_groups, seed):
    X, y, groups = stream(30, 2, n_groups, 1, seed)
    model = AranyaniRegressor(
        2, 2, fairness_weight=0.7, standardize=None, standardize_target=False,
        learning_rate=0.05, random_state=seed, **options,
    )  # fmt: skip
    model.partial_fit(np.empty((0, 2)), np.empty(0), sensitive_groups=range(n_groups))
    slow = as_reference(reference, model, n_groups, "demographic_parity")
    found = model.progressive_predict(X, y, sensitive_features=groups)
    assert_allclose(found, slow.run(X, y, groups, model.batch_size)[:, 0], atol=1e-9)
    assert_allclose(model.coef_, slow.W, atol=1e-9)
    assert_allclose(model.leaf_values_, slow.theta, atol=1e-9)


@pytest.mark.parametrize("level", ["node", "output"])
@pytest.mark.parametrize("decay", [1.0, 0.95])
def test_statistics_are_means_of_what_was_logged(reference, stream, level, decay):
    """Each row's value was computed with the parameters of its time, and stays."""
    X, y, groups = stream(60, 2)
    model = AranyaniClassifier(
        1, 2, level=level, decay=decay, standardize=None, random_state=1, learning_rate=0.05
    )
    empty = np.empty((0, 2)), np.empty(0)
    model.partial_fit(*empty, classes=[0, 1], sensitive_groups=[0, 1])
    slow = as_reference(reference, model, 2, "demographic_parity")
    slow.run(X, y, groups)
    model.partial_fit(X, y, sensitive_features=groups)
    for g in (0, 1):
        values = np.array([v for _, group, v, _ in slow.log if group == g])
        weights = np.ones(len(values))
        if decay < 1:
            # the recursion written out: the newest row weighs r_i, older ones fade
            rates = [max(1 / (i + 1), 1 - decay) for i in range(len(values))]
            weights = np.array(
                [r * np.prod(1 - np.array(rates[i + 1 :])) for i, r in enumerate(rates)]
            )
        expected = weights @ values / weights.sum()
        found = model.output_mean_[0, g] if level == "output" else model.node_mean_[0, g].ravel()
        assert_allclose(found, expected, atol=1e-10)
        if level == "node":
            grads = np.array([grad for _, group, _, grad in slow.log if group == g])
            mean = np.einsum("i,iqp->qp", weights, grads) / weights.sum()
            by_weight = mean[:, : slow.W.size].reshape(3, 3, 2)
            kept = model.node_grad_mean_[0, g, 0]
            assert_allclose(kept[:, :2], by_weight[np.arange(3), np.arange(3)], atol=1e-10)
            by_bias = mean[:, slow.W.size : slow.W.size + 3]
            assert_allclose(kept[:, 2], np.diag(by_bias), atol=1e-10)
