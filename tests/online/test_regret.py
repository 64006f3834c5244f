"""Hindsight comparators and the regret of any predictions."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairgroup.exceptions import FairnessWarning
from fairgroup.groups import MembershipEncoder
from fairgroup.online import (
    GroupwiseRegressor,
    groupwise_regret,
)
from fairgroup.online._regret import least_squares_course, ridge_course


def people(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    A = pd.DataFrame({"sex": rng.choice(["f", "m"], n), "race": rng.choice(["a", "b"], n)})
    return X, np.where(A["sex"] == "f", X[:, 0], -X[:, 0]) + 0.1 * rng.normal(size=n), A


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
