from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pandas as pd
import pytest

from fairgroup.information import (
    DisparityDecomposition,
    DisparityDecompositionDisplay,
    FairnessFrontier,
    FairnessFrontierDisplay,
)

mpl.use("Agg")
plt = pytest.importorskip("matplotlib.pyplot")
TABLE = np.array([[[40, 20, 5], [10, 30, 9]], [[15, 25, 8], [35, 25, 30]]]) * 20


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def audit():
    return DisparityDecomposition(n_bootstrap=50, random_state=0).fit_counts(TABLE)


def test_bars_stack_to_the_disparities(audit):
    display = audit.plot()
    assert isinstance(display, DisparityDecompositionDisplay)
    bars, clients = display.ax_
    tops = {}
    for patch in bars.patches:
        if patch.get_height() > 0:
            where = round(patch.get_x() + patch.get_width() / 2)
            tops[where] = max(tops.get(where, 0), patch.get_y() + patch.get_height())
    np.testing.assert_allclose(
        [tops[0], tops[1]], [audit.global_disparity_, audit.local_disparity_]
    )
    widths = sorted(patch.get_width() for patch in clients.patches)
    np.testing.assert_allclose(sum(widths), audit.local_disparity_)


def test_one_axes_parity_and_aggregates(audit):
    _, ax = plt.subplots()
    assert DisparityDecompositionDisplay.from_estimator(audit, ax=ax).ax_ is ax
    parity = audit.plot(parity=True)
    assert "decision rates" in parity.ax_.get_ylabel()
    few = audit.plot(max_clients=2)
    assert len(few.ax_[1].patches) == 2
    secret = DisparityDecomposition.from_aggregates(TABLE.sum(2), TABLE.sum(1))
    secret.plot()
    with pytest.raises(ValueError, match="two groups"):
        secret.plot(parity=True)


def test_frontier_panels():
    frontier = FairnessFrontier(n_grid=4).fit_counts(TABLE.transpose(0, 2, 1))
    models = pd.DataFrame(
        {"accuracy": [0.9], "global": [0.02], "local": [0.03]}, index=["a model"]
    )
    display = frontier.plot(models=models, panels=["accuracy", "curves", "masked"])
    assert isinstance(display, FairnessFrontierDisplay)
    assert len(display.ax_) == 3
    curves = display.ax_[1]
    assert any(text.get_text() == "a model" for text in curves.texts)
    lines = [line for line in curves.lines if len(line.get_xdata()) == 4]
    np.testing.assert_allclose(lines[-1].get_ydata(), frontier.accuracy_[:, -1])
    with pytest.raises(ValueError, match="unknown"):
        frontier.plot(panels=["magic"])
    line = FairnessFrontier(epsilon_global=[0, 0.01], epsilon_local=[float("inf")]).fit_counts(
        TABLE.transpose(0, 2, 1)
    )
    line.plot(panels=["curves"])
    with pytest.raises(ValueError, match="at least two"):
        line.plot(panels=["accuracy"])
