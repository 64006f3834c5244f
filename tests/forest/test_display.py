"""What is drawn and written is what was learned."""

from __future__ import annotations

import re

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from fairgroup.forest import (
    AranyaniClassifier,
    AranyaniHistoryDisplay,
    AranyaniPathDisplay,
    AranyaniRegressor,
    AranyaniTreeDisplay,
    aranyani_path,
)

plt = pytest.importorskip("matplotlib.pyplot")


@pytest.fixture(autouse=True)
def close_figures():
    plt.switch_backend("agg")
    yield
    plt.close("all")


@pytest.fixture(scope="module")
def model(stream):
    X, y, groups = stream(400)
    return AranyaniClassifier(2, 2, level="node", random_state=0).fit(
        X, y, sensitive_features=groups
    )


class TestHistory:
    def test_lines_are_the_running_numbers(self, model):
        display = AranyaniHistoryDisplay.from_estimator(model, label="mine")
        history = model.history()
        for axis, name in zip(display.axes_, ("accuracy", "parity"), strict=True):
            (line,) = axis.get_lines()
            assert_array_equal(line.get_xdata(), history.index)
            assert_array_equal(line.get_ydata(), history[name])
        assert len(display.axes_[1].collections) == 1  # the band
        assert display.axes_[0].get_legend() is not None

    def test_several_into_the_same_axes(self, model):
        _, ax = plt.subplots(1, 2)
        for label in ("one", "two"):
            AranyaniHistoryDisplay.from_estimator(model, label=label, ax=ax)
        assert len(ax[0].get_lines()) == 2
        with pytest.raises(ValueError, match="two axes"):
            AranyaniHistoryDisplay.from_estimator(model, ax=ax[:1])

    def test_regression_shows_the_loss(self, stream):
        X, y, groups = stream(100, n_classes=1)
        model = AranyaniRegressor(random_state=0).fit(X, y, sensitive_features=groups)
        display = AranyaniHistoryDisplay.from_estimator(model)
        assert display.axes_[0].get_ylabel() == "loss"
        assert not display.axes_[1].collections


class TestTree:
    def test_running_gaps_of_the_node_level(self, model):
        display = AranyaniTreeDisplay.from_estimator(model, tree=1)
        assert_array_equal(display.weights, model.coef_[1])
        assert_allclose(display.gaps, np.abs(model.node_gap_[1]))
        assert_array_equal(display.axes_[0].get_images()[0].get_array(), model.coef_[1])
        bars = [bar.get_width() for bar in display.axes_[1].patches]
        assert_allclose(bars, display.gaps)

    def test_gaps_on_given_rows(self, model, stream):
        X, _, groups = stream(100, seed=1)
        display = AranyaniTreeDisplay.from_estimator(model, X=X, sensitive_features=groups)
        nodes = model.node_outputs(X)[:, 0]
        expected = np.abs(nodes[groups == 1].mean(axis=0) - nodes[groups == 0].mean(axis=0))
        assert_allclose(display.gaps, expected)

    def test_only_the_largest_features(self, model):
        display = AranyaniTreeDisplay.from_estimator(model, max_features=2)
        size = np.abs(model.coef_[0]).mean(axis=0)
        kept = np.sort(np.argsort(-size)[:2])
        assert_array_equal(display.weights, model.coef_[0][:, kept])
        assert list(display.feature_names) == [f"x{k}" for k in kept]
        assert "2 of 3 features" in display.axes_[0].get_title()

    def test_output_level_has_no_gaps_of_its_own(self, stream):
        X, y, groups = stream(100)
        model = AranyaniClassifier(2, 2, random_state=0).fit(X, y, sensitive_features=groups)
        display = AranyaniTreeDisplay.from_estimator(model)
        assert display.gaps is None
        assert display.axes_.shape == (1,)

    def test_what_it_refuses(self, model):
        with pytest.raises(ValueError, match="trees 0 to 1"):
            AranyaniTreeDisplay.from_estimator(model, tree=2)
        _, ax = plt.subplots()
        with pytest.raises(ValueError, match="2 axes"):
            AranyaniTreeDisplay.from_estimator(model, ax=ax)
        with pytest.raises(ValueError, match="2 names, but there are 3"):
            AranyaniTreeDisplay.from_estimator(model, feature_names=["a", "b"])


class TestPath:
    def test_points_and_majority_line(self, stream):
        X, y, groups = stream(300)
        path = aranyani_path(
            X, y, sensitive_features=groups, fairness_weights=[0, 1], random_states=[0, 1]
        )
        ax = path.plot().ax_
        points, line = ax.get_lines()[0], ax.get_lines()[-1]
        assert_allclose(np.array(points.get_xdata(), dtype=float), path.summary()["parity"])
        assert_allclose(np.array(points.get_ydata(), dtype=float), path.summary()["accuracy"])
        assert_allclose(line.get_ydata(), path.majority_line()["accuracy"])
        assert [text.get_text() for text in ax.texts] == ["0", "1"]
        path.plot(ax=ax)
        assert ax.get_legend_handles_labels()[1].count("majority line") == 1
        _, mine = plt.subplots()
        assert AranyaniPathDisplay.from_path(path, ax=mine).ax_ is mine


class TestText:
    def test_every_node_and_leaf(self, model):
        text = model.export_text(1, feature_names=["age", "income", "debt"], decimals=3)
        assert len(re.findall(r"node \d+:", text)) == 3
        assert len(re.findall(r"leaf \d+:", text)) == 4
        largest = np.abs(model.coef_[1, 0]).argmax()
        name, weight = ["age", "income", "debt"][largest], model.coef_[1, 0, largest]
        assert f"{weight:+.3f} {name}" in text
        assert f"[group gap {abs(model.node_gap_[1, 0]):.3f}]" in text
        logits = model.leaf_logits_[1, 2]
        share = np.exp(logits[1]) / np.exp(logits).sum()
        assert f"P(1) = {share:.3f}" in text

    def test_layout(self, with_parameters):
        model = AranyaniRegressor(1, 1, constraint=None)
        with_parameters(model, [[[2.0, -3.0]]], [[0.5]], [[[1.0], [4.0]]])
        assert model.export_text(n_features=1).splitlines() == [
            "tree 0: left with probability sigmoid(score)",
            "node 0: score = +0.50 -3.00 x1 ...",
            "|-- left",
            "|   leaf 0: 1.00",
            "|-- right",
            "|   leaf 1: 4.00",
        ]

    def test_what_it_refuses(self, model):
        with pytest.raises(ValueError, match="trees 0 to 1"):
            model.export_text(-1)
