"""Base losses: slopes, saturation, targets that they refuse, and torch beside NumPy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss, mean_tweedie_deviance

from fairgroup.dependence._losses import AbsoluteLoss, make_loss

COUNTS = np.array([0.0, 1.0, 2.0, 5.0, 0.0, 3.0])
AMOUNTS = COUNTS + 0.5
LABELS = np.array([0.0, 1.0, 2.0, 1.0, 0.0, 2.0])
CASES = {
    "squared": COUNTS,
    "absolute": COUNTS,
    "poisson": COUNTS,
    "gamma": AMOUNTS,
    "tweedie": COUNTS,
    "log": LABELS > 0,
    "multinomial": LABELS,
}


def case(name):
    y = CASES[name].astype(float)
    loss = make_loss("log" if name == "multinomial" else name, y)
    shape = (6, 3) if name == "multinomial" else 6
    return loss, y, np.random.default_rng(0).normal(size=shape)


@pytest.mark.parametrize("name", CASES)
def test_slopes_and_curvatures(name):
    loss, y, raw = case(name)
    step = 1e-6
    for place in np.ndindex(raw.shape):
        up, down = raw.copy(), raw.copy()
        up[place] += step
        down[place] -= step
        rise = (loss.nll(y, up) - loss.nll(y, down))[place[0]]
        bend = (loss.slope(y, up) - loss.slope(y, down))[place]
        assert loss.slope(y, raw)[place] == pytest.approx(rise / (2 * step), abs=1e-7)
        assert loss.curvature(y, raw)[place] == pytest.approx(bend / (2 * step), abs=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_a_gradient_of_predictions_is_pulled_back_through_the_link(name):
    loss, _, raw = case(name)
    direction = np.random.default_rng(1).normal(size=raw.shape)
    pulled = loss.pull_back(loss.inverse(raw), direction)
    step = 1e-6
    for place in np.ndindex(raw.shape):
        up, down = raw.copy(), raw.copy()
        up[place] += step
        down[place] -= step
        rise = np.vdot(direction, loss.inverse(up) - loss.inverse(down)) / (2 * step)
        assert pulled[place] == pytest.approx(rise, abs=1e-7)


@pytest.mark.parametrize("name", CASES)
def test_tensors_and_arrays_agree(name):
    loss, y, raw = case(name)
    tensors = torch.tensor(y), torch.tensor(raw)
    np.testing.assert_allclose(loss.nll(*tensors), loss.nll(y, raw), rtol=1e-12)
    np.testing.assert_allclose(loss.inverse(tensors[1]), loss.inverse(raw), rtol=1e-12)
    np.testing.assert_allclose(loss.centred(tensors[1]), loss.centred(raw), rtol=1e-12)


@pytest.mark.parametrize(("name", "power"), [("poisson", 1), ("gamma", 2), ("tweedie", 1.5)])
def test_half_deviances(name, power):
    loss, y, raw = case(name)
    half = np.mean(loss.nll(y, raw) - loss.saturated(y))
    assert 2 * half == pytest.approx(mean_tweedie_deviance(y, np.exp(raw), power=power))


def test_cross_entropies():
    loss, y, raw = case("log")
    assert loss.nll(y, raw).mean() == pytest.approx(log_loss(y, loss.inverse(raw)))
    loss, y, raw = case("multinomial")
    assert loss.nll(y, raw).mean() == pytest.approx(log_loss(y, loss.inverse(raw)))
    assert loss.inverse(raw).sum(axis=1) == pytest.approx(np.ones(6))


@pytest.mark.parametrize("name", ["squared", "absolute", "poisson", "log", "multinomial"])
def test_the_best_constant(name):
    loss, y, _ = case(name)
    loss = loss.sharper(1e6)
    weights = np.arange(1.0, 7.0) / 21
    start = loss.start(y, weights, 0.0)
    for change in (-1e-2, 1e-2):
        shift = np.zeros(np.shape(start))
        shift[(0,) * shift.ndim] = change

        def mean(level):
            return weights @ loss.nll(y, level + np.zeros((6, *np.shape(start))))

        assert mean(start) <= mean(start + shift) + 1e-12


def test_exposure_enters_the_best_rate():
    loss = make_loss("poisson", COUNTS)
    exposure = np.arange(1.0, 7.0)
    rate = np.exp(loss.start(COUNTS, np.full(6, 1 / 6), np.log(exposure)))
    assert rate == pytest.approx(COUNTS.sum() / exposure.sum())


def test_sharper_absolute_errors():
    loss = make_loss("absolute", COUNTS)
    assert isinstance(loss, AbsoluteLoss)
    sharp = loss.sharper(1000.0)
    raw = np.zeros(6)
    np.testing.assert_allclose(sharp.nll(COUNTS, raw), COUNTS, atol=2e-3)
    assert make_loss("squared", COUNTS).sharper(10) is not None


@pytest.mark.parametrize(
    ("name", "y", "message"),
    [
        ("poisson", [1.0, -1.0], r'at least 0 for loss="poisson"; row 1 is -1'),
        ("tweedie", [-0.5, 1.0], r'at least 0 for loss="tweedie"; row 0'),
        ("gamma", [1.0, 0.0], r'positive for loss="gamma"; row 1 is 0'),
        ("huber", [1.0], "loss must be one of"),
    ],
)
def test_targets_that_do_not_fit(name, y, message):
    with pytest.raises(ValueError, match=message):
        make_loss(name, np.array(y))


def test_powers_and_empty_counts():
    with pytest.raises(ValueError, match=r"power must be in \(1, 2\)"):
        make_loss("tweedie", COUNTS, power=2.0)
    with pytest.raises(ValueError, match="zero in every row"):
        make_loss("poisson", np.zeros(3)).start(np.zeros(3), np.ones(3), 0.0)
