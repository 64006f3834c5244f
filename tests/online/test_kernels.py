"""The linear base learners against normal equations solved in every round."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import brentq, check_grad

from fairgroup.online._blocked import blocked_ridge
from fairgroup.online._kernels import implicit_margin, invert_gram, sigmoid
from fairgroup.online._linear import LinearBank


def stream(seed=0, n=120, d=5, n_groups=3, fractional=True):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, d)) * (rng.random((n, d)) < 0.7)
    y = rng.random(n)
    member = (rng.random((n, n_groups)) < 0.6).astype(float)
    if fractional:
        member *= rng.choice([1.0, 0.3], size=member.shape)
    return X, y, member, np.zeros(n, dtype=bool)


def solved_every_round(X, y, c, alpha):
    """One-step-ahead ridge predictions, D, and the best objective in hindsight, the slow way."""
    d = X.shape[1]
    A, b = alpha * np.eye(d), np.zeros(d)
    prediction, growth, best = [], [], []
    square = 0.0
    for x, label, weight in zip(X, y, c, strict=True):
        prediction.append(x @ np.linalg.solve(A, b))
        growth.append(1.0 + weight * x @ np.linalg.solve(A, x))
        A += weight * np.outer(x, x)
        b += weight * label * x
        square += weight * label**2
        best.append(square - b @ np.linalg.solve(A, b))
    return np.array(prediction), np.array(growth), np.array(best), A, b


@pytest.mark.parametrize("engine", ["rank_one", "blocked"])
@pytest.mark.parametrize("kind", ["ridge", "vaw"])
def test_ridge_and_forward_solve_the_normal_equations(kind, engine):
    X, y, member, asked = stream(n=200)
    bank = LinearBank(5, 3, kind=kind, alpha=0.7, engine=engine, block_size=16)
    experts, gain = bank.learn(X, y, member, asked)
    for g in range(3):
        rows = member[:, g] > 0
        c = member[rows, g]
        ridge, growth, best, A, b = solved_every_round(X[rows], y[rows], c, 0.7)
        expected = ridge / growth if kind == "vaw" else ridge
        np.testing.assert_allclose(experts[rows, g], expected, atol=1e-12)
        np.testing.assert_allclose(np.cumsum(gain[rows, g]), best, atol=1e-10)
        np.testing.assert_allclose(bank.logdet[g], np.linalg.slogdet(A / 0.7)[1], atol=1e-10)
        np.testing.assert_allclose(np.tril(bank.arrays.gram[g]), np.tril(A), atol=1e-11)
        np.testing.assert_allclose(bank.arrays.theta[g], np.linalg.solve(A, b), atol=1e-11)


def test_regret_identities_of_ridge_and_forward():
    """Section 2.3: loss minus F_T, term by term, and the bounds that follow."""
    X, y, member, asked = stream(fractional=False)
    c = member[:, 0]
    rows = c > 0
    ridge, growth, best, _, _ = solved_every_round(X[rows], y[rows], c[rows], 1.0)
    e = y[rows] - ridge
    np.testing.assert_allclose(
        np.sum(e**2) - best[-1], np.sum(e**2 * (1 - 1 / growth)), atol=1e-10
    )
    forward = np.sum((ridge / growth - y[rows]) ** 2) - best[-1]
    terms = y[rows] ** 2 * (1 - 1 / growth) - ridge**2 * (growth - 1) / growth**2
    np.testing.assert_allclose(forward, terms.sum(), atol=1e-10)
    for kind in ("ridge", "vaw"):
        bank = LinearBank(5, 3, kind=kind)
        experts, gain = bank.learn(X, y, member, asked)
        own = np.sum((experts[rows, 0] - y[rows]) ** 2) - gain[:, 0].sum()
        assert own <= bank.learner_bound()[0] + 1e-10


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 10**6), d=st.integers(1, 8), m=st.integers(1, 40))
def test_blocked_equals_rank_one_for_any_block_size(seed, d, m):
    rng = np.random.default_rng(seed)
    X, y, c = rng.normal(size=(60, d)), rng.normal(size=60), rng.uniform(0.1, 1, 60)
    ridge, growth, best, A, b = solved_every_round(X, y, c, 0.5)
    gram, moment = 0.5 * np.eye(d), np.zeros(d)
    result = blocked_ridge(X, y, c, gram, moment, block_size=m)
    np.testing.assert_allclose(result.ridge, ridge, atol=1e-9)
    np.testing.assert_allclose(result.growth, growth, atol=1e-9)
    np.testing.assert_allclose(np.cumsum(result.gain), best, atol=1e-9)
    np.testing.assert_allclose(np.tril(gram), np.tril(A), atol=1e-9)
    np.testing.assert_allclose(moment, b, atol=1e-9)


@pytest.mark.parametrize("kind", ["ridge", "vaw", "ogd", "diagonal", "logistic_ons"])
def test_any_split_gives_the_same_bits(kind):
    X, y, member, asked = stream(n=150)
    labels = (y > 0.5).astype(float) if kind.startswith("logistic") else y
    whole = LinearBank(5, 3, kind=kind, refresh_every=40)
    parts = LinearBank(5, 3, kind=kind, refresh_every=40)
    expected = whole.learn(X, labels, member, asked)
    cuts = [0, 1, 2, 39, 40, 41, 100, 150]
    pieces = [
        parts.learn(X[a:b], labels[a:b], member[a:b], asked[a:b])
        for a, b in itertools.pairwise(cuts)
    ]
    for i in range(2):
        assert np.array_equal(np.vstack([piece[i] for piece in pieces]), expected[i])
    for a, b in zip(whole.arrays, parts.arrays, strict=True):
        assert np.array_equal(a, b)


@pytest.mark.parametrize("kind", ["ridge", "vaw", "ogd", "diagonal", "logistic_sgd"])
def test_sleeping_learner_is_untouched_and_peek_agrees_with_learn(kind):
    X, y, member, asked = stream(n=80)
    bank = LinearBank(5, 3, kind=kind)
    bank.learn(X[:60], y[:60], member[:60], asked[:60])
    before = [array.copy() for array in bank.arrays]
    ahead = bank.peek(X[60:61], np.ones((1, 3)), asked[60:61])
    for a, b in zip(bank.arrays, before, strict=True):
        assert np.array_equal(a, b)
    awake = np.array([[1.0, 0.0, 0.0]])
    learned, _ = bank.learn(X[60:61], y[60:61], awake, asked[60:61])
    assert learned[0, 0] == ahead[0, 0]
    for a, b in zip(bank.arrays, before, strict=True):
        assert np.array_equal(a[1:], b[1:])


def test_weight_one_is_binary_and_weight_splits_like_rows():
    """A ridge learner cannot tell one row of weight 1 from two halves of it."""
    X, y, _, asked = stream(n=50)
    one, two = LinearBank(5, 1, kind="ridge"), LinearBank(5, 1, kind="ridge")
    one.learn(X, y, np.ones((50, 1)), asked)
    two.learn(np.repeat(X, 2, axis=0), np.repeat(y, 2), np.full((100, 1), 0.5), np.tile(asked, 2))
    np.testing.assert_allclose(one.arrays.theta, two.arrays.theta, atol=1e-12)


def test_refresh_keeps_badly_scaled_features_exact():
    """Two copies of the columns, one a thousand times larger, and next to no ridge."""
    rng = np.random.default_rng(3)
    base = rng.normal(size=(20_000, 3))
    X = np.hstack([base, 1000 * base])
    y = base @ np.array([0.3, -0.2, 0.5]) + 0.1 * rng.normal(size=len(base))
    asked, member = np.zeros(len(y), bool), np.ones((len(y), 1))
    bank = LinearBank(6, 1, kind="ridge", alpha=1e-6, engine="rank_one")
    experts, _ = bank.learn(X, y, member, asked)
    gram, moment = 1e-6 * np.eye(6), np.zeros(6)
    exact = blocked_ridge(X, y, member[:, 0], gram, moment)
    assert np.abs(experts[1000:, 0] - exact.ridge[1000:]).max() < 5e-5
    loose = LinearBank(6, 1, kind="ridge", alpha=1e-6, engine="rank_one", refresh_every=10**9)
    drift, _ = loose.learn(X, y, member, asked)
    assert np.abs(drift[1000:, 0] - exact.ridge[1000:]).max() > 1e-3  # the refresh is needed


def test_million_updates_drift_little():
    rng = np.random.default_rng(1)
    X = rng.random((50_000, 6))
    y = X @ np.arange(6) / 15
    bank = LinearBank(6, 1, kind="ridge", refresh_every=10**9)
    for _ in range(4):
        bank.learn(X, y, np.ones((50_000, 1)), np.zeros(50_000, bool))
    inverse = np.empty((6, 6))
    invert_gram(bank.arrays.gram[0], inverse)
    np.testing.assert_allclose(bank.arrays.inverse[0], inverse, atol=1e-12)


def test_forgetting_keeps_the_ridge_and_follows_a_change():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(4000, 3))
    theta = np.where(np.arange(4000)[:, None] < 2000, 1.0, -1.0) * np.array([1.0, 0.5, -0.5])
    y = (X * theta).sum(axis=1)
    asked, member = np.zeros(4000, bool), np.ones((4000, 1))
    drifting = LinearBank(3, 1, kind="ridge", forgetting=0.98)
    stationary = LinearBank(3, 1, kind="ridge")
    late = slice(2300, None)
    error = [
        np.mean((bank.learn(X, y, member, asked)[0][late, 0] - y[late]) ** 2)
        for bank in (drifting, stationary)
    ]
    assert error[0] < 0.01 * error[1]
    gram = np.tril(drifting.arrays.gram[0])
    gram = gram + gram.T - np.diag(np.diag(gram))
    assert np.linalg.eigvalsh(gram).min() > 0.3  # the ridge does not fade away
    np.testing.assert_allclose(drifting.arrays.inverse[0] @ gram, np.eye(3), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(margin=st.floats(-40, 40), gain=st.floats(1e-6, 1e6), y=st.sampled_from([0.0, 1.0]))
def test_implicit_step_solves_its_equation(margin, gain, y):
    m = implicit_margin(margin, gain, y)
    low, high = margin + gain * (y - 1.0), margin + gain * y
    f = lambda z: z - margin - gain * (y - sigmoid(z))  # noqa: E731
    expected = brentq(f, low - 1e-6, high + 1e-6, xtol=1e-14)
    assert abs(m - expected) <= 1e-8 * max(1.0, abs(expected))


def test_logistic_step_is_the_gradient_of_the_log_loss():
    rng = np.random.default_rng(0)
    x, theta = rng.normal(size=4), rng.normal(size=4)

    def loss(coefficients):
        return -np.log(sigmoid(float(x @ coefficients)))

    def slope(coefficients):
        return -(1.0 - sigmoid(float(x @ coefficients))) * x

    assert check_grad(loss, slope, theta) < 1e-6
    bank = LinearBank(4, 1, kind="logistic_sgd", learning_rate=0.25)
    bank.arrays.theta[0] = theta
    bank.learn(x[None], np.array([1.0]), np.ones((1, 1)), np.zeros(1, bool))
    np.testing.assert_allclose(bank.arrays.theta[0], theta - 0.25 * slope(theta), atol=1e-14)


def test_newton_learner_finds_the_logistic_regression():
    from sklearn.linear_model import LogisticRegression

    rng = np.random.default_rng(0)
    X = rng.normal(size=(20_000, 3))
    y = (rng.random(20_000) < 1 / (1 + np.exp(-X @ [1.0, -2.0, 0.5]))).astype(float)
    bank = LinearBank(3, 1, kind="logistic_ons")
    bank.learn(X, y, np.ones((len(y), 1)), np.zeros(len(y), bool))
    offline = LogisticRegression(C=1.0, fit_intercept=False).fit(X, y).coef_[0]
    np.testing.assert_allclose(bank.arrays.theta[0], offline, atol=0.03)


def test_gradient_learner_stays_in_its_ball():
    X, y, member, asked = stream(n=100)
    bank = LinearBank(5, 3, kind="ogd", learning_rate=2.0, radius=0.1)
    bank.learn(X, y, member, asked)
    assert (np.linalg.norm(bank.arrays.theta, axis=1) <= 0.1 + 1e-12).all()
    assert np.linalg.norm(bank.arrays.theta, axis=1).max() > 0.099


def test_gradient_learner_follows_its_formula():
    X, y, member, asked = stream(n=40, fractional=True)
    bank = LinearBank(5, 3, kind="ogd", learning_rate=0.1)
    experts, _ = bank.learn(X, y, member, asked)
    theta, n = np.zeros(5), 0
    for x, label, c, seen in zip(X, y, member[:, 1], experts[:, 1], strict=True):
        if c > 0:
            n += 1
            assert seen == pytest.approx(x @ theta, abs=1e-13)
            theta = theta - 0.1 / np.sqrt(n) * c * 2 * (x @ theta - label) * x
    np.testing.assert_allclose(bank.arrays.theta[1], theta, atol=1e-13)


def test_diagonal_learner_does_not_feel_the_scale_of_columns():
    X, y, member, asked = stream(n=100)
    scale = np.array([1e-3, 1.0, 10.0, 1e4, 1.0])
    one = LinearBank(5, 3, kind="diagonal", alpha=1e-12)
    two = LinearBank(5, 3, kind="diagonal", alpha=1e-12)
    np.testing.assert_allclose(
        one.learn(X, y, member, asked)[0],
        two.learn(X * scale, y, member, asked)[0],
        rtol=1e-3,
        atol=1e-5,
    )
