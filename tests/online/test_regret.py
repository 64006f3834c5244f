"""Hindsight comparators, the optimizer, the river wrapper and the display."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import SGDRegressor

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import MembershipEncoder
from fairgroup.online import (
    GroupRegretDisplay,
    GroupwiseClassifier,
    GroupwiseOptimizer,
    GroupwiseRegressor,
    groupwise_regret,
)
from fairgroup.online._regret import least_squares_course, ridge_course


def people(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    A = pd.DataFrame({"sex": rng.choice(["f", "m"], n), "race": rng.choice(["a", "b"], n)})
    return X, np.where(A["sex"] == "f", X[:, 0], -X[:, 0]) + 0.1 * rng.normal(size=n), A


# ---- groupwise_regret ----------------------------------------------------------------------


def test_least_squares_course_also_with_collinear_columns():
    rng = np.random.default_rng(0)
    X = rng.normal(size=(90, 4))
    X = np.column_stack([X, X[:, 0] + X[:, 1], np.ones(90), 1e3 * np.ones(90)])
    y, w = rng.normal(size=90), rng.uniform(0.2, 1, 90)
    ends = np.array([1, 3, 5, 20, 90])
    course = least_squares_course(X, y, ends, weight=w)
    for end, value in zip(ends, course, strict=True):
        root = np.sqrt(w[:end])
        theta = np.linalg.lstsq(X[:end] * root[:, None], y[:end] * root, rcond=1e-10)[0]
        assert value == pytest.approx(np.sum(w[:end] * (y[:end] - X[:end] @ theta) ** 2), abs=1e-9)


def test_ridge_course():
    rng = np.random.default_rng(0)
    X, y, w = rng.normal(size=(50, 3)), rng.normal(size=50), rng.uniform(0.2, 1, 50)
    course = ridge_course(X, y, np.array([10, 50]), weight=w, alpha=0.5)
    for end, value in zip((10, 50), course, strict=True):
        gram = 0.5 * np.eye(3) + (X[:end] * w[:end, None]).T @ X[:end]
        theta = np.linalg.solve(gram, X[:end].T @ (w[:end] * y[:end]))
        objective = w[:end] @ (y[:end] - X[:end] @ theta) ** 2 + 0.5 * theta @ theta
        assert value == pytest.approx(objective, abs=1e-10)


def test_regret_of_any_predictions():
    X, y, A = people()
    rng = np.random.default_rng(1)
    played = y + rng.normal(size=len(y))
    table = groupwise_regret(y, played, sensitive_features=A, X=X)
    assert list(table.index) == ["everyone", "sex=f", "sex=m", "race=a", "race=b"]
    for name in ("sex=f", "race=b"):
        column, level = name.split("=")
        rows = (A[column] == level).to_numpy()
        best = np.linalg.lstsq(X[rows], y[rows], rcond=None)[1][0]
        assert table.loc[name, "loss"] == pytest.approx(np.sum((played - y)[rows] ** 2))
        assert table.loc[name, "hindsight"] == pytest.approx(best)
        assert table.loc[name, "regret"] == pytest.approx(np.sum((played - y)[rows] ** 2) - best)
    M = MembershipEncoder().fit_transform(A)
    by_matrix = groupwise_regret(y, played, memberships=M, X=X)
    np.testing.assert_allclose(table.to_numpy(), by_matrix.to_numpy())
    other = groupwise_regret(y, played, memberships=M, comparator=np.zeros(len(y)))
    assert other.loc["everyone", "hindsight"] == pytest.approx(np.sum(y**2))


def test_course_ends_where_the_table_does():
    X, y, A = people()
    whole = groupwise_regret(y, 0 * y, sensitive_features=A, X=X, comparator="ridge")
    course = groupwise_regret(
        y, 0 * y, sensitive_features=A, X=X, comparator="ridge", checkpoints=7
    )
    assert (course.groupby(level="group").size() == 7).all()
    last = course.groupby(level="group", sort=False).last()
    np.testing.assert_allclose(last.to_numpy(), whole.to_numpy())


def test_regret_agrees_with_the_running_report():
    X, y, A = people()
    model = GroupwiseRegressor(y_range=(-5, 5), fit_intercept=False)
    played = model.progressive_predict(X, y, sensitive_features=A)
    table = groupwise_regret(
        (y + 5) / 10, (played + 5) / 10, sensitive_features=A, X=X, comparator="ridge"
    ).loc[model.group_names_]
    report = model.group_report()
    np.testing.assert_allclose(table["loss"], report["loss"], atol=1e-10)
    np.testing.assert_allclose(table["hindsight"], report["hindsight_ridge"], atol=1e-10)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sensitive_features": [0, 1]}, "needs the features X"),
        ({"X": np.ones((2, 1)), "comparator": "lasso", "sensitive_features": [0, 1]}, "lasso"),
        ({"X": np.ones((2, 1)), "always_on": False}, "Give either"),
        (
            {"X": np.ones((2, 1)), "sensitive_features": [0, 1], "memberships": np.ones((2, 1))},
            "Give either",
        ),
        ({"X": np.ones((3, 1)), "sensitive_features": [0, 1]}, "inconsistent"),
    ],
)
def test_regret_bad_input(arguments, words):
    with pytest.raises(ValueError, match=words):
        groupwise_regret([0.0, 1.0], [0.0, 0.0], **arguments)


def test_regret_without_groups_warns():
    with pytest.warns(FairnessWarning, match="one group"):
        groupwise_regret([0.0, 1.0], [0.0, 0.0], X=np.ones((2, 1)))


# ---- shortest paths ------------------------------------------------------------------------

# A graph with three layers of two nodes between s and t: 2 * 2 * 2 paths of four edges.
EDGES = [("s", "a0"), ("s", "a1"), ("a0", "t"), ("a1", "t")]
EDGES = [("s", f"0{i}") for i in range(2)]
EDGES += [(f"{k}{i}", f"{k + 1}{j}") for k in range(2) for i in range(2) for j in range(2)]
EDGES += [(f"2{i}", "t") for i in range(2)]


def all_paths():
    paths = []
    for nodes in itertools.product(range(2), repeat=3):
        route = ["s", *(f"{k}{i}" for k, i in enumerate(nodes)), "t"]
        used = set(itertools.pairwise(route))
        paths.append([float(edge in used) for edge in EDGES])
    return np.array(paths)


PATHS = all_paths()


def shortest(costs):
    """Dynamic programming in the order of the layers."""
    best = {"s": (0.0, ())}
    for e, (tail, head) in enumerate(EDGES):
        total, used = best[tail]
        if head not in best or total + costs[e] < best[head][0]:
            best[head] = total + costs[e], (*used, e)
    decision = np.zeros(len(EDGES))
    decision[list(best["t"][1])] = 1.0
    return decision


def test_oracle_and_perturbed_leader_equal_brute_force():
    rng = np.random.default_rng(0)
    model = GroupwiseOptimizer(shortest, len(EDGES), decision_size=4, random_state=0)
    for _ in range(30):
        member = rng.random(2) < 0.6
        model.decide(member)
        active = np.append(1.0, member)
        decisions = model._decisions(active)
        for g in np.flatnonzero(active):
            noise = model._noise(int(g)) / model._epsilon(model.n_active_[g] + 1)
            costs = model.costs_[g] + noise
            assert decisions[g] @ costs == pytest.approx((PATHS @ costs).min(), abs=1e-12)
        model.update(rng.random(len(EDGES)), member)
    hindsight = model.group_report()["hindsight"]
    np.testing.assert_allclose(hindsight, (PATHS @ model.costs_.T).min(axis=0))


@pytest.mark.slow
def test_expected_regret_of_leader_stays_below_its_bound():
    """Kalai and Vempala, over many runs on costs that alternate to fool an unperturbed leader."""
    n, runs = 30, 60
    costs = np.zeros((n, 2))
    costs[:, 0] = [0.5, *([0.0, 1.0] * n)][:n]
    costs[:, 1] = [0.0, *([1.0, 0.0] * n)][:n]
    pick = lambda c: np.eye(2)[np.argmin(c)]  # noqa: E731
    for epsilon in ("auto", 0.2):
        regrets = []
        for seed in range(runs):
            model = GroupwiseOptimizer(
                pick, 2, decision_size=1, epsilon=epsilon, random_state=seed
            )
            for row in costs:
                model.decide()
                model.update(row)
            report = model.group_report()
            regrets.append(report["regret"].iloc[0])
        spread = np.std(regrets) / np.sqrt(runs)
        assert np.mean(regrets) <= report["regret_bound"].iloc[0] + 3 * spread
        leader = max(costs.sum()) if costs.ndim == 1 else costs.max(axis=1).sum()
        assert np.mean(regrets) < 0.6 * leader  # the unperturbed leader pays nearly all of it


def test_groups_get_their_own_path():
    rng = np.random.default_rng(0)
    good = {0: PATHS[0], 1: PATHS[-1]}
    model = GroupwiseOptimizer(shortest, len(EDGES), decision_size=4, random_state=0)
    paid = np.zeros(2)
    for t in range(600):
        group = int(rng.integers(2))
        costs = np.clip(0.6 - 0.5 * good[group] + 0.1 * rng.normal(size=len(EDGES)), 0, 1)
        member = np.eye(2)[group]
        decision = model.decide(member)
        assert (decision == PATHS).all(axis=1).any()
        cost = model.update(costs, member)
        paid[group] += cost if t >= 300 else 0
    report = model.group_report()
    assert (report["expert_regret"] <= report["bound"] + 1e-9).all()
    assert (report["regret"].iloc[1:] < 0.4 * report["loss"].iloc[1:]).all()
    assert report["hindsight"].iloc[0] > report["loss"].iloc[0]  # better than any single path


def test_optimizer_state_and_groups():
    rng = np.random.default_rng(0)
    make = lambda: GroupwiseOptimizer(shortest, len(EDGES), random_state=1)  # noqa: E731
    one = make()
    for _ in range(10):
        member, costs = rng.random(2) < 0.5, rng.random(len(EDGES))
        one.decide(member)
        one.update(costs, member)
    two = make().set_state(one.get_state())
    for model in (one, two):
        model.add_group("late")
    for _ in range(10):
        member, costs = rng.random(3) < 0.5, rng.random(len(EDGES))
        assert np.array_equal(one.decide(member), two.decide(member))
        assert one.update(costs, member) == two.update(costs, member)
    pd.testing.assert_frame_equal(one.group_report(), two.group_report(), check_exact=True)
    assert one.group_names_ == ["everyone", "group_0", "group_1", "late"]


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda m: m.update(np.full(12, 2.0)), ValueError, "cost_bound"),
        (lambda m: m.update(np.ones(3)), ValueError, "shape"),
        (lambda m: m.decide([2.0]), ValueError, r"\[0, 1\]"),
        (lambda m: m.decide([[1.0]]), ValueError, "one row"),
        (lambda m: (m.decide([1.0]), m.decide([1.0, 0.0])), ValueError, "2 entries"),
        (lambda m: m.set_params(oracle=3).decide(), TypeError, "callable"),
        (lambda m: m.set_params(oracle=lambda c: c[:1]).decide(), ValueError, "oracle returned"),
        (lambda m: m.set_params(epsilon=-1.0).decide(), ValueError, "epsilon"),
        (lambda m: m.set_params(n_elements=0).decide(), ValueError, "n_elements"),
        (lambda m: m.set_params(cost_bound=0).decide(), ValueError, "cost_bound"),
        (lambda m: m.set_params(always_on=False).decide(), ValueError, "no group"),
        (lambda m: m.set_params(always_on=False).decide([0.0]), ValueError, "No group"),
        (lambda m: m.add_group("everyone"), ValueError, "exists"),
    ],
)
def test_optimizer_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call(GroupwiseOptimizer(shortest, 12))


# ---- river ---------------------------------------------------------------------------------


def test_river_regressor_is_the_same_model():
    pytest.importorskip("river")
    X, y, A = people(40)
    direct = GroupwiseRegressor()
    expected = direct.progressive_predict(X, y, sensitive_features=A)
    wrapped = GroupwiseRegressor().to_river(sensitive_features=["sex", "race"])
    assert wrapped.predict_one({"a": 0.0, "b": 0.0, "c": 0.0, "sex": "f", "race": "a"}) == 0.0
    for t, (sex, race) in enumerate(A.itertuples(index=False)):
        row = {"a": X[t, 0], "b": X[t, 1], "c": X[t, 2], "sex": sex, "race": race}
        if t >= 20:  # by then every level is known
            assert wrapped.predict_one(row) == expected[t]
        wrapped.learn_one(row, y[t])
    assert np.array_equal(wrapped.estimator.coef_, direct.coef_)


def test_river_classifier_and_evaluation():
    river = pytest.importorskip("river")
    from river import evaluate, metrics

    X, y, A = people(120)
    model = GroupwiseClassifier().to_river(memberships=["f"])
    frame = pd.DataFrame(X, columns=list("abc")).assign(f=(A["sex"] == "f").to_numpy(float))
    rows = zip(frame.to_dict("records"), (y > 0).tolist(), strict=True)
    metric = evaluate.progressive_val_score(rows, model, metrics.Accuracy())
    assert metric.get() > 0.7
    assert isinstance(model, river.base.Classifier)
    with pytest.raises(ValueError, match="lacks the group"):
        model.predict_proba_one({"a": 0.0, "b": 0.0, "c": 0.0})
    with pytest.raises(ValueError, match="lacks the features"):
        model.predict_proba_one({"a": 0.0, "b": 0.0, "f": 1.0})
    with pytest.raises(ValueError, match="not both"):
        GroupwiseRegressor().to_river(sensitive_features=["s"], memberships=["m"])


def test_river_models_as_base_learners():
    pytest.importorskip("river")
    from river import linear_model, optim

    X, y, A = people(300)
    M = MembershipEncoder().fit_transform(A)
    learner = linear_model.LinearRegression(optim.SGD(0.1), intercept_lr=0.2)
    model = GroupwiseRegressor(learner, y_range=(-5, 5))
    played = model.progressive_predict(X, y, memberships=M)
    assert np.mean((played[150:] - y[150:]) ** 2) < 0.5 * np.var(y)
    model.fit(X, y, memberships=0.5 * M)  # its learn_one takes a weight
    labels = GroupwiseClassifier(linear_model.LogisticRegression())
    labels.fit(X, y > 0, memberships=M)
    assert labels.score(X, y > 0, memberships=M) > 0.8
    weightless = GroupwiseRegressor(linear_model.BayesianLinearRegression(), y_range=(-5, 5))
    with pytest.raises(ValueError, match="takes no weight"):
        weightless.fit(X, y, memberships=0.5 * M)


def test_estimator_without_weights_refuses_fractions():
    class Plain(SGDRegressor):
        def partial_fit(self, X, y):
            return super().partial_fit(X, y)

    X, y, A = people(20)
    with pytest.raises(ValueError, match="takes no sample_weight"):
        GroupwiseRegressor(Plain()).fit(
            X, y, memberships=0.5 * MembershipEncoder().fit_transform(A)
        )


# ---- display -------------------------------------------------------------------------------


@pytest.fixture
def plt():
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    import matplotlib.pyplot as pyplot

    yield pyplot
    pyplot.close("all")


def test_display_of_an_estimator(plt):
    X, y, A = people()
    model = GroupwiseRegressor().fit(X, y, sensitive_features=A)
    display = GroupRegretDisplay.from_estimator(model)
    assert [ax.get_title() for ax in display.axes_] == model.group_names_
    lines = {line.get_label(): line for line in display.axes_[0].get_lines()}
    assert {"to own learner", "bound", "to best model in hindsight"} <= set(lines)
    report = model.group_report().iloc[0]
    assert lines["to own learner"].get_ydata()[-1] == pytest.approx(report["expert_regret"])
    assert lines["bound"].get_ydata()[-1] == pytest.approx(report["bound"])
    assert lines["bound"].get_xdata()[-1] == report["size"]
    _, ax = plt.subplots()
    assert GroupRegretDisplay.from_estimator(model, groups=["sex=f"], ax=ax).axes_[0] is ax
    with pytest.raises(ValueError, match="one group"):
        GroupRegretDisplay.from_estimator(model, ax=ax)
    with pytest.raises(ValueError, match="no groups"):
        GroupRegretDisplay.from_estimator(model, groups=["sex=x"])


def test_display_of_predictions(plt):
    X, y, A = people()
    display = GroupRegretDisplay.from_predictions(
        y, {"zero": 0 * y, "truth": y}, X=X, sensitive_features=A, checkpoints=5
    )
    labels = [line.get_label() for line in display.axes_[0].get_lines()]
    assert {"zero", "truth"} <= set(labels)
    table = groupwise_regret(y, 0 * y, X=X, sensitive_features=A)
    assert display.axes_[0].get_lines()[0].get_ydata()[-1] == pytest.approx(
        table.loc["everyone", "regret"]
    )
