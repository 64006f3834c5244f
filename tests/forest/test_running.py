"""Running rates and parity, their confidence sequence, and the kept history."""

from __future__ import annotations

import numpy as np
import pytest
from fairlearn.metrics import demographic_parity_difference, equalized_odds_difference
from numpy.testing import assert_allclose

from fairgroup.forest import AranyaniClassifier, AranyaniRegressor
from fairgroup.forest._running import TIGHTEST_AT, Rates, parity, parity_band


def rates(means, rows):
    """One stratum, one class."""
    means, rows = np.asarray(means, dtype=float), np.asarray(rows, dtype=float)
    return Rates((means * rows)[..., None, :, None], rows[..., None, :])


class TestParity:
    def test_widest_pair(self):
        assert_allclose(parity(rates([0.2, 0.7, 0.4], [10, 20, 5])), 0.5)

    def test_groups_without_rows_take_no_part(self):
        assert_allclose(parity(rates([0.2, 0.0, 0.4], [10, 0, 5])), 0.2)

    @pytest.mark.parametrize("rows", [[10, 0], [0, 0]])
    def test_undefined_until_two_groups_have_occurred(self, rows):
        assert np.isnan(parity(rates([0.2, 0.0], rows)))

    def test_over_strata_and_classes(self):
        sums = np.array([[[1.0, 9.0], [2.0, 8.0]], [[0.0, 10.0], [6.0, 4.0]]])  # (R, G, C)
        assert_allclose(parity(Rates(sums, np.full((2, 2), 10.0))), 0.6)

    def test_the_same_as_fairlearn(self, stream):
        X, y, groups = stream(400, n_groups=3)
        model = AranyaniClassifier(constraint="equalized_odds", random_state=0)
        model.partial_fit(np.empty((0, 3)), [], classes=[0, 1], sensitive_groups=[0, 1, 2])
        decisions = model.progressive_predict(X, y, sensitive_features=groups)
        expected = demographic_parity_difference(y, decisions, sensitive_features=groups)
        assert_allclose(model.running_dp_difference_, expected)
        expected = equalized_odds_difference(y, decisions, sensitive_features=groups)
        assert_allclose(model.running_parity_, expected)


class TestBand:
    def test_closed_form_for_two_groups(self):
        """Half-widths from the normal mixture; the difference's are their sum."""
        low, high = parity_band(rates([0.3, 0.6], [4000, 4000]), 0.95)
        alpha = 0.05 / 2
        spread = 2 * np.log(1 / alpha)
        rho = TIGHTEST_AT / 4 / (spread + np.log(1 + spread))
        v = 4000 / 4
        radius = np.sqrt((v + rho) * np.log((v + rho) / (rho * alpha**2))) / 4000
        assert_allclose([low, high], [0.3 - 2 * radius, 0.3 + 2 * radius])

    def test_never_below_zero_nor_above_one(self):
        low, high = parity_band(rates([0.5, 0.5], [10, 10]), 0.95)
        assert (low, high) == (0.0, 1.0)

    def test_undefined_with_one_group(self):
        assert np.isnan(parity_band(rates([0.5, 0.0], [10, 0]), 0.95)).all()

    def test_it_narrows(self):
        n = np.array([100, 1000, 10000, 100000])
        low, high = parity_band(rates(np.tile([0.3, 0.6], (4, 1)), np.stack([n, n], axis=1)), 0.95)
        assert (np.diff(high - low) < 0).all()
        assert high[-1] - low[-1] < 0.03

    @pytest.mark.slow
    @pytest.mark.parametrize("drift", [False, True])
    def test_it_covers_at_all_times(self, drift):
        """In at least 95 of 100 streams the average of the means is inside after every row."""
        rng, n, runs, missed = np.random.default_rng(0), 3000, 300, 0
        for _ in range(runs):
            t = np.arange(n)
            p = np.stack([0.4 + 0.3 * np.sin(t / 300) * drift, np.full(n, 0.6)], axis=1)
            in_group = np.stack([rng.random(n) < 0.5, np.zeros(n, bool)], axis=1)
            in_group[:, 1] = ~in_group[:, 0]
            decisions = rng.random((n, 2)) < p
            rows = in_group.cumsum(axis=0)
            later = rows.min(axis=1) > 0
            sums = (decisions & in_group).cumsum(axis=0)[later]
            truth = ((p * in_group).cumsum(axis=0)[later]) / rows[later]
            band = parity_band(
                Rates(sums[:, None, :, None] * 1.0, rows[later][:, None] * 1.0), 0.95
            )
            gap = np.abs(truth[:, 1] - truth[:, 0])
            missed += bool(((gap < band[0]) | (gap > band[1])).any())
        assert missed <= 0.05 * runs

    def test_of_an_estimator(self, stream):
        X, y, groups = stream(500)
        model = AranyaniClassifier(random_state=0).fit(X, y, sensitive_features=groups)
        low, high = model.running_parity_interval()
        assert low <= model.running_parity_ <= high
        wider = model.running_parity_interval(0.999)
        assert wider[0] <= low
        assert wider[1] > high
        with pytest.raises(ValueError, match="confidence"):
            model.running_parity_interval(95)


class TestHistory:
    def test_every_row_of_a_short_stream(self, stream):
        X, y, groups = stream(150)
        model = AranyaniClassifier(random_state=0)
        decisions = model.partial_fit(
            np.empty((0, 3)), [], classes=[0, 1], sensitive_groups=[0, 1]
        ).progressive_predict(X, y, sensitive_features=groups)
        history = model.history()
        assert history.index.tolist() == list(range(1, 151))
        right = (decisions == y).cumsum() / np.arange(1, 151)
        assert_allclose(history["accuracy"], right)
        assert_allclose(history["parity"].iloc[-1], model.running_parity_)
        assert history["parity_low"].iloc[-1] == model.running_parity_interval()[0]

    @pytest.mark.parametrize("n", [201, 1000, 4321])
    def test_long_streams_are_thinned_evenly(self, stream, n):
        X, y, groups = stream(n)
        model = AranyaniClassifier(1, 1, random_state=0).fit(X, y, sensitive_features=groups)
        t = model.history().index.to_numpy()
        assert 100 <= len(t) <= 201
        steps = np.diff(t)
        assert (steps[:-1] == steps[0]).all()
        assert steps[0] == t[0]
        assert t[-1] == n
        right = model.running_accuracy_
        assert_allclose(model.history()["accuracy"].iloc[-1], right)

    def test_regression(self, stream):
        X, y, groups = stream(100, n_classes=1)
        model = AranyaniRegressor(random_state=0).fit(X, y, sensitive_features=groups)
        history = model.history()
        assert list(history.columns) == ["loss", "parity", "soft_parity"]
        assert_allclose(history["loss"].iloc[-1], model.running_loss_)

    def test_memory_does_not_grow(self, stream):
        X, y, groups = stream(5000)
        model = AranyaniClassifier(2, 2, random_state=0)
        sizes = []
        for part in np.split(np.arange(5000), 5):
            model.partial_fit(X[part], y[part], sensitive_features=groups[part])
            sizes.append(sum(value.nbytes for value in model.get_state().values()))
        assert len(set(sizes)) == 1
