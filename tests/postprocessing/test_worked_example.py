"""The numbers of the worked example, computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.base import clone

from fairgroup.exceptions import FairnessWarning
from fairgroup.postprocessing import FairTTTS

ROWS = np.array([[0, 10], [0, 18], [1, 18]], dtype=np.float32)
SEX = [0, 0, 1]


def fitted(tree, X=ROWS, **settings):
    model = FairTTTS(tree, protected_inputs=[0], unprivileged=0, **settings)
    return model.fit(X, [0, 1, 1], sensitive_features=SEX)


@pytest.mark.parametrize(
    ("scope", "alpha", "expected"),
    [
        ("all", 1, [0.12625, 0.1490625, 0.3759375]),
        ("all", 2, [0.1525, 0.173125, 0.3759375]),
        ("all", 9, [0.25, 0.2625, 0.3759375]),
        ("protected", 1, [0.12625, 0.12625, 0.4]),
        ("protected", 2, [0.1525, 0.1525, 0.4]),
        ("protected", 9, [0.25, 0.25, 0.4]),
    ],
)
def test_probabilities(worked, scope, alpha, expected):
    model = fitted(worked, scope=scope, alpha=alpha)
    found = model.predict_proba(ROWS, sensitive_features=SEX)
    np.testing.assert_allclose(found[:, 1], expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-15)
    assert model.distance_scale_ == [40]


def test_probabilities_to_twelve_digits(worked):
    """18, 10, 0.5, 20 and 40 are exact in float32, so nothing is lost."""
    found = fitted(worked).predict_proba(ROWS, sensitive_features=SEX)[:, 1]
    np.testing.assert_allclose(found, [0.25, 0.2625, 0.3759375], rtol=0, atol=1e-12)


def test_variance_of_one_walk(worked):
    found = fitted(worked).predict_variance(ROWS, sensitive_features=SEX)
    np.testing.assert_allclose(found[1], 0.02484375, rtol=0, atol=1e-12)


def test_nothing_happens_on_small_scales_and_it_says_so(worked):
    """Largest threshold 4: the distance 0.5 of a 0/1 column is too large for every p."""
    X = ROWS * np.float32([1, 0.1])
    small = clone(worked).set_params(scale=0.1)
    with pytest.warns(FairnessWarning, match=r"does nothing.*standardised.*heuristic='fixed'"):
        model = fitted(small, X, scope="protected")
    found = model.predict_proba(X, sensitive_features=SEX)[:, 1]
    np.testing.assert_allclose(found[0], 0.1, rtol=0, atol=1e-12)


def test_fixed_probability_does_not_depend_on_scales(worked):
    small = clone(worked).set_params(scale=0.1)
    X = ROWS * np.float32([1, 0.1])
    settings = {"scope": "protected", "heuristic": "fixed", "alpha": 4.0, "cap": 1.0}
    found = fitted(small, X, **settings).predict_proba(X, sensitive_features=SEX)[:, 1]
    np.testing.assert_allclose(found, [0.6 * 0.1 + 0.4 * 0.4] * 2 + [0.4], atol=1e-12)


def test_leaves_that_a_person_may_reach(worked):
    found = fitted(worked).leaf_probabilities(ROWS, sensitive_features=SEX)
    # (0, 10): the root's boosted p is 0.5; both other splits are too far away.
    np.testing.assert_allclose(found[0], [0.5, 0, 0.5, 0], atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), 1)
    expected = fitted(worked).predict_proba(ROWS, sensitive_features=SEX)[:, 1]
    np.testing.assert_allclose(found @ [0.1, 0.6, 0.4, 0.9], expected, atol=1e-12)


def test_gain_of_the_better_side(worked):
    found = fitted(worked).counterfactual_gain(ROWS, sensitive_features=SEX)
    np.testing.assert_allclose(found, [0.3, 0.3, 0], atol=1e-12)


def test_explanation_counts_people(worked):
    told = fitted(worked).explain(ROWS, sensitive_features=SEX)
    row = told.nodes.iloc[0]
    assert (row["tree"], row["node"], row["people"], row["worse_side"]) == (0, 0, 2, "left")
    assert row["probability"] == pytest.approx(0.5)
    assert told.nodes["people: sensitive_feature_0=0"].tolist() == [2]
    assert told.nodes["people: sensitive_feature_0=1"].tolist() == [0]
    assert told.decisions.loc["(all)", "unchanged"] == 3


def test_explanation_counts_flips_in_each_direction(worked):
    X = np.array([[0, 10], [0, 50], [1, 50]], dtype=np.float32)
    model = fitted(worked, X, scope="protected", heuristic="fixed", cap=1.0, alpha=10)
    # Always the better side: 0.4 and 0.9 instead of 0.1 and 0.6.
    told = model.explain(X, sensitive_features=SEX).decisions
    assert told.loc["(all)"].tolist() == [3, 0, 0, 3]
    high = np.array([[0, 30], [0, 30], [1, 30]], dtype=np.float32)
    model = fitted(worked, high, scope="protected", heuristic="fixed", cap=1.0, alpha=10)
    told = model.explain(high, sensitive_features=SEX).decisions
    # 0.6 becomes 0.4: the better child is the worse one for these people.
    assert told.loc["sensitive_feature_0=0"].tolist() == [2, 0, 2, 0]
    assert told.loc["sensitive_feature_0=1"].tolist() == [1, 0, 0, 1]
