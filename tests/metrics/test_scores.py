"""Score metrics of groups against scikit-learn and slow references."""

import numpy as np
import pytest
import sklearn.metrics as sk
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.exceptions import UndefinedMetricWarning

from fairgroup.metrics import group_metrics
from fairgroup.metrics._scores import placements


@pytest.fixture(scope="module")
def scored():
    rng = np.random.default_rng(0)
    n = 900
    group = rng.choice(3, n, p=[0.5, 0.3, 0.2])
    y = rng.integers(0, 2, n)
    score = np.clip(np.round(0.3 * y + 0.7 * rng.random(n), 2), 0, 1)  # rounded: many ties
    return group, y, score, rng.random(n)


@pytest.mark.parametrize("weighted", [False, True])
def test_area_and_brier_equal_scikit_learn(scored, weighted):
    group, y, score, weight = scored
    weight = weight if weighted else None
    result = group_metrics(
        y,
        None,
        y_score=score,
        sensitive_features=group,
        metrics=["roc_auc", "brier_score"],
        sample_weight=weight,
    )
    for g in range(3):
        rows = group == g
        part = None if weight is None else weight[rows]
        area = sk.roc_auc_score(y[rows], score[rows], sample_weight=part)
        brier = sk.brier_score_loss(y[rows], score[rows], sample_weight=part)
        assert result.by_group.loc[g, "roc_auc"] == pytest.approx(area)
        assert result.by_group.loc[g, "brier_score"] == pytest.approx(brier)
    overall = sk.roc_auc_score(y, score, sample_weight=weight)
    assert result.overall["roc_auc"] == pytest.approx(overall)


def test_calibration_error_by_hand(scored):
    group, y, score, _ = scored
    result = group_metrics(
        y, None, y_score=score, sensitive_features=group, metrics="calibration_error"
    )
    rows = group == 1
    bins = np.minimum((score * 10).astype(int), 9)
    expected = sum(
        abs(np.sum(y[rows & (bins == b)]) - np.sum(score[rows & (bins == b)])) for b in range(10)
    )
    assert result.by_group.loc[1, "calibration_error"] == pytest.approx(expected / rows.sum())


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 25), st.integers(0, 2**20))
def test_placements_equal_the_slow_reference(n, seed):
    rng = np.random.default_rng(seed)
    group, label = rng.integers(-1, 3, n), rng.integers(0, 2, n)
    score, weight = rng.integers(0, 5, n) / 4, rng.integers(1, 4, n) / 2
    found = placements(group, label, score, weight)
    for i in range(n):
        other = (group == group[i]) & (label != label[i])
        sign = 1 if label[i] else -1
        beaten = (sign * (score[i] - score[other]) > 0) + 0.5 * (score[i] == score[other])
        expected = np.average(beaten, weights=weight[other]) if other.any() else 0.0
        assert found[i] == pytest.approx(expected)


def test_area_is_undefined_with_one_label_only():
    with pytest.warns(UndefinedMetricWarning, match="only one of the two labels"):
        result = group_metrics(
            [0, 1, 0, 0], None, y_score=[0.1, 0.9, 0.3, 0.4], sensitive_features=list("aabb")
        )
    assert result.by_group["roc_auc"].isna().tolist() == [False, True]


def test_scores_must_be_probabilities_where_that_matters(scored):
    group, y, score, _ = scored
    group_metrics(y, None, y_score=5 * score - 2, sensitive_features=group, metrics="roc_auc")
    with pytest.raises(ValueError, match=r"probabilities in \[0, 1\]"):
        group_metrics(
            y, None, y_score=5 * score - 2, sensitive_features=group, metrics="brier_score"
        )
    with pytest.raises(ValueError, match="two labels or pos_label"):
        group_metrics(
            np.arange(900) % 3, None, y_score=score, sensitive_features=group, metrics="roc_auc"
        )
