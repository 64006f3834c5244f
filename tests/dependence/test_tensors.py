"""Tensors in, tensors out: the same numbers, with autograd; on the CPU and on CUDA."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from fairgroup.dependence import (
    concatenated_distance_covariance,
    distance_correlation,
    distance_covariance,
    joint_distance_covariance,
)
from fairgroup.dependence._attributes import encode_attributes
from fairgroup.dependence._choose import make_kernel
from fairgroup.dependence._ranking import rank
from fairgroup.groups import SensitiveEncoder

torch = pytest.importorskip("torch")

FUNCTIONS = [
    distance_covariance,
    concatenated_distance_covariance,
    distance_correlation,
    joint_distance_covariance,
]


def people(n, seed=0, *, numeric=False):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"a": rng.integers(0, 2, n), "b": rng.choice(list("LMN"), n)})
    if numeric:
        frame["z"] = rng.normal(size=n)
    return frame, np.round(rng.normal(size=n), 1)


@pytest.mark.parametrize("function", FUNCTIONS)
@pytest.mark.parametrize("numeric", [False, True])
def test_value_and_gradient(function, numeric):
    frame, y = people(40, numeric=numeric)
    value, grad = function(y, frame, return_grad=True)
    tensor = torch.tensor(y, requires_grad=True)
    found = function(tensor, frame)
    (3 * found).backward()
    assert found.shape == ()
    assert found.dtype == torch.float64
    assert_allclose(found.item(), value, rtol=1e-12)
    assert_allclose(tensor.grad.numpy(), 3 * grad, rtol=1e-12)
    both = function(torch.tensor(y), frame, return_grad=True)
    np.testing.assert_array_equal(both[1].numpy(), grad)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_gradcheck(function):
    frame, _ = people(20)
    y = torch.randn(20, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    y.requires_grad_()
    assert torch.autograd.gradcheck(lambda y: function(y, frame), y, eps=1e-6, atol=1e-8)


def test_root_has_no_nan_at_zero():
    frame, _ = people(8)
    y = torch.ones(8, dtype=torch.float64, requires_grad=True)
    value = distance_covariance(y, frame, estimator="V", squared=False)
    value.backward()
    assert value.item() == 0.0
    assert (y.grad == 0).all()


def test_gradient_of_the_gradient_is_zero():
    """psi is piecewise linear in the predictions."""
    frame, y = people(20)
    tensor = torch.tensor(y, requires_grad=True)
    value = joint_distance_covariance(tensor, frame)
    (grad,) = torch.autograd.grad(value, tensor, create_graph=True)
    curved = (grad * torch.arange(20.0, dtype=torch.float64)).sum() + 0 * tensor.sum()
    (second,) = torch.autograd.grad(curved, tensor)
    assert (second == 0).all()


def test_curvature_through_a_model_is_that_of_the_model():
    """Second-order optimisers differentiate twice; only the model's own curvature remains."""
    frame, _ = people(20)
    x = torch.linspace(-1, 1, 20, dtype=torch.float64)
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    value = concatenated_distance_covariance(torch.exp(weight * x), frame)
    (first,) = torch.autograd.grad(value, weight, create_graph=True)
    (second,) = torch.autograd.grad(first, weight)
    _, grad = concatenated_distance_covariance(np.exp(0.7 * x.numpy()), frame, return_grad=True)
    expected = (grad * x.numpy() ** 2 * np.exp(0.7 * x.numpy())).sum()
    assert_allclose(second.item(), expected, rtol=1e-10)


def test_float32_and_integers():
    frame, y = people(40)
    tensor = torch.tensor(y, dtype=torch.float32)
    value, grad = distance_covariance(tensor, frame, return_grad=True)
    assert value.dtype == grad.dtype == torch.float32
    assert_allclose(value.item(), distance_covariance(y, frame), rtol=1e-5)
    whole = torch.arange(40)
    assert_allclose(
        distance_covariance(whole, frame).item(), distance_covariance(np.arange(40), frame)
    )


def test_several_outputs():
    frame, _ = people(30)
    y = np.random.default_rng(1).normal(size=(30, 3))
    tensor = torch.tensor(y, requires_grad=True)
    distance_covariance(tensor, frame).backward()
    _, grad = distance_covariance(y, frame, return_grad=True)
    assert_allclose(tensor.grad.numpy(), grad, rtol=1e-12)


def test_a_tensor_that_is_not_finite():
    with pytest.raises(ValueError, match="row 1 is nan"):
        distance_covariance(torch.tensor([0.0, float("nan"), 1, 2]), [0, 1, 0, 1])


DEVICES = [
    pytest.param("cpu", id="cpu"),
    pytest.param(
        "cuda",
        marks=[
            pytest.mark.cuda,
            pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
        ],
    ),
]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("kind", ["ccdcov", "jdcov", "sum_dcov"])
@pytest.mark.parametrize("method", ["blocked", "cells", "tiles", "auto", "dense"])
@pytest.mark.parametrize("estimator", ["U", "V"])
def test_what_runs_on_a_device_gives_the_same_numbers(device, kind, method, estimator):
    """The code for devices, which the CPU can run as well."""
    frame, y = people(5000 if method in ("tiles", "cells") else 300, numeric=method == "auto")
    if method in ("tiles", "auto"):
        frame = frame.iloc[:300].assign(z=np.random.default_rng(2).normal(size=300))
        y = y[:300]
    encoder = SensitiveEncoder()
    _, attributes = encode_attributes(frame, encoder=encoder, n_samples=len(y))
    kernel = make_kernel(attributes, kind=kind, estimator=estimator, method=method)
    value, grad = kernel.value_and_grad(y)
    ranking = rank(torch.tensor(y, device=device))
    found, its = kernel.ranked_value_and_grad(ranking)
    assert its.device.type == device
    assert_allclose(found, value, rtol=1e-9, atol=1e-12)
    assert_allclose(its.cpu().numpy(), grad, rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("device", DEVICES)
def test_tiles_of_a_device_are_put_together(device, monkeypatch):
    monkeypatch.setattr("fairgroup.dependence._tile_kernel._DEVICE_TILE", 64)
    frame, y = people(300, numeric=True)
    _, attributes = encode_attributes(frame, encoder=None, n_samples=300)
    kernel = make_kernel(attributes, method="tiles")
    ranking = rank(torch.tensor(y, device=device))
    assert_allclose(
        kernel.gradient(ranking).cpu().numpy(), kernel.value_and_grad(y)[1], atol=1e-14
    )


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
@pytest.mark.parametrize("function", FUNCTIONS)
def test_functions_on_cuda(function):
    frame, y = people(3000, numeric=True)
    value, grad = function(y, frame, return_grad=True)
    tensor = torch.tensor(y, device="cuda", requires_grad=True)
    found = function(tensor, frame)
    found.backward()
    assert found.is_cuda
    assert_allclose(found.item(), value, rtol=1e-9)
    assert_allclose(tensor.grad.cpu().numpy(), grad, rtol=1e-8, atol=1e-14)
