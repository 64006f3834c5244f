"""Names of metrics, their direction and their values."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_allclose

from fairgroup.comparison._evaluate import (
    Metrics,
    default_metrics,
    is_unfairness,
    lower_is_better,
)
from fairgroup.groups import GroupEncoder


@pytest.mark.parametrize(
    ("name", "unfair", "lower"),
    [
        ("accuracy", False, False),
        ("mean_absolute_error", False, True),
        ("r2", False, False),
        ("demographic_parity_difference", True, True),
        ("selection_rate_ratio", True, False),
        ("demographic_parity_difference[sex]", True, True),
    ],
)
def test_kind_and_direction(name, unfair, lower):
    assert is_unfairness(name) is unfair
    assert lower_is_better(name) is lower


def test_values_by_hand():
    groups = GroupEncoder().fit_transform({"sex": list("ffmm"), "old": [0, 1, 0, 1]})
    y_true, y_pred = np.array([1, 1, 0, 0]), np.array([1, 0, 0, 0])
    names = [
        "accuracy",
        "demographic_parity_difference",
        "demographic_parity_difference[sex]",
        "accuracy_ratio[sex]",
        "roc_auc",
    ]
    values = Metrics(names, 1).evaluate(y_true, y_pred, None, groups)
    assert values["accuracy"] == 0.75
    assert values["demographic_parity_difference"] == 1.0
    assert values["demographic_parity_difference[sex]"] == 0.5
    assert values["accuracy_ratio[sex]"] == 0.5
    assert np.isnan(values["roc_auc"])  # there are no scores


def test_control_features_take_the_worst_level():
    groups = GroupEncoder().fit_transform(list("abab"))
    controls = GroupEncoder().fit_transform([0, 0, 1, 1])
    y_pred = np.array([1, 0, 1, 1])
    metric = Metrics(["accuracy", "demographic_parity_difference"], 1)
    plain = metric.evaluate(y_pred, y_pred, None, groups)
    within = metric.evaluate(y_pred, y_pred, None, groups, controls)
    assert_allclose(plain["demographic_parity_difference"], 0.5)
    assert_allclose(within["demographic_parity_difference"], 1.0)


@pytest.mark.parametrize("task", ["binary", "multiclass", "regression"])
def test_defaults_have_both_kinds(task):
    names = default_metrics(task, ["sex", "race"])
    assert not is_unfairness(names[0])
    assert sum(map(is_unfairness, names)) == 4
