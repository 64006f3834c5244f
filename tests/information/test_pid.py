from __future__ import annotations

import importlib.util
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning

from fairgroup.information import (
    conditional_mutual_information,
    mutual_information,
    pid_broja,
)
from fairgroup.information._closed_form import binary_unique, envelope
from fairgroup.information._solver import margin_problem


def _load(name):
    spec = importlib.util.spec_from_file_location(
        f"information_{name}", Path(__file__).parent / f"{name}.py"
    )
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


reference, shared = _load("reference"), _load("conftest")
KNOWN, CANONICAL, random_tables = shared.KNOWN, shared.CANONICAL, shared.random_tables


def terms(result):
    return np.array([result.unique1, result.redundant, result.synergy, result.unique2])


@pytest.mark.parametrize("solver", ["auto", "ipm"])
@pytest.mark.parametrize("name", KNOWN)
def test_known_tables(name, solver):
    table, expected = KNOWN[name]
    result = pid_broja(table, solver=solver, tol=1e-11)
    found = [*terms(result), result.mi1, result.mi_joint - result.mi2]
    assert_allclose(found, expected, atol=3e-12)
    assert -1e-12 <= result.duality_gap <= 1e-11


@pytest.mark.parametrize("solver", ["auto", "ipm"])
@pytest.mark.parametrize("name", CANONICAL)
def test_canonical_examples(name, solver):
    table, expected = CANONICAL[name]
    assert_allclose(terms(pid_broja(table, solver=solver)), expected, atol=2e-9)


@pytest.mark.parametrize("agreement", [0.5, 0.6, 0.9, 1.0])
def test_pure_redundancy_is_one_minus_the_binary_entropy(agreement):
    table = np.zeros((2, 2, 2))
    for z in (0, 1):
        for s in (0, 1):
            table[z, s, s] = agreement if z == s else 1 - agreement
    result = pid_broja(table)
    expected = 1 - reference.entropy([agreement, 1 - agreement])
    assert_allclose(terms(result), [0, expected, 0, 0], atol=1e-12)


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 3, 7), (2, 12, 5)])
def test_closed_form_is_the_hull_of_the_roc_curves(rng, shape, sparse):
    for table in random_tables(rng, 12, *shape, sparse=sparse):
        expected = reference.roc_unique(table)
        assert_allclose(
            pid_broja(table, solver="closed_form").unique1, max(expected, 0), atol=1e-12
        )


@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 2, 10), (2, 10, 4)])
def test_integral_form_agrees_with_the_envelope(rng, shape):
    for table in random_tables(rng, 40, *shape, sparse=True):
        first, second = table.sum(2), table.sum(1)
        seen = (table.sum((1, 2)) > 0).all()
        if not seen:
            continue
        unique, of_second = binary_unique(first, second)
        test = envelope(first, second)
        bits = np.log(2)
        assert_allclose(
            unique / bits, mutual_information(test) - mutual_information(second), atol=1e-12
        )
        assert_allclose(
            of_second / bits, mutual_information(test) - mutual_information(first), atol=1e-12
        )


@pytest.mark.parametrize("sparse", [False, True])
@pytest.mark.parametrize("shape", [(2, 2, 2), (2, 2, 10), (2, 5, 3)])
def test_interior_point_agrees_with_the_closed_form(rng, shape, sparse):
    tables = random_tables(rng, 60, *shape, sparse=sparse)
    exact = pid_broja(tables, solver="closed_form")
    found = pid_broja(tables, solver="ipm")
    assert (found.duality_gap <= 1e-9).all()
    assert (found.unique1 >= exact.unique1 - 1e-12).all()
    assert (found.unique1 - found.duality_gap <= exact.unique1 + 1e-12).all()


@pytest.mark.parametrize("shape", [(3, 2, 10), (3, 4, 3), (5, 2, 6), (4, 4, 12)])
def test_certificate_holds_for_more_groups(rng, shape):
    tables = np.concatenate([random_tables(rng, 15, *shape, sparse=s) for s in (False, True)])
    result = pid_broja(tables)
    with warnings.catch_warnings():
        # How near to 1e-10 a sparse table can be certified depends on the processor.
        warnings.simplefilter("ignore", ConvergenceWarning)
        tight = pid_broja(tables, tol=1e-10)
    assert (result.duality_gap <= 1e-9).all()
    assert (result.unique1 - result.duality_gap <= tight.unique1 + 1e-12).all()
    assert (tight.unique1 <= result.unique1 + 1e-10).all()


@pytest.mark.parametrize("shape", [(2, 3, 3), (3, 3, 2), (3, 2, 3)])
def test_cvxpy_is_an_independent_check(rng, shape):
    pytest.importorskip("cvxpy")
    tables = random_tables(rng, 3, *shape)
    found, slow = pid_broja(tables), pid_broja(tables, solver="cvxpy", tol=1e-5)
    assert_allclose(found.unique1, slow.unique1, atol=2e-6)


@pytest.mark.parametrize("name", KNOWN)
def test_coupling_keeps_the_margins_and_attains_the_value(name):
    table = np.asarray(KNOWN[name][0], float)
    table /= table.sum()
    result = pid_broja(table, return_coupling=True)
    law = result.coupling
    assert_allclose(law.sum(2), table.sum(2), atol=1e-12)
    assert_allclose(law.sum(1), table.sum(1), atol=1e-12)
    assert (law >= 0).all()
    value = conditional_mutual_information(law)
    assert_allclose(value, result.unique1, atol=max(2 * result.duality_gap, 1e-9))


def test_batch_is_the_loop_in_any_order(rng):
    tables = random_tables(rng, 30, 3, 3, 4, sparse=True)
    batch = pid_broja(tables.reshape(5, 6, 3, 3, 4), tol=1e-10)
    assert batch.unique1.shape == (5, 6)
    loop = [pid_broja(table, tol=1e-10).unique1 for table in tables]
    assert_allclose(batch.unique1.ravel(), loop, atol=2e-10)
    turned = pid_broja(tables[::-1], tol=1e-10)
    assert_allclose(turned.unique1[::-1], loop, atol=2e-10)


def _tables(max_size=4):
    sizes = st.tuples(*[st.integers(1, max_size)] * 3)
    counts = st.integers(0, 30)
    return sizes.flatmap(lambda shape: arrays(np.int64, shape, elements=counts)).filter(
        lambda t: t.sum() > 0
    )


# A table of 30 rows in 64 cells is as sparse as it gets; the gap can then stay at 1e-8.
LOOSE = 1e-6


@settings(deadline=None, max_examples=60)
@given(_tables())
def test_identities_and_bounds(table):
    r = pid_broja(table, tol=LOOSE)
    overall, local, spread = r.mi1, r.mi_joint - r.mi2, r.mi2
    assert min(terms(r)) >= 0
    assert_allclose(r.unique1 + r.redundant, overall, atol=1e-12)
    assert_allclose(r.unique1 + r.synergy, local, atol=1e-12)
    assert_allclose(terms(r).sum(), r.mi_joint, atol=1e-9 + LOOSE)
    assert_allclose(local, conditional_mutual_information(table), atol=1e-9)
    given_first = conditional_mutual_information(np.swapaxes(table, 1, 2))
    assert overall <= local + spread + 1e-9
    assert local <= overall + given_first + 1e-9
    assert r.redundant <= min(overall, spread) + LOOSE + 1e-9
    assert r.unique1 <= min(overall, local) + 1e-12
    assert (local <= overall + 1e-12) == (r.synergy <= r.redundant + 1e-12) or abs(
        local - overall
    ) < 1e-9


@settings(deadline=None, max_examples=60)
@given(_tables(), st.randoms(use_true_random=False), st.integers(2, 1000))
def test_names_order_and_scale_do_not_matter(table, random, factor):
    base = terms(pid_broja(table, tol=LOOSE))
    shuffled = table * factor
    for axis in range(3):
        order = list(range(table.shape[axis]))
        random.shuffle(order)
        shuffled = np.take(shuffled, order, axis=axis)
    assert_allclose(terms(pid_broja(shuffled, tol=LOOSE)), base, atol=2 * LOOSE)


@settings(deadline=None, max_examples=60)
@given(_tables())
def test_swapping_the_sources_swaps_their_unique_parts(table):
    one = pid_broja(table, tol=LOOSE)
    other = pid_broja(np.swapaxes(table, 1, 2), tol=LOOSE)
    assert_allclose(
        [one.unique1, one.unique2, one.redundant, one.synergy],
        [other.unique2, other.unique1, other.redundant, other.synergy],
        atol=2 * LOOSE,
    )


@settings(deadline=None, max_examples=40)
@given(_tables(3), st.sampled_from([1, 2]), st.floats(0.1, 0.9))
def test_splitting_a_level_in_proportion_changes_nothing(table, axis, share):
    first = np.take(table, [0], axis=axis) * share
    rest = np.take(table, [0], axis=axis) * (1 - share)
    others = np.delete(table, 0, axis=axis)
    split = np.concatenate([first, rest, others], axis=axis)
    assert_allclose(
        terms(pid_broja(split, tol=LOOSE)), terms(pid_broja(table, tol=LOOSE)), atol=3 * LOOSE
    )


@settings(deadline=None, max_examples=40)
@given(_tables(4).filter(lambda t: t.shape[1] > 1 and t.shape[2] > 1))
def test_merging_levels(table):
    base = pid_broja(table, tol=LOOSE)
    coarser = np.concatenate([table[:, :2].sum(1, keepdims=True), table[:, 2:]], axis=1)
    merged = pid_broja(coarser, tol=LOOSE)
    assert merged.mi1 <= base.mi1 + 1e-12
    assert merged.unique1 <= base.unique1 + 2 * LOOSE
    clients = np.concatenate([table[:, :, :2].sum(2, keepdims=True), table[:, :, 2:]], axis=2)
    assert pid_broja(clients, tol=LOOSE).unique1 >= base.unique1 - 2 * LOOSE


def test_groups_spread_evenly_leave_nothing_redundant(rng):
    for m in (2, 3):
        law = rng.dirichlet(np.ones(3), (m, 4))  # prediction given group and client
        table = law.transpose(0, 2, 1) / (4 * m)
        assert pid_broja(table).redundant <= 1e-9


def test_limits_of_local_and_global_fairness(rng):
    spread = rng.dirichlet(np.ones(4), 3)  # client given group
    decide = rng.dirichlet(np.ones(2), 4)  # prediction given client
    chain = spread[:, None, :] * decide.T[None] / 3
    r = pid_broja(chain)
    assert_allclose([r.unique1, r.synergy], 0, atol=1e-9)
    assert_allclose(r.redundant, r.mi1, atol=1e-9)
    decide = rng.dirichlet(np.ones(2), 3)  # prediction given group
    spread = rng.dirichlet(np.ones(4), 2)  # client given prediction
    chain = decide[:, :, None] * spread[None] / 3
    r = pid_broja(chain)
    assert_allclose(r.synergy, 0, atol=1e-9)
    assert r.unique1 <= r.mi1 + 1e-12


def test_client_that_copies_the_decision_makes_all_redundant(rng):
    joint = rng.dirichlet(np.ones(6)).reshape(2, 3)
    table = np.zeros((2, 3, 3))
    table[:, range(3), range(3)] = joint
    r = pid_broja(table)
    assert_allclose([r.unique1, r.redundant], [0, r.mi1], atol=1e-12)


@pytest.mark.parametrize(
    ("table", "expected"),
    [
        ([[[3, 4]], [[1, 2]]], 0.0),
        ([[[3, 4], [1, 2]]], 0.0),
        ([[[1]]], 0.0),
        ([[[30], [10]], [[10], [30]]], 0.18872187554086717),
    ],
    ids=["one prediction", "one group", "one row", "one client"],
)
@pytest.mark.parametrize("solver", ["auto", "ipm"])
def test_degenerate_tables(table, expected, solver):
    r = pid_broja(table, solver=solver, return_coupling=True)
    assert_allclose(r.unique1, expected, atol=1e-15)
    assert_allclose(r.coupling.sum(2), np.asarray(table).sum(2) / np.sum(table), atol=1e-15)


def test_many_empty_levels_and_tiny_probabilities(rng):
    table = np.zeros((3, 50, 4))
    table[:, ::10] = rng.integers(1, 9, (3, 5, 4))
    assert_allclose(terms(pid_broja(table)), terms(pid_broja(table[:, ::10])), atol=3e-9)
    tiny = rng.dirichlet(np.ones(12)).reshape(2, 3, 2)
    tiny[0, 0, 0] = 1e-12
    assert_allclose(pid_broja(tiny).unique1, pid_broja(tiny, solver="ipm").unique1, atol=1e-9)


def test_only_two_of_three_groups_occur(rng):
    table = rng.integers(1, 20, (3, 2, 4)).astype(float)
    table[1] = 0
    r = pid_broja(table)
    assert r.duality_gap == 0
    assert_allclose(terms(r), terms(pid_broja(table[[0, 2]])), atol=1e-15)


def test_base_is_a_change_of_unit():
    table = KNOWN["T5 three groups"][0]
    bits, nats = pid_broja(table, tol=1e-10), pid_broja(table, base="e", tol=1e-10)
    assert_allclose(terms(bits) * np.log(2), terms(nats), atol=2e-10)
    assert_allclose(
        mutual_information([[3, 1], [1, 3]], base=4) * 2, mutual_information([[3, 1], [1, 3]])
    )


def test_missed_tolerance_warns_and_tells_the_gap():
    table = KNOWN["T5 three groups"][0]
    with pytest.warns(ConvergenceWarning, match="duality gap"):
        r = pid_broja(table, max_iter=2)
    assert r.duality_gap > 1e-9
    assert r.unique1 - r.duality_gap <= KNOWN["T5 three groups"][1][0] <= r.unique1


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ([[1, 2], [3, 4]], "axes"),
        (np.full((2, 2, 2), -1), "negative"),
        (np.full((2, 2, 2), np.nan), "NaN"),
        (np.zeros((2, 2, 2)), "all zero"),
        (np.zeros((2, 0, 2)), "at least one level"),
        (np.stack([np.ones((2, 2, 2)), np.zeros((2, 2, 2))]), "all zero"),
    ],
)
def test_bad_tables(table, message):
    with pytest.raises(ValueError, match=message):
        pid_broja(table)


def test_bad_arguments():
    with pytest.raises(ValueError, match="at most two groups"):
        pid_broja(np.ones((3, 2, 2)), solver="closed_form")
    with pytest.raises(ValueError, match="solver"):
        pid_broja(np.ones((2, 2, 2)), solver="magic")
    with pytest.raises(ValueError, match="base"):
        mutual_information([[1, 2], [3, 4]], base=1)


def test_mutual_information_against_the_definition(rng):
    tables = rng.integers(0, 9, (20, 3, 4)) + (rng.random((20, 3, 4)) < 0.1)
    assert_allclose(
        mutual_information(tables), [reference.mutual_information(t) for t in tables], atol=1e-12
    )


def test_swapped_sizes_use_the_same_solver(rng):
    tables = random_tables(rng, 5, 3, 7, 2)
    wide = margin_problem(tables.sum(3), tables.sum(2), tol=1e-10, max_iter=60)
    assert_array_equal(wide.law.shape, (5, 3, 7, 2))
    assert_allclose(wide.law.sum(3), tables.sum(3), atol=1e-14)
