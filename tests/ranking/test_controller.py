"""The compiled controllers against their formulas, and what may and may not move a multiplier."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairgroup.ranking import _kernels as k
from fairgroup.ranking import impression_variance
from fairgroup.ranking._policies import calibrated_multipliers, empty_state, make_layout


def settings_of(policy=k.PI, **changes):
    values = {
        "policy": policy, "kp": 2.0, "ki": 0.1, "m_min": 0.25, "m_max": 4.0, "dead_zone": 0.0,
        "batch_size": 50, "min_impressions": 0, "anti_windup": False, "tree": False,
        "guarded": False, "max_value_loss": 1.0, "min_reach": 0.0,
        "cost": 0.02, "discount": 0.9, "step": 0.0, "explore": 0.0,
    }  # fmt: skip
    return k.Settings(**{**values, **changes})


def layout_of(eligible, composition, m_up=2.0, m_down=0.5, hold=0.0, weights=None):
    e = {a: np.atleast_2d(t).astype(float) for a, t in eligible.items()}
    c = {a: np.atleast_2d(t).astype(float) for a, t in composition.items()}
    return make_layout(e, c, weights=weights, hold=np.full(len(e), hold), m_up=m_up, m_down=m_down)


def one_snapshot(counts, eligible, composition, config=None, **options):
    """State after one snapshot with these counts, without noise."""
    layout = layout_of({"a": eligible}, {"a": composition}, **options)
    state = empty_state(layout, n_nodes=1, q_table=None)
    state.pending[0] = counts
    state.impressions[0] = int(sum(counts))
    k.snapshot(state, config or settings_of(), layout, 0, np.zeros(len(counts)), np.zeros(2))
    return state


def distributions(n_levels):
    weights = st.lists(st.integers(1, 50), min_size=n_levels, max_size=n_levels)
    return weights.map(lambda w: np.array(w) / sum(w))


cases = st.integers(2, 4).flatmap(
    lambda n: st.tuples(
        st.lists(st.integers(1, 200), min_size=n, max_size=n),
        distributions(n),
        st.lists(distributions(n), min_size=3, max_size=3),
    )
)


def test_pi_step_by_hand():
    e, d = np.array([0.6, 0.4]), np.array([0.8, 0.2])
    state = one_snapshot([80, 20], e, [[0.9, 0.1], [0.2, 0.8]])
    gap = (e - d) / e
    integral = 0.1 * gap
    integral -= (e * integral).sum()
    weights = 2 * gap + integral
    np.testing.assert_allclose(state.integral[0], integral)
    np.testing.assert_allclose(state.weights[0], weights)
    expected = np.clip(np.exp(np.array([[0.9, 0.1], [0.2, 0.8]]) @ weights), 0.25, 4)
    np.testing.assert_allclose(state.table[:2, 0], expected)


@settings(deadline=None)
@given(cases)
def test_pi_properties(case):
    counts, e, composition = case
    state = one_snapshot(counts, e, composition)
    assert abs((e * state.integral[0]).sum()) < 1e-12
    assert ((state.table >= 0.25) & (state.table <= 4)).all()
    assert (state.table[-1] == 1).all()
    assert (state.table[:, -1] == 1).all()
    order = np.argsort(counts, kind="stable")
    permuted = one_snapshot(np.array(counts)[order], e[order], np.array(composition)[:, order])
    np.testing.assert_allclose(permuted.weights[0], state.weights[0][order], atol=1e-12)
    more = np.array(counts)
    more[0] += 30
    assert one_snapshot(more, e, composition).weights[0, 0] < state.weights[0, 0]


@settings(deadline=None)
@given(st.lists(st.integers(1, 40), min_size=2, max_size=4))
def test_parity_leaves_everything_alone(weights):
    counts = np.array(weights) * 3
    state = one_snapshot(counts, counts / counts.sum(), np.eye(len(counts)))
    np.testing.assert_allclose(state.weights, 0, atol=1e-14)
    np.testing.assert_allclose(state.table, 1, atol=1e-14)


@settings(deadline=None)
@given(cases)
def test_gradient_index_is_the_derivative_of_the_variance(case):
    counts, e, composition = np.array(case[0]) * 10_000.0, case[1], case[2]
    n = counts.sum()
    index = one_snapshot(counts, e, composition, settings_of(k.THRESHOLD)).weights[0]
    assert abs((counts / n * index).sum()) < 1e-12
    here = impression_variance([counts], e)[0]
    if np.abs(counts / n - e).min() < 1e-3:
        return  # a kink lies within one impression
    for level in range(len(e)):
        moved = counts.copy()
        moved[level] += 1
        change = impression_variance([moved], e)[0] - here
        assert change == pytest.approx(-index[level] / n, abs=5 / n**2)


def test_threshold_boosts_and_cuts():
    config = settings_of(k.THRESHOLD, dead_zone=0.2)
    composition = [[1, 0], [0.5, 0.5], [0, 1]]
    state = one_snapshot([80, 20], [0.5, 0.5], composition, config)
    # index = (-0.2, 0.8): scores -0.2, 0.3, 0.8
    np.testing.assert_array_equal(state.table[:3, 0], [1.0, 2.0, 2.0])
    state = one_snapshot([60, 40], [0.5, 0.5], composition, config)
    np.testing.assert_array_equal(state.table[:3, 0], [0.5, 1.0, 2.0])


def test_sign_policy_sums_signs_of_own_levels():
    layout = layout_of(
        {"a": [[0.5, 0.5]], "b": [[0.5, 0.5]]},
        {"a": [[1, 0], [1, 0], [0, 1]], "b": [[1, 0], [0, 1], [0, 1]]},
    )
    state = empty_state(layout, n_nodes=1, q_table=None)
    state.pending[0] = [80, 20, 70, 30]
    state.impressions[0] = 100
    k.snapshot(state, settings_of(k.SIGN), layout, 0, np.zeros(4), np.zeros(2))
    np.testing.assert_array_equal(state.table[:3, 0], [0.5, 1.0, 2.0])


def test_zero_eligible_level_counts_as_over_served():
    state = one_snapshot([50, 40, 10], [0.5, 0.5, 0.0], np.eye(3))
    assert state.weights[0, 2] < 0
    assert np.isfinite(state.weights).all()


def test_negative_and_empty_releases_mean_parity():
    out = np.empty(3)
    k.shares_from_released(np.array([-5.0, -1.0, -2.0]), np.array([0.2, 0.3, 0.5]), out)
    np.testing.assert_array_equal(out, [0.2, 0.3, 0.5])
    k.shares_from_released(np.array([-5.0, 1.0, 3.0]), np.array([0.2, 0.3, 0.5]), out)
    np.testing.assert_array_equal(out, [0, 0.25, 0.75])


def test_weights_are_held_while_noise_dominates():
    state = one_snapshot([80, 20], [0.5, 0.5], np.eye(2), hold=150.0)
    assert (state.weights == 0).all()
    assert (state.table == 1).all()
    assert one_snapshot([120, 40], [0.5, 0.5], np.eye(2), hold=150.0).table[0, 0] < 1


def test_multiplier_stays_one_below_the_minimum():
    config = settings_of(min_impressions=100)
    assert (one_snapshot([90, 10], [0.5, 0.5], np.eye(2), config).table == 1).all()
    assert (one_snapshot([91, 10], [0.5, 0.5], np.eye(2), config).table != 1).any()


def test_anti_windup_stops_the_integral():
    layout = layout_of({"a": [0.5, 0.5]}, {"a": np.eye(2)})
    for anti_windup in (False, True):
        config = settings_of(kp=20.0, anti_windup=anti_windup)
        state = empty_state(layout, n_nodes=1, q_table=None)
        first = None
        for _ in range(2):
            state.pending[0] = [45, 5]
            state.impressions[0] += 50
            k.snapshot(state, config, layout, 0, np.zeros(2), np.zeros(2))
            first = state.integral.copy() if first is None else first
        assert state.clipped[0] == 1
        assert np.array_equal(first, state.integral) == anti_windup


def test_guardrails_stop_boosts_and_cuts():
    layout = layout_of({"a": [0.5, 0.5]}, {"a": np.eye(2)})
    config = settings_of(guarded=True, max_value_loss=0.1, min_reach=0.9)
    for guard, smallest, largest in (
        ([100, 100, 95.0, 100.0], 0.25, 4.0),
        ([100, 100, 85.0, 100.0], 0.25, 1.0),
        ([85, 100, 95.0, 100.0], 1.0, 4.0),
    ):
        state = empty_state(layout, n_nodes=1, q_table=None)
        state.guard[0] = guard
        state.pending[0] = [100, 0]
        state.impressions[0] = 100
        k.snapshot(state, config, layout, 0, np.zeros(2), np.zeros(2))
        np.testing.assert_allclose(
            np.sort(state.table[:2, 0]), sorted([smallest, largest]), rtol=0.4
        )


def test_q_update_by_hand():
    layout = layout_of({"a": [0.5, 0.5]}, {"a": np.eye(2)})
    config = settings_of(k.Q, step=0.05, batch_size=100)
    state = empty_state(layout, n_nodes=1, q_table=None)
    state.q_table[4] = [0, 0, 1, 0, 0, 0]
    for counts in ([90, 10], [60, 40]):  # variance 0.4, then 0.25
        state.pending[0] = counts
        state.impressions[0] += 100
        k.snapshot(state, config, layout, 0, np.zeros(2), np.ones(2))
    reward = 200 / 100 * (0.4 - 0.25) - 0.02 * 0.5
    assert state.q_table[4, 2] == pytest.approx(1 + 0.05 * (reward + 0.9 * 1 - 1))
    np.testing.assert_array_equal(state.table[:2, 0], [1 / 1.5, 1.5])


def test_noise_tree_sums_the_binary_digits():
    nodes, out = np.zeros((4, 1)), np.empty(1)
    fresh = np.arange(1.0, 9.0)
    expected = {1: [1], 2: [2], 3: [2, 3], 4: [4], 5: [4, 5], 6: [4, 6], 7: [4, 6, 7], 8: [8]}
    for b in range(1, 9):
        k.cumulative_noise(nodes, b, fresh[b - 1 : b], True, out)
        assert out[0] == sum(expected[b])


@pytest.mark.parametrize("n", [10, 101, 1000])
def test_calibration_wins_forty_percent(n):
    critical = np.random.default_rng(n).lognormal(0, 1, n)
    up, down = calibrated_multipliers(critical)
    assert np.mean(critical < up) == pytest.approx(0.40, abs=1 / n + 1e-9)
    assert np.mean(critical >= down) == pytest.approx(0.85, abs=1 / n + 1e-9)
    assert calibrated_multipliers([np.nan, np.inf]) == (1.0, 1.0)


def test_prices():
    assert k._price(k.FIRST_PRICE, 3.0, 6.0, 0.0, 4.0) == 3.0
    assert k._price(k.SECOND_VALUE, 3.0, 6.0, 0.0, 4.0) == 4.0
    assert k._price(k.CRITICAL_BID, 3.0, 7.0, 1.0, 4.0) == pytest.approx((4.0 - 1.0) / 2.0)
    assert k._price(k.CRITICAL_BID, 3.0, 6.0, 0.0, -np.inf) == 0.0
