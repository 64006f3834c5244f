"""The pairs of subgroups that make up a distance covariance."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose

from fairgroup.dependence import (
    SubgroupEnergyDisplay,
    concatenated_distance_covariance,
    subgroup_energy_report,
)


def people(n, seed=0):
    rng = np.random.default_rng(seed)
    frame = pd.DataFrame({"sex": rng.choice(["f", "m"], n), "region": rng.choice(list("LMN"), n)})
    return frame, np.round(rng.gamma(2, 1, n) * (1 + (frame["sex"] == "f")), 2)


@pytest.mark.parametrize("estimator", ["U", "V"])
def test_contributions_sum_to_the_statistic(estimator):
    frame, y = people(80)
    report = subgroup_energy_report(y, frame, estimator=estimator)
    total = concatenated_distance_covariance(y, frame, estimator=estimator)
    assert len(report) == 15
    assert_allclose(report["contribution"].sum(), total, rtol=1e-12)
    assert_allclose(report["share"].sum(), 1, rtol=1e-12)
    assert_allclose(report["contribution"], report["weight"] * report["energy"])
    assert report["contribution"].is_monotonic_decreasing


def test_contributions_with_weights():
    frame, y = people(80)
    w = np.random.default_rng(1).random(80)
    report = subgroup_energy_report(y, frame, estimator="V", sample_weight=w)
    total = concatenated_distance_covariance(y, frame, estimator="V", sample_weight=w)
    assert_allclose(report["contribution"].sum(), total, rtol=1e-12)


@pytest.mark.parametrize("estimator", ["U", "V"])
def test_energies_are_means_over_pairs(estimator):
    frame, y = people(40)
    report = subgroup_energy_report(y, frame["sex"], estimator=estimator).iloc[0]
    f, m = (y[frame["sex"] == s].to_numpy() for s in "fm")

    def within(a):
        distances = np.abs(a[:, None] - a)
        return distances.sum() / (len(a) * (len(a) - (estimator == "U")))

    between = np.abs(f[:, None] - m).mean()
    assert_allclose(report["energy"], 2 * between - within(f) - within(m), rtol=1e-12)
    means = {"sex=f": f.mean(), "sex=m": m.mean()}
    assert_allclose(
        report["mean_difference"], means[report["group_a"]] - means[report["group_b"]], rtol=1e-10
    )
    sizes = {"sex=f": len(f), "sex=m": len(m)}
    assert (report["n_a"], report["n_b"]) == (sizes[report["group_a"]], sizes[report["group_b"]])


def test_a_subgroup_of_one_person_is_counted():
    y, s = [0.0, 1, 2, 4, 7, 3], ["b", "c", "a", "b", "b", "c"]
    report = subgroup_energy_report(y, s)
    assert_allclose(report["contribution"].sum(), concatenated_distance_covariance(y, s))
    assert np.isfinite(report[["lower", "upper"]]).all(axis=None)


@pytest.mark.slow
def test_intervals_cover():
    """About 95 % where the groups differ, at least that where they do not."""
    rng = np.random.default_rng(2)
    groups = {"g": np.repeat(["a", "b"], [60, 200])}
    draws = rng.normal(size=(2, 2_000_000))
    truth = 2 * np.abs(draws[0] + 1 - draws[1]).mean() - 2 * np.abs(draws[0] - draws[1]).mean()
    differ, equal = 0, 0
    for _ in range(400):
        y = rng.normal(size=260)
        none = subgroup_energy_report(y, groups).iloc[0]
        shifted = subgroup_energy_report(y + np.repeat([1.0, 0.0], [60, 200]), groups).iloc[0]
        equal += none["lower"] <= 0 <= none["upper"]
        differ += shifted["lower"] <= truth <= shifted["upper"]
    assert equal >= 0.95 * 400
    assert 0.90 * 400 <= differ <= 0.99 * 400


def test_simultaneous_intervals_are_wider():
    frame, y = people(80)
    together = subgroup_energy_report(y, frame)
    alone = subgroup_energy_report(y, frame, simultaneous=False)
    assert (together["upper"] - together["lower"] > alone["upper"] - alone["lower"]).all()


def test_bad_input():
    frame, y = people(80)
    with pytest.raises(ValueError, match="confidence_level=95"):
        subgroup_energy_report(y, frame, confidence_level=95)
    ages = np.arange(300)
    with pytest.raises(ValueError, match=r"300 distinct rows.*Bin the continuous"):
        subgroup_energy_report(ages / 7, ages)


def test_display():
    frame, y = people(80)
    display = SubgroupEnergyDisplay.from_predictions(y, frame, max_pairs=5)
    left, right = display.ax_
    assert len(left.get_yticklabels()) == 5
    assert "10 further pairs" in right.get_title(loc="right")
    widths = sorted(bar.get_width() for bar in right.patches)
    assert_allclose(widths, sorted(display.report["contribution"].head(5)))


def test_an_unknown_statistic():
    with pytest.raises(ValueError, match="estimator='W'"):
        subgroup_energy_report([0, 1, 2, 4, 7], list("aabbb"), estimator="W")
