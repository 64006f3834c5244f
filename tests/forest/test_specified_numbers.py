"""The closed example and the three steps, to every digit that is known."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fairgroup.forest import AranyaniClassifier

W = [[[0.5, -1.0], [1.0, 0.25], [-0.75, 0.5]]]
B = [[0.1, -0.2, 0.3]]
THETA = [[[0.2, 0.8], [0.9, 0.1], [0.4, 0.6], [0.7, 0.3]]]
X = np.array([[1.0, 2.0], [-1.0, 0.5], [0.5, -1.0]])
Y = np.array([1, 0, 1])
A = np.array([0, 1, 1])
PLAIN = {
    "n_estimators": 1,
    "max_depth": 2,
    "fairness_weight": 0.5,
    "decay": 1.0,
    "standardize": None,
}
STEPS = {**PLAIN, "optimizer": "sgd", "learning_rate": 0.1}


@pytest.fixture
def start(with_parameters):
    def make(**params):
        model = AranyaniClassifier(**{**PLAIN, **params})
        return with_parameters(model, W, B, THETA, classes=[0, 1], groups=[0, 1])

    return make


def test_forward(start):
    model = start()
    assert_allclose(
        model.node_outputs(X[:1])[0, 0],
        [0.197816111441, 0.785834983043, 0.634135591011],
        rtol=1e-11,
    )
    assert_allclose(
        model.leaf_probabilities(X[:1])[0, 0],
        [0.15545082058, 0.042365290861, 0.50869335427, 0.293490534288],
        rtol=1e-10,
    )
    assert_allclose(model.predict_proba(X[:1])[0], [0.489019602668, 0.510980397332], rtol=1e-11)
    shares = np.exp(THETA[0]) / np.exp(THETA[0]).sum(axis=1, keepdims=True)
    assert_allclose(
        shares[:, 1], [0.645656306226, 0.310025518872, 0.549833997312, 0.401312339888], rtol=1e-11
    )
    assert_allclose(model.tree_outputs(X[:1])[0, 0], model.predict_proba(X[:1])[0], rtol=1e-14)


def test_loss_and_gradient(start):
    """One step of size 1 moves the parameters by minus the gradient."""
    model = start(optimizer="sgd", learning_rate=1.0, constraint=None)
    model.partial_fit(X[:1], Y[:1], sensitive_features=A[:1])
    assert_allclose(model.running_loss_, 0.6714240509001416, rtol=1e-13)
    bias = np.array([-0.024310068916, -0.021867498374, -0.054095579186])
    assert_allclose(B[0] - model.intercept_[0], bias, atol=1e-12)
    assert_allclose(W[0] - model.coef_[0], bias[:, None] * X[0], atol=2e-12)
    leaves = np.array([0.069600904654, 0.017735213637, 0.246408739489, 0.137997964314])
    assert_allclose(
        THETA[0] - model.leaf_logits_[0], np.stack([leaves, -leaves], axis=1), atol=1e-12
    )


FINAL = {
    "node, unit": (
        {},
        [0.510980397332, 0.490869456628, 0.476363277631],
        0.7415745275,
        [[0.526775447362, -0.965223040445],
         [0.984968707825, 0.205601965331],
         [-0.733197217982, 0.499733869518]],
        [0.104991662654, -0.18364295118, 0.304793602359],
        [0.823170957264, 0.109937917413, 0.60146542659, 0.31332184506],
    ),
    "node, delta": (
        {"huber_slope": "delta"},
        [0.510980397332, 0.490869456628, 0.476137680306],
        0.7420482222,
        [[0.497810819876, -0.99304406024],
         [1.012649390019, 0.238038037004],
         [-0.740195072826, 0.507500825361]],
        [0.108594323252, -0.187245693721, 0.30325540036],
        [0.823156421209, 0.109996986219, 0.601469426543, 0.313290361975],
    ),
    "output, unit": (
        {"level": "output"},
        [0.510980397332, 0.490869456628, None],
        0.7419047618,
        [[0.498377910433, -0.996953593918],
         [1.011232509087, 0.235197845108],
         [-0.744315545703, 0.502556523972]],
        [0.105473037141, -0.185375163634, 0.302035702509],
        [0.823195433312, 0.114640433356, 0.599655844757, 0.309768455189],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FINAL)
def test_three_steps_of_gradient_descent(start, name):
    params, shares, third_loss, coef, intercept, leaves = FINAL[name]
    model = start(**{**STEPS, "level": "node", **params})
    found = model.progressive_predict_proba(X, Y, sensitive_features=A)
    known = [i for i, share in enumerate(shares) if share is not None]
    assert_allclose(found[known, 1], [shares[i] for i in known], rtol=1e-11)
    losses = -np.log(found[np.arange(3), Y])
    assert_allclose(losses, [0.6714240509, 0.6750508250, third_loss], atol=1e-10)
    assert_allclose(model.running_loss_, losses.mean(), rtol=1e-13)
    assert_allclose(model.coef_[0], coef, atol=1e-12)
    assert_allclose(model.intercept_[0], intercept, atol=1e-12)
    assert_allclose(model.leaf_logits_[0, :, 1], leaves, atol=1e-12)
    assert_allclose(model.leaf_logits_.sum(axis=2), 1.0, atol=1e-14)


AFTER_TWO = [0.0917342147, -0.5309665330, 0.1526084040]
AFTER_THREE = {
    "unit": [0.3435995719, -0.4017630579, -0.0617003438],
    "delta": [0.3439212250, -0.4022833919, -0.0610398235],
}


@pytest.mark.parametrize("slope", AFTER_THREE)
def test_node_gaps(start, slope):
    model = start(**STEPS, level="node", huber_slope=slope)
    model.partial_fit(X[:2], Y[:2], sensitive_features=A[:2])
    assert_allclose(model.node_gap_[0], AFTER_TWO, atol=1e-10)
    model.partial_fit(X[2:], Y[2:], sensitive_features=A[2:])
    assert_allclose(model.node_gap_[0], AFTER_THREE[slope], atol=1e-10)
    assert model.group_counts_.tolist() == [[1, 2]]


def test_output_gaps(start):
    model = start(**STEPS, level="output")
    for rows, gap in ((slice(0, 2), -0.0201109407), (slice(2, 3), -0.0274426730)):
        model.partial_fit(X[rows], Y[rows], sensitive_features=A[rows])
        assert_allclose(np.diff(model.output_mean_[0, :, 0])[0], gap, atol=1e-10)


def test_adam_waits_for_both_groups(start):
    model = start(level="node", wait_for_groups=True, learning_rate=2e-3)
    model.partial_fit(X[:1], Y[:1], sensitive_features=A[:1])
    assert model.n_updates_ == 0
    assert_allclose(model.coef_[0], W[0], rtol=0)
    model.partial_fit(X[1:], Y[1:], sensitive_features=A[1:])
    assert model.n_updates_ == 2
    assert_allclose(
        model.coef_[0],
        [[0.503986741363, -0.996000753441],
         [0.996381100074, 0.246120974488],
         [-0.74749784416, 0.501426556204]],
        atol=1e-11,
    )  # fmt: skip
    assert_allclose(
        model.intercept_[0], [0.10312402009, -0.200726587504, 0.296075649258], atol=1e-11
    )
    leaves = [0.799249161879, 0.098714569417, 0.596885950082, 0.298044673237]
    assert_allclose(model.leaf_logits_[0, :, 1], leaves, atol=1e-11)
    assert_allclose(model.leaf_logits_.sum(axis=2), 1.0, atol=1e-14)


def test_published_is_the_published_protocol():
    model = AranyaniClassifier.published(random_state=3)
    wanted = {
        "n_estimators": 3,
        "max_depth": 4,
        "level": "node",
        "huber_slope": "unit",
        "huber_delta": 0.01,
        "decay": 1.0,
        "wait_for_groups": True,
        "optimizer": "adam",
        "learning_rate": 2e-3,
        "batch_size": 1,
        "n_epochs": 1,
        "standardize": None,
        "random_state": 3,
    }
    assert wanted.items() <= model.get_params().items()


def test_draws_are_in_the_order_of_the_authors():
    model = AranyaniClassifier.published(random_state=5)
    model.partial_fit(np.empty((0, 4)), np.empty(0), classes=[0, 1], sensitive_groups=["f", "m"])
    rng = np.random.default_rng(5)
    assert np.array_equal(model.coef_, rng.normal(size=(3, 15, 4)))
    assert np.array_equal(model.intercept_, rng.normal(size=(3, 15)))
    assert np.array_equal(model.leaf_logits_, rng.uniform(size=(3, 16, 2)))
