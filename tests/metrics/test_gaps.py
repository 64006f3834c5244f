"""The gap functions: labels against fairlearn, scores against definitions."""

import fairlearn.metrics as fl
import numpy as np
import pytest
import scipy.stats
from sklearn.exceptions import UndefinedMetricWarning

from fairgroup.metrics import demographic_parity_gap, equal_opportunity_gap, equalized_odds_gap


@pytest.fixture(scope="module")
def data():
    rng = np.random.default_rng(4)
    n = 1000
    groups = np.c_[rng.integers(0, 2, n), rng.integers(0, 3, n)]
    y = rng.integers(0, 2, n)
    score = np.clip(rng.normal(0.5 + 0.1 * groups[:, 0] + 0.1 * y, 0.2), 0, 1)
    return groups, y, (score > 0.6).astype(int), score


@pytest.mark.parametrize("method", ["between_groups", "to_overall"])
@pytest.mark.parametrize("columns", [[0], [1], [0, 1]])
def test_gaps_of_labels_equal_fairlearn(data, method, columns):
    groups, y, p, _ = data
    groups = groups[:, columns]
    options = {"sensitive_features": groups, "method": method}
    found = demographic_parity_gap(p, groups, method=method)
    assert found == pytest.approx(fl.demographic_parity_difference(y, p, **options))
    found = equalized_odds_gap(y, p, groups, method=method)
    assert found == pytest.approx(fl.equalized_odds_difference(y, p, **options))
    found = equal_opportunity_gap(y, p, groups, method=method)
    assert found == pytest.approx(fl.equal_opportunity_difference(y, p, **options))


def test_gaps_of_scores(data):
    groups, y, _, score = data
    sex = groups[:, 0]
    a, b = score[sex == 0], score[sex == 1]
    assert demographic_parity_gap(score, sex, kind="mean") == pytest.approx(b.mean() - a.mean())
    ks = scipy.stats.ks_2samp(a, b).statistic
    assert demographic_parity_gap(score, sex, kind="ks") == pytest.approx(ks)
    within = [
        scipy.stats.ks_2samp(score[(sex == 0) & (y == k)], score[(sex == 1) & (y == k)]).statistic
        for k in (0, 1)
    ]
    assert equalized_odds_gap(y, score, sex, kind="ks") == pytest.approx(max(within))
    assert equal_opportunity_gap(y, score, sex, kind="ks") == pytest.approx(within[1])


def test_ks_of_several_groups_is_the_largest_of_all_pairs(data):
    groups, _, _, score = data
    race = groups[:, 1]
    parts = [score[race == g] for g in range(3)]
    pairs = [scipy.stats.ks_2samp(a, b).statistic for a in parts for b in parts]
    assert demographic_parity_gap(score, race, kind="ks") == pytest.approx(max(pairs))
    overall = max(
        np.abs(
            np.searchsorted(np.sort(part), score, "right") / len(part)
            - scipy.stats.rankdata(score, "max") / len(score)
        ).max()
        for part in parts
    )
    found = demographic_parity_gap(score, race, kind="ks", method="to_overall")
    assert found == pytest.approx(overall)


def test_ks_is_the_parity_gap_at_the_worst_threshold(data):
    groups, _, _, score = data
    gaps = [demographic_parity_gap((score > t).astype(int), groups) for t in np.unique(score)[::7]]
    assert demographic_parity_gap(score, groups, kind="ks") >= max(gaps) - 1e-12


def test_scores_need_a_choice(data):
    groups, y, _, score = data
    for call in (
        lambda: demographic_parity_gap(score, groups),
        lambda: equalized_odds_gap(y, score, groups),
    ):
        with pytest.raises(ValueError, match="kind='mean'"):
            call()
    with pytest.raises(ValueError, match="kind='max'"):
        demographic_parity_gap(score, groups, kind="max")
    with pytest.raises(ValueError, match="method='pairs'"):
        demographic_parity_gap(score, groups, kind="ks", method="pairs")


def test_incomplete_odds_are_not_fair():
    """A group without positives leaves equalized odds open when only one other group remains."""
    y, p, group = [0, 1, 0, 0], [0, 1, 0, 0], [0, 0, 1, 1]
    with pytest.warns(UndefinedMetricWarning):
        assert np.isnan(equalized_odds_gap(y, p, group))
    assert np.isnan(equalized_odds_gap(y, p, group, kind="mean"))
    assert np.isnan(demographic_parity_gap(p, [0] * 4))


def test_weights_and_positive_label(data):
    groups, y, p, _ = data
    weight = np.random.default_rng(0).integers(1, 4, len(y))
    rows = np.repeat(np.arange(len(y)), weight)
    text = np.array(["no", "yes"])
    for kind in ("labels", "mean", "ks"):
        weighted = equalized_odds_gap(y, p, groups, kind=kind, sample_weight=weight)
        repeated = equalized_odds_gap(y[rows], p[rows], groups[rows], kind=kind)
        assert weighted == pytest.approx(repeated)
    found = equal_opportunity_gap(text[y], text[p], groups, pos_label="no")
    assert found == pytest.approx(equal_opportunity_gap(1 - y, 1 - p, groups))
