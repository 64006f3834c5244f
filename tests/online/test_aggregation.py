"""Weights, regrets and bounds of AdaNormalHedge and the specialists."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairgroup.online import AdaNormalHedge, Specialists
from fairgroup.online._core import GroupwiseCore, fresh_tally, make_rules
from fairgroup.online._linear import LinearBank
from fairgroup.online._scan_kernels import (
    ABS_REGRET,
    DRIFT,
    REGRET,
    mix,
    scan,
)
from fairgroup.online._weight_kernels import log_weight, uniform

CHECK_VALUES = [
    (1, 2, -1.2736382276273428),
    (-0.5, 1, -3.850295340658122),
    (2.5, 4, -0.5968285440585268),
    (30, 100, 1.3607359026015287),
    (700, 2000, 80.17928184397921),
]


def phi(regret, abs_regret):
    return 1.0 if abs_regret == 0 else math.exp(max(regret, 0) ** 2 / (3 * abs_regret))


@pytest.mark.parametrize(("regret", "abs_regret", "value"), CHECK_VALUES)
def test_log_weight_check_values(regret, abs_regret, value):
    assert log_weight(regret, abs_regret) == pytest.approx(value, rel=1e-13)


def test_log_weight_ends():
    assert math.exp(log_weight(0, 0)) == pytest.approx(0.19780621254304476, rel=1e-14)
    assert log_weight(-1, 3) == -math.inf
    assert log_weight(-1.5, 3) == -math.inf
    assert log_weight(-0.999999, 3) > -math.inf


@settings(max_examples=200, deadline=None)
@given(st.floats(-1e6, 1e6), st.floats(0, 1))
def test_log_weight_is_finite_and_matches_its_definition(regret, share):
    abs_regret = max(abs(regret), abs(regret) / max(share, 1e-3))
    value = log_weight(regret, abs_regret)
    assert not math.isnan(value)
    assert value < math.inf
    assert (value == -math.inf) == (regret <= -1)
    if abs_regret < 50 and regret > -0.99:
        direct = 0.5 * (phi(regret + 1, abs_regret + 1) - phi(regret - 1, abs_regret + 1))
        assert value == pytest.approx(math.log(direct), rel=1e-6)


@settings(max_examples=200, deadline=None)
@given(st.floats(-1, 1), st.floats(-1, 1), st.floats(0, 200))
def test_potential_lemma(r, share, abs_regret):
    """Section 2.2: one step raises the potential by at most w r + 3/2 |r| / (C + 1)."""
    regret = share * abs_regret
    weight = 0.5 * (phi(regret + 1, abs_regret + 1) - phi(regret - 1, abs_regret + 1))
    after = phi(regret + r, abs_regret + abs(r))
    slack = phi(regret, abs_regret) + weight * r + 1.5 * abs(r) / (abs_regret + 1)
    assert after <= slack * (1 + 1e-12)


def test_closed_form_of_two_experts():
    hedge = AdaNormalHedge(2)
    np.testing.assert_allclose(hedge.weights(), [0.5, 0.5])
    assert hedge.update([0.0, 1.0]) == 0.5
    np.testing.assert_allclose(hedge.regret, [0.5, -0.5])
    np.testing.assert_allclose(hedge.abs_regret, [0.5, 0.5])
    np.testing.assert_allclose(
        np.exp(hedge.log_weights()), [0.3243606353500641, 0.02856387238011826], rtol=1e-13
    )
    assert hedge.weights()[0] == pytest.approx(0.9190652058599572, rel=1e-13)


def slow_adanormalhedge(experts, y, member, prior, feedback_prediction):
    """The paper's loop in Python, weights in the direct form of section 2.1."""
    n_groups = experts.shape[1]
    regret, abs_regret = np.zeros(n_groups), np.zeros(n_groups)
    played, courses = [], []
    for x, label, active in zip(experts, y, member, strict=True):
        w = np.array(
            [
                0.5 * (phi(r + 1, c + 1) - phi(r - 1, c + 1))
                for r, c in zip(regret, abs_regret, strict=True)
            ]
        )
        p = prior * active * w
        p = p if p.sum() > 0 else prior * active
        p = p / p.sum()
        losses = (x - label) ** 2
        prediction = p @ x
        paid = (prediction - label) ** 2 if feedback_prediction else p @ losses
        r = active * (paid - losses)
        assert p @ (paid - losses) <= 1e-12  # the only property that the bound needs
        regret, abs_regret = regret + r, abs_regret + np.abs(r)
        played.append(prediction)
        courses.append((regret.copy(), abs_regret.copy()))
    return np.array(played), courses


def run(experts, y, member, tally, rules, given=None):
    out = np.empty(len(y))
    n, n_groups = member.shape
    nothing = np.empty((0, n_groups)) if given is None else given
    scan(experts, y, member, np.zeros((n, n_groups)), nothing, tally, rules, out)
    return out


def a_stream(seed, n=200, n_groups=4, kind="random"):
    rng = np.random.default_rng(seed)
    experts, y = rng.random((n, n_groups)), rng.random(n)
    member = (rng.random((n, n_groups)) < 0.5).astype(float)
    member[:, 0] = 1.0
    if kind == "sorted":
        order = np.argsort(member @ np.arange(n_groups), kind="stable")
        experts, y, member = experts[order], np.sort(y), member[order]
    if kind == "adversarial":  # the label is far from the crowd
        y = (experts.mean(axis=1) < 0.5).astype(float)
    if kind == "fractional":
        member *= rng.random((n, n_groups))
        member[:, 0] = 1.0
    return experts, y, member


@pytest.mark.parametrize("kind", ["random", "sorted", "adversarial", "fractional"])
@pytest.mark.parametrize("feedback", ["mixture", "prediction"])
def test_scan_is_the_slow_loop_and_keeps_its_bound(kind, feedback):
    experts, y, member = a_stream(1, kind=kind)
    prior = np.array([0.4, 0.3, 0.2, 0.1])
    rules = make_rules(
        aggregator="adanormalhedge", combine="mean", loss="squared", feedback=feedback
    )
    tally = fresh_tally(np.log(prior))
    expected, courses = slow_adanormalhedge(experts, y, member, prior, feedback == "prediction")
    for t in range(len(y)):
        row = slice(t, t + 1)
        out = run(experts[row], y[row], member[row], tally, rules)
        assert out[0] == pytest.approx(expected[t], abs=1e-12)
        R, C = tally.groups[:, REGRET], tally.groups[:, ABS_REGRET]
        np.testing.assert_allclose(R, courses[t][0], atol=1e-11)
        np.testing.assert_allclose(C, courses[t][1], atol=1e-11)
        B = 1 + 1.5 * prior @ tally.groups[:, DRIFT]
        assert 1 + 1.5 * prior @ (1 + np.log1p(C)) + 1e-12 >= B  # the form of section 2.2
        potentials = [phi(r, c) for r, c in zip(R, C, strict=True)]
        assert prior @ potentials <= B + 1e-12
        assert (np.sqrt(3 * C * (np.log(1 / prior) + np.log(B))) + 1e-12 >= R).all()


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_weights_are_a_distribution_over_the_active(seed):
    rng = np.random.default_rng(seed)
    hedge = AdaNormalHedge(5, prior=rng.random(5) + 0.1)
    for _ in range(30):
        active = (rng.random(5) < 0.5) * rng.random(5)
        p = hedge.weights(active)
        assert (p >= 0).all()
        assert (p[active == 0] == 0).all()
        assert p.sum() == pytest.approx(1.0 if active.any() else 0.0)
        hedge.update(rng.random(5), active)
    assert (hedge.regret <= hedge.bound() + 1e-12).all()


def test_permutation_of_experts_permutes_everything():
    rng = np.random.default_rng(0)
    order = np.array([2, 0, 3, 1])
    one, two = AdaNormalHedge(4, [1, 2, 3, 4]), AdaNormalHedge(4, np.array([1, 2, 3, 4])[order])
    for _ in range(50):
        losses, active = rng.random(4), rng.random(4) < 0.6
        np.testing.assert_allclose(one.weights(active)[order], two.weights(active[order]))
        one.update(losses, active)
        two.update(losses[order], active[order])


def test_all_weights_zero_falls_back_to_the_prior():
    hedge = AdaNormalHedge(3, [1, 2, 7])
    hedge.regret[:] = [-3.0, -2.0, 5.0]
    hedge.abs_regret[:] = 5.0
    np.testing.assert_allclose(hedge.weights([1, 1, 0]), [1 / 3, 2 / 3, 0])
    assert hedge.weights([0, 0, 0]).sum() == 0.0


def test_sleeping_expert_is_bit_identical():
    hedge = AdaNormalHedge(3)
    rng = np.random.default_rng(0)
    for _ in range(20):
        hedge.update(rng.random(3))
    before = hedge.get_state()
    hedge.update([0.2, 0.4, np.nan], [1, 1, 0])
    assert hedge.regret[2] == before["regret"][2]
    assert hedge.abs_regret[2] == before["abs_regret"][2]


def test_huge_losses_do_not_overflow():
    hedge = AdaNormalHedge(2)
    for _ in range(2000):
        hedge.update([0.0, 1e4])
    assert np.isfinite(hedge.weights()).all()
    assert hedge.weights()[0] == pytest.approx(1.0)


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 10**6), combine=st.sampled_from(["mean", "substitution"]))
def test_specialists_have_constant_regret_and_mass_one(seed, combine):
    rng = np.random.default_rng(seed)
    kind = ["random", "sorted", "adversarial", "fractional"][seed % 4]
    experts, y, member = a_stream(seed, n=150, kind=kind)
    y = np.round(y) if seed % 3 == 0 else y
    prior = rng.random(4) + 0.05
    rules = make_rules(aggregator="specialists", combine=combine, loss="squared")
    tally = fresh_tally(np.log(prior / prior.sum()))
    played = run(experts, y, member, tally, rules)
    assert (played >= -1e-12).all()
    assert (played <= 1 + 1e-12).all()
    assert np.exp(tally.log_mass).sum() == pytest.approx(1.0, abs=1e-10)
    eta = 2.0 if combine == "substitution" else 0.5
    regret = member.T @ ((played - y) ** 2) - np.sum(member * (experts - y[:, None]) ** 2, axis=0)
    assert (regret <= np.log(prior.sum() / prior) / eta + 1e-9).all()


def test_substitution_agrees_with_agreeing_experts():
    rules = make_rules(aggregator="specialists", combine="substitution", loss="squared")
    tally = fresh_tally(np.zeros(3))
    experts, weights, out = np.full((1, 3), 0.37), np.empty((1, 3)), np.empty(1)
    mix(experts, np.ones((1, 3)), tally, rules, 0, weights, out)
    assert out[0] == pytest.approx(0.37, abs=1e-12)


def test_log_loss_specialists_are_bayes():
    """With everybody awake the mixture of probabilities is exactly Bayes' rule."""
    rng = np.random.default_rng(0)
    experts, y = rng.uniform(0.05, 0.95, (60, 3)), (rng.random(60) < 0.5).astype(float)
    rules = make_rules(aggregator="specialists", combine="mean", loss="log", eps=0.01)
    tally = fresh_tally(np.zeros(3))
    played = run(experts, y, np.ones((60, 3)), tally, rules)
    mass = np.full(3, 1 / 3)
    for x, label, seen in zip(experts, y, played, strict=True):
        assert seen == pytest.approx(mass @ x, abs=1e-12)
        mass = mass * np.where(label > 0, x, 1 - x)
        mass /= mass.sum()


def test_public_specialists_match_the_scan():
    experts, y, member = a_stream(5, kind="fractional")
    rules = make_rules(aggregator="specialists", combine="mean", loss="squared")
    tally = fresh_tally(np.full(4, -np.log(4)))
    run(experts, y, member, tally, rules)
    public = Specialists(4, 0.5)
    for x, label, active in zip(experts, y, member, strict=True):
        public.update((x - label) ** 2, active)
    np.testing.assert_allclose(public.log_mass, tally.log_mass, atol=1e-10)
    np.testing.assert_allclose(public.bound(), 2 * np.log(4))


def test_forgetting_lets_weights_follow_a_change():
    n = 600
    experts = np.tile([0.0, 1.0], (n, 1))
    y = (np.arange(n) >= 300).astype(float)
    late = []
    for forgetting in (1.0, 0.9):
        for aggregator in ("adanormalhedge", "specialists"):
            rules = make_rules(
                aggregator=aggregator, combine="mean", loss="squared", forgetting=forgetting
            )
            played = run(experts, y, np.ones((n, 2)), fresh_tally(np.zeros(2)), rules)
            late.append(np.mean((played[320:400] - y[320:400]) ** 2))
    assert late[2] < 0.01 < late[0]
    assert late[3] < 0.05 < late[1]


def test_uniform_draws_look_uniform():
    draws = np.array([uniform(7, t) for t in range(20_000)])
    assert ((draws >= 0) & (draws < 1)).all()
    counts = np.histogram(draws, bins=20, range=(0, 1))[0]
    assert np.sum((counts - 1000) ** 2 / 1000) < 45  # chi-squared, 19 degrees of freedom
    assert abs(np.corrcoef(draws[1:], draws[:-1])[0, 1]) < 0.03


def test_sampling_costs_what_the_mixture_expects():
    experts, y, member = a_stream(3, n=4000)
    total = {}
    for combine in ("expected", "sample"):
        rules = make_rules(aggregator="adanormalhedge", combine=combine, loss="squared")
        tally = fresh_tally(np.zeros(4), seed=5)
        run(experts, y, member, tally, rules)
        total[combine] = tally.totals[0], tally.groups[:, REGRET].copy()
    np.testing.assert_allclose(total["expected"][1], total["sample"][1], atol=1e-9)
    assert abs(total["expected"][0] - total["sample"][0]) < 4 * np.sqrt(4000) * 0.3
    assert total["expected"][0] != total["sample"][0]


def test_history_has_constant_size_and_the_last_record_is_recent():
    experts, y, member = a_stream(0, n=5000)
    rules = make_rules(aggregator="adanormalhedge", combine="mean", loss="squared")
    tally = fresh_tally(np.zeros(4), history=32)
    core = GroupwiseCore(LinearBank(1, 4, kind="ridge"), rules, tally)
    run(experts, y, member, tally, rules)
    rounds, course = core.history()
    assert 16 <= len(rounds) <= 32
    assert (np.diff(rounds) == rounds[1] - rounds[0]).all()
    assert rounds[-1] > 5000 - (rounds[1] - rounds[0])
    losses = (
        np.array(slow_adanormalhedge(experts, y, member, np.full(4, 0.25), False)[0]) - y
    ) ** 2
    at = rounds[3]
    np.testing.assert_allclose(course["loss"][3], member[:at].T @ losses[:at], atol=1e-9)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"aggregator": "specialists", "combine": "expected"}, "no guarantee"),
        ({"aggregator": "specialists", "combine": "mean", "loss": "zero_one"}, "mixable"),
        ({"aggregator": "specialists", "combine": "mean", "clip": False}, "clip=True"),
        ({"aggregator": "adanormalhedge", "combine": "substitution"}, "Vovk"),
        (
            {"aggregator": "specialists", "combine": "substitution", "learn_range": True},
            "y_range",
        ),
    ],
)
def test_options_that_do_not_go_together(options, words):
    with pytest.raises(ValueError, match=words):
        make_rules(**({"loss": "squared"} | options))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: AdaNormalHedge(0), "at least 1"),
        (lambda: AdaNormalHedge(2, [1, 0]), "positive"),
        (lambda: AdaNormalHedge(2).weights([1, 1, 1]), "shape"),
        (lambda: AdaNormalHedge(2).weights([2, 0]), r"\[0, 1\]"),
        (lambda: AdaNormalHedge(2).update([np.nan, 0]), "finite"),
        (lambda: AdaNormalHedge(2).update([0]), "shape"),
        (lambda: Specialists(2, 0.0), "eta"),
    ],
)
def test_aggregators_refuse_bad_input(call, words):
    with pytest.raises(ValueError, match=words):
        call()


@pytest.mark.parametrize("make", [lambda: AdaNormalHedge(3), lambda: Specialists(3, 0.5)])
def test_state_of_aggregators_continues_exactly(make):
    rng = np.random.default_rng(0)
    one = make()
    for _ in range(10):
        one.update(rng.random(3), rng.random(3) < 0.7)
    two = make().set_state(one.get_state())
    losses = rng.random(3)
    one.update(losses)
    two.update(losses)
    assert np.array_equal(one.weights(), two.weights())
