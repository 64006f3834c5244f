"""The plot shows every group with its interval and names what is undefined."""

import numpy as np
import pandas as pd
import pytest
from sklearn.dummy import DummyClassifier

from fairgroup.groups import GroupEncoder
from fairgroup.metrics import GroupMetricsDisplay, group_metrics

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("Agg")
from matplotlib import pyplot as plt  # noqa: E402


@pytest.fixture(autouse=True)
def close():
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(0)
    n = 300
    frame = pd.DataFrame({"sex": rng.choice(["F", "M"], n), "race": rng.choice(list("abc"), n)})
    return frame, rng.integers(0, 2, n), rng.integers(0, 2, n)


def test_dots_intervals_and_names(data):
    frame, y, p = data
    result = group_metrics(y, p, sensitive_features=frame, n_bootstrap=200, random_state=0)
    display = result.plot(["accuracy", "selection_rate"])
    assert len(display.axes_) == 2
    panel = display.axes_[0]
    names = [label.get_text() for label in panel.get_yticklabels()]
    assert len(names) == 2 + 3 + 6
    assert names[0] == f"F  (n={int((frame.sex == 'F').sum())})"
    dots = np.concatenate([line.get_xdata() for line in panel.lines if line.get_marker() == "o"])
    expected = np.r_[
        result.marginals["sex"]["accuracy"],
        result.marginals["race"]["accuracy"],
        result.by_group["accuracy"],
    ]
    np.testing.assert_allclose(dots, expected)
    segments = np.concatenate([c.get_segments() for c in panel.collections])
    bounds = result.intervals.marginals["sex"]["accuracy"].to_numpy()
    np.testing.assert_allclose(segments[:2, :, 0], bounds)


def test_one_attribute_has_one_block_and_given_axes_are_used(data):
    frame, y, p = data
    _, ax = plt.subplots()
    display = GroupMetricsDisplay.from_predictions(
        y, p, sensitive_features=frame.sex, metrics="accuracy", ax=ax
    )
    assert display.axes_[0] is ax
    assert len(ax.get_yticks()) == 2
    model = DummyClassifier().fit(frame, y)
    display = GroupMetricsDisplay.from_estimator(
        model, frame, y, sensitive_features=frame, encoder=GroupEncoder(intersections=False)
    )
    assert len(display.axes_[0].get_yticks()) == 5


@pytest.mark.filterwarnings("ignore:true_positive_rate is undefined")
def test_undefined_is_written_not_left_out(data):
    frame, y, p = data
    y = np.where(frame.sex == "F", 0, y)
    display = group_metrics(y, p, sensitive_features=frame.sex).plot("true_positive_rate")
    assert "undefined" in [text.get_text() for text in display.axes_[0].texts]


def test_bad_plots(data):
    frame, y, p = data
    result = group_metrics(y, p, sensitive_features=frame)
    with pytest.raises(ValueError, match="not measured"):
        result.plot("f1")
    with pytest.raises(ValueError, match="Axes"):
        result.plot(["accuracy", "base_rate"], ax=plt.subplots()[1])
    controlled = group_metrics(y, p, sensitive_features=frame.sex, control_features=frame.race)
    with pytest.raises(ValueError, match="control_features"):
        controlled.plot()
