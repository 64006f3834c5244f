"""Many weights and seeds over one stream."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from fairgroup.exceptions import FairnessWarning
from fairgroup.forest import AranyaniClassifier, AranyaniRegressor, aranyani_path

GRID = {"fairness_weights": [0.0, 0.5, 2.0], "random_states": [3, 4]}


@pytest.mark.parametrize(
    "estimator",
    [AranyaniClassifier(), AranyaniClassifier.published(), AranyaniRegressor()],
    ids=["default", "published", "regressor"],
)
def test_each_run_is_a_fit_by_itself(stream, estimator):
    X, y, groups = stream(200, n_classes=1 if isinstance(estimator, AranyaniRegressor) else 2)
    path = aranyani_path(
        X, y, sensitive_features=groups, estimator=estimator, keep_models=True, **GRID
    )
    assert len(path.runs) == len(path.models) == 6
    for (weight, seed), model in path.models.items():
        alone = clone(estimator).set_params(fairness_weight=weight, random_state=seed)
        alone.fit(X, y, sensitive_features=groups)
        assert_array_equal(model.coef_, alone.coef_)
        row = path.runs.query("fairness_weight == @weight and random_state == @seed").iloc[0]
        assert row["parity"] == alone.running_parity_
        assert row["loss"] == alone.running_loss_
        assert_array_equal(model.predict(X), alone.predict(X))


def test_the_number_of_jobs_does_not_matter(stream):
    X, y, groups = stream(300)
    paths = [
        aranyani_path(X, y, sensitive_features=groups, n_jobs=n_jobs, curves=True, **GRID)
        for n_jobs in (None, 2, 4)
    ]
    for other in paths[1:]:
        pd.testing.assert_frame_equal(other.runs, paths[0].runs)
        pd.testing.assert_frame_equal(other.curves, paths[0].curves)


def test_summary_curves_and_majority_line(stream):
    X, y, groups = stream(600)
    y = (y == 1) & (X[:, 0] > 0)  # more zeros than ones
    path = aranyani_path(X, y, sensitive_features=groups, curves=True, **GRID)
    of_zero = path.runs[path.runs["fairness_weight"] == 0]
    summary = path.summary()
    assert_allclose(summary.loc[0.0, "accuracy"], of_zero["accuracy"].mean())
    assert_allclose(summary.loc[0.0, "parity_std"], of_zero["parity"].std())
    assert_allclose(path.majority_share, 1 - y.mean())
    line = path.majority_line(3)
    half = 0.5 * summary.loc[0.0, "accuracy"] + 0.5 * (1 - y.mean())
    assert_allclose(line["accuracy"], [1 - y.mean(), half, summary.loc[0.0, "accuracy"]])
    assert_allclose(line["parity"], np.array([0, 0.5, 1]) * summary.loc[0.0, "parity"])
    last = path.curves.groupby(level=[0, 1])["accuracy"].last()
    assert_allclose(last, path.runs.set_index(["fairness_weight", "random_state"])["accuracy"])


def test_frames_and_saved_models(stream):
    X, y, groups = stream(100)
    frame = pd.DataFrame(X, columns=["a", "b", "c"])
    path = aranyani_path(
        frame, y, sensitive_features=groups, fairness_weights=[1], random_states=[0],
        keep_models=True,
    )  # fmt: skip
    model = path.models[1.0, 0]
    assert list(model.feature_names_in_) == ["a", "b", "c"]
    model.partial_fit(frame, y, sensitive_features=groups)
    assert model.t_ == 200


def test_bad_input(stream):
    X, y, groups = stream(50)
    with pytest.raises(ValueError, match="at least one value"):
        aranyani_path(X, y, sensitive_features=groups, fairness_weights=[])
    with pytest.raises(ValueError, match="fairness_weight"):
        aranyani_path(X, y, sensitive_features=groups, fairness_weights=[1, -1])
    with pytest.raises(TypeError, match="random_states must be a sequence"):
        aranyani_path(X, y, sensitive_features=groups, random_states=3)
    for name, value in (("constraint", None), ("max_unfairness", 0.1)):
        with pytest.raises(ValueError, match=f"estimator has {name}={value}"):
            model = AranyaniClassifier(**{name: value})
            aranyani_path(X, y, sensitive_features=groups, estimator=model)
    with pytest.warns(FairnessWarning, match="without sensitive_features"):
        aranyani_path(X, y, sensitive_features=None, random_states=[0])
    path = aranyani_path(
        X, X[:, 0], sensitive_features=groups, random_states=[0], estimator=AranyaniRegressor()
    )
    with pytest.raises(ValueError, match="classes only"):
        path.majority_line()
