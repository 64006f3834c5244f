"""The plot of coverage."""

import matplotlib as mpl
import numpy as np
import pytest

mpl.use("Agg")

from fairgroup.ranking import (
    AdAuctionSimulator,
    ImpressionVarianceDisplay,
    VarianceAwareReranker,
    coverage_score,
)

COUNTS = [[300, 320], [500, 100], [900, 940], [3, 5]]


@pytest.fixture(autouse=True)
def close_figures():
    yield
    mpl.pyplot.close("all")


def test_curve_at_the_threshold_is_the_coverage():
    display = ImpressionVarianceDisplay.from_predictions(COUNTS, [0.5, 0.5])
    x, y = display.lines_[0].get_data()
    height = y[np.searchsorted(x, 0.10, side="right") - 1]
    assert height == pytest.approx(coverage_score(COUNTS, [0.5, 0.5]))
    assert "67%" in display.ax_.get_legend_handles_labels()[1][0]
    assert np.mean(display.floor[""] <= 0.10) == 1


def test_targets_are_drawn_for_known_attributes():
    display = ImpressionVarianceDisplay.from_predictions(
        {"sex": COUNTS}, {"sex": [0.5, 0.5]}, name="ours"
    )
    assert display.targets == {"sex": 0.917}
    assert display.ax_.get_legend_handles_labels()[1][0].startswith("ours sex")
    own = ImpressionVarianceDisplay.from_predictions(COUNTS, [0.5, 0.5], targets={"": 0.5})
    assert own.targets == {"": 0.5}


def test_from_result_and_from_estimator():
    sim = AdAuctionSimulator(n_covered=5, n_other=2, n_auctions=10_000, random_state=0)
    result = sim.run()
    by_impressions = ImpressionVarianceDisplay.from_result(result)
    by_users = ImpressionVarianceDisplay.from_result(result, users=True, ax=by_impressions.ax_)
    assert by_users.ax_ is by_impressions.ax_
    assert not np.array_equal(by_users.variance["sex"], by_impressions.variance["sex"])
    reranker = VarianceAwareReranker(batch_size=10).fit(
        eligible={"a": [[0.5, 0.5]]}, composition={"a": [[0.5, 0.5]]}
    )
    reranker.partial_fit(np.zeros(40, int), sensitive_features={"a": [0, 1, 1, 1] * 10})
    display = ImpressionVarianceDisplay.from_estimator(reranker, min_impressions=0)
    np.testing.assert_allclose(display.variance["a"], [0.25])


def test_no_ad_is_large_enough():
    display = ImpressionVarianceDisplay.from_predictions([[1, 1]], [0.5, 0.5])
    assert display.lines_ == []
