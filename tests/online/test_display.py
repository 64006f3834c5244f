"""The plot of regrets."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from fairgroup.online import (
    GroupRegretDisplay,
    GroupwiseRegressor,
    groupwise_regret,
)


def people(n=200, seed=0):
    rng = np.random.default_rng(seed)
    X = rng.normal(size=(n, 3))
    A = pd.DataFrame({"sex": rng.choice(["f", "m"], n), "race": rng.choice(["a", "b"], n)})
    return X, np.where(A["sex"] == "f", X[:, 0], -X[:, 0]) + 0.1 * rng.normal(size=n), A


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
