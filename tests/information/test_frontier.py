from __future__ import annotations

import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning

from fairgroup.exceptions import FairgroupWarning
from fairgroup.information import FairnessFrontier, mutual_information, pid_broja
from fairgroup.information._budgets import masses_and_costs
from fairgroup.information._frontier_newton import _information_hessian
from fairgroup.information._frontier_solver import solve_frontier
from fairgroup.information._rules import Rules, informations

INF = float("inf")
# counts [group][client][label]
TABLE = np.array([[[30, 10], [20, 20]], [[10, 20], [15, 35]]])
KNOWN = {
    (0, INF): 0.15625,
    (INF, 0): 0.128125,
    (0, 0): 0.15625,
    (0.001, 0.001): 0.1376356639,
    (0.01, 0.01): 0.0974476113,
    (0.01, INF): 0.0974476113,
    (INF, 0.01): 0.0793726002,
    (0.05, 0.01): 0.0793726002,
    (0.05, 0.05): 0.0253871832,
    (0.08, 0.08): 0.0,
}


@pytest.fixture(scope="module")
def frontier():
    return FairnessFrontier(tol=5e-9, n_grid=9).fit_counts(TABLE)


@pytest.mark.parametrize("budgets", KNOWN)
def test_known_errors(frontier, budgets):
    point = frontier.solve(*budgets)
    assert_allclose(point.error, KNOWN[budgets], atol=6e-9)
    assert -1e-12 <= point.error - point.lower_bound <= 5e-9


def test_the_authors_synthetic_instance():
    table = [[[73, 5], [67, 8]], [[0, 72], [10, 65]]]
    frontier = FairnessFrontier(tol=1e-9, n_grid=2).fit_counts(table)
    assert_allclose(frontier.max_global_, 0.6104094680, atol=1e-10)
    assert_allclose(frontier.max_local_, 0.6460997182, atol=1e-10)
    assert_allclose(frontier.solve(0.1, 0.1).error, 0.2390938382, atol=1e-9)


def test_known_prices(frontier):
    """Multipliers per nat, and the slope that a finite difference shows."""
    for budgets, which, price in (
        ((0.01, 0.01), 0, 4.23185),
        ((INF, 0.01), 1, 3.65262),
        ((0.05, 0.05), 0, 1.85968),
    ):
        point = frontier.solve(*budgets)
        assert_allclose(np.array(point.multipliers)[which] / np.log(2), price, atol=2e-5)
        step = np.zeros(2)
        step[which] = 1e-4
        ends = [frontier.solve(*(np.array(budgets) + sign * step)).error for sign in (-1, 1)]
        assert_allclose((ends[0] - ends[1]) / 2e-4, point.multipliers[which], rtol=2e-3)
    assert frontier.solve(0.01, 0.01).multipliers[1] < 1e-5


def test_rules_keep_the_data_and_the_budgets(frontier):
    law = TABLE / TABLE.sum()
    for budgets in KNOWN:
        point = frontier.solve(*budgets)
        assert_allclose(point.joint.sum(3), law, atol=1e-14)
        assert (point.joint >= 0).all()
        wrong = point.joint.sum((0, 1)) * (1 - np.eye(2))
        assert_allclose(wrong.sum(), point.error, atol=1e-14)
        x = point.joint.sum(2)
        inside = sum(x[:, s].sum() * mutual_information(x[:, s]) for s in range(2))
        assert mutual_information(x.sum(1)) <= budgets[0] + 1e-12
        assert inside <= budgets[1] + 1e-12
        assert_allclose(point.achieved_local, inside, atol=1e-12)


def test_shape_of_the_frontier(frontier):
    error = frontier.error_
    assert error.shape == (9, 9)
    assert (np.diff(error, axis=0) <= 1e-8).all()
    assert (np.diff(error, axis=1) <= 1e-8).all()
    assert (error[:-2] + error[2:] >= 2 * error[1:-1] - 2e-8).all()
    assert (error[:, :-2] + error[:, 2:] >= 2 * error[:, 1:-1] - 2e-8).all()
    diagonal = np.diag(error)
    assert (diagonal[:-2] + diagonal[2:] >= 2 * diagonal[1:-1] - 2e-8).all()
    assert error[-1, -1] == 0
    assert (frontier.achieved_global_ <= frontier.epsilon_global_[:, None] + 1e-12).all()
    assert (frontier.achieved_local_ <= frontier.epsilon_local_ + 1e-12).all()
    assert_allclose(frontier.accuracy_, 1 - error)


def test_error_tends_to_the_linear_program(frontier):
    ends = [frontier.solve(eps, INF).error for eps in (1e-3, 1e-4, 1e-5)]
    assert ends[0] < ends[1] < ends[2] < 0.15625
    assert 0.15625 - ends[2] < 0.002


@pytest.mark.parametrize("zero", [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 2, 2), (2, 3, 3), (4, 1, 2)])
def test_budgets_of_zero_are_linear_programs(rng, information_reference, shape, zero):
    table = rng.integers(1, 30, shape).astype(float)
    expected = information_reference.frontier_lp(table, zero_global=zero[0], zero_local=zero[1])
    budgets = [0 if flag else INF for flag in zero]
    point = FairnessFrontier(n_grid=2, decompose=False).fit_counts(table).solve(*budgets)
    assert_allclose(point.error, expected, atol=2e-8)


def test_binary_closed_forms_at_zero(rng):
    table = rng.integers(1, 30, (2, 3, 2)).astype(float)
    law = table / table.sum()
    frontier = FairnessFrontier(n_grid=2, decompose=False).fit_counts(table)
    mass = law.sum((1, 2))
    rates = law[:, :, 1].sum(1) / mass
    assert_allclose(frontier.solve(0, INF).error, mass.min() * abs(np.diff(rates))[0], atol=2e-8)
    mass = law.sum(2)
    rates = law[:, :, 1] / mass
    assert_allclose(
        frontier.solve(INF, 0).error, (mass.min(0) * abs(rates[0] - rates[1])).sum(), atol=2e-8
    )


def test_absent_groups_and_empty_cells():
    table = np.zeros((3, 3, 2))
    table[0, :, :] = [[10, 5], [0, 0], [7, 7]]
    table[2, :, :] = [[3, 9], [4, 4], [0, 0]]
    frontier = FairnessFrontier(n_grid=4).fit_counts(table)
    without = FairnessFrontier(n_grid=4).fit_counts(table[[0, 2]])
    assert_allclose(frontier.error_, without.error_, atol=3e-8)
    assert frontier.solve(INF, 0).error < frontier.solve(0, 0).error + 1e-9


@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 2, 3), (2, 10, 2)])
def test_cvxpy_is_an_independent_check(rng, shape):
    pytest.importorskip("cvxpy")
    table = rng.integers(1, 30, shape)
    settings = {
        "epsilon_global": [0, 0.005, INF],
        "epsilon_local": [0, 0.01, INF],
        "decompose": False,
    }
    found = FairnessFrontier(**settings).fit_counts(table)
    slow = FairnessFrontier(**settings, solver="cvxpy", tol=1e-3).fit_counts(table)
    assert_allclose(found.error_, slow.error_, atol=2e-5)
    assert (slow.error_ >= found.lower_bound_ - 1e-6).all()


@pytest.mark.parametrize("level", ["group-client", "group", "blind"])
def test_post_processing_levels(rng, level):
    """The more a rule may look at, the smaller its error; base output equal to the label is label
    mode.
    """
    counts = rng.integers(1, 40, (2, 3, 4, 2)).astype(float)
    budgets = {"epsilon_global": [0.001, 0.01], "epsilon_local": [0.002, INF], "decompose": False}
    found = FairnessFrontier(level=level, **budgets).fit_counts(counts)
    assert (found.error_ - found.lower_bound_ <= 1e-8).all()
    free = FairnessFrontier(level="group-client", **budgets).fit_counts(counts)
    assert (found.error_ >= free.lower_bound_ - 1e-12).all()
    point = found.solve(0.001, 0.002)
    rule = point.joint / point.joint.sum(3, keepdims=True)
    if level != "group-client":
        assert_allclose(rule, np.broadcast_to(rule[:, :1], rule.shape), atol=1e-12)
    if level == "blind":
        assert_allclose(rule, np.broadcast_to(rule[:1, :1], rule.shape), atol=1e-12)


def test_label_mode_is_post_processing_of_the_label(rng):
    labels = rng.integers(1, 40, (2, 3, 2)).astype(float)
    pairs = np.zeros((2, 3, 2, 2))
    pairs[..., [0, 1], [0, 1]] = labels
    grid = {"epsilon_global": [0, 0.004, 0.02], "epsilon_local": [0.01, INF], "decompose": False}
    one = FairnessFrontier(**grid).fit_counts(labels)
    other = FairnessFrontier(**grid).fit_counts(pairs)
    assert_allclose(one.error_, other.error_, atol=2e-8)


def test_more_than_two_classes_and_one_group_level(rng):
    table = rng.integers(1, 30, (3, 2, 4))
    frontier = FairnessFrontier(n_grid=4).fit_counts(table)
    assert (frontier.error_ - frontier.lower_bound_ <= 1e-8).all()
    assert frontier.solution_.shape == (4, 4, 3, 2, 4)
    alone = FairnessFrontier(n_grid=2).fit_counts(table[:1])
    assert_allclose(alone.error_, 0)


def test_tie_break_takes_the_least_local_disparity(frontier):
    fair = FairnessFrontier(tol=5e-9, n_grid=9, tie_break="min_local").fit_counts(TABLE)
    assert_allclose(fair.error_, frontier.error_, atol=1e-8)
    assert (fair.achieved_local_ <= frontier.achieved_local_ + 1e-12).all()
    assert (fair.achieved_local_ < frontier.achieved_local_ - 1e-4).any()
    # The smallest local budget that costs nothing is the local disparity of the rule.
    point = fair.solve(0.03, INF)
    same = frontier.solve(0.03, point.achieved_local + 1e-4)
    assert_allclose(same.error, point.error, atol=1e-6)
    less = frontier.solve(0.03, 0.9 * point.achieved_local)
    assert less.error > point.error + 1e-6


def test_decomposition_of_the_rules(frontier):
    x = frontier.solution_[3, 4].transpose(0, 2, 1)
    parts = pid_broja(x)
    assert_allclose(
        [frontier.unique_[3, 4], frontier.redundant_[3, 4], frontier.masked_[3, 4]],
        [parts.unique1, parts.redundant, parts.synergy],
        atol=1e-12,
    )
    assert_allclose(frontier.unique_ + frontier.redundant_, frontier.achieved_global_, atol=1e-9)
    assert_allclose(frontier.unique_ + frontier.masked_, frontier.achieved_local_, atol=1e-9)


def test_bounds_hold_between_the_grid_points(frontier, rng):
    for budgets in rng.uniform(0.001, 0.09, (25, 2)):
        low, high = frontier.bounds(*budgets)
        error = frontier.solve(*budgets).error
        assert low - 1e-8 <= error <= high + 1e-8
    wide = FairnessFrontier(epsilon_global=[0.01, INF], epsilon_local=[INF]).fit_counts(TABLE)
    low, high = wide.bounds(0.02, INF)
    assert low <= frontier.solve(0.02, INF).error <= high
    assert wide.bounds(0.0, 0.0)[1] >= 0.15625


def test_knee_is_on_the_grid_between_the_ends(frontier):
    knee = frontier.knee()
    assert 0 < knee.epsilon_global < frontier.max_global_
    assert knee.error < frontier.error_.max() / 1.3


def test_rows_counts_and_frames_agree():
    cells = [cell for cell, count in np.ndenumerate(TABLE) for _ in range(int(count))]
    z, s, y = np.array(cells).T
    rows = FairnessFrontier(n_grid=3).fit(y, sensitive_features=z, clients=s)
    table = FairnessFrontier(n_grid=3).fit_counts(TABLE)
    assert_allclose(rows.error_, table.error_, atol=1e-14)
    assert rows.z_labels_ == (0, 1)
    post = FairnessFrontier(n_grid=3).fit(y, sensitive_features=z, clients=s, base_output=y)
    assert_allclose(post.error_, table.error_, atol=2e-8)
    frame = table.to_frame()
    assert len(frame) == 9
    assert (frame["gap"] <= 1e-8).all()
    copy = pickle.loads(pickle.dumps(table))
    assert copy.solve(0.02, 0.02).error == table.solve(0.02, 0.02).error
    assert not hasattr(clone(table), "error_")


def test_base_is_a_change_of_unit(frontier):
    nats = FairnessFrontier(base="e", tol=5e-9, n_grid=2).fit_counts(TABLE)
    assert_allclose(nats.max_global_, frontier.max_global_ * np.log(2))
    one, other = nats.solve(0.01 * np.log(2), INF), frontier.solve(0.01, INF)
    assert_allclose(one.error, other.error, atol=1e-8)
    assert_allclose(one.multipliers[0] * np.log(2), other.multipliers[0], rtol=1e-6)


@pytest.mark.filterwarnings("ignore:1 of 1 budgets")
def test_bad_budgets_and_tables(frontier):
    with pytest.raises(ValueError, match="epsilon_global must not be negative"):
        frontier.solve(-0.1, 1)
    with pytest.raises(ValueError, match="epsilon_local must not be negative or missing"):
        frontier.solve(0.1, np.nan)
    with pytest.raises(ValueError, match="axes"):
        FairnessFrontier().fit_counts(np.ones((2, 2)))
    with pytest.raises(ValueError, match="negative"):
        FairnessFrontier().fit_counts(-TABLE)
    with pytest.warns(FairgroupWarning, match="taken as zero"):
        point = frontier.solve(1e-8, INF)
    assert_allclose(point.error, 0.15625, atol=6e-9)


def test_missed_tolerance_warns():
    with pytest.warns(ConvergenceWarning, match="missed tol"):
        FairnessFrontier(max_iter=3, n_grid=3).fit_counts(TABLE)


def test_gradients_and_hessians(rng):
    x = rng.dirichlet(np.ones(12)).reshape(1, 2, 3, 2)
    direction = rng.normal(size=(2, 3, 1)) * np.array([1.0, -1.0])
    h = 1e-6

    def at(step):
        return informations(x + step * direction[None])

    ahead, behind, here = at(h), at(-h), at(0)
    assert_allclose(
        (ahead[0] - behind[0]) / (2 * h), (direction.sum(0) * here[2][0]).sum(), rtol=1e-6
    )
    assert_allclose((ahead[1] - behind[1]) / (2 * h), (direction * here[3][0]).sum(), rtol=1e-6)
    pooled = direction.sum(0).ravel()
    hessian = _information_hessian(x.sum(1), np.ones(1)).reshape(6, 6)
    slope = [(pooled * info[2][0].ravel()).sum() for info in (ahead, behind)]
    assert_allclose(pooled @ hessian @ pooled, (slope[0] - slope[1]) / (2 * h), rtol=1e-5)


def test_any_batch_of_budgets_gives_the_same_answers(rng):
    mass, cost = masses_and_costs(rng.integers(1, 30, (2, 3, 2)).astype(float))
    rules = Rules(mass, cost, "group-client")
    budgets = np.array([[0, 0.01], [0.01, 0], [0.004, 0.004], [0.02, INF], [0, 0], [INF, INF]])
    together = solve_frontier(rules, budgets, tol=1e-9)
    for i, budget in enumerate(budgets):
        alone = solve_frontier(rules, budget[None], tol=1e-9)
        assert_allclose(together.error[i], alone.error[0], atol=1e-12)
        assert_allclose(together.joint[i], alone.joint[0], atol=1e-9)


def test_adult_labels_stay_feasible():
    """All figures of the pooled Adult labels at the largest size that the grid has in the
    benchmark.
    """
    table = np.array([[[4342, 542], [10080, 1227]], [[13534, 6002], [9197, 3916]]])
    frontier = FairnessFrontier().fit_counts(table)
    assert (frontier.error_ - frontier.lower_bound_ <= 1e-8).all()
    assert_allclose(frontier.max_global_, 0.036689026626, atol=1e-11)
