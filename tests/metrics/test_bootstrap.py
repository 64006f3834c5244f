"""The bootstrap: exact for counts, row resampling in law for sums, intervals that cover."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from fairgroup.metrics import _bootstrap, group_metrics
from fairgroup.metrics._bootstrap import RowSums, draw_counts, exact_bounds, quantiles


def test_draws_of_counts_are_multinomial():
    counts = np.array([5, 0, 20, 75])
    draws = draw_counts(counts, 20_000, np.random.default_rng(0))
    assert draws.shape == (4, 20_000)
    assert (draws.sum(axis=0) == 100).all()
    assert (draws[1] == 0).all()
    share = counts / 100
    np.testing.assert_allclose(draws.mean(axis=1), counts, atol=0.15)
    covariance = 100 * (np.diag(share) - np.outer(share, share))
    np.testing.assert_allclose(np.cov(draws), covariance, atol=0.6)


@pytest.mark.parametrize("exact_rows", [0, 500])
def test_draws_of_sums_have_the_law_of_resampled_rows(monkeypatch, exact_rows):
    """Both ways (rows of small cells, normal for large ones) against resampling all rows."""
    monkeypatch.setattr(_bootstrap, "EXACT_ROWS", exact_rows)
    rng = np.random.default_rng(1)
    n, n_draws = 400, 6000
    cells = rng.choice(3, n, p=[0.2, 0.3, 0.5])
    rows = np.array([rng.gamma(2.0, size=n), rng.normal(size=n) + cells])
    counts, sums = RowSums(cells, rows, 3).draw(n_draws, np.random.default_rng(2))
    slow = np.empty((3, 2, n_draws))
    for b in range(n_draws):
        picked = rng.integers(0, n, n)
        for k in range(2):
            slow[:, k, b] = np.bincount(cells[picked], rows[k, picked], 3)
    assert (counts.sum(axis=0) == n).all()
    fast, slow = sums.reshape(6, -1), slow.reshape(6, -1)
    np.testing.assert_allclose(fast.mean(axis=1), slow.mean(axis=1), rtol=0.02, atol=0.3)
    np.testing.assert_allclose(np.cov(fast), np.cov(slow), rtol=0.1, atol=8.0)
    levels = [0.025, 0.25, 0.75, 0.975]
    scale = slow.std(axis=1)
    distance = np.quantile(fast, levels, axis=1) - np.quantile(slow, levels, axis=1)
    assert np.abs(distance / scale).max() < 0.2  # Monte Carlo noise is 0.05 per quantile


def test_large_cells_draw_the_exact_mean_and_covariance():
    rng = np.random.default_rng(3)
    cells, rows = np.zeros(5000, dtype=np.intp), rng.normal(size=(2, 5000))
    rows[1] += rows[0]
    _, sums = RowSums(cells, rows, 1).draw(40_000, rng)
    np.testing.assert_allclose(np.cov(sums[0]) / 5000, np.cov(rows, ddof=0), atol=0.05)


def test_quantiles_equal_numpy_over_defined_draws():
    draws = np.random.default_rng(0).normal(size=(4, 5, 301))
    draws[0, 0, :200], draws[1, 1] = np.nan, np.nan
    draws[2, 2] = np.inf
    low, high = quantiles(draws, (0.025, 0.975))
    expected = np.full((2, 4, 5), np.nan)
    for i, j in np.ndindex(4, 5):
        found = draws[i, j][~np.isnan(draws[i, j])]
        if (i, j) == (2, 2):
            expected[:, i, j] = np.inf
        elif len(found):
            expected[:, i, j] = np.quantile(found, [0.025, 0.975])
    np.testing.assert_allclose(np.array([low, high]), expected)


@pytest.mark.parametrize(("cases", "n"), [(0, 12), (12, 12), (0, 1)])
def test_rates_of_zero_and_one_have_the_binomial_interval(cases, n):
    value = np.array([cases / n])
    low, high = exact_bounds(value, np.array([float(n)]), value, value, 0.95)
    exact = stats.binomtest(cases, n).proportion_ci(0.95, method="exact")
    assert (low[0], high[0]) == pytest.approx((exact.low, exact.high))


def _simulate(rng, n=600, rates=(0.3, 0.3, 0.3), label=0.5):
    group = rng.choice(3, n, p=[0.6, 0.3, 0.1])
    return group, rng.random(n) < label, rng.random(n) < np.asarray(rates)[group]


def test_same_seed_same_intervals():
    group, y, p = _simulate(np.random.default_rng(0))
    runs = [
        group_metrics(y, p, sensitive_features=group, n_bootstrap=200, random_state=3)
        for _ in range(2)
    ]
    pd.testing.assert_frame_equal(runs[0].intervals.by_group, runs[1].intervals.by_group)
    pd.testing.assert_frame_equal(runs[0].intervals.gaps(), runs[1].intervals.gaps())
    other = group_metrics(y, p, sensitive_features=group, n_bootstrap=200, random_state=4)
    assert not runs[0].intervals.by_group.equals(other.intervals.by_group)


def test_adding_a_metric_leaves_the_draws_of_others_alone():
    group, y, p = _simulate(np.random.default_rng(0))
    options = {"sensitive_features": group, "n_bootstrap": 100, "random_state": 0}
    one = group_metrics(y, p, metrics=["accuracy"], **options)
    two = group_metrics(y, p, metrics=["bias", "accuracy"], **options)
    pd.testing.assert_frame_equal(
        one.intervals.by_group[["accuracy"]], two.intervals.by_group[["accuracy"]]
    )


@pytest.mark.parametrize("metric", ["accuracy", "mean_absolute_error", "roc_auc", "callable"])
def test_every_family_agrees_with_row_resampling(metric):
    """Interval widths of each fast family against the slow path, which resamples rows."""
    rng = np.random.default_rng(5)
    group, y, p = _simulate(rng, n=300)
    score = 0.4 * y + rng.random(300)
    slow_metric = {
        "accuracy": lambda y, p: np.mean(y == p),
        "mean_absolute_error": lambda y, p: np.mean(np.abs(1.0 * y - p)),
        "roc_auc": _auc,
        "callable": lambda y, p: np.mean(y == p),
    }[metric]
    options = {"sensitive_features": group, "random_state": 0}
    second = score if metric == "roc_auc" else 1 * p
    fast = group_metrics(
        1 * y,
        second if metric != "roc_auc" else 1 * p,
        y_score=score,
        metrics=metric if metric != "callable" else "balanced_accuracy",
        n_bootstrap=4000,
        **options,
    )
    slow = group_metrics(1 * y, second, metrics={"slow": slow_metric}, n_bootstrap=400, **options)
    if metric == "callable":  # another metric: only that the slow path has a sensible width
        fast = group_metrics(1 * y, 1 * p, metrics="accuracy", n_bootstrap=4000, **options)
    for table in ("by_group", "overall"):
        widths = []
        for result in (fast, slow):
            bounds = getattr(result.intervals, table)
            bounds = bounds.iloc[:, 2:] if table == "by_group" else bounds.iloc[1:]
            widths.append(bounds.to_numpy()[:, 1] - bounds.to_numpy()[:, 0])
        np.testing.assert_allclose(widths[0], widths[1], rtol=0.25)


def _auc(y, score):
    positive, negative = score[y == 1], score[y == 0]
    return np.mean(positive[:, None] > negative) + 0.5 * np.mean(positive[:, None] == negative)


def test_weighted_rates_agree_with_row_resampling():
    rng = np.random.default_rng(8)
    group, y, p = _simulate(rng, n=300)
    weight = rng.gamma(1.0, size=300)

    def slow_rate(y_true, y_pred, sample_weight=None):
        return np.average(y_pred, weights=sample_weight)

    options = {"sensitive_features": group, "sample_weight": weight, "random_state": 0}
    fast = group_metrics(1 * y, 1 * p, metrics="selection_rate", n_bootstrap=4000, **options)
    slow = group_metrics(1 * y, 1 * p, metrics={"rate": slow_rate}, n_bootstrap=500, **options)
    unweighted = group_metrics(
        1 * y, 1 * p, metrics="selection_rate", n_bootstrap=4000, sensitive_features=group
    )
    ours, theirs, plain = (
        np.ptp(r.intervals.by_group.to_numpy()[:, 2:], axis=1) for r in (fast, slow, unweighted)
    )
    np.testing.assert_allclose(ours, theirs, rtol=0.25)
    assert (ours > 1.15 * plain).all()  # weights cost precision; ignoring them would show


@pytest.mark.parametrize("kind", ["difference", "ratio"])
def test_simultaneous_interval_holds_the_value_and_percentile_misses_equality(kind):
    group, y, p = _simulate(np.random.default_rng(2))
    result = group_metrics(y, p, sensitive_features=group, n_bootstrap=2000, random_state=0)
    for method in ("between_groups", "to_overall"):
        value = getattr(result, kind)(method)
        bounds = getattr(result.intervals, kind)(method)
        assert ((bounds.lower <= value) & (value <= bounds.upper)).all()
    equality = 0.0 if kind == "difference" else 1.0
    percentile = getattr(result.intervals, kind)(kind="percentile").loc["selection_rate"]
    simultaneous = getattr(result.intervals, kind)().loc["selection_rate"]
    assert not percentile.lower <= equality <= percentile.upper
    assert simultaneous.lower <= equality <= simultaneous.upper


def test_interval_of_a_difference_knows_that_a_rate_of_one_in_few_rows_is_uncertain():
    group = np.repeat([0, 1], [500, 6])
    y = np.ones(506, dtype=int)
    p = np.r_[np.arange(500) % 2, np.ones(6, dtype=int)]
    result = group_metrics(
        y, p, sensitive_features=group, metrics="selection_rate", n_bootstrap=4000, random_state=0
    )
    bounds = result.intervals.difference().loc["selection_rate"]
    assert result.difference()["selection_rate"] == 0.5
    assert bounds.lower < 0.12  # six of six is compatible with a rate near one half
    with_zero = result.intervals.ratio().loc["selection_rate"]
    assert with_zero.lower < 0.5 < with_zero.upper


def test_intervals_with_control_features_have_one_row_per_level():
    group, y, p = _simulate(np.random.default_rng(0))
    control = pd.Series(np.arange(600) % 2, name="half")
    result = group_metrics(
        y, p, sensitive_features=group, control_features=control, n_bootstrap=100, random_state=0
    )
    bounds = result.intervals.difference()
    assert bounds.index.nlevels == 2
    value = result.difference().stack()
    assert (bounds.lower <= value.reindex(bounds.index)).all()
    assert list(result.intervals.overall.columns.get_level_values(1).unique()) == [
        "lower",
        "upper",
    ]
    with pytest.raises(ValueError, match="simultaneous"):
        result.intervals.gaps(kind="bca")


@pytest.mark.slow
def test_coverage_of_rates_and_differences():
    """Nominal 95 %: rates near it, simultaneous gaps at least it, percentile gaps fail."""
    rng = np.random.default_rng(11)
    n_tables = 500
    hits = {"rate": 0, "equal": 0, "unequal": 0, "equal percentile": 0, "odds": 0}
    for _ in range(n_tables):
        options = {"n_bootstrap": 800, "random_state": rng}
        group, y, p = _simulate(rng, n=1200)
        result = group_metrics(y, p, sensitive_features=group, **options)
        hits["equal"] += _covers(result.intervals.difference().loc["selection_rate"], 0.0)
        percentile = result.intervals.difference(kind="percentile").loc["selection_rate"]
        hits["equal percentile"] += _covers(percentile, 0.0)
        hits["odds"] += _covers(result.intervals.gaps().loc["equalized_odds_difference"], 0.0)
        hits["rate"] += _covers(result.intervals.by_group.loc[1, "selection_rate"], 0.3)
        group, y, p = _simulate(rng, n=1200, rates=(0.5, 0.3, 0.2))
        result = group_metrics(y, p, sensitive_features=group, metrics="selection_rate", **options)
        hits["unequal"] += _covers(result.intervals.difference().loc["selection_rate"], 0.3)
    coverage = {name: hit / n_tables for name, hit in hits.items()}
    noise = 4 * np.sqrt(0.05 * 0.95 / n_tables)
    assert abs(coverage["rate"] - 0.95) < noise
    assert coverage["equal"] > 0.95 - noise
    assert coverage["odds"] > 0.95 - noise
    assert coverage["unequal"] > 0.95 - noise
    assert coverage["equal percentile"] < 0.05


def _covers(bounds, truth):
    return bounds["lower"] <= truth <= bounds["upper"]
