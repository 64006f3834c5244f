"""What the plots show."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import Ridge

from fairgroup.sampling import (
    AdaptiveGroupSampler,
    AllocationDisplay,
    SamplingDisplay,
    allocate_budget,
)

pytest.importorskip("matplotlib").use("Agg")


@pytest.fixture(autouse=True)
def _closed():
    yield
    import matplotlib.pyplot as plt

    plt.close("all")


def test_allocation(three_curves):
    found = allocate_budget(three_curves, [1, 1, 2], 1000, lower=20)
    display = found.plot(group_names=["a", "b", "c"])
    assert isinstance(display, AllocationDisplay)
    ax = display.ax_
    assert [t.get_text() for t in ax.get_legend().get_texts()] == ["a", "b", "c"]
    dots = [line.get_xdata()[0] for line in ax.lines if line.get_marker() == "o"]
    np.testing.assert_allclose(dots[1::2], found.n)
    np.testing.assert_allclose(dots[::2], found.lower.clip(0.025 * found.n.max()), rtol=0.2)


def test_campaign_with_and_without_curves(split_groups):
    (X, y, a), (X_val, y_val, a_val) = split_groups()
    for rho, bands in ((1.0, 2), (np.inf, 0)):
        model = AdaptiveGroupSampler(Ridge(), budget=300, rho=rho, random_state=0)
        model.fit(
            X, y, sensitive_features=a, X_val=X_val, y_val=y_val, sensitive_features_val=a_val
        )
        display = SamplingDisplay.from_estimator(model)
        left, right = display.axes_
        assert (
            sum(len(c.get_paths()) == 1 and c.get_alpha() == 0.15 for c in left.collections)
            == bands
        )
        np.testing.assert_array_equal(right.lines[0].get_ydata(), display.n[:, 0])
        assert display.spent[-1] == model.spent_


def test_drawn_where_asked_and_refused_before_the_pilot(split_groups):
    import matplotlib.pyplot as plt

    model = AdaptiveGroupSampler(Ridge(), budget=300).start(["a", "b"])
    with pytest.raises(ValueError, match="Nothing has been bought"):
        SamplingDisplay.from_estimator(model)
    model.tell_scores([0.5, 0.6], [20, 20])
    _, axes = plt.subplots(1, 2)
    assert SamplingDisplay.from_estimator(model, ax=axes).axes_[0] is axes[0]
