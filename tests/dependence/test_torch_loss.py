"""The penalty as a torch loss: values, autograd, batches."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
import torch

from fairgroup.dependence import DependencePenalty, DistanceCovarianceLoss


@pytest.fixture
def people():
    rng = np.random.default_rng(0)
    groups = pd.DataFrame({"sex": rng.integers(0, 2, 40), "region": rng.choice(list("abc"), 40)})
    return groups, rng.random(40)


@pytest.mark.parametrize("kind", ["ccdcov", "jdcov", "sum_dcov", "dcor", "joint"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_value_and_gradient_are_those_of_arrays(people, kind, dtype):
    groups, y_pred = people
    tensor = torch.tensor(y_pred, dtype=dtype, requires_grad=True)
    loss = DistanceCovarianceLoss(groups, penalty=kind, fairness_weight=3.0)(tensor)
    loss.backward()
    prepared = DependencePenalty(kind).prepare(groups)
    value, slope = prepared.value_and_grad(tensor.detach().numpy())
    assert loss.dtype == tensor.grad.dtype == dtype
    rtol = 1e-12 if dtype == torch.float64 else 1e-6
    assert loss.item() == pytest.approx(3 * value, rel=rtol)
    np.testing.assert_allclose(tensor.grad.numpy(), 3 * slope, rtol=rtol, atol=1e-9)


@pytest.mark.parametrize("constraint", ["demographic_parity", "equalized_odds"])
def test_gradcheck(people, constraint):
    groups, y_pred = people
    penalty = DependencePenalty(constraint=constraint, normalise="dvar")
    module = DistanceCovarianceLoss(groups, penalty=penalty, y=np.arange(40) % 2)
    tensor = torch.tensor(y_pred, requires_grad=True)
    assert torch.autograd.gradcheck(module, (tensor,), eps=1e-6, atol=1e-8)


def test_hessian_vector_products_are_those_of_the_network_alone(people):
    """The penalty is piecewise linear: create_graph=True sees the curvature of the link only."""
    groups, start = people
    module = DistanceCovarianceLoss(groups)
    scores = torch.tensor(start, requires_grad=True)
    (slope,) = torch.autograd.grad(module(scores), scores, create_graph=True)
    # A constant: nothing of it depends on the scores.
    assert not slope.requires_grad
    response = torch.sigmoid(scores)
    (slope,) = torch.autograd.grad(module(response), scores, create_graph=True)
    direction = torch.ones_like(scores)
    (product,) = torch.autograd.grad(slope @ direction, scores)
    force = module.prepared.value_and_grad(response.detach().numpy())[1]
    curvature = response * (1 - response) * (1 - 2 * response)
    np.testing.assert_allclose(product, torch.tensor(force) * curvature.detach(), atol=1e-15)


def test_batches_are_unbiased():
    rng = np.random.default_rng(3)
    groups, y_pred = rng.integers(0, 2, (8, 2)), torch.tensor(rng.random(8))
    module = DistanceCovarianceLoss(groups)
    batches = [torch.tensor(batch) for batch in itertools.combinations(range(8), 5)]
    values = [module(y_pred[batch], batch).item() for batch in batches]
    assert np.mean(values) == pytest.approx(module(y_pred).item(), abs=1e-15)


def test_a_batch_that_is_too_small_has_no_penalty(people):
    groups, y_pred = people
    tensor = torch.tensor(y_pred[:3], requires_grad=True)
    loss = DistanceCovarianceLoss(groups)(tensor, [0, 1, 2])
    loss.backward()
    assert loss.item() == 0
    assert not tensor.grad.any()


def test_it_changes_what_a_loop_learns(people):
    groups = people[0]
    sex = torch.tensor(groups["sex"].to_numpy(), dtype=torch.float32)
    torch.manual_seed(0)
    X = torch.stack([sex + 0.1 * torch.randn(40), torch.randn(40)], dim=1)
    y = sex + 0.1 * X[:, 1]

    def dependence(weight):
        torch.manual_seed(0)
        model = torch.nn.Linear(2, 1)
        fairness = DistanceCovarianceLoss(groups["sex"], fairness_weight=weight)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.05)
        for _ in range(200):
            y_pred = model(X)[:, 0]
            loss = torch.nn.functional.mse_loss(y_pred, y) + fairness(y_pred)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return fairness.prepared.value_and_grad(model(X)[:, 0].detach().numpy())[0]

    assert dependence(10.0) < 0.1 * dependence(0.0)


def test_vectors_and_tensors_that_are_not_contiguous(people):
    groups, _ = people
    table = torch.rand(3, 40, dtype=torch.float64, generator=torch.manual_seed(0)).T
    table.requires_grad_()
    module = DistanceCovarianceLoss(groups)
    module(table).backward()
    parts = [module.prepared.value_and_grad(c)[1] for c in table.detach().numpy().T]
    np.testing.assert_allclose(table.grad, np.column_stack(parts))


def test_bad_input(people):
    groups, y_pred = people
    with pytest.raises(ValueError, match="fairness_weight must be at least 0"):
        DistanceCovarianceLoss(groups, fairness_weight=-1)
    module = DistanceCovarianceLoss(groups)
    with pytest.raises(ValueError, match="y_pred has shape"):
        module(torch.tensor(y_pred[:-1]))
    y_pred[3] = np.inf
    with pytest.raises(ValueError, match="row 3"):
        module(torch.tensor(y_pred))


def test_half_precision_on_a_cpu(people):
    groups, y_pred = people
    tensor = torch.tensor(y_pred, dtype=torch.bfloat16, requires_grad=True)
    loss = DistanceCovarianceLoss(groups)(tensor)
    loss.backward()
    exact, slope = DependencePenalty().prepare(groups).value_and_grad(tensor.detach().double())
    assert loss.item() == pytest.approx(exact, rel=1e-2)
    np.testing.assert_allclose(tensor.grad.double(), slope, rtol=1e-2, atol=1e-9)


def test_penalties_that_are_none(people):
    with pytest.raises(TypeError, match="penalty must be a name or a DependencePenalty; got 3"):
        DistanceCovarianceLoss(people[0], penalty=3)
