"""Allocations against closed forms, published values, brute force, invariances and cvxpy."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fairgroup.sampling import (
    ExponentialCurve,
    HyperbolicCurve,
    PowerLawCurve,
    allocate_budget,
)
from fairgroup.sampling._closed_form import common_power, hyperbolic, neyman

# Section 7 of the specification: rho, n, utility.
VALUES = [
    (0, (290.77740, 294.53263, 207.34499), 0.7714115417),
    (0.5, (289.81413, 303.64494, 203.27047), -0.2444397168),
    (1, (288.75137, 312.42312, 199.41275), -0.2618519148),
    (2, (286.37465, 329.03845, 192.29345), -0.3020962801),
    (np.inf, (154.45042, 661.43978, 92.05490), 0.7390705767),
]
COSTS = np.array([1.0, 1.0, 2.0])


def random_curves(seed, n_groups=6):
    rng = np.random.default_rng(seed)
    kinds = [
        lambda: PowerLawCurve(rng.uniform(0.7, 1), rng.uniform(0.5, 3), rng.uniform(0.3, 1)),
        lambda: HyperbolicCurve(rng.uniform(0.3, 1), rng.uniform(20, 200)),
        lambda: ExponentialCurve(rng.uniform(0.7, 1), rng.uniform(0.2, 0.5), 0.01 * rng.uniform()),
    ]
    curves = [kinds[rng.integers(3)]() for _ in range(n_groups)]
    return curves, rng.uniform(1, 4, n_groups), rng.dirichlet(np.full(n_groups, 3.0))


@pytest.mark.parametrize(("rho", "n", "utility"), VALUES)
def test_values_of_the_specification(three_curves, rho, n, utility):
    found = allocate_budget(three_curves, COSTS, 1000, rho=rho, lower=20)
    np.testing.assert_allclose(found.n, n, atol=1e-5)
    assert found.utility == pytest.approx(utility, abs=1e-10)
    assert found.spent == pytest.approx(1000, rel=1e-12)


def test_closed_form_of_a_common_exponent():
    expected = [300 * 4 ** (2 / 3) / (1 + 4 ** (2 / 3)), 300 / (1 + 4 ** (2 / 3))]
    half, one = np.array([0.5, 0.5]), np.ones(2)
    np.testing.assert_allclose(common_power(half, np.array([4.0, 1]), 0.5, one, 300), expected)
    curves = [PowerLawCurve(1, 4, 0.5), PowerLawCurve(1, 1, 0.5)]
    for method in ("auto", "search"):
        found = allocate_budget(curves, 1, 300, rho=0, method=method).n
        np.testing.assert_allclose(found, (214.768904, 85.231096), atol=1e-6)


def test_neyman():
    half, one = np.array([0.5, 0.5]), np.ones(2)
    np.testing.assert_allclose(neyman(half, np.array([1.0, 3]), one, 400), (100, 300))
    variances = [PowerLawCurve(0, 1, 1), PowerLawCurve(0, 9, 1)]
    np.testing.assert_allclose(allocate_budget(variances, 1, 400, rho=0).n, (100, 300))


def test_hyperbolic_water_filling_agrees_with_the_search():
    rng = np.random.default_rng(0)
    curves = [
        HyperbolicCurve(s, k)
        for s, k in zip(rng.uniform(0.2, 1, 8), rng.uniform(10, 500, 8), strict=True)
    ]
    lower = np.full(8, 15.0)
    costs = rng.uniform(1, 3, 8)
    search = allocate_budget(curves, costs, 800, rho=0, lower=lower, method="search")
    s_inf, kappa = np.array([(c.s_inf, c.kappa) for c in curves]).T
    formula = hyperbolic(np.full(8, 1 / 8), s_inf, kappa, costs, 800.0, lower)
    np.testing.assert_allclose(search.n, formula, rtol=1e-9)
    assert (search.n == 15).any()


@pytest.mark.parametrize("seed", range(8))
@pytest.mark.parametrize("rho", [0, 0.5, 1, 3])
def test_optimality_conditions(seed, rho):
    curves, costs, weights = random_curves(seed)
    lower, upper = np.full(6, 30.0), np.full(6, 700.0)
    options = {"rho": rho, "lower": lower, "upper": upper, "weights": weights}
    found = allocate_budget(curves, costs, 3000, method="search", **options)
    assert found.spent == pytest.approx(3000, rel=1e-12)
    inner = (found.n > lower) & (found.n < upper)
    np.testing.assert_allclose(found.shadow_prices[inner], found.multiplier, rtol=1e-8)
    assert (found.shadow_prices[found.n <= lower] <= found.multiplier * (1 + 1e-8)).all()
    assert (found.shadow_prices[found.n >= upper] >= found.multiplier * (1 - 1e-8)).all()


@pytest.mark.parametrize("rho", [0, 1, 2, np.inf])
def test_more_budget_never_takes_back(rho):
    curves, costs, weights = random_curves(3)
    n = [
        allocate_budget(curves, costs, b, rho=rho, lower=5, weights=weights).n
        for b in np.linspace(200, 4000, 30)
    ]
    assert (np.diff(n, axis=0) > -1e-6).all()


def test_limits_in_rho(three_curves):
    at = {
        r: allocate_budget(three_curves, COSTS, 1000, rho=r, lower=20).n for r in (0, 1e-6, np.inf)
    }
    np.testing.assert_allclose(at[1e-6], at[0], rtol=1e-4)
    nearly = allocate_budget(three_curves, COSTS, 1000, rho=100.0, lower=20)
    np.testing.assert_allclose(nearly.n, at[np.inf], rtol=0.2)
    assert nearly.scores.min() == pytest.approx(VALUES[-1][2], abs=5e-3)


@pytest.mark.parametrize("rho", [0, 1, np.inf])
@settings(max_examples=15, deadline=None)
@given(seed=st.integers(0, 10_000))
def test_invariances(rho, seed):
    curves, costs, weights = random_curves(seed, 4)
    n = allocate_budget(curves, costs, 900, rho=rho, lower=10, weights=weights).n
    order = np.random.default_rng(seed).permutation(4)
    mixed = allocate_budget(
        [curves[i] for i in order], costs[order], 900, rho=rho, lower=10, weights=weights[order]
    )
    np.testing.assert_allclose(mixed.n, n[order], rtol=1e-7)
    scaled = allocate_budget(curves, 7 * costs, 6300, rho=rho, lower=10, weights=5 * weights)
    np.testing.assert_allclose(scaled.n, n, rtol=1e-7)


def test_affine_scores_change_nothing_for_totals(three_curves):
    moved = [PowerLawCurve(3 * c.s_inf - 7, 3 * c.b, c.a) for c in three_curves]
    for curves in (three_curves, moved):
        n = allocate_budget(curves, COSTS, 1000, rho=0, lower=20).n
        np.testing.assert_allclose(n, VALUES[0][1], atol=1e-5)


@pytest.mark.parametrize("seed", range(25))
@pytest.mark.parametrize("rho", [0, 1])
def test_whole_numbers_with_equal_costs_are_optimal(slow_best, seed, rho):
    """Theorem 1: greedy by increments is the optimum, after every purchase."""
    rng = np.random.default_rng(seed)
    curves = [HyperbolicCurve(rng.uniform(0.2, 1), rng.uniform(1, 30)) for _ in range(3)]
    u = (lambda s: s) if rho == 0 else np.log
    values = [u(c.predict(np.arange(1, 16))) / 3 for c in curves]
    for extra in (0, 1, 5, 12):
        best, _ = slow_best(values, [1, 1, 1], extra)
        options = {"rho": rho, "lower": 1, "upper": 15, "integer": True, "utility_floor": 1e-6}
        for exact in (False, True):
            found = allocate_budget(curves, 1, 3 + extra, exact=exact, **options)
            assert found.n.dtype.kind == "i"
            assert found.utility == pytest.approx(best, abs=1e-12)


@pytest.mark.parametrize("seed", range(15))
def test_dynamic_programme_is_optimal_for_any_costs(slow_best, seed):
    rng = np.random.default_rng(seed)
    curves = [HyperbolicCurve(rng.uniform(0.2, 1), rng.uniform(1, 30)) for _ in range(3)]
    costs = rng.integers(1, 6, 3) / 2
    values = [np.log(c.predict(np.arange(1, 13))) / 3 for c in curves]
    best, _ = slow_best(values, costs, 14)
    options = {"rho": 1, "lower": 1, "upper": 12, "integer": True, "utility_floor": 1e-6}
    budget = 14 + costs.sum()
    exact = allocate_budget(curves, costs, budget, exact=True, **options)
    assert exact.utility == pytest.approx(best, abs=1e-12)
    assert exact.spent <= budget + 1e-9
    assert allocate_budget(curves, costs, budget, **options).utility <= best + 1e-12


def test_where_greedy_rounding_loses():
    curves = [HyperbolicCurve(0.5, 12), HyperbolicCurve(0.6, 25)]
    options = {"rho": 1, "lower": 1, "integer": True, "utility_floor": 1e-6}
    greedy = allocate_budget(curves, [2, 3], 21, weights=[1, 1], **options)
    exact = allocate_budget(curves, [2, 3], 21, weights=[1, 1], exact=True, **options)
    # The specification adds ln s with w = 1/2 up without the factor.
    assert greedy.n.tolist() == [4, 4]
    assert greedy.utility == pytest.approx(-2.285634317, abs=1e-9)
    assert exact.n.tolist() == [6, 3]
    assert exact.utility == pytest.approx(-2.268088657, abs=1e-9)


def test_greedy_fails_for_an_s_shape():
    """The counterexample of the specification, as plain arithmetic: 0.1 against 1."""
    phi = [lambda n: float(n >= 10), lambda n: 0.01 * n]
    n = [0, 0]
    for _ in range(10):
        gain = [f(k + 1) - f(k) for f, k in zip(phi, n, strict=True)]
        n[int(np.argmax(gain))] += 1
    assert phi[0](n[0]) + phi[1](n[1]) == pytest.approx(0.1)
    assert phi[0](10) + phi[1](0) == 1


@pytest.mark.parametrize("seed", range(20))
def test_max_min_by_scores_alone(slow_best, seed):
    """Theorem 2: buying for any group of lowest score needs no curves, concavity or costs."""
    rng = np.random.default_rng(seed)
    tables = [np.maximum.accumulate(rng.uniform(size=8)) for _ in range(3)]
    costs = rng.integers(1, 4, 3)
    budget = 12
    best = max(
        min(t[k] for t, k in zip(tables, n, strict=True))
        for n in np.ndindex(8, 8, 8)
        if np.dot(costs, n) <= budget
    )
    n, left = [0, 0, 0], budget
    while True:
        g = int(np.argmin([t[k] for t, k in zip(tables, n, strict=True)]))
        if costs[g] > left or n[g] == 7:
            break
        n[g] += 1
        left -= costs[g]
    assert min(t[k] for t, k in zip(tables, n, strict=True)) == pytest.approx(best, abs=0)


@pytest.mark.parametrize("seed", range(10))
def test_whole_max_min_is_optimal(seed):
    curves, costs, _ = random_curves(seed, 3)
    costs = np.ceil(costs)
    found = allocate_budget(curves, costs, 60, rho=np.inf, lower=2, integer=True)
    best = -np.inf
    for n in np.ndindex(30, 30, 30):
        size = np.add(n, 2)
        if costs @ size <= 60:
            best = max(best, min(float(c.predict(k)) for c, k in zip(curves, size, strict=True)))
    assert found.spent <= 60
    assert found.utility == pytest.approx(best, abs=1e-12)


def test_leximin_spends_what_the_lowest_cannot_use():
    curves = [PowerLawCurve(0.5, 1, 0.5), PowerLawCurve(0.9, 1, 0.5), PowerLawCurve(0.9, 2, 0.5)]
    found = allocate_budget(curves, 1, 1000, rho=np.inf, lower=10, upper=[50, 1000, 1000])
    assert found.n[0] == pytest.approx(50)
    np.testing.assert_allclose(found.scores[1], found.scores[2])
    assert found.spent == pytest.approx(1000)


@pytest.mark.filterwarnings("ignore:cvxpy calls its solution inaccurate")
@pytest.mark.parametrize("rho", [0, 0.5, 1, 2, np.inf])
def test_cvxpy_agrees(three_curves, rho):
    pytest.importorskip("cvxpy")
    curves = [*three_curves, HyperbolicCurve(0.8, 60), ExponentialCurve(0.9, 0.4, 0.01)]
    costs = np.array([1.0, 1, 2, 1.5, 1])
    ours = allocate_budget(curves, costs, 1500, rho=rho, lower=20)
    theirs = allocate_budget(curves, costs, 1500, rho=rho, lower=20, method="cvxpy")
    assert theirs.utility == pytest.approx(ours.utility, abs=1e-8 if np.isfinite(rho) else 1e-5)
    if rho != np.inf:
        np.testing.assert_allclose(theirs.n, ours.n, rtol=2e-3)


def test_any_function_with_its_derivative():
    functions = (lambda n: 0.9 - 2 * n**-0.5, lambda n: n**-1.5)
    named = [PowerLawCurve(0.9, 2, 0.5), PowerLawCurve(0.8, 3, 0.6)]
    for rho in (0.5, np.inf):
        mixed = allocate_budget([functions, named[1]], [1, 2], 500, rho=rho, lower=20).n
        np.testing.assert_allclose(
            mixed, allocate_budget(named, [1, 2], 500, rho=rho, lower=20).n, rtol=1e-8
        )


def test_a_score_below_the_floor_is_not_starved():
    """Trap 1: clipped at the floor the second group would be worth nothing and stay at 20."""
    curves = [PowerLawCurve(0.7, 1, 0.5), PowerLawCurve(0.6, 9, 0.5)]
    found = allocate_budget(curves, 1, 150, rho=1, lower=20)
    assert found.scores[1] < 0.05
    assert found.n[1] > 3 * found.n[0]


def test_one_group_gets_everything_and_flat_curves_nothing():
    assert allocate_budget([PowerLawCurve(1, 1, 1)], 2, 100).n[0] == pytest.approx(50)
    found = allocate_budget(
        [PowerLawCurve(0.9, 0, 1), PowerLawCurve(0.8, 1, 0.5)], 1, 100, lower=5
    )
    np.testing.assert_allclose(found.n, (5, 95))
    worst = allocate_budget(
        [PowerLawCurve(0.3, 0, 1), PowerLawCurve(0.8, 1, 0.5)], 1, 100, lower=5, rho=np.inf
    )
    assert worst.utility == pytest.approx(0.3)
    ignored = allocate_budget([PowerLawCurve(0.9, 1, 1)] * 2, 1, 100, weights=[1, 0], lower=5)
    np.testing.assert_allclose(ignored.n, (95, 5))


def test_upper_bounds_end_the_spending():
    found = allocate_budget([PowerLawCurve(1, 1, 0.5)] * 2, 1, 1000, lower=1, upper=[10, 20])
    np.testing.assert_allclose(found.n, (10, 20))
    assert found.multiplier == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"costs": [1, 0]}, "costs must be positive"),
        ({"costs": [1, np.nan]}, "costs must be positive"),
        ({"costs": [1, 1, 1]}, "costs has shape"),
        ({"rho": -1}, "rho must be"),
        ({"rho": np.nan}, "rho must be"),
        ({"weights": [-1, 2]}, "weights must be"),
        ({"weights": [0, 0]}, "weights must be"),
        ({"budget": 30, "lower": 20}, "cost 40, but the budget is 30"),
        ({"budget": -1}, "budget must be"),
        ({"lower": 5, "upper": 3}, "lower and upper must"),
        ({"utility_floor": 0}, "utility_floor"),
        ({"method": "guess"}, "method"),
        ({"integer": True, "exact": True, "costs": [1, 1.000001], "budget": 1e6}, "exact=True"),
    ],
)
def test_bad_input(options, message):
    options = {"costs": 1.0, "budget": 100, **options}
    with pytest.raises(ValueError, match=message):
        allocate_budget([PowerLawCurve(1, 1, 0.5)] * 2, **options)


def test_curves_of_the_wrong_kind():
    with pytest.raises(TypeError, match=r"curves\[1\] is str"):
        allocate_budget([PowerLawCurve(1, 1, 0.5), "power"], 1, 100)
    with pytest.raises(ValueError, match="empty"):
        allocate_budget([], 1, 100)


def test_the_table_of_an_allocation(three_curves):
    found = allocate_budget(three_curves, COSTS, 1000, lower=20)
    assert found.frame["cost"].sum() == pytest.approx(1000)
    assert list(found.frame.columns) == ["n", "cost", "score", "shadow_price"]
    assert found.equal_equivalent == pytest.approx(np.exp(found.utility))
