"""The ranked probability score."""

import numpy as np
import pytest
import scipy.stats
from sklearn.metrics import brier_score_loss

from fairgroup.metrics import ranked_probability_score


def test_binary_is_the_brier_score():
    rng = np.random.default_rng(0)
    y, p, w = rng.integers(0, 2, 50), rng.random(50), rng.random(50)
    expected = brier_score_loss(y, p, sample_weight=w)
    found = ranked_probability_score(y, p, family="binary", sample_weight=w)
    assert found == pytest.approx(expected)
    two = np.c_[1 - p, p]
    assert ranked_probability_score(y, two, family="ordinal", sample_weight=w) == pytest.approx(
        expected
    )


def test_poisson_is_its_definition():
    rng = np.random.default_rng(0)
    mean = rng.gamma(1.0, size=40)
    y = rng.poisson(mean)
    k = np.arange(11)
    rows = (scipy.stats.poisson.cdf(k, mean[:, None]) - (k >= y[:, None])) ** 2
    assert ranked_probability_score(y, mean) == pytest.approx(rows.sum(axis=1).mean())
    assert ranked_probability_score([0], [0.0]) == 0.0


@pytest.mark.parametrize(
    ("y", "p", "family", "message"),
    [
        ([0, 2], [0.1, 0.2], "binary", "0 or 1"),
        ([0, 1], [0.1, 1.2], "binary", "probabilities"),
        ([-1, 1], [0.1, 1.2], "poisson", "negative"),
        ([0, 1], [0.1], "poisson", "1 rows"),
        ([0, 1], [0.1, 0.2], "ordinal", "n_classes"),
        ([0, 2], [[0.5, 0.5], [1, 0]], "ordinal", "whole numbers"),
        ([0, 1], [[0.5, 0.6], [1, 0]], "ordinal", "sum to one"),
        ([0, 1], [0.1, 0.2], "normal", "family"),
    ],
)
def test_bad_input(y, p, family, message):
    with pytest.raises(ValueError, match=message):
        ranked_probability_score(y, p, family=family)
