"""One protocol for a stream: any split, late labels, unknown groups, stop and go on exactly."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from copy import deepcopy

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.frozen import FrozenEstimator

from fairgroup.exceptions import FairnessWarning
from fairgroup.forest import AranyaniClassifier, AranyaniRegressor
from fairgroup.groups import GroupEncoder

SETTINGS = [
    {},
    {"level": "node", "decay": 1.0, "wait_for_groups": True},
    {"constraint": "equalized_odds", "group_reduction": "max"},
    {"constraint": "equal_opportunity", "standardize": None},
    {"max_unfairness": 0.05},
]
each_setting = pytest.mark.parametrize("params", SETTINGS, ids=str)
NOTHING = (np.empty((0, 3)), np.empty(0))


def begun(cls=AranyaniClassifier, **params):
    """A small model that knows its classes and groups."""
    model = cls(3, 3, random_state=0, **params)
    known = {"classes": [0, 1]} if cls is AranyaniClassifier else {}
    return model.partial_fit(*NOTHING, sensitive_groups=[0, 1], **known)


def assert_same(model, other):
    """Every array of the state has the same bits."""
    mine, theirs = model.get_state(), other.get_state()
    assert mine.keys() == theirs.keys()
    for name in mine:
        assert_array_equal(mine[name], theirs[name], err_msg=name)


class TestSplits:
    @settings(max_examples=15, deadline=None)
    @given(st.lists(st.integers(1, 200), max_size=6), st.sampled_from(SETTINGS))
    def test_any_split_gives_the_same_bits(self, stream, cuts, params):
        X, y, groups = stream(200)
        whole = begun(**params).partial_fit(X, y, sensitive_features=groups)
        pieces = begun(**params)
        for rows in np.split(np.arange(200), np.unique(cuts)):
            pieces.partial_fit(X[rows], y[rows], sensitive_features=groups[rows])
        assert_same(whole, pieces)

    def test_split_of_a_regression(self, stream):
        X, y, groups = stream(200, n_classes=1)
        whole = begun(AranyaniRegressor).partial_fit(X, y, sensitive_features=groups)
        pieces = begun(AranyaniRegressor)
        for i in range(200):
            row = slice(i, i + 1)
            pieces.partial_fit(X[row], y[row], sensitive_features=groups[row])
        assert_same(whole, pieces)

    def test_batches_may_be_split_at_their_ends(self, stream):
        X, y, groups = stream(200)
        whole = begun(batch_size=8).partial_fit(X, y, sensitive_features=groups)
        pieces = begun(batch_size=8)
        for rows in (slice(0, 64), slice(64, 72), slice(72, None)):
            pieces.partial_fit(X[rows], y[rows], sensitive_features=groups[rows])
        assert_same(whole, pieces)

    def test_fit_is_reset_and_a_pass(self, stream):
        X, y, groups = stream(200)
        expected = begun().partial_fit(X, y, sensitive_features=groups)
        model = begun().partial_fit(X[:50], 1 - y[:50], sensitive_features=groups[:50])
        model.fit(X, y, sensitive_features=groups)
        assert_array_equal(model.coef_, expected.coef_)
        assert model.running_accuracy_ == expected.running_accuracy_

    def test_epochs_and_shuffle(self, stream):
        X, y, groups = stream(200)
        twice = AranyaniClassifier(n_epochs=2, random_state=0).fit(X, y, sensitive_features=groups)
        by_hand = AranyaniClassifier(random_state=0).fit(X, y, sensitive_features=groups)
        by_hand.partial_fit(X, y, sensitive_features=groups)
        assert_array_equal(twice.coef_, by_hand.coef_)
        shuffled = [
            AranyaniClassifier(shuffle=True, random_state=s).fit(X, y, sensitive_features=groups)
            for s in (0, 0)
        ]
        assert_array_equal(shuffled[0].coef_, shuffled[1].coef_)
        assert not np.array_equal(shuffled[0].coef_, by_hand.coef_)


class TestDecisions:
    @each_setting
    def test_each_is_taken_before_its_row_is_learned(self, stream, params):
        X, y, groups = stream(120)
        expected, single = [], begun(**params)
        for i in range(120):
            row = slice(i, i + 1)
            if single.standardize is None:  # else the row itself enters the scaler first
                expected.append(single.predict_proba(X[row])[0])
            single.partial_fit(X[row], y[row], sensitive_features=groups[row])
        found = begun(**params).progressive_predict_proba(X, y, sensitive_features=groups)
        if expected:
            assert_allclose(found, expected, atol=1e-14)
        decisions = begun(**params).progressive_predict(X, y, sensitive_features=groups)
        assert_array_equal(decisions, found.argmax(axis=1))

    @each_setting
    def test_running_numbers_are_those_of_the_decisions(self, stream, params):
        X, y, groups = stream(150)
        model = begun(**params)
        p = model.progressive_predict_proba(X, y, sensitive_features=groups)
        decisions = p.argmax(axis=1)
        assert_allclose(model.running_accuracy_, np.mean(decisions == y))
        assert_allclose(model.running_loss_, -np.log(p[np.arange(150), y]).mean())
        rates = [decisions[groups == g].mean() for g in (0, 1)]
        assert_allclose(model.running_positive_rate_, rates)
        assert_allclose(model.running_dp_difference_, abs(rates[1] - rates[0]))
        strata = {
            "equalized_odds": [y == 0, y == 1],
            "equal_opportunity": [y == 1],
        }.get(model.constraint, [np.full(150, True)])
        for found, values in (
            (model.running_parity_, decisions),
            (model.running_soft_parity_, p[:, 1]),
        ):
            gaps = [
                abs(values[s & (groups == 1)].mean() - values[s & (groups == 0)].mean())
                for s in strata
            ]
            assert_allclose(found, max(gaps))
        assert model.t_ == 150

    def test_report_by_group(self, stream):
        X, y, groups = stream(150)
        model = begun()
        decisions = model.progressive_predict(X, y, sensitive_features=groups)
        report = model.group_report()
        assert list(report.index) == list(model.groups_)
        mine = groups == 1
        row = report.iloc[1]
        assert row["n"] == row["labelled"] == mine.sum()
        assert_allclose(row["accuracy"], (decisions == y)[mine].mean())
        assert_allclose(row["true_positive_rate"], decisions[mine & (y == 1)].mean())
        assert_allclose(row["false_positive_rate"], decisions[mine & (y == 0)].mean())

    def test_running_numbers_of_a_regression(self, stream):
        X, y, groups = stream(150, n_classes=1)
        model = begun(AranyaniRegressor)
        found = model.progressive_predict(X, y, sensitive_features=groups)
        assert_allclose(model.running_loss_, np.mean((found - y) ** 2))
        means = [found[groups == g].mean() for g in (0, 1)]
        assert_allclose(model.running_mean_prediction_, means)
        assert_allclose(model.running_parity_, abs(means[1] - means[0]))
        squares = [np.mean((found - y)[groups == g] ** 2) for g in (0, 1)]
        assert_allclose(model.group_report()["mean_squared_error"], squares)

    def test_target_is_standardised_with_what_is_known(self, stream):
        """The first prediction is in standard units around nothing; later ones move along."""
        X, y, groups = stream(400, n_classes=1)
        plain = begun(AranyaniRegressor, constraint=None)
        moved = begun(AranyaniRegressor, constraint=None)
        a = plain.progressive_predict(X, y, sensitive_features=groups)
        b = moved.progressive_predict(X, 1000 + 50 * y, sensitive_features=groups)
        assert_allclose(b[2:], 1000 + 50 * a[2:], rtol=1e-9)
        assert_allclose(moved.predict(X), 1000 + 50 * plain.predict(X), rtol=1e-9)

    def test_running_standardisation_is_that_of_the_rows_so_far(self, stream):
        """The same decisions as a model without, on rows standardised by hand."""
        X, y, groups = stream(80)
        X[:, 1] = 7.0  # constant: divided by one
        so_far = [X[: i + 1] for i in range(80)]
        spread = np.array([rows.std(axis=0) for rows in so_far])
        by_hand = (X - [rows.mean(axis=0) for rows in so_far]) / np.where(spread > 0, spread, 1)
        found = begun().progressive_predict_proba(X, y, sensitive_features=groups)
        plain = begun(standardize=None)
        expected = plain.progressive_predict_proba(by_hand, y, sensitive_features=groups)
        assert_allclose(found, expected, atol=1e-8)

    def test_fixed_standardisation_is_that_of_the_first_rows(self, stream):
        X, y, groups = stream(80)
        scaled = (X - X.mean(axis=0)) / X.std(axis=0)
        found = AranyaniClassifier(standardize="fit", random_state=0)
        found.fit(X, y, sensitive_features=groups)
        plain = AranyaniClassifier(standardize=None, random_state=0)
        plain.fit(scaled, y, sensitive_features=groups)
        assert_allclose(found.coef_, plain.coef_, atol=1e-9)
        assert_allclose(found.predict_proba(X), plain.predict_proba(scaled), atol=1e-9)


class TestUnknownGroups:
    def test_they_train_the_task_only(self, stream):
        X, y, groups = stream(200)
        named = pd.Series(groups).map({0: "f", 1: "m"}).astype(object)
        named[::5] = None
        model = AranyaniClassifier(encoder=GroupEncoder(missing="ignore"), random_state=0)
        with pytest.warns(FairnessWarning, match="missing"):
            model.fit(X, y, sensitive_features=named)
        assert model.t_ == model.n_updates_ == 200
        assert model.group_counts_.sum() == 160
        report = model.group_report()
        assert report.index[-1] == "(unknown)"
        assert report["n"].tolist()[-1] == 40

    def test_a_stream_of_unknown_rows_is_unconstrained(self, stream):
        X, y, groups = stream(200)
        model, free = begun(), begun(constraint=None)
        with pytest.warns(FairnessWarning, match="task only"):
            model.partial_fit(X, y)
        free.partial_fit(X, y, sensitive_features=groups)
        assert_array_equal(model.coef_, free.coef_)
        assert np.isnan(model.running_parity_)

    def test_unseen_groups_under_the_policy_ignore(self, stream):
        X, y, groups = stream(60)
        encoder = GroupEncoder(unseen="ignore")
        model = AranyaniClassifier(encoder=encoder, random_state=0)
        model.fit(X, y, sensitive_features=groups)
        with pytest.warns(FairnessWarning, match="not there in fit"):
            model.partial_fit(X[:2], y[:2], sensitive_features=[1, 7])
        assert model.group_counts_.sum() == 61


class TestLateLabels:
    @each_setting
    def test_labels_that_come_at_once_change_nothing(self, stream, params):
        X, y, groups = stream(100)
        direct, late = begun(**params), begun(**params)
        expected = direct.progressive_predict(X, y, sensitive_features=groups)
        for i in range(100):
            ids, decision = late.enqueue(X[i : i + 1], sensitive_features=groups[i : i + 1])
            assert decision[0] == expected[i]
            late.resolve(ids, y[i : i + 1])
        assert_array_equal(late.coef_, direct.coef_)
        assert late.running_parity_ == direct.running_parity_
        assert late.running_accuracy_ == direct.running_accuracy_
        assert late.n_waiting_ == 0

    def test_parity_is_counted_at_the_decision_and_accuracy_with_the_label(self, stream):
        X, y, groups = stream(100)
        model = begun()
        ids, decisions = model.enqueue(X, sensitive_features=groups)
        assert model.t_ == model.n_waiting_ == 100
        assert model.n_updates_ == 0
        assert np.isnan(model.running_accuracy_)
        assert model.group_counts_.sum() == 100
        rates = [decisions[groups == g].mean() for g in (0, 1)]
        assert_allclose(model.running_positive_rate_, rates)
        order = np.random.default_rng(0).permutation(100)[:60]
        model.resolve(ids[order], y[order])
        assert_allclose(model.running_accuracy_, np.mean(decisions[order] == y[order]))
        assert model.n_updates_ == 60
        assert model.n_waiting_ == 40

    def test_a_notion_that_needs_labels_waits_for_them(self, stream):
        X, y, groups = stream(100)
        model = begun(constraint="equal_opportunity")
        ids, _ = model.enqueue(X, sensitive_features=groups)
        assert model.group_counts_.sum() == 0
        model.resolve(ids, y)
        assert model.group_counts_.sum() == (y == 1).sum()

    def test_regression(self, stream):
        X, y, groups = stream(50, n_classes=1)
        direct, late = begun(AranyaniRegressor), begun(AranyaniRegressor)
        direct.partial_fit(X, y, sensitive_features=groups)
        for i in range(50):
            ids, _ = late.enqueue(X[i : i + 1], sensitive_features=groups[i : i + 1])
            late.resolve(ids, y[i : i + 1])
        assert_array_equal(late.coef_, direct.coef_)
        assert late.running_loss_ == direct.running_loss_

    def test_strange_numbers(self, stream):
        X, y, groups = stream(10)
        model = begun()
        ids, _ = model.enqueue(X, sensitive_features=groups)
        with pytest.raises(ValueError, match=r"1 of 2 ids do not wait for a label.*99"):
            model.resolve([ids[0], 99], [1, 1])
        with pytest.raises(ValueError, match="distinct"):
            model.resolve([ids[0], ids[0]], [1, 1])
        with pytest.raises(ValueError, match="shape"):
            model.resolve(ids, y[:3])
        with pytest.raises(ValueError, match="label 5"):
            model.resolve(ids[:1], [5])
        assert model.n_waiting_ == 10


class TestStopAndGoOn:
    @each_setting
    def test_copies_in_mid_stream(self, stream, params, tmp_path):
        X, y, groups = stream(200)
        model = begun(**params).partial_fit(X[:90], y[:90], sensitive_features=groups[:90])
        ids, _ = model.enqueue(X[90:100], sensitive_features=groups[90:100])
        np.savez(tmp_path / "state.npz", **model.get_state())
        with np.load(tmp_path / "state.npz") as archive:
            restored = AranyaniClassifier(3, 3, random_state=0, **params).set_state(archive)
        copies = [pickle.loads(pickle.dumps(model)), deepcopy(model), restored]
        for other in [model, *copies]:
            other.resolve(ids, y[90:100])
            other.partial_fit(X[100:], y[100:], sensitive_features=groups[100:])
        for other in copies:
            assert_same(model, other)
            assert other.groups_ == model.groups_
            pd.testing.assert_frame_equal(other.history(), model.history())

    def test_state_is_a_copy(self, stream):
        X, y, groups = stream(100)
        model = begun().partial_fit(X[:50], y[:50], sensitive_features=groups[:50])
        state = model.get_state()
        kept = {name: np.copy(value) for name, value in state.items()}
        model.partial_fit(X[50:], y[50:], sensitive_features=groups[50:])
        for name, value in state.items():
            assert_array_equal(value, kept[name])

    def test_state_of_another_model(self, stream):
        X, y, groups = stream(50)
        state = begun().partial_fit(X, y, sensitive_features=groups).get_state()
        with pytest.raises(ValueError, match="those of the saved model"):
            AranyaniClassifier(4, 3).set_state(state)
        with pytest.raises(ValueError, match="those of the saved model"):
            AranyaniClassifier(3, 3, level="node").set_state(state)
        del state["classes"], state["theta"]
        with pytest.raises(ValueError, match="state lacks classes, theta"):
            AranyaniClassifier(3, 3).set_state(state)

    def test_names_of_features_and_groups(self, stream):
        X, y, groups = stream(60)
        frame = pd.DataFrame(X, columns=["a", "b", "c"])
        A = pd.DataFrame({"sex": np.where(groups, "m", "f"), "old": X[:, 0] > 0})
        labels = np.where(y, "yes", "no")
        model = AranyaniClassifier(random_state=0).fit(frame, labels, sensitive_features=A)
        other = AranyaniClassifier().set_state(model.get_state())
        assert list(other.feature_names_in_) == ["a", "b", "c"]
        assert other.groups_ == model.groups_
        assert_array_equal(other.predict(frame), model.predict(frame))
        for each in (model, other):
            each.partial_fit(frame, labels, sensitive_features=A)
        assert_array_equal(other.coef_, model.coef_)

    def test_killed_and_restored_from_a_checkpoint(self, stream, tmp_path):
        """A process dies in mid-stream; another one goes on from the last checkpoint."""
        X, y, groups = stream(400)
        np.savez(tmp_path / "rows.npz", X=X, y=y, groups=groups)
        dies = (
            "import os, signal, numpy as np\n"
            "from fairgroup.forest import AranyaniClassifier\n"
            f"rows = np.load({json.dumps(str(tmp_path / 'rows.npz'))})\n"
            "model = AranyaniClassifier(3, 3, random_state=0)\n"
            "for start in range(0, 400, 50):\n"
            "    at = slice(start, start + 50)\n"
            "    model.partial_fit(rows['X'][at], rows['y'][at], classes=[0, 1],\n"
            "                      sensitive_features=rows['groups'][at])\n"
            "    if start == 150:\n"
            f"        np.savez({json.dumps(str(tmp_path / 'checkpoint.npz'))},"
            " **model.get_state())\n"
            "    if start == 250:\n"
            "        os.kill(os.getpid(), signal.SIGKILL)\n"
        )
        died = subprocess.run([sys.executable, "-c", dies], check=False)
        assert died.returncode == -9
        with np.load(tmp_path / "checkpoint.npz") as archive:
            model = AranyaniClassifier(3, 3, random_state=0).set_state(archive)
        assert model.t_ == 200
        model.partial_fit(X[200:], y[200:], sensitive_features=groups[200:])
        whole = AranyaniClassifier(3, 3, random_state=0).fit(X, y, sensitive_features=groups)
        assert_array_equal(model.coef_, whole.coef_)
        assert_array_equal(model.leaf_logits_, whole.leaf_logits_)
        assert model.running_parity_ == whole.running_parity_


def test_learned_arrays_are_live(stream):
    X, y, groups = stream(50)
    model = begun(standardize=None)
    model.coef_[:] = 0.0
    model.intercept_[:] = 0.0
    model.leaf_logits_[:] = 0.0
    assert_array_equal(model.predict_proba(X), 0.5)
    assert_array_equal(model.predict(X), 0)  # the first class of a tie
    assert_array_equal(model.node_outputs(X), 0.5)
    assert_array_equal(model.leaf_probabilities(X), 1 / 8)
    kept = model.leaf_logits_
    model.partial_fit(X, y, sensitive_features=groups)
    assert kept.any()


def test_groups_may_be_left_open_by_a_start_without_rows(stream):
    X, y, groups = stream(60)
    model = AranyaniClassifier(3, 3, random_state=0).partial_fit(*NOTHING, classes=[0, 1])
    model.partial_fit(X, y, sensitive_features=groups)
    expected = AranyaniClassifier(3, 3, random_state=0).fit(X, y, sensitive_features=groups)
    assert_array_equal(model.coef_, expected.coef_)


def test_a_frozen_encoder_knows_the_groups(stream):
    X, y, groups = stream(60)
    frozen = FrozenEstimator(GroupEncoder(unseen="ignore").fit([0, 1, 2] * 3))
    model = AranyaniClassifier(3, 3, encoder=frozen, random_state=0)
    model.partial_fit(X[:1], y[:1], [0, 1], sensitive_features=groups[:1])
    model.partial_fit(X[1:], y[1:], sensitive_features=groups[1:])
    assert len(model.groups_) == 3
    other = AranyaniClassifier(3, 3, encoder=frozen, random_state=0).set_state(model.get_state())
    for each in (model, other):
        each.partial_fit(X, y, sensitive_features=groups)
    assert_array_equal(other.coef_, model.coef_)


def test_parameters_set_in_mid_stream(stream):
    """They take effect with the next rows, unless the arrays would have to be others."""
    X, y, groups = stream(60)
    model = begun().partial_fit(X, y, sensitive_features=groups)
    before = model.coef_.copy()
    model.set_params(learning_rate=0.0, optimizer="sgd", fairness_weight=7.0)
    model.partial_fit(X, y, sensitive_features=groups)
    assert_array_equal(model.coef_, before)
    assert model.fairness_weight_ == 7.0
    for name, value in (
        ("n_estimators", 4), ("max_depth", 2), ("level", "node"), ("standardize", None),
        ("constraint", "equalized_odds"), ("fairness_weight", 0.0),
    ):  # fmt: skip
        other = deepcopy(model).set_params(**{name: value})
        with pytest.raises(ValueError, match=f"{name}.*was changed after the first rows"):
            other.partial_fit(X, y, sensitive_features=groups)
        assert other.t_ == 120


def test_no_rows_change_nothing(stream):
    X, y, groups = stream(60)
    model = begun().partial_fit(X, y, sensitive_features=groups)
    before = model.get_state()
    model.partial_fit(*NOTHING, sensitive_features=groups[:0])
    for decisions in (
        model.progressive_predict(*NOTHING, sensitive_features=groups[:0]),
        *model.enqueue(NOTHING[0], sensitive_features=groups[:0]),
    ):
        assert decisions.shape == (0,)
    after = model.get_state()
    for name in before:
        assert_array_equal(before[name], after[name])
