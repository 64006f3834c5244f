"""Estimated membership and the correction of known misclassification."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize

from fairgroup.ranking import bisg_posterior, correct_counts
from fairgroup.ranking._bisg import project_to_simplex

SURNAME = [0.05, 0.82, 0.03, 0.10]
PLACE = [1e-4, 4e-4, 2e-4, 1e-4]


def test_posterior():
    expected = [0.0143266, 0.9398281, 0.0171920, 0.0286533]
    np.testing.assert_allclose(bisg_posterior([SURNAME], [PLACE])[0], expected, atol=5e-8)


def test_unknown_surname_place_or_both():
    unknown, prior = [np.nan] * 4, np.array([0.6, 0.2, 0.1, 0.1])
    rows = bisg_posterior([unknown, SURNAME, unknown], [PLACE, unknown, unknown], prior=prior)
    by_place = prior * PLACE
    np.testing.assert_allclose(rows, [by_place / by_place.sum(), SURNAME, prior])
    np.testing.assert_allclose(bisg_posterior(None, [PLACE], prior=prior)[0], rows[0])


def test_impossible_and_malformed_rows():
    with pytest.raises(ValueError, match="row 1: surname and place exclude every group"):
        bisg_posterior([[0.5, 0.5], [1, 0]], [[0.1, 0.1], [0, 1]])
    with pytest.raises(ValueError, match="Both tables must have shape"):
        bisg_posterior([[0.5, 0.5]], [[0.1, 0.1, 0.1]])
    with pytest.raises(ValueError, match="p_group_given_surname must hold"):
        bisg_posterior([[0.5, -0.5]], [[0.1, 0.1]])
    with pytest.raises(ValueError, match="prior must hold 2"):
        bisg_posterior([[0.5, 0.5]], prior=[1.0])
    with pytest.raises(ValueError, match="or both"):
        bisg_posterior(None)


def test_confusion_example():
    confusion = [[0.9, 0.05, 0.05], [0.06, 0.85, 0.10], [0.04, 0.10, 0.85]]
    corrected = correct_counts([520, 290, 190], confusion)
    np.testing.assert_allclose(corrected, [552.9411765, 282.8235294, 164.2352941], atol=1e-6)
    np.testing.assert_allclose(correct_counts([[520, 290, 190], [0, 0, 0]], confusion)[1], 0)


def test_confusion_is_not_taken_the_wrong_way_round():
    with pytest.raises(ValueError, match="transpose"):
        correct_counts([1, 2], [[0.9, 0.1], [0.3, 0.7]])
    with pytest.raises(ValueError, match="singular"):
        correct_counts([1, 2], [[0.5, 0.5], [0.5, 0.5]])
    with pytest.raises(ValueError, match="confusion must have shape"):
        correct_counts([1, 2], np.eye(3))


@pytest.mark.parametrize(
    ("point", "expected"),
    [([0.5, 0.7, -0.1], [0.4, 0.6, 0]), ([1.2, 0.3, 0.1, -0.4], [0.95, 0.05, 0, 0])],
)
def test_projection_examples(point, expected):
    np.testing.assert_allclose(project_to_simplex(point), expected, atol=1e-12)


@given(st.lists(st.floats(-2, 2), min_size=2, max_size=4))
def test_projection_is_the_nearest_point(point):
    point = np.array(point)
    found = project_to_simplex(point)
    assert found.min() >= 0
    assert found.sum() == pytest.approx(1)
    solved = minimize(
        lambda x: ((x - point) ** 2).sum(),
        np.full(len(point), 1 / len(point)),
        bounds=[(0, None)] * len(point),
        constraints={"type": "eq", "fun": lambda x: x.sum() - 1},
    )
    assert ((found - point) ** 2).sum() <= solved.fun + 1e-6
